"""High dynamic range and wide gamut become SDR BT.709, by a table that is worked out once.

The mapping, in this order:
1. Signal to light on a display: PQ and HLG after Rec. ITU-R BT.2100-2 (tables 4 and 5; HLG on a display of 1000 cd/m2),
   else a display after BT.1886.
2. Light to the range of SDR, each of R, G and B by the EETF of Report ITU-R BT.2390-11 (5.4.1, black 0): below its knee
   nothing changes, above it highlights are rolled off instead of cut. The knee lies lower than there (see _KNEE).
   203 cd/m2, diffuse white after Report BT.2408-7, is the most that is left.
3. BT.2020 or P3 to BT.709; what lies outside is brought to its edge towards grey of the same luminance.
4. Light to signal by the inverse of BT.1886.

A frame never becomes RGB. Luma gets the curve of greys at full resolution and, at the resolution of chroma, the
difference that its colour makes; chroma comes from the same table. Between the nodes of the table ordered dither
stands for interpolation, between the levels of 8 bit too, so that skies show no bands.
"""

from __future__ import annotations

import functools
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_PEAK", "Tables", "Tone", "apply", "exact", "tables"]

Real = NDArray[np.float64]
Samples = NDArray[np.uint16]
Plane = NDArray[np.uint8]

DEFAULT_PEAK: Final = 1000
"""Brightest light of PQ material that does not tell, cd/m2: what most of it is graded for."""
WHITE: Final = 203.0
"""Light that becomes SDR white, cd/m2."""
_GAMMA: Final = 2.4
_KNEE: Final = 1.0
"""How early highlights begin to be rolled off. BT.2390 has 0.5, which leaves bright clouds too little room."""

_Y_NODES: Final = 64
_C_NODES: Final = 256
_C_EXACT: Final = 33
"""Nodes along chroma at which the mapping is worked out; between them the table is linear."""
_FRACTION: Final = 16
"""Luma is summed in sixteenths of a level."""
_OFFSET: Final = 1 << 15

# Rec. ITU-R BT.2100-2, table 4.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_MAX: Final = 10_000.0
# Table 5.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_PEAK: Final = 1000.0
_HLG_GAMMA: Final = 1.2
_Y_2020: Final = np.array((0.2627, 0.6780, 0.0593))
_Y_709: Final = np.array((0.2126, 0.7152, 0.0722))
# From the chromaticities of ITU-T H.273 (07/2024), table 2, white D65; rows sum to 1.
_TO_709: Final = {
    "2020": np.array(
        ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008350), (-0.018151, -0.100579, 1.118730))
    ),
    "p3": np.array(((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274))),
    "709": np.eye(3),
}
_BAYER: Final = np.array(((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5)), np.uint16)


class Tone(NamedTuple):
    """What one kind of material needs. peak: its brightest light, cd/m2; luma: matrix of its Y'CbCr."""

    transfer: Literal["pq", "hlg", "sdr"]
    primaries: Literal["2020", "p3", "709"]
    luma: Literal["2020", "709"]
    full_range: bool
    peak: int = DEFAULT_PEAK


class Tables(NamedTuple):
    """One kind of material, worked out.

    grey: uint16 (1024,), Y in sixteenths of a level, by 10-bit Y. packed: uint32, by (Y, Cb, Cr) node, flat: Cb and Cr
    in the low bytes, above them the difference in Y, sixteenths of a level, plus 32768.
    """

    grey: Samples
    packed: NDArray[np.uint32]


def exact(signal: Real, tone: Tone) -> Real:
    """Map R'G'B' (..., 3), 0..1, of one kind of material to R'G'B' of SDR BT.709."""
    signal = np.clip(signal, 0.0, 1.0)
    if tone.transfer == "sdr":
        light = signal**_GAMMA
    else:
        shown = _hlg(signal) if tone.transfer == "hlg" else np.minimum(_from_pq(signal), tone.peak)
        light = _rolled_off(shown, _HLG_PEAK if tone.transfer == "hlg" else float(tone.peak)) / WHITE
    light = light @ _TO_709[tone.primaries].T
    grey = np.clip(light @ _Y_709, 0.0, 1.0)[..., None]
    colour = light - grey
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(colour > 0, (1 - grey) / colour, np.where(colour < 0, -grey / colour, np.inf))
    share = np.minimum(room.min(axis=-1, keepdims=True), 1.0)
    mapped: Real = np.clip(grey + share * colour, 0.0, 1.0) ** (1 / _GAMMA)
    return mapped


