"""Render plans, in child processes: what the actors and `ettametta render` call.

Whatever is written lies in a scratch folder until it is complete and checked. A folder that a killed process left
behind is removed by the next render beside it: its lock is free.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import psutil
from msgspec import Struct

from actors.renderer.chunks import Chunk, chunks
from actors.renderer.devices import Choice, Device, chosen
from actors.renderer.job import (
    ENGINE,
    ChunkRequest,
    JoinRequest,
    Made,
    Progressed,
    Rendered,
    RenderRequest,
    SoundRequest,
)
from actors.renderer.timeline import frame_count
from actors.runtime.isolate import run_isolated
from contracts.errors import Reject
from contracts.plan import Plan, PlanSource
from contracts.plan_rules import check, duration_us

__all__ = [
    "DEVICES",
    "Device",
    "Rendered",
    "choice_of",
    "deadline_s",
    "join_file",
    "render_chunk",
    "render_file",
    "render_sound",
    "sweep",
]

DEVICES: Final[tuple[Device, ...]] = ("auto", "cpu", "cuda")
OnProgress = Callable[[int, int], Awaitable[None]]
"""Gets (frames done, frames in all), at most twice a second."""

CHILD: Final = "actors.renderer.child"
MEMORY_BYTES: Final = 3 << 30
"""Of each process."""
GPU_MEMORY_BYTES: Final = 16 << 30
"""Of each process that uses a GPU: CUDA reserves much and uses little."""
WORKER_BYTES: Final = 400 << 20
"""Memory that must be free for each worker to be started; a worker at 1080p takes half of it."""
SCRATCH: Final = ".ettametta-"
_DEADLINE_BASE_S: Final = 120.0
_DEADLINE_PER_MEGAPIXEL_S: Final = 0.25
"""Thirty times what a slow core needs per million output pixels at a medium preset."""
_JOIN_DEADLINE_PER_S: Final = 0.2

T = TypeVar("T", bound=Struct)


async def render_file(
    plan: Plan,
    *,
    resolve: Callable[[PlanSource], Path],
    out: Path,
    font_path: Path | None = None,
    device: str = "cpu",
    workers: int | None = None,
    kept: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Rendered:
    """Render `plan` to `out`, which appears only when it is complete and checked. Cancelling stops it.

    Args: resolve: gives a source's local file; device: of DEVICES; workers: chunks rendered side by side, None: one
    for each core; kept: folder where finished chunks are found and left, so that a render that was cut short goes on.
    Raises: Reject, saying what is wrong with the plan, a source, the font or the device.
    """
    check(plan)
    choice = await choice_of(plan, device)
    paths = {source.id: resolve(source) for source in plan.sources}
    target = _absolute(out)
    crew = min(workers or _workers(), len(chunks(plan)))
    if kept is not None:
        await asyncio.to_thread(kept.mkdir, parents=True, exist_ok=True)
    with _scratch(target.parent) as folder:
        request = RenderRequest(
            plan=plan,
            paths=_strings(paths),
            part=str(folder / "whole.part"),
            out=str(target),
            font_path=_string(font_path),
            kept=_string(kept),
            workers=crew,
            choice=choice,
        )

        async def verified() -> RenderRequest:
            for source in plan.sources:
                await asyncio.to_thread(_verify, source, paths[source.id])
            return request

        return await _run(
            verified, Rendered, deadline_s(plan), on_progress=on_progress, processes=crew + 2, choice=choice
        )


async def render_chunk(
    plan: Plan,
    chunk: Chunk,
    paths: Mapping[str, Path],
    out: Path,
    *,
    font_path: Path | None = None,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
) -> Made:
    """Make one chunk of a plan. Args and errors as of `render_file`; on_progress counts the chunk's frames.

    The chunk's key is that of the engine that `device` is here: see choice_of and job.engine_of.
    """
    choice = await choice_of(plan, device)
    target = _absolute(out)
    with _scratch(target.parent) as folder:
        request = ChunkRequest(
            plan=plan,
            index=chunk.index,
            paths=_strings(paths),
            part=str(folder / "chunk.part"),
            out=str(target),
            font_path=_string(font_path),
            choice=choice,
        )
        return await _run(request, Made, deadline_s(plan), on_progress=on_progress, choice=choice)


async def render_sound(plan: Plan, paths: Mapping[str, Path], out: Path) -> Made:
    """Make the whole sound of a plan."""
    target = _absolute(out)
    with _scratch(target.parent) as folder:
        request = SoundRequest(plan=plan, paths=_strings(paths), part=str(folder / "sound.part"), out=str(target))
        return await _run(request, Made, deadline_s(plan))


async def join_file(
    plan: Plan, parts: Sequence[Path], sound: Path | None, out: Path, *, engine: str = ENGINE
) -> Rendered:
    """Join finished parts. engine: name of the one that must have made them all; the join itself needs no GPU.

    Raises: Reject if what was read does not do, another engine made a part, or the result flashes too often.
    """
    target = _absolute(out)
    with _scratch(target.parent) as folder:
        request = JoinRequest(
            plan=plan,
            chunks=tuple(str(_absolute(part)) for part in parts),
            sound=_string(sound),
            part=str(folder / "whole.part"),
            out=str(target),
            engine=engine,
        )
        join_s = _DEADLINE_BASE_S + _JOIN_DEADLINE_PER_S * duration_us(plan) / 1e6
        return await _run(request, Rendered, join_s)


def deadline_s(plan: Plan) -> float:
    """Return how long a render may take at most: proportional to the pixels of the output and the clips' positions."""
    output = plan.output
    megapixels = frame_count(duration_us(plan), output.fps) * output.width_px * output.height_px / 1e6
    reach_s = sum(clip.end_us for clip in plan.clips) / 1e6
    return _DEADLINE_BASE_S + _DEADLINE_PER_MEGAPIXEL_S * megapixels + reach_s


