"""Vimeo: recorded and hand-written answers, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.platforms import vimeo
from actors.platforms.vimeo import parse_rights, parse_videos
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import LICENCES
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = {"vimeo_access_token": "sandbox-vimeo"}


def video(**changes: Any) -> dict[str, Any]:
    """Write a video as the OpenAPI document describes it."""
    stated = {
        "uri": "/videos/123",
        "name": "Reef at night",
        "description": "Corals",
        "link": "https://vimeo.com/123",
        "duration": 62,
        "width": 1920,
        "height": 1080,
        "language": "en-US",
        "license": "by-sa",
        "created_time": "2026-11-13T12:00:00+00:00",
        "release_time": "2026-11-13T14:00:00+02:00",
        "privacy": {"view": "anybody"},
        "pictures": {"sizes": [{"width": 640, "link": "https://i.vimeocdn.com/640"}, {"width": 1920, "link": "x"}]},
        "tags": [{"name": "Reef"}, {"name": "Night"}],
        "stats": {"plays": 2459},
        "metadata": {"connections": {"likes": {"total": 12}, "comments": {"total": 3}}},
        "user": {"uri": "/users/77", "name": "Ada"},
    }
    return stated | changes


def page(*videos: Any, further: str | None = None) -> dict[str, Any]:
    return {"total": len(videos), "page": 1, "per_page": 100, "paging": {"next": further}, "data": list(videos)}


def one(**changes: Any) -> Any:
    found, _ = parse_videos(page(video(**changes)), at=AT)
    return found[0]


def test_recorded_videos_are_read() -> None:
    """A list of real videos that is not understood finds nothing, for ever."""
    listed = [
        one for category in recorded("vimeo/programmed_cinema_excerpt.json")["data"] for one in category["content"]
    ]
    public = [one for one in listed if one["privacy"]["view"] == "anybody"]
    found, more = parse_videos(page(*listed), at=AT)
    assert len(found) == len(public) > 5
    assert not more
    tv_spot = next(one for one in found if one.platform_id == "1242270")
    assert (tv_spot.title, tv_spot.creator, tv_spot.creator_id) == ("TCSC TV Spot", "TCSC", "357053")
    assert (tv_spot.metrics.views, tv_spot.duration_us, tv_spot.tags) == (2459, 30_000_000, ("Turks & Caicos",))
    assert tv_spot.published_at == datetime(2008, 6, 27, 12, 56, 54, tzinfo=UTC)
    assert tv_spot.rights.licence == "unknown"
    assert {one.media_url for one in found} == {None}


def test_video_becomes_a_candidate() -> None:
    """The ranker, the editor and the credit work from these fields."""
    found = one()
    assert (found.item_id, found.url, found.creator_id) == ("vimeo:123", "https://vimeo.com/123", "77")
    assert (found.width_px, found.height_px, found.language) == (1920, 1080, "en-US")
    assert found.published_at == datetime(2026, 11, 13, 12, tzinfo=UTC)
    assert found.thumbnail_url == "https://i.vimeocdn.com/640"
    metrics = found.metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (2459, 12, 3, None)


def test_hidden_plays_are_no_zero() -> None:
    """Zero plays would rank a film that hides them below everything."""
    metrics = one(stats={"plays": None}, metadata=None).metrics
    assert (metrics.views, metrics.likes) == (None, None)
    assert "hides" in metrics.absent["views"]
    assert set(metrics.absent) == {"views", "likes", "comments", "shares"}


@pytest.mark.parametrize(
    ("stated", "licence", "says"),
    [
        ("by", "CC-BY-3.0", "unconfirmed"),
        ("by-nc-nd", "CC-BY-NC-ND-3.0", "unconfirmed"),
        ("CC0", "CC0-1.0", ""),
        (None, "unknown", "no licence"),
        ("", "unknown", "no licence"),
        ("owned", "unknown", "none that is known"),
        ("standard", "unknown", "none that is known"),
    ],
)
def test_licence_is_read_from_its_field_alone(stated: str | None, licence: str, says: str) -> None:
    """A licence that is guessed puts somebody else's work into a post."""
    rights = parse_rights(stated, title="Reef", author="Ada", page="https://vimeo.com/123", at=AT)
    assert rights.licence == licence
    assert licence in LICENCES
    assert says in rights.note
    assert rights.proof == (f"license: {stated.lower()}" if stated else "")


