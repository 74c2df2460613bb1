"""Facebook Login for Pages: one permission opens every page that a person chose, and the Instagram accounts behind.

Docs: developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived, .../docs/pages-api/overview,
.../docs/instagram-platform/instagram-api-with-facebook-login/get-started, read 2026-11-23. The person's token is made
long-lived first: page tokens had with such a one do not end by themselves. The person's own token is not kept. Meta
has no way to withdraw the permission for one page alone: that is done at the site, under "Business integrations".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from actors.platforms._meta.graph import GRAPH_URL, LOGIN_URL, fault_of, next_cursor
from actors.platforms._posts import as_dict, as_list
from actors.platforms._text import clean
from actors.runtime.http import Http, raise_for_status
from actors.runtime.oauth import NO_END, OAuthClient, Prolong, TokenSet
from actors.runtime.settings import Settings
from contracts.errors import Retry

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "ask_as", "facebook_login", "name_of", "own_tokens", "pages_of", "picture_of"]

CLIENT_ID: Final = "facebook_client_id"
CLIENT_SECRET: Final = "facebook_client_secret"  # noqa: S105 - the name of a setting
MOST_PAGES: Final = 10
"""Lists of 100 pages that are read of one person."""


def facebook_login(name: str, title: str, scopes: tuple[str, ...]) -> OAuthClient:
    """Return how accounts are connected through Facebook Login. The app is the same for all, its scopes are not."""
    return OAuthClient(
        name=name,
        title=title,
        authorize_api=(name, LOGIN_URL),
        authorize_path="/dialog/oauth",
        token_api=(name, GRAPH_URL),
        token_path="/oauth/access_token",  # noqa: S106 - a path
        client_id_setting=CLIENT_ID,
        client_secret_setting=CLIENT_SECRET,
        scopes=scopes,
        scope_separator=",",
        pkce="none",
        gone=("190", "100", "102"),
        refused=("101", "invalid_client"),
        prolong=Prolong(
            path="/oauth/access_token",
            grant="fb_exchange_token",
            token_field="fb_exchange_token",  # noqa: S106 - the name of a parameter
            names_client=True,
        ),
    )


async def ask_as(
    http: Http, url: str, token: str, params: dict[str, str], *, what: str, permission: str, now: datetime
) -> dict[str, Any]:
    """Return the object at an address, asked with a token that is not kept yet. Raises: Reject, RateLimited, Retry."""
    answer = await http.request("GET", url, params=params, headers={"Authorization": f"Bearer {token}"})
    if (error := fault_of(answer, now, what=what, permission=permission)) is not None:
        raise error
    raise_for_status(answer, what=what, now=now)
    found = answer.json()
    if not isinstance(found, dict):
        raise Retry(f"{what} answered with something that is no object")
    return found


async def pages_of(
    http: Http, settings: Settings, token: str, client: OAuthClient, fields: str, *, now: datetime
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the pages that the person opened, each with its own token, and the permissions that were granted.

    Raises: Reject, RateLimited, Retry.
    """
    base = settings.api_url(*client.token_api)

    async def ask(path: str, params: dict[str, str]) -> dict[str, Any]:
        permission = " and ".join(client.scopes)
        return await ask_as(http, f"{base}{path}", token, params, what=client.title, permission=permission, now=now)

    told = map(as_dict, as_list((await ask("/me/permissions", {})).get("data")))
    granted = tuple(str(one.get("permission")) for one in told if one.get("status") == "granted")
    pages: list[dict[str, Any]] = []
    after = ""
    for _ in range(MOST_PAGES):
        answer = await ask(
            "/me/accounts",
            {"fields": f"access_token,{fields}", "limit": "100", **({"after": after} if after else {})},
        )
        pages += [page for page in map(as_dict, as_list(answer.get("data"))) if page.get("access_token")]
        after = next_cursor(answer)
        if not after:
            break
    return pages, granted


def own_tokens(page: dict[str, Any], granted: Sequence[str]) -> TokenSet:
    """Return the tokens of a page. They do not end by themselves; the platform says when they are over."""
    token = str(page["access_token"])
    return TokenSet(access_token=token, refresh_token=None, expires_at=NO_END, scopes=tuple(granted))


def picture_of(told: Any) -> str | None:
    """Return the address of a picture, which is a text or lies in an object; None: there is none."""
    address = as_dict(as_dict(told).get("data")).get("url") if isinstance(told, dict) else told
    return address if isinstance(address, str) and address.startswith("https://") else None


def name_of(told: Any, otherwise: str) -> str:
    """Return a name that may be shown."""
    return (clean(told, max_chars=100) if isinstance(told, str) else "") or otherwise
