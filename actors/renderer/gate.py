"""The last check: what was written is decoded again, whole, and compared with what was planned."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final, cast

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec import Struct

from actors.renderer.source.media import Tally, decoded, opened
from actors.renderer.timeline import SAMPLE_RATE_HZ, samples_of_frames
from contracts.media import Rational

__all__ = ["Expected", "GateFailed", "check_file"]

_AAC_FRAME: Final = 1024


class GateFailed(RuntimeError):
    """The output is not what was planned: a fault of the renderer, never of the source."""


class Expected(Struct, frozen=True, kw_only=True):
    """What the file must be."""

    width_px: int
    height_px: int
    fps: Rational
    frames: int
    audio: bool


def check_file(path: Path, expected: Expected, *, threads: int) -> int:
    """Decode the file and return its length, microseconds. Raises: GateFailed, naming what is wrong."""
    frames, length = _video(path, expected, threads)
    planned = Fraction(expected.frames * expected.fps.den, expected.fps.num)
    _demand(frames == expected.frames, f"{frames} frames instead of {expected.frames}")
    one_frame = Fraction(expected.fps.den, expected.fps.num)
    _demand(abs(length - planned) < one_frame, f"{float(length):.3f} s long instead of {float(planned):.3f} s")
    samples = _audio_samples(path)
    if expected.audio:
        wanted = samples_of_frames(expected.frames, expected.fps)
        _demand(samples is not None, "no sound, though sound was planned")
        _demand(abs((samples or 0) - wanted) <= _AAC_FRAME, f"{samples} samples of sound instead of {wanted}")
    else:
        _demand(samples is None, "a sound stream, though none was planned")
    return round(planned * 1_000_000)


def _video(path: Path, expected: Expected, threads: int) -> tuple[int, Fraction]:
    tally, last, count = Tally(), Fraction(0), 0
    with opened(path) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise GateFailed("the finished file has no picture")
        size = (stream.width, stream.height)
        _demand(size == (expected.width_px, expected.height_px), f"{size[0]}x{size[1]} px, not as planned")
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        # Deblocking changes no syntax: without it decoding still meets every error, a third faster.
        stream.codec_context.options = {"skip_loop_filter": "all"}
        for frame in decoded(container, stream, tally):
            picture = cast(VideoFrame, frame)
            count += 1
            last = Fraction(picture.pts or 0) * cast(Fraction, picture.time_base)
    _demand(tally.damaged == 0, f"{tally.damaged} damaged packets{tally.detail}")
    return count, last + Fraction(expected.fps.den, expected.fps.num)


def _audio_samples(path: Path) -> int | None:
    tally = Tally()
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return None
        samples = sum(cast(AudioFrame, frame).samples for frame in decoded(container, stream, tally))
        _demand(stream.rate == SAMPLE_RATE_HZ, f"sound at {stream.rate} Hz")
    _demand(tally.damaged == 0, f"{tally.damaged} damaged packets of sound{tally.detail}")
    return samples


def _demand(holds: bool, fault: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not holds:
        raise GateFailed(f"the finished file failed its check: {fault}")
