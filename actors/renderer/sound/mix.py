"""Sound of the output: every source resampled to 48 kHz stereo, cut to its clips, mixed, exact to the sample.

Sample 0 of the output is heard with frame 0. Memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from msgspec import Struct
from numpy.typing import NDArray

from actors.renderer.source.media import Tally, decoded, opened, why
from actors.renderer.timeline import SAMPLE_RATE_HZ, sample_at, spans
from contracts.errors import Reject
from contracts.plan import Plan

__all__ = ["Cut", "Mixer", "Samples", "aligned", "cuts", "read"]

Samples = NDArray[np.float32]
"""(2, n) planar stereo, full scale 1.0."""

GAP_S: Final = 0.04
"""Timestamps that stray less than this from the count of samples are jitter; more is a gap or an overlap."""
_SEEK_FROM_US: Final = 3_000_000
_US: Final = 1_000_000
_NOTHING: Final[Samples] = np.zeros((2, 0), np.float32)
_SILENCE_BLOCK: Final = SAMPLE_RATE_HZ


class Cut(Struct, frozen=True, kw_only=True):
    """A stretch of one source at its place in the output. Ends are output samples; source_us is where it begins."""

    source: str
    voice: bool
    source_us: int
    start: int
    end: int
    gain: float


def cuts(plan: Plan, total: int) -> tuple[Cut, ...]:
    """Lay the sounds of a plan out over `total` samples, in order of their start."""
    found: list[Cut] = []
    laid = spans(plan)
    for track in plan.audio:
        gain = 10.0 ** (track.gain_db / 20)
        if track.role == "voice":
            start = sample_at(track.at_us)
            found.append(Cut(source=track.source, voice=True, source_us=0, start=start, end=total, gain=gain))
            continue
        for at, span in enumerate(laid):
            if span.clip.source == track.source:
                end = total if at == len(laid) - 1 else min(total, sample_at(span.out_end_us))
                found.append(
                    Cut(
                        source=track.source,
                        voice=False,
                        source_us=span.clip.start_us,
                        start=sample_at(span.out_start_us),
                        end=end,
                        gain=gain,
                    )
                )
    return tuple(sorted((cut for cut in found if cut.start < cut.end), key=lambda cut: cut.start))


class Mixer:
    """Adds the sounds up, block by block."""

    def __init__(self, plan: Plan, total: int, paths: dict[str, Path], zeros_us: dict[str, int]) -> None:
        self.notes: list[str] = []
        self._waiting = list(cuts(plan, total))
        self._playing: list[tuple[Cut, _Tape]] = []
        self._paths = paths
        self._zeros_us = zeros_us
        self._at = 0
        self._noted: set[str] = set()

    def mix(self, count: int) -> Samples:
        """Return the next `count` samples, never beyond full scale."""
        block = np.zeros((2, count), np.float32)
        start, end = self._at, self._at + count
        while self._waiting and self._waiting[0].start < end:
            cut = self._waiting.pop(0)
            self._playing.append((cut, _Tape(self._blocks(cut))))
        for cut, tape in self._playing:
            first, last = max(cut.start, start), min(cut.end, end)
            if first < last:
                block[:, first - start : last - start] += tape.take(last - first) * np.float32(cut.gain)
        for cut, tape in [playing for playing in self._playing if playing[0].end <= end]:
            tape.close()
            self._playing.remove((cut, tape))
        self._at = end
        return np.clip(block, -1.0, 1.0, out=block)

    def close(self) -> None:
        """Let the sources go."""
        for _, tape in self._playing:
            tape.close()

    def _blocks(self, cut: Cut) -> Iterator[Samples]:
        tally = Tally()
        zero_us = None if cut.voice else self._zeros_us[cut.source]
        try:
            yield from read(self._paths[cut.source], zero_us=zero_us, start_us=cut.source_us, tally=tally)
        except Reject as error:
            self._note(cut.source, error.reason)
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, ValueError) as error:  # a channel layout that cannot be mixed, say
            self._note(cut.source, f"its sound cannot be converted ({why(error)})")
        if tally.failed and not tally.whole:
            self._note(cut.source, f"its sound cannot be decoded{tally.detail}")
        elif tally.damaged:
            self._note(cut.source, f"{tally.damaged} packets of its sound are damaged{tally.detail}")

    def _note(self, source: str, reason: str) -> None:
        if source not in self._noted:
            self._noted.add(source)
            self.notes.append(f"source {source}: {reason}; silence stands in")


class _Tape:
    """Takes any number of samples from blocks of any length; silence after the end."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._rest: Samples = _NOTHING

    def take(self, count: int) -> Samples:
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
        if hasattr(self._blocks, "close"):
            self._blocks.close()


def read(path: Path, *, zero_us: int | None, start_us: int, tally: Tally) -> Iterator[Samples]:
    """Yield a source's sound from `start_us` after `zero_us` (None: after its own first sample), gaps as silence.

    Raises: Reject if there is no sound.
    """
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise Reject("it has no sound")
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
        began = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None
        if began is None:
            began = run.ends if run is not None else Fraction(0)
        if zero_us is None:
            zero_us = round(began * _US)
        if run is None or not run.goes_on(frame, began):
            if run is not None:
                yield from placer.place(*run.end())
            at = round((began - Fraction(zero_us + start_us, _US)) * SAMPLE_RATE_HZ)
            run = _Run(frame, began, at)
        yield from placer.place(*run.add(frame))
    if run is not None:
        yield from placer.place(*run.end())


class _Run:
    """Frames that follow each other without a gap, through one resampler. ends: where the next frame is expected."""

    def __init__(self, first: AudioFrame, began: Fraction, at: int) -> None:
        self.ends = began
        self._kind = _kind(first)
        self._at = at
        # Mono goes to both sides at its own level; of more channels the sum stays within full scale.
        layout = "mono" if first.layout.nb_channels == 1 else "stereo"
        options = {"rematrix_maxval": "1.0"}
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE_HZ, options=options)

    def goes_on(self, frame: AudioFrame, began: Fraction) -> bool:
        return _kind(frame) == self._kind and abs(began - self.ends) <= GAP_S

    def add(self, frame: AudioFrame) -> tuple[Samples, int]:
        """Return what comes out, and its first sample's place in the output."""
        self.ends += Fraction(frame.samples, frame.sample_rate)
        return self._out(self._resampler.resample(frame))

    def end(self) -> tuple[Samples, int]:
        return self._out(self._resampler.resample(None))

    def _out(self, frames: list[AudioFrame]) -> tuple[Samples, int]:
        blocks = [frame.to_ndarray() for frame in frames if frame is not None]
        joined = np.concatenate(blocks, axis=1).astype(np.float32, copy=False) if blocks else _NOTHING
        at = self._at
        self._at += joined.shape[1]
        return np.broadcast_to(joined, (2, joined.shape[1])), at


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
