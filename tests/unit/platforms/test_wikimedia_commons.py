"""Wikimedia Commons: recorded answers, and the adapter against a small server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms.wikimedia_commons import WikimediaCommons, merge_pages, parse_page, parse_rights, query_for
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.adapters import adapter_on
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PAGE_URL = "https://commons.wikimedia.org/wiki/File:Reef.webm"


def extmetadata(**values: str) -> dict[str, Any]:
    stated = {
        "LicenseShortName": "CC BY-SA 4.0",
        "License": "cc-by-sa-4.0",
        "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
        "Artist": '<a href="//commons.wikimedia.org/wiki/User:Ada">Ada &amp; Co</a>',
        "ImageDescription": "<p>Corals <b>at night</b></p>",
        "Categories": "Coral reefs|Night",
        "Restrictions": "",
    }
    return {key: {"value": value, "source": "commons-desc-page"} for key, value in (stated | values).items()}


def page(pageid: int = 7, **info: Any) -> dict[str, Any]:
    stated = {
        "timestamp": "2026-11-13T12:00:00Z",
        "url": "https://upload.wikimedia.org/wikipedia/commons/a/ab/Reef.webm",
        "descriptionurl": PAGE_URL,
        "size": 1000,
        "width": 1920,
        "height": 1080,
        "duration": 12.5,
        "mime": "video/webm",
        "mediatype": "VIDEO",
        "extmetadata": extmetadata(),
    }
    return {"pageid": pageid, "ns": 6, "title": "File:Reef at night.webm", "index": 1, "imageinfo": [stated | info]}


def rights_of(**values: str) -> Any:
    return parse_rights({"extmetadata": extmetadata(**values)}, title="Reef", page_url=PAGE_URL, at=AT)


def test_recorded_licences_are_read() -> None:
    """These are real pages: each states its licence in its own way."""
    reply = recorded("wikimedia_commons/allimages_extmetadata_continue_p1.json")
    pages = merge_pages({}, reply)
    assert set(pages) == {int(key) for key in reply["query"]["pages"]}
    read = {
        one["title"]: parse_rights(one["imageinfo"][0], title="x", page_url="y", at=AT)
        for one in pages.values()
        if "imageinfo" in one
    }
    assert read["File:Minchinmavida Volcano.jpg"].licence == "public-domain"
    ported = read["File:2002-04-02 Hauptstraße, Heidelberg IMG 0404.jpg"]
    assert (ported.licence, ported.author) == ("CC-BY-SA-3.0", "Eckhard Henkel")
    assert "ported to DE" in ported.note
    assert "cc-by-sa-3.0-de" in ported.proof
    assert read["File:Niedercunnersdorf Gartenweg 12.JPG"].licence == "CC-BY-SA-4.0"
    assert "<" not in "".join(f"{rights.author}{rights.proof}{rights.note}" for rights in read.values())


def test_recorded_pictures_and_sounds_are_no_candidates() -> None:
    """A picture that is chosen as a video ends the loop in the editor."""
    reply = recorded("wikimedia_commons/allimages_extmetadata_continue_p1.json")
    assert [parse_page(one, at=AT) for one in merge_pages({}, reply).values()] == [None] * len(reply["query"]["pages"])
    sound = recorded("wikimedia_commons/file_ogg_metadata.json")
    assert parse_page({"pageid": 1, "title": "File:Nl.ogg", "imageinfo": [sound]}, at=AT) is None


def test_page_becomes_a_candidate() -> None:
    """The editor credits, fetches and describes a work from these fields."""
    found = parse_page(page(), at=AT)
    assert found is not None
    assert (found.item_id, found.url, found.title) == ("wikimedia_commons:7", PAGE_URL, "Reef at night")
    assert (found.creator, found.description) == ("Ada & Co", "Corals at night")
    assert found.tags == ("Coral reefs", "Night")
    assert (found.duration_us, found.media_bytes) == (12_500_000, 1000)
    assert found.published_at == datetime(2026, 11, 13, 12, 0, tzinfo=UTC)
    assert found.metrics.views is None
    assert set(found.metrics.absent) == {"views", "likes", "comments", "shares"}


@pytest.mark.parametrize(
    ("values", "licence", "says"),
    [
        ({"LicenseUrl": "", "License": ""}, "CC-BY-SA-4.0", ""),
        ({"LicenseUrl": "", "LicenseShortName": ""}, "CC-BY-SA-4.0", ""),
        ({"LicenseUrl": "", "LicenseShortName": "CC BY-SA 3.0 de", "License": "cc-by-sa-3.0-de"}, "CC-BY-SA-3.0", "DE"),
        ({"LicenseUrl": "", "LicenseShortName": "Public domain", "License": "pd"}, "public-domain", ""),
        (
            {
                "LicenseUrl": "http://creativecommons.org/publicdomain/zero/1.0/deed.en",
                "LicenseShortName": "CC0",
                "License": "cc0",
            },
            "CC0-1.0",
            "",
        ),
        ({"LicenseUrl": "", "LicenseShortName": "GFDL", "License": "gfdl"}, "unknown", "no licence that is known"),
        ({"LicenseUrl": "", "LicenseShortName": "Own work", "License": "owned"}, "unknown", "no licence"),
        ({"LicenseShortName": "CC BY 4.0"}, "unknown", "licences that differ (CC-BY-SA-4.0, CC-BY-4.0)"),
        ({"Restrictions": "personality|trademarked"}, "CC-BY-SA-4.0", "personality, trademarked"),
    ],
)
def test_licence_statements_must_agree(values: dict[str, str], licence: str, says: str) -> None:
    """A licence that is guessed puts somebody else's work into a post."""
    rights = rights_of(**values)
    assert rights.licence == licence
    assert says in rights.note
    assert (rights.source_url, rights.read_at) == (PAGE_URL, AT)


