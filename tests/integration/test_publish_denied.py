"""Every publishing platform, its permission gone at the very request that makes the post."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from actors.publisher.journal import SessionJournal
from actors.publisher.posts import Session
from actors.runtime.db import Database
from tests.integration.test_publish_drill import PUBLISHERS, Case, Drill, drilled

REFRESH: Final = {"youtube": "oauth.token", "bluesky": "bluesky.refresh"}
"""Where a platform renews tokens, if not at its `token`."""
RENEWED: Final = ("bluesky", "linkedin", "pinterest", "x", "youtube")
"""Platforms whose request for the post bears a token that can be renewed."""
BY_ADDRESS: Final = "tiktok"
"""Its last bytes go to an address that is a permission by itself: they make the post, whoever may ask about it."""


@pytest.fixture
async def drill(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Drill]:
    async with drilled(database, tmp_path, request.param, monkeypatch) as found:
        yield found


def deny_at_commit(drill: Drill, monkeypatch: pytest.MonkeyPatch, *, refresh: dict[str, Any]) -> Callable[[], bool]:
    """End the access token when the post is about to be made, and answer its renewal with a fault; return if it was."""
    platform, note, denied = drill.platform, SessionJournal.committing, False

    async def committing(self: SessionJournal) -> None:
        nonlocal denied
        await note(self)
        if not denied:
            denied = True
            await drill.channel.fault(REFRESH.get(platform, f"{platform}.token"), "status", times=None, **refresh)
            if platform == "youtube":
                await drill.channel.fault("youtube.upload", "status", status=401)
            else:
                await drill.channel.ask("POST", f"/sandbox/people/{platform}/expire")

    monkeypatch.setattr(SessionJournal, "committing", committing)
    return lambda: denied


async def may_exist(drill: Drill, case: Case) -> bool:
    """Return what the stored session says. Its refusal drops it."""
    sealed = (await drill.row(case))["session"]
    if sealed is None:
        return False
    return msgspec.json.decode(drill.channel.services.tokens.secrets.decrypt(sealed), type=Session).may_exist


@pytest.mark.parametrize("drill", PUBLISHERS, indirect=True)
async def test_a_permission_that_ends_at_the_post_leaves_no_doubt(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who connects again would be asked to look for a post that nobody made, or get two."""
    gone = "ExpiredToken" if drill.platform == "bluesky" else "invalid_grant"
    deny_at_commit(drill, monkeypatch, refresh={"status": 400, "reason": gone})
    case = await drill.case()
    assert await drill.channel.settle(case.request) == "ack"
    row = await drill.row(case)
    assert row["state"] == "waiting", row["because"]
    assert "connect" in row["next_action"]
    made = drill.platform == BY_ADDRESS
    assert len(await drill.there(case)) == (1 if made else 0)
    assert await may_exist(drill, case) is made
    assert made or "may have been posted" not in row["because"]
    await drill.settle(case)
    assert await drill.check(case, "connected again") == "published"


@pytest.mark.parametrize("drill", RENEWED, indirect=True)
async def test_a_token_that_cannot_be_renewed_at_the_post_leaves_no_doubt(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token endpoint that is away for a minute would leave a post that nobody made as one that may be there."""
    denied = deny_at_commit(drill, monkeypatch, refresh={"status": 503})
    case = await drill.case()
    for delivery in range(1, 10):
        if denied():
            break
        _, delay_s = await drill.channel.deliver(case.request, delivery=delivery)
        drill.channel.clock.turn(delay_s)
    assert denied()
    assert not await may_exist(drill, case)
    assert (await drill.row(case))["state"] != "unconfirmed"
    await drill.channel.ask("DELETE", "/sandbox/faults")
    await drill.settle(case)
    assert await drill.check(case, "renewed") == "published"
