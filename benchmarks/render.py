"""The CPU engine beside other ways to make the same video, each a program of its own, in interleaved rounds.

The job: 1920x1080 at 30 fps -> 1080x1920, mirrored, slow sub-pixel zoom, a punch-in and a flash every 3 s, a caption
every 0.5 s, libx264 veryfast crf 23, AAC. Wall time is of whole programs, start-up included; memory is the largest sum
of all their processes' shares (PSS, Linux). Ways whose programs are not installed are left out with a note.

    bare             ffmpeg: crop, scale and encode, nothing else: the practical floor
    bare, PyAV       the same in one Python process
    engine           `ettametta render`, with every check
    engine, no gate  the same engine, chunks not decoded again
    smooth           ffmpeg's best graph of the same smoothness: perspective by time, eq, subtitles
    MoviePy          as its users write it
    naive            PyAV, RGB24 frames, OpenCV

    python benchmarks/render.py [--seconds 20] [--rounds 3] [--source FILE] [--ways bare engine …] [--profile] [--ssim]
"""

from __future__ import annotations

# Each way is a program that loads only what it needs: its start counts.
# ruff: noqa: PLC0415
import argparse
import asyncio
import hashlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

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
WAYS: Final = ("bare", "bare, PyAV", "engine", "engine, one worker", "engine, no gate", "smooth", "naive", "MoviePy")
SAMPLE_EVERY_S: Final = 0.2
COMPARED_FRAMES: Final = 20
X264: Final = ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(CRF), "-g", "75")
AAC: Final = ("-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart")
SCALED: Final = "crop=ih*9/16:ih,scale=1080:1920:flags=bilinear"


# The job --------------------------------------------------------------------------------------------


def make_source(path: Path, seconds: int) -> None:
    """Write a moving, textured 1080p30 picture with a tone; about as hard to encode as camera footage."""
    import av
    import cv2
    import numpy as np

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
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
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
    """Return the job as a plan."""
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


# The ways -------------------------------------------------------------------------------------------


def run_unchecked(source: Path, seconds: int, out: Path) -> None:
    """Render as the command line does, without decoding chunks again."""
    from actors.renderer import render

    vars(render)["CHILD"] = "benchmarks.unchecked_child"
    plan = plan_of(source, seconds)
    asyncio.run(render.render_file(plan, resolve=lambda one: Path(one.key), out=out))


def run_bare(source: Path, seconds: int, out: Path) -> None:
    """Crop and scale by FFmpeg's own filters, in two threads; audio re-encoded."""
    import av

    from actors.renderer.channel import Channel

    frames: Channel[av.VideoFrame] = Channel(4)

    def produce() -> None:
        for frame in _scaled(source, seconds):
            frames.put(frame)
        frames.end()

    thread = threading.Thread(target=produce)
    thread.start()
    with av.open(str(out), "w", options={"movflags": "+faststart"}) as target, av.open(str(source)) as sound:
        video = target.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": str(CRF), "g": "75"})
        video.width, video.height, video.pix_fmt = 1080, 1920, "yuv420p"
        video.codec_context.thread_count = 3
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


def _scaled(source: Path, seconds: int) -> Iterator[Any]:
    import av
    from av.filter import Graph

    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 2
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
            yield graph.pull()


def run_naive(source: Path, seconds: int, out: Path) -> None:
    """Do everything in RGB24 arrays, frame after frame, as a first version does."""
    import av
    import cv2
    import numpy as np

    with av.open(str(source)) as read, av.open(str(out), "w", options={"movflags": "+faststart"}) as target:
        video = target.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": str(CRF), "g": "75"})
        video.width, video.height, video.pix_fmt = 1080, 1920, "yuv420p"
        audio = target.add_stream("aac", rate=48_000)
        audio.layout, audio.bit_rate = "stereo", 160_000
        for number, frame in enumerate(read.decode(video=0)):
            if number == seconds * 30:
                break
            t_s = number / 30
            zoom, white = _moment(t_s, seconds)
            picture: Any = cv2.flip(frame.to_ndarray(format="rgb24")[:, 656:1264], 1)
            scale = 1920 / 1080 * zoom
            move = np.array([[scale, 0, 540 - 304 * scale], [0, scale, 960 - 540 * scale]])
            picture = cv2.warpAffine(picture, move, (1080, 1920), borderMode=cv2.BORDER_REPLICATE)
            if white:
                picture = cv2.addWeighted(picture, 1 - white, np.full_like(picture, 255), white, 0)
            text = f"Caption number {int(t_s * 2)}"
            for colour, width in (((0, 0, 0), 14), ((255, 255, 255), 5)):
                cv2.putText(picture, text, (120, 1400), cv2.FONT_HERSHEY_DUPLEX, 2.6, colour, width, cv2.LINE_AA)
            made = av.VideoFrame.from_ndarray(picture, format="rgb24")
            made.pts, made.time_base = number, Fraction(1, 30)
            target.mux(video.encode(made))
        target.mux(video.encode(None))
        with av.open(str(source)) as sound:
            for block in sound.decode(audio=0):
                if (block.time or 0.0) < seconds:
                    target.mux(audio.encode(block))
        target.mux(audio.encode(None))


