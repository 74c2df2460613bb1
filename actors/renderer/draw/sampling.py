"""Resample one plane by an affine map, at the speed of a plain resize wherever the map does not turn.

OpenCV's resize takes a fifth of the time of its affine warp, in whole numbers that are alike on every x86 processor,
but begins at a whole sample of the source: output index d shows source index step * (d + 0.5) - 0.5. Any map without
rotation passes, somewhere in the output, close by a place where a border between two output samples lies on one
between two source samples: its anchor. From there resize draws to both sides, flipped towards the left and the top.
At the anchor itself resize lacks the samples beyond it, so a narrow strip is drawn by the affine warp. The map is
moved by what the two borders miss each other by, at most `SHIFT_MAX_PX`; `settled` says by how much, so that another
engine draws the same.
"""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple, cast

import cv2
import numpy as np

from actors.renderer.draw.geometry import Matrix, Plane, averaged, shrink_factor, warp
from actors.renderer.draw.rooms import Rooms

__all__ = [
    "SHIFT_MAX_PX",
    "Axis",
    "Run",
    "Sampler",
    "Way",
    "enlarged",
    "runs",
    "settled",
    "shrunk_map",
    "strips",
    "way_of",
]

SHIFT_MAX_PX: Final = 1 / 64 + 1e-6
"""Most that a map is moved, source samples; beyond it the plane is warped. A slow zoom shows no step as small."""
_SHIFT_GOOD_PX: Final = 1 / 512
"""The first anchor that moves the map by no more is taken."""
_STRIP_SHARE_MAX: Final = 0.1
"""Of an axis; where strips are wider, as when very few samples are enlarged, the plane is warped."""
_ZERO: Final = 1e-7
"""Of a map, per output sample: over 8192 of them less than a thousandth of a source sample."""


class Axis(NamedTuple):
    """Output index d of `outputs` shows source index step * (d - at + 0.5) - 0.5 + anchor.

    mirrored: d counts from the end.
    """

    step: float
    mirrored: bool
    outputs: int
    at: int
    anchor: int


class Run(NamedTuple):
    """A part of an axis to one side of its anchor: outputs start..stop from `length` source samples at first."""

    start: int
    stop: int
    first: int
    length: int
    flipped: bool


class Way(NamedTuple):
    """How a plane is drawn by resize. turned: x runs along the source's columns, y along its rows."""

    turned: bool
    x: Axis
    y: Axis


def settled(index_map: Matrix, width: int, height: int) -> Matrix:
    """Return the (2, 3) map by which an output plane of this size is really sampled.

    It is `index_map` itself, or that moved by at most `SHIFT_MAX_PX` source samples along each axis.
    """
    way = way_of(index_map, width, height)
    if way is None:
        return index_map
    rows = [_row(axis) for axis in (way.x, way.y)]
    (xs, xo), (ys, yo) = rows
    return np.array([[0.0, ys, yo], [xs, 0.0, xo]] if way.turned else [[xs, 0.0, xo], [0.0, ys, yo]])


def _row(axis: Axis) -> tuple[float, float]:
    origin = axis.step * (0.5 - axis.at) - 0.5 + axis.anchor
    return (-axis.step, origin + axis.step * (axis.outputs - 1)) if axis.mirrored else (axis.step, origin)


