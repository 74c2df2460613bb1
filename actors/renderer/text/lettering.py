"""Draw placed rows of type: shadow, boxes, outline, type, with words lit and words that pop."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from actors.renderer.text.block import Block, Row
from actors.renderer.text.glyphs import AS_IS, Magnified, Placed
from actors.renderer.text.masks import rounded, shadow
from actors.renderer.text.sheet import Patch, Sheet
from actors.renderer.text.stamps import Art, Mask
from contracts.plan import Output

__all__ = ["Area", "Lettering", "Look", "area_of"]

BOX_PAD, BOX_RADIUS = 0.24, 0.2
LIT_PAD, LIT_RADIUS = 0.13, 0.16
CARD_PAD, CARD_RADIUS = 0.55, 0.45
"""Of boxes behind lines, behind words and behind all, over the size of the type."""


class Area(NamedTuple):
    """A part of the frame, px."""

    left: float
    top: float
    right: float
    bottom: float

    def moved(self, x: float, y: float) -> Area:
        """Return it elsewhere."""
        return Area(self.left + x, self.top + y, self.right + x, self.bottom + y)


def area_of(output: Output) -> Area:
    """Return the part of the frame that type keeps to."""
    width, height, safe = output.width_px, output.height_px, output.safe
    return Area(safe.left * width, safe.top * height, (1 - safe.right) * width, (1 - safe.bottom) * height)


class Look(NamedTuple):
    """Colours, and lengths over the size of the type.

    card: one box behind all lines instead of one behind each; lit_box: words are lit by a box behind them.
    """

    fill: str
    outline: str = "#000000"
    outline_width: float = 0.0
    shadow: float = 0.0
    box: str | None = None
    card: bool = False
    box_opacity: float = 1.0
    lit: str | None = None
    lit_box: bool = False

    def pad(self) -> float:
        """Return how far boxes and outline go beyond the type."""
        box = 0.0 if self.box is None else CARD_PAD if self.card else BOX_PAD
        return max(self.outline_width, box, LIT_PAD if self.lit_box else 0.0)


class _Place(NamedTuple):
    row: Row
    x: float
    baseline: int


class _Part(NamedTuple):
    fill: Patch
    outline: Patch | None


class Lettering:
    """Rows of a block at an anchor, from `top_px` downwards.

    aligned: share of a row that lies left of `anchor_px`; area: what popped type keeps to; growth: largest scale of
    what pops.
    """

    def __init__(
        self,
        block: Block,
        rows: tuple[Row, ...],
        look: Look,
        *,
        anchor_px: float,
        top_px: float,
        area: Area,
        aligned: float = 0.5,
        growth: float = 1.0,
    ) -> None:
        self._block, self._look, self._area = block, look, area
        self._places = tuple(
            _Place(row, anchor_px - row.line.width * aligned, round(top_px) + at * block.pitch_px + block.up_px)
            for at, row in enumerate(rows)
        )
        self._sheet = self._made(round(top_px), growth)
        for place in self._places:
            self._sheet.put(place.row, place.x, place.baseline)
        self._parts = {word: self._part(glyphs, AS_IS) for word, glyphs in self._sheet.glyphs.items()}
        self._ground = self._drawn_ground()

    def draw(
        self, lit: Collection[int] = (), *, popped: Callable[[int | None], bool] | None = None, scale: float = 1.0
    ) -> Art:
        """Draw one state.

        Args: lit: words in the colour of what is spoken; popped: which words are drawn at `scale`.
        """
        art, look = self._ground.copy(), self._look
        if look.lit_box and look.lit is not None and lit:
            art.lay(self._boxes(lit), look.lit)
        moving = {word for word in self._parts if popped is not None and popped(word)} if scale != 1 else set()
        self._lay(art, {word: part for word, part in self._parts.items() if word not in moving}, lit, AS_IS)
        if moving:
            magnified = self._magnified(moving, scale)
            self._lay(art, {word: self._part(self._sheet.glyphs[word], magnified) for word in moving}, lit, magnified)
        return art

    def _lay(self, art: Art, parts: Mapping[int | None, _Part], lit: Collection[int], magnified: Magnified) -> None:
        """Draw outline, type and colours of some words."""
        look, sheet = self._look, self._sheet
        outlines = [part.outline for part in parts.values() if part.outline is not None]
        if outlines:
            art.lay(sheet.union(outlines), look.outline)
        bright = set() if look.lit_box or look.lit is None else parts.keys() & set(lit)
        for words, colour in ((parts.keys() - bright, look.fill), (bright, look.lit)):
            if words and colour is not None:
                art.lay(sheet.union(parts[word].fill for word in words), colour)
        sheet.colour(art, [glyph for word in parts for glyph in sheet.glyphs[word]], magnified)

    def _part(self, glyphs: list[Placed], magnified: Magnified) -> _Part:
        reach_px = self._look.outline_width * self._block.size_px
        stroke = self._sheet.stroke(glyphs, reach_px, magnified) if reach_px > 0 else None
        return _Part(self._sheet.fill(glyphs, magnified), stroke)

    def _made(self, top: int, growth: float) -> Sheet:
        block, look = self._block, self._look
        edge = math.ceil((look.pad() + look.shadow * 1.4) * block.size_px) + 2
        left = min((place.x for place in self._places), default=0.0)
        right = max((place.x + place.row.line.width for place in self._places), default=0.0)
        tall = len(self._places) * block.pitch_px
        # At most half of what type grows goes to each side; at an edge of the area it is moved inwards.
        room = max(0.0, growth - 1) / 2
        aside, above = math.ceil((right - left) * room) + edge, math.ceil(tall * room) + edge
        start = math.floor(left) - aside
        return Sheet(start, top - above, math.ceil(right) + aside - start, tall + 2 * above)

    def _drawn_ground(self) -> Art:
        art, look, size = self._sheet.art(), self._look, self._block.size_px
        if look.box is not None:
            art.lay(self._ground_boxes() * np.float32(look.box_opacity), look.box)
        if look.shadow > 0:
            shape = self._sheet.union(part.outline or part.fill for part in self._parts.values())
            art.lay(shadow(shape, look.shadow * size), look.outline)
        return art

    def _ground_boxes(self) -> Mask:
        boxes, places = self._sheet.blank(), self._places
        if not self._look.card:
            for place in places:
                self._add_box(boxes, place, place.x, place.x + place.row.line.width, (BOX_PAD, BOX_PAD / 2, BOX_RADIUS))
            return boxes
        size, sheet = self._block.size_px, self._sheet
        pad, top = CARD_PAD * size, places[0].baseline - self._block.up_px
        left, right = min(place.x for place in places), max(place.x + place.row.line.width for place in places)
        card = Area(left - pad, top - pad, right + pad, top + len(places) * self._block.pitch_px + pad)
        return rounded((sheet.width, sheet.height), card.moved(-sheet.left, -sheet.top), CARD_RADIUS * size)

    def _add_box(
        self, boxes: Mask, place: _Place, left: float, right: float, shape: tuple[float, float, float]
    ) -> None:
        size, sheet = self._block.size_px, self._sheet
        aside, above, radius = (share * size for share in shape)
        top = place.baseline - self._block.up_px
        box = rounded(
            (sheet.width, sheet.height),
            Area(left - aside, top - above, right + aside, top + self._block.pitch_px + above).moved(
                -sheet.left, -sheet.top
            ),
            radius,
        )
        np.maximum(boxes, box, out=boxes)

    def _boxes(self, words: Collection[int]) -> Mask:
        boxes = self._sheet.blank()
        for place in self._places:
            lit = place.row.of(lambda owner: owner is not None and owner in words)
            for left, right in place.row.line.extents(lit):
                self._add_box(boxes, place, place.x + left, place.x + right, (LIT_PAD, 0.0, LIT_RADIUS))
        return boxes

    def _magnified(self, moving: Collection[int | None], scale: float) -> Magnified:
        """Magnify about the middle of what pops, moved as far as it takes to stay in the area."""
        size, look, boxes = self._block.size_px, self._look, []
        for place in self._places:
            stretches = place.row.line.extents(place.row.of(lambda owner: owner in moving))
            top = place.baseline - self._block.up_px
            boxes += [(place.x + left, top, place.x + right, top + self._block.pitch_px) for left, right in stretches]
        if not boxes:
            return AS_IS
        pad = look.outline_width * size
        sides = [
            (min(box[at] for box in boxes) - pad, max(box[at + 2] for box in boxes) + pad, low, high)
            for at, (low, high) in enumerate(((self._area.left, self._area.right), (self._area.top, self._area.bottom)))
        ]
        x, y = (_about(*side, scale) for side in sides)
        return Magnified(scale, x - self._sheet.left, y - self._sheet.top)


def _about(start: float, end: float, low: float, high: float, scale: float) -> float:
    """Return the point about which a stretch grows so that it stays between two bounds, if it can."""
    middle = (start + end) / 2
    if scale <= 1:
        return middle
    over = middle + (end - middle) * scale - high
    under = low - (middle + (start - middle) * scale)
    if over > 0:
        return middle + over / (scale - 1)
    return middle - under / (scale - 1) if under > 0 else middle
