"""Growth from snapshots: bounds where nothing was measured, intervals from spread, nothing from too little."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.tracker.growth import Group, Post, Shot, groups_of, growth_of, weeks_of
from actors.tracker.schedule import SNAPSHOTS
from deploy.growth import render

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def post(number: int, shown_at: datetime, *shots: tuple[timedelta, int | None], niche: str = "sea") -> Post:
    """Make a post with snapshots at these ages; buckets as the schedule has them."""
    return Post(
        post_id=f"post-{number}",
        platform="x",
        account_id="x:1",
        niche=niche,
        shown_at=shown_at,
        shots=tuple(
            Shot(
                bucket=sum(planned <= age for planned in SNAPSHOTS) - 1,
                measured_at=shown_at + age,
                age_s=int(age.total_seconds()),
                views=views,
            )
            for age, views in shots
        ),
    )


def test_views_of_a_week_lie_between_its_snapshots() -> None:
    """A number in the middle that nobody measured is an invention."""
    one = post(1, MONDAY + 5 * DAY, (DAY, 100), (4 * DAY, 400), (7 * DAY, 500))
    first, second, third = weeks_of([one], MONDAY + 15 * DAY)
    assert (first.posts, first.views_low, first.views_high) == (1, 100, 400)
    assert (second.posts, second.views_low, second.views_high) == (0, 100, None)
    assert "1 of 1 posts have no snapshot after it yet" in second.because
    assert (third.complete, third.views_low) == (False, 0)
    assert first.of[0].snapshots == (one.shown_at + DAY, one.shown_at + 4 * DAY)


def test_a_snapshot_at_the_end_of_the_week_is_exact() -> None:
    """Bounds that are wider than what is known hide it."""
    one = post(1, MONDAY, (7 * DAY, 500), (14 * DAY, 650))
    first, second, *_ = weeks_of([one], MONDAY + 14 * DAY)
    assert (first.views_low, first.views_high) == (500, 500)
    assert (second.views_low, second.views_high) == (150, 150)


def test_a_post_that_is_followed_no_more_ends_with_its_last_snapshot() -> None:
    """A post of last year would keep every week open for ever."""
    one = post(1, MONDAY, *((age, 100) for age in SNAPSHOTS))
    weeks = weeks_of([one], MONDAY + 60 * DAY)
    assert all(week.views_high is not None for week in weeks[:5])
    assert [week.of for week in weeks[5:]] == [()] * len(weeks[5:])
    assert weeks[-1].because == "no post has told views in or around it"


def test_views_that_are_not_told_are_no_zero() -> None:
    """A platform without views reads as one that nobody watches."""
    one = post(1, MONDAY, (DAY, None))
    assert weeks_of([one], MONDAY + 8 * DAY)[0].views_low is None
    growth = growth_of([one], MONDAY + 30 * DAY)
    assert (growth.change, growth.needs_days, growth.because) == (None, None, "no views were told of any post")


def weekly(week: int, *views: int) -> list[Post]:
    start = MONDAY + week * timedelta(weeks=1)
    return [post(100 * week + at, start + at * DAY / 2, (2 * DAY, count)) for at, count in enumerate(views)]


def test_growth_is_told_with_its_interval_and_its_posts() -> None:
    """A rise of a few lucky posts reads as certain."""
    posts = [*weekly(0, 100, 130, 90, 110), *weekly(1, 200, 260, 190, 230)]
    growth = growth_of(posts, MONDAY + 17 * DAY)
    assert growth.change is not None
    assert growth.change == pytest.approx(1.05, abs=0.05)
    assert growth.low is not None
    assert growth.high is not None
    assert 0.4 < growth.low < growth.change < growth.high < 2.2
    assert growth.week == MONDAY + 7 * DAY
    assert {part.post_id for part in growth.of} == {one.post_id for one in posts}
    assert all(len(part.snapshots) == 1 for part in growth.of)


def test_without_spread_there_is_no_interval() -> None:
    """Six posts with equal views read as growth that is certain."""
    growth = growth_of([*weekly(0, 0, 0, 0), *weekly(1, 9, 9, 9)], MONDAY + 17 * DAY)
    assert growth.change == pytest.approx(9.0)
    assert (growth.low, growth.high) == (None, None)
    assert "without spread there is no interval" in growth.because
    group = Group(kind="account", name="x:1", weeks=(), growth=growth)
    assert "+900% in a week (no interval); " in render([group])


def test_the_interval_is_welchs() -> None:
    """Another formula under the same name."""
    posts = [*weekly(0, 9, 99, 999), *weekly(1, 99, 999, 9999)]
    growth = growth_of(posts, MONDAY + 17 * DAY)
    # The logarithms differ by ln 10, each variance is (ln 10)^2: the error is ln 10 sqrt(2/3); t(0.975, 4) = 2.7764.
    assert growth.change == pytest.approx(9.0)
    assert growth.low == pytest.approx(10 ** (1 - 2.7764451 * (2 / 3) ** 0.5) - 1, rel=1e-6)
    assert growth.high == pytest.approx(10 ** (1 + 2.7764451 * (2 / 3) ** 0.5) - 1, rel=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """An interval that is too narrow sells chance as growth."""
    chance = random.Random(7)
    runs, held = 600, 0
    for _ in range(runs):
        weeks = [[max(0, round(chance.lognormvariate(7, 0.8))) for _ in range(6)] for _ in range(2)]
        growth = growth_of([*weekly(0, *weeks[0]), *weekly(1, *weeks[1])], MONDAY + 17 * DAY)
        assert growth.low is not None
        assert growth.high is not None
        held += growth.low <= 0 <= growth.high
    assert 0.92 <= held / runs <= 0.98


@pytest.mark.parametrize(
    ("after", "days"),
    [
        (timedelta(days=1), 16),  # the first week runs: two weeks and two and a half days from Monday
        (timedelta(days=10), 7),
        (timedelta(days=16), 1),
    ],
)
def test_days_that_are_missing_are_counted(after: timedelta, days: int) -> None:
    """Too little data, without a day on which there is enough, makes people look every day."""
    now = MONDAY + after
    posts = [one for one in [*weekly(0, 1, 2, 3), *weekly(1, 4, 5, 6)] if one.shown_at <= now]
    growth = growth_of(posts, now)
    assert (growth.change, growth.needs_days) == (None, days)
    assert growth_of([*weekly(0, 1, 2, 3), *weekly(1, 4, 5, 6)], now + days * DAY).change is not None


def test_a_week_without_enough_posts_starts_anew() -> None:
    """A promise of days that cannot be kept."""
    posts = [*weekly(0, 1, 2, 3), *weekly(1, 4)]
    now = MONDAY + 17 * DAY
    growth = growth_of(posts, now)
    assert "there are 3 and 1" in growth.because
    assert growth.needs_days == 14  # the third and the fourth week, and two and a half days
    assert growth.posts == (3, 1)


def test_posts_that_were_measured_too_late_do_not_count() -> None:
    """A post at three days against one at two grows by its age alone."""
    late = [post(at, MONDAY + at * DAY, (3 * DAY, 1000)) for at in range(4)]
    assert growth_of([*late, *weekly(1, 1, 2, 3)], MONDAY + 17 * DAY).change is None


def test_groups_are_accounts_niches_and_platforms() -> None:
    """A niche that is not known is no niche."""
    posts = [post(1, MONDAY, (DAY, 1)), post(2, MONDAY, (DAY, 1), niche="")]
    found = groups_of(posts, MONDAY + 3 * DAY)
    assert [(group.kind, group.name, group.weeks[0].posts) for group in found] == [
        ("account", "x:1", 2), ("niche", "sea", 1), ("platform", "x", 2),
    ]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=len(SNAPSHOTS), max_size=len(SNAPSHOTS)), st.integers(0, 6 * 24))
def test_all_weeks_together_bound_all_views(gains: list[int], hours: int) -> None:
    """Weeks that do not add up to what was measured have lost or doubled views."""
    total, shots = 0, []
    for age, gain in zip(SNAPSHOTS, gains, strict=True):
        total += gain
        shots.append((age, total))
    one = post(1, MONDAY + timedelta(hours=hours), *shots)
    weeks = weeks_of([one], one.shown_at + 31 * DAY)
    assert sum(week.views_low or 0 for week in weeks) <= total
    assert sum(week.views_high or 0 for week in weeks) >= total
