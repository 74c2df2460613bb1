"""What a scan must not spend, rewrite or go on with: outages, put-offs, own and other scans, old proposals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest

from actors import platforms
from actors.runtime.db import Database
from actors.runtime.http import Response
from actors.scanner.forget import forget_old
from actors.scanner.niches import Niches, accept_within_limit, store_proposals
from actors.scanner.relate import Proposal
from actors.scanner.schedule import watch_due
from actors.scanner.trends import trends_due
from contracts.codec import new_event_id
from contracts.errors import Reject
from contracts.events import ScanRequested
from contracts.ids import CorrelationId
from deploy import niches as commands
from tests.scanning import Scanner, answering, opened
from tests.stack import until

AT: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CALM: Final = "archive.org"
BUSY: Final = "commons.wikimedia.org"
YOUTUBE: Final = "www.googleapis.com"
SEARCH: Final = f"{YOUTUBE}/youtube/v3/search"


def down(_: str, __: dict[str, str]) -> Response:
    return answering({}, status=500)


def throttled(_: str, __: dict[str, str]) -> Response:
    return answering({}, status=429, **{"Retry-After": "3600"})


def empty(path: str, given: dict[str, str]) -> Response:
    if "advancedsearch" in path:
        return answering({"response": {"docs": []}})
    return answering({"batchcomplete": True, "query": {"pages": []}})


def paging(path: str, given: dict[str, str]) -> Response:
    """Answer searches with a page that another follows; of videos nothing is told."""
    if path.endswith("/search"):
        return answering(
            {"items": [{"id": {"videoId": f"{given['q']}.{at}"}} for at in range(3)], "nextPageToken": "n"}
        )
    return answering({"items": []})


@pytest.fixture
async def scanner(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scanner]:
    monkeypatch.setattr(platforms, "names", lambda: ("internet_archive", "wikimedia_commons", "youtube"))
    sites = {CALM: empty, BUSY: empty, YOUTUBE: paging}
    options = {"youtube_api_key": "a-word", "youtube_searches_per_day": "20"}
    async with opened(database, tmp_path, sites, at=AT, **options) as found:
        yield found


def niches_of(scanner: Scanner) -> Niches:
    return Niches(scanner.db, scanner.services.settings)


def by_hand(niche: str, platform: str | None = None, limit: int = 25) -> ScanRequested:
    name = new_event_id()
    return ScanRequested(event_id=name, correlation_id=CorrelationId(name), niche=niche, platform=platform, limit=limit)


def proposal(name: str, score: float = 0.5) -> Proposal:
    return Proposal(name=name, near="deep sea", reason="r", proposed_by="words", score=score)


async def test_an_outage_of_a_rationed_platform_spends_one_call(scanner: Scanner) -> None:
    """Every redelivery would spend a search: an hour without YouTube would cost the day."""
    scanner.sites.sites[YOUTUBE] = down
    await niches_of(scanner).add("deep sea", now=AT, platforms=("youtube",))
    assert len(await scanner.tick()) == 1
    assert (await scanner.scan(by_hand("kites", "youtube")))[0] == "ack"
    assert scanner.sites.count(SEARCH) == 2
    assert all("youtube" in end.failed for end in await scanner.ended())
    assert await scanner.db.fetchval("select asks from niche_turns") == 1, "the call is gone, so the turn is"
    assert await scanner.db.fetchval("select count(*) from scans_later") == 0
    scanner.sites.sites |= {CALM: down, BUSY: down}
    assert (await scanner.scan(by_hand("kites")))[0] == "ack"
    waiting = await scanner.db.fetch("select platform from scans_later order by platform")
    assert [row["platform"] for row in waiting] == ["internet_archive", "wikimedia_commons"]


async def test_a_turn_is_one_call_whatever_the_limit(scanner: Scanner) -> None:
    """A niche of 500 candidates would spend ten searches for one turn, and those kept for the others."""
    await niches_of(scanner).add("deep sea", now=AT, candidates=500)
    await scanner.tick()
    assert scanner.sites.count(SEARCH) == 1
    await scanner.scan(by_hand("kites", "youtube", 100))
    assert scanner.sites.count(SEARCH) == 3, "who names it gets what was asked for"


async def test_a_late_scan_of_the_schedule_is_no_persons(scanner: Scanner) -> None:
    """A scan that waited in the queue would count as a person's wish, and take a call that is kept for another."""
    await niches_of(scanner).add("deep sea", now=AT, platforms=("youtube",))
    await watch_due(scanner.services)
    (late,) = await scanner.asked_for()
    await scanner.db.execute("update niches set scan_id = 'another'")
    await scanner.services.means.quota.exhaust("youtube", platforms.module("youtube").RATION(scanner.services.settings))  # type: ignore[attr-defined]  # it has one
    await scanner.scan(late)
    (end,) = await scanner.ended()
    assert end.skipped["youtube"].startswith("rationed: no call is left")
    assert scanner.sites.count(SEARCH) == 0