@functools.lru_cache(maxsize=4)
def tables(tone: Tone) -> Tables:
    """Return the tables of one kind of material."""
    y = np.arange(1024.0)
    grey = _levels(exact(_signal(y, np.full(1024, 512.0), np.full(1024, 512.0), tone), tone))[0]
    nodes, steps = np.arange(_Y_NODES) * 1024.0 / _Y_NODES, np.linspace(0.0, 1024.0, _C_EXACT)
    mapped = _levels(exact(_signal(*np.meshgrid(nodes, steps, steps, indexing="ij"), tone), tone))
    mapped[0] -= np.interp(nodes, y, grey)[:, None, None]
    fine = np.arange(_C_NODES) * 1024.0 / _C_NODES
    weights = np.stack([np.interp(fine, steps, row) for row in np.eye(_C_EXACT)], axis=1).astype(np.float32)
    mapped = mapped.astype(np.float32)
    scale, offset = (np.array(pair, np.float32)[:, None, None] for pair in ((_FRACTION, 1, 1), (_OFFSET, 0, 0)))
    packed = np.empty((_Y_NODES, _C_NODES, _C_NODES), np.uint32)
    for slab, coarse in zip(packed, mapped.swapaxes(0, 1), strict=True):
        difference, cb, cr = np.rint((weights @ coarse @ weights.T) * scale + offset).astype(np.uint32)
        slab[:] = difference << 16 | cr << 8 | cb
    return Tables(np.rint(grey * _FRACTION).astype(np.uint16), packed.ravel())


def apply(table: Tables, source: tuple[Samples, Samples, Samples], out: tuple[Plane, Plane, Plane]) -> None:
    """Map the planes of a 10-bit 4:2:0 picture into those of an 8-bit one of the same size, in place."""
    y, cb, cr = source
    height, width = y.shape
    small = cv2.resize(y, (cb.shape[1], cb.shape[0]), interpolation=cv2.INTER_AREA).astype(np.uint16, copy=False)
    dither = _tiled(*cb.shape)
    quarter = (dither >> 2).astype(np.uint16)
    index: NDArray[np.int32] = _node(small, dither, 4).astype(np.int32)
    for plane in (cb, cr):
        index <<= 8
        index |= _node(plane, quarter, 2)
    found = np.take(table.packed, index)
    octets = found.view(np.uint8).reshape(*cb.shape, 4)
    out[1][:], out[2][:] = octets[..., 0], octets[..., 1]
    # Little-endian: the upper half is the second of the two.
    difference = np.ascontiguousarray(found.view(np.uint16).reshape(*cb.shape, 2)[..., 1])
    spread = cv2.resize(difference, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.int32)
    total: NDArray[np.int32] = np.take(table.grey, y, mode="clip").astype(np.int32)
    total += spread
    total += _tiled(height, width)
    total -= _OFFSET
    total >>= 4
    np.clip(total, 0, 255, out=total)
    out[0][:] = total


def _node(samples: Samples, dither: Samples, bits: int) -> Samples:
    """Return the node below or above each sample, at random places as often as the sample is near to it."""
    node: Samples = np.minimum(samples + dither, 1023) >> bits
    return node


@functools.lru_cache(maxsize=8)
def _tiled(height: int, width: int) -> Samples:
    tile: Samples = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width].copy()
    return tile


def _signal(y: Real, cb: Real, cr: Real, tone: Tone) -> Real:
    """Turn 10-bit Y'CbCr into R'G'B', 0..1. Source: BT.2100-2, tables 6 and 9."""
    luma = y / 1023 if tone.full_range else (y - 64) / 876
    blue, red = ((c - 512) / (1023 if tone.full_range else 896) for c in (cb, cr))
    kr, kg, kb = _Y_2020 if tone.luma == "2020" else _Y_709
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    return np.stack([r, (luma - kr * r - kb * b) / kg, b], axis=-1)


def _levels(rgb: Real) -> Real:
    """Turn R'G'B' (..., 3) into 8-bit, limited-range BT.709 Y, Cb, Cr (3, ...)."""
    y = rgb @ _Y_709
    cb, cr = (rgb[..., 2] - y) / (2 * (1 - _Y_709[2])), (rgb[..., 0] - y) / (2 * (1 - _Y_709[0]))
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr])


def _from_pq(signal: Real) -> Real:
    power = signal ** (1 / _M2)
    light: Real = _PQ_MAX * (np.maximum(power - _C1, 0.0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def _to_pq(light: Real) -> Real:
    power = (np.clip(light, 0.0, _PQ_MAX) / _PQ_MAX) ** _M1
    signal: Real = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


def _hlg(signal: Real) -> Real:
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)
    bright = np.maximum(scene @ _Y_2020, 1e-9)[..., None]
    light: Real = _HLG_PEAK * scene * bright ** (_HLG_GAMMA - 1)
    return light


def _rolled_off(light: Real, peak: float) -> Real:
    """Bring 0..peak cd/m2 into 0..WHITE: the Hermite spline of BT.2390-11, in PQ of the material's own range."""
    if peak <= WHITE:
        return light
    whole = float(_to_pq(np.array(peak)))
    most = float(_to_pq(np.array(WHITE))) / whole
    knee = (1 + _KNEE) * most - _KNEE
    relative = np.minimum(_to_pq(light) / whole, 1.0)
    t = (relative - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return _from_pq(np.where(relative < knee, relative, spline) * whole)
