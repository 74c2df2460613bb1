"""Internet Archive: recorded answers, and the adapter against a small server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms import internet_archive
from actors.platforms.internet_archive import (
    MOST_ITEMS,
    InternetArchive,
    choose_file,
    parse_files,
    parse_hits,
    parse_item,
    parse_length,
    query_for,
)
from actors.runtime.clock import Clock
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.adapters import adapter_on
from tests.unit.platforms.imitated import HandClock
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BASE = "https://archive.org"
BY_SA = "http://creativecommons.org/licenses/by-sa/4.0/"


def answer(*, files: list[dict[str, Any]] | None = None, **metadata: Any) -> dict[str, Any]:
    """Write a /metadata answer as the Archive does: strings, lists of strings, HTML."""
    stated = {
        "identifier": "reef_2019",
        "mediatype": "movies",
        "title": "Life on the reef",
        "publicdate": "2026-11-13 12:00:00",
        "licenseurl": BY_SA,
    }
    return {"created": 1, "metadata": stated | metadata, "files": files if files is not None else [file("reef.mp4")]}


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "source": "original", "format": "MPEG4", "size": "1000", "length": "61.5"} | more


def parsed(reply: Any, downloads: int | None = 7) -> Any:
    return parse_item(reply, downloads=downloads, base_url=BASE, at=AT)


def test_recorded_search_is_read() -> None:
    """A search that is not understood finds nothing, for ever."""
    reply = recorded("internetarchive/advancedsearch.json")
    hits = parse_hits(reply)
    assert len(hits) == len(reply["response"]["docs"]) == 50
    by_id = {hit.identifier: hit.downloads for hit in hits}
    assert by_id["A-11464"] == 28
    assert by_id["PhysicsOfToys"] == 24


def test_search_faults_with_status_200_are_retried() -> None:
    """A busy search that is taken for an empty one hides every candidate."""
    with pytest.raises(Retry, match="no result list: search is busy"):
        parse_hits({"error": "search is busy"})
    with pytest.raises(Retry):
        parse_hits([])


def test_item_becomes_a_candidate() -> None:
    """The editor credits, fetches and describes a work from these fields."""
    found = parsed(
        answer(
            creator=["Ada", "Grace"],
            subject=["corals; fish", "reef"],
            description=["<p>Corals &amp; fish</p><script>x()</script>", "Second part"],
        )
    )
    assert (found.item_id, found.url) == ("internet_archive:reef_2019", "https://archive.org/details/reef_2019")
    assert (found.creator, found.tags) == ("Ada, Grace", ("corals", "fish", "reef"))
    assert found.description == "Corals & fish\nSecond part"
    assert found.published_at == datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
    assert (found.media_url, found.media_bytes) == ("https://archive.org/download/reef_2019/reef.mp4", 1000)
    assert found.duration_us == 61_500_000


def test_counts_are_downloads_or_absent_with_a_reason() -> None:
    """A count that is not known must never be shown as zero."""
    metrics = parsed(answer(), downloads=7).metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (7, None, None, None)
    assert set(metrics.absent) == {"likes", "comments", "shares"}
    metrics = parsed(answer(), downloads=None).metrics
    assert metrics.views is None
    assert "downloads" in metrics.absent["views"]


@pytest.mark.parametrize(
    ("metadata", "licence", "says"),
    [
        ({}, "CC-BY-SA-4.0", ""),
        ({"licenseurl": "https://creativecommons.org/publicdomain/mark/1.0/"}, "PDM-1.0", ""),
        ({"licenseurl": ["http://creativecommons.org/licenses/by-nc-nd/3.0/us/"]}, "CC-BY-NC-ND-3.0", ""),
        ({"licenseurl": None}, "unknown", "states no licence address"),
        ({"licenseurl": None, "rights": "Public Domain"}, "unknown", "its rights field says: Public Domain"),
        ({"licenseurl": "http://example.org/terms"}, "unknown", "no licence that is known"),
        ({"licenseurl": [BY_SA, "http://creativecommons.org/licenses/by/4.0/"]}, "unknown", "several licences"),
    ],
)
def test_licence_is_read_from_its_address_alone(metadata: dict[str, Any], licence: str, says: str) -> None:
    """A licence that is guessed puts somebody else's work into a post."""
    rights = parsed(answer(**metadata)).rights
    assert rights.licence == licence
    assert says in rights.note
    assert rights.source_url == "https://archive.org/details/reef_2019"
    assert rights.read_at == AT
    assert may("download", rights, at=AT).allowed == (licence != "unknown")
    stated = metadata.get("licenseurl", BY_SA)
    assert (str(stated[0] if isinstance(stated, list) else stated) in rights.proof) == (stated is not None)


@pytest.mark.parametrize(
    "reply",
    [{}, [], {"metadata": {}}, answer(mediatype="audio"), answer() | {"is_dark": True}, answer(identifier=None)],
)
def test_what_is_no_moving_image_is_left_out(reply: Any) -> None:
    """An unknown item comes as an empty object with status 200."""
    assert parsed(reply) is None


