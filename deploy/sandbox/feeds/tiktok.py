"""TikTok, imitated: consent and tokens, posting, the Research API's video query, the Display API.

Docs: developers.tiktok.com/doc: login-kit-desktop, oauth-user-access-token-management, research-api-specs-query-videos,
client-access-token-management, tiktok-api-v2-get-user-info, -video-list, -video-query, read 2026-11.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._consent import Consent, Style
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds._tiktok_answers import (
    body_of,
    caller,
    fields_of,
    number_of,
    oauth_refusal,
    ok,
    only,
    refusal,
)
from deploy.sandbox.feeds._tiktok_posting import Posting
from deploy.sandbox.posted import Grant, Posted

__all__ = ["CREDENTIALS", "FEED"]

CREDENTIALS = {
    "tiktok_client_key": "sandbox-tiktok-key",
    "tiktok_client_secret": "sandbox-tiktok-word",
    "tiktok_research_enabled": "true",
    "tiktok_access_token": "sandbox-tiktok",
}

TOKEN_LIFE_S = 7_200
REQUESTS_A_DAY = 1_000
LISTINGS_A_MINUTE = 600
FIRST_ID = 7_400_000_000_000_000_000
SCOPES = {
    "user.info.basic": "Read your profile (name and picture)",
    "user.info.profile": "Read your user name and biography",
    "user.info.stats": "Read your counts of followers, likes and videos",
    "video.list": "Read your public videos",
    "video.upload": "Upload drafts for you to finish and post",
    "video.publish": "Post videos to your profile",
}
_USER_FIELDS = frozenset({"open_id", "union_id", "avatar_url", "display_name"})
_RESEARCH_FIELDS = frozenset(
    {
        "comment_count",
        "create_time",
        "hashtag_names",
        "id",
        "like_count",
        "music_id",
        "region_code",
        "share_count",
        "username",
        "video_description",
        "video_duration",
        "view_count",
    }
)


class TikTok:
    """One client, which may research and post; the account of the set token has published the whole catalogue."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        style = Style(
            title="TikTok",
            authorize="/v2/auth/authorize/",
            token="/oauth/token/",  # noqa: S106 - a path
            revoke="/oauth/revoke/",
            client_id=CREDENTIALS["tiktok_client_key"],
            client_secret=CREDENTIALS["tiktok_client_secret"],
            client_id_field="client_key",
            scopes=SCOPES,
            separator=",",
            optional=True,
            pkce="hex",
            granted_field="scopes",
            refusal=oauth_refusal,
            answer=self._answer,
            others={"client_credentials": self._token},
        )
        Consent(stage, style)
        Posting(stage)
        stage.get("/user/info/", "user", self._user, refusal=refusal)
        stage.post("/video/query/", "query", self._ask, refusal=refusal)
        stage.post("/research/video/query/", "search", self._query, refusal=refusal)
        stage.post("/video/list/", "videos", self._list, refusal=refusal)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        for name in ("client_key", "client_secret"):
            if form.get(name) != CREDENTIALS[f"tiktok_{name}"]:
                raise Refused(oauth_refusal(200, "invalid_client"))
        store = self._stage.sandbox.store
        number = int(store.add("tiktok:tokens", 1))
        store.add(f"tiktok:token:{number}", self._stage.sandbox.now() + TOKEN_LIFE_S)
        return web.json_response(
            {"access_token": f"clt.sandbox-{number}", "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
        )

    async def _query(self, request: web.Request) -> web.StreamResponse:
        number = request.headers.get("Authorization", "").removeprefix("Bearer clt.sandbox-")
        if self._stage.sandbox.store.counter(f"tiktok:token:{number}") <= self._stage.sandbox.now():
            raise Refused(refusal(401, ""))
        left, _ = self._stage.take("research", limit=REQUESTS_A_DAY, window_s=86_400)
        if left < 0:
            raise Refused(refusal(429, "daily_quota_limit_exceeded"))
        fields = fields_of(request, _RESEARCH_FIELDS)
        body = await body_of(request)
        first, last = _day(body.get("start_date")), _day(body.get("end_date"))
        if first > last or last - first > timedelta(days=30):
            raise Refused(refusal(400, "invalid_params"))
        works = [work for work in self._works() if first <= self._day_of(work) <= last]
        works = [work for work in works if _matches(body.get("query"), work)]
        size, begins = (
            number_of(body, "max_count", usual=20, most=100),
            number_of(body, "cursor", usual=0, most=100_000),
        )
        shown = works[begins : begins + size]
        data = {
            "videos": [only(fields, self._researched(work)) for work in shown],
            "cursor": begins + len(shown),
            "has_more": begins + size < len(works),
            "search_id": "7400000000000000001",
        }
        return ok(data)

    def _answer(self, usual: dict[str, Any], grant: Grant) -> dict[str, Any]:
        left_s = round(grant.refresh_ends_at - self._stage.sandbox.now())
        return {"open_id": grant.account, **usual, "refresh_expires_in": left_s, "token_type": "Bearer"}

    async def _user(self, request: web.Request) -> web.StreamResponse:
        holder = caller(self._stage, request, "user.info.basic")
        user = {
            "open_id": holder.account,
            "union_id": f"union-{holder.account}",
            "avatar_url": f"https://p16.example/{holder.account}.jpeg",
            "display_name": f"{holder.account} of the sandbox",
        }
        return ok({"user": only(fields_of(request, _USER_FIELDS), user)})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """List the videos of an account; those of the set token are the works of the catalogue."""
        videos = self._listed(request)
        left, _ = self._stage.take("videos", limit=LISTINGS_A_MINUTE, window_s=60)
        if left < 0:
            raise Refused(refusal(429, ""))
        fields = fields_of(request, frozenset(self._own(self._works()[0])))
        body = await body_of(request)
        size = number_of(body, "max_count", usual=10, most=20)
        before_ms = number_of(body, "cursor", usual=10**15, most=10**15)
        older = [(at_ms, video) for at_ms, video in videos if at_ms < before_ms]
        shown = older[:size]
        data = {
            "videos": [only(fields, video) for _, video in shown],
            "cursor": shown[-1][0] if shown else before_ms,
            "has_more": len(older) > size,
        }
        return ok(data)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        """Tell of videos by id; what is not public, or not this account's, is not in the answer."""
        videos = {video["id"]: video for _, video in self._listed(request)}
        left, _ = self._stage.take("query", limit=LISTINGS_A_MINUTE, window_s=60)
        if left < 0:
            raise Refused(refusal(429, ""))
        fields = fields_of(request, frozenset(self._own(self._works()[0])))
        ids = (await body_of(request)).get("filters", {}).get("video_ids")
        if not isinstance(ids, list) or not 0 < len(ids) <= 20:
            raise Refused(refusal(400, "invalid_params"))
        return ok({"videos": [only(fields, videos[name]) for name in ids if name in videos]})

    def _listed(self, request: web.Request) -> list[tuple[int, dict[str, Any]]]:
        """Return when (ms) and what the caller's account has published, newest first. Raises: Refused."""
        if request.headers.get("Authorization") == f"Bearer {CREDENTIALS['tiktok_access_token']}":
            return [(self._published_ms(work), self._own(work)) for work in self._works()]
        posts = self._stage.people.posts(caller(self._stage, request, "video.list").account)
        public = [one for one in posts if one.state == "stands" and one.privacy == "PUBLIC_TO_EVERYONE"]
        return [(int(one.created_at * 1000), self._posted(one)) for one in reversed(public)]

    def _posted(self, post: Posted) -> dict[str, Any]:
        """Return a posted video; its counts grow with its age towards a ceiling of its own."""
        age_s = (self._stage.sandbox.now() - post.created_at) * self._stage.sandbox.settings.time_scale
        seed = hashlib.sha256(post.id.encode()).digest()
        views = math.floor((800 + 100 * seed[0]) * (1 - math.exp(-age_s / 72_000)))
        return {
            "id": post.id,
            "create_time": int(post.created_at),
            "cover_image_url": f"https://p16.example/{post.id}.jpeg",
            "share_url": post.url,
            "video_description": post.text,
            "duration": 0,
            "height": 1920,
            "width": 1080,
            "title": post.text,
            "embed_link": f"https://www.tiktok.com/player/v1/{post.id}",
            "like_count": views // 20,
            "comment_count": views // 200,
            "share_count": views // 300,
            "view_count": views,
        }

    def _works(self) -> list[Listed]:
        """Return every work, newest first."""
        return sorted(self._stage.catalogue.search("sandbox"), key=lambda one: (-self._published_ms(one), one.id))

    def _published_ms(self, work: Listed) -> int:
        """Return when it was published; no two works at the same millisecond, as the list's cursor is such a time."""
        return int(self._stage.catalogue.published_s(work) * 1000) // 1_000_000 * 1_000_000 + work.number % 1_000_000

    def _day_of(self, work: Listed) -> date:
        return datetime.fromtimestamp(self._published_ms(work) / 1000, UTC).date()

    def _counts(self, work: Listed) -> dict[str, int]:
        counts = self._stage.catalogue.counts(work)
        return {
            "like_count": counts.likes,
            "comment_count": counts.comments,
            "share_count": counts.shares,
            "view_count": counts.views,
        }

    def _researched(self, work: Listed) -> dict[str, Any]:
        return {
            "id": FIRST_ID + work.number,
            "create_time": self._published_ms(work) // 1000,
            "username": _username(work),
            "region_code": "US",
            "video_description": _caption(work),
            "music_id": FIRST_ID,
            "hashtag_names": _hashtags(work),
            "video_duration": int(work.duration_s),
            **self._counts(work),
        }

    def _own(self, work: Listed) -> dict[str, Any]:
        number = str(FIRST_ID + work.number)
        return {
            "id": number,
            "create_time": self._published_ms(work) // 1000,
            "cover_image_url": f"https://p16.example/{work.number}.jpeg",
            "share_url": f"https://www.tiktok.com/@sandbox/video/{number}",
            "video_description": _caption(work),
            "duration": int(work.duration_s),
            "height": work.height_px,
            "width": work.width_px,
            "title": work.title,
            "embed_link": f"https://www.tiktok.com/player/v1/{number}",
            **self._counts(work),
        }


def _username(work: Listed) -> str:
    return work.creator.lower().replace(" ", ".")


def _hashtags(work: Listed) -> list[str]:
    return list(dict.fromkeys("".join(c for c in tag if c.isalnum()) for tag in work.tags))


def _caption(work: Listed) -> str:
    return f"{work.title} {' '.join(f'#{tag}' for tag in _hashtags(work))}"


def _day(told: Any) -> date:
    try:
        return datetime.strptime(str(told), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refused(refusal(400, "invalid_params")) from None


def _matches(query: Any, work: Listed) -> bool:
    """Say whether a work fulfils the groups of a query. Raises: Refused for what the API does not know."""
    if not isinstance(query, dict) or not query or not {"and", "or", "not"}.issuperset(query):
        raise Refused(refusal(400, "invalid_params"))
    tests: dict[str, Callable[[list[bool]], bool]] = {"and": all, "or": any, "not": lambda held: not any(held)}
    return all(tests[group]([_holds(one, work) for one in conditions]) for group, conditions in query.items())


def _holds(condition: Mapping[str, Any], work: Listed) -> bool:
    values = [str(value).casefold() for value in condition.get("field_values", ())]
    if not values or condition.get("operation") not in {"EQ", "IN"}:
        raise Refused(refusal(400, "invalid_params"))
    name = condition.get("field_name")
    if name == "keyword":
        return any(value in f"{_caption(work)} {work.niche}".casefold() for value in values)
    found = {"hashtag_name": _hashtags(work), "username": [_username(work)], "region_code": ["us"]}.get(str(name))
    if found is None:
        raise Refused(refusal(400, "invalid_params"))
    return any(value in found for value in values)


FEED = TikTok