async def test_sources_are_stored_as_they_are_understood(scanner: Scanner) -> None:
    """Two names in one word would be no platform to the planner."""
    await niches_of(scanner).add("volcano", now=AT, platforms=("youtube, internet_archive",))
    (one,) = await niches_of(scanner).listed()
    assert one.platforms == ("youtube", "internet_archive")


async def test_a_put_off_ends_with_its_niche(scanner: Scanner) -> None:
    """A niche that was paused or dropped would be scanned for as long as a platform is limited."""
    niches = niches_of(scanner)
    scanner.sites.sites[BUSY] = throttled
    await niches.add("deep sea", now=AT, every_s=86_400)
    await scanner.tick()
    assert await scanner.db.fetchval("select count(*) from scans_later") == 1
    await niches.pause("deep sea", now=AT)
    scanner.clock.turn(4000)
    assert await scanner.tick() == []
    await niches.pause("deep sea", now=AT, paused=False)
    await scanner.db.execute("update niches set next_at = $1", AT + timedelta(days=1))
    await watch_due(scanner.services)
    (again,) = await scanner.asked_for()
    await niches.pause("deep sea", now=AT)
    asked = scanner.sites.calls.total()
    assert (await scanner.scan(again))[0] == "ack"
    assert scanner.sites.calls.total() == asked, "it was on its way when the niche was paused"
    await scanner.scan(by_hand("deep sea"))
    await niches.drop("deep sea", now=AT)
    assert await scanner.db.fetchval("select count(*) from scans_later") == 0


async def test_a_put_off_ends_after_two_days(scanner: Scanner) -> None:
    """A platform that is limited for ever would be asked for ever."""
    scanner.sites.sites[BUSY] = throttled
    await scanner.scan(by_hand("kites", "wikimedia_commons"))
    scanner.clock.turn(4000)
    await watch_due(scanner.services)
    (again,) = await scanner.asked_for()
    assert (await scanner.scan(again))[0] == "nak"
    assert len(await scanner.ended()) == 1
    scanner.clock.turn(2 * 86_400)
    assert (await scanner.scan(again, delivery=2))[0] == "ack"
    assert len(await scanner.ended()) == 2
    assert await scanner.db.fetchval("select count(*) from scans_later") == 0
    scanner.clock.turn(4000)
    await scanner.scan(by_hand("kites", "wikimedia_commons"))
    scanner.clock.turn(3 * 86_400)
    assert await scanner.tick() == [], "nobody was there to ask for two days"
    assert await scanner.db.fetchval("select count(*) from scans_later") == 0


async def test_only_the_schedule_measures_a_niche(scanner: Scanner) -> None:
    """A look at one platform by hand would pass for the movement of the niche, and shift its calls."""
    await niches_of(scanner).add("deep sea", now=AT, platforms=("internet_archive",))
    await scanner.tick()
    state = "select scanned_at, movement, movement_because, words from niches"
    before = await scanner.db.fetchrow(state)
    scanner.clock.turn(60)
    await scanner.scan(by_hand("deep sea", "internet_archive"))
    assert await scanner.db.fetchrow(state) == before


async def test_a_refused_proposal_stays_refused_in_other_letters(scanner: Scanner) -> None:
    """What a person refused would come back as soon as somebody writes it in capitals."""
    niches = niches_of(scanner)
    async with scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("Coral Reef"), proposal("squid")], now=AT)
    await niches.drop("coral reef", now=AT)
    async with scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("coral reef"), proposal("SQUID", 0.9)], now=AT)
    assert [(one.name, one.score) for one in await niches.proposals(AT)] == [("squid", 0.9)]


