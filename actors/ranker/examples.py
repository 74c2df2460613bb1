"""What can be learned from: a work as it stood on a day, and what became of it by its next sighting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.ranker.features import LEAST_GAP_DAYS, Counts, base_rates, history_of, is_date, sharpened, title_of
from actors.ranker.signals import TYPICAL_PER_VIEW, Column, Columns

__all__ = ["LEAST_A_DAY", "Examples", "Past", "days_of", "examples_of", "only"]

LEAST_A_DAY: Final = 10
"""Candidates without which a day says nothing of an order."""


class Past(NamedTuple):
    """A work and everything that was observed of it, oldest first. published: days since 1970, NaN: not known."""

    id: str
    platform: str
    channel: str | None
    title: str
    published: float
    observations: tuple[Counts, ...]


class Examples(NamedTuple):
    """One row per work and day on which it was seen and after which it was seen again.

    growth: log views per day to the next sighting; further: further views per day to it.
    """

    columns: Columns
    day: NDArray[np.int64]
    work: NDArray[np.int64]
    until: Column
    growth: Column
    further: Column


def examples_of(works: Sequence[Past]) -> Examples:
    """Look back at each day with nothing but the observations up to it. Base rates are those of the day's works."""
    rows, facts = [], []
    for number, work in enumerate(works):
        titled = title_of(work.title)
        for past, now, after in _sightings(work.observations):
            gap = after.at - now.at
            growth = float(np.log(max(after.views, 1.0) / max(now.views, 1.0))) / gap
            facts.append((int(now.at), number, after.at, growth, (after.views - now.views) / gap))
            rows.append((*history_of(past), work.published, *titled))
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 13).T
    fact = np.array(facts, dtype=np.float64).reshape(len(facts), 5).T
    day, number = fact[0].astype(np.int64), fact[1].astype(np.int64)
    at, views, likes, comments, seen, before, before_gap, earlier, earlier_gap, published, *titles = table
    dated = all(is_date(one.at) for work in works for one in work.observations)
    age, bases = np.full(len(at), np.nan), [np.full(len(at), np.nan) for _ in range(2)]
    for rows_of in days_of(day, least=1):
        age[rows_of] = sharpened(at[rows_of], published[rows_of], dated=dated) - published[rows_of]
        there = [works[one] for one in number[rows_of].tolist()]
        platforms, channels = [one.platform for one in there], [one.channel for one in there]
        for base, counts, name in zip(bases, (likes, comments), ("likes", "comments"), strict=True):
            typical = TYPICAL_PER_VIEW[name]
            base[rows_of] = base_rates(counts[rows_of], views[rows_of], platforms, channels, typical=typical)
    columns = Columns.empty(len(at))._replace(
        views=views,
        likes=likes,
        comments=comments,
        age_days=age,
        seen_days=seen,
        stale_days=np.zeros(len(at)),
        before_views=before,
        before_gap_days=before_gap,
        earlier_views=earlier,
        earlier_gap_days=earlier_gap,
        base_likes=bases[0],
        base_comments=bases[1],
        official=titles[0],
        shouts=titles[1],
        question=titles[2],
    )
    return Examples(columns, day, number, fact[2], fact[3], fact[4])


def only(examples: Examples, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Examples:
    """Return some of the rows."""
    columns = Columns(*(column[rows] for column in examples.columns))
    day, work = examples.day[rows], examples.work[rows]
    return Examples(columns, day, work, examples.until[rows], examples.growth[rows], examples.further[rows])


def days_of(day: NDArray[np.int64], *, least: int = LEAST_A_DAY) -> Iterator[NDArray[np.intp]]:
    """Give the rows of each day that has enough of them, days in order."""
    order = np.argsort(day, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(day[order])) + 1):
        if len(rows) >= max(least, 1):
            yield rows


def _sightings(observations: Iterable[Counts]) -> Iterator[tuple[list[Counts], Counts, Counts]]:
    """Give the newest sighting of each day with those up to it and the next one, 6 hours later or more."""
    known = [one for one in observations if not isnan(one.views)]
    for at, now in enumerate(known):
        following = known[at + 1] if at + 1 < len(known) else None
        if following is not None and int(following.at) == int(now.at):
            continue
        after = next((one for one in known[at + 1 :] if one.at - now.at >= LEAST_GAP_DAYS), None)
        if after is not None:
            yield known[: at + 1], now, after
