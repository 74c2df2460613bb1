"""Bluesky: answers written after the lexicons, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.platforms.bluesky import parse_posts, parse_trends
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
VIDEO = {
    "$type": "app.bsky.embed.video#view",
    "cid": "bafkrei1",
    "playlist": "https://video.bsky.app/watch/a/playlist.m3u8",
    "thumbnail": "https://video.bsky.app/watch/a/thumbnail.jpg",
    "alt": "A squid swims by",
    "aspectRatio": {"width": 9, "height": 16},
}
CARD = {
    "$type": "app.bsky.embed.external#view",
    "external": {"uri": "https://youtu.be/abc", "title": "Squid", "thumb": "https://cdn.bsky.app/t.jpg"},
}
LINK = {"$type": "app.bsky.richtext.facet#link", "uri": "https://vimeo.com/12345"}


def post(
    text: str = "A squid at 3,000 m #deepsea", embed: Any = VIDEO, features: Any = (), **more: Any
) -> dict[str, Any]:
    tag = {"$type": "app.bsky.richtext.facet#tag", "tag": "deepsea"}
    stated = {
        "uri": "at://did:plc:abc123/app.bsky.feed.post/3kxyz",
        "cid": "bafyrei1",
        "author": {"did": "did:plc:abc123", "handle": "ada.bsky.social", "displayName": "Ada"},
        "record": {
            "$type": "app.bsky.feed.post",
            "text": text,
            "createdAt": "2026-11-22T10:00:00.000Z",
            "langs": ["en"],
            "facets": [{"index": {"byteStart": 0, "byteEnd": 3}, "features": [tag, *features]}],
            "tags": ["squid"],
        },
        "replyCount": 3,
        "repostCount": 20,
        "likeCount": 90,
        "quoteCount": 2,
        "indexedAt": "2026-11-22T10:00:05.000Z",
    }
    return stated | ({"embed": embed} if embed else {}) | more


def one(reply: Any) -> Any:
    found, _ = parse_posts({"posts": [reply]}, AT)
    return found[0] if found else None


def test_post_becomes_a_candidate() -> None:
    """Ranking works on these fields; a ratio of sides is no size."""
    found = one(post())
    assert found.item_id == "bluesky:did:plc:abc123:3kxyz"
    assert found.url == "https://bsky.app/profile/ada.bsky.social/post/3kxyz"
    assert (found.creator, found.creator_id, found.language) == ("ada.bsky.social", "did:plc:abc123", "en")
    assert (found.tags, found.width_px, found.duration_us) == (("deepsea", "squid"), None, None)
    metrics = found.metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (None, 90, 3, 22)
    assert metrics.absent == {"views": "Bluesky does not count views"}
    assert (found.media_url, may("download", found.rights, at=AT).allowed) == (None, False)


@pytest.mark.parametrize(
    ("reply", "links"),
    [
        (post(), ()),
        (post(embed=CARD), ("https://youtu.be/abc",)),
        (post(embed=None, features=[LINK]), ("https://vimeo.com/12345",)),
        (post(embed={"$type": "app.bsky.embed.recordWithMedia#view", "media": VIDEO}), ()),
        (post(embed={"$type": "app.bsky.embed.recordWithMedia#view", "media": CARD}), ("https://youtu.be/abc",)),
    ],
)
def test_videos_and_links_to_them_are_found(reply: Any, links: tuple[str, ...]) -> None:
    """A video that a post quotes or links to rises as well."""
    assert one(reply).links == links


@pytest.mark.parametrize(
    "reply",
    [
        post(embed=None),
        post(embed={"$type": "app.bsky.embed.images#view", "images": []}),
        post(embed={"$type": "app.bsky.embed.external#view", "external": {"uri": "https://example.org/article"}}),
        post(uri="at://did:plc:abc123/app.bsky.feed.like/3kxyz"),
    ],
)
def test_other_posts_are_left_out(reply: Any) -> None:
    """A picture that is ranked as a video takes the place of one."""
    assert one(reply) is None


def test_author_cannot_date_a_post_into_the_future() -> None:
    """`createdAt` is whatever the author's program says: a post from next year would be the youngest for ever."""
    reply = post()
    reply["record"]["createdAt"] = "2027-01-01T00:00:00Z"
    assert one(reply).published_at == datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC)


