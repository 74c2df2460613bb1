"""OAuth 2.0 for accounts: the authorisation address, the code exchange, refresh and revocation.

What differs between platforms is data (`OAuthClient`), kept in the platform's own module as `OAUTH`.
Sources: RFC 6749 (flow), RFC 7636 (PKCE), RFC 7009 (revocation), authlib 1.9 client; read 2026-11-23.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx2
import msgspec
from authlib.common.security import generate_token  # type: ignore[import-untyped] # it ships no types
from authlib.common.urls import add_params_to_qs  # type: ignore[import-untyped] # it ships no types
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped] # it ships no types
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped] # it ships no types

from actors.runtime.addresses import Origin, configured_origins, origin_of, public_addresses
from actors.runtime.grants import (
    NO_END,
    Authorisation,
    GrantGone,
    Identity,
    OAuthClient,
    Prolong,
    SignIn,
    TokenSet,
)
from actors.runtime.http import Http, raise_for_status
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, Reject, Retry

__all__ = [
    "NO_END",
    "Authorisation",
    "ClientRefused",
    "GrantGone",
    "Identity",
    "OAuthClient",
    "Prolong",
    "SignIn",
    "TokenSet",
    "authorize",
    "base_of",
    "exchange",
    "missing_scopes",
    "needs_renewal",
    "refresh",
    "register",
    "revoke",
    "scopes_asked",
]

DEADLINE_S: Final = 20.0
DEFAULT_LIFE_S: Final = 3600
VERIFIER_CHARS: Final = 64
RENEW_BEFORE: Final = timedelta(days=20)
RENEW_AFTER: Final = timedelta(hours=24)
"""Long-lived tokens are renewed this long before their end, and not sooner than this after they were given (Meta)."""
MOST_WORDS: Final = 300

_JSON = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


class ClientRefused(Reject):
    """This system's own credentials at a platform are missing or wrong: nothing about an account or a post."""


