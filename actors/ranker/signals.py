"""The arithmetic of the score, on columns: one row per candidate, the same code for one and for a hundred thousand.

The forecast is the natural logarithm of expected growth (log views per day), a sum of parts. It starts from one law:
views grow like a power of age, so that growth is (power) x log(1 + 1/age) a day. A measured velocity says how far a
work is from that law. Each part is told as a value 0..1 of its own range, so that a score is the sum of value x weight.
Coefficients: fitted to all tables that docs/ranking.md names, and rounded; that page says what they give on a table
that was left out of the fit.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ABSENT",
    "OBJECTIVES",
    "SHIPPED",
    "SIGNALS",
    "TYPICAL_PER_VIEW",
    "VOTE_POINTS",
    "Coefficients",
    "Column",
    "Columns",
    "Objective",
    "Parts",
    "Terms",
    "effective_age",
    "parts_of",
    "scores_of",
    "terms_of",
    "values_of",
    "weights_of",
]

Column: TypeAlias = NDArray[np.float64]
Objective = Literal["growth", "balanced", "views"]
OBJECTIVES: Final[tuple[Objective, ...]] = get_args(Objective)

REACH_POWER: Final[dict[Objective, float]] = {"growth": 0.0, "balanced": 0.5, "views": 1.0}
"""Power of the views that the forecast is multiplied by: views x growth is further views a day."""

FORECAST_POINTS: Final = 60.0
"""Points of 100 that all parts of the forecast share, by the width of their ranges."""
VOTE_POINTS: Final = 5.0
"""Most that a vote can move a candidate: from 0 to all of them."""
OTHER_POINTS: Final = {"relevance": 14.0, "licence": 14.0, "saturation": 3.0, "fit": 4.0, "vote": VOTE_POINTS}

TYPICAL_PER_VIEW: Final = {"likes": 0.03, "comments": 0.004, "shares": 0.002}
"""What an engagement rate is compared with where the platform's own base rate is not known."""
PRIOR_VIEWS: Final = 300.0
"""Views at the base rate that are mixed into every rate, so that three likes on four views are no sensation."""
SMALL: Final = 100.0
"""Views mixed into both ends of a growth rate: 10 views that become 30 say little."""
LEAST_GROWTH: Final = 1e-4
MOST_GROWTH: Final = 30.0

AGE_SOFTNESS: Final = 4.0
"""Per day. Ages near zero are rounded up smoothly: where dates are days, a work can seem seen before its time."""
AGE_AT_FIRST_SIGHT_DAYS: Final = 1.0
"""Age that a work without a time of publication is taken to have when it is first seen."""
AGE_UNKNOWN_DAYS: Final = 7.0
"""Age of a work that has neither a time of publication nor an observation."""
OLDEST_UNMEASURED_DAYS: Final = 14.0
"""An old work that turns up without a velocity turned up for a reason: it is not taken for older than this."""
MOST_CHANGE: Final = 3.0
MOST_RATE: Final = 3.0


class Coefficients(NamedTuple):
    """What each term adds to the forecast; of a pair, the first where no velocity is measured, the second where one is.

    typical_power: where no velocity is measured, growth is taken to be this times log(1 + 1/age).
    growth: what is left tomorrow of a difference in measured growth. change: the same for the growth before that,
    so that a work that speeds up is ahead. Many comments per view come late in the life of a work.
    """

    typical_power: float = 0.725
    growth: float = 0.81
    change: float = -0.16
    likes: tuple[float, float] = (0.05, 0.08)
    comments: tuple[float, float] = (0.0, -0.08)
    official: tuple[float, float] = (0.33, 0.14)
    shouts: tuple[float, float] = (-0.35, -0.03)
    question: tuple[float, float] = (-0.08, -0.08)


SHIPPED: Final = Coefficients()
MOST_LEARNED: Final = 1.5
"""Furthest that a learned model can move the forecast, log units."""

