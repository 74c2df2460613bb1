"""Room among the posts of a day: kept before a video is rendered, so that none is paid for that cannot be posted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from actors.runtime.db import Connection, Database, load_queries
from contracts.errors import RateLimited
from contracts.events import Destination
from contracts.ids import AccountId, ItemId

__all__ = ["DAY", "PostsPerDay", "release", "reserve"]

Q: Final = load_queries(Path(__file__).with_name("slots.sql"))
DAY: Final = timedelta(hours=24)


class PostsPerDay(Struct, frozen=True, kw_only=True):
    """The most posts of 24 hours; null: no limit. account: of one account; project: of all that one client uploads."""

    account: int | None = None
    project: int | None = None


async def reserve(
    db: Database,
    item: ItemId,
    destination: Destination,
    most: PostsPerDay,
    *,
    now: datetime,
    account: AccountId | None = None,
) -> None:
    """Keep room for one post, once per item and destination.

    Args: account: the one that was chosen; None: as the destination names it.
    Raises: RateLimited until there is room.
    """
    if most == PostsPerDay():
        return
    named = destination.account_id or ""
    async with db.transaction() as conn:
        await conn.execute(Q["serialise"], destination.platform)
        for limit, whose, of in (
            (most.account, account or destination.account_id, "the account's"),
            (most.project, None, "the project's"),
        ):
            if limit is None:
                continue
            rows = await conn.fetch(Q["taken"], destination.platform, whose, now - DAY, item, named)
            taken = [row["at"] for row in rows]
            if len(taken) >= limit:
                free_at = taken[len(taken) - limit] + DAY
                raise RateLimited(f"{of} {limit} posts of a day on {destination.platform} are taken", until=free_at)
        await conn.execute(Q["reserve"], item, destination.platform, named, now)


async def release(conn: Database | Connection, item: ItemId, destination: Destination) -> None:
    """Give the room back, of a post that has ended; a published one counts by itself."""
    await conn.execute(Q["release"], item, destination.platform, destination.account_id or "")
