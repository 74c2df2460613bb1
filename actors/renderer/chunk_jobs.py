"""Chunk jobs: the parts of one plan as events that any renderer takes, from the asking to the join.

A part's row names its valid event, so that an event of an earlier round is acked without work. A job is over when one
of its events ended without success (a dead letter, told with its reason); a person who retries that dead letter
brings the parts back that were left meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from actors.runtime.db import Record, load_queries
from actors.runtime.ledger import Tx
from actors.runtime.work import Services, Work
from contracts.events import ChunkRequested, JoinRequested
from contracts.ids import ItemId, PlanId

__all__ = ["ask", "ask_join", "find", "over", "revive", "stop"]

MISSING: Final = ("waiting", "working", "stopped")
Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


async def find(services: Services, name: PlanId) -> Record | None:
    return await services.db.fetchrow(Q["find_job"], name)


async def ask(tx: Tx, item_id: ItemId, name: PlanId, *, states: Sequence[str] = MISSING) -> int:
    """Emit an event for each part in these states; where none misses, ask for the join.

    Returns how often one of them was asked for by now, at most; 0: none misses.
    """
    rows = await tx.conn.fetch(Q["ask_parts"], name, states)
    events = []
    # The sound takes longest: it goes first.
    for index, rounds in sorted(tuple(row) for row in rows):
        tx.emit(ChunkRequested(item_id=item_id, plan_id=name, index=index), name=f"{index}/{rounds}")
        events.append((name, index, tx.outgoing[-1].event_id))
    await tx.conn.executemany(Q["note_event"], events)
    if not rows and states is MISSING:
        await ask_join(tx, item_id, name)
    return max((row["rounds"] for row in rows), default=0)


async def ask_join(tx: Tx, item_id: ItemId, name: PlanId) -> None:
    tx.emit(JoinRequested(item_id=item_id, plan_id=name))
    await tx.conn.execute(Q["ask_join"], name, tx.outgoing[-1].event_id)


async def over(services: Services, name: PlanId) -> str | None:
    """Return why nothing more is to be done for a plan; None: go on."""
    because: str | None = await services.db.fetchval(Q["why_over"], name)
    return because


async def stop(services: Services, name: PlanId, index: int) -> bool:
    """Leave a part because its plan is over; False: it is not over any more."""
    async with services.db.transaction() as conn:
        # A retry of the dead letter takes the same lock before it looks for what was left.
        await conn.execute(Q["lock_rendition"], name)
        if await conn.fetchval(Q["why_over"], name) is None:
            return False
        await conn.execute(Q["stop_part"], name, index)
    return True


async def revive(work: Work[Any], services: Services, item_id: ItemId, name: PlanId) -> None:
    """Ask anew for the parts that were left while the plan was over."""
    if not await services.db.fetchval(Q["any_left"], name):
        return
    event = work.event
    async with services.unit(
        seed=f"revive:{event.event_id}", correlation_id=event.correlation_id, causation_id=event.event_id
    ) as tx:
        await tx.conn.execute(Q["lock_rendition"], name)
        await ask(tx, item_id, name, states=("stopped",))
