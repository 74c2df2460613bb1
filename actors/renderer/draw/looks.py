"""Grades become one look: a table of Y, a matrix for Cb and Cr, and a colour table where a .cube file is in force.

The sums, on y = (Y - 16) / 219, b = (Cb - 128) / 224, r = (Cr - 128) / 224 (Rec. ITU-R BT.709-6), in floats and
without limits between one grade and the next:

    exposure     y, b and r times 2^(stops / 2.4): light doubles with each stop on a display of Rec. ITU-R BT.1886
    temperature  b - 0.10 t y and r + 0.06 t y; black stays black, y stays
    contrast     y to 0.5 + c (y - 0.5), b and r times c: as if done on R', G', B'
    saturation   b and r times s
    table        by R', G', B' held in 0..1, linear between its points; what was outside stays as far outside
    monochrome   b and r times 1 - m; with a tint, plus m y times the b and r of the tint at its full brightness

All up to the first table are luma and matrix; the rest is worked out once for every node of a table in Y, Cb, Cr.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.renderer.draw.recipe import Look
from contracts.errors import Reject
from contracts.plan import Grade, Monochrome

__all__ = ["TABLE_NODES", "Cube", "look_of", "parse_cube", "read_cube"]

TABLE_NODES: Final = 33
"""Points of a look's colour table along each side."""
_CUBE_SIZES: Final = range(2, 66)
_CUBE_BYTES_MAX: Final = 64 << 20
_GAMMA: Final = 2.4
_WARM_B: Final = -0.10
_WARM_R: Final = 0.06
_MEND: Final = "export it again as a 3D .cube table of 2 to 65 points"

Floats = NDArray[np.float64]


class Cube(NamedTuple):
    """A 3D table. points: (n, n, n, 3), R', G', B' at [blue, green, red]; low, high: where it begins and ends."""

    points: Floats
    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def at(self, rgb: Floats) -> Floats:
        """Return the table's colours for (k, 3) colours, linear between its points."""
        side = self.points.shape[0]
        low, high = np.array(self.low), np.array(self.high)
        place = np.clip((rgb - low) / (high - low), 0, 1) * (side - 1)
        below = np.minimum(place.astype(np.intp), side - 2)
        part = place - below
        found = np.zeros_like(rgb)
        for corner in range(8):
            step = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
            weight = np.where(step, part, 1 - part).prod(1, keepdims=True)
            red, green, blue = (below + step).T
            found += weight * self.points[blue, green, red]
        return found


class _Affine(NamedTuple):
    """Grades without tables: y' = gain y + lift; b' = of_y[0] y' + keep b + shift[0]; r' alike."""

    gain: float = 1.0
    lift: float = 0.0
    keep: float = 1.0
    of_y: tuple[float, float] = (0.0, 0.0)
    shift: tuple[float, float] = (0.0, 0.0)

    def exposed(self, gain: float) -> _Affine:
        return self._replace(
            gain=self.gain * gain,
            lift=self.lift * gain,
            keep=self.keep * gain,
            shift=(self.shift[0] * gain, self.shift[1] * gain),
        )

    def contrasted(self, factor: float) -> _Affine:
        lift = 0.5 - 0.5 * factor
        return self._replace(
            gain=self.gain * factor,
            lift=self.lift * factor + lift,
            keep=self.keep * factor,
            shift=(self.shift[0] * factor - self.of_y[0] * lift, self.shift[1] * factor - self.of_y[1] * lift),
        )

    def coloured(self, factor: float, b: float, r: float) -> _Affine:
        """Chroma times a factor, plus b and r times y."""
        return self._replace(
            keep=self.keep * factor,
            of_y=(self.of_y[0] * factor + b, self.of_y[1] * factor + r),
            shift=(self.shift[0] * factor, self.shift[1] * factor),
        )

    def then(self, grade: Grade | Monochrome) -> _Affine:
        if isinstance(grade, Monochrome):
            b, r = _tint(grade.tint)
            return self.coloured(1 - grade.strength, grade.strength * b, grade.strength * r)
        made = self
        if grade.exposure:
            made = made.exposed(2 ** (grade.exposure / _GAMMA))
        if grade.temperature:
            made = made.coloured(1.0, _WARM_B * grade.temperature, _WARM_R * grade.temperature)
        if grade.contrast != 1:
            made = made.contrasted(grade.contrast)
        return made.coloured(grade.saturation, 0.0, 0.0) if grade.saturation != 1 else made

    def of(self, y: Floats, b: Floats, r: Floats) -> tuple[Floats, Floats, Floats]:
        y = self.gain * y + self.lift
        return (
            y,
            self.of_y[0] * y + self.keep * b + self.shift[0],
            self.of_y[1] * y + self.keep * r + self.shift[1],
        )