def test_huge_originals_give_way_to_a_transcode() -> None:
    """A ten-gigabyte original would be fetched for a video of a minute."""
    derivatives = [
        {"src": "https://upload.wikimedia.org/o.webm", "height": 2160},
        {"src": "https://upload.wikimedia.org/t720.webm", "height": 720},
        {"src": "https://upload.wikimedia.org/t1080.webm", "height": 1080},
    ]
    huge = page(size=9_000_000_000) | {"videoinfo": [{"derivatives": derivatives}]}
    found = parse_page(huge, at=AT)
    assert found is not None
    assert (found.media_url, found.media_bytes) == ("https://upload.wikimedia.org/t1080.webm", None)
    found = parse_page(page() | {"videoinfo": [{"derivatives": derivatives}]}, at=AT)
    assert found is not None
    assert found.media_bytes == 1000


@pytest.mark.parametrize(
    ("niche", "search"),
    [
        ("deep sea", "filetype:video deep sea"),
        ('volcano -lava "x" incategory:Y', "filetype:video volcano lava x incategory Y"),
    ],
)
def test_query_has_no_operators_of_its_own(niche: str, search: str) -> None:
    """A minus or a quotation mark in a niche would turn the search around."""
    assert query_for(niche) == search


class Commons:
    """A small MediaWiki that gives prepared answers in order."""

    def __init__(self, *answers: dict[str, Any] | web.Response) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.agent = ""
        self.app = web.Application()
        self.app.router.add_get("/w/api.php", self.api)

    async def api(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        self.agent = request.headers["User-Agent"]
        answer = self.answers.pop(0)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)


@asynccontextmanager
async def commons(
    folder: Path, *answers: dict[str, Any] | web.Response
) -> AsyncIterator[tuple[Commons, WikimediaCommons]]:
    site = Commons(*answers)
    async with TestServer(site.app) as server, adapter_on(WikimediaCommons, server, folder) as adapter:
        yield site, adapter


async def test_continued_answers_are_merged_by_page(tmp_path: Path) -> None:
    """A batch comes in rounds: without merging, pages lack their licence and are lost."""
    bare = {key: value for key, value in page(8).items() if key != "imageinfo"} | {"index": 2}
    rounds = (
        {"continue": {"iistart": "x", "continue": "||"}, "query": {"pages": [page(7), bare]}},
        {
            "batchcomplete": True,
            "continue": {"gsroffset": 2, "continue": "gsroffset||"},
            "query": {"pages": [page(7) | {"imageinfo": page(7)["imageinfo"]}, page(8) | {"index": 2}]},
        },
        {"batchcomplete": True, "query": {"pages": [page(9) | {"index": 3}, page(6) | {"index": 4}]}},
    )
    async with commons(tmp_path, *rounds) as (site, adapter):
        found = await adapter.discover("deep sea", limit=3)
    assert [one.platform_id for one in found] == ["7", "8", "9"]
    first, second, third = site.asked
    assert (first["gsrsearch"], first["gsrnamespace"], first["maxlag"]) == ("filetype:video deep sea", "6", "5")
    assert "iistart" not in first
    assert (second["iistart"], second["gsrsearch"]) == ("x", "filetype:video deep sea")
    assert third["gsroffset"] == "2"
    assert "iistart" not in third
    assert "me@example.org" in site.agent


