"""Accounts are connected in a real browser: consent, refusal, errors and forged states, at Google's and TikTok's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from yarl import URL

from actors.runtime.db import Database
from actors.runtime.settings import Settings
from deploy.sandbox import credentials, running
from tests.browser import Browser, Tab, open_browser
from tests.connecting import at_sandbox
from tests.integration.test_gateway_http import Gateway, gateway_on

PLATFORMS = {"google": ("youtube", "Google", "client_id"), "tiktok": ("tiktok", "TikTok", "client_key")}
TOKEN_PLACES = {"google": "oauth.token", "tiktok": "tiktok.token"}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[URL]:
    async with running(tmp_path / "sandbox") as url:
        yield url


@pytest.fixture
async def gateway(settings_of: Callable[[str], Settings], sandbox: URL) -> AsyncIterator[Gateway]:
    async with gateway_on(at_sandbox(settings_of("gateway"), sandbox)) as found:
        yield found


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with open_browser(tmp_path / "browser") as found:
        yield found


async def at_consent(tab: Tab, gateway: Gateway, name: str) -> None:
    """Click the button of the overview; the consent page follows."""
    await tab.open(f"{gateway.url}/")
    await tab.click(f'a[href="/connect/{name}"]')
    assert "wants to use your account" in await tab.text()
    query = parse_qs(urlsplit(await tab.address()).query)
    assert query["redirect_uri"] == [f"{gateway.url}/oauth/{name}/callback"]
    assert query[PLATFORMS[name][2]]
    assert query["state"]
    assert query["code_challenge_method"] == ["S256"]


async def fault(gateway: Gateway, sandbox: URL, where: str, **more: object) -> None:
    body = {"where": where, "kind": "status", **more}
    async with gateway.browser.post(sandbox / "sandbox/faults", json=body) as answer:
        assert answer.status == 201, await answer.text()


@pytest.mark.parametrize("name", PLATFORMS)
async def test_a_person_connects_an_account(
    name: str, gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """If it fails, nobody can connect an account with the browser they have."""
    platform, _, _ = PLATFORMS[name]
    tab = await browser.tab()
    await at_consent(tab, gateway, name)
    await tab.picture(tmp_path / f"{name}-consent.png")
    await tab.click('button[value="allow"]')
    assert tab.status == 200
    assert (await tab.address()).startswith(f"{gateway.url}/?connected={platform}%3A")
    row = await database.fetchrow("select account_id, title, state from accounts")
    assert row is not None
    assert row["state"] == "connected"
    shown = await tab.text()
    assert f"{row['title']} is connected." in shown
    assert row["account_id"] in shown
    await tab.picture(tmp_path / f"{name}-connected.png")
    assert not tab.errors


@pytest.mark.parametrize("name", PLATFORMS)
async def test_another_account_is_another_name_at_the_sandbox(
    name: str, gateway: Gateway, browser: Browser, database: Database
) -> None:
    """If it fails, a channel with two accounts of one platform cannot be tried."""
    tab = await browser.tab()
    for account in ("", "second@sandbox.test"):
        await at_consent(tab, gateway, name)
        if account:
            await tab.evaluate("document.querySelector('input[name=account]').value = ''")
            await tab.write("input[name=account]", account)
        await tab.click('button[value="allow"]')
        assert tab.status == 200, await tab.text()
    rows = await database.fetch("select account_id from accounts")
    assert len(rows) == 2
    await tab.open(f"{gateway.url}/")
    shown = await tab.text()
    assert all(row["account_id"] in shown for row in rows)


@pytest.mark.parametrize("name", PLATFORMS)
async def test_a_person_says_no(
    name: str, gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """If it fails, a person who refuses sees a stack trace, or is connected nevertheless."""
    tab = await browser.tab()
    await at_consent(tab, gateway, name)
    await tab.click('button[value="deny"]')
    shown = await tab.text()
    assert tab.status == 403
    assert "Permission was not given" in shown
    assert f"{PLATFORMS[name][1]} says: access_denied" in shown
    assert await database.fetchval("select count(*) from accounts") == 0
    await tab.picture(tmp_path / f"{name}-denied.png")
    await tab.click(f'a[href="/connect/{name}"]')
    assert "wants to use your account" in await tab.text()


@pytest.mark.parametrize("name", PLATFORMS)
async def test_an_error_is_told_in_the_platforms_own_words(
    name: str, gateway: Gateway, browser: Browser, sandbox: URL, tmp_path: Path
) -> None:
    """If it fails, a wrong client secret looks like a fault of this program, and nobody finds the mend."""
    tab = await browser.tab()
    await at_consent(tab, gateway, name)
    await fault(gateway, sandbox, TOKEN_PLACES[name], status=401, reason="invalid_client")
    await tab.click('button[value="allow"]')
    shown = await tab.text()
    assert tab.status == 502
    assert f"{PLATFORMS[name][1]} did not accept the authorisation" in shown
    assert "invalid_client" in shown
    assert "Nothing was connected" in shown
    assert await gateway.services.db.fetchval("select count(*) from accounts") == 0
    await tab.picture(tmp_path / f"{name}-error.png")


@pytest.mark.parametrize("name", PLATFORMS)
async def test_a_forged_or_foreign_state_connects_nothing(
    name: str, gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """If it fails, a link can connect a stranger's account to this channel."""
    tab = await browser.tab()
    await tab.open(f"{gateway.url}/oauth/{name}/callback?code=stolen&state=made-up")
    assert tab.status == 400
    assert "This authorisation is not known here" in await tab.text()
    await tab.picture(tmp_path / f"{name}-state.png")

    await at_consent(tab, gateway, name)
    state = parse_qs(urlsplit(await tab.address()).query)["state"][0]
    other = await browser.tab()
    await other.open(f"{gateway.url}/oauth/{name}/callback?code=stolen&state={state}")
    assert other.status == 400
    assert "begun in another browser" in await other.text()
    await other.picture(tmp_path / f"{name}-foreign.png")
    assert await database.fetchval("select count(*) from accounts") == 0