class Sampler:
    """Resamples planes."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def draw(self, source: Plane, index_map: Matrix, out: Plane, *, scale: float = 1.0) -> None:
        """Resample `source` into `out`, in place, linearly; beyond the edge its last samples go on.

        Args: index_map: (2, 3), from output index to source index; scale: output samples per source sample. Below a
        half, whole blocks are averaged first (see geometry.shrunk).
        """
        factor = shrink_factor(scale)
        if factor > 1:
            source, index_map = _needed(source, index_map, out, factor)
            source = averaged(source, factor)
            index_map = shrunk_map(index_map, factor)
        height, width = out.shape
        way = way_of(index_map, width, height)
        if way is None:
            warp(source, index_map, out)
            return
        if _is_copy(way, source):
            x, y = way.x.anchor - way.x.at, way.y.anchor - way.y.at
            _moved(source[y : y + height, x : x + width], out, flip_x=way.x.mirrored, flip_y=way.y.mirrored)
            return
        exact = settled(index_map, width, height)
        for y_run in runs(way.y):
            for x_run in runs(way.x):
                self._part(source, way, exact, (x_run, y_run), out)
        for left, right in strips(way.x):
            warp(source, _from(exact, left, 0), out[:, left:right])
        for top, bottom in strips(way.y):
            warp(source, _from(exact, 0, top), out[top:bottom])

    def _part(self, source: Plane, way: Way, exact: Matrix, pair: tuple[Run, Run], out: Plane) -> None:
        x, y = pair
        height, width = out.shape
        left, right = (width - x.stop, width - x.start) if way.x.mirrored else (x.start, x.stop)
        top, bottom = (height - y.stop, height - y.start) if way.y.mirrored else (y.start, y.stop)
        target = out[top:bottom, left:right]
        by_x, by_y = 1 / way.x.step, 1 / way.y.step
        size = round(y.length * by_y), round(x.length * by_x)
        if size == (y.length, x.length) and (by_x, by_y) != (1.0, 1.0):
            # Resize takes a part that keeps its size for a copy, whatever the scale.
            warp(source, _from(exact, left, top), target)
            return
        window = self._window(source, way, x, y)
        if x.flipped or y.flipped:
            room = self._rooms.plane("flipped", window.shape)
            cv2.flip(window, _flip_code(x=x.flipped, y=y.flipped), dst=room)
            window = room
        room = self._rooms.plane("drawn", size)
        drawn = cast(Plane, cv2.resize(window, None, dst=room, fx=by_x, fy=by_y, interpolation=cv2.INTER_LINEAR))
        _moved(
            drawn[: bottom - top, : right - left],
            target,
            flip_x=x.flipped != way.x.mirrored,
            flip_y=y.flipped != way.y.mirrored,
        )

    def _window(self, source: Plane, way: Way, x: Run, y: Run) -> Plane:
        """Return the source samples of two runs, in the output's orientation; its edge goes on beyond it."""
        rows, columns = (x, y) if way.turned else (y, x)
        top, bottom, above, below = _cut(rows, source.shape[0])
        left, right, before, after = _cut(columns, source.shape[1])
        window = source[top:bottom, left:right]
        if above or below or before or after:
            room = self._rooms.plane("padded", (rows.length, columns.length))
            cv2.copyMakeBorder(window, above, below, before, after, cv2.BORDER_REPLICATE, dst=room)
            window = room
        if way.turned:
            room = self._rooms.plane("turned", (columns.length, rows.length))
            cv2.transpose(window, dst=room)
            window = room
        return window


def shrunk_map(index_map: Matrix, factor: int) -> Matrix:
    """Return the map to the indices of a plane averaged down by a factor."""
    small = index_map / factor
    small[:, 2] += 0.5 / factor - 0.5
    return small


def enlarged(small: Plane, step: int, out: Plane, rooms: Rooms) -> None:
    """Enlarge linearly by a whole factor into `out`: small sample i lies in the middle of its `step` outputs."""
    size = small.shape[0] * step, small.shape[1] * step
    drawn = out if size == out.shape else rooms.plane("drawn", size)
    cv2.resize(small, size[::-1], dst=drawn, interpolation=cv2.INTER_LINEAR)
    if drawn is not out:
        np.copyto(out, drawn[: out.shape[0], : out.shape[1]])


def way_of(index_map: Matrix, width: int, height: int) -> Way | None:
    """Return how resize draws a map into an output of this size; None: it cannot, and the plane is warped."""
    (a, b, x0), (c, d, y0) = index_map.tolist()
    if abs(b) < _ZERO and abs(c) < _ZERO:
        x, y = _axis(a, x0, width), _axis(d, y0, height)
        return None if x is None or y is None else Way(False, x, y)
    if abs(a) < _ZERO and abs(d) < _ZERO:
        x, y = _axis(c, y0, width), _axis(b, x0, height)
        return None if x is None or y is None else Way(True, x, y)
    return None


