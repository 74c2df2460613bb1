"""YouTube Analytics API v2, imitated: reports.query for the videos of the caller's channel.

Docs: YouTube Analytics API, "Reports: Query", "Metrics", "Channel Reports" (developers.google.com, read 2026-11).
Played: reports without dimension, by `day`, by `video`, by `elapsedVideoTimeRatio`; the filter `video==`. Days are
Pacific days. A video's rows begin two days after it was published, by the sandbox's clock, and stand under that day;
revenue is a fixed sum a thousand views, for accounts that have `earns` in their name.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from deploy.sandbox.context import Refused, Sandbox
from deploy.sandbox.faults import Switchboard
from deploy.sandbox.google_oauth import GoogleOauth
from deploy.sandbox.youtube_errors import refusal
from deploy.sandbox.youtube_resource import Video, channel_id_of, published_at, statistics

__all__ = ["YoutubeAnalytics"]

LAG_S = 2 * 86_400.0
PER_THOUSAND = 2.5
_SCOPE = "https://www.googleapis.com/auth/yt-analytics"
_PACIFIC = ZoneInfo("America/Los_Angeles")
_PLAIN = (
    "views",
    "engagedViews",
    "estimatedMinutesWatched",
    "averageViewDuration",
    "averageViewPercentage",
    "likes",
    "comments",
    "shares",
    "subscribersGained",
    "subscribersLost",
)
_MONEY = ("estimatedRevenue", "estimatedAdRevenue", "grossRevenue", "cpm", "playbackBasedCpm", "monetizedPlaybacks")
_CURVE = ("audienceWatchRatio", "relativeRetentionPerformance")
_DIMENSIONS = {(): None, ("day",): "day", ("video",): "video", ("elapsedVideoTimeRatio",): "elapsedVideoTimeRatio"}
_WHOLE = frozenset(_PLAIN) - {"averageViewPercentage"} | {"monetizedPlaybacks"}


class YoutubeAnalytics:
    """The one method of the API."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard, oauth: GoogleOauth) -> None:
        self._sandbox = sandbox
        self._switchboard = switchboard
        self._oauth = oauth

    def add_routes(self, router: web.UrlDispatcher) -> None:
        guarded = self._switchboard.guard("youtube.reports", self._query, refusal=refusal, quota=True)
        router.add_get("/v2/reports", guarded)

    async def _query(self, request: web.Request) -> web.StreamResponse:
        token = self._oauth.bearer(request)
        if token is None:
            raise Refused(refusal(401, "authError"))
        asked = dict(request.query)
        metrics = tuple(name for name in asked.get("metrics", "").split(",") if name)
        dimensions = tuple(name for name in asked.get("dimensions", "").split(",") if name)
        money = bool(set(metrics) & set(_MONEY))
        wanted = {f"{_SCOPE}-monetary.readonly"} if money else {f"{_SCOPE}.readonly", f"{_SCOPE}-monetary.readonly"}
        if not wanted & set(token.scopes):
            raise Refused(refusal(403, "insufficientPermissions"))
        if money and "earns" not in token.account:
            raise Refused(refusal(403, "forbidden", "Forbidden"))
        first, last = _day(asked.get("startDate")), _day(asked.get("endDate"))
        curve = dimensions == ("elapsedVideoTimeRatio",)
        known = _CURVE if curve else (*_PLAIN, *_MONEY)
        if not metrics or not set(metrics) <= set(known) or dimensions not in _DIMENSIONS or first > last:
            raise Refused(refusal(400, "badRequest", "The query is not supported."))
        if asked.get("ids") not in {"channel==MINE", f"channel=={channel_id_of(token.account)}"}:
            raise Refused(refusal(403, "forbidden", "Forbidden"))
        if dimensions == ("video",) and not (asked.get("sort") and asked.get("maxResults")):
            raise Refused(refusal(400, "badRequest", "The query is not supported."))
        videos = self._videos(channel_id_of(token.account), asked.get("filters", ""))
        if curve and len(asked.get("filters", "").removeprefix("video==").split(",")) != 1:
            raise Refused(refusal(400, "badRequest", "The query is not supported."))
        rows = self._rows(videos, metrics, dimensions, first, last)
        if dimensions == ("video",):
            rows.sort(key=lambda row: -row[1])
        begin = int(asked.get("startIndex", "1")) - 1
        rows = rows[begin : begin + min(int(asked.get("maxResults", "100000")), 100_000)]
        headers = [
            *({"name": name, "columnType": "DIMENSION", "dataType": "STRING"} for name in dimensions),
            *(
                {"name": name, "columnType": "METRIC", "dataType": "INTEGER" if name in _WHOLE else "FLOAT"}
                for name in metrics
            ),
        ]
        table: dict[str, Any] = {"kind": "youtubeAnalytics#resultTable", "columnHeaders": headers}
        return web.json_response({**table, "rows": rows} if rows else table)

    def _videos(self, channel_id: str, filters: str) -> list[Video]:
        mine = [one for one in self._sandbox.store.all(Video) if one.channel_id == channel_id]
        if not filters:
            return mine
        name, _, ids = filters.partition("==")
        if name != "video" or ";" in ids:
            raise Refused(refusal(400, "badRequest", "The query is not supported."))
        return [one for one in mine if one.id in ids.split(",")]

    def _rows(
        self, videos: list[Video], metrics: tuple[str, ...], dimensions: tuple[str, ...], first: date, last: date
    ) -> list[list[Any]]:
        views = {video.id: self._views(video) for video in videos}
        ready = [video for video in videos if views[video.id] and first <= self._published(video) <= last]
        if not ready:
            return []
        if dimensions == ("elapsedVideoTimeRatio",):
            points = [(step + 1) / 100 for step in range(100)]
            return [[ratio, *(_curve_at(name, ratio) for name in metrics)] for ratio in points]
        if dimensions == ("video",):
            return [[video.id, *(_metric(name, views[video.id]) for name in metrics)] for video in ready]
        if dimensions == ("day",):
            days = sorted({self._published(video) for video in ready})
            return [
                [
                    day.isoformat(),
                    *(_metric(name, sum(views[v.id] for v in ready if self._published(v) == day)) for name in metrics),
                ]
                for day in days
            ]
        return [[_metric(name, sum(views[video.id] for video in ready)) for name in metrics]]

    def _views(self, video: Video) -> int:
        """Return the views that are in the reports; none for the first two days."""
        now = self._sandbox.now()
        if now - published_at(video, now) < LAG_S:
            return 0
        settings = self._sandbox.settings
        return statistics(video, now, time_scale=settings.time_scale, private_views=settings.private_views).views

    def _published(self, video: Video) -> date:
        moment = datetime.fromtimestamp(published_at(video, self._sandbox.now()), UTC)
        return moment.astimezone(_PACIFIC).date()


def _metric(name: str, views: int) -> int | float:
    whole = {
        "views": views,
        "engagedViews": views * 7 // 10,
        "estimatedMinutesWatched": views * 12 // 60,
        "averageViewDuration": 12,
        "likes": views // 25,
        "comments": views // 200,
        "shares": views // 100,
        "subscribersGained": views // 300,
        "subscribersLost": views // 1200,
        "monetizedPlaybacks": views // 2,
    }
    if name in whole:
        return whole[name]
    revenue = round(views * PER_THOUSAND / 1000, 3)
    return {"averageViewPercentage": 61.5, "cpm": 4.2, "playbackBasedCpm": 5.1}.get(name, revenue)


def _curve_at(name: str, ratio: float) -> float:
    watched = math.exp(-1.2 * ratio)
    return round(watched if name == "audienceWatchRatio" else min(1.0, 0.5 + watched / 4), 4)


def _day(told: Any) -> date:
    try:
        return date.fromisoformat(str(told))
    except ValueError:
        raise Refused(refusal(400, "badRequest", "Invalid date.")) from None
