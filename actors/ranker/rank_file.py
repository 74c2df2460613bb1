"""Rank candidates from a file, with no services. Keeps numbers of each line, not its texts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct

from actors.ranker.features import Counts, Title, base_rates, history_of, is_date, sharpened, title_of
from actors.ranker.score import licence_value, relevance, uses_for, words_of
from actors.ranker.signals import (
    ABSENT,
    TYPICAL_PER_VIEW,
    Column,
    Columns,
    Objective,
    parts_of,
    scores_of,
    values_of,
    weights_of,
)
from contracts.errors import Reject
from contracts.events import CandidateFound
from contracts.platform import Candidate
from contracts.rights import RightsRecord, parse_licence

__all__ = ["RankedLine", "Ranking", "SignalValue", "moment", "rank_lines"]

SHAPE: Final = (
    'give one JSON object a line: {"id", "platform", "title", "description", "channel", "tags", "published_at", '
    '"duration_s", "licence", "observations": [{"at", "views", "likes", "comments", "shares"}]}, missing = null'
)
_DAY: Final = timedelta(days=1)
NAN: Final = float("nan")
Amount = Annotated[float, Meta(ge=0)]


class SignalValue(Struct, frozen=True):
    """One signal: its value 0..1 and the most points it can give."""

    signal: str
    value: float
    weight: float


class RankedLine(Struct, frozen=True):
    """One candidate of a file. The score is the sum of value x weight."""

    id: str | int
    score: float
    reasons: tuple[SignalValue, ...]


class Ranking(NamedTuple):
    """Candidates best first, one at a time, and what a person should know of the file."""

    lines: Iterator[RankedLine]
    as_of: datetime | None
    notes: tuple[str, ...]


class _Seen(Struct, frozen=True):
    at: str
    views: Amount | None = None
    likes: Amount | None = None
    comments: Amount | None = None
    shares: Amount | None = None


class _Line(Struct, frozen=True):
    id: str | int
    platform: str | None = None
    title: str | None = None
    description: str | None = None
    channel: str | None = None
    tags: tuple[str | None, ...] | None = None
    published_at: str | None = None
    duration_s: Amount | None = None
    licence: str | None = None
    observations: tuple[_Seen, ...] | None = None


_LINE: Final = msgspec.json.Decoder(_Line)
_CANDIDATE: Final = msgspec.json.Decoder(Candidate)
_EVENT: Final = msgspec.json.Decoder(CandidateFound)


class _Work(NamedTuple):
    """What is kept of a work: ids, numbers, and what its texts came to."""

    id: str | int
    platform: str
    channel: str | None
    published: float
    observations: tuple[Counts, ...]
    title: Title
    relevance: float
    licence: str
    rights: RightsRecord | None


def moment(text: str) -> datetime:
    """Read a time in ISO 8601; without a zone it is UTC. Raises: ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def rank_lines(
    lines: Iterable[str | bytes],
    *,
    niche: str | None = None,
    monetised: bool,
    as_of: datetime | None = None,
    objective: Objective = "growth",
) -> Ranking:
    """Rank candidates, one JSON object a line, best first; equal scores by id.

    A line has the shape of `SHAPE`, or is a Candidate or a `candidate.found` event. The same work on several lines is
    one work observed several times; the texts of the last line count.
    Args: niche: words of the niche; None: those of the events (else relevance is not known).
    as_of: nothing observed after it is looked at, and what was published after it and never observed up to it is left
    out; None: the newest observation of the file.
    Raises: Reject, naming the first line that cannot be read.
    """
    works: dict[tuple[str, str | int], _Work] = {}
    fixed = None if niche is None else words_of(niche)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            work = _read(line, number, fixed)
            key = work.platform, work.id
            if (known := works.get(key)) is not None:
                work = work._replace(observations=known.observations + work.observations)
            works[key] = work
    newest = max((one.at for work in works.values() for one in work.observations), default=NAN)
    until = _days(as_of) if as_of else newest
    limit = float("inf") if np.isnan(until) else until
    kept = [work for work in works.values() if not _unborn(work, limit)]
    notes = []
    if left := len(works) - len(kept):
        notes.append(f"{left} left out: published after the time of ranking, and not observed up to it")
    columns, unseen = _columns(kept, limit, monetised=monetised)
    if unseen:
        notes.append(f"{unseen} have no observation up to the time of ranking: their counts are not known")
    parts = parts_of(columns, objective)
    values = values_of(columns, parts, objective)
    scores = scores_of(values, objective)
    ids = np.array([str(work.id) for work in kept])
    order = np.lexsort((ids, -scores)) if kept else np.array([], dtype=np.intp)
    at = None if np.isnan(until) else datetime.fromtimestamp(until * _DAY.total_seconds(), tz=UTC)
    return Ranking(_lines(kept, scores, values, order.tolist(), objective), at, tuple(notes))


