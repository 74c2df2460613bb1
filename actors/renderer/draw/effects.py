"""What the effects of a plan do at one moment of output time. Pure: the same moment always gives the same answer.

Polynomials and hash-drawn numbers only, so that every machine agrees to the last bit.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from actors.renderer.timeline import started_us
from contracts.plan import (
    ColourPop,
    Effect,
    Flash,
    Glitch,
    Glow,
    Grade,
    Grain,
    Interrupt,
    Mirror,
    Monochrome,
    PunchIn,
    Shake,
    Sharpen,
    Vignette,
    Windowed,
    Zoom,
)

__all__ = ["GLITCHES_PER_S", "Band", "Moment", "drawn", "ease", "moment"]

GLITCHES_PER_S: Final = 12
"""How often a glitch is drawn anew."""
SATURATION_STEPS: Final = 64
"""A passing saturation counts to this part of one, so that the looks made from it can be kept."""
_US: Final = 1_000_000


class Band(NamedTuple):
    """Rows of the picture that jump. top, bottom: share of the height; shift: share of the width, to the right."""

    top: float
    bottom: float
    shift: float


class Moment(NamedTuple):
    """The state of all effects.

    scale, x, y: of what is seen, place u shows what lies at x + u / scale; all are shares of the frame.
    mirrored: left and right are swapped before that. shake_x, shake_y: way of the picture, and room, the largest of
    both, shares of the height. white: share of white over the picture. split: way of Cb to the right, share of the
    width. grades: in force, in order. Of sharpen, glow, vignette and grain the last in force counts.
    """

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0
    mirrored: bool = False
    shake_x: float = 0.0
    shake_y: float = 0.0
    room: float = 0.0
    white: float = 0.0
    split: float = 0.0
    bands: tuple[Band, ...] = ()
    grades: tuple[Grade | Monochrome, ...] = ()
    sharpen: Sharpen | None = None
    glow: Glow | None = None
    vignette: Vignette | None = None
    grain: Grain | None = None


class _Window(NamedTuple):
    """What is seen: see Moment."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def closer(self, factor: float, focus_x: float, focus_y: float) -> _Window:
        """Magnify what is seen, so that the focus stays in place."""
        kept = (1.0 - 1.0 / factor) / self.scale
        return _Window(self.scale * factor, self.x + focus_x * kept, self.y + focus_y * kept)


def ease(x: float) -> float:
    """Go from 0 to 1 with no speed at both ends: smoothstep, 3x² - 2x³."""
    x = min(1.0, max(0.0, x))
    return x * x * (3.0 - 2.0 * x)


def drawn(name: str) -> float:
    """Draw a number from 0 to below 1 by a name, such as "seed:kind:moment"."""
    return (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 11) / (1 << 53)


def moment(effects: tuple[Effect, ...], t_us: int, total_us: int, seed: int = 0) -> Moment:
    """Return what the effects do at `t_us` of an output that lasts `total_us`."""
    window, mirrored = _Window(), False
    shake_x = shake_y = room = white = split = 0.0
    bands: tuple[Band, ...] = ()
    grades: list[Grade | Monochrome] = []
    sharpen: Sharpen | None = None
    glow: Glow | None = None
    vignette: Vignette | None = None
    grain: Grain | None = None
    pop = 1.0
    for effect in effects:
        start_us = 0
        if isinstance(effect, Interrupt):
            started = started_us(effect, t_us, seed)
            if started is None or t_us - started >= effect.duration_us:
                continue
            start_us = started
        elif not isinstance(effect, Zoom) and not _within(effect, t_us):
            continue
        age_us = t_us - start_us
        match effect:
            case Mirror():
                mirrored = not mirrored
            case Zoom(start_scale=first, end_scale=last, focus_x=focus_x, focus_y=focus_y):
                end_us = total_us if effect.end_us is None else effect.end_us
                way = ease((t_us - effect.start_us) / max(1, end_us - effect.start_us))
                window = window.closer(first + (last - first) * way, focus_x, focus_y)
            case PunchIn(scale=punch, focus_x=focus_x, focus_y=focus_y):
                window = window.closer(punch, focus_x, focus_y)
            case Flash(strength=strength, duration_us=length_us):
                white = 1.0 - (1.0 - white) * (1.0 - strength * (1.0 - age_us / length_us))
            case Shake():
                way_x, way_y, reach = _shaken(effect, age_us, f"{seed}:shake:{start_us}")
                shake_x, shake_y, room = shake_x + way_x, shake_y + way_y, room + reach
            case ColourPop(saturation=saturation, duration_us=length_us):
                pop *= 1.0 + (saturation - 1.0) * (1.0 - ease(age_us / length_us))
            case Glitch():
                way, jumps = _torn(effect, f"{seed}:glitch:{start_us}:{age_us * GLITCHES_PER_S // _US}")
                split, bands = split + way, bands + jumps
            case Grade() | Monochrome():
                grades.append(effect)
            case Sharpen():
                sharpen = effect
            case Glow():
                glow = effect
            case Vignette():
                vignette = effect
            case Grain():
                grain = effect
    steps = round(pop * SATURATION_STEPS)
    if steps != SATURATION_STEPS:
        grades.append(Grade(saturation=steps / SATURATION_STEPS))
    return Moment(
        *window,
        mirrored,
        shake_x,
        shake_y,
        room,
        white,
        split,
        bands,
        tuple(grades),
        sharpen,
        glow,
        vignette,
        grain,
    )


def _within(effect: Windowed, t_us: int) -> bool:
    return effect.start_us <= t_us and (effect.end_us is None or t_us < effect.end_us)


def _shaken(shake: Shake, age_us: int, name: str) -> tuple[float, float, float]:
    """Return the way along x and y and the room it needs, shares of the height.

    Each half swing goes, eased, to a place on the other side; all dies away with the square of the time that is left.
    """
    left = 1.0 - age_us / shake.duration_us
    swings = 2.0 * shake.frequency_hz * age_us / _US
    count = int(swings)
    way = ease(swings - count)
    reach = shake.amplitude * left * left

    def place(axis: str, swing: int) -> float:
        if swing == 0:
            return 0.0
        return (1.0 if swing % 2 else -1.0) * (0.4 + 0.6 * drawn(f"{name}:{axis}:{swing}"))

    def at(axis: str) -> float:
        sign = 1.0 if drawn(f"{name}:{axis}") < 0.5 else -1.0
        before, after = place(axis, count), place(axis, count + 1)
        return sign * reach * (before + (after - before) * way)

    return at("x"), at("y"), reach * (way if count == 0 else 1.0)


def _torn(glitch: Glitch, name: str) -> tuple[float, tuple[Band, ...]]:
    """Return the way between the colours and the bands that jump, from the top down."""

    def way(of: str, largest: float) -> float:
        side = drawn(f"{name}:{of}")
        return largest * ((0.4 + 1.2 * side) if side < 0.5 else -(0.4 + 1.2 * (side - 0.5)))

    bands: list[Band] = []
    for band in range(glitch.bands):
        # One band in each strip of equal height: they never overlap.
        height = 0.25 + 0.65 * drawn(f"{name}:{band}:height")
        top = (band + (1.0 - height) * drawn(f"{name}:{band}:top")) / glitch.bands
        bands.append(Band(top, top + height / glitch.bands, way(f"{band}:shift", glitch.shift)))
    return way("split", glitch.split), tuple(bands)
