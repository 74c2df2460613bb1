"""Read one clip of one source: the frame that is to be seen at each wanted moment, from any timing whatever."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec import Struct

from actors.renderer.source.media import MAX_SIDE_PX, Tally, decoded, opened
from actors.renderer.source.picture import Converter, Picture
from contracts.errors import Reject

__all__ = ["ClipReader", "Timed", "first_frame_us", "select", "timed"]

SEEK_FROM_US: Final = 3_000_000
"""Clips that begin later than this jump there; nearer ones are decoded from the start."""
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
    """Return the time of the first frame that decodes. Raises: Reject if there is none."""
    with opened(path) as container:
        tally = Tally()
        first = next(_frames(container, _stream(container), tally, threads=1), None)
    if first is None:
        raise Reject(
            f"no frame of the source can be decoded{tally.detail}", mend="the file is damaged, encrypted or cut off"
        )
    return first.start_us


class ClipReader:
    """The pictures of one clip, in order.

    zero_us: time of the source's first frame. reached_us: how far decoding came, from that frame.
    """

    def __init__(self, path: Path, *, zero_us: int, threads: int) -> None:
        self.tally = Tally()
        self.reached_us = 0
        self._path = path
        self._zero_us = zero_us
        self._threads = threads

    def pictures(self, wanted_us: Iterable[int], *, start_us: int, early_us: int) -> Iterator[Picture]:
        """Yield a picture for each wanted moment (from the source's first frame). Raises: Reject."""
        with opened(self._path) as container:
            stream = _stream(container)
            frames = self._from(container, stream, start_us)
            converter = Converter(Fraction(stream.sample_aspect_ratio or 1))
            for shown in select(frames, wanted_us, early_us=early_us):
                yield converter.picture(shown.frame)

    def _from(self, container: InputContainer, stream: VideoStream, start_us: int) -> Iterator[Timed]:
        if start_us >= SEEK_FROM_US and stream.time_base:
            wanted_us = self._zero_us + start_us
            container.seek(int(Fraction(wanted_us - _US, _US) / stream.time_base), stream=stream)
            frames = _frames(container, stream, self.tally, threads=self._threads)
            first = next(frames, None)
            if first is not None and first.start_us <= wanted_us:
                yield self._seen(first)
                yield from map(self._seen, frames)
                return
            # The index points past the place: read from the start instead.
            with opened(self._path) as again:
                yield from map(self._seen, _frames(again, _stream(again), self.tally, threads=self._threads))
            return
        yield from map(self._seen, _frames(container, stream, self.tally, threads=self._threads))

    def _seen(self, frame: Timed) -> Timed:
        frame = Timed(frame.frame, frame.start_us - self._zero_us, frame.length_us)
        self.reached_us = frame.start_us + frame.length_us
        return frame


def _stream(container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise Reject("the source has no video stream")
    if max(stream.width, stream.height) > MAX_SIDE_PX:
        raise Reject(f"the source is {stream.width}x{stream.height}, larger than {MAX_SIDE_PX} px on a side")
    return stream


def _frames(container: InputContainer, stream: VideoStream, tally: Tally, *, threads: int) -> Iterator[Timed]:
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO"
    rate = stream.average_rate or stream.guessed_rate or Fraction(30)
    default_us = round(_US / rate) if 1 <= rate <= 240 else _US // 30
    frames = cast(Iterator[VideoFrame], decoded(container, stream, tally))
    return timed(_deinterlaced(_bounded(frames)), default_us)


def _bounded(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    for frame in frames:
        if max(frame.width, frame.height) > MAX_SIDE_PX:
            raise Reject(f"the source has a frame of {frame.width}x{frame.height}, larger than {MAX_SIDE_PX} px")
        yield frame


def _deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Make whole frames of interlaced ones by bwdif; streams that begin progressive pass untouched."""
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        return
    if not first.interlaced_frame:
        yield first
        yield from coming
        return
    graph = Graph()
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format, time_base=first.time_base or Fraction(1, 90_000)
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    frame: VideoFrame | None = first
    while frame is not None:
        graph.push(frame)
        yield from _pulled(graph)
        frame = next(coming, None)
    graph.push(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, VideoFrame)
        yield frame
