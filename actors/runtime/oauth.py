"""OAuth 2.0 for accounts: the authorisation address, the code exchange, refresh and revocation.

What differs between platforms is data (`OAuthClient`), kept in the platform's own module as `OAUTH`.
Sources: RFC 6749 (flow), RFC 7636 (PKCE), RFC 7009 (revocation), authlib 1.9 client; read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import httpx2
from authlib.common.security import generate_token  # type: ignore[import-untyped] # it ships no types
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError  # type: ignore[import-untyped] # it ships no types
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped] # it ships no types
from msgspec import Struct

from actors.runtime.http import Http
from actors.runtime.settings import Settings
from contracts.clock import Utc
from contracts.errors import EttamettaError, Reject, Retry

__all__ = [
    "Authorisation",
    "GrantGone",
    "Identity",
    "OAuthClient",
    "Prolong",
    "SignIn",
    "TokenSet",
    "authorize",
    "exchange",
    "missing_scopes",
    "refresh",
    "revoke",
]

DEADLINE_S: Final = 20.0
DEFAULT_LIFE_S: Final = 3600
VERIFIER_CHARS: Final = 64

_JSON = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


class OAuthClient(Struct, frozen=True, kw_only=True):
    """How one platform does OAuth.

    name: in addresses of the gateway (`/connect/NAME`); *_api: names of base-address settings with their defaults;
    client_*_setting: names of the settings (fields or options) that hold the credentials; client_id_field: what the
    platform calls `client_id`; authentication: how the token endpoint is told who asks; pkce "hex": TikTok's
    SHA-256 in hexadecimal digits; prolong: how a short-lived token becomes a long-lived one after the exchange, and
    how that is renewed where there is no refresh token.
    """

    name: str
    title: str
    authorize_api: tuple[str, str]
    authorize_path: str
    token_api: tuple[str, str]
    token_path: str
    revoke_path: str | None = None
    client_id_setting: str
    client_secret_setting: str
    scopes: tuple[str, ...]
    authorize_params: dict[str, str] = {}
    pkce: Literal["S256", "hex", "none"] = "S256"
    client_id_field: str = "client_id"
    scope_separator: str = " "
    authentication: Literal["post", "basic"] = "post"
    prolong: Prolong | None = None


class Prolong(Struct, frozen=True, kw_only=True):
    """Long-lived tokens of Meta's kind: a GET with the token instead of a refresh token.

    *_path: below the client's token_api; token_field: name of the parameter with the token; renew_*: None: what is
    long-lived cannot be renewed, a person connects again before it ends.
    """

    path: str
    grant: str
    token_field: str = "access_token"  # noqa: S105 - the name of a parameter
    renew_path: str | None = None
    renew_grant: str | None = None


class SignIn(Struct, frozen=True, kw_only=True):
    """How an account is connected by what a person types into a form of ours, where a platform has no OAuth for it.

    fields: (name, label, whether it is secret). begin: makes the identity and the tokens of what was typed; renew:
    new tokens from old ones; end: withdraws them, None: the platform has no way. They raise GrantGone, Reject, Retry.
    """

    name: str
    title: str
    fields: tuple[tuple[str, str, bool], ...]
    begin: Callable[[Http, Settings, dict[str, str], datetime], Awaitable[tuple[Identity, TokenSet]]]
    renew: Callable[[Http, Settings, TokenSet, datetime], Awaitable[TokenSet]]
    end: Callable[[Http, Settings, TokenSet], Awaitable[None]] | None = None


class TokenSet(Struct, frozen=True, kw_only=True):
    """What the token endpoint gave. A secret as a whole. refresh_token None: it gave none."""

    access_token: str
    refresh_token: str | None
    expires_at: Utc
    scopes: tuple[str, ...] = ()
    kept: dict[str, str] = {}
    """What else is needed with them, such as a server's address or the client that a server registered."""

    def __repr__(self) -> str:
        return f"TokenSet(expires_at={self.expires_at:%Y-%m-%dT%H:%M:%SZ}, scopes={self.scopes})"


class Authorisation(Struct, frozen=True, kw_only=True):
    """An authorisation that was begun: where the browser goes, and what is kept until it comes back."""

    url: str
    state: str
    verifier: str


class Identity(Struct, frozen=True, kw_only=True):
    """Who gave the permission, as the platform tells. tokens: its own, where one permission opens several accounts."""

    account_id: str
    title: str
    tokens: TokenSet | None = None
    url: str | None = None
    picture_url: str | None = None


class GrantGone(EttamettaError):
    """The code or refresh token is used up, expired or revoked: only a person can help."""


def authorize(client: OAuthClient, settings: Settings, *, redirect_uri: str) -> Authorisation:
    """Begin an authorisation. Raises: Reject if the platform's client credentials are not set."""
    client_id, _ = _credentials(client, settings)
    session = OAuth2Client(
        None,
        client_id=client_id,
        scope=" ".join(client.scopes),
        redirect_uri=redirect_uri,
        code_challenge_method="S256" if client.pkce == "S256" else None,
    )
    verifier = generate_token(VERIFIER_CHARS)
    url, state = session.create_authorization_url(
        settings.api_url(*client.authorize_api) + client.authorize_path,
        code_verifier=verifier,
        **client.authorize_params,
    )
    return Authorisation(url=url, state=state, verifier=verifier)


