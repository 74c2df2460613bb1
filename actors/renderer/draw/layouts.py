"""Where the pictures of a clip lie in the frame: each layout as layers.

A picture is zoomed, shaken and panned inside its place; the edges of places stay on even pixels and still.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from actors.renderer.draw.effects import ease
from actors.renderer.draw.geometry import Upright, placed
from actors.renderer.draw.recipe import BLACK, Box, Layer, Level, levels_of
from contracts.plan import Clip, FillCrop, FitInside, Grid, Inset, KenBurns, Pane, Split, View

__all__ = ["Laid", "even", "lay"]


class Laid(NamedTuple):
    """A clip's layout. layers: by source time (of the clip, microseconds) and the share of the clip that has passed."""

    layers: Callable[[int, float], tuple[Layer, ...]]
    ground: Level = BLACK


class _Window(NamedTuple):
    """A part of an upright picture. pitch: its pixels per output pixel."""

    x: float
    y: float
    pitch: float

    def towards(self, other: _Window, way: float) -> _Window:
        return _Window(*(mine + (its - mine) * way for mine, its in zip(self, other, strict=True)))


def even(x: float) -> int:
    """Return the even number nearest to x."""
    return math.floor(x / 2 + 0.5) * 2


def lay(clip: Clip, pictures: tuple[Upright, ...], width_px: int, height_px: int, first: int = 0) -> Laid:
    """Lay a clip out. pictures: its own and its panes'; first: index of its own among those of the moment."""
    frame = Box(0, 0, width_px, height_px)
    own = pictures[0]
    match clip.layout:
        case FillCrop(path=path) as fill if path:
            points = [_filling(own, frame, point.x, point.y) for point in path]
            times_us = [point.at_us for point in path]
            return Laid(lambda at_us, _: (_layer(first, own, frame, _glided(times_us, points, at_us)),))
        case KenBurns(start=start, end=end):
            ends = _seen(own, frame, start), _seen(own, frame, end)
            return Laid(lambda _, way: (_layer(first, own, frame, ends[0].towards(ends[1], ease(way))),))
        case FillCrop() as fill:
            return _still(_filled(first, own, frame, fill))
        case FitInside() as fit:
            return _fitted(first, own, frame, fit)
        case Split(direction=direction, share=share, pane=pane) as split:
            if direction == "rows":
                edge = min(max(even(share * height_px), 2), height_px - 2)
                boxes = frame._replace(bottom=edge), frame._replace(top=edge)
            else:
                edge = min(max(even(share * width_px), 2), width_px - 2)
                boxes = frame._replace(right=edge), frame._replace(left=edge)
            return _still(_filled(first, own, boxes[0], split), _filled(first + 1, pictures[1], boxes[1], pane))
        case Inset(pane=pane) as inset:
            return _still(
                _filled(first, own, frame, inset), _filled(first + 1, pictures[1], _inset_box(inset, frame), pane)
            )
        case Grid(panes=panes, background=background) as grid:
            cells = _cells(grid, frame, len(pictures))
            focused: tuple[Grid | Pane, ...] = (grid, *panes)
            shown = zip(pictures, cells, focused, strict=True)
            layers = (
                _filled(first + at, own, cell, focus)
                for at, (own, cell, focus) in enumerate(shown)
                if cell.left < cell.right and cell.top < cell.bottom
            )
            return _still(*layers, ground=levels_of(background))


def _still(*layers: Layer, ground: Level = BLACK) -> Laid:
    return Laid(lambda _at_us, _way: layers, ground)


def _layer(picture: int, own: Upright, box: Box, window: _Window) -> Layer:
    pitch = window.pitch
    to_source = placed(own.to_coded, pitch, window.x - box.left * pitch, pitch, window.y - box.top * pitch)
    return Layer(picture, to_source, box, own.finest / pitch)


def _filled(picture: int, own: Upright, box: Box, focus: FillCrop | Split | Inset | Grid | Pane) -> Layer:
    return _layer(picture, own, box, _filling(own, box, focus.focus_x, focus.focus_y))


def _filling(own: Upright, box: Box, x: float, y: float, magnified: float = 1.0) -> _Window:
    width, height = box.right - box.left, box.bottom - box.top
    pitch = own.pitch(width, height) / magnified
    return _Window(*own.corner(width * pitch, height * pitch, x, y), pitch)


def _seen(own: Upright, box: Box, view: View) -> _Window:
    return _filling(own, box, view.x, view.y, view.scale)


def _glided(times_us: list[int], points: list[_Window], at_us: int) -> _Window:
    """Glide, eased, between windows that already keep to the picture, so that no edge stops the glide short."""
    after = bisect_right(times_us, at_us)
    if after in {0, len(points)}:
        return points[min(after, len(points) - 1)]
    way = (at_us - times_us[after - 1]) / (times_us[after] - times_us[after - 1])
    return points[after - 1].towards(points[after], ease(way))


def _fitted(first: int, own: Upright, frame: Box, layout: FitInside) -> Laid:
    """Put the whole picture in the middle; rounding to even pixels cuts less than one pixel of it off."""
    pitch = max(own.width / frame.right, own.height / frame.bottom)
    width = min(max(even(own.width / pitch), 2), frame.right)
    height = min(max(even(own.height / pitch), 2), frame.bottom)
    left, top = (frame.right - width) // 4 * 2, (frame.bottom - height) // 4 * 2
    box = Box(left, top, left + width, top + height)
    whole = _layer(first, own, box, _filling(own, box, 0.5, 0.5))
    if box == frame or layout.background is not None:
        return _still(whole, ground=levels_of(layout.background or "#000000"))
    around = _layer(first, own, frame, _filling(own, frame, 0.5, 0.5))
    return _still(around._replace(blur_px=layout.blur * frame.right, dim=layout.dim), whole)


def _inset_box(layout: Inset, frame: Box) -> Box:
    """Return the window, moved into the frame where it would leave it."""
    width = min(max(even(layout.width * frame.right), 2), frame.right)
    height = min(max(even(layout.width * frame.right / layout.aspect), 2), frame.bottom)
    left = min(max(even(layout.x * frame.right - width / 2), 0), frame.right - width)
    top = min(max(even(layout.y * frame.bottom - height / 2), 0), frame.bottom - height)
    return Box(left, top, left + width, top + height)


def _cells(layout: Grid, frame: Box, count: int) -> list[Box]:
    """Return the cells that are filled, row by row. In a frame too small for them, cells are narrow or empty."""
    rows = -(-count // layout.columns)
    gap = even(min(layout.gap * frame.right, frame.right / (2 * layout.columns), frame.bottom / (2 * rows)))

    def edges(length: int, parts: int) -> list[tuple[int, int]]:
        begins = [even(part * (length + gap) / parts) for part in range(parts)]
        return list(zip(begins, (*(begin - gap for begin in begins[1:]), length), strict=True))

    columns = edges(frame.right, layout.columns)
    places = [Box(left, top, right, bottom) for top, bottom in edges(frame.bottom, rows) for left, right in columns]
    return places[:count]
