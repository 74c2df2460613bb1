"""Work out patterns and trends from what was observed, keep them, and read them again."""

from __future__ import annotations

import asyncio
from array import array
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from actors.ranker.forms import Shape
from actors.ranker.patterns import Effect, Origin, Work, effects, growth
from actors.ranker.trends import WINDOWS_DAYS, Span, Trend, trend
from actors.runtime.db import Connection, Record, into, load_queries

__all__ = ["PATTERN_DAYS", "Pattern", "Refreshed", "patterns_of", "refresh", "trends_of"]

Q: Final = load_queries(Path(__file__).with_name("trends.sql"))

PATTERN_DAYS: Final = 28
MOST_WORKS: Final = 20_000
"""Of one niche on one platform, the latest seen; more would tell the same and fill the memory."""
READING_TIMEOUT_S: Final = 600.0
"""For the works of one niche on one platform."""
PREFETCH: Final = 5_000
"""Rows of counts that are on their way at a time."""
_DAY: Final = timedelta(days=1)


class Reads(Protocol):
    """A connection or a pool."""

    async def fetch(self, query: str, *args: Any) -> list[Record]: ...


class Pattern(Effect, frozen=True, kw_only=True):
    """What a form brought in a niche on a platform. origin: works that scans saw, or own posts."""

    niche: str
    platform: str
    origin: Origin
    begins_at: datetime
    ends_at: datetime


class Refreshed(Struct, frozen=True, kw_only=True):
    """What was written."""

    patterns: int
    trends: int


async def refresh(conn: Connection, now: datetime) -> Refreshed:
    """Work everything out anew as of `now`, in one transaction. The same observations give the same rows.

    One niche on one platform is held in memory at a time.
    """
    written = {"patterns": 0, "trends": 0}
    async with conn.transaction():
        await conn.execute(Q["lock_findings"])
        await conn.execute(Q["clear_patterns"])
        await conn.execute(Q["clear_trends"])
        for niche, platform in await conn.fetch(Q["niches"]):
            written["patterns"] += await _put_patterns(conn, niche, platform, "seen", now)
            written["trends"] += await _put_trends(conn, niche, platform, now)
        for niche, platform in await conn.fetch(Q["own_niches"]):
            written["patterns"] += await _put_patterns(conn, niche, platform, "own", now)
    return Refreshed(**written)


async def patterns_of(db: Reads, niche: str | None = None) -> tuple[Pattern, ...]:
    """Return the patterns of a niche, or of all."""
    return tuple(into(Pattern, row) for row in await db.fetch(Q["patterns"], niche))


async def trends_of(db: Reads, niche: str | None = None) -> tuple[Trend, ...]:
    """Return the trends of a niche, or of all."""
    return tuple(into(Trend, row) for row in await db.fetch(Q["trends"], niche))


async def _put_patterns(conn: Connection, niche: str, platform: str, origin: Origin, now: datetime) -> int:
    begins_at = now - PATTERN_DAYS * _DAY
    rows = await conn.fetch(
        Q[f"{origin}_works"], niche, platform, begins_at, now, MOST_WORKS, timeout=READING_TIMEOUT_S
    )
    found = await asyncio.to_thread(lambda: effects([_work(row) for row in rows]))
    await conn.executemany(
        Q["put_pattern"],
        [
            (
                *(niche, platform, origin, one.kind, one.value, one.works, one.of_works),
                *(one.lift, one.low, one.high, one.because, begins_at, now),
            )
            for one in found
        ],
    )
    return len(found)


async def _put_trends(conn: Connection, niche: str, platform: str, now: datetime) -> int:
    spans = {(days, ago): _Counted(now - ago * days * _DAY, days) for days in WINDOWS_DAYS for ago in (0, 1)}
    # Row by row: a niche may have more counts than fit into the memory.
    begins_at = min(span.begins_at for span in spans.values())
    rows = conn.cursor(Q["seen_counts"], niche, platform, begins_at, now, prefetch=PREFETCH, timeout=READING_TIMEOUT_S)
    async for row in rows:
        for span in spans.values():
            span.add(row["item_no"], row["first_seen_at"], row["observed_at"], row["views"])
    for days in WINDOWS_DAYS:
        found = trend(
            niche,
            platform,
            days=days,
            begins_at=now - days * _DAY,
            ends_at=now,
            now=spans[days, 0].span(),
            before=spans[days, 1].span(),
        )
        await conn.execute(Q["put_trend"], *asdict(found).values())
    return len(WINDOWS_DAYS)


class _Counted:
    """A span that is filled with counts, work by work, each in order of time."""

    def __init__(self, ends_at: datetime, days: int) -> None:
        self.begins_at = ends_at - days * _DAY
        self._ends_at = ends_at
        self._works = 0
        self._new_works = 0
        self._growths = array("d")
        self._work: int | None = None
        self._first: tuple[datetime, int] | None = None
        self._last: tuple[datetime, int] | None = None

    def add(self, work: int, first_seen_at: datetime, at: datetime, views: int | None) -> None:
        if not self.begins_at <= at < self._ends_at:
            return
        if work != self._work:
            self._close()
            self._work = work
            self._works += 1
            self._new_works += self.begins_at <= first_seen_at < self._ends_at
        if views is not None:
            self._last = (at, views)
            self._first = self._first or self._last

    def span(self) -> Span:
        self._close()
        return Span(works=self._works, new_works=self._new_works, growths=self._growths)

    def _close(self) -> None:
        if self._first is not None and self._last is not None:
            found = growth(*self._first, *self._last)
            if found is not None:
                self._growths.append(found)
        self._first = self._last = None


def _work(row: Record) -> Work:
    published_at: datetime | None = row["published_at"]
    return Work(
        item_id=row["item_id"],
        shape=_shape(row),
        age_days=None if published_at is None else max((row["first_at"] - published_at) / _DAY, 0.0),
        first_at=row["first_at"],
        first_views=row["first_views"],
        last_at=row["last_at"],
        last_views=row["last_views"],
    )


def _shape(row: Record) -> Shape:
    """Cuts and captions are known where the plan is: of own posts alone."""
    duration_s = None if row["duration_us"] is None else row["duration_us"] / 1_000_000
    cuts = words = None
    if duration_s and (clips := row.get("clips")) is not None:
        cuts = (clips - 1) * 60 / duration_s
        words = sum(len(cue["text"].split()) for cue in row["cues"] or ()) / duration_s
    return Shape(
        title=row["title"] or "",
        spoken=row["spoken"] or "",
        duration_s=duration_s,
        cuts_per_min=cuts,
        caption_words_per_s=words,
    )
