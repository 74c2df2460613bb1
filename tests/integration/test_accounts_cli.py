"""`ettametta accounts`: what there is, pausing, disconnecting, and changing the key under a running system."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from actors.platforms.youtube import OAUTH
from actors.runtime import keys
from actors.runtime.db import Database
from actors.runtime.keys import KEY_FILE
from actors.runtime.oauth import NO_END, TokenSet
from actors.runtime.tokens import open_secrets, open_tokens
from contracts.errors import Reject
from contracts.ids import AccountId
from deploy.accounts import accounts, rotate_key
from tests.channel import Channel, connected_channel

DAY = datetime(2027, 1, 20, 12, tzinfo=UTC)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


async def command(channel: Channel, database_url: str, *words: str) -> Result:
    settings = channel.services.settings
    env: dict[str, str | None] = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(settings.data_dir),
        "GOOGLE_CLIENT_ID": settings.google_client_id,
        "GOOGLE_CLIENT_SECRET": settings.google_client_secret,
        "GOOGLE_OAUTH_API_URL": settings.api_urls["google_oauth"],
    }
    return await asyncio.to_thread(CliRunner().invoke, accounts, words, env=env)


def key_file(channel: Channel) -> Path:
    return channel.services.settings.data_dir / KEY_FILE


async def seal_everything(channel: Channel) -> dict[str, bytes]:
    """Put a secret into every table that has one; return what each holds."""
    account = await channel.connect()
    sealed = channel.services.tokens.secrets.encrypt
    await channel.services.tokens.keep_client("mastodon", "https://m.example", "https://here/cb", {"client_id": "x"})
    await channel.db.execute("insert into oauth_states values ('s', 'youtube', $1)", sealed(b"verifier"))
    await channel.db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes, session,"
        " correlation_id, request) values ('p', 'i', 'youtube', $1, 'uploading', '{}', 'k', 1, $2, 'c', '{}')",
        account,
        sealed(b"session"),
    )
    return await opened(channel)


async def opened(channel: Channel, *, with_key: str | None = None) -> dict[str, bytes]:
    """Return every stored secret, opened with one key alone, or with what the running process has."""
    found = {}
    for table in keys.SEALED:
        for row in await channel.db.fetch(keys.Q[f"sealed_{table}"]):
            if with_key is None:
                found[table] = channel.services.tokens.secrets.decrypt(row["sealed"])
            else:
                found[table] = Fernet(with_key).decrypt(row["sealed"])
    return found


async def test_the_list_shows_how_each_account_stands(channel: Channel, database_url: str) -> None:
    """If it fails, a person cannot see which account must be connected again, and why."""
    empty = await command(channel, database_url, "list")
    assert "no account is connected" in empty.output
    account = await channel.connect()
    await command(channel, database_url, "pause", account, "--because", "a holiday")
    shown = (await command(channel, database_url, "list")).output
    assert f"{account}  Sandbox channel  connected" in shown
    assert "a holiday" in shown
    (one,) = json.loads((await command(channel, database_url, "list", "--json")).output)
    assert (one["account_id"], one["state"], one["renews"]) == (account, "connected", True)
    assert "tokens" not in one
    assert "sandbox-" not in shown


@pytest.mark.parametrize(
    ("platform", "ends_at", "said"),
    [
        ("mastodon", NO_END, "its permission does not end by itself"),
        ("linkedin", DAY, "its permission ends on 2027-01-20; connect it again before that"),
        ("threads", DAY, "its permission is renewed before it ends on 2027-01-20"),
    ],
)
async def test_the_end_of_a_permission_is_told(
    platform: str, ends_at: datetime, said: str, channel: Channel, database_url: str
) -> None:
    """If it fails, a person connects again what renews itself, or is surprised by what ends."""
    tokens = TokenSet(access_token="a", refresh_token=None, expires_at=ends_at)
    place = f"https://{platform}.example/me"
    await channel.services.tokens.store(AccountId(f"{platform}:1"), platform, "Me", tokens, url=place)
    shown = (await command(channel, database_url, "list")).output
    assert shown == f"{platform}:1  Me  connected\n  {said}\n  {place}\n"


async def test_pausing_and_resuming_are_told(channel: Channel, database_url: str) -> None:
    """If it fails, posts to a paused account go on, or those that waited never do."""
    account = await channel.connect()
    assert "is paused" in (await command(channel, database_url, "pause", account)).output
    assert "was paused before" in (await command(channel, database_url, "pause", account)).output
    assert "goes on" in (await command(channel, database_url, "resume", account)).output
    assert [event["account_id"] for event in await channel.given("account.paused")] == [account]
    assert [event["account_id"] for event in await channel.given("account.connected")] == [account]
    wrong = await command(channel, database_url, "pause", "youtube:nobody")
    assert isinstance(wrong.exception, Reject)
    assert account in str(wrong.exception)


async def test_disconnecting_withdraws_at_the_platform(channel: Channel, database_url: str) -> None:
    """If it fails, whoever has an old backup can still post."""
    account = await channel.connect()
    done = await command(channel, database_url, "disconnect", account)
    assert "disconnected by a person" in done.output, done
    assert (await channel.state())["calls"]["oauth.revoke"] == 1
    row = await channel.db.fetchrow("select state, tokens from accounts")
    assert row is not None
    assert (row["state"], row["tokens"]) == ("disconnected", None)
    assert "was not connected" in (await command(channel, database_url, "disconnect", account)).output


async def test_a_new_key_takes_the_place_of_the_old_under_a_running_system(channel: Channel) -> None:
    """If it fails, changing the key loses accounts, or leaves secrets that the old key still opens."""
    before = await seal_everything(channel)
    assert set(before) == set(keys.SEALED)
    old = key_file(channel).read_text()
    settings = channel.services.settings
    done = await rotate_key(settings, channel.db, channel.clock)
    assert (done.resealed, done.unreadable, done.old_keys_dropped) == (len(keys.SEALED), {}, True)
    (new,) = key_file(channel).read_text().split()
    assert new != old
    assert key_file(channel).stat().st_mode & 0o077 == 0
    assert await opened(channel, with_key=new) == before
    assert await opened(channel) == before, "a process that was running has the new key"
    account = (await channel.services.tokens.known())[0].account_id
    assert await channel.services.tokens.access_token(account, OAUTH)


async def test_a_change_that_was_cut_off_goes_on(channel: Channel) -> None:
    """If it fails, a crash in the middle leaves two keys for ever, or secrets that nobody can open."""
    before = await seal_everything(channel)
    assert keys.put_new_key_first(key_file(channel))
    row = (await channel.db.fetch(keys.Q["sealed_accounts"]))[0]
    secrets = open_secrets(channel.services.settings)
    fresh = secrets.encrypt(secrets.decrypt(row["sealed"]))
    await channel.db.execute(keys.Q["reseal_accounts"], row["key"], row["sealed"], fresh)
    first = key_file(channel).read_text().split()[0]
    assert await opened(channel) == before, "both keys open while it lasts"
    done = await rotate_key(channel.services.settings, channel.db, channel.clock)
    assert done.resealed == len(keys.SEALED) - 1
    assert key_file(channel).read_text() == first
    assert await opened(channel, with_key=first) == before


async def test_a_straggler_is_caught_before_the_old_key_goes(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, an upload that was being stored during the change is lost with the old key."""
    await seal_everything(channel)
    late = channel.services.tokens.secrets.encrypt(b"sealed before, stored after")
    waited: list[float] = []

    async def store_late(seconds: float) -> None:
        waited.append(seconds)
        await channel.db.execute("update posts set session = $1", late)

    monkeypatch.setattr(channel.clock, "sleep", store_late)
    await rotate_key(channel.services.settings, channel.db, channel.clock)
    assert waited
    assert waited[0] > 30, "longer than a statement may take"
    (new,) = key_file(channel).read_text().split()
    assert (await opened(channel, with_key=new))["posts"] == b"sealed before, stored after"


async def test_a_key_from_the_environment_is_changed_by_who_sets_it(channel: Channel) -> None:
    """If it fails, a key that only the environment holds is lost, or the new one is never used."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()

    def running(key: str) -> Any:
        settings = msgspec.structs.replace(channel.services.settings, secret_key=key)
        return settings, open_tokens(settings, channel.db, channel.services.http, channel.clock)

    settings, tokens = running(old)
    await tokens.keep_client("mastodon", "https://m.example", "cb", {"client_id": "x"})
    with pytest.raises(Reject, match="NEW,OLD"):
        await rotate_key(settings, channel.db, channel.clock)
    settings, _ = running(f"{new},{old}")
    done = await rotate_key(settings, channel.db, channel.clock)
    assert (done.resealed, done.old_keys_dropped) == (1, False)
    assert "first key alone" in done.next_action
    _, tokens = running(new)
    assert await tokens.client_at("mastodon", "https://m.example", "cb") == {"client_id": "x"}
    _, tokens = running(old)
    assert await tokens.client_at("mastodon", "https://m.example", "cb") is None, "the old key opens nothing any more"
