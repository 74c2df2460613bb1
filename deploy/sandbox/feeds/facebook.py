"""Videos and reels of two Facebook pages, imitated.

Docs: developers.facebook.com/docs/graph-api/reference: page/videos, video, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._graph import GraphStage, error, moment, refusal
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

PAGES = {"61550000000001": "Sandbox Nature", "61550000000002": "Sandbox Street"}
CREDENTIALS = {"facebook_access_token": "sandbox-facebook", "facebook_page_ids": ",".join(PAGES)}

_OF_NICHE = {"deep sea": 0, "volcano": 0, "street food": 1, "chess": 1}


class Facebook:
    """Two pages that the token may read."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._graph = GraphStage(stage, token=CREDENTIALS["facebook_access_token"])
        stage.get("/{page}/videos", "search", self._videos, refusal=refusal)
        stage.get("/{page}/video_reels", "search", self._reels, refusal=refusal)

    async def _videos(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, tall=False)

    async def _reels(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, tall=True)

    def _answer(self, request: web.Request, *, tall: bool) -> web.Response:
        self._graph.check_token(request)
        page = request.match_info["page"]
        if page not in PAGES:
            words = f"Unsupported get request. Object with ID '{page}' does not exist, cannot be loaded due to missing "
            raise Refused(error(400, 100, f"{words}permissions, or does not support this operation.", subcode=33))
        works = [
            work
            for work in self._stage.catalogue.search("sandbox")
            if list(PAGES)[_OF_NICHE[work.niche]] == page and (work.height_px > work.width_px) is tall
        ]
        works.sort(key=self._stage.catalogue.published_s, reverse=True)
        return self._graph.answer(request, [self._video(request, page, work) for work in works], usual=25, most=100)

    def _video(self, request: web.Request, page: str, work: Listed) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        tall = work.height_px > work.width_px
        path = f"/reel/{work.number}/" if tall else f"/{page}/videos/{work.number}/"
        return {
            "id": str(work.number),
            "title": None if tall else work.title,
            "description": f"{work.title}\n{work.description} #{work.tags[0]}",
            "length": work.duration_s,
            "views": counts.views,
            "created_time": moment(self._stage.catalogue.published_s(work)),
            "permalink_url": path,
            "picture": f"https://scontent.example/{work.number}.jpg",
            "source": self._stage.media_url(request, work),
            "from": {"name": PAGES[page], "id": page},
            "likes": {"data": [], "summary": {"total_count": counts.likes, "can_like": True, "has_liked": False}},
            "comments": {"data": [], "summary": {"order": "ranked", "total_count": counts.comments}},
        }


FEED = Facebook
