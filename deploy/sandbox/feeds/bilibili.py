"""Bilibili as the sandbox plays it: the list of what is popular.

Docs: none; the shape is that of a recorded answer and of a client library, read 2026-11-23. Faults come with status
200 and a code in the envelope, except -412, which has its own status.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {"bilibili_enabled": "true"}
WINDOW_S: Final = 60
PER_WINDOW: Final = 60
"""Requests after which a client is held for automatic; the real number is not known."""


def envelope(code: int, message: str, status: int = 200, **more: Any) -> web.Response:
    return web.json_response({"code": code, "message": message, "ttl": 1} | more, status=status)


def refusal(status: int, reason: str = "") -> web.Response:
    return envelope(-status, reason or f"request was refused ({status})", status)


class Bilibili:
    """The data host."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/x/web-interface/popular", "search", self._popular, refusal=refusal)

    async def _popular(self, request: web.Request) -> web.Response:
        left, _ = self._stage.take("requests", limit=PER_WINDOW, window_s=WINDOW_S)
        if left < 0:
            return envelope(-412, "request was banned", 412)
        try:
            number, size = int(request.query.get("pn", "1")), int(request.query.get("ps", "20"))
        except ValueError:
            return envelope(-400, "请求错误")
        if number < 1 or not 1 <= size <= 50:
            return envelope(-400, "请求错误")
        counts = self._stage.catalogue.counts
        works = sorted(WORKS, key=lambda work: (-counts(work).views, work.id))
        page = works[(number - 1) * size : number * size]
        data = {"list": [self._video(work) for work in page], "no_more": number * size >= len(works)}
        return envelope(0, "0", data=data)

    def _video(self, work: Listed) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        return {
            "aid": work.number,
            "bvid": f"BV1sb{work.number}x",
            "videos": 1,
            "tid": 1,
            "tname": work.niche,
            "copyright": 1 + work.number % 2,
            "pic": f"http://i0.hdslb.com/bfs/archive/sandbox{work.number}.jpg",
            "title": work.title,
            "pubdate": int(self._stage.catalogue.published_s(work)),
            "desc": work.description,
            "duration": round(work.duration_s),
            "owner": {"mid": work.number + 1, "name": work.creator, "face": ""},
            "stat": {
                "aid": work.number,
                "view": counts.views,
                "danmaku": counts.comments * 2,
                "reply": counts.comments,
                "favorite": counts.likes // 4,
                "coin": counts.likes // 6,
                "share": counts.shares,
                "like": counts.likes,
            },
            "dimension": {"width": work.width_px, "height": work.height_px, "rotate": 0},
        }


FEED = Bilibili