def test_post_without_words_has_a_title() -> None:
    """Nameless candidates cannot be told apart."""
    assert one(post(text="")).title == "A squid swims by"
    assert one(post(text="", embed=VIDEO | {"alt": " "})).title == "Post by ada.bsky.social"
    nameless = post(text="", embed=VIDEO | {"alt": ""}, author={"handle": "handle.invalid"})
    assert one(nameless).url == "https://bsky.app/profile/did:plc:abc123/post/3kxyz"


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    for embed in (VIDEO, CARD):
        reply = {"posts": [post(embed=embed, features=[LINK])], "cursor": "1"}
        assert_withstands(reply, lambda changed: parse_posts(changed, AT)[0])
    strange: Any
    for strange in (None, [], "x", {}, {"posts": None}, {"posts": [{"uri": "at://x"}]}):
        with pytest.raises(Retry):
            parse_posts(strange, AT)


def test_trends_are_read() -> None:
    """A trend is a signal without a work."""
    trend = {
        "topic": "squid",
        "displayName": "Giant squid",
        "link": "/profile/trending.bsky.app/feed/1",
        "startedAt": "2026-11-23T08:00:00Z",
        "postCount": 812,
        "category": "science",
    }
    (topic,) = parse_trends({"trends": [trend]}, AT)
    assert (topic.name, topic.volume, topic.unit, topic.region) == ("Giant squid", 812, "posts", None)
    assert topic.url == "https://bsky.app/profile/trending.bsky.app/feed/1"
    assert topic.started_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert_withstands({"trends": [trend]}, lambda changed: parse_trends(changed, AT))


async def test_public_host_is_asked_without_a_session(tmp_path: Path) -> None:
    """Searches need no account as long as the public host takes them."""
    async with imitated("bluesky", tmp_path, bluesky_handle=None, bluesky_app_password=None) as there:
        found = await there.adapter.discover("deep sea", limit=10)
        assert len(found) == 5, "one of the six works is older than the days that are looked at"
        assert {candidate.platform_id.rpartition(":")[2][:2] for candidate in found} == {"3k"}
        assert await there.calls("token") == 0
        topics = await there.adapter.trends(region="DE", limit=3)
        assert [topic.name for topic in topics] == ["Deep Sea", "Street Food", "Volcano"]


@pytest.mark.parametrize("status", [401, 403])
async def test_public_host_that_wants_a_login_says_what_to_set(status: int, tmp_path: Path) -> None:
    """It does so at times; the person can do something about it."""
    async with imitated("bluesky", tmp_path, bluesky_handle=None, bluesky_app_password=None) as there:
        await there.set("search", kind="status", status=status)
        with pytest.raises(Reject, match="Set BLUESKY_HANDLE and BLUESKY_APP_PASSWORD"):
            await there.adapter.discover("deep sea", limit=5)
        assert await there.calls("search") == 1


async def test_session_is_opened_once_and_again_when_it_ends(tmp_path: Path) -> None:
    """Sessions may be opened 300 times a day, which a busy stack would reach by noon."""
    async with imitated("bluesky", tmp_path) as there:
        await there.adapter.discover("deep sea", limit=5)
        await there.adapter.discover("volcano", limit=5)
        await there.adapter.trends(region=None, limit=5)
        assert await there.calls("token") == 1
        there.clock.turn(hours=3)
        await there.adapter.discover("chess", limit=5)
        assert await there.calls("token") == 2
        there.clock.turn(minutes=10)
        await there.set("search", kind="status", status=400, reason="ExpiredToken", times=1)
        assert await there.adapter.discover("chess", limit=5)
        assert await there.calls("token") == 3


async def test_wrong_password_is_told_and_never_shown(tmp_path: Path) -> None:
    """The text ends in the log and in front of people."""
    async with imitated("bluesky", tmp_path, bluesky_app_password="another-word") as there:
        with capture_logs() as logs, pytest.raises(Reject, match="Check BLUESKY_HANDLE") as refused:
            await there.adapter.discover("deep sea", limit=5)
        assert "another-word" not in f"{refused.value!r} {refused.value.__cause__!r} {logs}"
        assert await there.calls("search") == 0


async def test_handle_without_password_is_told(tmp_path: Path) -> None:
    """Half a login would silently be none."""
    async with imitated("bluesky", tmp_path, bluesky_app_password=None) as there:
        with pytest.raises(Reject, match="BLUESKY_APP_PASSWORD is not set"):
            await there.adapter.discover("deep sea", limit=5)


async def test_limit_of_the_sandbox_pauses_until_its_reset(tmp_path: Path) -> None:
    """The headers say when there is more: asking before is in vain."""
    async with imitated("bluesky", tmp_path) as there:
        await there.set("search", kind="status", status=429, times=1)
        with pytest.raises(RateLimited) as limited:
            await there.adapter.discover("deep sea", limit=5)
        assert limited.value.until == there.clock.now() + timedelta(seconds=60)
