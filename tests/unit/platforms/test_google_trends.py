"""Google Trends: feeds written by hand after those of others, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.platforms.google_trends import parse_topics, parse_traffic
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.imitated import imitated

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<rss xmlns:ht="https://trends.google.com/trending/rss" version="2.0"><channel>'
)
ITEM = (
    "<item><title>lava &amp; snow</title><ht:approx_traffic>200K+</ht:approx_traffic><description/>"
    "<link>https://trends.google.com/trending/rss?geo=US</link><pubDate>Mon, 23 Nov 2026 02:10:00 -0800</pubDate>"
    "<ht:news_item><ht:news_item_title>Volcano wakes</ht:news_item_title></ht:news_item>"
    "<ht:news_item><ht:news_item_title>Why snow explodes</ht:news_item_title></ht:news_item></item>"
)


def feed(*items: str) -> bytes:
    return f"{HEAD}<title>Daily</title>{''.join(items)}</channel></rss>".encode()


def test_topic_is_read() -> None:
    """Every news title counts: words that come together are how related niches are found."""
    (topic,) = parse_topics(feed(ITEM), region="US", at=AT)
    assert (topic.name, topic.volume, topic.unit) == ("lava & snow", 200_000, "searches, at least")
    assert topic.related == ("Volcano wakes", "Why snow explodes")
    assert topic.started_at == datetime(2026, 11, 23, 10, 10, tzinfo=UTC)
    assert (topic.region, topic.observed_at) == ("US", AT)


def test_what_is_not_told_is_unknown() -> None:
    """No traffic is not zero traffic; a topic without news is a topic."""
    bare = "<item><title>たこ焼き</title><pubDate>some day</pubDate></item>"
    nameless = "<item><title> </title></item>"
    (topic,) = parse_topics(feed(bare, nameless), region="JP", at=AT)
    assert (topic.name, topic.volume, topic.unit, topic.started_at, topic.url) == ("たこ焼き", None, "", None, None)


def test_empty_channel_is_no_fault() -> None:
    """A quiet hour is no broken feed."""
    assert parse_topics(feed(), region="US", at=AT) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><title>Error</title></html>",
        feed(ITEM)[:200],
        b'<?xml version="1.0"?><rss version="2.0"/>',
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><rss><channel>&a;</channel></rss>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x [<!ENTITY a "b">]><rss><channel/></rss>'.encode("utf-16"),
        '<?xml version="1.0" encoding="cp037"?><!DOCTYPE x [<!ENTITY a "b">]><rss><channel/></rss>'.encode("cp037"),
    ],
)
def test_what_is_no_feed_is_tried_later(body: bytes) -> None:
    """An error page must not pass for a day on which nobody searched; entities must not grow."""
    with pytest.raises(Retry):
        parse_topics(body, region="US", at=AT)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2000+", 2000),
        ("2,000+", 2000),
        ("200K+", 200_000),
        ("1.5M+", 1_500_000),
        ("500", 500),
        ("", None),
        ("many", None),
        ("1.2.3K", None),
    ],
)
def test_traffic(text: str, number: int | None) -> None:
    """The platform writes it in two ways; a number that is misread is off by a thousand."""
    assert parse_traffic(text) == number


async def test_sandbox_is_read_once_in_half_an_hour(tmp_path: Path) -> None:
    """Many niches ask for the same country: that is one request."""
    async with imitated("google_trends", tmp_path) as there:
        topics = await there.adapter.trends(region="us", limit=3)
        assert [topic.name for topic in topics] == ["lava meets snow", "chess world cup", "anglerfish"]
        assert topics[2].related[1] == "What lives in the deep sea"
        assert {topic.region for topic in topics} == {"US"}
        began = there.clock.now()
        there.clock.turn(minutes=29)
        assert (await there.adapter.trends(region="US", limit=9))[0].observed_at == began
        assert await there.calls("search") == 1
        assert await there.adapter.trends(region="FR", limit=3) == ()
        await there.set("search", kind="status", status=429)
        with pytest.raises(RateLimited):
            await there.adapter.trends(region="GB", limit=3)


async def test_region_comes_from_the_settings_where_none_is_asked_for(tmp_path: Path) -> None:
    """The feed knows no world: the operator's own country says more than another's."""
    async with imitated("google_trends", tmp_path, google_trends_region="de") as there:
        assert {topic.region for topic in await there.adapter.trends(region=None, limit=3)} == {"DE"}
        with pytest.raises(Reject, match="'everywhere' is no region"):
            await there.adapter.trends(region="everywhere", limit=3)
