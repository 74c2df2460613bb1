"""Sound at another speed with its pitch kept, exact to the sample, along any speed ramp.

WSOLA (Verhelst & Roelands, ICASSP 1993): windows of the source are laid out at an even distance, each taken from near
its place at the point where it best goes on from the one before it. FFmpeg's `atempo` does the same, but holds one
speed, ends on a length of its own and needs a chain of filters below half speed; here every window asks the ramp.
Memory does not grow with length.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from actors.renderer.sound.read import Samples, Tape
from actors.renderer.timeline import SAMPLE_RATE_HZ

__all__ = ["HOP", "REACH", "SourceClock", "stretched"]

HOP: Final = 1024
"""Distance of the windows, samples; each is twice as long: 43 ms holds two periods of the lowest voices."""
REACH: Final = 720
"""How far a window may stray from its place, samples: 15 ms, one period of 67 Hz."""
_PACE_MIN: Final = 0.1
"""The fastest speed, 10."""
_FFT: Final = 4096
_CENTRE_BIAS: Final = 1e-3
"""How much worse a match at the edge of the reach counts: of equal matches the nearest is taken."""
_STEPS: Final = 1 << 20
"""Matches are compared in steps of this, so that the last bit of a transform never decides."""
_QUIET: Final = 1e-7
_KEPT: Final = 16 * HOP
"""More than two windows and the reach on both sides: what a later window may still ask for."""
_WINDOW: Final = np.sin(np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP)).astype(np.float32) ** 2
_AWAY: Final = np.abs(np.arange(-REACH, REACH + 1)) / REACH * _CENTRE_BIAS


class SourceClock:
    """Which source sample an output sample shows, both counted from a clip's start, for a pace linear in source time.

    With pace p0 .. p1 over a stretch L of the source, x of output is y of source where p0 y + (p1 - p0) y^2 / 2L = x.
    """

    def __init__(self, ramp: Sequence[tuple[int, Fraction]]) -> None:
        """Args: ramp: as plan_rules.ramp_of returns it."""
        self._starts: list[float] = []
        self._source: list[float] = []
        self._pace: list[float] = []
        self._bend: list[float] = []
        out = Fraction(0)
        for (left_us, left), (right_us, right) in itertools.pairwise(ramp):
            if right_us <= left_us:
                continue
            self._starts.append(float(out * SAMPLE_RATE_HZ / 1_000_000))
            self._source.append((left_us - ramp[0][0]) * SAMPLE_RATE_HZ / 1_000_000)
            self._pace.append(float(left))
            self._bend.append(float((right - left) / (right_us - left_us) * 1_000_000 / SAMPLE_RATE_HZ))
            out += (right_us - left_us) * (left + right) / 2

    def source_at(self, out: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return source samples for output samples, in order; beyond the last stretch the last pace goes on."""
        at = np.clip(np.searchsorted(self._starts, out, side="right") - 1, 0, None)
        pace, bend = np.take(self._pace, at), np.take(self._bend, at)
        x = out - np.take(self._starts, at)
        # Rounding may put x a hair past the end of a stretch that speeds up; the root stays real.
        root = np.sqrt(np.maximum(pace**2 + 2 * bend * x, _PACE_MIN**2))
        found: NDArray[np.float64] = np.take(self._source, at) + 2 * x / (pace + root)
        return found


def stretched(tape: Tape, clock: SourceClock, count: int) -> Iterator[Samples]:
    """Yield exactly `count` samples. Args: tape: the source from the clip's start; it may go on past the clip's end."""
    reel = _Reel(tape)
    held: Samples = np.zeros((2, HOP), np.float32)  # the second half of the window before
    place = 0
    for number in range(-(-count // HOP) + 1):
        wanted = int(np.rint(clock.source_at(np.array([float(number * HOP)]))[0]))
        place = wanted if number == 0 else _best(reel, goes_on=place + HOP, wanted=wanted)
        window = reel.cut(place - HOP, place + HOP) * _WINDOW
        if number:
            done = held + window[:, :HOP]
            yield done[:, : count - (number - 1) * HOP]
        held = window[:, HOP:]


def _best(reel: _Reel, *, goes_on: int, wanted: int) -> int:
    """Return the middle of the window near `wanted` that is most like the one which would simply go on."""
    if wanted == goes_on:
        return wanted
    like = reel.cut(goes_on - HOP, goes_on + HOP).astype(np.float64)
    own = float(np.sum(like**2))
    if own < _QUIET:
        return wanted
    among = reel.cut(wanted - REACH - HOP, wanted + REACH + HOP).astype(np.float64)
    spectrum = np.sum(np.fft.rfft(among, _FFT) * np.conj(np.fft.rfft(like, _FFT)), axis=0)
    # Not divided by the power of what is compared: a beat then draws windows to itself and is not skipped.
    match = np.fft.irfft(spectrum, _FFT)[: 2 * REACH + 1] / own - _AWAY
    return wanted - REACH + int(np.argmax(np.rint(match * _STEPS)))


class _Reel:
    """A stretch of a tape that is kept while windows are cut from it; silence before its start."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._kept: Samples = np.zeros((2, 0), np.float32)
        self._from = 0

    def cut(self, start: int, end: int) -> Samples:
        """Return [start, end). Windows move forward but for the reach; what lies far behind is let go."""
        self._load(end)
        inside = self._kept[:, max(0, start - self._from) : max(0, end - self._from)]
        short = (end - start) - inside.shape[1]
        return np.pad(inside, ((0, 0), (short, 0))) if short else inside

    def _load(self, end: int) -> None:
        have = self._from + self._kept.shape[1]
        if end <= have:
            return
        keep_from = max(self._from, min(have, end - _KEPT))
        fresh = self._tape.take(end - have)
        self._kept = np.concatenate([self._kept[:, keep_from - self._from :], fresh], axis=1)
        self._from = keep_from
