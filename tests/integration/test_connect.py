"""Every platform's way of connecting, through the gateway and against the sandbox: consent pages, forms, servers."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet
from yarl import URL

from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import open_http
from actors.runtime.oauth import NO_END, Identity, OAuthClient, TokenSet
from actors.runtime.settings import Settings
from contracts.errors import Reject
from deploy.accounts import way_of
from deploy.sandbox import credentials, running
from gateway import connect as gateway_connect
from gateway.connect import connectors
from gateway.sign_in import check_server, kind_of, picture_at, server_named
from tests.connecting import at_sandbox
from tests.integration.test_gateway_http import Gateway, gateway_on

BY_CONSENT = sorted(name for name, one in connectors().items() if isinstance(one.client, OAuthClient))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[URL]:
    async with running(tmp_path / "sandbox") as url:
        yield url


@pytest.fixture
async def gateway(settings_of: Callable[[str], Settings], sandbox: URL) -> AsyncIterator[Gateway]:
    async with gateway_on(at_sandbox(settings_of("gateway"), sandbox)) as found:
        yield found


async def ask(gateway: Gateway, method: str, url: str, **more: Any) -> tuple[int, str, str]:
    """Send a request as a browser; return status, page and where it leads."""
    whole = url if url.startswith("http") else f"{gateway.url}{url}"
    async with gateway.browser.request(method, whole, allow_redirects=False, **more) as answer:
        return answer.status, await answer.text(), answer.headers.get("Location", "")


async def consent_page(gateway: Gateway, name: str) -> str:
    """Go from the button to the consent page; return its address."""
    if name == "mastodon":
        status, page, _ = await ask(gateway, "POST", f"/connect/{name}", data={"server": "@me@Mastodon.Example"})
        found = re.search(r'href="(http[^"]+)"', page)
        assert status == 200, page
        assert found is not None, page
        assert "Go on at mastodon.example" in page
        return found[1].replace("&amp;", "&")
    status, page, place = await ask(gateway, "GET", f"/connect/{name}")
    assert status == 303, page
    return place


async def connected(gateway: Gateway, name: str) -> str:
    """Consent, and come back; return the page or the address that is shown then."""
    status, page, back = await ask(gateway, "POST", await consent_page(gateway, name), data={"decision": "allow"})
    assert status == 302, page
    status, page, home = await ask(gateway, "GET", back)
    assert status in {200, 303}, page
    return home or page


@pytest.mark.parametrize("name", BY_CONSENT)
async def test_an_account_of_every_platform_can_be_connected(name: str, gateway: Gateway, database: Database) -> None:
    """If it fails, nobody can connect an account of that platform, or what is kept of it is of no use."""
    shown = await connected(gateway, name)
    rows = await database.fetch("select account_id, platform, title, state, tokens, expires_at from accounts")
    assert rows
    tokens = gateway.services.tokens
    for row in rows:
        assert row["state"] == "connected"
        assert row["account_id"].startswith(f"{row['platform']}:")
        assert row["title"]
        kept = await tokens.get(row["account_id"], way_of(row["platform"]))
        assert kept.access_token.startswith("sandbox-")
        assert row["account_id"] in shown or URL(shown).query["connected"] == row["account_id"]
    told = await database.fetch("select payload from outbox where subject = 'ett.account.connected'")
    assert len(told) == len(rows)


@pytest.mark.parametrize("name", BY_CONSENT)
async def test_disconnecting_is_told_as_it_was(name: str, gateway: Gateway, database: Database) -> None:
    """If it fails, a permission that still stands at the platform is told as withdrawn."""
    await connected(gateway, name)
    row = await database.fetchrow("select account_id, platform from accounts limit 1")
    assert row is not None
    way = way_of(row["platform"])
    assert isinstance(way, OAuthClient)
    said = await gateway.services.tokens.forget(row["account_id"], way)
    assert ("could not be withdrawn" in said) == (way.revoke_path is None), said
    assert await database.fetchval("select tokens is null from accounts where account_id = $1", row["account_id"])


async def test_the_person_sees_which_accounts_one_permission_opened(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, a person with several pages does not know which of them will be posted to."""

    async def several(*_: Any, now: Any) -> tuple[Identity, ...]:
        own = TokenSet(access_token="of the page", refresh_token=None, expires_at=NO_END)
        return tuple(Identity(account_id=f"tiktok:{key}", title=f"Page <{key}>", tokens=own) for key in "ab")

    known = connectors()
    known["tiktok"] = msgspec.structs.replace(known["tiktok"], identify=several)
    monkeypatch.setattr(gateway_connect, "connectors", lambda: known)
    async with gateway_on(gateway.services.settings) as other:
        page = await connected(other, "tiktok")
    assert "2 accounts are connected" in page
    assert "Page &lt;a&gt;" in page
    assert "tiktok:b" in page
    for key in "ab":
        kept = await gateway.services.tokens.get(f"tiktok:{key}", way_of("tiktok"))  # type: ignore[arg-type]
        assert kept.access_token == "of the page"
    ids = await database.fetch("select message_id from outbox where subject = 'ett.account.connected'")
    assert len({row["message_id"] for row in ids}) == 2


