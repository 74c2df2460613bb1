"""Reddit as the sandbox plays it: tokens for applications and accounts, and the search for posts in subreddits.

Docs: Reddit's API wiki ("OAuth2", "API") and https://www.reddit.com/dev/api, read 2026-11-23. Each work is a post; of
two, one is a video of Reddit's own and one a link to another host. Posts without any video are among them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._app_grant import Grants
from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {
    "reddit_client_id": "sandbox-reddit",
    "reddit_client_secret": "sandbox-reddit-word",
}
WINDOW_S: Final = 600
PER_WINDOW: Final = 1000
PRIVATE: Final = "private_club"
"""A subreddit that refuses everybody."""


def refusal(status: int, reason: str = "") -> web.Response:
    usual = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
    body: dict[str, Any] = {"message": usual.get(status, "Internal Server Error"), "error": status}
    return web.json_response(body | ({"reason": reason} if reason else {}), status=status)


def token_refusal(status: int, reason: str = "") -> web.Response:
    """Answer as the token endpoint: a wrong client is a plain 401, other faults a word with HTTP 200 or 400."""
    if status == 401 or not reason:
        return refusal(status)
    return web.json_response({"error": reason}, status=200 if reason == "unsupported_grant_type" else status)


class Reddit:
    """The two hosts in one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._grants = Grants(stage, life_s=86_400)
        Consent(
            stage,
            Style(
                title="Reddit",
                client_id=CREDENTIALS["reddit_client_id"],
                client_secret=CREDENTIALS["reddit_client_secret"],
                authorize="/api/v1/authorize",
                token="/api/v1/access_token",  # noqa: S106 - a path
                revoke="/api/v1/revoke_token",
                authentication="basic",
                pkce="none",
                rotates=False,
                scopes={"identity": "Know who you are", "read": "See the posts that you see"},
                requires=("state", "duration"),
                refusal=token_refusal,
                others={"client_credentials": self._token},
            ),
        )
        stage.get("/api/v1/me", "me", self._me, refusal=refusal)
        stage.get("/r/{subreddits}/search", "search", self._search, refusal=refusal)

    async def _token(self, request: web.Request) -> web.Response:
        self._named(request)
        try:
            told = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic "), validate=True)
        except binascii.Error:
            told = b""
        if told.decode(errors="replace") != ":".join(CREDENTIALS.values()):
            return refusal(401)
        token = {"access_token": self._grants.new(), "token_type": "bearer", "expires_in": self._grants.life_s}
        return web.json_response(token | {"scope": "*"})

    async def _me(self, request: web.Request) -> web.Response:
        self._named(request)
        account = self._account(request)
        if account is None:
            return refusal(401)
        return web.json_response({"id": account, "name": f"{account}_on_reddit", "icon_img": ""})

    def _account(self, request: web.Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = self._stage.people.holder(token) if scheme.casefold() == "bearer" else None
        return None if holder is None else holder.account

    async def _search(self, request: web.Request) -> web.Response:
        self._named(request)
        if not self._grants.valid(request.headers.get("Authorization", "")) and self._account(request) is None:
            return refusal(401)
        left, ends = self._stage.take("requests", limit=PER_WINDOW, window_s=WINDOW_S)
        rates = {
            "x-ratelimit-used": str(PER_WINDOW - left),
            "x-ratelimit-remaining": f"{max(left, 0):.1f}",
            "x-ratelimit-reset": str(max(1, round(ends - self._stage.sandbox.now()))),
        }
        if left < 0:
            refused = refusal(429)
            refused.headers.update(rates)
            return refused
        subreddits = request.match_info["subreddits"].split("+")
        if PRIVATE in subreddits:
            return refusal(403, "private")
        query = request.query
        words = query.get("q", "")
        if not words or len(words) > 512:
            return refusal(400)
        posts = [post for work in self._stage.catalogue.search(words) for post in self._posts(work, subreddits[0])]
        names = [post["data"]["name"] for post in posts]
        start = names.index(query["after"]) + 1 if query.get("after") in names else 0
        page = posts[start : start + min(100, int(query.get("limit", "25")))]
        more = start + len(page) < len(posts)
        listing = {
            "after": page[-1]["data"]["name"] if page and more else None,
            "before": None,
            "dist": len(page),
            "modhash": "",
            "geo_filter": "",
            "children": page,
        }
        return web.json_response({"kind": "Listing", "data": listing}, headers=rates)

    def _named(self, request: web.Request) -> None:
        """Refuse clients that do not say who they are in Reddit's form."""
        if request.headers.get("User-Agent", "").count(":") < 2:
            raise Refused(refusal(403))

    def _posts(self, work: Listed, subreddit: str) -> list[dict[str, Any]]:
        """Return the work's own post, and one that asks about it without a video."""
        counts = self._stage.catalogue.counts(work)
        own = work.number % 2 == 0
        video = {
            "fallback_url": f"https://v.redd.it/{work.number}/DASH_720.mp4",
            "duration": round(work.duration_s),
            "height": work.height_px,
            "width": work.width_px,
            "has_audio": True,
        }
        oembed = {"type": "video", "provider_name": "YouTube", "title": work.title}
        elsewhere = f"https://www.youtube.com/watch?v=sb{work.number}xx"
        shared = {
            "id": f"p{work.number}",
            "title": work.title,
            "selftext": "",
            "url": f"https://v.redd.it/{work.number}" if own else elsewhere,
            "domain": "v.redd.it" if own else "youtube.com",
            "is_self": False,
            "is_video": own,
            "secure_media": {"reddit_video": video} if own else {"type": "youtube.com", "oembed": oembed},
        }
        asking = {
            "id": f"q{work.number}",
            "title": f"Who knows more about this: {work.title}",
            "selftext": work.description,
            "domain": f"self.{subreddit}",
            "is_self": True,
            "is_video": False,
            "secure_media": None,
        }
        return [
            self._post(one, work, subreddit, score=counts.likes, comments=counts.comments) for one in (shared, asking)
        ]

    def _post(self, told: dict[str, Any], work: Listed, subreddit: str, *, score: int, comments: int) -> dict[str, Any]:
        place = f"/r/{subreddit}/comments/{told['id']}/post/"
        data = {
            "name": f"t3_{told['id']}",
            "author": work.creator.replace(" ", "_"),
            "author_fullname": f"t2_{work.number}",
            "subreddit": subreddit,
            "permalink": place,
            "url": f"https://www.reddit.com{place}",
            "created_utc": round(self._stage.catalogue.published_s(work), 1),
            "score": score,
            "ups": score,
            "upvote_ratio": 0.96,
            "num_comments": comments,
            "hide_score": False,
            "over_18": False,
            "link_flair_text": work.tags[0],
            "thumbnail": "self",
            **told,
        }
        return {"kind": "t3", "data": data | {"media": data["secure_media"]}}


FEED = Reddit
