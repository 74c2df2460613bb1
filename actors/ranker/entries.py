"""Candidates as they are stored: made ready in memory, without a database. May be done in a thread or a process."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from actors.ranker.identity import Mark, mark_of, number_of
from actors.ranker.recent import PACKED_BYTES, Counts, newest, pack
from actors.ranker.stored import stored
from contracts.codec import without_nul
from contracts.events import Reason
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate

__all__ = ["Batch", "Entry", "Seen", "counts_of", "prepare"]

_JSON: Final = msgspec.json.Encoder()


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    """A candidate with the observations to store of it. picture: of its thumbnail, by `picture.look_of`."""

    candidate: Candidate
    counts: tuple[Counts, ...]
    niche: str = ""
    correlation_id: CorrelationId = CorrelationId("")
    score: float | None = None
    reasons: tuple[Reason, ...] | None = None
    picture: int | None = None


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
    return without_nul(_JSON.encode(value))
