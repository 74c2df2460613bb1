"""What this machine can decode, transform and encode with besides the CPU: each tried alone, and what a render uses.

Each trial does the real work on a few frames, in a child process of its own with a deadline, because a broken driver
may crash or hang the process that asks it. What cannot be there at all is told without a child.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import av
import av.error
import av.logging
import numpy as np
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from msgspec import Meta, Struct

from actors.runtime.isolate import ChildFailed, Progress, run_isolated, serve
from contracts.errors import Reject, Retry

__all__ = ["TRIALS", "Choice", "Devices", "Found", "Trial", "choose", "nvidia_present", "probe"]

Kind = Literal["decode", "transform", "encode"]
Device = Literal["auto", "cpu", "cuda"]

SOFTWARE: Final = {"h264": "libx264", "hevc": "libx265"}
HARDWARE: Final = ("nvenc", "vaapi", "qsv", "videotoolbox")
"""Families of encoders, named as FFmpeg names them."""
FRAMES: Final = 5
SIZE: Final = (640, 360)
"""No encoder refuses it as too small: NVENC wants at least 145 px."""
DEADLINE_S: Final = 30.0
"""For one trial. A first one compiles the kernels and makes a CUDA context, which takes seconds."""
MEMORY_BYTES: Final = 16 << 30
"""CUDA reserves much and uses little."""
_AT_ONCE: Final = 4
_MEND_DRIVER: Final = "see `ettametta doctor`, or use --device cpu"


class Trial(Struct, frozen=True, kw_only=True):
    """One thing to try."""

    kind: Kind
    name: Annotated[str, Meta(description="A device type of FFmpeg, `cuda`, or an encoder.")]


class Found(Struct, frozen=True, kw_only=True):
    """What came of a trial."""

    kind: Kind
    name: str
    works: bool
    detail: Annotated[str, Meta(description="What it is, or why it cannot be used.")]


TRIALS: Final = (
    *(Trial(kind="decode", name=name) for name in ("cuda", "vaapi", "qsv", "videotoolbox")),
    Trial(kind="transform", name="cuda"),
    *(Trial(kind="encode", name=f"{codec}_{family}") for codec in SOFTWARE for family in HARDWARE),
)


class Devices(Struct, frozen=True):
    """Everything that was tried."""

    found: tuple[Found, ...] = ()

    def of(self, kind: Kind, name: str) -> Found:
        """Return what came of one trial; what was not tried does not work."""
        for each in self.found:
            if (each.kind, each.name) == (kind, name):
                return each
        return Found(kind=kind, name=name, works=False, detail="not tried")


class Choice(Struct, frozen=True, kw_only=True):
    """What a render uses. Output bytes depend on it, so it is part of the engine's name and of a chunk's key."""

    decode: Literal["cpu", "cuda"] = "cpu"
    transform: Literal["cpu", "cuda"] = "cpu"
    encode: str = "libx264"
    why: Annotated[tuple[str, ...], Meta(description="Why a part that was hoped for is done by the CPU.")] = ()

    @property
    def name(self) -> str:
        """Name it in one word per part, for the engine's name: `cpu/cpu/libx264`."""
        return f"{self.decode}/{self.transform}/{self.encode}"


def choose(device: Device, devices: Devices, *, codec: str = "h264", encoder: str | None = None) -> Choice:
    """Return what a render on `device` uses.

    `auto` decodes and transforms on a GPU that can, and encodes by the CPU: x264 gives the same bytes on every machine
    and smaller files, which no hardware encoder does. `cuda` also encodes there where the GPU has an encoder (an H100
    or H200 has none). Decoding falls back by itself; frames stay on the GPU only if they are transformed there.

    Args: encoder: by name, such as h264_vaapi, whatever the device. Raises: Reject if what was asked for cannot be had.
    """
    encode = encoder or SOFTWARE[codec]
    if encode not in SOFTWARE.values() and not (asked := devices.of("encode", encode)).works:
        raise Reject(f"the encoder {encode} cannot be used: {asked.detail}", mend=f"use {SOFTWARE[codec]}")
    if device == "cpu":
        return Choice(encode=encode)
    transform = devices.of("transform", "cuda")
    if not transform.works:
        if device == "cuda":
            raise Reject(f"the GPU cannot be used: {transform.detail}", mend=_MEND_DRIVER)
        return Choice(encode=encode, why=(f"transform: {transform.detail}",))
    why = []
    decode = devices.of("decode", "cuda")
    if not decode.works:
        why.append(f"decode: {decode.detail}")
    if device == "cuda" and encoder is None:
        nvenc = devices.of("encode", f"{codec}_nvenc")
        if nvenc.works:
            encode = nvenc.name
        else:
            why.append(f"encode: {nvenc.detail}")
    return Choice(decode="cuda" if decode.works else "cpu", transform="cuda", encode=encode, why=tuple(why))


