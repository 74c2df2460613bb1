"""Rank candidates from a file, with no services. Keeps numbers of each line, not its texts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import inf, isinf
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from actors.ranker.features import Counts, Title, base_rates, history_of, is_date, sharpened, title_of
from actors.ranker.lines import SHAPE, Line, moment, numbered, parse_line
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

__all__ = ["RankedLine", "Ranking", "SignalValue", "rank_lines"]

_DAY: Final = timedelta(days=1)
NAN: Final = float("nan")


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
    one work observed several times; the texts of the line that was observed last (up to `as_of`) count.
    Args: niche: words of the niche; None: those of the events (else relevance is not known).
    as_of: nothing observed after it is looked at, and what was published after it and never observed up to it is left
    out; None: the newest observation of the file.
    Raises: Reject, naming the first line that cannot be read.
    """
    works: dict[tuple[str, str | int], _Work] = {}
    fixed = None if niche is None else words_of(niche)
    limit = inf if as_of is None else _days(as_of)
    for number, raw in numbered(lines):
        work = _read(raw, number, fixed)
        key = work.platform, work.id
        works[key] = work if (known := works.get(key)) is None else _merged(known, work, limit)
    if as_of is None:
        newest = max((one.at for work in works.values() for one in work.observations), default=limit)
        limit = newest
        as_of = None if isinf(newest) else datetime.fromtimestamp(newest * _DAY.total_seconds(), tz=UTC)
    kept = [work for work in works.values() if not _unborn(work, limit)]
    notes = []
    if left := len(works) - len(kept):
        notes.append(f"{left} left out: published after the time of ranking, and not observed up to it")
    columns, unseen = _columns(kept, limit, as_of or datetime.now(UTC), monetised=monetised)
    if unseen:
        notes.append(f"{unseen} have no observation up to the time of ranking: their counts are not known")
    parts = parts_of(columns, objective)
    values = values_of(columns, parts, objective)
    scores = scores_of(values, objective)
    return Ranking(_lines(kept, scores, values, _order(kept, scores), objective), as_of, tuple(notes))


def _order(works: list[_Work], scores: Column) -> list[int]:
    """Return places, the best score first, equal scores by id."""
    keys = [(str(work.id), isinstance(work.id, str), work.platform) for work in works]
    places = np.array(sorted(range(len(works)), key=keys.__getitem__), dtype=np.intp)
    best: list[int] = places[np.argsort(-scores[places], kind="stable")].tolist()
    return best


def _merged(known: _Work, work: _Work, until: float) -> _Work:
    """Put the observations of two lines together; of the texts, those of the later observation stay."""
    last = work if _last(work, until) >= _last(known, until) else known
    return last._replace(observations=known.observations + work.observations)


def _last(work: _Work, until: float) -> float:
    return max((one.at for one in work.observations if one.at <= until), default=-inf)


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


def _columns(works: list[_Work], until: float, as_of: datetime, *, monetised: bool) -> tuple[Columns, int]:
    """Return the columns, and how many works have no observation up to `until`."""
    numbers = array("d")
    for work in works:
        numbers.extend(history_of(work.observations, until=until))
    rows = np.frombuffer(numbers, dtype=np.float64).reshape(len(works), -1).T if works else np.empty((9, 0))
    at, views, likes, comments, seen, before, before_gap, earlier, earlier_gap = rows
    unseen = np.isnan(at)
    published = np.array([work.published for work in works], dtype=np.float64)
    dated = all(
        work.rights is None and is_date(one.at) for work in works for one in work.observations if one.at <= until
    )
    now = np.where(unseen, until, at) if np.isfinite(until) else at
    uses, licences = uses_for(monetised=monetised), {}
    for work in works:
        if work.rights is None and work.licence not in licences:
            licences[work.licence] = licence_value(RightsRecord(licence=work.licence), uses, at=as_of)[0]
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
                licences[work.licence] if work.rights is None else licence_value(work.rights, uses, at=as_of)[0]
                for work in works
            ]
        ),
    )
    return columns, int(unseen.sum())


def _unborn(work: _Work, until: float) -> bool:
    return work.published > until and not any(one.at <= until for one in work.observations)


def _read(raw: bytes, number: int, niche: Mapping[str, str] | None) -> _Work:
    try:
        found = parse_line(raw)
        if isinstance(found, Line):
            published = NAN if found.published_at is None else _days(moment(found.published_at))
            seen = tuple(
                Counts(_days(moment(one.at)), _or_nan(one.views), _or_nan(one.likes), _or_nan(one.comments))
                for one in found.observations or ()
            )
    except ValueError as error:
        raise Reject(f"line {number} is no candidate: {error}", mend=SHAPE) from error
    if isinstance(found, Candidate):
        return _work_of(found, niche or {})
    if isinstance(found, CandidateFound):
        return _work_of(found.candidate, words_of(found.niche) if niche is None else niche)
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


def _work_of(one: Candidate, niche: Mapping[str, str]) -> _Work:
    counts = one.metrics
    fitting = relevance(niche, title=one.title, tags=" ".join(one.tags), description=one.description)[0]
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


def _days(at: datetime) -> float:
    return at.timestamp() / _DAY.total_seconds()


def _or_nan(value: float | None) -> float:
    return NAN if value is None else float(value)
