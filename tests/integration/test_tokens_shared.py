"""Tokens that several processes share: refreshed once, not lost with a process, and a loss told once."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from actors import platforms
from actors.platforms.tiktok import OAUTH
from actors.runtime import keys, oauth
from actors.runtime.db import Database
from actors.runtime.oauth import TokenSet
from actors.runtime.tokens import open_tokens, renew_ageing
from contracts.errors import AuthExpired, RateLimited, Retry
from contracts.ids import AccountId
from deploy.sandbox import credentials
from tests.channel import Channel, connected_channel

REPLICAS = 4
ACCOUNTS = 50
CHILD = """
import asyncio, hashlib, json, sys
from actors.platforms.tiktok import OAUTH
from actors.runtime.clock import Clock
from actors.runtime.db import open_database
from actors.runtime.http import open_http
from actors.runtime.settings import load_settings
from actors.runtime.tokens import open_tokens

async def main(names):
    settings, clock = load_settings(), Clock()
    async with open_database(settings.database_url) as db, open_http(settings, clock) as http:
        tokens = open_tokens(settings, db, http, clock)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        found = await asyncio.gather(*(tokens.access_token(name, OAUTH) for name in names))
        print(json.dumps({n: hashlib.sha256(t.encode()).hexdigest() for n, t in zip(names, found)}), flush=True)

asyncio.run(main(sys.argv[1:]))
"""


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        known, services = credentials(), found.services
        names = ("tiktok_client_key", "tiktok_client_secret")
        settings = msgspec.structs.replace(services.settings, **{name: known[name] for name in names})
        own = open_tokens(settings, services.db, services.http, services.clock)
        services = dataclasses.replace(services, settings=settings, tokens=own)
        yield msgspec.structs.replace(found, services=services)


async def replica(channel: Channel, database_url: str, *names: AccountId, kill_dir: Path | None = None) -> Process:
    """Start a process with tokens of its own; it asks for the accounts' tokens when it is told to go."""
    known = credentials()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        *names,
        stdin=PIPE,
        stdout=PIPE,
        env={
            **os.environ,
            "DATABASE_URL": database_url,
            "DATA_DIR": str(channel.services.settings.data_dir),
            "TIKTOK_API_URL": channel.services.settings.api_urls["tiktok"],
            "TIKTOK_CLIENT_KEY": known["tiktok_client_key"],
            "TIKTOK_CLIENT_SECRET": known["tiktok_client_secret"],
            "ETTAMETTA_KILL_DIR": str(kill_dir or ""),
        },
    )
    assert child.stdout is not None
    assert (await child.stdout.readline()).strip() == b"ready"
    return child


async def told(child: Process) -> dict[str, str]:
    out, _ = await child.communicate(b"go\n")
    assert child.returncode == 0
    found: dict[str, str] = json.loads(out)
    return found


async def calls(channel: Channel, place: str) -> int:
    return int((await channel.state())["calls"].get(place, 0))


async def paused(channel: Channel) -> list[dict[str, Any]]:
    return await channel.given("account.paused")


async def test_fifty_tokens_are_refreshed_once_by_four_replicas(channel: Channel, database_url: str) -> None:
    """If it fails, two replicas use up one refresh token, and one of them is left with a dead account."""
    names = [await channel.connect_to("tiktok", account=f"creator{number}", life_s=1) for number in range(ACCOUNTS)]
    for rounds in (1, 2):
        children = [await replica(channel, database_url, *names) for _ in range(REPLICAS)]
        found = await asyncio.gather(*(told(child) for child in children))
        assert await calls(channel, "tiktok.token") == rounds * ACCOUNTS
        assert all(one == found[0] for one in found)
        assert len(set(found[0].values())) == ACCOUNTS
        await channel.db.execute("update accounts set expires_at = now()")
    states = await channel.db.fetch("select state, refresh_began_at from accounts")
    assert Counter((row["state"], row["refresh_began_at"]) for row in states) == {("connected", None): ACCOUNTS}


