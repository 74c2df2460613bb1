"""Sound of one file on the output's clock: 48 kHz stereo, gaps silent, exact to the sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.stream import Discard
from numpy.typing import NDArray

from actors.renderer.source.media import Tally, decoded, opened
from actors.renderer.timeline import SAMPLE_RATE_HZ
from actors.runtime.untrusted import bounded
from contracts.errors import Reject

__all__ = ["Samples", "Tape", "aligned", "read"]

Samples = NDArray[np.float32]
"""(2, n) planar stereo, full scale 1.0."""

GAP_S: Final = 0.04
"""Timestamps that stray less than this from the count of samples are jitter; more is a gap or an overlap."""
_SEEK_FROM_US: Final = 3_000_000
_US: Final = 1_000_000
_NOTHING: Final[Samples] = np.zeros((2, 0), np.float32)
_SILENCE_BLOCK: Final = SAMPLE_RATE_HZ


class Tape:
    """Takes any number of samples from blocks of any length; silence after the end."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._rest: Samples = _NOTHING

    def take(self, count: int) -> Samples:
        """Return the next `count` samples."""
        taken = np.zeros((2, count), np.float32)
        have = 0
        while have < count:
            if not self._rest.shape[1]:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = block
            part = self._rest[:, : count - have]
            taken[:, have : have + part.shape[1]] = part
            have += part.shape[1]
            self._rest = self._rest[:, part.shape[1] :]
        return taken

    def close(self) -> None:
        """Let the source go."""
        if hasattr(self._blocks, "close"):
            self._blocks.close()


def read(path: Path, *, zero_us: int | None, start_us: int, tally: Tally) -> Iterator[Samples]:
    """Yield a source's sound from `start_us` after `zero_us` (None: after its own first sample), gaps as silence.

    Raises: Reject if there is no sound, or none that is read.
    """
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise Reject("it has no sound")
        bounded(stream)
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all  # pictures are not even read from the disk
        if zero_us is not None and start_us >= _SEEK_FROM_US and stream.time_base:
            container.seek(int(Fraction(zero_us + start_us - _US, _US) / stream.time_base), stream=stream)
        frames = cast(Iterator[AudioFrame], decoded(container, stream, tally))
        yield from aligned(frames, zero_us=zero_us, start_us=start_us)


def aligned(frames: Iterable[AudioFrame], *, zero_us: int | None, start_us: int) -> Iterator[Samples]:
    """Put decoded sound on the output's clock: `start_us` after `zero_us` is the first sample that is yielded."""
    placer = _Placer()
    run: _Run | None = None
    for frame in frames:
        if not frame.sample_rate or not frame.samples:
            continue
        if run is None or not run.goes_on(frame):
            if run is not None:
                yield from placer.place(*run.end())
            began = _began(frame, Fraction(0) if run is None else run.ends)
            if zero_us is None:
                zero_us = round(began * _US)
            run = _Run(frame, began, round((began - Fraction(zero_us + start_us, _US)) * SAMPLE_RATE_HZ))
        yield from placer.place(*run.add(frame))
    if run is not None:
        yield from placer.place(*run.end())


def _began(frame: AudioFrame, otherwise: Fraction) -> Fraction:
    return frame.pts * frame.time_base if frame.pts is not None and frame.time_base else otherwise


class _Run:
    """Frames that follow each other without a gap, through one resampler."""

    def __init__(self, first: AudioFrame, began: Fraction, at: int) -> None:
        self._began = began
        self._began_s = float(began)
        self._rate_hz = first.sample_rate
        self._samples = 0
        self._kind = _kind(first)
        self._at = at
        # Mono goes to both sides at its own level. FFmpeg mixes more channels by Rec. ITU-R BS.775-4, annex 4: centre
        # and surrounds 3 dB lower, no low-frequency channel; all levels are scaled so that the sum stays in full scale.
        layout = "mono" if first.layout.nb_channels == 1 else "stereo"
        options = {"rematrix_maxval": "1.0"}
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE_HZ, options=options)

    @property
    def ends(self) -> Fraction:
        """Where the next frame is expected, seconds."""
        return self._began + Fraction(self._samples, self._rate_hz)

    def goes_on(self, frame: AudioFrame) -> bool:
        if _kind(frame) != self._kind:
            return False
        time_s = frame.time
        return time_s is None or abs(time_s - self._began_s - self._samples / self._rate_hz) <= GAP_S

    def add(self, frame: AudioFrame) -> tuple[Samples, int]:
        """Return what comes out, and its first sample's place in the output."""
        self._samples += frame.samples
        return self._out(self._resampler.resample(frame))

    def end(self) -> tuple[Samples, int]:
        return self._out(self._resampler.resample(None))

    def _out(self, frames: list[AudioFrame]) -> tuple[Samples, int]:
        blocks = [frame.to_ndarray() for frame in frames if frame is not None] or [_NOTHING]
        joined = (blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)).astype(np.float32, copy=False)
        at = self._at
        self._at += joined.shape[1]
        return joined if len(joined) == 2 else np.broadcast_to(joined, (2, joined.shape[1])), at


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _Placer:
    """Turns blocks with places into one unbroken stream from 0: silence in gaps, the later part of overlaps."""

    def __init__(self) -> None:
        self._next = 0

    def place(self, block: Samples, at: int) -> Iterator[Samples]:
        count = block.shape[1]
        while count and at > self._next:
            gap = min(at - self._next, _SILENCE_BLOCK)
            self._next += gap
            yield np.zeros((2, gap), np.float32)
        fresh = block[:, max(0, self._next - at) :]
        if fresh.shape[1]:
            self._next += fresh.shape[1]
            yield fresh
