"""Pixabay, as the sandbox plays it: the search for videos, and the files.

Docs: pixabay.com/api/docs (read 2026-11-23): the key in the address, 3 to 200 results, 500 a query, 100 requests in
60 seconds with the seconds that are left in a header, errors in plain text.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "PixabayFeed"]

CREDENTIALS: Final = {"pixabay_api_key": "sandbox-pixabay"}
RATE: Final = 100
RATE_WINDOW_S: Final = 60
MOST_REACHED: Final = 500
MOST_QUERY_CHARS: Final = 100


class PixabayFeed:
    """GET /videos/."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/videos/", "search", self._search, refusal=refusal)
        stage.serve_media()

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("key") != CREDENTIALS["pixabay_api_key"]:
            raise Refused(refusal(400, "Invalid or missing API key (https://pixabay.com/api/docs/)."))
        left, resets_s = self._stage.take("calls", limit=RATE, window_s=RATE_WINDOW_S)
        rates = {
            "X-RateLimit-Limit": str(RATE),
            "X-RateLimit-Remaining": str(max(0, left)),
            "X-RateLimit-Reset": str(max(1, round(resets_s - self._stage.sandbox.now()))),
        }
        if left < 0:
            answer = refusal(429, "")
            answer.headers.update(rates)
            raise Refused(answer)
        if len(query.get("q", "")) > MOST_QUERY_CHARS:
            raise Refused(refusal(400, '"q" is too long'))
        page, size = _number(query.get("page", "1"), 1, MOST_REACHED), _number(query.get("per_page", "20"), 3, 200)
        works = self._stage.catalogue.search(query.get("q", ""))
        if page > 1 and (page - 1) * size >= len(works):
            raise Refused(refusal(400, '"page" is out of valid range.'))
        body = {
            "total": len(works),
            "totalHits": min(len(works), MOST_REACHED),
            "hits": [self._hit(request, work) for work in works[(page - 1) * size : page * size]],
        }
        return web.json_response(body, headers=rates)

    def _hit(self, request: web.Request, work: Listed) -> dict[str, Any]:
        link = self._stage.media_url(request, work)
        counts = self._stage.catalogue.counts(work)

        def file(name: str, across: int) -> dict[str, Any]:
            if name == "large" and work.number % 2:
                return {"url": "", "width": 0, "height": 0, "size": 0, "thumbnail": ""}
            short = across * 9 // 16
            upright = work.height_px > work.width_px
            return {
                "url": f"{link}?size={name}",
                "width": short if upright else across,
                "height": across if upright else short,
                "size": across * 900,
                "thumbnail": f"https://cdn.pixabay.com/video/{work.number}_{name}.jpg",
            }

        sizes = {"large": 3840, "medium": 2560, "small": 1920, "tiny": 960}
        return {
            "id": work.number,
            "pageURL": f"https://pixabay.com/videos/id-{work.number}/",
            "type": "film",
            "tags": ", ".join(work.tags),
            "duration": round(work.duration_s),
            "videos": {name: file(name, across) for name, across in sizes.items()},
            "views": counts.views,
            "downloads": counts.views // 2,
            "likes": counts.likes,
            "comments": counts.comments,
            "user_id": 700 + work.number % 3,
            "user": work.creator,
            "userImageURL": "",
        }


def refusal(status: int, reason: str) -> web.Response:
    """Write an error in plain text."""
    text = "API rate limit exceeded" if status == 429 else f"[ERROR {status}] {reason or 'The sandbox refuses this.'}"
    return web.Response(status=status, text=text)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        raise Refused(refusal(400, "a number is out of valid range."))
    return int(text)


FEED = PixabayFeed
