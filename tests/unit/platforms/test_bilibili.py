"""Bilibili: off unless turned on, a recorded answer, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors import platforms
from actors.platforms.bilibili import CAPS, WARNED, Bilibili, parse_popular, parse_video
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Candidate
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ON = {"bilibili_enabled": "true"}


def video(**more: Any) -> dict[str, Any]:
    stated = {
        "aid": 1,
        "bvid": "BV11q4y1J7UA",
        "tname": "自然",
        "copyright": 1,
        "pic": "http://i2.hdslb.com/a.jpg",
        "title": "深海 squid",
        "desc": "A squid at 3,000 m",
        "pubdate": 1763805600,
        "duration": 193,
        "owner": {"mid": 7, "name": "Ada"},
        "stat": {"view": 1634, "reply": 14, "share": 13, "like": 56},
        "dimension": {"width": 1920, "height": 1080, "rotate": 0},
    }
    return stated | more


def answer(*videos: Any, no_more: bool = True) -> dict[str, Any]:
    return {"code": 0, "message": "0", "ttl": 1, "data": {"list": [*videos], "no_more": no_more}}


def read(reply: Any) -> tuple[Candidate, ...]:
    videos, _, at = parse_popular(reply, AT)
    return tuple(found for one in videos if (found := parse_video(one, at=at)))


def test_recorded_video_is_read() -> None:
    """Counts, length and size of a real video."""
    (found,) = read(answer(recorded("bilibili/view_data.json")))
    assert (found.item_id, found.url) == ("bilibili:BV11q4y1J7UA", "https://www.bilibili.com/video/BV11q4y1J7UA")
    metrics = found.metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (1634, 56, 14, 13)
    assert metrics.absent == {}
    assert (found.duration_us, found.width_px, found.height_px) == (193_000_000, 1920, 1080)
    assert (found.creator_id, found.tags, found.media_url) == ("393341686", ("极客DIY",), None)
    assert "original" in found.rights.note
    assert not may("download", found.rights, at=AT).allowed


def test_turned_picture_is_tall() -> None:
    """Such a video is shown upright, whatever its stored size is."""
    (found,) = read(answer(video(dimension={"width": 1920, "height": 1080, "rotate": 1})))
    assert (found.width_px, found.height_px) == (1080, 1920)


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    assert_withstands(answer(video()), read)
    strange: Any
    for strange in (None, [], "x", {}, {"data": None}, {"data": {"list": {}}}, answer({"bvid": 7})):
        with pytest.raises(Retry):
            read(strange)


def test_it_is_off_and_says_why() -> None:
    """The person who turns it on must have read what it may cost."""
    (need,) = platforms.needs_of("bilibili")
    assert not need.optional, "without its setting it counts as lacking"
    assert CAPS.by_name_only
    assert not CAPS.keyless
    assert "infringement" in CAPS.cannot
    assert "legal review" in need.means


@pytest.mark.parametrize("setting", [None, "false", "1", "yes please"])
async def test_nothing_is_asked_unless_it_is_turned_on(setting: str | None, tmp_path: Path) -> None:
    """A request that nobody allowed is the infringement."""
    async with imitated("bilibili", tmp_path, bilibili_enabled=setting) as there:
        with pytest.raises(Reject, match=r"BILIBILI_ENABLED is not (set|true)\. .*legal review"):
            await there.adapter.discover("deep sea", limit=5)
        assert await there.calls("search") == 0


def test_turned_off_it_lacks_what_turns_it_on() -> None:
    """BILIBILI_ENABLED=false would count as set, and doctor would call it on."""
    for value, names in (("false", ["bilibili_enabled"]), ("", ["bilibili_enabled"]), (" True", [])):
        settings = Settings(options={"bilibili_enabled": value})
        assert [need.setting for need in platforms.lacking("bilibili", settings)] == names


async def test_popular_list_serves_all_niches(tmp_path: Path) -> None:
    """There is no search: the same few pages do for every niche, for half an hour."""
    async with imitated("bilibili", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=10)
        assert len(found) == 6
        assert all("deep sea" in candidate.tags for candidate in found)
        assert len(await there.adapter.discover("volcano", limit=10)) == 6
        assert await there.adapter.discover("knitting", limit=10) == ()
        assert await there.calls("search") == 2, "two pages for three niches"
        there.clock.turn(minutes=31)
        await there.adapter.discover("volcano", limit=10)
        assert await there.calls("search") == 4


@pytest.mark.parametrize(("code", "status"), [(-352, 200), (-412, 200), (-412, 412)])
async def test_warned_it_stays_away(code: int, status: int, tmp_path: Path) -> None:
    """Who goes on after such an answer is locked out."""
    async with told(Bilibili, tmp_path, {"code": code, "message": "request was banned"}, options=ON) as (
        platform,
        adapter,
        clock,
    ):
        platform.status = status
        for _ in range(2):
            with pytest.raises(RateLimited) as limited:
                await adapter.discover("deep sea", limit=5)
            assert limited.value.until == clock.now() + WARNED
        assert len(platform.asked) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(-101, Reject), (-400, Reject), (-404, Reject), (-500, Retry), ("odd", Retry)]
)
async def test_codes_with_status_200_are_told(code: Any, kind: type[Exception], tmp_path: Path) -> None:
    """A fault that is taken for an empty list hides that nothing works; kept, it would hide it for half an hour."""
    async with told(Bilibili, tmp_path, {"code": code, "message": "no"}, answer(video()), options=ON) as (
        _,
        adapter,
        _clock,
    ):
        with pytest.raises(kind):
            await adapter.discover("深海", limit=5)
        assert len(await adapter.discover("深海", limit=5)) == 1


async def test_few_requests_are_sent(tmp_path: Path) -> None:
    """Whatever goes wrong, it is asked a dozen times in half an hour at the most."""
    async with told(Bilibili, tmp_path, {"code": -500}, options=ON) as (platform, adapter, clock):
        for _ in range(12):
            with pytest.raises(Retry):
                await adapter.discover("deep sea", limit=5)
        with pytest.raises(RateLimited, match="requests"):
            await adapter.discover("deep sea", limit=5)
        assert len(platform.asked) == 12
        clock.turn(minutes=30)
        with pytest.raises(Retry):
            await adapter.discover("deep sea", limit=5)


async def test_pages_end(tmp_path: Path) -> None:
    """The list is long and mostly about something else."""
    pages = [answer(video(bvid=f"BV1aaaaaaa{at}"), no_more=False) for at in range(9)]
    async with told(Bilibili, tmp_path, *pages, options=ON) as (platform, adapter, clock):
        assert len(await adapter.discover("深海", limit=2)) == 2
        clock.turn(hours=1)
        assert len(await adapter.discover("深海", limit=50)) == 4
        assert [asked.query["pn"] for asked in platform.asked] == ["1", "2", "1", "2", "3", "4"]
