"""Twitch: recorded answers, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.platforms.twitch import Category, choose, parse_categories, parse_clips, parse_users
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def clip(**more: Any) -> dict[str, Any]:
    stated = {
        "id": "BraveSquid-abc_1",
        "url": "https://clips.twitch.tv/BraveSquid-abc_1",
        "broadcaster_id": "7",
        "broadcaster_name": "Ada",
        "video_id": "2011223344",
        "language": "en",
        "title": "The squid!",
        "view_count": 900,
        "created_at": "2026-11-22T10:00:00Z",
        "thumbnail_url": "https://clips-media-assets2.twitch.tv/a.jpg",
        "duration": 22.3,
    }
    return stated | more


def test_recorded_clip_is_read() -> None:
    """A real clip that is not understood is one that nobody sees rising."""
    (found,), cursor = parse_clips(recorded("twitch/clips.json"), AT, tags=("Fortnite",))
    assert (found.item_id, found.creator) == ("twitch:EncouragingPluckySlothSSSsss", "summit1g")
    assert found.title == "summit and fat tim discover how to use maps"
    assert (found.metrics.views, found.metrics.likes, found.duration_us) == (91876, None, 22_300_000)
    assert set(found.metrics.absent) == {"likes", "comments", "shares"}
    assert (found.tags, found.links, found.language) == (("Fortnite",), (), "en")
    assert found.published_at == datetime(2018, 1, 25, 4, 4, 15, tzinfo=UTC)
    assert (found.media_url, cursor) == (None, None)
    assert not may("download", found.rights, at=AT).allowed


def test_clip_names_the_video_it_was_cut_from() -> None:
    """Clips of one stream belong together."""
    (found,), cursor = parse_clips({"data": [clip()], "pagination": {"cursor": "abc"}}, AT, tags=())
    assert found.links == ("https://www.twitch.tv/videos/2011223344",)
    assert cursor == "abc"


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    reply = {"data": [clip()], "pagination": {"cursor": "abc"}}
    assert_withstands(reply, lambda changed: parse_clips(changed, AT, tags=())[0])
    strange: Any
    for strange in (None, [], "x", {}, {"data": {}}, {"data": [{"name": "x"}]}):
        for parse in (partial(parse_clips, tags=()), parse_categories, parse_users):
            with pytest.raises(Retry):
                parse(strange, AT)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["deep", "sea"], ["Deep Sea", "Deep Sea Diver"]),
        (["SEA", "deep"], ["Deep Sea", "Deep Sea Diver"]),
        (["chess"], ["Chess"]),
        (["art"], ["Art"]),
        (["sea", "food"], []),
    ],
)
def test_categories_have_the_words_as_words(words: list[str], names: list[str]) -> None:
    """Twitch also gives what is spelt alike: clips of another game would be ranked for the niche."""
    known = (
        "Deep Sea Diver",
        "Deep Sea",
        "Deep Search",
        "Chess",
        "Chessmaster",
        "Art",
        "Party Animals",
        "Deep Sea Fishing 2",
    )
    categories = tuple(Category(id=str(at), name=name) for at, name in enumerate(known))
    assert [one.name for one in choose(categories, words)] == names


async def test_clips_of_the_category_come_most_viewed_first(tmp_path: Path) -> None:
    """The week's clips of the category whose name the niche is."""
    async with imitated("twitch", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=10)
        assert len(found) == 4, "two of the six works are older than a week"
        assert all(candidate.tags == ("Deep Sea",) for candidate in found)
        views = [candidate.metrics.views for candidate in found]
        assert views == sorted(views, reverse=True)
        assert all(candidate.published_at >= AT - timedelta(days=7) for candidate in found)
        assert (await there.calls("token"), await there.calls("users")) == (1, 0)


async def test_niche_that_is_no_category_may_be_a_channel(tmp_path: Path) -> None:
    """People also name channels as niches."""
    async with imitated("twitch", tmp_path) as there:
        found = await there.adapter.discover("SandboxChess1", limit=10)
        assert {candidate.creator for candidate in found} == {"Sandbox chess 1"}
        assert await there.adapter.discover("nobody_at_all", limit=10) == ()
        assert await there.calls("search") == 1


async def test_names_are_asked_for_once_a_day(tmp_path: Path) -> None:
    """Categories hardly change; each scan would ask for them again."""
    async with imitated("twitch", tmp_path) as there:
        await there.adapter.discover("chess", limit=5)
        there.clock.turn(minutes=11)
        await there.adapter.discover("chess", limit=5)
        assert (await there.calls("categories"), await there.calls("search")) == (1, 4)
        there.clock.turn(hours=24)
        await there.adapter.discover("chess", limit=5)
        assert (await there.calls("categories"), await there.calls("token")) == (2, 1)


async def test_token_that_ends_early_is_replaced(tmp_path: Path) -> None:
    """A person who renews the secret ends all tokens."""
    async with imitated("twitch", tmp_path) as there:
        await there.adapter.discover("chess", limit=5)
        there.clock.turn(minutes=11)
        await there.set("search", kind="status", status=401, times=1)
        assert await there.adapter.discover("chess", limit=5)
        assert await there.calls("token") == 2


@pytest.mark.parametrize("name", ["twitch_client_id", "twitch_client_secret"])
async def test_credentials_are_needed_and_never_shown(name: str, tmp_path: Path) -> None:
    """The text ends in the log and in front of people."""
    (tmp_path / "without").mkdir()
    async with imitated("twitch", tmp_path / "without", **{name: None}) as there:
        with pytest.raises(Reject, match=rf"{name.upper()} is not set\. .*dev\.twitch\.tv"):
            await there.adapter.discover("chess", limit=5)
        assert await there.calls("token") == 0
    async with imitated("twitch", tmp_path, **{name: "another-word"}) as there:
        with capture_logs() as logs, pytest.raises(Reject, match="Check TWITCH_CLIENT_ID") as refused:
            await there.adapter.discover("chess", limit=5)
        assert "another-word" not in f"{refused.value!r} {refused.value.__cause__!r} {logs}"
        assert await there.calls("categories") == 0


async def test_spent_minute_pauses_until_its_reset(tmp_path: Path) -> None:
    """The sandbox counts 800 points a minute; what it says about them is kept to."""
    async with imitated("twitch", tmp_path) as there:
        await there.set("categories", kind="status", status=429, retry_after_s=33)
        with pytest.raises(RateLimited) as limited:
            await there.adapter.discover("chess", limit=5)
        assert limited.value.until == there.clock.now() + timedelta(seconds=33)
        await there.clear()
        with pytest.raises(RateLimited):
            await there.adapter.discover("volcano", limit=5)
        assert await there.calls("categories") == 1
