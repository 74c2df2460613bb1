"""Sound of the output: every source cut to its clips, at its level, mixed and brought to the wanted loudness.

Sample 0 of the output is heard with frame 0. Memory does not grow with length, but for 12 bytes noted per 5 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import av.error
import numpy as np
from msgspec import Struct

from actors.renderer.sound.cuts import Cut, cuts, paced
from actors.renderer.sound.envelope import Duck, Fade
from actors.renderer.sound.loudness import Listener, Mastering, mastering
from actors.renderer.sound.read import Samples, Tape, read
from actors.renderer.sound.speech import spoken
from actors.renderer.sound.tempo import SourceClock, stretched
from actors.renderer.sound.trim import Trim
from actors.renderer.source.media import Tally, why
from actors.renderer.timeline import SAMPLE_RATE_HZ, sample_at
from contracts.errors import Reject
from contracts.plan import AudioTrack, Plan
from contracts.plan_rules import ramp_of

__all__ = ["Mixer", "Samples"]

_BLOCK: Final = SAMPLE_RATE_HZ
_LOOP_KEPT: Final = 30 * SAMPLE_RATE_HZ
"""A loop up to so long is kept in memory; a longer one is read again each time."""


class Mixer:
    """Gives the finished sound, block by block. The first block waits until the whole has been listened to once."""

    def __init__(
        self,
        plan: Plan,
        total: int,
        paths: dict[str, Path],
        zeros_us: dict[str, int],
        *,
        trim: Trim | None = None,
    ) -> None:
        """Args: total: samples of the output; zeros_us: when each clip's source shows its first frame, its own time."""
        self.notes: list[str] = []
        self.lufs = -math.inf
        """Loudness of what is given, known from the first block on if the plan wants one; -inf: silence."""
        self._trim = trim or Trim.first(plan.output)
        self._plan = plan
        self._total = total
        self._sources = _Sources(paths, zeros_us, self.notes)
        self._mix: _Mix | None = None
        self._mastering: Mastering | None = None
        self._at = 0

    def mix(self, count: int) -> Samples:
        """Return the next `count` samples, never beyond full scale."""
        if self._mix is None:
            self._mix = self._prepared()
        block = self._mix.take(count)
        if self._mastering is not None:
            block *= self._mastering.gains(self._at, self._at + count)
        self._at += count
        return np.clip(block, -1.0, 1.0, out=block)

    def close(self) -> None:
        """Let the sources go."""
        if self._mix is not None:
            self._mix.close()

    def _prepared(self) -> _Mix:
        laid = cuts(self._plan, self._total)
        levels = _levels(self._plan, laid, self._sources)
        wanted = self._plan.output.loudness
        if wanted is not None:
            listener = Listener()
            mix = _Mix(self._plan, laid, levels, self._sources)
            for at in range(0, self._total, _BLOCK):
                listener.hear(mix.take(min(_BLOCK, self._total - at)))
            mix.close()
            self._mastering = mastering(listener.heard(), self._trim.aim(wanted))
            self.lufs = self._mastering.lufs
            self.notes += self._mastering.notes
        return _Mix(self._plan, laid, levels, self._sources)


class _Sources:
    """Opens the sound of cuts. What is wrong with a source is noted once."""

    def __init__(self, paths: dict[str, Path], zeros_us: dict[str, int], notes: list[str]) -> None:
        self._paths = paths
        self._zeros_us = zeros_us
        self._notes = notes

    def blocks(self, cut: Cut) -> Iterator[Samples]:
        """Yield a source's sound from where the cut begins, at its own speed."""
        tally = Tally()
        zero_us = None if cut.clip is None else self._zeros_us[cut.source]
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

    def looped(self, cut: Cut) -> Iterator[Samples]:
        """Yield the sound of a cut again and again, for ever; nothing if there is none."""
        kept: list[Samples] = []
        length = 0
        for block in self.blocks(cut):
            length += block.shape[1]
            if length <= _LOOP_KEPT:
                kept.append(np.array(block))
            yield block
        if not length:
            return
        while True:
            yield from kept if length <= _LOOP_KEPT else self.blocks(cut)

    def _note(self, source: str, reason: str) -> None:
        note = f"source {source}: {reason}; silence stands in"
        if note not in self._notes:
            self._notes.append(note)


