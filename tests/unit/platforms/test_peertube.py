"""PeerTube: answers written by hand after its documents, and the adapter against the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms._peertube_details import parse_file
from actors.platforms.peertube import MOST_DETAILS, PeerTube, parse_videos
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Candidate
from contracts.rights import LICENCES
from tests.unit.platforms.drift import assert_withstands, drifted
from tests.unit.platforms.imitated import HandClock, Told, imitated, told

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME = "https://tube.example.org"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"


def video(number: int = 0, home: str = HOME, **changes: Any) -> dict[str, Any]:
    uuid = f"{number:08x}{UUID[8:]}" if number else UUID
    stated = {
        "id": 42,
        "uuid": uuid,
        "shortUUID": "abc",
        "url": f"{home}/w/{uuid}",
        "name": "Reef at night",
        "truncatedDescription": "Corals",
        "duration": 62,
        "isLive": False,
        "nsfw": False,
        "licence": {"id": 1, "label": "Attribution"},
        "language": {"id": "en", "label": "English"},
        "privacy": {"id": 1, "label": "Public"},
        "publishedAt": "2026-11-13T12:00:00.000Z",
        "originallyPublishedAt": None,
        "views": 100,
        "likes": 7,
        "dislikes": 1,
        "comments": 2,
        "thumbnailPath": "/lazy-static/thumbnails/a.jpg",
        "previewPath": "/lazy-static/previews/a.jpg",
        "account": {"name": "ada", "displayName": "Ada", "host": "tube.example.org"},
    }
    return stated | changes


def page(*videos: Any) -> dict[str, Any]:
    return {"total": len(videos), "data": list(videos)}


def file(lines: int, **changes: Any) -> dict[str, Any]:
    stated = {
        "resolution": {"id": lines, "label": f"{lines}p"},
        "size": lines * 10,
        "fps": 25,
        "fileUrl": f"{HOME}/static/{lines}.mp4",
        "fileDownloadUrl": f"{HOME}/download/{lines}.mp4",
    }
    return stated | changes


def details(*files: Any, **changes: Any) -> dict[str, Any]:
    return video() | {"downloadEnabled": True, "files": list(files), "streamingPlaylists": []} | changes


def candidates(answer: Any) -> tuple[Candidate, ...]:
    found, _ = parse_videos(answer, server=HOME, what="the search", at=AT)
    return tuple(one.candidate for one in found)


def test_video_becomes_a_candidate() -> None:
    """The ranker, the editor and the credit work from these fields."""
    (found,) = candidates(page(video()))
    assert (found.item_id, found.url) == (f"peertube:{UUID}", f"{HOME}/w/{UUID}")
    assert (found.creator, found.creator_id) == ("Ada", "ada@tube.example.org")
    assert found.thumbnail_url == f"{HOME}/lazy-static/previews/a.jpg"
    assert (found.metrics.views, found.metrics.likes, found.metrics.comments) == (100, 7, 2)
    assert set(found.metrics.absent) == {"shares"}
    assert found.published_at == datetime(2026, 11, 13, 12, tzinfo=UTC)


def test_own_server_names_no_address_and_gets_one() -> None:
    """Only the index tells addresses; a video of one's own server has a page all the same."""
    assert candidates(page(video(url=None)))[0].url == f"{HOME}/w/{UUID}"
    assert candidates(page(video(url=f"https://old.example.org/videos/watch/{UUID}")))[0].url.startswith("https://old.")


@pytest.mark.parametrize(
    ("number", "label", "licence", "says"),
    [
        (1, "Attribution", "CC-BY-4.0", "without a version"),
        (2, "Attribution - Share Alike", "CC-BY-SA-4.0", "without a version"),
        (3, "Attribution - No Derivatives", "CC-BY-ND-4.0", "without a version"),
        (4, "Attribution - Non Commercial", "CC-BY-NC-4.0", "without a version"),
        (5, "Attribution - Non Commercial - Share Alike", "CC-BY-NC-SA-4.0", "without a version"),
        (6, "Attribution - Non Commercial - No Derivatives", "CC-BY-NC-ND-4.0", "without a version"),
        (7, "Public Domain Dedication", "CC0-1.0", ""),
        (2, "CC BY-SA 3.0", "CC-BY-SA-3.0", ""),
        (2, "CC BY 4.0", "unknown", "contradict"),
        (1, "Attribution - Non Commercial", "unknown", "label of its own"),
        (1, "Ask me first", "unknown", "label of its own"),
        (1, "", "unknown", "label of its own"),
        (9, "All rights reserved", "unknown", "none that"),
        (42, "Best licence", "unknown", "none that"),
        (None, "Unknown", "unknown", "states no licence"),
    ],
)
def test_licence_needs_number_and_label(number: int | None, label: str, licence: str, says: str) -> None:
    """Servers add and rename licences: a number alone may mean something else there."""
    (found,) = candidates(page(video(licence={"id": number, "label": label})))
    assert found.rights.licence == licence
    assert licence in LICENCES
    assert says in found.rights.note
    assert found.rights.proof == (f"licence: {number} {label}".rstrip() if number is not None else "")


