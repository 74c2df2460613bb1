"""A whole render on one machine: chunks side by side in workers, the sound in one more, then the join."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.renderer.chunkfile import ChunkFacts, SoundFacts, facts_of
from actors.renderer.chunks import Chunk, chunks, sound_key
from actors.renderer.engine import Materials, Target, render_chunks, render_sound
from actors.renderer.faces import contents, fonts_of
from actors.renderer.job import Progressed, Rendered, RenderRequest
from actors.renderer.join import failed_beside, join, parts_of
from actors.renderer.text.texts import notes_of
from actors.runtime.crew import Crew, Link
from contracts.plan import check

__all__ = ["Order", "render"]

PROGRESS_EVERY_S: Final = 0.5


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
    part = Path(request.part)
    faces = fonts_of(plan, request.font_path)
    paths = {name: Path(path) for name, path in request.paths.items()}
    wanted = chunks(plan, fonts=contents(faces))
    heard = sound_key(plan)
    folder = Path(request.kept) if request.kept is not None else part.parent
    places = [folder / f"{chunk.key}.mp4" for chunk in wanted]
    sound = folder / f"{heard}.m4a" if heard is not None else None
    missing = [chunk for chunk, place in zip(wanted, places, strict=True) if not _kept(place, chunk.key, ChunkFacts)]
    work = _Work(request, Materials(plan, paths, faces), wanted, places, progress)
    work.frames_done = wanted[-1].end_frame - sum(chunk.end_frame - chunk.first_frame for chunk in missing)
    work.make(missing, None if sound is None or _kept(sound, str(heard), SoundFacts) else sound)
    rendered = join(plan, *parts_of(places, sound), part=part, out=Path(request.out))
    progress(Progressed(rendered.frames, rendered.frames))
    return replace(rendered, notes=(*rendered.notes, *notes_of(plan, faces)))


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
            return b"" if index is None else msgspec.msgpack.encode(index)

        crew = Crew(_Frames, answer, what="rendering")
        scratch, out = Path(self._request.part).parent, Path(self._request.out)
        targets = [
            Target(chunk, scratch / f"chunk-{chunk.index}.part", place, failed_beside(out, f"-chunk-{chunk.index}"))
            for chunk, place in zip(self._wanted, self._places, strict=True)
        ]
        told_at = time.monotonic()
        try:
            for _ in range(min(self._request.workers, len(missing))):
                crew.start(_make_chunks, self._materials, targets)
            if sound is not None:
                crew.start(_make_sound, self._materials, scratch / "sound.part", sound, failed_beside(out, "-sound"))
            for told in crew.told():
                self.frames_done += told.newly_done
                if time.monotonic() - told_at >= PROGRESS_EVERY_S:
                    told_at = time.monotonic()
                    self._progress(Progressed(self.frames_done, self._wanted[-1].end_frame))
        finally:
            crew.end()


def _make_chunks(link: Link, materials: Materials, targets: list[Target]) -> None:
    def coming() -> Target | None:
        task = link.ask()
        return targets[msgspec.msgpack.decode(task, type=int)] if task else None

    render_chunks(materials, coming, lambda _, __: None, lambda frames: link.tell(_Frames(frames)))


def _make_sound(_: Link, materials: Materials, part: Path, out: Path, failed: Path) -> None:
    render_sound(materials, part=part, out=out, failed=failed)
