"""Open untrusted local media: no protocol but files, no demuxer that follows addresses, bounded sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from contracts.errors import Reject

__all__ = ["MAX_SIDE_PX", "Tally", "decoded", "opened", "why"]

DEMUXERS: Final = "mov,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,mxf,wav,mp3,flac,aac,aiff"
"""Containers that are read, as libavformat spells them. Playlists and concatenations are not among them."""
MAX_SIDE_PX: Final = 8192
_DEMUX_ERRORS_MAX: Final = 100
"""Unreadable places in one file that are stepped over before the rest is given up."""


class Tally:
    """What became of the packets of one stream.

    whole, patched: frames without and with damage that the decoder concealed; failed: packets that gave no frame.
    """

    def __init__(self) -> None:
        self.whole = 0
        self.patched = 0
        self.failed = 0
        self.last_error = ""

    @property
    def damaged(self) -> int:
        return self.patched + self.failed

    @property
    def detail(self) -> str:
        """The last error, in brackets, to be put after a sentence."""
        return f" ({self.last_error})" if self.last_error else ""

    def add(self, other: Tally) -> None:
        self.whole += other.whole
        self.patched += other.patched
        self.failed += other.failed
        self.last_error = other.last_error or self.last_error


def why(error: Exception) -> str:
    """Return FFmpeg's own words for an error, without paths."""
    return (getattr(error, "strerror", None) or str(error)).lower()


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a local file. Raises: Reject."""
    try:
        container = av.open(
            f"file:{path.absolute()}",
            options={"protocol_whitelist": "file", "format_whitelist": DEMUXERS},
            metadata_errors="replace",
        )
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise Reject(
            f"the source cannot be opened ({why(error)})", mend="the file is damaged or of a kind that is not read"
        ) from error
    with container:
        yield container


def decoded(
    container: InputContainer, stream: VideoStream | AudioStream, tally: Tally
) -> Iterator[VideoFrame | AudioFrame]:
    """Yield the frames of one stream from where the container stands; what does not decode is counted, not raised."""
    packets: Iterator[Packet[Any] | None] = itertools.chain(_packets(container, stream, tally), (None,))
    for packet in packets:
        try:
            frames = stream.decode(packet)
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.EOFError):
                return
            tally.failed += 1
            tally.last_error = why(error)
            continue
        for frame in frames:
            if frame.is_corrupt:
                tally.patched += 1
            else:
                tally.whole += 1
            if frame.time_base is None:  # of frames that only came out when the decoder was emptied
                frame.time_base = stream.time_base
            yield frame


def _packets(container: InputContainer, stream: VideoStream | AudioStream, tally: Tally) -> Iterator[Packet[Any]]:
    for _ in range(_DEMUX_ERRORS_MAX):
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            tally.failed += 1
            tally.last_error = why(error)
        else:
            return
