"""Take a history of candidates from a file of JSON lines: a stream, in batches, one transaction each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from msgspec import Struct

from actors.ranker.ingest import Batch, Ingested, Seen, counts_of, prepare, store
from actors.ranker.lines import Line, check_names, moment, numbered, parse_line
from actors.ranker.recent import Counts
from actors.runtime.db import Database
from contracts.events import CandidateFound
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import LICENCES, RightsRecord, parse_licence

__all__ = ["BATCH", "BadLine", "Observed", "observe", "read_line"]

BATCH: Final = 20_000
"""Candidates in one transaction."""
BAD_SHOWN: Final = 100


class BadLine(Struct, frozen=True):
    """A line that could not be read, and what is wrong with it."""

    number: int
    because: str


class Observed(Struct, kw_only=True):
    """What came of a file. bad: the first of the lines that could not be read; `bad_lines` counts all."""

    lines: int = 0
    bad_lines: int = 0
    bad: list[BadLine] = []
    stored: Ingested = Ingested()


_PAGES: Final = {
    "youtube": "https://www.youtube.com/watch?v={}",
    "vimeo": "https://vimeo.com/{}",
    "dailymotion": "https://www.dailymotion.com/video/{}",
    "internet_archive": "https://archive.org/details/{}",
}
UNKNOWN: Final = "unknown"
"""The platform of lines that name none."""


def read_line(raw: bytes) -> Seen:
    """Read one line: the form of `rank FILE.jsonl`, a Candidate, or a `candidate.found` event. Raises: ValueError."""
    found = parse_line(raw)
    if isinstance(found, CandidateFound):
        seen = Seen(
            candidate=found.candidate,
            counts=(counts_of(found.candidate),),
            niche=found.niche,
            correlation_id=found.correlation_id,
        )
    elif isinstance(found, Candidate):
        seen = Seen(candidate=found, counts=(counts_of(found),))
    else:
        seen = _seen(found)
    check_names(seen.candidate, niche=seen.niche, correlation_id=seen.correlation_id)
    return seen


def _seen(line: Line) -> Seen:
    counts = tuple(
        Counts(
            at=moment(one.at),
            views=_count(one.views),
            likes=_count(one.likes),
            comments=_count(one.comments),
            shares=_count(one.shares),
        )
        for one in line.observations or ()
    )
    published_at = None if line.published_at is None else moment(line.published_at)
    last = max(counts, key=lambda one: one.at, default=None) or _unobserved(published_at)
    platform = line.platform or UNKNOWN
    before, _, rest = str(line.id).partition(":")
    platform_id = rest if rest and before == platform else str(line.id)
    if not platform_id:
        raise ValueError("its id is empty")
    title, url = line.title or "", line.url or _PAGES.get(platform, "").format(platform_id)
    known = None if line.licence is None else parse_licence(line.licence)
    return Seen(
        candidate=Candidate(
            item_id=ItemId(f"{platform}:{platform_id}"),
            platform=platform,
            platform_id=platform_id,
            url=url,
            title=title,
            description=line.description or "",
            creator=line.channel or None,
            tags=tuple(tag for tag in line.tags or () if tag),
            published_at=published_at,
            duration_us=None if line.duration_s is None else round(line.duration_s * 1e6),
            language=line.language or None,
            metrics=Metrics(
                views=last.views,
                likes=last.likes,
                comments=last.comments,
                shares=last.shares,
                absent={
                    name: "not in the file"
                    for name in ("views", "likes", "comments", "shares")
                    if getattr(last, name) is None
                },
            ),
            observed_at=last.at,
            rights=RightsRecord(
                licence=known if known in LICENCES else "unknown",
                title=title,
                author=line.channel or None,
                source_url=url or None,
                proof=f"the file says: {line.licence}" if line.licence else "",
            ),
        ),
        counts=counts,
        correlation_id=CorrelationId("observe"),
    )


def _unobserved(published_at: datetime | None) -> Counts:
    """Stand for the observation of a work that nobody observed: it was there when it was published."""
    if published_at is None:
        raise ValueError("it has neither an observation nor a time of publication: nothing says when it was there")
    return Counts(at=published_at)


def _count(given: float | None) -> int | None:
    return None if given is None else round(given)


async def observe(db: Database, lines: Iterable[bytes], *, batch: int = BATCH) -> Observed:
    """Store every line that can be read; a batch that is stored stays, whatever comes after it.

    The next batch is read and prepared in a thread while the database works on the one before.
    Raises: errors of the database. Running again on the same file changes nothing.
    """
    observed = Observed(bad=[])
    ahead = numbered(lines)
    ready = await asyncio.to_thread(_next, ahead, batch, observed)
    while ready is not None:
        following = asyncio.create_task(asyncio.to_thread(_next, ahead, batch, observed))
        try:
            async with db.transaction() as conn:
                observed.stored += await store(conn, ready)
        finally:
            ready = await following
    return observed


def _next(ahead: Iterator[tuple[int, bytes]], size: int, observed: Observed) -> Batch | None:
    """Return the next lines as a batch; None: there are none."""
    taken = list(islice(ahead, size))
    return prepare(_read(taken, observed)) if taken else None


def _read(lines: Iterable[tuple[int, bytes]], observed: Observed) -> Iterator[Seen]:
    for number, raw in lines:
        observed.lines += 1
        try:
            one = read_line(raw)
        except ValueError as error:
            observed.bad_lines += 1
            if len(observed.bad) < BAD_SHOWN:
                observed.bad.append(BadLine(number, str(error)))
            continue
        yield one
