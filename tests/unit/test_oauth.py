"""How each platform's OAuth is spoken: addresses, credentials, errors, and what is read of an answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors import platforms
from actors.runtime import oauth
from actors.runtime.oauth import NO_END, ClientRefused, GrantGone, OAuthClient, Prolong, TokenSet
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HERE = "https://here.example/oauth/p/callback"
CLIENTS = {
    name: client
    for name in platforms.names()
    if isinstance(client := getattr(platforms.module(name), "OAUTH", None), OAuthClient)
}
PLAIN = OAuthClient(
    name="p",
    title="Platform",
    authorize_api=("p", "https://p.example"),
    authorize_path="/authorize",
    token_api=("p", "https://p.example"),
    token_path="/token",
    revoke_path="/revoke",
    client_id_setting="p_client_id",
    client_secret_setting="p_client_secret",
    scopes=("a", "b"),
)
OPTIONS = {"p_client_id": "the-client", "p_client_secret": "the-word"}
OLD = TokenSet(access_token="old-access", refresh_token="old-refresh", expires_at=NOW, scopes=("a",), kept={"k": "v"})


class Endpoint:
    """A token endpoint that answers one thing, and what it was asked."""

    def __init__(self, status: int, answer: Any) -> None:
        self.status = status
        self.answer = answer
        self.method = self.path = ""
        self.said: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    async def tell(self, request: web.Request) -> web.Response:
        self.method, self.path = request.method, request.path
        self.said = {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
        self.headers = dict(request.headers)
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def endpoint(status: int, answer: Any) -> AsyncIterator[tuple[Endpoint, Settings]]:
    place = Endpoint(status, answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", place.tell)
    async with TestServer(app) as server:
        yield place, Settings(api_urls={"p": str(server.make_url("")).rstrip("/")}, options=OPTIONS)


def query_of(client: OAuthClient) -> tuple[dict[str, str], oauth.Authorisation, str]:
    names = {client.client_id_setting: "the-client", client.client_secret_setting: "the-word"}
    fields = {name: value for name, value in names.items() if name in Settings.__struct_fields__}
    settings = msgspec.structs.replace(Settings(options=names), **fields)
    kept = {"server": "https://m.example", "client_id": "the-client", "client_secret": "the-word"}
    begun = oauth.authorize(client, settings, redirect_uri=HERE, kept=kept if client.register_path else None)
    parts = urlsplit(begun.url)
    return {name: values[0] for name, values in parse_qs(parts.query).items()}, begun, parts.netloc


@pytest.mark.parametrize("name", CLIENTS)
def test_the_consent_address_is_in_the_platforms_own_form(name: str) -> None:
    """If it fails, the platform shows an error page instead of its consent page."""
    client = CLIENTS[name]
    query, begun, host = query_of(client)
    assert begun.url.startswith("https://")
    assert query[client.client_id_field] == "the-client"
    assert (client.client_id_field == "client_id") == ("client_id" in query)
    assert query["scope"] == client.scope_separator.join(client.scopes)
    assert (query["response_type"], query["redirect_uri"], query["state"]) == ("code", HERE, begun.state)
    assert "the-word" not in begun.url
    assert len(begun.state) >= 30
    digest = hashlib.sha256(begun.verifier.encode())
    wanted = {
        "S256": base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(),
        "hex": digest.hexdigest(),
        "none": None,
    }[client.pkce]
    assert query.get("code_challenge") == wanted
    if client.register_path:
        assert host == "m.example"


def test_tiktok_is_spoken_to_as_its_pages_say() -> None:
    """If it fails, TikTok refuses every connection. Source: Login Kit for Web and for Desktop, read 2026-11."""
    query, begun, host = query_of(CLIENTS["tiktok"])
    assert host == "www.tiktok.com"
    assert urlsplit(begun.url).path == "/v2/auth/authorize/"
    assert query["client_key"] == "the-client"
    assert "," in query["scope"]
    assert len(query["code_challenge"]) == 64
    assert query["code_challenge_method"] == "S256"


@pytest.mark.parametrize("basic", [False, True])
async def test_credentials_are_shown_where_the_platform_looks(*, basic: bool) -> None:
    """If it fails, each exchange ends with `invalid_client`."""
    client = msgspec.structs.replace(
        PLAIN, authentication="basic" if basic else "post", client_id_field="client_id" if basic else "client_key"
    )
    async with endpoint(200, {"access_token": "x", "expires_in": 60}) as (place, settings):
        await oauth.exchange(client, settings, code="c*!", verifier="v" * 43, redirect_uri=HERE, now=NOW)
    wanted = {"code": "c*!", "code_verifier": "v" * 43, "redirect_uri": HERE, "grant_type": "authorization_code"}
    if basic:
        assert place.said == wanted
        pair = base64.b64encode(b"the-client:the-word").decode()
        assert place.headers["Authorization"] == f"Basic {pair}"
    else:
        assert place.said == wanted | {"client_key": "the-client", "client_secret": "the-word"}
        assert "Authorization" not in place.headers


async def test_a_short_lived_token_becomes_a_long_lived_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, accounts at Meta's platforms are lost after an hour."""
    prolong = Prolong(path="/long", grant="th_exchange_token", renew_path="/renew", renew_grant="th_refresh_token")
    client = msgspec.structs.replace(PLAIN, prolong=prolong)
    answer = {"data": [{"access_token": "long", "expires_in": 5_183_944, "permissions": "a,b"}]}
    async with endpoint(200, answer) as (place, settings):
        tokens = await oauth.exchange(client, settings, code="c", verifier="v", redirect_uri=HERE, now=NOW)
        assert (place.method, place.path) == ("GET", "/long")
        assert place.said == {"grant_type": "th_exchange_token", "access_token": "long", "client_secret": "the-word"}
        assert tokens.expires_at == NOW + timedelta(seconds=5_183_944)
        assert tokens.scopes == ("a", "b")
        renewed = await oauth.refresh(client, settings, tokens, now=NOW)
        assert place.said == {"grant_type": "th_refresh_token", "access_token": "long"}
    assert renewed.access_token == "long"
    month = timedelta(days=30)
    assert not oauth.needs_renewal(client, tokens, given_at=NOW, now=NOW + month)
    assert oauth.needs_renewal(client, tokens, given_at=NOW, now=NOW + month * 1.5)
    assert not oauth.needs_renewal(client, tokens, given_at=NOW + month * 1.5, now=NOW + month * 1.5)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Used."}, GrantGone),
        (200, {"error": "invalid_grant", "error_description": "Used.", "log_id": "1"}, GrantGone),
        (401, {"error": {"message": "Expired", "code": 190, "type": "OAuthException"}}, GrantGone),
        (400, {"code": 283, "message": "Your refresh token has expired"}, GrantGone),
        (401, {"error": "invalid_client"}, ClientRefused),
        (401, {}, ClientRefused),
        (400, {"error": "temporarily_unavailable"}, Retry),
        (400, {"error": {"message": "Busy", "code": 2, "is_transient": True}}, Retry),
        (429, {"error": "invalid_grant"}, Retry),
        (503, {"error": "invalid_grant"}, Retry),
        (200, "<html>", Retry),
        (404, "<html>", Retry),
        (200, ["x"], Retry),
        (200, {"access_token": ""}, Retry),
        (200, {"access_token": 7}, Retry),
    ],
)
async def test_only_the_platforms_own_word_ends_a_permission(status: int, answer: Any, kind: type[Exception]) -> None:
    """If it fails, an outage disconnects accounts, or a dead permission is asked for for ever."""
    client = msgspec.structs.replace(PLAIN, gone=("invalid_grant", "190", "283"))
    async with endpoint(status, answer) as (_, settings):
        with pytest.raises(kind) as told:
            await oauth.refresh(client, settings, OLD, now=NOW)
    assert type(told.value) is kind


