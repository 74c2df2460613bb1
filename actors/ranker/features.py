"""From what was observed of works to columns: which observations count, base rates, and what a title shows."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from math import isnan
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.ranker.signals import TYPICAL_PER_VIEW, Column, Columns, Parts

__all__ = [
    "INPUTS",
    "Counts",
    "History",
    "Title",
    "base_rates",
    "history_of",
    "inputs_of",
    "is_date",
    "sharpened",
    "title_of",
]

LEAST_GAP_DAYS: Final = 0.25
LONGEST_GAP_DAYS: Final = 30.0
"""Between two observations of which a velocity is measured."""
DAY: Final = 1.0
PLATFORM_PRIOR_VIEWS: Final = 1e5
CHANNEL_PRIOR_VIEWS: Final = 2e4
"""Views at the rate of the wider group that are mixed into a group's own rate."""

DATE_ONLY_S: Final = frozenset({0, 43_200, 86_340, 86_399})
"""Times of day that stand for a date without one."""

_OFFICIAL: Final = re.compile(r"\b(?:official|trailer|teaser|music video)\b", re.IGNORECASE)
_QUESTION: Final = re.compile(r"[?？]")

NAN: Final = float("nan")


class Counts(NamedTuple):
    """Counts at one moment (days since 1970, UTC); NaN: not known."""

    at: float
    views: float
    likes: float = NAN
    comments: float = NAN


class History(NamedTuple):
    """The observations of one work that count, in the order of `Columns`."""

    at: float
    views: float
    likes: float
    comments: float
    seen_days: float
    before_views: float
    before_gap_days: float
    earlier_views: float
    earlier_gap_days: float


UNSEEN: Final = History(*[NAN] * 9)


class Title(NamedTuple):
    """What a title shows, each 0..1."""

    official: float
    shouts: float
    question: float


def history_of(observations: Sequence[Counts], *, until: float = float("inf")) -> History:
    """Choose the observations that count, none of them after `until`.

    The newest with views is where the work stands. Its velocity is measured from the one nearest to a day before,
    6 hours to 30 days away; the acceleration from the one chosen the same way before that.
    """
    past = sorted((one for one in observations if one.at <= until), key=lambda one: one.at)
    if not past:
        return UNSEEN
    viewed = [one for one in past if not isnan(one.views)]
    if not viewed:
        newest = past[-1]
        return UNSEEN._replace(
            at=newest.at, likes=newest.likes, comments=newest.comments, seen_days=newest.at - past[0].at
        )
    newest = viewed[-1]
    before = _nearest_to_a_day_before(newest, viewed)
    earlier = None if before is None else _nearest_to_a_day_before(before, viewed)
    return History(
        newest.at,
        newest.views,
        newest.likes,
        newest.comments,
        newest.at - past[0].at,
        before.views if before else NAN,
        newest.at - before.at if before else NAN,
        earlier.views if earlier else NAN,
        before.at - earlier.at if before and earlier else NAN,
    )


def _nearest_to_a_day_before(one: Counts, viewed: Sequence[Counts]) -> Counts | None:
    found: Counts | None = None
    for other in reversed(viewed):
        gap = one.at - other.at
        if gap > LONGEST_GAP_DAYS:
            break
        if gap >= LEAST_GAP_DAYS and (found is None or abs(gap - DAY) < abs(one.at - found.at - DAY)):
            found = other
    return found


def title_of(title: str) -> Title:
    """Read a title: an official release, shouted words, a question."""
    words = title.split()
    shouted = sum(word.isupper() and len(word) > 1 for word in words)
    return Title(
        float(_OFFICIAL.search(title) is not None),
        shouted / len(words) if words else 0.0,
        float(_QUESTION.search(title) is not None),
    )


def is_date(at: float) -> bool:
    """Tell whether a time (days) stands for a date without a time of day."""
    return round(at % 1.0 * 86_400) in DATE_ONLY_S


def sharpened(at: Column, published: Column, *, dated: bool) -> Column:
    """Return when works were observed; dates alone become the earliest time that the works of that day allow.

    A table that gives only days is written with midnight, noon or the last second as its time of day. Ages of hours
    decide most about what is young, so all of them are taken for the later of midnight and the newest publication.
    """
    if not dated:
        return at
    day, born = np.floor(at), np.floor(published)
    newest = {one: one for one in np.unique(day[~np.isnan(day)]).tolist()}
    for one, when in zip(born.tolist(), published.tolist(), strict=True):
        if one in newest:
            newest[one] = max(newest[one], when)
    return np.array([newest.get(one, one) for one in day.tolist()], dtype=np.float64)


def base_rates(
    counts: Column, views: Column, platforms: Iterable[Hashable], channels: Iterable[Hashable], *, typical: float
) -> Column:
    """Return what each work's rate per view is compared with: its channel's other works, shrunk to its platform's.

    A group with few views has hardly a rate of its own. Works of no known channel (None) have their platform's rate.
    """
    known = ~np.isnan(counts) & ~np.isnan(views)
    count, view = np.where(known, counts, 0.0), np.where(known, views, 0.0)
    on = _codes(platforms)
    platform_count, platform_views = _sums(on, count), _sums(on, view)
    platform = (platform_count + typical * PLATFORM_PRIOR_VIEWS) / (platform_views + PLATFORM_PRIOR_VIEWS)
    names = list(channels)
    by = _codes((place, name) for place, name in zip(on.tolist(), names, strict=True))
    others_count, others_views = _sums(by, count) - count, _sums(by, view) - view
    own = (others_count + platform * CHANNEL_PRIOR_VIEWS) / (others_views + CHANNEL_PRIOR_VIEWS)
    return np.where(np.array([name is None for name in names], dtype=bool), platform, own)


def _codes(keys: Iterable[Hashable]) -> NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _sums(codes: NDArray[np.int64], values: Column) -> Column:
    """Return for each row the sum over its group."""
    if not len(codes):
        return values
    sums: Column = np.asarray(np.bincount(codes, weights=values), dtype=np.float64)
    return sums[codes]


INPUTS: Final = (
    "velocity",
    "recency",
    "acceleration",
    "measured",
    "age",
    "seen",
    "views",
    "likes",
    "comments",
    "official",
    "shouts",
    "question",
)
"""What a learned model is told, in this order."""


def inputs_of(columns: Columns, parts: Parts) -> NDArray[np.float32]:
    """Return what a learned model is told, (n, len(INPUTS)); NaN: not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        stacked = np.column_stack(
            [
                parts.velocity,
                parts.recency,
                parts.acceleration,
                parts.measured,
                np.log(parts.age),
                columns.seen_days,
                np.log(columns.views + 1.0),
                np.log((columns.likes + TYPICAL_PER_VIEW["likes"] * 300) / (columns.views + 300)),
                np.log((columns.comments + TYPICAL_PER_VIEW["comments"] * 300) / (columns.views + 300)),
                columns.official,
                columns.shouts,
                columns.question,
            ]
        )
    return stacked.astype(np.float32)
