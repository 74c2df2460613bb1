"""What the kernels of kernels.cu are told: its structs, field by field in its order, and how it is compiled."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

__all__ = [
    "KERNELS",
    "OPTIONS",
    "SOURCE",
    "AverageArgs",
    "AxisArgs",
    "BlurArgs",
    "ComposeArgs",
    "LayerArgs",
    "LookArgs",
    "PlaceArgs",
    "PlaneArgs",
    "SamplingArgs",
    "SceneArgs",
    "SmearArgs",
    "StampArgs",
    "TingeArgs",
]

SOURCE: Final = Path(__file__).with_name("kernels.cu")
OPTIONS: Final = ("--std=c++17", "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
"""For NVRTC: nothing is contracted or approximated, so that every device gives the same bytes."""


class PlaneArgs(ctypes.Structure):
    _fields_ = [("at", ctypes.c_uint64), *((name, ctypes.c_int) for name in ("pitch", "step", "width", "height"))]


class AverageArgs(ctypes.Structure):
    _fields_ = [("source", PlaneArgs), ("to", PlaneArgs), ("by", ctypes.c_int)]


class BlurArgs(ctypes.Structure):
    _fields_ = [
        *((name, PlaneArgs) for name in ("source", "to")),
        *((name, ctypes.c_uint64) for name in ("taps", "before", "after", "between")),
        ("reach", ctypes.c_int),
    ]


class SmearArgs(ctypes.Structure):
    _fields_ = [("source", PlaneArgs), ("to", PlaneArgs), ("length", ctypes.c_int)]


class TingeArgs(ctypes.Structure):
    _fields_ = [*((name, PlaneArgs) for name in ("luma", "chroma", "to")), ("shares", ctypes.c_uint64)]


class AxisArgs(ctypes.Structure):
    _fields_ = [("step", ctypes.c_double), *((name, ctypes.c_int) for name in ("at", "anchor", "last"))]


class SamplingArgs(ctypes.Structure):
    _fields_ = [
        ("source", PlaneArgs),
        ("map", ctypes.c_double * 6),
        ("axes", AxisArgs * 2),
        ("kind", ctypes.c_int),
        ("turned", ctypes.c_int),
        ("strip", ctypes.c_int * 4),
        ("by_warp", ctypes.c_int),
        ("begins", ctypes.c_int * 4),
    ]


class PlaceArgs(ctypes.Structure):
    _fields_ = [("of", SamplingArgs), ("to", PlaneArgs)]


class LayerArgs(ctypes.Structure):
    _fields_ = [
        ("of", SamplingArgs * 3),
        *((name, ctypes.c_int) for name in ("left", "top", "right", "bottom")),
        ("gain", ctypes.c_float),
        ("offset", ctypes.c_float * 3),
    ]


class SceneArgs(ctypes.Structure):
    _fields_ = [
        ("first", ctypes.c_int),
        ("end", ctypes.c_int),
        ("ground", ctypes.c_int * 3),
        ("mix", ctypes.c_float),
        ("rest", ctypes.c_float),
    ]


class LookArgs(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("luma", "gains", "sums")),
        ("atlas", ctypes.c_uint64 * 3),
        ("node", ctypes.c_float),
        ("side", ctypes.c_int),
    ]


class StampArgs(ctypes.Structure):
    _fields_ = [("keep", PlaneArgs * 2), ("ink", PlaneArgs * 3), ("row", ctypes.c_int), ("column", ctypes.c_int)]


class ComposeArgs(ctypes.Structure):
    _fields_ = [
        ("out", PlaneArgs * 3),
        ("layers", ctypes.c_uint64),
        ("scenes", ctypes.c_uint64),
        ("look", LookArgs),
        ("soft", PlaneArgs),
        ("lit", PlaneArgs * 3),
        *((name, PlaneArgs * 2) for name in ("keep", "ink", "grain")),
        ("stamps", ctypes.c_uint64),
        *((name, ctypes.c_int) for name in ("scene_count", "stamp_count", "lit_step", "grain_row", "grain_column")),
        *((name, ctypes.c_float) for name in ("sharpen", "detail", "glow", "gain")),
        ("offset", ctypes.c_float * 3),
    ]


KERNELS: Final[dict[str, type[ctypes.Structure]]] = {
    "average": AverageArgs,
    "blur_rows": BlurArgs,
    "blur_columns": BlurArgs,
    "smear": SmearArgs,
    "tinge": TingeArgs,
    "place": PlaceArgs,
    "compose": ComposeArgs,
}
"""Every kernel and what it is told."""
