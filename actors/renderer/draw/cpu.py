"""Draw recipes into yuv420p frames with OpenCV: every plane is touched as seldom as the recipe allows.

Results are 8-bit after every stage, rounded to the nearest level. What each stage computes is said in `recipe`,
`tables`, `sampling` and `finish`; the GPU engine does the same sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
from av.video.frame import VideoFrame

from actors.renderer.draw.finish import Finisher, Planes, blur, faded
from actors.renderer.draw.geometry import CHROMA_LEFT, LUMA, Matrix, Plane, placed, plane_map
from actors.renderer.draw.recipe import BLACK, Layer, Level, Recipe, Scene
from actors.renderer.draw.rooms import Rooms
from actors.renderer.draw.sampling import Sampler, enlarged
from actors.renderer.draw.tables import blur_step, box_taps, dim_line, gaussian_taps
from actors.renderer.source.picture import planes_of

__all__ = ["CpuCanvas", "layer_map"]


class _Pictured(Protocol):
    """What is needed of a source's picture."""

    @property
    def planes(self) -> Planes: ...
    @property
    def chroma_site(self) -> Matrix: ...


class CpuCanvas:
    """Draws frames of one size, one after the other; keeps its buffers and tables."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._size = width_px, height_px
        self._rooms = Rooms()
        self._sampler = Sampler(self._rooms)
        self._finisher = Finisher(width_px, height_px, self._rooms)

    def draw(self, recipe: Recipe, pictures: Sequence[_Pictured], out: VideoFrame) -> None:
        """Draw one frame into `out` (yuv420p, limited range), in place."""
        self.draw_planes(recipe, pictures, planes_of(out))

    def draw_planes(self, recipe: Recipe, pictures: Sequence[_Pictured], planes: Planes) -> None:
        """Draw one frame into planes, in place."""
        for number, scene in enumerate(recipe.scenes):
            if scene.mix <= 0 and number > 0:
                continue
            if scene.mix >= 1:
                self._scene(scene, pictures, planes)
                continue
            if number == 0:
                _fill(planes, BLACK)
            luma, cb, cr = (self._rooms.plane(f"over {at}", plane.shape) for at, plane in enumerate(planes))
            over = luma, cb, cr
            self._scene(scene, pictures, over)
            for below, above in zip(planes, over, strict=True):
                cv2.addWeighted(below, 1 - scene.mix, above, scene.mix, 0, dst=below)
        self._finisher.finish(recipe, planes)

    def _scene(self, scene: Scene, pictures: Sequence[_Pictured], planes: Planes) -> None:
        if not any(layer.box == (0, 0, *self._size) for layer in scene.layers):
            _fill(planes, scene.ground)
        for layer in scene.layers:
            self._layer(layer, pictures[layer.picture], planes)

    def _layer(self, layer: Layer, picture: _Pictured, planes: Planes) -> None:
        line = dim_line(layer.dim)
        for at, plane in enumerate(planes):
            half = 1 if at == 0 else 2
            left, top, right, bottom = (edge // half for edge in layer.box)
            target = plane[top:bottom, left:right]
            index_map = layer_map(layer, at, picture.chroma_site)
            source = picture.planes[at]
            if layer.blur_px > 0:
                self._blurred(source, index_map, target, scale=layer.scale, sigma_px=layer.blur_px / half)
            else:
                self._sampler.draw(source, index_map, target, scale=layer.scale)
            length = box_taps(layer.smear_px / half)
            if length > 1:
                cv2.blur(target, (length, 1), dst=target, borderType=cv2.BORDER_REPLICATE)
            if layer.dim > 0:
                faded(target, line.gain, line.offset[at])

    def _blurred(self, source: Plane, index_map: Matrix, target: Plane, *, scale: float, sigma_px: float) -> None:
        """Draw at 1/step of the size, blur there, enlarge linearly: small sample i lies in the middle of `step`."""
        step = blur_step(sigma_px)
        small = self._rooms.plane("small", tuple(-(-size // step) for size in target.shape))
        middle = (step - 1) / 2
        coarse = index_map.copy()
        coarse[:, 2] += (index_map[:, 0] + index_map[:, 1]) * middle
        coarse[:, :2] *= step
        self._sampler.draw(source, coarse, small, scale=scale / step)
        enlarged(blur(small, gaussian_taps(sigma_px / step), self._rooms), step, target, self._rooms)


def layer_map(layer: Layer, at: int, chroma_site: Matrix) -> Matrix:
    """Return the (2, 3) map from the sample indices of a layer's box to those of its picture, for plane 0, 1 or 2."""
    if at == 0:
        to_source, site, out_site, half = layer.to_source, LUMA, LUMA, 1
    else:
        to_source, site, out_site, half = layer.to_source, chroma_site, CHROMA_LEFT, 2
        if layer.split_px:
            away_px = -layer.split_px if at == 1 else layer.split_px
            to_source = placed(to_source, 1.0, away_px, 1.0, 0.0)
    index_map = plane_map(to_source, source_site=site, out_site=out_site, shrink=(1.0, 1.0))
    index_map[:, 2] += index_map[:, 0] * (layer.box.left // half) + index_map[:, 1] * (layer.box.top // half)
    return index_map


def _fill(planes: Planes, level: Level) -> None:
    for plane, value in zip(planes, level, strict=True):
        plane[...] = round(value)