@pytest.mark.parametrize(
    "changes",
    [
        {"isLive": True},
        {"nsfw": True},
        {"privacy": {"id": 4, "label": "Internal"}},
        {"uuid": "../../admin"},
        {"url": "https://tube.example.org/evil?x=/w/a"},
    ],
)
def test_what_cannot_be_shown_is_left_out(changes: dict[str, Any]) -> None:
    """A live stream has no file, and what is internal or sensitive is not for everybody."""
    assert candidates(page(video(**changes))) == ()


def test_file_is_the_tallest_up_to_full_hd() -> None:
    """The wrong file is a thumbnail-sized or a ten-gigabyte download."""
    chosen = parse_file(details(file(480), file(2160), file(1080)))
    assert chosen is not None
    assert (chosen.url, chosen.size_bytes) == (f"{HOME}/download/1080.mp4", 10_800)


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (details(file(480), downloadEnabled=False), None),
        (details(file(480), downloadEnabled=None), None),
        (details(), None),
        (details(streamingPlaylists=[{"files": [file(480)]}]), "480"),
        (details(file(720, hasAudio=False), file(480, hasAudio=True)), "480"),
        (details(file(0)), None),
        (details(file(720, fileDownloadUrl=None)), None),
        ({}, None),
        ([], None),
    ],
)
def test_file_is_whole_and_offered(answer: Any, lines: str | None) -> None:
    """A file that its owner keeps must not be fetched; one without sound or picture is no video."""
    chosen = parse_file(answer)
    assert (chosen.url if chosen else None) == (f"{HOME}/download/{lines}.mp4" if lines else None)


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(page(video()), candidates)
    for words, variant in drifted(details(file(480), streamingPlaylists=[{"files": [file(480)]}])):
        chosen = parse_file(variant)
        assert chosen is None or chosen.url.startswith("https://"), words


async def test_few_details_are_asked_for(tmp_path: Path) -> None:
    """A request for each of a hundred results is hammering; a work without a licence needs no file."""
    async with told(PeerTube, tmp_path, {}, options={}) as (platform, adapter, _):
        home = adapter._searched[0].base_url
        unlicensed = [video(number, home, licence=None) for number in range(100, 103)]
        platform.answers = [page(*unlicensed, *(video(number, home) for number in range(1, 20))), details(file(480))]
        found = await adapter.discover("sea", limit=50)
        assert len(found) == 22
        assert len([one for one in found if one.media_url]) == MOST_DETAILS == len(platform.asked) - 1
        assert all(one.media_url is None for one in found if one.rights.licence == "unknown")


async def test_server_that_is_not_public_is_never_asked(tmp_path: Path) -> None:
    """A video's address is told by strangers: it must not make this machine ask its own network."""
    inner = Told(details(file(480)))
    app = web.Application()
    app.router.add_get("/{tail:.*}", inner.answer)
    async with TestServer(app) as private, told(PeerTube, tmp_path, {}, options={}) as (platform, adapter, _):
        inside = str(private.make_url("")).rstrip("/")
        secure = inside.replace("http://", "https://")
        platform.answers = [page(video(1, inside), video(2, secure), video(3, "https://10.0.0.1"))]
        found = await adapter.discover("sea", limit=5)
        assert [one.media_url for one in found] == [None, None, None]
        assert inner.asked == []