class _Tabled(NamedTuple):
    cube: Cube
    strength: float

    def of(self, y: Floats, b: Floats, r: Floats) -> tuple[Floats, Floats, Floats]:
        rgb = np.stack([y + 1.5748 * r, y - 0.18732427 * b - 0.46812427 * r, y + 1.8556 * b], -1)
        held = np.clip(rgb, 0, 1)
        made = rgb + self.strength * (np.clip(self.cube.at(held), 0, 1) - held)
        y = made @ np.array([0.2126, 0.7152, 0.0722])
        return y, (made[:, 2] - y) / 1.8556, (made[:, 0] - y) / 1.5748


def look_of(grades: tuple[Grade | Monochrome, ...], tables: Mapping[str, Cube]) -> Look | None:
    """Return what the grades in force do together, one after the other; None: nothing.

    tables: by the id of their plan source.
    """
    parts: list[_Affine | _Tabled] = [_Affine()]
    for grade in grades:
        last = parts[-1]
        if isinstance(last, _Tabled):
            last = _Affine()
            parts.append(last)
        parts[-1] = last.then(grade)
        if isinstance(grade, Grade) and grade.table is not None and grade.table.strength > 0:
            parts.append(_Tabled(tables[grade.table.source], grade.table.strength))
    first = parts[0]
    assert isinstance(first, _Affine)
    table = _baked(parts[1:]) if len(parts) > 1 else None
    if first == _Affine() and table is None:
        return None
    luma, matrix = _luma(first), _matrix(first)
    digest = hashlib.sha256(luma.tobytes())
    for made in (matrix, table):
        digest.update(b"none" if made is None else made.tobytes())
    return Look(luma, matrix, table, digest.hexdigest())


def _luma(affine: _Affine) -> NDArray[np.uint8]:
    levels = np.arange(256)
    if (affine.gain, affine.lift) == (1.0, 0.0):
        return levels.astype(np.uint8)
    made = 16 + affine.gain * (levels - 16) + 219 * affine.lift
    luma: NDArray[np.uint8] = np.clip(np.rint(made), 16, 235).astype(np.uint8)
    return luma


def _matrix(affine: _Affine) -> Floats | None:
    if (affine.keep, affine.of_y, affine.shift) == (1.0, (0.0, 0.0), (0.0, 0.0)):
        return None
    matrix = np.eye(3, 4)
    for row, (of_y, shift) in enumerate(zip(affine.of_y, affine.shift, strict=True), 1):
        matrix[row, 0] = of_y * 224 / 219
        matrix[row, row] = affine.keep
        matrix[row, 3] = 224 * shift - 16 * matrix[row, 0]
    return matrix


def _baked(parts: list[_Affine | _Tabled]) -> NDArray[np.uint8]:
    levels = np.linspace(0, 255, TABLE_NODES)
    y, b, r = (axis.ravel() for axis in np.meshgrid(levels, levels, levels, indexing="ij"))
    y, b, r = (y - 16) / 219, (b - 128) / 224, (r - 128) / 224
    for part in parts:
        y, b, r = part.of(y, b, r)
    made = np.stack([16 + 219 * y, 128 + 224 * b, 128 + 224 * r], -1)
    table: NDArray[np.uint8] = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    return table.reshape(TABLE_NODES, TABLE_NODES, TABLE_NODES, 3)


