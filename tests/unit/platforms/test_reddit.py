"""Reddit: recorded answers, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.platforms.reddit import Reddit, parse_listing, subreddits_of, user_agent
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"reddit_client_id": "sandbox-reddit", "reddit_client_secret": "sandbox-reddit-word"}


def post(**more: Any) -> dict[str, Any]:
    stated = {
        "id": "1abcd",
        "name": "t3_1abcd",
        "title": "A squid at 3,000 m",
        "permalink": "/r/oceans/comments/1abcd/a_squid/",
        "url": "https://v.redd.it/xyz",
        "author": "ada",
        "author_fullname": "t2_7",
        "subreddit": "oceans",
        "selftext": "",
        "link_flair_text": "Video",
        "created_utc": 1764547200.0,
        "score": 120,
        "ups": 121,
        "num_comments": 14,
        "is_video": True,
        "secure_media": {"reddit_video": {"duration": 31, "height": 1920, "width": 1080}},
        "preview": {"images": [{"source": {"url": "https://preview.redd.it/a.jpg"}}]},
        "thumbnail": "default",
    }
    return {"kind": "t3", "data": stated | more}


def listing(*children: Any, after: str | None = None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": after, "before": None, "dist": len(children), "children": [*children]}}


def one(**more: Any) -> Any:
    found, _ = parse_listing(listing(post(**more)), AT)
    return found[0] if found else None


def test_recorded_links_to_videos_are_read() -> None:
    """Real posts that are not understood are videos that nobody sees rising."""
    reply = recorded("reddit/listing_domain_youtube_hot.json")
    found, after = parse_listing(reply, AT)
    assert len(found) == len(reply["data"]["children"]) == 60
    assert after == "t3_5d1xkc"
    first = found[0]
    assert (first.item_id, first.creator) == ("reddit:5d5yru", "EastRicee")
    assert first.url == "https://www.reddit.com/r/leagueoflegends/comments/5d5yru/wildturtle_returns_for_iem_oakland/"
    assert first.links == ("https://www.youtube.com/watch?v=ibLoOIwUrHA",)
    assert (first.metrics.likes, first.metrics.comments) == (3119, 713)
    assert first.published_at == datetime(2016, 11, 15, 23, 47, 36, tzinfo=UTC)
    assert first.thumbnail_url is not None
    assert all(len(candidate.links) == 1 and candidate.media_url is None for candidate in found)


def test_recorded_posts_without_a_video_are_left_out() -> None:
    """Questions and articles are no videos."""
    found, after = parse_listing(recorded("reddit/search_r_all.json"), AT)
    assert (found, after) == ((), None)


def test_own_video_becomes_a_candidate() -> None:
    """Ranking works on these fields."""
    found = one()
    assert (found.duration_us, found.width_px, found.height_px) == (31_000_000, 1080, 1920)
    assert (found.tags, found.links) == (("oceans", "Video"), ("https://v.redd.it/xyz",))
    assert (found.metrics.likes, found.metrics.comments, found.metrics.views) == (121, 14, None)
    assert found.metrics.absent == {"views": "Reddit does not tell views", "shares": "Reddit does not tell shares"}
    assert (found.thumbnail_url, found.media_url) == ("https://preview.redd.it/a.jpg", None)
    assert not may("download", found.rights, at=AT).allowed


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"is_video": False, "secure_media": None, "url": "https://i.redd.it/a.jpg"}, False),
        ({"is_video": False, "secure_media": None, "url": "https://example.org/article"}, False),
        ({"is_video": False, "secure_media": None, "url": "https://youtu.be/abc"}, True),
        ({"is_video": False, "secure_media": {"oembed": {"type": "video"}}, "url": "https://some.example/v"}, True),
        ({"is_video": False, "secure_media": {"oembed": {"type": "rich"}}, "url": "https://some.example/v"}, False),
    ],
)
def test_posts_need_a_video(changes: dict[str, Any], kept: bool) -> None:  # noqa: FBT001
    """A picture that is ranked as a video takes the place of one."""
    assert (one(**changes) is not None) is kept


def test_hidden_score_is_unknown() -> None:
    """A subreddit that hides scores sends 1, which is no count."""
    metrics = one(hide_score=True, ups=1, score=1).metrics
    assert metrics.likes is None
    assert "hides" in metrics.absent["likes"]


def test_deleted_author_is_unknown() -> None:
    """Nobody is called [deleted]."""
    assert one(author="[deleted]").creator is None


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    assert_withstands(listing(post(), after="t3_x"), lambda answer: parse_listing(answer, AT)[0])
    strange: Any
    for strange in (None, [], "x", {"data": []}, {"data": {"children": {}}}, listing({"kind": "t1", "data": {}})):
        with pytest.raises(Retry):
            parse_listing(strange, AT)


@pytest.mark.parametrize(
    ("setting", "names"),
    [(None, ("all",)), ("", ("all",)), ("videos", ("videos",)), ("r/videos, /r/oceans/  videos", ("videos", "oceans"))],
)
def test_subreddits_are_read(setting: str | None, names: tuple[str, ...]) -> None:
    """People write names as they see them."""
    assert subreddits_of(setting) == names


def test_wrong_subreddit_is_named() -> None:
    """What is no name would change the address that is asked."""
    with pytest.raises(Reject, match=r"'\.\./user' is no name of a subreddit"):
        subreddits_of("videos,../user")


def test_user_agent_is_as_reddit_asks() -> None:
    """Reddit refuses clients that do not say what they are and whose."""
    named = Settings(options={"reddit_handle": "u/ada_l"}, contact="me@example.org")
    assert user_agent(named).startswith("python:ettametta:")
    assert user_agent(named).endswith(" (by /u/ada_l)")
    assert user_agent(Settings(contact="me@example.org")).endswith(" (me@example.org)")


async def test_search_gives_videos_only_and_signs_in_once(tmp_path: Path) -> None:
    """Half of the sandbox's posts are questions without a video; a sign-in for each scan gets a client banned."""
    async with imitated("reddit", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=10)
        assert len(found) == 6
        assert {candidate.platform_id[0] for candidate in found} == {"p"}
        await there.adapter.discover("volcano", limit=10)
        assert (await there.calls("token"), await there.calls("search")) == (1, 2)
        there.clock.turn(hours=25)
        await there.adapter.discover("chess", limit=10)
        assert await there.calls("token") == 2


