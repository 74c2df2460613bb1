"""Look at what becomes of posts, on a schedule that thins out, and tell each change once.

A platform that is away, asks for patience or has lost its permission tells nothing: the looks are put off and no
standing changes. A post that was removed is looked at a few times more, because platforms give posts back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from actors import platforms
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.tracker.handle import Q
from actors.tracker.round import Round, make_round
from actors.tracker.schedule import CONFIRM_AFTER, due_times, next_look, next_look_when_gone
from actors.tracker.standing import Verdict, judge
from contracts.clock import Utc
from contracts.errors import RateLimited
from contracts.events import PostChanged
from contracts.ids import AccountId, CorrelationId, ItemId, PostId
from contracts.platform import Looks, Standing

__all__ = ["look_due"]

AWAY: Final = timedelta(minutes=30)
"""How long looks are put off after a fault of the platform; nothing is urgent about them."""
UNKNOWN: Final = Standing(state="unknown")
BACK: Final = "it stands again"


class Watched(Struct, frozen=True, kw_only=True):
    """A post and what is known of it."""

    post_id: PostId
    item_id: ItemId
    platform: str
    account_id: AccountId
    platform_post_id: str
    shown_at: Utc
    correlation_id: CorrelationId
    confirmed_privacy: str | None
    state: str
    told_state: str
    doubted_state: str | None
    doubted_at: Utc | None
    removed_at: Utc | None
    looks: int


async def look_due(services: Services) -> None:
    """Look at the posts of every account that are due. One indexed query when none is."""
    able = [name for name in platforms.names() if platforms.module(name).CAPS.looks]
    for account in await services.db.fetch(Q["accounts_to_look_at"], services.clock.now(), able):
        await make_round(services, AccountId(account["account_id"]), _looking(services, account["platform"]))


def _looking(services: Services, platform: str) -> Round[Watched, Standing]:
    adapter: Looks = platforms.build(platform, services)

    async def store(due: Sequence[Watched], seen: Mapping[str, Standing]) -> None:
        reach("tracker.looked")
        for post in due:
            await _store(services, post, seen.get(post.platform_post_id, UNKNOWN), services.clock.now())

    async def put_off(due: Sequence[Watched], now: datetime, error: Exception) -> None:
        until = max(error.until, now) if isinstance(error, RateLimited) else now + AWAY
        await services.db.execute(Q["put_off_looks"], [post.post_id for post in due], until)
        get_logger().warning("sentinel.put_off", posts=len(due), until=until.isoformat(), because=str(error))

    return Round(
        hold="hold_looks", due="posts_to_look_at", kind=Watched, ask=adapter.look, put_off=put_off, store=store
    )


async def _store(services: Services, post: Watched, seen: Standing, seen_at: datetime) -> None:
    verdict = judge(
        seen,
        state=post.state,
        told_state=post.told_state,
        doubted=post.doubted_state,
        confirmed_privacy=post.confirmed_privacy,
    )
    doubted_at = (post.doubted_at if verdict.doubt == post.doubted_state else seen_at) if verdict.doubt else None
    async with services.unit(
        seed=f"{post.post_id}/look/{post.looks}", correlation_id=post.correlation_id, causation_id=None
    ) as tx:
        stored = await tx.conn.fetchval(
            Q["store_look"],
            post.post_id,
            post.looks,
            verdict.state,
            seen.because,
            seen.privacy,
            seen_at,
            verdict.told_state,
            verdict.doubt,
            doubted_at,
            _next(post, verdict, seen_at, doubted_at),
        )
        if not stored:
            return
        if verdict.state != post.state:
            change = (seen_at, verdict.state, seen.because, seen.privacy)
            await tx.conn.execute(Q["store_standing_change"], post.post_id, *change)
        if verdict.tells:
            if verdict.told_state == "removed":
                await tx.conn.execute(Q["drop_snapshots"], post.post_id)
            elif post.told_state == "removed" and platforms.module(post.platform).CAPS.measure:
                times = due_times(post.shown_at)
                await tx.conn.execute(Q["plan_snapshots"], post.post_id, list(range(len(times))), times)
            because = seen.because or (BACK if verdict.told_state == "stands" else "")
            tx.emit(
                PostChanged(
                    item_id=post.item_id,
                    post_id=post.post_id,
                    platform=post.platform,
                    account_id=post.account_id,
                    standing=Standing(state=seen.state, because=because, privacy=seen.privacy),
                    seen_at=seen_at,
                )
            )
    if verdict.tells or verdict.doubt not in {None, post.doubted_state}:
        event = "sentinel.changed" if verdict.tells else "sentinel.doubts"
        get_logger().warning(event, post_id=post.post_id, state=seen.state, because=seen.because)


def _next(post: Watched, verdict: Verdict, seen_at: datetime, doubted_at: datetime | None) -> datetime | None:
    """A doubt is looked into soon, ever less so while the platform does not tell; a post that is gone, a few times."""
    if doubted_at is not None:
        return seen_at + max(CONFIRM_AFTER, seen_at - doubted_at)
    if verdict.told_state == "removed":
        return next_look_when_gone(post.removed_at or seen_at, seen_at)
    return next_look(post.shown_at, seen_at)
