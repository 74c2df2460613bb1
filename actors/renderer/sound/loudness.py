"""To a wanted loudness and true peak, in two passes: listen to the whole and note it down, then set the level.

What is noted, 8 bytes for each 5 ms, holds all that the second pass needs: how loud the sound becomes under any level
and limiter is computed from it, so the level is found without listening again, and the limiter knows what comes.
Loudness and true peak: Rec. ITU-R BS.1770-5 (11/2023), annexes 1 and 2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, cast

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from msgspec import Struct
from numpy.typing import NDArray

from actors.renderer.sound.envelope import Gains
from actors.renderer.sound.read import Samples
from actors.renderer.timeline import SAMPLE_RATE_HZ
from contracts.plan import Loudness

__all__ = ["SLOT", "Heard", "Listener", "Mastering", "mastering"]

SLOT: Final = SAMPLE_RATE_HZ * 5 // 1000
BLOCK_SLOTS: Final = 80
"""A gating block: 400 ms."""
STEP_SLOTS: Final = 20
"""Blocks begin 100 ms apart."""
SILENCE_LUFS: Final = -70.0
"""The absolute gate. What lies below it as a whole is silence and is never raised."""
RELATIVE_GATE_LU: Final = -10.0
OFFSET_LU: Final = -0.691

ATTACK_DB: Final = 3.0
"""How fast the limiter goes down at most, a slot: 0.6 dB/ms, before the peak comes."""
RELEASE_DB: Final = 0.6
"""How fast it comes up again, a slot: 120 dB/s."""
MAX_DRIVE_DB: Final = 12.0
"""What the limiter takes from the loudness is made up for by as much at most: more would level the sound out."""
LOUD_RAISE_DB: Final = 30.0
"""From here on a raise is worth a note."""
TOLERANCE_LU: Final = 0.3
_STEP_LU: Final = 0.01
_TOGETHER: Final = SAMPLE_RATE_HZ
"""Samples that are listened to at a time, however short the blocks are."""
_MINUTE_SLOTS: Final = 12_000
"""What is computed at a time, so that memory stays flat."""
_BEFORE_SLOTS: Final = 80
_AFTER_SLOTS: Final = 400
"""How far a peak is felt before and after it: 240 dB."""
_STEP_DB: Final = 0.001
"""Levels are set in steps of this, so that the last bit of a sum decides nothing."""

_SHELF: Final = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
_HIGH_PASS: Final = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)
"""Annex 1, tables 1 and 2, 48 kHz: b0 b1 b2 a1 a2."""
_SIDE: Final = 24
"""Samples on each side from which a value between two samples is made."""


def _between(share: float) -> NDArray[np.float32]:
    """Return the taps for the value `share` of the way from a sample to the next: a sinc under a Kaiser window."""
    away = np.arange(1 - _SIDE, _SIDE + 1) - share
    taps = np.sinc(away) * np.i0(5.0 * np.sqrt(np.maximum(0, 1 - (away / _SIDE) ** 2)))
    return np.array([taps / taps.sum()], np.float32)


_BETWEEN: Final = [_between(quarter / 4) for quarter in (1, 2, 3)]
"""Annex 2 asks for four times the rate."""


class Heard(Struct, frozen=True):
    """A sound as noted down, by slots. power: mean square of both sides after K-weighting; peak: true peak."""

    power: NDArray[np.float32]
    peak: NDArray[np.float32]

    def peak_dbtp(self) -> float:
        """Return the true peak of the whole, dBTP; -inf: silence."""
        peak = float(self.peak.max(initial=0.0))
        return 20 * math.log10(peak) if peak else -math.inf

    def lufs(self, gain_db: float = 0.0, ceiling_db: float = math.inf) -> float:
        """Return the integrated loudness at a level and under a limiter; -inf: silence."""
        whole = len(self.power) // STEP_SLOTS * STEP_SLOTS
        steps: list[NDArray[np.float64]] = []
        for start, edges in self.edges(gain_db, ceiling_db):
            left, right = edges[:-1], edges[1:]
            # The mean square of a straight line.
            power = self.power[start : start + len(left)] * ((left**2 + left * right + right**2) / 3)
            if len(self.power) < BLOCK_SLOTS:
                return _gated(np.array([power.mean()]))  # too short to gate: the whole is one block
            steps.append(power[: whole - start].reshape(-1, STEP_SLOTS).mean(axis=1))
        if not steps:
            return -math.inf
        sums = np.concatenate([[0.0], np.cumsum(np.concatenate(steps))])
        span = BLOCK_SLOTS // STEP_SLOTS
        return _gated((sums[span:] - sums[:-span]) / span)

    def edges(self, gain_db: float, ceiling_db: float) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield a minute's first slot and the factors at the edges of its slots, those at both ends with it.

        At an edge the lower of its two sides counts, so that no slot is ever above what its peak allows.
        """
        count = len(self.peak)
        for start in range(0, count, _MINUTE_SLOTS):
            end = min(count, start + _MINUTE_SLOTS)
            low, high = max(0, start - _AFTER_SLOTS), min(count, end + _BEFORE_SLOTS)
            taken = np.pad(_limited(self.peak[low:high], gain_db, ceiling_db), 1, mode="edge")
            lower = np.minimum(taken[:-1], taken[1:])[start - low : end - low + 1]
            yield start, 10.0 ** ((lower + gain_db) / 20)


