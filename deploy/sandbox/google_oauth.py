"""Google OAuth 2.0, web server flow, as the sandbox plays it.

Docs: "Using OAuth 2.0 for Web Server Applications" (developers.google.com/identity/protocols/oauth2/web-server,
read 2026-11). Not played: id_token, device and service-account flows.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from urllib.parse import unquote_plus

from aiohttp import web
from msgspec import Struct, structs
from yarl import URL

from deploy.sandbox import pages
from deploy.sandbox.context import Refused, Sandbox
from deploy.sandbox.faults import Switchboard

__all__ = ["SCOPE_TITLES", "AccessToken", "GoogleOauth", "refusal"]

_GOOGLE = "https://www.googleapis.com/auth/"
SCOPE_TITLES: dict[str, str] = {
    f"{_GOOGLE}youtube.upload": "Upload videos to your YouTube channel",
    f"{_GOOGLE}youtube.readonly": "See your YouTube account",
    f"{_GOOGLE}youtube": "Manage your YouTube account",
    f"{_GOOGLE}youtube.force-ssl": "See, edit and delete your videos, captions and comments",
    f"{_GOOGLE}yt-analytics.readonly": "See YouTube Analytics reports",
    f"{_GOOGLE}yt-analytics-monetary.readonly": "See money reports of YouTube Analytics",
    "openid": "Know who you are",
    "email": "See your e-mail address",
    "profile": "See your name and picture",
    f"{_GOOGLE}userinfo.email": "See your e-mail address",
    f"{_GOOGLE}userinfo.profile": "See your name and picture",
}
SIGN_IN_SCOPES = frozenset(scope for scope in SCOPE_TITLES if not scope.startswith(f"{_GOOGLE}y"))
"""Scopes that the consent page does not let people untick."""

CODE_LIFE_S = 600.0
LIVE_REFRESH_TOKENS = 100
"""Per account and client; the oldest dies when one more is given (same page, "Refresh token expiration")."""
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CODE_AND_WORDS: dict[str, tuple[int, str]] = {
    "invalid_grant": (400, "Token has been expired or revoked."),
    "invalid_client": (401, "Unauthorized"),
    "invalid_request": (400, "Bad Request"),
    "redirect_uri_mismatch": (400, "Bad Request"),
    "unsupported_grant_type": (400, "Invalid grant_type"),
    "invalid_token": (400, "Token expired or revoked"),
}
_USUAL: dict[int, str] = {400: "invalid_grant", 401: "invalid_client", 403: "access_denied", 429: "rate_limit_exceeded"}


class Consent(Struct, frozen=True, kw_only=True):
    """What one account has granted to one client."""

    client_id: str
    account: str
    scopes: tuple[str, ...]


class AuthCode(Struct, frozen=True, kw_only=True):
    """A code that the consent page handed out."""

    client_id: str
    account: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    method: str
    refresh: bool
    expires_at: float
    used: bool = False


class AccessToken(Struct, frozen=True, kw_only=True):
    """A bearer token and what it opens."""

    client_id: str
    account: str
    scopes: tuple[str, ...]
    expires_at: float


class RefreshToken(Struct, frozen=True, kw_only=True):
    """A long-lived token; `expires_at` None: no end."""

    client_id: str
    account: str
    scopes: tuple[str, ...]
    expires_at: float | None


def refusal(status: int, reason: str = "", description: str = "") -> web.Response:
    """Write an error of the token endpoint: `{"error", "error_description"}`."""
    error = reason or _USUAL.get(status, "internal_failure")
    words = description or _CODE_AND_WORDS.get(error, (status, "Try again later."))[1]
    return web.json_response(
        {"error": error, "error_description": words}, status=status, headers={"Cache-Control": "no-store"}
    )


def _refuse(reason: str, description: str = "") -> Refused:
    return Refused(refusal(_CODE_AND_WORDS[reason][0], reason, description))


def redirect_uri_fault(uri: str, registered: tuple[str, ...]) -> str | None:
    """Say why Google would not redirect to `uri`; None: it would."""
    if registered:
        return None if uri in registered else "The redirect URI does not match one that is registered"
    try:
        url = URL(uri)
    except ValueError:
        return "The redirect URI is no address"
    host = url.host or ""
    loopback = host in {"localhost", "127.0.0.1", "::1"}
    if url.scheme not in {"http", "https"} or not host:
        return "The redirect URI needs a scheme and a host"
    if url.scheme == "http" and not loopback:
        return "The redirect URI must use HTTPS unless it is a loopback address"
    if "#" in uri or "*" in uri or url.user is not None or "/.." in uri or "\\" in uri:
        return "The redirect URI must have no fragment, wildcard, user name or path traversal"
    if not loopback and re.fullmatch(r"[\d.]+", host):
        return "The redirect URI must not be a raw public IP address"
    return None


class GoogleOauth:
    """The consent page, the token endpoint and revocation."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard

    def add_routes(self, router: web.UrlDispatcher) -> None:
        guard = self._switchboard.guard
        router.add_get("/o/oauth2/v2/auth", guard("oauth.auth", self._authorize, refusal=refusal))
        router.add_post("/o/oauth2/v2/auth", guard("oauth.consent", self._decide, refusal=refusal))
        router.add_post("/token", guard("oauth.token", self._token, refusal=refusal))
        router.add_post("/revoke", guard("oauth.revoke", self._revoke, refusal=refusal))

    def bearer(self, request: web.Request) -> AccessToken | None:
        """Return the live access token that a request carries, else None."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.query.get("access_token", "")
        found = self._store.get(AccessToken, token.strip()) if token else None
        return found if found is not None and found.expires_at > self._sandbox.now() else None

    def issue(self, *, client_id: str, account: str, scopes: tuple[str, ...], refresh: bool) -> dict[str, object]:
        """Make an access token, with a refresh token if wanted; return the token endpoint's answer."""
        settings, now = self._sandbox.settings, self._sandbox.now()
        access = f"sandbox-access-{secrets.token_hex(24)}"
        answer: dict[str, object] = {
            "access_token": access,
            "expires_in": settings.access_token_expires_in_s,
            "scope": " ".join(scopes),
            "token_type": "Bearer",
        }
        ends_at = now + settings.access_token_expires_in_s
        with self._store.transaction():
            self._store.put(
                access, AccessToken(client_id=client_id, account=account, scopes=scopes, expires_at=ends_at)
            )
            if refresh:
                answer["refresh_token"] = key = f"sandbox-refresh-{secrets.token_hex(24)}"
                life = settings.refresh_token_expires_in_s
                if life is not None:
                    answer["refresh_token_expires_in"] = life
                ends = None if life is None else now + life
                self._store.put(key, RefreshToken(client_id=client_id, account=account, scopes=scopes, expires_at=ends))
                self._drop_oldest(client_id, account)
        return answer

    def grant(self, account: str, scopes: tuple[str, ...]) -> dict[str, object]:
        """Give tokens as if the account had just consented (for tests and the demo)."""
        client_id = self._sandbox.settings.client_id
        self._remember(client_id, account, scopes)
        return self.issue(client_id=client_id, account=account, scopes=scopes, refresh=True)

    def _drop_oldest(self, client_id: str, account: str) -> None:
        keys = self._store.keys(RefreshToken, client_id=client_id, account=account)
        for key in keys[: max(0, len(keys) - LIVE_REFRESH_TOKENS)]:
            self._store.drop(RefreshToken, key)

    # --- consent page

    def _check(self, asked: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """Return the account and scopes of an authorization request. Raises: Refused with Google's error page."""
        settings = self._sandbox.settings

        def wrong(status: int, error: str, words: str) -> Refused:
            return Refused(pages.html(pages.oauth_error(status, error, words), status=status))

        for name in ("client_id", "redirect_uri", "response_type", "scope"):
            if not asked.get(name):
                raise wrong(400, "invalid_request", f"Missing required parameter: {name}")
        if asked["client_id"] != settings.client_id:
            raise wrong(401, "invalid_client", "The OAuth client was not found.")
        if fault := redirect_uri_fault(asked["redirect_uri"], settings.redirect_uris):
            raise wrong(400, "redirect_uri_mismatch", f"{fault}: {asked['redirect_uri']}")
        if asked["response_type"] != "code":
            raise wrong(400, "unsupported_response_type", f"Invalid response_type: {asked['response_type']}")
        scopes = tuple(dict.fromkeys(asked["scope"].split()))
        if unknown := [scope for scope in scopes if scope not in SCOPE_TITLES]:
            raise wrong(400, "invalid_scope", f"Some requested scopes were invalid: {', '.join(unknown)}")
        if asked.get("code_challenge_method", "plain") not in {"S256", "plain"}:
            raise wrong(400, "invalid_request", "Invalid parameter value for code_challenge_method")
        if "code_challenge_method" in asked and not asked.get("code_challenge"):
            raise wrong(400, "invalid_request", "Missing required parameter: code_challenge")
        return asked.get("login_hint") or settings.account, scopes

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        account, scopes = self._check(asked)
        prompt = set(asked.get("prompt", "").split())
        earlier = self._consented(asked["client_id"], account)
        if set(scopes) <= set(earlier) and not prompt & {"consent", "select_account"}:
            return self._send_back(asked, account, scopes, refresh=False)
        if "none" in prompt:
            return _redirect(asked, error="interaction_required")
        tickable = [scope for scope in scopes if scope not in SIGN_IN_SCOPES]
        lines = [(scope, SCOPE_TITLES[scope], scope in tickable and len(tickable) > 1) for scope in scopes]
        return pages.html(pages.consent("Google", account, asked["client_id"], lines))

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        asked, form = dict(request.query), await request.post()
        account, scopes = self._check(asked)
        account = str(form.get("account") or account)
        granted = scopes
        if "granular" in form:
            ticked = form.getall("granted", [])
            granted = tuple(scope for scope in scopes if scope in ticked or scope in SIGN_IN_SCOPES)
        if form.get("decision") != "allow" or not granted:
            return _redirect(asked, error="access_denied")
        if asked.get("include_granted_scopes") == "true":
            granted = tuple(dict.fromkeys((*granted, *self._consented(asked["client_id"], account))))
        self._remember(asked["client_id"], account, granted)
        return self._send_back(asked, account, granted, refresh=asked.get("access_type") == "offline")

    def _send_back(
        self, asked: Mapping[str, str], account: str, scopes: tuple[str, ...], *, refresh: bool
    ) -> web.Response:
        code = f"4/sandbox-{secrets.token_urlsafe(24)}"
        self._store.put(
            code,
            AuthCode(
                client_id=asked["client_id"],
                account=account,
                scopes=scopes,
                redirect_uri=asked["redirect_uri"],
                challenge=asked.get("code_challenge") or None,
                method=asked.get("code_challenge_method", "plain"),
                refresh=refresh,
                expires_at=self._sandbox.now() + CODE_LIFE_S,
            ),
        )
        return _redirect(asked, code=code, scope=" ".join(scopes))

    def _consented(self, client_id: str, account: str) -> tuple[str, ...]:
        found = self._store.get(Consent, f"{client_id} {account}")
        return () if found is None else found.scopes

    def _remember(self, client_id: str, account: str, scopes: tuple[str, ...]) -> None:
        together = tuple(dict.fromkeys((*self._consented(client_id, account), *scopes)))
        self._store.put(f"{client_id} {account}", Consent(client_id=client_id, account=account, scopes=together))

    # --- token endpoint

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        client_id = self._check_client(request, form)
        match form.get("grant_type", ""):
            case "authorization_code":
                answer = self._exchange(form, client_id)
            case "refresh_token":
                answer = self._refresh(form, client_id)
            case "":
                raise _refuse("invalid_request", "Required parameter is missing: grant_type")
            case other:
                raise _refuse("unsupported_grant_type", f"Invalid grant_type: {other}")
        return web.json_response(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _check_client(self, request: web.Request, form: Mapping[str, str]) -> str:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if header := request.headers.get("Authorization"):
            client_id, secret = _basic(header)
        if not client_id:
            raise _refuse("invalid_request", "Could not determine client ID from request.")
        if client_id != self._sandbox.settings.client_id:
            raise _refuse("invalid_client", "The OAuth client was not found.")
        if not secret:
            raise _refuse("invalid_request", "client_secret is missing.")
        if secret != self._sandbox.settings.client_secret:
            raise _refuse("invalid_client", "The provided client secret is invalid.")
        return client_id

    def _exchange(self, form: Mapping[str, str], client_id: str) -> dict[str, object]:
        for name in ("code", "redirect_uri"):
            if not form.get(name):
                raise _refuse("invalid_request", f"Missing required parameter: {name}")
        code = self._store.get(AuthCode, form["code"])
        if code is None or code.client_id != client_id:
            raise _refuse("invalid_grant", "Malformed auth code.")
        if code.used or code.expires_at <= self._sandbox.now():
            raise _refuse("invalid_grant", "Bad Request")
        if form["redirect_uri"] != code.redirect_uri:
            raise _refuse("redirect_uri_mismatch")
        if code.challenge is not None:
            verifier = form.get("code_verifier", "")
            if not verifier:
                raise _refuse("invalid_grant", "Missing code verifier.")
            if not _VERIFIER.fullmatch(verifier) or _challenge(verifier, code.method) != code.challenge:
                raise _refuse("invalid_grant", "Invalid code verifier.")
        self._store.put(form["code"], structs.replace(code, used=True))
        return self.issue(client_id=client_id, account=code.account, scopes=code.scopes, refresh=code.refresh)

    def _refresh(self, form: Mapping[str, str], client_id: str) -> dict[str, object]:
        if not form.get("refresh_token"):
            raise _refuse("invalid_request", "Missing required parameter: refresh_token")
        token = self._store.get(RefreshToken, form["refresh_token"])
        if token is None or (token.expires_at is not None and token.expires_at <= self._sandbox.now()):
            raise _refuse("invalid_grant")
        if token.client_id != client_id:
            raise Refused(refusal(400, "unauthorized_client", "Unauthorized"))
        return self.issue(client_id=client_id, account=token.account, scopes=token.scopes, refresh=False)

    async def _revoke(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("token") or (await request.post()).get("token")
        if not isinstance(token, str) or not token:
            raise _refuse("invalid_request", "Required parameter is missing: token")
        found = self._store.get(AccessToken, token) or self._store.get(RefreshToken, token)
        if found is None:
            raise _refuse("invalid_token")
        with self._store.transaction():
            self._store.drop(Consent, f"{found.client_id} {found.account}")
            for kind in (AccessToken, RefreshToken):
                for key in self._store.keys(kind, client_id=found.client_id, account=found.account):
                    self._store.drop(kind, key)
        return web.json_response({})


def _basic(header: str) -> tuple[str, str]:
    """Read `Basic` credentials, percent-decoded as RFC 6749 2.3.1 has them. Raises: Refused."""
    scheme, _, encoded = header.partition(" ")
    try:
        login, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError as wrong:
        raise _refuse("invalid_client") from wrong
    if scheme.lower() != "basic":
        raise _refuse("invalid_client")
    return unquote_plus(login), unquote_plus(secret)


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _redirect(asked: Mapping[str, str], **answer: str) -> web.Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    target = URL(asked["redirect_uri"]).update_query({**state, **answer})
    return web.Response(status=302, headers={"Location": str(target), "Cache-Control": "no-store"})
