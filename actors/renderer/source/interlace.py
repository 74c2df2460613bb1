"""Whole frames of interlaced ones, by bwdif; progressive streams pass untouched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

__all__ = ["deinterlaced"]

_TIME_BASE: Final = Fraction(1, 90_000)


def deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Yield as many frames as come, in their order; interlaced ones as one whole frame each.

    A stream may become interlaced at any frame, and change its size. What a frame becomes depends on its neighbours
    alone, so that reading from the middle gives the same.
    """
    bob: _Bob | None = None
    before: VideoFrame | None = None
    for frame in frames:
        if bob is not None and bob.shape != _shape(frame):
            yield from bob.rest()
            bob = before = None
        if bob is None and frame.interlaced_frame:
            bob = _Bob(frame)
            if before is not None and bob.shape == _shape(before):
                bob.push(before)
                bob.forget()
        if bob is None:
            before = frame
            yield frame
        else:
            yield from bob.push(frame)
    if bob is not None:
        yield from bob.rest()


class _Bob:
    """One filter. It holds a frame back until the next one has come."""

    def __init__(self, first: VideoFrame) -> None:
        self.shape = _shape(first)
        self._graph = Graph()
        self._source: FilterContext = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=first.time_base or _TIME_BASE
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        sink = self._graph.add("buffersink")
        self._source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()
        self._forgotten = 0

    def forget(self) -> None:
        """Drop the frame that is held back, once it comes out: it was given as a neighbour only."""
        self._forgotten = 1

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        self._graph.push(frame)
        return self._pulled()

    def rest(self) -> list[VideoFrame]:
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> list[VideoFrame]:
        found: list[VideoFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):
                return found
            assert isinstance(frame, VideoFrame)
            if self._forgotten:
                self._forgotten -= 1
            else:
                found.append(frame)


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