class _Refused(Exception):
    """The token endpoint's no. Its words may quote what was sent, so they are cleaned before they are told."""

    def __init__(self, code: str, words: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.words = words
        self.status = status


def base_of(api: tuple[str, str], settings: Settings, kept: Mapping[str, str]) -> str:
    """Return the base address of calls: that of the server where the account is kept, else the platform's own."""
    name, default = api
    return settings.api_url(name, kept.get("server") or default)


def authorize(
    client: OAuthClient, settings: Settings, *, redirect_uri: str, kept: Mapping[str, str] | None = None
) -> Authorisation:
    """Begin an authorisation. kept: what `register` returned.

    Raises: Reject if the platform's client credentials are not set.
    """
    client_id, _ = _credentials(client, settings, kept or {})
    verifier = generate_token(VERIFIER_CHARS)
    challenge = {}
    if client.pkce == "hex":
        digest = hashlib.sha256(verifier.encode()).hexdigest()
        challenge = {"code_challenge": digest, "code_challenge_method": "S256"}
    session = OAuth2Client(
        None,
        client_id=client_id,
        scope=client.scope_separator.join(scopes_asked(client, settings)),
        redirect_uri=redirect_uri,
        code_challenge_method="S256" if client.pkce == "S256" else None,
    )
    url, state = session.create_authorization_url(
        base_of(client.authorize_api, settings, kept or {}) + client.authorize_path,
        code_verifier=verifier,
        **challenge,
        **client.authorize_params,
    )
    return Authorisation(url=_renamed(url, client.client_id_field), state=state, verifier=verifier)


async def exchange(
    client: OAuthClient,
    settings: Settings,
    *,
    code: str,
    verifier: str,
    redirect_uri: str,
    now: datetime,
    kept: Mapping[str, str] | None = None,
) -> TokenSet:
    """Turn the code of the callback into tokens, long-lived ones where the platform has them.

    Raises: GrantGone (the code is used up or expired), Reject (the client credentials are wrong), Retry.
    """
    known = dict(kept or {})
    async with _session(client, settings, known, hide=(code, verifier)) as session:
        token = await session.fetch_token(
            base_of(client.token_api, settings, known) + client.token_path,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            headers=dict(_JSON),
            **({"code_verifier": verifier} if client.pkce != "none" else {}),
        )
    tokens = _read(token, client, asked=scopes_asked(client, settings), kept=known, now=now)
    if client.prolong is not None:
        tokens = await _prolong(client, client.prolong, settings, tokens, renew=False, now=now)
    return tokens


async def refresh(client: OAuthClient, settings: Settings, old: TokenSet, *, now: datetime) -> TokenSet:
    """Get a new access token; the newest refresh token and the scopes are kept where the answer has none.

    Raises: GrantGone (revoked or expired: permanent), Reject (the client credentials are wrong), Retry.
    """
    if client.prolong is not None and client.prolong.renew_path is not None:
        return await _prolong(client, client.prolong, settings, old, renew=True, now=now)
    if not old.refresh_token:
        raise GrantGone(f"{client.title} gave no refresh token, and the permission has ended")
    async with _session(client, settings, old.kept, hide=(old.access_token, old.refresh_token)) as session:
        token = await session.refresh_token(
            base_of(client.token_api, settings, old.kept) + client.token_path,
            refresh_token=old.refresh_token,
            headers=dict(_JSON),
        )
    fresh = _read(token, client, asked=old.scopes, kept=old.kept, now=now)
    return fresh if fresh.refresh_token else msgspec.structs.replace(fresh, refresh_token=old.refresh_token)


async def revoke(client: OAuthClient, settings: Settings, tokens: TokenSet) -> None:
    """Withdraw the permission at the platform.

    Raises: GrantGone (it was gone already), Reject (the platform has no way, or the client is refused), Retry.
    """
    if client.revoke_path is None:
        raise Reject(f"{client.title} takes no withdrawal from here", mend="Remove the app in the account's settings")
    if client.register_path is not None and not tokens.kept.get("client_id"):
        raise Reject(f"the {client.title} server cannot be told who asks", mend="Remove the app in its settings")
    token = tokens.refresh_token if client.revoke_token == "refresh" and tokens.refresh_token else tokens.access_token  # noqa: S105 - a kind
    async with _session(client, settings, tokens.kept, hide=(token,)) as session:
        answer = await session.revoke_token(
            base_of(client.token_api, settings, tokens.kept) + client.revoke_path, token=token, headers=dict(_JSON)
        )
        if answer.status_code == 400:
            raise GrantGone(f"{client.title} no longer knows the permission")
        answer.raise_for_status()


async def register(
    client: OAuthClient, settings: Settings, http: Http, *, server: str, redirect_uri: str, now: datetime
) -> dict[str, str]:
    """Make this system known to a server, as Mastodon's `POST /api/v1/apps` does; return what is kept of it.

    Raises: Reject, Retry, RateLimited.
    """
    kept = {"server": server}
    asked = {
        "client_name": "ettametta",
        "redirect_uris": redirect_uri,
        "scopes": client.scope_separator.join(scopes_asked(client, settings)),
    }
    answer = await http.request(
        "POST",
        f"{base_of(client.token_api, settings, kept)}{client.register_path}",
        data=asked,
        headers={"Accept": "application/json"},
        deadline_s=DEADLINE_S,
    )
    raise_for_status(answer, what=f"the registration at {server}", now=now)
    try:
        told = msgspec.json.decode(answer.body)
        return {**kept, "client_id": str(told["client_id"]), "client_secret": str(told["client_secret"])}
    except (msgspec.DecodeError, KeyError, TypeError):
        raise Reject(f"{server} does not answer as a {client.title} server") from None


def needs_renewal(client: OAuthClient, tokens: TokenSet, *, given_at: datetime | None, now: datetime) -> bool:
    """Whether a long-lived token, still good, is to be renewed now: once it has ended it is too late."""
    if client.prolong is None or client.prolong.renew_path is None or tokens.expires_at >= NO_END:
        return False
    return tokens.expires_at - now < RENEW_BEFORE and (given_at is None or now - given_at > RENEW_AFTER)


def scopes_asked(client: OAuthClient, settings: Settings) -> tuple[str, ...]:
    """Return what a person is asked to grant: always, and because of the settings."""
    wanted = (more for name, more in client.scopes_if.items() if (settings.option(name) or "").lower() == "true")
    return (*client.scopes, *(scope for more in wanted for scope in more))


def missing_scopes(client: OAuthClient, tokens: TokenSet) -> tuple[str, ...]:
    """Return what is needed and was not granted: a person may untick single permissions."""
    return tuple(scope for scope in client.scopes if scope not in {*tokens.scopes, *client.optional_scopes})


async def _prolong(
    client: OAuthClient, how: Prolong, settings: Settings, old: TokenSet, *, renew: bool, now: datetime
) -> TokenSet:
    path, grant = (how.renew_path, how.renew_grant) if renew else (how.path, how.grant)
    client_id, secret = _credentials(client, settings, old.kept)
    asked = {"grant_type": str(grant), how.token_field: old.access_token}
    if not renew:
        asked |= {"client_secret": secret} | ({client.client_id_field: client_id} if how.names_client else {})
    async with _session(client, settings, old.kept, hide=(old.access_token,)) as session:
        answer = await session.request(
            "GET",
            f"{base_of(how.api or client.token_api, settings, old.kept)}{path}",
            params=asked,
            withhold_token=True,
        )
        token = _examined(answer).json()
    return _read(token, client, asked=old.scopes, kept=old.kept, now=now)


def _credentials(client: OAuthClient, settings: Settings, kept: Mapping[str, str]) -> tuple[str, str]:
    if client.register_path is not None:
        if not kept.get("client_id") or not kept.get("client_secret"):
            raise GrantGone(f"what the {client.title} server registered this system as was not kept with the account")
        return kept["client_id"], kept["client_secret"]
    client_id = settings.option(client.client_id_setting)
    secret = settings.option(client.client_secret_setting)
    if not client_id or not secret:
        names = f"{client.client_id_setting.upper()} and {client.client_secret_setting.upper()}"
        raise ClientRefused(f"{client.title} cannot be used: {names} are not set", mend=f"Set {names}")
    return client_id, secret


def _renamed(url: str, field: str) -> str:
    """Give `client_id` the name that the platform has for it."""
    if field == "client_id":
        return url
    parts = urlsplit(url)
    query = [(field if name == "client_id" else name, value) for name, value in parse_qsl(parts.query)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _posted(field: str) -> Callable[..., tuple[str, Any, Any]]:
    """Return how the client shows who it is in the body, its id under the platform's own name."""

    def prepare(client: Any, _: str, uri: str, headers: Any, body: str) -> tuple[str, Any, Any]:
        body = add_params_to_qs(body or "", [(field, client.client_id), ("client_secret", client.client_secret)])
        headers["Content-Length"] = str(len(body))
        return uri, headers, body

    return prepare


class _Checked(httpx2.AsyncHTTPTransport):
    """Connects to the addresses that were checked, for servers that people name. inner: origins that are exempt."""

    def __init__(self, inner: Collection[Origin]) -> None:
        super().__init__(trust_env=False)
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        origin = origin_of(str(request.url))
        if origin in self._inner:
            return await super().handle_async_request(request)
        fault: httpx2.ConnectError | None = None
        for address in await asyncio.to_thread(public_addresses, origin):
            to_it = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # with the Host that was asked for
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
            )
            try:
                return await super().handle_async_request(to_it)
            except httpx2.ConnectError as error:
                fault = error
        raise fault or httpx2.ConnectError("no address", request=request)


@asynccontextmanager
async def _session(
    client: OAuthClient, settings: Settings, kept: Mapping[str, str], *, hide: tuple[str, ...]
) -> AsyncIterator[AsyncOAuth2Client]:
    """Give a client of the token endpoint, its errors translated. hide: what no text may quote."""
    client_id, secret = _credentials(client, settings, kept)
    shows = "client_secret_basic" if client.authentication == "basic" else _posted(client.client_id_field)
    try:
        async with AsyncOAuth2Client(
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method=shows,
            revocation_endpoint_auth_method=shows,
            timeout=DEADLINE_S,
            trust_env=False,
            transport=_Checked(configured_origins(settings.api_urls)) if client.register_path is not None else None,
            headers={"User-Agent": client.user_agent(settings) if client.user_agent else settings.user_agent},
        ) as session:
            for kind in ("access_token_response", "refresh_token_response"):
                session.register_compliance_hook(kind, _examined)
            yield session
    except _Refused as refused:
        raise _translated(client, refused, hide=(*hide, secret)) from None
    except httpx2.HTTPStatusError as error:
        raise Retry(f"{client.title} gave no token (HTTP {error.response.status_code})") from None
    except httpx2.HTTPError as error:
        raise Retry(f"{client.title} cannot be reached for a token ({type(error).__name__})") from None
    except ValueError:
        raise Retry(f"{client.title} answered the request for a token with something that is not JSON") from None


def _examined(answer: httpx2.Response) -> httpx2.Response:
    """Pass an answer on that may hold tokens. Raises: _Refused, httpx2.HTTPStatusError, ValueError.

    TikTok was seen to refuse with HTTP 200, so what is said counts before the status.
    """
    if answer.status_code >= 500 or answer.status_code == 429:
        answer.raise_for_status()
    try:
        told = answer.json()
    except ValueError:
        answer.raise_for_status()
        raise
    if not isinstance(told, dict):
        raise ValueError("not an object")  # noqa: TRY004 - told as an answer that is not JSON
    error = told.get("error")
    if answer.status_code < 400 and not error:
        return answer
    words = told.get("error_description") or told.get("message") or told.get("error_message") or ""
    code = told.get("code") if error is None else error
    if isinstance(error, dict):
        code, words = error.get("code"), error.get("message") or ""
    raise _Refused("" if code is None else str(code), str(words), answer.status_code)


def _translated(client: OAuthClient, refused: _Refused, *, hide: tuple[str, ...]) -> EttamettaError:
    told = ": ".join(part for part in (refused.code, refused.words) if part) or f"HTTP {refused.status}"
    for secret in hide:
        told = told.replace(secret, "…") if secret else told
    told = " ".join(told.split())[:MOST_WORDS]
    if refused.code in client.gone:
        return GrantGone(f"{client.title} says {told}")
    if refused.code in client.refused or (refused.status == 401 and not refused.code):
        mend = f"Correct {client.client_id_setting.upper()} and {client.client_secret_setting.upper()}"
        if client.register_path is not None:
            mend = "Connect the account again"
        return ClientRefused(f"{client.title} refuses the client credentials ({told})", mend=mend)
    return Retry(f"{client.title} gave no token ({told})")


def _read(
    token: dict[str, Any] | None, client: OAuthClient, *, asked: tuple[str, ...], kept: Mapping[str, str], now: datetime
) -> TokenSet:
    """Read what the endpoint gave. Raises: Retry without an access token."""
    told = dict(token or {})
    inner = told.get("data")
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        told = inner[0]
    access = told.get("access_token")
    if not isinstance(access, str) or not access:
        raise Retry(f"{client.title} answered without an access token")
    scope = told.get("scope") or told.get("permissions")
    if isinstance(scope, str):
        scope = [part for part in re.split(r"[\s,]+", scope) if part]
    again = told.get("refresh_token")
    life_s = _seconds(told.get("expires_in"))
    if life_s is None and again:
        life_s = DEFAULT_LIFE_S
    return TokenSet(
        access_token=access,
        refresh_token=again if isinstance(again, str) and again else None,
        expires_at=NO_END if life_s is None else now + timedelta(seconds=life_s),
        scopes=tuple(str(one) for one in scope) if isinstance(scope, list) and scope else asked,
        kept=dict(kept),
    )


def _seconds(told: Any) -> int | None:
    """Read a life; None: none is stated."""
    try:
        return min(int(told), 10 * 366 * 86_400) if told else None
    except (TypeError, ValueError):
        return None
