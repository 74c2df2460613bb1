"""What a recipe means, in plain float NumPy: slow, and written from the definitions without the engines' code.

Of the engines' own numbers only the grain's tile is taken, which is random by definition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.geometry import CHROMA_LEFT, LUMA, UPRIGHT, Matrix
from actors.renderer.draw.recipe import Fade, Glow, Grain, Layer, Look, Recipe, Scene, Sharpen, Vignette
from actors.renderer.draw.tables import grain_offset, grain_tile

__all__ = ["Floats", "Pictured", "Planes", "drawn", "rendered", "sampled", "ssim", "within"]

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]
FloatPlanes = list[Floats]


class Pictured(NamedTuple):
    """Planes and where their chroma lies: what a canvas needs of a source's picture."""

    planes: Planes
    chroma_site: Matrix = CHROMA_LEFT


def rendered(recipe: Recipe, pictures: Sequence[Pictured], width: int, height: int) -> list[Bytes]:
    """Return the planes of a frame, rounded once, at the end."""
    return [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in drawn(recipe, pictures, width, height)]


def drawn(recipe: Recipe, pictures: Sequence[Pictured], width: int, height: int) -> FloatPlanes:
    """Return the planes of a frame, not rounded."""
    shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    planes = [np.full(shape, level) for shape, level in zip(shapes, (16.0, 128.0, 128.0), strict=True)]
    for scene in recipe.scenes:
        over = _scene(scene, pictures, shapes)
        planes = [below + scene.mix * (above - below) for below, above in zip(planes, over, strict=True)]
    if recipe.look:
        planes = _look(recipe.look, planes)
    if recipe.sharpen:
        planes[0] = _sharpen(recipe.sharpen, planes[0])
    if recipe.glow:
        planes = _glow(recipe.glow, planes)
    if recipe.vignette:
        planes = _vignette(recipe.vignette, planes)
    if recipe.grain:
        planes[0] = _grain(recipe.grain, planes[0])
    for fade in recipe.fades:
        planes = _fade(fade, planes)
    return planes


