"""YouTube Analytics: what a channel's owner alone is told: watch time, retention, followers won, earnings.

Docs: YouTube Analytics API v2, "Reports: Query", "Metrics", "Channel Reports", read 2026-11-23. Days are Pacific days
and come two to three days late: a row that is missing is not ready, never zero. Any metric that is not allowed fails
the whole report with 403, or 401 "Insufficient permission", which says nothing of the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from actors.platforms._account import Denied, authorised
from actors.platforms._youtube.calls import OAUTH
from actors.platforms._youtube.errors import client_refused_in, parse_reason, raise_for_answer
from actors.platforms._youtube.search import PACIFIC, PLATFORM
from actors.runtime.http import Response
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import AccountId

__all__ = ["ANALYTICS_URL", "Report", "Reports", "Row", "day_of", "parse_rows"]

ANALYTICS_URL: Final = "https://youtubeanalytics.googleapis.com"
PAGE_ROWS: Final = 200
FIRST_DAY: Final = date(2005, 2, 14)
VIDEO_METRICS: Final = (
    "views",
    "estimatedMinutesWatched",
    "averageViewDuration",
    "shares",
    "subscribersGained",
    "subscribersLost",
)
GRANT: Final = "Connect the channel again and leave the reports of YouTube Analytics ticked"
LATE: Final = "YouTube Analytics has no row of this video yet: its days come two to three days late"
NO_CURVE: Final = "YouTube Analytics gives no retention of this video yet"
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_BUSY: Final = frozenset({"quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded"})
_NOT_ALLOWED: Final = frozenset({"unauthorized", "forbidden"})

Row = dict[str, Any]


class Report(msgspec.Struct, frozen=True):
    """What Analytics adds to a video's counts; absent: why the rest is null."""

    counts: dict[str, Any]
    absent: dict[str, str]


def parse_rows(answer: Any) -> tuple[Row, ...]:
    """Read a result table; numbers as they stand. No `rows` is no data. Raises: Retry on an unknown shape."""
    headers = answer.get("columnHeaders") if isinstance(answer, dict) else None
    rows = answer.get("rows") or () if isinstance(answer, dict) else None
    if not isinstance(headers, list) or not isinstance(rows, list | tuple):
        raise Retry("YouTube Analytics answered in a shape that is not known here: a table was expected")
    names = [header.get("name") if isinstance(header, dict) else None for header in headers]
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise Retry("YouTube Analytics answered in a shape that is not known here: rows and headers differ")
    return tuple({str(name): value for name, value in zip(names, row, strict=True)} for row in rows)


def denied_of(answer: Response) -> Denied | None:
    """Read that the token is not accepted; a metric that is not allowed is told with 401 too, at times."""
    reason, message = parse_reason(answer)
    if answer.status != 401 or reason in _NOT_ALLOWED or "Insufficient permission" in message:
        return None
    return Denied(because=f"YouTube Analytics says {reason or 401}: {message or 'the permission is not accepted'}")


