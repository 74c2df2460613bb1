"""What is done to the whole frame after its scenes, on the CPU: look, sharpen, glow, vignette, grain, fades.

Each stage ends in 8-bit levels. "Rounded" is to the nearest level, ties to even, then held in 0..255. Blocks of samples
are those of geometry.averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Plane, averaged
from actors.renderer.draw.recipe import Glow, Grain, Look, Recipe, Sharpen, Vignette
from actors.renderer.draw.rooms import Rooms
from actors.renderer.draw.sampling import enlarged
from actors.renderer.draw.tables import (
    GRAIN_TILE_PX,
    blur_step,
    fade_line,
    gaussian_taps,
    grain_offset,
    grain_tile,
    vignette_keep,
)

__all__ = ["Finisher", "Planes", "Prepared", "blur", "faded", "halves", "masks_of"]

Planes = tuple[Plane, Plane, Plane]
"""Y, Cb, Cr of one 4:2:0 picture."""
Floats = NDArray[np.float32]
_T = TypeVar("_T")
_LEVELS: Final = np.arange(256)
_TILES: Final = 16
"""A colour table lies as 16 by 16 tiles, one for each level of Y."""
_KEPT: Final = 8
_VECTOR: Final = 64
"""Samples of the longest vector of any processor."""
_BAND: Final = 64
"""Rows that are looked up at a time: their coordinates stay in the cache."""


class Finisher:
    """The stages after the scenes, for frames of one size; keeps buffers and tables."""

    def __init__(self, width_px: int, height_px: int, rooms: Rooms) -> None:
        self._size = width_px, height_px
        self._rooms = rooms
        self._made: dict[Hashable, object] = {}

    def finish(self, recipe: Recipe, planes: Planes) -> None:
        """Do every stage that is in force, in order, in place."""
        if recipe.look is not None:
            self._look(recipe.look, planes)
        if recipe.sharpen is not None and recipe.sharpen.strength > 0:
            self._sharpen(recipe.sharpen, planes[0])
        if recipe.glow is not None and recipe.glow.strength > 0:
            self._glow(recipe.glow, planes)
        if recipe.vignette is not None and recipe.vignette.strength > 0:
            self._vignette(recipe.vignette, planes)
        if recipe.grain is not None and recipe.grain.deviation > 0:
            self._grain(recipe.grain, planes[0])
        if recipe.fades:
            gain, offset = fade_line(recipe.fades)
            for plane, level in zip(planes, offset, strict=True):
                faded(plane, gain, level)

    def _look(self, look: Look, planes: Planes) -> None:
        luma, *chroma = planes
        made = self._kept(("look", look.key), lambda: Prepared.of(look))
        if made.luma is not None:
            cv2.LUT(luma, made.luma, dst=luma)
        if made.gains is not None:
            for plane, levels in zip(chroma, made.gains, strict=True):
                cv2.LUT(plane, levels, dst=plane)
        elif made.sums is not None:
            self._summed(made.sums, planes)
        if made.atlases is not None:
            self._tabled(made.atlases, made.places, planes)

    def _summed(self, sums: tuple[tuple[Floats, ...], ...], planes: Planes) -> None:
        """Chroma = the sum of what the mean of four Y, Cb and Cr each give, rounded, held in 16..240."""
        luma, *chroma = planes
        shape = chroma[0].shape
        mean = averaged(luma, 2, out=self._rooms.plane("mean", shape))
        given, total = self._rooms.floats("given", shape), self._rooms.floats("total", shape)
        results = [self._rooms.plane(name, shape) for name in ("cb", "cr")]
        for tables, result in zip(sums, results, strict=True):
            cv2.LUT(mean, tables[0], dst=total)
            for plane, table in zip(chroma, tables[1:], strict=True):
                if not table.any():
                    continue
                cv2.LUT(plane, table, dst=given)
                cv2.add(total, given, dst=total)
            np.clip(total, 16, 240, out=total)
            cv2.convertScaleAbs(total, dst=result)
        for plane, result in zip(chroma, results, strict=True):
            np.copyto(plane, result)

    def _tabled(self, atlases: tuple[Plane, Plane, Plane], places: tuple[Floats, ...], planes: Planes) -> None:
        """Look the colours up in three-dimensional tables, linear in Cb and Cr; every Y has a tile of its own."""
        for top in range(0, planes[0].shape[0], _BAND):
            luma, cb, cr = (
                plane[top // half : (top + _BAND) // half] for plane, half in zip(planes, (1, 2, 2), strict=True)
            )
            self._band(atlases, places, (luma, cb, cr))

    def _band(self, atlases: tuple[Plane, Plane, Plane], places: tuple[Floats, ...], planes: Planes) -> None:
        luma, cb, cr = planes
        mean = averaged(luma, 2, out=self._rooms.plane("mean", cb.shape))
        (x, full_x), (y, full_y) = (
            self._places(name, plane, (mean, luma), tile, places[2])
            for name, plane, tile in (("x", cr, places[0]), ("y", cb, places[1]))
        )
        cv2.remap(atlases[0], full_x, full_y, cv2.INTER_LINEAR, dst=luma)
        cv2.remap(atlases[1], x, y, cv2.INTER_LINEAR, dst=cb)
        cv2.remap(atlases[2], x, y, cv2.INTER_LINEAR, dst=cr)

    def _places(
        self, name: str, chroma: Plane, lumas: tuple[Plane, Plane], tile: Floats, node: Floats
    ) -> tuple[Floats, Floats]:
        """Return one coordinate in the atlas for each chroma sample and for each luma sample."""
        found: list[Floats] = []
        nodes = self._rooms.floats("nodes", chroma.shape)
        cv2.LUT(chroma, node, dst=nodes)
        for luma in lumas:
            place = self._rooms.floats(f"places {name} {len(found)}", luma.shape)
            own = self._rooms.floats("own", luma.shape)
            cv2.LUT(luma, tile, dst=place)
            cv2.resize(nodes, luma.shape[::-1], dst=own, interpolation=cv2.INTER_NEAREST)
            cv2.add(place, own, dst=place)
            found.append(place)
        return found[0], found[1]

    def _sharpen(self, sharpen: Sharpen, luma: Plane) -> None:
        """Y + strength (Y - blurred Y), rounded; Y is blurred as a layer is."""
        step = blur_step(sharpen.sigma_px)
        soft = blur(averaged(luma, step), gaussian_taps(sharpen.sigma_px / step), self._rooms)
        if step > 1:
            small, soft = soft, self._rooms.plane("a", luma.shape)
            enlarged(small, step, soft, self._rooms)
        cv2.addWeighted(luma, 1 + sharpen.strength, soft, -sharpen.strength, 0, dst=luma)

    def _glow(self, glow: Glow, planes: Planes) -> None:
        """Screen blurred light over the frame.

        On planes made smaller by step (blocks of luma, half as large ones of chroma): share = (Y - threshold) /
        (235 - threshold), held in 0..1; light = (Y - 16) share, held in 0..219, and (C - 128) share + 128, rounded;
        blurred; light times strength, rounded, held in 0..219; enlarged. Then Y + light (235 - Y) / 219 with the
        product rounded, and C + strength (lit C - 128), rounded.
        """
        step = max(4, blur_step(glow.sigma_px))
        taps = gaussian_taps(glow.sigma_px / step)
        small = averaged(planes[0], step)
        share = np.clip((_LEVELS - glow.threshold) / max(1.0, 235 - glow.threshold), 0, 1)
        light = cast(Plane, cv2.LUT(small, np.rint(np.clip(_LEVELS - 16, 0, 219) * share).astype(np.uint8)))
        light = blur(light, taps, self._rooms)
        light = cast(Plane, cv2.LUT(light, np.rint(np.minimum(_LEVELS * glow.strength, 219)).astype(np.uint8)))
        lit, room = (self._rooms.plane(name, planes[0].shape) for name in ("a", "b"))
        enlarged(light, step, lit, self._rooms)
        np.minimum(planes[0], 235, out=room)
        np.subtract(235, room, out=room)
        cv2.multiply(lit, room, dst=room, scale=1 / 219)
        shares = cv2.LUT(small, share.astype(np.float32))
        for plane in planes[1:]:
            coarse = averaged(plane, step // 2).astype(np.float32)
            coloured = np.rint((coarse - 128) * shares + 128).astype(np.uint8)
            lit = self._rooms.plane("c", plane.shape)
            enlarged(blur(coloured, taps, self._rooms), step // 2, lit, self._rooms)
            cv2.addWeighted(plane, 1, lit, glow.strength, -128 * glow.strength, dst=plane)
        cv2.add(planes[0], room, dst=planes[0])

    def _vignette(self, vignette: Vignette, planes: Planes) -> None:
        """Level = level keep / 255, rounded, + what black gives for the rest, rounded: 16 or 128 (255 - keep) / 255."""
        masks = self._kept(("vignette", vignette), lambda: masks_of(*self._size, vignette))
        for plane, (keep, ink) in zip(planes, (masks[0], masks[1], masks[1]), strict=True):
            cv2.multiply(plane, keep, dst=plane, scale=1 / 255)
            cv2.add(plane, ink, dst=plane)

    def _grain(self, grain: Grain, luma: Plane) -> None:
        """Y + noise weight / 255, the product rounded, with weight = 4 Y (255 - Y) / 255, rounded.

        The noise is the tile, repeated, from its row and column of this frame on.
        """
        height, width = luma.shape
        lighter, darker = self._kept(
            ("grain", grain.deviation, grain.size_px), lambda: halves(grain_tile(grain.deviation, grain.size_px))
        )
        weight, room = (self._rooms.plane(name, luma.shape) for name in ("a", "b"))
        cv2.bitwise_not(luma, dst=room)
        cv2.multiply(luma, room, dst=weight, scale=4 / 255)
        row, column = grain_offset(grain.seed)
        for top, bottom, tile_top in _blocks(height, row):
            for left, right, tile_left in _blocks(width, column):
                here = np.s_[top:bottom, left:right]
                there = np.s_[tile_top : tile_top + bottom - top, tile_left : tile_left + right - left]
                target = luma[here]
                cv2.multiply(weight[here], lighter[there], dst=room[here], scale=1 / 255)
                cv2.multiply(weight[here], darker[there], dst=weight[here], scale=1 / 255)
                cv2.add(target, room[here], dst=target)
                cv2.subtract(target, weight[here], dst=target)

    def _kept(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what was made for a key; the few that were used last are kept."""
        made = self._made.pop(key) if key in self._made else make()
        self._made[key] = made
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return cast(_T, made)


