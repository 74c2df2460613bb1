"""How accounts, niches and platforms grow from week to week, told from stored snapshots alone. Pure.

Views of a week lie between two bounds: counts only grow, so at a week's end a post has no fewer views than its last
snapshot before and no more than its first snapshot after. Nothing is put in between.
Growth compares posts of two weeks at one age, two days, so that older posts do not look better for being older: the
ratio of the geometric means of their views, with the 95 % interval of Welch's t on the logarithms of views + 1.
Sources: Welch 1947, Biometrika 34; Satterthwaite 1946, Biometrics Bulletin 2 (degrees of freedom).
Weeks begin on Monday, 00:00 UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean, variance
from typing import Final, Literal

from msgspec import Struct
from scipy import stats  # type: ignore[import-untyped] # it ships no types

from actors.tracker.schedule import SNAPSHOTS
from contracts.clock import Utc

__all__ = [
    "AGE",
    "MIN_POSTS",
    "Group",
    "Growth",
    "Post",
    "Shot",
    "Traced",
    "Week",
    "groups_of",
    "growth_of",
    "weeks_of",
]

WEEK: Final = timedelta(weeks=1)
AGE: Final = timedelta(days=2)
AGE_SLACK: Final = timedelta(hours=12)
"""How late the snapshot at that age may have been taken."""
MIN_POSTS: Final = 3
"""Posts that each of two weeks must have; fewer show no spread."""
MOST_WEEKS: Final = 8

Kind = Literal["account", "niche", "platform"]


class Shot(Struct, frozen=True, kw_only=True):
    """A snapshot. views None: the platform told none."""

    bucket: int
    measured_at: Utc
    age_s: int
    views: int | None


class Post(Struct, frozen=True, kw_only=True):
    """A published post with its snapshots, oldest first. shown_at: since when people can see it."""

    post_id: str
    platform: str
    account_id: str
    niche: str
    shown_at: Utc
    shots: tuple[Shot, ...] = ()


class Traced(Struct, frozen=True, kw_only=True):
    """Where a number comes from: a post and its snapshots. low, high: its part; None: no snapshot bounds it yet."""

    post_id: str
    low: int
    high: int | None
    snapshots: tuple[Utc, ...]


class Week(Struct, frozen=True, kw_only=True):
    """One week. views_low, views_high: views gained in it by all posts followed then; None: `because` says why."""

    begins_at: Utc
    complete: bool
    posts: int
    views_low: int | None
    views_high: int | None
    because: str
    of: tuple[Traced, ...]


class Growth(Struct, frozen=True, kw_only=True):
    """Views of a post at the age of two days, one week against the week before; 0.2 is +20 %.

    low, high: its 95 % interval. What is null has its reason in `because`.
    """

    change: float | None = None
    low: float | None = None
    high: float | None = None
    week: Utc | None = None
    posts: tuple[int, int] | None = None
    needs_days: int | None = None
    because: str = ""
    of: tuple[Traced, ...] = ()


class Group(Struct, frozen=True, kw_only=True):
    """An account, a niche or a platform."""

    kind: Kind
    name: str
    weeks: tuple[Week, ...]
    growth: Growth


def groups_of(posts: Sequence[Post], now: datetime) -> tuple[Group, ...]:
    """Return every account, niche and platform of the posts, in alphabetical order."""
    ways: tuple[tuple[Kind, Callable[[Post], str]], ...] = (
        ("account", lambda post: post.account_id),
        ("niche", lambda post: post.niche),
        ("platform", lambda post: post.platform),
    )
    found = []
    for kind, named in ways:
        for name in sorted({named(post) for post in posts} - {""}):
            some = [post for post in posts if named(post) == name]
            found.append(Group(kind=kind, name=name, weeks=weeks_of(some, now), growth=growth_of(some, now)))
    return tuple(found)


def monday_of(at: datetime) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def weeks_of(posts: Sequence[Post], now: datetime) -> tuple[Week, ...]:
    """Return the last weeks since the first post, the running one included, oldest first."""
    if not posts:
        return ()
    last = monday_of(now)
    first = max(monday_of(min(post.shown_at for post in posts)), last - MOST_WEEKS * WEEK)
    count = (last - first) // WEEK + 1
    return tuple(_week(posts, first + number * WEEK, now) for number in range(count))


def _week(posts: Sequence[Post], begins_at: datetime, now: datetime) -> Week:
    ends_at = begins_at + WEEK
    new = sum(begins_at <= post.shown_at < ends_at for post in posts)
    parts = [part for post in posts if (part := _gain(post, begins_at, min(ends_at, now))) is not None]
    open_ended = sum(part.high is None for part in parts)
    because = ""
    if not parts:
        because = "no post has told views in or around it"
    elif open_ended:
        because = f"{open_ended} of {len(parts)} posts have no snapshot after it yet"
    return Week(
        begins_at=begins_at,
        complete=ends_at <= now,
        posts=new,
        views_low=sum(part.low for part in parts) if parts else None,
        views_high=None if open_ended or not parts else sum(part.high or 0 for part in parts),
        because=because,
        of=tuple(parts),
    )


def _gain(post: Post, begins_at: datetime, ends_at: datetime) -> Traced | None:
    """Bound what a post gained in a span; None: it was not out, it told no views, or it was not followed any more."""
    known = [(shot.measured_at, shot.views) for shot in post.shots if shot.views is not None]
    if not known or post.shown_at >= ends_at:
        return None
    followed = post.shots[-1].bucket < len(SNAPSHOTS) - 1
    points = [(post.shown_at, 0), *known]
    if not followed and points[-1][0] <= begins_at:
        return None
    before = [point for point in points if point[0] <= begins_at and post.shown_at < begins_at]
    until = [point for point in points if point[0] <= ends_at]
    since = [point for point in points if point[0] >= begins_at]
    after = [point for point in points if point[0] >= ends_at]
    start_low = before[-1][1] if before else 0
    start_high = (since[0][1] if since else None) if before else 0
    end_low = until[-1][1]
    end_high = after[0][1] if after else (None if followed else end_low)
    used = {at for some in (before[-1:], since[:1] if before else [], until[-1:], after[:1]) for at, _ in some}
    return Traced(
        post_id=post.post_id,
        low=0 if start_high is None else max(0, end_low - start_high),
        high=None if end_high is None else max(0, end_high - start_low),
        snapshots=tuple(sorted(used - {post.shown_at})),
    )


def growth_of(posts: Sequence[Post], now: datetime) -> Growth:
    """Compare the last two weeks whose posts have all reached the age. Nothing is told of too few posts."""
    if not posts:
        return Growth(because="nothing was published yet")
    if not any(shot.views is not None for post in posts for shot in post.shots):
        return Growth(because="no views were told of any post")
    ripe = monday_of(now - AGE - AGE_SLACK) - WEEK
    later, earlier = (_at_age(posts, week) for week in (ripe, ripe - WEEK))
    if len(later) < MIN_POSTS or len(earlier) < MIN_POSTS:
        days = _days_needed(posts, ripe, later=len(later), now=now)
        why = f"{MIN_POSTS} posts with views at the age of two days are needed in each of two weeks in a row; "
        why += f"there are {len(earlier)} and {len(later)}"
        return Growth(week=ripe, posts=(len(earlier), len(later)), needs_days=days, because=why)
    change, low, high = _compare([part.low for part in earlier], [part.low for part in later])
    because = f"{len(later)} posts of the week from {ripe:%Y-%m-%d} against {len(earlier)} of the week before"
    if low is None:
        because += "; the posts of each week have the same views, and without spread there is no interval"
    return Growth(
        change=change,
        low=low,
        high=high,
        week=ripe,
        posts=(len(earlier), len(later)),
        because=because,
        of=(*earlier, *later),
    )


def _at_age(posts: Sequence[Post], week: datetime) -> list[Traced]:
    """Return the views at the age of two days of each post of that week that has them."""
    found = []
    for post in posts:
        if not week <= post.shown_at < week + WEEK:
            continue
        fits = (
            shot
            for shot in post.shots
            if shot.views is not None and AGE <= timedelta(seconds=shot.age_s) <= AGE + AGE_SLACK
        )
        if (shot := next(fits, None)) is not None and shot.views is not None:
            found.append(Traced(post_id=post.post_id, low=shot.views, high=shot.views, snapshots=(shot.measured_at,)))
    return found


def _days_needed(posts: Sequence[Post], ripe: datetime, *, later: int, now: datetime) -> int:
    """Return the days until two weeks could have enough, if enough is posted from now on; those begun may count."""

    def ready(week: datetime) -> int:
        return math.ceil((week + WEEK + AGE + AGE_SLACK - now) / timedelta(days=1))

    def could(week: datetime) -> bool:
        """A week that is over must have enough posts; one that is not may still get them."""
        return week + WEEK > now or sum(week <= post.shown_at < week + WEEK for post in posts) >= MIN_POSTS

    week = ripe + WEEK
    good = later >= MIN_POSTS
    while not (good and could(week)):
        good = could(week)
        week += WEEK
    return ready(week)


def _compare(earlier: Sequence[int], later: Sequence[int]) -> tuple[float, float | None, float | None]:
    """Return the ratio less one and its 95 % interval; None: without spread there is none."""
    a, b = ([math.log1p(views) for views in some] for some in (earlier, later))
    error_a, error_b = variance(a) / len(a), variance(b) / len(b)
    error = error_a + error_b
    middle = fmean(b) - fmean(a)
    if error == 0:
        return math.expm1(middle), None, None
    freedom = error**2 / (error_a**2 / (len(a) - 1) + error_b**2 / (len(b) - 1))
    reach = float(stats.t.ppf(0.975, freedom)) * math.sqrt(error)
    return math.expm1(middle), math.expm1(middle - reach), math.expm1(middle + reach)
