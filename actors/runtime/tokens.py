"""Accounts' tokens: encrypted at rest, refreshed once for all processes, and never shown.

Of many workers one refreshes and the rest find the result. That a refresh begins is stored before the request
leaves: where its answer is lost with the process or the line, the platform may have used up the refresh token, and
if it says so, that is what a person is told. Only the platform's word that the permission is gone ends an account's
connection; an outage never does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from actors.runtime import oauth
from actors.runtime.clock import Clock
from actors.runtime.db import ACQUIRE_TIMEOUT_S, Connection, Database, into, load_queries
from actors.runtime.http import Http
from actors.runtime.keys import KEY_FILE, Secrets, open_secrets
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.oauth import GrantGone, OAuthClient, SignIn, TokenSet
from actors.runtime.settings import Settings
from contracts.clock import Utc
from contracts.codec import encode, subject_of
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry
from contracts.events import AccountConnected, AccountPaused
from contracts.flow import ACTORS, GATEWAY
from contracts.ids import AccountId, CorrelationId, EventId, derived

if TYPE_CHECKING:
    from actors.runtime.work import Services

__all__ = [
    "KEY_FILE",
    "ConnectedAccount",
    "KnownAccount",
    "Secrets",
    "TokenSet",
    "Tokens",
    "Way",
    "open_secrets",
    "open_tokens",
    "renew_ageing",
    "way_in",
]

Q: Final = load_queries(Path(__file__).with_name("tokens.sql"))

LEEWAY: Final = timedelta(seconds=60)
"""An access token that ends sooner than this is refreshed before it is used."""
TURN_S: Final = 25.0
"""Longer than a refresh may take."""
AT_ONCE: Final = 4
"""Refreshes of one process side by side: each holds a connection of the pool."""
CLIENT_LIFE: Final = timedelta(hours=12)
"""Mastodon's servers remove applications that nobody has used for a day. Accounts keep the client they came with."""
UNUSED: Final = timedelta(days=20)
"""Refresh tokens that nobody uses end too, Bluesky's after about two months: they are used this often at least."""
PUBLISHER: Final = ACTORS["publisher"].name

Way: TypeAlias = OAuthClient | SignIn
"""How an account was connected: the `OAUTH` or `SIGN_IN` of its platform's module."""


class ConnectedAccount(Struct, frozen=True, kw_only=True):
    """An account that may be used."""

    account_id: AccountId
    title: str
    scopes: tuple[str, ...]


class KnownAccount(Struct, frozen=True, kw_only=True):
    """An account and how it stands. renews: its permission goes on by itself as long as the platform grants it."""

    account_id: AccountId
    platform: str
    title: str
    state: str
    state_because: str
    url: str | None
    paused_at: Utc | None
    paused_because: str
    scopes: tuple[str, ...]
    expires_at: Utc | None
    connected_at: Utc
    refreshed_at: Utc | None
    renews: bool = False


class _Account(Struct, frozen=True, kw_only=True):
    account_id: AccountId
    platform: str
    title: str
    state: str
    state_because: str
    tokens: bytes | None
    expires_at: Utc | None
    connected_at: Utc
    refreshed_at: Utc | None
    refresh_began_at: Utc | None


