"""What one output frame is made of: numbers only, worked out once, drawn alike by the CPU and by the GPU.

Everything here is in output pixels, and in 8-bit, limited-range BT.709 levels. A frame is drawn in this order:
scenes (ground, then layers), look, sharpen, glow, vignette, grain, fade, stamps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Matrix

__all__ = [
    "BLACK",
    "Box",
    "Fade",
    "Glow",
    "Grain",
    "Layer",
    "Level",
    "Look",
    "Recipe",
    "Scene",
    "Sharpen",
    "Vignette",
    "levels_of",
]

Level = tuple[float, float, float]
"""A colour: Y, Cb, Cr."""
BLACK: Level = (16.0, 128.0, 128.0)


def levels_of(colour: str) -> Level:
    """Return Y, Cb, Cr of `#RRGGBB`, 8-bit limited range. Source: Rec. ITU-R BT.709-6 (06/2015), items 3.2 to 3.4."""
    r, g, b = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return 16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748


class Box(NamedTuple):
    """A part of the frame: left and top included, right and bottom not. All even, so that chroma is cut alike."""

    left: int
    top: int
    right: int
    bottom: int


class Layer(NamedTuple):
    """A picture, resampled into a box.

    picture: index into the pictures of the moment; to_source: (3, 3), from output to source, continuous luma
    coordinates (see geometry); scale: least number of output pixels per source pixel; blur_px: standard deviation of a
    Gaussian, output px, 0 for none; smear_px: length of a box blur along x; split_px: Cb is drawn this far to the right
    and Cr to the left; dim: share of black over the layer. Beyond the source's edge its last samples go on.

    It is drawn plane by plane, in this order, each step ending in rounded 8-bit levels: source averaged down by
    geometry.shrink_factor(scale); sampled linearly, by the map that sampling.settled returns (all three see nothing
    beyond the box); blurred, smeared, dimmed. With blur_px the plane is drawn at 1/step of the size instead
    (tables.blur_step; small sample i lies in the middle of `step` outputs), convolved with tables.gaussian_taps and
    enlarged linearly. smear_px: the mean of tables.box_taps samples, the box's edge going on. Chroma uses half of each
    length.
    """

    picture: int
    to_source: Matrix
    box: Box
    scale: float
    blur_px: float = 0.0
    smear_px: float = 0.0
    split_px: float = 0.0
    dim: float = 0.0


class Scene(NamedTuple):
    """One clip's layout. ground: what no layer covers; mix: its share over the scenes before it, 0..1."""

    layers: tuple[Layer, ...]
    ground: Level = BLACK
    mix: float = 1.0


class Look(NamedTuple):
    """One colour mapping for the whole frame, made from every grade in force (see looks).

    luma: uint8 (256,), applied to Y first; the identity where nothing happens to Y. matrix: (3, 4), then, on
    (Y, Cb - 128, Cr - 128, 1); its first row is always (1, 0, 0, 0), so that only Cb and Cr are computed, at their own
    resolution, from the mean of their four Y (halves round up); results plus 128 are rounded and held in 16..240.
    None: the identity. table: uint8 (n, n, n, 3), then, indexed by Y, Cb, Cr over 0..255, linear between: Y by the
    Cb and Cr of its block of four, Cb and Cr by the mean of their four Y, all as they are before the table; rounded.
    None: none. key: equal for equal looks, so that they can be kept.
    """

    luma: NDArray[np.uint8]
    matrix: NDArray[np.float64] | None = None
    table: NDArray[np.uint8] | None = None
    key: str = ""


class Sharpen(NamedTuple):
    """Y + strength * (Y - blurred Y), see finish. sigma_px: of the Gaussian."""

    strength: float
    sigma_px: float


class Glow(NamedTuple):
    """Screen the blurred bright part of the picture over it, see finish. threshold: level of Y from which it shines."""

    strength: float
    sigma_px: float
    threshold: float


class Vignette(NamedTuple):
    """Lose up to strength of the light from radius (share of the half diagonal) to the corners, by smoothstep.

    By the masks of tables.vignette_keep, see finish.
    """

    strength: float
    radius: float


class Grain(NamedTuple):
    """Add noise to Y. deviation: levels, in middle grey; size_px: of a grain; seed: of this frame's noise.

    By tables.grain_tile and tables.grain_offset, see finish.
    """

    deviation: float
    size_px: float
    seed: int


class Fade(NamedTuple):
    """Go towards a colour by a share, 0..1. All fades of a frame are one line, tables.fade_line, and round once."""

    share: float
    colour: Level


class Recipe(NamedTuple):
    """One frame. stamps are blended by the engine after it, see text.stamps."""

    scenes: tuple[Scene, ...]
    look: Look | None = None
    sharpen: Sharpen | None = None
    glow: Glow | None = None
    vignette: Vignette | None = None
    grain: Grain | None = None
    fades: tuple[Fade, ...] = ()
