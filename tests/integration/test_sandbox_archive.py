"""The sandbox's Internet Archive and Wikimedia Commons, driven with raw HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, FormData
from msgspec import Struct

from contracts.rights import licence_from_url
from deploy.sandbox import SandboxSettings, running
from deploy.sandbox.media import make_clip

BY = "https://creativecommons.org/licenses/by/4.0/"
ZERO = "https://creativecommons.org/publicdomain/zero/1.0/"
AGENT = {"User-Agent": "ettametta-tests/1 (tests@sandbox.test)"}
COMMONS = {"action": "query", "format": "json", "formatversion": "2"}
FOUND = {
    **COMMONS,
    "generator": "search",
    "gsrnamespace": "6",
    "prop": "imageinfo",
    "iiprop": "timestamp|user|url|size|mime|mediatype|sha1|extmetadata",
}


class Library(Struct):
    """A client, the folder it may list files from, and one clip in it."""

    http: ClientSession
    clip: Path

    async def item(self, identifier: str, **fields: Any) -> None:
        body = {"identifier": identifier, "file": str(self.clip), **fields}
        answer = await self.http.post("/sandbox/archive/items", json=body)
        assert answer.status == 201, await answer.text()

    async def file(self, title: str, **fields: Any) -> None:
        body = {"title": title, "file": str(self.clip), **fields}
        answer = await self.http.post("/sandbox/commons/items", json=body)
        assert answer.status == 201, await answer.text()

    async def search(self, query: str, **params: Any) -> Any:
        answer = await self.http.get("/advancedsearch.php", params={"q": query, "output": "json", **params})
        return await answer.json()

    async def found(self, query: str, **params: Any) -> list[str]:
        return [item["identifier"] for item in (await self.search(query, **params))["response"]["docs"]]

    async def commons(self, **params: Any) -> Any:
        answer = await self.http.get("/w/api.php", params=params, headers=AGENT)
        assert answer.status == 200
        return await answer.json()


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, seconds=2.0)
    folder = tmp_path / "sandbox"
    async with running(folder, settings=SandboxSettings()) as address, ClientSession(address) as http:
        yield Library(http, clip)


async def test_search_finds_by_words_type_and_licence(library: Library) -> None:
    """Breaks scans of the archive if the query that the client sends does not select."""
    await library.item("sea-by", title="Deep sea", licenseurl=BY, subject=["ocean", "fish"], downloads=5)
    await library.item("sea-zero", title="Sea and sand", licenseurl=ZERO, downloads=9)
    await library.item("sea-none", title="Sea of nobody", downloads=100)
    await library.item("talk", title="Deep sea talk", licenseurl=BY, mediatype="audio")
    usable = "mediatype:movies AND licenseurl:(*creativecommons.org*)"
    assert await library.found(f"{usable} AND sea") == ["sea-by", "sea-zero"]
    assert await library.found(f'({usable}) AND (title:("deep sea") OR subject:ocean)') == ["sea-by"]
    assert await library.found("licenseurl:*publicdomain*") == ["sea-zero"]
    assert await library.found("sea -licenseurl:*") == ["sea-none"]
    assert await library.found("sea AND mediatype:movies", **{"sort[]": "downloads desc"}) == [
        "sea-none",
        "sea-zero",
        "sea-by",
    ]
    assert await library.found("downloads:[6 TO 50]") == ["sea-zero"]


async def test_search_pages_and_chooses_fields(library: Library) -> None:
    """Breaks paging, or hides that one value comes bare and several come as a list."""
    for at in range(5):
        await library.item(f"item-{at}", title="Sea", creator="A", subject=["x", "y"])
    answer = await library.search("sea", rows="2", page="2", **{"fl[]": "identifier,subject,creator"})
    assert answer["responseHeader"]["status"] == 0
    assert (answer["response"]["numFound"], answer["response"]["start"]) == (5, 2)
    assert answer["response"]["docs"] == [
        {"identifier": f"item-{at}", "creator": "A", "subject": ["x", "y"]} for at in (2, 3)
    ]
    assert "error" in await library.search("sea", rows="100", page="101")
    assert "error" in await library.search("title:(sea")


async def test_scrape_walks_everything_by_cursor(library: Library) -> None:
    """Breaks deep scans, which search refuses."""
    answer = await library.http.get("/services/search/v1/scrape", params={"q": "sea", "count": "10"})
    assert "error" in await answer.json()
    await library.item("only", title="Sea")
    answer = await library.http.get("/services/search/v1/scrape", params={"q": "sea", "fields": "title"})
    assert await answer.json() == {"items": [{"title": "Sea"}], "count": 1, "total": 1}


async def test_metadata_names_files_with_string_sizes(library: Library) -> None:
    """Breaks the choice of a file to download, and the rights record made from it."""
    await library.item("sea", title="Sea", licenseurl=BY, creator=["A", "B"], description="<p>Sea</p>")
    data = await (await library.http.get("/metadata/sea")).json()
    video = next(file for file in data["files"] if file["source"] == "original")
    digest = hashlib.sha1(library.clip.read_bytes(), usedforsecurity=False).hexdigest()
    assert (video["name"], video["format"], video["sha1"]) == ("clip.mp4", "MPEG4", digest)
    assert (video["size"], video["width"]) == (str(library.clip.stat().st_size), "320")
    assert float(video["length"]) == pytest.approx(2.0, abs=0.1)
    assert data["files_count"] == len(data["files"]) == 2
    assert data["metadata"]["creator"] == ["A", "B"]
    assert licence_from_url(data["metadata"]["licenseurl"]) == "CC-BY-4.0"
    assert await (await library.http.get("/metadata/sea/metadata/licenseurl")).json() == {"result": BY}
    assert await (await library.http.get("/metadata/nobody")).json() == {}


async def test_downloads_redirect_to_a_node_and_support_ranges(library: Library) -> None:
    """Breaks downloads and their resumption."""
    await library.item("sea", title="Sea", name="deep sea.mp4")
    whole = library.clip.read_bytes()
    first = await library.http.get("/download/sea/deep%20sea.mp4", allow_redirects=False)
    assert first.status == 302
    assert "/items/sea/deep%20sea.mp4" in first.headers["Location"]
    answer = await library.http.get(first.headers["Location"])
    assert (answer.status, answer.content_type, await answer.read()) == (200, "video/mp4", whole)
    part = await library.http.get("/download/sea/deep%20sea.mp4", headers={"Range": "bytes=100-199"})
    assert (part.status, part.headers["Content-Range"]) == (206, f"bytes 100-199/{len(whole)}")
    assert await part.read() == whole[100:200]
    notes = next(file["name"] for file in await files(library) if file["source"] == "metadata")
    assert "<title>Sea</title>" in await (await library.http.get(f"/download/sea/{notes}")).text()
    assert (await library.http.get("/download/sea/other.mp4")).status == 404
    assert (await library.http.get("/download/nobody/x.mp4")).status == 404


async def files(library: Library) -> Any:
    return (await (await library.http.get("/metadata/sea/files")).json())["result"]


async def test_bytes_may_be_uploaded_with_the_listing(library: Library) -> None:
    """Leaves no way to list a file of another machine's test."""
    form = FormData({"identifier": "sent", "title": "Sent", "licenseurl": BY, "downloads": "3"})
    form.add_field("file", library.clip.read_bytes(), filename="../sent.mp4")
    assert (await library.http.post("/sandbox/archive/items", data=form)).status == 201
    answer = await library.http.get("/download/sent/sent.mp4")
    assert await answer.read() == library.clip.read_bytes()


