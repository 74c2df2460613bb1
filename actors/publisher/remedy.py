"""A person's word on a post: it is there, it is not, it is given up. Stored and told, under the post's own lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import Struct

from actors import platforms
from actors.publisher.draft import fresh
from actors.publisher.dress import additions
from actors.publisher.posts import Q
from actors.runtime import slots
from actors.runtime.clock import Clock
from actors.runtime.db import Database, Record, into
from actors.runtime.ledger import Ledger, Tx
from contracts.errors import Reject, Snooze
from contracts.events import Destination, PostPublished, PostRequested
from contracts.ids import AccountId, ItemId, PostId
from contracts.platform import Draft

__all__ = ["Line", "Remedy"]

SENDER: Final = "publisher"
LEASE_S: Final = 15.0


class Line(Struct, frozen=True, kw_only=True):
    """One post in a list."""

    post_id: PostId
    item_id: ItemId
    platform: str
    account_id: AccountId | None
    state: str
    because: str
    next_action: str
    title: str
    url: str | None
    updated_at: datetime


class Remedy:
    """The posts of one database, for people."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._ledger = Ledger(db, sender=SENDER, clock=clock, ttl_s=LEASE_S)

    async def listed(self, *, state: str | None = None, limit: int = 200) -> tuple[Line, ...]:
        return tuple(into(Line, row) for row in await self._db.fetch(Q["list_posts"], state, limit))

    async def shown(self, post: str) -> dict[str, Any]:
        """Return everything that is known, but for the secret session. Raises: Reject if there is no such post."""
        return dict(await self._found(post))

    async def there(self, post: str, *, url: str, platform_post_id: str = "") -> str:
        """It is at `url`: note it as published, and tell. Raises: Reject."""
        row = await self._found(post)
        post_id = PostId(row["post_id"])
        _refuse_settled(row)
        if row["account_id"] is None:
            raise Reject(f"post {post_id} was sent to no account yet", mend="There is nothing to settle")
        platform_post_id = platform_post_id or row["platform_post_id"] or _id_in(row["platform"], url)
        note = f"a person said on {self._clock.now():%Y-%m-%d %H:%M} UTC that it is there"
        draft = msgspec.convert(row["draft"], Draft)
        added, shown_at = " and ".join(additions(draft)), draft.publish_at
        look = f"see whether it has its {added}; add what is missing by hand: {url}" if added else ""
        try:
            async with self._settling(row) as tx:
                now = self._clock.now()
                await tx.conn.execute(Q["settle"], post_id, "url", row["state"], "", "", now)
                values = (platform_post_id, url, row["privacy"], note, now, look)
                await tx.conn.execute(Q["set_published"], post_id, *values)
                tx.emit(
                    PostPublished(
                        item_id=row["item_id"],
                        post_id=post_id,
                        platform=row["platform"],
                        account_id=row["account_id"],
                        platform_post_id=platform_post_id,
                        url=url,
                        privacy=row["privacy"],
                        published_at=now,
                        shown_at=shown_at if shown_at is not None and shown_at > now else None,
                    )
                )
        except asyncpg.UniqueViolationError as error:
            raise Reject(f"{url} is another post's already", mend="See `ettametta posts list`") from error
        return f"post {post_id} is published: {url}"

    async def absent(self, post: str) -> str:
        """It is not there: forget what was sent, and ask for it anew. Raises: Reject."""
        row = await self._found(post)
        _refuse_settled(row)
        if row["platform_post_id"]:
            raise Reject(f"the platform confirmed it: {row['url']}", mend="Take it down there first")
        if not row["upload_begun"]:
            raise Reject(
                f"nothing of post {row['post_id']} was sent", mend="Retry its dead letter, or ask for it again"
            )
        note = f"a person said on {self._clock.now():%Y-%m-%d %H:%M} UTC that it is not there"
        async with self._settling(row) as tx:
            values = ("absent", "claimed", f"{note}: it is sent anew", "none: it goes on by itself")
            await tx.conn.execute(Q["settle"], row["post_id"], *values, self._clock.now())
            tx.emit(fresh(msgspec.convert(row["request"], PostRequested)))
        return f"post {row['post_id']} is sent anew"

    async def dropped(self, post: str) -> str:
        """It is given up; one that was taken down is put away, and stays known as taken down. Raises: Reject.

        What may be there stays known, so that a new wish for it asks first.
        """
        row = await self._found(post)
        if row["state"] == "removed":
            return await self._put_away(row)
        _refuse_settled(row)
        async with self._settling(row) as tx:
            because = f"a person gave it up on {self._clock.now():%Y-%m-%d %H:%M} UTC; it was {row['state']}"
            again = "none; ask for it again with `ettametta post`"
            await tx.conn.execute(Q["settle"], row["post_id"], "dropped", "failed", because, again, self._clock.now())
            named = (row["request"].get("destination") or {}).get("account_id")
            await slots.release(tx.conn, row["item_id"], Destination(platform=row["platform"], account_id=named))
        return f"post {row['post_id']} is given up"

    async def _put_away(self, row: Record) -> str:
        """Keep the reason as the platform gave it: if the post comes back, the pause that it brought about is found."""
        if row["settled"] == "dropped":
            raise Reject(f"post {row['post_id']} is put away already", mend="Nothing is to be done")
        async with self._settling(row) as tx:
            now = self._clock.now()
            done = f"none: a person put it away on {now:%Y-%m-%d %H:%M} UTC"
            await tx.conn.execute(Q["settle"], row["post_id"], "dropped", "removed", row["because"], done, now)
        return f"post {row['post_id']} is put away: {row['because']}"

    @asynccontextmanager
    async def _settling(self, row: Record) -> AsyncIterator[Tx]:
        """Open a fenced transaction on a post that nobody works on and that is as it was read. Raises: Reject."""
        post_id = row["post_id"]
        try:
            async with (
                self._ledger.lease(f"post:{post_id}") as lease,
                self._ledger.unit(
                    seed=f"settle/{post_id}/{self._clock.now().isoformat()}",
                    correlation_id=row["correlation_id"],
                    causation_id=None,
                    leases=(lease,),
                ) as tx,
            ):
                if await tx.conn.fetchval(Q["changed_at"], post_id) != row["updated_at"]:
                    raise Reject(f"post {post_id} changed just now", mend="Look at it again: ettametta posts show")
                yield tx
        except Snooze as error:
            raise Reject(f"post {post_id} is being worked on", mend="Try again in a minute") from error

    async def _found(self, post: str) -> Record:
        """Return a post by its id or the beginning of it."""
        rows = await self._db.fetch(Q["like_id"], post)
        if len(rows) != 1 or not post:
            what = "no post" if not rows else "more than one post"
            raise Reject(f"there is {what} whose id begins with '{post}'", mend="See `ettametta posts list`")
        row = await self._db.fetchrow(Q["show_post"], rows[0]["post_id"])
        assert row is not None
        return row


def _refuse_settled(row: Record) -> None:
    if row["state"] in {"published", "removed"}:
        raise Reject(f"post {row['post_id']} is {row['state']}: {row['url']}", mend="There is nothing to settle")


def _id_in(platform: str, url: str) -> str:
    """Return the id that an address holds, where the platform's module can tell. Raises: Reject."""
    read = getattr(platforms.module(platform), "id_in", None)
    found = read(url) if read is not None else None
    if not found:
        raise Reject(f"the address does not tell the id of a {platform} post", mend="Add --id, its id there")
    return str(found)