async def test_a_server_is_registered_at_once_and_what_it_gave_is_sealed(gateway: Gateway, database: Database) -> None:
    """If it fails, each try registers another application, or its secret lies open in the database."""
    await consent_page(gateway, "mastodon")
    await connected(gateway, "mastodon")
    (row,) = await database.fetch("select * from oauth_clients")
    assert row["server"] == "https://mastodon.example"
    assert row["redirect_uri"] == f"{gateway.url}/oauth/mastodon/callback"
    assert b"sandbox-app" not in row["client"]
    kept = await gateway.services.tokens.get("mastodon:creator@mastodon.example", way_of("mastodon"))  # type: ignore[arg-type]
    assert kept.kept["server"] == "https://mastodon.example"
    assert kept.kept["client_secret"].startswith("sandbox-app-word-")


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("mastodon.social", "https://mastodon.social"),
        (" https://Mastodon.Social/@me?x#y ", "https://mastodon.social"),
        ("@me@chaos.social", "https://chaos.social"),
        ("bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_server_is_understood_as_people_write_it(typed: str, address: str) -> None:
    """If it fails, people have to know what an address is made of."""
    assert server_named(typed) == address


@pytest.mark.parametrize(
    "typed",
    ["", "http://mastodon.social", "localhost", "127.0.0.1", "10.0.0.1:80", "[::1]", "a.b:99", "x y", "169.254.1.1"],
)
def test_what_is_no_public_name_is_refused(typed: str) -> None:
    """If it fails, the form reaches into the network that this machine stands in."""
    with pytest.raises(Reject):
        server_named(typed)


async def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a public name that points at a private address gets through."""
    told = [(2, 1, 6, "", ("192.168.1.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: told)
    with pytest.raises(Reject, match="not on the public internet"):
        await check_server("https://inside.example", Settings())


async def test_a_refused_server_is_told_on_a_page(gateway: Gateway) -> None:
    """If it fails, a typing error shows as a fault of the gateway."""
    status, page, _ = await ask(gateway, "POST", "/connect/mastodon", data={"server": "127.0.0.1"})
    assert (status, "This server cannot be used" in page) == (400, True)
    status, page, _ = await ask(gateway, "POST", "/connect/google", data={})
    assert status == 405


async def test_an_app_password_connects_and_is_never_in_an_address(gateway: Gateway, database: Database) -> None:
    """If it fails, Bluesky cannot be connected, or its password ends in histories and logs."""
    known = credentials()
    status, page, _ = await ask(gateway, "GET", "/connect/bluesky")
    assert status == 200
    assert 'method="post"' in page
    assert 'type="password"' in page
    assert "is not kept" in page
    assert '<a href="https://bsky.app/settings/app-passwords"' in page
    password = known["bluesky_app_password"]
    typed = {"handle": known["bluesky_handle"], "password": "wrong-one"}
    status, page, _ = await ask(gateway, "POST", "/connect/bluesky", data=typed)
    assert (status, "did not let this account in" in page, "wrong-one" in page) == (403, True, False)
    status, page, _ = await ask(gateway, "POST", "/connect/bluesky", data={"handle": "x"})
    assert (status, "not filled in" in page) == (400, True)
    assert await database.fetchval("select count(*) from accounts") == 0
    status, page, place = await ask(gateway, "POST", "/connect/bluesky", data={**typed, "password": password})
    assert status == 303, page
    assert password not in place
    row = await database.fetchrow("select account_id, state, tokens from accounts")
    assert row is not None
    assert row["state"] == "connected"
    assert password.encode() not in gateway.services.tokens.secrets.decrypt(row["tokens"])
    await database.execute("update accounts set expires_at = now()")
    assert await gateway.services.tokens.access_token(row["account_id"], way_of("bluesky"))


async def test_another_sites_form_connects_nothing(gateway: Gateway) -> None:
    """If it fails, a page elsewhere can make this system sign in, or ask servers of its choice."""
    async with aiohttp.ClientSession() as other:
        for name in ("bluesky", "mastodon"):
            headers = {"Origin": "https://evil.example"}
            async with other.post(f"{gateway.url}/connect/{name}", data={"server": "x.y"}, headers=headers) as answer:
                assert answer.status == 403


async def test_an_error_that_comes_back_is_told_in_the_platforms_words(gateway: Gateway, database: Database) -> None:
    """If it fails, what went wrong at the platform is lost."""
    for error, wanted in (("user_cancelled_login", 403), ("temporarily_unavailable", 502), ("invalid_scope", 400)):
        state = URL(await consent_page(gateway, "linkedin")).query["state"]
        query = {"error": error, "error_description": "<b>In its own words</b>", "state": state}
        status, page, _ = await ask(gateway, "GET", "/oauth/linkedin/callback", params=query)
        assert status == wanted
        assert f"LinkedIn says: {error} (&lt;b&gt;In its own words&lt;/b&gt;)." in page
    assert await database.fetchval("select count(*) from accounts") == 0


async def test_a_platform_that_is_out_of_order_is_no_fault_of_the_settings(gateway: Gateway, sandbox: URL) -> None:
    """If it fails, people look for a fault in their settings while the platform is down."""
    body = {"where": "threads.token", "kind": "status", "status": 503, "times": 3}
    async with gateway.browser.post(sandbox / "sandbox/faults", json=body) as answer:
        assert answer.status == 201
    _, _, back = await ask(gateway, "POST", await consent_page(gateway, "threads"), data={"decision": "allow"})
    status, page, _ = await ask(gateway, "GET", back)
    assert (status, "Threads could not finish the authorisation" in page) == (502, True)
    assert "Try again in a while" in page
    assert "id and secret" not in page


async def test_states_are_not_kept_in_the_open(gateway: Gateway, database: Database) -> None:
    """If it fails, whoever reads the database can finish another's authorisation."""
    state = URL(await consent_page(gateway, "google")).query["state"]
    assert await database.fetchval("select count(*) from oauth_states where state = $1", state) == 0
    assert await database.fetchval("select count(*) from oauth_states") == 1


async def test_a_picture_is_shown_if_it_is_one(gateway: Gateway, database: Database) -> None:
    """If it fails, accounts look alike, or a stranger's file is served as a page of this server."""
    await connected(gateway, "tiktok")
    account = await database.fetchval("select account_id from accounts")
    await database.execute("update accounts set picture = $1", PNG)
    async with gateway.browser.get(f"{gateway.url}/accounts/{account}/picture") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PNG)
    await database.execute("update accounts set picture = $1", b"<html>")
    status, _, _ = await ask(gateway, "GET", f"/accounts/{account}/picture")
    assert status == 404
    assert kind_of(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert await picture_at("https://127.0.0.1/picture.png", Settings(), Clock()) is None
    assert await picture_at(None, Settings(), Clock()) is None


class Inside:
    """A server of this network that a stranger's name leads to, after it led to a public address once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
        self.looked_up = 0
        real = socket.getaddrinfo

        def rebinding(host: Any, *args: Any, **more: Any) -> Any:
            if host != "rebinding.example":
                return real(host, *args, **more)
            self.looked_up += 1
            place = ("1.1.1.1", 443) if self.looked_up == 1 else ("127.0.0.1", port)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)


async def test_a_name_that_changes_after_the_check_reaches_nothing_inside(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, whoever owns a name can have this machine's own services asked, one moment after the check."""
    reached: list[bytes] = []

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))
        writer.close()

    plain = {name: url for name, url in gateway.services.settings.api_urls.items() if name != "mastodon"}
    async with await asyncio.start_server(inside, "127.0.0.1", 0) as server:
        name = Inside(monkeypatch, server.sockets[0].getsockname()[1])
        async with gateway_on(msgspec.structs.replace(gateway.services.settings, api_urls=plain)) as other:
            status, page, _ = await ask(other, "POST", "/connect/mastodon", data={"server": "rebinding.example"})
        assert "This server cannot be used" in page
        assert status == 400
        assert "not a public address" in page
        assert (name.looked_up, reached) == (2, [])


