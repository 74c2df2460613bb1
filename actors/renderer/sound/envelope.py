"""Levels over time: fades, crossfades and ducking, each a pure function of the output sample."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from actors.renderer.timeline import SAMPLE_RATE_HZ

__all__ = ["Duck", "Fade", "Gains"]

Gains = NDArray[np.float32]
"""One factor for each sample."""


class Fade(Struct, frozen=True):
    """From silence at `start` to the full level at `end`, or the way back. Output samples.

    equal_power: sin x for sounds that cross, whose powers then add up to one; otherwise sin^2 x, smooth at both ends.
    """

    start: int
    end: int
    rising: bool
    equal_power: bool = False

    def gains(self, first: int, last: int) -> Gains | None:
        """Return the factors of [first, last); None: all one."""
        if self.end <= self.start or (first >= self.end if self.rising else last <= self.start):
            return None
        x = (np.arange(first, last) + (0.5 - self.start)) / (self.end - self.start)
        quarter = np.sin(np.clip(x if self.rising else 1 - x, 0, 1) * (np.pi / 2))
        return (quarter if self.equal_power else quarter**2).astype(np.float32)


class Duck:
    """A level that goes down while somebody speaks: there before the first sound of a word, and held through pauses."""

    LEAD: Final = SAMPLE_RATE_HZ * 60 // 1000
    """Down so long before the speech is heard: soft beginnings of words lie before what a level can show."""
    ATTACK: Final = SAMPLE_RATE_HZ * 200 // 1000
    HOLD: Final = SAMPLE_RATE_HZ * 250 // 1000
    RELEASE: Final = SAMPLE_RATE_HZ * 600 // 1000

    def __init__(self, spoken: Sequence[tuple[int, int]], gain_db: float) -> None:
        """Args: spoken: stretches with speech, output samples, in any order."""
        self._gain_db = gain_db
        self._at: list[int] = []
        self._depth: list[float] = []
        for start, end in self._held(spoken):
            self._at += [start - self.ATTACK, start, end, end + self.RELEASE]
            self._depth += [0.0, 1.0, 1.0, 0.0]

    def _held(self, spoken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return when the level is down. It stays so where it would hardly have come up again: no pumping."""
        held: list[tuple[int, int]] = []
        for start, end in sorted((start - self.LEAD, end + self.HOLD) for start, end in spoken):
            if held and start - self.ATTACK < held[-1][1] + self.RELEASE:
                held[-1] = held[-1][0], max(held[-1][1], end)
            else:
                held.append((start, end))
        return held

    def gains(self, first: int, last: int) -> Gains | None:
        """Return the factors of [first, last); None: all one."""
        low = max(0, bisect.bisect_right(self._at, first) - 1)
        high = bisect.bisect_left(self._at, last) + 1
        if not any(self._depth[low:high]):
            return None
        x = np.interp(np.arange(first, last), self._at[low:high], self._depth[low:high])
        return (10.0 ** (self._gain_db / 20 * (x * x * (3 - 2 * x)))).astype(np.float32)
