"""The CPU engine: decode, transform and encode in three threads, with bounded queues and reused frames.

Everything stays in 4:2:0 planes from decoder to encoder. Memory does not depend on the length of the plan.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame

from actors.renderer import gate
from actors.renderer.channel import Channel, Stopped
from actors.renderer.draw.effects import Moment, moment
from actors.renderer.draw.geometry import CHROMA_LEFT, LUMA, Fit, plane_map, shrunk, view, warp
from actors.renderer.encode import AAC_FRAME, Writer
from actors.renderer.job import ENGINE, Progressed, Rendered, RenderRequest
from actors.renderer.sound.mix import Mixer
from actors.renderer.source.media import Tally, why
from actors.renderer.source.picture import Picture, planes_of
from actors.renderer.source.video import ClipReader, first_frame_us
from actors.renderer.text.captions import CaptionTrack, blend
from actors.renderer.timeline import Span, frame_count, frame_time_us, samples_of_frames, spans
from contracts.errors import Reject
from contracts.plan import Clip, FillCrop, Plan, check, duration_us

__all__ = ["DECODER_THREADS", "Compositor", "render"]

DECODER_THREADS: Final = max(2, min(4, os.cpu_count() or 2))
"""Frame threads of a source's decoder; they do not change what is decoded."""
QUEUE_FRAMES: Final = 4
PROGRESS_EVERY_S: Final = 1.0
USABLE_SHARE: Final = 0.5
"""Least share of what a plan asks of its sources that must decode; below it the source is refused, not held still."""
_WHITE_LUMA: Final = 235
_GREY_CHROMA: Final = 128


class _Shown(NamedTuple):
    number: int
    clip: Clip
    picture: Picture


class _Drawn(NamedTuple):
    number: int
    frame: VideoFrame


def render(request: RenderRequest, progress: Callable[[Progressed], None]) -> Rendered:
    """Render a plan to `request.out`, which appears only when it is complete and checked.

    Raises: Reject if a source cannot be used; gate.GateFailed if the output is not what was planned.
    """
    check(request.plan)
    cv2.setNumThreads(1)
    part = Path(request.part)
    try:
        notes = _Render(request, progress).write(part)
        plan = request.plan
        frames = frame_count(duration_us(plan), plan.output.fps)
        expected = gate.Expected(
            width_px=plan.output.width_px,
            height_px=plan.output.height_px,
            fps=plan.output.fps,
            frames=frames,
            audio=bool(plan.audio),
        )
        length_us = gate.check_file(part, expected, threads=DECODER_THREADS)
        with part.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        size_bytes = part.stat().st_size
        part.replace(request.out)
    finally:
        part.unlink(missing_ok=True)
    return Rendered(
        width_px=plan.output.width_px,
        height_px=plan.output.height_px,
        duration_us=length_us,
        frames=frames,
        has_audio=bool(plan.audio),
        sha256=sha256,
        size_bytes=size_bytes,
        engine=ENGINE,
        notes=notes,
    )