async def test_pictures_come_by_https_or_from_the_settings_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a platform's answer makes this machine ask any port of any machine, in the open."""
    asked: list[str] = []

    async def picture(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=PNG)

    app = web.Application()
    app.router.add_get("/{path:.*}", picture)
    async with TestServer(app) as server:
        base = str(server.make_url("")).rstrip("/")
        known = Settings(api_urls={"tiktok": base})
        assert await picture_at(f"{base}/a.png", known, Clock()) == PNG
        assert await picture_at(f"{base}/b.png", Settings(), Clock()) is None
        name = Inside(monkeypatch, server.port or 0)
        for url in (
            "http://rebinding.example/c.png",
            "https://rebinding.example:8443/d.png",
            "ftp://x/",
            "http://[",
            "",
        ):
            assert await picture_at(url, Settings(), Clock()) is None
        assert name.looked_up == 0
        name.looked_up = 1
        assert await picture_at("https://rebinding.example/e.png", Settings(), Clock()) is None
        assert name.looked_up == 2
    assert asked == ["/a.png"]


async def test_every_redirect_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a public address that leads on to one inside is followed there."""
    asked: list[str] = []

    async def lead(request: web.Request) -> web.Response:
        asked.append(request.path)
        port = request.url.port
        place = {
            "/number": f"http://127.0.0.1:{port + 1 if port else 0}/in",
            "/name": f"http://rebinding.example:{port}/in",
        }
        raise web.HTTPFound(place[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", lead)
    async with TestServer(app) as server:
        base = str(server.make_url("")).rstrip("/")
        name = Inside(monkeypatch, server.port or 0)
        name.looked_up = 1
        async with open_http(Settings(api_urls={"tiktok": base}), Clock(), only_public=True) as http:
            for path in ("/number", "/name"):
                with pytest.raises(Reject, match="not a public address"):
                    await http.request("GET", f"{base}{path}", follow=True)
    assert asked == ["/number", "/name"]


async def test_an_authorisation_whose_key_is_lost_is_to_be_begun_again(gateway: Gateway, database: Database) -> None:
    """If it fails, a person who connects while the key is lost sees a fault of the gateway."""
    state = URL(await consent_page(gateway, "google")).query["state"]
    await database.execute("update oauth_states set verifier = $1", Fernet(Fernet.generate_key()).encrypt(b"{}"))
    status, page, _ = await ask(gateway, "GET", "/oauth/google/callback", params={"state": state, "code": "c"})
    assert (status, "Begin again" in page) == (400, True)
