"""Colours: whatever a source's matrix, range, depth or light, the picture shows what was meant, in BT.709."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from actors.renderer.source import picture, tone
from actors.renderer.source.picture import Converter, Picture, tone_of
from actors.renderer.source.tone import Tone
from actors.renderer.source.video import ClipReader, first_frame_us
from tests.shared_media import real_files

PATCHES = (
    (1.0, 1.0, 1.0),
    (0.0, 0.0, 0.0),
    (0.5, 0.5, 0.5),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
    (0.8, 0.5, 0.4),
)
# Luma coefficients (Kr, Kb): ITU-R BT.709-6, BT.601-7, BT.2020-2.
COEFFICIENTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
HDR = Tone("pq", "2020", "2020", full_range=False)
HLG = Tone("hlg", "2020", "2020", full_range=False)


def levels(rgb: Sequence[float], matrix: int, *, full: bool, bits: int) -> tuple[int, int, int]:
    """R'G'B' as integers of Y'CbCr. Source: ITU-T H.273 (07/2024), 8.3."""
    kr, kb = COEFFICIENTS[matrix]
    r, g, b = rgb
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    top, step = (1 << bits) - 1, 1 << (bits - 8)
    if full:
        return round(top * y), min(top, round(top * cb + 128 * step)), min(top, round(top * cr + 128 * step))
    return round((16 + 219 * y) * step), round((128 + 224 * cb) * step), round((128 + 224 * cr) * step)


def frame_of(
    rgb: Sequence[float],
    kind: str,
    *,
    matrix: int = 2,
    told: int | None = None,
    full: bool = False,
    size: tuple[int, int] = (64, 48),
) -> av.VideoFrame:
    """A frame of one colour. matrix: that it is made with; told: that its tag names, if another."""
    frame = av.VideoFrame(*size, kind)
    bits = 10 if "10" in kind else 12 if "12" in kind else 8
    values = levels(rgb, matrix, full=full, bits=bits)
    for plane, value in zip(frame.planes, values, strict=True):
        samples = np.frombuffer(memoryview(plane), np.uint8 if bits == 8 else np.uint16)
        samples[:] = value
    frame.colorspace = matrix if told is None else told
    frame.color_range = 2 if full else 1
    return frame


def middle(shown: Picture) -> tuple[int, int, int]:
    y, u, v = (int(plane[plane.shape[0] // 2, plane.shape[1] // 2]) for plane in shown.planes)
    return y, u, v


@pytest.mark.parametrize("rgb", PATCHES)
@pytest.mark.parametrize(
    ("kind", "matrix", "full"),
    [
        ("yuv420p", 1, False),
        ("yuv420p", 6, False),
        ("yuv420p", 5, True),
        ("yuvj420p", 6, True),
        ("yuv420p", 1, True),
        ("yuv422p", 1, False),
        ("yuv444p", 6, False),
        ("yuv420p10le", 1, False),
        ("yuv422p10le", 6, True),
        ("yuv420p12le", 1, False),
    ],
)
def test_every_matrix_range_and_depth_shows_the_same_colour(
    rgb: Sequence[float], kind: str, matrix: int, *, full: bool
) -> None:
    """Reds that turn orange, blacks that turn grey: the usual faults of a wrong matrix or range."""
    shown = Converter().picture(frame_of(rgb, kind, matrix=matrix, full=full))
    assert middle(shown) == pytest.approx(levels(rgb, 1, full=False, bits=8), abs=2)
    assert shown.frame.format.name == "yuv420p"


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), 6), ((720, 576), 6), ((1280, 720), 1), ((720, 1280), 1)])
def test_untagged_pictures_are_taken_for_what_their_size_suggests(size: tuple[int, int], matrix: int) -> None:
    """Most files tell nothing; small ones come from the time of BT.601."""
    red = PATCHES[3]
    shown = Converter().picture(frame_of(red, "yuv420p", matrix=matrix, told=2, size=size))
    assert middle(shown) == pytest.approx(levels(red, 1, full=False, bits=8), abs=2)


def test_plain_pictures_are_used_in_place() -> None:
    """A copy of every frame costs more than all effects."""
    frame = frame_of(PATCHES[6], "yuv420p", matrix=1)
    assert Converter().picture(frame).frame is frame


def test_rgb_and_grey_are_read() -> None:
    """Screen recordings come in RGB."""
    rgb = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    shown = Converter().picture(av.VideoFrame.from_ndarray(rgb, format="rgb24"))
    assert middle(shown) == pytest.approx(levels((1, 0, 0), 1, full=False, bits=8), abs=2)
    grey = av.VideoFrame.from_ndarray(np.full((48, 64), 128, np.uint8), format="gray")
    grey.color_range = 2
    assert middle(Converter().picture(grey))[0] == pytest.approx(126, abs=1)


# High dynamic range -----------------------------------------------------------------------------------


def sdr(light: float, kind: Tone = HDR) -> float:
    """Signal of SDR, percent, that grey light of PQ becomes, cd/m2; of HLG, its signal."""
    signal = light if kind.transfer == "hlg" else float(tone._to_pq(np.array(light)))
    return float(tone.exact(np.array([signal] * 3), kind)[1]) * 100


def test_greys_of_high_dynamic_range_land_where_they_belong() -> None:
    """Grey faces, skies without clouds: values of Report ITU-R BT.2408-7, table 1, and what BT.2390 makes of them."""
    assert sdr(26.0) == pytest.approx((26 / 203) ** (1 / 2.4) * 100, abs=0.1)  # 18 % grey: below the knee, unchanged
    assert 82 < sdr(203.0) < 87  # diffuse white
    assert 93 < sdr(400.0) < 96  # highlights are kept apart
    assert sdr(1000.0) == pytest.approx(100, abs=0.01)
    assert sdr(0.0) == pytest.approx(0, abs=0.5)
    assert sdr(0.38, HLG) == pytest.approx(sdr(26.0), abs=1.5)
    assert sdr(0.75, HLG) == pytest.approx(sdr(203.0), abs=1.0)
    rising = [sdr(light) for light in np.geomspace(0.1, 1000, 200)]
    assert rising == sorted(rising)
    assert len({round(value, 3) for value in rising}) == 200, "nothing is clipped"


def test_the_curves_are_those_of_the_standards() -> None:
    """A wrong constant shifts everything a little."""
    assert float(tone._from_pq(np.array(0.5081))) == pytest.approx(100, rel=0.005)  # BT.2408-7, table 1
    assert float(tone._from_pq(np.array(0.5807))) == pytest.approx(203, rel=0.005)
    assert float(tone._hlg(np.array([0.75] * 3))[0]) == pytest.approx(203, rel=0.005)
    assert float(tone._hlg(np.array([0.38] * 3))[0]) == pytest.approx(26, rel=0.03)
    for matrix in tone._TO_709.values():
        assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_colours_are_brought_into_range_as_bright_as_they_were() -> None:
    """A colour outside BT.709 that is cut channel by channel changes its hue and its brightness."""
    wide = Tone("sdr", "2020", "2020", full_range=False)
    assert tone.exact(np.array([0.5] * 3), wide) == pytest.approx(0.5, abs=1e-4)
    red = tone.exact(np.array([0.9, 0.1, 0.1]), wide)
    light = np.array([0.9, 0.1, 0.1]) ** 2.4 @ tone._TO_709["2020"].T
    assert red**2.4 @ tone._Y_709 == pytest.approx(light @ tone._Y_709, abs=1e-6), "as bright as it was"
    assert red.argmax() == 0
    assert red.min() == pytest.approx(0, abs=1e-3), "as colourful as BT.709 can be"
    sampled = np.random.default_rng(1).random((20_000, 3))
    for kind in (HDR, HLG, wide, Tone("sdr", "p3", "709", full_range=False)):
        mapped = tone.exact(sampled, kind)
        assert np.isfinite(mapped).all()
        assert mapped.min() >= 0
        assert mapped.max() <= 1


def ramps(width: int = 512, height: int = 256) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """A 10-bit picture of smooth shades and colours."""
    _, x = np.mgrid[:height, :width]
    v, u = np.mgrid[: height // 2, : width // 2]
    return (
        (100 + 700 * x / width).astype(np.uint16),
        (512 + 60 * np.sin(u / 40)).astype(np.uint16),
        (512 + 60 * np.cos(v / 40)).astype(np.uint16),
    )


@pytest.mark.parametrize("kind", [HDR, HLG, Tone("sdr", "2020", "2020", full_range=False)])
def test_the_table_does_what_the_formula_says(kind: Tone) -> None:
    """The table is coarser than the formula; dither must hide that, not add a cast."""
    y, u, v = ramps()
    out = [np.zeros(plane.shape, np.uint8) for plane in (y, u, v)]
    tone.apply(tone.tables(kind), (y, u, v), (out[0], out[1], out[2]))
    large = [cv2.resize(c, (y.shape[1], y.shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.float64) for c in (u, v)]
    wanted = tone._levels(tone.exact(tone._signal(y.astype(np.float64), large[0], large[1], kind), kind))
    error = out[0] - wanted[0]
    assert np.abs(error).mean() < 1.0
    assert np.quantile(np.abs(error), 0.99) < 6
    assert abs(cv2.blur(error, (16, 16))).mean() < 0.8, "a cast or bands"
    for plane, mapped in ((out[1], wanted[1]), (out[2], wanted[2])):
        small = cv2.resize(mapped, u.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(plane - small).mean() < 2.0
        assert abs(float((plane - small).mean())) < 0.5


def test_odd_sizes_are_mapped_whole() -> None:
    """The last row and column of an odd picture would stay black."""
    frame = av.VideoFrame(161, 121, "yuv420p10le")
    for plane, value in zip(frame.planes, (500, 512, 512), strict=True):
        np.frombuffer(memoryview(plane), np.uint16)[:] = value
    frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = 18, 9, 9, 1
    shown = Converter().picture(frame)
    assert [plane.shape for plane in shown.planes] == [(121, 161), (61, 81), (61, 81)]
    assert np.ptp(shown.planes[0]) <= 1
    assert set(np.unique(shown.planes[1])) <= {127, 128, 129}


def test_tags_choose_the_mapping() -> None:
    """PQ shown as SDR is grey mush, SDR taken for PQ is glaring."""
    frame = frame_of(PATCHES[2], "yuv420p10le", matrix=9)
    assert tone_of(frame) is None
    frame.color_trc = 16
    assert tone_of(frame, 4000) == Tone("pq", "2020", "2020", full_range=False, peak=4000)
    frame.color_trc, frame.color_primaries = 18, 9
    assert tone_of(frame, 4000) == HLG
    frame.color_trc = 1
    assert tone_of(frame) == Tone("sdr", "2020", "2020", full_range=False)
    frame.color_primaries = 12
    assert tone_of(frame) == Tone("sdr", "p3", "2020", full_range=False)
    eight = frame_of(PATCHES[2], "yuv420p", matrix=9)
    eight.color_trc = 18
    assert middle(Converter().picture(eight))[1:] == pytest.approx((128, 128), abs=1)


def test_the_brightest_light_is_read_from_the_file() -> None:
    """A film graded for 4000 cd/m2 would be cut at 1000."""
    mastering = bytes(72) + struct.pack("=4i", 40_000_000, 10_000, 1, 1)
    assert picture._peak(None, None) == tone.DEFAULT_PEAK
    assert picture._peak(struct.pack("=II", 1555, 400), mastering) == 1600
    assert picture._peak(struct.pack("=II", 0, 0), mastering) == 4000
    assert picture._peak(struct.pack("=II", 9, 0), None) == 400
    assert picture._peak(None, b"short") == tone.DEFAULT_PEAK
    assert sdr(1000.0, HDR._replace(peak=4000)) < 98


HDR_FILES = [file for file in real_files() if "hdr10" in file.name or "hlg" in file.name]


@pytest.mark.parametrize("file", HDR_FILES, ids=lambda file: file.name)
def test_real_high_dynamic_range_looks_like_a_picture(file: Path) -> None:
    """Phones record HLG: skies must not be cut off, and nothing be grey or glaring."""
    reader = ClipReader(file, zero_us=first_frame_us(file), threads=2)
    shown = next(reader.pictures([60_000], start_us=0, early_us=0))
    y, u, v = shown.planes
    assert (y >= 234).mean() < 0.06, "highlights are cut off"
    assert np.quantile(y, 0.99) > 200, "grey"
    assert 90 < y.mean() < 185
    assert abs(float(u.mean()) - 128) < 12
    assert abs(float(v.mean()) - 128) < 12
    assert (shown.frame.colorspace, shown.frame.color_trc, shown.frame.color_primaries) == (1, 1, 1)


def test_mapping_costs_less_than_decoding() -> None:
    """Two million pixels of HDR a frame: seconds per second would make phones' videos unusable."""
    y, u, v = ramps(1920, 1080)
    out = [np.zeros(plane.shape, np.uint8) for plane in (y, u, v)]
    table = tone.tables(HLG)
    took_s = []
    for _ in range(5):
        began_s = time.process_time()
        tone.apply(table, (y, u, v), (out[0], out[1], out[2]))
        took_s.append(time.process_time() - began_s)
    assert min(took_s) < 0.08
