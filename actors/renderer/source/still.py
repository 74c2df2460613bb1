"""Stills as sources: one picture, upright, in sRGB, that never ends."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, ImageCms, UnidentifiedImageError

from actors.runtime.untrusted import MAX_PIXELS, MAX_SIDE_PX, STILL_KINDS, still_kind
from contracts.errors import Reject

__all__ = ["is_still", "read_still"]

_HEAD_BYTES: Final = 12
_KEPT_PIXELS: Final = 4096 * 4096
"""Pictures of more pixels are halved until they have fewer: no output shows more."""
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is turned to be upright, by its EXIF orientation (Exif 3.0, 4.6.5.1)."""
_GROUND: Final = (0, 0, 0, 255)
"""What shows through transparent pixels."""


def is_still(path: Path) -> bool:
    """Return whether a file begins like a still that is read. Raises: Reject if it cannot be read at all."""
    try:
        with path.open("rb") as file:
            return still_kind(file.read(_HEAD_BYTES)) is not None
    except OSError as error:
        raise Reject(f"the source cannot be read ({error.strerror})") from error


def read_still(path: Path) -> VideoFrame:
    """Return the picture as an rgb24 frame: EXIF orientation, ICC profile and transparency are applied.

    Of an animation it is the first frame. Raises: Reject.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a picture is large is judged here
            return _read(path)
    except Image.DecompressionBombError as error:
        raise Reject(f"the picture is larger than {MAX_SIDE_PX} px a side", mend="scale it down first") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise Reject(
            "the picture is damaged, cut off or of a kind that is not read", mend="save it again as PNG or JPEG"
        ) from error


def _read(path: Path) -> VideoFrame:
    with Image.open(path, formats=STILL_KINDS) as image:
        width, height = image.size
        if max(width, height) > MAX_SIDE_PX or width * height > 2 * MAX_PIXELS:
            raise Reject(
                f"the picture is {width}x{height} px, more than {MAX_SIDE_PX} px a side", mend="scale it down first"
            )
        if width * height > _KEPT_PIXELS:
            image.draft("RGB", (width // 2, height // 2))  # where the format can decode at half the size
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        shown: Image.Image = image
        while shown.width * shown.height > _KEPT_PIXELS:
            shown = shown.reduce(2)
        shown = _opaque(_in_srgb(shown))
    if turn is not None:
        shown = shown.transpose(turn)
    return VideoFrame.from_ndarray(np.asarray(shown), format="rgb24")


def _in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        return image
    try:
        into = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode=into
        )
    except (ImageCms.PyCMSError, OSError):  # a profile that does not fit its picture is none
        return image
    return converted if converted is not None else image


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _GROUND), image).convert("RGB")
    return image.convert("RGB")