RANGES: Final = {
    "velocity": (-7.46, 2.76),
    "recency": (-2.5, 0.5),
    "acceleration": (-0.48, 0.48),
    "engagement": (-0.48, 0.48),
    "title": (-0.45, 0.35),
    "reach": (-4.62, 0.0),
    "learned": (-MOST_LEARNED, MOST_LEARNED),
}
"""Of each part of the forecast, log units. Values beyond are cut."""
MOST_LOG_VIEWS: Final = float(np.log(1e10))

SIGNALS: Final = (*RANGES, *OTHER_POINTS)
ABSENT: Final = 0.5
"""Value of a signal that is not known: it neither helps nor harms."""


class Columns(NamedTuple):
    """What is known of each candidate; NaN: not known. Days and views; text signals are 0..1.

    `before_*`: the observation nearest to a day before the newest; `earlier_*`: the one before that.
    """

    views: Column
    likes: Column
    comments: Column
    age_days: Column
    seen_days: Column
    stale_days: Column
    before_views: Column
    before_gap_days: Column
    earlier_views: Column
    earlier_gap_days: Column
    base_likes: Column
    base_comments: Column
    official: Column
    shouts: Column
    question: Column
    relevance: Column
    licence: Column
    saturation: Column
    fit: Column
    vote: Column
    learned: Column

    @classmethod
    def empty(cls, count: int) -> Columns:
        """Return columns in which nothing is known."""
        return cls(*np.full((len(cls._fields), count), np.nan))


class Terms(NamedTuple):
    """What the coefficients are multiplied with; NaN: not known. Logs, but for age (days) and measured.

    law: growth by age alone, for a power of 1; law_then: the same over the time of the measured velocity.
    change: power of age before less power of age since. likes, comments: rates per view over the base rates.
    """

    age: Column
    measured: NDArray[np.bool_]
    law: Column
    law_then: Column
    growth: Column
    change: Column
    likes: Column
    comments: Column


class Parts(NamedTuple):
    """Parts of the forecast, log units; NaN: not known. `growth` is what `velocity` was made of, per day."""

    velocity: Column
    recency: Column
    acceleration: Column
    engagement: Column
    title: Column
    reach: Column
    learned: Column
    growth: Column
    measured: NDArray[np.bool_]
    age: Column

    def forecast(self) -> Column:
        """Return the log of expected growth per day; what is not known counts as the middle of its range."""
        total = np.zeros_like(self.velocity)
        for name, (low, high) in RANGES.items():
            if name != "reach":
                part: Column = getattr(self, name)
                total += np.where(np.isnan(part), (low + high) / 2, np.clip(part, low, high))
        return total


def effective_age(columns: Columns) -> Column:
    """Return the age at the newest observation, days, never 0.

    No time of publication: counted from the first observation. Nothing at all: a week. A work that was last seen more
    than a day before the time of ranking is older by the rest.
    """
    soft = np.logaddexp(0.0, AGE_SOFTNESS * columns.age_days) / AGE_SOFTNESS
    age = np.fmax(soft, columns.seen_days + 0.05)
    age = np.where(np.isnan(columns.age_days), columns.seen_days + AGE_AT_FIRST_SIGHT_DAYS, age)
    age = np.where(np.isnan(age), AGE_UNKNOWN_DAYS, age)
    late: Column = np.nan_to_num(np.maximum(columns.stale_days - 1.0, 0.0))
    return age + late


