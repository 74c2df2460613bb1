"""`ettametta growth`: from rows of snapshots to a table and JSON in which every number can be traced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from actors.runtime.db import Database
from actors.runtime.settings import Settings
from deploy import growth as growth_command
from deploy.cli import main
from deploy.growth import render, told

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


async def put(
    db: Database,
    number: int,
    published_at: datetime,
    *views: int | None,
    platform: str = "x",
    account: str | None = None,
) -> None:
    """Store a post with snapshots at two days and at a week."""
    account = account or f"{platform}:1"
    await db.execute(
        "insert into accounts (account_id, platform, title, state) values ($1, $2, 'A', 'connected')"
        " on conflict do nothing",
        account,
        platform,
    )
    await db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes,"
        " platform_post_id, correlation_id, request, published_at)"
        " values ($1, $2, $3, $4, 'published', '{}', 'k', 1, $2, 'c', '{}', $5)",
        f"post-{number}",
        f"item-{number}",
        platform,
        account,
        published_at,
    )
    for bucket, age, count in zip((7, 9), (timedelta(days=2), timedelta(days=7)), views, strict=False):
        await db.execute(
            "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, $2, $3, $4, $5)",
            f"post-{number}",
            bucket,
            published_at + age,
            int(age.total_seconds()),
            count,
        )


@pytest.fixture
async def filled(database: Database) -> Database:
    for at, (first, second) in enumerate(((100, 210), (140, 260), (120, 230))):
        await put(database, at, MONDAY + timedelta(hours=12 * at), first, 2 * first)
        await put(database, 10 + at, MONDAY + timedelta(days=7, hours=12 * at), second)
    await put(database, 20, MONDAY, None, platform="bluesky")
    return database


async def test_growth_is_told_from_what_is_stored(filled: Database, database_url: str) -> None:
    """People decide by these numbers: each must lead to the rows that it comes from."""
    found = await told(Settings(database_url=database_url), NOW)
    groups = {(group.kind, group.name): group for group in found.groups}
    assert set(groups) == {("account", "x:1"), ("account", "bluesky:1"), ("platform", "x"), ("platform", "bluesky")}
    one = groups["account", "x:1"]
    assert one.growth.change is not None
    assert one.growth.low is not None
    assert one.growth.high is not None
    assert 0 < one.growth.low < one.growth.change < one.growth.high
    rows = await filled.fetch("select post_id, measured_at, views from measurements where views is not null")
    stored = {(row["post_id"], row["measured_at"]): row["views"] for row in rows}
    for part in one.growth.of:
        assert stored[part.post_id, part.snapshots[0]] == part.low
    for week in one.weeks:
        for part in week.of:
            assert {(part.post_id, at) for at in part.snapshots} <= set(stored)
    assert [week.posts for week in one.weeks] == [3, 3, 0]
    assert "no views were told" in groups["account", "bluesky:1"].growth.because


async def test_a_correction_counts(filled: Database, database_url: str) -> None:
    """Views that the platform took back still count as growth."""
    before = (await told(Settings(database_url=database_url), NOW, account="x:1")).groups[0].growth.change
    await filled.execute(
        "insert into measurement_changes values ('post-10', 7, 'views', $1, 'corrected', '210', '21')", NOW
    )
    after = (await told(Settings(database_url=database_url), NOW, account="x:1")).groups[0].growth.change
    assert before is not None
    assert after is not None
    assert after < before


async def test_only_what_was_asked_for_is_told(filled: Database, database_url: str) -> None:
    """The numbers of one account in the name of another."""
    assert await filled.fetchval("select count(*) from posts") == 7
    settings = Settings(database_url=database_url)
    assert {group.name for group in (await told(settings, NOW, platform="bluesky")).groups} == {"bluesky", "bluesky:1"}
    assert (await told(settings, NOW, niche="chess")).groups == ()


async def test_the_table_says_what_it_knows(filled: Database, database_url: str) -> None:
    """A table that shows a middle of two bounds invents it."""
    assert await filled.fetchval("select count(*) from posts") == 7
    text = render((await told(Settings(database_url=database_url), NOW, account="x:1")).groups)
    assert "account x:1: views of a post at two days +9" in text
    assert "2026-11-02       3                 460 to 720" in text
    assert "2026-11-16       0                 at least 0  (runs)" in text
    early = render((await told(Settings(database_url=database_url), MONDAY + timedelta(days=4))).groups)
    assert "no growth to tell yet; needs 13 more days" in early
    assert render(()) == "no post was published yet, or none is as asked for"


async def test_no_table_is_shown_twice(filled: Database, database_url: str) -> None:
    """A platform with one account fills the screen with the same numbers again."""
    settings = Settings(database_url=database_url)

    async def tables() -> list[str]:
        text = render((await told(settings, NOW)).groups)
        return [line.partition(": ")[0] for line in text.splitlines() if line[:1].strip()]

    assert await tables() == ["account bluesky:1", "account x:1"]
    await put(filled, 30, MONDAY, 50, account="x:2")
    assert await tables() == ["account bluesky:1", "account x:1", "account x:2", "platform x"]
    names = {group.name for group in (await told(settings, NOW)).groups}
    assert {"bluesky", "x"} <= names, "programs get every group"


def test_the_command_prints_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs read it."""

    async def nothing(*_: Any, **__: Any) -> growth_command.Told:
        return growth_command.Told(at=NOW, groups=())

    monkeypatch.setattr(growth_command, "told", nothing)
    answer = CliRunner().invoke(main, ["growth", "--json", "--data-dir", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    assert msgspec.json.decode(answer.output) == {"at": "2026-11-18T15:00:00Z", "groups": []}