def _moment(t_s: float, seconds: int) -> tuple[float, float]:
    """Return magnification and share of white, as the plan's effects have them."""
    way = t_s / seconds
    age_s = t_s % 3
    on = t_s >= 3 and age_s < 0.2
    return (1 + 0.1 * way * way * (3 - 2 * way)) * (1.15 if on else 1), 0.7 * (1 - age_s / 0.2) if on else 0.0


def run_moviepy(source: Path, seconds: int, out: Path) -> None:
    """Write the job as the documentation of MoviePy 2 does."""
    import numpy as np

    moviepy: Any = import_module("moviepy")  # only measured against

    from actors.renderer.text import fonts

    clip = moviepy.VideoFileClip(str(source)).subclipped(0, seconds)
    clip = clip.cropped(x_center=960, width=608).resized((1080, 1920)).with_effects([moviepy.vfx.MirrorX()])
    zoomed = clip.resized(lambda t: _moment(t, seconds)[0]).with_position("center")

    def flashed(get_frame: Callable[[float], Any], t: float) -> Any:
        white = _moment(t, seconds)[1]
        frame = get_frame(t)
        return (frame * (1 - white) + 255 * white).astype(np.uint8) if white else frame

    texts = [
        moviepy.TextClip(
            font=fonts.find(None).path,
            text=f"Caption number {at}",
            font_size=86,
            color="white",
            stroke_color="black",
            stroke_width=10,
            margin=(20, 20),
        )
        .with_start(at / 2)
        .with_duration(0.5)
        .with_position(("center", 1340))
        for at in range(seconds * 2)
    ]
    flashing = moviepy.CompositeVideoClip([zoomed], size=(1080, 1920)).transform(flashed)
    moviepy.CompositeVideoClip([flashing, *texts], size=(1080, 1920)).write_videofile(
        str(out),
        fps=30,
        codec="libx264",
        preset="veryfast",
        audio_codec="aac",
        ffmpeg_params=["-crf", str(CRF)],
        logger=None,
    )


def smooth_graph(seconds: int, subtitles: Path) -> str:
    """Return ffmpeg's graph: perspective moves corners by fractions of a pixel, linearly sampled."""
    way = f"(in/{seconds * 30})"
    punch = "if(gte(in,90)*lt(mod(in,90),6),1.15,1)"
    zoom = f"((1+0.1*{way}*{way}*(3-2*{way}))*{punch})"
    left, right = f"W/2-W/2/{zoom}", f"W/2+W/2/{zoom}"
    top, bottom = f"H/2-H/2/{zoom}", f"H/2+H/2/{zoom}"
    corners = f"x0='{left}':y0='{top}':x1='{right}':y1='{top}':x2='{left}':y2='{bottom}':x3='{right}':y3='{bottom}'"
    flash = "eq=brightness='0.7*(1-mod(t,3)/0.2)':eval=frame:enable='gte(t,3)*lt(mod(t,3),0.2)'"
    return f"{SCALED},hflip,perspective={corners}:interpolation=linear:eval=frame,{flash},ass={subtitles}"


def write_subtitles(path: Path, seconds: int) -> None:
    """Write the captions for libass."""
    lines = [
        f"Dialogue: 0,{_clock(at / 2)},{_clock((at + 1) / 2)},D,,0,0,0,,Caption number {at}"
        for at in range(seconds * 2)
    ]
    path.write_text(
        "[Script Info]\nScriptType: v4.00+\nPlayResX: 1080\nPlayResY: 1920\n\n[V4+ Styles]\n"
        "Format: Name,Fontname,Fontsize,PrimaryColour,OutlineColour,Bold,Outline,Alignment,MarginV\n"
        "Style: D,Sans,86,&H00FFFFFF,&H00000000,-1,10,2,500\n\n[Events]\n"
        "Format: Layer,Start,End,Style,Name,MarginL,MarginR,MarginV,Effect,Text\n" + "\n".join(lines) + "\n"
    )


