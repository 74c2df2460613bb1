"""What this machine can decode, transform and encode with besides the CPU, and what a render uses of it.

Each trial (see trials) does the real work on a few frames, in a child process of its own with a deadline, because a
broken driver may crash or hang the process that asks it. What cannot be there at all is told without a child.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import av
import av.error
import av.logging
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import hwdevices_available
from msgspec import Meta, Struct

from actors.runtime.extras import install
from actors.runtime.isolate import ChildFailed, run_isolated
from contracts.errors import Reject, Retry

__all__ = [
    "SOFTWARE",
    "TRIALS",
    "Choice",
    "Device",
    "Devices",
    "Found",
    "Kind",
    "Trial",
    "choose",
    "chosen",
    "impossible",
    "nvidia_present",
    "probe",
    "render_node",
]

Kind = Literal["decode", "transform", "encode"]
Device = Literal["auto", "cpu", "cuda"]

SOFTWARE: Final = {"h264": "libx264", "hevc": "libx265"}
HARDWARE: Final = ("nvenc", "vaapi", "qsv", "videotoolbox")
"""Families of encoders, named as FFmpeg names them."""
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
    gpu: Annotated[str, Meta(description="Name of the GPU; empty: none is used.")] = ""
    why: Annotated[tuple[str, ...], Meta(description="Why a part that was hoped for is done by the CPU.")] = ()

    @property
    def name(self) -> str:
        """Name it in one word per part, for the engine's name: `cpu/cpu/libx264`."""
        return f"{self.decode}/{self.transform}/{self.encode}"

    @property
    def on_gpu(self) -> bool:
        """Whether anything is done by the GPU."""
        return self.transform == "cuda"

    @property
    def hardware(self) -> str | None:
        """The encoder, where it is not x264 or x265."""
        return None if self.encode in SOFTWARE.values() else self.encode

    @property
    def stays(self) -> bool:
        """Whether drawn frames go to the encoder without leaving the GPU."""
        return self.on_gpu and self.encode.endswith("_nvenc")


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
    gpu = transform.detail.partition(",")[0]
    return Choice(decode="cuda" if decode.works else "cpu", transform="cuda", encode=encode, gpu=gpu, why=tuple(why))


_CHOSEN: Final[dict[tuple[str, str], Choice]] = {}


async def chosen(device: Device, codec: str) -> Choice:
    """Return what a render on `device` uses here; tried once in a process, and only where a GPU may be used.

    Raises: Reject if the GPU is asked for and cannot be used.
    """
    if device == "cpu" or (device == "auto" and not nvidia_present()):
        return Choice(encode=SOFTWARE[codec])
    if (device, codec) not in _CHOSEN:
        names = [("decode", "cuda"), ("transform", "cuda")]
        if device == "cuda":
            names.append(("encode", f"{codec}_nvenc"))
        found = await probe(trial for trial in TRIALS if (trial.kind, trial.name) in names)
        _CHOSEN[device, codec] = choose(device, found, codec=codec)
    return _CHOSEN[device, codec]


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
            "actors.renderer.trials",
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
    if family in {"vaapi", "qsv"} and render_node() is None:
        return "there is no /dev/dri/renderD* here"
    if family == "videotoolbox" and sys.platform != "darwin":
        return "VideoToolbox is part of macOS"
    if trial.kind == "transform" and find_spec("cupy") is None:
        return f"the extra `gpu` is not installed: {install('gpu')}"
    return None


def _no_codec(name: str, mode: Literal["r", "w"]) -> str | None:
    try:
        av.codec.Codec(name, mode)
    except UnknownCodecError:
        return f"this build of FFmpeg has no {name}"
    return None


def render_node() -> str | None:
    return next((str(node) for node in sorted(Path("/dev/dri").glob("renderD*"))), None)