async def probe(trials: Iterable[Trial] = TRIALS, *, deadline_s: float = DEADLINE_S) -> Devices:
    """Try everything; never raises. A trial that crashes, hangs or fails is found not to work, with the reason."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(trial: Trial) -> Found:
        reason = impossible(trial)
        if reason is not None:
            return Found(kind=trial.kind, name=trial.name, works=False, detail=reason)
        async with gate:
            return await _apart(trial, deadline_s)

    return Devices(tuple(await asyncio.gather(*(one(trial) for trial in trials))))


async def _apart(trial: Trial, deadline_s: float) -> Found:
    try:
        return await run_isolated(
            "actors.renderer.devices",
            trial,
            result=Found,
            deadline_s=deadline_s,
            memory_bytes=MEMORY_BYTES,
            what=f"trying to {trial.kind} by {trial.name}",
        )
    except (Reject, Retry, ChildFailed) as error:
        detail = str(error).strip().splitlines()
        return Found(kind=trial.kind, name=trial.name, works=False, detail=f"{detail[0]} {detail[-1]}"[:500])


# What cannot be there -------------------------------------------------------------------------------


def nvidia_present() -> bool:
    """Whether the driver of an NVIDIA GPU is loaded: on Linux, in WSL, on a Jetson."""
    return any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-gpu"))


def impossible(trial: Trial) -> str | None:
    """Return why a trial cannot succeed, where that is plain without trying; None: it may."""
    family = trial.name.rpartition("_")[2]
    if trial.kind == "encode" and (lack := _no_codec(trial.name, "w")):
        return lack
    if trial.kind == "decode" and family == "qsv" and (lack := _no_codec("h264_qsv", "r")):
        return lack
    if trial.kind == "decode" and family not in hwdevices_available():
        return f"this build of FFmpeg has no {family}"
    if family in {"cuda", "nvenc"} and not nvidia_present():
        return "there is no NVIDIA GPU here"
    if family in {"vaapi", "qsv"} and _render_node() is None:
        return "there is no /dev/dri/renderD* here"
    if family == "videotoolbox" and sys.platform != "darwin":
        return "VideoToolbox is part of macOS"
    if trial.kind == "transform" and find_spec("cupy") is None:
        return "the extra `gpu` is not installed: pip install 'ettametta[gpu]'"
    return None


def _no_codec(name: str, mode: Literal["r", "w"]) -> str | None:
    try:
        av.codec.Codec(name, mode)
    except UnknownCodecError:
        return f"this build of FFmpeg has no {name}"
    return None


def _render_node() -> str | None:
    return next((str(node) for node in sorted(Path("/dev/dri").glob("renderD*"))), None)


# In the child ---------------------------------------------------------------------------------------


def attempt(trial: Trial, _: Progress) -> Found:
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
    hwaccel = HWAccel(name, device=_render_node() if name == "vaapi" else None, allow_software_fallback=False)
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
    hwaccel = HWAccel("vaapi", device=_render_node()) if family == "vaapi" else None
    with av.open(_written(name, hwaccel), "r") as container:
        _check(list(container.decode(video=0)))
    return f"encodes by {name}"


def _transform(_: str) -> str:
    from actors.renderer.draw.cuda import self_test  # noqa: PLC0415  # needs CuPy

    return self_test()


if __name__ == "__main__":
    serve(Trial, attempt)
