"""Measuring a channel while Google refuses the project: what is not known is asked again, not stored as nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from actors.platforms import youtube
from actors.runtime.db import Database
from actors.runtime.oauth import ClientRefused
from actors.tracker.measure import measure_due
from contracts.errors import Reject
from tests.channel import Channel, connected_channel
from tests.integration.test_measuring import published, upload


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker") as made:
        yield made


@pytest.mark.parametrize("reason", ["keyInvalid", "accessNotConfigured", "ipRefererBlocked"])
async def test_a_refused_project_puts_snapshots_off(channel: Channel, tmp_path: Path, reason: str) -> None:
    """A switch in Google's console leaves the snapshots of an afternoon empty for good, as if nobody had watched."""
    account = await channel.connect()
    video = await upload(channel, account, tmp_path)
    assert await channel.settle(await published(channel, account=account, video_id=video)) == "ack"
    channel.clock.turn(5)
    await channel.fault("youtube.videos", "status", status=403, reason=reason, times=None)
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 0
    due = await channel.db.fetchval("select min(due_at) from measure_schedule where bucket = 0")
    assert due == channel.clock.now() + timedelta(hours=1)
    await channel.ask("DELETE", "/sandbox/faults")
    channel.clock.turn(3601)
    await measure_due(channel.services)
    row = await channel.db.fetchrow("select views, absent from measurements")
    assert row is not None
    assert row["views"] is not None
    assert reason not in str(row["absent"])


async def test_a_project_without_analytics_has_the_counts(channel: Channel, tmp_path: Path) -> None:
    """Who did not switch the second API on would be told no views at all; who did not read why would not find it."""
    account = await channel.connect()
    video = await upload(channel, account, tmp_path)
    channel.clock.turn(4 * 86_400)
    account = await channel.connect()
    adapter = youtube.YouTube(channel.services.means)
    await channel.fault("youtube.reports", "status", status=403, reason="accessNotConfigured", times=None)
    found = (await adapter.measure(account, (video,)))[video]
    assert found.views is not None
    assert found.watched_us is None
    assert "Google refuses this project" in found.absent["watched_us"]
    with pytest.raises(ClientRefused):
        await adapter.reports.report(account, metrics=("views",), start=channel.clock.now(), end=channel.clock.now())
    await channel.ask("DELETE", "/sandbox/faults")
    assert (await adapter.measure(account, (video,)))[video].shares is not None


async def test_a_report_that_is_not_granted_is_told_apart(channel: Channel, tmp_path: Path) -> None:
    """A channel that does not grant its reports would not be measured at all."""
    account = await channel.connect()
    video = await upload(channel, account, tmp_path)
    adapter = youtube.YouTube(channel.services.means)
    await channel.fault("youtube.reports", "status", status=403, reason="forbidden")
    found = (await adapter.measure(account, (video,)))[video]
    assert found.views is not None
    assert "leave the reports" in found.absent["watched_us"]
    await channel.fault("youtube.reports", "status", status=403, reason="forbidden")
    with pytest.raises(Reject) as caught:
        await adapter.reports.report(account, metrics=("views",), start=channel.clock.now(), end=channel.clock.now())
    assert not isinstance(caught.value, ClientRefused)
