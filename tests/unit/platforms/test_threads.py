"""Threads: video posts by keyword."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.platforms._meta.threads_search import QUERIES, parse_posts
from actors.platforms.threads import Threads
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.imitated import imitated, told

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"threads_access_token": "sesame"}


def post(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": "18012345678901234",
        "text": "Corals at night\nfilmed #DeepSea",
        "media_type": "VIDEO",
        "media_url": "https://scontent.cdninstagram.com/v.mp4",
        "permalink": "https://www.threads.com/@ada/post/DaalqnUE9lB",
        "timestamp": "2026-11-20T08:00:00+0000",
        "username": "ada",
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def test_post_becomes_a_candidate() -> None:
    """The ranker and people see a post by these fields."""
    (found,) = parse_posts([post()], at=AT)
    assert (found.item_id, found.creator) == ("threads:18012345678901234", "ada")
    assert found.url == "https://www.threads.com/@ada/post/DaalqnUE9lB"
    assert (found.title, found.tags) == ("Corals at night", ("DeepSea",))
    assert found.published_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert set(found.metrics.absent) == {"views", "likes", "comments", "shares"}
    assert found.media_url is None
    assert not may("download", found.rights, at=AT).allowed


def test_only_videos_are_taken() -> None:
    """The parameter may be overlooked by the platform; a text has nothing to show."""
    kinds = ("VIDEO", "TEXT_POST", "IMAGE", "CAROUSEL_ALBUM", "REPOST_FACADE")
    assert len(parse_posts([post(id=str(n), media_type=kind) for n, kind in enumerate(kinds)], at=AT)) == 1


@pytest.mark.parametrize(
    "changes", [{"id": ...}, {"id": 7}, {"permalink": "x"}, {"permalink": ...}, {"media_type": ...}, {"text": []}]
)
def test_what_cannot_be_read_is_left_out(changes: dict[str, Any]) -> None:
    """One changed post must not cost the others; if all have changed somebody must hear of it."""
    assert [one.platform_id for one in parse_posts([post(**changes), post(id="7")], at=AT)] == ["7"]
    with pytest.raises(Retry, match="not known here"):
        parse_posts([post(**changes)], at=AT)


@pytest.mark.parametrize("changes", [{"timestamp": 7}, {"timestamp": ...}, {"text": None}, {"username": ...}])
def test_small_drift_leaves_the_field_unknown(changes: dict[str, Any]) -> None:
    """An unknown time is unknown, and no crash."""
    (found,) = parse_posts([post(**changes)], at=AT)
    assert (found.published_at is None) == ("timestamp" in changes)
    assert (found.creator is None) == ("username" in changes)
    assert (found.title == found.platform_id) == ("text" in changes)


async def test_videos_of_the_week_are_found(tmp_path: Path) -> None:
    """Text posts and old ones are none of what rises."""
    async with imitated("threads", tmp_path) as at:
        found = await at.adapter.discover("deep sea", limit=10)
        assert [one.title for one in found] == [
            "Ten creatures of the deep sea",
            "Anglerfish filmed alive",
            "How deep is the sea?",
            "Lanternfish at night",
        ]
        assert all(at.clock.now() - one.published_at < timedelta(days=7) for one in found)
        assert await at.adapter.discover("deep sea", limit=2) == found[:2]


async def test_query_is_as_the_docs_say(tmp_path: Path) -> None:
    """A wrong parameter finds texts, or nothing."""
    async with told(Threads, tmp_path, {"data": []}, options=OPTIONS) as (platform, made, clock):
        assert await made.discover("deep sea", limit=500) == ()
        asked = dict(platform.asked[0].query)
        assert int(asked.pop("since")) == int((clock.now().replace(minute=0) - timedelta(days=7)).timestamp())
        assert asked.pop("fields").split(",")[0] == "id"
        assert asked == {
            "q": "deep sea",
            "search_type": "TOP",
            "search_mode": "KEYWORD",
            "media_type": "VIDEO",
            "limit": "100",
        }
        assert platform.asked[0].headers["Authorization"] == "Bearer sesame"


async def test_any_24_hours_hold_2200_queries(tmp_path: Path) -> None:
    """The day that the platform counts begins at any moment: 2,200 before midnight and 2,200 after it are too many."""
    async with told(Threads, tmp_path, {"data": []}, options=OPTIONS) as (platform, made, clock):
        quota, sent = made._keywords._graph._means.quota, []
        for _ in range(2 * 48):
            with suppress(RateLimited):
                for _ in range(2_200):
                    await quota.spend("threads", QUERIES)
                    sent.append(clock.now())
            clock.turn(minutes=30)
        days = {at: sum(at <= one < at + timedelta(days=1) for one in sent) for at in set(sent)}
        assert 2_000 < max(days.values()) <= 2_200
        await quota.exhaust("threads", QUERIES)
        with pytest.raises(RateLimited):
            await made.discover("chess", limit=5)
        assert platform.asked == []


async def test_one_answer_does_for_ten_minutes(tmp_path: Path) -> None:
    """A repeated question costs a query each time."""
    async with told(Threads, tmp_path, {"data": [post()]}, options=OPTIONS) as (platform, made, clock):
        (first,) = await made.discover("chess", limit=5)
        clock.turn(minutes=9)
        assert (await made.discover("chess", limit=1))[0].observed_at == first.observed_at
        assert len(platform.asked) == 1


async def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    """A missing permission finds the own posts only, or is refused: the person must learn its name."""
    async with imitated("threads", tmp_path) as at:
        await at.set("search", kind="status", status=400, reason="10")
        with pytest.raises(Reject, match="threads_keyword_search"):
            await at.adapter.discover("chess", limit=5)
        with pytest.raises(Reject, match="no words"):
            await at.adapter.discover(" ", limit=5)
    async with imitated("threads", tmp_path, threads_access_token=None) as at:
        with pytest.raises(Reject, match="THREADS_ACCESS_TOKEN is not set"):
            await at.adapter.discover("chess", limit=5)


async def test_imitation_counts_queries_with_results_only(tmp_path: Path) -> None:
    """An imitation that takes anything proves nothing."""
    async with imitated("threads", tmp_path) as at:
        ask = {"q": "chess", "token": "sandbox-threads"}
        for changes, code in (
            ({"token": "wrong"}, 190),
            ({"q": ""}, 100),
            ({"media_type": "GIF"}, 100),
            ({"search_type": "BEST"}, 100),
            ({"limit": "101"}, 100),
            ({"fields": "like_count"}, 100),
        ):
            status, body = await at.get("/keyword_search", **{**ask, **changes})
            assert (status in {400, 401}, body["error"]["code"]) == (True, code), changes
        status, body = await at.get("/keyword_search", **ask)
        assert (status, len(body["data"])) == (200, 12), "without media_type texts are found too"
