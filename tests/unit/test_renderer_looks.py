"""Grades do to colours what they say, and .cube files are read or refused by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.finish import Planes
from actors.renderer.draw.geometry import CHROMA_LEFT, UPRIGHT
from actors.renderer.draw.looks import Cube, look_of, parse_cube, read_cube
from actors.renderer.draw.recipe import Box, Layer, Look, Recipe, Scene
from contracts.errors import Reject
from contracts.plan import Colour3D, Grade, Monochrome
from tests.renderer_reference import Pictured

SIDE = 4
FromRgb = np.array([[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]])
"""Rec. ITU-R BT.709-6."""
COLOURS = [(0.5, 0.5, 0.5), (0.2, 0.3, 0.6), (0.7, 0.4, 0.3), (0.1, 0.1, 0.1), (0.35, 0.6, 0.4)]


def graded(look: Look | None, rgb: tuple[float, ...]) -> NDArray[np.float64]:
    """Draw a flat colour with a look and return its R', G', B'."""
    y, b, r = FromRgb @ np.array(rgb)
    levels = (16 + 219 * y, 128 + 224 * b, 128 + 224 * r)

    def planes() -> Planes:
        luma, cb, cr = (
            np.full((side, side), round(level), np.uint8)
            for level, side in zip(levels, (SIDE, SIDE // 2, SIDE // 2), strict=True)
        )
        return luma, cb, cr

    out = planes()
    scene = Scene((Layer(0, UPRIGHT, Box(0, 0, SIDE, SIDE), 1.0),))
    CpuCanvas(SIDE, SIDE).draw_planes(Recipe((scene,), look), [Pictured(planes(), CHROMA_LEFT)], out)
    assert all((plane == plane[0, 0]).all() for plane in out)
    got = np.array([(out[0][0, 0] - 16.0) / 219, (out[1][0, 0] - 128.0) / 224, (out[2][0, 0] - 128.0) / 224])
    found: NDArray[np.float64] = np.linalg.inv(FromRgb) @ got
    return found


def close(got: NDArray[np.float64], wanted: NDArray[np.float64] | tuple[float, ...]) -> bool:
    """Within what 8-bit levels can say: a level and a half of each of Y, Cb and Cr."""
    return bool(np.abs(FromRgb @ (got - np.array(wanted))).max() <= 1.5 / 219)


@pytest.mark.parametrize(
    "grades", [(), (Grade(),), (Grade(), Grade()), (Monochrome(strength=0.0, tint="#FF0000"),)], ids=str
)
def test_neutral_grades_are_no_look_at_all(grades: tuple[Grade | Monochrome, ...]) -> None:
    """A grade that does nothing costs time or changes levels."""
    assert look_of(grades, {}) is None


def test_a_table_of_no_strength_is_no_look() -> None:
    """A table faded out still changes levels."""
    assert look_of((Grade(table=Colour3D(source="cube", strength=0.0)),), {}) is None


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("stops", [-1.0, 0.5])
def test_a_stop_doubles_the_light(rgb: tuple[float, ...], stops: float) -> None:
    """Exposure shifts hues or is too strong."""
    wanted = (np.array(rgb) ** 2.4 * 2**stops) ** (1 / 2.4)
    assert close(graded(look_of((Grade(exposure=stops),), {}), rgb), wanted)


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.3])
def test_contrast_turns_about_middle_grey_on_every_channel(rgb: tuple[float, ...], factor: float) -> None:
    """Contrast changes the brightness of middle grey, or the colours."""
    wanted = np.clip(0.5 + factor * (np.array(rgb) - 0.5), 0, 1)
    assert close(graded(look_of((Grade(contrast=factor),), {}), rgb), wanted)


@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.5])
def test_saturation_keeps_brightness(rgb: tuple[float, ...], factor: float) -> None:
    """Saturation brightens or darkens."""
    grey = FromRgb[0] @ np.array(rgb)
    assert close(graded(look_of((Grade(saturation=factor),), {}), rgb), grey + factor * (np.array(rgb) - grey))


def test_temperature_warms_and_keeps_brightness_and_black() -> None:
    """Warm is cold, or black turns brown."""
    for rgb in COLOURS:
        warm, cold = (graded(look_of((Grade(temperature=t),), {}), rgb) for t in (1.0, -1.0))
        assert warm[0] > rgb[0] - 0.01
        assert warm[2] < rgb[2]
        assert cold[0] < rgb[0] + 0.01
        assert cold[2] > rgb[2]
        for got in (warm, cold):
            assert FromRgb[0] @ got == pytest.approx(FromRgb[0] @ np.array(rgb), abs=1 / 219)
    assert close(graded(look_of((Grade(temperature=1.0),), {}), (0.0, 0.0, 0.0)), (0, 0, 0))


