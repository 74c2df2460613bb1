"""Connecting accounts: the way to a platform's consent page and back.

A platform takes part by having `OAUTH` and `identify` in its module. The state is good for one use, for ten
minutes, and only in the browser that began (RFC 9700, section 4.7); PKCE ties the code to it as well.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from actors import platforms
from actors.runtime import oauth
from actors.runtime.log import get_logger
from actors.runtime.oauth import GrantGone, Identity, OAuthClient, TokenSet
from actors.runtime.work import Services
from contracts.errors import RateLimited, Reject, Retry
from contracts.events import AccountConnected
from contracts.ids import AccountId, CorrelationId
from gateway.overview import Q
from gateway.web import Problem

__all__ = ["Connector", "connectors", "credentials_missing", "redirect_uri"]

COOKIE: Final = "ett_session"
STATE_LIFE: Final = timedelta(minutes=10)


class Connector(Struct, frozen=True, kw_only=True):
    """One platform that accounts can be connected to."""

    platform: str
    client: OAuthClient
    identify: Any


class _Begun(Struct, frozen=True, kw_only=True):
    """What is kept, encrypted, of an authorisation under way."""

    verifier: str
    session_sha256: str


def connectors() -> dict[str, Connector]:
    """Return every platform that accounts can be connected to, by the name in its addresses."""
    found = {}
    for name in platforms.names():
        module = platforms.module(name)
        client = getattr(module, "OAUTH", None)
        if isinstance(client, OAuthClient):
            found[client.name] = Connector(platform=name, client=client, identify=getattr(module, "identify"))  # noqa: B009 - not every platform has it
    return found


def credentials_missing(client: OAuthClient, services: Services) -> tuple[str, ...]:
    """Return the names of the settings that are needed and not set."""
    names = (client.client_id_setting, client.client_secret_setting)
    return tuple(name.upper() for name in names if not services.settings.option(name))


def redirect_uri(services: Services, name: str) -> str:
    return f"{services.settings.public_url.rstrip('/')}/oauth/{name}/callback"


class Connect:
    """The two addresses of an authorisation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known = connectors()

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to the platform's consent page."""
        connector = self._connector(request)
        client, services = connector.client, self._services
        if missing := credentials_missing(client, services):
            raise Problem(
                503,
                f"{client.title} is not set up yet",
                detail=f"Not set: {', '.join(missing)}.",
                mend=f"Make an OAuth client of type 'Web application' at {client.title} with the redirect address "
                f"{redirect_uri(services, client.name)}, put its id and secret into these settings, and restart.",
            )
        begun = oauth.authorize(client, services.settings, redirect_uri=redirect_uri(services, client.name))
        session = request.cookies.get(COOKIE) or secrets.token_urlsafe(32)
        kept = _Begun(verifier=begun.verifier, session_sha256=_sha256(session))
        now = services.clock.now()
        await services.db.execute(Q["prune_oauth_states"], now - 2 * STATE_LIFE)
        sealed = services.tokens.secrets.encrypt(msgspec.json.encode(kept))
        await services.db.execute(Q["put_oauth_state"], begun.state, connector.platform, sealed, now)
        response = web.Response(status=303, headers={"Location": begun.url, "Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE,
            session,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=services.settings.public_url.startswith("https://"),
        )
        return response

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """Take the browser back from the consent page."""
        connector = self._connector(request)
        client = connector.client
        again = (f"Connect {client.title} again", f"/connect/{client.name}")
        verifier = await self._verifier(request, connector, again)
        if error := request.query.get("error"):
            raise _refused(client, error, request.query.get("error_description", ""), again)
        code = request.query.get("code")
        if not code:
            raise Problem(400, f"{client.title} sent no code", mend="Begin again from the overview.", action=again)
        tokens = await self._exchange(client, code, verifier, again)
        self._check_granted(client, tokens, again)
        identity = await self._identify(connector, tokens, again)
        account = AccountId(identity.account_id)
        services = self._services
        async with services.unit(
            seed=f"connect {request.query['state']}", correlation_id=CorrelationId(""), causation_id=None
        ) as tx:
            await services.tokens.store(account, connector.platform, identity.title, tokens, conn=tx.conn)
            tx.emit(AccountConnected(account_id=account, platform=connector.platform, title=identity.title))
        get_logger().info("account.connected", account_id=account, platform=connector.platform)
        location = str(request.app.router["home"].url_for().with_query(connected=account))
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    def _connector(self, request: web.Request) -> Connector:
        name = request.match_info["name"]
        if name not in self._known:
            known = ", ".join(self._known) or "none"
            raise Problem(404, f"Accounts of '{name}' cannot be connected", mend=f"Known: {known}.")
        return self._known[name]

    async def _verifier(self, request: web.Request, connector: Connector, again: tuple[str, str]) -> str:
        """Use up the state and return the PKCE verifier. Raises: Problem 400."""
        state = request.query.get("state", "")
        row = await self._services.db.fetchrow(Q["take_oauth_state"], state, connector.platform) if state else None
        if row is None:
            raise Problem(
                400,
                "This authorisation is not known here",
                detail="Its state is missing, was used before, or was not given out by this server.",
                mend="Nothing was connected. Begin again, and finish in the same browser.",
                action=again,
            )
        kept = msgspec.json.decode(self._services.tokens.secrets.decrypt(row["verifier"]), type=_Begun)
        session = request.cookies.get(COOKIE, "")
        if not secrets.compare_digest(kept.session_sha256, _sha256(session)):
            raise Problem(
                400,
                "This authorisation was begun in another browser",
                mend="Nothing was connected. Begin and finish in one browser, "
                f"at {self._services.settings.public_url}.",
                action=again,
            )
        if self._services.clock.now() - row["created_at"] > STATE_LIFE:
            raise Problem(
                400,
                "This authorisation took too long",
                detail="It is valid for ten minutes.",
                mend="Nothing was connected. Begin again.",
                action=again,
            )
        return kept.verifier

    async def _exchange(self, client: OAuthClient, code: str, verifier: str, again: tuple[str, str]) -> TokenSet:
        services = self._services
        try:
            return await oauth.exchange(
                client,
                services.settings,
                code=code,
                verifier=verifier,
                redirect_uri=redirect_uri(services, client.name),
                now=services.clock.now(),
            )
        except (GrantGone, Reject, Retry) as error:
            get_logger().warning("account.exchange_failed", platform=client.name, error=str(error))
            raise Problem(
                502,
                f"{client.title} did not accept the authorisation",
                detail=_sentence(str(error)),
                mend="Nothing was connected. Begin again; if it happens again, check the client's id and secret.",
                action=again,
            ) from error

    def _check_granted(self, client: OAuthClient, tokens: TokenSet, again: tuple[str, str]) -> None:
        if missing := oauth.missing_scopes(client, tokens):
            raise Problem(
                403,
                "Not everything that is needed was allowed",
                detail=f"{client.title} did not grant: {', '.join(missing)}.",
                mend="Nothing was connected. Begin again and leave every permission ticked.",
                action=again,
            )

    async def _identify(self, connector: Connector, tokens: TokenSet, again: tuple[str, str]) -> Identity:
        services = self._services
        try:
            identity = await connector.identify(
                services.http, services.settings, tokens.access_token, now=services.clock.now()
            )
        except (Reject, Retry, RateLimited) as error:
            get_logger().warning("account.identify_failed", platform=connector.platform, error=str(error))
            raise Problem(
                502,
                "The account could not be read",
                detail=_sentence(str(error)),
                mend="Nothing was connected.",
                action=again,
            ) from error
        assert isinstance(identity, Identity)
        return identity


def _refused(client: OAuthClient, error: str, description: str, again: tuple[str, str]) -> Problem:
    """Tell of the error that the platform put into the address. Source: RFC 6749, section 4.1.2.1."""
    words = f"{client.title} says: {error}{f' ({description})' if description else ''}."
    if error == "access_denied":
        return Problem(
            403,
            "Permission was not given",
            detail=words,
            mend="Nothing was connected. Begin again whenever you want to.",
            action=again,
        )
    away = error in {"server_error", "temporarily_unavailable"}
    return Problem(
        502 if away else 400,
        f"{client.title} could not finish the authorisation",
        detail=words,
        mend="Nothing was connected. Try again in a while."
        if away
        else "Nothing was connected. Check the OAuth client's settings there, then begin again.",
        action=again,
    )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
