"""The checks that everything passes before it leaves the renderer.

A chunk is decoded whole as soon as it is written and compared, frame by frame, with what was composed. The sound is
decoded whole and measured. The joined file then holds exactly the packets that were checked, at the planned moments.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast

import av
import av.error
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Plane
from actors.renderer.encode import AAC_FRAME, BT709, LIMITED
from actors.renderer.source.media import decoded, packets
from actors.renderer.source.picture import planes_of
from actors.renderer.timeline import SAMPLE_RATE_HZ, samples_of_frames
from actors.runtime.damage import Tally, why
from contracts.plan import Loudness, Output

__all__ = [
    "SIGNATURE_BYTES",
    "GateFailed",
    "Signature",
    "check_chunk",
    "check_file",
    "check_sound",
    "packet_digest",
    "signature",
    "signatures_of",
    "whole_packets",
    "written",
]

Signature = NDArray[np.uint8]
"""(16, 8): mean luma of the blocks of a frame."""

_ROWS, _COLUMNS = 16, 8
SIGNATURE_BYTES: Final = _ROWS * _COLUMNS
_LINES: Final = 8
"""Lines of each block that count; all of them cost much more and tell little more."""
MEAN_OFF: Final = 5.0
"""Levels by which a decoded frame's blocks may differ from the composed ones, on average, at a rate factor up to 25."""
_OFF_PER_CRF: Final = 0.6
"""Levels more for each step of the rate factor beyond: flat grain at 51 was seen 14.5 levels off."""
CHANGE_MIN: Final = 2.0
"""Levels by which the blocks of composed neighbours differ on average where a repeated frame would show."""
_OWN: Final = {"protocol_whitelist": "file", "codec_whitelist": "h264,hevc,aac", "skip_frame": "all"}
LOUDNESS_OFF_LU: Final = 1.0
TRUE_PEAK_OFF_DB: Final = 1.0
"""AAC moves peaks; the mix keeps to the plan before it is encoded."""
SILENT_LUFS: Final = -69.0
"""Absolute gate of Rec. ITU-R BS.1770-5 is -70 LUFS: what is as quiet has no loudness."""


class GateFailed(RuntimeError):
    """The output is not what was planned: a fault of the renderer, never of the source."""


