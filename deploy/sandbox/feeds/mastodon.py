"""One Mastodon server as the sandbox plays it: timelines of hashtags, rising hashtags; accounts in _mastodon_posts.

Docs: https://docs.joinmastodon.org/methods/timelines/#tag, /methods/trends/, /api/rate-limits/, read 2026-11-23. A
work's hashtag is its niche in one word. Of two posts about a work one has a video and one a picture.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._mastodon_posts import Accounts
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {}
WINDOW_S: Final = 300
PER_WINDOW: Final = 300
_WORDS: Final = {
    401: "This method requires an authenticated user",
    403: "This action is not allowed",
    404: "Record not found",
    429: "Too many requests",
    503: "Remote SSL certificate could not be verified",
}


def refusal(status: int, reason: str = "") -> web.Response:
    words = reason or _WORDS.get(status, "Something went wrong in the sandbox")
    return web.json_response({"error": words}, status=status)


class Mastodon:
    """The server."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        Accounts(stage, refusal=refusal)
        stage.get("/api/v1/timelines/tag/{tag}", "search", self._timeline, refusal=refusal)
        stage.get("/api/v1/trends/tags", "trends", self._trends, refusal=refusal)

    def _rates(self) -> dict[str, str]:
        left, ends = self._stage.take("requests", limit=PER_WINDOW, window_s=WINDOW_S)
        rates = {
            "X-RateLimit-Limit": str(PER_WINDOW),
            "X-RateLimit-Remaining": str(max(0, left)),
            "X-RateLimit-Reset": _moment(ends),
        }
        if left < 0:
            refused = refusal(429)
            refused.headers.update(rates)
            raise Refused(refused)
        return rates

    async def _timeline(self, request: web.Request) -> web.Response:
        rates = self._rates()
        query = request.query
        tag = request.match_info["tag"].casefold()
        works = [work for work in WORKS if work.niche.replace(" ", "") == tag]
        listed = self._stage.catalogue
        works.sort(key=listed.published_s, reverse=True)
        statuses = [one for work in works for one in self._statuses(work, request)]
        ids = [status["id"] for status in statuses]
        start = ids.index(query["max_id"]) + 1 if query.get("max_id") in ids else 0
        size = min(40, int(query.get("limit", "20")))
        page = statuses[start : start + size]
        if page:
            here = f"{self._stage.home(request)}/api/v1/timelines/tag/{tag}?limit={size}"
            older, newer = f"{here}&max_id={page[-1]['id']}", f"{here}&min_id={page[0]['id']}"
            rates["Link"] = f'<{older}>; rel="next", <{newer}>; rel="prev"'
        return web.json_response(page, headers=rates)

    async def _trends(self, request: web.Request) -> web.Response:
        rates = self._rates()
        size = min(20, int(request.query.get("limit", "10")))
        today = int(self._stage.sandbox.now() // 86_400 * 86_400)
        tags = [
            {
                "name": niche.replace(" ", ""),
                "url": f"{self._stage.home(request)}/tags/{niche.replace(' ', '')}",
                "history": [
                    {
                        "day": str(today - day * 86_400),
                        "uses": str(600 // (index + day + 1)),
                        "accounts": str(90 // (index + day + 1)),
                    }
                    for day in range(7)
                ],
            }
            for index, niche in enumerate(dict.fromkeys(work.niche for work in WORKS))
        ]
        return web.json_response(tags[:size], headers=rates)

    def _statuses(self, work: Listed, request: web.Request) -> list[dict[str, Any]]:
        counts = self._stage.catalogue.counts(work)
        account = work.creator.replace(" ", "_").lower()
        home = self._stage.home(request)
        video = {
            "id": str(work.number),
            "type": "video",
            "url": f"{home}/files/{work.number}.mp4",
            "preview_url": f"{home}/files/{work.number}.png",
            "remote_url": None,
            "description": work.description,
            "meta": {
                "original": {
                    "width": work.width_px,
                    "height": work.height_px,
                    "frame_rate": "30/1",
                    "duration": work.duration_s,
                    "bitrate": 900_000,
                }
            },
        }
        picture = {"id": f"1{work.number}", "type": "image", "url": f"{home}/files/1.png", "meta": {}}
        return [
            {
                "id": f"{first}{work.number}",
                "uri": f"{home}/users/{account}/statuses/{first}{work.number}",
                "url": f"{home}/@{account}/{first}{work.number}",
                "created_at": _moment(self._stage.catalogue.published_s(work)),
                "content": f"<p>{work.title} <a href='{home}/tags/x'>#<span>{work.tags[0]}</span></a></p>",
                "spoiler_text": "",
                "sensitive": False,
                "visibility": "public",
                "language": work.language,
                "account": {"id": "1", "acct": account, "url": f"{home}/@{account}"},
                "media_attachments": [media],
                "tags": [{"name": tag.replace(" ", ""), "url": f"{home}/tags/x"} for tag in work.tags[:3]],
                "card": None,
                "replies_count": counts.comments,
                "reblogs_count": counts.shares,
                "favourites_count": counts.likes,
            }
            for first, media in (("11", video), ("10", picture))
        ]


def _moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


FEED = Mastodon
