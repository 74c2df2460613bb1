"""Render one plan to one file, in a child process: what the actor and `ettametta render` both call."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from actors.renderer.job import FontFile, Progressed, Rendered, RenderRequest
from actors.renderer.text import fonts
from actors.renderer.timeline import frame_count
from actors.runtime.isolate import run_isolated
from contracts.errors import Reject
from contracts.plan import Plan, PlanSource, check, duration_us

__all__ = ["DEVICES", "Device", "Rendered", "deadline_s", "render_file"]

Device = Literal["auto", "cpu", "cuda"]
DEVICES: Final[tuple[Device, ...]] = ("auto", "cpu", "cuda")

MEMORY_BYTES: Final = 3 << 30
_DEADLINE_BASE_S: Final = 120.0
_DEADLINE_PER_MEGAPIXEL_S: Final = 0.25
"""Thirty times what a slow core needs per million output pixels at a medium preset."""


async def render_file(
    plan: Plan,
    *,
    resolve: Callable[[PlanSource], Path],
    out: Path,
    font_path: Path | None = None,
    device: str = "auto",
    on_progress: Callable[[int, int], Awaitable[None]] | None = None,
) -> Rendered:
    """Render `plan` to `out`, which appears only when it is complete and checked. Cancelling stops it.

    Args: resolve: gives a source's local file; on_progress: gets (frames done, frames in all), at most once a second.
    Raises: Reject, saying what is wrong with the plan, a source or the font.
    """
    check(plan)
    _choose_engine(device)
    paths = {source.id: resolve(source) for source in plan.sources}
    for source in plan.sources:
        await asyncio.to_thread(_verify, source, paths[source.id])
    target = await asyncio.to_thread(out.absolute)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    request = RenderRequest(
        plan=plan,
        paths={name: str(path.absolute()) for name, path in paths.items()},
        part=str(part),
        out=str(target),
        font=await asyncio.to_thread(_font, plan, font_path),
    )

    async def tell(told: bytes) -> None:
        if on_progress is not None:
            progressed = msgspec.json.decode(told, type=Progressed)
            await on_progress(progressed.frames_done, progressed.frames_total)

    try:
        return await run_isolated(
            "actors.renderer.child",
            request,
            result=Rendered,
            deadline_s=deadline_s(plan),
            memory_bytes=MEMORY_BYTES,
            on_progress=tell,
            what="rendering",
        )
    finally:
        part.unlink(missing_ok=True)  # a child that was killed leaves it behind


def deadline_s(plan: Plan) -> float:
    """Return how long a render may take at most: proportional to the pixels of the output and the clips' positions."""
    output = plan.output
    megapixels = frame_count(duration_us(plan), output.fps) * output.width_px * output.height_px / 1e6
    reach_s = sum(clip.end_us for clip in plan.clips) / 1e6
    return _DEADLINE_BASE_S + _DEADLINE_PER_MEGAPIXEL_S * megapixels + reach_s


def _choose_engine(device: str) -> None:
    if device not in DEVICES:
        raise Reject(f"there is no device '{device}'", mend=f"choose one of {', '.join(DEVICES)}")
    if device == "cuda":
        raise Reject("this version renders on the CPU only", mend="use --device auto or --device cpu")


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


def _font(plan: Plan, font_path: Path | None) -> FontFile | None:
    captions = plan.captions
    if captions is None or not captions.cues:
        return None
    return fonts.find(font_path, "".join(cue.text for cue in captions.cues))
