"""How niches move: the last 7 and 28 days on each platform, against as many days before. Pure.

A span's growth is the median of its works' growth a day; its 95 % interval is that of order statistics, which asks
nothing of how growth is spread. The interval of a change is put together from those of the two spans.
Sources: Conover, Practical Nonparametric Statistics, 3rd ed., 3.2 (interval of a quantile); Zou & Donner 2008,
Statistics in Medicine 27, 1693-1702 (interval of a difference from two intervals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import Final, Literal

from msgspec import Struct

from actors.ranker.patterns import ratio

__all__ = ["MIN_MEASURED", "WINDOWS_DAYS", "Span", "Trend", "Verdict", "middle", "trend"]

WINDOWS_DAYS: Final = (7, 28)
MIN_MEASURED: Final = 10
"""Works of known growth that a span needs; below six there is no 95 % interval at all."""
_MISS: Final = 0.025
_EXACT_TO: Final = 1000
_Z95: Final = 1.959964

Verdict = Literal["rising", "falling", "steady", "unknown"]


class Span(Struct, frozen=True, kw_only=True):
    """A niche on one platform in a span of time. growths: logarithms a day, of works with two counts in it."""

    works: int
    new_works: int
    growths: Sequence[float]


class Trend(Struct, frozen=True, kw_only=True):
    """A niche on a platform, now against before. Growth and change are shares a day, 0.1 is 10 % more views."""

    niche: str
    platform: str
    window_days: int
    begins_at: datetime
    ends_at: datetime
    works: int
    new_works: int
    measured: int
    growth: float | None
    growth_low: float | None
    growth_high: float | None
    works_before: int
    new_works_before: int
    measured_before: int
    growth_before: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    verdict: Verdict
    because: str


class Middle(Struct, frozen=True):
    """A median and its 95 % interval."""

    value: float
    low: float
    high: float


def middle(values: Sequence[float]) -> Middle | None:
    """Return the median with its interval; None: fewer values than `MIN_MEASURED`."""
    if len(values) < MIN_MEASURED:
        return None
    ordered = sorted(values)
    rank = _rank(len(ordered))
    return Middle(median(ordered), ordered[rank - 1], ordered[-rank])


def trend(
    niche: str, platform: str, *, days: int, begins_at: datetime, ends_at: datetime, now: Span, before: Span
) -> Trend:
    """Compare two spans of the same length."""
    here, then = middle(now.growths), middle(before.growths)
    change = None if here is None or then is None else _difference(here, then)
    verdict, because = _verdict(here, change, now, before, days)
    return Trend(
        niche=niche,
        platform=platform,
        window_days=days,
        begins_at=begins_at,
        ends_at=ends_at,
        works=now.works,
        new_works=now.new_works,
        measured=len(now.growths),
        growth=_share(here, "value"),
        growth_low=_share(here, "low"),
        growth_high=_share(here, "high"),
        works_before=before.works,
        new_works_before=before.new_works,
        measured_before=len(before.growths),
        growth_before=_share(then, "value"),
        change=_share(change, "value"),
        change_low=_share(change, "low"),
        change_high=_share(change, "high"),
        verdict=verdict,
        because=because,
    )


def _verdict(here: Middle | None, change: Middle | None, now: Span, before: Span, days: int) -> tuple[Verdict, str]:
    counts = f"{now.works} works seen ({now.new_works} new)"
    counts += f", {before.works} ({before.new_works} new) in the {days} days before"
    if here is None:
        return "unknown", f"not enough data: {len(now.growths)} of {MIN_MEASURED} works counted twice; {counts}"
    grows = f"views a day of the work in the middle: {_told(here)}"
    if change is None:
        lacks = f"not enough data before: {len(before.growths)} of {MIN_MEASURED} works counted twice"
        return "unknown", f"{grows}; {lacks}; {counts}"
    told = f"{grows}, against before: {_told(change)}; {counts}"
    if change.low > 0:
        return "rising", told
    return ("falling" if change.high < 0 else "steady"), told


def _difference(here: Middle, then: Middle) -> Middle:
    value = here.value - then.value
    below = math.hypot(here.value - here.low, then.high - then.value)
    above = math.hypot(here.high - here.value, then.value - then.low)
    return Middle(value, value - below, value + above)


def _rank(count: int) -> int:
    """Return which value from either end bounds the median: the innermost that still gives 95 %."""
    if count > _EXACT_TO:
        return max(1, math.floor((count - _Z95 * math.sqrt(count)) / 2))
    chance, rank = 0.0, 0
    while (chance := chance + math.comb(count, rank) / 2**count) <= _MISS:
        rank += 1
    return max(1, rank)


def _share(found: Middle | None, end: Literal["value", "low", "high"]) -> float | None:
    return None if found is None else ratio(getattr(found, end))


def _told(found: Middle) -> str:
    return f"{ratio(found.value):+.1%} ({ratio(found.low):+.1%} to {ratio(found.high):+.1%})"
