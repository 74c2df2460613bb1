"""One frame of every video in a folder as it is rendered, beside the same frame as FFmpeg's own filters show it.

    python -m benchmarks.contact_sheet FOLDER OUT.png [--at SHARE]

Left of each pair is FFmpeg's (turned, square pixels, swscale's colours), right what `render_file` makes of it at
1080x1920, filled. Files that are refused show why.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import math
import tempfile
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

from actors.renderer.render import render_file
from actors.runtime.probe import probe_file
from contracts.errors import EttamettaError
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import Clip, Output, Plan, PlanSource
from contracts.rights import RightsRecord

CELL_PX: Final = (216, 384)
LABEL_PX: Final = 34
PAIRS_A_ROW: Final = 4
LENGTH_US: Final = 100_000
RIGHTS: Final = RightsRecord(licence="owned", attested_by="benchmark", attestation="looked at, not published")
STILLS: Final = {".png", ".jpg", ".jpeg", ".webp"}


def shown_by_ffmpeg(path: Path, at_us: int) -> Image.Image:
    """Return the frame of a moment, counted from the first frame, by FFmpeg's filters."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert isinstance(stream, VideoStream)
        first = chosen = None
        for frame in container.decode(stream):
            time_us = float(frame.time or 0) * 1e6
            first = time_us if first is None else first
            if chosen is not None and time_us - first > at_us + 1000:
                break
            chosen = frame
        assert chosen is not None
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        return Image.fromarray(_upright(chosen, aspect).to_ndarray(format="rgb24"))


def _upright(frame: VideoFrame, aspect: Fraction) -> VideoFrame:
    high = frame.color_trc in {16, 18}
    untagged_hd = frame.colorspace == 2 and (frame.width >= 1280 or frame.height > 576)
    rgb = frame.reformat(
        format="rgb24",
        dst_color_range=ColorRange.JPEG,
        src_colorspace=Colorspace.BT2020 if high else Colorspace.ITU709 if untagged_hd else None,
        dst_color_trc=ColorTrc.BT709 if high else None,
        dst_color_primaries=ColorPrimaries.BT709 if high else None,
    )
    graph = Graph()
    source = graph.add_buffer(width=rgb.width, height=rgb.height, format=rgb.format, time_base=Fraction(1, 1000))
    turn = {90: "transpose=cclock", -90: "transpose=clock", 180: "hflip,vflip", -180: "hflip,vflip"}.get(frame.rotation)
    steps = [f"scale={max(2, round(rgb.width * aspect))}:{rgb.height}", *(turn.split(",") if turn else [])]
    last = source
    for step in (*steps, "buffersink"):
        name, _, given = step.partition("=")
        node = graph.add(name, given) if given else graph.add(name)
        last.link_to(node)
        last = node
    graph.configure()
    rgb.pts = 0
    graph.push(rgb)
    shown = graph.pull()
    assert isinstance(shown, VideoFrame)
    return shown


def plan_at(path: Path, at_us: int, length_us: int = LENGTH_US) -> Plan:
    """Return a plan of a stretch of one file, filling 1080x1920."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Plan(
        sources=(PlanSource(id="s", key=ObjectKey(str(path)), sha256=sha256, rights=RIGHTS),),
        clips=(Clip(source="s", start_us=at_us, end_us=at_us + length_us),),
        output=Output(width_px=1080, height_px=1920, fps=Rational(30), preset="ultrafast", crf=12),
    )


async def rendered(path: Path, at_us: int, out: Path) -> Image.Image:
    """Return a frame of the same moment, as the engine renders it."""
    plan = plan_at(path, at_us)
    await render_file(plan, resolve=lambda source: Path(source.key), out=out)
    with av.open(str(out)) as container:
        frame = next(frame for frame in container.decode(video=0) if isinstance(frame, VideoFrame))
        return Image.fromarray(frame.to_ndarray(format="rgb24"))


async def pair(path: Path, share: float, folder: Path) -> tuple[Image.Image | str, Image.Image | str, str]:
    """Return both pictures, or why there is none, and a label."""
    try:
        if path.suffix.lower() in STILLS:
            left: Image.Image | str = Image.open(path).convert("RGB")
            at_us, what = 0, "still"
        else:
            probe = await probe_file(path)
            at_us = int(max(0, probe.duration_us - LENGTH_US) * share)
            video = probe.video
            left = shown_by_ffmpeg(path, at_us)
            what = f"{video.width_px}x{video.height_px} turn {video.rotation_deg} at {at_us / 1e6:.2f} s"
        return left, await rendered(path, at_us, folder / "out.mp4"), what
    except EttamettaError as refused:
        return "refused", str(refused), ""


def sheet(cells: list[tuple[str, tuple[Image.Image | str, Image.Image | str, str]]]) -> Image.Image:
    """Lay all pairs out with their labels."""
    width, height = CELL_PX
    rows = math.ceil(len(cells) / PAIRS_A_ROW)
    whole = Image.new("RGB", (PAIRS_A_ROW * (2 * width + 16), rows * (height + LABEL_PX + 8)), (40, 40, 40))
    draw = ImageDraw.Draw(whole)
    for number, (name, (left, right, what)) in enumerate(cells):
        x = number % PAIRS_A_ROW * (2 * width + 16) + 8
        y = number // PAIRS_A_ROW * (height + LABEL_PX + 8) + 4
        draw.text((x, y), f"{name}\n{what}", fill=(255, 255, 255))
        for at, picture in enumerate((left, right)):
            place = x + at * width, y + LABEL_PX
            if isinstance(picture, str):
                draw.text(place, "\n".join(textwrap.wrap(picture, 32)), fill=(255, 160, 120))
                continue
            small = picture.copy()
            small.thumbnail((width - 4, height))
            whole.paste(small, place)
    return whole


async def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--at", type=float, default=0.3, help="share of each file's length")
    given = parser.parse_args()
    files = sorted(file for file in given.folder.iterdir() if file.suffix != ".md" and file.is_file())
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            cells.append((file.name, await pair(file, given.at, Path(folder))))
            print(f"{file.name}: {cells[-1][1][2] or cells[-1][1][1]}")
    sheet(cells).save(given.out)


if __name__ == "__main__":
    asyncio.run(main())
