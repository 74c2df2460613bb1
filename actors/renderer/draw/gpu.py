"""Draw recipes on a GPU: the same frames as draw.cpu, by the kernels of kernels.cu, several in flight at once.

What is drawn is decided here, once per frame; a Backend holds the memory and runs the kernels: draw.cuda, or the one of
the tests, which runs the same kernels on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.cpu import layer_map
from actors.renderer.draw.finish import Prepared, halves, masks_of
from actors.renderer.draw.geometry import Matrix, Plane
from actors.renderer.draw.kernels import ComposeArgs, LayerArgs, LookArgs, SamplingArgs, SceneArgs, StampArgs
from actors.renderer.draw.recipe import Box, Glow, Grain, Layer, Look, Recipe, Scene, Sharpen, Vignette
from actors.renderer.draw.steps import Array, Backend, Lane, Planes, Steps
from actors.renderer.draw.tables import (
    blur_step,
    box_taps,
    dim_line,
    fade_line,
    gaussian_taps,
    grain_offset,
    grain_tile,
)
from actors.renderer.source.picture import planes_of
from actors.renderer.text.stamps import Stamp

__all__ = ["LANES", "GpuCanvas", "Pending", "Pictured"]

LANES: Final = 3
"""Frames in flight: one is uploaded, one drawn, one downloaded."""
_KEPT: Final = 32
_T = TypeVar("_T")


class Pictured(Protocol):
    """What is needed of a source's picture; its planes may lie on the host or on the device."""

    @property
    def planes(self) -> Planes: ...
    @property
    def chroma_site(self) -> Matrix: ...


class Pending:
    """A frame that is being drawn."""

    def __init__(self, lane: Lane, frame: VideoFrame, held: object, luma: Plane) -> None:
        self._lane: Lane | None = lane
        self._frame = frame
        self.luma = luma
        """Lines of the frame's luma on the host, once it is drawn."""
        self._held = held  # what is read from until the frame is drawn

    def wait(self) -> VideoFrame:
        """Return the frame, drawn."""
        if self._lane is not None:
            self._lane.wait()
            self._lane = self._held = None
        return self._frame


class _Ready(NamedTuple):
    """A look on the device. arrays: what the addresses in `told` belong to."""

    told: LookArgs
    arrays: tuple[Array, ...]


