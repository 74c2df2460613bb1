"""A whole render on one machine: chunks side by side in workers, the sound in one more, then the join."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import cv2
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.renderer.chunkfile import ChunkFacts, SoundFacts, facts_of
from actors.renderer.chunks import Chunk, chunks, sound_key
from actors.renderer.devices import Choice
from actors.renderer.engine import Target, render_chunks
from actors.renderer.faces import contents, fonts_of
from actors.renderer.job import Progressed, Rendered, RenderRequest, engine_of
from actors.renderer.join import failed_beside, join, parts_of
from actors.renderer.reading import Materials
from actors.renderer.soundtrack import render_sound
from actors.renderer.text.texts import notes_of
from actors.runtime.crew import Crew, Link
from contracts.plan_rules import check

__all__ = ["Order", "notes_on", "render"]

PROGRESS_EVERY_S: Final = 0.5
HARDWARE_LINES: Final = 2
"""Chunks side by side where a GPU encodes: drivers limit how many encoders a GeForce may have open."""
_M_MMAP_THRESHOLD: Final = -3  # mallopt(3)
_LARGE_BYTES: Final = 1 << 20
SOUND_FRAMES: Final = 30
"""How many frames' worth of sound take as long to make as one frame of picture; measured at 1080x1920."""


class _Frames(Struct, frozen=True):
    newly_done: int


