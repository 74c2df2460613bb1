"""YouTube's discovery: what its answers become, and against the sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from actors.platforms import youtube
from actors.platforms._youtube.search import parse_candidates, parse_duration
from actors.runtime.clock import Clock
from contracts.errors import EttamettaError, RateLimited, Reject, Retry
from deploy.sandbox import SandboxSettings, running
from tests.unit.platforms.adapters import adapter_at
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
"""The next midnight in Los Angeles after AT."""
KEY = {"youtube_api_key": "sandbox-reader"}


class Still(Clock):
    """A clock that stands at AT until it is turned."""

    at = AT

    def now(self) -> datetime:
        return self.at


class Place:
    """A YouTube in the sandbox, the adapter that reads it, and both their clock."""

    def __init__(self, url: str, adapter: youtube.YouTube, clock: Still, session: aiohttp.ClientSession) -> None:
        self.adapter = adapter
        self.clock = clock
        self._url = url
        self._session = session

    async def fault(self, where: str = "youtube.search", **fault: Any) -> None:
        body = {"where": where, "times": None, **fault}
        async with self._session.post(f"{self._url}/sandbox/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def clear(self) -> None:
        async with self._session.delete(f"{self._url}/sandbox/faults") as answer:
            assert answer.status < 300

    async def calls(self) -> dict[str, int]:
        async with self._session.get(f"{self._url}/sandbox/state") as answer:
            told: dict[str, int] = (await answer.json())["calls"]
            return told

    async def fails(self, query: str = "deep sea") -> EttamettaError:
        with pytest.raises(EttamettaError) as caught:
            await self.adapter.discover(query, limit=5)
        return caught.value


@asynccontextmanager
async def reading(
    folder: Path, *, options: dict[str, str] | None = None, sandbox: SandboxSettings | None = None
) -> AsyncIterator[Place]:
    clock = Still()
    known = sandbox or SandboxSettings()
    async with (
        running(folder / "sandbox", settings=known, clock=lambda: clock.now().timestamp()) as address,
        aiohttp.ClientSession() as session,
        adapter_at(
            youtube.YouTube, str(address), folder, options=KEY if options is None else options, clock=clock
        ) as adapter,
    ):
        yield Place(str(address).rstrip("/"), adapter, clock, session)


def video(**changes: Any) -> dict[str, Any]:
    """Return a video of videos.list as the reference has it."""
    return {
        "kind": "youtube#video",
        "id": "abcdefghijk",
        "snippet": {
            "publishedAt": "2026-11-20T10:00:00Z",
            "channelId": "UC1",
            "title": "A & B",
            "description": "one\ntwo",
            "channelTitle": "Somebody",
            "tags": ["sea", "deep sea"],
            "thumbnails": {
                "default": {"url": "https://i/1", "width": 120},
                "high": {"url": "https://i/3", "width": 480},
            },
            "defaultAudioLanguage": "en-GB",
            "liveBroadcastContent": "none",
        },
        "statistics": {"viewCount": "1200", "likeCount": "30"},
        "contentDetails": {"duration": "PT2M59S"},
        "status": {"license": "creativeCommon"},
        "player": {"embedHtml": "<iframe>", "embedWidth": "405", "embedHeight": "720"},
        **changes,
    }


def parse(*videos: Any) -> Any:
    return parse_candidates({"items": list(videos)}, watch_url=youtube.WATCH_URL, at=AT)


def test_a_video_is_read_whole() -> None:
    """If this fails, candidates lose what ranking, joining and rights depend on."""
    ((found, form),) = parse(video())
    assert form == "shorts"
    assert found.url == "https://www.youtube.com/shorts/abcdefghijk"
    assert (found.item_id, found.platform) == ("youtube:abcdefghijk", "youtube")
    assert (found.title, found.description, found.tags) == ("A & B", "one\ntwo", ("sea", "deep sea"))
    assert (found.creator, found.creator_id, found.language) == ("Somebody", "UC1", "en-GB")
    assert found.published_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.duration_us == 179_000_000
    assert found.thumbnail_url == "https://i/3"
    assert (found.metrics.views, found.metrics.likes, found.metrics.comments) == (1200, 30, None)
    assert set(found.metrics.absent) == {"comments", "shares"}
    assert (found.rights.licence, found.rights.proof) == ("CC-BY-3.0", "status.license: creativeCommon")
    assert (found.media_url, found.width_px) == (None, None)


@pytest.mark.parametrize(
    ("change", "form"),
    [
        ({}, "shorts"),
        ({"contentDetails": {"duration": "PT3M"}}, "shorts"),
        ({"contentDetails": {"duration": "PT3M1S"}}, "long"),
        ({"player": {"embedWidth": "720", "embedHeight": "720"}}, "shorts"),
        ({"player": {"embedWidth": "720", "embedHeight": "405"}}, "long"),
        ({"player": {"embedHtml": '<iframe width="480" height="270">'}}, None),
        ({"player": {}, "contentDetails": {"duration": "PT1H"}}, "long"),
        ({"contentDetails": {"duration": "P0D"}}, "long"),
    ],
)
def test_duration_and_form_decide_what_is_a_short(change: dict[str, Any], form: str | None) -> None:
    """If this fails, a wide clip passes for a Short, or a form that nobody told is made up."""
    ((_, found),) = parse(video(**change))
    assert found == form


@pytest.mark.parametrize("told", ["youtube", ""])
def test_without_the_mark_the_licence_is_unknown(told: str) -> None:
    """If this fails, a work of somebody else is taken for free."""
    ((found, _),) = parse(video(status={"license": told} if told else {}))
    assert found.rights.licence == "unknown"
    assert "ettametta import" in found.rights.note


@pytest.mark.parametrize(
    ("told", "us"),
    [
        ("PT4M13S", 253_000_000),
        ("PT1H2M3S", 3_723_000_000),
        ("P1DT2H", 93_600_000_000),
        ("P1W", 604_800_000_000),
        ("P0D", None),
        ("", None),
        ("4:13", None),
    ],
)
def test_durations_are_read(told: str, us: int | None) -> None:
    """If this fails, long videos pass for Shorts."""
    assert parse_duration(told) == us


def test_drift_leaves_out_what_cannot_be_read() -> None:
    """If this fails, one field that changed its type stops every scan, or ends it as a bug."""
    good = video()
    bad = [{}, {"id": 7}, "text", video(snippet={}), video(snippet={"title": None}), video(statistics=[])]
    assert len(parse(good, *bad)) == 1
    ((found, form),) = parse(video(statistics={"viewCount": "many"}, player={"embedWidth": None}))
    assert (found.metrics.views, form) == (None, None)
    answers: tuple[Any, ...] = ({}, {"items": None}, {"items": bad}, [], None)
    for answer in answers:
        with pytest.raises(Retry):
            parse_candidates(answer, watch_url="", at=AT)


def test_recorded_videos_are_read() -> None:
    """If this fails, what the real platform answers is not understood."""
    answer = recorded("youtube/videos_list_mostPopular_p1.json")
    found = parse_candidates(answer, watch_url=youtube.WATCH_URL, at=AT)
    assert len(found) == 5
    first, form = found[0]
    assert first.title == "GIDDY UP ( OFFICIAL MUSIC VIDEO )"
    assert first.published_at == datetime(2019, 11, 29, 20, 0, 11, tzinfo=UTC)
    assert first.thumbnail_url == "https://i.ytimg.com/vi/hDeuSfo_Ys0/maxresdefault.jpg"
    assert (first.metrics.views, form) == (None, "long")  # the recording has neither statistics nor a duration
    assert recorded("youtube/search_list_keywords_p1.json")["items"][0]["id"]["videoId"] == "gQ_1zX-F_No"


async def test_one_search_and_one_unit_find_both_kinds(tmp_path: Path) -> None:
    """If this fails, a scan costs more of the hundred searches than it says."""
    async with reading(tmp_path) as place:
        found = await place.adapter.discover("deep sea", limit=25)
        assert len(found) == 6
        assert {one.media_url for one in found} == {None}
        assert {one.rights.licence for one in found} == {"CC-BY-3.0", "unknown"}
        assert any(one.metrics.likes is not None for one in found)
        assert all(one.metrics.views is not None for one in found)
        assert await place.calls() == {"youtube.search": 1, "youtube.videos": 1}
        kinds = {"shorts": 0, "watch": 0}
        for one in found:
            kinds["shorts" if "/shorts/" in one.url else "watch"] += 1
        shorts = await place.adapter.source("shorts").discover("deep sea", limit=25)
        long = await place.adapter.source("long").discover("deep sea", limit=25)
        assert (len(shorts), len(long)) == (kinds["shorts"], kinds["watch"]) == (3, 3)
        assert {one.item_id for one in (*shorts, *long)} == {one.item_id for one in found}


async def test_an_hour_old_search_is_not_paid_again_but_counts_are_new(tmp_path: Path) -> None:
    """If this fails, asking twice spends twice, or views stand still."""
    async with reading(tmp_path) as place:
        first = await place.adapter.discover("deep sea", limit=1)
        again = await place.adapter.discover("deep sea", limit=1)
        assert first[0].item_id == again[0].item_id
        assert await place.calls() == {"youtube.search": 1, "youtube.videos": 2}


async def test_pages_are_followed_and_each_is_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a scan for many sees the first page only, or pays for pages that it does not want."""
    from actors.platforms._youtube import search

    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    async with reading(tmp_path) as place:
        assert len(await place.adapter.discover("deep sea", limit=5)) == 5
        assert (await place.calls())["youtube.search"] == 3
    async with reading(tmp_path / "spent", options={**KEY, "youtube_searches_per_day": "1"}) as place:
        assert len(await place.adapter.discover("deep sea", limit=5)) == 2, "what was found is kept"