async def exchange(
    client: OAuthClient, settings: Settings, *, code: str, verifier: str, redirect_uri: str, now: datetime
) -> TokenSet:
    """Turn the code of the callback into tokens.

    Raises: GrantGone (the code is used up or expired), Reject (the client credentials are wrong), Retry.
    """
    async with _session(client, settings) as session:
        token = await session.fetch_token(
            _token_url(client, settings),
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            headers=_JSON,
            **({"code_verifier": verifier} if client.pkce != "none" else {}),
        )
    return _read(token, client, asked=client.scopes, now=now)


async def refresh(client: OAuthClient, settings: Settings, old: TokenSet, *, now: datetime) -> TokenSet:
    """Get a new access token; the newest refresh token and the scopes are kept where the answer has none.

    Raises: GrantGone (revoked or expired: permanent), Reject (the client credentials are wrong), Retry.
    """
    if not old.refresh_token:
        raise GrantGone(f"{client.title} gave no refresh token")
    async with _session(client, settings) as session:
        token = await session.refresh_token(
            _token_url(client, settings), refresh_token=old.refresh_token, headers=_JSON
        )
    fresh = _read(token, client, asked=old.scopes, now=now)
    return fresh if fresh.refresh_token else _with_refresh(fresh, old.refresh_token)


async def revoke(client: OAuthClient, settings: Settings, tokens: TokenSet) -> None:
    """Withdraw the permission at the platform. Raises: GrantGone (it was gone already), Reject, Retry."""
    if client.revoke_path is None:
        return
    async with _session(client, settings) as session:
        answer = await session.revoke_token(
            settings.api_url(*client.token_api) + client.revoke_path,
            token=tokens.refresh_token or tokens.access_token,
            headers=_JSON,
        )
        if answer.status_code == 400:
            raise GrantGone(f"{client.title} no longer knows the permission")
        answer.raise_for_status()


def missing_scopes(client: OAuthClient, tokens: TokenSet) -> tuple[str, ...]:
    """Return what was asked for and not granted: a person may untick single permissions."""
    return tuple(scope for scope in client.scopes if scope not in tokens.scopes)


def _with_refresh(tokens: TokenSet, refresh_token: str) -> TokenSet:
    return TokenSet(
        access_token=tokens.access_token,
        refresh_token=refresh_token,
        expires_at=tokens.expires_at,
        scopes=tokens.scopes,
    )


def _credentials(client: OAuthClient, settings: Settings) -> tuple[str, str]:
    client_id = settings.option(client.client_id_setting)
    secret = settings.option(client.client_secret_setting)
    if not client_id or not secret:
        names = f"{client.client_id_setting.upper()} and {client.client_secret_setting.upper()}"
        raise Reject(f"{client.title} cannot be used: {names} are not set", mend=f"Set {names}")
    return client_id, secret


def _token_url(client: OAuthClient, settings: Settings) -> str:
    return settings.api_url(*client.token_api) + client.token_path


@asynccontextmanager
async def _session(client: OAuthClient, settings: Settings) -> AsyncIterator[AsyncOAuth2Client]:
    """Give a client of the token endpoint, its errors translated. Texts carry no token and no answer body."""
    client_id, secret = _credentials(client, settings)
    try:
        async with AsyncOAuth2Client(
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
            revocation_endpoint_auth_method="client_secret_post",
            timeout=DEADLINE_S,
            trust_env=False,
            headers={"User-Agent": settings.user_agent},
        ) as session:
            yield session
    except OAuthError as error:
        told = f"{error.error}: {error.description}" if error.description else str(error.error)
        if error.error == "invalid_grant":
            raise GrantGone(f"{client.title} says {told}") from None
        if error.error in {"invalid_client", "unauthorized_client", "deleted_client"}:
            raise Reject(
                f"{client.title} refuses the client credentials ({told})",
                mend=f"Correct {client.client_id_setting.upper()} and {client.client_secret_setting.upper()}",
            ) from None
        raise Retry(f"{client.title} gave no token ({told})") from None
    except httpx2.HTTPStatusError as error:
        raise Retry(f"{client.title} gave no token (HTTP {error.response.status_code})") from None
    except httpx2.HTTPError as error:
        raise Retry(f"{client.title} cannot be reached for a token ({type(error).__name__})") from None
    except ValueError:
        raise Retry(f"{client.title} answered the request for a token with something that is not JSON") from None


def _read(token: dict[str, Any] | None, client: OAuthClient, *, asked: tuple[str, ...], now: datetime) -> TokenSet:
    if not token or not token.get("access_token"):
        raise Retry(f"{client.title} answered without an access token")
    scope = token.get("scope")
    return TokenSet(
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token") or None,
        expires_at=now + timedelta(seconds=int(token.get("expires_in") or DEFAULT_LIFE_S)),
        scopes=tuple(scope.split()) if isinstance(scope, str) and scope else asked,
    )
