"""Make one part of a long plan; whoever makes the last one asks for the join."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from actors.renderer import chunk_jobs
from actors.renderer.job import ENGINE
from actors.renderer.parts import Parts, finish_part
from actors.renderer.permitted import require_stored
from actors.renderer.progress import tell
from actors.runtime.db import load_queries
from actors.runtime.work import Handler, Services, Work
from contracts.errors import EttamettaError, Reject, Retry
from contracts.events import ChunkRequested

__all__ = ["chunk_handler"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
TELL_EVERY_S: Final = 1.0
OTHER_ENGINE_DELAY_S: Final = 10.0


class _Over(EttamettaError):
    """The plan is over: this part is not needed any more."""


def chunk_handler(parts: Parts) -> Handler:
    """Return the handler of chunk.requested of one process."""

    async def handle(work: Work[ChunkRequested], services: Services) -> None:
        """Make one part. Raises: Reject, Retry, Snooze, LeaseLost."""
        event = work.event
        job = await chunk_jobs.find(services, event.plan_id)
        part = await services.db.fetchrow(Q["find_part"], event.plan_id, event.index)
        if (
            job is None
            or part is None
            or job["finished"]
            or part["state"] == "done"
            or part["event_id"] != event.event_id
        ):
            work.log.info("chunk.not_needed", plan_id=event.plan_id, index=event.index)
            return
        if await chunk_jobs.over(services, event.plan_id) and await chunk_jobs.stop(
            services, event.plan_id, event.index
        ):
            work.log.info("chunk.left", plan_id=event.plan_id, index=event.index)
            return
        require_stored(job, services)
        await chunk_jobs.revive(work, services, job["item_id"], event.plan_id)
        try:
            cut = await parts.cut(services, event.plan_id, job["plan"])
        except Reject as error:  # it was cut before: something, a font say, misses on this machine alone
            raise Retry(str(error), delay_s=OTHER_ENGINE_DELAY_S) from error
        piece = cut.pieces.get(event.index)
        if piece is None or piece.key != part["key"]:
            raise Retry(
                f"the plan was cut by another version of the engine than {ENGINE}; give all renderers the same version",
                delay_s=OTHER_ENGINE_DELAY_S,
            )

        told_at_s = 0.0

        async def note(frames: int) -> None:
            nonlocal told_at_s
            if time.monotonic() - told_at_s < TELL_EVERY_S:
                return
            told_at_s = time.monotonic()
            await services.db.execute(Q["note_frames"], event.plan_id, event.index, frames)
            await tell(work, services, event.item_id, event.plan_id)
            if await chunk_jobs.over(services, event.plan_id):
                raise _Over

        async with work.lease(f"chunk:{piece.key}"):
            try:
                file = await parts.make(services, cut, piece, note)
            except _Over:
                # Not over any more: the next delivery begins again.
                if not await chunk_jobs.stop(services, event.plan_id, event.index):
                    raise Retry("the plan goes on after it was over") from None
                work.log.info("chunk.left", plan_id=event.plan_id, index=event.index)
                return
            async with work.commit() as tx:
                if await finish_part(tx.conn, event.plan_id, piece, file):
                    await chunk_jobs.ask_join(tx, event.item_id, event.plan_id)
        await tell(work, services, event.item_id, event.plan_id)

    return handle