class Tokens:
    """The tokens of every account."""

    def __init__(self, settings: Settings, db: Database, secrets: Secrets, http: Http, clock: Clock) -> None:
        self.secrets = secrets
        self._settings = settings
        self._db = db
        self._http = http
        self._clock = clock
        self._turns: WeakValueDictionary[AccountId, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def store(
        self,
        account: AccountId,
        platform: str,
        title: str,
        tokens: TokenSet,
        *,
        url: str | None = None,
        picture: bytes | None = None,
        conn: Connection | None = None,
    ) -> None:
        """Keep the tokens of an account that a person connected, in `conn`'s transaction or one of its own.

        A known refresh token stays where the platform sends none, as Google does at a second consent. What was sealed
        with a key that is lost is replaced.
        """
        if conn is None:
            async with self._db.transaction() as own:
                await self.store(account, platform, title, tokens, url=url, picture=picture, conn=own)
            return
        row = await conn.fetchrow(Q["lock_account"], account)
        if not tokens.refresh_token and row is not None and row["tokens"] is not None:
            with suppress(Retry):
                known = self._open(row["tokens"]).refresh_token
                tokens = msgspec.structs.replace(tokens, refresh_token=known)
        await conn.execute(
            Q["store_account"],
            account,
            platform,
            title,
            self._seal(tokens),
            list(tokens.scopes),
            tokens.expires_at,
            self._clock.now(),
            url,
            picture,
        )

    async def accounts(self, platform: str) -> tuple[ConnectedAccount, ...]:
        """Return the platform's accounts that are connected and not paused, the first connected first."""
        return tuple(into(ConnectedAccount, row) for row in await self._db.fetch(Q["usable_accounts"], platform))

    async def known(self) -> tuple[KnownAccount, ...]:
        """Return every account that was ever connected."""
        found = []
        for row in await self._db.fetch(Q["list_accounts"]):
            values = dict(row)
            sealed, renews = values.pop("tokens"), False
            with suppress(Retry):  # it was sealed with another key
                renews = sealed is not None and self._open(sealed).refresh_token is not None
            found.append(msgspec.convert({**values, "renews": renews}, KnownAccount))
        return tuple(found)

    async def access_token(self, account: AccountId, way: Way) -> str:
        """Return a token that is good for another minute at least. Raises: as `get`."""
        return (await self.get(account, way)).access_token

    async def get(self, account: AccountId, way: Way) -> TokenSet:
        """Return tokens that are good for another minute at least; one worker of all refreshes them when needed.

        Raises: AuthExpired (a person must connect the account again), Retry (the platform is away), RateLimited,
        Reject (this system's client credentials are refused).
        """
        row = await self._db.fetchrow(Q["read_account"], account)
        found = self._usable(account, row)
        if self._fresh(found, way):
            return self._tokens_of(found)
        lost = ""
        async with self._turn(account) as conn:
            async with conn.transaction():
                found = self._usable(account, await conn.fetchrow(Q["lock_account"], account))
                if self._fresh(found, way):
                    return self._tokens_of(found)
                await conn.execute(Q["begin_refresh"], account, self._clock.now())
            old = self._tokens_of(found)
            reach("tokens.refresh_begun")
            try:
                new = await self._renewed(way, old)
            except GrantGone as gone:
                lost = _because(gone, found)
                async with conn.transaction():
                    if await self._still(conn, found):
                        await self._lose(conn, account, lost)
            except Reject:
                await conn.execute(Q["end_refresh"], account)
                if self._good(found):
                    return old
                raise
            except (Retry, RateLimited):
                if self._good(found):
                    return old
                raise
            else:
                reach("tokens.refresh_answered")
                return await self._stored(conn, found, new, way)
        get_logger().warning("account.reconnect_needed", account_id=account, because=lost)
        raise AuthExpired(account, lost)

    async def refused(self, account: AccountId, token: str) -> None:
        """Note that the platform answered 401 to `token`: the next `access_token` refreshes. Old news is ignored."""
        async with self._db.transaction() as conn:
            if await self._is_current(conn, account, token):
                await conn.execute(Q["expire_now"], account, self._clock.now())

    async def lost(self, account: AccountId, token: str, because: str) -> None:
        """Note that the platform refuses even a fresh `token`: a person must connect the account again."""
        async with self._db.transaction() as conn:
            if await self._is_current(conn, account, token):
                await self._lose(conn, account, because)

    async def pause(self, account: AccountId, because: str) -> bool:
        """Let nothing more be posted to the account until a person resumes it. False: it is paused already."""
        async with self._db.transaction() as conn:
            row = await conn.fetchrow(Q["lock_account"], account)
            now = self._clock.now()
            if row is None or not await conn.fetchval(Q["pause"], account, because, now):
                return False
            action = f"ettametta accounts resume {account}"
            paused = AccountPaused(account_id=account, platform=row["platform"], because=because, next_action=action)
            await self._tell(conn, PUBLISHER, paused, f"{account} {now.isoformat()}")
        return True

    async def resume(self, account: AccountId) -> bool:
        """Let posts go on to a paused account; what waits for it is taken up. False: it is not paused."""
        async with self._db.transaction() as conn:
            row = await conn.fetchrow(Q["lock_account"], account)
            if row is None or not await conn.fetchval(Q["resume"], account):
                return False
            if row["state"] == "connected":
                back = AccountConnected(account_id=account, platform=row["platform"], title=row["title"])
                await self._tell(conn, GATEWAY.name, back, f"{account} {self._clock.now().isoformat()}")
        return True

    async def forget(self, account: AccountId, way: Way) -> str:
        """Withdraw the permission at the platform as far as it can be reached, and delete the tokens here.

        Returns: what was done, in words for a person; empty: there was nothing to withdraw.
        """
        because = "disconnected by a person"
        async with self._turn(account) as conn:
            row = await conn.fetchrow(Q["read_account"], account)
            if row is None or row["tokens"] is None:
                return ""
            try:
                await self._withdraw(way, self._open(row["tokens"]))
            except GrantGone:
                because = f"{because}; the platform knew of no permission any more"
            except (Retry, Reject, RateLimited) as error:
                because = f"{because}; the permission could not be withdrawn at the platform: {error}"
                get_logger().warning("account.not_revoked", account_id=account, because=str(error))
            await conn.execute(Q["forget_account"], account, because)
        return because

    async def client_at(self, platform: str, server: str, redirect_uri: str) -> dict[str, str] | None:
        """Return what a server registered this system as of late; None: it has not, or the key to it is lost."""
        since = self._clock.now() - CLIENT_LIFE
        row = await self._db.fetchrow(Q["known_client"], platform, server, redirect_uri, since)
        if row is None:
            return None
        with suppress(Retry):
            return msgspec.json.decode(self.secrets.decrypt(row["client"]), type=dict[str, str])
        return None

    async def keep_client(self, platform: str, server: str, redirect_uri: str, client: dict[str, str]) -> None:
        sealed = self.secrets.encrypt(msgspec.json.encode(client))
        await self._db.execute(Q["keep_client"], platform, server, redirect_uri, sealed, self._clock.now())

    @asynccontextmanager
    async def _turn(self, account: AccountId) -> AsyncIterator[Connection]:
        """Hold the turn of an account over all processes, on one connection and without a transaction.

        Raises: Retry if another process does not end its own.
        """
        async with (
            self._turns.setdefault(account, asyncio.Lock()),
            self._places,
            self._db.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as conn,
        ):
            try:
                await conn.execute(Q["take_turn"], account, timeout=TURN_S)
            except TimeoutError:
                raise Retry(f"another process has been refreshing {account} for {TURN_S:g} s") from None
            try:
                yield conn
            finally:
                if not conn.is_closed():
                    await conn.execute(Q["end_turn"], account)

    async def _renewed(self, way: Way, old: TokenSet) -> TokenSet:
        if isinstance(way, OAuthClient):
            return await oauth.refresh(way, self._settings, old, now=self._clock.now())
        new = await way.renew(self._http, self._settings, old, self._clock.now())
        return new if new.refresh_token else msgspec.structs.replace(new, refresh_token=old.refresh_token)

    async def _withdraw(self, way: Way, tokens: TokenSet) -> None:
        if isinstance(way, OAuthClient):
            await oauth.revoke(way, self._settings, tokens)
        elif way.end is None:
            raise Reject(f"{way.title} takes no withdrawal from here")
        else:
            await way.end(self._http, self._settings, tokens)

    async def _stored(self, conn: Connection, found: _Account, new: TokenSet, way: Way) -> TokenSet:
        """Keep what a refresh gave. A person who connected the account meanwhile is right."""
        account, now = found.account_id, self._clock.now()
        async with conn.transaction():
            if await self._still(conn, found):
                values = (account, self._seal(new), list(new.scopes), new.expires_at, now)
                await conn.execute(Q["store_tokens"], *values)
                return new
            found = self._usable(account, await conn.fetchrow(Q["read_account"], account))
            if not self._fresh(found, way):
                raise Retry(f"the tokens of {account} were changed meanwhile")
            return self._tokens_of(found)

    async def _lose(self, conn: Connection, account: AccountId, because: str) -> None:
        """Note in `conn`'s transaction that a person must connect the account again, and tell it once."""
        row = await conn.fetchrow(Q["read_account"], account)
        if row is None or not await conn.fetchval(Q["need_reconnect"], account, because):
            return
        action = f"connect it again at {self._settings.public_url.rstrip('/')}"
        paused = AccountPaused(account_id=account, platform=row["platform"], because=because, next_action=action)
        await self._tell(conn, PUBLISHER, paused, f"{account} {row['connected_at'].isoformat()}")

    async def _tell(self, conn: Connection, sender: str, event: AccountPaused | AccountConnected, seed: str) -> None:
        """Leave an event for the relay of `sender`, who gives such events, whichever process found the reason."""
        name = derived(subject_of(event), seed)
        told = msgspec.structs.replace(
            event, event_id=EventId(name), correlation_id=CorrelationId(name), occurred_at=self._clock.now()
        )
        await conn.execute(Q["tell"], sender, name, subject_of(told), encode(told))

    async def _is_current(self, conn: Connection, account: AccountId, token: str) -> bool:
        row = await conn.fetchrow(Q["lock_account"], account)
        if row is None or row["tokens"] is None:
            return False
        return secrets.compare_digest(self._open(row["tokens"]).access_token, token)

    async def _still(self, conn: Connection, found: _Account) -> bool:
        """Lock the account and tell whether it still has the tokens that were found, under whichever key."""
        row = await conn.fetchrow(Q["lock_account"], found.account_id)
        return row is not None and self._same(dict(row), found)

    def _same(self, row: Mapping[str, Any], found: _Account) -> bool:
        if row["tokens"] is None or row["tokens"] == found.tokens:
            return row["tokens"] is not None
        try:
            return self._open(row["tokens"]) == self._tokens_of(found)
        except Retry:  # sealed anew with a key that this process lacks, or connected anew
            return bool(row["connected_at"] == found.connected_at)

    def _usable(self, account: AccountId, row: object) -> _Account:
        found = None if row is None else into(_Account, row)  # type: ignore[arg-type]
        if found is None:
            raise AuthExpired(account, "the account is not connected")
        if found.state != "connected" or found.tokens is None:
            raise AuthExpired(account, found.state_because or f"the account is {found.state}")
        return found

    def _good(self, found: _Account) -> bool:
        return found.expires_at is not None and found.expires_at > self._clock.now() + LEEWAY

    def _fresh(self, found: _Account, way: Way) -> bool:
        """Whether the tokens may be used as they are: good for a while, and not due to be renewed."""
        if not self._good(found):
            return False
        if not isinstance(way, OAuthClient) or way.prolong is None:
            return True
        given_at = found.refreshed_at
        return not oauth.needs_renewal(way, self._tokens_of(found), given_at=given_at, now=self._clock.now())

    def _tokens_of(self, found: _Account) -> TokenSet:
        assert found.tokens is not None
        return self._open(found.tokens)

    def _seal(self, tokens: TokenSet) -> bytes:
        return self.secrets.encrypt(msgspec.json.encode(tokens))

    def _open(self, sealed: bytes) -> TokenSet:
        return msgspec.json.decode(self.secrets.decrypt(sealed), type=TokenSet)


def _because(gone: GrantGone, found: _Account) -> str:
    if found.refresh_began_at is None:
        return str(gone)
    return (
        f"{gone}. A refresh that began at {found.refresh_began_at:%Y-%m-%d %H:%M} UTC got no answer or was cut off "
        "before its answer was stored, and may have used up the refresh token"
    )


def way_in(module: object) -> Way | None:
    """Return how accounts of a platform's module are connected; None: they are not."""
    ways = (getattr(module, name, None) for name in ("OAUTH", "SIGN_IN"))
    return next((way for way in ways if isinstance(way, OAuthClient | SignIn)), None)


async def renew_ageing(services: Services, module: Callable[[str], object]) -> None:
    """Renew what ends soon of accounts that nobody uses, one after another. module: gives a platform's module.

    An account whose permission has ended, or turns out to be gone, is told as a use would tell it.
    """
    now, log = services.clock.now(), get_logger()
    for row in await services.db.fetch(Q["ageing_accounts"], now + oauth.RENEW_BEFORE):
        account = AccountId(row["account_id"])
        try:
            way = way_in(module(row["platform"]))
            long_lived = isinstance(way, OAuthClient) and way.prolong is not None
            if way is not None and (long_lived or now - row["given_at"] > UNUSED):
                await services.tokens.get(account, way)
        except EttamettaError as error:
            log.warning("account.not_renewed", account_id=account, error=str(error))


def open_tokens(settings: Settings, db: Database, http: Http, clock: Clock) -> Tokens:
    """Open the tokens with the configured key."""
    return Tokens(settings, db, open_secrets(settings), http, clock)
