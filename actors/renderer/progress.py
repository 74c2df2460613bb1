"""How far a render is, over all renderers that work on it, and when its last frame will be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from actors.runtime.db import into, load_queries
from actors.runtime.work import Services, Work
from contracts.events import RenderProgressed
from contracts.ids import ItemId, PlanId

__all__ = ["Eta", "Pace", "eta", "tell"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
SEEN_FOR_S: Final = 15.0
"""A chunk that was silent for so long is not being worked on: a worker tells of its frames every second."""


class Pace(Struct, frozen=True):
    """What was done. pace_per_s: frames of one worker per second of its work; null: none was seen."""

    frames_done: int
    workers: int
    pace_per_s: float | None


class Eta(Struct, frozen=True):
    """Time until the last frame, seconds; null: `because` says why."""

    seconds: float | None
    because: str = ""


def eta(pace: Pace, frames_total: int) -> Eta:
    """Return when the last frame is there if all goes on as now."""
    left = frames_total - pace.frames_done
    if left <= 0:
        return Eta(0.0)
    if not pace.workers:
        return Eta(None, "no renderer works on it now")
    if not pace.pace_per_s:
        return Eta(None, "no frame is encoded yet")
    return Eta(left / (pace.workers * pace.pace_per_s))


async def tell(
    work: Work[Any],
    services: Services,
    item_id: ItemId,
    plan_id: PlanId,
    pace: Pace | None = None,
    *,
    last: bool = False,
) -> None:
    """Record and announce how far a plan is, unless somebody did so less than a second ago.

    Args: pace: where one process makes all parts; else it is worked out from what all renderers did;
    last: tell in any case.
    """
    frames_total = await services.db.fetchval(Q["claim_telling"], plan_id, last)
    if frames_total is None:
        return
    if pace is None:
        row = await services.db.fetchrow(Q["pace"], plan_id, SEEN_FOR_S)
        assert row is not None
        pace = into(Pace, row)
    left = eta(pace, frames_total)
    await services.db.execute(Q["note_progress"], plan_id, pace.frames_done, left.seconds, left.because)
    await work.announce(
        RenderProgressed(
            item_id=item_id,
            plan_id=plan_id,
            frames_done=pace.frames_done,
            frames_total=frames_total,
            workers=pace.workers,
            eta_s=left.seconds,
            absent={"eta_s": left.because} if left.because else {},
        )
    )