@asynccontextmanager
async def servers(folder: Path, *platforms: Told) -> AsyncIterator[tuple[Any, HandClock]]:
    """Make the adapter with servers of one's own choice."""
    async with AsyncExitStack() as stack:
        urls = []
        for platform in platforms:
            app = web.Application()
            app.router.add_get("/{tail:.*}", platform.answer)
            urls.append(str((await stack.enter_async_context(TestServer(app))).make_url("")))
        options = {"peertube_servers": ", ".join(urls)}
        _, adapter, clock = await stack.enter_async_context(told(PeerTube, folder, {}, options=options))
        yield adapter, clock


async def test_one_broken_server_does_not_lose_the_others(tmp_path: Path) -> None:
    """A server that is away would end every scan of its operator."""
    broken, good = Told({"strange": 1}), Told(page(video(licence=None)))
    async with servers(tmp_path, broken, good) as (adapter, clock):
        assert len(await adapter.discover("sea", limit=5)) == 1
        assert (len(broken.asked), len(good.asked)) == (1, 1)
        good.answers = [{"strange": 1}]
        clock.turn(hours=1)
        with pytest.raises(Retry, match="not known here"):
            await adapter.discover("sea", limit=5)


async def test_server_that_asks_for_peace_is_left_alone_by_itself(tmp_path: Path) -> None:
    """One busy server of several would silence all of them."""
    busy, calm = Told({}), Told(page(video(licence=None)))
    busy.status = 429
    async with servers(tmp_path, busy, calm) as (adapter, clock):
        assert len(await adapter.discover("sea", limit=5)) == 1
        clock.turn(seconds=30)
        assert len(await adapter.discover("reef", limit=5)) == 1
        assert (len(busy.asked), len(calm.asked)) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"licence": {"id": 4, "label": "Attribution - Non Commercial"}}, "states another licence than the index"),
        ({"licence": {"id": None, "label": "Unknown"}}, "states no licence"),
        ({"licence": None}, "states no licence"),
        ({"licence": ["1"]}, "states no licence"),
        ({"privacy": {"id": 3, "label": "Private"}}, "does not call the video public"),
        ({"privacy": None}, "does not call the video public"),
    ],
)
async def test_server_must_bear_out_the_index(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    """The index repeats what was true once: an owner who took the licence back must not be overheard."""
    async with told(PeerTube, tmp_path, {}, options={}) as (platform, adapter, _):
        platform.answers = [page(video(1, adapter._searched[0].base_url)), details(file(480), **changes)]
        (found,) = await adapter.discover("sea", limit=5)
        assert (found.media_url, found.rights.licence) == (None, "unknown")
        assert says in found.rights.note


async def test_video_that_its_server_no_longer_shows_loses_its_licence(tmp_path: Path) -> None:
    """A video that was withdrawn is nobody's to use; a server that is away for a moment withdraws nothing."""
    async with imitated("peertube", tmp_path) as there:
        for status, licences in ((404, {"unknown"}), (503, {"unknown", "CC-BY-4.0"})):
            await there.clear()
            await there.set("details", kind="status", status=status)
            found = await there.adapter.discover("deep sea", limit=10)
            assert {one.media_url for one in found} == {None}
            assert licences <= {one.rights.licence for one in found}
            assert ({one.rights.licence for one in found} == {"unknown"}) == (status == 404)


async def test_wrong_server_setting_is_named(tmp_path: Path) -> None:
    """A typing error in a setting must not look like a platform without videos."""
    async with told(PeerTube, tmp_path, {}, options={"peertube_servers": "tube.example.org"}) as (platform, adapter, _):
        with pytest.raises(Reject, match="PEERTUBE_SERVERS names 1 that"):
            await adapter.discover("sea", limit=5)
        assert platform.asked == []


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The whole way: the index, then the servers; a server's refusal keeps the candidate without its file."""
    async with imitated("peertube", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=10)
        by_licence = {one.rights.licence: one for one in found}
        assert set(by_licence) >= {"unknown", "CC-BY-4.0", "CC0-1.0", "CC-BY-NC-4.0"}
        assert by_licence["CC-BY-4.0"].media_url is not None
        assert by_licence["CC-BY-NC-4.0"].media_url is None, "its owner allows no download"
        assert "lines=1080" in (by_licence["CC0-1.0"].media_url or "")
        await there.set("details", kind="status", status=503)
        again = await there.adapter.discover("volcano", limit=10)
        assert len(again) == 6
        assert {one.media_url for one in again} == {None}
        await there.set("search", kind="status", status=429, retry_after_s=5)
        with pytest.raises(RateLimited):
            await there.adapter.discover("chess", limit=10)
