"""Render a plan once: check it and its rights, render, store the file, tell of it.

The file is stored under its own hash before the row says so; a delivery that was cut short renders again to the same
bytes, one that comes after the row was written only tells of it again.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from actors.renderer.render import Rendered, render_file
from actors.renderer.timeline import frame_count
from actors.runtime.db import into, load_queries
from actors.runtime.killpoint import reach
from actors.runtime.objects import content_key
from actors.runtime.work import Services, Work
from contracts.errors import Reject
from contracts.events import RenderCompleted, RenderProgressed, RenderRequested
from contracts.ids import PlanId
from contracts.media import Rendition
from contracts.plan import Plan, check, duration_us, plan_id
from contracts.rights import RightsRecord, Use, may

__all__ = ["handle"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


async def handle(work: Work[RenderRequested], services: Services) -> None:
    """Render the plan of one event. Raises: Reject, Retry, Snooze, LeaseLost."""
    plan = work.event.plan
    check(plan)
    _require_rights(work, services)
    name = plan_id(plan)
    total = frame_count(duration_us(plan), plan.output.fps)
    async with work.lease(f"render:{name}"):
        await services.db.execute(Q["start_rendition"], name, work.event.item_id, plan, total, work.now)
        rendition = await _stored(services, name)
        if rendition is None:
            await services.db.execute(Q["restart"], name, work.now, total)
            rendition = await _render(work, services, name)
        else:
            work.log.info("render.already_done", plan_id=name, key=rendition.key)
        rendition = msgspec.structs.replace(rendition, item_id=work.event.item_id)
        async with work.commit() as tx:
            await tx.conn.execute(Q["finish_rendition"], name, rendition, rendition.frames, work.now)
            tx.emit(
                RenderCompleted(
                    item_id=work.event.item_id,
                    rendition=rendition,
                    rights=_shown_rights(plan),
                    title=work.event.title,
                    description=work.event.description,
                    hashtags=work.event.hashtags,
                    synthetic=work.event.synthetic,
                    destination=work.event.destination,
                )
            )


def _require_rights(work: Work[RenderRequested], services: Services) -> None:
    """Refuse before any file is touched what may not be edited, or not on a channel that earns money."""
    uses: tuple[Use, ...] = ("derivative", "commercial") if services.settings.monetised else ("derivative",)
    for source in work.event.plan.sources:
        for use in uses:
            verdict = may(use, source.rights, at=work.now)
            if not verdict.allowed:
                raise Reject(
                    f"source '{source.id}' must not be used: {verdict.because}",
                    mend="record a licence or a permission, then plan again",
                )


def _shown_rights(plan: Plan) -> RightsRecord:
    """Return the rights record of the picture's source."""
    return next(source.rights for source in plan.sources if source.id == plan.clips[0].source)


async def _stored(services: Services, name: PlanId) -> Rendition | None:
    """Return the finished file of a plan if it is recorded and still there."""
    row = await services.db.fetchval(Q["find_rendition"], name)
    if row is None:
        return None
    rendition = into(Rendition, row)
    return rendition if await services.objects.exists(rendition.key) else None


async def _render(work: Work[RenderRequested], services: Services, name: PlanId) -> Rendition:
    """Render and store the file."""
    plan = work.event.plan

    async def tell(done: int, total: int) -> None:
        await services.db.execute(Q["note_progress"], name, done)
        await work.announce(
            RenderProgressed(item_id=work.event.item_id, plan_id=name, frames_done=done, frames_total=total)
        )

    began = time.monotonic()
    with services.scratch() as folder:
        out = folder / "rendition.mp4"
        async with AsyncExitStack() as stack:
            paths = {
                source.id: await stack.enter_async_context(services.objects.local(source.key))
                for source in plan.sources
            }
            rendered = await render_file(
                plan,
                resolve=lambda source: paths[source.id],
                out=out,
                font_path=services.settings.font_path,
                on_progress=tell,
            )
        reach("renderer.rendered")
        _log(work, name, rendered, time.monotonic() - began)
        key = content_key("renditions", rendered.sha256, ".mp4")
        await services.objects.put_file(key, out, content_type="video/mp4")
        reach("renderer.stored")
    return Rendition(
        item_id=work.event.item_id,
        plan_id=name,
        key=key,
        sha256=rendered.sha256,
        size_bytes=rendered.size_bytes,
        width_px=rendered.width_px,
        height_px=rendered.height_px,
        duration_us=rendered.duration_us,
        frames=rendered.frames,
        has_audio=rendered.has_audio,
        engine=rendered.engine,
    )


def _log(work: Work[RenderRequested], name: PlanId, rendered: Rendered, took_s: float) -> None:
    for note in rendered.notes:
        work.log.warning("render.damage_bridged", plan_id=name, note=note)
    work.log.info(
        "render.rendered",
        plan_id=name,
        frames=rendered.frames,
        fps=round(rendered.frames / took_s, 1),
        size_bytes=rendered.size_bytes,
        engine=rendered.engine,
    )
