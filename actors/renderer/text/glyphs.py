"""HarfBuzz: what a font covers, how it shapes a run of text, and the pictures of its glyphs.

Everything that touches uharfbuzz is here. Type is not hinted and lies at fractions of a pixel, alike on every machine.
Source: HarfBuzz manual 15 and uharfbuzz 0.57, read 2026-11-23.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import uharfbuzz as hb  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from actors.renderer.job import FontFile

__all__ = ["AS_IS", "Face", "Glyph", "Magnified", "Placed", "Scaled", "face_of", "paint", "script_of", "trace"]

WEIGHT: Final = 800
"""Of variable fonts: extra bold, which stays readable over moving pictures."""
_UNIT: Final = 64
"""HarfBuzz positions a pixel."""
_GRINNING_FACE: Final = 0x1F600


class Glyph(NamedTuple):
    """A shaped glyph. cluster: index of its first character in the text that was shaped; lengths in px, y upwards."""

    id: int
    cluster: int
    x_offset: float
    y_offset: float
    advance: float


class Placed(NamedTuple):
    """A glyph at its place. x, y: its origin on the baseline, px, y downwards; at: index of its first character."""

    font: Scaled
    id: int
    x: float
    y: float
    at: int


class Magnified(NamedTuple):
    """Glyphs are magnified about a point of the box that they are drawn in, px, before they are drawn."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def move(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point comes to lie."""
        return self.x + (x - self.x) * self.scale, self.y + (y - self.y) * self.scale


AS_IS: Final = Magnified()


class Face:
    """One font file."""

    def __init__(self, file: FontFile) -> None:
        """Open a font. Raises: OSError if it is none."""
        self.file = file
        try:
            self._face = hb.Face(hb.Blob.from_file_path(file.path), file.index)
        except hb.HarfBuzzError as error:
            raise OSError(f"{file.path} cannot be read") from error
        if not self._face.glyph_count or not len(self._face.unicodes):
            raise OSError(f"{file.path} is not a font")
        self._codes = frozenset(self._face.unicodes)
        self.coloured = bool(self._face.has_color_png or self._face.has_color_layers or self._face.has_color_paint)
        self.emoji = _GRINNING_FACE in self._codes and (self.coloured or ord("A") not in self._codes)

    def covers(self, codes: Iterable[int]) -> bool:
        """Return whether it has a glyph for each of these characters."""
        return self._codes.issuperset(codes)

    def covered(self, codes: frozenset[int]) -> frozenset[int]:
        """Return those of the characters for which it has a glyph."""
        return self._codes & codes

    def scaled(self, size_px: float) -> Scaled:
        """Return the font at a size, in bold if it is variable."""
        return Scaled(self, self._face, size_px)


class Scaled:
    """A face at one size, px an em."""

    def __init__(self, face: Face, raw: object, size_px: float) -> None:
        self.face, self.size_px = face, size_px
        self.raw = hb.Font(raw)
        self.raw.scale = (round(size_px * _UNIT), round(size_px * _UNIT))
        axes = {axis.tag: axis for axis in self.raw.face.axis_infos}
        chosen = {tag: axis.max_value for tag, axis in axes.items() if tag == "opsz"}  # captions are large type
        if "wght" in axes:
            chosen["wght"] = max(axes["wght"].min_value, min(axes["wght"].max_value, WEIGHT))
        if chosen:
            self.raw.set_variations(chosen)

    def shape(self, text: str, start: int, end: int, *, rtl: bool) -> tuple[Glyph, ...]:
        """Shape a run of one script and direction within a text; the glyphs come as they are seen, from the left."""
        buffer = hb.Buffer()
        buffer.add_str(text, start, end - start)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if rtl else "ltr"
        hb.shape(self.raw, buffer)
        return tuple(
            Glyph(info.codepoint, info.cluster, place.x_offset / _UNIT, place.y_offset / _UNIT, place.x_advance / _UNIT)
            for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
        )

    def box(self, glyph: int) -> tuple[float, float, float, float]:
        """Return the left, top, width and height of a glyph's ink, px from its origin, y upwards."""
        extents = self.raw.get_glyph_extents(glyph)
        if extents is None:
            return 0.0, 0.0, 0.0, 0.0
        return extents.x_bearing / _UNIT, extents.y_bearing / _UNIT, extents.width / _UNIT, -extents.height / _UNIT


@lru_cache(maxsize=64)
def face_of(file: FontFile) -> Face:
    """Open a font, once a process. Raises: OSError."""
    return Face(file)


