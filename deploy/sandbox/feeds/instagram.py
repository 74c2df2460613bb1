"""Instagram, imitated: hashtag ids, popular and recent media, 30 hashtags in 7 days; consent, reels and their figures.

Docs: developers.facebook.com/docs/instagram-platform: hashtag search, read 2026-11. A hashtag that nobody uses is
refused with error 24, one too many with error 18, as the platform was seen to do.
"""

from __future__ import annotations

import zlib
from typing import Any

from aiohttp import web
from msgspec import Struct

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._graph import GraphStage, error, gone, moment, picked, refusal
from deploy.sandbox.feeds._graph_login import APP, Login
from deploy.sandbox.feeds._instagram_posts import Reels
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

USER_ID = "17841400000000001"
CREDENTIALS = {"instagram_access_token": "sandbox-instagram", "instagram_user_id": USER_ID, **APP}
SCOPES = {
    "instagram_basic": "See the profile and posts",
    "instagram_content_publish": "Post for you",
    "instagram_manage_insights": "See figures of posts",
    "pages_show_list": "See which pages you manage",
    "pages_read_engagement": "Read posts of pages",
}

MOST_HASHTAGS = 30
WEEK_S = 7 * 86_400.0
DAY_S = 86_400.0


class SearchedHashtag(Struct, frozen=True, kw_only=True):
    """A hashtag that the account asked for. at_s: when first, Unix seconds."""

    name: str
    at_s: float


class Instagram:
    """The hashtag edges of one professional account."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._graph = GraphStage(stage, token=CREDENTIALS["instagram_access_token"])
        for path, place, handler in (
            ("/ig_hashtag_search", "hashtag", self._hashtag),
            ("/{user}/recently_searched_hashtags", "searched", self._searched),
            ("/{hashtag}/top_media", "search", self._top),
            ("/{hashtag}/recent_media", "search", self._recent),
        ):
            stage.get(path, place, handler, refusal=refusal)
        Login(self._graph, title="Instagram", scopes=SCOPES, page=_page)
        Reels(self._graph)
        stage.get("/{user}", "account", self._account, refusal=refusal)

    async def _hashtag(self, request: web.Request) -> web.StreamResponse:
        self._check(request, request.query.get("user_id"))
        name = request.query.get("q", "").lower()
        if not name or not all(c.isalnum() or c == "_" for c in name):
            raise Refused(error(400, 100, "(#100) Param q must be one hashtag without its mark"))
        self._spend(name)
        if not self._works(name):
            raise Refused(error(400, 24, subcode=2207024))
        return self._graph.answer(request, [{"id": _id_of(name), "name": name}], usual=25, most=50)

    async def _searched(self, request: web.Request) -> web.StreamResponse:
        self._check(request, request.match_info["user"])
        found = [{"id": _id_of(one.name), "name": one.name} for one in self._live()]
        return self._graph.answer(request, found, usual=25, most=30)

    async def _top(self, request: web.Request) -> web.StreamResponse:
        name = self._asked(request)
        return self._graph.answer(request, self._media(request, self._works(name), timed=False), usual=25, most=50)

    async def _recent(self, request: web.Request) -> web.StreamResponse:
        name = self._asked(request)
        since = self._stage.sandbox.now() - DAY_S
        young = [work for work in self._works(name) if self._stage.catalogue.published_s(work) >= since]
        return self._graph.answer(request, self._media(request, young, timed=True), usual=25, most=50)

    async def _account(self, request: web.Request) -> web.StreamResponse:
        self._check(request, user := request.match_info["user"])
        return self._graph.reply(picked(request, {"id": user, "username": f"sandbox_{user}"}))

    def _check(self, request: web.Request, user_id: str | None) -> None:
        holder = self._graph.check_token(request)
        if user_id != (USER_ID if holder is None else holder.account):
            raise gone(str(user_id))

    def _asked(self, request: web.Request) -> str:
        """Return the name of the hashtag in the path, and count it. Raises: Refused."""
        self._check(request, request.query.get("user_id"))
        names = {tag for work in self._stage.catalogue.search("sandbox") for tag in _hashtags(work)}
        name = next((name for name in names if _id_of(name) == request.match_info["hashtag"]), None)
        if name is None:
            raise Refused(error(400, 24, subcode=2207024))
        self._spend(name)
        return name

    def _live(self) -> list[SearchedHashtag]:
        since = self._stage.sandbox.now() - WEEK_S
        return [one for one in self._stage.sandbox.store.all(SearchedHashtag) if one.at_s > since]

    def _spend(self, name: str) -> None:
        """Count a hashtag that was not asked for in 7 days. Raises: Refused."""
        live = self._live()
        if any(one.name == name for one in live):
            return
        if len(live) >= MOST_HASHTAGS:
            raise Refused(error(400, 18, subcode=2207034))
        searched = SearchedHashtag(name=name, at_s=self._stage.sandbox.now())
        self._stage.sandbox.store.put(name, searched)

    def _works(self, name: str) -> list[Listed]:
        return [work for work in self._stage.catalogue.search("sandbox") if name in _hashtags(work)]

    def _media(self, request: web.Request, works: list[Listed], *, timed: bool) -> list[dict[str, Any]]:
        """Describe the works, each followed by a picture of it; `username` and views are never told."""
        found = []
        for work in works:
            counts = self._stage.catalogue.counts(work)
            video: dict[str, Any] = {
                "id": f"1788{work.number:013d}",
                "caption": f"{work.title}\n{work.description} {' '.join(f'#{tag}' for tag in _hashtags(work))}",
                "media_type": "VIDEO",
                "permalink": f"https://www.instagram.com/reel/S{work.number}/",
                "media_url": self._stage.media_url(request, work),
                "like_count": None if _hides_likes(work) else counts.likes,
                "comments_count": counts.comments,
            }
            if timed:
                video["timestamp"] = moment(self._stage.catalogue.published_s(work))
            still = {"id": f"1799{work.number:013d}", "media_type": "IMAGE" if work.number % 2 else "CAROUSEL_ALBUM"}
            still["permalink"] = f"https://www.instagram.com/p/P{work.number}/"
            found += [video, {**video, **still}]
        return found


def _page(account: str) -> dict[str, Any]:
    """Describe the page that an account is linked to."""
    linked = {"id": account, "username": f"sandbox_{account}", "profile_picture_url": "https://scontent.example/p.jpg"}
    return {"id": f"6155{zlib.crc32(account.encode()):011d}", "name": account, "instagram_business_account": linked}


def _hashtags(work: Listed) -> tuple[str, ...]:
    joined = ("".join(c for c in tag.lower() if c.isalnum()) for tag in work.tags)
    return tuple(dict.fromkeys(tag for tag in joined if tag))


def _hides_likes(work: Listed) -> bool:
    """Say whether the owner hides the likes: then the answer has no such field."""
    return work.id.endswith(("-2", "-5"))


def _id_of(name: str) -> str:
    return f"1784{zlib.crc32(name.encode()):013d}"


FEED = Instagram
