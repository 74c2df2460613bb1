"""The sound of a file as speech programs want it: mono, 16 kHz.

Runs as a child process: `await extract_speech(...)` is for the stage, `extract` is what the child does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from msgspec import Struct

from actors.runtime import isolate
from actors.runtime.untrusted import DEMUXERS, bounded, demuxed, open_local
from contracts.errors import Reject
from contracts.media import Probe

__all__ = ["SAMPLE_RATE_HZ", "ExtractRequest", "Extracted", "decode_speech", "extract", "extract_speech"]

SAMPLE_RATE_HZ: Final = 16_000
DEADLINE_S: Final = 300.0
MEMORY_BYTES: Final = 1 << 30
_FULL_SCALE: Final = 1 << 15


class ExtractRequest(Struct, frozen=True):
    """path: a local file; audio_index: stream in it; start_us: moment of the first sample; flac_path: to write."""

    path: str
    audio_index: int
    start_us: int
    length_us: int
    flac_path: str


class Extracted(Struct, frozen=True):
    """peak: largest sample, of 1."""

    size_bytes: int
    duration_us: int
    peak: float


async def extract_speech(media: Path, probe: Probe, flac: Path, *, length_us: int) -> Extracted:
    """Write the sound of the first `length_us` from the first frame as FLAC. Raises: Reject if there is none."""
    if probe.audio is None:
        raise Reject("the video has no sound")
    return await isolate.run_isolated(
        "actors.editor.sound",
        ExtractRequest(str(media), probe.audio.index, probe.start_us, length_us, str(flac)),
        result=Extracted,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        what="reading the sound",
    )


def extract(request: ExtractRequest, _progress: isolate.Progress) -> Extracted:
    """Extract in this process. Raises: Reject."""
    path = Path(request.path)
    samples = decode_speech(path, request.audio_index, request.start_us, length_us=request.length_us)
    if not samples.size:
        raise Reject("the sound of the video cannot be decoded")
    with av.open(request.flac_path, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for given in (frame, None):
            out.mux(stream.encode(given))
    return Extracted(
        size_bytes=Path(request.flac_path).stat().st_size,
        duration_us=round(samples.size / SAMPLE_RATE_HZ * 1_000_000),
        peak=float(np.abs(samples.astype(np.int32)).max()) / _FULL_SCALE,
    )


def decode_speech(path: Path, audio_index: int, start_us: int, *, length_us: int) -> np.ndarray:
    """Decode a stream to int16 (n,), mono, 16 kHz; sample 0 is at start_us, gaps are silent.

    n is 0 if nothing can be decoded, and at most what `length_us` holds. Raises: Reject if the codec is not read.
    """
    blocks: list[np.ndarray] = []
    lead = filled = 0
    most = length_us * SAMPLE_RATE_HZ // 1_000_000
    resampler, shape = AudioResampler("s16", "mono", SAMPLE_RATE_HZ), ""
    with open_local(path, f"{DEMUXERS},wav,mp3,flac") as container:
        for frame in _audio_frames(container, audio_index):
            at = round(((frame.time or 0.0) - start_us / 1e6) * SAMPLE_RATE_HZ)
            if at >= most or filled >= most:
                break
            if not blocks:
                lead = filled = min(at, 0)
            if at - filled > SAMPLE_RATE_HZ // 10 or not blocks:
                blocks.append(np.zeros(max(0, at - filled), np.int16))
                filled = max(filled, at)
            if shape != (shape := f"{frame.format.name} {frame.layout.name} {frame.sample_rate}"):
                resampler = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
            for out in resampler.resample(frame):
                blocks.append(out.to_ndarray()[0])
                filled += blocks[-1].size
    if filled - lead <= 0:
        return np.zeros(0, np.int16)
    samples: np.ndarray = np.concatenate(blocks)[-lead:][:most]
    return samples


def _audio_frames(container: InputContainer, index: int) -> Iterator[AudioFrame]:
    stream = container.streams[index]
    if not isinstance(stream, AudioStream):
        raise Reject("the sound of the video is not where it was")
    bounded(stream)
    for packet in demuxed(container, stream):
        try:
            frames = packet.decode()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            continue  # a damaged packet is a gap
        for frame in frames:
            if isinstance(frame, AudioFrame):
                yield frame


if __name__ == "__main__":
    isolate.serve(ExtractRequest, extract)