def terms_of(columns: Columns) -> Terms:
    """Work out what the coefficients are multiplied with."""
    with np.errstate(invalid="ignore", divide="ignore"):
        age = effective_age(columns)
        gap, gap_then = columns.before_gap_days, columns.earlier_gap_days
        measured = ~np.isnan(gap) & ~np.isnan(columns.views)
        law = np.log(np.log1p(1.0 / np.where(measured, age, np.minimum(age, OLDEST_UNMEASURED_DAYS))))
        at_before = np.maximum(age - gap, 0.05)
        law_then = np.log(np.log(age / at_before) / gap)
        growth = np.log(_growth(columns.views, columns.before_views, gap))
        at_earlier = np.maximum(at_before - gap_then, 0.02)
        power_then = np.log(_growth(columns.before_views, columns.earlier_views, gap_then)) - np.log(
            np.log(at_before / at_earlier) / gap_then
        )
        change = np.clip(power_then - (growth - law_then), -MOST_CHANGE, MOST_CHANGE)
        likes = _rate(columns.likes, columns.views, columns.base_likes)
        comments = _rate(columns.comments, columns.views, columns.base_comments)
    return Terms(age, measured, law, law_then, growth, change, likes, comments)


def parts_of(columns: Columns, objective: Objective = "growth", by: Coefficients = SHIPPED) -> Parts:
    """Work the parts of the forecast out."""
    terms = terms_of(columns)
    measured, law = terms.measured, terms.law

    def each(pair: tuple[float, float]) -> Column:
        return np.where(measured, pair[1], pair[0])

    growth = np.where(measured, terms.growth, np.log(by.typical_power) + law)
    likes, comments = terms.likes, terms.comments
    engagement = each(by.likes) * np.nan_to_num(likes) + each(by.comments) * np.nan_to_num(comments)
    title = (
        each(by.official) * columns.official + each(by.shouts) * columns.shouts + each(by.question) * columns.question
    )
    reach = np.log((columns.views + 1.0) / (columns.views + 1.0 + SMALL))
    return Parts(
        velocity=by.growth * growth,
        recency=law - by.growth * np.where(measured, terms.law_then, law),
        acceleration=by.change * terms.change,
        engagement=np.where(np.isnan(likes) & np.isnan(comments), np.nan, engagement),
        title=title,
        reach=reach + REACH_POWER[objective] * np.log(columns.views + 1.0),
        learned=np.clip(columns.learned, -MOST_LEARNED, MOST_LEARNED),
        growth=np.exp(growth),
        measured=measured,
        age=terms.age,
    )


def values_of(columns: Columns, parts: Parts, objective: Objective = "growth") -> dict[str, Column]:
    """Return each signal as 0..1; NaN where it is not known."""
    values: dict[str, Column] = {}
    for name, (low, high) in RANGES.items():
        high_here = high + (REACH_POWER[objective] * MOST_LOG_VIEWS if name == "reach" else 0.0)
        values[name] = np.clip((getattr(parts, name) - low) / (high_here - low), 0.0, 1.0)
    for name in OTHER_POINTS:
        values[name] = np.clip(getattr(columns, name), 0.0, 1.0)
    return values


def weights_of(objective: Objective = "growth") -> dict[str, float]:
    """Return the most points that each signal can give; together 100."""
    widths = {name: float(high - low) for name, (low, high) in RANGES.items()}
    widths["reach"] += REACH_POWER[objective] * MOST_LOG_VIEWS
    each = FORECAST_POINTS / sum(widths.values())
    return {name: each * width for name, width in widths.items()} | OTHER_POINTS


def scores_of(values: dict[str, Column], objective: Objective = "growth") -> Column:
    """Add the points up, 0..100."""
    total = np.zeros_like(values["velocity"])
    for name, weight in weights_of(objective).items():
        total += weight * np.where(np.isnan(values[name]), ABSENT, values[name])
    return total


def _growth(now: Column, then: Column, gap_days: Column) -> Column:
    rate = np.log((now + SMALL) / (then + SMALL)) / gap_days
    return np.clip(rate, LEAST_GROWTH, MOST_GROWTH)


def _rate(count: Column, views: Column, base: Column) -> Column:
    """Return the log of a rate per view over its base rate, shrunk towards it where views are few."""
    shrunk = (count + base * PRIOR_VIEWS) / (views + PRIOR_VIEWS)
    return np.clip(np.log(shrunk / base), -MOST_RATE, MOST_RATE)
