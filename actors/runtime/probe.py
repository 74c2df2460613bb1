"""Find out what a file really is by reading and decoding it, never by trusting its header.

Runs as a child process: `await probe_file(path)` is for the stage, `probe` is what the child does. Only local
files are opened and only by the demuxers named here, so that a playlist cannot make the reader open anything else.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.audio.stream import AudioStream as AvAudio
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideo
from msgspec import Struct

from actors.runtime import isolate
from actors.runtime.damage import Tally, refuse_damage, why
from actors.runtime.untrusted import (
    DEMUXERS,
    MAX_DURATION_S,
    MAX_PIXELS,
    MAX_SIDE_PX,
    MAX_STREAMS,
    bounded,
    demuxed,
    open_local,
    pixel_aspect,
    refuse_expansion,
    still_kind,
)
from contracts.errors import Reject
from contracts.media import AudioStream, Probe, Rational, VideoStream

__all__ = [
    "DEMUXERS",
    "MAX_DURATION_S",
    "MAX_SIDE_PX",
    "MIN_SIDE_PX",
    "ProbeRequest",
    "open_local",
    "probe",
    "probe_file",
    "refuse_by_head",
    "shown_size",
    "standard_rate",
]

MIN_SIDE_PX: Final = 16
DEADLINE_S: Final = 120.0
MEMORY_BYTES: Final = 1 << 30
HEAD_BYTES: Final = 512

_MAX_BAD_PACKETS: Final = 600
"""Packets given to the decoder before a file without one good frame is given up: 10 s at 60 fps."""
_MAX_PACKETS: Final = 4_000_000
"""Of picture and sound together: 12 h at 60 fps, and sound."""
_SAMPLE_FRAMES: Final = 90
_SAMPLE_PIXELS: Final = 200_000_000
"""Frames from the start on, and pixels in them, that are decoded to see whether the picture is damaged."""
_RATES: Final = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1))
)
_SLOWEST: Final = Fraction(1, 1000)
_LAST_FRAME_US: Final = 40_000
_JPEG_RANGE: Final = 2  # AVCOL_RANGE_JPEG in libavutil/pixfmt.h
_RESAVE: Final = "save it again with a video editor, or get a whole copy"


class ProbeRequest(Struct, frozen=True):
    """path: a local file."""

    path: str


async def probe_file(path: Path) -> Probe:
    """Probe a local file in a child process. Raises: Reject, saying what is wrong with the file."""
    return await isolate.run_isolated(
        "actors.runtime.probe",
        ProbeRequest(str(path)),
        result=Probe,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        writes_bytes=0,
        what="probing the file",
    )


def probe(request: ProbeRequest, _progress: isolate.Progress) -> Probe:
    """Probe a file in this process. Raises: Reject."""
    path = Path(request.path)
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            refuse_by_head(file.read(HEAD_BYTES))
    except OSError as error:
        raise Reject(
            f"the file cannot be read: {error.strerror}", mend="check that it exists and may be read"
        ) from error
    try:
        container = open_local(path)
    except av.error.FFmpegError as error:
        raise _unopened(error) from error
    try:
        with container:
            return _probe_container(container, size_bytes)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise _damaged(error) from error


def refuse_by_head(head: bytes) -> None:
    """Refuse by the first bytes what people send by mistake. Raises: Reject."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise Reject("the file is empty (0 bytes)", mend="send it again")
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Reject("the file is a web page, not a video", mend="give the address of the video itself")
    if text.startswith((b"#extm3u", b"[playlist]", b"ffconcat")):
        raise Reject("the file is a playlist, not a video", mend="send the video that it points to")
    if kind := still_kind(head):
        raise Reject(f"the file is a picture ({kind}), not a video", mend="`ettametta plan` makes a video of it")


def shown_size(width_px: int, height_px: int, aspect: Fraction, rotation_deg: int) -> tuple[int, int]:
    """Return (width, height) in square pixels and upright: the width is stretched by the pixel aspect."""
    wide = max(1, round(width_px * aspect))
    return (height_px, wide) if rotation_deg in {90, 270} else (wide, height_px)


def standard_rate(measured: Fraction, claimed: Fraction | None) -> Fraction:
    """Return the rate that a measured one stands for: the claimed one or a usual one where within 0.5 %.

    Interlaced streams come as two packets a frame: where twice the claimed rate is measured, it is the claimed one.
    """
    if claimed and abs(2 * claimed - measured) <= measured / 200:
        return claimed
    near = [rate for rate in (*([claimed] if claimed else []), *_RATES) if abs(rate - measured) <= measured / 200]
    best = min(near, key=lambda rate: abs(rate - measured)) if near else measured
    return claimed if claimed in near else max(best.limit_denominator(1001), _SLOWEST)


