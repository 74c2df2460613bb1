"""When niches are scanned: each has a grid of its own with jitter, and each moment of it is scanned once.

The row moves on in the transaction that leaves the scan in the outbox, under a lock that other replicas pass by, and
the event's id follows from niche and moment. How it begins tells the scanner's own scans from those of people,
however late they are handled.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from actors.runtime.db import into
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.scanner.turns import Q
from contracts.clock import Utc
from contracts.events import Destination, ScanRequested
from contracts.ids import CorrelationId, EventId, derived

__all__ = ["MOST_PUT_OFF", "Origin", "origin_of", "slot_after", "watch_due"]

BATCH: Final = 50
JITTER: Final = 0.1
"""Part of the interval by which a scan may be late, so that they neither come together nor at full hours."""

MOST_PUT_OFF: Final = timedelta(days=2)
"""A platform that was limited is asked again for so long; then the put-off ends, and the log says so."""
_SCAN: Final = "niche-scan-"
_LATER_OF_WATCHED: Final = "niche-later-"
_LATER: Final = "later-"


class Origin(Struct, frozen=True, kw_only=True):
    """Who asked for a scan. of_watched: for a watched niche, it ends with it; put_off: one platform, asked again."""

    scheduled: bool
    put_off: bool
    of_watched: bool

    @property
    def by_person(self) -> bool:
        return not self.scheduled and not self.put_off


def origin_of(scan_id: str) -> Origin:
    """Tell from the id of a scan who asked for it."""
    return Origin(
        scheduled=scan_id.startswith(_SCAN),
        put_off=scan_id.startswith((_LATER, _LATER_OF_WATCHED)),
        of_watched=scan_id.startswith((_SCAN, _LATER_OF_WATCHED)),
    )


class _Due(Struct, frozen=True, kw_only=True):
    """What a scan is asked for with."""

    candidates: int
    destination: Destination | None
    platforms: tuple[str, ...] = ()
    every_s: int = 0


class _Later(Struct, frozen=True, kw_only=True):
    """A platform that waits to be asked again. watched: for a watched niche."""

    niche: str
    platform: str
    due_at: Utc
    correlation_id: CorrelationId
    watched: bool


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
    for row in await services.db.fetch(Q["end_later"], now - MOST_PUT_OFF):
        get_logger().warning("scan.given_up", niche=row["niche"], platform=row["platform"], because=row["because"])
    for row in await services.db.fetch(Q["due_later"], now, BATCH):
        await _scan_later(services, into(_Later, row))


async def _scan(services: Services, niche: str, due_at: datetime, now: datetime) -> None:
    scan_id = EventId(_SCAN + derived("niche", niche, due_at.isoformat()))
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


async def _scan_later(services: Services, later: _Later) -> None:
    begins = _LATER_OF_WATCHED if later.watched else _LATER
    scan_id = EventId(begins + derived("later", later.niche, later.platform, later.due_at.isoformat()))
    async with services.unit(seed=scan_id, correlation_id=later.correlation_id, causation_id=None) as tx:
        row = await tx.conn.fetchrow(Q["take_later"], later.niche, later.platform, later.due_at)
        if row is None:
            return
        due = into(_Due, row)
        tx.emit(
            ScanRequested(
                event_id=scan_id,
                niche=later.niche,
                platform=later.platform,
                limit=due.candidates,
                destination=due.destination,
            )
        )