class Prepared(NamedTuple):
    """A look as OpenCV wants it; None: that part does nothing.

    gains: tables of Cb and Cr where each depends on itself alone; sums: else, for Cb and for Cr, what Y, Cb and Cr
    give; atlases: of Y, Cb, Cr; places: where a level of Y has its tile (x, y), and the node of a level of chroma.
    """

    luma: Plane | None
    gains: tuple[Plane, Plane] | None
    sums: tuple[tuple[Floats, ...], ...] | None
    atlases: tuple[Plane, Plane, Plane] | None
    places: tuple[Floats, ...]

    @staticmethod
    def of(look: Look) -> Prepared:
        gains = sums = atlases = None
        places: tuple[Floats, ...] = ()
        if look.matrix is not None and not np.array_equal(look.matrix, np.eye(3, 4)):
            rows = look.matrix[1:]
            if rows[0, 0] == rows[1, 0] == rows[0, 2] == rows[1, 1] == 0:
                gains = cast(
                    tuple[Plane, Plane],
                    tuple(
                        np.clip(np.rint(128 + row[at] * (_LEVELS - 128) + row[3]), 16, 240).astype(np.uint8)
                        for at, row in enumerate(rows, 1)
                    ),
                )
            else:
                sums = tuple(
                    (
                        (128 + row[0] * _LEVELS + row[3]).astype(np.float32),
                        (row[1] * (_LEVELS - 128)).astype(np.float32),
                        (row[2] * (_LEVELS - 128)).astype(np.float32),
                    )
                    for row in rows
                )
        if look.table is not None:
            side = look.table.shape[0]
            atlases = _atlases(look.table)
            places = tuple(
                levels.astype(np.float32)
                for levels in (_LEVELS % _TILES * side, _LEVELS // _TILES * side, _LEVELS * ((side - 1) / 255))
            )
        return Prepared(
            None if np.array_equal(look.luma, _LEVELS) else look.luma,
            gains,
            sums,
            atlases,
            places,
        )


def faded(plane: Plane, gain: float, offset: float) -> None:
    """Level = level * gain + offset, rounded, in place. Neither is negative."""
    if (gain, offset) != (1.0, 0.0):
        cv2.convertScaleAbs(plane, dst=plane, alpha=gain, beta=offset)


def blur(plane: Plane, taps: NDArray[np.int32], rooms: Rooms) -> Plane:
    """Convolve along x and y with taps that sum to 256, rounded once; the edge goes on beyond it.

    The result lies in a room until the next one. OpenCV rounds ties to even, but up in what is left of a row after
    whole vectors: rows are lengthened to whole ones, so that every processor gives the same.
    """
    height, width = plane.shape
    whole = width + -width % _VECTOR
    if whole > width:
        edged = rooms.plane("edged", (height, whole))
        cv2.copyMakeBorder(plane, 0, 0, 0, whole - width, cv2.BORDER_REPLICATE, dst=edged)
        plane = edged
    soft = rooms.plane("soft", plane.shape)
    kernel = taps.astype(np.float32) / 256
    cv2.sepFilter2D(plane, -1, kernel, kernel, dst=soft, borderType=cv2.BORDER_REPLICATE)
    return soft[:, :width]


def masks_of(width: int, height: int, vignette: Vignette) -> tuple[tuple[Plane, Plane], tuple[Plane, Plane]]:
    luma, chroma = vignette_keep(width, height, vignette.strength, vignette.radius)
    rest = (255.0 - _LEVELS) / 255
    return (
        (luma, np.rint(16 * rest).astype(np.uint8)[luma]),
        (chroma, np.rint(128 * rest).astype(np.uint8)[chroma]),
    )


def halves(tile: NDArray[np.int8]) -> tuple[Plane, Plane]:
    """Return noise that adds light and noise that takes it."""
    wide = tile.astype(np.int16)
    return np.maximum(wide, 0).astype(np.uint8), np.maximum(-wide, 0).astype(np.uint8)


def _blocks(size: int, offset: int) -> list[tuple[int, int, int]]:
    """Return (start, end, where in the tile) of the stretches of an axis between the tile's borders."""
    found = []
    start = 0
    while start < size:
        tile_at = (start + offset) % GRAIN_TILE_PX
        end = min(size, start + GRAIN_TILE_PX - tile_at)
        found.append((start, end, tile_at))
        start = end
    return found


def _atlases(table: NDArray[np.uint8]) -> tuple[Plane, Plane, Plane]:
    """Lay a table (n, n, n, 3) out as one picture each for Y, Cb and Cr: 16 x 16 tiles, one for each level of Y."""
    side = table.shape[0]
    place = _LEVELS * ((side - 1) / 255)
    below = np.minimum(place.astype(np.intp), side - 2)
    part = (place - below)[:, None, None, None].astype(np.float32)
    levels = np.rint(table[below] * (1 - part) + table[below + 1] * part).astype(np.uint8)
    tiled = levels.reshape(_TILES, _TILES, side, side, 3).transpose(4, 0, 2, 1, 3)
    y, cb, cr = (np.ascontiguousarray(plane.reshape(_TILES * side, _TILES * side)) for plane in tiled)
    return y, cb, cr