def _clock(at_s: float) -> str:
    return f"{int(at_s // 3600)}:{int(at_s // 60 % 60):02d}:{at_s % 60:05.2f}"


# Measuring ------------------------------------------------------------------------------------------


class Run(msgspec.Struct):
    """What one run took. pss_mb: largest sum over all its processes."""

    wall_s: float
    cpu_s: float
    pss_mb: float


def command(way: str, source: Path, seconds: int, folder: Path) -> list[str]:
    """Return the program that makes the video in one way."""
    out = folder / f"{way.replace(', ', '-').replace(' ', '-')}.mp4"
    if way in {"engine", "engine, one worker"}:
        workers = ["--chunks", "1"] if way != "engine" else []
        plan = folder / "plan.json"
        plan.write_bytes(msgspec.json.encode(plan_of(source.absolute(), seconds)))
        return [sys.executable, "-m", "deploy", "render", str(plan), "-o", str(out), *workers]
    if way not in {"bare", "smooth"}:
        here = [sys.executable, "-m", "benchmarks.render", "--run", way]
        return [*here, "--source", str(source), "--seconds", str(seconds), str(out)]
    graph = SCALED
    if way == "smooth":
        subtitles = folder / "captions.ass"
        write_subtitles(subtitles, seconds)
        graph = smooth_graph(seconds, subtitles)
    head = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-t", str(seconds), "-i", str(source)]
    return [*head, "-vf", graph, *X264, *AAC, str(out)]


def installed(way: str) -> bool:
    """Whether this machine can run a way."""
    if way in {"bare", "smooth"}:
        return shutil.which("ffmpeg") is not None
    return way != "MoviePy" or find_spec("moviepy") is not None