def sampled(source: Bytes | Floats, to_source: Matrix, own: Matrix, site: Matrix, shape: tuple[int, int]) -> Floats:
    """Sample linearly. to_source: continuous; own, site: where the samples of the source and of the output lie."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    index = np.linalg.inv(own) @ to_source @ site
    x = index[0, 0] * column + index[0, 1] * row + index[0, 2]
    y = index[1, 0] * column + index[1, 1] * row + index[1, 2]
    left, top = np.floor(x), np.floor(y)
    right_share, low_share = x - left, y - top
    height, width = source.shape
    levels = source.astype(np.float64)

    def at(down: int, across: int) -> Floats:
        rows = np.clip(top + down, 0, height - 1).astype(int)
        columns = np.clip(left + across, 0, width - 1).astype(int)
        found: Floats = levels[rows, columns]
        return found

    upper = at(0, 0) * (1 - right_share) + at(0, 1) * right_share
    lower = at(1, 0) * (1 - right_share) + at(1, 1) * right_share
    found: Floats = upper * (1 - low_share) + lower * low_share
    return found


def gaussian(plane: Floats, sigma: float) -> Floats:
    reach = math.ceil(5 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return _convolved(_convolved(plane, taps / taps.sum(), 0), taps / taps.sum(), 1)


def _convolved(plane: Floats, taps: Floats, axis: int) -> Floats:
    reach = len(taps) // 2
    wide = np.pad(plane, [(reach, reach) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
    size = plane.shape[axis]
    found: Floats = np.zeros_like(plane)
    for at, tap in enumerate(taps):
        found += tap * np.take(wide, np.arange(at, at + size), axis)
    return found


def _scene(scene: Scene, pictures: Sequence[Pictured], shapes: Sequence[tuple[int, int]]) -> FloatPlanes:
    planes = [np.full(shape, float(round(level))) for shape, level in zip(shapes, scene.ground, strict=True)]
    for layer in scene.layers:
        for at, plane in enumerate(planes):
            half = 1 if at == 0 else 2
            left, top, right, bottom = (edge // half for edge in layer.box)
            plane[top:bottom, left:right] = _layer(layer, pictures[layer.picture], at, plane.shape)[
                top:bottom, left:right
            ]
    return planes


def _layer(layer: Layer, picture: Pictured, at: int, shape: tuple[int, ...]) -> Floats:
    half = 1 if at == 0 else 2
    source: Bytes | Floats = picture.planes[at]
    to_source = layer.to_source
    if at and layer.split_px:
        away = UPRIGHT.copy()
        away[0, 2] = layer.split_px * (-1 if at == 1 else 1)
        to_source = to_source @ away
    own, site = (LUMA, LUMA) if at == 0 else (picture.chroma_site, CHROMA_LEFT)
    factor = int(1 / layer.scale + 1e-9) if layer.scale < 0.5 else 1
    if factor > 1:
        whole = np.pad(source, [(0, -size % factor) for size in source.shape], mode="edge")
        height, width = whole.shape
        source = whole.reshape(height // factor, factor, width // factor, factor).mean((1, 3))
        shrink = np.diag([factor, factor, 1.0])
        shrink[:2, 2] = (factor - 1) / 2
        own = own @ shrink
    plane = sampled(source, to_source, own, site, (shape[0], shape[1]))
    left, top, right, bottom = (edge // half for edge in layer.box)
    part = plane[top:bottom, left:right]
    if layer.blur_px:
        part = gaussian(part, layer.blur_px / half)
    length = 2 * max(0, round((layer.smear_px / half - 1) / 2)) + 1
    part = _convolved(part, np.full(length, 1 / length), 1)
    plane[top:bottom, left:right] = part + layer.dim * ((16.0, 128.0, 128.0)[at] - part)
    return plane


def _fours(luma: Floats) -> Floats:
    height, width = luma.shape
    means: Floats = luma.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return means


def _look(look: Look, planes: FloatPlanes) -> FloatPlanes:
    y, cb, cr = planes
    y = np.interp(y, np.arange(256), look.luma)
    if look.matrix is not None:
        mean = _fours(y)
        cb, cr = (
            np.clip(128 + row[0] * mean + row[1] * (cb - 128) + row[2] * (cr - 128) + row[3], 16, 240)
            for row in look.matrix[1:]
        )
    if look.table is None:
        return [y, cb, cr]
    table = look.table.astype(np.float64)
    mean = _fours(y)
    full = [np.repeat(np.repeat(plane, 2, 0), 2, 1) for plane in (cb, cr)]
    return [
        _looked_up(table[..., 0], y, *full),
        _looked_up(table[..., 1], mean, cb, cr),
        _looked_up(table[..., 2], mean, cb, cr),
    ]


def _looked_up(table: Floats, *levels: Floats) -> Floats:
    side = table.shape[0]
    places = [np.clip(level, 0, 255) * (side - 1) / 255 for level in levels]
    below = [np.minimum(place.astype(int), side - 2) for place in places]
    found = np.zeros_like(levels[0])
    for corner in range(8):
        steps = [corner & 1, corner >> 1 & 1, corner >> 2 & 1]
        weight = np.ones_like(found)
        for place, low, step in zip(places, below, steps, strict=True):
            weight *= (place - low) if step else 1 - (place - low)
        found += weight * table[tuple(low + step for low, step in zip(below, steps, strict=True))]
    return found


def _sharpen(sharpen: Sharpen, y: Floats) -> Floats:
    return np.clip(y + sharpen.strength * (y - gaussian(y, sharpen.sigma_px)), 0, 255)


def _glow(glow: Glow, planes: FloatPlanes) -> FloatPlanes:
    y = planes[0]
    height, width = y.shape
    small = y.reshape(height // 4, 4, width // 4, 4).mean((1, 3))
    share = np.clip((small - glow.threshold) / (235 - glow.threshold), 0, 1)
    light = _enlarged(gaussian(np.clip(small - 16, 0, 219) * share, glow.sigma_px / 4), y.shape)
    lit = y + np.clip(light * glow.strength, 0, 219) * np.clip(235 - y, 0, None) / 219
    found = [lit]
    for plane in planes[1:]:
        coloured = gaussian((_fours(plane) - 128) * share, glow.sigma_px / 4)
        found.append(np.clip(plane + glow.strength * _enlarged(coloured, plane.shape), 0, 255))
    return found


def _enlarged(small: Floats, shape: tuple[int, ...]) -> Floats:
    """Enlarge linearly, edge to edge."""
    pitch = np.diag([small.shape[1] / shape[1], small.shape[0] / shape[0], 1.0])
    return sampled(small, pitch, LUMA, LUMA, (shape[0], shape[1]))


def _vignette(vignette: Vignette, planes: FloatPlanes) -> FloatPlanes:
    height, width = planes[0].shape
    found = []
    for plane, black in zip(planes, (16.0, 128.0, 128.0), strict=True):
        pitch = height / plane.shape[0]
        row, column = (np.mgrid[: plane.shape[0], : plane.shape[1]] + 0.5) * pitch
        way = np.hypot(column - width / 2, row - height / 2) / math.hypot(width / 2, height / 2)
        rise = np.clip((way - vignette.radius) / (1 - vignette.radius), 0, 1)
        lost = vignette.strength * (3 * rise**2 - 2 * rise**3)
        found.append(plane + lost * (black - plane))
    return found


def _grain(grain: Grain, y: Floats) -> Floats:
    tile = grain_tile(grain.deviation, grain.size_px).astype(np.float64)
    row, column = grain_offset(grain.seed)
    down, across = np.arange(y.shape[0]) + row, np.arange(y.shape[1]) + column
    noise = tile.take(down, 0, mode="wrap").take(across, 1, mode="wrap")
    return np.clip(y + noise * 4 * y * (255 - y) / 255**2, 0, 255)


def _fade(fade: Fade, planes: FloatPlanes) -> FloatPlanes:
    return [plane + fade.share * (level - plane) for plane, level in zip(planes, fade.colour, strict=True)]


def within(got: Bytes, wanted: Bytes, levels: int) -> float:
    """Return the share of samples that differ by no more than so many levels."""
    return float((np.abs(got.astype(int) - wanted.astype(int)) <= levels).mean())


def ssim(one: Bytes, other: Bytes) -> float:
    """Return the mean structural similarity. Source: Wang et al. 2004, with its Gaussian window of 1.5 px."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    mean_a, mean_b = gaussian(a, 1.5), gaussian(b, 1.5)
    var_a, var_b = gaussian(a * a, 1.5) - mean_a**2, gaussian(b * b, 1.5) - mean_b**2
    both = gaussian(a * b, 1.5) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(ratio.mean())