async def test_no_error_quotes_what_was_sent() -> None:
    """If it fails, a token or the client's secret is shown on a page and logged, because the platform repeated it."""
    words = "code the-code, token old-refresh, old-access and the-word are wrong"
    async with endpoint(400, {"error": "invalid_grant", "error_description": words}) as (_, settings):
        with pytest.raises(GrantGone) as refreshed:
            await oauth.refresh(PLAIN, settings, OLD, now=NOW)
        with pytest.raises(GrantGone) as exchanged:
            await oauth.exchange(PLAIN, settings, code="the-code", verifier="v", redirect_uri=HERE, now=NOW)
    assert str(refreshed.value) == "Platform says invalid_grant: code the-code, token …, … and … are wrong"
    assert "the-code" not in str(exchanged.value)
    assert "the-word" not in str(exchanged.value)


@pytest.mark.parametrize(
    ("answer", "ends_at"),
    [
        ({"expires_in": 60}, NOW + timedelta(seconds=60)),
        ({"expires_in": "60"}, NOW + timedelta(seconds=60)),
        ({"refresh_token": "r"}, NOW + timedelta(hours=1)),
        ({}, NO_END),
    ],
)
async def test_a_life_that_is_not_told_is_not_invented(answer: dict[str, Any], ends_at: datetime) -> None:
    """If it fails, a token without an end, as Mastodon's and a page's, is given up after an hour."""
    async with endpoint(200, {"access_token": "x", **answer}) as (_, settings):
        tokens = await oauth.exchange(PLAIN, settings, code="c", verifier="v", redirect_uri=HERE, now=NOW)
    assert tokens.expires_at == ends_at


