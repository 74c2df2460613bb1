"""Take a history of candidates from a file of JSON lines: a stream, in batches, one transaction each."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from itertools import islice
from multiprocessing import get_context
from typing import Final

import msgspec
from msgspec import Struct

from actors.ranker.entries import Entry, Seen, counts_of, prepare
from actors.ranker.ingest import Ingested, store
from actors.ranker.lines import Line, check_names, moment, numbered, parse_line
from actors.ranker.recent import Counts
from actors.ranker.stored import StoredCandidate, StoredMetrics, StoredRights
from actors.runtime.db import Database
from actors.runtime.isolate import die_with_parent
from contracts.errors import Reject
from contracts.events import CandidateFound
from contracts.ids import CorrelationId, ItemId
from contracts.platform import Candidate
from contracts.rights import LICENCES, parse_licence

__all__ = ["BATCH", "BadLine", "Observed", "observe", "read_line"]

BATCH: Final = 10_000
"""Candidates in one transaction."""
AHEAD: Final = 2
"""Batches that wait for the database: neither side then waits for the other's slower ones."""
BAD_SHOWN: Final = 100
_TOGETHER: Final = 1_000
"""Entries that are encoded in one piece."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Entry])


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
        candidate=StoredCandidate(
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
            metrics=StoredMetrics(
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
            rights=StoredRights(
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
    return given if given is None or isinstance(given, int) else round(given)


class Part(Struct):
    """What came of some lines. batches: entries in turn, as `_DECODER` reads them."""

    lines: int
    bad_lines: int
    bad: list[BadLine]
    batches: list[bytes]


async def observe(db: Database, lines: Iterable[bytes], *, batch: int = BATCH) -> Observed:
    """Store every line that can be read; a batch that is stored stays, whatever comes after it.

    The next batches are read and prepared in a process of their own while the database works on the one before; a file
    of no more than one batch needs none.
    Running again on the same file changes nothing.
    Raises: errors of the database; Reject if the process that prepares the lines is ended.
    """
    observed = Observed(bad=[])
    ahead = numbered(lines)
    taken = await asyncio.to_thread(_take, ahead, batch)
    if len(taken) < batch:
        await _store(db, prepare_lines(taken), observed)
        return observed
    worker = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
    try:
        loop = asyncio.get_running_loop()
        following: deque[asyncio.Future[Part]] = deque()
        while taken or following:
            while taken and len(following) <= AHEAD:
                following.append(loop.run_in_executor(worker, prepare_lines, taken))
                taken = await asyncio.to_thread(_take, ahead, batch)
            await _store(db, await following.popleft(), observed)
    except BrokenProcessPool:
        raise Reject(
            "the process that prepares the lines was ended from outside, for want of memory perhaps",
            mend="Run it again: what is stored stays, and nothing is stored twice",
        ) from None
    finally:
        await asyncio.to_thread(worker.shutdown, cancel_futures=True)
    return observed


def _take(ahead: Iterator[tuple[int, bytes]], size: int) -> list[tuple[int, bytes]]:
    return list(islice(ahead, size))


def _begin() -> None:
    """Begin a worker. It makes no cycles, and to look for some among so many objects is a tenth of its work."""
    die_with_parent()
    gc.disable()


def prepare_lines(taken: Sequence[tuple[int, bytes]]) -> Part:
    """Read and prepare a batch of numbered lines."""
    part = Part(lines=len(taken), bad_lines=0, bad=[], batches=[])
    entries = prepare(_read(taken, part))
    for start in range(0, len(entries), _TOGETHER):
        part.batches.append(_ENCODER.encode(entries[start : start + _TOGETHER]))
    return part


def _read(lines: Iterable[tuple[int, bytes]], part: Part) -> Iterator[Seen]:
    for number, raw in lines:
        try:
            one = read_line(raw)
        except ValueError as error:
            part.bad_lines += 1
            if len(part.bad) < BAD_SHOWN:
                part.bad.append(BadLine(number, str(error)))
            continue
        yield one


async def _store(db: Database, part: Part, observed: Observed) -> None:
    observed.lines += part.lines
    observed.bad_lines += part.bad_lines
    observed.bad += part.bad[: BAD_SHOWN - len(observed.bad)]
    entries = [entry for encoded in part.batches for entry in _DECODER.decode(encoded)]
    async with db.transaction() as conn:
        observed.stored += await store(conn, entries)
