"""Measure flashes in the pictures of a finished video, from the mean luma of the blocks of its frames.

Source: WCAG 2.2 (12/2024), 2.3.1 and its terms: a general flash is a pair of opposing changes in relative luminance
of 10 % or more of the maximum, where the darker image is below 0.80; more than three within one second over more than
a quarter of the field of view are too many. Relative luminance is of the luma of a block as if it were grey, which
makes saturated colours brighter than they are: the measure errs on the safe side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.gate import Signature
from contracts.plan import FLASH_STRENGTH_MIN, MAX_FLASHES_PER_S

__all__ = ["Flashes", "too_many"]

AREA_MIN: Final = 0.25
DARKER_BELOW: Final = 0.80
TOGETHER_S: Final = Fraction(1, 15)
"""Blocks that change within this time change together: a flash does it, what passes through the picture does not."""


def _luminance() -> NDArray[np.float32]:
    """Return relative luminance by luma, limited range. Source: WCAG 2.2, "relative luminance"."""
    share = np.clip((np.arange(256) - 16) / 219, 0, 1)
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LUMINANCE: Final = _luminance()


class Flashes:
    """Counts, for every block, the opposing changes of the last second that enough other blocks made with it."""

    def __init__(self, fps: Fraction, area: float = AREA_MIN) -> None:
        self._second = max(1, int(fps))
        self._together = max(1, round(fps * TOGETHER_S))
        self._area = area
        self._low: NDArray[np.float32] | None = None
        self._high: NDArray[np.float32]
        self._way: NDArray[np.int8]
        self._changes: deque[_Changes]

    def add(self, signature: Signature) -> bool:
        """Take the next frame; return whether enough of it has flashed more than three times in the last second."""
        now = _LUMINANCE[signature.ravel()]
        if self._low is None:
            self._low, self._high = now.copy(), now.copy()
            self._way = np.zeros(now.shape, np.int8)
            self._changes = deque(maxlen=self._second)
            return False
        low, high, way = self._low, self._high, self._way
        rose = (way <= 0) & (now - low >= FLASH_STRENGTH_MIN) & (low < DARKER_BELOW)
        fell = (way >= 0) & (high - now >= FLASH_STRENGTH_MIN) & (now < DARKER_BELOW)
        changed = rose | fell
        way[rose], way[fell] = 1, -1
        low[changed] = high[changed] = now[changed]
        np.minimum(low, now, out=low)
        np.maximum(high, now, out=high)
        self._changes.append(_Changes(rose, fell, [False, False]))
        self._settle([one.rose for one in self._recent()], 0)
        self._settle([one.fell for one in self._recent()], 1)
        rises, falls = np.zeros(now.shape, np.int16), np.zeros(now.shape, np.int16)
        for one in self._changes:
            if one.counts[0]:
                rises += one.rose
            if one.counts[1]:
                falls += one.fell
        # A block rises and falls by turns, so that the more frequent of the two counts its flashes.
        return float((np.maximum(rises, falls) > MAX_FLASHES_PER_S).mean()) >= self._area

    def _recent(self) -> list[_Changes]:
        return list(self._changes)[-self._together :]

    def _settle(self, blocks: list[NDArray[np.bool_]], way: int) -> None:
        if float(np.logical_or.reduce(blocks).mean()) >= self._area:
            for one in self._recent():
                one.counts[way] = True


class _Changes(NamedTuple):
    """Blocks that rose and fell in one frame, and whether each of the two was part of a change of enough blocks."""

    rose: NDArray[np.bool_]
    fell: NDArray[np.bool_]
    counts: list[bool]


def too_many(signatures: Iterable[Signature], fps: Fraction, area: float = AREA_MIN) -> Iterator[int]:
    """Yield the number of every frame at which a second ends that flashes too often. area: share of the frame."""
    flashes = Flashes(fps, area)
    for number, signature in enumerate(signatures):
        if flashes.add(signature):
            yield number
