"""Which forms grew: how much faster works of a form gained views than others of their niche, platform and age. Pure.

Growth is the logarithm of views gained a day, so that large and small works count alike. A work is compared with what
works of its age do, since young ones grow faster whatever their form. The mean of the works of a form, against all
works whose form is known, is then drawn towards nothing by the weight of `PRIOR_WORKS`, so that a few lucky ones are
no pattern; its 95 % interval is that of the normal posterior.
Source: normal model with known variance and normal prior, Gelman et al., Bayesian Data Analysis, 3rd ed., 2.5.
What it cannot show: causes. Works of a form may share a channel or a subject that is the true reason, and of many
forms in one table about one in twenty lies outside its interval by chance.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import fmean
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.ranker.forms import KINDS, Known, Shape

__all__ = ["MIN_OF_FORM", "MIN_WORKS", "Effect", "Origin", "Work", "effects", "growth", "growth_of", "ratio"]

PRIOR_VIEWS: Final = 50.0
"""Added to every count, so that 2 views after 1 are no doubling."""
MOST_GROWTH: Final = math.log(10.0)
"""Growth a day that counts as most, up and down: one explosion must not make a pattern by itself."""
LEAST_GAP: Final = timedelta(hours=6)
AGES_DAYS: Final = (1.0, 3.0, 7.0, 30.0)
PRIOR_OF_AGE: Final = 5.0
"""Works at the mean of all that are mixed into what is expected of an age."""
PRIOR_WORKS: Final = 10.0
MIN_WORKS: Final = 20
MIN_OF_FORM: Final = 5
_DAY: Final = timedelta(days=1)
_Z95: Final = 1.959964

Origin = Literal["seen", "own"]


class Work(Struct, frozen=True, kw_only=True):
    """A work with its first and last count of a span of time. age_days: at the first count; None: not known."""

    item_id: str
    shape: Shape
    age_days: float | None
    first_at: datetime
    first_views: int
    last_at: datetime
    last_views: int


class Effect(Struct, frozen=True, kw_only=True):
    """What a form of a kind brought. value: the form; empty: none can be told of this kind.

    lift, low, high: views after one day against the others', 0.1 is 10 % more; None: `because` says why.
    """

    kind: str
    value: str
    works: int
    of_works: int
    lift: float | None = None
    low: float | None = None
    high: float | None = None
    because: str


def growth(first_at: datetime, first_views: int, last_at: datetime, last_views: int) -> float | None:
    """Return the logarithm of growth a day between two counts; None: they are less than six hours apart."""
    gap = last_at - first_at
    if gap < LEAST_GAP:
        return None
    change = math.log((last_views + PRIOR_VIEWS) / (first_views + PRIOR_VIEWS))
    return max(-MOST_GROWTH, min(MOST_GROWTH, change / (gap / _DAY)))


def growth_of(work: Work) -> float | None:
    """Return the logarithm of a work's growth a day; None: its counts are less than six hours apart."""
    return growth(work.first_at, work.first_views, work.last_at, work.last_views)


def ratio(growth: float) -> float:
    """Turn a logarithm into a share: 0.1 is 10 % more."""
    return math.expm1(growth)


def effects(works: Sequence[Work]) -> tuple[Effect, ...]:
    """Return what each form brought among works of one niche, platform and origin, kind by kind, the best first."""
    known = [(work, grown) for work in works if (grown := growth_of(work)) is not None]
    ahead = _against_age(known)
    return tuple(
        effect for kind, look in KINDS.items() for effect in _kind(kind, [(look(w.shape), a) for w, a in ahead])
    )


def _kind(kind: str, works: Sequence[tuple[Known, float]]) -> list[Effect]:
    known = [(found.forms, ahead) for found, ahead in works if found.forms]
    if len(known) < MIN_WORKS:
        because = f"not enough data: {len(known)} of {MIN_WORKS} works"
        if whys := sorted({found.because for found, _ in works if found.because}):
            because += f"; {'; '.join(whys)}"
        return [Effect(kind=kind, value="", works=0, of_works=len(known), because=because)]
    mean = fmean(ahead for _, ahead in known)
    variance = sum((ahead - mean) ** 2 for _, ahead in known) / (len(known) - 1)
    names = sorted({name for forms, _ in known for name in forms})
    found = []
    for name in names:
        own = [ahead for forms, ahead in known if name in forms]
        found.append(
            _effect(
                Effect(kind=kind, value=name, works=len(own), of_works=len(known), because=""),
                fmean(own) - mean,
                variance,
            )
        )
    return sorted(found, key=lambda one: (one.lift is None, -(one.lift or 0.0), one.value))


def _effect(bare: Effect, ahead: float, variance: float) -> Effect:
    """Return the effect of a form whose works are `ahead` of all. variance: of one work's growth."""
    if bare.works < MIN_OF_FORM:
        return replace(bare, because=f"not enough data: {bare.works} of {MIN_OF_FORM} works of this form")
    if bare.works == bare.of_works:
        return replace(bare, because=f"all {bare.works} works have it: there is nothing to compare it with")
    # The works of the form are among all: their mean and that of all have a covariance of variance / of_works.
    noise = variance * (1 / bare.works - 1 / bare.of_works)
    prior = variance / PRIOR_WORKS
    drawn = prior / (prior + noise) if noise else 0.0
    lift, half = drawn * ahead, _Z95 * math.sqrt(drawn * noise)
    low, high = ratio(lift - half), ratio(lift + half)
    return replace(
        bare,
        lift=ratio(lift),
        low=low,
        high=high,
        because=f"{ratio(lift):+.1%} views a day ({low:+.1%} to {high:+.1%}): {bare.works} of {bare.of_works} works, "
        f"against works of their age; {ratio(ahead):+.1%} before it is drawn towards nothing",
    )


def _against_age(works: Sequence[tuple[Work, float]]) -> list[tuple[Work, float]]:
    """Return each work with how far its growth is ahead of what is expected at its age."""
    if not works:
        return []
    mean = fmean(growth for _, growth in works)
    by_age: dict[int | None, list[float]] = {}
    for work, growth in works:
        by_age.setdefault(_age(work), []).append(growth)
    expected = {age: (sum(found) + PRIOR_OF_AGE * mean) / (len(found) + PRIOR_OF_AGE) for age, found in by_age.items()}
    return [(work, growth - expected[_age(work)]) for work, growth in works]


def _age(work: Work) -> int | None:
    return None if work.age_days is None else bisect(AGES_DAYS, work.age_days)
