"""Whether sound and picture still agree after an hour: flashes with beeps, rendered, and measured in the output.

The source has a flash every few seconds and, around the same moment, a beep; the picture has a rate that is no whole
number, the sound a rate of its own. In the output each flash is placed by its frames' timestamps and each beep by the
middle of its energy, which AAC does not move.

    python -m benchmarks.sync [--minutes 60] [--every 10] [--fps 30000/1001] [--size 320x180] [--workers N]
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import psutil
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from msgspec import Struct

from actors.renderer.render import render_file
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import AudioTrack, Clip, Output, Plan, PlanSource
from contracts.rights import RightsRecord

SOURCE_HZ: Final = 44_100
BEEP_HZ: Final = 1000
BEEP_S: Final = 0.1
_BRIGHT: Final = 128
_RATE_HZ: Final = 48_000


class Mark(Struct, frozen=True):
    """A flash and its beep in the output: when, and how much later the beep is, seconds."""

    at_s: float
    beep_late_s: float


def make_source(
    path: Path, *, frames: int, fps: Fraction, every_s: int, width_px: int = 64, height_px: int = 64
) -> Path:
    """Write the source: every `every_s` seconds a flash of one frame, with a beep around its middle."""
    with av.open(str(path), "w", format="mov") as out:
        video = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "30", "g": "250"})
        video.width, video.height, video.pix_fmt = width_px, height_px, "yuv420p"
        video.codec_context.time_base = 1 / fps
        audio = out.add_stream("pcm_s16le", rate=SOURCE_HZ, layout="mono")
        dark, bright = (_flat(level, width_px, height_px) for level in (40, 235))
        every = round(every_s * fps)
        middles_s = [float((number + Fraction(1, 2)) / fps) for number in range(every, frames, every)]
        heard = 0
        for number in range(frames):
            frame = bright if number % every == 0 and number else dark
            frame.pts, frame.time_base = number, 1 / fps
            out.mux(video.encode(frame))
            due = round((number + 1) / fps * SOURCE_HZ)
            block = _beeps(heard, due - heard, middles_s)
            block.pts, block.time_base = heard, Fraction(1, SOURCE_HZ)
            heard = due
            out.mux(audio.encode(block))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


def _flat(level: int, width_px: int, height_px: int) -> VideoFrame:
    planes = np.full((height_px * 3 // 2, width_px), 128, np.uint8)
    planes[:height_px] = level
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def _beeps(start: int, count: int, middles_s: list[float]) -> AudioFrame:
    at_s = np.arange(start, start + count) / SOURCE_HZ
    levels = np.zeros(count)
    nearest = bisect.bisect_left(middles_s, start / SOURCE_HZ)
    for middle_s in middles_s[max(0, nearest - 1) : nearest + 1]:
        away = np.clip((at_s - middle_s) / BEEP_S, -0.5, 0.5)
        levels += 0.5 * np.cos(np.pi * away) ** 2 * np.sin(2 * np.pi * BEEP_HZ * (at_s - middle_s)) * (abs(away) < 0.5)
    frame = AudioFrame.from_ndarray(np.rint(levels * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = SOURCE_HZ
    return frame


def plan_for(source: Path, *, frames: int, fps: Fraction, width_px: int = 64, height_px: int = 64) -> Plan:
    """Return a plan of the whole source at its own rate."""
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    rights = RightsRecord(licence="owned", attested_by="benchmark", attestation="made by it")
    rate = Rational(fps.numerator, fps.denominator)
    return Plan(
        sources=(PlanSource(id="s", key=ObjectKey(str(source)), sha256=sha256, rights=rights),),
        clips=(Clip(source="s", start_us=0, end_us=round(frames / fps * 1_000_000)),),
        audio=(AudioTrack(source="s"),),
        output=Output(width_px=width_px, height_px=height_px, fps=rate, preset="ultrafast", crf=30),
    )


def marks(path: Path) -> list[Mark]:
    """Find the flashes and beeps of a file, in order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        length_s = float(1 / (stream.average_rate or 1))
        flashes_s = [
            float((frame.pts or 0) * (frame.time_base or 0)) + length_s / 2
            for frame in container.decode(stream)
            if frame.to_ndarray()[: frame.height].mean() > _BRIGHT
        ]
    beeps_s = list(_heard(path))
    if len(flashes_s) != len(beeps_s):
        raise SystemExit(f"{len(flashes_s)} flashes and {len(beeps_s)} beeps: they cannot be compared")
    return [Mark(flash_s, beep_s - flash_s) for flash_s, beep_s in zip(flashes_s, beeps_s, strict=True)]


def _heard(path: Path) -> Iterator[float]:
    """Yield the middle of the energy of each beep, seconds."""
    weight = moment = 0.0
    quiet_from_s = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            start_s = float((frame.pts or 0) * (frame.time_base or 0))
            power = frame.to_ndarray()[0].astype(np.float64) ** 2
            power[power < 1e-4] = 0
            if power.any():
                weight += float(power.sum())
                moment += float((power * (start_s + np.arange(power.size) / _RATE_HZ)).sum())
                quiet_from_s = start_s + power.size / _RATE_HZ
            elif weight and start_s - quiet_from_s > BEEP_S:
                yield moment / weight
                weight = moment = 0.0
    if weight:
        yield moment / weight


@contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Watch the resident memory of all processes below this one; fill in the peak of their sum and of the largest."""
    peak = {"all_bytes": 0, "largest_bytes": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.Error:
                    continue
            peak["all_bytes"] = max(peak["all_bytes"], sum(sizes))
            peak["largest_bytes"] = max(peak["largest_bytes"], *sizes, 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def run(
    folder: Path, *, minutes: float, every_s: int, fps: Fraction, size: tuple[int, int], workers: int | None
) -> dict[str, object]:
    """Make the source, render it, measure; return the figures."""
    frames = round(minutes * 60 * fps)
    source = make_source(
        folder / "source.mov", frames=frames, fps=fps, every_s=every_s, width_px=size[0], height_px=size[1]
    )
    plan = plan_for(source, frames=frames, fps=fps, width_px=size[0], height_px=size[1])
    out = folder / "out.mp4"
    began = time.monotonic()
    with peak_memory() as peak:
        rendered = asyncio.run(render_file(plan, resolve=lambda one: Path(one.key), out=out, workers=workers))
    found = marks(out)
    late_ms = [1000 * mark.beep_late_s for mark in found]
    return {
        "minutes": minutes,
        "frames": rendered.frames,
        "wall_s": round(time.monotonic() - began, 1),
        "marks": len(found),
        "frame_ms": round(1000 / float(fps), 2),
        "drift_start_ms": round(late_ms[0], 3),
        "drift_middle_ms": round(late_ms[len(late_ms) // 2], 3),
        "drift_end_ms": round(late_ms[-1], 3),
        "drift_worst_ms": round(max(map(abs, late_ms)), 3),
        "peak_all_mb": round(peak["all_bytes"] / 1e6),
        "peak_largest_mb": round(peak["largest_bytes"] / 1e6),
        "notes": list(rendered.notes),
    }


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=int, default=10, help="seconds between flashes")
    parser.add_argument("--fps", type=Fraction, default=Fraction(30000, 1001))
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--workers", type=int, default=None)
    chosen = parser.parse_args()
    width, _, height = chosen.size.partition("x")
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            Path(folder),
            minutes=chosen.minutes,
            every_s=chosen.every,
            fps=chosen.fps,
            size=(int(width), int(height)),
            workers=chosen.workers,
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
