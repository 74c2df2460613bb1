"""The CPU engine: chunks of a plan are decoded, drawn and encoded in three threads, with bounded queues.

Everything stays in 4:2:0 planes from decoder to encoder, frames are used again, and memory does not depend on the
length of the plan. One run of the threads makes chunk after chunk: where one follows on the other, reading goes on.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import av.error
import cv2
from av.video.frame import VideoFrame
from msgspec.structs import replace

from actors.renderer import gate
from actors.renderer.channel import Channel, Stopped
from actors.renderer.chunkfile import ChunkFacts, Shown, SoundFacts, seal
from actors.renderer.chunks import Chunk, sound_key
from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.looks import look_of, read_cube
from actors.renderer.draw.scene import Director, Shape
from actors.renderer.encode import AAC_FRAME, PictureWriter, SoundWriter
from actors.renderer.job import ENGINE, FontFile, Made
from actors.renderer.join import kept_as
from actors.renderer.sound.mix import Mixer
from actors.renderer.sound.trim import Trim, settled
from actors.renderer.source.picture import Picture, planes_of
from actors.renderer.source.video import ClipReader, first_frame_us
from actors.renderer.text.stamps import blend
from actors.renderer.text.texts import Texts
from actors.renderer.timeline import (
    Span,
    Strip,
    frame_count,
    frame_time_us,
    samples_of_frames,
    spans,
    wanted_us,
)
from actors.runtime.damage import Tally, why
from contracts.errors import Reject
from contracts.plan import Grade, Image, Loudness, Plan, duration_us

__all__ = ["Materials", "Target", "render_chunks", "render_sound"]

_C: Final = ctypes.CDLL(None)
DECODER_THREADS: Final = 1
"""Of each source's decoder; cores are filled with chunks. It does not change what is decoded."""
QUEUE_FRAMES: Final = 2
TELL_EVERY_FRAMES: Final = 10


class Materials(NamedTuple):
    """What a plan is rendered from. paths: local file of each plan source, by source id."""

    plan: Plan
    paths: dict[str, Path]
    fonts: tuple[FontFile, ...] = ()


class Target(NamedTuple):
    """A chunk to be made. part: file that is written; out: what it is renamed to when it is checked.

    failed: what it is renamed to if it fails its check.
    """

    chunk: Chunk
    part: Path
    out: Path
    failed: Path


class _Shown(NamedTuple):
    number: int
    strips: tuple[Strip, ...]
    pictures: tuple[Picture, ...]


class _Drawn(NamedTuple):
    frame: VideoFrame
    signature: bytes


class _Account(NamedTuple):
    """What became of reading the sources of a chunk, source time."""

    asked_us: int
    usable_us: int
    tally: Tally


class _End(NamedTuple):
    """Follows the last frame of a chunk."""

    account: _Account
    shown: tuple[Shown, ...] = ()


def render_chunks(
    materials: Materials,
    coming: Callable[[], Target | None],
    done: Callable[[Target, Made], None],
    tell: Callable[[int], None],
) -> None:
    """Make the chunks that `coming` names, one after the other; each file appears only when it is checked.

    Args: coming: is asked ahead of time, from another thread; tell: gets numbers of frames that are newly done.
    Raises: Reject if a source cannot be used; gate.GateFailed if a chunk is not what was drawn.
    """
    cv2.setNumThreads(1)
    _Run(materials, coming).write(done, tell)


