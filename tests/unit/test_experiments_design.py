"""Turns and pairs of experiments."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tracker.experiments.design import Turn, compared, late, ratios_of, variant_of

AT = datetime(2026, 11, 23, tzinfo=UTC)
DAY_S = 86_400


def turn(number: int, variant: str, views: int, *, length_s: int = DAY_S, void: str = "") -> Turn:
    begins = AT + timedelta(seconds=number * 2 * DAY_S)
    return Turn(
        number=number,
        variant="A" if variant == "A" else "B",
        set_at=begins,
        from_at=begins,
        from_views=1_000,
        until_at=begins + timedelta(seconds=length_s),
        until_views=1_000 + views,
        void=void,
    )


@given(st.integers(), st.integers(0, 500))
def test_every_pair_has_both_variants(seed: int, pair: int) -> None:
    """A variant that is shown more often looks better for it."""
    assert {variant_of(seed, 2 * pair), variant_of(seed, 2 * pair + 1)} == {"A", "B"}


def test_chance_decides_who_is_first() -> None:
    """A variant that always comes first has the younger video, and more views for that alone."""
    first = [variant_of(7, 2 * pair) for pair in range(400)]
    assert 150 < first.count("A") < 250
    assert first == [variant_of(7, 2 * pair) for pair in range(400)]


def test_ratios_are_of_rates() -> None:
    """A turn that lasted longer would win by its length."""
    turns = [turn(0, "B", 200, length_s=2 * DAY_S), turn(1, "A", 100), turn(2, "A", 50), turn(3, "B", 100)]
    assert ratios_of(turns) == pytest.approx([math.log(200.5 / 100.5 / 2), math.log(100.5 / 50.5)])


def test_void_and_unfinished_pairs_do_not_count() -> None:
    """Half of a pair compares a day with nothing."""
    assert ratios_of([turn(0, "A", 5)]) == []
    assert ratios_of([turn(0, "A", 5, void="late"), turn(1, "B", 5), turn(2, "A", 5), turn(3, "B", 5)]) == [0.0]


def test_turns_that_say_nothing_are_named() -> None:
    """A night without measuring would be counted for one variant."""
    assert late(turn(0, "A", 5), window_s=DAY_S) == ""
    assert "instead of" in late(turn(0, "A", 5, length_s=2 * DAY_S), window_s=DAY_S)
    assert "took views back" in late(turn(0, "A", -5), window_s=DAY_S)
    assert "no views" in late(Turn(number=0, variant="A", from_at=AT, until_at=AT), window_s=DAY_S)
    assert "no beginning" in late(Turn(number=0, variant="A"), window_s=DAY_S)


def test_posts_are_compared_at_one_age() -> None:
    """An older post has more views for its age alone."""
    ratio, why = compared(a_views=99, a_age_s=DAY_S, b_views=199, b_age_s=DAY_S)
    assert ratio == pytest.approx(math.log(199.5 / 99.5))
    assert why == ""
    ratio, why = compared(a_views=99, a_age_s=DAY_S, b_views=199, b_age_s=2 * DAY_S)
    assert ratio is None
    assert "too far apart" in why
    ratio, why = compared(a_views=None, a_age_s=DAY_S, b_views=199, b_age_s=DAY_S)
    assert ratio is None
    assert "no views" in why