@pytest.mark.parametrize("boundary", ["tokens.refresh_begun", "tokens.refresh_answered"])
async def test_a_process_that_dies_in_a_refresh(
    channel: Channel, database_url: str, tmp_path: Path, boundary: str
) -> None:
    """If it fails, a crash loses an account in silence, or an account that is fine is given up."""
    account = await channel.connect_to("tiktok", life_s=1)
    folder = tmp_path / "kills"
    folder.mkdir()
    (folder / boundary).touch()
    child = await replica(channel, database_url, account, kill_dir=folder)
    await child.communicate(b"go\n")
    assert child.returncode == -signal.SIGKILL
    assert await channel.db.fetchval("select refresh_began_at is not null from accounts")
    if boundary == "tokens.refresh_begun":
        assert await channel.services.tokens.access_token(account, OAUTH)
        assert await channel.db.fetchval("select refresh_began_at is null from accounts")
        assert await paused(channel) == []
        return
    with pytest.raises(AuthExpired, match="cut off before its answer was stored"):
        await channel.services.tokens.access_token(account, OAUTH)
    row = await channel.db.fetchrow("select state, state_because from accounts")
    assert row is not None
    assert row["state"] == "reconnect_needed"
    assert "TikTok says invalid_grant" in row["state_because"]
    assert [event["because"] for event in await paused(channel)] == [row["state_because"]]


async def test_an_answer_lost_on_the_way_is_told_as_what_it_is(channel: Channel) -> None:
    """If it fails, an outage at the wrong moment disconnects an account at once, or later without the true reason."""
    account = await channel.connect_to("tiktok", life_s=1)
    await channel.fault("tiktok.token", "accept_then_timeout", delay_s=0.0)
    with pytest.raises(Retry):
        await channel.services.tokens.access_token(account, OAUTH)
    assert await channel.db.fetchval("select state from accounts") == "connected"
    told = ""
    async with asyncio.timeout(10):  # the sandbox drops what looks like a client's own resend for a second
        while not told:
            try:
                await channel.services.tokens.access_token(account, OAUTH)
            except Retry:
                await asyncio.sleep(0.1)
            except AuthExpired as lost:
                told = lost.reason
    assert "got no answer" in told
    again = await channel.connect_to("tiktok")
    assert await channel.services.tokens.access_token(again, OAUTH)
    assert await channel.db.fetchval("select refresh_began_at is null and state_because = '' from accounts")


