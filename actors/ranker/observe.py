"""Take a history of candidates from a file of JSON lines: a stream, in batches, one transaction each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from actors.ranker.ingest import Batch, Ingested, Seen, counts_of, prepare, store
from actors.ranker.recent import Counts
from actors.runtime.db import Database
from contracts.clock import Utc
from contracts.events import CandidateFound
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import LICENCES, RightsRecord, parse_licence

__all__ = ["BATCH", "BadLine", "Observed", "observe", "read_line"]

BATCH: Final = 20_000
"""Candidates in one transaction."""
BAD_SHOWN: Final = 100
MOST: Final = 2**63 - 1

Count = Annotated[int, Meta(ge=0, le=MOST)] | None


class At(Struct, frozen=True, kw_only=True):
    """One observation of a line."""

    at: Utc
    views: Count = None
    likes: Count = None
    comments: Count = None
    shares: Count = None


class Line(Struct, frozen=True, kw_only=True):
    """A candidate as people write it."""

    id: Annotated[str, Meta(min_length=1)]
    platform: Annotated[str, Meta(min_length=1)]
    title: str = ""
    description: str | None = None
    channel: str | None = None
    tags: tuple[str, ...] | None = None
    published_at: Utc | None = None
    duration_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    licence: str | None = None
    url: str | None = None
    language: str | None = None
    observations: Annotated[tuple[At, ...], Meta(min_length=1)]


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


_LINE: Final = msgspec.json.Decoder(Line)
_EVENT: Final = msgspec.json.Decoder(CandidateFound)
_CANDIDATE: Final = msgspec.json.Decoder(Candidate)
_PAGES: Final = {
    "youtube": "https://www.youtube.com/watch?v={}",
    "vimeo": "https://vimeo.com/{}",
    "dailymotion": "https://www.dailymotion.com/video/{}",
    "internet_archive": "https://archive.org/details/{}",
}
_IS_EVENT: Final = re.compile(rb'"type"\s*:\s*"candidate\.found"')
_IS_CANDIDATE: Final = re.compile(rb'"item_id"\s*:')


def read_line(line: bytes) -> Seen:
    """Read one line: the form of `rank FILE.jsonl`, a Candidate, or a `candidate.found` event.

    Raises: msgspec.DecodeError, ValueError.
    """
    if _IS_EVENT.search(line):
        event = _EVENT.decode(line)
        return Seen(
            candidate=event.candidate,
            counts=(_bounded(counts_of(event.candidate)),),
            niche=event.niche,
            correlation_id=event.correlation_id,
        )
    if _IS_CANDIDATE.search(line):
        candidate = _CANDIDATE.decode(line)
        return Seen(candidate=candidate, counts=(_bounded(counts_of(candidate)),))
    return _seen(_LINE.decode(line))


def _bounded(counts: Counts) -> Counts:
    if max(counts.views or 0, counts.likes or 0, counts.comments or 0, counts.shares or 0) > MOST:
        raise ValueError(f"a count is above {MOST}")
    return counts


def _seen(line: Line) -> Seen:
    last = max(line.observations, key=lambda one: one.at)
    platform, _, rest = line.id.partition(":")
    platform_id = rest if rest and platform == line.platform else line.id
    title, url = line.title, line.url or _PAGES.get(line.platform, "").format(platform_id)
    known = None if line.licence is None else parse_licence(line.licence)
    return Seen(
        candidate=Candidate(
            item_id=ItemId(f"{line.platform}:{platform_id}"),
            platform=line.platform,
            platform_id=platform_id,
            url=url,
            title=title,
            description=line.description or "",
            creator=line.channel,
            tags=line.tags or (),
            published_at=line.published_at,
            duration_us=None if line.duration_s is None else round(line.duration_s * 1e6),
            language=line.language,
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
                author=line.channel,
                source_url=url or None,
                proof=f"the file says: {line.licence}" if line.licence else "",
            ),
        ),
        counts=tuple(
            Counts(at=one.at, views=one.views, likes=one.likes, comments=one.comments, shares=one.shares)
            for one in line.observations
        ),
        correlation_id=CorrelationId("observe"),
    )


async def observe(db: Database, lines: Iterable[bytes], *, batch: int = BATCH) -> Observed:
    """Store every line that can be read; a batch that is stored stays, whatever comes after it.

    The next batch is read and prepared in a thread while the database works on the one before.
    Raises: errors of the database. Running again on the same file changes nothing.
    """
    observed = Observed(bad=[])
    numbered = enumerate(lines, start=1)
    ready = await asyncio.to_thread(_next, numbered, batch, observed)
    while ready is not None:
        following = asyncio.create_task(asyncio.to_thread(_next, numbered, batch, observed))
        try:
            async with db.transaction() as conn:
                observed.stored += await store(conn, ready)
        finally:
            ready = await following
    return observed


def _next(numbered: Iterator[tuple[int, bytes]], size: int, observed: Observed) -> Batch | None:
    """Return the next lines as a batch; None: there are none."""
    taken = list(islice(numbered, size))
    return prepare(_read(taken, observed)) if taken else None


def _read(lines: Iterable[tuple[int, bytes]], observed: Observed) -> Iterator[Seen]:
    for number, line in lines:
        if not line.strip():
            continue
        observed.lines += 1
        try:
            one = read_line(line)
        except (msgspec.DecodeError, ValueError) as error:
            observed.bad_lines += 1
            if len(observed.bad) < BAD_SHOWN:
                observed.bad.append(BadLine(number, str(error)))
            continue
        yield one
