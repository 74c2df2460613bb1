"""Read one clip of one source: the frame that is to be seen at each wanted moment, from any timing whatever.

A clip that begins late is not decoded from the start, but what is seen is the same to the bit: decoding begins at a
whole key frame at least WARM_UP_US before the clip, found by the index of containers that have a true one and by
reading (not decoding) the packets of the others. Where that fails in any way, everything is decoded from the start.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast

import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec import Struct

from actors.renderer.source.interlace import deinterlaced
from actors.renderer.source.media import Tally, decoded, opened, packets
from actors.renderer.source.picture import Converter, Picture, Planes, downloaded
from actors.renderer.source.still import is_still, read_still
from actors.runtime.untrusted import MAX_PIXELS, MAX_SIDE_PX, bounded, pixel_aspect
from contracts.errors import Reject

__all__ = ["ClipReader", "Timed", "first_frame_us", "select", "timed"]

SEEK_FROM_US: Final = 3_000_000
"""Clips that begin later than this jump there; nearer ones are decoded from the start."""
WARM_UP_US: Final = 1_000_000
"""Decoding begins at least this much before what is wanted, so that every frame has the neighbours it is made from."""
_INDEXED: Final = ("mov", "matroska")
"""Containers that are trusted to find a moment by themselves, as their names begin."""
_BACK_US: Final = (0, 2_000_000, 10_000_000)
"""How much further back is looked where the index, which counts decoding times, led to a frame that is shown later."""
_HELD_BYTES: Final = 64 << 20
"""Packets that are held while the last key frame before a moment is looked for; a longer stretch is decoded."""
_CENTRED: Final = frozenset({"mjpeg", "mpeg1video"})
_US: Final = 1_000_000


class Timed(Struct, frozen=True):
    """A decoded frame, when it is to be seen and for how long, microseconds on the container's clock."""

    frame: VideoFrame
    start_us: int
    length_us: int


def select(frames: Iterable[Timed], wanted_us: Iterable[int], *, early_us: int) -> Iterator[Timed]:
    """Yield for each wanted moment (rising) the frame that is seen then: the newest that has begun.

    The first frame stands in before its time, the last one after its end.
    early_us: a frame counts as begun this much before its time, which absorbs timestamps that were rounded.
    """
    coming = iter(frames)
    shown = next(coming, None)
    if shown is None:
        return
    following = next(coming, None)
    for moment_us in wanted_us:
        while following is not None and following.start_us <= moment_us + early_us:
            shown, following = following, next(coming, None)
        yield shown


def timed(frames: Iterable[VideoFrame], default_us: int) -> Iterator[Timed]:
    """Give every frame a time later than the one before it. default_us: length of a frame that tells none.

    A frame without a time, or far in the past as after a broken clock, follows on from the frame before it.
    """
    last_us, next_us = -sys.maxsize, 0
    for frame in frames:
        base = frame.time_base or Fraction(1, _US)
        start_us = next_us if frame.pts is None else round(frame.pts * base * _US)
        if start_us < last_us - _US:
            start_us = next_us
        start_us = max(start_us, last_us + 1)
        length_us = round(frame.duration * base * _US) if frame.duration else default_us
        yield Timed(frame, start_us, length_us)
        last_us, next_us = start_us, start_us + length_us


def first_frame_us(path: Path) -> int:
    """Return the time of the first frame that decodes; 0 for a still. Raises: Reject if there is none."""
    if is_still(path):
        read_still(path)
        return 0
    with opened(path) as container:
        tally = Tally()
        first = next(_frames(container, _stream(container, threads=1), tally), None)
    if first is None:
        raise Reject(
            f"no frame of the source can be decoded{tally.detail}", mend="the file is damaged, encrypted or cut off"
        )
    return first.start_us


