"""Where each sample lands."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.renderer.draw.geometry import (
    CHROMA_LEFT,
    LUMA,
    UPRIGHT,
    Fit,
    Matrix,
    orientation,
    plane_map,
    shrunk,
    view,
    warp,
)
from contracts.plan import FillCrop

ONE = 1 << 16


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


def fit(coded: tuple[int, int], out: tuple[int, int], turn: Matrix = UPRIGHT, **fields: object) -> Fit:
    layout = FillCrop(**fields)  # type: ignore[arg-type]  # focus_x and focus_y
    return Fit.fill(coded, out, layout, aspect=Fraction(1), turn=turn)


def drawn(
    source: NDArray[np.uint8], placed: Fit, out: tuple[int, int], scale: float = 1.0, *, mirrored: bool = False
) -> NDArray[np.uint8]:
    """Warp a luma plane."""
    target = np.zeros((out[1], out[0]), np.uint8)
    index_map = plane_map(
        view(placed, scale=scale, mirrored=mirrored), source_site=LUMA, out_site=LUMA, shrink=(1.0, 1.0)
    )
    warp(source, index_map, target)
    return target


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(16, 236, (36, 64), dtype=np.uint8)


def test_same_size_is_a_copy(noise: NDArray[np.uint8]) -> None:
    """Pictures are blurred or shifted by half a sample although nothing is to be done to them."""
    assert np.array_equal(drawn(noise, fit((64, 36), (64, 36)), (64, 36)), noise)


def test_mirror_swaps_left_and_right_exactly(noise: NDArray[np.uint8]) -> None:
    """Mirrored pictures shift by a sample."""
    assert np.array_equal(drawn(noise, fit((64, 36), (64, 36)), (64, 36), mirrored=True), noise[:, ::-1])


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
    assert np.array_equal(drawn(noise, fit((64, 36), size, orientation(turn)), size), wanted)


@pytest.mark.parametrize("damaged", [None, b"", b"\x80" * 36, matrix(1, 1, 0, 1), matrix(0, 0, 0, 0)])
def test_a_damaged_display_matrix_is_upright(damaged: bytes | None) -> None:
    """One damaged field of a file distorts the picture or stops the render."""
    assert np.array_equal(orientation(damaged), UPRIGHT)


def test_crop_keeps_the_focus_point_and_never_leaves_the_picture() -> None:
    """The subject is cut off, or smeared edge samples fill the frame."""
    columns = np.tile(np.arange(64, dtype=np.uint8) * 3, (36, 1))
    for focus, first in ((0.0, 0), (0.5, 14), (0.25, 0), (0.75, 28), (1.0, 28)):
        got = drawn(columns, fit((64, 36), (36, 36), focus_x=focus), (36, 36))
        assert np.array_equal(got, columns[:, first : first + 36]), focus


def test_zoom_moves_less_than_a_sample_smoothly() -> None:
    """A slow zoom stutters in whole-pixel steps."""
    ramp = np.tile(np.minimum(np.arange(200) * 20, 240).astype(np.uint8), (200, 1))
    placed = fit((200, 200), (200, 200))
    scales = [1 + at / 2000 for at in range(10)]
    levels = [int(drawn(ramp, placed, (200, 200), scale)[100, 10]) for scale in scales]
    # Column 10 shows a place 89.5 samples left of the centre; each step moves it by a twentieth of a sample.
    assert levels == pytest.approx([20 * (99.5 - 89.5 / scale) for scale in scales], abs=0.75)


def test_chroma_stays_in_register_with_luma() -> None:
    """Colours bleed beside their edges, worst in mirrored and turned pictures."""
    for turn, mirrored in ((UPRIGHT, False), (UPRIGHT, True), (orientation(matrix(0, 1, -1, 0)), False)):
        placed = fit((64, 64), (96, 96), turn)
        to_source = view(placed, scale=1.3, mirrored=mirrored)
        luma = plane_map(to_source, source_site=LUMA, out_site=LUMA, shrink=(1, 1))
        chroma = plane_map(to_source, source_site=CHROMA_LEFT, out_site=CHROMA_LEFT, shrink=(1, 1))
        # The chroma sample (i, j) lies at luma index (2i, 2j + 0.5).
        at = np.array([10.0, 7.0, 1.0])
        there = luma @ np.array([2 * at[0], 2 * at[1] + 0.5, 1.0])
        assert chroma @ at == pytest.approx([there[0] / 2, (there[1] - 0.5) / 2])


def test_wide_pixels_are_widened() -> None:
    """Videos with non-square pixels come out narrow."""
    placed = Fit.fill((50, 100), (100, 100), FillCrop(), aspect=Fraction(2), turn=UPRIGHT)
    assert placed.to_source @ np.array([100.0, 100.0, 1.0]) == pytest.approx([50, 100, 1])


def test_strong_reduction_averages_instead_of_skipping() -> None:
    """Fine patterns flicker and alias when a large picture becomes a small one."""
    stripes = np.zeros((120, 120), np.uint8)
    stripes[:, ::2] = 200
    small, factor = shrunk(stripes, 1 / 4)
    assert factor == (4.0, 4.0)
    assert small.shape == (30, 30)
    assert set(np.unique(small)) == {100}
    assert shrunk(stripes, 0.5)[0] is stripes
