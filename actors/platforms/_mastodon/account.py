"""Accounts of Mastodon servers: each server is a platform of its own, where the program registers itself first.

Docs: docs.joinmastodon.org/methods/apps/, /methods/oauth/, /methods/accounts/#verify_credentials, read 2026-11-23.
Tokens do not end by themselves. Ids are good on one server only, so an account is named `ID@SERVER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from actors.platforms._account import Denied, denied_by_status, whose
from actors.platforms._posts import as_dict, web_address
from actors.platforms._text import clean, parse_moment
from actors.runtime.http import Http, Response, retry_after
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Retry

__all__ = ["NAME", "OAUTH", "SERVER", "WHAT", "denied", "home_of", "identify", "parse_owner", "refusal"]

NAME: Final = "mastodon"
SERVER: Final = "mastodon.social"
WHAT: Final = "the Mastodon server"
BUSY: Final = timedelta(minutes=5)
_HERE: Final = (NAME, f"https://{SERVER}")
OAUTH: Final = OAuthClient(
    name=NAME,
    title="Mastodon",
    authorize_api=_HERE,
    authorize_path="/oauth/authorize",
    token_api=_HERE,
    token_path="/oauth/token",  # noqa: S106 - a path
    revoke_path="/oauth/revoke",
    revoke_token="access",  # noqa: S106 - the name of a kind
    register_path="/api/v1/apps",
    client_id_setting="",
    client_secret_setting="",
    scopes=("read:accounts", "read:statuses", "write:media", "write:statuses"),
)


def home_of(settings: Settings, kept: Mapping[str, str]) -> str:
    """Return the address of the account's server."""
    return settings.api_url(NAME, kept.get("server") or f"https://{SERVER}")


def denied(answer: Response) -> Denied | None:
    """Read a token that is not accepted, and an account that its server has closed. Nothing renews a token."""
    if answer.status == 403 and "login is currently disabled" in answer.text[:500]:
        return Denied(because="the Mastodon server has disabled the account", renewable=False)
    found = denied_by_status(answer)
    return found and Denied(because=found.because, renewable=False)


def refusal(answer: Response, now: datetime) -> Exception | None:
    """Read an answer that asks for patience, by Mastodon's own header."""
    if answer.status != 429:
        return None
    told = parse_moment(answer.headers.get("X-RateLimit-Reset"))
    until = retry_after(answer.headers, now=now) or (min(max(told, now), now + timedelta(days=1)) if told else None)
    return RateLimited(f"{WHAT} answered 429: too many requests", until=until or now + BUSY)


def parse_owner(answer: Any, *, server: str) -> Identity:
    """Read verify_credentials. Raises: Retry if it does not say whose account it is."""
    owner, host = as_dict(answer), urlsplit(server).netloc
    name = owner.get("id")
    if not isinstance(name, str) or not name.isascii() or not name.isalnum():
        raise Retry(f"{WHAT} answered without saying whose account it is")
    user = owner.get("username")
    title = clean(user, max_chars=100) if isinstance(user, str) else name
    return Identity(
        account_id=f"{NAME}:{name}@{host}",
        title=f"@{title or name}@{host}",
        url=web_address(owner.get("url")),
        picture_url=web_address(owner.get("avatar_static")),
    )


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime, server: str) -> Identity:
    """Return whose account the token opens. Raises: RateLimited, Retry, Reject."""
    url = f"{home_of(settings, {'server': server})}/api/v1/accounts/verify_credentials"
    return parse_owner(await whose(http, url, access_token, what=WHAT, fault=refusal, now=now), server=server)
