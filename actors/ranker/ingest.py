"""Store candidates, their observations and the works they belong to: one way for one candidate and for many.

All writers take turns by one advisory lock, so two replicas never make two works of one, and no order of locks can
make them wait for each other. Alone, new rows are copied straight in; only what may be there already is upserted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from msgspec import Struct

from actors.ranker.entries import Batch, Entry, Seen, prepare
from actors.ranker.identity import number_of
from actors.ranker.joins import Joins, join_by_key, join_by_title, node_of
from actors.ranker.recent import (
    COUNT_COLUMNS,
    RECENT,
    Counts,
    copied,
    listed,
    merged,
    newest,
    pack,
    recents,
)
from actors.runtime.db import Connection, Record, load_queries
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

__all__ = ["Ingested", "adopt", "ingest", "lock_works", "rejoin", "store", "work_of"]

Q: Final = load_queries(Path(__file__).with_name("ingest.sql"))

FEWEST_COPIED: Final = 100
"""Fewer new items are not worth the statements that a COPY takes around it."""
_YOUNGEST: Final = 2**63 - 1
"""Stands for the number of an item that is not stored yet."""
_IMPORT: Final = "import"


class Ingested(Struct, frozen=True, kw_only=True):
    """What became of a batch. joined: items that were put to a work that another item founded."""

    items: int = 0
    new_items: int = 0
    new_works: int = 0
    joined: int = 0
    merged_works: int = 0
    observations: int = 0

    def __add__(self, other: Ingested) -> Ingested:
        names = self.__struct_fields__
        return Ingested(**{name: getattr(self, name) + getattr(other, name) for name in names})


async def ingest(conn: Connection, batch: Iterable[Seen]) -> Ingested:
    """Store a batch inside the caller's transaction. The lock on works is held until that ends."""
    return await store(conn, prepare(batch))


async def lock_works(conn: Connection) -> None:
    """Be alone with the works until the transaction ends."""
    await conn.execute(Q["lock_works"])


async def store(conn: Connection, batch: Batch) -> Ingested:
    """Store a prepared batch inside the caller's transaction."""
    if not batch:
        return Ingested()
    await lock_works(conn)
    works = await _put_items(conn, batch)
    fresh = [entry for entry in batch if entry.work_id is None]
    linking = [entry for entry in batch if entry.work_id is not None and entry.link is not None]
    joins = Joins()
    known_keys = await join_by_key(conn, [*fresh, *linking], works, joins)
    await join_by_title(conn, fresh, joins)
    founded, lost = joins.settle(fresh, linking)
    if lost:
        await conn.execute(Q["move_marks"], [old for old, _ in lost], [kept for _, kept in lost])
    await _put_marks(conn, fresh)
    for entry in linking:
        await conn.execute(Q["put_link"], entry.item_no, number_of(entry.link or ""), entry.because)
    await _put_keys(conn, [*fresh, *linking], known_keys)
    await _put_counts(conn, batch)
    return Ingested(
        items=len(batch),
        new_items=sum(not entry.was_known for entry in batch),
        new_works=founded,
        joined=len(fresh) - founded,
        merged_works=len(lost),
        observations=sum(entry.observations for entry in batch),
    )


async def rejoin(conn: Connection, batch: Batch) -> int:
    """Compare stored items with their namesakes anew, now that a picture is known; return how many works were merged.

    Unlike at ingest, two works that are there already become one: the picture is what they waited for.
    """
    await lock_works(conn)
    await _look_up(conn, {entry.mark.item_id: entry for entry in batch}, [entry.mark.item_id for entry in batch])
    joins = Joins()
    await join_by_title(conn, [entry for entry in batch if entry.work_id is not None], joins, merging=True)
    lost = joins.lost()
    if lost:
        await conn.execute(Q["move_marks"], [old for old, _ in lost], [kept for _, kept in lost])
    for entry in batch:
        if entry.because:
            await conn.execute(Q["put_because"], entry.item_no, entry.because)
    return len(lost)


