"""Connecting accounts: the way to a platform's consent page and back, or a form of ours.

A platform takes part by having `OAUTH` and `identify`, or `SIGN_IN`, in its module. The state is good for one use, for
ten minutes, and only in the browser that began (RFC 9700, section 4.7); PKCE ties the code to it as well.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from msgspec import Struct

from actors import platforms
from actors.runtime import oauth
from actors.runtime.http import Http, open_http
from actors.runtime.log import get_logger
from actors.runtime.oauth import GrantGone, Identity, OAuthClient, SignIn, TokenSet
from actors.runtime.tokens import Way
from actors.runtime.work import Services
from contracts.errors import RateLimited, Reject, Retry
from contracts.events import AccountConnected
from contracts.ids import AccountId, CorrelationId
from gateway.overview import Q
from gateway.refusals import again, not_exchanged, refused, sentence, without
from gateway.sign_in import check_server, connected_page, form_page, go_on_page, kind_of, picture_at, server_named
from gateway.web import Problem, form_of, same_origin

__all__ = ["Connector", "connectors", "credentials_missing", "redirect_uri"]

COOKIE: Final = "ett_session"
STATE_LIFE: Final = timedelta(minutes=10)
LARGEST_FORM_FIELD: Final = 1000
OPTIONAL: Final = frozenset({"server"})
"""Fields of forms that may be left empty: an account need not be on a server of its own."""


class Connector(Struct, frozen=True, kw_only=True):
    """One platform that accounts can be connected to. identify: None where signing in tells who it is."""

    platform: str
    client: Way
    identify: Any


class _Begun(Struct, frozen=True, kw_only=True):
    """What is kept, encrypted, of an authorisation under way. kept: what a server registered this system as."""

    verifier: str
    session_sha256: str
    kept: dict[str, str] = {}


def connectors() -> dict[str, Connector]:
    """Return every platform that accounts can be connected to, by the name in its addresses."""
    found = {}
    for name in platforms.names():
        module = platforms.module(name)
        for way in (getattr(module, "OAUTH", None), getattr(module, "SIGN_IN", None)):
            if isinstance(way, OAuthClient | SignIn):
                found[way.name] = Connector(platform=name, client=way, identify=getattr(module, "identify", None))
    return found


def credentials_missing(client: Way, services: Services) -> tuple[str, ...]:
    """Return the names of the settings that are needed and not set."""
    if isinstance(client, SignIn) or client.register_path is not None:
        return ()
    names = (client.client_id_setting, client.client_secret_setting)
    return tuple(name.upper() for name in names if not services.settings.option(name))


def redirect_uri(services: Services, name: str) -> str:
    return f"{services.settings.public_url.rstrip('/')}/oauth/{name}/callback"


class Connect:
    """The addresses of connecting."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known = connectors()

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to the platform's consent page, or ask what has to be known first."""
        connector = self._connector(request)
        client = connector.client
        if isinstance(client, SignIn):
            return _page(form_page(client.name, client.title, client.fields, optional=OPTIONAL))
        if missing := credentials_missing(client, self._services):
            raise Problem(
                503,
                f"{client.title} is not set up yet",
                detail=f"Not set: {', '.join(missing)}.",
                mend=f"Make a web app (OAuth client) at {client.title} with the redirect address "
                f"{redirect_uri(self._services, client.name)}, put its id and secret into these settings, and restart.",
            )
        if client.register_path is not None:
            return _page(form_page(client.name, client.title, (("server", "Server, such as mastodon.social", False),)))
        url, session = await self._begun(request, connector, client, {})
        return self._with_session(web.Response(status=303, headers={"Location": url}), session)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Take a form of ours: the server of the account, or what a person signs in with."""
        same_origin(request, self._services.settings)
        connector = self._connector(request)
        client = connector.client
        form = await form_of(request)
        if isinstance(client, SignIn):
            return await self._signed_in(connector, client, form)
        if client.register_path is None:
            raise Problem(405, f"{client.title} has no form here", action=again(client))
        try:
            kept = await self._client_at(connector.platform, client, server_named(form.get("server", "")))
        except (Reject, Retry, RateLimited) as error:
            raise Problem(
                502 if isinstance(error, Retry | RateLimited) else 400,
                "This server cannot be used",
                detail=sentence(str(error)),
                mend="Nothing was connected.",
                action=again(client),
            ) from error
        url, session = await self._begun(request, connector, client, kept)
        return self._with_session(_page(go_on_page(client.title, kept["server"], url)), session)

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """Take the browser back from the consent page."""
        connector = self._connector(request)
        client = connector.client
        if isinstance(client, SignIn):
            raise Problem(404, f"{client.title} has no consent page", action=again(client))
        begun = await self._take_begun(request, connector)
        if error := request.query.get("error"):
            raise refused(client, error, request.query.get("error_description", ""))
        code = request.query.get("code")
        if not code:
            raise Problem(
                400, f"{client.title} sent no code", mend="Begin again from the overview.", action=again(client)
            )
        tokens = await self._exchange(client, code, begun)
        self._check_granted(client, tokens)
        identities = await self._identify(connector, tokens)
        return await self._keep(request, connector, identities, tokens, seed=request.query["state"])

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """Show the picture of an account, as it was when it was connected."""
        found = await self._services.db.fetchval(Q["account_picture"], request.match_info["account_id"])
        kind = None if found is None else kind_of(found)
        if kind is None:
            raise Problem(404, "This account has no picture")
        return web.Response(body=found, content_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    def _connector(self, request: web.Request) -> Connector:
        name = request.match_info["name"]
        if name not in self._known:
            known = ", ".join(self._known) or "none"
            raise Problem(404, f"Accounts of '{name}' cannot be connected", mend=f"Known: {known}.")
        return self._known[name]

    async def _begun(
        self, request: web.Request, connector: Connector, client: OAuthClient, kept: dict[str, str]
    ) -> tuple[str, str]:
        """Begin an authorisation; return the address of the consent page and the browser's session."""
        services = self._services
        begun = oauth.authorize(client, services.settings, redirect_uri=redirect_uri(services, client.name), kept=kept)
        session = request.cookies.get(COOKIE) or secrets.token_urlsafe(32)
        known = _Begun(verifier=begun.verifier, session_sha256=_sha256(session), kept=kept)
        now = services.clock.now()
        await services.db.execute(Q["prune_oauth_states"], now - 2 * STATE_LIFE)
        sealed = services.tokens.secrets.encrypt(msgspec.json.encode(known))
        await services.db.execute(Q["put_oauth_state"], _sha256(begun.state), connector.platform, sealed, now)
        return begun.url, session

    def _http(self, *, named: bool) -> AbstractAsyncContextManager[Http]:
        """Give the client for a platform, or for a server that a person named."""
        services = self._services
        if not named:
            return nullcontext(services.http)
        return open_http(services.settings, services.clock, only_public=True)

    def _with_session(self, response: web.Response, session: str) -> web.Response:
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie(
            COOKIE,
            session,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=self._services.settings.public_url.startswith("https://"),
        )
        return response

    async def _client_at(self, platform: str, client: OAuthClient, server: str) -> dict[str, str]:
        """Return what a server knows this system as, registering where needed. Raises: Reject, Retry, RateLimited."""
        services, uri = self._services, redirect_uri(self._services, client.name)
        if (known := await services.tokens.client_at(platform, server, uri)) is not None:
            return known
        if client.token_api[0] not in services.settings.api_urls:
            await check_server(server, services.settings)
        async with self._http(named=True) as http:
            kept = await oauth.register(
                client, services.settings, http, server=server, redirect_uri=uri, now=services.clock.now()
            )
        await services.tokens.keep_client(platform, server, uri, kept)
        return kept

    async def _signed_in(self, connector: Connector, way: SignIn, form: dict[str, str]) -> web.StreamResponse:
        typed = {name: form.get(name, "").strip()[:LARGEST_FORM_FIELD] for name, _, _ in way.fields}
        services = self._services
        if missing := [label for name, label, _ in way.fields if not typed[name] and name not in OPTIONAL]:
            raise Problem(400, "Something is not filled in", detail=f"{', '.join(missing)}.", action=again(way))
        try:
            if typed.get("server"):
                typed["server"] = server_named(typed["server"])
                await check_server(typed["server"], services.settings)
            async with self._http(named=bool(typed.get("server"))) as http:
                identity, tokens = await way.begin(http, services.settings, typed, services.clock.now())
        except (GrantGone, Reject, Retry, RateLimited) as error:
            get_logger().warning("account.sign_in_failed", platform=connector.platform, error=type(error).__name__)
            raise Problem(
                403 if isinstance(error, GrantGone | Reject) else 502,
                f"{way.title} did not let this account in",
                detail=sentence(without(str(error), [typed[name] for name, _, secret in way.fields if secret])),
                mend="Nothing was connected.",
                action=again(way),
            ) from None
        return await self._keep(None, connector, (identity,), tokens, seed=secrets.token_urlsafe(16))

    async def _take_begun(self, request: web.Request, connector: Connector) -> _Begun:
        """Use up the state and return what was kept with it. Raises: Problem 400."""
        state, way_back = request.query.get("state", ""), again(connector.client)
        services = self._services
        row = await services.db.fetchrow(Q["take_oauth_state"], _sha256(state), connector.platform) if state else None
        if row is None:
            raise Problem(
                400,
                "This authorisation is not known here",
                detail="Its state is missing, was used before, or was not given out by this server.",
                mend="Nothing was connected. Begin again, and finish in the same browser.",
                action=way_back,
            )
        try:
            kept = msgspec.json.decode(services.tokens.secrets.decrypt(row["verifier"]), type=_Begun)
        except Retry as error:
            raise Problem(
                400,
                "This authorisation was begun before the key was changed",
                mend="Nothing was connected. Begin again.",
                action=way_back,
            ) from error
        session = request.cookies.get(COOKIE, "")
        if not secrets.compare_digest(kept.session_sha256, _sha256(session)):
            raise Problem(
                400,
                "This authorisation was begun in another browser",
                mend=f"Nothing was connected. Begin and finish in one browser, at {services.settings.public_url}.",
                action=way_back,
            )
        if services.clock.now() - row["created_at"] > STATE_LIFE:
            raise Problem(
                400,
                "This authorisation took too long",
                detail="It is valid for ten minutes.",
                mend="Nothing was connected. Begin again.",
                action=way_back,
            )
        return kept

    async def _exchange(self, client: OAuthClient, code: str, begun: _Begun) -> TokenSet:
        services = self._services
        try:
            return await oauth.exchange(
                client,
                services.settings,
                code=code,
                verifier=begun.verifier,
                redirect_uri=redirect_uri(services, client.name),
                now=services.clock.now(),
                kept=begun.kept,
            )
        except (GrantGone, Reject, Retry) as error:
            get_logger().warning("account.exchange_failed", platform=client.name, error=str(error))
            raise not_exchanged(client, error) from error

    def _check_granted(self, client: OAuthClient, tokens: TokenSet) -> None:
        if missing := oauth.missing_scopes(client, tokens):
            raise Problem(
                403,
                "Not everything that is needed was allowed",
                detail=f"{client.title} did not grant: {', '.join(missing)}.",
                mend="Nothing was connected. Begin again and leave every permission ticked.",
                action=again(client),
            )

    async def _identify(self, connector: Connector, tokens: TokenSet) -> tuple[Identity, ...]:
        """Return whose account it is, or the several that the permission opens. Raises: Problem."""
        services = self._services
        where = {"server": tokens.kept["server"]} if "server" in tokens.kept else {}
        try:
            async with self._http(named=bool(where)) as http:
                found = await connector.identify(
                    http, services.settings, tokens.access_token, now=services.clock.now(), **where
                )
            several = (found,) if isinstance(found, Identity) else tuple(found)
            if not several:
                raise Reject("the permission opens no account")  # noqa: TRY301 - one place answers for all
        except (GrantGone, Reject, Retry, RateLimited) as error:
            told = without(str(error), [tokens.access_token])
            get_logger().warning("account.identify_failed", platform=connector.platform, error=told)
            raise Problem(
                502,
                "The account could not be read",
                detail=sentence(told),
                mend="Nothing was connected.",
                action=again(connector.client),
            ) from None
        return several

    async def _keep(
        self,
        request: web.Request | None,
        connector: Connector,
        identities: Sequence[Identity],
        permission: TokenSet,
        *,
        seed: str,
    ) -> web.StreamResponse:
        """Store the accounts and tell the actors; several are shown by name, one on the overview."""
        services = self._services
        pictures = [await picture_at(one.picture_url, services.settings, services.clock) for one in identities]
        async with services.unit(
            seed=f"connect {_sha256(seed)}", correlation_id=CorrelationId(""), causation_id=None
        ) as tx:
            for one, picture in zip(identities, pictures, strict=True):
                account = AccountId(one.account_id)
                await services.tokens.store(
                    account,
                    connector.platform,
                    one.title,
                    one.tokens or permission,
                    url=one.url,
                    picture=picture,
                    conn=tx.conn,
                )
                tx.emit(
                    AccountConnected(account_id=account, platform=connector.platform, title=one.title), name=account
                )
        for one in identities:
            get_logger().info("account.connected", account_id=one.account_id, platform=connector.platform)
        if len(identities) > 1:
            return _page(connected_page(connector.client.title, [(one.title, one.account_id) for one in identities]))
        query = {"connected": identities[0].account_id}
        home = "/" if request is None else str(request.app.router["home"].url_for())
        return web.Response(status=303, headers={"Location": f"{home}?{urlencode(query)}", "Cache-Control": "no-store"})


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
