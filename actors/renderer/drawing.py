"""Draw the frames of a plan: on the CPU one after the other, on a GPU several at a time; they come out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from av.video.frame import VideoFrame

from actors.renderer import gate
from actors.renderer.chunkfile import Shown
from actors.renderer.devices import Choice
from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.geometry import Plane
from actors.renderer.draw.gpu import LANES, GpuCanvas, Pending
from actors.renderer.draw.recipe import Recipe
from actors.renderer.draw.steps import Array, Backend
from actors.renderer.source.picture import Picture, planes_of
from actors.renderer.text.stamps import Stamp, blend
from actors.renderer.timeline import Strip
from contracts.plan import Output

__all__ = ["CpuDrawing", "Drawing", "Drawn", "GpuDrawing", "Seen", "Sources", "drawing_of", "luma_lines"]

SIGNED_LINES: Final = 128
"""Lines of a frame that its signature is made of, at least; see gate.signature."""


class Drawn(NamedTuple):
    """A finished frame. signature: see gate.signature."""

    frame: VideoFrame
    signature: bytes


class Seen(NamedTuple):
    """What is at hand for one frame."""

    number: int
    strips: tuple[Strip, ...]
    pictures: tuple[Picture, ...]


class Drawing(Protocol):
    """Draws frames of one size."""

    def begin(self, recipe: Recipe, pictures: Sequence[Picture], stamps: Sequence[Stamp]) -> Iterator[Drawn]:
        """Begin a frame; yield what is finished by now, in order. Nothing is begun before the first is asked for."""
        ...

    def rest(self) -> Iterator[Drawn]:
        """Yield all that was begun."""
        ...


class CpuDrawing:
    """spare: gives a frame to draw into."""

    in_flight: Final = 0

    def __init__(self, output: Output, spare: Callable[[], VideoFrame]) -> None:
        self._canvas = CpuCanvas(output.width_px, output.height_px)
        self._spare = spare

    def begin(self, recipe: Recipe, pictures: Sequence[Picture], stamps: Sequence[Stamp]) -> Iterator[Drawn]:
        frame = self._spare()
        self._canvas.draw(recipe, pictures, frame)
        planes = planes_of(frame)
        for stamp in stamps:
            blend(planes, stamp)
        yield Drawn(frame, gate.signature(planes[0]).tobytes())

    def rest(self) -> Iterator[Drawn]:
        yield from ()


class GpuDrawing:
    """spare: as of CpuDrawing; None: frames stay on the device, and only the lines of their signature leave it."""

    in_flight: Final = LANES - 1

    def __init__(self, output: Output, backend: Backend, spare: Callable[[], VideoFrame] | None) -> None:
        self._canvas = GpuCanvas(output.width_px, output.height_px, backend)
        self._every = _every(output.height_px)
        self._spare = spare
        self._begun: deque[Pending] = deque()

    def begin(self, recipe: Recipe, pictures: Sequence[Picture], stamps: Sequence[Stamp]) -> Iterator[Drawn]:
        out = None if self._spare is None else self._spare()
        self._begun.append(self._canvas.submit(recipe, pictures, out, stamps, every=self._every))
        while len(self._begun) > self.in_flight:
            yield self._finished()

    def rest(self) -> Iterator[Drawn]:
        while self._begun:
            yield self._finished()

    def _finished(self) -> Drawn:
        pending = self._begun.popleft()
        return Drawn(pending.wait(), gate.signature(pending.luma).tobytes())


def drawing_of(choice: Choice, output: Output, spare: Callable[[], VideoFrame]) -> CpuDrawing | GpuDrawing:
    """Return what draws by a choice."""
    if not choice.on_gpu:
        return CpuDrawing(output, spare)
    return GpuDrawing(output, cuda_backend(), None if choice.stays else spare)


def cuda_backend() -> Backend:
    """Return the device. CuPy comes with the extra `gpu`, and must not be loaded before a process forks."""
    from actors.renderer.draw.cuda import backend  # noqa: PLC0415

    return backend()


def luma_lines(luma: Array) -> Plane:
    """Return on the host the lines that a signature is made of, or a host plane as it is."""
    if not hasattr(luma, "__cuda_array_interface__"):
        plane: Plane = luma
        return plane
    from actors.renderer.draw.cuda import host_lines  # noqa: PLC0415  # as above

    return host_lines(luma, _every(luma.shape[0]))


def _every(height: int) -> int:
    return max(1, height // SIGNED_LINES)


class Sources:
    """Signatures of the sources that a chunk shows, before effects."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[int, bytearray]] = {}
        self._last: dict[tuple[int, int], tuple[Picture, bytes]] = {}

    def note(self, shown: Seen) -> None:
        last = self._last
        self._last = {}
        for strip, picture in zip(shown.strips, shown.pictures, strict=True):
            key = strip.clip, strip.pane
            same = last.get(key)
            if same is None or same[0] is not picture:
                same = picture, gate.signature(luma_lines(picture.planes[0])).tobytes()
            self._last[key] = same
            self._seen.setdefault(key, (shown.number, bytearray()))[1].extend(same[1])

    def taken(self) -> tuple[Shown, ...]:
        """Return what was noted and begin anew."""
        seen, self._seen = self._seen, {}
        return tuple(
            Shown(clip=clip, pane=pane, first_frame=first, signatures=bytes(data))
            for (clip, pane), (first, data) in seen.items()
        )