async def test_nothing_found_is_no_fault(tmp_path: Path) -> None:
    """If this fails, an unknown niche counts as a broken platform."""
    async with reading(tmp_path) as place:
        assert await place.adapter.discover("zzqx nowhere", limit=5) == ()
        assert "youtube.videos" not in await place.calls()


async def test_the_quota_of_the_day_is_never_exceeded(tmp_path: Path) -> None:
    """If this fails, calls are sent that the platform refuses, and the day's count is wrong."""
    async with reading(tmp_path, options={**KEY, "youtube_searches_per_day": "2"}) as place:
        await place.adapter.discover("deep sea", limit=5)
        await place.adapter.discover("volcano", limit=5)
        error = await place.fails("chess")
        assert isinstance(error, RateLimited)
        assert error.until == MIDNIGHT
        assert (await place.calls())["youtube.search"] == 2
        place.clock.at = MIDNIGHT
        assert await place.adapter.discover("chess", limit=5)


async def test_a_quota_spent_elsewhere_is_believed(tmp_path: Path) -> None:
    """If this fails, another program of the same project makes this one ask all day for nothing."""
    async with reading(tmp_path, sandbox=SandboxSettings(quota_searches=1)) as place:
        await place.adapter.discover("deep sea", limit=5)
        error = await place.fails("volcano")
        assert isinstance(error, RateLimited)
        assert error.until == MIDNIGHT
        assert isinstance(await place.fails("chess"), RateLimited)
        assert (await place.calls())["youtube.search"] == 2


