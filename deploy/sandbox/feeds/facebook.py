"""Facebook, imitated: videos and reels of two pages; consent, reels of own pages and their figures.

Docs: developers.facebook.com/docs/graph-api/reference: page/videos, video, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.feeds._facebook_reels import PageReels
from deploy.sandbox.feeds._graph import GraphStage, gone, moment, refusal
from deploy.sandbox.feeds._graph_login import APP, Login
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

PAGES = {"61550000000001": "Sandbox Nature", "61550000000002": "Sandbox Street"}
CREDENTIALS = {"facebook_access_token": "sandbox-facebook", "facebook_page_ids": ",".join(PAGES), **APP}
SCOPES = {
    "pages_show_list": "See which pages you manage",
    "pages_read_engagement": "Read posts of pages",
    "pages_read_user_content": "Read what people write on pages",
    "pages_manage_posts": "Post for pages",
    "read_insights": "See figures of posts",
}

_OF_NICHE = {"deep sea": 0, "volcano": 0, "street food": 1, "chess": 1}


class Facebook:
    """Two pages that the token may read."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._graph = GraphStage(stage, token=CREDENTIALS["facebook_access_token"])
        stage.get("/{page}/videos", "search", self._videos, refusal=refusal)
        stage.get("/{page}/video_reels", "search", self._reels, refusal=refusal)
        Login(self._graph, title="Facebook", scopes=SCOPES, page=_page)
        self._own = PageReels(self._graph)

    async def _videos(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, tall=False)

    async def _reels(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, tall=True)

    def _answer(self, request: web.Request, *, tall: bool) -> web.Response:
        holder = self._graph.check_token(request)
        page = request.match_info["page"]
        if holder is not None and page == holder.account:
            return self._graph.answer(request, self._own.listed(holder) if tall else [], usual=25, most=100)
        if page not in PAGES:
            raise gone(page)
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


def _page(account: str) -> dict[str, Any]:
    return {
        "id": account,
        "name": f"Page of {account}",
        "link": f"https://www.facebook.com/{account}",
        "picture": {"data": {"url": "https://scontent.example/p.jpg"}},
        "tasks": ["ANALYZE", "CREATE_CONTENT"],
    }


FEED = Facebook
