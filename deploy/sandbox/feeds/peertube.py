"""PeerTube, as the sandbox plays it: the index's search, one server's details of a video, and its files.

Docs: PeerTube REST API (docs.joinpeertube.org, read 2026-11-23): offset paging with at most 100, errors as RFC 7807,
files only in the details, `downloadEnabled` decides whether they are offered.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "PeerTubeFeed", "uuid_of"]

CREDENTIALS: Final[dict[str, str]] = {}
RATE: Final = 50
RATE_WINDOW_S: Final = 10
_LICENCES: Final = {
    "CC-BY-4.0": (1, "Attribution"),
    "CC-BY-SA-4.0": (2, "Attribution - Share Alike"),
    "CC-BY-ND-4.0": (3, "Attribution - No Derivatives"),
    "CC-BY-NC-4.0": (4, "Attribution - Non Commercial"),
    "CC0-1.0": (7, "Public Domain Dedication"),
}


def uuid_of(work: Listed) -> str:
    """Return the id by which every server knows a video."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox:{work.id}"))


class PeerTubeFeed:
    """GET /api/v1/search/videos, /api/v1/videos/{uuid}, and the files."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/api/v1/search/videos", "search", self._search, refusal=refusal)
        stage.get("/api/v1/videos/{uuid}", "details", self._details, refusal=refusal)
        stage.serve_media()

    async def _search(self, request: web.Request) -> web.Response:
        self._count()
        query = request.query
        start, size = _number(query.get("start", "0")), _number(query.get("count", "15"))
        if not query.get("search") or not 1 <= size <= 100:
            raise Refused(refusal(400, "Incorrect request parameters: search, count"))
        works = self._stage.catalogue.search(query["search"])
        data = [self._video(request, work) for work in works[start : start + size]]
        return web.json_response({"total": len(works), "data": data})

    async def _details(self, request: web.Request) -> web.Response:
        self._count()
        work = next((work for work in WORKS if uuid_of(work) == request.match_info["uuid"]), None)
        if work is None:
            raise Refused(refusal(404, "Video not found"))
        link = self._stage.media_url(request, work)
        upright = work.height_px > work.width_px
        files = [
            {
                "id": lines,
                "resolution": {"id": lines, "label": f"{lines}p"},
                "width": lines if upright else lines * 16 // 9,
                "height": lines * 16 // 9 if upright else lines,
                "size": lines * 1000,
                "fps": 25,
                "hasAudio": True,
                "hasVideo": True,
                "fileUrl": link,
                "fileDownloadUrl": f"{link}?lines={lines}",
                "torrentUrl": f"{link}.torrent",
                "magnetUri": "magnet:?xt=urn:btih:sandbox",
            }
            for lines in (2160, 1080, 480)
        ]
        # Some servers keep fragmented files only, and some owners allow no download.
        playlists = [{"id": 1, "type": 1, "files": files}] if work.number % 2 else []
        more = {
            "description": work.description,
            "support": None,
            "tags": list(work.tags[:5]),
            "downloadEnabled": work.licence != "CC-BY-NC-4.0",
            "commentsPolicy": {"id": 1, "label": "Enabled"},
            "files": [] if playlists else files,
            "streamingPlaylists": playlists,
        }
        return web.json_response(self._video(request, work) | more)

    def _count(self) -> None:
        left, resets_s = self._stage.take("calls", limit=RATE, window_s=RATE_WINDOW_S)
        if left < 0:
            answer = refusal(429, "")
            answer.headers["Retry-After"] = str(max(1, round(resets_s - self._stage.sandbox.now())))
            raise Refused(answer)

    def _video(self, request: web.Request, work: Listed) -> dict[str, Any]:
        number, label = _LICENCES.get(work.licence or "", (None, "Unknown"))
        counts = self._stage.catalogue.counts(work)
        published = _iso(self._stage.catalogue.published_s(work))
        actor = {"name": f"sandbox_{work.number % 3}", "displayName": work.creator, "host": request.host}
        key = uuid_of(work)
        return {
            "id": work.number,
            "uuid": key,
            "shortUUID": key[:8],
            "url": f"{self._stage.home(request)}/w/{key}",
            "name": work.title,
            "truncatedDescription": work.description[:250],
            "duration": round(work.duration_s),
            "isLive": False,
            "nsfw": False,
            "category": {"id": 15, "label": "Science & Technology"},
            "licence": {"id": number, "label": label},
            "language": {"id": work.language, "label": "English"},
            "privacy": {"id": 1, "label": "Public"},
            "publishedAt": published,
            "originallyPublishedAt": None,
            "createdAt": published,
            "views": counts.views,
            "likes": counts.likes,
            "dislikes": 0,
            "comments": counts.comments,
            "thumbnailPath": f"/lazy-static/thumbnails/{key}.jpg",
            "previewPath": f"/lazy-static/previews/{key}.jpg",
            "embedPath": f"/videos/embed/{key}",
            "account": actor,
            "channel": actor,
        }


def refusal(status: int, reason: str) -> web.Response:
    """Write a problem of RFC 7807."""
    title = {400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}.get(status, "Error")
    body = {"type": "about:blank", "title": title, "detail": reason or title, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json")


def _number(text: str) -> int:
    if not text.isdigit():
        raise Refused(refusal(400, "Incorrect request parameters: start, count"))
    return int(text)


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


FEED = PeerTubeFeed
