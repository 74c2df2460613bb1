"""Bluesky as the sandbox plays it: the search for posts and trends here, accounts and their posts in _bluesky_repo.

Docs: https://docs.bsky.app, lexicons app.bsky.feed.searchPosts and app.bsky.unspecced.getTrends, read 2026-11-23.
Searches need no session here, as at the public host on good days; a fault of status 403 at `bluesky.search` plays the
bad ones. Of three works, one is a link to a video elsewhere.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import WORKS, Listed
from deploy.sandbox.context import Refused, rfc3339
from deploy.sandbox.feeds._bluesky_repo import PASSWORD, Repo
from deploy.sandbox.feeds._stage import Stage

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {
    "bluesky_handle": "sandbox.test",
    "bluesky_app_password": PASSWORD,
}
WINDOW_S: Final = 300
PER_WINDOW: Final = 3_000
_NAMES: Final = {
    400: "InvalidRequest",
    401: "AuthenticationRequired",
    403: "Forbidden",
    404: "XRPCNotSupported",
    429: "RateLimitExceeded",
}
_WORDS: Final = {
    "AuthenticationRequired": "Invalid identifier or password",
    "AuthMissing": "Authentication Required",
    "ExpiredToken": "Token has expired",
    "RateLimitExceeded": "Rate Limit Exceeded",
}


def refusal(status: int, reason: str = "") -> web.Response:
    name = reason or _NAMES.get(status, "InternalServerError")
    return web.json_response({"error": name, "message": _WORDS.get(name, name)}, status=status)


class Bluesky:
    """The entryway, the public host, the accounts' server and the video service in one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._repo = Repo(stage, handle=CREDENTIALS["bluesky_handle"], refusal=refusal)
        stage.get("/xrpc/app.bsky.feed.searchPosts", "search", self._search, refusal=refusal)
        stage.get("/xrpc/app.bsky.unspecced.getTrends", "trends", self._trends, refusal=refusal)

    def _rates(self, request: web.Request) -> dict[str, str]:
        """Count the call, and refuse a session that has ended or an address that asks too much."""
        if request.headers.get("Authorization") is not None:
            self._repo.account(request)
        left, ends = self._stage.take("requests", limit=PER_WINDOW, window_s=WINDOW_S)
        rates = {
            "ratelimit-limit": str(PER_WINDOW),
            "ratelimit-remaining": str(max(0, left)),
            "ratelimit-reset": str(int(ends)),
        }
        if left < 0:
            refused = refusal(429)
            refused.headers.update(rates)
            raise Refused(refused)
        return rates

    async def _search(self, request: web.Request) -> web.Response:
        rates = self._rates(request)
        query = request.query
        limit = int(query.get("limit", "25"))
        if not query.get("q") or not 1 <= limit <= 100 or query.get("sort", "top") not in {"top", "latest"}:
            return refusal(400, "BadQueryString")
        listed = self._stage.catalogue
        works = [
            work for work in listed.search(query["q"]) if rfc3339(listed.published_s(work)) >= query.get("since", "")
        ]
        posts = [post for work in works for post in self._posts(work)]
        start = int(query.get("cursor", "0"))
        page = posts[start : start + limit]
        body: dict[str, Any] = {"posts": page, "hitsTotal": len(posts)}
        if start + limit < len(posts):
            body["cursor"] = str(start + limit)
        return web.json_response(body, headers=rates)

    async def _trends(self, request: web.Request) -> web.Response:
        rates = self._rates(request)
        limit = int(request.query.get("limit", "10"))
        if not 1 <= limit <= 25:
            return refusal(400)
        trends = [
            {
                "topic": niche.replace(" ", "-"),
                "displayName": niche.title(),
                "link": f"/profile/trending.bsky.app/feed/{index}",
                "startedAt": rfc3339(self._stage.sandbox.now() - 7_200 * (index + 1)),
                "postCount": 9_000 // (index + 1),
                "category": "pop-culture",
                "actors": [],
            }
            for index, niche in enumerate(dict.fromkeys(work.niche for work in WORKS))
        ]
        return web.json_response({"trends": trends[:limit]}, headers=rates)

    def _posts(self, work: Listed) -> list[dict[str, Any]]:
        """Return the work's own post, and one that speaks of it without a video."""
        if work.number % 3:
            embed: dict[str, Any] = {
                "$type": "app.bsky.embed.video#view",
                "cid": f"bafkrei{work.number}",
                "playlist": f"https://video.bsky.app/watch/sandbox/{work.number}/playlist.m3u8",
                "thumbnail": f"https://video.bsky.app/watch/sandbox/{work.number}/thumbnail.jpg",
                "alt": work.description,
                "aspectRatio": {"width": 9, "height": 16},
            }
        else:
            page = {"uri": f"https://www.youtube.com/watch?v=sb{work.number}xx", "title": work.title, "description": ""}
            embed = {"$type": "app.bsky.embed.external#view", "external": page}
        return [
            self._post(work, f"3k{work.number}", f"{work.title} #{work.tags[0]}", embed),
            self._post(work, f"3q{work.number}", f"Has anybody seen it? {work.title}", None),
        ]

    def _post(self, work: Listed, key: str, text: str, embed: dict[str, Any] | None) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        moment = rfc3339(self._stage.catalogue.published_s(work))
        did = f"did:plc:sandbox{work.number}"
        facet = {
            "index": {"byteStart": 0, "byteEnd": len(text.encode())},
            "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": work.tags[0]}],
        }
        record = {
            "$type": "app.bsky.feed.post",
            "text": text,
            "createdAt": moment,
            "langs": [work.language],
            "facets": [facet],
        }
        post = {
            "uri": f"at://{did}/app.bsky.feed.post/{key}",
            "cid": f"bafyrei{work.number}",
            "author": {
                "did": did,
                "handle": f"{work.creator.replace(' ', '-').lower()}.test",
                "displayName": work.creator,
            },
            "record": record,
            "replyCount": counts.comments,
            "repostCount": counts.shares,
            "likeCount": counts.likes,
            "quoteCount": counts.shares // 5,
            "bookmarkCount": counts.likes // 9,
            "indexedAt": moment,
        }
        return post | ({"embed": embed} if embed else {})


FEED = Bluesky
