"""The director: plan, frame number and picture shapes make a recipe. Nothing here touches a sample.

A layout lays its layers out; then mirror, zoom and shake change what a layer shows, a transition moves and mixes the
layers of two clips, and a glitch cuts bands out of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from actors.renderer.draw import recipe as made
from actors.renderer.draw.effects import Band, Moment, drawn, ease, moment
from actors.renderer.draw.geometry import Matrix, placed, upright
from actors.renderer.draw.layouts import Laid, even, lay
from actors.renderer.draw.recipe import Box, Fade, Layer, Level, Look, Recipe, Scene, levels_of
from actors.renderer.timeline import Span, Strip, frame_time_us, held_us, source_time_us, spans, strips
from contracts.plan import Freeze, Grade, Monochrome, Plan, Transition
from contracts.plan_rules import duration_us

__all__ = ["Director", "Looks", "Shape"]

Looks = Callable[[tuple[Grade | Monochrome, ...]], Look | None]
WHITE: Final[Level] = (235.0, 128.0, 128.0)
ZOOM_THROUGH: Final = 2.0
"""How much closer a zoom transition goes until both clips change places."""
CHANGE_SHARE: Final = 0.2
"""Share of a whip or zoom in which both clips are seen."""
_GRAIN_LEVELS: Final = 32
_LOOKS_KEPT: Final = 64
_LAID_KEPT: Final = 4


class Shape(NamedTuple):
    """What of a picture decides how it lies in the frame. aspect: of a coded pixel; turn: from coded to shown."""

    width_px: int
    height_px: int
    aspect: Fraction
    turn: Matrix


class Director:
    """Makes the recipe of any frame of a plan, in any order. looks: turns the grades in force into one look."""

    def __init__(self, plan: Plan, looks: Looks) -> None:
        self._plan = plan
        self._size = plan.output.width_px, plan.output.height_px
        self._total_us = duration_us(plan)
        self._spans = tuple(span for span in spans(plan) if span.first_frame < span.end_frame)
        self._firsts = [span.first_frame for span in self._spans]
        self._strips = [strips(span) for span in self._spans]
        self._look = lru_cache(_LOOKS_KEPT)(looks)
        self._freezes = any(isinstance(effect, Freeze) for effect in plan.effects)
        self._laid: dict[tuple[object, ...], Laid] = {}

    def strips(self, frame: int) -> tuple[Strip, ...]:
        """Return what must be at hand for a frame, in the order in which Layer.picture counts."""
        return tuple(strip for at in self._seen_at(frame) for strip in self._strips[at])

    def recipe(self, frame: int, shapes: tuple[Shape, ...]) -> Recipe:
        """Return the recipe of a frame. shapes: of the pictures of its strips, in their order."""
        plan = self._plan
        t_us = frame_time_us(frame, plan.output.fps)
        state = moment(plan.effects, t_us, self._total_us, plan.seed)
        shown: list[tuple[tuple[Layer, ...], Level]] = []
        first = 0
        seen = self._seen_at(frame)
        for at in seen:
            count = len(self._strips[at])
            shown.append(self._shown(self._spans[at], t_us, shapes[first : first + count], first, state))
            first += count
        span = self._spans[seen[-1]]
        fades: tuple[Fade, ...] = ()
        if len(shown) == 1:
            scenes: tuple[Scene, ...] = (Scene(*shown[0]),)
        else:
            assert span.clip.transition is not None
            scenes, fades = self._taken_over(span, span.clip.transition, frame, shown)
        if state.split or state.bands:
            scenes = tuple(self._glitched(scene, state) for scene in scenes)
        if state.white > 0:
            fades += (Fade(state.white, WHITE),)
        return self._finished(frame, scenes, fades, state)

    def _seen_at(self, frame: int) -> tuple[int, ...]:
        """Return the places in self._spans of the one span, or the two in order, that a frame shows."""
        newest = bisect_right(self._firsts, frame) - 1
        if newest and self._spans[newest - 1].end_frame > frame:
            return newest - 1, newest
        return (newest,)

    def _shown(
        self, span: Span, t_us: int, shapes: tuple[Shape, ...], first: int, state: Moment
    ) -> tuple[tuple[Layer, ...], Level]:
        key = (span.index, first, *((*shape[:3], shape.turn.tobytes()) for shape in shapes))
        laid = self._laid.get(key)
        if laid is None:
            if len(self._laid) >= _LAID_KEPT:
                del self._laid[next(iter(self._laid))]
            pictures = tuple(upright(shape[:2], shape.aspect, shape.turn) for shape in shapes)
            laid = self._laid[key] = lay(span.clip, pictures, *self._size, first)
        held = held_us(self._plan, t_us) if self._freezes else t_us
        way = (held - span.out_start_us) / (span.out_end_us - span.out_start_us)
        layers = laid.layers(source_time_us(span, t_us, self._plan), way)
        if state.mirrored:
            layers = tuple(_mirrored(layer, self._size[0]) for layer in layers)
        if state.scale != 1.0 or state.room > 0:
            layers = tuple(_closer(layer, state) for layer in layers)
        return layers, laid.ground

    def _taken_over(
        self, span: Span, transition: Transition, frame: int, shown: list[tuple[tuple[Layer, ...], Level]]
    ) -> tuple[tuple[Scene, ...], tuple[Fade, ...]]:
        """Mix two clips. The way is taken in the middle of a frame, so that its first and last are alike."""
        fps = self._plan.output.fps
        middle_us = (2 * frame + 1) * fps.den * 500_000 / fps.num
        way = min(1.0, (middle_us - span.out_start_us) / transition.duration_us)
        (before, ground_before), (after, ground_after) = shown
        if transition.kind == "crossfade":
            return (Scene(before, ground_before), Scene(after, ground_after, ease(way))), ()
        if transition.kind == "dip":
            share = ease(2 * min(way, 1 - way))
            return (Scene(*shown[0 if way < 0.5 else 1]),), (Fade(share, levels_of(transition.colour)),)
        # The one gathers speed and the other loses it, evenly; they change places where both are fastest.
        going, coming = 4 * way * way, 4 * (1 - way) * (1 - way)
        if transition.kind == "whip":
            width = self._size[0]
            frames = transition.duration_us * fps.num / (fps.den * 1_000_000)
            before = self._swept(before, width * going, width * 8 * way / frames)
            after = self._swept(after, -width * coming, width * 8 * (1 - way) / frames)
        else:
            before = self._moved(before, 1 + (ZOOM_THROUGH - 1) * going, 0.0)
            after = self._moved(after, 1 + (ZOOM_THROUGH - 1) * coming, 0.0)
        mix = ease((way - 0.5) / CHANGE_SHARE + 0.5)
        if mix <= 0:
            return (Scene(before, ground_before),), ()
        if mix >= 1:
            return (Scene(after, ground_after),), ()
        return (Scene(before, ground_before), Scene(after, ground_after, mix)), ()

    def _swept(self, layers: tuple[Layer, ...], left_px: float, smear_px: float) -> tuple[Layer, ...]:
        """Move a scene to the left and smear it; beside it lies its mirror picture, and so on, so that no gap opens."""
        width = self._size[0]
        mirrored = tuple(_mirrored(layer, width) for layer in layers)
        first = math.floor(left_px / width)
        moved: tuple[Layer, ...] = ()
        for tile in (first, first + 1):
            moved += self._moved(mirrored if tile % 2 else layers, 1.0, tile * width - left_px)
        return tuple(layer if layer.blur_px else layer._replace(smear_px=smear_px) for layer in moved)

    def _moved(self, layers: tuple[Layer, ...], scale: float, right_px: float) -> tuple[Layer, ...]:
        """Magnify the whole scene about its middle and move it to the right; drop what leaves the frame."""
        width, height = self._size
        x, y = width / 2 * (1 - scale) + right_px, height / 2 * (1 - scale)
        moved: list[Layer] = []
        for layer in layers:
            left, right = (min(max(even(at * scale + x), 0), width) for at in (layer.box.left, layer.box.right))
            top, bottom = (min(max(even(at * scale + y), 0), height) for at in (layer.box.top, layer.box.bottom))
            if left < right and top < bottom:
                to_source = placed(layer.to_source, 1 / scale, -x / scale, 1 / scale, -y / scale)
                box = Box(left, top, right, bottom)
                moved.append(layer._replace(to_source=to_source, box=box, scale=layer.scale * scale))
        return tuple(moved)

    def _glitched(self, scene: Scene, state: Moment) -> Scene:
        layers: list[Layer] = []
        for layer in scene.layers:
            torn = layer if layer.blur_px else layer._replace(split_px=state.split * self._size[0])
            layers.append(torn)
            if not layer.blur_px:
                for band in state.bands:
                    layers += _jumped(torn, band, *self._size)
        return scene._replace(layers=tuple(layers))

    def _finished(self, frame: int, scenes: tuple[Scene, ...], fades: tuple[Fade, ...], state: Moment) -> Recipe:
        height = self._size[1]
        sharpen, glow, vignette, grain = state.sharpen, state.glow, state.vignette, state.grain
        return Recipe(
            scenes,
            self._look(state.grades) if state.grades else None,
            made.Sharpen(sharpen.strength, sharpen.radius * height) if sharpen else None,
            made.Glow(glow.strength, glow.radius * height, 16 + 219 * glow.threshold) if glow else None,
            made.Vignette(vignette.strength, vignette.radius) if vignette else None,
            self._grain(grain.strength, grain.size, frame) if grain else None,
            fades,
        )

    def _grain(self, strength: float, size: float, frame: int) -> made.Grain:
        seed = int(drawn(f"{self._plan.seed}:grain:{frame}") * (1 << 32))
        return made.Grain(strength * _GRAIN_LEVELS, max(1.0, size * self._size[1]), seed)


def _mirrored(layer: Layer, width_px: int) -> Layer:
    box = layer.box
    return layer._replace(
        to_source=placed(layer.to_source, -1.0, float(width_px), 1.0, 0.0),
        box=box._replace(left=width_px - box.right, right=width_px - box.left),
    )


def _closer(layer: Layer, state: Moment) -> Layer:
    """Zoom and shake inside the layer's box, magnified as much more as the shake needs for its edge not to be seen."""
    box = layer.box
    width, height = box.right - box.left, box.bottom - box.top
    shaken = 1 + 2 * state.room * max(1.0, height / width)
    pitch = 1 / (shaken * state.scale)

    def shift(start: int, length: int, begins: float, way: float) -> float:
        middle = start + length / 2
        return start + length * begins + length / 2 / state.scale - (middle + way * height) * pitch

    to_source = placed(
        layer.to_source,
        pitch,
        shift(box.left, width, state.x, state.shake_x),
        pitch,
        shift(box.top, height, state.y, state.shake_y),
    )
    return layer._replace(to_source=to_source, scale=layer.scale * shaken * state.scale)


def _jumped(layer: Layer, band: Band, width_px: int, height_px: int) -> list[Layer]:
    """Return the rows of a layer that a band moves; what leaves its box on one side comes back on the other."""
    box = layer.box
    top = max(box.top, even(band.top * height_px))
    bottom = min(box.bottom, even(band.bottom * height_px))
    length = box.right - box.left
    shift = even(band.shift * width_px) % length
    if top >= bottom or shift == 0:
        return []
    edge = box.left + shift
    return [
        layer._replace(
            to_source=placed(layer.to_source, 1.0, float(-shift), 1.0, 0.0), box=Box(edge, top, box.right, bottom)
        ),
        layer._replace(
            to_source=placed(layer.to_source, 1.0, float(length - shift), 1.0, 0.0),
            box=Box(box.left, top, edge, bottom),
        ),
    ]
