"""Store candidates, their observations and the works they belong to: one way for one candidate and for many.

All writers take turns by one advisory lock, so two replicas never make two works of one, and no order of locks can
make them wait for each other. Alone, new rows are copied straight in; only what may be there already is upserted.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
import msgspec
from msgspec import Struct

from actors.ranker.identity import Mark, Verdict, length_tolerance_us, mark_of, number_of, same_work
from actors.ranker.recent import (
    COUNT_COLUMNS,
    PACKED_BYTES,
    RECENT,
    Counts,
    copied,
    listed,
    merged,
    newest,
    pack,
    recents,
)
from actors.ranker.stored import stored
from actors.runtime.db import Connection, Record, load_queries
from contracts.events import Reason
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

__all__ = [
    "Batch",
    "Counts",
    "Entry",
    "Ingested",
    "Seen",
    "adopt",
    "counts_of",
    "ingest",
    "lock_works",
    "prepare",
    "rejoin",
    "store",
    "work_of",
]

Q: Final = load_queries(Path(__file__).with_name("ingest.sql"))

MOST_NAMESAKES: Final = 8
"""Items of one title and length that a new one is compared with: works that share so much are a series."""

FEWEST_COPIED: Final = 100
"""Fewer new items are not worth the statements that a COPY takes around it."""
_YOUNGEST: Final = 2**63 - 1
"""Stands for the number of an item that is not stored yet."""
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_JSON: Final = msgspec.json.Encoder()
_IMPORT: Final = "import"


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    """A candidate with the observations to store of it. picture: of its thumbnail, by `picture.look_of`."""

    candidate: Candidate
    counts: tuple[Counts, ...]
    niche: str = ""
    correlation_id: CorrelationId = CorrelationId("")
    score: float | None = None
    reasons: tuple[Reason, ...] | None = None
    picture: int | None = None


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


class Entry(Struct, kw_only=True, gc=False):
    """One item of a batch: its newest sighting, all its observations, and what the database says of it.

    keys: the item's id, its address where that is another, and the work that it links to; numbers: of those, in that
    order; candidate, rights, reasons: JSON; counts: by `pack`; recent: as `marks` holds it.
    """

    mark: Mark
    title: str
    url: str
    niche: str
    correlation_id: CorrelationId
    score: float | None
    candidate: bytes
    rights: bytes
    reasons: bytes | None
    counts: bytes
    observations: int
    seen_at: datetime | None
    title_key: int | None
    creator_key: int | None
    link: str | None
    keys: tuple[str, ...]
    numbers: tuple[int | None, ...]
    item_no: int = 0
    work_id: int | None = None
    was_known: bool = False
    recent: bytes = b""
    because: str = ""


Batch: TypeAlias = list[Entry]
"""Entries by item id, each item once."""


def counts_of(candidate: Candidate) -> Counts:
    """Return the counts that a candidate came with."""
    of = candidate.metrics
    return Counts(at=candidate.observed_at, views=of.views, likes=of.likes, comments=of.comments, shares=of.shares)


async def ingest(conn: Connection, batch: Iterable[Seen]) -> Ingested:
    """Store a batch inside the caller's transaction. The lock on works is held until that ends."""
    return await store(conn, prepare(batch))


def prepare(batch: Iterable[Seen]) -> Batch:
    """Do all that needs no database. May run in a thread."""
    newest_of: dict[ItemId, Seen] = {}
    several: dict[ItemId, dict[datetime, Counts]] = {}
    for one in batch:
        item_id = one.candidate.item_id
        earlier = newest_of.setdefault(item_id, one)
        if earlier is one:
            continue
        counts = several.setdefault(item_id, {each.at: each for each in earlier.counts})
        more = {each.at: each for each in one.counts}
        if earlier.candidate.observed_at <= one.candidate.observed_at:
            newest_of[item_id] = one
            several[item_id] = counts | more
        else:
            several[item_id] = more | counts
    return [
        _entry(newest_of[item_id], several[item_id].values() if item_id in several else newest_of[item_id].counts)
        for item_id in sorted(newest_of)
    ]


def _entry(one: Seen, counts: Iterable[Counts]) -> Entry:
    candidate = stored(one.candidate)
    mark = mark_of(candidate, picture=one.picture)
    packed = pack(counts)
    keys = mark.own if mark.link is None else (*mark.own, mark.link)
    return Entry(
        mark=mark,
        title=candidate.title.replace("\0", ""),
        url=candidate.url.replace("\0", ""),
        niche=one.niche,
        correlation_id=one.correlation_id,
        score=one.score,
        candidate=_json(candidate),
        rights=_json(candidate.rights),
        reasons=None if one.reasons is None else _json(one.reasons),
        counts=packed,
        observations=len(packed) // PACKED_BYTES,
        seen_at=newest(packed),
        title_key=number_of(mark.title),
        creator_key=number_of(mark.creator),
        link=mark.link,
        keys=keys,
        numbers=tuple([number_of(key) for key in keys]),
    )


def _json(value: object) -> bytes:
    """Return JSON without NUL, which PostgreSQL refuses."""
    text = _JSON.encode(value)
    return _NUL.sub(rb"\1", text) if b"\\u0000" in text else text


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
    joins = _Joins()
    known_keys = await _join_by_key(conn, [*fresh, *linking], works, joins)
    await _join_by_title(conn, fresh, joins)
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
    joins = _Joins()
    await _join_by_title(conn, [entry for entry in batch if entry.work_id is not None], joins, merging=True)
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
        joins, entry.item_no = _Joins(), entry.item_no or _YOUNGEST
        await _join_by_key(conn, [entry], works, joins)
        await _join_by_title(conn, [entry], joins)
        root = joins.root(_node(entry))
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


