"""X: recorded answers, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from actors.platforms._x.search import parse_answer, query_for
from actors.platforms.x import CAPS, X
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from deploy.sandbox.feeds import x as feed
from tests.unit.platforms.adapters import adapter_on
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"x_bearer_token": "sandbox-x"}
CAPPED = {
    "title": "Usage Capped",
    "detail": "Spend cap reached",
    "type": "https://api.x.com/2/problems/usage-capped",
    "status": 403,
}


def post(**more: Any) -> dict[str, Any]:
    stated = {
        "id": "1860000000000000001",
        "text": "A squid at 3,000 m #deepsea https://t.co/own",
        "author_id": "77",
        "created_at": "2026-11-22T10:00:00.000Z",
        "lang": "en",
        "attachments": {"media_keys": ["13_1"]},
        "entities": {
            "hashtags": [{"start": 19, "end": 27, "tag": "deepsea"}],
            "urls": [
                {
                    "expanded_url": "https://x.com/a/status/1/video/1",
                    "display_url": "pic.x.com/own",
                    "media_key": "13_1",
                },
                {
                    "expanded_url": "https://bit.ly/a",
                    "unwound_url": "https://youtu.be/abc",
                    "display_url": "youtu.be/abc",
                },
            ],
        },
        "public_metrics": {
            "repost_count": 20,
            "reply_count": 3,
            "like_count": 90,
            "quote_count": 2,
            "bookmark_count": 4,
            "impression_count": 4000,
        },
    }
    return stated | more


def media(**more: Any) -> dict[str, Any]:
    stated = {
        "media_key": "13_1",
        "type": "video",
        "duration_ms": 12_345,
        "width": 1080,
        "height": 1920,
        "preview_image_url": "https://pbs.twimg.com/a.jpg",
        "public_metrics": {"view_count": 2500},
        "variants": [{"bit_rate": 1, "content_type": "video/mp4", "url": "https://video.twimg.com/a.mp4"}],
    }
    return stated | more


def answer(*posts: Any, **more: Any) -> dict[str, Any]:
    posts = posts or (post(),)
    told = {"data": [*posts], "includes": {"media": [media()]}, "meta": {"result_count": len(posts)}}
    return told | more


def one(reply: Any) -> Any:
    found, _ = parse_answer(reply, AT)
    return found[0] if found else None


def test_recorded_search_is_read() -> None:
    """Older answers, without counts and with the authors' names, are read as they are."""
    found, following = parse_answer(recorded("x/search_recent_query.json"), AT)
    assert [candidate.platform_id for candidate in found] == [
        "1276035977375477760",
        "1275882613572583424",
        "1275763727908798470",
        "1275653067283759104",
    ]
    first = found[0]
    assert (first.creator, first.creator_id) == ("happycamper", "63046977")
    assert first.url == "https://x.com/happycamper/status/1276035977375477760"
    assert first.published_at == datetime(2020, 6, 25, 6, 14, 19, tzinfo=UTC)
    assert first.links == (), "its own picture is no page elsewhere"
    assert set(first.metrics.absent) == {"views", "likes", "comments", "shares"}
    assert (found[2].language, following) == (None, None)


def test_recorded_posts_of_little_are_read() -> None:
    """Answers with default fields only have an id and a text."""
    reply = recorded("x/liked_tweets.json")
    found, _ = parse_answer(reply, AT)
    assert len(found) == len(reply["data"])
    assert found[0].url == "https://x.com/i/status/1345434652891373571"


def test_post_becomes_a_candidate() -> None:
    """Ranking works on these fields; the file in `variants` is nobody's to take."""
    found = one(answer())
    assert (found.duration_us, found.width_px, found.height_px) == (12_345_000, 1080, 1920)
    assert (found.tags, found.links, found.language) == (("deepsea",), ("https://youtu.be/abc",), "en")
    metrics = found.metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (2500, 90, 3, 22)
    assert (found.creator, found.creator_id, found.media_url) == (None, "77", None)
    assert not may("download", found.rights, at=AT).allowed


def test_older_names_of_counts_are_read() -> None:
    """Prose and schema differ: `retweet_count` and `repost_count` are the same."""
    metrics = one(answer(post(public_metrics={"retweet_count": 5, "reply_count": 1, "like_count": 2}))).metrics
    assert (metrics.shares, metrics.comments, metrics.likes) == (5, 1, 2)


