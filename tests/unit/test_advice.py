"""Best times: claimed on data that shows one, and not more often than stated on data that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from actors.publisher.advice import LEAST_POSTS, LEVEL, Advice, Measured, advise

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
RUNS = 200


def posted(
    chance: np.random.Generator, *, posts: int, growth: float = 0.0, thursday: float = 1.0, hours: tuple[int, ...]
) -> list[Measured]:
    """Posts on every other day at one of some hours; views are log-normal and grow by `growth` a post."""
    found = []
    for number in range(posts):
        shown = BEGIN + timedelta(days=2 * number, hours=int(chance.choice(hours)))
        effect = thursday if shown.weekday() == 3 else 1.0
        views = effect * np.exp(7.0 + growth * number + 0.8 * chance.standard_normal())
        found.append(Measured(shown_at=shown, views=int(views)))
    return found


def best_claims(*, posts: int, growth: float, hours: tuple[int, ...], seed: int) -> int:
    chance = np.random.default_rng(seed)
    runs = (posted(chance, posts=posts, growth=growth, hours=hours) for _ in range(RUNS))
    return sum(advise(run, "UTC").verdict == "best" for run in runs)


@pytest.mark.parametrize(
    ("posts", "growth", "hours"),
    [(60, 0.0, (9, 18)), (60, 0.05, (9, 18)), (120, 0.02, (8, 12, 16, 20)), (45, 0.0, tuple(range(24)))],
)
def test_random_views_have_no_best_time(posts: int, growth: float, hours: tuple[int, ...]) -> None:
    """People move their posts to an hour that chance chose; growth of the account passes for a good hour."""
    bound = (1 - LEVEL) * RUNS
    most = bound + 3 * np.sqrt(bound * LEVEL)  # three standard errors above the stated part
    assert best_claims(posts=posts, growth=growth, hours=hours, seed=posts) <= most


def test_a_day_that_is_twice_as_good_is_found_and_its_interval_holds_the_truth() -> None:
    """The advice never speaks, or states an effect that is not there."""
    chance = np.random.default_rng(5)
    runs = [advise(posted(chance, posts=150, thursday=2.5, hours=(9, 18)), "UTC") for _ in range(60)]
    told = [run for run in runs if run.verdict == "best"]
    assert len(told) >= 50
    named = [cell for run in told for cell in run.cells if cell.name == "thu any hour"]
    assert len(named) >= 50
    assert sum(cell.low <= 2.5 <= cell.high for cell in named) >= 0.95 * len(named) - 2


def test_too_few_posts_are_said_to_be_too_few() -> None:
    """A best time is told from a handful of posts."""
    few = posted(np.random.default_rng(1), posts=LEAST_POSTS - 1, hours=(9,))
    found = advise(few, "UTC")
    assert found.verdict == "not enough data"
    assert found.because.startswith(f"not enough data: {LEAST_POSTS - 1} of at least {LEAST_POSTS} posts")
    assert found.cells == ()


def test_posts_of_one_time_cannot_be_compared() -> None:
    """The only time that was tried is told to be the best."""
    weekly = [Measured(shown_at=BEGIN + timedelta(weeks=number), views=number) for number in range(60)]
    assert advise(weekly, "UTC").verdict == "not enough data"


def test_equal_views_have_no_best_time() -> None:
    """Nothing but zeros divides by zero, or wins."""
    zeros = [Measured(shown_at=BEGIN + timedelta(hours=37 * number), views=0) for number in range(200)]
    assert advise(zeros, "UTC").verdict == "no difference"


def test_hours_are_those_of_the_accounts_wall() -> None:
    """An hour is recommended that is another one for the account, half of the year."""
    found = advise(posted(np.random.default_rng(2), posts=80, hours=(9, 18)), "Asia/Kathmandu")
    assert {cell.name for cell in found.cells} & {"14:00 any day", "23:00 any day"}


def test_the_same_posts_give_the_same_advice() -> None:
    """Asked twice, the command says two things."""
    posts = posted(np.random.default_rng(3), posts=90, hours=(9, 18))
    first: Advice = advise(posts, "UTC")
    assert first == advise(list(reversed(posts)), "UTC")