def test_monochrome_is_grey_or_takes_the_hue_of_its_tint() -> None:
    """Black and white pictures keep a cast, or a tint shows another hue."""
    grey = graded(look_of((Monochrome(),), {}), (0.7, 0.4, 0.3))
    assert close(grey, np.full(3, FromRgb[0] @ np.array((0.7, 0.4, 0.3))))
    tinted = graded(look_of((Monochrome(tint="#FF8040"),), {}), (0.5, 0.5, 0.5))
    assert tinted[0] > tinted[1] > tinted[2]
    assert FromRgb[0] @ tinted == pytest.approx(0.5, abs=1 / 219)
    assert graded(look_of((Monochrome(tint="#000000"),), {}), (0.5, 0.5, 0.5)) == pytest.approx(0.5, abs=0.01)


def test_grades_follow_each_other_without_losing_what_passes_white() -> None:
    """Two grades that undo each other leave clipped highlights behind."""
    there_and_back = (Grade(exposure=2.0), Grade(contrast=0.0, exposure=-2.0), Grade(temperature=0.3))
    assert look_of(there_and_back, {}) is not None
    undone = look_of((Grade(exposure=2.0), Grade(exposure=-2.0)), {})
    for rgb in COLOURS:
        assert close(graded(undone, rgb), rgb)


def test_a_grade_works_in_its_stated_order() -> None:
    """Exposure, temperature, contrast, saturation come in another order."""
    rgb = (0.3, 0.4, 0.5)
    together = graded(look_of((Grade(exposure=0.5, contrast=1.4, saturation=0.5),), {}), rgb)
    apart = graded(look_of((Grade(exposure=0.5), Grade(contrast=1.4), Grade(saturation=0.5)), {}), rgb)
    turned = graded(look_of((Grade(contrast=1.4), Grade(exposure=0.5), Grade(saturation=0.5)), {}), rgb)
    assert close(together, apart)
    assert not close(together, turned)


@pytest.mark.parametrize("rgb", COLOURS)
def test_contrast_after_a_temperature_treats_its_colour_as_any_other(rgb: tuple[float, ...]) -> None:
    """Warm pictures turn cold, or green, with more contrast."""
    warm = graded(look_of((Grade(temperature=1.0),), {}), rgb)
    wanted = np.clip(FromRgb @ (0.5 + 1.2 * (warm - 0.5)), (0, -0.5, -0.5), (1, 0.5, 0.5))
    got = FromRgb @ graded(look_of((Grade(temperature=1.0, contrast=1.2),), {}), rgb)
    if wanted[0] > 0:
        assert got == pytest.approx(wanted, abs=2 / 219)


def test_results_stay_in_the_limited_range() -> None:
    """Encoders and players meet levels that mean nothing."""
    look = look_of((Grade(exposure=4.0, saturation=4.0),), {})
    assert look is not None
    assert (look.luma.min(), look.luma.max()) == (16, 235)


def test_equal_looks_have_equal_keys() -> None:
    """Tables are made anew for every frame, or one look's tables are used for another."""
    keys = [look.key for look in (look_of((Grade(contrast=c),), {}) for c in (1.2, 1.2, 1.3)) if look]
    assert keys[0] == keys[1] != keys[2]


# Tables ---------------------------------------------------------------------------------------------


def cube(side: int = 5, *, red: float = 1.0) -> str:
    levels = np.linspace(0, 1, side)
    return "".join(f"{r**red:.6f} {g:.6f} {b:.6f}\n" for b in levels for g in levels for r in levels)


def table(text: str) -> Cube:
    return parse_cube(text, "film.cube")


@pytest.mark.parametrize("rgb", [*COLOURS, (0.95, 0.1, 0.05), (1.0, 1.0, 1.0)])
def test_an_identity_table_changes_nothing(rgb: tuple[float, ...]) -> None:
    """A table that says nothing shifts colours near the edge of what screens show."""
    look = look_of((Grade(table=Colour3D(source="film")),), {"film": table("LUT_3D_SIZE 5\n" + cube())})
    assert close(graded(look, rgb), rgb)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("rgb", COLOURS)
