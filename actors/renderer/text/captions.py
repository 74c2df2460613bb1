"""Captions: each distinct state (a cue, and the word highlighted in it) is drawn once and blended only in its box."""

from __future__ import annotations

import bisect
from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from actors.renderer.draw.geometry import Plane
from actors.renderer.job import FontFile
from actors.renderer.text import fonts
from actors.renderer.text.linebreak import Line, active_word, break_lines, pieces, reads_right_to_left
from contracts.plan import Captions, CaptionStyle, Cue

__all__ = ["CaptionTrack", "Stamp", "blend", "luma_chroma"]

SAFE_MARGIN: Final = 0.05
"""Share of the frame at each edge that stays free: players and platforms draw over it."""
LINE_SPACING: Final = 1.18
_SIZE_MIN_PX: Final = 8
_KEPT: Final = 8

Mask = NDArray[np.float64]
"""(height, width), 0..1."""


class Stamp(Struct, frozen=True):
    """A drawn state, ready to blend: plane = plane * keep / 255 + ink.

    row, column: where the luma box begins, both even; keep, ink: luma, then chroma.
    """

    row: int
    column: int
    keep: tuple[Plane, Plane]
    ink: tuple[Plane, Plane, Plane]


def luma_chroma(colour: str) -> tuple[float, float, float]:
    """Return Y, Cb, Cr of `#RRGGBB`, 8-bit limited range. Source: Rec. ITU-R BT.709-6 (06/2015), items 3.2 to 3.4."""
    r, g, b = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return 16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748


def blend(planes: tuple[Plane, Plane, Plane], stamp: Stamp) -> None:
    """Blend a stamp into limited-range 4:2:0 planes, in place. Source: Porter & Duff 1984, "over"."""
    for at, plane in enumerate(planes):
        half = 1 if at == 0 else 2
        keep, ink = stamp.keep[min(at, 1)], stamp.ink[at]
        row, column = stamp.row // half, stamp.column // half
        box = plane[row : row + keep.shape[0], column : column + keep.shape[1]]
        cv2.multiply(box, keep, dst=box, scale=1 / 255)
        cv2.add(box, ink, dst=box)


class CaptionTrack:
    """The captions of one output."""

    def __init__(self, captions: Captions, font: FontFile, width_px: int, height_px: int) -> None:
        self._cues = captions.cues
        self._starts_us = [cue.start_us for cue in captions.cues]
        self._style = captions.style
        self._font = font
        self._size = width_px, height_px
        self._drawn: dict[tuple[int, int | None], Stamp | None] = {}

    def at(self, t_us: int) -> Stamp | None:
        """Return what is shown at a moment of output time. Of cues that overlap, the newest is shown."""
        index = bisect.bisect_right(self._starts_us, t_us) - 1
        if index < 0 or self._cues[index].end_us <= t_us:
            return None
        word = active_word(self._cues[index], t_us) if self._style.highlight else None
        state = (index, word)
        if state not in self._drawn:
            if len(self._drawn) >= _KEPT:
                del self._drawn[next(iter(self._drawn))]
            self._drawn[state] = self.draw(self._cues[index], word)
        return self._drawn[state]

    def draw(self, cue: Cue, word: int | None) -> Stamp | None:
        """Draw one state; None: nothing of it is visible."""
        style, (width, height) = self._style, self._size
        parts = pieces(cue, uppercase=style.uppercase)
        if not parts:
            return None
        max_width = min(style.max_width, 1 - 2 * SAFE_MARGIN) * width
        size_px = max(_SIZE_MIN_PX, round(style.size * height))
        while True:
            font = fonts.load(self._font, size_px)
            stroke_px = round(style.outline_width * size_px)
            lines = break_lines(parts, font.getlength, max_width - 2 * stroke_px)
            pitch = LINE_SPACING * size_px
            tall = pitch * len(lines) + 2 * stroke_px
            if size_px <= _SIZE_MIN_PX or tall <= (1 - 2 * SAFE_MARGIN) * height:
                break
            size_px = max(_SIZE_MIN_PX, int(size_px * 0.85))
        top = min(max(style.position_y * height - tall / 2, SAFE_MARGIN * height), (1 - SAFE_MARGIN) * height - tall)
        drawing = _Drawing(self._size, font, stroke_px)
        for at, line in enumerate(lines):
            # The middle of the type, between ascender and descender, lies in the middle of its line.
            ascent, descent = font.getmetrics()
            baseline = top + stroke_px + pitch * (at + 0.5) + (ascent - descent) / 2
            drawing.line(line, baseline, word)
        return drawing.stamp(style)


