"""Consent page, token endpoint and revocation, as imitated platforms have them: one flow, each in its own words.

    Consent(stage, Style(title="X", client_id=..., client_secret=..., authorize="/i/oauth2/authorize",
                         token="/2/oauth2/token", revoke="/2/oauth2/revoke", authentication="basic",
                         scopes={"tweet.read": "See posts"}, refusal=oauth_refusal))

It registers the paths with the stage (fault places `auth`, `consent`, `token`, `revoke`, `prolong`, `renew`,
`register`) and gives tokens of `stage.people`; its `holder(token)` tells a data call whose. The account is the form's
`account`, else the address's `login_hint`, else "creator". Sources: RFC 6749, 7009, 7636; Meta's long-lived tokens;
Mastodon's `POST /api/v1/apps`; read 2026-11.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web
from msgspec import Struct
from yarl import URL

from deploy.sandbox import pages
from deploy.sandbox.context import Refused
from deploy.sandbox.faults import Refusal
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.google_oauth import redirect_uri_fault
from deploy.sandbox.posted import Grant, People

__all__ = ["Consent", "Long", "Style", "refusal"]

_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_USUAL: Final = {400: "invalid_request", 401: "invalid_client", 403: "access_denied", 429: "rate_limit_exceeded"}
_WORDS: Final = {
    "invalid_grant": "The code or refresh token is invalid, expired, used before or revoked.",
    "invalid_client": "Client authentication failed.",
    "invalid_request": "The request is missing a parameter, or one of them is wrong.",
    "unsupported_grant_type": "The grant type is not supported.",
}


def refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of a token endpoint as RFC 6749 has it."""
    error = reason or _USUAL.get(status, "server_error")
    body = {"error": error, "error_description": _WORDS.get(error, "Try again later.")}
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


class Long(Struct, frozen=True, kw_only=True):
    """Long-lived tokens of Meta's kind, for the short-lived ones that the code gives. There are no refresh tokens.

    prolong, renew: path, grant_type, name of the parameter with the token. Renewing takes a token of this age or more.
    """

    prolong: tuple[str, str, str]
    renew: tuple[str, str, str] | None = None
    life_s: int = 60 * 86_400
    renewable_after_s: int = 86_400


class Style(Struct, frozen=True, kw_only=True):
    """How one platform does OAuth. Paths are below the platform's own.

    scopes: names and what they allow; optional: people may untick single ones; pkce "hex": SHA-256 in hexadecimal
    digits; granted_field: name in the callback of what was granted, empty: not told; refreshes: there are refresh
    tokens; rotates: each is good once; methods: of the token endpoint; register: where clients register themselves;
    refusal: errors (status, OAuth error code) in the platform's shape; answer: makes the token answer of the usual
    one; others: handlers of further grant types at the token endpoint; requires: names that an authorisation needs.
    """

    title: str
    authorize: str
    token: str
    revoke: str | None = None
    register: str | None = None
    client_id: str = ""
    client_secret: str = ""
    client_id_field: str = "client_id"
    authentication: Literal["post", "basic"] = "post"
    scopes: dict[str, str]
    separator: str = " "
    optional: bool = False
    pkce: Literal["S256", "hex", "none"] = "S256"
    granted_field: str = ""
    requires: tuple[str, ...] = ()
    code_life_s: float = 600.0
    refreshes: bool = True
    rotates: bool = True
    long: Long | None = None
    methods: tuple[Literal["GET", "POST"], ...] = ("POST",)
    refusal: Refusal = refusal
    answer: Callable[[dict[str, Any], Grant], dict[str, Any]] | None = None
    others: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}


class FeedCode(Struct, frozen=True, kw_only=True):
    """A code that a consent page gave out."""

    platform: str
    client_id: str
    account: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    expires_at: float
    used: bool = False


class FeedClient(Struct, frozen=True, kw_only=True):
    """A client that registered itself."""

    platform: str
    secret: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]


