"""When an experiment may stop, and what it then says. Pure.

A pair gives one number: the natural logarithm of B's result over A's, both measured in like windows. The pairs are
looked at four times; at each look their mean is tested by Student's t at the level that O'Brien and Fleming's
boundary leaves to that look, so that looking often calls no more winners than looking once.

Sources: O'Brien & Fleming 1979 (boundary); Jennison & Turnbull 2000, "Group Sequential Methods", sections 2.3 to 2.5
(constants, sizes), 4.4 (levels used with t), 9.1 (repeated confidence intervals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from scipy import optimize, stats  # type: ignore[import-untyped] # it ships no types

__all__ = [
    "ALPHA",
    "LEAST_PAIRS",
    "LOOKS",
    "PILOT_PAIRS",
    "POWER",
    "Verdict",
    "judge",
    "levels",
    "looks_of",
    "pairs_needed",
    "replanned",
]

ALPHA: Final = 0.035
"""Chance to call a winner where there is none, over all looks together. Below the promised 0.05: Student's t with
few pairs and a size that is planned anew cost some of it."""
POWER: Final = 0.85
"""Chance to find the effect that the size was planned for. Above the promised 0.8."""
LOOKS: Final = 4
LEAST_PAIRS: Final = 8
"""Fewer pairs are never planned: a spread from two or three says nothing."""
PILOT_PAIRS: Final = 10
"""From so many pairs on their spread is a guess that is worth planning with."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What a look says. effect, low, high: B against A as a ratio less one, 0.2 is +20 %; None: not known yet.

    low and high are a repeated 95 % interval: they hold however often it was looked.
    """

    state: Literal["too early", "goes on", "A", "B", "no difference"]
    pairs: int
    planned: int
    next_look: int | None
    effect: float | None
    low: float | None
    high: float | None
    because: str


@cache
def _constant(alpha: float) -> float:
    """Return C of O'Brien and Fleming: the k-th of K looks rejects where |Z| >= C * sqrt(K / k)."""
    at = np.arange(1, LOOKS + 1)
    shared = np.sqrt(np.minimum.outer(at, at) / np.maximum.outer(at, at))
    joint = stats.multivariate_normal(mean=np.zeros(LOOKS), cov=shared)

    def excess(constant: float) -> float:
        bounds = constant * np.sqrt(LOOKS / at)
        inside = joint.cdf(bounds, lower_limit=-bounds, rng=np.random.default_rng(1))
        return float(1 - inside - alpha)

    return float(optimize.brentq(excess, 1.5, 4.0, xtol=1e-4))


@cache
def levels(alpha: float = ALPHA) -> tuple[float, ...]:
    """Return the two-sided level of each look."""
    constant = _constant(alpha)
    return tuple(float(2 * stats.norm.sf(constant * math.sqrt(LOOKS / at))) for at in range(1, LOOKS + 1))


def looks_of(planned: int) -> tuple[int, ...]:
    """Return after how many pairs it is looked."""
    return tuple(math.ceil(planned * at / LOOKS) for at in range(1, LOOKS + 1))


def pairs_needed(effect: float, spread: float) -> int:
    """Return how many pairs find an effect (0.2 is +20 %) with POWER, where log ratios spread by `spread`.

    The spread is a standard deviation. Raises: ValueError if the effect is none.
    """
    if effect <= -1 or effect == 0:
        raise ValueError("an effect is a ratio less one: above -1 and not 0")
    reach = _constant(ALPHA) + stats.norm.ppf(POWER)
    pairs = (reach * spread / math.log1p(effect)) ** 2
    # Student's t has heavier tails than the normal of the formula: about two pairs more (Guenther 1981).
    return max(LEAST_PAIRS, math.ceil(float(pairs + stats.norm.ppf(1 - ALPHA / 2) ** 2 / 2)))


def replanned(ratios: Sequence[float], *, planned: int, effect: float, most: int) -> int:
    """Return the size after a look: larger where the pairs spread more than was thought, never smaller.

    Fewer than PILOT_PAIRS change nothing. It is done once, before the look is judged, and sees only the spread, not
    which variant leads (Jennison & Turnbull 2000, section 14.2).
    """
    if len(ratios) < PILOT_PAIRS:
        return planned
    return min(max(planned, pairs_needed(effect, float(np.std(ratios, ddof=1)))), max(planned, most))


def judge(ratios: Sequence[float], *, planned: int) -> Verdict:
    """Judge the log ratios of B to A that are known, in the order of their pairs. Only whole looks count."""
    looks = looks_of(planned)
    at = sum(1 for look in looks if look <= len(ratios))
    if at == 0 or looks[at - 1] < 2:
        return Verdict(
            state="too early",
            pairs=len(ratios),
            planned=planned,
            next_look=next(look for look in looks if look > len(ratios) or look >= 2),
            effect=None,
            low=None,
            high=None,
            because=f"{len(ratios)} of {planned} pairs; the first look is after {looks[0]}",
        )
    seen = np.asarray(ratios[: looks[at - 1]], dtype=float)
    mean, error = float(seen.mean()), float(seen.std(ddof=1) / math.sqrt(len(seen)))
    free = len(seen) - 1
    # Where every pair says exactly the same there is nothing to divide by, and nothing that a sample would look like.
    chance = float(2 * stats.t.sf(abs(mean) / error, free)) if error > 0 else 1.0
    level = levels()[at - 1]
    wide = error * float(stats.t.isf(level / 2, free))
    wins = chance <= level
    state: Literal["goes on", "A", "B", "no difference"] = "goes on"
    if wins:
        state = "B" if mean > 0 else "A"
    elif at == LOOKS:
        state = "no difference"
    return Verdict(
        state=state,
        pairs=len(seen),
        planned=planned,
        next_look=looks[at] if state == "goes on" else None,
        effect=math.expm1(mean),
        low=math.expm1(mean - wide),
        high=math.expm1(mean + wide),
        because=f"look {at} of {LOOKS}, {len(seen)} pairs: p = {chance:.2g} against {level:.2g}",
    )