async def work_of(conn: Connection, candidate: Candidate) -> int | None:
    """Return the work that a candidate belongs to, or would be put to if it was stored now; None: one of its own."""
    (entry,) = prepare([Seen(candidate=candidate, counts=())])
    works = await _look_up(conn, {entry.mark.item_id: entry}, entry.keys)
    if entry.work_id is None:
        joins, entry.item_no = Joins(), entry.item_no or _YOUNGEST
        await join_by_key(conn, [entry], works, joins)
        await join_by_title(conn, [entry], joins)
        root = joins.root(node_of(entry))
        entry.work_id = root if root > 0 else None
    return entry.work_id


async def _put_items(conn: Connection, batch: Batch) -> dict[str, int | None]:
    """Store the items; return the works of those and of all items that they name, None where there is none yet."""
    by_id: dict[str, Entry] = {entry.mark.item_id: entry for entry in batch}
    named = {key for entry in batch if len(entry.keys) > 1 for key in entry.keys[1:]}
    works = await _look_up(conn, by_id, [*by_id, *(named - by_id.keys())])
    new = [entry for entry in batch if not entry.was_known]
    if len(new) >= FEWEST_COPIED and await _copy_items(conn, new):
        await _upsert_items(conn, [entry for entry in batch if entry.was_known])
    else:
        await _upsert_items(conn, batch)
    # After the lookup another stage may have decided on an item that was not there before.
    if missed := [item_id for item_id, entry in by_id.items() if not entry.item_no]:
        await _look_up(conn, by_id, missed)
    return works


async def _copy_items(conn: Connection, new: Sequence[Entry]) -> bool:
    """Store items that were not there; return whether they still were not, else nothing is done."""
    numbers = await conn.fetchval(Q["take_numbers"], len(new))
    rows = [
        (
            number,
            entry.mark.item_id,
            entry.correlation_id,
            "scan",
            entry.mark.platform,
            entry.title,
            entry.url,
            entry.niche,
            msgspec.Raw(entry.candidate),
            msgspec.Raw(entry.rights),
            entry.score,
            None if entry.reasons is None else msgspec.Raw(entry.reasons),
            "found",
        )
        for number, entry in zip(numbers, new, strict=True)
    ]
    columns = (
        *("item_no", "item_id", "correlation_id", "origin", "platform", "title", "url", "niche"),
        *("candidate", "rights", "score", "reasons", "decision"),
    )
    try:
        async with conn.transaction():
            await conn.copy_records_to_table("items", records=rows, columns=columns)
    except asyncpg.UniqueViolationError:
        return False
    for number, entry in zip(numbers, new, strict=True):
        entry.item_no = number
    return True


async def _upsert_items(conn: Connection, entries: Sequence[Entry]) -> None:
    if not entries:
        return
    by_id = {entry.mark.item_id: entry for entry in entries}
    rows = await conn.fetch(
        Q["put_items"],
        list(by_id),
        [entry.correlation_id for entry in entries],
        [entry.niche for entry in entries],
        [entry.score for entry in entries],
        [entry.candidate.decode() for entry in entries],
        [None if entry.reasons is None else entry.reasons.decode() for entry in entries],
    )
    for row in rows:
        by_id[row["item_id"]].item_no = row["item_no"]


async def _look_up(conn: Connection, by_id: dict[str, Entry], item_ids: Sequence[str]) -> dict[str, int | None]:
    works: dict[str, int | None] = {}
    for row in await conn.fetch(Q["known"], item_ids):
        works[row["item_id"]] = row["work_id"]
        if (entry := by_id.get(row["item_id"])) is not None:
            entry.was_known, entry.item_no, entry.work_id = True, row["item_no"], row["work_id"]
            entry.recent = row["recent"] or b""
            # An item that links elsewhere later on must not pull that work to the first one.
            if row["link"] is not None:
                entry.link, entry.keys = None, entry.mark.own
    return works


