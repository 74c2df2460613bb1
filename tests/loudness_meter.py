"""A second measure of loudness and true peak, made from the text of Rec. ITU-R BS.1770-5 alone.

It shares nothing with the renderer's: the filters act by convolution with their impulse responses in double
precision, and the signal between the samples is that of its whole spectrum, not of a short filter.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["integrated_lufs", "true_peak_dbtp"]

RATE = 48_000


@cache
def _response() -> NDArray[np.float64]:
    """One second of the impulse response of both filters of annex 1 in a row."""
    signal = np.zeros(RATE)
    signal[0] = 1.0
    for b0, b1, b2, a1, a2 in (
        (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585),
        (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
    ):
        x1 = x2 = y1 = y2 = 0.0
        for at, x in enumerate(signal.tolist()):
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            signal[at] = y
    return signal


def integrated_lufs(sound: NDArray[np.float32]) -> float:
    """Return the integrated loudness of (channels, n) at 48 kHz, all channels of weight 1; -inf: silence."""
    count = sound.shape[1]
    size = 1 << (count + RATE).bit_length()
    spectrum = np.fft.rfft(sound.astype(np.float64), size, axis=1) * np.fft.rfft(_response(), size)
    weighted = np.fft.irfft(spectrum, size, axis=1)[:, :count]
    starts = range(0, count - 19_200 + 1, 4800)
    blocks = np.array([np.sum(np.mean(weighted[:, at : at + 19_200] ** 2, axis=1)) for at in starts])
    loud = blocks[blocks > 10 ** ((-70 + 0.691) / 10)]
    if not loud.size:
        return -math.inf
    return -0.691 + 10 * math.log10(float(loud[loud > loud.mean() / 10].mean()))


def true_peak_dbtp(sound: NDArray[np.float32], times: int = 4) -> float:
    """Return the highest peak between the samples too, dBTP; -inf: silence."""
    peak = 0.0
    for start in range(0, sound.shape[1], RATE):
        # A tenth of a second on each side keeps the ends of the stretch from mattering.
        stretch = sound[:, max(0, start - 4800) : start + RATE + 4800].astype(np.float64)
        window = np.ones(stretch.shape[1])
        edge = min(2400, stretch.shape[1] // 2)
        window[:edge] = np.linspace(0, 1, edge) if start else 1.0
        if start + RATE + 4800 < sound.shape[1]:
            window[-edge:] = np.linspace(1, 0, edge)
        spectrum = np.fft.rfft(stretch * window, axis=1)
        fine = np.fft.irfft(spectrum, stretch.shape[1] * times, axis=1) * times
        peak = max(peak, float(np.abs(fine).max(initial=0.0)), float(np.abs(stretch * window).max(initial=0.0)))
    return 20 * math.log10(peak) if peak else -math.inf
