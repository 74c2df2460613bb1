"""Rows of posts, and the account that a post goes to. Writes are fenced by the post's lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.runtime.db import Connection, into, load_queries
from actors.runtime.ledger import Lease
from actors.runtime.work import Services
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.ids import AccountId, CorrelationId, ItemId, ObjectKey, PostId
from contracts.platform import Draft, RemotePost, UploadCheckpoint

__all__ = ["Account", "Held", "Post", "Posts", "Q", "Session", "choose_account"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))

OWN_FILES: Final = "post:"
"""Begins the ids of files that a person posts without having imported them."""


class Post(Struct, frozen=True, kw_only=True):
    """A row of `posts`."""

    post_id: PostId
    item_id: ItemId
    platform: str
    account_id: AccountId | None
    state: str
    because: str
    next_action: str
    draft: Draft
    object_key: ObjectKey
    size_bytes: int
    session: bytes | None
    platform_post_id: str | None
    url: str | None
    privacy: str | None
    correlation_id: CorrelationId
    settled: Literal["url", "absent", "dropped"] | None
    rendered_again: str | None
    asked_at: Utc | None
    superseded: tuple[CorrelationId, ...]
    uploads: int

    def outdates(self, request: PostRequested) -> bool:
        """Whether a newer asking stands in the row. What the engine asks again belongs to the asking it began with."""
        if request.correlation_id == self.correlation_id:
            return False
        if request.correlation_id in self.superseded:
            return True
        asked_at = request.occurred_at
        return self.asked_at is not None and asked_at is not None and asked_at < self.asked_at


class Session(Struct, frozen=True, kw_only=True):
    """An upload session and what is known of it; stored encrypted, because its address is a secret."""

    checkpoint: UploadCheckpoint
    may_exist: bool = False
    """A request that may have made the post has left, or may have: it may exist."""
    unanswered: int = 0
    """How many such requests left whose refusal is not certain."""
    refused_at: Utc | None = None
    """When the platform said that the session takes no more bytes; bytes that it takes after all undo that."""
    told: bool = False
    """A person was told that the outcome is unknown."""
    working_since: Utc | None = None
    """Since when the platform has everything and works on it."""


class Account(Struct, frozen=True, kw_only=True):
    account_id: AccountId
    state: str
    state_because: str
    paused_at: Utc | None = None
    paused_because: str = ""


class Held(Struct, frozen=True):
    """No account can be used now, so the post waits. next_action: empty, connecting one lets it go on."""

    because: str
    next_action: str = ""


def choose_account(
    accounts: list[Account], *, wanted: AccountId | None, platform: str, asks_only: bool = False
) -> Account | Held:
    """Return the account to post with, or why the post waits.

    Args: asks_only: the post may be there already; a paused account is asked for it all the same.
    Raises: Reject if several are connected and none is named.
    """
    connected = [account for account in accounts if account.state == "connected"]
    if wanted is not None:
        connected = [account for account in connected if account.account_id == wanted]
    if len(connected) > 1:
        names = ", ".join(account.account_id for account in connected)
        raise Reject(
            f"{len(connected)} {platform} accounts are connected: {names}",
            mend="Name one: --account ID, or in the destination",
        )
    for account in connected:
        if account.paused_at is None or asks_only:
            return account
        return Held(
            f"{account.account_id} is paused: {account.paused_because}",
            f"look into that, then: ettametta accounts resume {account.account_id}",
        )
    return Held(f"no {platform} account is connected" if wanted is None else f"{wanted} is not connected")


class Posts:
    """One post's row, as its lease holder writes it."""

    def __init__(self, services: Services, lease: Lease, post_id: PostId) -> None:
        self.post_id = post_id
        self._services = services
        self._lease = lease

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator[Connection]:
        """Open a transaction that commits only while the lease is held. Raises: LeaseLost."""
        ledger = self._services.ledger
        seed = f"post/{self.post_id}"
        async with ledger.unit(
            seed=seed, correlation_id=CorrelationId(""), causation_id=None, leases=(self._lease,)
        ) as tx:
            yield tx.conn

    async def intend(self, request: PostRequested, draft: Draft, *, size_bytes: int) -> Post:
        """Write the intent, before the first outside call.

        What was begun or published stays as it is, and so does what a newer asking wrote.
        """
        now = self._services.clock.now()
        content = (draft, request.key, size_bytes, request.correlation_id, request, now, request.occurred_at)
        async with self.fenced() as conn:
            if request.item_id.startswith(OWN_FILES):
                shown = (draft.title, request.rights, request.destination, now)
                await conn.execute(Q["put_item"], request.item_id, request.correlation_id, *shown)
            await conn.execute(Q["put_intent"], self.post_id, request.item_id, request.destination.platform, *content)
            post = await self._read(conn)
            if post.outdates(request):
                return post
            await conn.execute(Q["renew_intent"], self.post_id, *content)
            asking = (request.correlation_id, request, now, request.occurred_at)
            await conn.execute(Q["renew_dropped"], self.post_id, *asking)
            return await self._read(conn)

    async def dress(self, request: PostRequested) -> PostRequested:
        """Return the request with the thumbnail and subtitles that its asking named before it was rendered again."""
        row = await self._services.db.fetchrow(Q["dress_of"], self.post_id, request.correlation_id)
        if row is None:
            return request
        return replace(
            request,
            thumbnail_key=request.thumbnail_key or row["thumbnail_key"],
            subtitles_key=request.subtitles_key or row["subtitles_key"],
        )

    async def claim(self, request: PostRequested, post: Post) -> tuple[Post, Account | Held]:
        """Choose the account and note it.

        Raises: Reject if several accounts could be meant, or the item was posted to that account by another post.
        """
        account: Account | Held | None = None
        try:
            async with self.fenced() as conn:
                account = await self.account(conn, request, post)
                if isinstance(account, Account):
                    now = self._services.clock.now()
                    await conn.execute(Q["release_account"], self.post_id, post.item_id, account.account_id, now)
                    await conn.execute(Q["claim"], self.post_id, account.account_id, now)
                return await self._read(conn), account
        except asyncpg.UniqueViolationError:
            assert isinstance(account, Account)
            raise await self._taken(post, account.account_id) from None

    async def _taken(self, post: Post, account: AccountId) -> Reject:
        row = await self._services.db.fetchrow(Q["posted_to"], post.item_id, account)
        if row is None:  # it was given up in between
            return Reject(f"another post of the same item was under way to {account}", mend="Ask for it again")
        if row["state"] in {"published", "removed"}:
            where = f" ({row['url']})" if row["url"] else ""
            reason = f"already posted to that account by post {row['post_id']}{where}"
            return Reject(reason, mend="Nothing is to be done")
        return Reject(
            f"already being posted to that account by post {row['post_id']}, which is {row['state']}",
            mend=f"See it: ettametta posts show {row['post_id']}",
        )

    async def account(self, conn: Connection, request: PostRequested, post: Post) -> Account | Held:
        """Choose the account: an open session's, the one that is named, or the one that was chosen before.

        A post of which nothing was sent is free again when its account was disconnected.
        """
        accounts = [into(Account, row) for row in await conn.fetch(Q["list_accounts"], post.platform)]
        gone = {account.account_id for account in accounts if account.state == "disconnected"}
        wanted = post.account_id
        if post.session is None:
            wanted = request.destination.account_id or (None if wanted in gone else wanted)
        return choose_account(accounts, wanted=wanted, platform=post.platform, asks_only=self.may_exist(post))

    def may_exist(self, post: Post) -> bool:
        """Whether the post may be on the platform already."""
        return post.session is not None and self.open(post.session).may_exist

    async def read(self) -> Post:
        async with self.fenced() as conn:
            return await self._read(conn)

    async def _read(self, conn: Connection) -> Post:
        row = await conn.fetchrow(Q["lock_post"], self.post_id)
        assert row is not None
        return into(Post, row)

    def open(self, sealed: bytes) -> Session:
        """Raises: Reject if it was encrypted with a key that is not here."""
        return msgspec.json.decode(self._services.tokens.secrets.decrypt(sealed), type=Session)

    def _seal(self, session: Session) -> bytes:
        return self._services.tokens.secrets.encrypt(msgspec.json.encode(session))

    async def store_session(self, session: Session) -> None:
        await self._write("store_session", self._seal(session))

    async def update_session(self, session: Session) -> None:
        await self._write("update_session", self._seal(session))

    async def drop_session(self, because: str) -> None:
        await self._write("drop_session", because)

    async def land(self, remote: RemotePost) -> None:
        """Note the post that stands, while something is added to it still."""
        await self._write("set_landed", remote.platform_post_id, remote.url, remote.privacy)

    async def owner(self, platform: str, platform_post_id: str) -> PostId | None:
        """Return the other post whose outcome that is; None: it is nobody's."""
        return await self._services.db.fetchval(Q["owner_of"], platform, platform_post_id, self.post_id)  # type: ignore[no-any-return]

    async def set_draft(self, draft: Draft) -> None:
        await self._write("set_draft", draft)

    async def set_state(self, state: str, *, because: str, next_action: str) -> None:
        await self._write("set_state", state, because, next_action)

    async def explain(self, because: str, *, next_action: str = "") -> None:
        await self._write("explain", because, next_action)

    async def _write(self, query: str, *values: object) -> None:
        async with self.fenced() as conn:
            await conn.execute(Q[query], self.post_id, *values, self._services.clock.now())
