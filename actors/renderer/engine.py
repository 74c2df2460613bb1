"""The engine: chunks of a plan are decoded, drawn and encoded in three threads, with bounded queues.

What each thread works with, the CPU or a GPU, is the choice of the materials. Everything stays in 4:2:0 planes from
decoder to encoder, frames are used again, and memory does not depend on the length of the plan. One run of the threads
makes chunk after chunk: where one follows on the other, reading goes on.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
from av.video.frame import VideoFrame

from actors.renderer import gate
from actors.renderer.channel import Channel, Stopped
from actors.renderer.chunkfile import ChunkFacts, Shown
from actors.renderer.chunks import Chunk
from actors.renderer.draw.looks import look_of, read_cube
from actors.renderer.draw.scene import Director, Shape
from actors.renderer.drawing import CpuDrawing, Drawn, GpuDrawing, Seen, Sources, drawing_of
from actors.renderer.encode import PictureWriter
from actors.renderer.job import Made, engine_of
from actors.renderer.join import kept_as, stored
from actors.renderer.reading import Account, Materials, Reading
from actors.renderer.text.texts import Texts
from actors.renderer.timeline import frame_time_us
from contracts.plan import Grade, Image, Plan

__all__ = ["Materials", "Target", "render_chunks"]

_C: Final = ctypes.CDLL(None)
QUEUE_FRAMES: Final = 1
TELL_EVERY_FRAMES: Final = 10


class Target(NamedTuple):
    """A chunk to be made. part: file that is written; out: what it is renamed to when it is checked.

    failed: what it is renamed to if it fails its check.
    """

    chunk: Chunk
    part: Path
    out: Path
    failed: Path


class _End(NamedTuple):
    """Follows the last frame of a chunk."""

    account: Account
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
        self._reading = Reading(materials)
        tables = {name: read_cube(materials.paths[name], name) for name in _tables(plan)}
        self._director = Director(plan, lambda grades: look_of(grades, tables))
        self._choice = materials.choice
        images = {shown.source: materials.paths[shown.source] for shown in plan.overlays if isinstance(shown, Image)}
        self._texts = Texts(plan, materials.fonts, images)
        # A chunk's target, its frames, its end.
        self._shown: Channel[Target | Seen | _End] = Channel(QUEUE_FRAMES)
        self._drawn: Channel[Target | Drawn | _End] = Channel(QUEUE_FRAMES)
        in_flight = GpuDrawing.in_flight if self._choice.on_gpu else CpuDrawing.in_flight
        self._spare: Channel[VideoFrame] = Channel(QUEUE_FRAMES + 3 + in_flight)
        self._spares = QUEUE_FRAMES + 2 + in_flight

    def write(self, done: Callable[[Target, Made], None], tell: Callable[[int], None]) -> None:
        """Make all chunks. Raises: Reject, gate.GateFailed."""
        output = self._plan.output
        for _ in range(0 if self._choice.stays else self._spares):
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
                self._shown.put(Seen(number, strips, self._reading.pictures(number, strips)))
            self._shown.put(_End(self._reading.account()))
            at = chunk.end_frame

    def _draw(self) -> None:
        fps = self._plan.output.fps
        sources = Sources()
        drawing = drawing_of(self._choice, self._plan.output, self._spare.get)
        for shown in self._shown:
            if isinstance(shown, Target):
                self._drawn.put(shown)
            elif isinstance(shown, _End):
                for drawn in drawing.rest():
                    self._drawn.put(drawn)
                self._drawn.put(shown._replace(shown=sources.taken()))
            else:
                sources.note(shown)
                shapes = tuple(Shape(one.width_px, one.height_px, one.aspect, one.turn) for one in shown.pictures)
                recipe = self._director.recipe(shown.number, shapes)
                stamps = self._texts.at(frame_time_us(shown.number, fps))
                for drawn in drawing.begin(recipe, shown.pictures, stamps):
                    self._drawn.put(drawn)

    def _encode(self, target: Target, coming: Iterator[Target | Drawn | _End], tell: Callable[[int], None]) -> Made:
        """Write, check and seal one chunk."""
        signatures = bytearray()
        count = 0
        with PictureWriter(target.part, self._plan.output, self._choice) as writer:
            for drawn in coming:
                if not isinstance(drawn, Drawn):
                    break
                writer.write(drawn.frame)
                signatures += drawn.signature
                if not self._choice.stays:
                    self._spare.put(drawn.frame)
                count += 1
                if count % TELL_EVERY_FRAMES == 0:
                    tell(TELL_EVERY_FRAMES)
        del writer  # the encoder lives as long as its last name, and the check needs its memory
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
            engine=engine_of(self._choice),
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
        return stored(target.part, target.out, facts)


def _give_back_memory() -> None:
    """Return what the encoder has freed to the system, where the C library keeps it: the check needs its own."""
    if sys.platform == "linux" and hasattr(_C, "malloc_trim"):
        _C.malloc_trim(0)


def _tables(plan: Plan) -> set[str]:
    return {effect.table.source for effect in plan.effects if isinstance(effect, Grade) and effect.table is not None}
