"""X as the sandbox plays it: the search among recent posts with an application's bearer token, consent, own posts.

Docs: https://docs.x.com/x-api/posts/recent-search and /x-api/fundamentals/response-codes-and-errors, read 2026-11-23.
Field names are those of the OpenAPI description 2.167. Reads are counted against a cap, as paid reads are.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import rfc3339
from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds._x_people import People

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS: dict[str, str] = {
    "x_bearer_token": "sandbox-x",
    "x_client_id": "sandbox-x-client",
    "x_client_secret": "sandbox-x-word",
}
SCOPES: Final = {
    "tweet.read": "See posts",
    "users.read": "See profiles",
    "tweet.write": "Post for you",
    "media.write": "Upload media for you",
    "offline.access": "Stay connected",
}
WINDOW_S: Final = 900
PER_WINDOW: Final = 450
POSTS_A_DAY: Final = 2_000
"""Posts that may be read a day before the credits are used up; the real cap is a sum of money."""
SEVEN_DAYS_S: Final = 7 * 86_400
KNOWN: Final = {
    "query",
    "max_results",
    "next_token",
    "pagination_token",
    "sort_order",
    "start_time",
    "end_time",
    "since_id",
    "until_id",
    "post.fields",
    "expansions",
    "media.fields",
    "user.fields",
}
_TYPES: Final = {
    400: ("Invalid Request", "invalid-request"),
    401: ("Unauthorized", ""),
    403: ("Forbidden", "client-forbidden"),
    404: ("Not Found Error", "resource-not-found"),
    429: ("Too Many Requests", "rate-limit-exceeded"),
}


def refusal(status: int, reason: str = "") -> web.Response:
    title, kind = _TYPES.get(status, ("Service Unavailable", ""))
    kind = reason or kind
    problem = f"https://api.x.com/2/problems/{kind}" if kind else "about:blank"
    return web.json_response({"title": title, "detail": title, "type": problem, "status": status}, status=status)


def invalid(name: str, value: str, words: str) -> web.Response:
    body = {
        "errors": [{"parameters": {name: [value]}, "message": words}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
    }
    return web.json_response(body, status=400)


def token_refusal(status: int, reason: str = "") -> web.Response:
    """Write an error of the token endpoint; X calls a refresh token that was used before an invalid request."""
    usual = {401: "unauthorized_client", 429: "rate_limit_exceeded"}.get(status, "invalid_request")
    error = {"invalid_client": "unauthorized_client", "invalid_grant": "invalid_request"}.get(reason, reason or usual)
    words = "Value passed for the token was invalid." if reason == "invalid_grant" else "Something went wrong."
    error = error if status < 500 else "server_error"
    return web.json_response({"error": error, "error_description": words}, status=status)


class X:
    """The data host and the authorisation."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        Consent(
            stage,
            Style(
                title="X",
                authorize="/i/oauth2/authorize",
                token="/2/oauth2/token",  # noqa: S106 - a path
                revoke="/2/oauth2/revoke",
                client_id=CREDENTIALS["x_client_id"],
                client_secret=CREDENTIALS["x_client_secret"],
                authentication="basic",
                scopes=SCOPES,
                code_life_s=30.0,
                refusal=token_refusal,
            ),
        )
        People(stage, refusal=refusal)
        stage.get("/2/tweets/search/recent", "search", self._search, refusal=refusal)

    async def _search(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {CREDENTIALS['x_bearer_token']}":
            return refusal(401)
        left, ends = self._stage.take("searches", limit=PER_WINDOW, window_s=WINDOW_S)
        rates = {
            "x-rate-limit-limit": str(PER_WINDOW),
            "x-rate-limit-remaining": str(max(0, left)),
            "x-rate-limit-reset": str(int(ends)),
        }
        answer = refusal(429) if left < 0 else self._answer(request)
        answer.headers.update(rates)
        return answer

    def _answer(self, request: web.Request) -> web.Response:
        query = request.query
        for name in query:
            if name not in KNOWN:
                return invalid(name, query[name], f"The query parameter [{name}] is not one of {sorted(KNOWN)}")
        size = int(query.get("max_results", "10"))
        if not 10 <= size <= 100:
            return invalid(
                "max_results", str(size), "The `max_results` query parameter value is not between 10 and 100"
            )
        asked = query.get("query", "")
        if not asked or len(asked) > 512:
            return invalid("query", asked[:40], "The `query` query parameter is missing or longer than 512 characters")
        words = re.sub(r"(^|\s)-?(has|is|lang):\S+", " ", asked).strip()
        since = self._stage.sandbox.now() - SEVEN_DAYS_S
        listed = self._stage.catalogue
        works = [work for work in listed.search(words) if listed.published_s(work) >= since]
        start = int(query.get("next_token", "0"))
        page = works[start : start + size]
        day = int(self._stage.sandbox.now() // 86_400)
        if self._stage.sandbox.store.add(f"x:read:{day}", len(page)) > POSTS_A_DAY:
            return refusal(403, "usage-capped")
        meta: dict[str, Any] = {"result_count": len(page)}
        if not page:
            return web.json_response({"meta": meta})
        meta |= {"newest_id": str(page[0].number), "oldest_id": str(page[-1].number)}
        if start + size < len(works):
            meta["next_token"] = str(start + size)
        wanted = set(query.get("post.fields", "").split(","))
        body: dict[str, Any] = {"data": [self._post(work, wanted) for work in page], "meta": meta}
        if "attachments.media_keys" in query.get("expansions", ""):
            body["includes"] = {"media": [self._media(work) for work in page]}
        return web.json_response(body)

    def _post(self, work: Listed, wanted: set[str]) -> dict[str, Any]:
        counts = self._stage.catalogue.counts(work)
        own = f"https://x.com/sandbox/status/{work.number}/video/1"
        links = [
            {"url": "https://t.co/own", "expanded_url": own, "display_url": "pic.x.com/own", "media_key": _key(work)}
        ]
        if work.number % 2:
            there = f"https://www.youtube.com/watch?v=sb{work.number}xx"
            links.append({"url": "https://t.co/there", "expanded_url": there, "display_url": "youtube.com/watch"})
        told = {
            "created_at": rfc3339(self._stage.catalogue.published_s(work)),
            "author_id": str(work.number + 1),
            "lang": work.language,
            "attachments": {"media_keys": [_key(work)]},
            "entities": {"urls": links, "hashtags": [{"tag": tag.replace(" ", "")} for tag in work.tags[:3]]},
            "public_metrics": {
                "repost_count": counts.shares,
                "reply_count": counts.comments,
                "like_count": counts.likes,
                "quote_count": counts.shares // 5,
                "bookmark_count": counts.likes // 9,
                "impression_count": counts.views * 3,
            },
        }
        text = f"{work.title} #{work.tags[0]} https://t.co/own"
        return {"id": str(work.number), "text": text} | {key: told[key] for key in told if key in wanted}

    def _media(self, work: Listed) -> dict[str, Any]:
        return {
            "media_key": _key(work),
            "type": "video",
            "duration_ms": round(work.duration_s * 1000),
            "width": work.width_px,
            "height": work.height_px,
            "preview_image_url": f"https://pbs.twimg.com/sandbox/{work.number}.jpg",
            "public_metrics": {"view_count": self._stage.catalogue.counts(work).views},
        }


def _key(work: Listed) -> str:
    return f"13_{work.number}"


FEED = X