def test_impressions_are_no_views() -> None:
    """A post is shown to many who never look at its video."""
    metrics = one(answer(includes={"media": [media(public_metrics=None)]})).metrics
    assert metrics.views is None
    assert "view count" in metrics.absent["views"]


def test_own_pictures_are_no_links() -> None:
    """A post that seems to point at itself would be joined with itself."""
    urls = [
        {"expanded_url": "https://x.com/a/status/1/photo/1", "display_url": "x.com/a", "media_key": "3_1"},
        {"expanded_url": "https://x.com/a/status/1/video/1", "display_url": "pic.twitter.com/a"},
        {"expanded_url": "https://vimeo.com/1", "display_url": "vimeo.com/1"},
    ]
    assert one(answer(post(entities={"urls": urls}))).links == ("https://vimeo.com/1",)


@pytest.mark.parametrize(
    "reply",
    [
        answer(post(referenced_tweets=[{"type": "retweeted", "id": "1"}])),
        answer(post(referenced_posts=[{"type": "reposted", "id": "1"}])),
        answer(includes={"media": [media(type="photo")]}),
    ],
)
def test_reposts_and_pictures_are_left_out(reply: Any) -> None:
    """The same video under another id would be counted twice."""
    assert one(reply) is None


def test_partial_errors_leave_the_rest() -> None:
    """One suspended author must not hide ninety-nine posts that were paid for."""
    error = {
        "title": "Not Found Error",
        "detail": "no such media",
        "type": "https://api.x.com/2/problems/resource-not-found",
    }
    with capture_logs() as logs:
        assert one(answer(errors=[error])) is not None
    assert [log["event"] for log in logs] == ["discovery.partial_answer"]


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    reply = answer(meta={"result_count": 1, "next_token": "b"}, errors=[{"detail": "x"}])
    reply["includes"]["users"] = [{"id": "77", "username": "ada"}]
    assert_withstands(reply, lambda changed: parse_answer(changed, AT)[0])
    strange: Any
    for strange in (None, [], "x", {}, {"meta": {}}, {"data": {}}, {"data": [{"id": 1}]}):
        with pytest.raises(Retry):
            parse_answer(strange, AT)


@pytest.mark.parametrize(
    ("niche", "words"),
    [
        ("deep sea", '"deep" "sea"'),
        ("OR -is:retweet from:ada", '"OR" "-is:retweet" "from:ada"'),
        ('say "cheese"', '"say" "cheese"'),
    ],
)
def test_niche_is_words_never_operators(niche: str, words: str) -> None:
    """A niche that holds an operator would search, and pay, for something else."""
    assert query_for(niche) == f"{words} has:videos -is:retweet"


def test_long_niche_is_cut_at_a_word() -> None:
    """A query of more than 512 characters is refused; one that is cut in a word finds nothing."""
    query = query_for("abyssal " * 200)
    assert len(query) <= 512
    assert query.endswith('"abyssal" has:videos -is:retweet')
    with pytest.raises(Reject, match="no words"):
        query_for('" "')


def test_cost_is_said_and_nobody_pays_unasked() -> None:
    """Each read costs money: a scan of all platforms must not ask X."""
    assert CAPS.by_name_only
    assert "USD" in CAPS.costs


async def test_reads_no_more_posts_than_asked(tmp_path: Path) -> None:
    """Every post that is read is paid for."""
    async with imitated("x", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=3)
        assert len(found) == 3
        assert found == await there.adapter.discover("deep sea", limit=3), "kept answers are free"
        assert await there.calls("search") == 1
    async with told(X, tmp_path, answer(meta={"result_count": 1, "next_token": "b"}), options=OPTIONS) as (
        platform,
        adapter,
        _,
    ):
        await adapter.discover("deep sea", limit=130)
        assert [asked.query["max_results"] for asked in platform.asked] == ["100", "100"]
        assert [asked.query.get("next_token") for asked in platform.asked] == [None, "b"]
        assert "author_id" not in platform.asked[0].query["expansions"], "a user costs twice as much as a post"


