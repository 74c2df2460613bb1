"""How the actors' queues stand, asked of JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from contracts.clock import Utc
from contracts.flow import ACTORS, STREAM, Consumer, consumers_of

__all__ = ["ActorState", "BusUnavailable", "Queue", "Queues", "actor_states"]

TIMEOUT_S: Final = 3.0
SEEN_FOR_S: Final = 5.0
"""How long a process counts as listening after it was last seen to: between two pulls nobody waits for a moment."""


class BusUnavailable(Exception):
    """NATS, or what should be on it, cannot be reached. The text says which."""


class Queue(Struct, frozen=True, kw_only=True):
    """One durable consumer."""

    name: str
    actor: str
    waiting: Annotated[int, Meta(description="Events not yet handed to a process.")]
    in_work: Annotated[int, Meta(description="Events handed out and not yet settled; those put off are among them.")]
    pulling: Annotated[int, Meta(description="Processes that ask for an event at this moment.")]
    waiting_since: Annotated[
        Utc | None, Meta(description="Since when events wait and none is handed out, as seen here; null: none waits.")
    ]
    last_active_at: Annotated[Utc | None, Meta(description="When an event was last handed out; null: never.")]


class ActorState(Struct, frozen=True, kw_only=True):
    """All queues of one actor together."""

    name: str
    state: Annotated[
        Literal["working", "idle", "absent"], Meta(description="absent: no process of this actor takes events.")
    ]
    waiting: int
    in_work: int
    waiting_since: Utc | None
    last_active_at: Utc | None
    seen_at: Annotated[Utc | None, Meta(description="When a process was last seen; null: not since the gateway began.")]


class Queues:
    """Reads every consumer. Remembers since when each stands still, and when each actor was last seen.

    The age of the oldest waiting event would need the right to read the stream; that a queue does not move
    shows the same trouble, and a long queue that moves is none.
    """

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        self._client = client
        self._js = js
        self._standing: dict[str, tuple[int, datetime]] = {}
        self.seen_at: dict[str, datetime] = {}

    async def read(self, *, now: datetime) -> tuple[Queue, ...]:
        """Return the queues in the order of the flow. Raises: BusUnavailable."""
        if not self._client.is_connected:
            raise BusUnavailable("the connection to NATS is lost and is being tried again: is it running at NATS_URL?")
        wanted = [consumer for actor in ACTORS.values() for consumer in consumers_of(actor)]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._js.stream_info(STREAM.name)
                queues = await asyncio.gather(*(self._read(consumer, now=now) for consumer in wanted))
        except NotFoundError as error:
            raise BusUnavailable(
                f"the stream {STREAM.name} or one of its consumers is missing ({error.description}): "
                "start `ettametta up` or an actor, which makes them"
            ) from error
        except TimeoutError as error:
            raise BusUnavailable(f"NATS did not answer within {TIMEOUT_S:.0f} s: is it running at NATS_URL?") from error
        except (NatsError, OSError) as error:
            raise BusUnavailable(f"NATS cannot be reached: {error}") from error
        for queue in queues:
            if queue.pulling:
                self.seen_at[queue.actor] = now
        return tuple(queues)

    async def _read(self, consumer: Consumer, *, now: datetime) -> Queue:
        info = await self._js.consumer_info(STREAM.name, consumer.name)
        waiting, delivered = info.num_pending or 0, info.delivered
        return Queue(
            name=consumer.name,
            actor=consumer.actor,
            waiting=waiting,
            in_work=info.num_ack_pending or 0,
            pulling=info.num_waiting or 0,
            waiting_since=self._since(consumer.name, waiting, delivered.stream_seq if delivered else 0, now=now),
            last_active_at=_utc(delivered.last_active) if delivered else None,
        )

    def _since(self, name: str, waiting: int, position: int, *, now: datetime) -> datetime | None:
        if not waiting:
            self._standing.pop(name, None)
            return None
        if self._standing.get(name, (None, now))[0] != position:
            self._standing[name] = (position, now)
        return self._standing[name][1]


def actor_states(queues: Sequence[Queue], *, seen_at: dict[str, datetime], now: datetime) -> tuple[ActorState, ...]:
    """Put the queues of each actor together."""
    states = []
    for name in ACTORS:
        own = [queue for queue in queues if queue.actor == name]
        seen = seen_at.get(name)
        listening = seen is not None and (now - seen).total_seconds() <= SEEN_FOR_S
        in_work = sum(queue.in_work for queue in own)
        states.append(
            ActorState(
                name=name,
                state="working" if in_work else "idle" if listening else "absent",
                waiting=sum(queue.waiting for queue in own),
                in_work=in_work,
                waiting_since=min((q.waiting_since for q in own if q.waiting_since), default=None),
                last_active_at=max((q.last_active_at for q in own if q.last_active_at), default=None),
                seen_at=seen,
            )
        )
    return tuple(states)


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
