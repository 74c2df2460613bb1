"""Decode untrusted local media: what does not decode is counted, not raised."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.runtime.damage import Tally, refuse_damage, why
from actors.runtime.untrusted import DEMUXERS, MAX_SIDE_PX, SOUND_DEMUXERS, demuxed, open_local, refuse_expansion
from contracts.errors import Reject

__all__ = ["MAX_SIDE_PX", "Tally", "decoded", "opened", "packets", "refuse_damage", "why"]

_DEMUX_ERRORS_MAX: Final = 100
"""Unreadable places in one file that are stepped over before the rest is given up."""


@contextmanager
def opened(path: Path, hwaccel: HWAccel | None = None) -> Iterator[InputContainer]:
    """Open a local file. hwaccel: what decodes its pictures where it can. Raises: Reject."""
    try:
        container = open_local(path, f"{DEMUXERS},{SOUND_DEMUXERS}", hwaccel)
    except av.error.FFmpegError as error:
        raise Reject(
            f"the source cannot be opened ({why(error)})", mend="the file is damaged or of a kind that is not read"
        ) from error
    with container:
        yield container


def decoded(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    tally: Tally,
    first: Iterable[Packet[Any]] = (),
) -> Iterator[VideoFrame | AudioFrame]:
    """Yield the frames of one stream from where the container stands; what does not decode is counted, not raised.

    first: packets that were read already.
    """
    coming: Iterator[Packet[Any] | None] = itertools.chain(first, packets(container, stream, tally), (None,))
    for packet in coming:
        try:
            frames = stream.decode(packet)
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.EOFError):
                return
            tally.fail(error)
            continue
        for frame in frames:
            tally.take(frame)
            if frame.time_base is None:  # of frames that only came out when the decoder was emptied
                frame.time_base = stream.time_base
            yield frame


def packets(container: InputContainer, stream: VideoStream | AudioStream, tally: Tally) -> Iterator[Packet[Any]]:
    """Yield the packets of one stream, stepping over unreadable places. Raises: Reject if they inflate."""
    size_bytes, read_bytes = container.size, 0
    for _ in range(_DEMUX_ERRORS_MAX):
        try:
            for packet in demuxed(container, stream):
                if packet.size:
                    read_bytes += packet.size
                    refuse_expansion(read_bytes, size_bytes)
                    yield packet
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            tally.fail(error)
        else:
            return
