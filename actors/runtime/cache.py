"""Answers of platforms that are asked again: kept for a stated time, then confirmed by ETag where there is one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.db import Database, load_queries
from contracts.clock import Utc

__all__ = ["Cache", "Kept", "OwnCache", "SharedCache"]

Q: Final = load_queries(Path(__file__).with_name("cache.sql"))

KEPT: Final = timedelta(days=7)
"""Age at which an answer that nobody asked for again is forgotten."""
MOST_OWN: Final = 1_000


class Kept(Struct, frozen=True, kw_only=True):
    """An answer. etag None: the platform sent none; until fresh_until it is used unasked."""

    body: bytes
    etag: str | None
    fetched_at: Utc
    fresh_until: Utc


class Cache(Protocol):
    """Where answers are kept, by a key that holds no secret."""

    async def get(self, key: str) -> Kept | None: ...

    async def put(self, key: str, kept: Kept) -> None: ...


class SharedCache:
    """Answers in PostgreSQL, for all replicas."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def get(self, key: str) -> Kept | None:
        row = await self._db.fetchrow(Q["get"], key)
        if row is None:
            return None
        return Kept(body=row["body"], etag=row["etag"], fetched_at=row["fetched_at"], fresh_until=row["fresh_until"])

    async def put(self, key: str, kept: Kept) -> None:
        await self._db.execute(Q["put"], key, kept.body, kept.etag, kept.fetched_at, kept.fresh_until)
        await self._db.execute(Q["prune"], _oldest(self._clock.now()))


class OwnCache:
    """Answers of one process that has no database."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    async def get(self, key: str) -> Kept | None:
        return self._kept.get(key)

    async def put(self, key: str, kept: Kept) -> None:
        self._kept[key] = kept
        if len(self._kept) > MOST_OWN:
            del self._kept[min(self._kept, key=lambda one: self._kept[one].fetched_at)]


def _oldest(now: datetime) -> datetime:
    return now - KEPT
