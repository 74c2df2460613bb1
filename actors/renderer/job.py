"""What goes into one render and what comes out of it; also the protocol with the child process."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from actors.renderer.devices import Choice
from contracts.plan import Plan

__all__ = [
    "ENGINE",
    "ChunkRequest",
    "FontFile",
    "JoinRequest",
    "Made",
    "Progressed",
    "RenderRequest",
    "Rendered",
    "Request",
    "SoundRequest",
    "engine_of",
]

_LIBRARIES: Final = ("av", "icu4py", "numpy", "opencv-python-headless", "pillow", "python-bidi", "uharfbuzz")


def _machine() -> str:
    """Name the processor as far as bytes depend on it: x264 and OpenCV compute otherwise without AVX2."""
    name, cpu = platform.machine(), Path("/proc/cpuinfo")
    if name != "x86_64" or not cpu.exists() or " avx2 " in cpu.read_text():
        return name
    return f"{name} without avx2"


ENGINE: Final = f"cpu-2 ({', '.join(f'{name} {version(name)}' for name in _LIBRARIES)}, {_machine()})"
"""The CPU engine and what its output bytes depend on. The sound is made by it on every device."""
_CUPY: Final = ("cupy-cuda12x", "cupy-cuda13x", "cupy")


@cache
def engine_of(choice: Choice) -> str:
    """Name the engine that renders by a choice: whatever has the same name makes the same bytes."""
    if not choice.on_gpu and choice.hardware is None:
        return ENGINE
    told = [choice.name, *(f"{name} {version(name)}" for name in _LIBRARIES), *_cupy(), _machine()]
    if choice.hardware is not None:
        told.append(choice.gpu)  # an encoder is of its hardware; what is drawn and decoded is the same on each
    return f"cuda-2 ({', '.join(filter(None, told))})"


def _cupy() -> tuple[str, ...]:
    for name in _CUPY:
        try:
            return (f"{name} {version(name)}",)
        except PackageNotFoundError:
            continue
    return ()


class FontFile(Struct, frozen=True, kw_only=True):
    """A font and where it was found."""

    path: str
    index: Annotated[int, Meta(description="Face within a collection.")] = 0
    origin: Annotated[str, Meta(description="FONT_PATH, fontconfig, or the name of a wheel.")]


class RenderRequest(Struct, frozen=True, kw_only=True, tag="render"):
    """One whole render: everything that the child process is told."""

    plan: Plan
    paths: Annotated[dict[str, str], Meta(description="Local file of each plan source, by source id.")]
    part: Annotated[str, Meta(description="File that is written, on the file system of `out`; others lie beside it.")]
    out: Annotated[str, Meta(description="What `part` is renamed to when it is complete and checked.")]
    font_path: Annotated[str | None, Meta(description="Font of the plan's text; null: one is looked for.")] = None
    kept: Annotated[str | None, Meta(description="Folder of finished chunks, used and filled; null: none.")] = None
    workers: Annotated[int, Meta(description="Chunks that are rendered side by side.", ge=1)] = 1
    choice: Annotated[Choice, Meta(description="What decodes, draws and encodes.")] = Choice()


class ChunkRequest(Struct, frozen=True, kw_only=True, tag="chunk"):
    """One chunk. Fields as of a whole render."""

    plan: Plan
    index: Annotated[int, Meta(description="Which chunk of the plan.")]
    paths: dict[str, str]
    part: str
    out: str
    font_path: str | None = None
    choice: Choice = Choice()


class SoundRequest(Struct, frozen=True, kw_only=True, tag="sound"):
    """The whole sound. Fields as of a whole render."""

    plan: Plan
    paths: dict[str, str]
    part: str
    out: str


class JoinRequest(Struct, frozen=True, kw_only=True, tag="join"):
    """Finished parts into one file. Fields as of a whole render."""

    plan: Plan
    chunks: Annotated[tuple[str, ...], Meta(description="Files of all chunks, in order.")]
    sound: Annotated[str | None, Meta(description="File of the sound; null: the plan has none.")]
    part: str
    out: str
    engine: Annotated[str, Meta(description="Name of the engine that must have made all chunks.")] = ENGINE


Request = RenderRequest | ChunkRequest | SoundRequest | JoinRequest


class Progressed(Struct, frozen=True):
    """How far a render is."""

    frames_done: int
    frames_total: int


class Made(Struct, frozen=True, kw_only=True):
    """A finished, checked part: a chunk or the sound."""

    sha256: str
    size_bytes: int
    notes: Annotated[tuple[str, ...], Meta(description="What a person should know: damage that was bridged.")] = ()


class Rendered(Struct, frozen=True, kw_only=True):
    """A finished, checked file."""

    width_px: int
    height_px: int
    duration_us: int
    frames: int
    has_audio: bool
    sha256: str
    size_bytes: int
    engine: str
    notes: Annotated[tuple[str, ...], Meta(description="What a person should know: damage that was bridged.")] = ()