class Order:
    """Who makes which chunk: each worker goes on where it is, or begins in the middle of the longest free stretch.

    Going on saves reading a source from its last keyframe again.
    """

    def __init__(self, free: list[int]) -> None:
        self._free = sorted(free)
        self._last: dict[int, int] = {}

    def next(self, worker: int) -> int | None:
        """Return the next chunk for a worker; None: there is none left."""
        if not self._free:
            return None
        following = self._last.get(worker, -2) + 1
        chosen = following if following in self._free else self._beginning()
        self._free.remove(chosen)
        self._last[worker] = chosen
        return chosen

    def _beginning(self) -> int:
        stretches: list[list[int]] = []
        for index in self._free:
            if stretches and stretches[-1][-1] == index - 1:
                stretches[-1].append(index)
            else:
                stretches.append([index])
        longest = max(stretches, key=len)
        # Where somebody is at work just before it, the first half is theirs.
        return longest[len(longest) // 2] if longest[0] - 1 in self._last.values() else longest[0]


def render(request: RenderRequest, progress: Callable[[Progressed], None]) -> Rendered:
    """Render a plan to `request.out`, which appears only when it is complete and checked.

    Raises: Reject if a source cannot be used; ChildFailed or gate.GateFailed if something is not as planned.
    """
    plan = request.plan
    check(plan)
    _keep_no_pictures()
    part = Path(request.part)
    faces = fonts_of(plan, request.font_path)
    paths = {name: Path(path) for name, path in request.paths.items()}
    engine = engine_of(request.choice)
    wanted = chunks(plan, fonts=contents(faces), engine=engine)
    heard = sound_key(plan)
    folder = Path(request.kept) if request.kept is not None else part.parent
    places = [folder / f"{chunk.key}.mp4" for chunk in wanted]
    sound = folder / f"{heard}.m4a" if heard is not None else None
    missing = [chunk for chunk, place in zip(wanted, places, strict=True) if not _kept(place, chunk.key, ChunkFacts)]
    work = _Work(request, Materials(plan, paths, faces, request.choice), wanted, places, progress)
    work.frames_done = wanted[-1].end_frame - sum(chunk.end_frame - chunk.first_frame for chunk in missing)
    work.make(missing, None if sound is None or _kept(sound, str(heard), SoundFacts) else sound)
    rendered = join(plan, *parts_of(places, sound), part=part, out=Path(request.out), engine=engine)
    progress(Progressed(rendered.frames, rendered.frames))
    return replace(rendered, notes=(*rendered.notes, *notes_of(plan, faces), *notes_on(request.choice)))


def notes_on(choice: Choice) -> tuple[str, ...]:
    """Return what a person should know of the device: what was hoped for and done by the CPU."""
    return tuple(f"the CPU was used, not the GPU: {reason}" for reason in choice.why)


def _keep_no_pictures() -> None:
    """Have the C library return memory of a picture's size as soon as it is freed, here and in all workers."""
    library = ctypes.CDLL(None)
    if sys.platform == "linux" and hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _kept(place: Path, key: str, kind: type[ChunkFacts | SoundFacts]) -> bool:
    facts = facts_of(place, kind)
    return facts is not None and facts.key == key


class _Work:
    """The workers of one render."""

    def __init__(
        self,
        request: RenderRequest,
        materials: Materials,
        wanted: tuple[Chunk, ...],
        places: list[Path],
        progress: Callable[[Progressed], None],
    ) -> None:
        self._request = request
        self._wanted = wanted
        self._places = places
        self._progress = progress
        self._materials = materials
        self.frames_done = 0

    def make(self, missing: list[Chunk], sound: Path | None) -> None:
        """Make what is missing. Raises: what ends a worker."""
        order = Order([chunk.index for chunk in missing])

        def answer(worker: int) -> bytes:
            index = order.next(worker)
            if index is None:
                begin_sound()
            return b"" if index is None else msgspec.msgpack.encode(index)

        cv2.setNumThreads(1)  # before forking: a copy waits for ever for the threads that OpenCV has here
        crew = Crew(_Frames, answer, what="rendering")
        scratch, out = Path(self._request.part).parent, Path(self._request.out)
        targets = [
            Target(chunk, scratch / f"chunk-{chunk.index}.part", place, failed_beside(out, f"-chunk-{chunk.index}"))
            for chunk, place in zip(self._wanted, self._places, strict=True)
        ]
        sounds = iter([] if sound is None else [sound])

        def begin_sound() -> None:
            for place in sounds:
                crew.start(_make_sound, self._materials, scratch / "sound.part", place, failed_beside(out, "-sound"))

        told_at = time.monotonic()
        try:
            lines = min(self._request.workers, len(missing))
            if not self._request.choice.on_gpu:
                for _ in range(lines):
                    crew.start(_make_chunks, self._materials, targets, 1)
            elif lines:
                lines = min(lines, HARDWARE_LINES) if self._request.choice.hardware else lines
                crew.start(_make_chunks, self._materials, targets, lines)
            if _sound_first(self._wanted, missing):
                begin_sound()
            for told in crew.told():
                self.frames_done += told.newly_done
                if time.monotonic() - told_at >= PROGRESS_EVERY_S:
                    told_at = time.monotonic()
                    self._progress(Progressed(self.frames_done, self._wanted[-1].end_frame))
        finally:
            crew.end()


def _sound_first(wanted: Sequence[Chunk], missing: Sequence[Chunk]) -> bool:
    """Return whether the sound takes longer than a chunk: the longest work begins first, the shortest fills the end."""
    frames = wanted[-1].end_frame
    return not missing or frames > SOUND_FRAMES * (wanted[0].end_frame - wanted[0].first_frame)


def _make_chunks(link: Link, materials: Materials, targets: list[Target], lines: int) -> None:
    """Make chunks in one process, so many side by side: one on a CPU, several where they share a GPU."""
    asking = threading.Lock()

    def coming() -> Target | None:
        with asking:
            task = link.ask()
        return targets[msgspec.msgpack.decode(task, type=int)] if task else None

    def make() -> None:
        render_chunks(materials, coming, lambda _, __: None, lambda frames: link.tell(_Frames(frames)))

    if lines == 1:
        make()
        return
    with ThreadPoolExecutor(lines) as pool:
        done, _ = wait([pool.submit(make) for _ in range(lines)], return_when=FIRST_EXCEPTION)
        for one in done:
            if (error := one.exception()) is not None:
                link.end(error)  # the foreman kills this process with all other lines
        for one in done:
            one.result()


def _make_sound(_: Link, materials: Materials, part: Path, out: Path, failed: Path) -> None:
    render_sound(materials, part=part, out=out, failed=failed)
