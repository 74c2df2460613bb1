"""Lines of a file of candidates, as people and programs write them: one reader for all that takes such files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from contracts.events import CandidateFound
from contracts.platform import Candidate

__all__ = ["SHAPE", "At", "Line", "check", "check_names", "end_of", "moment", "numbered", "parse_line"]

SHAPE: Final = (
    'give one JSON object a line: {"id", "platform", "title", "description", "channel", "tags", "published_at", '
    '"duration_s", "licence", "observations": [{"at", "views", "likes", "comments", "shares"}]}, missing = null'
)
MOST: Final = 10**18
"""Counts above it are none: sums of many of them still fit, into 64 bits too."""
LONGEST_S: Final = 10**9
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 9000
"""Times beyond these years are mistakes, and those at the edge of the calendar cannot be moved between zones."""
MOST_NAME_BYTES: Final = 1000
"""An index of PostgreSQL holds no key above 2,704 bytes."""

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=MOST)] | Annotated[float, Meta(ge=0, le=MOST)]


class At(Struct, frozen=True):
    """One observation of a line."""

    at: str
    views: Amount | None = None
    likes: Amount | None = None
    comments: Amount | None = None
    shares: Amount | None = None


class Line(Struct, frozen=True):
    """A candidate as people write it."""

    id: str | int
    platform: str | None = None
    title: str | None = None
    description: str | None = None
    channel: str | None = None
    tags: tuple[str | None, ...] | None = None
    published_at: str | None = None
    duration_s: Annotated[float, Meta(ge=0, le=LONGEST_S)] | None = None
    licence: str | None = None
    url: str | None = None
    language: str | None = None
    observations: tuple[At, ...] | None = None


class _Head(Struct, frozen=True):
    type: Any = None


_LINE: Final = msgspec.json.Decoder(Line)
_HEAD: Final = msgspec.json.Decoder(_Head)
_CANDIDATE: Final = msgspec.json.Decoder(Candidate)
_EVENT: Final = msgspec.json.Decoder(CandidateFound)


def numbered(lines: Iterable[str | bytes]) -> Iterator[tuple[int, bytes]]:
    """Number lines from 1, without the empty ones and without a byte order mark at the start."""
    for number, line in enumerate(lines, start=1):
        raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if raw.strip():
            yield number, raw


def parse_line(raw: bytes) -> Line | Candidate | CandidateFound:
    """Read one line: the shape of `SHAPE`, a Candidate, or a `candidate.found` event. Raises: ValueError."""
    try:
        found = _decode(raw)
    except UnicodeError as error:
        raise ValueError(f"it is not UTF-8 ({error})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, Line):
        check(found if isinstance(found, Candidate) else found.candidate)
    return found


def _decode(raw: bytes) -> Line | Candidate | CandidateFound:
    try:
        return _LINE.decode(raw)
    except msgspec.DecodeError:
        if b'"item_id"' not in raw:
            raise
    return _CANDIDATE.decode(raw) if _HEAD.decode(raw).type is None else _EVENT.decode(raw)


def check(candidate: Candidate) -> None:
    """Refuse times and amounts that cannot be reckoned with or stored. Raises: ValueError."""
    for at in (candidate.observed_at, candidate.published_at):
        if at is not None:
            _check_year(at)
    of = candidate.metrics
    if max(of.views or 0, of.likes or 0, of.comments or 0, of.shares or 0) > MOST:
        raise ValueError(f"a count is above {MOST}")
    if (candidate.duration_us or 0) > LONGEST_S * 10**6:
        raise ValueError(f"its length is above {LONGEST_S} s")


def check_names(candidate: Candidate, *, niche: str = "", correlation_id: str = "") -> None:
    """Refuse ids and names that the database cannot hold. Raises: ValueError."""
    for what, name in (
        ("id", candidate.item_id),
        ("platform", candidate.platform),
        ("language", candidate.language),
        ("channel", candidate.creator_id or candidate.creator),
        ("niche", niche),
        ("correlation_id", correlation_id),
    ):
        if not name:
            continue
        if "\0" in name:
            raise ValueError(f"its {what} has a NUL character")
        if len(name) > MOST_NAME_BYTES // 4 and len(name.encode()) > MOST_NAME_BYTES:
            raise ValueError(f"its {what} is longer than {MOST_NAME_BYTES} bytes")


def moment(text: str) -> datetime:
    """Read a time in ISO 8601; without a zone it is UTC, a date is its midnight. Raises: ValueError."""
    at = datetime.fromisoformat(text)
    _check_year(at)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def end_of(text: str) -> datetime:
    """Read a time as `moment` does; a date in any form of ISO 8601 is all of that day. Raises: ValueError."""
    text = text.strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return moment(text)
    at = datetime.combine(day, time.max, UTC)
    _check_year(at)
    return at


def _check_year(at: datetime) -> None:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"the year {at.year} is not between {FIRST_YEAR} and {LAST_YEAR}")
