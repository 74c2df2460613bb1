"""Posts of connected accounts on X as the sandbox plays them: posting, the own posts, their counts.

Docs: https://docs.x.com/x-api/posts/creation-of-a-post, /x-api/posts/user-posts-timeline-by-user-id, /metrics, OpenAPI
2.167, read 2026-11-23. A text comes back with t.co in place of its links and with HTML entities; the same text twice is
refused; posting is paid for.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from deploy.sandbox.context import Refused, rfc3339
from deploy.sandbox.faults import Refusal
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds._x_media import Media
from deploy.sandbox.posted import Posted

__all__ = ["CREDITS_MILLIS", "People"]

CREDITS_MILLIS: Final = 100_000
"""What may be spent on posts a day, thousandths of a dollar."""
POST_MILLIS: Final = 15
LINK_MILLIS: Final = 200
PRIVATE_DAYS: Final = 30
MOST_WEIGHT: Final = 280
LINK_WEIGHT: Final = 23
LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
LINK: Final = re.compile(r"https?://[^\s]+|(?<![\w@.])(?:[\w-]+\.)+(?:com|org|net|io|test)(?:/[^\s]*)?")
_BODY: Final = {
    "text": str, "media": dict, "made_with_ai": bool, "paid_partnership": bool, "reply_settings": str,
}  # fmt: skip
_REPLIES: Final = {"following", "mentionedUsers", "subscribers", "verified"}
_LIST: Final = {
    "max_results", "pagination_token", "start_time", "end_time", "since_id", "until_id", "exclude",
}  # fmt: skip
_FIELDS: Final = {"post.fields", "expansions", "media.fields", "user.fields"}


def weight(text: str) -> int:
    """Count a text as X does: 23 for a link, 1 for most Latin letters, 2 for the rest."""
    text = unicodedata.normalize("NFC", text)
    links = LINK.findall(text)
    rest = LINK.sub("", text)
    return LINK_WEIGHT * len(links) + sum(
        1 if any(first <= ord(one) <= last for first, last in LIGHT) else 2 for one in rest
    )


class People:
    """Accounts that post."""

    def __init__(self, stage: Stage, *, refusal: Refusal) -> None:
        self._stage = stage
        self._refusal = refusal
        self._media = Media(stage, asker=self.asker, refusal=refusal)
        stage.post("/2/tweets", "post", self._post, refusal=refusal)
        stage.get("/2/tweets", "posts", self._posts, refusal=refusal)
        stage.get("/2/users/me", "me", self._me, refusal=refusal)
        stage.get("/2/users/{id}/tweets", "timeline", self._timeline, refusal=refusal)

    def asker(self, request: web.Request, counter: str, limit: int, scope: str) -> str:
        """Return whose the request is. Raises: Refused."""
        grant = self._stage.people.holder(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if grant is None:
            raise Refused(self._refusal(401, ""))
        if scope not in grant.scopes:
            raise Refused(self._refusal(403, "client-forbidden"))
        left, ends = self._stage.take(f"{counter}:{grant.account}", limit=limit, window_s=900)
        if left < 0:
            refused = self._refusal(429, "")
            told = {"x-rate-limit-limit": limit, "x-rate-limit-remaining": 0, "x-rate-limit-reset": int(ends)}
            refused.headers.update({name: str(value) for name, value in told.items()})
            raise Refused(refused)
        return grant.account

    async def _me(self, request: web.Request) -> web.Response:
        account = self.asker(request, "me", 75, "users.read")
        picture = {"profile_image_url": "https://pbs.twimg.com/sandbox.jpg"}
        wanted = picture if "profile_image_url" in request.query.get("user.fields", "") else {}
        return web.json_response({"data": {"id": account, "name": "Sandbox", "username": account, **wanted}})

    async def _post(self, request: web.Request) -> web.Response:
        account = self.asker(request, "posts", 100, "tweet.write")
        body = await request.json()
        known = isinstance(body, dict) and all(
            name in _BODY and isinstance(value, _BODY[name]) for name, value in body.items()
        )
        if not known or body.get("reply_settings", "verified") not in _REPLIES or not body.get("text"):
            raise Refused(self._refusal(400, "invalid-request"))
        text = body["text"].strip()
        if weight(text) > MOST_WEIGHT:
            raise Refused(self._refusal(403, "client-forbidden"))
        ids = (body.get("media") or {}).get("media_ids") or []
        media = self._media.ready(ids[0], account) if len(ids) == 1 else None
        if media is None:
            raise Refused(_problem(400, "Invalid Request", "Your media IDs are invalid."))
        earlier = [post for post in self._stage.people.posts(account) if post.state != "removed"]
        if any(post.text == text for post in earlier):
            words = "You are not allowed to create a Tweet with duplicate content."
            raise Refused(_problem(403, "Forbidden", words))
        store, now = self._stage.sandbox.store, self._stage.sandbox.now()
        price = LINK_MILLIS if LINK.search(text) else POST_MILLIS
        if store.add(f"x:spent:{int(now // 86_400)}", price) > CREDITS_MILLIS:
            raise Refused(self._refusal(403, "usage-capped"))
        name = str(1_900_000_000_000_000_000 + int(store.add("x:posts", 1)))
        more = {
            "media_key": media.key,
            "made_with_ai": body.get("made_with_ai", False),
            "paid_partnership": body.get("paid_partnership", False),
            "reply_settings": body.get("reply_settings", ""),
            "usd_millis": price,
        }
        post = Posted(
            id=name,
            platform="x",
            account=account,
            text=text,
            created_at=now,
            url=f"https://x.com/{account}/status/{name}",
            sha256=media.sha256,
            size_bytes=media.size_bytes,
            more=more,
        )
        self._stage.people.add(post)
        return web.json_response({"data": {"id": name, "text": _shown(post)[0]}}, status=201)

    async def _timeline(self, request: web.Request) -> web.Response:
        account = self.asker(request, "timeline", 900, "tweet.read")
        query = request.query
        self._check(query, _LIST | _FIELDS)
        size = int(query.get("max_results", "10"))
        if request.match_info["id"] != account or not 5 <= size <= 100:
            raise Refused(self._refusal(400, "invalid-request"))
        since = datetime.fromisoformat(query["start_time"]).timestamp() if "start_time" in query else 0.0
        every = [one for one in self._stage.people.posts(account) if one.state != "removed" and one.created_at >= since]
        every.sort(key=lambda one: -one.created_at)
        start = int(query.get("pagination_token", "0"))
        page = every[start : start + size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if start + size < len(every):
            meta["next_token"] = str(start + size)
        if not page:
            return web.json_response({"meta": meta})
        return web.json_response({"data": [self._told(one, query) for one in page], "meta": meta})

    async def _posts(self, request: web.Request) -> web.Response:
        account = self.asker(request, "lookups", 900, "tweet.read")
        query = request.query
        self._check(query, {"ids"} | _FIELDS)
        ids = query.get("ids", "").split(",")
        if not 0 < len(ids) <= 100:
            raise Refused(self._refusal(400, "invalid-request"))
        found: list[Posted] = []
        errors: list[dict[str, Any]] = []
        for name in ids:
            post = self._stage.people.post(name)
            if post is None or post.state == "removed":
                errors.append(
                    _partial(name, "Not Found Error", f"Could not find post with ids: [{name}].", "resource-not-found")
                )
            elif post.account != account or post.state == "private":
                words = f"Sorry, you are not authorized to see the Post with ids: [{name}]."
                errors.append(_partial(name, "Authorization Error", words, "not-authorized-for-resource"))
            else:
                found.append(post)
                if "non_public_metrics" in query.get("post.fields", "") and not self._is_new(post):
                    words = (
                        f"Sorry, you are not authorized to access 'non_public_metrics' on the Post with ids : [{name}]."
                    )
                    old = _partial(name, "Field Authorization Error", words, "not-authorized-for-field")
                    errors.append(old | {"field": "non_public_metrics"})
        body: dict[str, Any] = {"data": [self._told(one, query) for one in found]} if found else {}
        if found and "attachments.media_keys" in query.get("expansions", ""):
            body["includes"] = {"media": [self._video(one, query) for one in found]}
        return web.json_response(body | ({"errors": errors} if errors else {}))

    def _check(self, query: Mapping[str, str], known: set[str]) -> None:
        for name, value in query.items():
            if name not in known:
                words = f"The query parameter [{name}] is not one of {sorted(known)}"
                body = {"errors": [{"parameters": {name: [value]}, "message": words}], "title": "Invalid Request"}
                problem = "https://api.x.com/2/problems/invalid-request"
                raise Refused(web.json_response(body | {"detail": words, "type": problem}, status=400))

    def _is_new(self, post: Posted) -> bool:
        return self._stage.sandbox.now() - post.created_at < PRIVATE_DAYS * 86_400

    def _views(self, post: Posted) -> int:
        hours = (self._stage.sandbox.now() - post.created_at) * self._stage.sandbox.settings.time_scale / 3600.0
        return int(hours * (20 + int(post.id) % 50))

    def _told(self, post: Posted, query: Mapping[str, str]) -> dict[str, Any]:
        text, entities = _shown(post)
        views = self._views(post)
        told: dict[str, Any] = {
            "created_at": rfc3339(post.created_at).replace("Z", ".000Z"),
            "author_id": post.account,
            "entities": entities,
            "attachments": {"media_keys": [post.more["media_key"]]},
            "public_metrics": {
                "repost_count": views // 90,
                "reply_count": views // 120,
                "like_count": views // 25,
                "quote_count": views // 400,
                "bookmark_count": views // 200,
                "impression_count": views * 3,
            },
        }
        if self._is_new(post):
            told["non_public_metrics"] = {"impression_count": views * 3, "url_link_clicks": views // 60}
        if post.state == "blocked":
            told["withheld"] = {"copyright": False, "country_codes": ["XX"], "scope": "tweet"}
        wanted = set(query.get("post.fields", "").split(","))
        return {"id": post.id, "text": text} | {name: value for name, value in told.items() if name in wanted}

    def _video(self, post: Posted, query: Mapping[str, str]) -> dict[str, Any]:
        views = self._views(post)
        told: dict[str, Any] = {"media_key": post.more["media_key"], "type": "video"}
        if "public_metrics" in query.get("media.fields", ""):
            told["public_metrics"] = {"view_count": views}
        if "non_public_metrics" in query.get("media.fields", "") and self._is_new(post):
            parts = ((0, 1.0), (25, 0.7), (50, 0.5), (75, 0.4), (100, 0.25))
            told["non_public_metrics"] = {f"playback_{name}_count": int(views * part) for name, part in parts}
        return told


def _shown(post: Posted) -> tuple[str, dict[str, Any]]:
    """Return the text as X gives it, and the links in it."""
    urls: list[dict[str, Any]] = []
    parts, at = [], 0
    for found in LINK.finditer(post.text):
        full, short = found[0], f"https://t.co/{post.id[-6:]}{len(urls)}"
        expanded = full if full.startswith("http") else f"http://{full}"
        urls.append({"url": short, "expanded_url": expanded, "display_url": full[:26]})
        parts += [html.escape(post.text[at : found.start()], quote=False), short]
        at = found.end()
    own = f"https://t.co/{post.id[-6:]}v"
    page = f"{post.url}/video/1"
    key = post.more["media_key"]
    urls.append({"url": own, "expanded_url": page, "display_url": "pic.x.com/sandbox", "media_key": key})
    return f"{''.join(parts)}{html.escape(post.text[at:], quote=False)} {own}", {"urls": urls}


def _problem(status: int, title: str, detail: str) -> web.Response:
    return web.json_response({"title": title, "detail": detail, "type": "about:blank", "status": status}, status=status)


def _partial(name: str, title: str, detail: str, kind: str) -> dict[str, Any]:
    problem = f"https://api.x.com/2/problems/{kind}"
    about = {"resource_type": "post", "resource_id": name, "parameter": "ids", "value": name}
    return {**about, "title": title, "detail": detail, "type": problem}
