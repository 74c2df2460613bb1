"""Vimeo, as the sandbox plays it: the search for videos.

Docs: Vimeo OpenAPI 3.4 (developer.vimeo.com, read 2026-11-23): required query, at most 100 results a page, errors with
`error`, `link`, `developer_message` and `error_code`, rate headers with an ISO time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED", "VimeoFeed"]

CREDENTIALS: Final = {"vimeo_access_token": "sandbox-vimeo"}
RATE: Final = 100
RATE_WINDOW_S: Final = 60
_SORTS: Final = frozenset({"alphabetical", "comments", "date", "duration", "likes", "plays", "relevant"})


class VimeoFeed:
    """GET /videos."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.get("/videos", "search", self._search, refusal=refusal)

    async def _search(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").lower() != f"bearer {CREDENTIALS['vimeo_access_token']}":
            raise Refused(refusal(401, "8003"))
        left, resets_s = self._stage.take("calls", limit=RATE, window_s=RATE_WINDOW_S)
        rates = {
            "X-RateLimit-Limit": str(RATE),
            "X-RateLimit-Remaining": str(max(0, left)),
            "X-RateLimit-Reset": _iso(resets_s),
        }
        if left < 0:
            answer = refusal(429, "9000")
            answer.headers.update(rates)
            raise Refused(answer)
        query = request.query
        size, page = _number(query.get("per_page", "25"), most=100), _number(query.get("page", "1"), most=10_000)
        if not query.get("query") or query.get("sort", "relevant") not in _SORTS:
            raise Refused(refusal(400, "2204"))
        works = self._stage.catalogue.search(query["query"])
        shown = works[(page - 1) * size : page * size]
        further = f"/videos?page={page + 1}" if page * size < len(works) else None
        fields = {field.partition(".")[0] for field in query.get("fields", "").split(",") if field}
        body = {
            "total": len(works),
            "page": page,
            "per_page": size,
            "paging": {"next": further, "previous": None, "first": "/videos?page=1", "last": "/videos?page=9"},
            "data": [{k: v for k, v in self._video(work).items() if not fields or k in fields} for work in shown],
        }
        return web.json_response(body, headers=rates)

    def _video(self, work: Listed) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        published = _iso(self._stage.catalogue.published_s(work))
        page = f"https://vimeo.com/{work.number}"
        hidden = work.number % 5 == 0
        return {
            "uri": f"/videos/{work.number}",
            "name": work.title,
            "description": work.description,
            "type": "video",
            "link": page,
            "duration": round(work.duration_s),
            "width": work.width_px,
            "height": work.height_px,
            "language": work.language,
            "license": _flavour(work.licence),
            "created_time": published,
            "modified_time": published,
            "release_time": published,
            "privacy": {"view": "anybody", "embed": "public", "download": False},
            "pictures": {
                "sizes": [{"width": w, "height": w * 9 // 16, "link": f"{page}/{w}.jpg"} for w in (640, 1280)]
            },
            "tags": [{"name": tag, "tag": tag} for tag in work.tags],
            "stats": {"plays": None if hidden else counts.views},
            "metadata": {"connections": {"likes": {"total": counts.likes}, "comments": {"total": counts.comments}}},
            "content_rating": ["safe"],
            "user": {"uri": f"/users/{900 + work.number % 3}", "name": work.creator},
        }


def refusal(status: int, reason: str) -> web.Response:
    """Write an error; `reason` is Vimeo's error code."""
    body = {
        "error": "Something strange occurred. Please contact the app owners.",
        "link": None,
        "developer_message": "The sandbox refuses this request.",
        "error_code": int(reason) if reason.isdigit() else {401: 8003, 429: 9000}.get(status, 7300),
    }
    return web.json_response(body, status=status)


def _flavour(licence: str | None) -> str | None:
    """Return `by-sa` for CC-BY-SA-4.0: Vimeo names no version."""
    return None if licence is None else "cc0" if licence.startswith("CC0") else licence[3:].rpartition("-")[0].lower()


def _number(text: str, *, most: int) -> int:
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refused(refusal(400, "2204"))
    return int(text)


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="seconds")


FEED = VimeoFeed