def signature(luma: Plane) -> Signature:
    """Return the mean luma of 16 x 8 blocks, from every nth line of them."""
    height, width = luma.shape
    lines = luma[:: max(1, height // (_ROWS * _LINES))]
    # Blocks of whole samples are averaged ten times as fast; what is cut off is less than one block.
    whole = lines[: len(lines) // _ROWS * _ROWS, : width // _COLUMNS * _COLUMNS]
    found = cv2.resize(whole if whole.size else lines, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return cast(Signature, found)


def signatures_of(data: bytes) -> Signature:
    """Return (n, 16, 8) signatures from n in a row."""
    return np.frombuffer(data, np.uint8).reshape(-1, _ROWS, _COLUMNS)


def packet_digest(packets: Iterable[Packet[Any]]) -> str:
    """Return the SHA-256 of what the packets hold, hex."""
    digest = hashlib.sha256()
    for packet in packets:
        digest.update(packet)
    return digest.hexdigest()


# Picture --------------------------------------------------------------------------------------------


def check_chunk(path: Path, output: Output, composed: Signature) -> tuple[str, int]:
    """Decode a chunk and compare it with the signatures of its frames.

    Returns: the digest of its packets, and by how many frames decoding must run ahead of showing.
    Raises: GateFailed, naming what is wrong.
    """
    try:
        return _decode_chunk(path, output, composed, deblocked=False)
    except GateFailed:
        # Without deblocking pictures drift from one to the next; only what is wrong in full is wrong.
        return _decode_chunk(path, output, composed, deblocked=True)


def _decode_chunk(path: Path, output: Output, composed: Signature, *, deblocked: bool) -> tuple[str, int]:
    tally = Tally()
    fps = Fraction(output.fps.num, output.fps.den)
    before: Signature | None = None
    number = 0
    with written(path) as container:
        stream = _picture_of(container, output)
        stream.codec_context.thread_count = 1
        if not deblocked:  # it changes no syntax: without it decoding still meets every error, a seventh faster
            stream.codec_context.options = {"skip_loop_filter": "all"}
        noted = _Noted(packets(container, stream, tally), fps)
        for frame in decoded(container, stream, tally, noted):
            picture = cast(VideoFrame, frame)
            at = Fraction(picture.pts or 0) * cast(Fraction, picture.time_base) * fps
            _demand(at == number, f"frame {number} comes at the place of frame {float(at):.2f}")
            _demand(number < len(composed), f"more than the {len(composed)} frames that were drawn")
            _demand(picture.format.name == "yuv420p", f"pixel format {picture.format.name}")
            _tagged(picture)
            seen = signature(planes_of(picture)[0])
            _compare(number, seen, before, composed, MEAN_OFF + _OFF_PER_CRF * max(0, output.crf - 25))
            before, number = seen, number + 1
    _demand(tally.damaged == 0, f"{tally.damaged} damaged packets{tally.detail}")
    _demand(number == len(composed), f"{number} frames instead of {len(composed)}")
    return noted.digest.hexdigest(), noted.delay


class _Noted:
    """Packets that go by: the digest of what they hold, and by how many frames decoding must run ahead of showing."""

    def __init__(self, coming: Iterator[Packet[Any]], fps: Fraction) -> None:
        self._coming = coming
        self._fps = fps
        self.digest = hashlib.sha256()
        self.delay = 0

    def __iter__(self) -> Iterator[Packet[Any]]:
        for at, packet in enumerate(self._coming):
            self.digest.update(packet)
            self.delay = max(self.delay, at - round((packet.pts or 0) * packet.time_base * self._fps))
            yield packet


def _compare(number: int, seen: Signature, before: Signature | None, composed: Signature, allowed: float) -> None:
    """Refuse another picture than the composed one, and a picture that stands still where the composed one moved."""
    off = _apart(seen, composed[number])
    _demand(off <= allowed, f"frame {number} is not the picture that was drawn: {off:.1f} levels apart")
    if before is not None and _apart(composed[number], composed[number - 1]) >= CHANGE_MIN:
        _demand(_apart(seen, before) > CHANGE_MIN / 4, f"frame {number} repeats the frame before it")


def _apart(one: Signature, other: Signature) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L1)) / SIGNATURE_BYTES


def _picture_of(container: InputContainer, output: Output) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise GateFailed("the finished file has no picture")
    size = (stream.width, stream.height)
    _demand(size == (output.width_px, output.height_px), f"{size[0]}x{size[1]} px, not as planned")
    context = stream.codec_context
    _demand(context.name == output.video_codec, f"codec {context.name}, not {output.video_codec}")
    rate = Fraction(output.fps.num, output.fps.den)
    _demand(stream.average_rate == rate, f"{stream.average_rate} frames a second instead of {rate}")
    _tagged(context)
    return stream


def _tagged(of: Any) -> None:
    tags = of.colorspace, of.color_primaries, of.color_trc, of.color_range
    _demand(tags == (BT709, BT709, BT709, LIMITED), f"colour tags {tags}, not limited BT.709")


# Sound ----------------------------------------------------------------------------------------------


def check_sound(path: Path, samples: int, loudness: Loudness | None) -> str:
    """Decode the sound and measure it; return the digest of its packets. Raises: GateFailed, naming what is wrong."""
    tally = Tally()
    count = 0
    with written(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise GateFailed("no sound, though sound was planned")
        _demand(stream.rate == SAMPLE_RATE_HZ, f"sound at {stream.rate} Hz")
        _demand(stream.codec_context.name == "aac", f"sound in {stream.codec_context.name}")
        meter = _Meter(stream) if loudness is not None else None
        for frame in decoded(container, stream, tally):
            sound = cast(AudioFrame, frame)
            count += sound.samples
            if meter is not None:
                meter.hear(sound)
    _demand(tally.damaged == 0, f"{tally.damaged} damaged packets of sound{tally.detail}")
    _demand(samples <= count < samples + AAC_FRAME, f"{count} samples of sound instead of {samples}")
    if loudness is not None and meter is not None:
        _loud_enough(*meter.measured(), loudness)
    with written(path) as container:
        return packet_digest(whole_packets(container, container.streams.audio[0]))


class _Meter:
    """FFmpeg's own measure of loudness, which the mixer does not use."""

    def __init__(self, stream: AudioStream) -> None:
        self._graph = Graph()
        self._graph.link_nodes(
            self._graph.add_abuffer(template=stream),
            self._graph.add("ebur128", "metadata=1:peak=true"),
            self._graph.add("abuffersink"),
        ).configure()
        self._last: dict[str, str] = {}

    def hear(self, frame: AudioFrame) -> None:
        self._graph.push(frame)
        while True:
            try:
                heard = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            self._last = heard.metadata or self._last

    def measured(self) -> tuple[float, float]:
        """Return integrated loudness, LUFS, and true peak, dBTP; -inf where nothing is heard."""
        # The filter tells peaks as amplitudes: libavfilter/f_ebur128.c of FFmpeg 8.
        peak = max(float(self._last.get(f"lavfi.r128.true_peaks_ch{at}", "0")) for at in (0, 1))
        return float(self._last.get("lavfi.r128.I", "-inf")), 20 * math.log10(peak) if peak else -math.inf


def _loud_enough(lufs: float, peak_dbtp: float, planned: Loudness) -> None:
    if lufs <= SILENT_LUFS:
        return
    limit = planned.true_peak_dbtp + TRUE_PEAK_OFF_DB
    _demand(peak_dbtp <= limit, f"a true peak of {peak_dbtp:.1f} dBTP where {planned.true_peak_dbtp:.1f} is planned")
    off = abs(lufs - planned.integrated_lufs)
    _demand(off <= LOUDNESS_OFF_LU, f"a loudness of {lufs:.1f} LUFS where {planned.integrated_lufs:.1f} is planned")


# The whole file -------------------------------------------------------------------------------------


def check_file(
    path: Path, output: Output, frames: int, pictures: Iterable[tuple[int, str]], sound_sha256: str | None
) -> int:
    """Check the joined file and return its length, microseconds. Raises: GateFailed, naming what is wrong.

    Args: pictures: number of packets and their digest, chunk by chunk; sound_sha256: of the sound's packets.
    """
    size = path.stat().st_size
    limit = output.max_bytes
    _demand(limit is None or size <= limit, f"{size} bytes, more than the {limit} that the plan allows")
    one_frame = Fraction(output.fps.den, output.fps.num)
    planned = frames * one_frame
    with written(path) as container:
        coming = whole_packets(container, _picture_of(container, output))
        starts, ends, last = [], Fraction(0), None
        for count, digest in pictures:
            held = list(itertools.islice(coming, count))
            _demand(packet_digest(held) == digest, "a chunk was changed while it was joined")
            for packet in held:
                start = Fraction(packet.pts or 0) * packet.time_base
                starts.append(round(start / one_frame))
                _demand(starts[-1] * one_frame == start, f"a frame at {float(start):.4f} s, between two frames")
                _demand(last is None or last < (packet.dts or 0), "decoding times that do not rise")
                last, ends = packet.dts or 0, max(ends, start + one_frame)
        _demand(next(coming, None) is None, "more pictures than were drawn")
    _demand(sorted(starts) == list(range(frames)), f"{len(starts)} frames, not each of {frames} once")
    _demand(abs(ends - planned) < one_frame, f"{float(ends):.3f} s long instead of {float(planned):.3f} s")
    _check_track(path, output, frames, sound_sha256)
    return round(planned * 1_000_000)


def _check_track(path: Path, output: Output, frames: int, sound_sha256: str | None) -> None:
    with written(path) as container:
        stream = container.streams.best("audio")
        if sound_sha256 is None:
            _demand(stream is None, "a sound stream, though none was planned")
            return
        if not isinstance(stream, AudioStream):
            raise GateFailed("no sound, though sound was planned")
        digest, last, ends = hashlib.sha256(), None, Fraction(0)
        starts = None
        for packet in whole_packets(container, stream):
            digest.update(packet)
            _demand(last is None or last < (packet.dts or 0), "sound whose times do not rise")
            start = Fraction(packet.pts or 0) * packet.time_base
            starts = start if starts is None else starts
            last, ends = packet.dts or 0, start + Fraction(packet.duration or AAC_FRAME) * packet.time_base
    _demand(digest.hexdigest() == sound_sha256, "the sound was changed while it was joined")
    # The encoder's first packet is its run-in, which players drop by the edit list.
    run_in = Fraction(AAC_FRAME, SAMPLE_RATE_HZ)
    _demand(starts == -run_in, f"sound that starts at {float(starts or 0) + float(run_in):.4f} s, not with the picture")
    wanted = Fraction(samples_of_frames(frames, output.fps), SAMPLE_RATE_HZ)
    drift = abs(ends - wanted)
    _demand(drift <= run_in, f"sound and picture end {float(drift):.4f} s apart")


@contextmanager
def written(path: Path) -> Iterator[InputContainer]:
    """Open a file that the renderer wrote. Raises: GateFailed.

    Its headers tell everything: no picture is decoded to find out what is in it, which costs as much as five frames.
    """
    try:
        container = av.open(f"file:{path.absolute()}", format="mov", options=_OWN)
    except av.error.FFmpegError as error:
        raise GateFailed(f"the finished file {path.name} cannot be opened ({why(error)})") from error
    with container:
        yield container


def whole_packets(container: InputContainer, stream: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of a stream, without the empty one that stands for the end."""
    for packet in container.demux(stream):
        if packet.size:
            yield packet


def _demand(holds: bool, fault: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not holds:
        raise GateFailed(f"the finished file failed its check: {fault}")
