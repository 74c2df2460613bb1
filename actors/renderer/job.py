"""What goes into one render and what comes out of it; also the protocol with the child process."""

from __future__ import annotations

import platform
from typing import Annotated, Final

import av
import cv2
from msgspec import Meta, Struct

from contracts.plan import Plan

__all__ = ["ENGINE", "FontFile", "Progressed", "RenderRequest", "Rendered"]

ENGINE: Final = f"cpu-1 (pyav {av.__version__}, opencv {cv2.__version__}, {platform.machine()})"
"""The engine and what its output bytes depend on."""


class FontFile(Struct, frozen=True, kw_only=True):
    """A font and where it was found."""

    path: str
    index: Annotated[int, Meta(description="Face within a collection.")] = 0
    origin: Annotated[str, Meta(description="FONT_PATH, fontconfig, or the name of a wheel.")]


class RenderRequest(Struct, frozen=True, kw_only=True):
    """One render: everything that the child process is told."""

    plan: Plan
    paths: Annotated[dict[str, str], Meta(description="Local file of each plan source, by source id.")]
    part: Annotated[str, Meta(description="File that is written, in the folder of `out`.")]
    out: Annotated[str, Meta(description="What `part` is renamed to when it is complete and checked.")]
    font: Annotated[FontFile | None, Meta(description="Font of the captions; null: the plan has none.")] = None


class Progressed(Struct, frozen=True):
    """How far a render is."""

    frames_done: int
    frames_total: int


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
