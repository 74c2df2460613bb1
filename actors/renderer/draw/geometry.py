"""All geometry as one affine map per plane: crop, scale, rotation, pixel aspect, mirror and zoom in one resampling.

Maps are 3x3, from output to source. "Continuous" coordinates count luma pixels from the corner of the picture, so
that sample `i` of a luma row lies at `i + 0.5`. Where a plane's samples lie is a map of its own from index to
continuous coordinates; that is what keeps subsampled chroma in register under rotation and mirroring.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from contracts.plan import FillCrop

__all__ = [
    "CHROMA_CENTRE",
    "CHROMA_LEFT",
    "CHROMA_TOP_LEFT",
    "LUMA",
    "UPRIGHT",
    "Fit",
    "Matrix",
    "Plane",
    "orientation",
    "plane_map",
    "shrunk",
    "view",
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


class Fit(Struct, frozen=True, kw_only=True):
    """How a source of one shape lies in the output, apart from effects.

    to_source: output to source, both continuous; scale: least number of output pixels per source pixel.
    """

    to_source: Matrix
    width_px: int
    height_px: int
    scale: float

    @staticmethod
    def fill(coded: tuple[int, int], out: tuple[int, int], layout: FillCrop, *, aspect: Fraction, turn: Matrix) -> Fit:
        """Fill the output and cut off the rest.

        Args: coded, out: (width, height); aspect: of a coded pixel; turn: from `orientation`.
        """
        pixel = _scale(float(aspect), 1.0)
        shown = np.abs(turn @ pixel)[:2, :2] @ coded
        ratio = max(out[0] / shown[0], out[1] / shown[1])
        window = np.array(out) / ratio
        corner = np.clip(np.array((layout.focus_x, layout.focus_y)) * shown - window / 2, 0.0, shown - window)
        to_shown = _shift(*corner) @ _scale(1 / ratio, 1 / ratio)
        from_shown = _shift(coded[0] / 2, coded[1] / 2) @ np.linalg.inv(turn @ pixel) @ _shift(*(-shown / 2))
        return Fit(
            to_source=from_shown @ to_shown,
            width_px=out[0],
            height_px=out[1],
            scale=float(ratio * min(1.0, float(aspect))),
        )


def view(fit: Fit, *, scale: float, mirrored: bool) -> Matrix:
    """Return the map from output to source with the effects of one moment, both about the output's centre."""
    x, y = fit.width_px / 2, fit.height_px / 2
    return fit.to_source @ _shift(x, y) @ _scale((-1 if mirrored else 1) / scale, 1 / scale) @ _shift(-x, -y)


def plane_map(to_source: Matrix, *, source_site: Matrix, out_site: Matrix, shrink: tuple[float, float]) -> Matrix:
    """Return the (2, 3) map from index to index for one plane.

    shrink: how much smaller the source plane was made beforehand, along x and y (from `shrunk`).
    """
    small = _shift(-0.5, -0.5) @ _scale(*shrink) @ _shift(0.5, 0.5)
    full: Matrix = np.linalg.inv(source_site @ small) @ to_source @ out_site
    return np.ascontiguousarray(full[:2])


def shrunk(plane: Plane, scale: float) -> tuple[Plane, tuple[float, float]]:
    """Average a plane down by a whole factor where linear sampling would skip samples, that is below half size."""
    factor = int(1 / scale)
    if factor < 2 or 1 / scale <= 2:
        return plane, (1.0, 1.0)
    height, width = plane.shape
    small_width, small_height = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(plane, (small_width, small_height), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False), (width / small_width, height / small_height)


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
