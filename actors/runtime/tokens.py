"""Accounts' tokens: encrypted at rest, refreshed once for all processes, and never shown.

The row of an account is locked while its tokens change, so that of many workers one refreshes and the rest find
the result. Only the platform's word that the permission is gone disconnects an account; an outage never does.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from msgspec import Struct

from actors.runtime import oauth
from actors.runtime.clock import Clock
from actors.runtime.db import Connection, Database, into, load_queries
from actors.runtime.http import Http
from actors.runtime.log import get_logger
from actors.runtime.oauth import GrantGone, OAuthClient, TokenSet
from actors.runtime.settings import Settings
from contracts.clock import Utc
from contracts.errors import AuthExpired, Reject, Retry
from contracts.ids import AccountId

__all__ = ["Secrets", "TokenSet", "Tokens", "open_secrets", "open_tokens"]

Q: Final = load_queries(Path(__file__).with_name("tokens.sql"))

KEY_FILE: Final = "secret.key"
WRONG_KEY_DELAY_S: Final = 60.0
LEEWAY: Final = timedelta(seconds=60)
"""An access token that ends sooner than this is refreshed before it is used."""


class Secrets:
    """Encryption of what is kept. The first key encrypts, every key decrypts, so that keys can be changed."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise Reject(
                "SECRET_KEY is not 32 bytes in URL-safe base64 (several keys: separated by commas)",
                mend=(
                    "Make one with: python -c "
                    "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
                ),
            ) from error

    def encrypt(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def decrypt(self, sealed: bytes) -> bytes:
        """Raises: Retry if it was encrypted with a key that is not here: a fault of this machine, not of the work."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise Retry(
                "a stored secret was encrypted with another key: put back the SECRET_KEY "
                f"(or the file {KEY_FILE} in the data folder) that was used before",
                delay_s=WRONG_KEY_DELAY_S,
            ) from error


def open_secrets(settings: Settings) -> Secrets:
    """Use SECRET_KEY, else the key file in the data folder, which is made on first use."""
    if settings.secret_key:
        return Secrets(tuple(key.strip() for key in settings.secret_key.split(",") if key.strip()))
    return Secrets((_key_of(settings.data_dir / KEY_FILE),))


def _key_of(file: Path) -> str:
    """Read the key, or make it. Of processes that start at once one wins and all read the same key."""
    with suppress(FileNotFoundError):
        return _read_key(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(Fernet.generate_key())
            out.flush()
            os.fsync(out.fileno())
        # A link, not a rename: it fails where another process was first, and never replaces a key.
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return _read_key(file)


def _read_key(file: Path) -> str:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        file.chmod(0o600)
    return file.read_text(encoding="ascii").strip()


class _Account(Struct, frozen=True, kw_only=True):
    account_id: AccountId
    platform: str
    title: str
    state: str
    state_because: str
    tokens: bytes | None
    expires_at: Utc | None


class Tokens:
    """The tokens of every account. `client` arguments are the `OAUTH` of the account's platform module."""

    def __init__(self, settings: Settings, db: Database, secrets: Secrets, clock: Clock) -> None:
        self.secrets = secrets
        self._settings = settings
        self._db = db
        self._clock = clock

    async def store(
        self,
        account: AccountId,
        platform: str,
        title: str,
        tokens: TokenSet,
        *,
        conn: Connection | None = None,
    ) -> None:
        """Keep the tokens of an account that a person connected, in `conn`'s transaction or one of its own.

        A known refresh token stays where the platform sends none, as Google does at a second consent.
        """
        if conn is None:
            async with self._db.transaction() as own:
                await self.store(account, platform, title, tokens, conn=own)
            return
        row = await conn.fetchrow(Q["lock_account"], account)
        if not tokens.refresh_token and row is not None and row["tokens"] is not None:
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
        )

    async def access_token(self, account: AccountId, client: OAuthClient) -> str:
        """Return a token that is good for another minute at least; one worker of all refreshes it when needed.

        Raises: AuthExpired (a person must connect the account again), Retry (the platform is away), Reject.
        """
        row = await self._db.fetchrow(Q["read_account"], account)
        found = self._usable(account, None if row is None else into(_Account, row))
        if self._fresh(found):
            return self._tokens_of(found).access_token
        lost = ""
        async with self._db.transaction() as conn:
            row = await conn.fetchrow(Q["lock_account"], account)
            found = self._usable(account, None if row is None else into(_Account, row))
            old = self._tokens_of(found)
            if self._fresh(found):
                return old.access_token
            try:
                new = await oauth.refresh(client, self._settings, old, now=self._clock.now())
            except GrantGone as gone:
                lost = str(gone)
                await conn.execute(Q["need_reconnect"], account, lost)
            else:
                await conn.execute(
                    Q["store_tokens"],
                    account,
                    self._seal(new),
                    list(new.scopes),
                    new.expires_at,
                    self._clock.now(),
                )
                return new.access_token
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
                await conn.execute(Q["need_reconnect"], account, because)

    async def forget(self, account: AccountId, client: OAuthClient) -> None:
        """Withdraw the permission at the platform as far as it can be reached, and delete the tokens here."""
        because = "disconnected by a person"
        async with self._db.transaction() as conn:
            row = await conn.fetchrow(Q["lock_account"], account)
            if row is None or row["tokens"] is None:
                return
            try:
                await oauth.revoke(client, self._settings, self._open(row["tokens"]))
            except GrantGone:
                because = f"{because}; the platform knew of no permission any more"
            except (Retry, Reject) as error:
                because = f"{because}; the permission could not be withdrawn at the platform: {error}"
                get_logger().warning("account.not_revoked", account_id=account, because=str(error))
            await conn.execute(Q["forget_account"], account, because)

    async def _is_current(self, conn: Connection, account: AccountId, token: str) -> bool:
        row = await conn.fetchrow(Q["lock_account"], account)
        if row is None or row["tokens"] is None:
            return False
        return secrets.compare_digest(self._open(row["tokens"]).access_token, token)

    def _usable(self, account: AccountId, found: _Account | None) -> _Account:
        if found is None:
            raise AuthExpired(account, "the account is not connected")
        if found.state != "connected" or found.tokens is None:
            raise AuthExpired(account, found.state_because or f"the account is {found.state}")
        return found

    def _fresh(self, found: _Account) -> bool:
        return found.expires_at is not None and found.expires_at > self._clock.now() + LEEWAY

    def _tokens_of(self, found: _Account) -> TokenSet:
        assert found.tokens is not None
        return self._open(found.tokens)

    def _seal(self, tokens: TokenSet) -> bytes:
        return self.secrets.encrypt(msgspec.json.encode(tokens))

    def _open(self, sealed: bytes) -> TokenSet:
        return msgspec.json.decode(self.secrets.decrypt(sealed), type=TokenSet)


def open_tokens(settings: Settings, db: Database, http: Http, clock: Clock) -> Tokens:  # noqa: ARG001 - every part of Services opens alike
    """Open the tokens with the configured key. `http` is not used: authlib brings its own client."""
    return Tokens(settings, db, open_secrets(settings), clock)
