"""Take the snapshots that are due.

Each snapshot is stored, struck off the schedule and told in one transaction. The first answer for a bucket stays as it
is; what the platform tells of it later is stored beside it, with its time, and told as a revision: docs/measuring.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from actors import platforms
from actors.runtime.db import Record, into
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.oauth import ClientRefused
from actors.runtime.work import Services
from actors.tracker.handle import Q
from actors.tracker.numbers import FIELDS, Known, changes_of, nothing_known, revised, values_of
from actors.tracker.round import Round, make_round
from actors.tracker.schedule import LATE
from contracts.clock import Utc
from contracts.errors import AuthExpired, RateLimited, Reject, Retry
from contracts.events import PostMeasured
from contracts.ids import AccountId, CorrelationId, ItemId, PostId
from contracts.platform import Measures, PostMetrics

__all__ = ["measure_due"]

RETRY_SOONEST: Final = timedelta(seconds=5)
RETRY_LATEST: Final = timedelta(minutes=10)
AUTH_AFTER: Final = timedelta(hours=1)
USUAL: Final = timedelta(days=60)
"""What a platform told of any post in this time, it may still tell of one that lacks it."""


class Due(Struct, frozen=True, kw_only=True):
    """A post and the snapshot to take of it."""

    post_id: PostId
    bucket: int
    item_id: ItemId
    platform: str
    platform_post_id: str
    shown_at: Utc
    correlation_id: CorrelationId


async def measure_due(services: Services) -> None:
    """Measure every account that has something due. One indexed query when nothing is."""
    for account in await services.db.fetch(Q["due_accounts"], services.clock.now()):
        if not platforms.module(account["platform"]).CAPS.measure:
            get_logger().error("tracker.cannot_measure", platform=account["platform"])
            continue
        await make_round(services, AccountId(account["account_id"]), _measuring(services, account["platform"]))


def _measuring(services: Services, platform: str) -> Round[Due, PostMetrics]:
    adapter: Measures = platforms.build(platform, services)

    async def ask(account: AccountId, names: tuple[str, ...]) -> Mapping[str, PostMetrics]:
        try:
            return await adapter.measure(account, names)
        except ClientRefused:
            raise
        except Reject as error:
            return {name: nothing_known(f"the platform refused to tell: {error}") for name in names}

    async def store(due: Sequence[Due], found: Mapping[str, PostMetrics]) -> None:
        reach("tracker.measured")
        measured_at = services.clock.now()
        usual = await _usual(services, platform, measured_at)
        for post in due:
            await _store(services, post, found.get(post.platform_post_id), measured_at, usual=usual)

    async def put_off(due: Sequence[Due], now: datetime, error: Exception) -> None:
        await _postpone(services, due, now, error)

    return Round(hold="hold_account", due="due_posts", kind=Due, ask=ask, put_off=put_off, store=store)


async def _usual(services: Services, platform: str, now: datetime) -> frozenset[str]:
    """Return the numbers that the platform told of any post lately."""
    told = await services.db.fetchrow(Q["told_fields"], platform, now - USUAL)
    return frozenset() if told is None else frozenset(name for name in FIELDS if told[name])


async def _store(
    services: Services, post: Due, found: PostMetrics | None, measured_at: datetime, *, usual: frozenset[str]
) -> None:
    metrics = found or nothing_known(f"{post.platform} no longer shows this post")
    age_s = max(0, int((measured_at - post.shown_at).total_seconds()))
    async with services.unit(
        seed=f"{post.post_id}/{post.bucket}", correlation_id=post.correlation_id, causation_id=None
    ) as tx:
        earlier = {row["bucket"]: row for row in await tx.conn.fetch(Q["known_by_now"], post.post_id, post.bucket)}
        values = (post.post_id, post.bucket, measured_at, age_s, metrics.absent, *values_of(metrics))
        new = await tx.conn.fetchval(Q["store_measurement"], *values)
        changes = changes_of([row["numbers"] for row in earlier.values()], metrics)
        for change in changes:
            told = (change.bucket, change.field, measured_at, change.kind, change.was, change.value)
            await tx.conn.execute(Q["store_change"], post.post_id, *told)
        await tx.conn.execute(Q["close_buckets"], post.post_id, post.bucket)
        if found is None:
            await tx.conn.execute(Q["note_missing"], post.post_id, measured_at)
        else:
            await tx.conn.execute(Q["note_shown"], post.post_id)
        if new:
            if found is not None and any(getattr(found, name) is None for name in usual):
                await tx.conn.execute(Q["ask_again"], post.post_id, post.bucket, measured_at + LATE)
            tx.emit(_event(post, Known(bucket=post.bucket, measured_at=measured_at, age_s=age_s, metrics=metrics)))
        for bucket in dict.fromkeys(change.bucket for change in changes):
            now_known = revised(_known(earlier[bucket]), changes, measured_at)
            tx.emit(_event(post, now_known), name=f"{bucket}/{now_known.revision}")


def _known(row: Record) -> Known:
    values = {name: row[name] for name in ("bucket", "measured_at", "age_s", "revision", "revised")}
    return into(Known, {**values, "metrics": row["numbers"]})


def _event(post: Due, known: Known) -> PostMeasured:
    return PostMeasured(
        item_id=post.item_id,
        post_id=post.post_id,
        platform=post.platform,
        bucket=known.bucket,
        measured_at=known.measured_at,
        age_s=known.age_s,
        metrics=known.metrics,
        revision=known.revision,
        revised=known.revised,
    )


async def _postpone(services: Services, due: Sequence[Due], now: datetime, error: Exception) -> None:
    """Put the snapshots off: until the platform says, or an hour where a person has to act.

    A passing fault costs a tenth of the youngest post's age: the first numbers soon, old ones without haste.
    """
    if isinstance(error, RateLimited):
        until = max(error.until, now)
    elif isinstance(error, AuthExpired | ClientRefused):
        until = now + AUTH_AFTER
    else:
        delay_s = error.delay_s if isinstance(error, Retry) and error.delay_s else 0.0
        age = now - max(post.shown_at for post in due)
        until = now + max(min(max(age / 10, RETRY_SOONEST), RETRY_LATEST), timedelta(seconds=delay_s))
    await services.db.execute(Q["postpone"], [post.post_id for post in due], now, until)
    get_logger().warning("tracker.postponed", posts=len(due), until=until.isoformat(), because=str(error))