@pytest.mark.parametrize(
    "reply",
    [
        answer() | {"metadata": answer()["metadata"] | {"access-restricted-item": "true"}},
        answer(files=[]),
        answer(files=[file("a.mp4", private="true"), file("cover.jpg"), file("a.mp4.torrent")]),
    ],
)
def test_item_without_a_file_for_everybody_has_no_media(reply: Any) -> None:
    """Lending-only and private files answer 403: choosing them wastes the day's one choice."""
    assert parsed(reply).media_url is None


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([file("a.avi", format="Cinepak"), file("a.mp4", source="derivative", format="h.264")], "a.mp4"),
        (
            [file("a.mp4", height="1080"), file("a.ia.mp4", source="derivative", format="h.264 IA", height="480")],
            "a.mp4",
        ),
        ([file("a.mp4", height="480"), file("a.ia.mp4", format="h.264 IA", height="480", size="2000")], "a.ia.mp4"),
        ([file("a_512kb.mp4", format="512Kb MPEG4"), file("a.mp4", format="MPEG4")], "a.mp4"),
        ([file("a.mp4", size="9000000000"), file("a.ia.mp4", source="derivative", format="h.264 IA")], "a.ia.mp4"),
        ([file("big.mp4", size="9000000000"), file("bigger.mp4", size="9900000000", source="derivative")], "big.mp4"),
        ([file("4k.mp4", height="2160", size="9000"), file("hd.mp4", height="1080", size="5000")], "hd.mp4"),
        ([file("a.mpeg", size=""), file("a.ogv")], "a.ogv"),
    ],
)
def test_best_playable_file_is_chosen(files: list[dict[str, Any]], chosen: str) -> None:
    """The wrong file is a thumbnail-sized or a ten-gigabyte download."""
    best = choose_file(parse_files(files))
    assert best is not None
    assert best.name == chosen
    assert choose_file(parse_files(files[::-1])) == best


def test_file_names_are_encoded() -> None:
    """A file in a sub-folder, or with '#' in its name, could not be fetched."""
    found = parsed(answer(files=[file("season 1/ep#1?.mp4")]))
    assert found.media_url == "https://archive.org/download/reef_2019/season%201/ep%231%3F.mp4"


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("61.5", 61_500_000),
        ("1:01", 61_000_000),
        ("0:01:01.5", 61_500_000),
        ("", None),
        ("about 5 min", None),
        ("0", None),
    ],
)
def test_parse_length(text: str, us: int | None) -> None:
    """A wrong length cuts the video at the wrong place."""
    assert parse_length(text) == us


@pytest.mark.parametrize(
    ("niche", "words"),
    [
        ("deep sea", "(deep AND sea)"),
        ('C++ (2024): "x" OR y', r"(C\+\+ AND \(2024\)\: AND \"x\" AND or AND y)"),
        ("a/b sci-fi", r"(a\/b AND sci\-fi)"),
    ],
)
def test_query_escapes_what_lucene_reads_as_commands(niche: str, words: str) -> None:
    """An unescaped colon or bracket makes the search fail; an unescaped OR finds everything."""
    assert query_for(niche) == f"{words} AND mediatype:movies AND licenseurl:(*creativecommons.org*)"


class Archive:
    """A small Internet Archive: search hits and metadata by identifier, statuses by identifier."""

    def __init__(self, identifiers: list[str]) -> None:
        self.identifiers = identifiers
        self.status: dict[str, int] = {}
        self.searches: list[web.Request] = []
        self.read = 0
        self.slow: set[str] = set()
        self.let_go = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_get("/advancedsearch.php", self.search)
        self.app.router.add_get("/metadata/{identifier}", self.metadata)

    async def search(self, request: web.Request) -> web.Response:
        self.searches.append(request)
        rows, page = int(request.query["rows"]), int(request.query["page"])
        chosen = self.identifiers[(page - 1) * rows : page * rows]
        docs = [{"identifier": name, "downloads": 5} for name in chosen]
        return web.json_response({"responseHeader": {}, "response": {"numFound": len(self.identifiers), "docs": docs}})

    async def metadata(self, request: web.Request) -> web.Response:
        name = request.match_info["identifier"]
        self.read += 1
        if name in self.slow:
            await self.let_go.wait()
        if status := self.status.get(name):
            return web.Response(status=status, headers={"Retry-After": "30"} if status == 429 else {})
        return web.json_response(answer(identifier=name))


@asynccontextmanager
async def archive(
    folder: Path, identifiers: list[str], *, clock: Clock | None = None
) -> AsyncIterator[tuple[Archive, InternetArchive]]:
    site = Archive(identifiers)
    async with TestServer(site.app) as server, adapter_on(InternetArchive, server, folder, clock=clock) as adapter:
        yield site, adapter


