"""Hostile and damaged files, made anew from seeds, and a judge that opens each in a process of its own.

The judge is this module as a program: warmed up once, it forks for every file, so that a crash, a hang or a full memory
belongs to one file and none is hidden. It reads paths from stdin and writes one Verdict as a JSON line for each.
"""

from __future__ import annotations

import ctypes
import io
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import msgspec
import numpy as np
import psutil
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from msgspec import Struct
from numpy.random import Generator
from PIL import Image

__all__ = ["BOMBS", "MEMORY_BYTES", "TIME_S", "Verdict", "judged", "mutants", "reading", "seeds", "write_bombs"]

ROOT = Path(__file__).parents[1]
TIME_S = 20
MEMORY_BYTES = 1 << 30


class Verdict(Struct, frozen=True):
    """How one file ended. fault: a traceback, a signal or "time"; empty for refused (with the reason) and survived."""

    name: str
    seconds: float
    rss_bytes: int
    probed: str = ""
    decoded: str = ""
    fault: str = ""


def reading() -> list[psutil.Process]:
    """Return the children that read media: not other tests' servers, nor what Python keeps for process pools."""
    children = (one for one in psutil.Process().children() if one.name() not in {"nats-server", "postgres"})
    return [one for one in children if "resource_tracker" not in " ".join(one.cmdline())]


# The judge -------------------------------------------------------------------------------------------


def judged(files: Iterable[Path], *, seconds: int = TIME_S, by: str = "examine") -> Iterator[Verdict]:
    """Yield the verdict on each file. by: name of the function here that opens it."""
    judge = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile_media", str(seconds), by],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert judge.stdin is not None
    assert judge.stdout is not None
    try:
        for file in files:
            judge.stdin.write(f"{file}\n".encode())
            judge.stdin.flush()
            yield msgspec.json.decode(judge.stdout.readline(), type=Verdict)
    finally:
        judge.stdin.close()
        judge.wait(timeout=seconds + 10)
        judge.stdout.close()