async def test_a_key_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    """If this fails, a newcomer is not told what to set."""
    async with reading(tmp_path, options={}) as place:
        assert "YOUTUBE_API_KEY is not set" in str(await place.fails())
        assert await place.calls() == {}
    async with reading(tmp_path / "wrong", options={"youtube_api_key": "sandbox-stranger"}) as place:
        error = await place.fails()
        assert isinstance(error, Reject)
        assert "Check YOUTUBE_API_KEY" in str(error)
        assert "stranger" not in str(error)


@pytest.mark.parametrize("where", ["youtube.search", "youtube.videos"])
@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ({"kind": "status", "status": 401}, Reject),
        ({"kind": "status", "status": 403}, Reject),
        ({"kind": "status", "status": 403, "reason": "quotaExceeded"}, RateLimited),
        ({"kind": "status", "status": 429}, RateLimited),
        ({"kind": "status", "status": 429, "retry_after_s": 90}, RateLimited),
        ({"kind": "status", "status": 500}, Retry),
        ({"kind": "truncate", "after_bytes": 40}, Retry),
        ({"kind": "drop_mid_body", "after_bytes": 20}, Retry),
    ],
    ids=["401", "403", "quota", "429", "429-after", "500", "malformed", "cut-off"],
)
async def test_a_fault_is_named_and_nothing_is_hammered(
    where: str, fault: dict[str, Any], wanted: type[Exception], tmp_path: Path
) -> None:
    """If this fails, work is lost or repeated for ever, or the project is banned."""
    async with reading(tmp_path) as place:
        await place.fault(where, **fault)
        error = await place.fails()
        assert isinstance(error, wanted), f"{type(error).__name__}: {error}"
        calls = (await place.calls()).get(where, 0)
        assert calls == 1
        if isinstance(error, RateLimited):
            assert error.until > AT
            assert isinstance(await place.fails("volcano"), RateLimited)
            assert (await place.calls())[where] == calls, "it asked again although it was told to wait"
        else:
            await place.clear()
            assert await place.adapter.discover("deep sea", limit=5), "a fault that is over still shows"
