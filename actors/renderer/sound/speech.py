"""Where somebody speaks, by level alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from actors.renderer.sound.read import Samples
from actors.renderer.timeline import SAMPLE_RATE_HZ

__all__ = ["SLOT", "spoken"]

SLOT: Final = SAMPLE_RATE_HZ // 100
LOUD_QUANTILE: Final = 0.95
BELOW_LOUD_DB: Final = 26.0
"""Speech spans about 30 dB (IEC 60268-16); what lies further below its loud parts is room, breath or noise."""
FLOOR_DB: Final = -60.0
"""Below it nothing counts as speech, whatever the rest is like."""
PAUSE_SLOTS: Final = 20
"""A shorter pause belongs to the speech around it."""
WORD_SLOTS: Final = 5
"""A shorter sound is a click."""


def spoken(blocks: Iterable[Samples]) -> tuple[tuple[int, int], ...]:
    """Return the stretches [start, end) with speech, samples. Memory: 4 bytes for each 10 ms."""
    levels: list[np.ndarray] = []
    rest: Samples = np.zeros((2, 0), np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block], axis=1)
        whole = joined.shape[1] // SLOT * SLOT
        slots = joined[:, :whole].reshape(2, -1, SLOT)
        levels.append(np.mean(slots**2, axis=(0, 2)))
        rest = joined[:, whole:]
    if rest.shape[1]:
        levels.append(np.mean(rest**2, keepdims=True).reshape(1))
    power = np.concatenate([np.zeros(0, np.float32), *levels])
    heard = power > 10 ** (FLOOR_DB / 10)
    if not heard.any():
        return ()
    loud = float(np.quantile(power[heard], LOUD_QUANTILE))
    active = power > max(10 ** (FLOOR_DB / 10), loud * 10 ** (-BELOW_LOUD_DB / 10))
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    words: list[tuple[int, int, int]] = []
    for start, end in edges.tolist():
        if words and start - words[-1][1] < PAUSE_SLOTS:
            words[-1] = words[-1][0], end, words[-1][2] + end - start
        else:
            words.append((start, end, end - start))
    return tuple((start * SLOT, end * SLOT) for start, end, heard_slots in words if heard_slots >= WORD_SLOTS)
