"""Asking the sources of revenue by the clock: each in its own turn, by one replica at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.tracker.revenue import shopify, youtube_revenue
from actors.tracker.revenue.entries import Q
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry, Snooze
from contracts.ids import AccountId

__all__ = ["EVERY", "Source", "collect_revenue", "sources"]

EVERY: Final = {"youtube": timedelta(hours=12), "shopify": timedelta(hours=1)}
AFTER_FAULT: Final = timedelta(minutes=15)
AFTER_REFUSAL: Final = timedelta(hours=6)
"""A person has to do something first."""


class Source(Struct, frozen=True, kw_only=True):
    """Something that tells of revenue. lacks: why it cannot be asked; empty: it can."""

    name: str
    account: str
    lacks: str = ""


async def sources(services: Services) -> tuple[Source, ...]:
    """Return what can tell of revenue here: connected YouTube accounts, and the shop if one is set."""
    found = [
        Source(
            name="youtube",
            account=row["account_id"],
            lacks="" if youtube_revenue.SCOPE in row["scopes"] else youtube_revenue.WITHOUT,
        )
        for row in await services.db.fetch(Q["youtube_accounts"])
    ]
    if shopify.is_set(services.settings):
        found.append(Source(name="shopify", account=services.settings.option("shopify_server") or ""))
    return tuple(found)


async def collect_revenue(services: Services) -> None:
    """Ask every source whose turn has come, once. One query for each that has not."""
    for source in await sources(services):
        turn = await services.db.fetchrow(Q["turn_of"], source.name, source.account)
        if turn is not None and turn["next_at"] > services.clock.now():
            continue
        try:
            async with services.ledger.lease(f"revenue:{source.name}:{source.account}"):
                await _take_turn(services, source)
        except Snooze:
            continue  # another replica asks it just now


async def _take_turn(services: Services, source: Source) -> None:
    turn = await services.db.fetchrow(Q["turn_of"], source.name, source.account)
    now = services.clock.now()
    if turn is not None and turn["next_at"] > now:
        return
    mark = turn["mark"] if turn is not None else ""
    if turn is None:
        await services.db.execute(
            Q["put_turn"], source.name, source.account, now, "it was not asked yet", "", None, now
        )
    try:
        mark, found = await _ask(services, source, mark)
    except (RateLimited, Retry, Reject, AuthExpired) as error:
        kept = await services.db.fetchrow(Q["turn_of"], source.name, source.account)
        until = _again(error, services.clock.now())
        values = (until, str(error), kept["mark"] if kept is not None else "", None, now)
        await services.db.execute(Q["put_turn"], source.name, source.account, *values)
        get_logger().warning("revenue.not_told", source=source.name, account=source.account, because=str(error))
        return
    until = services.clock.now() + EVERY[source.name]
    await services.db.execute(Q["put_turn"], source.name, source.account, until, "", mark, found, services.clock.now())
    get_logger().info("revenue.read", source=source.name, account=source.account, **found)


async def _ask(services: Services, source: Source, mark: str) -> tuple[str, dict[str, int]]:
    """Raises: RateLimited, Retry, Reject, AuthExpired."""
    if source.lacks:
        raise Reject(source.lacks)
    if source.name == "shopify":
        return await shopify.collect(services, mark=mark)
    return await youtube_revenue.collect(services, AccountId(source.account), mark=mark)


def _again(error: EttamettaError, now: datetime) -> datetime:
    if isinstance(error, RateLimited):
        return max(error.until, now)
    if isinstance(error, Retry):
        return now + max(AFTER_FAULT, timedelta(seconds=error.delay_s or 0))
    return now + AFTER_REFUSAL
