"""Pixabay: a recorded and hand-written answers, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.platforms import pixabay
from actors.platforms.pixabay import parse_hits, search_text
from contracts.errors import RateLimited, Reject
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = {"pixabay_api_key": "sandbox-pixabay"}


def size(width: int, height: int, **changes: Any) -> dict[str, Any]:
    stated = {
        "url": f"https://cdn.pixabay.com/{width}x{height}.mp4",
        "width": width,
        "height": height,
        "size": 1000,
        "thumbnail": f"https://cdn.pixabay.com/{width}x{height}.jpg",
    }
    return stated | changes


def hit(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": 125,
        "pageURL": "https://pixabay.com/videos/id-125/",
        "type": "film",
        "tags": "flowers, yellow, blossom, spring",
        "duration": 12,
        "videos": {"large": size(3840, 2160), "small": size(1920, 1080), "tiny": size(960, 540)},
        "views": 4462,
        "downloads": 1464,
        "likes": 18,
        "comments": 0,
        "user_id": 1281706,
        "user": "Ada",
        "userImageURL": "",
    }
    return stated | changes


def page(*hits: Any, reachable: int = 1) -> dict[str, Any]:
    return {"total": 42574, "totalHits": reachable, "hits": list(hits)}


def test_recorded_answer_is_read() -> None:
    """An answer that is not understood finds nothing, for ever."""
    answer = recorded("pixabay/videos_hits_a.json")
    found, reachable = parse_hits(answer, at=AT)
    assert len(found) == len(answer["hits"])
    assert reachable == 50
    first = found[0]
    assert (first.platform_id, first.title, first.creator) == ("27669", "particles, plexus, network", "motionstock")
    assert (first.metrics.views, first.metrics.likes, first.metrics.comments) == (618802, 2049, 300)
    assert first.media_url == "https://cdn.pixabay.com/video/2019/10/09/27669-365224683_small.mp4"
    assert (first.media_bytes, first.width_px, first.height_px) == (4897014, 1920, 1080)
    assert all(one.media_url and (one.height_px or 0) <= 1920 for one in found)
    assert may("download", first.rights, at=AT).allowed
    assert first.rights.licence == "pixabay"


def test_sizes_that_do_not_exist_are_not_chosen() -> None:
    """An empty address with size 0 stands for a size that was never made."""
    videos = {"large": size(0, 0, url="", size=0), "tiny": size(540, 960)}
    found = parse_hits(page(hit(videos=videos)), at=AT)[0][0]
    assert found.media_url == "https://cdn.pixabay.com/540x960.mp4"
    assert parse_hits(page(hit(videos={"large": size(0, 0, url="")})), at=AT)[0][0].media_url is None


def test_zero_comments_are_known() -> None:
    """A zero that is told is a fact; only what is not told is unknown."""
    metrics = parse_hits(page(hit(views=None)), at=AT)[0][0].metrics
    assert (metrics.comments, metrics.views) == (0, None)
    assert set(metrics.absent) == {"views", "shares"}


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(page(hit()), lambda answer: parse_hits(answer, at=AT)[0])


@pytest.mark.parametrize(
    ("words", "asked"),
    [("deep sea", "deep sea"), ("abc " * 30, ("abc " * 25).strip()), ("a" * 120, "a" * 100), ("a" * 100, "a" * 100)],
)
def test_query_is_cut_between_words(words: str, asked: str) -> None:
    """More than 100 characters are refused, and half a word finds something else."""
    assert search_text(" ".join(words.split())) == asked


async def test_answers_are_kept_for_a_day_and_keep_their_moment(tmp_path: Path) -> None:
    """The platform asks for 24 hours; counts that are then dated anew look like a video that stands still."""
    async with told(pixabay.Pixabay, tmp_path, page(hit()), options=KEY) as (platform, adapter, clock):
        first = await adapter.discover("sea", limit=5)
        began = clock.now()
        clock.turn(hours=23, minutes=59)
        again = await adapter.discover("sea", limit=5)
        assert again == first
        assert again[0].observed_at == began
        assert len(platform.asked) == 1
        clock.turn(minutes=2)
        assert (await adapter.discover("sea", limit=5))[0].observed_at == clock.now()
        assert len(platform.asked) == 2


async def test_a_few_are_asked_for_as_the_platform_allows(tmp_path: Path) -> None:
    """Fewer than 3 results a page are refused."""
    async with told(pixabay.Pixabay, tmp_path, page(hit(), hit(id=126)), options=KEY) as (platform, adapter, _):
        assert len(await adapter.discover("sea", limit=1)) == 1
        assert platform.asked[0].query["per_page"] == "3"
        assert platform.asked[0].query["key"] == "sandbox-pixabay"


async def test_key_is_in_no_text(tmp_path: Path) -> None:
    """The key is part of the address: an error that quotes the address gives it away."""
    async with imitated("pixabay", tmp_path, pixabay_api_key="very-wrong") as there:
        with pytest.raises(Reject, match=r"refused the key.*PIXABAY_API_KEY") as caught:
            await there.adapter.discover("sea", limit=5)
        assert "very-wrong" not in str(caught.value)


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The whole way: key, search, plain-text refusals, the rate of the minute."""
    async with imitated("pixabay", tmp_path) as there:
        found = await there.adapter.discover("sandbox", limit=100)
        assert len(found) == 24
        assert all("size=small" in one.media_url for one in found)
        await there.set("search", kind="status", status=429)
        with pytest.raises(RateLimited):
            await there.adapter.discover("lava", limit=5)
