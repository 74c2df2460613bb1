"""Reads the state of the whole loop, once for everyone who asks within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from actors.runtime.clock import Clock
from actors.runtime.db import DRIVER_ERRORS, Database, into, load_queries
from actors.runtime.telemetry import Sample
from contracts.clock import Utc
from gateway.queues import ActorState, BusUnavailable, Queue, Queues, actor_states
from gateway.readiness import MEASURE_LATE_S, POST_LATE_S, Fault, Late, Readiness, judge
from gateway.rows import item_of, measurement_of
from gateway.views import STAGES, Account, DeadLetter, Item, Measurement, Progress, Stage

__all__ = ["Overview", "Q", "Reader", "Retrying", "samples"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
DATABASE_TIMEOUT_S: Final = 5.0
FRESH_S: Final = 1.0
WATCH_EVERY_S: Final = 10.0
DEAD_LETTERS_SHOWN: Final = 50


class Retrying(Struct, frozen=True, kw_only=True):
    """Events of one consumer that failed and come again."""

    consumer: str
    events: int
    last_error: str


class Overview(Struct, frozen=True, kw_only=True):
    """The answer of /api/v1/status."""

    at: Utc
    readiness: Readiness
    progress: Progress
    stages: Annotated[dict[Stage, int], Meta(description="Items at each stage.")]
    actors: Annotated[tuple[ActorState, ...] | None, Meta(description="Null: NATS cannot be asked.")]
    items: Annotated[tuple[Item, ...], Meta(description="Last changed first.")]
    accounts: tuple[Account, ...]
    dead_letters: Annotated[tuple[DeadLetter, ...], Meta(description="The newest open ones.")]
    dead_letter_counts: Annotated[dict[str, int], Meta(description="All open ones, by kind.")]
    retrying: tuple[Retrying, ...]
    outbox: Annotated[dict[str, int], Meta(description="Events not yet in the stream, by sender.")]
    absent: Annotated[dict[str, str], Meta(description="Reason for each field that is null.")] = {}


class Reader:
    """Reads from the database and from JetStream."""

    def __init__(self, db: Database, queues: Queues, clock: Clock) -> None:
        self._db = db
        self._queues = queues
        self._clock = clock
        self._turn = asyncio.Lock()
        self._queues_read: tuple[datetime, tuple[Queue, ...] | Fault] | None = None

    async def watch(self) -> None:
        """Read the queues again and again, so that their standing still is noticed while nobody asks."""
        while True:
            await self.queues()
            await self._clock.sleep(WATCH_EVERY_S)

    async def queues(self) -> tuple[Queue, ...] | Fault:
        """Return the queues, at most a second old, or why they cannot be read."""
        async with self._turn:
            now = self._clock.now()
            if self._queues_read is None or (now - self._queues_read[0]).total_seconds() > FRESH_S:
                try:
                    read: tuple[Queue, ...] | Fault = await self._queues.read(now=now)
                except BusUnavailable as error:
                    read = Fault(what="bus", because=str(error))
                self._queues_read = (self._clock.now(), read)
            return self._queues_read[1]

    async def late(self) -> Late | Fault:
        """Return what is late in the database, or why it cannot be read."""
        now = self._clock.now()
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_S):
                outbox = await self._db.fetch(Q["waiting_outbox"])
                measures = await self._db.fetchrow(Q["late_measures"], now - timedelta(seconds=MEASURE_LATE_S))
                posts = await self._db.fetchrow(Q["late_posts"], now - timedelta(seconds=POST_LATE_S))
        except DRIVER_ERRORS as error:
            return Fault(what="database", because=f"PostgreSQL cannot be used: {_said(error)}")
        assert measures is not None
        assert posts is not None
        return Late(
            outbox={row["sender"]: row["oldest_at"] for row in outbox},
            measures=measures["posts"],
            measure_due_at=measures["due_at"],
            posts=posts["posts"],
            post_due_at=posts["due_at"],
        )

    async def readiness(self) -> Readiness:
        late, queues = await asyncio.gather(self.late(), self.queues())
        return judge(late, queues, now=self._clock.now())

    async def overview(self, *, stages: tuple[Stage, ...] | None = None, limit: int = 50) -> Overview:
        """Read everything that the page shows. Raises: the errors of DRIVER_ERRORS."""
        late, queues = await asyncio.gather(self.late(), self.queues())
        now = self._clock.now()
        async with asyncio.timeout(DATABASE_TIMEOUT_S), self._db.transaction() as conn:
            counts = {row["stage"]: row["items"] for row in await conn.fetch(_staged("stage_counts"))}
            progress = await conn.fetchrow(_staged("progress"))
            rows = await conn.fetch(_staged("list_items"), None if stages is None else list(stages), limit)
            posts = await conn.fetch(Q["all_posts"], [row["item_id"] for row in rows])
            accounts = await conn.fetch(Q["list_accounts"])
            dead = await conn.fetch(Q["list_dead_letters"], DEAD_LETTERS_SHOWN)
            dead_counts = await conn.fetch(Q["count_dead_letters"])
            attempts = await conn.fetch(Q["list_attempts"])
            outbox = await conn.fetch(Q["waiting_outbox"])
        assert progress is not None
        return Overview(
            at=now,
            readiness=judge(late, queues, now=now),
            progress=into(Progress, progress),
            stages={stage: counts.get(stage, 0) for stage in STAGES},
            actors=None if isinstance(queues, Fault) else actor_states(queues, seen_at=self._queues.seen_at, now=now),
            items=tuple(item_of(dict(row), [dict(one) for one in posts], now=now) for row in rows),
            accounts=tuple(into(Account, row) for row in accounts),
            dead_letters=tuple(into(DeadLetter, row) for row in dead),
            dead_letter_counts={row["kind"]: row["letters"] for row in dead_counts},
            retrying=tuple(into(Retrying, row) for row in attempts),
            outbox={row["sender"]: row["events"] for row in outbox},
            absent={"actors": queues.because} if isinstance(queues, Fault) else {},
        )

    async def item(self, item_id: str) -> tuple[Item, tuple[Measurement, ...]] | None:
        """Return one item with every snapshot of its post; None: there is no such item."""
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            row = await self._db.fetchrow(_staged("show_item"), item_id)
            if row is None:
                return None
            posts = await self._db.fetch(Q["all_posts"], [item_id])
            item = item_of(dict(row), [dict(one) for one in posts], now=self._clock.now())
            taken = await self._db.fetch(Q["list_measurements"], item.post.post_id) if item.post else []
        return item, tuple(measurement_of(dict(each)) for each in taken)


def samples(overview: Overview) -> list[Sample]:
    """Return the state of the loop as metrics."""
    found = [
        Sample(
            name="ready", help="1 while nothing is late and everything can be reached.", value=overview.readiness.ready
        )
    ]
    found += _labelled("items", "Items, by stage.", "stage", overview.stages)
    found += _labelled("outbox.waiting", "Committed events not yet in the stream.", "sender", overview.outbox)
    found += _labelled("dead_letters.open", "Open dead letters.", "kind", overview.dead_letter_counts)
    retrying = {each.consumer: each.events for each in overview.retrying}
    found += _labelled("events.retrying", "Events that failed and come again.", "consumer", retrying)
    for actor in overview.actors or ():
        labels = {"actor": actor.name}
        found.append(Sample(name="queue.waiting", help="Events that wait.", value=actor.waiting, labels=labels))
        found.append(Sample(name="queue.in_work", help="Events in work.", value=actor.in_work, labels=labels))
    return found


def _labelled(name: str, help_: str, label: str, values: Mapping[Stage, int] | Mapping[str, int]) -> list[Sample]:
    return [Sample(name=name, help=help_, value=value, labels={label: key}) for key, value in values.items()]


def _staged(name: str) -> str:
    return f"with staged as ({Q['staged']})\n{Q[name]}"


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