async def _run(
    request: Struct | Callable[[], Awaitable[Struct]],
    result: type[T],
    within_s: float,
    *,
    on_progress: OnProgress | None = None,
    processes: int = 1,
    choice: Choice | None = None,
) -> T:
    async def tell(told: bytes) -> None:
        if on_progress is not None:
            progressed = msgspec.json.decode(told, type=Progressed)
            await on_progress(progressed.frames_done, progressed.frames_total)

    return await run_isolated(
        CHILD,
        request,
        result=result,
        deadline_s=within_s,
        memory_bytes=GPU_MEMORY_BYTES if choice is not None and choice.on_gpu else MEMORY_BYTES,
        processes=processes,
        on_progress=tell,
        what="rendering",
    )


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """Give a folder that is removed at the end, or by `sweep` when this process was killed."""
    sweep(beside)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=beside))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(lock)  # another render swept it before it was locked
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(folder: Path) -> None:
    """Remove the scratch folders of dead processes."""
    for left in folder.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # it is in use, or somebody else's, or just removed
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)


def _workers() -> int:
    """Return how many chunks this machine renders side by side: one for each core, if memory allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available // WORKER_BYTES))


def _absolute(path: Path) -> Path:
    return path.absolute()


def _string(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _strings(paths: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(path.absolute()) for name, path in paths.items()}


async def choice_of(plan: Plan, device: str) -> Choice:
    """Return what decodes, draws and encodes a plan on this machine. Raises: Reject if the device cannot be had."""
    if device not in DEVICES:
        raise Reject(f"there is no device '{device}'", mend=f"choose one of {', '.join(DEVICES)}")
    choice = await chosen(device, plan.output.video_codec)
    if not choice.on_gpu and not choice.why:
        return choice
    import structlog  # noqa: PLC0415  # a tenth of a second, for a line that few renders have

    if structlog.is_configured():
        made = {"decode": choice.decode, "transform": choice.transform, "encode": choice.encode}
        structlog.get_logger().info("render.engine", **made, gpu=choice.gpu, why=choice.why)
    return choice


def _verify(source: PlanSource, path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Reject(f"source '{source.id}' cannot be read: {error.strerror}", mend="correct its key") from error
    if found != source.sha256.lower():
        raise Reject(
            f"source '{source.id}' is not the file that was planned: its SHA-256 is {found}, not {source.sha256}",
            mend="make the plan again",
        )
