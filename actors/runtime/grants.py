"""What is known of a platform's OAuth and of a permission: data, which platforms' modules fill and `oauth` speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct

from actors.runtime.http import Http
from actors.runtime.settings import Settings
from contracts.clock import Utc
from contracts.errors import EttamettaError

__all__ = ["NO_END", "Authorisation", "GrantGone", "Identity", "OAuthClient", "Prolong", "SignIn", "TokenSet"]

NO_END: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""`expires_at` of tokens that do not end by themselves."""


class OAuthClient(Struct, frozen=True, kw_only=True):
    """How one platform does OAuth.

    name: in addresses of the gateway (`/connect/NAME`); *_api: names of base-address settings with their defaults;
    client_*_setting: names of the settings (fields or options) that hold the credentials; client_id_field: what the
    platform calls `client_id`; authentication: how the token endpoint is told who asks; pkce "hex": TikTok's
    SHA-256 in hexadecimal digits; prolong: how a short-lived token becomes a long-lived one after the exchange, and
    how that is renewed where there is no refresh token.
    gone, refused: words of the token endpoint (`error`, or the number in `error.code` or `code`) after which only a
    person can help, and those that mean wrong client credentials; anything else may pass. revoke_token: which token
    is withdrawn; register_path: a person names the server, and this system registers there by itself;
    optional_scopes: those of `scopes` that a person may untick and still be connected; scopes_if: more of them that are
    asked for where the setting of that name is true, for apps that may ask for them; user_agent: for platforms that
    want a form of their own.
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
    gone: tuple[str, ...] = ("invalid_grant",)
    refused: tuple[str, ...] = ("invalid_client", "unauthorized_client", "deleted_client")
    revoke_token: Literal["refresh", "access"] = "refresh"  # noqa: S105 - a kind, no token
    register_path: str | None = None
    optional_scopes: tuple[str, ...] = ()
    scopes_if: dict[str, tuple[str, ...]] = {}
    user_agent: Callable[[Settings], str] | None = None


class Prolong(Struct, frozen=True, kw_only=True):
    """Long-lived tokens of Meta's kind: a GET with the token instead of a refresh token.

    *_path: below `api`, None: the client's token_api; token_field: name of the parameter with the token; names_client:
    the client's id is sent as well; renew_*: None: what is long-lived cannot be renewed, a person connects again
    before it ends.
    """

    path: str
    grant: str
    token_field: str = "access_token"  # noqa: S105 - the name of a parameter
    renew_path: str | None = None
    renew_grant: str | None = None
    api: tuple[str, str] | None = None
    names_client: bool = False


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