def _tint(colour: str | None) -> tuple[float, float]:
    if colour is None:
        return 0.0, 0.0
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    full = max(red, green, blue)
    if full == 0:
        return 0.0, 0.0
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (blue - y) / 1.8556 / full, (red - y) / 1.5748 / full


# Files ----------------------------------------------------------------------------------------------


def read_cube(path: Path, name: str) -> Cube:
    """Read a .cube file. name: for people. Raises: Reject."""
    if path.stat().st_size > _CUBE_BYTES_MAX:
        raise Reject(f"colour table {name}: the file is larger than {_CUBE_BYTES_MAX >> 20} MiB", mend=_MEND)
    return parse_cube(path.read_bytes().decode("utf-8-sig", "replace"), name)


def parse_cube(text: str, name: str) -> Cube:
    """Parse a 3D .cube table. name: for people. Raises: Reject, naming the line.

    Source: Adobe, Cube LUT Specification 1.0 (2013-06-24); LUT_3D_INPUT_RANGE as DaVinci Resolve writes it.
    """
    parser = _Parser()
    try:
        for line in text.splitlines():
            parser.line(line)
        return parser.cube()
    except ValueError as error:
        raise Reject(f"colour table {name}, line {parser.number}: {error}", mend=_MEND) from error


class _Parser:
    """Takes a file line by line. number: of the newest line. Raises: ValueError with what is wrong."""

    def __init__(self) -> None:
        self.number = 0
        self._side = 0
        self._low: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._high: tuple[float, ...] = (1.0, 1.0, 1.0)
        self._points: list[tuple[float, ...]] = []

    def line(self, line: str) -> None:
        self.number += 1
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "TITLE":
            return
        words = line.split("#", 1)[0].split()
        if words[0][0].isalpha():
            self._keyword(words[0], words[1:])
        elif not self._side:
            raise ValueError("a colour comes before LUT_3D_SIZE")
        elif len(self._points) == self._side**3:
            raise ValueError(f"there are more than the {self._side**3} colours of {self._side} points a side")
        else:
            self._points.append(_numbers(words, 3))

    def cube(self) -> Cube:
        wanted = self._side**3
        if not wanted:
            raise ValueError("the file ends without LUT_3D_SIZE")
        if len(self._points) < wanted:
            raise ValueError(f"the file ends after {len(self._points)} of {wanted} colours")
        (r0, g0, b0), (r1, g1, b1) = self._low, self._high
        if min(r1 - r0, g1 - g0, b1 - b0) < 1e-6:
            raise ValueError("the domain is empty")
        points = np.array(self._points).reshape(self._side, self._side, self._side, 3)
        return Cube(points, (r0, g0, b0), (r1, g1, b1))

    def _keyword(self, name: str, words: list[str]) -> None:
        if self._points:
            raise ValueError(f"'{name[:40]}' comes after the first colour")
        match name:
            case "LUT_3D_SIZE":
                side = int(words[0]) if len(words) == 1 and words[0].isdecimal() and len(words[0]) < 4 else 0
                if side not in _CUBE_SIZES:
                    raise ValueError(f"the size '{' '.join(words)[:40]}' is not between 2 and 65")
                self._side = side
            case "LUT_1D_SIZE":
                raise ValueError("the table is one-dimensional")
            case "DOMAIN_MIN":
                self._low = _numbers(words, 3)
            case "DOMAIN_MAX":
                self._high = _numbers(words, 3)
            case "LUT_3D_INPUT_RANGE":
                least, most = _numbers(words, 2)
                self._low, self._high = (least,) * 3, (most,) * 3
            case _:
                raise ValueError(f"'{name[:40]}' is not known")


def _numbers(words: list[str], count: int) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in words)
    except ValueError:
        found = ()
    if len(found) != count or not all(math.isfinite(value) and abs(value) < 1e6 for value in found):
        raise ValueError(f"'{' '.join(words)[:60]}' is not {count} numbers")
    return found
