"""From a scan request to a selected candidate, over real HTTP to the sandbox platforms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from actors import platforms
from actors.ranker.app import APP as RANKER
from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.http import Http
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from actors.scanner import handle as scanner_handle
from actors.scanner.app import APP as SCANNER
from contracts.codec import decode, subject_of
from contracts.errors import RateLimited, Retry
from contracts.events import CandidateFound, CandidateSelected, Event, ScanCompleted, WorkRejected
from contracts.platform import Candidate
from deploy.sandbox import SandboxSettings, api_urls, running
from tests.stack import until

PATIENCE_S = 20.0
E = TypeVar("E", bound=Event)


class Place:
    """A sandbox with samples, and settings that point at it."""

    def __init__(self, url: str, settings_of: Callable[[str], Settings]) -> None:
        self.url = url
        self._settings_of = settings_of

    def settings(self, party: str) -> Settings:
        return msgspec.structs.replace(
            self._settings_of(party), api_urls=api_urls(self.url), contact="tests", destination="youtube"
        )


@pytest.fixture
async def place(tmp_path: Path, settings_of: Callable[[str], Settings]) -> AsyncIterator[Place]:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    async with running(folder, samples=True, settings=SandboxSettings()) as url:
        yield Place(str(url).rstrip("/"), settings_of)


@asynccontextmanager
async def scanning(place: Place) -> AsyncIterator[Services]:
    async with serving(SCANNER, place.settings("scanner")) as services, serving(RANKER, place.settings("ranker")):
        yield services


async def fault(http: Http, place: Place, **what: Any) -> None:
    answer = await http.request("POST", f"{place.url}/sandbox/faults", json=what)
    assert answer.status == 201, answer.text


async def ask(admin: Client, payload: bytes) -> None:
    await admin.jetstream().publish("ett.scan.requested", payload)


async def told(subscription: Subscription, kind: type[E]) -> E:
    return decode((await subscription.next_msg(timeout=PATIENCE_S)).data, kind)


async def outcomes(database: Database) -> dict[str, tuple[str, str]]:
    """Wait until the only scan is settled; return what became of each candidate, and why."""

    async def settled() -> bool:
        return bool(await database.fetchval("select true from scans where settled_at is not null"))

    await until(settled, what="the scan is settled")
    rows = await database.fetch("select item_id, outcome, because from sightings")
    return {row["item_id"]: (row["outcome"], row["because"]) for row in rows}


async def test_scan_selects_what_may_be_used(nats_admin: Client, database: Database, place: Place) -> None:
    """The loop must start from one plain line, find lawful media on real HTTP, and say why it took which."""
    selections = await nats_admin.subscribe(subject_of(CandidateSelected))
    ends = await nats_admin.subscribe(subject_of(ScanCompleted))
    async with scanning(place) as services:
        await ask(nats_admin, b'{"niche":"deep sea"}')
        end = await told(ends, ScanCompleted)
        selected = await told(selections, CandidateSelected)
        became = await outcomes(database)
        assert end.failed == {}, "every platform that needs no credential answers in the sandbox"
        assert end.skipped["youtube"] == "YOUTUBE_API_KEY is not set"
        assert end.skipped["duckduckgo"] == "it is asked only where the quota of another is spent"
        assert end.found["internet_archive"] >= 4
        assert end.found["wikimedia_commons"] >= 1
        assert sum(end.found.values()) == len(became)
        assert became["internet_archive:sandbox-reef-for-schools"] == (
            "refused",
            "CC BY-NC 4.0 does not allow commercial use",
        )
        assert became["internet_archive:sandbox-deep-dive-uncut"] == (
            "refused",
            "CC BY-ND 4.0 does not allow edited versions",
        )
        assert "internet_archive:sandbox-found-sea-footage" not in became
        assert [name for name, (outcome, _) in became.items() if outcome == "selected"] == [selected.item_id]
        assert selected.item_id == "internet_archive:sandbox-deep-sea-lights"
        assert selected.candidate.rights.licence == "CC-BY-4.0"
        assert "licenseurl: https://creativecommons.org/licenses/by/4.0/" in selected.candidate.rights.proof
        assert selected.destination is not None
        assert (selected.destination.platform, selected.destination.privacy) == ("youtube", "private")
        assert selected.correlation_id == end.correlation_id
        await the_media_can_be_fetched(selected.candidate, services)


async def the_media_can_be_fetched(candidate: Candidate, services: Services) -> None:
    assert candidate.media_url is not None
    with services.scratch() as folder:
        got = await services.http.download(
            candidate.media_url, folder / "media", max_bytes=10**8, deadline_s=PATIENCE_S
        )
    assert got.size_bytes == candidate.media_bytes
    assert got.content_type == "video/mp4"


async def test_one_platform_down_does_not_lose_the_other(nats_admin: Client, database: Database, place: Place) -> None:
    """A scan must give what it found, and name the platform that did not answer."""
    ends = await nats_admin.subscribe(subject_of(ScanCompleted))
    async with scanning(place) as services:
        await fault(services.http, place, where="archive.search", kind="status", status=503, times=None)
        await ask(nats_admin, b'{"niche":"deep sea"}')
        end = await told(ends, ScanCompleted)
        assert end.found["wikimedia_commons"] >= 1
        assert "the Internet Archive answered 503" in end.failed["internet_archive"]
        became = await outcomes(database)
        assert [outcome for outcome, _ in became.values()].count("selected") == 1


async def test_a_platform_that_hangs_delays_nobody(
    nats_admin: Client, database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One silent server would keep every scan from its end, and the ranker from its choice."""
    monkeypatch.setattr(scanner_handle, "DEADLINE_S", 4.0)
    ends = await nats_admin.subscribe(subject_of(ScanCompleted))
    async with scanning(place) as services:
        await fault(services.http, place, where="dailymotion.search", kind="slow", delay_s=600, times=None)
        await ask(nats_admin, b'{"niche":"deep sea","platform":"internet_archive,dailymotion"}')
        end = await told(ends, ScanCompleted)
        assert end.failed == {"dailymotion": "dailymotion did not answer within 4 s"}
        assert end.found["internet_archive"] >= 4
        became = await outcomes(database)
        assert [outcome for outcome, _ in became.values()].count("selected") == 1


