"""Rumble, as the sandbox plays it: the RSS feeds of two channels.

Docs: none that is public; RSS 2.0 with Media RSS and iTunes elements. Answers carry an ETag, and 304 confirms it.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from xml.sax.saxutils import escape

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "RumbleFeed"]

_CHANNELS: Final = {"nature": ("deep sea", "volcano"), "city": ("street food", "chess")}
CREDENTIALS: Final = {"rumble_channels": ", ".join(f"https://rumble.com/feeds/{name}.xml" for name in _CHANNELS)}


class RumbleFeed:
    """GET /feeds/{channel}.xml."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/feeds/{channel}.xml", "search", self._rss, refusal=refusal)

    async def _rss(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        if channel not in _CHANNELS:
            raise Refused(refusal(404, ""))
        works = sorted(
            (work for work in WORKS if work.niche in _CHANNELS[channel]), key=lambda work: (work.age_days, work.id)
        )
        items = "".join(self._item(work) for work in works)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><rss xmlns:media="http://search.yahoo.com/mrss/" '
            'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" version="2.0"><channel>'
            f"<title>Sandbox {channel}</title><link>https://rumble.com/c/{channel}</link><language>en</language>"
            f"<description>A made-up channel.</description>{items}</channel></rss>"
        )
        body = text.encode()
        etag = f'"{zlib.crc32(body):08x}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, headers={"Content-Type": "application/rss+xml", "ETag": etag})

    def _item(self, work: Listed) -> str:
        link = f"https://rumble.com/v{work.number:x}-{work.id}.html"
        counts = self._stage.catalogue.counts(work)
        moment = datetime.fromtimestamp(self._stage.catalogue.published_s(work), UTC)
        community = f'<media:community><media:statistics views="{counts.views}"/></media:community>'
        tags = "".join(f"<category>{escape(tag)}</category>" for tag in work.tags)
        return (
            f"<item><title>{escape(work.title)}</title><link>{link}</link><guid>{link}</guid>"
            f"<description>{escape(f'<p>{work.description}</p>')}</description>"
            f"<pubDate>{format_datetime(moment)}</pubDate><itunes:duration>{round(work.duration_s)}</itunes:duration>"
            f'<media:thumbnail url="https://sp.rmbl.ws/{work.number}.jpg"/>{community}{tags}</item>'
        )


def refusal(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=reason or "<html><title>Error</title></html>", content_type="text/html")


FEED = RumbleFeed
