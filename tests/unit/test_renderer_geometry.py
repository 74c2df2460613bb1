"""Where each sample lands."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.renderer.draw.geometry import (
    CHROMA_CENTRE,
    CHROMA_LEFT,
    LUMA,
    UPRIGHT,
    Matrix,
    orientation,
    placed,
    plane_map,
    shrunk,
    upright,
    warp,
)
from actors.renderer.draw.layouts import lay
from contracts.plan import Clip, FillCrop

ONE = 1 << 16
SQUARE = Fraction(1)


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


def fill(
    coded: tuple[int, int],
    out: tuple[int, int],
    turn: Matrix = UPRIGHT,
    aspect: Fraction = SQUARE,
    *,
    focus_x: float = 0.5,
    scale: float = 1.0,
    mirrored: bool = False,
) -> Matrix:
    """Return the map from output to source of a picture that fills it, then magnified about its middle."""
    clip = Clip(source="s", start_us=0, end_us=1, layout=FillCrop(focus_x=focus_x))
    (layer,) = lay(clip, (upright(coded, aspect, turn),), *out).layers(0, 0.0)
    x, y = out[0] / 2, out[1] / 2
    pitch = (-1 if mirrored else 1) / scale
    return placed(layer.to_source, pitch, x - x * pitch, 1 / scale, y - y / scale)


def drawn(source: NDArray[np.uint8], to_source: Matrix, out: tuple[int, int]) -> NDArray[np.uint8]:
    """Warp a luma plane."""
    target = np.zeros((out[1], out[0]), np.uint8)
    warp(source, plane_map(to_source, source_site=LUMA, out_site=LUMA, shrink=(1.0, 1.0)), target)
    return target


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(16, 236, (36, 64), dtype=np.uint8)


def test_same_size_is_a_copy(noise: NDArray[np.uint8]) -> None:
    """Pictures are blurred or shifted by half a sample although nothing is to be done to them."""
    assert np.array_equal(drawn(noise, fill((64, 36), (64, 36)), (64, 36)), noise)


def test_mirror_swaps_left_and_right_exactly(noise: NDArray[np.uint8]) -> None:
    """Mirrored pictures shift by a sample."""
    assert np.array_equal(drawn(noise, fill((64, 36), (64, 36), mirrored=True), (64, 36)), noise[:, ::-1])


@pytest.mark.parametrize(
    ("turn", "upright"),
    [
        (matrix(0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
        (matrix(0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
        (matrix(-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
        (matrix(-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    ],
)
def test_display_matrices_turn_pictures_upright(turn: bytes, upright: object, noise: NDArray[np.uint8]) -> None:
    """Phone videos come out lying on their side, upside down, or mirrored."""
    wanted = upright(noise)  # type: ignore[operator]  # one of the functions above
    size = (wanted.shape[1], wanted.shape[0])
    assert np.array_equal(drawn(noise, fill((64, 36), size, orientation(turn)), size), wanted)


@pytest.mark.parametrize("damaged", [None, b"", b"\x80" * 36, matrix(1, 1, 0, 1), matrix(0, 0, 0, 0)])
def test_a_damaged_display_matrix_is_upright(damaged: bytes | None) -> None:
    """One damaged field of a file distorts the picture or stops the render."""
    assert np.array_equal(orientation(damaged), UPRIGHT)


def test_crop_keeps_the_focus_point_and_never_leaves_the_picture() -> None:
    """The subject is cut off, or smeared edge samples fill the frame."""
    columns = np.tile(np.arange(64, dtype=np.uint8) * 3, (36, 1))
    for focus, first in ((0.0, 0), (0.5, 14), (0.25, 0), (0.75, 28), (1.0, 28)):
        got = drawn(columns, fill((64, 36), (36, 36), focus_x=focus), (36, 36))
        assert np.array_equal(got, columns[:, first : first + 36]), focus


def test_zoom_moves_less_than_a_sample_smoothly() -> None:
    """A slow zoom stutters in whole-pixel steps."""
    ramp = np.tile(np.minimum(np.arange(200) * 20, 240).astype(np.uint8), (200, 1))
    scales = [1 + at / 2000 for at in range(10)]
    levels = [int(drawn(ramp, fill((200, 200), (200, 200), scale=scale), (200, 200))[100, 10]) for scale in scales]
    # Column 10 shows a place 89.5 samples left of the centre; each step moves it by a twentieth of a sample.
    assert levels == pytest.approx([20 * (99.5 - 89.5 / scale) for scale in scales], abs=0.75)


def test_chroma_stays_in_register_with_luma() -> None:
    """Colours bleed beside their edges, worst in mirrored and turned pictures."""
    for turn, mirrored in ((UPRIGHT, False), (UPRIGHT, True), (orientation(matrix(0, 1, -1, 0)), False)):
        to_source = fill((64, 64), (96, 96), turn, scale=1.3, mirrored=mirrored)
        luma = plane_map(to_source, source_site=LUMA, out_site=LUMA, shrink=(1, 1))
        chroma = plane_map(to_source, source_site=CHROMA_LEFT, out_site=CHROMA_LEFT, shrink=(1, 1))
        # The chroma sample (i, j) lies at luma index (2i, 2j + 0.5).
        at = np.array([10.0, 7.0, 1.0])
        there = luma @ np.array([2 * at[0], 2 * at[1] + 0.5, 1.0])
        assert chroma @ at == pytest.approx([there[0] / 2, (there[1] - 0.5) / 2])


def test_wide_pixels_are_widened() -> None:
    """Videos with non-square pixels come out narrow."""
    to_source = fill((50, 100), (100, 100), aspect=Fraction(2))
    assert to_source @ np.array([100.0, 100.0, 1.0]) == pytest.approx([50, 100, 1])
    assert to_source @ np.array([30.0, 20.0, 1.0]) == pytest.approx([15, 20, 1])


@given(
    st.integers(2, 4000),
    st.integers(2, 4000),
    st.fractions(Fraction(1, 8), 8, max_denominator=100),
    st.sampled_from([(1, 0, 0, 1), (0, 1, -1, 0), (0, -1, 1, 0), (-1, 0, 0, -1), (-1, 0, 0, 1), (0, 1, 1, 0)]),
)
def test_the_map_from_upright_to_coded_is_the_inverse_of_turn_and_widening(
    width: int, height: int, aspect: Fraction, turn: tuple[int, int, int, int]
) -> None:
    """Turned videos with wide pixels are stretched along the wrong side, or off centre."""
    turned = orientation(matrix(*turn))
    shown = upright((width, height), aspect, turned)
    forward = turned @ np.diag([float(aspect), 1.0, 1.0])
    there = np.array([width / 3, height / 5, 1.0])
    x, y = forward[:2, :2] @ (there[:2] - (width / 2, height / 2))
    back = shown.to_coded @ np.array([x + shown.width / 2, y + shown.height / 2, 1.0])
    assert back == pytest.approx(there, rel=1e-9, abs=1e-6)
    assert (shown.width, shown.height) == pytest.approx(tuple(np.abs(forward)[:2, :2] @ (width, height)))


@given(st.lists(st.floats(-8, 8), min_size=10, max_size=10), st.floats(1, 9), st.floats(1, 9))
def test_maps_compose_as_matrices_do(numbers: list[float], shrink_x: float, shrink_y: float) -> None:
    """A plane is resampled from another place than the one that its map names."""
    a, b, x, c, d, y, x_scale, x_shift, y_scale, y_shift = numbers
    full = np.array([a, b, x, c, d, y, 0, 0, 1]).reshape(3, 3)
    first = np.array([x_scale, 0, x_shift, 0, y_scale, y_shift, 0, 0, 1]).reshape(3, 3)
    assert placed(full, x_scale, x_shift, y_scale, y_shift) == pytest.approx(full @ first, abs=1e-9)
    shrunk_by = np.array([shrink_x, 0, (shrink_x - 1) / 2, 0, shrink_y, (shrink_y - 1) / 2, 0, 0, 1]).reshape(3, 3)
    wanted = np.linalg.inv(CHROMA_CENTRE @ shrunk_by) @ full @ CHROMA_LEFT
    got = plane_map(full, source_site=CHROMA_CENTRE, out_site=CHROMA_LEFT, shrink=(shrink_x, shrink_y))
    assert got == pytest.approx(wanted[:2], abs=1e-9)


def test_strong_reduction_averages_instead_of_skipping() -> None:
    """Fine patterns flicker and alias when a large picture becomes a small one."""
    stripes = np.zeros((120, 120), np.uint8)
    stripes[:, ::2] = 200
    small, factor = shrunk(stripes, 1 / 4)
    assert factor == (4.0, 4.0)
    assert small.shape == (30, 30)
    assert set(np.unique(small)) == {100}
    assert shrunk(stripes, 0.5)[0] is stripes