def _probe_container(container: InputContainer, size_bytes: int) -> Probe:
    video = _choose_video(container)
    audio = _choose_audio(container, video)
    shown = _Shown(video)
    heard = False
    read_bytes = 0
    for count, packet in enumerate(demuxed(container, *([video] if audio is None else [video, audio]))):
        if count > _MAX_PACKETS:
            raise Reject(f"the file holds more than {_MAX_PACKETS // 1_000_000} million packets", mend="cut it first")
        read_bytes += packet.size
        refuse_expansion(read_bytes, size_bytes)
        if packet.stream_index == video.index:
            shown.take(packet)
        elif not heard and audio is not None:
            heard = _decodes_audio(packet)
    frame = shown.first
    if frame is None:
        raise _no_frame(shown, sized=video.codec_context.width > 0)
    refuse_damage(shown.tally)
    claimed = Fraction(video.average_rate) if video.average_rate else None
    return Probe(
        container=container.format.name,
        size_bytes=size_bytes,
        start_us=shown.start_us(),
        duration_us=shown.duration_us(),
        video=_describe_video(video, frame, shown.rate(claimed)),
        audio=_describe_audio(audio) if audio is not None and heard else None,
    )


def _choose_video(container: InputContainer) -> AvVideo:
    best = container.streams.best("video")
    candidates = [
        stream
        for stream in ([best] if isinstance(best, AvVideo) else []) + list(container.streams.video)
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    if not candidates:
        reason = "holds a cover picture and no video" if container.streams.video else "has no video stream"
        raise Reject(f"the file {reason}", mend="send a video file")
    video = candidates[0]
    bounded(video)
    _check_size(video.codec_context.width, video.codec_context.height)
    return video


def _choose_audio(container: InputContainer, video: AvVideo) -> AvAudio | None:
    audio = container.streams.best("audio", related=video)
    if not isinstance(audio, AvAudio) or audio.codec_context is None or audio.codec_context.sample_rate <= 0:
        return None
    try:
        bounded(audio)
    except Reject:  # a video without its sound is of use still
        return None
    return audio


def _check_size(width_px: int, height_px: int) -> None:
    """Raises: Reject, unless the size is unknown yet (0) or usable."""
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise Reject(
            f"the picture is {width_px}x{height_px} px, more than {MAX_SIDE_PX} px a side", mend="scale it down first"
        )
    if 0 < min(width_px, height_px) < MIN_SIDE_PX:
        raise Reject(
            f"the picture is too small: {width_px}x{height_px} px, at least {MIN_SIDE_PX} px a side are needed"
        )


class _Shown:
    """What the packets of the video stream tell. Times in the stream's time base."""

    def __init__(self, stream: AvVideo) -> None:
        self.base = stream.time_base or Fraction(1, 1_000_000)
        self.first: VideoFrame | None = None
        self.encrypted = False
        self.packets = 0
        self.tried = 0
        self.frames = 0
        self.lowest: int | None = None
        self.highest = 0
        self.end = 0
        self.tally = Tally()
        self._pixels = 0

    def take(self, packet: av.Packet[Any]) -> None:
        if packet.size:
            self.packets += 1
            self.encrypted = self.encrypted or packet.has_sidedata("encryption_info")
            self._measure(packet)
        if self._wants_more():
            self.tried += 1
            self._decode(packet)

    def _wants_more(self) -> bool:
        """Return whether too little was seen yet to judge the picture."""
        if self.first is None:
            return self.tried <= _MAX_BAD_PACKETS
        return self.tried <= _SAMPLE_FRAMES and self._pixels < _SAMPLE_PIXELS

    def _measure(self, packet: av.Packet[Any]) -> None:
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or packet.is_discard:
            return
        self.frames += 1
        self.lowest = at if self.lowest is None else min(self.lowest, at)
        self.highest = max(self.highest, at)
        self.end = max(self.end, at + (packet.duration or 0))
        if (self.highest - self.lowest) * self.base > MAX_DURATION_S:
            raise Reject(f"the video is longer than {MAX_DURATION_S / 3600:.4g} hours", mend="cut it first")

    def _decode(self, packet: av.Packet[Any]) -> None:
        try:
            for frame in packet.decode():
                if isinstance(frame, VideoFrame):
                    _check_size(frame.width, frame.height)
                    self._pixels += frame.width * frame.height
                    self.tally.take(frame)
                    if self.first is None and not frame.is_corrupt:
                        self.first = frame
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            if not isinstance(error, av.error.EOFError):
                self.tally.fail(error)

    def start_us(self) -> int:
        assert self.first is not None
        at = self.first.pts if self.first.pts is not None else (self.lowest or 0)
        return round(at * self.base * 1_000_000)

    def rate(self, claimed: Fraction | None) -> Fraction:
        span = (self.highest - (self.lowest or 0)) * self.base
        if self.frames < 2 or span <= 0:
            return claimed if claimed and 1 <= claimed <= 240 else Fraction(30)
        return standard_rate((self.frames - 1) / Fraction(span), claimed)

    def duration_us(self) -> int:
        """Return how long frames are shown, the last one as long as a frame usually is but at most 40 ms."""
        span = (self.highest - (self.lowest or 0)) * self.base * 1_000_000
        last_us = min(span / (self.frames - 1) if self.frames > 1 else _LAST_FRAME_US, _LAST_FRAME_US)
        end_us = max(self.end * self.base * 1_000_000, self.highest * self.base * 1_000_000 + last_us)
        return max(1, round(end_us - self.start_us()))


def _no_frame(shown: _Shown, *, sized: bool) -> Reject:
    if shown.encrypted:
        return Reject("the video is encrypted (DRM)", mend="send a copy without protection")
    if not shown.packets:
        return Reject("the video stream has no frames", mend=_RESAVE)
    # FFmpeg forgets the size of a picture that is too large.
    large = "" if sized else f"; perhaps its picture has more than {MAX_PIXELS / 1e6:.4g} million pixels"
    return Reject(f"not one frame of the video can be decoded{shown.tally.detail}{large}", mend=_RESAVE)


def _decodes_audio(packet: av.Packet[Any]) -> bool:
    try:
        return bool(packet.decode())
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return False


def _describe_video(stream: AvVideo, frame: VideoFrame, rate: Fraction) -> VideoStream:
    rotation = _clockwise(frame.rotation)
    aspect = pixel_aspect(stream)
    width, height = shown_size(frame.width, frame.height, aspect, rotation)
    _check_size(width, height)
    return VideoStream(
        index=stream.index,
        codec=stream.codec_context.name,
        coded_width_px=frame.width,
        coded_height_px=frame.height,
        width_px=width,
        height_px=height,
        rotation_deg=rotation,
        pixel_aspect=Rational(aspect.numerator, aspect.denominator),
        fps=Rational(rate.numerator, rate.denominator),
        pixel_format=frame.format.name,
        full_range=frame.color_range == _JPEG_RANGE or frame.format.name.startswith("yuvj"),
    )


def _describe_audio(stream: AvAudio) -> AudioStream | None:
    context = stream.codec_context
    if context.sample_rate < 1 or context.channels < 1:
        return None
    return AudioStream(
        index=stream.index, codec=context.name, sample_rate_hz=context.sample_rate, channels=context.channels
    )


def _clockwise(counterclockwise_deg: float) -> int:
    """Turn libav's angle into 0, 90, 180 or 270 clockwise; anything else (a broken matrix) into 0."""
    if not math.isfinite(counterclockwise_deg) or abs(counterclockwise_deg) > 360 or counterclockwise_deg % 90:
        return 0
    return round(-counterclockwise_deg) % 360


def _unopened(error: av.error.FFmpegError) -> Reject:
    # libavformat answers "invalid argument" for a demuxer that is not on the list, and "cannot allocate memory" for a
    # stream beyond the number that is allowed.
    if isinstance(error, av.error.ArgumentError):
        return Reject("the file is not of a kind that is accepted as video", mend="send MP4, MOV, MKV or WebM")
    if isinstance(error, av.error.MemoryError):
        return Reject(
            f"the file holds more than {MAX_STREAMS} streams, or asks for more memory than it may have", mend=_RESAVE
        )
    return _damaged(error)


def _damaged(error: av.error.FFmpegError) -> Reject:
    return Reject(f"the file is damaged, cut off or no video at all ({why(error)})", mend=_RESAVE)


if __name__ == "__main__":
    isolate.serve(ProbeRequest, probe)
