"""Dailymotion: a recorded and hand-written answers, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.platforms import dailymotion
from actors.platforms.dailymotion import parse_videos
from contracts.errors import Reject
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def video(**changes: Any) -> dict[str, Any]:
    """Write a video of version 0."""
    stated = {
        "id": "x2fit7q",
        "title": "Reef &amp; night",
        "description": "Corals<br />at night",
        "duration": 81,
        "created_time": 1422173451,
        "url": "https://www.dailymotion.com/video/x2fit7q",
        "thumbnail_720_url": "https://s1.dmcdn.net/v/a/x720",
        "views_total": 77,
        "likes_total": 5,
        "tags": ["reef", "night"],
        "language": "en",
        "owner": "x1ab",
        "owner.screenname": "Ada",
    }
    return stated | changes


def page(*videos: Any, more: bool = False) -> dict[str, Any]:
    return {"page": 1, "limit": 100, "explicit": False, "total": 1000, "has_more": more, "list": list(videos)}


def test_recorded_answer_is_read() -> None:
    """The shape of a real answer, reduced by who kept it: views were not asked for."""
    answer = recorded("dailymotion/videos_list_reduced.json")
    found, more = parse_videos(answer, at=AT)
    assert more
    assert (found[0].item_id, found[0].duration_us) == ("dailymotion:x2fit7q", 81_000_000)
    assert found[0].published_at == datetime(2015, 1, 25, 8, 10, 51, tzinfo=UTC)
    assert found[0].metrics.views is None


def test_video_becomes_a_signal() -> None:
    """Without a licence it must never become material."""
    found = parse_videos(page(video()), at=AT)[0][0]
    assert (found.description, found.creator, found.creator_id) == ("Corals\nat night", "Ada", "x1ab")
    assert (found.metrics.views, found.metrics.likes, found.metrics.comments) == (77, 5, None)
    assert set(found.metrics.absent) == {"comments", "shares"}
    assert (found.media_url, found.rights.licence) == (None, "unknown")
    assert "no licence" in found.rights.note


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(page(video()), lambda answer: parse_videos(answer, at=AT)[0])


async def test_pages_are_followed_up_to_the_limit(tmp_path: Path) -> None:
    """A limit above one page would silently be cut to it."""
    answers = (page(video(), more=True), page(video(id="x2", url="https://www.dailymotion.com/video/x2")))
    async with told(dailymotion.Dailymotion, tmp_path, *answers, options={}) as (platform, adapter, _):
        assert [one.platform_id for one in await adapter.discover("sea", limit=9)] == ["x2fit7q", "x2"]
        first, second = (request.query for request in platform.asked)
        assert (first["search"], first["limit"], first["family_filter"]) == ("sea", "9", "true")
        assert (first["page"], second["page"]) == ("1", "2")


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The imitation refuses fields that it does not know, as the platform does."""
    async with imitated("dailymotion", tmp_path) as there:
        found = await there.adapter.discover("volcano", limit=4)
        assert len(found) == 4
        assert found[0].metrics.views is not None
        status, body = await there.get("/videos", search="volcano", fields="id,nonsense")
        assert (status, body["error"]["type"]) == (400, "invalid_parameter")
        with pytest.raises(Reject, match="no words"):
            await there.adapter.discover(" ", limit=4)
