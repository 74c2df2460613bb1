"""What a still picture is: a source that shows for as long as is asked for.

Runs as a child process: `await probe_still(...)` is for the stage, `examine` is what the child does.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from msgspec import Struct
from PIL import Image, UnidentifiedImageError

from actors.runtime import isolate
from actors.runtime.untrusted import MAX_PIXELS, MAX_SIDE_PX, STILL_KINDS, still_kind
from contracts.errors import Reject
from contracts.media import Probe, Rational, VideoStream

__all__ = ["StillRequest", "examine", "is_still", "probe_still"]

DEADLINE_S: Final = 60.0
MEMORY_BYTES: Final = 1 << 30
_HEAD_BYTES: Final = 12
_ORIENTATION: Final = 0x0112
_TURNS_DEG: Final = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""Clockwise, by the EXIF orientation (Exif 3.0, 4.6.5.1); some are mirrored besides."""


class StillRequest(Struct, frozen=True):
    """path: a local file; shown_us: how long it shows."""

    path: str
    shown_us: int


def is_still(path: Path) -> bool:
    """Return whether a file begins like a still that is read. Raises: Reject if it cannot be read at all."""
    try:
        with path.open("rb") as file:
            return still_kind(file.read(_HEAD_BYTES)) is not None
    except OSError as error:
        raise Reject(f"the file cannot be read: {error.strerror}", mend="check that it exists") from error


async def probe_still(path: Path, *, shown_us: int) -> Probe:
    """Decode a still in a child process and describe it. Raises: Reject, saying what is wrong with the file."""
    return await isolate.run_isolated(
        "actors.editor.still",
        StillRequest(str(path), shown_us),
        result=Probe,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        writes_bytes=0,
        what="reading the picture",
    )


def examine(request: StillRequest, _progress: isolate.Progress) -> Probe:
    """Examine in this process. Raises: Reject."""
    path = Path(request.path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a picture is large is judged here
            return _examined(path, request.shown_us)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise Reject("the picture is damaged or cut off", mend="save it again as PNG or JPEG") from error


def _examined(path: Path, shown_us: int) -> Probe:
    with Image.open(path, formats=STILL_KINDS) as image:
        width, height = image.size
        if max(width, height) > MAX_SIDE_PX or width * height > 2 * MAX_PIXELS:
            raise Reject(
                f"the picture is {width}x{height} px, more than {MAX_SIDE_PX} px a side"
                f" or {2 * MAX_PIXELS // 1_000_000} million in all",
                mend="scale it down first",
            )
        image.load()
        turn_deg = _TURNS_DEG.get(image.getexif().get(_ORIENTATION, 1), 0)
        kind = str(image.format).lower()
    upright = (height, width) if turn_deg in {90, 270} else (width, height)
    return Probe(
        container=kind,
        size_bytes=path.stat().st_size,
        start_us=0,
        duration_us=shown_us,
        video=VideoStream(
            index=0,
            codec=kind,
            coded_width_px=width,
            coded_height_px=height,
            width_px=upright[0],
            height_px=upright[1],
            rotation_deg=turn_deg,
            fps=Rational(30, 1),
            pixel_format="rgb24",
            full_range=True,
        ),
    )


if __name__ == "__main__":
    isolate.serve(StillRequest, examine)