async def test_a_loss_is_told_once_however_many_find_it(channel: Channel) -> None:
    """If it fails, a person is told a hundred times of one account, or never."""
    account = await channel.connect_to("tiktok", life_s=1)
    await channel.fault("tiktok.token", "status", status=400, reason="invalid_grant", times=None)
    found = await asyncio.gather(
        *(channel.services.tokens.access_token(account, OAUTH) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(one, AuthExpired) for one in found), found
    assert await calls(channel, "tiktok.token") == 1
    (event,) = await paused(channel)
    assert event["account_id"] == account
    assert "connect it again at" in event["next_action"]
    row = await channel.db.fetchrow("select sender, correlation_id, message_id from outbox")
    assert row is not None
    assert (row["sender"], row["correlation_id"]) == ("publisher", row["message_id"])

    await channel.ask("DELETE", "/sandbox/faults")
    channel.clock.turn(60)
    again = await channel.connect_to("tiktok")
    token = await channel.services.tokens.access_token(again, OAUTH)
    await channel.services.tokens.lost(again, token, "the person removed the app")
    assert [event["because"] for event in await paused(channel)][1:] == ["the person removed the app"]


async def test_a_person_who_reconnects_during_a_refresh_is_right(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, a slow refresh overwrites the permission that was just given, or gives it up."""
    account = await channel.connect_to("tiktok", life_s=1)

    async def meanwhile(*_: Any, **__: Any) -> TokenSet:
        await channel.connect_to("tiktok")
        raise oauth.GrantGone("used up")

    monkeypatch.setattr(oauth, "refresh", meanwhile)
    with pytest.raises(AuthExpired):
        await channel.services.tokens.access_token(account, OAUTH)
    assert await channel.db.fetchval("select state from accounts") == "connected"
    assert await paused(channel) == []


async def test_a_long_lived_token_is_renewed_by_use_before_it_ends(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, accounts of Meta's kind are lost every sixty days, or an outage of renewal stops posting."""
    way = oauth.OAuthClient(
        name="long", title="Long", authorize_api=("long", ""), authorize_path="", token_api=("long", ""), token_path="",
        client_id_setting="", client_secret_setting="", scopes=(),
        prolong=oauth.Prolong(path="/l", grant="l", renew_path="/r", renew_grant="r"),
    )  # fmt: skip
    asked: list[str] = []
    trouble: list[Exception] = []

    async def renewed(_: Any, __: Any, old: TokenSet, *, now: Any) -> TokenSet:
        asked.append(old.access_token)
        if trouble:
            raise trouble[0]
        return TokenSet(access_token=f"t{len(asked)}", refresh_token=None, expires_at=now + timedelta(days=60))

    monkeypatch.setattr(oauth, "refresh", renewed)
    account, store = AccountId("long:a"), channel.services.tokens
    first = TokenSet(access_token="t0", refresh_token=None, expires_at=channel.clock.now() + timedelta(days=60))
    await store.store(account, "long", "A", first)
    assert await store.access_token(account, way) == "t0"
    channel.clock.turn(41 * 86_400)
    assert await store.access_token(account, way) == "t1"
    assert await store.access_token(account, way) == "t1"
    assert asked == ["t0"]
    channel.clock.turn(41 * 86_400)
    trouble.append(RateLimited("busy", until=channel.clock.now()))
    assert await store.access_token(account, way) == "t1"
    channel.clock.turn(20 * 86_400)
    with pytest.raises(RateLimited):
        await store.access_token(account, way)
    assert await channel.db.fetchval("select state from accounts") == "connected"


async def test_a_paused_account_is_not_offered_and_goes_on_when_resumed(channel: Channel) -> None:
    """If it fails, a paused account is posted to, or what waits for it never goes on."""
    account, store = await channel.connect_to("tiktok"), channel.services.tokens
    assert [one.account_id for one in await store.accounts("tiktok")] == [account]
    assert await store.accounts("x") == ()
    assert await store.pause(account, "a holiday")
    assert not await store.pause(account, "again")
    assert await store.accounts("tiktok") == ()
    (event,) = await paused(channel)
    assert event["because"] == "a holiday"
    assert await store.resume(account)
    assert not await store.resume(account)
    assert [one.account_id for one in await store.accounts("tiktok")] == [account]
    (back,) = await channel.given("account.connected")
    assert back["account_id"] == account
    senders = {row["subject"]: row["sender"] for row in await channel.db.fetch("select subject, sender from outbox")}
    assert senders == {"ett.account.paused": "publisher", "ett.account.connected": "gateway"}


@pytest.mark.parametrize("answer", ["new tokens", "gone"])
async def test_a_key_that_is_changed_during_a_refresh_costs_nothing(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """If it fails, the refresh token that was just given is thrown away and the account lost, or a loss is not told."""
    account, store = await channel.connect_to("tiktok", life_s=1), channel.services.tokens
    real = oauth.refresh

    async def changed(*args: Any, **more: Any) -> TokenSet:
        new = await real(*args, **more)
        keys.put_new_key_first(channel.services.settings.data_dir / keys.KEY_FILE)
        assert (await keys.reseal(channel.db, store.secrets)).changed == 1
        if answer == "gone":
            raise oauth.GrantGone("it was withdrawn")
        return new

    monkeypatch.setattr(oauth, "refresh", changed)
    if answer == "gone":
        with pytest.raises(AuthExpired, match="withdrawn"):
            await store.access_token(account, OAUTH)
        assert [event["because"] for event in await paused(channel)] == ["it was withdrawn"]
        return
    first = await store.access_token(account, OAUTH)
    monkeypatch.setattr(oauth, "refresh", real)
    assert await store.access_token(account, OAUTH) == first
    await channel.db.execute("update accounts set expires_at = now()")
    assert await store.access_token(account, OAUTH) != first
    assert await channel.db.fetchval("select state from accounts") == "connected"


async def test_a_key_that_is_lost_does_not_stand_in_the_way_of_connecting_again(channel: Channel) -> None:
    """If it fails, an account whose key is lost cannot be connected again, although that is the advice."""
    account, store = await channel.connect_to("tiktok"), channel.services.tokens
    lost = Fernet(Fernet.generate_key()).encrypt(b"{}")
    await channel.db.execute("update accounts set tokens = $1", lost)
    ends_at = channel.clock.now() + timedelta(days=1)
    await store.store(account, "tiktok", "T", TokenSet(access_token="new", refresh_token=None, expires_at=ends_at))
    assert await store.access_token(account, OAUTH) == "new"
    await store.keep_client("mastodon", "https://m.example", "cb", {"client_id": "x"})
    await channel.db.execute("update oauth_clients set client = $1", lost)
    assert await store.client_at("mastodon", "https://m.example", "cb") is None


async def test_an_account_that_nobody_uses_is_renewed_by_the_clock(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, an account of Meta's kind that rests for sixty days is lost, or each hour costs a call."""
    asked: list[str] = []
    trouble: list[Exception] = []

    async def renewed(_: Any, __: Any, old: TokenSet, *, now: Any) -> TokenSet:
        asked.append(old.access_token)
        if trouble:
            raise trouble[0]
        life = timedelta(days=60) if old.refresh_token is None else timedelta(hours=1)
        return TokenSet(access_token=f"t{len(asked)}", refresh_token=old.refresh_token, expires_at=now + life)

    async def hour() -> list[str]:
        asked.clear()
        await renew_ageing(channel.services, platforms.module)
        return list(asked)

    monkeypatch.setattr(oauth, "refresh", renewed)
    store, now = channel.services.tokens, channel.clock.now()
    for name, refresh, life in (
        ("threads:a", None, timedelta(days=60)),
        ("tiktok:b", "r", timedelta(hours=1)),
        ("mastodon:c", None, oauth.NO_END - now),
    ):
        tokens = TokenSet(access_token=name, refresh_token=refresh, expires_at=now + life)
        await store.store(AccountId(name), name.partition(":")[0], name, tokens)
    assert await hour() == []
    channel.clock.turn(21 * 86_400)
    assert await hour() == ["tiktok:b"], "refresh tokens end as well where nobody uses them"
    assert await hour() == []
    channel.clock.turn(20 * 86_400)
    trouble.append(Retry("it is away"))
    assert await hour() == ["threads:a"]
    trouble.clear()
    assert await hour() == ["threads:a"], "it is tried again"
    assert await hour() == []
    assert await channel.db.fetchval("select bool_and(state = 'connected') from accounts")
    assert await channel.db.fetchval("select expires_at from accounts where platform = 'threads'") == (
        channel.clock.now() + timedelta(days=60)
    )


async def test_the_end_of_an_account_that_nobody_uses_is_told_and_holds_up_no_other(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, one dead account keeps others from being renewed, or is told only at the next post."""
    asked: list[str] = []

    async def renewed(_: Any, __: Any, old: TokenSet, *, now: Any) -> TokenSet:
        asked.append(old.access_token)
        if old.access_token == "threads:dead":
            raise oauth.GrantGone("it has ended")
        return msgspec.structs.replace(old, expires_at=now + timedelta(days=60))

    monkeypatch.setattr(oauth, "refresh", renewed)
    store, now = channel.services.tokens, channel.clock.now()
    for name, days in (("threads:dead", 1), ("threads:well", 2)):
        tokens = TokenSet(access_token=name, refresh_token=None, expires_at=now + timedelta(days=days))
        await store.store(AccountId(name), "threads", name, tokens)
    channel.clock.turn(90_000)
    for _ in range(2):
        await renew_ageing(channel.services, platforms.module)
    assert asked == ["threads:dead", "threads:well"]
    assert [event["account_id"] for event in await paused(channel)] == ["threads:dead"]
