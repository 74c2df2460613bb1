"""Pexels, as the sandbox plays it: the search for videos, and the files.

Docs: pexels.com/api/documentation (second-hand copies of March 2026, read 2026-11-23): the key bare in `Authorization`,
at most 80 results, 200 requests an hour, rate headers with good answers only.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "PexelsFeed"]

CREDENTIALS: Final = {"pexels_api_key": "sandbox-pexels"}
RATE: Final = 200
RATE_WINDOW_S: Final = 3600


class PexelsFeed:
    """GET /videos/search."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/videos/search", "search", self._search, refusal=refusal)
        stage.serve_media()

    async def _search(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != CREDENTIALS["pexels_api_key"]:
            raise Refused(refusal(401, "Unauthorized"))
        left, resets_s = self._stage.take("calls", limit=RATE, window_s=RATE_WINDOW_S)
        if left < 0:
            raise Refused(refusal(429, "Too Many Requests"))
        query = request.query
        if not query.get("query"):
            raise Refused(refusal(400, "The query is missing"))
        page, size = max(1, int(query.get("page", "1"))), min(80, max(1, int(query.get("per_page", "15"))))
        works = self._stage.catalogue.search(query["query"])
        body: dict[str, Any] = {
            "page": page,
            "per_page": size,
            "total_results": len(works),
            "url": f"https://www.pexels.com/search/videos/{query['query']}/",
            "videos": [self._video(request, work) for work in works[(page - 1) * size : page * size]],
        }
        if page * size < len(works):
            body["next_page"] = f"{self._stage.home(request)}/videos/search?page={page + 1}&per_page={size}"
        rates = {
            "X-Ratelimit-Limit": str(RATE),
            "X-Ratelimit-Remaining": str(left),
            "X-Ratelimit-Reset": str(round(resets_s)),
        }
        return web.json_response(body, headers=rates)

    def _video(self, request: web.Request, work: Listed) -> dict[str, Any]:
        slug = re.sub(r"[^a-z0-9]+", "-", work.title.lower()).strip("-")
        page = f"https://www.pexels.com/video/{slug}-{work.number}/"
        link = self._stage.media_url(request, work)

        def file(number: int, quality: str, lines: int | None) -> dict[str, Any]:
            across = None if lines is None else lines * 16 // 9
            upright = work.height_px > work.width_px
            return {
                "id": number,
                "quality": quality,
                "file_type": "application/x-mpegURL" if quality == "hls" else "video/mp4",
                "width": lines if upright else across,
                "height": across if upright else lines,
                "fps": 25.0,
                "link": f"{link}?quality={quality}",
                "size": None if lines is None else lines * 1000,
            }

        return {
            "id": work.number,
            "width": work.width_px,
            "height": work.height_px,
            "url": page,
            "image": f"https://images.pexels.com/videos/{work.number}/pictures/preview-0.jpg",
            "full_res": None,
            "tags": [],
            "duration": round(work.duration_s),
            "user": {"id": 500 + work.number % 3, "name": work.creator, "url": "https://www.pexels.com/@sandbox"},
            "video_files": [file(1, "uhd", 2160), file(2, "hd", 1080), file(3, "sd", 540), file(4, "hls", None)],
            "video_pictures": [{"id": 1, "picture": f"{page}0.png", "nr": 0}],
        }


def refusal(status: int, reason: str) -> web.Response:
    """Write an error; rate headers never come with one."""
    return web.json_response({"status": status, "code": reason or "The sandbox refuses this."}, status=status)


FEED = PexelsFeed