async def test_answer_is_used_again_with_its_own_time(tmp_path: Path) -> None:
    """Two channels of one niche ask twice; counts that are dated later than they were read show a growth too small."""
    async with imitated("reddit", tmp_path) as there:
        first = await there.adapter.discover("deep sea", limit=5)
        there.clock.turn(minutes=4)
        assert await there.adapter.discover("deep sea", limit=5) == first
        there.clock.turn(minutes=2)
        again = await there.adapter.discover("deep sea", limit=5)
        assert again[0].observed_at == first[0].observed_at + timedelta(minutes=6)
        assert await there.calls("search") == 2


async def test_token_that_ends_early_is_replaced(tmp_path: Path) -> None:
    """A person who renews the app's secret must not wait a day."""
    async with imitated("reddit", tmp_path) as there:
        await there.adapter.discover("deep sea", limit=5)
        there.clock.turn(minutes=10)
        await there.set("search", kind="status", status=401, times=1)
        assert await there.adapter.discover("deep sea", limit=5)
        assert (await there.calls("token"), await there.calls("search")) == (2, 3)


async def test_wrong_secret_is_told_and_never_shown(tmp_path: Path) -> None:
    """The text ends in the log and in front of people."""
    async with imitated("reddit", tmp_path, reddit_client_secret="another-word") as there:
        with capture_logs() as logs, pytest.raises(Reject) as refused:
            await there.adapter.discover("deep sea", limit=5)
        assert "REDDIT_CLIENT_SECRET" in str(refused.value)
        shown = f"{refused.value!r} {refused.value.__cause__!r} {logs}"
        assert "another-word" not in shown
        assert base64.b64encode(b"sandbox-reddit:another-word").decode() not in shown
        assert await there.calls("search") == 0


@pytest.mark.parametrize("name", sorted(OPTIONS))
async def test_missing_credential_is_named(name: str, tmp_path: Path) -> None:
    """A request without it would only be refused."""
    async with imitated("reddit", tmp_path, **{name: None}) as there:
        with pytest.raises(Reject, match=rf"{name.upper()} is not set\. .*reddit\.com/prefs/apps"):
            await there.adapter.discover("deep sea", limit=5)
        assert await there.calls("token") == 0


async def test_fractional_remainder_pauses(tmp_path: Path) -> None:
    """Half a request is none: the next one would be answered with 429."""
    async with told(Reddit, tmp_path, {"access_token": "t", "expires_in": 60_000}, listing(), options=OPTIONS) as (
        platform,
        adapter,
        clock,
    ):
        platform.headers = {"x-ratelimit-remaining": "0.5", "x-ratelimit-reset": "77", "x-ratelimit-used": "999.5"}
        assert await adapter.discover("deep sea", limit=5) == ()
        with pytest.raises(RateLimited) as limited:
            await adapter.discover("volcano", limit=5)
        assert limited.value.until == clock.now() + timedelta(seconds=77)
        assert len(platform.asked) == 2


async def test_pages_follow_until_there_is_enough(tmp_path: Path) -> None:
    """Posts with a video may stand behind a page of posts without one; a listing without an end is not followed."""
    answers = [{"access_token": "t", "expires_in": 86_400}, listing(after="t3_a"), listing(post(), after="t3_b")]
    answers += [listing(post(), after=f"t3_{mark}") for mark in "cdef"]
    async with told(Reddit, tmp_path, *answers, options=OPTIONS | {"reddit_subreddits": "oceans,videos"}) as (
        platform,
        adapter,
        _,
    ):
        assert len(await adapter.discover("deep sea", limit=1)) == 1
        searches = [asked for asked in platform.asked if asked.method == "GET"]
        assert [asked.query.get("after") for asked in searches] == [None, "t3_a"]
        assert {asked.path for asked in searches} == {"/r/oceans+videos/search"}
        assert searches[0].headers["Authorization"] == "bearer t"
        assert len(await adapter.discover("volcano", limit=9)) == 1
        assert len(platform.asked) == 6, "three pages are the most"


async def test_words_are_needed(tmp_path: Path) -> None:
    """A search for nothing finds everything."""
    async with imitated("reddit", tmp_path) as there:
        with pytest.raises(Reject, match="no words"):
            await there.adapter.discover("  ", limit=5)
        assert await there.calls("token") == 0
