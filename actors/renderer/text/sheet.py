"""A box of the frame in which type is placed, and the masks of what is placed there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from actors.renderer.text.block import Row
from actors.renderer.text.glyphs import AS_IS, Magnified, Placed, paint, trace
from actors.renderer.text.masks import SAMPLES, outline, unit
from actors.renderer.text.stamps import Art, Mask, colour_planes

__all__ = ["Patch", "Sheet"]


class Patch(NamedTuple):
    """A mask and where its corner lies in the sheet, px."""

    mask: Mask
    left: int
    top: int


class Sheet:
    """A box of the frame, even in place and size.

    left, top: px of the frame; glyphs: what is placed, by the word that it is lit with.
    """

    def __init__(self, left: int, top: int, width: int, height: int) -> None:
        self.left, self.top = left // 2 * 2, top // 2 * 2
        self.width, self.height = (width + 3) // 2 * 2, (height + 3) // 2 * 2
        self.glyphs: dict[int | None, list[Placed]] = {}

    def put(self, row: Row, x: float, baseline: float) -> None:
        """Place a row; x, baseline: px of the frame."""
        for glyph in row.line.glyphs:
            placed = glyph._replace(x=glyph.x + x - self.left, y=glyph.y + baseline - self.top)
            self.glyphs.setdefault(row.owners[glyph.at], []).append(placed)

    def blank(self) -> Mask:
        """Return an empty mask of this box."""
        return np.zeros((self.height, self.width), np.float32)

    def art(self) -> Art:
        """Return an empty drawing of this box."""
        return Art(self.left, self.top, self.width, self.height)

    def fill(self, glyphs: Sequence[Placed], magnified: Magnified = AS_IS) -> Patch:
        """Return the coverage of glyphs."""
        left, top, width, height = self._window(glyphs, magnified, 0)
        moved, about = _shifted(glyphs, magnified, left, top)
        return Patch(unit(trace(moved, width, height, about)), left, top)

    def stroke(self, glyphs: Sequence[Placed], reach_px: float, magnified: Magnified = AS_IS) -> Patch:
        """Return the coverage of glyphs and of an outline around them."""
        reach_px *= magnified.scale
        left, top, width, height = self._window(glyphs, magnified, reach_px)
        moved, about = _shifted(glyphs, magnified, left, top)
        return Patch(outline(trace(moved, width, height, about, samples=SAMPLES), reach_px), left, top)

    def union(self, patches: Iterable[Patch]) -> Mask:
        """Return masks put together, in a mask of this box."""
        whole = self.blank()
        for mask, left, top in patches:
            box = whole[top : top + mask.shape[0], left : left + mask.shape[1]]
            np.maximum(box, mask, out=box)
        return whole

    def colour(self, art: Art, glyphs: Iterable[Placed], magnified: Magnified = AS_IS) -> None:
        """Draw those glyphs that have colours of their own."""
        rgba = paint(glyphs, self.width, self.height, magnified)
        if rgba is not None:
            straight = rgba[..., :3] * (255 / np.maximum(rgba[..., 3:], 1).astype(np.float32))
            art.lay(unit(rgba[..., 3]), colour_planes(np.rint(np.minimum(straight, 255)).astype(np.uint8)))

    def _window(self, glyphs: Sequence[Placed], magnified: Magnified, reach_px: float) -> tuple[int, int, int, int]:
        """Return the part of the sheet (left, top, width, height) that holds these glyphs and their outline."""
        corners: list[tuple[float, float]] = []
        for glyph in glyphs:
            left, top, wide, tall = glyph.font.box(glyph.id)
            corners.append(magnified.move(glyph.x + left, glyph.y - top))
            corners.append(magnified.move(glyph.x + left + wide, glyph.y - top + tall))
        if not corners:
            return 0, 0, 1, 1
        edge = reach_px + 2
        x0, y0 = (max(0, math.floor(min(corner[at] for corner in corners) - edge)) for at in (0, 1))
        x1 = min(self.width, math.ceil(max(x for x, _ in corners) + edge))
        y1 = min(self.height, math.ceil(max(y for _, y in corners) + edge))
        return min(x0, self.width - 1), min(y0, self.height - 1), max(1, x1 - x0), max(1, y1 - y0)


def _shifted(glyphs: Sequence[Placed], magnified: Magnified, left: int, top: int) -> tuple[list[Placed], Magnified]:
    moved = [glyph._replace(x=glyph.x - left, y=glyph.y - top) for glyph in glyphs]
    return moved, magnified._replace(x=magnified.x - left, y=magnified.y - top)
