"""Read a still picture for an overlay: PNG, JPEG or WebP, in the isolated child only."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from contracts.errors import Reject

__all__ = ["MAX_PIXELS", "read_image"]

MAX_PIXELS: Final = 25_000_000
_FORMATS: Final = ("PNG", "JPEG", "WEBP")


def read_image(path: Path, source: str, width_px: int) -> NDArray[np.uint8]:
    """Return a picture at a width, its height in proportion: straight RGBA, sRGB, uint8 (height, width, 4).

    The size that a file declares is checked before anything of it is unpacked; of an animation the first frame counts.
    Raises: Reject if it is none of the formats, too large or damaged.
    """
    try:
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            opened = Image.open(path, formats=_FORMATS)
        with opened:
            wide, tall = opened.size
            if wide * tall > MAX_PIXELS:
                raise _too_large(source)
            opened.draft("RGB", (width_px, width_px))  # JPEG: decode no more than is needed
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I"):  # 16 bits a sample
                upright = Image.fromarray((np.asarray(upright, np.uint32) >> 8).clip(0, 255).astype(np.uint8))
            height_px = max(1, round(width_px * upright.height / upright.width))
            if height_px > MAX_PIXELS // width_px:
                raise Reject(f"source {source}: a picture of {wide}x{tall} is too narrow", mend="crop it")
            # Hamming's filter does not ring, so that nothing is drawn beside an edge.
            kind = Image.Resampling.HAMMING if width_px < upright.width else Image.Resampling.BICUBIC
            return np.asarray(upright.convert("RGBA").resize((width_px, height_px), kind))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(source) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Reject(
            f"source {source}: not a picture that can be read ({error})", mend="give a PNG, JPEG or WebP file"
        ) from error


def _too_large(source: str) -> Reject:
    return Reject(
        f"source {source}: a picture of more than {MAX_PIXELS // 1_000_000} megapixels", mend="make it smaller"
    )
