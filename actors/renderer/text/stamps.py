"""Stamps: what lies over a frame, drawn once per distinct state, blended only in its box.

Art is drawn in float, layer over layer; a stamp is made of it at an opacity, in 8 bits and 4:2:0.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Plane
from actors.renderer.draw.recipe import levels_of

__all__ = ["Art", "Colours", "Mask", "Stamp", "blend", "colour_planes", "stamp_of"]

Mask = NDArray[np.float32]
"""(height, width), 0..1."""
Colours = tuple[Mask, Mask, Mask]
"""Y, Cb, Cr of each pixel, 8-bit limited range, (height, width)."""
_CLEAR: Final = 1 / 512


class Stamp(Struct, frozen=True):
    """A drawn state, ready to blend.

    row, column: where the luma box begins, both even; keep, ink: luma, then chroma, uint8 (height, width).
    """

    row: int
    column: int
    keep: tuple[Plane, Plane]
    ink: tuple[Plane, Plane, Plane]


def blend(planes: tuple[Plane, Plane, Plane], stamp: Stamp) -> None:
    """Blend a stamp into limited-range 4:2:0 planes, in place: min(255, round(plane * keep / 255) + ink).

    The quotient is never halfway between two levels, so that every way of rounding gives the same: in whole numbers
    (2 * plane * keep + 255) // 510. Source: Porter & Duff 1984, "over".
    """
    for at, plane in enumerate(planes):
        half = 1 if at == 0 else 2
        keep, ink = stamp.keep[min(at, 1)], stamp.ink[at]
        row, column = stamp.row // half, stamp.column // half
        box = plane[row : row + keep.shape[0], column : column + keep.shape[1]]
        cv2.multiply(box, keep, dst=box, scale=1 / 255)
        cv2.add(box, ink, dst=box)


def colour_planes(rgb: NDArray[np.uint8]) -> Colours:
    """Return Y, Cb, Cr of an sRGB picture, uint8 (height, width, 3); see recipe.levels_of."""
    r, g, b = (rgb[..., at].astype(np.float32) / np.float32(255) for at in range(3))
    y = np.float32(0.2126) * r + np.float32(0.7152) * g + np.float32(0.0722) * b
    blue, red = (b - y) * np.float32(224 / 1.8556), (r - y) * np.float32(224 / 1.5748)
    return y * np.float32(219) + np.float32(16), blue + np.float32(128), red + np.float32(128)


class Art:
    """A drawing in a box of the frame, as layers: the share that each has in every pixel, and its colour.

    Shares stay apart until the end, so that chroma is averaged exactly and colours are worked out once.
    left, top: of the box in the frame, px.
    """

    __slots__ = ("_layers", "height", "left", "top", "width")

    def __init__(self, left: int, top: int, width: int, height: int) -> None:
        self.left, self.top, self.width, self.height = left, top, width, height
        self._layers: list[tuple[Mask, str | Colours]] = []

    def copy(self) -> Art:
        """Return a copy to draw on."""
        made = Art(self.left, self.top, self.width, self.height)
        made._layers = [(share.copy(), colour) for share, colour in self._layers]
        return made

    def lay(self, mask: Mask, colour: str | Colours) -> None:
        """Draw a mask of the box's size over what is there, in `#RRGGBB` or in a colour of each pixel.

        The mask becomes the drawing's own: it changes when more is laid over it.
        """
        if self._layers:
            rest = 1 - mask
            for share, _ in self._layers:
                np.multiply(share, rest, out=share)
        self._layers.append((mask, colour))

    def over(self, other: Art) -> None:
        """Lay a whole drawing over this one; what of it leaves this box is cut off."""
        y, x = other.top - self.top, other.left - self.left
        y0, x0, y1, x1 = max(0, y), max(0, x), min(self.height, y + other.height), min(self.width, x + other.width)
        inner = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        rest = 1 - self._spread(other.cover()[inner], y0, x0)
        for share, _ in self._layers:
            np.multiply(share, rest, out=share)
        for share, colour in other._layers:
            spread: str | Colours = colour
            if not isinstance(colour, str):
                blue, red = (self._spread(plane[inner], y0, x0) for plane in colour[1:])
                spread = self._spread(colour[0][inner], y0, x0), blue, red
            self._layers.append((self._spread(share[inner], y0, x0), spread))

    def _spread(self, part: Mask, top: int, left: int) -> Mask:
        whole = np.zeros((self.height, self.width), np.float32)
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        return whole

    def cover(self) -> Mask:
        """Return how much of the picture is hidden."""
        hidden: Mask = np.zeros((self.height, self.width), np.float32)
        for share, _ in self._layers:
            hidden += share
        return hidden

    def inks(self, window: tuple[slice, slice]) -> tuple[Mask, Mask, Mask]:
        """Return premultiplied Y at full size, Cb and Cr at half, of an even window of the box."""
        sums: list[Mask | None] = [None, None, None]
        for share, colour in self._layers:
            cut = share[window]
            if isinstance(colour, str):
                half = _halved(cut)
                levels = levels_of(colour)
                parts = [part * np.float32(level) for part, level in zip((cut, half, half), levels, strict=True)]
            else:
                y, blue, red = (cut * plane[window] for plane in colour)
                parts = [y, _halved(blue), _halved(red)]
            sums = [part if whole is None else whole + part for whole, part in zip(sums, parts, strict=True)]
        assert sums[0] is not None
        assert sums[1] is not None
        assert sums[2] is not None
        return sums[0], sums[1], sums[2]


def stamp_of(art: Art, size: tuple[int, int], opacity: float = 1.0) -> Stamp | None:
    """Make a stamp for a frame of `size` (width, height), cut to what is visible; None: nothing is."""
    cover = art.cover()
    x, y, wide, tall = cv2.boundingRect((cover > _CLEAR).view(np.uint8))
    # Even in the frame, and inside the frame and the box; boxes begin at even places.
    left, top = max(0, art.left + x) // 2 * 2, max(0, art.top + y) // 2 * 2
    right = min(size[0], art.left + art.width, -(-(art.left + x + wide) // 2) * 2) // 2 * 2
    bottom = min(size[1], art.top + art.height, -(-(art.top + y + tall) // 2) * 2) // 2 * 2
    if not wide or opacity <= 0 or right <= left or bottom <= top:
        return None
    window = np.s_[top - art.top : bottom - art.top, left - art.left : right - art.left]
    hidden = np.ascontiguousarray(cover[window])
    luma, blue, red = art.inks(window)
    return Stamp(
        row=top,
        column=left,
        keep=(_levels(hidden, -255 * opacity, 255), _levels(_halved(hidden), -255 * opacity, 255)),
        ink=(_levels(luma, opacity), _levels(blue, opacity), _levels(red, opacity)),
    )


def _levels(values: Mask, factor: float, offset: float = 0.0) -> Plane:
    """Return values * factor + offset, to the nearest of 0..255."""
    return np.asarray(cv2.convertScaleAbs(values, alpha=factor, beta=offset), np.uint8)


def _halved(mask: Mask) -> Mask:
    height, width = mask.shape
    return np.asarray(cv2.resize(mask, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
