"""The ledger against a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.ledger import Duplicate, Ledger
from contracts.codec import decode
from contracts.errors import LeaseLost, Snooze
from contracts.events import ScanCompleted, ScanRequested
from contracts.flow import ACTORS, consumers_of
from contracts.ids import CorrelationId, EventId

EVENT = ScanRequested(event_id=EventId("e-1"), correlation_id=CorrelationId("c-1"), niche="deep sea")
TOLD = ScanCompleted(niche="deep sea", found={"internet_archive": 2})


def ledger_of(database: Database, sender: str = "scanner", *, ttl_s: float = 15.0) -> Ledger:
    return Ledger(database, sender=sender, clock=Clock(), ttl_s=ttl_s)


async def counts(database: Database) -> tuple[int, int]:
    return (
        await database.fetchval("select count(*) from inbox"),
        await database.fetchval("select count(*) from outbox"),
    )


async def test_commit_writes_inbox_and_outbox_together(database: Database) -> None:
    """A handled event could lose what follows from it."""
    async with ledger_of(database).commit("scanner-scan-requested", EVENT) as tx:
        tx.emit(TOLD)
    assert await counts(database) == (1, 1)
    row = await database.fetchrow("select subject, payload, sender from outbox")
    assert row is not None
    sent = decode(row["payload"], ScanCompleted)
    assert (row["subject"], row["sender"]) == ("ett.scan.completed", "scanner")
    assert (sent.correlation_id, sent.causation_id) == ("c-1", "e-1")
    assert sent.occurred_at is not None


async def test_failure_inside_commit_leaves_nothing(database: Database) -> None:
    """A handler that fails half-way could leave half its work."""
    with pytest.raises(ZeroDivisionError):
        async with ledger_of(database).commit("scanner-scan-requested", EVENT) as tx:
            tx.emit(TOLD)
            _ = 1 // 0
    assert await counts(database) == (0, 0)


async def test_second_commit_is_a_duplicate(database: Database) -> None:
    """A redelivered event could be handled twice."""
    ledger = ledger_of(database)
    async with ledger.commit("scanner-scan-requested", EVENT) as tx:
        tx.emit(TOLD)
    with pytest.raises(Duplicate):
        async with ledger.commit("scanner-scan-requested", EVENT) as tx:
            tx.emit(TOLD)
    assert await counts(database) == (1, 1)
    async with ledger.commit("another-consumer", EVENT):
        pass
    assert await counts(database) == (2, 1)


async def test_of_two_commits_at_once_one_wins(database: Database) -> None:
    """Two replicas that hold the same event could both take effect."""

    async def once(ledger: Ledger) -> str:
        try:
            async with ledger.commit("scanner-scan-requested", EVENT) as tx:
                tx.emit(TOLD)
        except Duplicate:
            return "duplicate"
        return "done"

    ends = await asyncio.gather(*(once(ledger_of(database)) for _ in range(6)))
    assert sorted(ends) == ["done", *["duplicate"] * 5]
    assert await counts(database) == (1, 1)


async def test_the_same_consequence_has_the_same_id(database: Database) -> None:
    """Work that is done again after a crash could give its events under new ids."""
    ledger = ledger_of(database)
    for consumer in ("one", "two"):
        async with ledger.commit(consumer, EVENT) as tx:
            tx.emit(TOLD)
    assert await counts(database) == (2, 1)


async def test_unit_gives_the_same_event_once(database: Database) -> None:
    """A timer that fires twice for one bucket could measure it twice."""
    ledger = ledger_of(database, "tracker")
    for _ in range(2):
        async with ledger.unit(seed="post/3", correlation_id=CorrelationId("c-9"), causation_id=EventId("e-9")) as tx:
            tx.emit(TOLD)
    assert await counts(database) == (0, 1)
    payload = await database.fetchval("select payload from outbox")
    told = decode(payload, ScanCompleted)
    assert (told.correlation_id, told.causation_id) == ("c-9", "e-9")


async def test_a_held_lease_snoozes_others(database: Database) -> None:
    """Two replicas could render the same plan at once."""
    one, two = ledger_of(database), ledger_of(database)
    async with one.lease("render:x") as lease:
        assert lease.fence == 1
        with pytest.raises(Snooze):
            async with two.lease("render:x"):
                pytest.fail("taken twice")
    async with two.lease("render:x") as lease:
        assert lease.fence == 2


async def test_commit_with_a_lost_lease_is_thrown_away(database: Database) -> None:
    """A worker that was taken over could still write its result."""
    ledger = ledger_of(database, ttl_s=60.0)
    with pytest.raises(LeaseLost):
        async with ledger.lease("render:x") as lease:
            await database.execute("update leases set holder = 'other', fence = fence + 1")
            async with ledger.commit("renderer-render-requested", EVENT, leases=[lease]) as tx:
                tx.emit(TOLD)
    assert await counts(database) == (0, 0)


async def test_losing_a_lease_stops_the_work(database: Database) -> None:
    """A worker that was taken over could work on for hours."""
    ledger = ledger_of(database, ttl_s=0.3)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(10):
            async with ledger.lease("render:x"):
                await database.execute("update leases set holder = 'other', fence = fence + 1")
                await asyncio.Event().wait()


async def test_a_lease_is_kept_alive(database: Database) -> None:
    """Work longer than the lease's life could be taken over while it is alive."""
    one, two = ledger_of(database, ttl_s=0.3), ledger_of(database, ttl_s=0.3)
    async with one.lease("render:x"):
        first = await database.fetchval("select expires_at from leases")
        async with asyncio.timeout(10):
            while await database.fetchval("select expires_at from leases") < first + timedelta(seconds=0.6):
                await asyncio.sleep(0.02)
        with pytest.raises(Snooze):
            async with two.lease("render:x"):
                pytest.fail("taken twice")


async def test_failures_and_unsettled_deliveries_are_counted(database: Database) -> None:
    """An event that always fails, or that kills its worker, could be tried for ever."""
    ledger = ledger_of(database)
    event_id = EventId("e-1")
    assert await ledger.note_failure("c", event_id, "first") == 1
    assert (await ledger.note_redelivery("c", event_id)).unsettled == 1
    assert await ledger.note_failure("c", event_id, "second") == 2
    attempts = await ledger.note_redelivery("c", event_id)
    assert (attempts.failures, attempts.unsettled) == (2, 1)
    assert (await ledger.note_redelivery("c", event_id)).unsettled == 2


async def test_bury_records_once_and_tells_it(database: Database) -> None:
    """A rejected event could vanish without a trace, or be listed twice."""
    ledger = ledger_of(database)
    for _ in range(2):
        await ledger.bury(
            "rejected", consumers_of(ACTORS["scanner"])[0], EVENT, b"{}", error="no such platform", trace="", failures=1
        )
    assert await database.fetchval("select count(*) from dead_letters") == 1
    assert await database.fetchval("select outcome from inbox") == "rejected"
    assert await database.fetchval("select subject from outbox") == "ett.work.rejected"