class _Run:
    """One run of the three threads."""

    def __init__(self, materials: Materials, coming: Callable[[], Target | None]) -> None:
        plan = self._plan = materials.plan
        self._coming = coming
        self._reading = _Reading(materials)
        tables = {name: read_cube(materials.paths[name], name) for name in _tables(plan)}
        self._director = Director(plan, lambda grades: look_of(grades, tables))
        self._canvas = CpuCanvas(plan.output.width_px, plan.output.height_px)
        images = {shown.source: materials.paths[shown.source] for shown in plan.overlays if isinstance(shown, Image)}
        self._texts = Texts(plan, materials.fonts, images)
        # A chunk's target, its frames, its end.
        self._shown: Channel[Target | _Shown | _End] = Channel(QUEUE_FRAMES)
        self._drawn: Channel[Target | _Drawn | _End] = Channel(QUEUE_FRAMES)
        self._spare: Channel[VideoFrame] = Channel(QUEUE_FRAMES + 3)

    def write(self, done: Callable[[Target, Made], None], tell: Callable[[int], None]) -> None:
        """Make all chunks. Raises: Reject, gate.GateFailed."""
        output = self._plan.output
        for _ in range(QUEUE_FRAMES + 2):
            self._spare.put(VideoFrame(output.width_px, output.height_px, "yuv420p"))
        threads = [
            threading.Thread(target=self._stage, args=(stage, channel), name=stage.__name__, daemon=True)
            for stage, channel in ((self._decode, self._shown), (self._draw, self._drawn))
        ]
        for thread in threads:
            thread.start()
        coming = iter(self._drawn)
        try:
            for target in coming:
                assert isinstance(target, Target)
                done(target, self._encode(target, coming, tell))
        finally:
            for channel in (self._shown, self._drawn, self._spare):
                channel.stop()
            for thread in threads:
                thread.join()
            self._reading.close()

    def _stage(self, stage: Callable[[], None], channel: Channel[Any]) -> None:
        try:
            stage()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # the encoder's thread raises it again
            channel.end(error)
        else:
            channel.end()

    def _decode(self) -> None:
        at = -1
        while (target := self._coming()) is not None:
            chunk = target.chunk
            if chunk.first_frame != at:
                self._reading.close()
            self._shown.put(target)
            for number in range(chunk.first_frame, chunk.end_frame):
                strips = self._director.strips(number)
                self._shown.put(_Shown(number, strips, self._reading.pictures(number, strips)))
            self._shown.put(_End(self._reading.account()))
            at = chunk.end_frame

    def _draw(self) -> None:
        fps = self._plan.output.fps
        sources = _Sources()
        for shown in self._shown:
            if isinstance(shown, Target):
                self._drawn.put(shown)
            elif isinstance(shown, _End):
                self._drawn.put(shown._replace(shown=sources.taken()))
            else:
                frame = self._spare.get()
                sources.note(shown)
                shapes = tuple(Shape(one.width_px, one.height_px, one.aspect, one.turn) for one in shown.pictures)
                self._canvas.draw(self._director.recipe(shown.number, shapes), shown.pictures, frame)
                planes = planes_of(frame)
                for stamp in self._texts.at(frame_time_us(shown.number, fps)):
                    blend(planes, stamp)
                self._drawn.put(_Drawn(frame, gate.signature(planes[0]).tobytes()))

    def _encode(self, target: Target, coming: Iterator[Target | _Drawn | _End], tell: Callable[[int], None]) -> Made:
        """Write, check and seal one chunk."""
        signatures = bytearray()
        count = 0
        with PictureWriter(target.part, self._plan.output) as writer:
            for drawn in coming:
                if not isinstance(drawn, _Drawn):
                    break
                writer.write(drawn.frame)
                signatures += drawn.signature
                self._spare.put(drawn.frame)
                count += 1
                if count % TELL_EVERY_FRAMES == 0:
                    tell(TELL_EVERY_FRAMES)
        assert isinstance(drawn, _End)
        _give_back_memory()
        tell(count % TELL_EVERY_FRAMES)
        try:
            digest, delay = gate.check_chunk(target.part, self._plan.output, gate.signatures_of(bytes(signatures)))
        except gate.GateFailed as error:
            raise gate.GateFailed(f"{error}{kept_as(target.part, target.failed)}") from error
        account = drawn.account
        facts = ChunkFacts(
            key=target.chunk.key,
            engine=ENGINE,
            first_frame=target.chunk.first_frame,
            frames=count,
            delay=delay,
            packets_sha256=digest,
            signatures=bytes(signatures),
            shown=drawn.shown,
            asked_us=account.asked_us,
            usable_us=account.usable_us,
            whole=account.tally.whole,
            damaged=account.tally.damaged,
            last_error=account.tally.last_error,
        )
        return _stored(target.part, target.out, facts)