def _gated(blocks: NDArray[np.float64]) -> float:
    audible = blocks[blocks > _power(SILENCE_LUFS)]
    if not audible.size:
        return -math.inf
    kept = audible[audible > audible.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return OFFSET_LU + 10 * math.log10(float(kept.mean()))


def _power(lufs: float) -> float:
    return 10 ** ((lufs - OFFSET_LU) / 10)


class Listener:
    """Notes a sound down while it streams by."""

    def __init__(self) -> None:
        self._filter = _KWeighting()
        self._power: list[NDArray[np.float32]] = []
        self._peak: list[NDArray[np.float32]] = []
        self._held: Samples = np.zeros((2, _SIDE), np.float32)
        self._coming: list[Samples] = []
        self._waiting = 0

    def hear(self, block: Samples) -> None:
        """Take the next block, of any length; it must not change afterwards."""
        self._coming.append(block)
        self._waiting += block.shape[1]
        if self._waiting >= _TOGETHER:
            self._take()

    def _take(self) -> None:
        joined = np.concatenate([self._held, *self._coming], axis=1)
        self._coming, self._waiting = [], 0
        whole = max(0, joined.shape[1] - 2 * _SIDE) // SLOT * SLOT
        if whole:
            self._note(joined[:, : whole + 2 * _SIDE])
        self._held = joined[:, whole:]

    def heard(self) -> Heard:
        """Return what was noted, the sound being over."""
        self._take()
        count = self._held.shape[1] - _SIDE
        if count:
            self._coming.append(np.zeros((2, -count % SLOT + _SIDE), np.float32))
            self._take()
        empty = np.zeros(0, np.float32)
        return Heard(np.concatenate([empty, *self._power]), np.concatenate([empty, *self._peak]))

    def _note(self, around: Samples) -> None:
        samples = around[:, _SIDE:-_SIDE]
        weighted = self._filter.weigh(samples)
        self._power.append(2 * np.mean(weighted.reshape(2, -1, SLOT) ** 2, axis=(0, 2)))
        peak = np.abs(samples)
        for taps in _BETWEEN:
            between = cv2.filter2D(around, cv2.CV_32F, taps, anchor=(_SIDE - 1, 0))[:, _SIDE:-_SIDE]
            np.maximum(peak, np.abs(between), out=peak)
        self._peak.append(peak.reshape(2, -1, SLOT).max(axis=(0, 2)))


class _KWeighting:
    """The two filters of annex 1, run by FFmpeg."""

    def __init__(self) -> None:
        graph = Graph()
        base = Fraction(1, SAMPLE_RATE_HZ)
        self._source = graph.add_abuffer(format="fltp", sample_rate=SAMPLE_RATE_HZ, layout="stereo", time_base=base)
        self._sink = graph.add("abuffersink")
        chain = [self._source, *(graph.add("biquad", _spelt(kind)) for kind in (_SHELF, _HIGH_PASS)), self._sink]
        for left, right in itertools.pairwise(chain):
            left.link_to(right)
        graph.configure()
        self._graph = graph
        self._at = 0

    def weigh(self, samples: Samples) -> Samples:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ), self._at
        self._at += samples.shape[1]
        self._source.push(frame)
        found: list[Samples] = []
        while True:
            try:
                found.append(cast(AudioFrame, self._sink.pull()).to_ndarray().astype(np.float32, copy=False))
            except (av.BlockingIOError, av.EOFError):
                break
        return np.concatenate(found, axis=1)