async def test_what_is_kept_with_tokens_stays() -> None:
    """If it fails, the first refresh forgets which server an account is on."""
    async with endpoint(200, {"access_token": "x", "expires_in": 60}) as (_, settings):
        fresh = await oauth.refresh(PLAIN, settings, OLD, now=NOW)
    assert (fresh.refresh_token, fresh.scopes, fresh.kept) == ("old-refresh", ("a",), {"k": "v"})


@pytest.mark.parametrize(("which", "token"), [("refresh", "old-refresh"), ("access", "old-access")])
async def test_the_right_token_is_withdrawn(which: Any, token: str) -> None:
    """If it fails, a disconnected permission goes on at the platform."""
    async with endpoint(200, {}) as (place, settings):
        await oauth.revoke(msgspec.structs.replace(PLAIN, revoke_token=which), settings, OLD)
    assert (place.path, place.said["token"]) == ("/revoke", token)
    with pytest.raises(Reject, match="takes no withdrawal"):
        await oauth.revoke(msgspec.structs.replace(PLAIN, revoke_path=None), settings, OLD)


MASTODON = msgspec.structs.replace(CLIENTS["mastodon"], token_api=("nowhere", ""))


async def test_an_account_without_its_client_is_to_be_connected_again() -> None:
    """If it fails, an account of a Mastodon server that was connected otherwise ends in a stack trace for ever."""
    old = msgspec.structs.replace(OLD, kept={"server": "https://m.example"})
    with pytest.raises(GrantGone, match="not kept"):
        await oauth.refresh(MASTODON, Settings(), old, now=NOW)
    with pytest.raises(Reject, match="cannot be told"):
        await oauth.revoke(MASTODON, Settings(), old)


async def test_a_server_is_asked_at_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a name that changes where it leads after the check sends secrets into this network."""
    reached: list[bytes] = []

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))
        writer.close()

    real, looked_up = socket.getaddrinfo, 0

    def rebinding(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        nonlocal looked_up
        if host not in ("m.example", b"m.example"):
            return real(host, port, *args, **more)
        looked_up += 1
        return real("127.0.0.1", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    async with await asyncio.start_server(inside, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        kept = {"server": f"https://m.example:{port}", "client_id": "c", "client_secret": "s"}
        with pytest.raises(Reject, match="not a public address"):
            await oauth.refresh(MASTODON, Settings(), msgspec.structs.replace(OLD, kept=kept), now=NOW)
        assert (reached, looked_up) == ([], 1)


async def test_a_checked_server_still_hears_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, servers that share an address answer for each other, or no certificate fits."""
    asked: list[tuple[str, int]] = []

    def at(origin: tuple[str, int]) -> tuple[str, ...]:
        asked.append(origin)
        return ("127.0.0.1",)

    monkeypatch.setattr(oauth, "public_addresses", at)
    async with endpoint(200, {"access_token": "x"}) as (place, settings):
        port = urlsplit(settings.api_urls["p"]).port
        kept = {"server": f"http://m.example:{port}", "client_id": "c", "client_secret": "s"}
        fresh = await oauth.refresh(MASTODON, Settings(), msgspec.structs.replace(OLD, kept=kept), now=NOW)
    assert fresh.access_token == "x"
    assert asked == [("m.example", port)]
    assert place.headers["Host"] == f"m.example:{port}"
