"""Media that the sandbox opens or makes itself, with PyAV."""

from __future__ import annotations

import hashlib
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from msgspec import Struct
from PIL import Image

__all__ = ["Digests", "Probe", "digests_of", "make_clip", "probe"]

_BLOCK_BYTES = 1 << 20
_AUDIO_RATE_HZ = 44_100


class Probe(Struct, frozen=True, kw_only=True):
    """What a media file is. `failure` is YouTube's failureReason for a file that cannot be a video."""

    duration_s: float | None = None
    width_px: int = 0
    height_px: int = 0
    failure: str | None = None


class Digests(Struct, frozen=True, kw_only=True):
    """Size and checksums of a file, hexadecimal."""

    size_bytes: int
    sha256: str
    md5: str
    sha1: str
    crc32: str


def probe(file: Path, poster: Path | None = None) -> Probe:
    """Open a file as a video; write its first picture to `poster` (JPEG). Blocks; run it in a thread."""
    if file.stat().st_size == 0:
        return Probe(failure="emptyFile")
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                return Probe(failure="invalidFile")
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            if poster is not None:
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(poster, "JPEG", quality=85)
            duration_s: float | None = None
            if container.duration is not None:
                duration_s = container.duration / 1_000_000
            elif stream.duration is not None and stream.time_base is not None:
                duration_s = float(stream.duration * stream.time_base)
            return Probe(duration_s=duration_s, width_px=frame.width, height_px=frame.height)
    except StopIteration:
        return Probe(failure="conversion")
    except (av.error.FFmpegError, ValueError):
        return Probe(failure="invalidFile")


def digests_of(file: Path) -> Digests:
    """Read a file once and return its size and checksums. Blocks; run it in a thread."""
    sha256, md5, sha1 = hashlib.sha256(), hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
    crc32 = size_bytes = 0
    with file.open("rb") as source:
        while block := source.read(_BLOCK_BYTES):
            for digest in (sha256, md5, sha1):
                digest.update(block)
            crc32 = zlib.crc32(block, crc32)
            size_bytes += len(block)
    return Digests(
        size_bytes=size_bytes,
        sha256=sha256.hexdigest(),
        md5=md5.hexdigest(),
        sha1=sha1.hexdigest(),
        crc32=f"{crc32:08x}",
    )


def make_clip(
    to: Path,
    *,
    seconds: float = 4.0,
    width_px: int = 320,
    height_px: int = 180,
    fps: int = 15,
    seed: int = 0,
) -> None:
    """Make a small clip with moving bands of colour and a tone. MP4 (H.264, AAC) or, by its name, WebM (VP8, Opus).

    Blocks; run it in a thread.
    """
    webm = to.suffix == ".webm"
    rate_hz = 48_000 if webm else _AUDIO_RATE_HZ
    with av.open(str(to), "w") as out:
        video = out.add_stream("libvpx" if webm else "libx264", rate=fps)
        video.width, video.height, video.pix_fmt = width_px, height_px, "yuv420p"
        video.options = {"deadline": "realtime", "cpu-used": "8"} if webm else {"preset": "ultrafast"}
        audio = out.add_stream("libopus" if webm else "aac", rate=rate_hz, layout="mono")
        column = np.linspace(0, 2 * np.pi, width_px, dtype=np.float32)[None, :, None]
        row = np.linspace(0, 2 * np.pi, height_px, dtype=np.float32)[:, None, None]
        band = np.arange(3, dtype=np.float32)
        phase = column * (1 + seed % 3) + row * band
        sine, cosine = np.sin(phase), np.cos(phase)
        for index in range(round(seconds * fps)):
            turn = 2 * np.pi * index / (fps * 4) + seed
            shift = (turn * (band + 1)).astype(np.float32)
            wave = sine * np.cos(shift) + cosine * np.sin(shift)
            frame = av.VideoFrame.from_ndarray((wave * 100 + 128).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        count = round(seconds * rate_hz)
        tone = np.sin(2 * np.pi * (220 + 40 * (seed % 7)) * np.arange(count) / rate_hz) * 0.1
        samples = (tone * 32767).astype(np.int16)[None, :]
        sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        sound.rate, sound.pts, sound.time_base = rate_hz, 0, Fraction(1, rate_hz)
        resampler = av.AudioResampler(format=audio.format.name, layout="mono", rate=rate_hz)
        for piece in (*resampler.resample(sound), None):
            out.mux(audio.encode(piece))
