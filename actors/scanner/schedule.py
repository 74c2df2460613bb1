"""When niches are scanned: each has a grid of its own with jitter, and each moment of it is scanned once.

The row moves on in the transaction that leaves the scan in the outbox, under a lock that other replicas pass by, and
the event's id follows from niche and moment.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from actors.runtime.db import into
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.scanner.turns import Q
from contracts.events import Destination, ScanRequested
from contracts.ids import CorrelationId, EventId, derived

__all__ = ["slot_after", "watch_due"]

BATCH: Final = 50
JITTER: Final = 0.1
"""Part of the interval by which a scan may be late, so that they neither come together nor at full hours."""


class _Due(Struct, frozen=True, kw_only=True):
    """What a scan is asked for with."""

    candidates: int
    destination: Destination | None
    platforms: tuple[str, ...] = ()
    every_s: int = 0


def slot_after(niche: str, every_s: int, at: datetime) -> datetime:
    """Return the first moment of a niche's grid after `at`. The grid does not drift: jitter moves each slot alone."""
    phase_s = _chance(niche) % every_s
    number = int((at.timestamp() - phase_s) // every_s) - 1
    while True:
        late_s = _chance(niche, str(number)) % max(1, int(every_s * JITTER))
        slot = datetime.fromtimestamp(number * every_s + phase_s + late_s, UTC)
        if slot > at:
            return slot
        number += 1


def _chance(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "big")


async def watch_due(services: Services) -> None:
    """Ask for every scan that is due, and for every platform that was put off and may be asked again."""
    now = services.clock.now()
    for row in await services.db.fetch(Q["due_niches"], now, BATCH):
        await _scan(services, row["name"], row["next_at"], now)
    for row in await services.db.fetch(Q["due_later"], now, BATCH):
        await _scan_later(services, row["niche"], row["platform"], row["due_at"], row["correlation_id"])


async def _scan(services: Services, niche: str, due_at: datetime, now: datetime) -> None:
    scan_id = EventId(derived("niche", niche, due_at.isoformat()))
    async with services.unit(seed=scan_id, correlation_id=CorrelationId(scan_id), causation_id=None) as tx:
        row = await tx.conn.fetchrow(Q["hold_niche"], niche, due_at)
        if row is None:
            return
        due = into(_Due, row)
        await tx.conn.execute(Q["move_on"], niche, slot_after(niche, due.every_s, now), scan_id)
        tx.emit(
            ScanRequested(
                event_id=scan_id,
                niche=niche,
                platform=",".join(due.platforms) or None,
                limit=due.candidates,
                destination=due.destination,
            )
        )
        get_logger().info("niche.due", niche=niche, scan_id=scan_id)


async def _scan_later(services: Services, niche: str, platform: str, due_at: datetime, correlation: str) -> None:
    scan_id = EventId(derived("later", niche, platform, due_at.isoformat()))
    async with services.unit(seed=scan_id, correlation_id=CorrelationId(correlation), causation_id=None) as tx:
        row = await tx.conn.fetchrow(Q["take_later"], niche, platform, due_at)
        if row is None:
            return
        due = into(_Due, row)
        tx.emit(
            ScanRequested(
                event_id=scan_id,
                niche=niche,
                platform=platform,
                limit=due.candidates,
                destination=due.destination,
            )
        )
