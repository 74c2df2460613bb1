"""What platforms were asked for, and until when they want peace: one account for all replicas.

A bucket is counted in windows that begin at the platform's own moments: its midnight, its minute. Spending comes
before the request, so that a quota is never exceeded; a request that then fails is spent all the same, as platforms
count it too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.db import Database, load_queries
from contracts.clock import Utc
from contracts.errors import RateLimited

__all__ = ["Bucket", "OwnQuota", "Pause", "Quota", "SharedQuota", "window_of"]

Q: Final = load_queries(Path(__file__).with_name("quota.sql"))
DAY_S: Final = 86_400


class Bucket(Struct, frozen=True, kw_only=True):
    """One quota of one platform.

    limit: units in a window, count; window_s: length of a window, seconds. Windows of a day begin at midnight in
    `zone`, all others at whole multiples since 1970.
    """

    name: str
    limit: int
    window_s: int = DAY_S
    zone: str = "UTC"


class Pause(Struct, frozen=True, kw_only=True):
    """Until when a platform is left alone, and why."""

    until: Utc
    because: str


class Quota(Protocol):
    """The account. Implemented for all replicas and for one process."""

    async def spend(self, platform: str, bucket: Bucket, cost: int = 1) -> int:
        """Take `cost` units; return how many are left. Raises: RateLimited until the window ends, nothing taken."""
        ...

    async def left(self, platform: str, bucket: Bucket) -> int:
        """Return how many units of the present window are left."""
        ...

    async def exhaust(self, platform: str, bucket: Bucket) -> None:
        """Take all that is left: the platform says that nothing is."""
        ...

    async def pause(self, platform: str, pause: Pause) -> None:
        """Leave the platform alone; the later of two pauses counts."""
        ...

    async def paused(self, platform: str) -> Pause | None:
        """Return the pause that is in force; None: the platform may be asked."""
        ...


def window_of(bucket: Bucket, now: datetime) -> tuple[datetime, datetime]:
    """Return when the window that `now` lies in begins and ends, aware UTC."""
    if bucket.window_s == DAY_S:
        zone = ZoneInfo(bucket.zone)
        local = now.astimezone(zone)
        begins = datetime(local.year, local.month, local.day, tzinfo=zone)
        following = local.date() + timedelta(days=1)
        ends = datetime(following.year, following.month, following.day, tzinfo=zone)
        return begins.astimezone(UTC), ends.astimezone(UTC)
    since = int(now.timestamp()) // bucket.window_s * bucket.window_s
    begins = datetime.fromtimestamp(since, UTC)
    return begins, begins + timedelta(seconds=bucket.window_s)


def _spent(platform: str, bucket: Bucket, ends: datetime) -> RateLimited:
    return RateLimited(f"{platform}: the quota '{bucket.name}' of {bucket.limit} is spent", until=ends)


class SharedQuota:
    """The account in PostgreSQL."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def spend(self, platform: str, bucket: Bucket, cost: int = 1) -> int:
        begins, ends = window_of(bucket, self._clock.now())
        used = await self._db.fetchval(Q["spend"], platform, bucket.name, begins, ends, cost, bucket.limit)
        if used is None:
            raise _spent(platform, bucket, ends)
        return bucket.limit - int(used)

    async def left(self, platform: str, bucket: Bucket) -> int:
        begins, _ = window_of(bucket, self._clock.now())
        used = await self._db.fetchval(Q["used"], platform, bucket.name, begins)
        return max(0, bucket.limit - int(used or 0))

    async def exhaust(self, platform: str, bucket: Bucket) -> None:
        begins, ends = window_of(bucket, self._clock.now())
        await self._db.execute(Q["exhaust"], platform, bucket.name, begins, ends, bucket.limit)

    async def pause(self, platform: str, pause: Pause) -> None:
        await self._db.execute(Q["pause"], platform, pause.until, pause.because)

    async def paused(self, platform: str) -> Pause | None:
        row = await self._db.fetchrow(Q["paused"], platform, self._clock.now())
        return None if row is None else Pause(until=row["until"], because=row["because"])


class OwnQuota:
    """The account of one process that has no database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: dict[tuple[str, str, datetime], int] = {}
        self._pauses: dict[str, Pause] = {}

    async def spend(self, platform: str, bucket: Bucket, cost: int = 1) -> int:
        begins, ends = window_of(bucket, self._clock.now())
        key = (platform, bucket.name, begins)
        used = self._used.get(key, 0) + cost
        if used > bucket.limit:
            raise _spent(platform, bucket, ends)
        self._used[key] = used
        return bucket.limit - used

    async def left(self, platform: str, bucket: Bucket) -> int:
        begins, _ = window_of(bucket, self._clock.now())
        return max(0, bucket.limit - self._used.get((platform, bucket.name, begins), 0))

    async def exhaust(self, platform: str, bucket: Bucket) -> None:
        begins, _ = window_of(bucket, self._clock.now())
        self._used[(platform, bucket.name, begins)] = bucket.limit

    async def pause(self, platform: str, pause: Pause) -> None:
        known = self._pauses.get(platform)
        if known is None or known.until < pause.until:
            self._pauses[platform] = pause

    async def paused(self, platform: str) -> Pause | None:
        known = self._pauses.get(platform)
        return known if known is not None and known.until > self._clock.now() else None
