"""Numbers that every engine draws with: taps of blurs, the vignette's mask, the grain's tile, the line of the fades.

They are worked out here alone, so that the CPU and the GPU have nothing to disagree about but the last rounding.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.recipe import BLACK, Fade, Level

__all__ = [
    "GRAIN_TILE_PX",
    "Line",
    "blur_step",
    "box_taps",
    "dim_line",
    "fade_line",
    "gaussian_taps",
    "grain_offset",
    "grain_tile",
    "vignette_keep",
]

GRAIN_TILE_PX: Final = 1024
_STEP_MAX: Final = 64
_TAPS_SUM: Final = 256
_NOISE_SEED: Final = b"grain, 1"

Bytes = NDArray[np.uint8]


def blur_step(sigma_px: float) -> int:
    """Return how much smaller a plane is made before it is blurred: the largest power of two that leaves 2 px."""
    step = 1
    while step < _STEP_MAX and sigma_px / (2 * step) >= 2:
        step *= 2
    return step


@lru_cache(maxsize=64)
def gaussian_taps(sigma_px: float) -> NDArray[np.int32]:
    """Return the taps of a Gaussian, odd in number, to three deviations; they sum to 256.

    Rounding errors are carried on from the outermost tap to the middle, so that edges stay right.
    """
    reach = max(1, math.ceil(3 * sigma_px))
    weights = [math.exp(-0.5 * (at / sigma_px) ** 2) for at in range(reach, 0, -1)]
    total = 2 * sum(weights) + 1
    side, carried = [], 0.0
    for weight in weights:
        wanted = _TAPS_SUM * weight / total + carried
        side.append(round(wanted))
        carried = wanted - side[-1]
    return np.array([*side, _TAPS_SUM - 2 * sum(side), *side[::-1]], np.int32)


def box_taps(length_px: float) -> int:
    """Return how many samples a box blur takes the mean of: odd."""
    return 2 * max(0, round((length_px - 1) / 2)) + 1


def vignette_keep(width: int, height: int, strength: float, radius: float) -> tuple[Bytes, Bytes]:
    """Return what is kept of each luma and each chroma sample, of 255.

    Chroma samples count as in the middle of their four luma samples.
    """

    def keep(across: int, down: int) -> Bytes:
        x = (np.arange(across) + 0.5) / across - 0.5
        y = (np.arange(down) + 0.5) / down - 0.5
        way = np.hypot(x[None, :] * width, y[:, None] * height) / (math.hypot(width, height) / 2)
        rise = np.clip((way - radius) / (1 - radius), 0, 1)
        return np.rint(255 * (1 - strength * rise * rise * (3 - 2 * rise))).astype(np.uint8)

    return keep(width, height), keep(width // 2, height // 2)


def grain_tile(deviation: float, size_px: float) -> NDArray[np.int8]:
    """Return a square of noise that goes on at its other side: levels in middle grey.

    Sums of four random bytes, smoothed to grains of `size_px`, brought to the deviation.
    """
    side = GRAIN_TILE_PX
    drawn = np.frombuffer(hashlib.shake_256(_NOISE_SEED).digest(4 * side * side), np.uint8)
    noise = drawn.reshape(4, side, side).sum(0, dtype=np.int32).astype(np.float64) - 510.0
    if size_px > 1:
        taps = gaussian_taps(size_px / 2)
        reach = len(taps) // 2
        for axis in (0, 1):
            rolled = [tap * np.roll(noise, at, axis) for at, tap in enumerate(taps.tolist(), -reach)]
            noise = np.sum(rolled, axis=0)
    tile: NDArray[np.int8] = np.clip(np.rint(noise * (deviation / noise.std())), -127, 127).astype(np.int8)
    return tile


def grain_offset(seed: int) -> tuple[int, int]:
    """Return the row and the column of the tile at which a frame's noise begins."""
    drawn = hashlib.sha256(f"grain {seed}".encode()).digest()
    return (
        int.from_bytes(drawn[:4], "big") % GRAIN_TILE_PX,
        int.from_bytes(drawn[4:8], "big") % GRAIN_TILE_PX,
    )


class Line(NamedTuple):
    """Level = level * gain + offset (of Y, Cb, Cr)."""

    gain: float
    offset: Level


def fade_line(fades: tuple[Fade, ...]) -> Line:
    """Return all fades, one after the other, as one."""
    gain, offset = 1.0, (0.0, 0.0, 0.0)
    for fade in fades:
        keep = 1 - fade.share
        gain *= keep
        y, cb, cr = (was * keep + fade.share * level for was, level in zip(offset, fade.colour, strict=True))
        offset = (y, cb, cr)
    return Line(gain, offset)


def dim_line(dim: float) -> Line:
    """Return what dims a layer."""
    return fade_line((Fade(dim, BLACK),))
