"""Dailymotion, as the sandbox plays it: version 0 of the list of videos.

Docs: developers.dailymotion.com (version 0, read 2026-11-23) and a recorded answer: only the wanted fields come, dots
in a field's name stay in it, 100 results a page, 1,000 a query.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "DailymotionFeed"]

CREDENTIALS: Final[dict[str, str]] = {}
MOST_REACHED: Final = 1_000
_SORTS: Final = frozenset({"relevance", "visited", "recent", "trending"})


class DailymotionFeed:
    """GET /videos."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/videos", "search", self._search, refusal=refusal)

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query
        size, page = _number(query.get("limit", "10"), most=100), _number(query.get("page", "1"), most=100)
        if query.get("sort", "recent") not in _SORTS:
            raise Refused(refusal(400, "invalid_parameter"))
        works = self._stage.catalogue.search(query.get("search", ""))[:MOST_REACHED]
        wanted = query.get("fields", "id,title,channel,owner").split(",")
        shown = [self._video(work) for work in works[(page - 1) * size : page * size]]
        if shown and (unknown := [field for field in wanted if field not in shown[0]]):
            raise Refused(refusal(400, f"Invalid field(s): {', '.join(unknown)}"))
        return web.json_response(
            {
                "page": page,
                "limit": size,
                "explicit": False,
                "total": len(works),
                "has_more": page * size < len(works),
                "list": [{field: video[field] for field in wanted} for video in shown],
            }
        )

    def _video(self, work: Listed) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        number = f"x{work.number:x}"
        return {
            "id": number,
            "title": work.title,
            "description": f"{work.description}<br />Second line",
            "channel": "fun",
            "duration": round(work.duration_s),
            "created_time": round(self._stage.catalogue.published_s(work)),
            "url": f"https://www.dailymotion.com/video/{number}",
            "thumbnail_720_url": f"https://s1.dmcdn.net/v/{number}/x720",
            "views_total": counts.views,
            "likes_total": counts.likes,
            "tags": list(work.tags),
            "language": work.language,
            "owner": f"x{work.number % 3 + 100:x}",
            "owner.screenname": work.creator,
        }


def refusal(status: int, reason: str) -> web.Response:
    """Write an error in the shape of version 0."""
    kind = {400: "invalid_parameter", 401: "invalid_token", 403: "access_forbidden", 404: "not_found"}
    error = {"code": status, "message": reason or "The sandbox refuses this.", "type": kind.get(status, "server_error")}
    return web.json_response({"error": error}, status=status)


def _number(text: str, *, most: int) -> int:
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refused(refusal(400, f"the value must lie between 1 and {most}"))
    return int(text)


FEED = DailymotionFeed