@functools.lru_cache(maxsize=64)
def _axis(slope: float, origin: float, count: int) -> Axis | None:
    """Find the anchor of one axis: of all borders between outputs, the first that lies on one of the source."""
    step, mirrored = abs(slope), slope < 0
    if mirrored:
        origin += slope * (count - 1)
    if step < _ZERO or 2 * math.ceil(0.5 / step) > max(2.0, _STRIP_SHARE_MAX * count):
        return None
    # Continuous source coordinate of the border before output `at`.
    borders = origin + 0.5 - 0.5 * step + step * np.arange(count + 1)
    missed = np.abs(borders - np.rint(borders))
    good = np.flatnonzero(missed <= _SHIFT_GOOD_PX)
    at = int(good[0] if good.size else missed.argmin())
    return Axis(step, mirrored, count, at, round(borders[at])) if missed[at] <= SHIFT_MAX_PX else None


def runs(axis: Axis) -> list[Run]:
    """Return the outputs that one resize each draws, beginning at the anchor."""
    found = []
    for start, stop, flipped in ((0, axis.at, True), (axis.at, axis.outputs, False)):
        count = stop - start
        if count:
            length = math.floor(axis.step * (count - 0.5) + 0.5) + 1
            while round(length * (1 / axis.step)) < count:
                length += 1
            found.append(Run(start, stop, axis.anchor - (length if flipped else 0), length, flipped))
    return found


def strips(axis: Axis) -> list[tuple[int, int]]:
    """Return the outputs around the anchor that resize draws without the samples beyond it."""
    reach = math.ceil(0.5 / axis.step) if axis.step < 1 else 0
    first, end = max(0, axis.at - reach), min(axis.outputs, axis.at + reach)
    if first >= end:
        return []
    return [(axis.outputs - end, axis.outputs - first)] if axis.mirrored else [(first, end)]


def _cut(run: Run, size: int) -> tuple[int, int, int, int]:
    """Return where a run begins and ends inside the source, and how far it reaches out of it before and after."""
    first = min(max(run.first, 0), size - 1)
    end = min(max(run.first + run.length, first + 1), size)
    before = min(max(0, first - run.first), run.length - 1)
    return first, end, before, run.length - (end - first) - before


def _needed(source: Plane, index_map: Matrix, out: Plane, factor: int) -> tuple[Plane, Matrix]:
    """Cut the part of a source that an output shows, in whole blocks."""
    height, width = out.shape
    moved = index_map.copy()
    cuts = []
    for axis, size in enumerate(reversed(source.shape)):
        a, b, origin = index_map[axis].tolist()
        ends = [origin + a * x + b * y for x in (0, width) for y in (0, height)]
        last = (size - 1) // factor
        first, end = (min(max(int(at // factor) + more, 0), last) for at, more in ((min(ends), -1), (max(ends), 1)))
        cuts.append(slice(first * factor, (end + 1) * factor))
        moved[axis, 2] -= first * factor
    return source[cuts[1], cuts[0]], moved


def _from(index_map: Matrix, x: int, y: int) -> Matrix:
    """Return the map of a part of the output that begins at (x, y)."""
    moved = index_map.copy()
    moved[:, 2] += index_map[:, 0] * x + index_map[:, 1] * y
    return moved


def _is_copy(way: Way, source: Plane) -> bool:
    if way.turned:
        return False
    return all(
        axis.step == 1.0 and axis.anchor >= axis.at and axis.anchor - axis.at + axis.outputs <= size
        for axis, size in ((way.x, source.shape[1]), (way.y, source.shape[0]))
    )


def _moved(drawn: Plane, out: Plane, *, flip_x: bool, flip_y: bool) -> None:
    if flip_x or flip_y:
        cv2.flip(drawn, _flip_code(x=flip_x, y=flip_y), dst=out)
    else:
        np.copyto(out, drawn)


def _flip_code(*, x: bool, y: bool) -> int:
    return -1 if x and y else int(x)
