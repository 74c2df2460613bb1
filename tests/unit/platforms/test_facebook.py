"""Facebook: videos and reels of the pages that the token may read."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.platforms._meta.facebook_videos import parse_videos
from actors.platforms.facebook import Facebook
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from deploy.sandbox.feeds.facebook import CREDENTIALS, PAGES
from tests.unit.platforms.imitated import imitated, told

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"facebook_access_token": "sesame", "facebook_page_ids": "61, 62,61"}


def video(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": "1015",
        "title": "Corals at night",
        "description": "Filmed #DeepSea",
        "length": 12.345,
        "views": 2_000,
        "created_time": "2026-11-20T08:00:00+0000",
        "permalink_url": "/61/videos/1015/",
        "picture": "https://scontent.example/1015.jpg",
        "source": "https://video.example/1015.mp4",
        "from": {"name": "Nature", "id": "61"},
        "likes": {"data": [], "summary": {"total_count": 31}},
        "comments": {"data": [], "summary": {"total_count": 4}},
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def test_video_becomes_a_candidate() -> None:
    """The ranker and people see a video by these fields."""
    (found,) = parse_videos([video()], at=AT)
    assert (found.item_id, found.url) == ("facebook:1015", "https://www.facebook.com/61/videos/1015/")
    assert (found.title, found.description, found.tags) == ("Corals at night", "Filmed #DeepSea", ("DeepSea",))
    assert (found.creator, found.creator_id) == ("Nature", "61")
    assert (found.duration_us, found.thumbnail_url) == (12_345_000, "https://scontent.example/1015.jpg")
    assert found.published_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    counts = found.metrics
    assert (counts.views, counts.likes, counts.comments, counts.shares) == (2_000, 31, 4, None)
    assert set(counts.absent) == {"shares"}


def test_own_video_waits_for_its_owner() -> None:
    """A page in a setting is no proof of ownership: only a person can attest it."""
    (found,) = parse_videos([video()], at=AT)
    assert (found.media_url, found.rights.licence, found.rights.attested_by) == (None, "unknown", None)
    assert "may attest" in found.rights.note
    assert not may("download", found.rights, at=AT).allowed


@pytest.mark.parametrize("changes", [{"id": ...}, {"id": 7}, {"id": "x/y"}, {"permalink_url": ...}, {"title": 7}])
def test_what_cannot_be_read_is_left_out(changes: dict[str, Any]) -> None:
    """One changed video must not cost the others; if all have changed somebody must hear of it."""
    assert [one.platform_id for one in parse_videos([video(**changes), video(id="7")], at=AT)] == ["7"]
    with pytest.raises(Retry, match="not known here"):
        parse_videos([video(**changes)], at=AT)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc/passwd", "ftp://x"])
def test_page_that_is_not_on_the_web_is_left_out(address: str) -> None:
    """People click on it."""
    assert parse_videos([video(permalink_url=address)], at=AT) == ()


@pytest.mark.parametrize("told", [None, "many", -1, 1.5, True, [], {"summary": 7}, {"summary": {"total_count": None}}])
def test_small_drift_leaves_the_field_unknown(told: Any) -> None:
    """A count of another type is unknown, not zero and not a crash."""
    (found,) = parse_videos(
        [video(views=told, likes=told, comments=told, created_time=told, picture=told, **{"from": told})], at=AT
    )
    counts = found.metrics
    assert (counts.views, counts.likes, counts.comments, found.published_at) == (None,) * 4
    assert (found.creator, found.creator_id, found.thumbnail_url) == (None, None, None)
    assert set(counts.absent) == {"views", "likes", "comments", "shares"}


@pytest.mark.parametrize("length", [None, "12", True, -1, 0, 1e300, {}])
def test_unknown_length_is_unknown(length: Any) -> None:
    """A wrong length plans a wrong cut."""
    (found,) = parse_videos([video(length=length)], at=AT)
    assert found.duration_us is None


async def test_videos_with_the_words_newest_first(tmp_path: Path) -> None:
    """Both kinds of both pages are read; those without the words are of another niche."""
    async with imitated("facebook", tmp_path) as at:
        found = await at.adapter.discover("deep sea", limit=50)
        assert await at.calls("search") == 4
        assert len(found) == 6
        assert {one.creator for one in found} == {"Sandbox Nature"}
        assert {"/reel/" in one.url for one in found} == {True, False}
        times = [one.published_at for one in found]
        assert times == sorted(times, reverse=True)
        assert await at.adapter.discover("deep sea", limit=2) == found[:2]
        assert await at.adapter.discover("knitting", limit=5) == ()


async def test_refusing_page_is_left_out(tmp_path: Path) -> None:
    """One page whose permission was taken away must not hide the others."""
    pages = "61559999999999,61550000000002"
    async with imitated("facebook", tmp_path, facebook_page_ids=pages) as at:
        assert await at.adapter.discover("chess", limit=5)
    async with imitated("facebook", tmp_path / "none", facebook_page_ids="1,2") as at:
        with pytest.raises(Reject, match="'1' does not exist"):
            await at.adapter.discover("chess", limit=5)
        assert await at.calls("search") == 2
    async with imitated("facebook", tmp_path, facebook_page_ids="61559999999999") as at:
        with pytest.raises(Reject, match="does not exist"):
            await at.adapter.discover("chess", limit=5)


@pytest.mark.parametrize(("status", "kind"), [(401, Reject), (500, Retry), (429, RateLimited)])
async def test_other_faults_stop_at_the_first_page(status: int, kind: type[Exception], tmp_path: Path) -> None:
    """A lost token or a platform that is down is asked once, not once a page."""
    async with imitated("facebook", tmp_path) as at:
        await at.set("search", kind="status", status=status)
        with pytest.raises(kind):
            await at.adapter.discover("chess", limit=5)
        assert await at.calls("search") == 1


async def test_full_hour_pauses_before_the_platform_refuses(tmp_path: Path) -> None:
    """X-App-Usage at 100 says that the next call is refused; apps that go on are blocked for longer."""
    async with told(Facebook, tmp_path, {"data": [video()]}, options=OPTIONS) as (platform, made, clock):
        platform.headers = {"X-App-Usage": '{"call_count":100,"total_cputime":1,"total_time":1}'}
        for _ in range(2):
            assert len(await made.discover("corals", limit=5)) == 1, "what was found before the end is kept"
        assert len(platform.asked) == 1
        pause = await made._videos._graph._means.quota.paused("facebook")
        assert pause.until == clock.now() + timedelta(hours=1)
        clock.turn(hours=1, seconds=1)
        platform.headers = {}
        assert len(await made.discover("corals", limit=5)) == 1
        paths = [f"/{page}/{edge}" for page in (61, 62) for edge in ("videos", "video_reels")]
        assert [request.path for request in platform.asked[1:]] == paths, "a page named twice is read once"
        assert all("sesame" not in str(request.url) for request in platform.asked)


async def test_sandbox_tells_its_usage(tmp_path: Path) -> None:
    """The imitated header leads to the same pause."""
    async with imitated("facebook", tmp_path) as at:
        token = CREDENTIALS["facebook_access_token"]
        for _ in range(199):
            assert (await at.get(f"/{next(iter(PAGES))}/videos", token=token))[0] == 200
        with suppress(RateLimited):
            await at.adapter.discover("chess", limit=5)
        with suppress(RateLimited):
            await at.adapter.discover("volcano", limit=5)
        assert await at.calls("search") == 200
        at.clock.turn(hours=1)
        assert await at.adapter.discover("chess", limit=5)


async def test_lists_serve_all_niches(tmp_path: Path) -> None:
    """Each niche would read the same lists again, and use up the hour."""
    async with imitated("facebook", tmp_path) as at:
        first = await at.adapter.discover("chess", limit=5)
        calls = await at.calls("search")
        at.clock.turn(minutes=29)
        assert await at.adapter.discover("volcano", limit=5)
        assert await at.adapter.discover("chess", limit=5) == first
        assert await at.calls("search") == calls


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("facebook_access_token", None, r"FACEBOOK_ACCESS_TOKEN is not set, and no account.*Token of a page"),
        ("facebook_page_ids", None, r"FACEBOOK_PAGE_IDS is not set\. Numbers of the pages"),
        ("facebook_page_ids", " , ", "FACEBOOK_PAGE_IDS is not set"),
        ("facebook_page_ids", "61,me/accounts", "FACEBOOK_PAGE_IDS names 'me/accounts', which is not a number"),
    ],
)
async def test_missing_settings_are_named(name: str, value: str | None, says: str, tmp_path: Path) -> None:
    """Without the name of the setting nobody can mend it; an id that is a path asks for something else."""
    async with imitated("facebook", tmp_path, **{name: value}) as at:
        with pytest.raises(Reject, match=says):
            await at.adapter.discover("chess", limit=5)
        assert await at.calls("search") == 0
        with pytest.raises(Reject, match="no words"):
            await at.adapter.discover(" ", limit=5)