def test_what_not_everybody_may_see_is_left_out() -> None:
    """A private film must not be shown to others because a token may see it."""
    found, _ = parse_videos(page(video(privacy={"view": "password"}), video(uri="/albums/9"), video()), at=AT)
    assert len(found) == 1


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(page(video()), lambda answer: parse_videos(answer, at=AT)[0])


async def test_search_asks_once_and_says_what_it_wants(tmp_path: Path) -> None:
    """Without `fields` the answer is huge and the rate limit lower; without the version it may change its shape."""
    async with told(vimeo.Vimeo, tmp_path, page(video()), options=KEY) as (platform, adapter, clock):
        found = await adapter.discover("deep  sea", limit=5)
        assert (await adapter.discover("deep sea", limit=5)) == found
        (asked,) = platform.asked
        assert (asked.query["query"], asked.query["per_page"]) == ("deep sea", "5")
        assert "license" in asked.query["fields"]
        assert asked.headers["Authorization"] == "bearer sandbox-vimeo"
        assert "version=3.4" in asked.headers["Accept"]
        assert found[0].observed_at == clock.now()
        clock.turn(minutes=11)
        assert (await adapter.discover("deep sea", limit=5))[0].observed_at == clock.now()
        assert len(platform.asked) == 2


async def test_pages_are_followed_up_to_the_limit(tmp_path: Path) -> None:
    """A limit above one page would silently be cut to it."""
    answers = (page(video(), further="/videos?page=2"), page(video(), video(uri="/videos/124"), further="x"))
    async with told(vimeo.Vimeo, tmp_path, *answers, options=KEY) as (platform, adapter, _):
        assert [one.platform_id for one in await adapter.discover("sea", limit=2)] == ["123", "124"]
        assert [request.query["page"] for request in platform.asked] == ["1", "2"]


async def test_spent_rate_waits_for_the_platforms_own_moment(tmp_path: Path) -> None:
    """Asking on after the last call of a window gets the token blocked."""
    async with told(vimeo.Vimeo, tmp_path, page(video()), options=KEY) as (platform, adapter, clock):
        platform.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-11-23T12:40:00+00:00"}
        await adapter.discover("sea", limit=1)
        with pytest.raises(RateLimited) as caught:
            await adapter.discover("reef", limit=1)
        assert (caught.value.until - clock.now()).total_seconds() == 600
        assert len(platform.asked) == 1


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The whole way: token, search, licences, hidden plays."""
    async with imitated("vimeo", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=50)
        assert len(found) == 6
        assert {one.rights.licence for one in found} >= {"unknown", "CC0-1.0", "CC-BY-3.0", "CC-BY-SA-3.0"}
        await there.set("search", kind="truncate", after_bytes=30)
        with pytest.raises(Retry):
            await there.adapter.discover("volcano", limit=5)


async def test_missing_or_wrong_token_is_named(tmp_path: Path) -> None:
    """A person must learn which setting to set, and where to get it."""
    async with imitated("vimeo", tmp_path, vimeo_access_token=None) as there:
        with pytest.raises(Reject, match=r"VIMEO_ACCESS_TOKEN is not set.*developer\.vimeo\.com"):
            await there.adapter.discover("sea", limit=5)
        assert await there.calls("search") == 0
    async with imitated("vimeo", tmp_path / "b", vimeo_access_token="wrong") as there:
        with pytest.raises(Reject, match="401"):
            await there.adapter.discover("sea", limit=5)
