"""Render a plan once: check it and its rights, see to its parts, join them, tell of it.

A short plan is rendered here, all its parts side by side; a long one is asked for in chunk jobs, which any renderer
takes, and this replica is free again at once. Parts are stored under their keys, so a delivery that was cut short
goes on where it was; the finished file is stored under its own hash before the row says so.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

from actors.renderer import chunk_jobs
from actors.renderer.finish import Asked, finish, store
from actors.renderer.parts import Parts, evidence, note_file, opened
from actors.renderer.parts import store as store_part
from actors.renderer.permitted import require
from actors.renderer.pieces import Cut, file_name, workers
from actors.renderer.progress import Pace, tell
from actors.renderer.timeline import frame_count
from actors.runtime.db import Connection, into, load_queries
from actors.runtime.work import Handler, Services, Work
from contracts.errors import Snooze
from contracts.events import RenderRequested
from contracts.ids import PlanId
from contracts.media import Rendition
from contracts.plan import plan_id
from contracts.plan_rules import check, duration_us

__all__ = ["render_handler"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
UNDER_WAY_DELAY_S: Final = 10.0
STANDING_FOR: Final = timedelta(hours=1)
"""After so long without a sign of work, another request asks for the parts anew: their events may be lost."""


def render_handler(parts: Parts) -> Handler:
    """Return the handler of render.requested of one process."""

    async def handle(work: Work[RenderRequested], services: Services) -> None:
        """Render the plan of one event, or ask for its parts. Raises: Reject, Retry, Snooze, LeaseLost."""
        plan = work.event.plan
        check(plan)
        require(plan, services, work.event.destination)
        name = plan_id(plan)
        async with work.lease(f"render:{name}"):
            total = frame_count(duration_us(plan), plan.output.fps)
            await services.db.execute(Q["start_rendition"], name, work.event.item_id, plan, total, work.now)
            rendition = await _stored(services, name)
            if rendition is not None:
                work.log.info("render.already_done", plan_id=name, key=rendition.key)
            elif duration_us(plan) >= services.settings.render_chunk_from_s * 1_000_000:
                await _ask(work, services, parts, name)
                return
            else:
                rendition = await _render(work, services, parts, name)
            async with work.commit() as tx:
                await finish(work, tx, Asked.of(work.event), rendition, plan)

    return handle


async def _stored(services: Services, name: PlanId) -> Rendition | None:
    """Return the finished file of a plan if it is recorded and still there."""
    row = await services.db.fetchval(Q["find_rendition"], name)
    if row is None:
        return None
    rendition = into(Rendition, row)
    return rendition if await services.objects.exists(rendition.key) else None


async def _lay_out(conn: Connection, cut: Cut) -> None:
    """Write the rows of a plan's parts. What has a file is done."""
    rows = [(cut.plan_id, piece.index, piece.key, piece.frames) for piece in cut.pieces.values()]
    await conn.executemany(Q["put_part"], rows)
    await conn.execute(Q["drop_parts"], cut.plan_id, [*cut.pieces])
    await conn.execute(Q["reuse_parts"], cut.plan_id)
    await conn.execute(Q["touch_files"], cut.plan_id)


async def _ask(work: Work[RenderRequested], services: Services, parts: Parts, name: PlanId) -> None:
    """Ask for the parts of a long plan. Raises: Snooze while they are made for an earlier request."""
    job = await chunk_jobs.find(services, name)
    assert job is not None
    standing = work.now - job["active_at"] > STANDING_FOR
    if job["asked_by"] and not job["finished"] and not standing and not await chunk_jobs.over(services, name):
        raise Snooze("the plan is being rendered for an earlier request", delay_s=UNDER_WAY_DELAY_S)
    cut = await parts.cut(services, name, work.event.plan)
    async with work.commit() as tx:
        await tx.conn.execute(Q["lock_rendition"], name)
        await tx.conn.execute(Q["restart"], name, work.now)
        await _lay_out(tx.conn, cut)
        await tx.conn.execute(Q["ask_job"], name, Asked.of(work.event), work.event.event_id)
        await chunk_jobs.ask(tx, work.event.item_id, name)
    work.log.info("render.asked", plan_id=name, parts=len(cut.pieces), events=len(work.outgoing))


async def _render(work: Work[RenderRequested], services: Services, parts: Parts, name: PlanId) -> Rendition:
    """Render a short plan here. Each part is kept as soon as it is finished, for the case that this process dies."""
    await services.db.execute(Q["restart"], name, work.now)
    cut = await parts.cut(services, name, work.event.plan)
    crew = workers(services.settings)
    with services.scratch() as folder:
        kept = folder / "kept"
        kept.mkdir()
        async with AsyncExitStack() as stack:
            making = {}
            for piece in cut.pieces.values():
                path = await stack.enter_async_context(opened(services, piece.key))
                if path is None:
                    making[file_name(piece)] = piece
                else:
                    (kept / file_name(piece)).symlink_to(path)
            frames_before = sum(piece.frames for piece in cut.pieces.values()) - sum(
                piece.frames for piece in making.values()
            )
            sources = await stack.enter_async_context(parts.at_hand.sources(services.objects, cut.plan))
            began = time.monotonic()

            async def keep(frames: int) -> None:
                for at, piece in [*making.items()]:
                    if (kept / at).is_file():
                        await note_file(services.db, piece, await store_part(services, piece, kept / at))
                        del making[at]
                pace_per_s = (frames - frames_before) / (time.monotonic() - began) / crew
                await tell(work, services, work.event.item_id, name, Pace(frames, crew, pace_per_s))

            out = folder / f"rendition.{cut.plan.output.container}"
            async with evidence(services, name, folder):
                rendered = await parts.engine.whole(cut, sources=sources, kept=kept, out=out, crew=crew, on_frames=keep)
            await keep(rendered.frames)
            await tell(work, services, work.event.item_id, name, Pace(rendered.frames, crew, None), last=True)
        return await store(work, services, cut, rendered, out)