async def _put_marks(conn: Connection, fresh: Sequence[Entry]) -> None:
    """Store the marks of items that have none, with what was observed of them before there were marks."""
    for entry, recent in zip(fresh, recents([entry.counts for entry in fresh]), strict=True):
        entry.recent = recent
    if known := {entry.item_no: entry for entry in fresh if entry.was_known}:
        earlier: dict[int, list[Counts]] = {}
        for row in await conn.fetch(Q["last_counts"], list(known), RECENT):
            at, views, likes, comments, shares = row[1:]
            one = Counts(at=at, views=views, likes=likes, comments=comments, shares=shares)
            earlier.setdefault(row[0], []).append(one)
        for item_no, before in zip(earlier, recents([pack(counts) for counts in earlier.values()]), strict=True):
            entry = known[item_no]
            entry.recent = merged(before, entry.recent)
            entry.seen_at = newest(entry.recent)
    rows = [
        (
            entry.item_no,
            entry.mark.item_id,
            entry.work_id,
            entry.mark.platform,
            entry.mark.published_at,
            entry.seen_at,
            entry.mark.duration_us,
            entry.title_key,
            entry.creator_key,
            entry.mark.language,
            entry.mark.picture,
            None if entry.link is None else entry.numbers[-1],
            entry.because,
            entry.recent,
        )
        for entry in sorted(fresh, key=attrgetter("item_no"))
    ]
    columns = (
        *("item_no", "item_id", "work_id", "platform", "published_at", "seen_at", "duration_us"),
        *("title_key", "creator_key", "language", "picture", "link", "because", "recent"),
    )
    if rows:
        await conn.copy_records_to_table("marks", records=rows, columns=columns)


async def _put_keys(conn: Connection, entries: Sequence[Entry], known: set[str]) -> None:
    """Store what leads to these works beside the ids of items, which lead there by themselves."""
    ids = {entry.mark.item_id for entry in entries}
    keys = {
        number: entry.item_no
        for entry in entries
        if len(entry.keys) > 1
        for key, number in zip(entry.keys[1:], entry.numbers[1:], strict=False)
        if number is not None and key not in known and key not in ids
    }
    if keys:
        await conn.copy_records_to_table("work_keys", records=sorted(keys.items()), columns=("key", "item_no"))


async def _put_counts(conn: Connection, batch: Batch) -> None:
    in_order = sorted(batch, key=attrgetter("item_no"))
    if new := [(entry.item_no, entry.counts) for entry in in_order if not entry.was_known]:
        await conn.copy_to_table("counts", source=_chunks(copied(new)), columns=COUNT_COLUMNS, format="binary")
    known = [entry for entry in in_order if entry.was_known and entry.counts]
    if not known:
        return
    await conn.execute(Q["put_counts"], *listed([(entry.item_no, entry.counts) for entry in known]))
    told = zip(known, recents([entry.counts for entry in known]), strict=True)
    after = [(entry, merged(entry.recent, recent)) for entry, recent in told]
    touched = [(entry, recent) for entry, recent in after if recent != entry.recent]
    await conn.execute(
        Q["touch_marks"],
        [entry.item_no for entry, _ in touched],
        [newest(recent) for _, recent in touched],
        [recent for _, recent in touched],
    )


async def _chunks(rows: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in rows:
        yield chunk


async def adopt(conn: Connection, *, now: datetime) -> None:
    """Give what was decided elsewhere, such as imports, its works, so that none is made twice."""
    rows = await conn.fetch(Q["unmarked"])
    await ingest(conn, [Seen(candidate=_decided(row, now), counts=()) for row in rows])


def _decided(row: Record, now: datetime) -> Candidate:
    if row["candidate"] is not None:
        return msgspec.convert(row["candidate"], Candidate)
    return Candidate(
        item_id=row["item_id"],
        platform=_IMPORT,
        platform_id=row["item_id"],
        url=row["url"] or "",
        title=row["title"],
        metrics=Metrics(),
        observed_at=now,
        rights=RightsRecord(licence="unknown"),
    )