def _give_back_memory() -> None:
    """Return what the encoder has freed to the system, where the C library keeps it: the check needs its own."""
    if sys.platform == "linux" and hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)


def _tables(plan: Plan) -> set[str]:
    return {effect.table.source for effect in plan.effects if isinstance(effect, Grade) and effect.table is not None}


def _stored(part: Path, out: Path, facts: ChunkFacts | SoundFacts) -> Made:
    sha256 = seal(part, facts)
    size_bytes = part.stat().st_size
    part.replace(out)
    return Made(sha256=sha256, size_bytes=size_bytes, notes=facts.notes if isinstance(facts, SoundFacts) else ())


class _Sources:
    """Signatures of the sources that a chunk shows, before effects."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[int, bytearray]] = {}
        self._last: dict[tuple[int, int], tuple[Picture, bytes]] = {}

    def note(self, shown: _Shown) -> None:
        last = self._last
        self._last = {}
        for strip, picture in zip(shown.strips, shown.pictures, strict=True):
            key = strip.clip, strip.pane
            same = last.get(key)
            if same is None or same[0] is not picture:
                same = picture, gate.signature(picture.planes[0]).tobytes()
            self._last[key] = same
            self._seen.setdefault(key, (shown.number, bytearray()))[1].extend(same[1])

    def taken(self) -> tuple[Shown, ...]:
        """Return what was noted and begin anew."""
        seen, self._seen = self._seen, {}
        return tuple(
            Shown(clip=clip, pane=pane, first_frame=first, signatures=bytes(data))
            for (clip, pane), (first, data) in seen.items()
        )


# Reading --------------------------------------------------------------------------------------------


class _Reading:
    """The sources that are being read, each from the first moment that was asked of it."""

    def __init__(self, materials: Materials) -> None:
        self._materials = materials
        self._spans = spans(materials.plan)
        self._zeros = Zeros(materials.paths)
        self._open: dict[Strip, _Strip] = {}
        self._asked_us = self._usable_us = 0
        self._tally = Tally()

    def pictures(self, number: int, strips: tuple[Strip, ...]) -> tuple[Picture, ...]:
        """Return the pictures of a frame; frames come in order. Raises: Reject."""
        for strip in [strip for strip in self._open if strip not in strips]:
            self._close(strip)
        return tuple(self._of(strip, number).next() for strip in strips)

    def _of(self, strip: Strip, number: int) -> _Strip:
        if strip not in self._open:
            zero_us = self._zeros.of(strip.source)
            span = self._spans[strip.clip]
            self._open[strip] = _Strip(self._materials, span, strip, zero_us=zero_us, number=number)
        return self._open[strip]

    def account(self) -> _Account:
        """Return what was read since the last account."""
        for strip in self._open.values():
            self._count(strip)
        found = _Account(self._asked_us, self._usable_us, self._tally)
        self._asked_us, self._usable_us, self._tally = 0, 0, Tally()
        return found

    def close(self) -> None:
        """Let all sources go."""
        for strip in list(self._open):
            self._close(strip)

    def _close(self, strip: Strip) -> None:
        reading = self._open.pop(strip)
        self._count(reading)
        reading.close()

    def _count(self, strip: _Strip) -> None:
        asked_us, usable_us, tally = strip.account()
        self._asked_us += asked_us
        self._usable_us += usable_us
        self._tally.add(tally)


class Zeros:
    """The time of each source's first frame, found when it is first asked for."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._found: dict[str, int] = {}

    def of(self, source: str) -> int:
        """Return it, microseconds on the container's clock. Raises: Reject."""
        if source not in self._found:
            self._found[source] = first_frame_us(self._paths[source])
        return self._found[source]


