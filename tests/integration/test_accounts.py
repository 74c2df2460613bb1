"""Tokens of accounts: refreshed once, never lost, given up only on the platform's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms.youtube import OAUTH, identify
from actors.runtime import oauth
from actors.runtime.db import Database, open_database
from actors.runtime.oauth import GrantGone, TokenSet
from actors.runtime.tokens import open_tokens
from contracts.errors import AuthExpired, Reject, Retry
from contracts.ids import AccountId
from tests.channel import Channel, connected_channel

REDIRECT = "http://127.0.0.1:8400/oauth/google/callback"


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


async def state_of(channel: Channel) -> str:
    return str(await channel.db.fetchval("select state from accounts"))


async def consented(channel: Channel) -> tuple[TokenSet, str]:
    """Go through the consent page as a browser does; return the tokens and the code that gave them."""
    settings, http = channel.services.settings, channel.services.http
    begun = oauth.authorize(OAUTH, settings, redirect_uri=REDIRECT)
    answer = await http.request(
        "POST",
        begun.url,
        data={"decision": "allow"},
    )
    assert answer.status == 302, answer.text
    back = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert back["state"] == begun.state
    now = channel.clock.now()
    code = back["code"]
    tokens = await oauth.exchange(OAUTH, settings, code=code, verifier=begun.verifier, redirect_uri=REDIRECT, now=now)
    return tokens, code


async def test_a_consent_becomes_tokens_and_a_channel(channel: Channel) -> None:
    """Nobody can connect an account."""
    tokens, _ = await consented(channel)
    assert tokens.refresh_token
    assert oauth.missing_scopes(OAUTH, tokens) == ()
    assert timedelta(minutes=50) < tokens.expires_at - channel.clock.now() <= timedelta(hours=1)
    services = channel.services
    found = await identify(services.http, services.settings, tokens.access_token, now=channel.clock.now())
    assert found.account_id.startswith("youtube:UC")
    assert found.title == "Sandbox channel"
    there = services.settings.api_url("youtube_www", "")
    assert found.url == f"{there}/channel/{found.account_id.removeprefix('youtube:')}"


async def test_a_code_is_good_once_and_with_its_verifier(channel: Channel) -> None:
    """A stolen or repeated callback connects an account."""
    _, code = await consented(channel)
    settings, now = channel.services.settings, channel.clock.now()
    with pytest.raises(GrantGone):
        await oauth.exchange(OAUTH, settings, code=code, verifier="x" * 64, redirect_uri=REDIRECT, now=now)


async def test_an_account_without_a_channel_is_named(database: Database, tmp_path: Path) -> None:
    """A person without a channel gets an empty account, or a stack trace."""
    async with connected_channel(database, tmp_path, has_channel=False) as channel:
        granted = await channel.ask("POST", "/sandbox/oauth/grant", {})
        services = channel.services
        with pytest.raises(Reject, match="no YouTube channel"):
            await identify(services.http, services.settings, granted["access_token"], now=channel.clock.now())


async def test_tokens_are_encrypted_in_the_database(channel: Channel) -> None:
    """Whoever reads the database or a backup has the channel."""
    await channel.connect()
    sealed = await channel.db.fetchval("select tokens from accounts")
    assert b"sandbox-" not in sealed
    assert b"sandbox-refresh-" in channel.services.tokens.secrets.decrypt(sealed)


async def test_many_workers_refresh_once(channel: Channel, database_url: str) -> None:
    """Workers that refresh side by side use up refresh tokens, and one is left with a dead one."""
    account = await channel.connect(life_s=1)
    services = channel.services
    async with open_database(database_url, name="other") as pool:
        other = open_tokens(services.settings, pool, services.http, services.clock)
        found = await asyncio.gather(
            *(tokens.access_token(account, OAUTH) for _ in range(4) for tokens in (services.tokens, other))
        )
    assert len(set(found)) == 1
    assert (await channel.state())["calls"]["oauth.token"] == 1


async def test_a_fresh_token_costs_no_call(channel: Channel) -> None:
    """Every upload asks for a token first and runs into the limits of the token server."""
    account = await channel.connect()
    assert await channel.services.tokens.access_token(account, OAUTH)
    assert "oauth.token" not in (await channel.state())["calls"]


async def test_the_refresh_token_is_kept_where_the_answer_has_none(channel: Channel) -> None:
    """The first refresh forgets how to refresh again; an hour later the account is lost."""
    account = await channel.connect(life_s=1)
    for _ in range(3):
        await channel.services.tokens.access_token(account, OAUTH)
        channel.clock.turn(7200)
    assert await state_of(channel) == "connected"


async def test_an_empty_refresh_token_never_replaces_a_good_one(channel: Channel) -> None:
    """A token server that answers with an empty refresh token costs the account."""

    async def token(_: web.Request) -> web.Response:
        return web.json_response(
            {"access_token": "fresh", "refresh_token": "", "expires_in": 60, "token_type": "Bearer"}
        )

    app = web.Application()
    app.router.add_post("/token", token)
    old = TokenSet(access_token="old", refresh_token="good", expires_at=channel.clock.now(), scopes=("a", "b"))
    async with TestServer(app) as server:
        elsewhere = {"google_oauth": str(server.make_url("")).rstrip("/")}
        settings = msgspec.structs.replace(channel.services.settings, api_urls=elsewhere)
        new = await oauth.refresh(OAUTH, settings, old, now=channel.clock.now())
    assert (new.access_token, new.refresh_token, new.scopes) == ("fresh", "good", ("a", "b"))
    assert new.expires_at == channel.clock.now() + timedelta(seconds=60)


async def test_a_second_consent_without_a_refresh_token_keeps_the_known_one(channel: Channel) -> None:
    """Connecting an account again, where Google sends no refresh token, loses the account an hour later."""
    account = await channel.connect()
    again = TokenSet(access_token="new", refresh_token=None, expires_at=channel.clock.now())
    await channel.services.tokens.store(account, "youtube", "Sandbox channel", again)
    assert (await channel.services.tokens.access_token(account, OAUTH)).startswith("sandbox-access-")


async def test_a_withdrawn_permission_disconnects_once_and_for_all(channel: Channel) -> None:
    """A withdrawn permission is asked for again and again, or nobody is told."""
    account = await channel.connect(life_s=1)
    await channel.fault("oauth.token", "status", status=400, reason="invalid_grant")
    for _ in range(2):
        with pytest.raises(AuthExpired, match="invalid_grant"):
            await channel.services.tokens.access_token(account, OAUTH)
    assert await state_of(channel) == "reconnect_needed"
    assert (await channel.state())["calls"]["oauth.token"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500, "reason": "internal_failure"},
        {"kind": "status", "status": 429},
        {"kind": "accept_then_timeout", "delay_s": 0.0},
        {"kind": "drop_mid_body"},
        {"kind": "truncate"},
    ],
)
async def test_an_outage_never_disconnects(channel: Channel, fault: dict[str, object]) -> None:
    """An outage of the token server disconnects every channel of the studio."""
    account = await channel.connect(life_s=1)
    await channel.fault("oauth.token", str(fault.pop("kind")), **fault)
    with pytest.raises(Retry):
        await channel.services.tokens.access_token(account, OAUTH)
    assert await state_of(channel) == "connected"
    async with asyncio.timeout(10):  # the sandbox drops what looks like a client's own resend for a second
        while True:
            with suppress(Retry):
                assert await channel.services.tokens.access_token(account, OAUTH)
                break
            await asyncio.sleep(0.1)


async def test_wrong_credentials_are_named_and_never_disconnect(channel: Channel) -> None:
    """A typing error in the settings disconnects every channel."""
    account = await channel.connect(life_s=1)
    services = channel.services
    wrong = msgspec.structs.replace(services.settings, google_client_secret="wrong")
    tokens = open_tokens(wrong, services.db, services.http, services.clock)
    with pytest.raises(Reject, match="GOOGLE_CLIENT_SECRET"):
        await tokens.access_token(account, OAUTH)
    assert await state_of(channel) == "connected"


async def test_a_refused_token_is_refreshed_and_an_old_refusal_ignored(channel: Channel) -> None:
    """A 401 is answered with the same dead token for an hour, or two 401s refresh twice."""
    account = await channel.connect()
    tokens = channel.services.tokens
    first = await tokens.access_token(account, OAUTH)
    await tokens.refused(account, first)
    second = await tokens.access_token(account, OAUTH)
    assert second != first
    await tokens.refused(account, first)
    await tokens.lost(account, first, "old news")
    assert await tokens.access_token(account, OAUTH) == second
    assert (await channel.state())["calls"]["oauth.token"] == 1


async def test_an_account_that_is_not_there_is_named(channel: Channel) -> None:
    """A post to an unknown account fails with a stack trace."""
    with pytest.raises(AuthExpired, match="not connected"):
        await channel.services.tokens.access_token(AccountId("youtube:none"), OAUTH)


async def test_forgetting_withdraws_the_permission_and_deletes_the_tokens(channel: Channel) -> None:
    """A disconnected account can still be used by whoever has the old tokens."""
    account = await channel.connect()
    tokens = channel.services.tokens
    access = await tokens.access_token(account, OAUTH)
    await tokens.forget(account, OAUTH)
    row = await channel.db.fetchrow("select state, tokens from accounts")
    assert row is not None
    assert (row["state"], row["tokens"]) == ("disconnected", None)
    services = channel.services
    with pytest.raises(Reject):
        await identify(services.http, services.settings, access, now=channel.clock.now())


async def test_forgetting_works_when_the_platform_is_away(channel: Channel) -> None:
    """A person cannot disconnect an account while the platform has an outage."""
    account = await channel.connect()
    await channel.fault("oauth.revoke", "status", status=503)
    await channel.services.tokens.forget(account, OAUTH)
    row = await channel.db.fetchrow("select state, state_because, tokens from accounts")
    assert row is not None
    assert (row["state"], row["tokens"]) == ("disconnected", None)
    assert "could not be withdrawn" in row["state_because"]
