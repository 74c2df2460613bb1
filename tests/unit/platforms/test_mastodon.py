"""Mastodon: answers written after the documentation, answers with drift, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.platforms.mastodon import Mastodon, parse_statuses, parse_tags, server_of, tag_of
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Candidate
from contracts.rights import may
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVER = "mastodon.social"
VIDEO = {
    "id": "9",
    "type": "video",
    "url": "https://files.mastodon.social/a.mp4",
    "preview_url": "https://files.mastodon.social/a.png",
    "description": "A squid swims by",
    "meta": {"original": {"width": 1080, "height": 1920, "frame_rate": "30/1", "duration": 12.5}},
}


def status(**more: Any) -> dict[str, Any]:
    stated = {
        "id": "113500000000000001",
        "uri": "https://other.example/users/ada/statuses/1",
        "url": "https://other.example/@ada/1",
        "created_at": "2026-11-22T10:00:00.000Z",
        "content": "<p>A squid at 3,000&nbsp;m <a href='x'>#<span>deepsea</span></a></p><p>More</p>",
        "spoiler_text": "",
        "language": "en",
        "account": {"id": "1", "acct": "ada@other.example", "url": "https://other.example/@ada"},
        "media_attachments": [{"type": "image"}, VIDEO],
        "tags": [{"name": "deepsea", "url": "x"}],
        "card": {"url": "https://youtu.be/abc"},
        "replies_count": 3,
        "reblogs_count": 20,
        "favourites_count": 90,
    }
    return stated | more


def one(reply: Any) -> Any:
    found, _ = parse_statuses([reply], AT, server=SERVER)
    return found[0] if found else None


def test_post_becomes_a_candidate() -> None:
    """Ranking works on these fields; the file of the video is nobody's to take."""
    found = one(status())
    assert found.item_id == "mastodon:113500000000000001@mastodon.social"
    assert found.url == "https://other.example/@ada/1"
    assert (found.title, found.description) == ("A squid at 3,000 m #deepsea More", "A squid at 3,000 m #deepsea\nMore")
    assert (found.creator, found.tags, found.language) == ("ada@other.example", ("deepsea",), "en")
    assert (found.duration_us, found.width_px, found.height_px) == (12_500_000, 1080, 1920)
    metrics = found.metrics
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (None, 90, 3, 20)
    assert metrics.absent == {"views": "Mastodon does not count views"}
    assert (found.links, found.media_url) == (("https://youtu.be/abc",), None)
    assert not may("download", found.rights, at=AT).allowed


@pytest.mark.parametrize(
    "media", [[], None, [{"type": "image"}], [VIDEO | {"type": "gifv"}], [VIDEO | {"type": "audio"}]]
)
def test_posts_without_a_video_are_left_out(media: Any) -> None:
    """only_media also gives pictures and sounds."""
    assert one(status(media_attachments=media)) is None


def test_local_author_has_a_host() -> None:
    """A name without its host is somebody else's on another server."""
    assert one(status(account={"acct": "ada"})).creator == "ada@mastodon.social"
    assert one(status(account={})).creator is None


def test_drift_gives_no_other_error() -> None:
    """A field that changes overnight must not end as a fault of the product."""
    assert_withstands([status()], lambda changed: parse_statuses(changed, AT, server=SERVER)[0])
    strange: Any
    for strange in (None, {}, "x", {"error": "x"}, [7], [{"id": 7}]):
        with pytest.raises(Retry):
            parse_statuses(strange, AT, server=SERVER)


def test_rising_hashtags_are_read() -> None:
    """Counts are texts, today first."""
    tag = {
        "name": "squid",
        "url": "https://mastodon.social/tags/squid",
        "history": [{"day": "1764460800", "uses": "14", "accounts": "9"}, {"day": "1764374400", "uses": "3"}],
    }
    (topic,) = parse_tags([tag], AT)
    assert (topic.name, topic.volume, topic.unit, topic.region) == ("squid", 14, "uses today", None)
    assert parse_tags([tag | {"history": []}], AT)[0].volume is None
    assert_withstands([tag], lambda changed: parse_tags(changed, AT))


