"""Overlays: each is drawn once; fades go in steps, so that its stamps stay few."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, assert_never

import numpy as np

from actors.renderer.text.block import Block, fit
from actors.renderer.text.images import read_image
from actors.renderer.text.lettering import Area, Lettering, Look, area_of
from actors.renderer.text.linebreak import paragraphs
from actors.renderer.text.masks import rounded
from actors.renderer.text.runs import Typesetter
from actors.renderer.text.stamps import Art, Stamp, colour_planes, stamp_of
from contracts.plan import Emoji, HookCard, Image, LowerThird, Output, Overlay, ProgressBar, Text

__all__ = ["FADE_STEPS", "ShownOverlay"]

FADE_STEPS: Final = 16
CARD_WIDTH: Final = 0.84
"""Widest hook card, over the width of the area."""
_KEPT: Final = 4


class ShownOverlay:
    """One overlay of one output. drawings: states that were drawn."""

    def __init__(
        self, overlay: Overlay, setter: Typesetter, images: dict[str, Path], output: Output, total_us: int
    ) -> None:
        self._overlay = overlay
        self._start_us = overlay.start_us
        self._end_us = total_us if overlay.end_us is None else overlay.end_us
        self._size = output.width_px, output.height_px
        self._draw = _drawing(overlay, setter, images, output)
        self._art: tuple[int, Art | None] | None = None
        self._stamps: dict[tuple[int, int], Stamp | None] = {}
        self.drawings = 0

    def at(self, t_us: int) -> Stamp | None:
        """Return what is shown at a moment of output time."""
        if not self._start_us <= t_us < self._end_us:
            return None
        step = self._step(t_us)
        if step == 0:
            return None
        state = self._filled_px(t_us), step
        if state not in self._stamps:
            if len(self._stamps) >= _KEPT:
                del self._stamps[next(iter(self._stamps))]
            self._stamps[state] = self._stamp(*state)
        return self._stamps[state]

    def _step(self, t_us: int) -> int:
        fade_us = self._overlay.fade_us
        if not fade_us:
            return FADE_STEPS
        inside_us = min(t_us - self._start_us, self._end_us - t_us, fade_us)
        return (FADE_STEPS * inside_us * 2 + fade_us) // (2 * fade_us)

    def _filled_px(self, t_us: int) -> int:
        """Return how far a progress bar is; 0 for what does not move."""
        if not isinstance(self._overlay, ProgressBar):
            return 0
        return (t_us - self._start_us) * self._size[0] // max(1, self._end_us - self._start_us)

    def _stamp(self, filled_px: int, step: int) -> Stamp | None:
        if self._art is None or self._art[0] != filled_px:
            self.drawings += 1
            self._art = filled_px, self._draw(filled_px)
        art = self._art[1]
        return None if art is None else stamp_of(art, self._size, self._overlay.opacity * step / FADE_STEPS)


def _drawing(
    overlay: Overlay, setter: Typesetter, images: dict[str, Path], output: Output
) -> Callable[[int], Art | None]:
    match overlay:
        case Image():
            return partial(_image, overlay, images, output)
        case ProgressBar():
            return partial(_bar, overlay, output)
        case Text():
            return partial(_text, overlay, setter, output)
        case LowerThird():
            return partial(_lower_third, overlay, setter, output)
        case HookCard():
            return partial(_hook_card, overlay, setter, output)
        case Emoji():
            return partial(_emoji, overlay, setter, output)
        case _:
            assert_never(overlay)


def _image(overlay: Image, images: dict[str, Path], output: Output, _state: int) -> Art:
    width_px = max(1, round(overlay.width * output.width_px))
    rgba = read_image(images[overlay.source], overlay.source, width_px)
    height, width = rgba.shape[:2]
    left = round(overlay.x * output.width_px - width / 2)
    top = round(overlay.y * output.height_px - height / 2)
    # Boxes begin and end at even places.
    padded = np.pad(rgba, ((top % 2, (top + height) % 2), (left % 2, (left + width) % 2), (0, 0)))
    art = Art(left - left % 2, top - top % 2, padded.shape[1], padded.shape[0])
    art.lay(padded[..., 3].astype(np.float32) / np.float32(255), colour_planes(padded[..., :3]))
    return art


def _bar(overlay: ProgressBar, output: Output, filled_px: int) -> Art:
    tall = max(1, round(overlay.height * output.height_px))
    top = min(output.height_px - tall, max(0, round(overlay.y * output.height_px - tall / 2)))
    art = Art(0, top - top % 2, output.width_px, (top % 2 + tall + 1) // 2 * 2)
    rows = slice(top % 2, top % 2 + tall)
    for columns, colour in ((slice(filled_px, None), overlay.ground), (slice(0, filled_px), overlay.colour)):
        if colour is not None:
            mask = np.zeros((art.height, art.width), np.float32)
            mask[rows, columns] = 1
            art.lay(mask, colour)
    return art


def _text(overlay: Text, setter: Typesetter, output: Output, _state: int) -> Art | None:
    look = Look(fill=overlay.fill, outline=overlay.outline, outline_width=overlay.outline_width, box=overlay.box)
    return _lettered(
        overlay.text,
        look,
        setter,
        output,
        middle=(overlay.x, overlay.y),
        size_px=overlay.size * output.height_px,
        width_px=overlay.max_width * output.width_px,
    )


def _hook_card(overlay: HookCard, setter: Typesetter, output: Output, _state: int) -> Art | None:
    area = area_of(output)
    return _lettered(
        overlay.text,
        Look(fill=overlay.ink, box=overlay.card, card=True),
        setter,
        output,
        middle=((area.left + area.right) / 2 / output.width_px, overlay.y),
        size_px=overlay.size * output.height_px,
        width_px=CARD_WIDTH * (area.right - area.left),
    )


def _lettered(
    text: str,
    look: Look,
    setter: Typesetter,
    output: Output,
    *,
    middle: tuple[float, float],
    size_px: float,
    width_px: float,
) -> Art | None:
    """Draw text about a point (shares of the frame), moved as far as it takes to stay in the area."""
    area, pad_px = area_of(output), look.pad() * size_px
    block = fit(
        setter,
        paragraphs(text),
        size_px=size_px,
        width_px=max(1.0, min(width_px, area.right - area.left) - 2 * pad_px),
        height_px=area.bottom - area.top - 2 * pad_px,
    )
    if not block.rows:
        return None
    x = _within(middle[0] * output.width_px, block.width_px / 2 + pad_px, area.left, area.right)
    tall = block.pitch_px * len(block.rows)
    y = _within(middle[1] * output.height_px, tall / 2 + pad_px, area.top, area.bottom)
    return Lettering(block, block.rows, look, anchor_px=x, top_px=y - tall / 2, area=area).draw()


def _within(middle: float, half: float, low: float, high: float) -> float:
    return max(low + half, min(middle, high - half))


def _lower_third(overlay: LowerThird, setter: Typesetter, output: Output, _state: int) -> Art | None:
    area, side_px = area_of(output), min(output.width_px, output.height_px)
    accent_px, pad_px = round(0.012 * side_px), round(0.024 * side_px)
    room_px = max(1.0, area.right - area.left - accent_px - 2 * pad_px)
    blocks: list[tuple[Block, Look]] = [
        (_fitted(setter, overlay.title, 0.046 * side_px, room_px, area), Look(fill="#FFFFFF")),
        (_fitted(setter, overlay.subtitle, 0.032 * side_px, room_px, area), Look(fill="#DDDDDD")),
    ]
    blocks = [(block, look) for block, look in blocks if block.rows]
    if not blocks:
        return None
    tall = sum(block.pitch_px * len(block.rows) for block, _ in blocks) + 2 * pad_px
    wide = accent_px + 2 * pad_px + max(block.width_px for block, _ in blocks)
    left, middle = round(area.left), _within(overlay.y * output.height_px, tall / 2, area.top, area.bottom)
    top = round(middle - tall / 2)
    plate = Area(left, top, left + round(wide), top + tall)
    art = Art(left // 2 * 2 - 2, top // 2 * 2 - 2, (round(wide) + 6) // 2 * 2, (tall + 6) // 2 * 2)
    box = plate.moved(-art.left, -art.top)
    mask = rounded((art.width, art.height), box, 0.3 * pad_px)
    art.lay(mask * np.float32(0.88), overlay.plate)
    accent = mask.copy()
    accent[:, round(box.left) + accent_px :] = 0
    art.lay(accent, overlay.accent)
    top += pad_px
    for block, look in blocks:
        start = left + accent_px + pad_px
        lettering = Lettering(block, block.rows, look, anchor_px=start, top_px=top, area=area, aligned=0.0)
        art.over(lettering.draw())
        top += block.pitch_px * len(block.rows)
    return art


def _fitted(setter: Typesetter, text: str, size_px: float, width_px: float, area: Area) -> Block:
    height_px = (area.bottom - area.top) / 3
    return fit(setter, paragraphs(text), size_px=size_px, width_px=width_px, height_px=height_px)


def _emoji(overlay: Emoji, setter: Typesetter, output: Output, _state: int) -> Art | None:
    tall_px = overlay.size * output.height_px
    tried = fit(setter, paragraphs(overlay.emoji), size_px=tall_px, width_px=1e9, height_px=1e9)
    ink = max((row.line.up + row.line.down for row in tried.rows), default=0.0)
    if ink <= 0:
        return None
    block = fit(setter, paragraphs(overlay.emoji), size_px=tall_px * tall_px / ink, width_px=1e9, height_px=1e9)
    row = block.rows[0]
    # The middle of the ink, not of the line, lies at the place asked for.
    top = overlay.y * output.height_px + (row.line.up - row.line.down) / 2 - block.up_px
    whole = Area(0, 0, output.width_px, output.height_px)
    return Lettering(
        block,
        (row,),
        Look(fill="#FFFFFF", outline_width=0.06),
        anchor_px=overlay.x * output.width_px,
        top_px=top,
        area=whole,
    ).draw()
