"""The CPU engine against the bare floor: decode, crop, scale and encode with the same codecs, and nothing else.

The job: 1920x1080 at 30 fps -> 1080x1920, mirrored, slow sub-pixel zoom, a punch-in and a flash every 3 s, a caption
every 0.5 s, libx264 veryfast crf 23, AAC. Rounds are interleaved; every run is a process of its own. `engine` includes
the check that decodes the finished file whole; `engine, unchecked` leaves it out, as the floor does.

    python benchmarks/render.py [--seconds 20] [--rounds 3] [--source FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import msgspec
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from actors.renderer import engine, gate
from actors.renderer.channel import Channel
from actors.renderer.encode import ENCODER_THREADS
from actors.renderer.job import ENGINE, RenderRequest
from actors.renderer.text import fonts
from contracts.ids import ObjectKey
from contracts.plan import (
    AudioTrack,
    Captions,
    Clip,
    Cue,
    Flash,
    Mirror,
    Output,
    Plan,
    PlanSource,
    PunchIn,
    Zoom,
)
from contracts.rights import RightsRecord

CRF: Final = 23
WAYS: Final = ("bare", "engine", "engine, unchecked")


def make_source(path: Path, seconds: int) -> None:
    """Write a moving, textured 1080p30 picture with a tone; about as hard to encode as camera footage."""
    chance = np.random.default_rng(1)
    texture = cv2.GaussianBlur(chance.integers(0, 255, (1400, 2400, 3), dtype=np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, texture, 0, 255, cv2.NORM_MINMAX)
    grain = [chance.normal(0, 3, (1080, 1920, 3)).astype(np.int16) for _ in range(4)]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        audio = out.add_stream("aac", rate=48_000)
        audio.layout = "stereo"
        for number in range(seconds * 30):
            angle = number / 60
            x, y = int(240 + 200 * np.sin(angle)), int(160 + 120 * np.cos(angle * 0.7))
            picture = texture[y : y + 1080, x : x + 1920].astype(np.int16) + grain[number % 4]
            frame = VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            out.mux(video.encode(frame))
            at = np.arange(number * 1600, (number + 1) * 1600) / 48_000
            tone = np.repeat((0.2 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)[None], 2, axis=0)
            block = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
            block.sample_rate, block.pts = 48_000, number * 1600
            block.time_base = Fraction(1, 48_000)
            out.mux(audio.encode(block))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def plan_of(source: Path, seconds: int) -> Plan:
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    rights = RightsRecord(licence="owned", attested_by="benchmark", attestation="made for the benchmark")
    cues = tuple(
        Cue(start_us=at * 500_000, end_us=(at + 1) * 500_000, text=f"Caption number {at}") for at in range(seconds * 2)
    )
    return Plan(
        sources=(PlanSource(id="source", key=ObjectKey(str(source)), sha256=sha256, rights=rights),),
        clips=(Clip(source="source", start_us=0, end_us=seconds * 1_000_000),),
        audio=(AudioTrack(source="source"),),
        effects=(Mirror(), Zoom(), PunchIn(), Flash()),
        captions=Captions(cues=cues),
        output=Output(crf=CRF),
    )


def run_engine(source: Path, seconds: int, out: Path, *, checked: bool) -> None:
    if not checked:
        gate.check_file = lambda *_args, **_kwargs: seconds * 1_000_000
    plan = plan_of(source, seconds)
    request = RenderRequest(
        plan=plan,
        paths={"source": str(source)},
        part=f"{out}.part",
        out=str(out),
        font=fonts.find(None),
    )
    engine.render(request, lambda _: None)


def run_bare(source: Path, seconds: int, out: Path) -> None:
    """Crop and scale by FFmpeg's own filters, with the engine's threads and codec settings; audio re-encoded."""
    frames: Channel[VideoFrame] = Channel(engine.QUEUE_FRAMES)

    def produce() -> None:
        for frame in _scaled(source, seconds):
            frames.put(frame)
        frames.end()

    thread = threading.Thread(target=produce)
    thread.start()
    with av.open(str(out), "w", options={"movflags": "+faststart"}) as target, av.open(str(source)) as sound:
        video = target.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": str(CRF), "g": "60"})
        video.width, video.height, video.pix_fmt = 1080, 1920, "yuv420p"
        video.codec_context.thread_count = ENCODER_THREADS
        video.codec_context.thread_type = "FRAME"
        audio = target.add_stream("aac", rate=48_000)
        audio.layout, audio.bit_rate = "stereo", 160_000
        coming = sound.decode(audio=0)
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 30)
            target.mux(video.encode(frame))
            for block in coming:
                target.mux(audio.encode(block))
                if (block.time or 0.0) * 30 > number:
                    break
        target.mux(video.encode(None))
        target.mux(audio.encode(None))
    thread.join()


def _scaled(source: Path, seconds: int) -> Iterator[VideoFrame]:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = engine.DECODER_THREADS
        stream.codec_context.thread_type = "AUTO"
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("crop", "ih*9/16:ih"),
            graph.add("scale", "1080:1920:flags=bilinear"),
            graph.add("buffersink"),
        ).configure()
        for number, frame in enumerate(container.decode(stream)):
            if number == seconds * 30:
                return
            graph.push(frame)
            scaled = graph.pull()
            assert isinstance(scaled, VideoFrame)
            yield scaled


class Run(msgspec.Struct):
    wall_s: float
    cpu_s: float
    rss_mb: float


def measure(way: str, source: Path, seconds: int, folder: Path) -> Run:
    """Run one way in a process of its own and return what it took."""
    argv = [sys.executable, __file__, "--run", way, "--source", str(source), "--seconds", str(seconds), str(folder)]
    return msgspec.json.decode(subprocess.run(argv, check=True, capture_output=True).stdout, type=Run)


def run_here(way: str, source: Path, seconds: int, folder: Path) -> None:
    out = folder / "out.mp4"
    began = time.monotonic()
    if way == "bare":
        run_bare(source, seconds, out)
    else:
        run_engine(source, seconds, out, checked=way == "engine")
    wall_s = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    rss_mb = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(json.dumps({"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "rss_mb": rss_mb}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path, help="a 1920x1080 file at 30 fps with sound; made if not given")
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        run_here(asked.run, asked.source, asked.seconds, asked.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = asked.source
        if source is None:
            source = folder / "source.mp4"
            make_source(source, asked.seconds)
        runs: dict[str, list[Run]] = {way: [] for way in WAYS}
        for at in range(asked.rounds):
            for way in WAYS:
                runs[way].append(measure(way, source, asked.seconds, folder))
                last = runs[way][-1]
                print(f"round {at + 1}: {way:18s} {last.wall_s:6.1f} s wall {last.cpu_s:6.1f} s cpu", file=sys.stderr)
    print(f"{ENGINE}; {os.cpu_count()} cores, {platform.system()}; {asked.seconds} s of video, {asked.rounds} rounds")
    print("| way | wall s | wall / bare | cpu / bare | peak RSS MB |\n|---|---|---|---|---|")
    for way in WAYS:
        wall = statistics.median(run.wall_s for run in runs[way])
        wall_ratio, cpu_ratio = (
            statistics.median(
                getattr(run, of) / getattr(bare, of) for run, bare in zip(runs[way], runs["bare"], strict=True)
            )
            for of in ("wall_s", "cpu_s")
        )
        rss = max(run.rss_mb for run in runs[way])
        print(f"| {way} | {wall:.1f} | {wall_ratio:.2f} | {cpu_ratio:.2f} | {rss:.0f} |")


if __name__ == "__main__":
    main()
