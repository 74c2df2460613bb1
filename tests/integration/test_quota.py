"""Quota, pauses and kept answers, in PostgreSQL and in one process: the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from actors.runtime.cache import Cache, Kept, OwnCache, SharedCache
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.quota import Bucket, OwnQuota, Pause, Quota, SharedQuota, window_of
from contracts.errors import RateLimited

SEARCHES = Bucket(name="searches", limit=100, zone="America/Los_Angeles")
MINUTE = Bucket(name="minute", limit=3, window_s=60)


class HandClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["shared", "own"])
def quota_of(request: pytest.FixtureRequest, clock: HandClock) -> Callable[[], Quota]:
    if request.param == "own":
        own = OwnQuota(clock)
        return lambda: own
    database: Database = request.getfixturevalue("database")
    return lambda: SharedQuota(database, clock)


async def test_quota_is_never_exceeded_however_many_spend(quota_of: Callable[[], Quota], clock: HandClock) -> None:
    """Replicas that each count for themselves spend the day's quota several times."""
    replicas = [quota_of() for _ in range(4)]

    tries = (replicas[at % 4].spend("youtube", SEARCHES) for at in range(130))
    ends = await asyncio.gather(*tries, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, RateLimited)]
    assert len(refused) == 30
    assert {end.until for end in refused} == {datetime(2026, 11, 23, 8, tzinfo=UTC)}
    assert sorted(end for end in ends if isinstance(end, int)) == list(range(100))
    assert await replicas[0].left("youtube", SEARCHES) == 0
    clock.at += timedelta(minutes=30)
    assert await replicas[1].left("youtube", SEARCHES) == 100, "midnight in Los Angeles gives a new quota"


async def test_refused_spending_takes_nothing(quota_of: Callable[[], Quota]) -> None:
    """A call that costs more than is left must leave the rest to a cheaper one."""
    quota = quota_of()
    assert await quota.spend("a", MINUTE, cost=2) == 1
    with pytest.raises(RateLimited):
        await quota.spend("a", MINUTE, cost=2)
    with pytest.raises(RateLimited):
        await quota.spend("b", MINUTE, cost=4)
    assert await quota.spend("a", MINUTE) == 0
    assert await quota.left("b", MINUTE) == 3


async def test_platform_that_says_nothing_is_left_is_believed(quota_of: Callable[[], Quota]) -> None:
    """Another program may spend the same quota: what the platform says counts, not what was counted here."""
    quota = quota_of()
    await quota.spend("a", MINUTE)
    await quota.exhaust("a", MINUTE)
    assert await quota.left("a", MINUTE) == 0


async def test_later_pause_counts(quota_of: Callable[[], Quota], clock: HandClock) -> None:
    """A shorter pause told by a slower replica must not end a longer one."""
    quota, other = quota_of(), quota_of()
    await quota.pause("a", Pause(until=clock.at + timedelta(minutes=5), because="429"))
    await other.pause("a", Pause(until=clock.at + timedelta(minutes=1), because="429 too"))
    clock.at += timedelta(minutes=4)
    assert (await other.paused("a")) == Pause(until=clock.at + timedelta(minutes=1), because="429")
    assert await other.paused("b") is None
    clock.at += timedelta(minutes=1)
    assert await quota.paused("a") is None


def test_days_have_the_length_that_the_zone_gives_them() -> None:
    """On the days of the clock change a fixed 24 hours would spend tomorrow's quota today."""
    begins, ends = window_of(SEARCHES, datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert ends - begins == timedelta(hours=25)
    assert begins == datetime(2026, 11, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize("shared", [True, False])
async def test_answers_are_kept(shared: bool, database: Database, clock: HandClock) -> None:  # noqa: FBT001 - the case
    """An answer that is not found again costs quota twice."""
    cache: Cache = SharedCache(database, clock) if shared else OwnCache()
    assert await cache.get("k") is None
    kept = Kept(body=b"\x00{}", etag='W/"1"', fetched_at=clock.at, fresh_until=clock.at + timedelta(hours=1))
    await cache.put("k", kept)
    assert await (SharedCache(database, clock) if shared else cache).get("k") == kept


async def test_old_answers_are_forgotten(database: Database, clock: HandClock) -> None:
    """A cache that only grows fills the database."""
    cache = SharedCache(database, clock)
    await cache.put("old", Kept(body=b"1", etag=None, fetched_at=clock.at, fresh_until=clock.at))
    clock.at += timedelta(days=8)
    await cache.put("new", Kept(body=b"2", etag=None, fetched_at=clock.at, fresh_until=clock.at))
    assert await cache.get("old") is None
    assert await cache.get("new") is not None