@pytest.mark.parametrize(
    ("setting", "host"),
    [
        (None, SERVER),
        ("", SERVER),
        ("Fosstodon.org", "fosstodon.org"),
        ("https://social.example.org/", "social.example.org"),
    ],
)
def test_server_is_read(setting: str | None, host: str) -> None:
    """People paste addresses."""
    assert server_of(setting) == host


@pytest.mark.parametrize(
    "setting", ["localhost", "127.0.0.1", "a b.org", "user@host.org", "host.org/path", "http://host.org"]
)
async def test_wrong_server_is_told_before_a_request(setting: str, tmp_path: Path) -> None:
    """The setting must not lead requests to other places."""
    async with imitated("mastodon", tmp_path, mastodon_server=setting) as there:
        with pytest.raises(Reject, match="MASTODON_SERVER"):
            await there.adapter.discover("deep sea", limit=5)
        with pytest.raises(Reject, match="MASTODON_SERVER"):
            await there.adapter.trends(region=None, limit=5)
        assert (await there.calls("search"), await there.calls("trends")) == (0, 0)


async def test_each_server_has_its_own_host(tmp_path: Path) -> None:
    """One that is set and not asked is worse than none."""

    class Anything:
        settings = Settings(options={"mastodon_server": "fosstodon.org"})

    means: Any = Anything()
    assert Mastodon(means)._api.base_url == "https://fosstodon.org"


@pytest.mark.parametrize(("niche", "tag"), [("deep sea", "deepsea"), ("Street-Food!", "streetfood"), ("深海", "深海")])
def test_niche_becomes_a_hashtag(niche: str, tag: str) -> None:
    """Hashtags have no spaces and no marks."""
    assert tag_of(niche) == tag


@pytest.mark.parametrize("niche", ["", "  ", "!!", "2026"])
def test_niche_that_is_no_hashtag_is_told(niche: str) -> None:
    """A request for an empty hashtag is answered with 404."""
    with pytest.raises(Reject):
        tag_of(niche)


async def test_most_liked_come_first(tmp_path: Path) -> None:
    """The timeline is by time; the newest post of all has no likes yet."""
    async with imitated("mastodon", tmp_path) as there:
        found: tuple[Candidate, ...] = await there.adapter.discover("deep sea", limit=3)
        likes = [candidate.metrics.likes or 0 for candidate in found]
        assert len(likes) == 3
        assert likes == sorted(likes, reverse=True)
        assert await there.adapter.discover("deep sea", limit=3) == found
        assert await there.calls("search") == 1, "kept answers do"
        topics = await there.adapter.trends(region="DE", limit=2)
        assert [topic.name for topic in topics] == ["deepsea", "streetfood"]


async def test_pages_go_back_and_end(tmp_path: Path) -> None:
    """Pages are asked for by the id of the last post, also where all its posts were left out."""
    pictures = [status(id=str(100 - at), media_attachments=[]) for at in range(2)]
    async with told(Mastodon, tmp_path, pictures, [status(id="50")], [], options={}) as (platform, adapter, _):
        assert len(await adapter.discover("deep sea", limit=5)) == 1
        assert [asked.query.get("max_id") for asked in platform.asked] == [None, "99", "50"]
        assert {asked.path for asked in platform.asked} == {"/api/v1/timelines/tag/deepsea"}


async def test_reset_is_read_as_a_moment(tmp_path: Path) -> None:
    """Mastodon writes the moment of the reset out."""
    async with told(Mastodon, tmp_path, {"error": "Too many requests"}, options={}) as (platform, adapter, clock):
        platform.status = 429
        until = clock.now() + timedelta(seconds=131)
        platform.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": until.isoformat().replace("+00:00", "Z")}
        with pytest.raises(RateLimited) as limited:
            await adapter.discover("deep sea", limit=5)
        assert limited.value.until == until
