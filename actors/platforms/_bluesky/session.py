"""Signing in to Bluesky with a handle and an app password, and what its servers' refusals mean.

Docs: lexicons com.atproto.server.createSession, refreshSession, deleteSession, and docs.bsky.app/docs/advanced-guides/
rate-limits, read 2026-11-23. A session has an access token of about two hours and a refresh token of about two months,
which is used up by its use. `didDoc` names the server that holds the account: everything but the sign-in goes there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from actors.platforms._account import Denied, open_public
from actors.platforms._posts import as_dict, as_list, web_address
from actors.runtime.clock import Clock
from actors.runtime.http import Http, Response, raise_for_status, retry_after
from actors.runtime.oauth import GrantGone, Identity, SignIn, TokenSet
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry

__all__ = ["ENTRYWAY", "NAME", "SIGN_IN", "WHAT", "denied", "error_of", "home_of", "refusal"]

NAME: Final = "bluesky"
WHAT: Final = "Bluesky"
ENTRYWAY: Final = "https://bsky.social"
LIFE: Final = timedelta(hours=1)
"""Half of what an access token lasts: how long is not told, and a refused one is renewed anyway."""
BUSY: Final = timedelta(minutes=5)
_ENDED: Final = frozenset({"ExpiredToken", "InvalidToken"})
_CLOSED: Final = {
    "AccountTakedown": "the account was taken down",
    "AccountSuspended": "the account is suspended",
    "AccountDeactivated": "the account is deactivated",
    "RepoTakendown": "the account was taken down",
    "RepoSuspended": "the account is suspended",
    "RepoDeactivated": "the account is deactivated",
}
_MAKE: Final = "Make an app password at https://bsky.app/settings/app-passwords and type it with the whole handle"


def error_of(answer: Response) -> tuple[str, str]:
    """Return the name and the words of an error answer; empty where there are none."""
    try:
        body = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        return "", ""
    return str(body.get("error", ""))[:60], " ".join(str(body.get("message", "")).split())[:200]


def denied(answer: Response) -> Denied | None:
    """Read an answer that says that the session, or the account, is at an end."""
    if answer.status not in {400, 401, 403}:
        return None
    name, words = error_of(answer)
    if name in _CLOSED:
        return Denied(because=f"Bluesky says: {_CLOSED[name]}", renewable=False)
    if answer.status == 401 or name in _ENDED:
        return Denied(because=f"Bluesky does not accept the session ({words or name or answer.status})")
    return None


def refusal(answer: Response, now: datetime) -> Exception | None:
    """Read an answer that asks for patience, by Bluesky's own header."""
    if answer.status != 429:
        return None
    until = retry_after(answer.headers, now=now)
    told = answer.headers.get("ratelimit-reset", "")
    if until is None and told.isascii() and told.isdigit() and len(told) < 12:
        until = min(max(datetime.fromtimestamp(int(told), UTC), now), now + timedelta(days=1))
    return RateLimited("Bluesky answered 429: too many requests", until=until or now + BUSY)


def home_of(settings: Settings, kept: Mapping[str, str]) -> str:
    """Return the address of the server that holds the account."""
    return settings.api_url(NAME, kept.get("pds") or ENTRYWAY)


async def _begin(http: Http, settings: Settings, typed: dict[str, str], now: datetime) -> tuple[Identity, TokenSet]:
    server = typed.get("server", "").strip() or ENTRYWAY
    server = server if "://" in server else f"https://{server}"
    if web_address(server) is None or urlsplit(server).scheme != "https":
        raise Reject(f"'{server[:80]}' is no server", mend="Leave it empty, or give a name such as pds.example.org")
    login = {
        "identifier": typed.get("handle", "").strip().removeprefix("@"),
        "password": typed.get("password", "").strip(),
    }
    if not all(login.values()):
        raise Reject("a handle and an app password are needed", mend=_MAKE)
    base = settings.api_url(NAME, server)
    answer = await http.request("POST", f"{base}/xrpc/com.atproto.server.createSession", json=login)
    if answer.status in {400, 401, 403}:
        name, words = error_of(answer)
        raise GrantGone(f"Bluesky does not accept this sign-in ({words or name or answer.status}). {_MAKE}")
    session = _session(answer, now)
    tokens = _tokens(session, now, kept={"pds": _home(session) or server})
    did, handle = str(session.get("did", "")), str(session.get("handle", ""))
    if not did.startswith("did:"):
        raise Retry("Bluesky's sign-in answered without saying whose account it is")
    return (
        Identity(account_id=f"{NAME}:{did}", title=f"@{handle or did}", url=f"https://bsky.app/profile/{did}"),
        tokens,
    )


async def _renew(_: Http, settings: Settings, old: TokenSet, now: datetime) -> TokenSet:
    answer = await _with_refresh(settings, old, "refreshSession")
    name, words = error_of(answer)
    if answer.status == 401 or (answer.status == 400 and name in _ENDED) or name in _CLOSED:
        raise GrantGone(f"Bluesky ended the session ({words or name or answer.status})")
    session = _session(answer, now)
    return _tokens(session, now, kept={**old.kept, **({"pds": home} if (home := _home(session)) else {})})


async def _end(_: Http, settings: Settings, tokens: TokenSet) -> None:
    answer = await _with_refresh(settings, tokens, "deleteSession")
    if answer.status in {400, 401}:
        raise GrantGone("Bluesky no longer knows the session")
    _check(answer, datetime.now(UTC))


async def _with_refresh(settings: Settings, tokens: TokenSet, call: str) -> Response:
    """Ask the account's own server, which a person or another server named."""
    if not tokens.refresh_token:
        raise GrantGone("Bluesky gave no refresh token")
    async with open_public(settings, Clock()) as http:
        return await http.request(
            "POST",
            f"{home_of(settings, tokens.kept)}/xrpc/com.atproto.server.{call}",
            headers={"Authorization": f"Bearer {tokens.refresh_token}"},
        )


def _check(answer: Response, now: datetime) -> None:
    try:
        if (limited := refusal(answer, now)) is not None:
            raise limited
        raise_for_status(answer, what="Bluesky's sign-in", now=now)
    except RateLimited as error:
        raise Retry(str(error), delay_s=(error.until - now).total_seconds()) from None


def _session(answer: Response, now: datetime) -> dict[str, Any]:
    _check(answer, now)
    return as_dict(answer.json())


def _tokens(session: dict[str, Any], now: datetime, *, kept: dict[str, str]) -> TokenSet:
    access, refresh = session.get("accessJwt"), session.get("refreshJwt")
    if not isinstance(access, str) or not access:
        raise Retry("Bluesky's sign-in answered without a session")
    return TokenSet(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        expires_at=now + LIFE,
        kept=kept,
    )


def _home(session: dict[str, Any]) -> str | None:
    """Return the address of the account's own server; None: it is not told, or no address to send a session to."""
    for service in map(as_dict, as_list(as_dict(session.get("didDoc")).get("service"))):
        place = web_address(service.get("serviceEndpoint"))
        if str(service.get("id", "")).endswith("#atproto_pds") and place and urlsplit(place).scheme == "https":
            return place.rstrip("/")
    return None


SIGN_IN: Final = SignIn(
    name=NAME,
    title="Bluesky",
    fields=(
        ("handle", "Handle, such as name.bsky.social", False),
        ("password", "App password, from https://bsky.app/settings/app-passwords", True),
        ("server", "Server, only for an account on a server of its own", False),
    ),
    begin=_begin,
    renew=_renew,
    end=_end,
)
