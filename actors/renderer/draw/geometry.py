"""All geometry as one affine map per plane: crop, scale, rotation, pixel aspect, mirror and zoom in one resampling.

Maps are 3x3, from output to source. "Continuous" coordinates count luma pixels from the corner of the picture, so
that sample `i` of a luma row lies at `i + 0.5`. Where a plane's samples lie is a map of its own from index to
continuous coordinates; that is what keeps subsampled chroma in register under rotation and mirroring.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CHROMA_CENTRE",
    "CHROMA_LEFT",
    "CHROMA_TOP_LEFT",
    "LUMA",
    "UPRIGHT",
    "Matrix",
    "Plane",
    "Upright",
    "averaged",
    "orientation",
    "placed",
    "plane_map",
    "shrink_factor",
    "shrunk",
    "upright",
    "warp",
]

Matrix = NDArray[np.float64]
"""(3, 3), acts on column vectors (x, y, 1)."""
Plane = NDArray[np.uint8]
"""(height, width), rows may be padded."""


def _affine(*rows: float) -> Matrix:
    return np.array([*rows, 0.0, 0.0, 1.0], np.float64).reshape(3, 3)


def _shift(x: float, y: float) -> Matrix:
    return _affine(1, 0, x, 0, 1, y)


def _scale(x: float, y: float) -> Matrix:
    return _affine(x, 0, 0, 0, y, 0)


UPRIGHT: Final = _affine(1, 0, 0, 0, 1, 0)
LUMA: Final = _shift(0.5, 0.5)
# Sample positions of 4:2:0 chroma: Rec. ITU-T H.264 (08/2021), figure E-1.
CHROMA_LEFT: Final = _affine(2, 0, 0.5, 0, 2, 1.0)
CHROMA_CENTRE: Final = _affine(2, 0, 1.0, 0, 2, 1.0)
CHROMA_TOP_LEFT: Final = _affine(2, 0, 0.5, 0, 2, 0.5)


def orientation(display_matrix: bytes | None) -> Matrix:
    """Return how a coded picture is turned or flipped to be shown, about its centre.

    Quarter turns and flips only, as cameras write them; anything else, such as a damaged matrix, is upright.
    Source: ISO/IEC 14496-12:2022, 8.3.2.3 and libavutil/display.h: nine 32-bit numbers a b u c d v x y w,
    x' = a x + c y, y' = b x + d y.
    """
    if display_matrix is None or len(display_matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", display_matrix[:36])
    one = 1 << 16
    for kept, dropped in (((a, d), (b, c)), ((b, c), (a, d))):
        if all(abs(value) == one for value in kept) and not any(dropped):
            return _affine(a / one, c / one, 0, b / one, d / one, 0)
    return UPRIGHT


class Upright(NamedTuple):
    """A picture as it is shown, in square pixels: turned, and widened by its pixels' aspect.

    to_coded: from these pixels to the coded ones; finest: least number of these pixels per coded one.
    """

    width: float
    height: float
    to_coded: Matrix
    finest: float

    def pitch(self, width: float, height: float) -> float:
        """Return how many of its pixels, along one side, go into one of a place that it fills."""
        return min(self.width / width, self.height / height)

    def corner(self, width: float, height: float, x: float, y: float) -> tuple[float, float]:
        """Return where a window of this size begins that has the point x, y (shares) as near its middle as it can."""
        return (
            min(max(x * self.width - width / 2, 0.0), self.width - width),
            min(max(y * self.height - height / 2, 0.0), self.height - height),
        )


def upright(coded: tuple[int, int], aspect: Fraction, turn: Matrix) -> Upright:
    """Return how a coded picture is shown. coded: (width, height); aspect: of a coded pixel; turn: by `orientation`."""
    (a, c, _), (b, d, _), _ = turn.tolist()
    pixel = float(aspect)
    wide, high = coded[0] * pixel, float(coded[1])
    width, height = abs(a) * wide + abs(c) * high, abs(b) * wide + abs(d) * high
    # A quarter turn or flip is undone by its transpose.
    back = _affine(
        a / pixel,
        b / pixel,
        (wide - a * width - b * height) / 2 / pixel,
        c,
        d,
        (high - c * width - d * height) / 2,
    )
    return Upright(width, height, back, min(1.0, pixel))


def placed(to_source: Matrix, x_scale: float, x_shift: float, y_scale: float, y_shift: float) -> Matrix:
    """Return the map that first takes x, y to x_scale x + x_shift, y_scale y + y_shift.

    In plain floats: a matrix product may round otherwise on another processor.
    """
    (a, b, x), (c, d, y), _ = to_source.tolist()
    return _affine(
        a * x_scale,
        b * y_scale,
        a * x_shift + b * y_shift + x,
        c * x_scale,
        d * y_scale,
        c * x_shift + d * y_shift + y,
    )


def plane_map(to_source: Matrix, *, source_site: Matrix, out_site: Matrix, shrink: tuple[float, float]) -> Matrix:
    """Return the (2, 3) map from index to index for one plane.

    shrink: how much smaller the source plane was made beforehand, along x and y (from `shrunk`).
    """
    (out_x, _, at_x), (_, out_y, at_y), _ = out_site.tolist()
    (own_x, _, own_left), (_, own_y, own_top), _ = source_site.tolist()
    (a, b, x), (c, d, y), _ = placed(to_source, out_x, at_x, out_y, at_y).tolist()
    # Sample i of a plane made smaller lies at shrink (i + 0.5) - 0.5 of the one that it was made from.
    left, top = own_left + own_x * (shrink[0] - 1) / 2, own_top + own_y * (shrink[1] - 1) / 2
    wide, high = own_x * shrink[0], own_y * shrink[1]
    return np.array([a / wide, b / wide, (x - left) / wide, c / high, d / high, (y - top) / high]).reshape(2, 3)


def shrink_factor(scale: float) -> int:
    """Return by which whole factor a plane is averaged down before linear sampling would skip samples.

    scale: output samples per source sample; nothing is done from a half on.
    """
    return 1 if scale >= 0.5 else max(1, int(1 / scale + 1e-9))


def shrunk(plane: Plane, scale: float) -> tuple[Plane, tuple[float, float]]:
    """Average a plane down where linear sampling would skip samples; also return by how much, along x and y."""
    factor = shrink_factor(scale)
    return averaged(plane, factor), (float(factor), float(factor))


def averaged(plane: Plane, factor: int, out: Plane | None = None) -> Plane:
    """Return the means of blocks of factor x factor samples; the last samples complete the last blocks.

    By halves as long as that goes, each rounded half up, then by what is left, rounded to even. out: for the result.
    """
    height, width = plane.shape
    missing = -height % factor, -width % factor
    if any(missing):
        plane = cast(Plane, cv2.copyMakeBorder(plane, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE))
    while factor > 1:
        by = 2 if factor % 2 == 0 else factor
        factor //= by
        size = plane.shape[1] // by, plane.shape[0] // by
        plane = cast(Plane, cv2.resize(plane, size, dst=out if factor == 1 else None, interpolation=cv2.INTER_AREA))
    return plane


def warp(source: Plane, index_map: Matrix, out: Plane) -> None:
    """Resample `source` into `out` (in place) linearly; beyond the edge its last samples go on."""
    cv2.warpAffine(
        source,
        index_map,
        (out.shape[1], out.shape[0]),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
