"""Turns at platforms whose calls must last for a day: planned, taken and noted in one transaction."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from actors.runtime.db import into, load_queries
from actors.runtime.quota import Bucket, window_of
from actors.runtime.work import Services
from actors.scanner.ration import Standing, Turn, plan, spare

__all__ = ["Q", "take_turn"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


async def take_turn(
    services: Services, platform: str, bucket: Bucket, *, niche: str, scan_id: str, scheduled: bool, by_name: bool
) -> Turn:
    """Decide whether a scan asks a rationed platform, and note it if so. The same scan is told the same again.

    Args: scheduled: the schedule asked for the scan; else a person did: granted where the platform is named, or where
    a call is spare.
    """
    now = services.clock.now()
    begins_at, ends_at = window_of(bucket, now)
    left = await services.means.quota.left(platform, bucket)
    async with services.db.transaction() as conn:
        await conn.execute(Q["hold_ration"], platform)
        rows = await conn.fetch(Q["standings"], platform, begins_at)
        if any(row["niche"] == niche and row["scan_id"] == scan_id for row in rows):
            return Turn(granted=True, because="it has its turn already")
        standings = [_standing(into(_Row, row), niche, now) for row in rows]
        # Turns under way are not spent yet; what people and pages beyond the first spent is no turn.
        calls_left = min(left, bucket.limit - sum(one.asks for one in standings))
        watched = any(one.niche == niche for one in standings)
        if by_name and not scheduled:
            turn = Turn(granted=True, because="a person named it")
        elif scheduled and watched:
            turn = plan(standings, calls_left=calls_left, ends_at=ends_at, now=now)[niche]
        else:
            turn = _unplanned(standings, platform, niche, calls_left, ends_at)
        if turn.granted and watched:
            await conn.execute(Q["take_turn"], niche, platform, now, begins_at, scan_id)
    return turn


class _Row(Standing, frozen=True, kw_only=True):
    scan_id: str


def _standing(row: _Row, niche: str, now: datetime) -> Standing:
    """Return how a niche stands; the one that is scanned now wants its turn now."""
    return msgspec.structs.replace(row, wanted_at=now) if row.niche == niche else row


def _unplanned(standings: list[Standing], platform: str, niche: str, calls_left: int, ends_at: datetime) -> Turn:
    if calls_left <= 0:
        return Turn(granted=False, because=f"no call is left until {ends_at:%H:%M} UTC", spent=True)
    others = [one for one in standings if one.niche != niche]
    if spare(others, calls_left=calls_left, ends_at=ends_at) >= 1:
        return Turn(granted=True, because="a call is spare")
    text = f"the {calls_left} calls left until {ends_at:%H:%M} UTC are kept for watched niches"
    return Turn(granted=False, because=f"{text}; add --platform {platform} to use one all the same")
