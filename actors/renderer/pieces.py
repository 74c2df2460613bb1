"""The parts that every render is joined from, and who makes them: the engine, in child processes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import psutil
from msgspec import Struct

from actors.renderer.chunks import Chunk, chunks, sound_key
from actors.renderer.faces import contents, fonts_of
from actors.renderer.job import ENGINE, Rendered
from actors.renderer.render import WORKER_BYTES, join_file, render_chunk, render_file, render_sound
from actors.runtime.settings import Settings
from contracts.ids import ObjectKey, PlanId
from contracts.plan import Plan, plan_id

__all__ = ["SOUND", "Cut", "Engine", "LocalEngine", "OnFrames", "Piece", "cut", "file_name", "object_key", "workers"]

SOUND: Final = -1
"""Index of the sound among the parts."""

OnFrames = Callable[[int], Awaitable[None]]
"""Gets the frames done so far, now and then. What it raises ends the render."""


class Piece(Struct, frozen=True, kw_only=True):
    """One part: a chunk of frames, or the sound, which has none. key: SHA-256 of what decides its bytes."""

    index: int
    key: str
    first_frame: int = 0
    end_frame: int = 0

    @property
    def frames(self) -> int:
        return self.end_frame - self.first_frame


class Cut(Struct, frozen=True, kw_only=True):
    """A plan and its parts by index.

    font_path: FONT_PATH, part of the keys where the plan has text; device, engine: what makes the chunks here, and its
    name, part of their keys.
    """

    plan_id: PlanId
    plan: Plan
    pieces: dict[int, Piece]
    font_path: Path | None
    device: str = "cpu"
    engine: str = ENGINE


class Engine(Protocol):
    """Makes parts and joins them. Sources are local files by source id. Raises: Reject, Retry."""

    async def make(
        self, cut: Cut, piece: Piece, *, sources: Mapping[str, Path], out: Path, on_frames: OnFrames
    ) -> tuple[str, ...]:
        """Write one part to `out`; return what a person should know."""
        ...

    async def join(self, cut: Cut, parts: Sequence[Path], sound: Path | None, out: Path) -> Rendered:
        """Write the finished, checked file. parts: in the order of the output."""
        ...

    async def whole(
        self, cut: Cut, *, sources: Mapping[str, Path], kept: Path, out: Path, crew: int, on_frames: OnFrames
    ) -> Rendered:
        """Make what misses in the folder `kept`, so many parts side by side, and join all."""
        ...


def cut(plan: Plan, font_path: Path | None, *, device: str = "cpu", engine: str = ENGINE) -> Cut:
    """Return a plan with its parts. engine: what `device` is here (job.engine_of). Raises: Reject if a font misses."""
    faces = fonts_of(plan, None if font_path is None else str(font_path))
    pieces = [
        Piece(index=chunk.index, key=chunk.key, first_frame=chunk.first_frame, end_frame=chunk.end_frame)
        for chunk in chunks(plan, fonts=contents(faces), engine=engine)
    ]
    if (key := sound_key(plan)) is not None:
        pieces.append(Piece(index=SOUND, key=key))
    return Cut(
        plan_id=plan_id(plan),
        plan=plan,
        pieces={piece.index: piece for piece in pieces},
        font_path=font_path,
        device=device,
        engine=engine,
    )


def file_name(piece: Piece) -> str:
    """Return how the file of a part is called wherever it is kept."""
    return f"{piece.key}.{'m4a' if piece.index == SOUND else 'mp4'}"


def object_key(piece: Piece) -> ObjectKey:
    """Return where the file of a part is kept."""
    return ObjectKey(f"chunks/{piece.key[:2]}/{file_name(piece)}")


def workers(settings: Settings) -> int:
    """Return how many parts one renderer works on side by side: RENDER_WORKERS, or as cores and memory allow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.render_workers or max(1, min(cores, psutil.virtual_memory().available // WORKER_BYTES))


class LocalEngine:
    """The engine of this machine."""

    async def make(
        self, cut: Cut, piece: Piece, *, sources: Mapping[str, Path], out: Path, on_frames: OnFrames
    ) -> tuple[str, ...]:
        if piece.index == SOUND:
            return (await render_sound(cut.plan, sources, out)).notes
        chunk = Chunk(index=piece.index, first_frame=piece.first_frame, end_frame=piece.end_frame, key=piece.key)

        async def tell(done: int, _: int) -> None:
            await on_frames(done)

        made = await render_chunk(
            cut.plan, chunk, sources, out, font_path=cut.font_path, device=cut.device, on_progress=tell
        )
        return made.notes

    async def join(self, cut: Cut, parts: Sequence[Path], sound: Path | None, out: Path) -> Rendered:
        return await join_file(cut.plan, parts, sound, out, engine=cut.engine)

    async def whole(
        self, cut: Cut, *, sources: Mapping[str, Path], kept: Path, out: Path, crew: int, on_frames: OnFrames
    ) -> Rendered:
        async def tell(done: int, _: int) -> None:
            await on_frames(done)

        return await render_file(
            cut.plan,
            resolve=lambda source: sources[source.id],
            out=out,
            font_path=cut.font_path,
            device=cut.device,
            workers=crew,
            kept=kept,
            on_progress=tell,
        )