class Consent:
    """One platform's way from the browser to tokens."""

    def __init__(self, stage: Stage, style: Style) -> None:
        self._stage = stage
        self._style = style
        self._store = stage.sandbox.store
        long = style.long
        self._long = None if long is None else People(stage.sandbox, stage.name, access_life_s=long.life_s)
        told = style.refusal
        stage.get(style.authorize, "auth", self._ask, refusal=_page_refusal)
        stage.post(style.authorize, "consent", self._decide, refusal=_page_refusal)
        own: dict[str, str] = {style.token: "token"}
        if long is not None:
            own.setdefault(long.prolong[0], "prolong")
            own.setdefault((long.renew or long.prolong)[0], "renew")
        for path, place in own.items():
            if place != "token" or "GET" in style.methods:
                stage.get(path, place, self._token, refusal=told)
            if place == "token" and "POST" in style.methods:
                stage.post(path, place, self._token, refusal=told)
        if style.revoke is not None:
            stage.post(style.revoke, "revoke", self._revoke, refusal=told)
        if style.register is not None:
            stage.post(style.register, "register", self._register, refusal=told)

    # --- the browser's part

    def _check(self, asked: Mapping[str, str]) -> tuple[str, ...]:
        """Return the scopes that an authorisation asks for. Raises: Refused with the platform's error page."""
        style = self._style

        def wrong(error: str, words: str) -> Refused:
            return Refused(pages.html(pages.notice(f"{style.title}: something went wrong", words, error), status=400))

        pkce = () if style.pkce == "none" else ("code_challenge", "code_challenge_method")
        for name in (style.client_id_field, "redirect_uri", "response_type", "scope", *pkce, *style.requires):
            if not asked.get(name):
                raise wrong("invalid_request", f"Missing parameter: {name}")
        client = self._client(asked[style.client_id_field])
        if client is None:
            raise wrong("invalid_client", f"{style.client_id_field} is not known.")
        if fault := redirect_uri_fault(asked["redirect_uri"], client.redirect_uris):
            raise wrong("redirect_uri", fault)
        if asked["response_type"] != "code":
            raise wrong("unsupported_response_type", "response_type must be code.")
        if pkce and asked["code_challenge_method"] != "S256":
            raise wrong("invalid_request", "code_challenge_method must be S256.")
        scopes = tuple(dict.fromkeys(part.strip() for part in asked["scope"].split(style.separator) if part.strip()))
        if unknown := [scope for scope in scopes if scope not in style.scopes]:
            raise wrong("invalid_scope", f"Unknown: {', '.join(unknown)}")
        return scopes

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        scopes = self._check(asked)
        free = self._style.optional and len(scopes) > 1
        lines = [(scope, self._style.scopes[scope], free) for scope in scopes]
        account = asked.get("login_hint", "creator")
        return pages.html(pages.consent(self._style.title, account, asked[self._style.client_id_field], lines))

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        asked, form = dict(request.query), await request.post()
        scopes = self._check(asked)
        granted = scopes
        if "granular" in form:
            granted = tuple(scope for scope in scopes if scope in form.getall("granted", []))
        if form.get("decision") != "allow" or not granted:
            return _back(asked, {"error": "access_denied", "error_description": "The user denied your request"})
        code = f"sandbox-code-{self._stage.name}-{secrets.token_hex(16)}*!1"
        self._store.put(
            code,
            FeedCode(
                platform=self._stage.name,
                client_id=asked[self._style.client_id_field],
                account=str(form.get("account") or asked.get("login_hint") or "creator"),
                scopes=granted,
                redirect_uri=asked["redirect_uri"],
                challenge=asked.get("code_challenge", ""),
                expires_at=self._stage.sandbox.now() + self._style.code_life_s,
            ),
        )
        told = {self._style.granted_field: self._style.separator.join(granted)} if self._style.granted_field else {}
        return _back(asked, {"code": code, **told})

    # --- the program's part

    async def _token(self, request: web.Request) -> web.StreamResponse:
        style = self._style
        form = await _form(request)
        asked = form.get("grant_type", "authorization_code")
        if asked in style.others:
            return await style.others[asked](request)
        long = style.long
        if long is not None and long.renew is not None and asked == long.renew[1]:
            grant = self._renewed(form.get(long.renew[2], ""), long)
        elif long is not None and asked == long.prolong[1]:
            self._authenticate(request, form, secret_only=style.client_id_field not in form)
            grant = self._prolonged(form.get(long.prolong[2], ""))
        elif asked == "authorization_code":
            grant = self._exchanged(form, self._authenticate(request, form))
        elif asked == "refresh_token" and style.refreshes and long is None:
            self._authenticate(request, form)
            grant = self._refreshed(form.get("refresh_token", ""))
        else:
            raise Refused(style.refusal(400, "unsupported_grant_type"))
        answer = self._answer(grant)
        return web.json_response(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _answer(self, grant: Grant) -> dict[str, Any]:
        style, now = self._style, self._stage.sandbox.now()
        answer: dict[str, Any] = {
            "access_token": grant.access,
            "token_type": "bearer",
            "expires_in": max(0, round(grant.access_ends_at - now)),
            "scope": style.separator.join(grant.scopes),
        }
        if style.refreshes and style.long is None:
            answer["refresh_token"] = grant.refresh
        return answer if style.answer is None else style.answer(answer, grant)

    def _exchanged(self, form: Mapping[str, str], client_id: str) -> Grant:
        style = self._style
        code = self._store.get(FeedCode, form.get("code", ""))
        if code is None or code.platform != self._stage.name or code.client_id != client_id or code.used:
            raise Refused(style.refusal(400, "invalid_grant"))
        if code.expires_at <= self._stage.sandbox.now() or form.get("redirect_uri") != code.redirect_uri:
            raise Refused(style.refusal(400, "invalid_grant"))
        if style.pkce != "none":
            verifier = form.get("code_verifier", "")
            if not _VERIFIER.fullmatch(verifier) or _challenge(verifier, style.pkce) != code.challenge:
                raise Refused(style.refusal(400, "invalid_grant"))
        self._store.put(form["code"], msgspec.structs.replace(code, used=True))
        return self._stage.people.grant(code.account, code.scopes)

    def _refreshed(self, refresh: str) -> Grant:
        people, now = self._stage.people, self._stage.sandbox.now()
        if self._style.rotates:
            grant = people.rotated(refresh)
        else:
            every = (one for one in self._store.all(Grant) if one.platform == self._stage.name and not one.revoked)
            grant = next((one for one in every if one.refresh == refresh and one.refresh_ends_at > now), None)
            if grant is not None:
                fresh = f"sandbox-access-{self._stage.name}-{secrets.token_hex(8)}"
                grant = msgspec.structs.replace(grant, access=fresh, access_ends_at=now + people.access_life_s)
                self._store.put(grant.id, grant)
        if grant is None:
            raise Refused(self._style.refusal(400, "invalid_grant"))
        return grant

    def _prolonged(self, token: str) -> Grant:
        holder = self._stage.people.holder(token)
        if holder is None or self._long is None:
            raise Refused(self._style.refusal(400, "invalid_grant"))
        return self._long.grant(holder.account, holder.scopes)

    def _renewed(self, token: str, long: Long) -> Grant:
        holder, now = self._stage.people.holder(token), self._stage.sandbox.now()
        if holder is None or self._long is None or holder.access_ends_at - long.life_s > now - long.renewable_after_s:
            raise Refused(self._style.refusal(400, "invalid_grant"))
        return self._long.grant(holder.account, holder.scopes)

    async def _revoke(self, request: web.Request) -> web.StreamResponse:
        """Withdraw a permission; one that is not known is no error (RFC 7009, section 2.2)."""
        form = await _form(request)
        self._authenticate(request, form)
        if not form.get("token"):
            raise Refused(self._style.refusal(400, "invalid_request"))
        self._stage.people.revoke(form["token"])
        return web.json_response({})

    async def _register(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        uris = tuple(form.get("redirect_uris", "").split())
        scopes = tuple(form.get("scopes", "read").split())
        if not form.get("client_name") or not uris or not set(scopes) <= set(self._style.scopes):
            raise Refused(self._style.refusal(422, "invalid_request"))
        client_id, secret = f"sandbox-app-{secrets.token_hex(8)}", f"sandbox-app-word-{secrets.token_hex(8)}"
        self._store.put(
            f"{self._stage.name} {client_id}",
            FeedClient(platform=self._stage.name, secret=secret, redirect_uris=uris, scopes=scopes),
        )
        told = {"id": "1", "name": form["client_name"], "website": form.get("website"), "scopes": list(scopes)}
        also = {"redirect_uri": "\n".join(uris), "redirect_uris": list(uris), "client_id": client_id}
        return web.json_response({**told, **also, "client_secret": secret})

    def _client(self, client_id: str) -> FeedClient | None:
        if self._style.register is not None:
            return self._store.get(FeedClient, f"{self._stage.name} {client_id}")
        if client_id != self._style.client_id:
            return None
        return FeedClient(
            platform=self._stage.name,
            secret=self._style.client_secret,
            redirect_uris=(),
            scopes=tuple(self._style.scopes),
        )

    def _authenticate(self, request: web.Request, form: Mapping[str, str], *, secret_only: bool = False) -> str:
        """Return who asks. Raises: Refused if that is not shown in the platform's way."""
        style = self._style
        if style.authentication == "basic":
            told, secret = _basic(request.headers.get("Authorization", ""))
        else:
            told, secret = form.get(style.client_id_field, ""), form.get("client_secret", "")
        client = self._client(style.client_id if secret_only else told)
        if client is None or not secrets.compare_digest(client.secret, secret):
            raise Refused(style.refusal(401, "invalid_client"))
        return told


def _page_refusal(status: int, reason: str) -> web.Response:
    return pages.html(pages.notice("Something went wrong", "Try again later.", reason or str(status)), status=status)


async def _form(request: web.Request) -> dict[str, str]:
    """Return what a request says in its address and its body."""
    if request.content_type == "application/json":
        body = await request.json()
        sent = {str(name): str(value) for name, value in body.items()} if isinstance(body, dict) else {}
    else:
        sent = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return {**request.query, **sent}


def _basic(header: str) -> tuple[str, str]:
    """Read `Basic` credentials, percent-decoded (RFC 6749, section 2.3.1); empty where there are none."""
    scheme, _, encoded = header.partition(" ")
    try:
        login, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (unquote_plus(login), unquote_plus(secret)) if scheme.lower() == "basic" else ("", "")


def _challenge(verifier: str, method: str) -> str:
    digest = hashlib.sha256(verifier.encode())
    if method == "hex":
        return digest.hexdigest()
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def _back(asked: Mapping[str, str], answer: Mapping[str, str]) -> web.Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    target = URL(asked["redirect_uri"]).update_query({**answer, **state})
    return web.Response(status=302, headers={"Location": str(target), "Cache-Control": "no-store"})