async def test_subtitles_are_a_file_of_the_item(library: Library) -> None:
    """Leaves the words of a source unread where its uploader gave them."""
    words = library.clip.with_suffix(".srt")
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nSea\n")
    await library.item("sea", subtitles=str(words), publicdate="2026-01-02T03:04:05+00:00")
    listed = {file["format"]: file["name"] for file in await files(library)}
    assert listed == {"MPEG4": "clip.mp4", "Metadata": "sea_meta.xml", "SubRip": "clip.srt"}
    assert "Sea" in await (await library.http.get("/download/sea/clip.srt")).text()
    (document,) = (await library.search("sea OR identifier:sea"))["response"]["docs"]
    assert document["publicdate"] == "2026-01-02T03:04:05Z"
    assert "subtitles" not in document


async def test_downloads_grow_with_the_sandbox_clock(library: Library) -> None:
    """Leaves velocity at zero for every candidate of the demo."""
    await library.http.patch("/sandbox/settings", json={"time_scale": 1.0})
    await library.item("sea", title="Sea", downloads=10, downloads_per_day=24)
    await library.http.post("/sandbox/clock", json={"advance_s": 86_400 + 10})
    assert (await library.search("sea"))["response"]["docs"][0]["downloads"] == 34


@pytest.mark.parametrize("kind", ["drop_mid_body", "truncate"])
async def test_broken_downloads(library: Library, kind: str) -> None:
    """Lets half a file pass for a whole one if faults do not reach downloads."""
    await library.item("sea", title="Sea")
    whole = library.clip.read_bytes()
    fault = {"where": "archive.download", "kind": kind, "after_bytes": 1000}
    assert (await library.http.post("/sandbox/faults", json=fault)).status == 201
    answer = await library.http.get("/download/sea/clip.mp4")
    assert answer.status == 200
    if kind == "truncate":
        assert await answer.read() == whole[:1000]
    else:
        assert answer.headers["Content-Length"] == str(len(whole))
        with pytest.raises(ClientError):
            await answer.read()
    rest = await library.http.get("/download/sea/clip.mp4", headers={"Range": "bytes=1000-"})
    assert (rest.status, await rest.read()) == (206, whole[1000:])


