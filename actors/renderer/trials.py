"""The child process that tries one thing of devices: `python -m actors.renderer.trials`."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Final

import av
import av.logging
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from actors.renderer.devices import SOFTWARE, Found, Trial, render_node
from actors.runtime import isolate

__all__ = ["attempt"]

FRAMES: Final = 5
SIZE: Final = (640, 360)
"""No encoder refuses it as too small: NVENC wants at least 145 px."""


def attempt(trial: Trial, _: isolate.Progress) -> Found:
    """Do what a render would do, on a few frames."""
    work = {"decode": _decode, "transform": _transform, "encode": _encode}[trial.kind]
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as said:
        try:
            works, detail = True, work(trial.name)
        except Exception as error:  # noqa: BLE001  # FFmpeg, CuPy and drivers raise their own; all mean this
            told = [text.strip() for _, _, text in said if text.strip()]
            works, detail = False, " ".join(f"{told[0] if told else ''} ({type(error).__name__}: {error})".split())
    return Found(kind=trial.kind, name=trial.name, works=works, detail=detail[:500])


def _pictures() -> list[VideoFrame]:
    """Return frames whose mean rises by 30 levels each."""
    width, height = SIZE
    shape = np.indices((height, width), dtype=np.int32).sum(axis=0) % 32
    frames = []
    for number in range(FRAMES):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = shape + 40 + 30 * number
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        frames.append(frame)
    return frames


def _written(encoder: str, hwaccel: HWAccel | None = None) -> io.BytesIO:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=30, hwaccel=hwaccel)
        assert isinstance(stream.codec_context, VideoCodecContext)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p" if encoder in SOFTWARE.values() else "nv12"
        for frame in _pictures():
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


def _check(frames: list[VideoFrame]) -> None:
    """Compare the means with what was put in. Raises: ValueError."""
    if len(frames) != FRAMES:
        raise ValueError(f"{len(frames)} of {FRAMES} frames came back")
    for frame, wanted in zip(frames, _pictures(), strict=True):
        luma, right = (each.reformat(format="gray8").to_ndarray().mean() for each in (frame, wanted))
        if abs(luma - right) > 4:
            raise ValueError(f"a frame of mean {right:.0f} came back as {luma:.0f}")


def _decode(name: str) -> str:
    hwaccel = HWAccel(name, device=render_node() if name == "vaapi" else None, allow_software_fallback=False)
    file = _written("libx264")
    if name == "qsv":  # a decoder of its own, not an accelerator of FFmpeg's
        with av.open(file, "r") as container:
            context = av.CodecContext.create("h264_qsv", "r")
            assert isinstance(context, VideoCodecContext)
            context.extradata = container.streams.video[0].codec_context.extradata
            _check([frame for packet in container.demux(video=0) for frame in context.decode(packet)])
    else:
        with av.open(file, "r", hwaccel=hwaccel) as container:
            _check(list(container.decode(video=0)))
    if name == "cuda":
        # As a render has it: frames stay on the GPU, and a damaged or odd stream goes back to software.
        file.seek(0)
        with av.open(file, "r", hwaccel=HWAccel("cuda", allow_software_fallback=False, is_hw_owned=True)) as container:
            kept = {frame.format.name for frame in container.decode(video=0)}
        if kept != {"cuda"}:
            raise ValueError(f"frames are not kept on the GPU but come as {', '.join(sorted(kept))}")
    return "decodes H.264" + (" and keeps frames on the GPU" if name == "cuda" else "")


def _encode(name: str) -> str:
    family = name.rpartition("_")[2]
    hwaccel = HWAccel("vaapi", device=render_node()) if family == "vaapi" else None
    with av.open(_written(name, hwaccel), "r") as container:
        _check(list(container.decode(video=0)))
    return f"encodes by {name}"


def _transform(_: str) -> str:
    from actors.renderer.draw.cuda import self_test  # noqa: PLC0415  # needs CuPy

    return self_test()


if __name__ == "__main__":
    isolate.serve(Trial, attempt)