class _Playing(Struct):
    cut: Cut
    tape: Tape


class _Mix:
    """Adds the sounds up, block by block, each at its level."""

    def __init__(self, plan: Plan, laid: tuple[Cut, ...], levels: list[_Level], sources: _Sources) -> None:
        self._tracks = plan.audio
        self._sources = sources
        self._levels = levels
        self._waiting = list(laid)
        self._playing: list[_Playing] = []
        self._at = 0

    def take(self, count: int) -> Samples:
        """Return the next `count` samples."""
        block = np.zeros((2, count), np.float32)
        start, end = self._at, self._at + count
        while self._waiting and self._waiting[0].start < end:
            cut = self._waiting.pop(0)
            self._playing.append(_Playing(cut, self._tape(cut)))
        for playing in self._playing:
            cut = playing.cut
            first, last = max(cut.start, start), min(cut.end, end)
            if first < last:
                part = playing.tape.take(last - first)
                self._levels[cut.track].apply(part, cut, first, last)
                block[:, first - start : last - start] += part
        for playing in [playing for playing in self._playing if playing.cut.end <= end]:
            playing.tape.close()
            self._playing.remove(playing)
        self._at = end
        return block

    def close(self) -> None:
        for playing in self._playing:
            playing.tape.close()

    def _tape(self, cut: Cut) -> Tape:
        if cut.clip is None:
            loops = _loops(self._tracks[cut.track])
            return Tape(self._sources.looped(cut) if loops else self._sources.blocks(cut))
        tape = Tape(self._sources.blocks(cut))
        if not paced(cut.clip):
            return tape
        return Tape(stretched(tape, SourceClock(ramp_of(cut.clip)), cut.end - cut.start))


class _Level:
    """How loud one track is at each moment: its gain, its fades, its ducking."""

    def __init__(self, gain_db: float, shapes: Sequence[Fade | Duck]) -> None:
        self._gain = np.float32(10.0 ** (gain_db / 20))
        self._shapes = shapes

    def apply(self, part: Samples, cut: Cut, first: int, last: int) -> None:
        """Bring the samples [first, last) of the output to their level, in place."""
        part *= self._gain
        for shape in (*self._shapes, *cut.fades):
            gains = shape.gains(first, last)
            if gains is not None:
                part *= gains


def _levels(plan: Plan, laid: tuple[Cut, ...], sources: _Sources) -> list[_Level]:
    """Return the level of each track. Voices that others make way for, and sounds that end by themselves, are read."""
    speech: list[tuple[int, int]] = []
    if any(track.duck_db for track in plan.audio):
        speech = [
            (cut.start + start, cut.start + end)
            for cut in laid
            if plan.audio[cut.track].role == "voice"
            for start, end in spoken(_limited_to(sources.blocks(cut), cut.end - cut.start))
        ]
    levels: list[_Level] = []
    for number, track in enumerate(plan.audio):
        shapes: list[Fade | Duck] = [*_track_fades(track, [cut for cut in laid if cut.track == number], sources)]
        if speech and track.duck_db and track.role != "voice":
            shapes.append(Duck(speech, track.duck_db))
        levels.append(_Level(track.gain_db, shapes))
    return levels


def _track_fades(track: AudioTrack, own: list[Cut], sources: _Sources) -> Iterator[Fade]:
    if own and track.fade_in_us:
        start = own[0].start
        yield Fade(start, start + sample_at(track.fade_in_us), rising=True)
    if own and track.fade_out_us:
        end = max(cut.end for cut in own)
        if track.role != "clips" and not _loops(track):
            end = own[0].start + _length(sources.blocks(own[0]), end - own[0].start)
        yield Fade(end - sample_at(track.fade_out_us), end, rising=False)


def _loops(track: AudioTrack) -> bool:
    return track.loop and track.role == "music"


def _length(blocks: Iterator[Samples], most: int) -> int:
    """Return how many samples there are, `most` at most."""
    return sum(block.shape[1] for block in _limited_to(blocks, most))


def _limited_to(blocks: Iterator[Samples], count: int) -> Iterator[Samples]:
    """Yield the first `count` samples at most."""
    for block in blocks:
        yield block[:, :count]
        count -= block.shape[1]
        if count <= 0:
            break
