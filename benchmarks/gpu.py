"""The GPU engine beside the CPU engine, frame by frame, on one machine: what each step of a render takes.

    python -m benchmarks.gpu [--frames 300] [--json]

1920x1080 sources to 1080x1920, with mirror, smooth zoom, grade, vignette and grain; and with nothing at all. Rounds of
the ways are interleaved, medians are told, after one round that does not count. "drawn" is drawing alone, frames in
host memory before and after; "on the device" leaves them there, as between NVDEC and NVENC; "rendered" also encodes by
x264 or NVENC. Needs a GPU and the extra `gpu`, and says so where there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.renderer.devices import choose, probe
from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.geometry import CHROMA_LEFT
from actors.renderer.draw.gpu import LANES, GpuCanvas, Pending
from actors.renderer.draw.looks import look_of
from actors.renderer.draw.recipe import Box, Grain, Layer, Recipe, Scene, Vignette
from contracts.errors import Reject
from contracts.plan import Grade

if TYPE_CHECKING:
    from actors.renderer.draw.cuda import CudaBackend

WIDTH, HEIGHT = 1080, 1920
SOURCE: Final = (1920, 1080)
ROUNDS: Final = 5
SOURCES: Final = 8


def pictures() -> list[Any]:
    """Soft noise, a few of them, so that no cache holds them all."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(SOURCES):
        planes = []
        for part in (1, 2, 2):
            few = rng.integers(0, 256, (SOURCE[1] // 8 // part, SOURCE[0] // 8 // part), np.uint8)
            planes.append(cv2.resize(few, (SOURCE[0] // part, SOURCE[1] // part), interpolation=cv2.INTER_CUBIC))
        found.append(SimpleNamespace(planes=tuple(planes), chroma_site=CHROMA_LEFT))
    return found


def recipes(count: int, *, plain: bool) -> list[Recipe]:
    """Return what is drawn: a slow zoom, mirrored, and everything that is one kernel."""
    look = look_of((Grade(contrast=1.1, saturation=1.2),), {})
    found = []
    for n in range(count):
        pitch = SOURCE[1] / HEIGHT / (1 + 0.2 * n / count)
        across = pitch if plain else -pitch
        to_source = np.array(
            [
                [across, 0, SOURCE[0] / 2 - across * WIDTH / 2],
                [0, pitch, SOURCE[1] / 2 - pitch * HEIGHT / 2],
                [0, 0, 1],
            ]
        )
        scene = Scene((Layer(0, to_source, Box(0, 0, WIDTH, HEIGHT), 1 / pitch),))
        found.append(
            Recipe((scene,))
            if plain
            else Recipe((scene,), look=look, vignette=Vignette(0.45, 0.45), grain=Grain(8.0, 1.9, n))
        )
    return found


class Encoder:
    """Takes frames as a render would. name: of FFmpeg's encoder."""

    def __init__(self, name: str, *, on_device: bool) -> None:
        self._container = av.open(io.BytesIO(), "w", format="matroska")
        options = {"preset": "veryfast", "crf": "23"} if name == "libx264" else {}
        stream = self._container.add_stream(name, rate=30, options=options)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "cuda" if on_device else "yuv420p"
        self._frames = 0

    def take(self, frame: VideoFrame) -> None:
        frame.pts, frame.time_base = self._frames, Fraction(1, 30)
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def by_cpu(drawn: list[Recipe], sources: list[Any], encoder: str | None) -> None:
    canvas, out = CpuCanvas(WIDTH, HEIGHT), VideoFrame(WIDTH, HEIGHT, "yuv420p")
    to = Encoder(encoder, on_device=False) if encoder else None
    for n, recipe in enumerate(drawn):
        canvas.draw(recipe, [sources[n % SOURCES]], out)
        if to:
            to.take(out)
    if to:
        to.close()


def by_gpu(
    drawn: list[Recipe], sources: list[Any], backend: CudaBackend, encoder: str | None, *, on_device: bool
) -> None:
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    outs = [None if on_device else VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in range(LANES)]
    to = Encoder(encoder, on_device=on_device) if encoder else None
    pending: list[Pending] = []
    for n, recipe in enumerate(drawn):
        if len(pending) == LANES:
            frame = pending.pop(0).wait()
            if to:
                to.take(frame)
        pending.append(canvas.submit(recipe, [sources[n % SOURCES]], outs[n % LANES]))
    for late in pending:
        frame = late.wait()
        if to:
            to.take(frame)
    if to:
        to.close()


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description="The GPU engine beside the CPU engine")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    devices = asyncio.run(probe())
    try:
        choice = choose("cuda", devices)
    except Reject as error:
        sys.stderr.write(f"nothing to measure: {error.reason}\n")
        return 2
    from actors.renderer.draw.cuda import CudaBackend, uploaded  # noqa: PLC0415  # needs CuPy

    cv2.setNumThreads(1)
    backend = CudaBackend()
    sources = pictures()
    there = [uploaded(source) for source in sources]
    ways: dict[str, Callable[[list[Recipe]], None]] = {
        "CPU, drawn": lambda drawn: by_cpu(drawn, sources, None),
        "GPU, drawn": lambda drawn: by_gpu(drawn, sources, backend, None, on_device=False),
        "GPU, on the device": lambda drawn: by_gpu(drawn, there, backend, None, on_device=True),
        "CPU, rendered": lambda drawn: by_cpu(drawn, sources, "libx264"),
        "GPU, rendered by x264": lambda drawn: by_gpu(drawn, sources, backend, "libx264", on_device=False),
    }
    if choice.encode.endswith("_nvenc"):
        ways["GPU, rendered by NVENC"] = lambda drawn: by_gpu(drawn, there, backend, choice.encode, on_device=True)
    rows = []
    for plain in (True, False):
        drawn = recipes(asked.frames, plain=plain)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS + 1):
            for name, way in ways.items():
                begun = time.perf_counter()
                way(drawn)
                taken[name].append(time.perf_counter() - begun)
        for name, times in taken.items():
            frame_ms = 1000 * statistics.median(times[1:]) / asked.frames
            rows.append({"job": "plain" if plain else "effects", "way": name, "frame_ms": round(frame_ms, 3)})
    report = {"gpu": devices.of("transform", "cuda").detail, "uses": choice.name, "why": choice.why, "rows": rows}
    if asked.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return 0
    sys.stdout.write(f"{report['gpu']}\nuses {choice.name}; {'; '.join(choice.why) or 'all of it works'}\n")
    for row in rows:
        sys.stdout.write(f"{row['job']:<8} {row['way']:<24} {row['frame_ms']:8.3f} ms a frame\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