def measure(argv: list[str]) -> Run:
    """Run a program and return what it took."""
    root = str(Path(__file__).parents[1])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(argv, cwd=root, stdout=subprocess.DEVNULL)
    most = 0.0
    ended = threading.Event()

    def sample() -> None:
        nonlocal most
        while not ended.wait(SAMPLE_EVERY_S):
            most = max(most, _held_mb(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    code = process.wait()
    wall_s = time.monotonic() - began
    ended.set()
    sampler.join()
    if code:
        raise SystemExit(f"{argv[:6]} ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(wall_s, cpu_s, most)


def _held_mb(pid: int) -> float:
    """Return what the process and all below it hold. One that has just ended holds nothing."""
    held = 0
    with suppress(psutil.Error):
        family = psutil.Process(pid)
        for one in (family, *family.children(recursive=True)):
            with suppress(psutil.Error):
                info = one.memory_full_info()
                held += getattr(info, "pss", info.uss)
    return held / 1e6


def run_here(way: str, source: Path, seconds: int, out: Path) -> None:
    """Make the video in this process."""
    ways: dict[str, Callable[[Path, int, Path], None]] = {
        "bare, PyAV": run_bare,
        "engine, no gate": run_unchecked,
        "naive": run_naive,
        "MoviePy": run_moviepy,
    }
    ways[way](source, seconds, out)


def profile(source: Path, seconds: int, folder: Path) -> None:
    """Make all chunks in this process and print where its threads' time goes."""
    from actors.renderer import drawing, encode, engine, gate, reading, soundtrack
    from actors.renderer.chunks import chunks
    from actors.renderer.draw import cpu, scene
    from actors.renderer.text import texts

    spent: dict[str, float] = defaultdict(float)

    def timed(owner: Any, name: str, label: str) -> None:
        inner = getattr(owner, name)

        def outer(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return inner(*args, **options)
            finally:
                spent[label] += time.thread_time() - began

        setattr(owner, name, outer)

    for owner, name, label in (
        (reading.Reading, "pictures", "decode"),
        (scene.Director, "recipe", "draw: recipe"),
        (cpu.CpuCanvas, "draw", "draw: picture"),
        (texts.Texts, "at", "draw: text"),
        (drawing, "blend", "draw: blend text"),
        (drawing.Sources, "note", "measure sources"),
        (encode.PictureWriter, "write", "encode"),
        (encode.PictureWriter, "_flush", "encode"),
        (gate, "check_chunk", "gate"),
    ):
        timed(owner, name, label)
    plan, materials = materials_of(source, seconds)
    targets = iter(
        [engine.Target(one, folder / "part", folder / f"{one.index}.mp4", folder / "failed") for one in chunks(plan)]
    )
    began = time.process_time()
    engine.render_chunks(materials, lambda: next(targets, None), lambda _, __: None, lambda _: None)
    whole_s = time.process_time() - began
    spent["other"] = whole_s - sum(spent.values())
    began = time.process_time()
    soundtrack.render_sound(materials, part=folder / "part", out=folder / "s.m4a", failed=folder / "failed")
    spent["sound"] = time.process_time() - began
    frames = seconds * 30
    print("| step | CPU ms per frame | share |\n|---|---|---|")
    for label, took_s in sorted(spent.items(), key=lambda one: -one[1]):
        print(f"| {label} | {1000 * took_s / frames:.2f} | {took_s / sum(spent.values()):.0%} |")


def materials_of(source: Path, seconds: int) -> tuple[Plan, Any]:
    """Return the job and what it is rendered from."""
    from actors.renderer.faces import fonts_of
    from actors.renderer.reading import Materials

    plan = plan_of(source, seconds)
    return plan, Materials(plan, {"source": source}, fonts_of(plan, None))


def likeness(source: Path, seconds: int) -> None:
    """Print how alike frames are to the same frames drawn in floats from the definitions, before text and encoder."""
    from av.video.frame import VideoFrame

    from actors.renderer.draw.cpu import CpuCanvas
    from actors.renderer.draw.scene import Director, Shape
    from actors.renderer.reading import Reading
    from actors.renderer.source.picture import planes_of
    from tests import renderer_reference as reference

    plan, materials = materials_of(source, seconds)
    output = plan.output
    director, reading = Director(plan, lambda _: None), Reading(materials)
    canvas = CpuCanvas(output.width_px, output.height_px)
    frame = VideoFrame(output.width_px, output.height_px, "yuv420p")
    found: list[tuple[float, int, str]] = []
    step = max(1, seconds * 30 // COMPARED_FRAMES)
    for number in range(seconds * 30):
        pictures = reading.pictures(number, director.strips(number))
        if number % step:
            continue
        shapes = tuple(Shape(one.width_px, one.height_px, one.aspect, one.turn) for one in pictures)
        recipe = director.recipe(number, shapes)
        canvas.draw(recipe, pictures, frame)
        sources = [reference.Pictured(one.planes, one.chroma_site) for one in pictures]
        wanted = reference.rendered(recipe, sources, output.width_px, output.height_px)
        for name, made, exact in zip("YUV", planes_of(frame), wanted, strict=True):
            found.append((reference.ssim(made, exact), number, name))
    least, number, name = min(found)
    print(f"SSIM of {len(found) // 3} frames: at least {least:.5f} ({name} of frame {number})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--source", type=Path, help="a 1920x1080 file at 30 fps with sound; made if not given")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--profile", action="store_true", help="where the engine's time goes, per frame")
    parser.add_argument("--ssim", action="store_true", help="how near the engine's frames are to the definition")
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("out", nargs="?", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        run_here(asked.run, asked.source, asked.seconds, asked.out)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = asked.source
        if source is None:
            source = folder / "source.mp4"
            make_source(source, asked.seconds)
        if asked.profile:
            profile(source, asked.seconds, folder)
            return
        if asked.ssim:
            likeness(source, asked.seconds)
            return
        compare(source, asked.seconds, asked.rounds, asked.ways, folder)


def compare(source: Path, seconds: int, rounds: int, wanted: list[str], folder: Path) -> None:
    """Run the ways in turns and print medians and ratios."""
    from actors.renderer.job import ENGINE

    ways = [way for way in wanted if installed(way)]
    for way in wanted:
        if way not in ways:
            print(f"{way}: not installed, left out", file=sys.stderr)
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for at in range(rounds):
        for way in ways:
            last = measure(command(way, source, seconds, folder))
            runs[way].append(last)
            print(f"round {at + 1}: {way:16s} {last.wall_s:6.1f} s wall {last.cpu_s:6.1f} s cpu", file=sys.stderr)
    print(f"{ENGINE}; {os.cpu_count()} cores, {platform.system()}; {seconds} s of video, {rounds} rounds")
    floor = ways[0]
    print(f"| way | wall s | wall / {floor} | cpu / {floor} | peak PSS MB |\n|---|---|---|---|---|")
    for way in ways:
        wall = statistics.median(run.wall_s for run in runs[way])
        wall_ratio, cpu_ratio = (
            statistics.median(
                getattr(run, of) / getattr(bare, of) for run, bare in zip(runs[way], runs[floor], strict=True)
            )
            for of in ("wall_s", "cpu_s")
        )
        pss = max(run.pss_mb for run in runs[way])
        print(f"| {way} | {wall:.1f} | {wall_ratio:.2f} | {cpu_ratio:.2f} | {pss:.0f} |")


if __name__ == "__main__":
    main()