def _lines(
    works: list[_Work], scores: Column, values: Mapping[str, Column], order: list[int], objective: Objective
) -> Iterator[RankedLine]:
    weights = {name: round(weight, 6) for name, weight in weights_of(objective).items()}
    table = np.column_stack([values[name] for name in weights])
    rounded = np.round(np.where(np.isnan(table), ABSENT, table), 6)
    points = np.round(scores, 6).tolist()
    for at in order:
        reasons = tuple(map(SignalValue, weights, rounded[at].tolist(), weights.values()))
        yield RankedLine(works[at].id, points[at], reasons)


def _columns(works: list[_Work], until: float, *, monetised: bool) -> tuple[Columns, int]:
    """Return the columns, and how many works have no observation."""
    numbers = array("d")
    for work in works:
        numbers.extend(history_of(work.observations, until=until))
    rows = np.frombuffer(numbers, dtype=np.float64).reshape(len(works), -1).T if works else np.empty((9, 0))
    at, views, likes, comments, seen, before, before_gap, earlier, earlier_gap = rows
    unseen = np.isnan(at)
    published = np.array([work.published for work in works], dtype=np.float64)
    dated = all(work.rights is None and is_date(one.at) for work in works for one in work.observations)
    now = np.where(unseen, until, at) if np.isfinite(until) else at
    uses, licences = uses_for(monetised=monetised), {}
    moment_now = datetime.now(UTC) if not np.isfinite(until) else datetime.fromtimestamp(until * 86_400, tz=UTC)
    for work in works:
        if work.rights is None and work.licence not in licences:
            licences[work.licence] = licence_value(RightsRecord(licence=work.licence), uses, at=moment_now)[0]
    platforms = [work.platform for work in works]
    channels = [work.channel for work in works]
    titles = np.array([work.title for work in works], dtype=np.float64).reshape(-1, 3).T
    columns = Columns.empty(len(works))._replace(
        views=views,
        likes=likes,
        comments=comments,
        age_days=sharpened(now, published, dated=dated) - published,
        seen_days=seen,
        stale_days=until - at if np.isfinite(until) else at - at,
        before_views=before,
        before_gap_days=before_gap,
        earlier_views=earlier,
        earlier_gap_days=earlier_gap,
        base_likes=base_rates(likes, views, platforms, channels, typical=TYPICAL_PER_VIEW["likes"]),
        base_comments=base_rates(comments, views, platforms, channels, typical=TYPICAL_PER_VIEW["comments"]),
        official=titles[0],
        shouts=titles[1],
        question=titles[2],
        relevance=np.array([work.relevance for work in works]),
        licence=np.array(
            [
                licences[work.licence] if work.rights is None else licence_value(work.rights, uses, at=moment_now)[0]
                for work in works
            ]
        ),
    )
    return columns, int(unseen.sum())


def _unborn(work: _Work, until: float) -> bool:
    return work.published > until and not any(one.at <= until for one in work.observations)


def _read(line: str | bytes, number: int, niche: Mapping[str, str] | None) -> _Work:
    try:
        found = _LINE.decode(line)
    except msgspec.DecodeError as error:
        if (b'"item_id"' if isinstance(line, bytes) else '"item_id"') in line:  # type: ignore[operator]
            return _read_candidate(line, number, niche)
        raise _bad(number, error) from error
    try:
        published = NAN if found.published_at is None else _days_of(found.published_at)
        seen = tuple(
            Counts(_days_of(one.at), _or_nan(one.views), _or_nan(one.likes), _or_nan(one.comments))
            for one in found.observations or ()
        )
    except ValueError as error:
        raise _bad(number, error) from error
    title = found.title or ""
    fitting: float | None = None
    if niche:
        tags = " ".join(tag for tag in found.tags or () if tag)
        fitting = relevance(niche, title=title, tags=tags, description=found.description or "")[0]
    return _Work(
        found.id,
        found.platform or "",
        found.channel or None,
        published,
        seen,
        title_of(title),
        _or_nan(fitting),
        parse_licence(found.licence or ""),
        None,
    )


def _read_candidate(line: str | bytes, number: int, niche: Mapping[str, str] | None) -> _Work:
    try:
        head = msgspec.json.decode(line)
        if isinstance(head, dict) and "type" in head:
            event = _EVENT.decode(line)
            one, wanted = event.candidate, words_of(event.niche) if niche is None else niche
        else:
            one, wanted = _CANDIDATE.decode(line), niche or {}
    except msgspec.DecodeError as error:
        raise _bad(number, error) from error
    counts = one.metrics
    fitting = relevance(wanted, title=one.title, tags=" ".join(one.tags), description=one.description)[0]
    return _Work(
        one.item_id,
        one.platform,
        one.creator_id or one.creator,
        NAN if one.published_at is None else _days(one.published_at),
        (Counts(_days(one.observed_at), _or_nan(counts.views), _or_nan(counts.likes), _or_nan(counts.comments)),),
        title_of(one.title),
        _or_nan(fitting),
        one.rights.licence,
        one.rights,
    )


def _bad(number: int, error: Exception) -> Reject:
    return Reject(f"line {number} is no candidate: {error}", mend=SHAPE)


def _days(at: datetime) -> float:
    return at.timestamp() / 86_400.0


def _days_of(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() / 86_400.0


def _or_nan(value: float | None) -> float:
    return NAN if value is None else float(value)
