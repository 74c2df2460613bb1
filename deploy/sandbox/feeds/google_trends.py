"""Google Trends, as the sandbox plays it: the feed of what is searched for today.

Docs: "Trending now" RSS as read by several clients in October 2026 (read 2026-11-23). One topic has no news, one a
title in another script; a country that the sandbox does not know has an empty channel.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final
from xml.sax.saxutils import escape

from aiohttp import web

from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "GoogleTrendsFeed"]

CREDENTIALS: Final[dict[str, str]] = {}
_COUNTRIES: Final = frozenset({"US", "DE", "GB", "JP"})
_TOPICS: Final = (
    ("lava meets snow", "200K+", ("Volcano wakes under the snow", "Why lava and snow explode")),
    ("chess world cup", "50K+", ("Final goes to a tie-break",)),
    ("anglerfish", "20,000+", ("Anglerfish filmed alive", "What lives in the deep sea", "Light in the dark")),
    ("たこ焼き", "2000+", ("Street food festival in Osaka",)),
    ("night market", "500+", ()),
)


class GoogleTrendsFeed:
    """GET /trending/rss."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/trending/rss", "search", self._rss, refusal=refusal)

    async def _rss(self, request: web.Request) -> web.Response:
        place = request.query.get("geo", "")
        if not place:
            return refusal(400, "")
        known = place.partition("-")[0] in _COUNTRIES
        items = "".join(self._item(at, *topic) for at, topic in enumerate(_TOPICS)) if known else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            '<rss xmlns:atom="http://www.w3.org/2005/Atom" xmlns:ht="https://trends.google.com/trending/rss" '
            'version="2.0"><channel><title>Daily Search Trends</title><description>Recent searches</description>'
            f"<link>https://trends.google.com/trending?geo={escape(place)}</link>{items}</channel></rss>"
        )
        return web.Response(body=text.encode(), headers={"Content-Type": "application/rss+xml"})

    def _item(self, at: int, title: str, traffic: str, news: tuple[str, ...]) -> str:
        pacific = timezone(timedelta(hours=-8))
        moment = datetime.fromtimestamp(self._stage.sandbox.now() // 3600 * 3600 - at * 1800, pacific)
        told = "".join(
            f"<ht:news_item><ht:news_item_title>{escape(words)}</ht:news_item_title><ht:news_item_snippet/>"
            f"<ht:news_item_url>https://news.example.org/{at}</ht:news_item_url>"
            "<ht:news_item_source>Example News</ht:news_item_source></ht:news_item>"
            for words in news
        )
        return (
            f"<item><title>{escape(title)}</title><ht:approx_traffic>{traffic}</ht:approx_traffic><description/>"
            f"<link>https://trends.google.com/trending/rss?geo=US</link><pubDate>{format_datetime(moment)}</pubDate>"
            f"<ht:picture>https://example.org/{at}.jpg</ht:picture><ht:picture_source>Example News</ht:picture_source>"
            f"{told}</item>"
        )


def refusal(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=reason or "<html><title>Error</title></html>", content_type="text/html")


FEED = GoogleTrendsFeed
