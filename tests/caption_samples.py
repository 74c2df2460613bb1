"""Lines in every script that captions are compared in, and how two pictures of a line are compared.

The reference pictures beside the test fonts are a browser's; benchmarks/captions_reference.py makes them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.renderer.job import FontFile
from actors.renderer.text.glyphs import AS_IS, paint, trace
from actors.renderer.text.linebreak import reads_right_to_left
from actors.renderer.text.runs import Typesetter

__all__ = ["FOLDER", "HEIGHT_PX", "MARGIN_PX", "SAMPLES", "SIZE_PX", "Likeness", "drawn", "fonts_used", "likeness"]

FOLDER: Final = Path(__file__).parent / "captions"
SIZE_PX: Final = 48
HEIGHT_PX: Final = 96
MARGIN_PX: Final = 24
_SHIFT_PX: Final = 3
SAMPLES: Final[dict[str, str]] = {
    "latin": "Wörld office, fjord AV",
    "japanese": "今日は、とても良い天気。",
    "korean": "한국어 자막입니다",
    "chinese": "你好，世界！",
    "arabic": "مرحبًا بالعالم، لا بأس",
    "hebrew": "שָׁלוֹם עולם!",
    "devanagari": "नमस्ते क्षत्रिय हिन्दी",
    "thai": "ที่นี่ น้ำปั่น สวัสดี",
    "emoji": "👍🏽🇩🇪❤️🔥👩🏽‍🚀1️⃣😀",
    "arabic_mixed": "العدد 123 (abc) نعم",
    "hebrew_in_latin": "He said שלום עולם twice",
}


class Likeness(NamedTuple):
    """How alike two pictures of a line are.

    overlap: common ink over all ink; shift_px: how far one had to be moved; longer_px: difference of width.
    """

    overlap: float
    shift_px: tuple[int, int]
    longer_px: int


def fonts_used() -> tuple[FontFile, ...]:
    """Return the fonts of wheels that every installation has, and small cuts of two that are large."""
    inter = str(files("fontpkg_inter") / "files/Inter[opsz,wght].ttf")
    noto = [str(files("manimgx_fonts") / f"NotoSans{name}[wght].ttf") for name in _NOTO]
    paths = [inter, *noto, str(FOLDER / "cjk.otf"), str(FOLDER / "emoji.ttf")]
    return tuple(FontFile(path=path, origin="the tests") for path in paths)


_NOTO: Final = ("Arabic", "Hebrew", "Devanagari", "Thai")


def drawn(text: str) -> NDArray[np.uint8]:
    """Draw a line white (or in its own colours) on black, grey levels, cut to its length."""
    line = Typesetter(fonts_used()).line(text, SIZE_PX, rtl=reads_right_to_left(text))
    width = round(line.width) + 2 * MARGIN_PX
    glyphs = [glyph._replace(x=glyph.x + MARGIN_PX, y=glyph.y + HEIGHT_PX * 2 // 3) for glyph in line.glyphs]
    grey: NDArray[np.float64] = trace(glyphs, width, HEIGHT_PX, AS_IS).astype(np.float64)
    coloured = paint(glyphs, width, HEIGHT_PX, AS_IS)
    if coloured is not None:
        light = cv2.cvtColor(coloured[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float64)
        grey = light + grey * (1 - coloured[..., 3] / 255)
    return np.rint(grey).clip(0, 255).astype(np.uint8)


def likeness(ours: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Likeness:
    """Compare two pictures of a line at the best whole-pixel shift of up to three pixels."""
    ours, reference = _inked(ours), _inked(reference)
    height = max(ours.shape[0], reference.shape[0]) + 2 * _SHIFT_PX
    width = max(ours.shape[1], reference.shape[1]) + 2 * _SHIFT_PX
    placed = _placed(reference, height, width, (0, 0))
    best = max(
        (_overlap(_placed(ours, height, width, (down, right)), placed), -abs(down) - abs(right), (down, right))
        for down in range(-_SHIFT_PX, _SHIFT_PX + 1)
        for right in range(-_SHIFT_PX, _SHIFT_PX + 1)
    )
    return Likeness(best[0], best[2], ours.shape[1] - reference.shape[1])


def _inked(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x, y, width, height = cv2.boundingRect((picture > 40).astype(np.uint8))
    return picture[y : y + height, x : x + width]


def _placed(picture: NDArray[np.uint8], height: int, width: int, shift: tuple[int, int]) -> NDArray[np.float64]:
    out = np.zeros((height, width))
    top, left = _SHIFT_PX + shift[0], _SHIFT_PX + shift[1]
    out[top : top + picture.shape[0], left : left + picture.shape[1]] = picture[: height - top, : width - left]
    return out


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.minimum(first, second).sum() / max(1.0, np.maximum(first, second).sum()))