class ClipReader:
    """The pictures of one clip, in order.

    zero_us: time of the source's first frame. on_gpu: frames are decoded by the GPU where it can, and stay there where
    they need no conversion. reached_us: how far decoding came, from that frame. tally: what became
    of the frames that were decoded for it.
    """

    def __init__(self, path: Path, *, zero_us: int, threads: int, on_gpu: bool = False) -> None:
        self.tally = Tally()
        self.reached_us = 0
        self._path = path
        self._zero_us = zero_us
        self._threads = threads
        self._on_gpu = on_gpu

    def pictures(self, wanted_us: Iterable[int], *, start_us: int, early_us: int) -> Iterator[Picture]:
        """Yield a picture for each wanted moment (from the source's first frame). Raises: Reject."""
        if is_still(self._path):
            yield from self._still(wanted_us)
            return
        with ExitStack() as files:
            frames, stream = self._from(start_us, lambda: files.enter_context(self._opened()))
            device_planes = _device_planes() if self._on_gpu else None
            centred = stream.codec_context.name in _CENTRED
            converter = Converter(pixel_aspect(stream), centred=centred, device_planes=device_planes)
            for shown in select(map(self._seen, frames), wanted_us, early_us=early_us):
                yield converter.picture(shown.frame)

    def _still(self, wanted_us: Iterable[int]) -> Iterator[Picture]:
        picture = Converter().picture(read_still(self._path))
        self.tally.whole += 1
        for moment_us in wanted_us:
            self.reached_us = max(self.reached_us, moment_us + 1)
            yield picture

    def _opened(self) -> AbstractContextManager[InputContainer]:
        return _opened_on_gpu(self._path) if self._on_gpu else opened(self._path)

    def _from(self, start_us: int, enter: Callable[[], InputContainer]) -> tuple[Iterator[Timed], VideoStream]:
        if start_us >= SEEK_FROM_US:
            from_us = self._zero_us + start_us - WARM_UP_US
            container = enter()
            jump = _sought if container.format.name.startswith(_INDEXED) else _walked
            stream = _stream(container, threads=self._threads)
            tally = Tally()
            frames = jump(container, stream, tally, from_us)
            if frames is not None:
                self.tally = tally
                return frames, stream
        container = enter()
        stream = _stream(container, threads=self._threads)
        return _frames(container, stream, self.tally), stream

    def _seen(self, frame: Timed) -> Timed:
        frame = Timed(frame.frame, frame.start_us - self._zero_us, frame.length_us)
        self.reached_us = frame.start_us + frame.length_us
        return frame


def _sought(container: InputContainer, stream: VideoStream, tally: Tally, from_us: int) -> Iterator[Timed] | None:
    """Return frames from a whole key frame at or before a moment on, by the container's index; None: it failed."""
    if not stream.time_base:
        return None
    for back_us in _BACK_US:
        try:
            container.seek(int(Fraction(from_us - back_us, _US) / stream.time_base), stream=stream)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            return None
        frames = _trusted(_frames(container, stream, tally), from_us)
        if frames is not None:
            return frames
    return None


def _walked(container: InputContainer, stream: VideoStream, tally: Tally, from_us: int) -> Iterator[Timed] | None:
    """Return the same, by reading packets up to the moment; None: their clock is broken, or there are too many."""
    if not stream.time_base:
        return None
    held: list[Packet[Any]] = []
    held_bytes, last = 0, None
    at_most = Fraction(from_us, _US) / stream.time_base
    coming = packets(container, stream, tally)
    for packet in coming:
        if packet.pts is None or packet.dts is None or (last is not None and packet.dts <= last) or packet.is_corrupt:
            return None
        last = packet.dts
        if packet.is_keyframe and packet.pts <= at_most:
            held, held_bytes = [], 0
        held.append(packet)
        held_bytes += packet.size
        if held_bytes > _HELD_BYTES or tally.failed:
            return None
        if packet.dts > at_most:
            break
    return _trusted(_frames(container, stream, tally, held), from_us)


def _trusted(frames: Iterator[Timed], from_us: int) -> Iterator[Timed] | None:
    """Return frames that begin with a whole key frame at or before a moment; None for others."""
    first = next(frames, None)
    if first is None or first.start_us > from_us or first.frame.is_corrupt or not first.frame.key_frame:
        return None
    return itertools.chain((first,), frames)


def _stream(container: InputContainer, *, threads: int) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise Reject("the source has no video stream")
    bounded(stream, threads=threads)
    return stream


def _frames(
    container: InputContainer, stream: VideoStream, tally: Tally, first: Iterable[Packet[Any]] = ()
) -> Iterator[Timed]:
    rate = stream.average_rate or stream.guessed_rate or Fraction(30)
    default_us = round(_US / rate) if 1 <= rate <= 240 else _US // 30
    frames = cast(Iterator[VideoFrame], decoded(container, stream, tally, first))
    return timed(deinterlaced(_hosted(_bounded(frames))), default_us)


def _bounded(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    for frame in frames:
        if max(frame.width, frame.height) > MAX_SIDE_PX or frame.width * frame.height > MAX_PIXELS:
            raise Reject(f"the source has a frame of {frame.width}x{frame.height}, larger than {MAX_SIDE_PX} px a side")
        yield frame


# On a GPU -------------------------------------------------------------------------------------------


def _opened_on_gpu(path: Path) -> AbstractContextManager[InputContainer]:
    """Open a local file, its pictures decoded by the GPU; what that cannot decode, the CPU does. Raises: Reject."""
    return opened(path, HWAccel("cuda", is_hw_owned=True, allow_software_fallback=True))


def _device_planes() -> Callable[[VideoFrame], Planes]:
    from actors.renderer.draw.cuda import device_planes  # noqa: PLC0415  # needs the extra `gpu`

    return device_planes


def _hosted(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Bring frames to the host from the first interlaced one on: the filter that makes them whole runs there."""
    interlaced = False
    for frame in frames:
        interlaced = interlaced or frame.interlaced_frame
        yield downloaded(frame) if interlaced else frame