def examine(path: Path) -> tuple[str, str]:
    """Probe a file and, whatever that says, decode it; return why each refused it, or nothing.

    Decoding is at the start, in the middle and beyond the end, as chunks of a plan would.
    """
    from actors.renderer.source.video import ClipReader, first_frame_us
    from actors.runtime.damage import Tally, refuse_damage
    from actors.runtime.probe import ProbeRequest, probe
    from contracts.errors import Reject

    probed = decoded = ""
    length_us = 2_000_000
    try:
        length_us = probe(ProbeRequest(str(path)), lambda _: None).duration_us
    except Reject as refused:
        probed = str(refused)
    try:
        zero_us = first_frame_us(path)
        tally = Tally()
        for start_us in (0, 4_000_000, length_us * 2 // 3, length_us + 10_000_000):
            reader = ClipReader(path, zero_us=zero_us, threads=1)
            wanted = range(start_us, start_us + 500_000, 100_000)
            for picture in reader.pictures(wanted, start_us=start_us, early_us=8_000):
                assert picture.planes[0].shape == (picture.height_px, picture.width_px)
            tally.add(reader.tally)
        refuse_damage(tally)
    except Reject as refused:
        decoded = str(refused)
    return probed, decoded


def misbehave(path: Path) -> tuple[str, str]:
    """Do what the file is named for: the faults that the judge must see."""
    if path.name == "crash":
        ctypes.string_at(0)
    while path.name == "spin":
        pass
    if path.name == "hang":
        signal.pause()
    return str(len(bytearray((2 << 30) if path.name == "full" else 0))), str(dict.fromkeys(("",))[path.name])


def _judge(seconds: int, by: Callable[[Path], tuple[str, str]]) -> None:

    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        read, write = os.pipe()
        began_s = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _in_child(path, write, seconds, by)
        os.close(write)
        with os.fdopen(read, "rb") as told:
            said = told.read()
        _, status, usage = os.wait4(pid, 0)
        seconds_taken = time.monotonic() - began_s
        rss = usage.ru_maxrss << (0 if sys.platform == "darwin" else 10)
        fault = _named(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else ""
        probed, decoded, trace = msgspec.json.decode(said, type=tuple[str, str, str]) if said else ("", "", "")
        verdict = Verdict(path.name, round(seconds_taken, 3), rss, probed, decoded, fault or trace)
        sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
        sys.stdout.flush()


def _named(number: int) -> str:
    return "time" if number in {signal.SIGALRM, signal.SIGXCPU} else signal.Signals(number).name


def _in_child(path: Path, write: int, seconds: int, by: Callable[[Path], tuple[str, str]]) -> None:
    """Examine under the limits of the isolated child, say what came out, and end."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    probed = decoded = trace = ""
    try:
        probed, decoded = by(path)
    except MemoryError:
        decoded = "needed more memory than it may have"
    except BaseException:  # noqa: BLE001  # told as a fault
        trace = traceback.format_exc()
    os.write(write, msgspec.json.encode((probed, decoded, trace))[:60_000])
    os._exit(0)


# Small valid files ------------------------------------------------------------------------------------

_KINDS: Sequence[tuple[str, str, str, dict[str, str], dict[str, str]]] = (
    # name, video, audio, container options, codec options. x264's mbtree reads unset memory at this size.
    ("avc.mp4", "libx264", "aac", {}, {"bf": "2", "g": "12", "mbtree": "0"}),
    ("frag.mp4", "libx264", "aac", {"movflags": "frag_keyframe+empty_moov"}, {"g": "6", "mbtree": "0"}),
    ("hevc.mov", "libx265", "", {}, {"x265-params": "log-level=none:keyint=12", "preset": "ultrafast"}),
    ("vp9.webm", "libvpx-vp9", "libopus", {}, {"deadline": "realtime", "cpu-used": "8", "g": "12"}),
    ("vp8.mkv", "libvpx", "libopus", {}, {"deadline": "realtime", "cpu-used": "8", "g": "12"}),
    ("mpeg2.ts", "mpeg2video", "mp2", {}, {"g": "8", "bf": "2"}),
    ("mpeg4.avi", "mpeg4", "libmp3lame", {}, {"g": "10"}),
    ("avc.flv", "libx264", "aac", {}, {"g": "12", "mbtree": "0"}),
    ("jpeg.mov", "mjpeg", "pcm_s16le", {}, {}),
)


def seeds(folder: Path) -> list[Path]:
    """Write one small valid file of each kind; return their paths."""
    made: list[Path] = []
    for name, video, audio, container, codec in _KINDS:
        path = folder / name
        _write_seed(path, video, audio, container, codec)
        made.append(path)
    shades = np.linspace(0, 255, 96 * 64 * 3).astype(np.uint8).reshape(64, 96, 3)
    picture = Image.fromarray(shades)
    for name in ("still.png", "still.jpg", "still.webp"):
        picture.save(folder / name)
        made.append(folder / name)
    return made


def _write_seed(path: Path, video: str, audio: str, container: dict[str, str], codec: dict[str, str]) -> None:
    y, x = np.mgrid[:64, :96]
    kind = "yuvj420p" if video == "mjpeg" else "yuv420p"
    with av.open(str(path), "w", options={"fflags": "+bitexact", **container}) as out:
        stream = cast(VideoStream, out.add_stream(video, rate=25, options=codec))
        stream.width, stream.height, stream.pix_fmt = 96, 64, kind
        stream.codec_context.thread_count = 1
        sound = cast(AudioStream, out.add_stream(audio, rate=48_000)) if audio else None
        for number in range(24):
            luma = 16 + (x * 3 + y * 2 + number * 9) % 220
            chroma = 64 + (x[::2, ::2] + number * 4) % 128
            planes = np.concatenate([luma.ravel(), chroma.ravel(), chroma[::-1].ravel()]).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes.reshape(96, 96), format=kind)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            tone = (8000 * np.sin(np.arange(46_080) * 0.06)).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            block.sample_rate, block.pts = 48_000, 0
            out.mux(sound.encode(block))
            out.mux(sound.encode(None))


# Mutations --------------------------------------------------------------------------------------------


def mutants(originals: Sequence[Path], folder: Path, count: int, *, start: int = 0) -> Iterator[Path]:
    """Yield damaged copies, each drawn by its number alone and removed when the next one is taken."""
    whole = [path.read_bytes() for path in originals]
    for number in range(start, start + count):
        drawn = np.random.default_rng(number)
        at = number % len(originals)
        damage = _DAMAGES[int(drawn.integers(len(_DAMAGES)))]
        path = folder / f"{number:05d}-{damage.__name__.strip('_')}-{originals[at].name}"
        path.write_bytes(damage(whole[at], drawn))
        yield path
        path.unlink()


def _flips(data: bytes, drawn: Generator) -> bytes:
    changed = bytearray(data)
    for at in drawn.integers(len(data) * 8, size=2 ** int(drawn.integers(0, 9))):
        changed[at // 8] ^= 1 << int(at % 8)
    return bytes(changed)


def _head_flips(data: bytes, drawn: Generator) -> bytes:
    head = min(len(data), 2048)
    return _flips(data[:head], drawn) + data[head:]


def _cut(data: bytes, drawn: Generator) -> bytes:
    return data[: int(drawn.integers(1, len(data)))]


def _burst(data: bytes, drawn: Generator) -> bytes:
    at, length = int(drawn.integers(len(data))), int(2 ** drawn.integers(1, 13))
    fill = (bytes(length), b"\xff" * length, drawn.bytes(length))[int(drawn.integers(3))]
    return (data[:at] + fill + data[at + length :])[: len(data)]


def _moved(data: bytes, drawn: Generator) -> bytes:
    first, second = sorted(int(at) for at in drawn.integers(len(data), size=2))
    piece = data[first : first + int(drawn.integers(1, 4096))]
    if drawn.integers(2):
        return data[:second] + piece + data[second:]
    return data[:first] + data[first + len(piece) :]


def _box_edit(data: bytes, drawn: Generator) -> bytes:
    """Change a box of an MP4: its size, its kind, a number in it; or double or remove it. Others: a word anywhere."""
    found = list(_boxes(data, 0, len(data)))
    extreme = int((0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, drawn.integers(1 << 32))[int(drawn.integers(8))])
    if not found:
        at = int(drawn.integers(max(1, len(data) - 4)))
        return data[:at] + struct.pack(">I", extreme) + data[at + 4 :]
    start, size = found[int(drawn.integers(len(found)))]
    kind = int(drawn.integers(5))
    if kind == 0:
        return data[:start] + struct.pack(">I", extreme) + data[start + 4 :]
    if kind == 1:
        other = found[int(drawn.integers(len(found)))][0]
        return data[: start + 4] + data[other + 4 : other + 8] + data[start + 8 :]
    if kind == 2:
        return data[: start + size] + data[start : start + size] + data[start + size :]
    if kind == 3:
        return data[:start] + data[start + size :]
    at = start + 8 + int(drawn.integers(max(1, min(size - 8, 64) // 4))) * 4
    return data[:at] + struct.pack(">I", extreme) + data[at + 4 :]


_DAMAGES: Sequence[Callable[[bytes, Generator], bytes]] = (
    _flips,
    _head_flips,
    _cut,
    _burst,
    _moved,
    _box_edit,
    _box_edit,
)
_NESTED = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta", b"dinf"}


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end or not kind.isalnum():
            return
        yield start, size
        if kind in _NESTED:
            yield from _boxes(data, start + 8, start + size)
        start += size


# Bombs ------------------------------------------------------------------------------------------------


def write_bombs(folder: Path) -> Iterator[Path]:
    """Write each bomb in turn, removed when the next one is taken."""
    for name, make in BOMBS.items():
        path = folder / name
        make(path)
        yield path
        path.unlink()


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _jpeg(width: int = 64, height: int = 48) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 60, 30)).save(out, "JPEG")
    return out.getvalue()


def _track(number: int, samples: int, *, step: int = 1, scale: int = 30, size: int, at: int, told: int = 0) -> bytes:
    """A track of JPEG samples that all lie at one place. told: length in the headers, in `scale`."""
    told = told or samples * step
    entry = _box(
        b"jpeg",
        bytes(6),
        struct.pack(">H", 1),
        bytes(16),
        struct.pack(">HH", 64, 48),
        bytes(14 + 32),
        b"\0\x18\xff\xff",
    )
    matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">II", 0, 1), entry),
        _box(b"stts", struct.pack(">IIII", 0, 1, samples, step)),
        _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
        _box(b"stsz", struct.pack(">III", 0, size, samples)),
        _box(
            b"stco", struct.pack(">II", 0, samples if samples < 1000 else 1), struct.pack(">I", at) * min(samples, 999)
        ),
    )
    return _box(
        b"trak",
        _box(
            b"tkhd",
            struct.pack(">IIIIII", 3, 0, 0, number, 0, told),
            bytes(16),
            matrix,
            struct.pack(">II", 64 << 16, 48 << 16),
        ),
        _box(
            b"mdia",
            _box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, scale, told, 0)),
            _box(b"hdlr", bytes(8), b"vide", bytes(13)),
            _box(
                b"minf",
                _box(b"vmhd", bytes(12)),
                _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), _box(b"url ", b"\0\0\0\1"))),
                table,
            ),
        ),
    )


def _mp4(path: Path, tracks: Callable[[int, int], bytes], extra: bytes = b"", told: int = 60) -> None:
    """tracks: makes all tracks from the place and size of the one JPEG."""
    picture = _jpeg()
    head = _box(b"ftyp", b"isom", bytes(4), b"isom")
    header = _box(
        b"mvhd",
        struct.pack(">IIIII", 0, 0, 0, 30, told),
        struct.pack(">IH", 1 << 16, 256),
        bytes(70),
        struct.pack(">I", 9),
    )
    media = _box(b"mdat", picture)
    path.write_bytes(head + media + _box(b"moov", header, tracks(len(head) + 8, len(picture)), extra))


def _avi(path: Path, fourcc: bytes, frames: Sequence[bytes], width: int, height: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)

    main = struct.pack("<14I", 33_333, 0, 0, 0x10, len(frames), 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vids" + fourcc + struct.pack("<3I8I", 0, 0, 0, 1, 30, 0, len(frames), 0, 0, 0, 0) + bytes(4)
    shape = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, fourcc, 0, 0, 0, 0, 0)
    head = chunk(
        b"LIST",
        b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", shape)),
    )
    movie = chunk(b"LIST", b"movi" + b"".join(chunk(b"00dc", frame) for frame in frames))
    path.write_bytes(chunk(b"RIFF", b"AVI " + head + movie))


class _Bits:
    """Writes bits, and the numbers of H.264 (9.1)."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> _Bits:
        self.text += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> _Bits:
        for value in values:
            body = f"{value + 1:b}"
            self.text += "0" * (len(body) - 1) + body
        return self

    def data(self) -> bytes:
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def _avc_65536(path: Path) -> None:
    parameters = _Bits().u(8, 66).u(8, 0).u(8, 62).ue(0, 0, 2, 1).u(1, 0).ue(4095, 4095).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    picture = _Bits().ue(0, 0).u(1, 0).u(1, 0).ue(0, 0, 0).u(1, 0).u(2, 0).ue(0, 0, 0).u(1, 0).u(1, 0).u(1, 0)
    part = _Bits().ue(0, 7, 0).u(4, 0).ue(0).u(1, 0).u(1, 0).ue(0)
    stream = b"".join(
        b"\0\0\0\1" + head + bits.data() for head, bits in ((b"\x67", parameters), (b"\x68", picture), (b"\x65", part))
    )
    _avi(path, b"H264", [stream + bytes(64)] * 3, 65_535, 65_535)


def _mjpeg_65500(path: Path) -> None:
    picture = bytearray(_jpeg())
    at = picture.index(b"\xff\xc0")
    picture[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    _avi(path, b"MJPG", [bytes(picture)] * 3, 64, 48)


def _vp8_16383(path: Path) -> None:
    frame = bytes((0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A)) + struct.pack("<HH", 16_383, 16_383) + bytes(200)
    _avi(path, b"VP80", [frame] * 3, 64, 48)


def _vp9_65536(path: Path) -> None:
    bits = _Bits().u(2, 2).u(2, 0).u(1, 0).u(1, 0).u(1, 1).u(1, 0).u(24, 0x498342).u(3, 1).u(1, 0)
    _avi(path, b"VP90", [bits.u(16, 65_535).u(16, 65_535).u(1, 0).data() + bytes(200)] * 3, 64, 48)


def _png_header(path: Path, width: int, height: int, *chunks: bytes) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compressobj()
    body = b"".join(rows.compress(bytes(1 + width * 3)) for _ in range(min(height, 4000))) + rows.flush()
    rest = b"".join(chunk(piece[:4], piece[4:]) for piece in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + rest + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def _jpeg_65500(path: Path) -> None:
    picture = bytearray(_jpeg())
    at = picture.index(b"\xff\xc0")
    picture[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    path.write_bytes(picture)


def _huge_still_frames(path: Path) -> None:
    """8K frames of nothing but "as before", a few bytes each."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=60, options={"preset": "ultrafast", "crf": "51", "g": "300"})
        stream.width, stream.height, stream.pix_fmt = 8192, 4320, "yuv420p"
        frame = av.VideoFrame(8192, 4320, "yuv420p")
        for number in range(10):
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _element(number: int, *parts: bytes) -> bytes:
    """An EBML element. Source: RFC 8794, 4 and 5."""
    body = b"".join(parts)
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _mkv(path: Path, *extra: bytes, frames: Sequence[bytes] = (), encoding: bytes = b"") -> None:
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"), _element(0x4287, b"\4"), _element(0x4285, b"\2"))
    video = _element(0xE0, _element(0xB0, struct.pack(">I", 64)), _element(0xBA, struct.pack(">I", 48)))
    track = _element(
        0xAE,
        _element(0xD7, b"\1"),
        _element(0x73C5, b"\1"),
        _element(0x83, b"\1"),
        _element(0x86, b"V_MJPEG"),
        video,
        encoding,
    )
    blocks = [
        _element(0x1F43B675, _element(0xE7, struct.pack(">I", at * 33)), _element(0xA3, b"\x81\0\0\x80" + frame))
        for at, frame in enumerate(frames or (_jpeg(),))
    ]
    info = _element(0x1549A966, _element(0x2AD7B1, struct.pack(">I", 1_000_000)))
    path.write_bytes(head + _element(0x18538067, info, _element(0x1654AE6B, track), *extra, *blocks))


def _mkv_deep_tags(path: Path) -> None:
    tag = b""
    for _ in range(3000):
        tag = _element(0x67C8, _element(0x45A3, b"N"), tag)
    _mkv(path, _element(0x1254C367, _element(0x7373, tag)))


def _mkv_inflating(path: Path) -> None:
    """Frames of 9 MB of nothing in 9 kB each: the demuxer inflates them."""
    packed = zlib.compress(_jpeg() + bytes(9_000_000), 9)
    way = _element(
        0x6D80,
        _element(0x6240, _element(0x5031, b"\0"), _element(0x5032, b"\1"), _element(0x5034, _element(0x4254, b"\0"))),
    )
    _mkv(path, frames=[packed] * 100, encoding=way)


def _mkv_endless(path: Path) -> None:
    _mkv(path)
    path.write_bytes(path.read_bytes() + b"\xec\x01" + b"\xff" * 6 + b"\xfe")


def _mp4_deep(path: Path) -> None:
    nest = b""
    for _ in range(5000):
        nest = _box(b"moov", nest)
    _mp4(path, lambda at, size: _track(1, 3, size=size, at=at), nest)


def _mp4_samples(path: Path) -> None:
    _mp4(path, lambda at, size: _track(1, 0x7FFFFFFF, size=1, at=at, told=60))


def _ten_hours_told(path: Path) -> None:
    _mp4(path, lambda at, size: _track(1, 3, size=size, at=at, told=36_000 * 30), told=36_000 * 30)


def _ten_hours_between(path: Path) -> None:
    _mp4(path, lambda at, size: _track(1, 2, step=36_000 * 30, size=size, at=at))


BOMBS: dict[str, Callable[[Path], None]] = {
    "avc-65536x65536.avi": _avc_65536,
    "mjpeg-65500x65500.avi": _mjpeg_65500,
    "vp8-16383x16383.avi": _vp8_16383,
    "vp9-65536x65536.avi": _vp9_65536,
    "raw-65535x65535.avi": lambda path: _avi(path, b"\0\0\0\0", [bytes(64)] * 3, 65_535, 65_535),
    "8k-skipped.mp4": _huge_still_frames,
    "ten-hours-told.mp4": _ten_hours_told,
    "ten-hours-between.mp4": _ten_hours_between,
    "two-billion-samples.mp4": _mp4_samples,
    "deep-boxes.mp4": _mp4_deep,
    "thousand-tracks.mp4": lambda path: _mp4(
        path, lambda at, size: b"".join(_track(n + 1, 3, size=size, at=at) for n in range(1000))
    ),
    "endless-title.mp4": lambda path: _mp4(
        path,
        lambda at, size: _track(1, 3, size=size, at=at),
        _box(b"udta", _box(b"\xa9nam", b"\xff\xff\0\0" + b"A" * (32 << 20))),
    ),
    "deep-tags.mkv": _mkv_deep_tags,
    "inflating.mkv": _mkv_inflating,
    "attachment.mkv": lambda path: _mkv(
        path,
        _element(
            0x1941A469,
            _element(
                0x61A7,
                _element(0x466E, b"a.ttf"),
                _element(0x4660, b"font/ttf"),
                _element(0x465C, bytes(32 << 20)),
                _element(0x46AE, b"\1"),
            ),
        ),
    ),
    "no-end.mkv": _mkv_endless,
    "png-65535x65535.png": lambda path: _png_header(path, 65_535, 65_535),
    "png-8192x8192.png": lambda path: _png_header(path, 8192, 8192),
    "png-text.png": lambda path: _png_header(path, 64, 48, b"zTXtName\0\0" + zlib.compress(bytes(100 << 20), 9)),
    "jpeg-65500x65500.jpg": _jpeg_65500,
}
"""Small files that ask for much, by name."""


if __name__ == "__main__":
    _judge(int(sys.argv[1]), {"examine": examine, "misbehave": misbehave}[sys.argv[2]])