def _spelt(kind: tuple[float, ...]) -> str:
    named = zip(("b0", "b1", "b2", "a1", "a2", "a0"), (*kind, 1.0), strict=True)
    return ":".join(f"{name}={value!r}" for name, value in named)


class Mastering(Struct, frozen=True):
    """What the second pass does.

    at_edges: factors at the slots' edges, the level glides from one to the next; lufs: the loudness then.
    """

    at_edges: NDArray[np.float32]
    lufs: float
    notes: tuple[str, ...]

    def gains(self, first: int, last: int) -> Gains:
        """Return the factors of the samples [first, last)."""
        low, high = first // SLOT, -(-last // SLOT)
        edges = self.at_edges[low : high + 1]
        if np.all(edges == edges[0]):
            return np.full(last - first, edges[0], np.float32)
        return np.interp(np.arange(first, last), np.arange(low, low + len(edges)) * SLOT, edges).astype(np.float32)


def mastering(heard: Heard, wanted: Loudness) -> Mastering:
    """Find the level and the limiter that bring a sound to the wanted loudness and keep its peaks below the wanted."""
    ceiling_db = wanted.true_peak_dbtp
    before = heard.lufs()
    notes: list[str] = []
    gain_db = 0.0
    if not math.isinf(before):
        gain_db = _level(heard, before, wanted)
        raised_db = wanted.integrated_lufs - before
        if raised_db > LOUD_RAISE_DB:
            notes.append(
                f"the sound is very quiet ({before:.0f} LUFS): raised by {raised_db:.0f} dB, its noise with it"
            )
    loudness = heard.lufs(gain_db, ceiling_db)
    if not math.isinf(before) and loudness < wanted.integrated_lufs - TOLERANCE_LU:
        notes.append(
            f"the sound reaches {loudness:.1f} LUFS, not {wanted.integrated_lufs:.1f}: its peaks leave no room for more"
        )
    minutes = [edges.astype(np.float32) for _, edges in heard.edges(gain_db, ceiling_db)]
    # The last edge of a minute is the first of the next.
    at_edges = np.concatenate([*(edges[:-1] for edges in minutes), minutes[-1][-1:]] if minutes else [np.ones(2)])
    return Mastering(at_edges.astype(np.float32, copy=False), loudness, tuple(notes))


def _level(heard: Heard, before: float, wanted: Loudness) -> float:
    """Return the level that reaches the wanted loudness, or, where the limiter takes too much, comes near it; dB."""
    low = _stepped(wanted.integrated_lufs - before)
    if heard.lufs(low, wanted.true_peak_dbtp) >= wanted.integrated_lufs - _STEP_LU:
        return low
    high = _stepped(low + MAX_DRIVE_DB)
    while high - low > 1.5 * _STEP_DB:
        middle = _stepped((low + high) / 2)
        if heard.lufs(middle, wanted.true_peak_dbtp) < wanted.integrated_lufs:
            low = middle
        else:
            high = middle
    return high


def _stepped(level_db: float) -> float:
    return round(level_db / _STEP_DB) * _STEP_DB


def _limited(peak: NDArray[np.float32], gain_db: float, ceiling_db: float) -> NDArray[np.float64]:
    """Return what the limiter takes from each slot, dB, 0 or less: as much as its peak asks for, and ways there."""
    with np.errstate(divide="ignore"):
        room_db = ceiling_db - gain_db - 20 * np.log10(peak.astype(np.float64))
    taken = np.floor(np.minimum(room_db, 0.0) / _STEP_DB) * _STEP_DB
    if not taken.any():
        return taken
    slots = np.arange(len(taken))
    after = np.minimum.accumulate(taken - RELEASE_DB * slots) + RELEASE_DB * slots
    before = np.minimum.accumulate((taken + ATTACK_DB * slots)[::-1])[::-1] - ATTACK_DB * slots
    nearest: NDArray[np.float64] = np.minimum(np.minimum(after, before), 0.0)
    return nearest