@pytest.mark.parametrize("status", [429, 500])
async def test_fault_on_a_later_batch_keeps_the_whole_ones(status: int, tmp_path: Path) -> None:
    """A batch that is not whole lacks licences; those before it do not."""
    whole = {"continue": {"gsroffset": 1}, "query": {"pages": [page(7)]}}
    begun = {"continue": {"iistart": "x"}, "query": {"pages": [page(8) | {"index": 2}]}}
    async with commons(tmp_path, {"batchcomplete": True, **whole}, begun, web.Response(status=status)) as (_, adapter):
        assert [one.platform_id for one in await adapter.discover("deep sea", limit=50)] == ["7"]
    async with commons(tmp_path, begun, web.Response(status=status)) as (_, adapter):
        with pytest.raises((Retry, RateLimited)):
            await adapter.discover("deep sea", limit=50)


async def test_later_rounds_do_not_take_away_what_earlier_ones_brought(tmp_path: Path) -> None:
    """A page whose imageinfo came first must keep it when a later round gives only its title."""
    bare = {key: value for key, value in page(7).items() if key != "imageinfo"}
    rounds = (
        {"continue": {"viA": "x", "continue": "||"}, "query": {"pages": [page(7)]}},
        {"batchcomplete": True, "query": {"pages": [bare]}},
    )
    async with commons(tmp_path, *rounds) as (_, adapter):
        assert len(await adapter.discover("deep sea", limit=5)) == 1


async def test_no_result_is_no_error(tmp_path: Path) -> None:
    """A niche without videos must not look like a broken platform."""
    async with commons(tmp_path, {"batchcomplete": True}) as (_, adapter):
        assert await adapter.discover("deep sea", limit=3) == ()


@pytest.mark.parametrize(
    ("code", "headers", "kind"),
    [
        ("maxlag", {"Retry-After": "5"}, RateLimited),
        ("maxlag", {}, Retry),
        ("internal_api_error_DBQueryError", {}, Retry),
        ("cirrussearch-backend-error", {}, Retry),
        ("badvalue", {}, Reject),
    ],
)
async def test_faults_with_status_200_are_named(
    tmp_path: Path, code: str, headers: dict[str, str], kind: type[Exception]
) -> None:
    """An error body taken for an empty answer hides that the platform is busy."""
    fault = web.json_response({"error": {"code": code, "info": "Waiting"}}, headers=headers)
    async with commons(tmp_path, fault) as (_, adapter):
        with pytest.raises(kind, match=f"{code}: Waiting"):
            await adapter.discover("deep sea", limit=3)


async def test_answers_are_kept_and_faults_are_not(tmp_path: Path) -> None:
    """A busy moment that is kept for ten minutes hides every candidate that long."""
    fault = {"error": {"code": "readonly", "info": "Waiting"}}
    good = {"batchcomplete": True, "query": {"pages": [page(7)]}}
    async with commons(tmp_path, fault, good) as (site, adapter):
        with pytest.raises(Retry):
            await adapter.discover("deep sea", limit=3)
        first = await adapter.discover("deep sea", limit=3)
        assert await adapter.discover("deep sea", limit=3)
        assert len(first) == 1
        assert len(site.asked) == 2


async def test_wait_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    """A maxlag answer names the seconds; asking on in spite of it is against the site's rules."""
    fault = web.json_response({"error": {"code": "maxlag", "info": "Waiting"}}, headers={"Retry-After": "5"})
    async with commons(tmp_path, fault) as (site, adapter):
        for words in ("deep sea", "volcano"):
            with pytest.raises(RateLimited):
                await adapter.discover(words, limit=3)
        assert len(site.asked) == 1


@pytest.mark.parametrize("reply", [{"query": []}, {"query": {"pages": 7}}, {"continue": 7, "query": {"pages": [7]}}])
async def test_strange_pages_are_left_out(tmp_path: Path, reply: Any) -> None:
    """A field that changes its type must not crash the scanner."""
    async with commons(tmp_path, reply) as (_, adapter):
        assert await adapter.discover("deep sea", limit=3) == ()


@pytest.mark.parametrize("reply", [{}, [], {"warnings": {}}])
async def test_answer_in_another_shape_is_tried_later(tmp_path: Path, reply: Any) -> None:
    """An answer without result and without its end must not pass for an empty one."""
    async with commons(tmp_path, reply) as (_, adapter):
        with pytest.raises(Retry, match="not known here"):
            await adapter.discover("deep sea", limit=3)
