"""What the ranker does by the clock, and the commands beside it, on a real database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from actors.ranker import chores
from actors.ranker.chores import can_learn, count_usual, find_patterns, learn
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from deploy.observe import observed
from deploy.train import trained
from tests.channel import Channel, connected_channel


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="ranker") as found:
        yield found


def history(folder: Path, works: int = 30) -> Path:
    """Write works that were each seen on two days; the last line cannot be read."""
    file = folder / "history.jsonl"
    lines = [
        json.dumps({
            "id": f"w{at}",
            "platform": "vimeo",
            "title": f"Work number {at} about squids and whales of the trench {at * 7919 % 101}",
            "channel": f"c{at % 3}",
            "duration_s": 60 + at,
            "published_at": "2026-10-30T00:00:00Z",
            "observations": [
                {"at": f"2026-11-0{day}T00:00:00Z", "views": 1000 * (at + 1) * day, "likes": 40, "comments": 3}
                for day in (1, 2)
            ],
        })
        for at in range(works)
    ]  # fmt: skip
    file.write_text("\n".join([*lines, "{"]) + "\n")
    return file


async def test_history_from_a_file_is_stored_once(
    database: Database, tmp_path: Path, channel: Channel, database_url: str
) -> None:
    """A file that is given twice would count every work twice; a bad line would lose the others."""
    settings = msgspec.structs.replace(channel.services.settings, database_url=database_url)
    first = await observed(settings, history(tmp_path))
    again = await observed(settings, history(tmp_path))
    assert (first.stored.new_items, first.stored.observations, first.bad_lines) == (30, 60, 1)
    assert first.bad[0].number == 31
    assert (again.stored.new_items, again.bad_lines) == (0, 1)
    assert await database.fetchval("select count(*) from observations") == 60


async def test_chores_are_done_once_for_all_replicas(
    database: Database, tmp_path: Path, channel: Channel, database_url: str
) -> None:
    """Every replica would count everything anew every ten minutes, or none ever would."""
    await observed(msgspec.structs.replace(channel.services.settings, database_url=database_url), history(tmp_path))
    services = channel.services
    channel.clock.turn((timedelta(days=1)).total_seconds())
    for chore in (count_usual, find_patterns, learn):
        await chore(services)
        await chore(services)
    names = {row["name"] for row in await database.fetch("select name from chores")}
    assert names == {"usual", "findings", "learn"}
    counted = await database.fetchval("select max(counted_at) from base_rates")
    channel.clock.turn((timedelta(hours=7)).total_seconds())
    await count_usual(services)
    assert await database.fetchval("select max(counted_at) from base_rates") == counted, "usual rates are of a day"
    channel.clock.turn((timedelta(days=1)).total_seconds())
    await count_usual(services)
    assert await database.fetchval("select done_at from chores where name = 'usual'") == services.clock.now()


async def test_chore_that_fails_is_put_off(
    database: Database, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes too long would be begun anew every ten minutes, by every replica, for ever."""
    tried: list[datetime] = []

    async def fails(_: object, now: datetime) -> None:
        tried.append(now)
        raise TimeoutError

    services = channel.services
    with monkeypatch.context() as patch:
        patch.setattr(chores, "count_rates", fails)
        with pytest.raises(TimeoutError):
            await count_usual(services)
        for _ in range(6 * 6 - 1):
            channel.clock.turn(600)
            await count_usual(services)
        assert len(tried) == 1, "put off for six hours"
        channel.clock.turn(600)
        with pytest.raises(TimeoutError):
            await count_usual(services)
    channel.clock.turn(6 * 3600)
    await count_usual(services)
    assert await database.fetchval("select done_at from chores where name = 'usual'") == services.clock.now()


async def test_too_little_to_learn_from_is_said(
    database: Database, tmp_path: Path, channel: Channel, database_url: str
) -> None:
    """A model of thirty works would rank by chance."""
    assert can_learn(), "the development packages hold the extra `learn`"
    settings: Settings = msgspec.structs.replace(channel.services.settings, database_url=database_url)
    await observed(settings, history(tmp_path))
    report = await trained(settings)
    assert report is not None
    assert not report.better
    assert "too little to learn from" in report.because
    assert await database.fetchval("select count(*) from models where promoted_at is not null") == 0
    assert await trained(settings, retiring=True) is None