class _Drawing:
    """Three masks of the whole frame: outline, type, highlighted type."""

    def __init__(self, size: tuple[int, int], font: ImageFont.FreeTypeFont, stroke_px: int) -> None:
        self._width = size[0]
        self._font = font
        self._stroke_px = stroke_px
        self._masks = [Image.new("L", size) for _ in range(3)]
        self._draws = [ImageDraw.Draw(mask) for mask in self._masks]

    def line(self, line: Line, baseline: float, word: int | None) -> None:
        """Draw one line, centred; one that reads right to left from the right. Each piece is shaped by itself."""
        measure = self._font.getlength
        space = measure(" ")
        widths = [measure(piece.text) for piece in line]
        gaps = [0.0 if at == 0 or piece.glued else space for at, piece in enumerate(line)]
        total = sum(widths) + sum(gaps)
        backwards = reads_right_to_left(" ".join(piece.text for piece in line))
        x = (self._width + total) / 2 if backwards else (self._width - total) / 2
        for piece, wide, gap in zip(line, widths, gaps, strict=True):
            x += -(gap + wide) if backwards else gap
            spoken = word is not None and piece.word == word
            self._piece(piece.text, (round(x), round(baseline)), spoken=spoken)
            x += 0.0 if backwards else wide

    def _piece(self, text: str, at: tuple[int, int], *, spoken: bool) -> None:
        if self._stroke_px:
            self._draws[0].text(at, text, 255, self._font, anchor="ls", stroke_width=self._stroke_px)
        self._draws[2 if spoken else 1].text(at, text, 255, self._font, anchor="ls")

    def stamp(self, style: CaptionStyle) -> Stamp | None:
        boxes = [box for mask in self._masks if (box := mask.getbbox()) is not None]
        if not boxes:
            return None
        left, top = (min(box[side] for box in boxes) // 2 * 2 for side in (0, 1))
        right, bottom = (-(-max(box[side] for box in boxes) // 2) * 2 for side in (2, 3))
        outline, fill, spoken = (
            np.asarray(mask.crop((left, top, right, bottom)), dtype=np.float64) / 255 for mask in self._masks
        )
        layers = (
            (outline, luma_chroma(style.outline)),
            (fill, luma_chroma(style.fill)),
            (spoken, luma_chroma(style.highlight or style.fill)),
        )
        keep: Mask = np.ones_like(outline)
        inks: list[Mask] = [np.zeros_like(outline) for _ in range(3)]
        for mask, colour in layers:  # each over the ones before it; inks are premultiplied
            keep = keep * (1 - mask)
            inks = [ink + mask * (level - ink) for ink, level in zip(inks, colour, strict=True)]
        return Stamp(
            row=top,
            column=left,
            keep=(_levels(keep), _levels(_halved(keep))),
            ink=(_bytes(inks[0]), _bytes(_halved(inks[1])), _bytes(_halved(inks[2]))),
        )


def _halved(mask: Mask) -> Mask:
    height, width = mask.shape
    half: Mask = mask.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return half


def _levels(share: Mask) -> Plane:
    return _bytes(share * 255)


def _bytes(values: Mask) -> Plane:
    return np.rint(values).clip(0, 255).astype(np.uint8)