async def test_scan_is_repeated_when_no_platform_answers(nats_admin: Client, database: Database, place: Place) -> None:
    """A scan in the minute when everything is down would be lost."""
    ends = await nats_admin.subscribe(subject_of(ScanCompleted))
    async with scanning(place) as services:
        await fault(services.http, place, where="archive.search", kind="truncate", times=1)
        await ask(nats_admin, b'{"niche":"deep sea","platform":"internet_archive"}')
        end = await told(ends, ScanCompleted)
    assert list(end.found) == ["internet_archive"]
    assert await database.fetchval("select count(*) from dead_letters") == 0


async def test_unknown_platform_ends_with_the_known_ones(nats_admin: Client, database: Database, place: Place) -> None:
    """A typing error must be told to the person, and not be tried for ever."""
    rejections = await nats_admin.subscribe(subject_of(WorkRejected))
    async with scanning(place):
        await ask(nats_admin, b'{"niche":"deep sea","platform":"internet_archiv"}')
        rejected = await told(rejections, WorkRejected)
    assert "is no platform that can be scanned. known: " in rejected.reason
    assert "internet_archive, " in rejected.reason
    assert rejected.rejected_type == "scan.requested"


async def test_nothing_found_is_said(nats_admin: Client, database: Database, place: Place) -> None:
    """A niche without results must not look like a scan that is still running."""
    async with scanning(place):
        await ask(nats_admin, b'{"niche":"zwiebelkuchen"}')
        assert await outcomes(database) == {}
    assert await database.fetchval("select because from scans") == "nothing selected: no candidate was found"


async def test_commons_continues_and_waits_when_told(nats_admin: Client, place: Place) -> None:
    """Commons gives answers in rounds, and asks clients to wait when its database lags."""
    async with serving(SCANNER, place.settings("scanner")) as services:
        adapter = platforms.build("wikimedia_commons", services)
        found = await adapter.discover("sandbox", limit=50)
        assert {one.rights.licence for one in found} == {"CC-BY-SA-4.0", "CC0-1.0"}
        assert {one.creator for one in found} == {"Sandbox author 6", "Sandbox author 7"}
        await fault(services.http, place, where="commons.search", kind="drop_mid_body")
        with pytest.raises(Retry):
            await adapter.discover("chess", limit=50)
        await fault(services.http, place, where="commons.search", kind="status", reason="maxlag")
        with pytest.raises(RateLimited, match="maxlag"):
            await adapter.discover("volcano", limit=50)


async def test_found_events_carry_the_whole_candidate(nats_admin: Client, place: Place) -> None:
    """Programs outside read candidates from the bus."""
    candidates = await nats_admin.subscribe(subject_of(CandidateFound))
    async with serving(SCANNER, place.settings("scanner")):
        await ask(nats_admin, b'{"niche":"deep sea","platform":"internet_archive","limit":1}')
        event = await told(candidates, CandidateFound)
    seen = event.candidate
    assert event.niche == "deep sea"
    assert seen.url == f"{place.url}/details/{seen.platform_id}"
    assert seen.metrics.views is not None
    assert seen.duration_us == pytest.approx(5_000_000, rel=0.05)