async def test_a_truncated_answer_is_no_json(library: Library) -> None:
    """Leaves the reading of cut-off answers untested."""
    await library.http.post("/sandbox/faults", json={"where": "archive.search", "kind": "truncate"})
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        await library.search("sea")


async def test_a_busy_archive_says_when_to_come_back(library: Library) -> None:
    """Hammers a busy site if 429 and 503 do not carry Retry-After."""
    for status in (429, 503):
        fault = {"where": "archive.*", "kind": "status", "status": status, "retry_after_s": 30}
        await library.http.post("/sandbox/faults", json=fault)
        answer = await library.http.get("/advancedsearch.php?q=sea&output=json")
        assert (answer.status, answer.headers["Retry-After"]) == (status, "30")


async def test_commons_searches_and_states_licences(library: Library) -> None:
    """Breaks scans of Commons, and the rights records made from them."""
    licence = {"LicenseShortName": "CC BY-SA 4.0", "License": "cc-by-sa-4.0", "Artist": '<a href="/x">A</a>'}
    await library.file("Deep_sea.mp4", **licence, ImageDescription="Fish", categories=["Ocean"])
    await library.file("Mountain.mp4", LicenseShortName="CC0")
    answer = await library.commons(
        **FOUND, gsrsearch="filetype:video sea", iiextmetadatafilter="LicenseShortName|Artist"
    )
    assert answer["batchcomplete"] is True
    (page,) = answer["query"]["pages"]
    info = page["imageinfo"][0]
    assert (page["title"], page["ns"], page["index"]) == ("File:Deep sea.mp4", 6, 1)
    assert (info["mime"], info["mediatype"], info["width"]) == ("video/mp4", "VIDEO", 320)
    assert info["duration"] == pytest.approx(2.0, abs=0.1)
    assert set(info["extmetadata"]) == {"LicenseShortName", "Artist"}
    shown = info["extmetadata"]["LicenseShortName"]
    assert shown == {"value": "CC BY-SA 4.0", "source": "commons-desc-page", "hidden": ""}
    media = await library.http.get(info["url"], headers=AGENT)
    assert await media.read() == library.clip.read_bytes()
    ranged = await library.http.get(info["url"], headers={**AGENT, "Range": "bytes=0-9"})
    assert (ranged.status, await ranged.read()) == (206, library.clip.read_bytes()[:10])
    for query, count in (("intitle:sea -filetype:audio", 1), ("incategory:Ocean", 1), ("-sea", 1), ("whale", 0)):
        answer = await library.commons(**FOUND, gsrsearch=query)
        assert len(answer.get("query", {}).get("pages", [])) == count, query


