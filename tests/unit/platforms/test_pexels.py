"""Pexels: the recorded shape and hand-written answers, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.platforms import pexels
from actors.platforms.pexels import BUCKET, parse_videos, title_of
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = {"pexels_api_key": "sandbox-pexels"}


def file(width: int | None, height: int | None, **changes: Any) -> dict[str, Any]:
    stated = {
        "id": 1,
        "quality": "hd",
        "file_type": "video/mp4",
        "width": width,
        "height": height,
        "fps": 25.0,
        "link": f"https://videos.pexels.com/{width}x{height}.mp4",
        "size": 1000,
    }
    return stated | changes


def video(*files: dict[str, Any], **changes: Any) -> dict[str, Any]:
    stated = {
        "id": 1093662,
        "width": 3840,
        "height": 2160,
        "url": "https://www.pexels.com/video/drone-view-of-big-waves-1093662/",
        "image": "https://images.pexels.com/videos/1093662/a.jpg",
        "duration": 8,
        "user": {"id": 417939, "name": "Ada", "url": "https://www.pexels.com/@ada"},
        "video_files": list(files) or [file(3840, 2160), file(1920, 1080), file(960, 540)],
        "video_pictures": [],
        "tags": [],
    }
    return stated | changes


def page(*videos: Any, further: str | None = None) -> dict[str, Any]:
    return {"page": 1, "per_page": 80, "total_results": 1, "next_page": further, "videos": list(videos)}


def one(*files: dict[str, Any], **changes: Any) -> Any:
    return parse_videos(page(video(*files, **changes)), at=AT)[0][0]


def test_hand_written_answers_have_the_recorded_shape() -> None:
    """The recorded answer has its values masked: what it shows is which fields there are."""
    shape = recorded("pexels/video_show_shape_only.json")
    assert set(shape) >= set(video()) - {"tags"}
    assert set(shape["video_files"][0]) >= set(file(1, 1)) - {"size"}
    with pytest.raises(Retry, match="1 items in a shape"):
        parse_videos(page(shape), at=AT)


def test_video_becomes_a_candidate() -> None:
    """The editor fetches and credits from these fields."""
    found = one()
    assert (found.title, found.creator, found.creator_id) == ("Drone view of big waves", "Ada", "417939")
    assert (found.media_url, found.media_bytes) == ("https://videos.pexels.com/1920x1080.mp4", 1000)
    assert (found.width_px, found.height_px, found.duration_us) == (1920, 1080, 8_000_000)
    assert set(found.metrics.absent) == {"views", "likes", "comments", "shares"}
    assert found.published_at is None
    assert (found.rights.licence, found.rights.source_url) == ("pexels", found.url)
    assert may("download", found.rights, at=AT).allowed


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([file(2160, 3840), file(1080, 1920), file(540, 960)], "1080x1920"),
        ([file(2560, 1080), file(1280, 720)], "1280x720"),
        ([file(3840, 2160), file(2560, 1440)], "2560x1440"),
        ([file(None, None, quality="hls", link="https://p.com/a.m3u8"), file(960, 540)], "960x540"),
        ([file(1920, 1080, size=900_000_000), file(960, 540)], "960x540"),
        ([file(1920, 1080, file_type="video/webm"), file(640, 360)], "640x360"),
        ([file(None, None, link="javascript:x"), file(640, 360)], "640x360"),
    ],
)
def test_file_fits_full_hd(files: list[dict[str, Any]], chosen: str) -> None:
    """The wrong file is a playlist that cannot be cut, or gigabytes that are scaled down again."""
    assert chosen in one(*files).media_url
    assert chosen in one(*files[::-1]).media_url


def test_without_a_file_there_is_no_media() -> None:
    """An address that is none ends the loop in the editor."""
    assert one(file(None, None, quality="hls", link="https://p.com/a.m3u8")).media_url is None


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://www.pexels.com/video/drone-view-1093662/", "Drone view"),
        ("https://www.pexels.com/video/1093662", "Pexels video 7"),
        ("https://www.pexels.com/de-de/video/wellen-am-strand-1093662/?x=1", "Wellen am strand"),
        ("https://www.pexels.com/", "Pexels video 7"),
    ],
)
def test_title_is_in_the_address(url: str, title: str) -> None:
    """Videos have no other title, and an empty one is shown to nobody."""
    assert title_of(url, 7) == title


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(page(video()), lambda answer: parse_videos(answer, at=AT)[0])


async def test_quota_of_the_hour_is_never_passed(tmp_path: Path) -> None:
    """The 201st request of an hour gets the key blocked; errors carry no rate headers to learn from."""
    async with told(pexels.Pexels, tmp_path, page(video()), options=KEY) as (platform, adapter, clock):
        for number in range(BUCKET.limit):
            await adapter.discover(f"sea {number}", limit=5)
        with pytest.raises(RateLimited) as caught:
            await adapter.discover("one more", limit=5)
        assert len(platform.asked) == BUCKET.limit
        assert caught.value.until == clock.now().replace(hour=13, minute=0)
        assert await adapter.discover("sea 1", limit=5), "what is kept costs nothing"
        clock.turn(minutes=31)
        await adapter.discover("one more", limit=5)
        assert platform.asked[-1].headers["Authorization"] == "sandbox-pexels"


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The whole way: key, search, the file that is chosen."""
    async with imitated("pexels", tmp_path) as there:
        found = await there.adapter.discover("sandbox", limit=100)
        assert len(found) == 24
        status, _ = await there.get("/videos/search", query="sea", token="wrong")
        assert status == 401
        assert all("/media/" in one.media_url and "quality=hd" in one.media_url for one in found)
    async with imitated("pexels", tmp_path / "b", pexels_api_key="wrong") as there:
        with pytest.raises(Reject, match="401"):
            await there.adapter.discover("sea", limit=5)