@lru_cache(maxsize=4096)
def script_of(character: str) -> str | None:
    """Return the ISO 15924 tag of a character's script; None: it goes with any."""
    buffer = hb.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    script = buffer.script
    return None if script in {None, "Zyyy", "Zinh", "Zzzz"} else str(script)


def trace(
    glyphs: Iterable[Placed], width: int, height: int, magnified: Magnified = AS_IS, *, samples: int = 1
) -> NDArray[np.uint8]:
    """Return the coverage of the outlines of glyphs in a box of (width, height) px, uint8 0..255, (rows, columns).

    Args: samples: a pixel along each side.
    """
    drawing = hb.RasterDraw()
    drawing.extents = hb.RasterExtents(0, 0, width * samples, height * samples)
    unit = magnified.scale * samples / _UNIT
    for glyph in glyphs:
        if not glyph.font.face.coloured:
            x, y = magnified.move(glyph.x, glyph.y)
            drawing.transform = (unit, 0.0, 0.0, unit, x * samples, (height - y) * samples)
            drawing.draw_glyph(glyph.font.raw, glyph.id)
    return _rows(drawing.render(), width * samples, height * samples)[..., 0]


def paint(glyphs: Iterable[Placed], width: int, height: int, magnified: Magnified = AS_IS) -> NDArray[np.uint8] | None:
    """Return the colour glyphs among these in a box, premultiplied RGBA, uint8 (height, width, 4); None: there is none.

    Tables read: COLR (0 and 1) with CPAL, CBDT and sbix with PNG.
    """
    out: NDArray[np.uint8] | None = None
    for glyph in glyphs:
        if not glyph.font.face.coloured:
            continue
        x, y = magnified.move(glyph.x, glyph.y)
        picture = _bitmap(glyph, x, y, magnified.scale) or _layers(glyph, x, y, magnified.scale)
        if picture is None:
            continue
        out = np.zeros((height, width, 4), np.uint8) if out is None else out
        _over(out, *picture)
    return out


def _bitmap(glyph: Placed, x: float, y: float, scale: float) -> tuple[NDArray[np.uint8], int, int] | None:
    if not glyph.font.raw.face.has_color_png:
        return None
    data = bytes(glyph.font.raw.get_glyph_color_png(glyph.id).data)
    if not data:
        return None
    left, top, wide, tall = (length * scale for length in glyph.font.box(glyph.id))
    with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
        rgba = np.asarray(opened.convert("RGBA"), np.float32)
    rgba = np.dstack((rgba[..., :3] * rgba[..., 3:] / 255, rgba[..., 3]))
    size = max(1, round(wide)), max(1, round(tall))
    small = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA if wide < rgba.shape[1] else cv2.INTER_LINEAR)
    return np.rint(small).clip(0, 255).astype(np.uint8), round(x + left), round(y - top)


def _layers(glyph: Placed, x: float, y: float, scale: float) -> tuple[NDArray[np.uint8], int, int] | None:
    left, top, wide, tall = (length * scale for length in glyph.font.box(glyph.id))
    x0, y0 = int(np.floor(x + left)) - 1, int(np.floor(y - top)) - 1
    width, height = int(np.ceil(wide)) + 3, int(np.ceil(tall)) + 3
    painting = hb.RasterPaint()
    painting.extents = hb.RasterExtents(0, 0, width, height)
    unit = scale / _UNIT
    painting.transform = (unit, 0.0, 0.0, unit, x - x0, height - (y - y0))
    if not painting.paint_glyph_or_fail(glyph.font.raw, glyph.id):
        return None
    return _rows(painting.render(), width, height)[..., [2, 1, 0, 3]], x0, y0


def _rows(image: hb.RasterImage, width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture with its first row at the top, uint8 (height, width, channels)."""
    if image is None:
        raise MemoryError
    stride = image.extents.stride
    flat = np.frombuffer(image.buffer, np.uint8).reshape(height, stride)[::-1]
    channels = 4 if image.format == hb.RasterFormat.BGRA32 else 1
    return flat[:, : width * channels].reshape(height, width, channels)


def _over(out: NDArray[np.uint8], picture: NDArray[np.uint8], left: int, top: int) -> None:
    height, width = out.shape[:2]
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(height, top + picture.shape[0]), min(width, left + picture.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    cut = picture[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
    box = out[y0:y1, x0:x1]
    box[:] = np.rint(cut + box * (1 - cut[..., 3:] / 255)).clip(0, 255)
