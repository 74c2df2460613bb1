"""Who may call the YouTube Data API, and how often: tokens, keys, scopes, quota.

Docs: "Quota Calculator" (developers.google.com/youtube/v3/determine_quota_cost, read 2026-11): since 1 June 2026
search.list, videos.insert and videos.batchGetStats have buckets of their own. Days begin at midnight Pacific Time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec import Struct

from deploy.sandbox.context import Sandbox
from deploy.sandbox.google_oauth import GoogleOauth
from deploy.sandbox.youtube_errors import refuse
from deploy.sandbox.youtube_resource import channel_id_of

__all__ = ["MANAGE", "READ", "UPLOAD", "Bucket", "Caller", "YoutubeAccess", "listed", "parts_of"]

_GOOGLE = "https://www.googleapis.com/auth/"
MANAGE = frozenset({f"{_GOOGLE}youtube", f"{_GOOGLE}youtube.force-ssl"})
UPLOAD = MANAGE | {f"{_GOOGLE}youtube.upload"}
READ = MANAGE | {f"{_GOOGLE}youtube.readonly"}

Bucket = Literal["units", "searches", "uploads", "stats"]
_PACIFIC = ZoneInfo("America/Los_Angeles")


class Caller(Struct, frozen=True):
    """Who calls. `channel_id` None: an API key, or an account without a channel."""

    account: str | None
    channel_id: str | None


class YoutubeAccess:
    """The gate of every method."""

    def __init__(self, sandbox: Sandbox, oauth: GoogleOauth) -> None:
        self._sandbox = sandbox
        self.oauth = oauth

    def caller(self, request: web.Request, scopes: frozenset[str], *, key: bool = False) -> Caller:
        """Return the caller. Raises: Refused (401, 403), or 400 for a wrong API key.

        Args: scopes: any one of them is enough; key: an API key will do.
        """
        if "Authorization" in request.headers or "access_token" in request.query:
            token = self.oauth.bearer(request)
            if token is None:
                raise refuse("authError")
            if not scopes & set(token.scopes):
                raise refuse("insufficientPermissions")
            has_channel = self._sandbox.settings.has_channel
            return Caller(token.account, channel_id_of(token.account) if has_channel else None)
        if not key:
            raise refuse("required")
        given = request.query.get("key")
        if given is None:
            raise refuse(
                "forbidden",
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
            )
        if given != self._sandbox.settings.api_key:
            raise refuse("badRequest", "API key not valid. Please pass a valid API key.")
        return Caller(None, None)

    def check_upload_token(self, request: web.Request) -> None:
        """Refuse a dead token on a session address, which needs none. Raises: Refused (401)."""
        if "Authorization" in request.headers and self.oauth.bearer(request) is None:
            raise refuse("authError")

    def charge(self, bucket: Bucket, units: int) -> None:
        """Spend quota. Raises: Refused (403 quotaExceeded) when the day's bucket cannot pay."""
        name = f"quota:{self._day()}:{bucket}"
        if self._sandbox.store.counter(name) + units > self.limits()[bucket]:
            raise refuse("quotaExceeded")
        self._sandbox.store.add(name, units)

    def limits(self) -> dict[Bucket, int]:
        settings = self._sandbox.settings
        return {
            "units": settings.quota_units,
            "searches": settings.quota_searches,
            "uploads": settings.quota_uploads,
            "stats": settings.quota_stats,
        }

    def spent(self) -> dict[str, int]:
        """Return what has been spent today, by bucket."""
        return self._sandbox.store.counters(f"quota:{self._day()}:")

    def _day(self) -> str:
        return datetime.fromtimestamp(self._sandbox.now(), UTC).astimezone(_PACIFIC).date().isoformat()


def listed(request: web.Request, name: str) -> list[str]:
    """Return the values of a parameter that may be repeated or a comma list."""
    return [value.strip() for given in request.query.getall(name, []) for value in given.split(",") if value.strip()]


def parts_of(request: web.Request, known: frozenset[str]) -> tuple[str, ...]:
    """Return the parts asked for. Raises: Refused (400) if there are none or one is unknown."""
    parts = tuple(dict.fromkeys(listed(request, "part")))
    if not parts:
        raise refuse("missingRequiredParameter", "Required parameter: part", location="part")
    if unknown := [part for part in parts if part not in known]:
        raise refuse("unknownPart", f"'{unknown[0]}'", location="part")
    return parts