async def test_commons_continues_until_the_end(library: Library) -> None:
    """Breaks paging if the keys of `continue` do not lead on."""
    for at in range(5):
        await library.file(f"Sea {at}.mp4")
    asked: dict[str, Any] = {**FOUND, "gsrsearch": "sea", "gsrlimit": "2"}
    titles: list[str] = []
    more: dict[str, Any] = {}
    while True:
        answer = await library.commons(**{**asked, **more})
        titles += [page["title"] for page in answer["query"]["pages"]]
        if "continue" not in answer:
            break
        more = {name: str(value) for name, value in answer["continue"].items()}
    assert titles == [f"File:Sea {at}.mp4" for at in range(5)]


async def test_commons_spreads_several_props_over_rounds(library: Library) -> None:
    """Drops pages whose imageinfo comes a round later."""
    for at in range(12):
        await library.file(f"Sea {at:02}.mp4")
    asked = {**FOUND, "gsrsearch": "sea", "gsrlimit": "50", "prop": "imageinfo|globalusage"}
    first = await library.commons(**asked)
    assert "batchcomplete" not in first
    assert sum("imageinfo" in page for page in first["query"]["pages"]) == 10
    rest = await library.commons(**{**asked, **first["continue"]})
    assert rest["batchcomplete"] is True
    assert [page["index"] for page in rest["query"]["pages"] if "imageinfo" in page] == [11, 12]


async def test_commons_wants_to_know_who_asks(library: Library) -> None:
    """Gets a client blocked in production if it sends a library's User-Agent."""
    for agent in ("", "Python/3.11 aiohttp/3.14", "python-requests/2.32"):
        answer = await library.http.get("/w/api.php", params=COMMONS, headers={"User-Agent": agent})
        assert answer.status == 403


async def test_commons_errors_come_with_status_200(library: Library) -> None:
    """Takes an error for an empty result."""
    answer = await library.commons(action="quarry", format="json")
    assert answer["error"]["code"] == "badvalue"
    await library.http.post("/sandbox/faults", json={"where": "commons.search", "kind": "status", "reason": "maxlag"})
    lagged = await library.http.get("/w/api.php", params=COMMONS, headers=AGENT)
    assert (lagged.status, lagged.headers["Retry-After"]) == (200, "5")
    assert (await lagged.json())["error"]["code"] == "maxlag"


async def test_old_format_has_pages_by_id(library: Library) -> None:
    """Breaks clients that do not ask for formatversion 2."""
    await library.file("Sea.mp4")
    answer = await library.commons(**{**FOUND, "formatversion": "1", "gsrsearch": "sea"})
    ((key, page),) = answer["query"]["pages"].items()
    assert (key, answer["batchcomplete"]) == (str(page["pageid"]), "")


async def test_samples_have_licences_to_choose_from_and_to_refuse(library: Library) -> None:
    """Leaves a ranker nothing to refuse in the demo."""
    answer = await library.http.post("/sandbox/samples")
    assert answer.status == 201
    documents = (await library.search("mediatype:movies AND sea"))["response"]["docs"]
    licences = {licence_from_url(document.get("licenseurl", "")) for document in documents}
    assert licences == {"CC-BY-4.0", "CC0-1.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "unknown"}
    assert len((await library.commons(**FOUND, gsrsearch="filetype:video ocean"))["query"]["pages"]) == 2