async def test_discover_asks_search_then_each_item(tmp_path: Path) -> None:
    """The search answer has no licence proof and no files: both come from the item."""
    async with archive(tmp_path, ["a", "b", "c"]) as (site, adapter):
        found = await adapter.discover("deep sea", limit=2)
    assert [one.platform_id for one in found] == ["a", "b"]
    assert {one.metrics.views for one in found} == {5}
    asked = site.searches[0].query
    assert asked["q"].startswith("(deep AND sea) AND mediatype:movies")
    assert asked.getall("sort[]") == ["week desc", "downloads desc"]
    assert (asked["rows"], asked["output"]) == ("2", "json")


async def test_items_of_a_scan_are_few_and_kept(tmp_path: Path) -> None:
    """Five hundred items are five hundred requests: more than a scan has time for."""
    clock = HandClock()
    async with archive(tmp_path, [f"item{number}" for number in range(120)], clock=clock) as (site, adapter):
        assert len(await adapter.discover("deep sea", limit=500)) == MOST_ITEMS == site.read
        assert [request.query["rows"] for request in site.searches] == ["100"]
        clock.turn(hours=5)
        assert len(await adapter.discover("deep sea", limit=500)) == MOST_ITEMS
        assert site.read == MOST_ITEMS, "items that are known are not read again"


async def test_slow_items_are_left_for_the_next_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that is cut off at its minute loses all; one that ends by itself has what was read, and goes on later."""
    monkeypatch.setattr(internet_archive, "ITEMS_DEADLINE_S", 0.5)
    async with archive(tmp_path, ["a", "b", "c"]) as (site, adapter):
        site.slow = {"b"}
        assert [one.platform_id for one in await adapter.discover("deep sea", limit=5)] == ["a", "c"]
        site.slow = {"a", "c"}
        site.let_go.set()
        assert [one.platform_id for one in await adapter.discover("deep sea", limit=5)] == ["a", "b", "c"]
        assert site.read == 4
    async with archive(tmp_path, ["a"]) as (site, adapter):
        site.slow = {"a"}
        with pytest.raises(Retry, match="did not give its items within"):
            await adapter.discover("deep sea", limit=5)


async def test_one_broken_item_does_not_lose_the_others(tmp_path: Path) -> None:
    """One item on a failing node would end every scan of its niche."""
    async with archive(tmp_path, ["a", "b"]) as (site, adapter):
        site.status["a"] = 500
        assert [one.platform_id for one in await adapter.discover("deep sea", limit=5)] == ["b"]
        site.status["a"] = 429
        assert [one.platform_id for one in await adapter.discover("deep sea", limit=5)] == ["b"], "it is known"
    async with archive(tmp_path, ["a", "b"]) as (site, adapter):
        site.status = {"a": 429, "b": 429}
        with pytest.raises(RateLimited):
            await adapter.discover("deep sea", limit=5)


async def test_no_words_are_rejected(tmp_path: Path) -> None:
    """A search for nothing would return everything."""
    async with archive(tmp_path, []) as (_, adapter):
        with pytest.raises(Reject, match="no words"):
            await adapter.discover("  ", limit=5)
        assert await adapter.discover("deep sea", limit=5) == ()


async def test_search_is_kept_for_ten_minutes_with_its_moment(tmp_path: Path) -> None:
    """Downloads that are dated anew look like a video that stands still."""
    clock = HandClock()
    async with archive(tmp_path, ["a"], clock=clock) as (site, adapter):
        began = clock.now()
        clock.turn(minutes=9)
        first = await adapter.discover("deep sea", limit=5)
        assert first[0].observed_at == clock.now()
        clock.turn(minutes=9)
        (again,) = await adapter.discover("deep sea", limit=5)
        assert again.observed_at == first[0].observed_at > began
        assert again.rights.read_at == first[0].rights.read_at, "a kept licence keeps its moment, too"
        assert len(site.searches) == 1


async def test_archive_that_asks_for_peace_gets_it(tmp_path: Path) -> None:
    """An answer of 429 to one item means all of them, and the searches too."""
    clock = HandClock()
    async with archive(tmp_path, ["a"], clock=clock) as (site, adapter):
        site.status["a"] = 429
        with pytest.raises(RateLimited) as caught:
            await adapter.discover("deep sea", limit=5)
        assert (caught.value.until - clock.now()).total_seconds() == 30
        with pytest.raises(RateLimited):
            await adapter.discover("volcano", limit=5)
        assert len(site.searches) == 1
        clock.turn(seconds=31)
        site.status.clear()
        assert await adapter.discover("volcano", limit=5)


@pytest.mark.parametrize("reply", [{"response": []}, {"response": {"docs": {}}}, {"response": None}, 7])
def test_search_in_another_shape_is_tried_later(reply: Any) -> None:
    """A changed answer must not crash the scanner, nor pass for an empty one."""
    with pytest.raises(Retry):
        parse_hits(reply)
