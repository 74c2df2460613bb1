"""The look of a still picture in 64 bits, to tell whether two thumbnails show the same.

Difference hash (N. Krawetz, "Kind of Like That", 2013): each bit says whether one cell of a 9x8 grid of grey levels is
brighter than its right neighbour. It outlives scaling, re-encoding and brightness; not cropping, mirroring or text.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from actors.runtime.untrusted import MAX_PIXELS, STILL_KINDS
from contracts.errors import Reject

__all__ = ["look_of", "read_grey"]

BLACK: Final = 24
"""Grey level, 0..255, up to which a border row or column counts as a black bar."""
FLAT: Final = 8.0
"""Standard deviation of grey levels below which a picture says nothing."""
LEAST_EDGES: Final = 12
"""Cells that must differ from their neighbour by more than noise."""
LEAST_SIDE_PX: Final = 16


def read_grey(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG or WebP to grey levels, (H, W), at most about 256 px a side. Raises: Reject."""
    try:
        with Image.open(io.BytesIO(data), formats=STILL_KINDS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Reject(f"a thumbnail of {picture.width}x{picture.height} px is too large to look at")
            picture.draft("L", (256, 256))
            picture.thumbnail((256, 256))
            return np.asarray(picture.convert("L"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Reject(f"a thumbnail cannot be read: {error}") from error


def look_of(grey: NDArray[np.uint8]) -> int | None:
    """Return the 64 bits as a signed number, as PostgreSQL stores it; None: black, flat or tiny, so it says nothing.

    Args: grey: uint8 (H, W). Black bars are cut off before.
    """
    bright = grey > BLACK
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if not rows.size:
        return None
    inner = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if min(inner.shape) < LEAST_SIDE_PX or float(inner.std()) < FLAT:
        return None
    cells = _cells(inner.astype(np.float64), 8, 9)
    steps = np.diff(cells, axis=1)
    if int((np.abs(steps) > 2.0).sum()) < LEAST_EDGES:
        return None
    return int(np.packbits(steps > 0).view(">i8")[0])


def _cells(grey: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Return the mean of each cell of a grid, exactly: from sums over rectangles."""
    sums = np.zeros((grey.shape[0] + 1, grey.shape[1] + 1))
    sums[1:, 1:] = grey.cumsum(axis=0).cumsum(axis=1)
    down = np.linspace(0, grey.shape[0], rows + 1).round().astype(int)
    across = np.linspace(0, grey.shape[1], columns + 1).round().astype(int)
    total = np.diff(np.diff(sums[np.ix_(down, across)], axis=0), axis=1)
    means: NDArray[np.float64] = total / np.outer(np.diff(down), np.diff(across))
    return means
