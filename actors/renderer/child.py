"""The child process that renders: `python -m actors.renderer.child`, started by `render` only."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: nothing here multiplies matrices, and forks want no threads

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from actors.renderer import local
from actors.renderer.chunks import chunks
from actors.renderer.engine import Target, render_chunks
from actors.renderer.faces import contents, fonts_of
from actors.renderer.job import (
    ChunkRequest,
    JoinRequest,
    Made,
    Progressed,
    RenderRequest,
    Request,
    SoundRequest,
    engine_of,
)
from actors.renderer.join import failed_beside, join, parts_of
from actors.renderer.reading import Materials
from actors.renderer.soundtrack import render_sound
from actors.renderer.text.texts import notes_of
from actors.runtime import isolate
from contracts.plan_rules import check

__all__ = ["answer"]


def answer(request: Request, progress: isolate.Progress) -> Struct:
    """Do what is asked. Raises: Reject, gate.GateFailed and others, see the functions called."""
    match request:
        case RenderRequest():
            return local.render(request, progress)
        case ChunkRequest():
            return _chunk(request, progress)
        case SoundRequest():
            check(request.plan)
            materials = Materials(request.plan, _paths(request.paths))
            out = Path(request.out)
            return render_sound(materials, part=Path(request.part), out=out, failed=failed_beside(out))
        case JoinRequest():
            check(request.plan)
            sound = None if request.sound is None else Path(request.sound)
            parts = parts_of([Path(chunk) for chunk in request.chunks], sound)
            return join(request.plan, *parts, part=Path(request.part), out=Path(request.out), engine=request.engine)


def _chunk(request: ChunkRequest, progress: isolate.Progress) -> Made:
    plan = request.plan
    check(plan)
    faces = fonts_of(plan, request.font_path)
    chunk = chunks(plan, fonts=contents(faces), engine=engine_of(request.choice))[request.index]
    out = Path(request.out)
    targets = iter([Target(chunk, Path(request.part), out, failed_beside(out))])
    made: list[Made] = []
    frames = 0

    def tell(newly_done: int) -> None:
        nonlocal frames
        frames += newly_done
        progress(Progressed(frames, chunk.end_frame - chunk.first_frame))

    render_chunks(
        Materials(plan, _paths(request.paths), faces, request.choice),
        lambda: next(targets, None),
        lambda _, one: made.append(one),
        tell,
    )
    return replace(made[0], notes=notes_of(plan, faces))


def _paths(paths: dict[str, str]) -> dict[str, Path]:
    return {name: Path(path) for name, path in paths.items()}


if __name__ == "__main__":
    isolate.serve(Request, answer)
