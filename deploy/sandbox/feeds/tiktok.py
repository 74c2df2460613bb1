"""TikTok, imitated: client tokens, the Research API's video query, the Display API's list of an account's videos.

Docs: developers.tiktok.com/doc: research-api-specs-query-videos, client-access-token-management,
tiktok-api-v2-video-list, tiktok-api-v2-error-handling, oauth-error-handling, read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web

from deploy.sandbox.catalogue import Listed
from deploy.sandbox.context import Refused
from deploy.sandbox.feeds._stage import Stage

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
_CODES = {
    400: "invalid_params",
    401: "access_token_invalid",
    403: "scope_not_authorized",
    429: "rate_limit_exceeded",
}
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


def refusal(status: int, reason: str) -> web.Response:
    """Answer with the envelope of data endpoints; reason: an error code, empty for the usual one."""
    code = reason or _CODES.get(status, "internal_error")
    error = {"code": code, "message": f"The sandbox says {code}.", "log_id": "20261123SANDBOX"}
    return web.json_response({"data": {}, "error": error}, status=status)


def oauth_refusal(status: int, reason: str) -> web.Response:
    """Answer with the flat error of the token endpoint."""
    code = reason or {401: "invalid_client", 403: "access_denied", 429: "rate_limit_exceeded"}.get(status, "")
    code = code or ("server_error" if status >= 500 else "invalid_request")
    body = {"error": code, "error_description": f"The sandbox says {code}.", "log_id": "20261123SANDBOX"}
    return web.json_response(body, status=status)


class TikTok:
    """One approved research client, and one account, which has published every work of the catalogue."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.post("/oauth/token/", "token", self._token, refusal=oauth_refusal)
        stage.post("/research/video/query/", "search", self._query, refusal=refusal)
        stage.post("/video/list/", "videos", self._list, refusal=refusal)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            raise Refused(oauth_refusal(400, "unsupported_grant_type"))
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
        fields = _fields(request, _RESEARCH_FIELDS)
        body = await _body(request)
        first, last = _day(body.get("start_date")), _day(body.get("end_date"))
        if first > last or last - first > timedelta(days=30):
            raise Refused(refusal(400, "invalid_params"))
        works = [work for work in self._works() if first <= self._day_of(work) <= last]
        works = [work for work in works if _matches(body.get("query"), work)]
        size, begins = _number(body, "max_count", usual=20, most=100), _number(body, "cursor", usual=0, most=100_000)
        shown = works[begins : begins + size]
        data = {
            "videos": [_only(fields, self._researched(work)) for work in shown],
            "cursor": begins + len(shown),
            "has_more": begins + size < len(works),
            "search_id": "7400000000000000001",
        }
        return _ok(data)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {CREDENTIALS['tiktok_access_token']}":
            raise Refused(refusal(401, ""))
        left, _ = self._stage.take("videos", limit=LISTINGS_A_MINUTE, window_s=60)
        if left < 0:
            raise Refused(refusal(429, ""))
        works = self._works()
        fields = _fields(request, frozenset(self._own(works[0])))
        body = await _body(request)
        size = _number(body, "max_count", usual=10, most=20)
        before_ms = _number(body, "cursor", usual=10**15, most=10**15)
        older = [work for work in works if self._published_ms(work) < before_ms]
        shown = older[:size]
        data = {
            "videos": [_only(fields, self._own(work)) for work in shown],
            "cursor": self._published_ms(shown[-1]) if shown else before_ms,
            "has_more": len(older) > size,
        }
        return _ok(data)

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


def _ok(data: Mapping[str, Any]) -> web.Response:
    return web.json_response({"data": data, "error": {"code": "ok", "message": "", "log_id": "20261123SANDBOX"}})


def _username(work: Listed) -> str:
    return work.creator.lower().replace(" ", ".")


def _hashtags(work: Listed) -> list[str]:
    return list(dict.fromkeys("".join(c for c in tag if c.isalnum()) for tag in work.tags))


def _caption(work: Listed) -> str:
    return f"{work.title} {' '.join(f'#{tag}' for tag in _hashtags(work))}"


def _fields(request: web.Request, known: frozenset[str]) -> list[str]:
    fields = [name.strip() for name in request.query.get("fields", "").split(",") if name.strip()]
    if not fields or not known.issuperset(fields):
        raise Refused(refusal(400, "invalid_params"))
    return fields


def _only(fields: Sequence[str], item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in fields}


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(refusal(400, "invalid_params"))
    return body


def _number(body: Mapping[str, Any], name: str, *, usual: int, most: int) -> int:
    told = body.get(name, usual)
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= most:
        raise Refused(refusal(400, "invalid_params"))
    return told


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
