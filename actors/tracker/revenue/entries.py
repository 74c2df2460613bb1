"""Entries of revenue: written once for each row of a source, corrected with history, told in the same transaction.

The id of an entry derives from its source and the row there: the same row again is the same entry. A row that says
something else now is a correction: what it said before is kept in `revenue_changes`, and `revenue.recorded` is given
anew with the same entry id, so that who adds up replaces and never adds twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Self, TypeVar

from msgspec import Struct

from actors.runtime.db import load_queries
from actors.runtime.ledger import Ledger, Tx
from actors.tracker.revenue.money import Money
from contracts.events import RevenueRecorded
from contracts.ids import AccountId, CorrelationId, EventId, ItemId, PostId, derived

__all__ = ["BATCH", "Entry", "Q", "Recorded", "batches", "entry_id", "record", "record_all"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
BATCH: Final = 500
"""Entries in one transaction."""

T = TypeVar("T")


class Entry(Struct, frozen=True, kw_only=True):
    """One row of a source."""

    source: str
    key: str
    """Names the row within the source."""
    amount: Money
    earned_on: date
    item_id: ItemId | None = None
    post_id: PostId | None = None
    platform: str | None = None
    account_id: AccountId | None = None
    link_code: str | None = None
    attributed_by: str = ""
    estimated: bool = False
    note: str = ""

    @property
    def id(self) -> str:
        return entry_id(self.source, self.key)


class Recorded(Struct, kw_only=True):
    """What came of a number of entries."""

    new: int = 0
    corrected: int = 0
    known: int = 0

    def __iadd__(self, other: Recorded) -> Self:
        self.new += other.new
        self.corrected += other.corrected
        self.known += other.known
        return self


def entry_id(source: str, key: str) -> str:
    return derived("revenue", source, key)


def batches(found: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cut into tuples of `size`, the last one shorter."""
    rest = iter(found)
    while taken := tuple(islice(rest, size)):
        yield taken


async def record_all(ledger: Ledger, entries: Iterable[Entry], *, now: datetime) -> Recorded:
    """Write entries in batches, each with its events in one transaction."""
    told = Recorded()
    for batch in batches(entries, BATCH):
        told += await record(ledger, batch, now=now)
    return told


async def record(ledger: Ledger, entries: Sequence[Entry], *, now: datetime) -> Recorded:
    """Write entries and their events in one transaction. Of two with one id in it, the later counts."""
    entries = sorted({entry.id: entry for entry in entries}.values(), key=lambda entry: entry.id)
    seed = f"revenue/{entries[0].id}/{now.isoformat()}" if entries else "revenue"
    async with ledger.unit(seed=seed, correlation_id=CorrelationId(""), causation_id=None) as tx:
        return await write(tx, entries, now=now)


async def write(tx: Tx, entries: Sequence[Entry], *, now: datetime) -> Recorded:
    """Write entries of different ids within an open transaction."""
    if not entries:
        return Recorded()
    columns = _columns(entries)
    await tx.conn.execute(Q["take_turn"], columns[1])
    revisions = {row["entry_id"]: row["revision"] for row in await tx.conn.fetch(Q["put_entries"], *columns, now)}
    new = sum(revision == 1 for revision in revisions.values())
    for entry in entries:
        revision = revisions.get(entry.id)
        if revision is not None:
            tx.emit(_event(entry, revision), name=entry.id)
    return Recorded(new=new, corrected=len(revisions) - new, known=len(entries) - len(revisions))


def _columns(entries: Sequence[Entry]) -> tuple[list[object], ...]:
    return (
        [one.id for one in entries],
        [one.source for one in entries],
        [one.key for one in entries],
        [one.amount.minor for one in entries],
        [one.amount.currency for one in entries],
        [one.earned_on for one in entries],
        [one.item_id for one in entries],
        [one.post_id for one in entries],
        [one.platform for one in entries],
        [one.account_id for one in entries],
        [one.link_code for one in entries],
        [one.attributed_by for one in entries],
        [one.estimated for one in entries],
        [one.note for one in entries],
    )


def _event(entry: Entry, revision: int) -> RevenueRecorded:
    return RevenueRecorded(
        event_id=EventId(derived("revenue.recorded", entry.id, str(revision))),
        entry_id=entry.id,
        source=entry.source,
        item_id=entry.item_id,
        post_id=entry.post_id,
        amount_minor=entry.amount.minor,
        currency=entry.amount.currency,
        earned_on=entry.earned_on.isoformat(),
    )