def test_a_table_maps_colours_by_its_strength(rgb: tuple[float, ...], strength: float) -> None:
    """Red and blue are swapped, or the table is too strong."""
    look = look_of(
        (Grade(table=Colour3D(source="film", strength=strength)),),
        {"film": table("LUT_3D_SIZE 33\n" + cube(33, red=1.5))},
    )
    wanted = (rgb[0] + strength * (rgb[0] ** 1.5 - rgb[0]), *rgb[1:])
    assert close(graded(look, rgb), wanted)


def test_what_follows_a_table_is_done_after_it() -> None:
    """Grades after a table are done before it."""
    tables = {"film": table("LUT_3D_SIZE 17\n" + cube(17, red=2.0))}
    look = look_of((Grade(exposure=0.3, table=Colour3D(source="film")), Monochrome()), tables)
    rgb = np.array((0.6, 0.3, 0.2)) * 2 ** (0.3 / 2.4)
    assert close(graded(look, (0.6, 0.3, 0.2)), np.full(3, FromRgb[0] @ np.array((rgb[0] ** 2, rgb[1], rgb[2]))))


def test_files_are_read_as_programs_write_them(tmp_path: Path) -> None:
    """Tables with a title, comments, domains, Windows line ends or a byte order mark are refused."""
    text = (
        'TITLE "warm # not a comment"\n# made by hand\n\nLUT_3D_SIZE 2\n'
        "DOMAIN_MIN 0 0 0\nDOMAIN_MAX 2.0 2.0 2.0 # wide\n" + cube(2)
    )
    file = tmp_path / "film.cube"
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    read = read_cube(file, "film.cube")
    assert read.high == (2.0, 2.0, 2.0)
    assert read.at(np.array([[1.0, 0.5, 2.0]])) == pytest.approx(np.array([[0.5, 0.25, 1.0]]))
    resolve = table("LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE -1 1\n" + cube(2))
    assert (resolve.low, resolve.high) == ((-1.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("side", [2, 65])
def test_the_smallest_and_the_largest_table_are_read(side: int) -> None:
    """Tables of common sizes are refused."""
    read = table(f"LUT_3D_SIZE {side}\n" + cube(side))
    assert read.at(np.array([[0.3, 0.6, 0.9]])) == pytest.approx(np.array([[0.3, 0.6, 0.9]]), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 0, "without LUT_3D_SIZE"),
        ("LUT_1D_SIZE 1024\n", 1, "one-dimensional"),
        ("LUT_3D_SIZE 1\n", 1, "between 2 and 65"),
        ("LUT_3D_SIZE 66\n", 1, "between 2 and 65"),
        ("LUT_3D_SIZE 99999999999999\n", 1, "between 2 and 65"),
        ("LUT_3D_SIZE two\n", 1, "between 2 and 65"),
        ("0 0 0\n", 1, "before LUT_3D_SIZE"),
        ("LUT_3D_SIZE 2\n" + cube(2)[:-30], 8, "numbers|ends after"),
        ("LUT_3D_SIZE 2\n" + cube(2) + "0 0 0\n", 10, "more than the 8"),
        ("LUT_3D_SIZE 2\n# x\n0 0\n", 3, "not 3 numbers"),
        ("LUT_3D_SIZE 2\n0 nan 0\n", 2, "not 3 numbers"),
        ("LUT_3D_SIZE 2\n0 1e99 0\n", 2, "not 3 numbers"),
        ("LUT_3D_SIZE 2\nGAMMA 2\n", 2, "not known"),
        ("LUT_3D_SIZE 2\n0 0 0\nDOMAIN_MIN 0 0 0\n", 3, "after the first colour"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 0 1 1\n" + cube(2), 10, "domain is empty"),
        ("\x00\x01\x02" * 40, 1, "before LUT_3D_SIZE"),
    ],
)
def test_bad_files_are_refused_by_line(text: str, line: int, why: str) -> None:
    """A damaged table stops the render with a traceback, or paints the video."""
    with pytest.raises(Reject, match=why) as refused:
        table(text)
    assert f"film.cube, line {line}:" in str(refused.value)
    assert "export it again" in str(refused.value)


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    """A table of gigabytes fills the memory."""
    file = tmp_path / "huge.cube"
    with file.open("wb") as out:
        out.truncate(1 << 30)
    with pytest.raises(Reject, match="larger than"):
        read_cube(file, "huge.cube")
