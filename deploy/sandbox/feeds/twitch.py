"""Twitch as the sandbox plays it: tokens for applications, categories, channels, clips.

Docs: https://dev.twitch.tv/docs/api/reference (Search Categories, Get Users, Get Clips), read 2026-11-23. Each niche is
a category; each creator a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.context import Refused, rfc3339
from deploy.sandbox.feeds._app_grant import Grants
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {
    "twitch_client_id": "sandbox-twitch",
    "twitch_client_secret": "sandbox-twitch-word",
}
WINDOW_S: Final = 60
PER_WINDOW: Final = 800
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
NICHES: Final = tuple(dict.fromkeys(work.niche for work in WORKS))


def refusal(status: int, reason: str = "") -> web.Response:
    title = _TITLES.get(status, "Internal Server Error")
    return web.json_response({"error": title, "status": status, "message": reason or title}, status=status)


def shut(status: int, reason: str = "") -> web.Response:
    return web.json_response({"status": status, "message": reason or _TITLES.get(status, "")}, status=status)


class Twitch:
    """The two hosts in one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._grants = Grants(stage, life_s=5_000_000)
        stage.post("/oauth2/token", "token", self._token, refusal=shut)
        stage.get("/helix/search/categories", "categories", self._categories, refusal=refusal)
        stage.get("/helix/users", "users", self._users, refusal=refusal)
        stage.get("/helix/clips", "search", self._clips, refusal=refusal)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != CREDENTIALS["twitch_client_id"]:
            return shut(400, "invalid client")
        if form.get("client_secret") != CREDENTIALS["twitch_client_secret"]:
            return shut(403, "invalid client secret")
        if form.get("grant_type") != "client_credentials":
            return shut(400, "missing grant type")
        token = {"access_token": self._grants.new(), "expires_in": self._grants.life_s, "token_type": "bearer"}
        return web.json_response(token)

    def _rates(self, request: web.Request) -> dict[str, str]:
        """Count the call, and refuse those without a valid token and its application."""
        known = request.headers.get("Client-Id") == CREDENTIALS["twitch_client_id"]
        if not known or not self._grants.valid(request.headers.get("Authorization", "")):
            raise Refused(refusal(401, "Invalid OAuth token" if known else "Client ID and OAuth token do not match"))
        left, ends = self._stage.take("requests", limit=PER_WINDOW, window_s=WINDOW_S)
        rates = {
            "Ratelimit-Limit": str(PER_WINDOW),
            "Ratelimit-Remaining": str(max(0, left)),
            "Ratelimit-Reset": str(int(ends)),
        }
        if left < 0:
            refused = refusal(429)
            refused.headers.update(rates)
            raise Refused(refused)
        return rates

    async def _categories(self, request: web.Request) -> web.Response:
        """Give names in which each word of the query begins a word, or any word begins with it."""
        rates = self._rates(request)
        words = request.query.get("query", "").casefold().split()
        if not words:
            return refusal(400, "The parameter 'query' is required")
        near = (*NICHES, *(f"{niche} simulator" for niche in NICHES))
        found = [
            {"box_art_url": "", "id": str(9_000 + index), "name": name.title()}
            for index, name in enumerate(near)
            if all(any(part.startswith(word) for part in name.split()) for word in words)
        ]
        return web.json_response({"data": found, "pagination": {}}, headers=rates)

    async def _users(self, request: web.Request) -> web.Response:
        rates = self._rates(request)
        wanted = request.query.getall("login", [])
        users = {
            _login(work): {"id": _channel(work), "login": _login(work), "display_name": work.creator} for work in WORKS
        }
        return web.json_response({"data": [users[login] for login in wanted if login in users]}, headers=rates)

    async def _clips(self, request: web.Request) -> web.Response:
        rates = self._rates(request)
        query = request.query
        if sum(name in query for name in ("broadcaster_id", "game_id", "id")) != 1:
            return refusal(400, "One of the parameters 'broadcaster_id', 'game_id' and 'id' is required, and only one")
        first = int(query.get("first", "20"))
        if not 1 <= first <= 100:
            return refusal(400, "The parameter 'first' is not between 1 and 100")
        listed = self._stage.catalogue
        works = [work for work in WORKS if self._wanted(work, query)]
        works.sort(key=lambda work: (-listed.counts(work).views, work.id))
        start = int(query.get("after", "0"))
        page = works[start : start + first]
        more = {"cursor": str(start + first)} if start + first < len(works) else {}
        return web.json_response({"data": [self._clip(work) for work in page], "pagination": more}, headers=rates)

    def _wanted(self, work: Listed, query: Mapping[str, str]) -> bool:
        moment = rfc3339(self._stage.catalogue.published_s(work))
        place = {
            "broadcaster_id": _channel(work),
            "game_id": str(9_000 + NICHES.index(work.niche)),
            "id": _slug(work),
        }
        return (
            all(query[name] == value for name, value in place.items() if name in query)
            and query.get("started_at", "") <= moment
            and moment <= query.get("ended_at", "9")
        )

    def _clip(self, work: Listed) -> dict[str, Any]:
        slug = _slug(work)
        return {
            "id": slug,
            "url": f"https://clips.twitch.tv/{slug}",
            "embed_url": f"https://clips.twitch.tv/embed?clip={slug}",
            "broadcaster_id": _channel(work),
            "broadcaster_name": work.creator,
            "creator_id": "1",
            "creator_name": "sandbox_viewer",
            "video_id": str(work.number) if work.number % 2 else "",
            "game_id": str(9_000 + NICHES.index(work.niche)),
            "language": work.language,
            "title": work.title,
            "view_count": self._stage.catalogue.counts(work).views,
            "created_at": rfc3339(self._stage.catalogue.published_s(work)),
            "thumbnail_url": f"https://clips-media-assets2.twitch.tv/{slug}-preview-480x272.jpg",
            "duration": min(work.duration_s, 60.0),
            "vod_offset": 12,
            "is_featured": False,
        }


def _slug(work: Listed) -> str:
    return f"{work.niche.title().replace(' ', '')}Clip-{work.number}"


def _login(work: Listed) -> str:
    return work.creator.replace(" ", "").lower()


def _channel(work: Listed) -> str:
    return str(500 + sorted({one.creator for one in WORKS}).index(work.creator))


FEED = Twitch
