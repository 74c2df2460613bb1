"""From parts to the finished file: joined, checked, stored under its own hash, and told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.renderer.job import Rendered
from actors.renderer.parts import Parts, evidence, forget, opened
from actors.renderer.pieces import SOUND, Cut, Piece
from actors.renderer.together import together
from actors.runtime.db import load_queries
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Tx
from actors.runtime.objects import content_key
from actors.runtime.work import Services, Work
from contracts.changes import rights_of
from contracts.events import Destination, RenderCompleted, RenderRequested
from contracts.ids import ItemId
from contracts.language import LanguageTag
from contracts.media import Rendition
from contracts.plan import Plan

__all__ = ["Asked", "finish", "join", "store"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
FETCHES: Final = 8
"""Parts fetched side by side."""


class Asked(Struct, frozen=True, kw_only=True):
    """What render.completed repeats of the request."""

    item_id: ItemId
    title: str
    description: str
    hashtags: tuple[str, ...]
    synthetic: bool
    destination: Destination | None
    language: LanguageTag | None = None

    @classmethod
    def of(cls, event: RenderRequested) -> Asked:
        return cls(**{name: getattr(event, name) for name in cls.__struct_fields__})


async def join(work: Work[Any], services: Services, parts: Parts, cut: Cut) -> Rendition | None:
    """Join the parts and store the file. None: some are lost, which is recorded; they must be made again."""
    pieces = cut.pieces
    with services.scratch() as folder:
        out = folder / f"rendition.{cut.plan.output.container}"
        async with AsyncExitStack() as stack:
            gate = asyncio.Semaphore(FETCHES)

            async def fetch(piece: Piece) -> Path | None:
                async with gate:
                    return await stack.enter_async_context(opened(services, piece.key))

            indexes = sorted(pieces)
            paths = dict(zip(indexes, await together(fetch(pieces[at]) for at in indexes), strict=True))
            if gone := [pieces[at] for at in indexes if paths[at] is None]:
                work.log.warning("render.parts_lost", plan_id=cut.plan_id, parts=[piece.index for piece in gone])
                await forget(services, cut.plan_id, gone)
                return None
            whole = {at: path for at, path in paths.items() if path is not None}
            sound = whole.pop(SOUND, None)
            async with evidence(services, cut.plan_id, folder):
                rendered = await parts.engine.join(cut, list(whole.values()), sound, out)
        return await store(work, services, cut, rendered, out)


async def store(work: Work[Any], services: Services, cut: Cut, rendered: Rendered, out: Path) -> Rendition:
    """Store a finished file under its own hash."""
    reach("renderer.joined")
    for note in rendered.notes:
        work.log.warning("render.damage_bridged", plan_id=cut.plan_id, note=note)
    key = content_key("renditions", rendered.sha256, f".{cut.plan.output.container}")
    await services.objects.put_file(key, out, content_type="video/mp4")
    reach("renderer.finished")
    work.log.info(
        "render.rendered",
        plan_id=cut.plan_id,
        frames=rendered.frames,
        parts=len(cut.pieces),
        size_bytes=rendered.size_bytes,
        engine=rendered.engine,
    )
    return Rendition(
        item_id=work.event.item_id,
        plan_id=cut.plan_id,
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


async def finish(work: Work[Any], tx: Tx, asked: Asked, rendition: Rendition, plan: Plan) -> None:
    """Record the file and answer the request that asked for it."""
    rendition = msgspec.structs.replace(rendition, item_id=asked.item_id)
    await tx.conn.execute(Q["finish_rendition"], rendition.plan_id, rendition, rendition.frames, work.now)
    tx.emit(_completed(asked, rendition, plan))


def _completed(asked: Asked, rendition: Rendition, plan: Plan) -> RenderCompleted:
    """Return the answer to a request. Its rights are those of every work in it, and say what was changed."""
    return RenderCompleted(
        item_id=asked.item_id,
        rendition=rendition,
        rights=rights_of(plan),
        title=asked.title,
        description=asked.description,
        hashtags=asked.hashtags,
        synthetic=asked.synthetic,
        destination=asked.destination,
        language=asked.language,
    )
