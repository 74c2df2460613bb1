"""Rows of posts, and the account that a post goes to. Writes are fenced by the post's lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from actors.runtime.db import Connection, into, load_queries
from actors.runtime.ledger import Lease
from actors.runtime.work import Services
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.ids import AccountId, CorrelationId, ItemId, ObjectKey, PostId
from contracts.platform import Draft, UploadCheckpoint

__all__ = ["Account", "Post", "Posts", "Q", "Session", "choose_account"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


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


class Session(Struct, frozen=True, kw_only=True):
    """An upload session and what is known of it; stored encrypted, because its address is a secret."""

    checkpoint: UploadCheckpoint
    may_exist: bool = False
    """A request that may have made the post has left, or may have: it may exist."""
    refused_at: Utc | None = None
    """When the platform said that the session takes no more bytes; bytes that it takes after all undo that."""
    told: bool = False
    """A person was told that the outcome is unknown."""


class Account(Struct, frozen=True, kw_only=True):
    account_id: AccountId
    state: str
    state_because: str


def choose_account(accounts: list[Account], *, wanted: AccountId | None, platform: str) -> Account | None:
    """Return the account to post with; None: none can be used now, so the post waits.

    Raises: Reject if several are connected and none is named.
    """
    usable = [account for account in accounts if account.state == "connected"]
    if wanted is not None:
        return next((account for account in usable if account.account_id == wanted), None)
    if len(usable) > 1:
        names = ", ".join(account.account_id for account in usable)
        raise Reject(f"{len(usable)} {platform} accounts are connected: {names}", mend="Name one in the destination")
    return usable[0] if usable else None


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
        """Write the intent, before the first outside call. What was begun or published stays as it is."""
        now = self._services.clock.now()
        content = (draft, request.key, size_bytes, request.correlation_id, request, now)
        async with self.fenced() as conn:
            await conn.execute(Q["put_intent"], self.post_id, request.item_id, request.destination.platform, *content)
            await conn.execute(Q["renew_intent"], self.post_id, *content)
            return await self._read(conn)

    async def claim(self, request: PostRequested, post: Post) -> tuple[Post, Account | None]:
        """Choose the account and note it. Raises: Reject if several accounts could be meant."""
        async with self.fenced() as conn:
            account = await self.account(conn, request, post)
            if account is not None:
                await conn.execute(Q["claim"], self.post_id, account.account_id, self._services.clock.now())
            return await self._read(conn), account

    async def account(self, conn: Connection, request: PostRequested, post: Post) -> Account | None:
        """Choose the account; a session that is open stays with the account that opened it."""
        wanted = post.account_id if post.session is not None else request.destination.account_id
        accounts = [into(Account, row) for row in await conn.fetch(Q["list_accounts"], post.platform)]
        return choose_account(accounts, wanted=wanted, platform=post.platform)

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

    async def set_state(self, state: str, *, because: str, next_action: str) -> None:
        await self._write("set_state", state, because, next_action)

    async def explain(self, because: str, *, next_action: str = "") -> None:
        await self._write("explain", because, next_action)

    async def _write(self, query: str, *values: object) -> None:
        async with self.fenced() as conn:
            await conn.execute(Q[query], self.post_id, *values, self._services.clock.now())