class _Joins:
    """Works and new items, joined step by step (union-find). A node is a work id, or a new item's number negated."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}
        self.joined = 0

    def root(self, node: int) -> int:
        above = self._above
        while (higher := above.get(node, node)) != node:
            above[node] = node = above.get(higher, higher)
        return node

    def join(self, a: int, b: int) -> bool:
        """Join two nodes; return whether they were apart. Works lie above new items, old above young."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return False
        top, below = sorted((a, b), key=lambda node: (node < 0, abs(node)))
        self._above[below] = top
        return True

    def settle(self, fresh: Sequence[Entry], linking: Sequence[Entry]) -> tuple[int, list[tuple[int, int]]]:
        """Give every item its work. Returns: how many works are new, and (lost, kept) of merged ones."""
        founded: set[int] = set()
        for entry in fresh:
            root = self.root(-entry.item_no)
            entry.work_id = abs(root)
            if root < 0:
                founded.add(entry.work_id)
        for entry in linking:
            entry.work_id = self.root(_node(entry))
        return len(founded), self.lost()

    def lost(self) -> list[tuple[int, int]]:
        """Return (lost, kept) of works that became one."""
        pairs = ((node, self.root(node)) for node in self._above if node > 0)
        return sorted(pair for pair in pairs if pair[0] != pair[1])


def _node(entry: Entry) -> int:
    return -entry.item_no if entry.work_id is None else entry.work_id


async def _join_by_key(
    conn: Connection, entries: Sequence[Entry], works: dict[str, int | None], joins: _Joins
) -> set[str]:
    """Join what shares an id or address; return those of them that lead to a work already."""
    asked = {
        key: number
        for entry in entries
        for key, number in zip(entry.keys, entry.numbers, strict=False)
        if number is not None
    }
    by_number = {row["key"]: row["work_id"] for row in await conn.fetch(Q["keys"], list(asked.values()))}
    held: dict[str, int] = {key: work for key, work in works.items() if work is not None}
    for key, number in asked.items() if by_number else ():
        if number in by_number:
            joins.join(held.setdefault(key, by_number[number]), by_number[number])
    known = set(held)
    for entry in entries:
        node = _node(entry)
        for at, key in enumerate(entry.keys):
            if joins.join(held.setdefault(key, node), node):
                entry.because = f"it {'is' if at < len(entry.mark.own) else 'links to'} {key}"
    return known


async def _join_by_title(conn: Connection, fresh: Sequence[Entry], joins: _Joins, *, merging: bool = False) -> None:
    titled = [entry for entry in fresh if entry.title_key is not None and entry.mark.duration_us is not None]
    bounds = [_length_bounds(entry.mark) for entry in titled]
    rows = await conn.fetch(
        Q["namesakes"],
        list(range(len(titled))),
        [entry.title_key for entry in titled],
        [least for least, _ in bounds],
        [most for _, most in bounds],
        MOST_NAMESAKES,
    )
    others: dict[ItemId, list[tuple[int, Verdict]]] = {}
    for row in rows:
        mark = titled[row["at"]].mark
        verdict = same_work(mark, _stored(row, mark))
        if merging and verdict.same and row["picture"] is None:
            continue
        others.setdefault(mark.item_id, []).append((row["work_id"], verdict))
    for group in _namesakes(titled):
        for at, entry in enumerate(group):
            told = others.get(entry.mark.item_id, [])
            told += [(_node(o), same_work(entry.mark, o.mark)) for o in group[max(at - MOST_NAMESAKES, 0) : at]]
            _join_one(joins, entry, told, merging=merging)


def _join_one(joins: _Joins, entry: Entry, others: Sequence[tuple[int, Verdict]], *, merging: bool) -> None:
    """Join an item to the first work of its title that fits, and to none that holds another part of a series.

    Two works that are there already are not merged for a title's sake, but by a picture that was looked at (merging).
    """
    against = {joins.root(node) for node, verdict in others if verdict.against}
    for node, verdict in others:
        root, own = joins.root(node), joins.root(_node(entry))
        if verdict.same and root not in against and (merging or not (root > 0 and own > 0)) and joins.join(root, own):
            entry.because = verdict.because
            return


def _namesakes(titled: Sequence[Entry]) -> Iterator[list[Entry]]:
    groups: dict[int | None, list[Entry]] = {}
    for entry in titled:
        groups.setdefault(entry.title_key, []).append(entry)
    for group in groups.values():
        yield sorted(group, key=lambda entry: entry.mark.duration_us or 0)


def _length_bounds(mark: Mark) -> tuple[int, int]:
    """Return lengths between which all that can agree lie; `same_work` decides."""
    length = mark.duration_us or 0
    slack = length_tolerance_us(length)
    return length - slack, length + slack


def _stored(row: Record, like: Mark) -> Mark:
    """Return the mark of a stored item of the same title; of its creator only whether it is the same one is known."""
    creator_key = row["creator_key"]
    same = creator_key is not None and creator_key == number_of(like.creator)
    return Mark(
        item_id=row["item_id"],
        platform=row["platform"],
        own=(row["item_id"],),
        title=like.title,
        telling=like.telling,
        duration_us=row["duration_us"],
        creator=like.creator if same else "" if creator_key is None else "another",
        language=row["language"],
        picture=row["picture"],
        published_at=row["published_at"],
    )


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