class _Strip:
    """One strip being read from one frame of the output on."""

    def __init__(self, materials: Materials, span: Span, strip: Strip, *, zero_us: int, number: int) -> None:
        plan, path = materials.plan, materials.paths[strip.source]
        fps = plan.output.fps
        self._source = strip.source
        self._frame_us = frame_time_us(1, fps)
        self._wanted = wanted_us(span, strip, range(number, span.end_frame), plan)
        first_us = next(wanted_us(span, strip, range(number, number + 1), plan))
        self._since_us = self._at_us = first_us
        self._reader = ClipReader(path, zero_us=zero_us, threads=DECODER_THREADS)
        coming = self._reader.pictures(self._noted(), start_us=first_us, early_us=self._frame_us // 4)
        self._pictures = cast(Generator[Picture, None, None], coming)
        self._counted = Tally()

    def _noted(self) -> Iterator[int]:
        for wanted in self._wanted:
            self._at_us = wanted
            yield wanted

    def next(self) -> Picture:
        """Return the next frame's picture. Raises: Reject."""
        try:
            picture = next(self._pictures, None)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise Reject(f"source {self._source} cannot be read ({why(error)})", mend="the file is damaged") from error
        if picture is None:
            raise Reject(
                f"source {self._source}: no frame of the clip can be decoded", mend="the file is damaged or cut off"
            )
        return picture

    def account(self) -> tuple[int, int, Tally]:
        """Return how much source time was asked for and could be shown since the last account."""
        end_us = self._at_us + self._frame_us
        asked_us = end_us - self._since_us
        reached_us = self._reader.reached_us
        usable_us = asked_us if reached_us > self._at_us else max(0, reached_us - self._since_us)
        self._since_us = end_us
        fresh = Tally()
        fresh.add(self._reader.tally)
        fresh.whole -= self._counted.whole
        fresh.patched -= self._counted.patched
        fresh.failed -= self._counted.failed
        self._counted.add(fresh)
        return asked_us, usable_us, fresh

    def close(self) -> None:
        self._pictures.close()


# Sound ----------------------------------------------------------------------------------------------


def render_sound(materials: Materials, *, part: Path, out: Path, failed: Path) -> Made:
    """Write the whole sound of a plan to a file that appears only when it is checked.

    Raises: Reject; gate.GateFailed if the sound is not as planned.
    """
    plan = materials.plan
    key = sound_key(plan)
    assert key is not None
    samples = samples_of_frames(frame_count(duration_us(plan), plan.output.fps), plan.output.fps)
    zeros = Zeros(materials.paths)
    zeros_us = {track.source: zeros.of(track.source) for track in plan.audio if track.role == "clips"}
    notes: tuple[str, ...] = ()
    mixed_lufs = -math.inf

    def write(trim: Trim) -> float:
        nonlocal notes, mixed_lufs
        mixer = Mixer(plan, samples, materials.paths, zeros_us, trim=trim)
        try:
            with SoundWriter(part, plan.output) as writer:
                for at in range(0, samples, AAC_FRAME):
                    writer.write(mixer.mix(min(AAC_FRAME, samples - at)))
            notes, mixed_lufs = tuple(mixer.notes), mixer.lufs
            return mixed_lufs
        finally:
            mixer.close()

    settled(plan.output, part, write)
    try:
        digest = gate.check_sound(part, samples, _attainable(plan.output.loudness, mixed_lufs, notes))
    except gate.GateFailed as error:
        raise gate.GateFailed(f"{error}{kept_as(part, failed)}") from error
    facts = SoundFacts(key=key, engine=ENGINE, samples=samples, packets_sha256=digest, notes=notes)
    return _stored(part, out, facts)


def _attainable(wanted: Loudness | None, mixed_lufs: float, notes: tuple[str, ...]) -> Loudness | None:
    """Return the level that the file must have: what is wanted, or where peaks forbid that, what the mixer told of."""
    if wanted is None or not notes:
        return wanted
    return replace(wanted, integrated_lufs=min(wanted.integrated_lufs, mixed_lufs))