async def test_old_proposals_and_quotas_are_forgotten(scanner: Scanner) -> None:
    """What rose in spring would be proposed in autumn."""
    niches = niches_of(scanner)
    async with scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("squid"), proposal("reef")], now=AT)
    bucket = platforms.module("youtube").RATION(scanner.services.settings)  # type: ignore[attr-defined]  # it has one
    await scanner.services.means.quota.spend("youtube", bucket)
    scanner.clock.turn(10 * 86_400)
    async with scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("reef")], now=scanner.clock.now())
    scanner.clock.turn(5 * 86_400)
    assert [one.name for one in await niches.proposals(scanner.clock.now())] == ["reef"]
    assert await scanner.db.fetchval("select count(*) from niche_proposals") == 2
    await forget_old(scanner.services)
    assert await scanner.db.fetchval("select count(*) from niche_proposals") == 1
    assert await scanner.db.fetchval("select count(*) from quota") == 0


async def test_replicas_that_accept_proposals_do_not_lock_each_other_out(scanner: Scanner) -> None:
    """One of two scans that end at the same moment would fail with a deadlock."""
    settings = msgspec.structs.replace(scanner.services.settings, proposed_niches_watched=1)
    async with scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("squid")], now=AT)

    async def other() -> None:
        async with scanner.db.transaction() as conn:
            await store_proposals(conn, [proposal("reef", 0.1)], now=AT)
            await accept_within_limit(conn, settings, now=AT)

    async def waits() -> bool:
        return bool(await scanner.db.fetchval("select exists (select from pg_locks where not granted)"))

    async with asyncio.TaskGroup() as group, scanner.db.transaction() as conn:
        await store_proposals(conn, [proposal("squid")], now=AT)
        group.create_task(other())
        await until(waits, what="the other replica waits")
        await accept_within_limit(conn, settings, now=AT)
    assert [one.name for one in await niches_of(scanner).listed()] == ["squid"]


async def test_one_broken_platform_does_not_stop_the_trends(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error in one file, or a bug in one adapter, would stop the topics of all."""
    caps = platforms.module("google_trends").CAPS
    asked: list[str] = []

    class Adapter:
        def __init__(self, name: str) -> None:
            self.name = name

        async def trends(self, **_: Any) -> tuple[()]:
            asked.append(self.name)
            if self.name == "bug":
                raise KeyError("items")
            return ()

    def module(name: str) -> Any:
        if name == "broken":
            raise SyntaxError("broken")
        return SimpleNamespace(CAPS=caps, ADAPTER=lambda _: Adapter(name))

    monkeypatch.setattr(platforms, "names", lambda: ("broken", "bug", "good"))
    monkeypatch.setattr(platforms, "module", module)
    async with opened(database, tmp_path, {}, at=AT) as scanner:
        for _ in range(2):
            await trends_due(scanner.services)
        rows = await database.fetch("select platform, next_at, because from trend_turns order by platform")
        assert sorted(asked) == ["bug", "good"]
        assert [(row["platform"], row["next_at"]) for row in rows] == [
            ("bug", AT + timedelta(hours=3)),
            ("good", AT + timedelta(hours=3)),
        ]
        assert "KeyError" in rows[0]["because"]
        with pytest.raises(Reject, match="'broken' cannot be scanned"):
            await niches_of(scanner).add("new", now=AT, platforms=("broken",))
        with pytest.raises(Reject, match="no platform that can be posted to"):
            commands._destination(scanner.services.settings, "broken")


async def test_what_is_no_text_is_refused(scanner: Scanner) -> None:
    """PostgreSQL refuses NUL: the scan would fail eight times as a bug."""
    assert (await scanner.scan(by_hand("deep\0sea")))[0] == "ack"
    assert [one.niche for one in await scanner.ended()] == ["deepsea"]
    for wrong in ("deep\0sea", "deep\udcffsea"):
        with pytest.raises(Reject, match="not plain text"):
            await niches_of(scanner).add(wrong, now=AT)
        with pytest.raises(Reject, match="the note is not plain text"):
            await niches_of(scanner).add("new", now=AT, why=wrong)
    assert "is watched" in await niches_of(scanner).add("می\u200cخواهم 👩\u200d🚀", now=AT)
