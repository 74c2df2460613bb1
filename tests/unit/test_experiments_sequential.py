"""The stopping rule: how often it calls a winner where there is none, and how often it finds one that is there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tracker.experiments import sequential
from actors.tracker.experiments.sequential import (
    ALPHA,
    LOOKS,
    PILOT_PAIRS,
    judge,
    levels,
    looks_of,
    pairs_needed,
    replanned,
)

RUNS = 2_000
SPREAD = 0.4


def ended(ratios: np.ndarray, planned: int) -> str:
    """Look as often as the rule looks, and return how it ended."""
    for look in looks_of(planned):
        verdict = judge([float(one) for one in ratios[:look]], planned=planned)
        if verdict.state not in {"goes on", "too early"}:
            return verdict.state
    raise AssertionError("the last look decides")


def normal(chance: np.random.Generator, count: int) -> np.ndarray:
    return chance.normal(0, SPREAD, count)


def heavy(chance: np.random.Generator, count: int) -> np.ndarray:
    """Return log ratios with the outliers that views have: Student's t with 4 degrees, SPREAD wide."""
    return chance.standard_t(4, count) / math.sqrt(2) * SPREAD


def test_the_boundary_is_that_of_the_books() -> None:
    """A wrong constant calls winners too often, or never. Jennison & Turnbull 2000, table 2.3: 2.024 for K = 4."""
    assert sequential._constant(0.05) == pytest.approx(2.024, abs=0.003)
    assert levels(0.05) == pytest.approx((0.00005, 0.0042, 0.0194, 0.0430), rel=0.15)
    assert list(levels()) == sorted(levels())


@pytest.mark.parametrize("draw", [normal, heavy])
def test_equal_variants_seldom_win(draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    """Every twentieth experiment without a difference is the most that may end with a winner."""
    chance = np.random.default_rng(20_261_123)
    planned = pairs_needed(0.2, SPREAD)
    winners = sum(ended(draw(chance, planned), planned) != "no difference" for _ in range(RUNS))
    assert winners <= 0.05 * RUNS
    assert winners >= 0.01 * RUNS, "a rule that never calls a winner passes the bound for nothing"


@pytest.mark.parametrize("draw", [normal, heavy])
def test_a_true_effect_is_found(draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    """A real gain of a fifth must be found at the stated size in four runs of five."""
    chance = np.random.default_rng(7)
    planned = pairs_needed(0.2, SPREAD)
    found = sum(ended(draw(chance, planned) + math.log1p(0.2), planned) == "B" for _ in range(RUNS))
    assert found >= 0.8 * RUNS


def ended_with_new_size(ratios: np.ndarray, planned: int) -> str:
    """Look, and plan anew once when there are pairs enough, as a running experiment does."""
    done, anew = 0, False
    while True:
        done = next(look for look in looks_of(planned) if look > done)
        seen = [float(one) for one in ratios[:done]]
        if not anew and done >= PILOT_PAIRS:
            planned, anew = replanned(seen, planned=planned, effect=0.2, most=len(ratios)), True
        state = judge(seen, planned=planned).state
        if state not in {"goes on", "too early"}:
            return state


def test_a_size_that_is_planned_anew_keeps_the_promise() -> None:
    """A first guess of the spread that is half of the truth must cost neither promise."""
    chance = np.random.default_rng(11)
    first = pairs_needed(0.2, SPREAD / 2)
    gain = math.log1p(0.2)
    winners = sum(ended_with_new_size(chance.normal(0, SPREAD, 400), first) != "no difference" for _ in range(RUNS))
    found = sum(ended_with_new_size(chance.normal(gain, SPREAD, 400), first) == "B" for _ in range(RUNS))
    assert winners <= 0.05 * RUNS
    assert found >= 0.8 * RUNS


def test_the_interval_holds_however_often_it_is_looked() -> None:
    """An interval made for one look is too narrow for four."""
    chance = np.random.default_rng(3)
    planned, held = 40, 0
    for _ in range(500):
        ratios = chance.normal(0.1, SPREAD, planned)
        all_hold = True
        for look in looks_of(planned):
            verdict = judge([float(one) for one in ratios[:look]], planned=planned)
            assert verdict.low is not None
            assert verdict.high is not None
            all_hold &= verdict.low <= math.expm1(0.1) <= verdict.high
        held += all_hold
    assert held >= (1 - ALPHA - 0.03) * 500


@given(st.integers(8, 2_000))
def test_looks_grow_to_the_planned_size(planned: int) -> None:
    """A look that comes twice or never would spend its level for nothing."""
    looks = looks_of(planned)
    assert len(looks) == LOOKS
    assert looks[-1] == planned
    assert all(one < other for one, other in itertools.pairwise(looks))


def test_too_little_is_said_so() -> None:
    """A winner after two posts is a coin thrown."""
    verdict = judge([0.9], planned=20)
    assert (verdict.state, verdict.effect, verdict.next_look) == ("too early", None, 5)
    assert judge([], planned=20).state == "too early"
    assert judge([0.0] * 20, planned=20).state == "no difference"


def test_sizes_follow_from_effect_and_spread() -> None:
    """A size without a reason promises what it cannot find."""
    assert pairs_needed(0.2, 0.4) > pairs_needed(0.4, 0.4) > pairs_needed(0.4, 0.2) >= sequential.LEAST_PAIRS
    for wrong in (0.0, -1.0):
        with pytest.raises(ValueError, match="ratio less one"):
            pairs_needed(wrong, 0.4)
