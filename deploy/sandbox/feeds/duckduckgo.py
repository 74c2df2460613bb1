"""DuckDuckGo, as the sandbox plays it: the page that holds a token, and the video search that wants it.

Docs: none; shapes after the `ddgs` library 9.16.1 (read 2026-11-23). A wrong token is refused with 403, too many
requests with 202 and no results.
"""

from __future__ import annotations

import html
import zlib
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "DuckDuckGoFeed"]

CREDENTIALS: Final[dict[str, str]] = {}
PAGE_SIZE: Final = 60
RATE: Final = 30
RATE_WINDOW_S: Final = 60


class DuckDuckGoFeed:
    """GET / and GET /v.js."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/", "token", self._page, refusal=refusal)
        stage.get("/v.js", "search", self._search, refusal=refusal)

    async def _page(self, request: web.Request) -> web.Response:
        words = request.query.get("q", "")
        text = (
            f'<!doctype html><title>{html.escape(words)} at DuckDuckGo</title><script>vqd="{_token(words)}";</script>'
        )
        return web.Response(text=text, content_type="text/html")

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        words = query.get("q", "")
        if query.get("vqd") != _token(words) or query.get("o") != "json":
            raise Refused(refusal(403, ""))
        left, _ = self._stage.take("calls", limit=RATE, window_s=RATE_WINDOW_S)
        if left < 0:
            return web.Response(status=202, text="")
        start = int(query.get("s") or "0")
        works = self._stage.catalogue.search(words)
        body: dict[str, Any] = {
            "ads": [],
            "query": words,
            "queryEncoded": words,
            "response_type": "places",
            "results": [self._result(work) for work in works[start : start + PAGE_SIZE]],
        }
        if start + PAGE_SIZE < len(works):
            body["next"] = f"v.js?q={words}&s={start + PAGE_SIZE}"
        return web.json_response(body, content_type="application/x-javascript")

    def _result(self, work: Listed) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        number = f"{work.number:011d}"
        site = ("YouTube", "Vimeo", "Sandbox Tube")[work.number % 3]
        link = {
            "YouTube": f"http://www.youtube.com/watch?v={number}",
            "Vimeo": f"https://vimeo.com/{work.number}",
            "Sandbox Tube": f"https://tube.example.org/watch/{work.id}?utm_source=ddg",
        }[site]
        minutes, seconds = divmod(round(work.duration_s), 60)
        published = datetime.fromtimestamp(self._stage.catalogue.published_s(work), UTC)
        return {
            "content": link,
            "description": work.description,
            "duration": f"{minutes}:{seconds:02d}",
            "embed_html": "",
            "embed_url": "",
            "image_token": "sandbox",
            "images": {"large": f"https://tse.example.org/{number}", "medium": "", "motion": "", "small": ""},
            "provider": "Bing",
            "published": f"{published:%Y-%m-%dT%H:%M:%S}.0000000",
            "publisher": site,
            "statistics": {"viewCount": counts.views if site == "YouTube" else None},
            "title": work.title,
            "uploader": work.creator,
        }


def refusal(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=reason or "If this persists, please email us.", content_type="text/html")


def _token(words: str) -> str:
    return f"4-{zlib.crc32(words.encode())}{'0' * 20}"


FEED = DuckDuckGoFeed