class Reports:
    """Asks for reports of connected channels."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._url = means.settings.api_url(PLATFORM, ANALYTICS_URL) + "/v2/reports"

    async def report(
        self,
        account: AccountId,
        *,
        metrics: Sequence[str],
        dimensions: Sequence[str] = (),
        filters: str = "",
        start: date,
        end: date,
        currency: str | None = None,
    ) -> tuple[Row, ...]:
        """Return the rows of a report as {name: value}, fractions as Decimal; none: there are no data (yet).

        Args: start, end: Pacific days, both count; filters: as `video==ID1,ID2;country==US`; currency: ISO 4217.
        Raises: Reject (a metric is not allowed or not granted: the account is well), ClientRefused, RateLimited, Retry,
        AuthExpired.
        """
        params = {
            "ids": "channel==MINE",
            "startDate": start.isoformat(),
            "endDate": end.isoformat(),
            "metrics": ",".join(metrics),
        }
        optional = {"dimensions": ",".join(dimensions), "filters": filters, "currency": currency or ""}
        params |= {name: value for name, value in optional.items() if value}
        by_video = "video" in dimensions
        if by_video:
            params |= {"sort": f"-{metrics[0]}", "maxResults": str(PAGE_ROWS)}
        rows: list[Row] = []
        while True:
            page = await self._page(account, params | ({"startIndex": str(len(rows) + 1)} if rows else {}))
            rows.extend(page)
            if not by_video or len(page) < PAGE_ROWS:
                return tuple(rows)

    async def _page(self, account: AccountId, params: dict[str, str]) -> tuple[Row, ...]:
        async def get(token: str) -> Response:
            return await self._means.http.request(
                "GET", self._url, params=params, headers={"Authorization": f"Bearer {token}"}
            )

        answer = await authorised(self._means.tokens, account, OAUTH, get, denied=denied_of)
        reason, message = parse_reason(answer)
        if answer.status in {401, 403} and reason not in _BUSY and client_refused_in(answer) is None:
            raise Reject(f"YouTube Analytics does not tell it ({reason or answer.status}: {message})", mend=GRANT)
        raise_for_answer(answer, what="YouTube Analytics", now=self._means.clock.now())
        try:
            return parse_rows(_DECODER.decode(answer.body))
        except msgspec.DecodeError as error:
            raise Retry("YouTube Analytics answered with something that is not JSON") from error

    async def of_videos(self, account: AccountId, ids: Sequence[str], *, since: date | None) -> dict[str, Report]:
        """Return what Analytics adds to the counts of videos; whatever it does not tell is null, with the reason.

        One request for all, and one for the retention of each video that has views. A project without this API has the
        counts all the same. Raises: AuthExpired.
        """
        today = self._means.clock.now().astimezone(ZoneInfo(PACIFIC)).date()
        start = max(since or FIRST_DAY, FIRST_DAY)
        fields = ("shares", "followers", "watched_us", "average_watched_us", "retention")
        try:
            rows = await self.report(
                account,
                metrics=VIDEO_METRICS,
                dimensions=("video",),
                filters=f"video=={','.join(ids)}",
                start=min(start, today),
                end=today,
            )
        except (Reject, Retry, RateLimited) as error:
            return {video: Report({}, dict.fromkeys(fields, str(error))) for video in ids}
        found = {video: Report({}, dict.fromkeys(fields, LATE)) for video in ids}
        for row in rows:
            if row.get("video") in found:
                counts = _counts(row)
                absent = {name: LATE for name in fields if counts.get(name) is None}
                counts["retention"], absent["retention"] = await self._retention(
                    account, row["video"], start=min(start, today), end=today
                )
                found[row["video"]] = Report(counts, {name: why for name, why in absent.items() if why})
        return found

    async def _retention(
        self, account: AccountId, video: str, *, start: date, end: date
    ) -> tuple[tuple[tuple[float, float], ...] | None, str]:
        """Return the curve, or why there is none."""
        try:
            rows = await self.report(
                account,
                metrics=("audienceWatchRatio",),
                dimensions=("elapsedVideoTimeRatio",),
                filters=f"video=={video}",
                start=start,
                end=end,
            )
            curve = tuple((float(row["elapsedVideoTimeRatio"]), float(row["audienceWatchRatio"])) for row in rows)
        except (Reject, Retry, RateLimited) as error:
            return None, str(error)
        except (KeyError, TypeError, ValueError):
            return None, NO_CURVE
        return (tuple(sorted(curve)), "") if curve else (None, NO_CURVE)


def _counts(row: Row) -> dict[str, Any]:
    told = {name: value for name in VIDEO_METRICS if isinstance(value := row.get(name), int | Decimal)}
    found: dict[str, Any] = {"shares": int(told["shares"]) if "shares" in told else None}
    if "subscribersGained" in told and "subscribersLost" in told:
        found["followers"] = int(told["subscribersGained"] - told["subscribersLost"])
    if "estimatedMinutesWatched" in told:
        found["watched_us"] = int(told["estimatedMinutesWatched"] * 60_000_000)
    if "averageViewDuration" in told:
        found["average_watched_us"] = int(told["averageViewDuration"] * 1_000_000)
    return found


def day_of(told: datetime) -> date:
    """Return the Pacific day of a moment."""
    return told.astimezone(ZoneInfo(PACIFIC)).date()
