"""Topics: platforms that name what rises are asked every few hours, and what they say is kept for two weeks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from actors import platforms
from actors.runtime.db import into, is_unavailable
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.scanner.ask import DEADLINE_S, because
from actors.scanner.sources import caps_of
from actors.scanner.turns import Q
from contracts.clock import Utc
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Retry
from contracts.platform import Topic, Trends

__all__ = ["FRESH", "KEPT", "MOST_READ", "KnownTopic", "fresh_topics", "trends_due"]

EVERY: Final = timedelta(hours=3)
CLAIMED: Final = timedelta(minutes=10)
"""Longer than asking may take: after it another replica asks."""
AGAIN: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=14)
FRESH: Final = timedelta(days=1)
MOST: Final = 100
MOST_READ: Final = 500


class KnownTopic(Topic, frozen=True, kw_only=True):
    """A stored topic."""

    first_seen_at: Utc


async def trends_due(services: Services) -> None:
    """Ask every platform for its topics that is due. One broken platform does not stop the next."""
    connected = {row["platform"] for row in await services.db.fetch(Q["connected_platforms"])}
    able = [
        name
        for name in platforms.names()
        if (caps := caps_of(name)) is not None
        and caps.trends
        and not caps.by_name_only
        and ((caps.through_account and name in connected) or not platforms.lacking(name, services.settings))
    ]
    now = services.clock.now()
    await services.db.execute(Q["plan_trends"], able, now)
    for row in await services.db.fetch(Q["claim_trends"], now, now + CLAIMED, able):
        await _ask(services, row["platform"])


async def _ask(services: Services, platform: str) -> None:
    try:
        topics = await _topics_of(services, platform)
        await _note(services, platform, topics)
    except Exception as error:
        if is_unavailable(error):
            raise
        if not isinstance(error, EttamettaError):
            get_logger().exception("trends.adapter_failed", platform=platform)
        now = services.clock.now()
        passing = isinstance(error, Retry | AuthExpired)
        until = max(error.until, now) if isinstance(error, RateLimited) else now + (AGAIN if passing else EVERY)
        await services.db.execute(Q["trends_asked"], platform, until, because(error))
        get_logger().warning("trends.failed", platform=platform, because=because(error), until=until.isoformat())
        return
    get_logger().info("trends.noted", platform=platform, topics=len(topics))


async def _topics_of(services: Services, platform: str) -> tuple[Topic, ...]:
    option = services.settings.option
    region = option(f"{platform}_region") or option("trends_region")
    adapter: Trends = platforms.build(platform, services)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await adapter.trends(region=region, limit=MOST)
    except TimeoutError:
        raise Retry(f"{platform} did not answer within {DEADLINE_S:g} s") from None


async def _note(services: Services, platform: str, topics: Iterable[Topic]) -> None:
    now = services.clock.now()
    async with services.db.transaction() as conn:
        for one in sorted(topics, key=lambda one: (one.region or "", one.name)):
            await conn.execute(
                Q["note_topic"],
                one.platform,
                one.region or "",
                one.name,
                one.url,
                one.volume,
                one.unit,
                one.growth,
                list(one.related),
                one.started_at,
                one.observed_at,
            )
        await conn.execute(Q["trends_asked"], platform, now + EVERY, "")


async def fresh_topics(services: Services) -> tuple[KnownTopic, ...]:
    """Return what was named during the last day, the newest first."""
    since = services.clock.now() - FRESH
    return tuple(into(KnownTopic, row) for row in await services.db.fetch(Q["topics_since"], since, MOST_READ))
