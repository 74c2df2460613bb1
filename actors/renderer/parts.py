"""Parts of renders as rows and stored files: made once for each key, reused by every plan that shares it.

A file is kept under its key for as long as plans use it (`sweep`); its hash is checked whenever it is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, convert

from actors.renderer import pieces
from actors.renderer.at_hand import AtHand
from actors.renderer.job import engine_of
from actors.renderer.pieces import SOUND, Cut, Engine, OnFrames, Piece, file_name, object_key
from actors.renderer.render import choice_of
from actors.renderer.timeline import frame_time_us
from actors.runtime.db import Connection, Database, into, load_queries
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from contracts.errors import Reject
from contracts.ids import ObjectKey, PlanId
from contracts.plan import Plan

__all__ = [
    "KeptFile",
    "Parts",
    "evidence",
    "finish_part",
    "forget",
    "measured",
    "note_file",
    "opened",
    "store",
    "sweep",
]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
LOG: Final = get_logger()

KEPT_FOR: Final = timedelta(days=7)
KEPT_BYTES: Final = 20 << 30
"""Parts of finished and abandoned renders beyond this are removed, the longest unused first."""
LEAST_KEPT_FOR: Final = timedelta(hours=1)
CUTS_KEPT: Final = 4


class KeptFile(Struct, frozen=True):
    """The stored file of a part."""

    object_key: ObjectKey
    sha256: str
    size_bytes: int


class Parts:
    """Makes parts in one process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.at_hand = AtHand()
        self._cuts: dict[PlanId, Cut] = {}

    async def cut(self, services: Services, name: PlanId, plan: Plan | dict[str, Any]) -> Cut:
        """Return a plan with its parts. plan: as it is, or as the database holds it."""
        if name not in self._cuts:
            known = convert(plan, Plan)
            settings = services.settings
            engine = engine_of(await choice_of(known, settings.render_device))
            made = await asyncio.to_thread(
                pieces.cut, known, settings.font_path, device=settings.render_device, engine=engine
            )
            while len(self._cuts) >= CUTS_KEPT:
                del self._cuts[next(iter(self._cuts))]
            self._cuts[name] = made
        return self._cuts[name]

    async def make(self, services: Services, cut: Cut, piece: Piece, on_frames: OnFrames) -> KeptFile:
        """Return the stored file of a part: the one that is kept, or a new one. Raises: Reject, Retry."""
        name = cut.plan_id
        async with opened(services, piece.key) as path:
            if path is not None:
                LOG.info("chunk.reused", plan_id=name, index=piece.index, key=piece.key)
                return KeptFile(object_key(piece), *await asyncio.to_thread(measured, path))
        began = time.monotonic()
        with services.scratch() as folder:
            out = folder / file_name(piece)
            async with self.at_hand.sources(services.objects, cut.plan) as sources, evidence(services, name, folder):
                await services.db.execute(Q["work_on_part"], name, piece.index)
                try:
                    notes = await self.engine.make(cut, piece, sources=sources, out=out, on_frames=on_frames)
                except Reject as error:
                    raise Reject(f"{_where(cut.plan, piece)}: {error.reason}", mend=error.mend) from error
            reach("renderer.rendered")
            file = await store(services, piece, out)
            reach("renderer.stored")
        for note in notes:
            LOG.warning("render.damage_bridged", plan_id=name, index=piece.index, note=note)
        took_s = time.monotonic() - began
        LOG.info("chunk.rendered", plan_id=name, index=piece.index, frames=piece.frames, took_s=round(took_s, 3))
        return file


async def store(services: Services, piece: Piece, path: Path) -> KeptFile:
    """Store the file of a part under its key. It counts as stored once `note_file` says so."""
    key = object_key(piece)
    await services.db.execute(Q["intend_file"], piece.key, key)
    sha256, size_bytes = await asyncio.to_thread(measured, path)
    await services.objects.put_file(key, path, content_type="video/mp4")
    return KeptFile(key, sha256, size_bytes)


@asynccontextmanager
async def evidence(services: Services, name: PlanId, folder: Path) -> AsyncIterator[None]:
    """Keep in the store what a failed check left in a folder of temporary files; it is removed as parts are."""
    try:
        yield
    except Exception:
        for file in await asyncio.to_thread(lambda: sorted(folder.glob("*.failed*"))):
            key = ObjectKey(f"failed/{name}/{file.name}")
            await services.db.execute(Q["intend_file"], key, key)
            sha256, size_bytes = await asyncio.to_thread(measured, file)
            await services.objects.put_file(key, file)
            await services.db.execute(Q["note_file"], key, key, sha256, size_bytes)
            LOG.warning("render.evidence_kept", plan_id=name, key=key)
        raise


async def note_file(conn: Connection | Database, piece: Piece, file: KeptFile) -> None:
    await conn.execute(Q["note_file"], piece.key, file.object_key, file.sha256, file.size_bytes)


@asynccontextmanager
async def opened(services: Services, key: str) -> AsyncIterator[Path | None]:
    """Give the stored part of a key as a local file; None: there is none, or it is not what was stored."""
    row = await services.db.fetchrow(Q["find_file"], key)
    if row is None:
        yield None
        return
    file = into(KeptFile, row)
    async with AsyncExitStack() as stack:
        try:
            path = await stack.enter_async_context(services.objects.local(file.object_key))
            found = await asyncio.to_thread(measured, path)
        except (Reject, FileNotFoundError):
            found = None
        if found != (file.sha256, file.size_bytes):
            await services.db.execute(Q["forget_file"], key)
        yield path if found == (file.sha256, file.size_bytes) else None


async def finish_part(conn: Connection, name: PlanId, piece: Piece, file: KeptFile) -> bool:
    """Record a part as done; True: it was the last one that missed. Holds the rendition's row until the commit."""
    await note_file(conn, piece, file)
    await conn.execute(Q["lock_rendition"], name)
    newly = await conn.fetchval(Q["finish_part"], name, piece.index)
    return bool(newly) and not await conn.fetchval(Q["count_missing"], name)


async def forget(services: Services, name: PlanId, gone: Sequence[Piece]) -> None:
    """Record that the files of parts of a plan are not there any more."""
    async with services.db.transaction() as conn:
        await conn.execute(Q["lock_rendition"], name)
        await conn.execute(Q["miss_parts"], name, [piece.key for piece in gone])


async def sweep(services: Services) -> None:
    """Remove files and rows of parts that no plan under way uses. The row goes last, so that no file is forgotten."""
    await services.db.execute(Q["prune_parts"], KEPT_FOR)
    for row in await services.db.fetch(Q["stale_files"], KEPT_FOR, KEPT_BYTES):
        if await services.db.fetchval(Q["give_up_file"], row["key"], LEAST_KEPT_FOR):
            await services.objects.delete(row["object_key"])
            await services.db.execute(Q["drop_file"], row["key"], LEAST_KEPT_FOR)
            await services.db.execute(Q["drop_lease"], f"chunk:{row['key']}")


def _where(plan: Plan, piece: Piece) -> str:
    """Name a part by its place in the output."""
    if piece.index == SOUND:
        return "the sound"
    start_s, end_s = (frame_time_us(frame, plan.output.fps) / 1e6 for frame in (piece.first_frame, piece.end_frame))
    return f"chunk {piece.index} ({start_s:.1f} s to {end_s:.1f} s)"


def measured(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