@pytest.mark.parametrize("name", PLATFORMS)
async def test_an_error_that_the_platform_sends_back_is_shown(
    name: str, gateway: Gateway, browser: Browser, tmp_path: Path
) -> None:
    """If it fails, what the platform says when it cannot go on never reaches the person."""
    tab = await browser.tab()
    await at_consent(tab, gateway, name)
    state = parse_qs(urlsplit(await tab.address()).query)["state"][0]
    query = f"error=server_error&error_description=Try+again+<b>later</b>&state={state}"
    await tab.open(f"{gateway.url}/oauth/{name}/callback?{query}")
    shown = await tab.text()
    assert tab.status == 502
    assert f"{PLATFORMS[name][1]} says: server_error (Try again <b>later</b>)." in shown
    assert "Try again in a while" in shown
    await tab.picture(tmp_path / f"{name}-away.png")


async def test_a_redirect_address_that_is_not_registered_is_named(
    gateway: Gateway, browser: Browser, sandbox: URL, tmp_path: Path
) -> None:
    """If it fails, the address that has to be registered is known to nobody."""
    body = {"redirect_uris": ["https://elsewhere.example/callback"]}
    async with gateway.browser.patch(sandbox / "sandbox/settings", json=body) as answer:
        assert answer.status == 200
    tab = await browser.tab()
    await tab.open(f"{gateway.url}/connect/google")
    shown = await tab.text()
    assert tab.status == 400
    assert "redirect_uri_mismatch" in shown
    assert f"{gateway.url}/oauth/google/callback" in shown
    await tab.picture(tmp_path / "google-redirect.png")


async def test_a_server_that_a_person_names(
    gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """If it fails, the browser's own rules for forms stop people on the way to their server."""
    tab = await browser.tab()
    await tab.open(f"{gateway.url}/")
    await tab.click('a[href="/connect/mastodon"]')
    await tab.write("#server", "mastodon.example")
    await tab.picture(tmp_path / "mastodon-form.png")
    await tab.click("main form button")
    assert "Go on at mastodon.example" in await tab.text()
    await tab.picture(tmp_path / "mastodon-go-on.png")
    await tab.click("main a.button")
    assert "wants to use your account" in await tab.text()
    await tab.click('button[value="allow"]')
    assert await database.fetchval("select state from accounts") == "connected"
    assert "is connected." in await tab.text()


async def test_an_app_password_is_typed_into_a_form(
    gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """If it fails, the password stands in the address, or nobody can type it."""
    known = credentials()
    tab = await browser.tab()
    await tab.open(f"{gateway.url}/connect/bluesky")
    await tab.write("#handle", known["bluesky_handle"])
    await tab.write("#password", "wrong-pass-word")
    await tab.picture(tmp_path / "bluesky-form.png")
    await tab.click("main form button")
    assert tab.status == 403
    assert "wrong-pass-word" not in await tab.text() + await tab.address()
    await tab.picture(tmp_path / "bluesky-refused.png")
    await tab.click('a[href="/connect/bluesky"]')
    await tab.write("#handle", known["bluesky_handle"])
    await tab.write("#password", known["bluesky_app_password"])
    await tab.click("main form button")
    assert (tab.status, "is connected." in await tab.text()) == (200, True)
    assert known["bluesky_app_password"] not in await tab.address()
    assert await database.fetchval("select state from accounts") == "connected"