class GpuCanvas:
    """Draws frames of one size. `draw` is as CpuCanvas's; `submit` lets several be in flight."""

    def __init__(self, width_px: int, height_px: int, backend: Backend, lanes: int = LANES) -> None:
        self._size = width_px, height_px
        self._backend = backend
        self._lanes = [self._backend.lane() for _ in range(lanes)]
        self._pending: list[Pending | None] = [None] * lanes
        self._next = 0
        self._made: dict[Hashable, Any] = {}

    def draw(self, recipe: Recipe, pictures: Sequence[Pictured], out: VideoFrame, stamps: Sequence[Stamp] = ()) -> None:
        """Draw one frame into `out` (yuv420p, limited range), in place."""
        self.submit(recipe, pictures, out, stamps).wait()

    def submit(
        self,
        recipe: Recipe,
        pictures: Sequence[Pictured],
        out: VideoFrame | None = None,
        stamps: Sequence[Stamp] = (),
        *,
        every: int = 1,
    ) -> Pending:
        """Begin to draw one frame; it waits only for the frame that was begun `lanes` before.

        Args: out: yuv420p; None: the frame stays on the device, as NV12. Neither it nor what `pictures` holds on the
        device may be changed before the frame is waited for. every: of a frame that stays, the lines of luma that come
        to the host: each so many.
        """
        at, self._next = self._next, (self._next + 1) % len(self._lanes)
        if (before := self._pending[at]) is not None:
            before.wait()
        lane = self._lanes[at]
        width, height = self._size
        if out is None:
            luma, chroma = self._backend.empty((height, width)), self._backend.empty((height // 2, width // 2, 2))
            planes: Planes = (luma, chroma[..., 0], chroma[..., 1])
            held = self._draw(lane, recipe, pictures, planes, stamps)
            lines = luma[::every]
            seen = np.empty(lines.shape, np.uint8)
            lane.download(lines, seen)
            pending = Pending(lane, self._backend.frame(luma, chroma), (pictures, held), seen)
        else:
            sizes = ((height, width), *[(height // 2, width // 2)] * 2)
            y, cb, cr = (lane.room(f"out {at}", size) for at, size in enumerate(sizes))
            planes = (y, cb, cr)
            held = self._draw(lane, recipe, pictures, planes, stamps)
            targets = planes_of(out)
            for plane, target in zip(planes, targets, strict=True):
                lane.download(plane, target)
            pending = Pending(lane, out, (pictures, held), targets[0])
        self._pending[at] = pending
        return pending

    def _draw(
        self, lane: Lane, recipe: Recipe, pictures: Sequence[Pictured], out: Planes, stamps: Sequence[Stamp]
    ) -> object:
        """Draw scenes and look, then sharpen, then glow and all else; what nothing stands between is one kernel.

        Returns: what must be kept until the frame is drawn.
        """
        steps = Steps(lane, self._backend, out)
        told = steps.begun()
        self._scenes(steps, told, recipe.scenes, pictures)
        if recipe.look is not None:
            told.look = self._look(steps, recipe.look).told
        if (sharpen := recipe.sharpen) is not None and sharpen.strength > 0:
            steps.compose(told)
            told = steps.begun()
            self._soften(steps, told, sharpen)
        if (glow := recipe.glow) is not None and glow.strength > 0:
            steps.compose(told)
            told = steps.begun()
            self._glow(steps, told, glow)
        if (vignette := recipe.vignette) is not None and vignette.strength > 0:
            for at, (keep, ink) in enumerate(self._vignette(steps, vignette)):
                told.keep[at], told.ink[at] = steps.plane(keep), steps.plane(ink)
        if (grain := recipe.grain) is not None and grain.deviation > 0:
            told.grain_row, told.grain_column = grain_offset(grain.seed)
            for at, tile in enumerate(self._grain(steps, grain)):
                told.grain[at] = steps.plane(tile)
        line = fade_line(recipe.fades)
        told.gain, told.offset = line.gain, line.offset
        self._stamps(steps, told, stamps)
        steps.compose(told)
        return steps.held

    # Scenes

    def _scenes(self, steps: Steps, told: ComposeArgs, scenes: tuple[Scene, ...], pictures: Sequence[Pictured]) -> None:
        seen = [scene for at, scene in enumerate(scenes) if scene.mix > 0 or at == 0]
        layers: list[LayerArgs] = []
        lists: list[SceneArgs] = []
        for scene in seen:
            first = len(layers)
            layers += [self._layer(steps, layer, pictures) for layer in scene.layers]
            y, cb, cr = (round(level) for level in scene.ground)
            lists.append(SceneArgs(first, len(layers), (y, cb, cr), scene.mix, 1 - scene.mix))
        told.layers = steps.listed("layers", layers)
        told.scenes = steps.listed("scenes", lists)
        told.scene_count = len(lists)

    def _layer(self, steps: Steps, layer: Layer, pictures: Sequence[Pictured]) -> LayerArgs:
        picture = pictures[layer.picture]
        line = dim_line(layer.dim)
        told = LayerArgs(left=layer.box.left, top=layer.box.top, right=layer.box.right, bottom=layer.box.bottom)
        told.gain, told.offset = line.gain, line.offset
        for at in range(3):
            source = steps.source(layer.picture, at, picture.planes[at])
            told.of[at] = self._sampling(steps, layer, at, source, layer_map(layer, at, picture.chroma_site))
        return told

    def _sampling(self, steps: Steps, layer: Layer, at: int, source: Array, index_map: Matrix) -> SamplingArgs:
        """Say how one plane of a layer is read, after what has to be done with it beforehand is done."""
        half = 1 if at == 0 else 2
        width, height = _extent(layer.box, half)
        if layer.blur_px > 0:
            step = blur_step(layer.blur_px / half)
            wide, high = -(-width // step), -(-height // step)
            coarse = index_map.copy()
            coarse[:, 2] += (index_map[:, 0] + index_map[:, 1]) * ((step - 1) / 2)
            coarse[:, :2] *= step
            small = steps.placed(steps.sampling(source, coarse, wide, high, layer.scale / step), wide, high)
            taps = self._taps(steps, layer.blur_px / half / step)
            sampling = steps.enlarged(steps.blurred(small, taps), step)
        else:
            sampling = steps.sampling(source, index_map, width, height, layer.scale)
        length = box_taps(layer.smear_px / half)
        if length > 1:
            return steps.enlarged(steps.smeared(steps.placed(sampling, width, height), length), 1)
        return sampling

    # What is done with the whole frame

    def _look(self, steps: Steps, look: Look) -> _Ready:
        def make() -> _Ready:
            parts = Prepared.of(look)
            arrays: list[Array] = []

            def put(data: NDArray[Any]) -> int:
                arrays.append(self._backend.constant(np.ascontiguousarray(data)))
                return self._backend.address(arrays[-1])

            told = LookArgs()
            if parts.luma is not None:
                told.luma = put(parts.luma)
            if parts.gains is not None:
                told.gains = put(np.stack(parts.gains))
            if parts.sums is not None:
                told.sums = put(np.array(parts.sums, np.float32))
            if parts.atlases is not None and look.table is not None:
                told.side = look.table.shape[0]
                told.node = (told.side - 1) / 255
                told.atlas = tuple(put(atlas) for atlas in parts.atlases)
            return _Ready(told, tuple(arrays))

        return self._kept(steps, ("look", look.key), make)

    def _soften(self, steps: Steps, told: ComposeArgs, sharpen: Sharpen) -> None:
        step = blur_step(sharpen.sigma_px)
        soft = steps.blurred(steps.averaged(steps.out[0], step), self._taps(steps, sharpen.sigma_px / step))
        if step > 1:
            width, height = self._size
            soft = steps.placed(steps.enlarged(soft, step), width, height)
        told.soft, told.sharpen, told.detail = steps.plane(soft), 1 + sharpen.strength, -sharpen.strength

    def _glow(self, steps: Steps, told: ComposeArgs, glow: Glow) -> None:
        step = max(4, blur_step(glow.sigma_px))
        taps = self._taps(steps, glow.sigma_px / step)
        bright, strength, shares = self._kept(
            steps, ("glow", glow), lambda: tuple(self._backend.constant(table) for table in _glow_tables(glow))
        )
        small = steps.averaged(steps.out[0], step)
        told.lit[0] = steps.plane(steps.blurred(small, taps, before=bright, after=strength))
        for at in (1, 2):
            chroma = steps.averaged(steps.out[at], step // 2)
            told.lit[at] = steps.plane(steps.blurred(steps.tinged(small, chroma, shares), taps))
        told.lit_step, told.glow = step, glow.strength

    def _vignette(self, steps: Steps, vignette: Vignette) -> tuple[tuple[Array, Array], ...]:
        def make() -> tuple[tuple[Array, Array], ...]:
            masks = masks_of(*self._size, vignette)
            return tuple((self._backend.constant(keep), self._backend.constant(ink)) for keep, ink in masks)

        return self._kept(steps, ("vignette", vignette), make)

    def _grain(self, steps: Steps, grain: Grain) -> tuple[Array, ...]:
        def make() -> tuple[Array, ...]:
            parts = halves(grain_tile(grain.deviation, grain.size_px))
            return tuple(self._backend.constant(part) for part in parts)

        return self._kept(steps, ("grain", grain.deviation, grain.size_px), make)

    def _stamps(self, steps: Steps, told: ComposeArgs, stamps: Sequence[Stamp]) -> None:
        told_stamps = []
        for at, stamp in enumerate(stamps):
            keep = [steps.uploaded(f"stamp {at} keep {n}", plane) for n, plane in enumerate(stamp.keep)]
            ink = [steps.uploaded(f"stamp {at} ink {n}", plane) for n, plane in enumerate(stamp.ink)]
            told_stamps.append(StampArgs(tuple(keep), tuple(ink), stamp.row, stamp.column))
        told.stamps, told.stamp_count = steps.listed("stamps", told_stamps), len(told_stamps)

    def _taps(self, steps: Steps, sigma_px: float) -> Array:
        return self._kept(steps, ("taps", sigma_px), lambda: self._backend.constant(gaussian_taps(sigma_px)))

    def _kept(self, steps: Steps, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what was made for a key, once; the last few in use are kept, and longer by frames in flight."""
        found: _T = self._made.pop(key) if key in self._made else make()
        self._made[key] = found
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        steps.held.append(found)
        return found


def _extent(box: Box, half: int) -> tuple[int, int]:
    return box.right // half - box.left // half, box.bottom // half - box.top // half


def _glow_tables(glow: Glow) -> tuple[NDArray[Any], ...]:
    """Return light by level, light times strength, and the share of colour by level: as Finisher does."""
    levels = np.arange(256)
    share = np.clip((levels - glow.threshold) / max(1.0, 235 - glow.threshold), 0, 1)
    return (
        np.rint(np.clip(levels - 16, 0, 219) * share).astype(np.uint8),
        np.rint(np.minimum(levels * glow.strength, 219)).astype(np.uint8),
        share.astype(np.float32),
    )
