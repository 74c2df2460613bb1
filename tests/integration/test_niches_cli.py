"""The commands `scan` and `niches`, against a system that runs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from actors.scanner.app import APP as SCANNER
from actors.scanner.niches import store_proposals
from actors.scanner.relate import Proposal
from contracts.errors import Reject
from deploy.niches import Scanned, niches, render_scan, scan
from deploy.sandbox import SandboxSettings, api_urls, running

Command = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def env(settings_of: Callable[[str], Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a person's shell holds; the working directory has no settings of its own."""
    monkeypatch.chdir(tmp_path)
    outside = settings_of("outside")
    assert outside.nats_url is not None
    assert outside.database_url is not None
    return {"NATS_URL": outside.nats_url, "DATABASE_URL": outside.database_url, "DATA_DIR": str(tmp_path)}


@pytest.fixture
def ask(env: dict[str, str]) -> Command:
    """Run a command in this process."""

    async def invoke(command: click.Command, *arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner(env=env).invoke, command, arguments)

    return invoke


async def scanned(env: dict[str, str], *arguments: str) -> str:
    """Run `scan` in a process of its own, and return its stdout."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from deploy.niches import scan; scan()",
        *arguments,
        env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_a_scan_tells_what_was_asked_found_and_left_out(
    env: dict[str, str], settings_of: Callable[[str], Settings], tmp_path: Path
) -> None:
    """A person would have to look into the log to learn why a platform gave nothing."""
    folder = tmp_path / "sandbox"
    folder.mkdir()
    async with running(folder, settings=SandboxSettings(), samples=True) as url:
        settings = msgspec.structs.replace(settings_of("scanner"), api_urls=api_urls(str(url)), contact="tests")
        async with serving(SCANNER, settings):
            told = await scanned(env, "deep sea")
            named = ("--platform", "internet_archive", "--platform", "wikimedia_commons")
            found = msgspec.json.decode(await scanned(env, "deep sea", *named, "--json"))
            assert (await scanned(env, "deep sea", "--no-wait")).startswith("scan requested: ")
    assert "scan of 'deep sea':" in told
    assert "found      internet_archive" in told
    lines = [line.split() for line in told.splitlines()]
    assert any(line[:3] == ["not", "asked", "youtube"] and line[-1] == "set" for line in lines), told
    assert (found["ended"], set(found["found"])) == (True, {"internet_archive", "wikimedia_commons"})
    assert found["skipped"] == {}
    assert found["found"]["internet_archive"] >= 4


async def test_a_wrong_scan_is_refused_at_once(ask: Command) -> None:
    """A typing error would be told minutes later, as a dead letter."""
    for arguments in (
        ("deep sea", "--platform", "youtub"),
        ("deep sea", "--platform", ""),
        ("deep sea", "--platform", os.fsdecode(b"\xff")),
        (" ",),
        (os.fsdecode(b"\xff"),),
    ):
        result = await ask(scan, *arguments)
        assert isinstance(result.exception, Reject), result.output
        str(result.exception).encode()


async def test_niches_are_added_listed_paused_and_dropped(ask: Command, database: Database) -> None:
    """Whoever cannot see what is watched cannot stop it."""
    assert (await ask(niches, "list")).output.startswith("no niche is watched")
    added = await ask(
        niches,
        "add",
        "deep sea",
        "--every",
        "90m",
        "--platform",
        "internet_archive",
        "--to",
        "youtube",
        "--why",
        "mine",
    )
    assert added.output == "'deep sea' is watched, every 90m\n", added.exception
    listed = (await ask(niches, "list")).output
    assert "deep sea  every 90m, next " in listed
    assert "internet_archive" in listed
    assert "mine" in listed
    (one,) = msgspec.json.decode((await ask(niches, "list", "--json")).stdout)
    assert (one["name"], one["every_s"], one["destination"]["platform"]) == ("deep sea", 5400, "youtube")
    await ask(niches, "pause", "deep sea")
    assert "paused" in (await ask(niches, "list")).output
    assert (await ask(niches, "pause", "deep sea", "--off")).output == "'deep sea' is watched again\n"
    assert (await ask(niches, "drop", "deep sea")).output.startswith("'deep sea' is watched no more")
    assert (await ask(niches, "list")).output.startswith("no niche is watched")
    for arguments in (
        ("add", "x", "--every", "soon"),
        ("add", "x", "--to", "snapchat"),
        ("drop", "x"),
        ("add", os.fsdecode(b"\xff")),
    ):
        assert isinstance((await ask(niches, *arguments)).exception, Reject), arguments


async def test_proposals_and_topics_are_shown_with_their_reasons(ask: Command, database: Database) -> None:
    """A proposal without its reason is a guess that nobody can judge."""
    now = datetime.now(UTC)
    proposal = Proposal(name="anglerfish", near="deep sea", reason="3 makers use it", proposed_by="words", score=0.5)
    async with database.transaction() as conn:
        await store_proposals(conn, [proposal], now=now)
    await database.execute(
        "insert into topics (platform, region, name, volume, unit, growth, first_seen_at, observed_at)"
        " values ('google_trends', 'US', 'volcano erupts', 200000, 'searches', 1.5, $1, $1)",
        now - timedelta(hours=2),
    )
    told = (await ask(niches, "list", "--proposed")).output
    assert f"anglerfish  (near 'deep sea', from words, {now:%Y-%m-%d}): 3 makers use it" in told
    rising = f"volcano erupts  (google_trends, US, 200,000 searches, +150%, since {now - timedelta(hours=2):%Y-%m-%d})"
    assert rising in told
    data = msgspec.json.decode((await ask(niches, "list", "--proposed", "--json")).stdout)
    assert [one["name"] for one in data["proposals"]] == ["anglerfish"]
    assert (await ask(niches, "drop", "anglerfish")).output == "'anglerfish' is not proposed again\n"
    assert "no niche is proposed" in (await ask(niches, "list", "--proposed")).output


def test_a_scan_that_does_not_end_is_told_apart_from_one_not_waited_for() -> None:
    """Whoever waited two minutes for nothing would read that all is well."""
    done = Scanned(scan_id="1", niche="deep sea", ended=False)
    assert render_scan(done, Settings()).startswith("scan requested: 1. ")
    assert render_scan(done, Settings(), waited_s=120).startswith("scan 1 has not ended within 120 s: no scanner runs")
