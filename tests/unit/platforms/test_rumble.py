"""Rumble: feeds written by hand, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.platforms.rumble import MOST_BYTES, parse_feed
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.imitated import imitated

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><rss xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" version="2.0"><channel><title>Reef channel</title>'
    "<language>en</language>"
)
ITEM = (
    "<item><title>Reef &amp; night</title><link>https://rumble.com/v4abcd-reef-at-night.html</link>"
    "<description>&lt;p&gt;Corals&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</description><category>sea</category>"
    "<pubDate>Fri, 13 Nov 2026 12:00:00 +0000</pubDate><itunes:duration>1:02</itunes:duration>"
    '<media:thumbnail url="https://sp.rmbl.ws/a.jpg"/>'
    '<media:community><media:statistics views="77"/></media:community></item>'
)


def feed(*items: str) -> bytes:
    return f"{HEAD}{''.join(items)}</channel></rss>".encode()


def test_entry_becomes_a_signal() -> None:
    """Without a licence it must never become material."""
    (found,) = parse_feed(feed(ITEM), at=AT)
    assert (found.item_id, found.url) == ("rumble:v4abcd", "https://rumble.com/v4abcd-reef-at-night.html")
    assert (found.title, found.description, found.tags) == ("Reef & night", "Corals", ("sea",))
    assert (found.creator, found.language, found.duration_us) == ("Reef channel", "en", 62_000_000)
    assert found.thumbnail_url == "https://sp.rmbl.ws/a.jpg"
    assert found.published_at == datetime(2026, 11, 13, 12, tzinfo=UTC)
    assert (found.metrics.views, found.metrics.likes) == (77, None)
    assert set(found.metrics.absent) == {"likes", "comments", "shares"}
    assert (found.media_url, found.rights.licence) == (None, "unknown")


def test_bare_entry_is_read_and_what_is_none_left_out() -> None:
    """Feeds differ in what they tell: only a title and an address are needed."""
    bare = "<item><title>Bare</title><link>https://example.org/a</link></item>"
    strange = (
        "<item><title>Strange</title><link>javascript:x</link></item><item><link>https://example.org/b</link></item>"
    )
    views = '<item><title>V</title><link>https://example.org/c</link><media:statistics views="many"/></item>'
    first, second = parse_feed(feed(bare, strange, views), at=AT)
    assert (first.title, first.published_at, first.duration_us, first.metrics.views) == ("Bare", None, None, None)
    assert second.metrics.views is None
    assert first.item_id != second.item_id


def test_empty_feed_is_no_fault() -> None:
    """A new channel has no videos yet."""
    assert parse_feed(feed(), at=AT) == ()


@pytest.mark.parametrize("body", [b"", b"<html><title>Error</title></html>", feed(ITEM)[:60], b"{}"])
def test_what_is_no_feed_is_tried_later(body: bytes) -> None:
    """An error page must not pass for a channel without videos."""
    with pytest.raises(Retry):
        parse_feed(body, at=AT)


def test_body_is_never_taken_for_the_name_of_a_file(tmp_path: Path) -> None:
    """The library opens what looks like a name: a server could have files of this machine read."""
    file = tmp_path / "feed.xml"
    file.write_bytes(feed(ITEM))
    with pytest.raises(Retry):
        parse_feed(str(file).encode(), at=AT)


def test_huge_feed_is_refused() -> None:
    """Reading takes seconds for each megabyte."""
    with pytest.raises(Reject, match="more than"):
        parse_feed(b" " * (MOST_BYTES + 1), at=AT)


async def test_words_are_looked_for_in_all_feeds(tmp_path: Path) -> None:
    """A channel's whole feed is not about one niche."""
    async with imitated("rumble", tmp_path) as there:
        found = await there.adapter.discover("deep sea", limit=3)
        assert len(found) == 3
        assert all("deep sea" in one.tags for one in found)
        moments = [one.published_at for one in found if one.published_at]
        assert moments == sorted(moments, reverse=True)
        assert await there.adapter.discover("chess", limit=9)
        assert await there.calls("search") == 2, "other words are looked for in what is kept"


async def test_feed_is_confirmed_by_its_etag(tmp_path: Path) -> None:
    """A whole feed every quarter of an hour for nothing new is what gets readers blocked."""
    async with imitated("rumble", tmp_path, rumble_channels="https://rumble.com/feeds/nature.xml") as there:
        await there.adapter.discover("deep sea", limit=3)
        there.clock.turn(minutes=16)
        found = await there.adapter.discover("deep sea", limit=3)
        assert found[0].observed_at == there.clock.now()
        assert await there.calls("search") == 2


async def test_one_broken_feed_does_not_lose_the_others(tmp_path: Path) -> None:
    """A channel that was closed would end every scan."""
    channels = "https://rumble.com/feeds/gone.xml https://rumble.com/feeds/nature.xml"
    async with imitated("rumble", tmp_path, rumble_channels=channels) as there:
        assert await there.adapter.discover("deep sea", limit=3)
        await there.set("search", kind="status", status=429)
        there.clock.turn(hours=1)
        with pytest.raises((RateLimited, Reject)):
            await there.adapter.discover("deep sea", limit=3)


async def test_setting_is_named_where_it_is_missing_or_wrong(tmp_path: Path) -> None:
    """A person must learn what to write there."""
    async with imitated("rumble", tmp_path, rumble_channels=None) as there:
        with pytest.raises(Reject, match="RUMBLE_CHANNELS is not set"):
            await there.adapter.discover("sea", limit=3)
    async with imitated("rumble", tmp_path / "b", rumble_channels="my-channel") as there:
        with pytest.raises(Reject, match="RUMBLE_CHANNELS names 1 that"):
            await there.adapter.discover("sea", limit=3)
