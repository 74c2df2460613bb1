"""The ledger: what was handled (inbox), what is to be told (outbox), who works on what (leases).

One PostgreSQL transaction holds a handler's writes, its inbox row and its outgoing events, so that after
any crash either all of it happened or nothing did.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.db import Connection, Database, is_unavailable, load_queries
from actors.runtime.killpoint import reach
from contracts.codec import encode, follow, subject_of, type_of
from contracts.errors import LeaseLost, Reject, Snooze
from contracts.events import Event, WorkRejected
from contracts.flow import MAX_PAYLOAD_BYTES, Consumer
from contracts.ids import CorrelationId, EventId, derived

__all__ = ["Attempts", "Duplicate", "Lease", "Ledger", "Tx"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


class Duplicate(Exception):
    """The event was finished before; the transaction is rolled back and the message acked."""


class Attempts(Struct, frozen=True):
    """Trouble with one event so far."""

    failures: int
    unsettled: int


class Tx:
    """An open transaction and the events that leave with it."""

    def __init__(self, conn: Connection, *, cause: Event, at: Clock) -> None:
        self.conn = conn
        self.outgoing: list[Event] = []
        self._cause = cause
        self._clock = at

    def emit(self, event: Event, *, name: str = "") -> None:
        """Give an event when the transaction commits. `name` tells several of one type apart."""
        self.outgoing.append(follow(event, cause=self._cause, name=name, at=self._clock.now()))


class Lease:
    """Held work: nobody else does it as long as the fence is current."""

    def __init__(self, name: str, holder: str, fence: int) -> None:
        self.name = name
        self.holder = holder
        self.fence = fence


class Ledger:
    """The ledger of one process. `ttl_s`: life of a lease without heartbeat, seconds."""

    def __init__(self, db: Database, *, sender: str, clock: Clock, ttl_s: float) -> None:
        self.db = db
        self.sender = sender
        self.ttl_s = ttl_s
        self._clock = clock
        self._holder = f"{sender}-{uuid.uuid4()}"

    async def is_settled(self, consumer: str, event_id: EventId) -> bool:
        return bool(await self.db.fetchval(Q["is_settled"], consumer, event_id))

    @asynccontextmanager
    async def commit(
        self, consumer: str, event: Event, *, leases: Sequence[Lease] = (), redelivered: bool = False
    ) -> AsyncIterator[Tx]:
        """Open the one transaction that finishes `event` for `consumer`.

        Raises: Duplicate if it is finished already; LeaseLost if a lease was taken over.
        """
        reach(f"{consumer}.handled")
        async with self.db.transaction() as conn:
            if not await conn.fetchval(Q["take_inbox"], consumer, event.event_id, "done"):
                raise Duplicate
            await self._hold(conn, leases)
            tx = Tx(conn, cause=event, at=self._clock)
            yield tx
            await self._put(conn, tx.outgoing)
            if redelivered:
                await conn.execute(Q["clear_attempts"], consumer, event.event_id)
            reach(f"{consumer}.committing")
        reach(f"{consumer}.committed")

    @asynccontextmanager
    async def commit_many(
        self, consumer: str, events: Sequence[Event], *, redelivered: Sequence[EventId]
    ) -> AsyncIterator[dict[EventId, Tx]]:
        """Open one transaction that finishes all of these events, each once; give those not finished before."""
        reach(f"{consumer}.handled")
        async with self.db.transaction() as conn:
            rows = await conn.fetch(Q["take_inbox_many"], consumer, sorted(event.event_id for event in events), "done")
            taken = {row["event_id"] for row in rows}
            txs = {event.event_id: Tx(conn, cause=event, at=self._clock) for event in events if event.event_id in taken}
            yield txs
            await self._put(conn, [event for tx in txs.values() for event in tx.outgoing])
            if redelivered:
                await conn.execute(Q["clear_attempts_many"], consumer, redelivered)
            reach(f"{consumer}.committing")
        reach(f"{consumer}.committed")

    @asynccontextmanager
    async def unit(
        self, *, seed: str, correlation_id: CorrelationId, causation_id: EventId | None, leases: Sequence[Lease] = ()
    ) -> AsyncIterator[Tx]:
        """Open a transaction outside a message. Ids of its events derive from `seed`."""
        cause = Event(event_id=causation_id or EventId(derived("unit", seed)), correlation_id=correlation_id)
        async with self.db.transaction() as conn:
            await self._hold(conn, leases)
            tx = Tx(conn, cause=msgspec.structs.replace(cause, event_id=EventId(derived("unit", seed))), at=self._clock)
            yield tx
            stamped = [msgspec.structs.replace(event, causation_id=causation_id) for event in tx.outgoing]
            await self._put(conn, stamped)

    async def _hold(self, conn: Connection, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if not await conn.fetchval(Q["hold_lease"], lease.name, lease.holder, lease.fence):
                raise LeaseLost(f"another worker took over '{lease.name}'")

    async def _put(self, conn: Connection, events: Sequence[Event]) -> None:
        rows = [
            (self.sender, event.event_id, subject_of(event), encode(event), event.correlation_id) for event in events
        ]
        for _, _, subject, payload, _ in rows:
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise Reject(
                    f"{subject} would hold {len(payload):,} bytes, more than the {MAX_PAYLOAD_BYTES:,} of one event",
                    mend="shorten its captions or texts",
                )
        if rows:
            await conn.executemany(Q["put_outbox"], rows)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease]:
        """Hold the lease `name` and keep it alive. If it is lost, the body is cancelled and LeaseLost raised.

        Raises: Snooze while another holds it; LeaseLost.
        """
        fence = await self.db.fetchval(Q["take_lease"], name, self._holder, self.ttl_s)
        if fence is None:
            raise Snooze(f"another worker holds '{name}'", delay_s=self.ttl_s / 2)
        lease = Lease(name, self._holder, fence)
        body = asyncio.current_task()
        assert body is not None
        lost = False

        async def keep() -> None:
            nonlocal lost
            alive_until = time.monotonic() + self.ttl_s
            while True:
                await asyncio.sleep(self.ttl_s / 3)
                asked = time.monotonic()
                try:
                    async with asyncio.timeout(max(alive_until - asked, 0.1)):
                        if not await self.db.fetchval(Q["renew_lease"], name, lease.holder, lease.fence, self.ttl_s):
                            break
                    alive_until = asked + self.ttl_s
                except Exception as error:  # noqa: BLE001 - whatever keeps it from renewing, the lease runs out
                    if not is_unavailable(error) or time.monotonic() > alive_until:
                        break
            lost = True
            body.cancel()

        keeper = asyncio.create_task(keep(), name=f"lease {name}")
        try:
            yield lease
        except asyncio.CancelledError:
            if lost and body.uncancel() == 0:
                raise LeaseLost(f"another worker took over '{name}'") from None
            raise
        finally:
            keeper.cancel()
            if not lost:
                try:
                    await self.db.execute(Q["free_lease"], name, lease.holder, lease.fence)
                except Exception as error:
                    if not is_unavailable(error):  # else it runs out by itself
                        raise

    async def note_redelivery(self, consumer: str, event_id: EventId) -> Attempts:
        row = await self.db.fetchrow(Q["note_redelivery"], consumer, event_id)
        assert row is not None
        return Attempts(row["failures"], row["unsettled"])

    async def note_snooze(self, consumer: str, event_id: EventId) -> None:
        await self.db.execute(Q["note_snooze"], consumer, event_id)

    async def forget_attempts(self, consumer: str, event_id: EventId) -> None:
        await self.db.execute(Q["clear_attempts"], consumer, event_id)

    async def note_failure(self, consumer: str, event_id: EventId, error: str) -> int:
        """Count a failure; return how many there were."""
        return int(await self.db.fetchval(Q["note_failure"], consumer, event_id, _storable(error)))

    async def bury(
        self,
        kind: Literal["rejected", "dead"],
        consumer: Consumer,
        event: Event,
        payload: bytes,
        *,
        error: str,
        trace: str,
        failures: int,
    ) -> None:
        """Record the end of an event without success, and tell it with `work.rejected`."""
        told = WorkRejected(
            item_id=getattr(event, "item_id", None) or getattr(getattr(event, "candidate", None), "item_id", None),
            actor=self.sender,
            rejected_type=type_of(consumer.kind),
            rejected_id=event.event_id,
            reason=_storable(error),
        )
        async with self.db.transaction() as conn:
            if not await conn.fetchval(Q["take_inbox"], consumer.name, event.event_id, kind):
                return
            await conn.fetchval(
                Q["bury"], kind, consumer.name, event.event_id, consumer.subject, payload, told.reason,
                _storable(trace), failures, event.correlation_id, told.item_id,
            )  # fmt: skip
            await conn.execute(Q["clear_attempts"], consumer.name, event.event_id)
            await self._put(conn, [follow(told, cause=event, name=consumer.name, at=self._clock.now())])


def _storable(text: str) -> str:
    """Return the text without NUL, which PostgreSQL refuses."""
    return text.replace("\0", "")
