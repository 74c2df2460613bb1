"""YouTube's estimated revenue, by video and day.

Docs: YouTube Analytics API, "Metrics" and "Channel Reports", read 2026-11-23. Scope yt-analytics-monetary.readonly and
a channel that earns; a report that asks for money without them is refused whole. Days are Pacific. Days that are not
ready are missing, which is not zero. Estimates are corrected until some time after the end of their month, so whole
months are read again and entries corrected.
Units: decimal amounts of the major unit, finer than cents. They are rounded so that each month of a video adds up to
its own rounded sum (`money.carried`): a thousand days of a third of a cent are not nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import groupby
from typing import Any, Final

from msgspec import Struct

from actors.platforms._youtube.analytics import Reports, day_of
from actors.runtime.db import into
from actors.runtime.work import Services
from actors.tracker.revenue.entries import Entry, Q, Recorded, entry_id, record
from actors.tracker.revenue.money import Money, carried, exponent_of
from contracts.clock import Utc
from contracts.errors import Retry
from contracts.ids import AccountId, ItemId, PostId

__all__ = ["CURRENCY", "METRIC", "SCOPE", "Video", "collect", "entries_of", "read_days", "reads_from"]

NAME: Final = "youtube"
SCOPE: Final = "https://www.googleapis.com/auth/yt-analytics-monetary.readonly"
METRIC: Final = "estimatedRevenue"
CURRENCY: Final = "USD"
READ_AGAIN: Final = timedelta(days=62)
FINAL_AFTER: Final = timedelta(days=15)
"""How long after the end of its month an estimate may still be corrected."""
WHAT: Final = "YouTube Analytics"
WITHOUT: Final = "the account did not grant reading of revenue; connect it again and allow it"


class Video(Struct, frozen=True, kw_only=True):
    """A post that may earn. is_read: its revenue was read before."""

    post_id: PostId
    item_id: ItemId
    platform_post_id: str
    published_at: Utc
    is_read: bool = False


def reads_from(video: Video, *, today: date) -> date:
    """Return the first day to ask for: a month's first, so that its rounding begins where it did before."""
    published = day_of(video.published_at)
    since = max(published, today - READ_AGAIN) if video.is_read else published
    return since.replace(day=1)


def read_days(rows: Iterable[Mapping[str, Any]]) -> dict[date, Decimal]:
    """Read a report's rows of `day` and estimatedRevenue. Raises: Retry if they have another shape."""
    found: dict[date, Decimal] = {}
    for row in rows:
        day, told = row.get("day"), row.get(METRIC)
        try:
            amount = (
                Decimal(str(told)) if isinstance(told, int | float | Decimal) and not isinstance(told, bool) else None
            )
            at = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).date() if isinstance(day, str) else None
        except (ValueError, InvalidOperation):
            amount, at = None, None
        if amount is None or at is None or not amount.is_finite():
            raise Retry(f"{WHAT} answered in a shape that is not known here: no day with {METRIC}")
        found[at] = amount
    return found


def entries_of(
    video: Video, days: Mapping[date, Decimal], *, account: AccountId, today: date, known: frozenset[str] = frozenset()
) -> Iterator[Entry]:
    """Return the entries of a video's days.

    Days that brought nothing are left out, unless they are `known` entries that brought something before, or the first
    day of a month: one zero says that the platform told of it.
    """
    scale = 10 ** exponent_of(CURRENCY)
    for month, of_month in groupby(sorted(days), key=lambda day: (day.year, day.month)):
        told = list(of_month)
        is_final = _next_month(*month) + FINAL_AFTER <= today
        for day, minor in zip(told, carried(Fraction(days[day]) * scale for day in told), strict=True):
            key = f"{video.platform_post_id}/{day.isoformat()}"
            if minor or day == told[0] or entry_id(NAME, key) in known:
                yield Entry(
                    source=NAME,
                    key=key,
                    amount=Money(minor, CURRENCY),
                    earned_on=day,
                    item_id=video.item_id,
                    post_id=video.post_id,
                    platform=NAME,
                    account_id=account,
                    attributed_by="its id there",
                    estimated=not is_final,
                )


def _next_month(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


async def collect(services: Services, account: AccountId, *, mark: str) -> tuple[str, dict[str, int]]:
    """Read the revenue of every video of an account, and record it video by video.

    Args: mark: the post that was read last where a reading was cut short; empty: begin with the first.
    Raises: RateLimited, Retry, Reject, AuthExpired; what was recorded stays, and `revenue_turns.mark` says how far.
    """
    today, told = day_of(services.clock.now()), Recorded()
    videos = [into(Video, row) for row in await services.db.fetch(Q["youtube_posts"], account)]
    names = [video.post_id for video in videos]
    rest = videos[names.index(PostId(mark)) + 1 :] if mark in names else videos
    reports = Reports(services.means)
    for video in rest:
        rows = await reports.report(
            account,
            metrics=(METRIC,),
            dimensions=("day",),
            filters=f"video=={video.platform_post_id}",
            start=reads_from(video, today=today),
            end=today,
            currency=CURRENCY,
        )
        days = read_days(rows)
        ids = [entry_id(NAME, f"{video.platform_post_id}/{day.isoformat()}") for day in days]
        known = frozenset(row["entry_id"] for row in await services.db.fetch(Q["known_entries"], ids))
        entries = list(entries_of(video, days, account=account, today=today, known=known))
        told += await record(services.ledger, entries, now=services.clock.now())
        await services.db.execute(Q["set_mark"], NAME, account, video.post_id)
    return "", {"videos": len(rest), "new": told.new, "corrected": told.corrected}