class Compositor:
    """Draws output frames: one resampling per plane, then flash, then captions on top."""

    def __init__(self, plan: Plan, captions: CaptionTrack | None) -> None:
        self._plan = plan
        self._captions = captions
        self._total_us = duration_us(plan)
        self._fit: tuple[object, Fit] | None = None
        self._flash: tuple[float, np.ndarray, np.ndarray] | None = None

    def draw(self, picture: Picture, clip: Clip, number: int, out: VideoFrame) -> None:
        """Draw output frame `number` of `picture` into `out`, in place."""
        t_us = frame_time_us(number, self._plan.output.fps)
        state = moment(self._plan.effects, t_us, self._total_us)
        planes = planes_of(out)
        self._place(picture, clip, state, planes)
        if state.white > 0:
            self._whiten(state.white, planes)
        stamp = self._captions.at(t_us) if self._captions is not None else None
        if stamp is not None:
            blend(planes, stamp)

    def _place(
        self, picture: Picture, clip: Clip, state: Moment, out: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        fit = self._fitted(picture, clip)
        to_source = view(fit, scale=state.scale, mirrored=state.mirrored)
        for at, (source, target) in enumerate(zip(picture.planes, out, strict=True)):
            small, factor = shrunk(source, fit.scale * state.scale)
            index_map = plane_map(
                to_source,
                source_site=LUMA if at == 0 else picture.chroma_site,
                out_site=LUMA if at == 0 else CHROMA_LEFT,
                shrink=factor,
            )
            warp(small, index_map, target)

    def _fitted(self, picture: Picture, clip: Clip) -> Fit:
        key = (picture.shape, clip.layout)
        if self._fit is None or self._fit[0] != key:
            output = self._plan.output
            assert isinstance(clip.layout, FillCrop)
            fit = Fit.fill(
                (picture.width_px, picture.height_px),
                (output.width_px, output.height_px),
                clip.layout,
                aspect=picture.aspect,
                turn=picture.turn,
            )
            self._fit = key, fit
        return self._fit[1]

    def _whiten(self, white: float, planes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        if self._flash is None or self._flash[0] != white:
            levels = np.arange(256)
            self._flash = (
                white,
                np.rint(levels + white * (_WHITE_LUMA - levels)).astype(np.uint8),
                np.rint(levels + white * (_GREY_CHROMA - levels)).astype(np.uint8),
            )
        _, luma, chroma = self._flash
        for at, plane in enumerate(planes):
            cv2.LUT(plane, luma if at == 0 else chroma, dst=plane)


class _Render:
    """One run of the three threads."""

    def __init__(self, request: RenderRequest, progress: Callable[[Progressed], None]) -> None:
        self._plan = request.plan
        self._progress = progress
        self._paths = {name: Path(path) for name, path in request.paths.items()}
        output, captions = request.plan.output, request.plan.captions
        track = None
        if captions is not None and captions.cues:
            if request.font is None:
                raise Reject("the plan has captions and no font was found", mend="set FONT_PATH to a .ttf or .otf file")
            track = CaptionTrack(captions, request.font, output.width_px, output.height_px)
        self._compositor = Compositor(request.plan, track)
        self._zeros_us = {
            source: first_frame_us(self._paths[source])
            for source in dict.fromkeys(clip.source for clip in request.plan.clips)
        }
        self._usable_us = 0
        self._tally = Tally()
        self._shown: Channel[_Shown] = Channel(QUEUE_FRAMES)
        self._drawn: Channel[_Drawn] = Channel(QUEUE_FRAMES)
        self._spare: Channel[VideoFrame] = Channel(QUEUE_FRAMES + 3)

    def write(self, path: Path) -> tuple[str, ...]:
        """Write the file; return what a person should know about the sources. Raises: Reject."""
        output = self._plan.output
        for _ in range(QUEUE_FRAMES + 2):
            self._spare.put(VideoFrame(output.width_px, output.height_px, "yuv420p"))
        threads = [
            threading.Thread(target=self._run, args=(stage, channel), name=stage.__name__, daemon=True)
            for stage, channel in ((self._decode, self._shown), (self._draw, self._drawn))
        ]
        for thread in threads:
            thread.start()
        try:
            notes = self._encode(path)
        finally:
            for channel in (self._shown, self._drawn, self._spare):
                channel.stop()
            for thread in threads:
                thread.join()
        self._judge()
        if self._tally.damaged:
            notes = (f"{self._tally.damaged} packets of the picture are damaged{self._tally.detail}", *notes)
        return notes

    def _run(self, stage: Callable[[], None], channel: Channel[_Shown] | Channel[_Drawn]) -> None:
        try:
            stage()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # the encoder's thread raises it again
            channel.end(error)
        else:
            channel.end()

    def _decode(self) -> None:
        for span in spans(self._plan):
            if span.first_frame < span.end_frame:
                for number, picture in self._pictures(span):
                    self._shown.put(_Shown(number, span.clip, picture))

    def _pictures(self, span: Span) -> Iterator[tuple[int, Picture]]:
        source, fps = span.clip.source, self._plan.output.fps
        reader = ClipReader(self._paths[source], zero_us=self._zeros_us[source], threads=DECODER_THREADS)
        number = span.first_frame
        try:
            for picture in reader.pictures(
                span.wanted_us(fps), start_us=span.clip.start_us, early_us=frame_time_us(1, fps) // 4
            ):
                yield number, picture
                number += 1
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise Reject(f"source {source} cannot be read ({why(error)})", mend="the file is damaged") from error
        self._usable_us += max(0, min(span.clip.end_us, reader.reached_us) - span.clip.start_us)
        self._tally.add(reader.tally)
        if number < span.end_frame:
            raise Reject(f"source {source}: no frame of the clip can be decoded", mend="the file is damaged or cut off")

    def _draw(self) -> None:
        for number, clip, picture in self._shown:
            frame = self._spare.get()
            self._compositor.draw(picture, clip, number, frame)
            self._drawn.put(_Drawn(number, frame))

    def _encode(self, path: Path) -> tuple[str, ...]:
        plan = self._plan
        total = frame_count(duration_us(plan), plan.output.fps)
        samples = samples_of_frames(total, plan.output.fps) if plan.audio else 0
        mixer = Mixer(plan, samples, self._paths, self._zeros_us)
        writer = Writer(path, plan.output, audio=bool(plan.audio))
        mixed = 0
        told_at = time.monotonic()
        try:
            for number, frame in self._drawn:
                writer.picture(frame, number)
                self._spare.put(frame)
                due = samples if number == total - 1 else samples_of_frames(number + 1, plan.output.fps)
                while mixed < samples and (mixed < due):
                    count = min(AAC_FRAME, samples - mixed)
                    writer.sound(mixer.mix(count))
                    mixed += count
                if time.monotonic() - told_at >= PROGRESS_EVERY_S:
                    told_at = time.monotonic()
                    self._progress(Progressed(number + 1, total))
            writer.finish()
        except BaseException:
            with suppress(av.error.FFmpegError):
                writer.abandon()
            raise
        finally:
            mixer.close()
        self._progress(Progressed(total, total))
        return tuple(mixer.notes)

    def _judge(self) -> None:
        """Refuse what came mostly from damage. Raises: Reject."""
        asked_us = duration_us(self._plan)
        tally = self._tally
        if self._usable_us < USABLE_SHARE * asked_us:
            raise Reject(
                f"only {self._usable_us / 1e6:.1f} s of the {asked_us / 1e6:.1f} s asked for can be decoded"
                f"{tally.detail}",
                mend="the source is damaged or shorter than the plan says",
            )
        if tally.whole < USABLE_SHARE * (tally.whole + tally.damaged):
            raise Reject(f"most of the picture is damaged: {tally.damaged} packets do not decode well{tally.detail}")