async def test_older_field_names_are_used_where_the_newer_are_unknown(tmp_path: Path) -> None:
    """The parameter was renamed; which one a server knows is found out once."""
    refused = {
        "errors": [
            {"parameters": {"post.fields": ["created_at"]}, "message": "The query parameter [post.fields] is unknown"}
        ],
        "title": "Invalid Request",
        "type": "https://api.x.com/2/problems/invalid-request",
    }
    asked: list[web.Request] = []

    async def reply(request: web.Request) -> web.Response:
        asked.append(request)
        known = "post.fields" not in request.query
        return web.json_response(answer() if known else refused, status=200 if known else 400)

    app = web.Application()
    app.router.add_get("/2/tweets/search/recent", reply)
    async with TestServer(app) as server, adapter_on(X, server, tmp_path, options=OPTIONS) as adapter:
        assert len(await adapter.discover("deep sea", limit=5)) == 1
        assert ["post.fields" in one.query for one in asked] == [True, False]
        assert "public_metrics" in asked[1].query["tweet.fields"]
        await adapter.discover("volcano", limit=5)
        assert len(asked) == 3


async def test_fault_on_a_later_page_keeps_what_was_paid_for(tmp_path: Path) -> None:
    """Each post of the first page cost money."""
    first = answer(meta={"result_count": 1, "next_token": "b"})
    async with told(X, tmp_path, first, {"data": 7}, options=OPTIONS) as (platform, adapter, _):
        assert len(await adapter.discover("deep sea", limit=400)) == 1
        assert len(platform.asked) == 2


@pytest.mark.parametrize(("limit", "size"), [(1, "10"), (25, "25"), (100, "100"), (400, "100")])
async def test_page_is_as_small_as_it_may_be(limit: int, size: str, tmp_path: Path) -> None:
    """Ten posts are the least that can be asked for; each one more costs money."""
    async with told(X, tmp_path, answer(), options=OPTIONS) as (platform, adapter, _):
        await adapter.discover("deep sea", limit=limit)
        assert [asked.query["max_results"] for asked in platform.asked] == [size]


@pytest.mark.parametrize("status", [402, 403, 429])
async def test_used_up_credits_pause_until_the_next_day(status: int, tmp_path: Path) -> None:
    """Asking again does not bring the credits back."""
    async with told(X, tmp_path, CAPPED, options=OPTIONS) as (platform, adapter, _):
        platform.status = status
        for _again in range(2):
            with pytest.raises(RateLimited, match=r"credits or the spending limit.*console\.x\.com") as limited:
                await adapter.discover("deep sea", limit=5)
            assert limited.value.until == datetime(2026, 11, 24, tzinfo=UTC)
        assert len(platform.asked) == 1


async def test_errors_with_status_200_are_told(tmp_path: Path) -> None:
    """An answer of errors alone that is taken for an empty one hides that nothing works."""
    async with told(X, tmp_path, {"errors": [CAPPED]}, options=OPTIONS) as (_, adapter, _clock):
        with pytest.raises(RateLimited):
            await adapter.discover("deep sea", limit=5)
    async with told(X, tmp_path, {"errors": [{"detail": "over capacity"}]}, options=OPTIONS) as (_, adapter, _clock):
        with pytest.raises(Retry, match="over capacity"):
            await adapter.discover("deep sea", limit=5)


async def test_cap_of_the_sandbox_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The imitation counts what is read, as the real one does; the next day there is more."""
    monkeypatch.setattr(feed, "POSTS_A_DAY", 6)
    async with imitated("x", tmp_path) as there:
        assert await there.adapter.discover("deep sea", limit=10)
        there.clock.turn(minutes=16)
        with pytest.raises(RateLimited, match="credits"):
            await there.adapter.discover("deep sea", limit=10)
        there.clock.turn(hours=12)
        assert await there.adapter.discover("deep sea", limit=10)


async def test_wrong_token_is_told_and_never_shown(tmp_path: Path) -> None:
    """The text ends in the log and in front of people."""
    async with imitated("x", tmp_path, x_bearer_token="another-word") as there:
        with capture_logs() as logs, pytest.raises(Reject, match="X_BEARER_TOKEN") as refused:
            await there.adapter.discover("deep sea", limit=5)
        assert "another-word" not in f"{refused.value!r} {refused.value.__cause__!r} {logs}"


async def test_missing_token_is_named(tmp_path: Path) -> None:
    """A request without it would only be refused."""
    async with imitated("x", tmp_path, x_bearer_token=None) as there:
        with pytest.raises(Reject, match=r"X_BEARER_TOKEN is not set\. "):
            await there.adapter.discover("deep sea", limit=5)
        assert await there.calls("search") == 0
