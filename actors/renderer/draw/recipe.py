"""What one output frame is made of: numbers only, worked out once, drawn alike by the CPU and by the GPU.

Everything here is in output pixels, and in 8-bit, limited-range BT.709 levels. A frame is drawn in this order:
scenes (ground, then layers), look, sharpen, glow, vignette, grain, fade, stamps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Matrix

__all__ = ["BLACK", "Box", "Fade", "Glow", "Grain", "Layer", "Level", "Look", "Recipe", "Scene", "Sharpen", "Vignette"]

Level = tuple[float, float, float]
"""A colour: Y, Cb, Cr."""
BLACK: Level = (16.0, 128.0, 128.0)


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
    Gaussian over the picture before it is placed, output px, 0 for none; smear_px: length of a box blur along x;
    split_px: Cb is drawn this far to the right and Cr to the left; dim: share of black over the layer.
    Beyond the source's edge its last samples go on.
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
    """One colour mapping for the whole frame, made from every grade in force.

    luma: uint8 (256,), applied to Y first. matrix: (3, 4), then, on (Y, Cb - 128, Cr - 128, 1) with Cb and Cr at luma
    resolution for Y, and Y averaged for Cb and Cr; None: the identity. table: uint8 (n, n, n, 3), then, indexed by
    Y, Cb, Cr over 0..255, linear between; None: none. key: equal for equal looks, so that they can be kept.
    """

    luma: NDArray[np.uint8]
    matrix: NDArray[np.float64] | None = None
    table: NDArray[np.uint8] | None = None
    key: str = ""


class Sharpen(NamedTuple):
    """Y + strength * (Y - blurred Y). sigma_px: of the Gaussian."""

    strength: float
    sigma_px: float


class Glow(NamedTuple):
    """Screen the blurred bright part of the picture over it. threshold: level of Y from which it shines."""

    strength: float
    sigma_px: float
    threshold: float


class Vignette(NamedTuple):
    """Lose up to strength of the light from radius (share of the half diagonal) to the corners, by smoothstep."""

    strength: float
    radius: float


class Grain(NamedTuple):
    """Add noise to Y. deviation: levels, in middle grey; size_px: of a grain; seed: of this frame's noise."""

    deviation: float
    size_px: float
    seed: int


class Fade(NamedTuple):
    """Go towards a colour by a share, 0..1."""

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
