"""Draws the landscapes on which effects are shown: sky, mountains, a lake, pines, and a balloon that drifts by.

Everything comes from seeded noise, so that nothing has to be stored or fetched.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.source.picture import Converter, Picture

__all__ = ["HEIGHT_PX", "LANDSCAPES", "WIDTH_PX", "Footage", "Landscape"]

WIDTH_PX: Final = 1280
HEIGHT_PX: Final = 720
HORIZON_PX: Final = 500
DRIFT_PX_PER_S: Final = 80
"""How fast the balloon goes to the right."""
_BALLOON_FROM_PX: Final = 600
_FINE_BITS: Final = 4

Floats = NDArray[np.float32]
Rgb = NDArray[np.uint8]
"""(height, width, 3)."""


class Landscape(NamedTuple):
    """Colours from the top of the sky down, and where the sun stands (share of width and height)."""

    sky: tuple[str, str, str]
    far: str
    near: str
    sun: str
    sun_at: tuple[float, float]
    stars: bool
    balloon: tuple[str, str]
    seed: int


LANDSCAPES: Final = {
    "lake": Landscape(
        ("#1F3B73", "#E08A6B", "#FFD9A0"),
        "#B98AA0",
        "#1D2A44",
        "#FFF3C9",
        (0.36, 0.5),
        False,
        ("#E5383B", "#FFE9C9"),
        4,
    ),
    "night": Landscape(
        ("#050A1E", "#122B52", "#2E6B7A"), "#2A5470", "#060D1A", "#F4F8FF", (0.68, 0.2), True, ("#7A4DE8", "#6FE3E1"), 9
    ),
    "meadow": Landscape(
        ("#2E86C9", "#8EC9EE", "#E8F6F5"),
        "#8FB8B5",
        "#1F5B33",
        "#FFFFFF",
        (0.52, 0.16),
        False,
        ("#F28C28", "#2B50AA"),
        15,
    ),
}


class Footage:
    """A landscape as footage of any length."""

    def __init__(self, landscape: Landscape) -> None:
        self._still = _painted(landscape)
        self._balloon = _balloon(*landscape.balloon)
        self._converter = Converter(Fraction(1))

    def at(self, source_us: int) -> Picture:
        """Return the picture of a moment."""
        rgb = self._still.copy()
        width = self._balloon.shape[1]
        left = (_BALLOON_FROM_PX + DRIFT_PX_PER_S * source_us / 1e6) % (WIDTH_PX + width) - width
        top = 150 - 30 * math.sin(source_us / 1e6)
        into = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
        placed = cv2.warpAffine(self._balloon, into, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_LINEAR)
        share = placed[..., 3:]
        mixed = rgb * (1 - share) + placed[..., :3] * share
        return self._converter.picture(VideoFrame.from_ndarray(_bytes(mixed), format="rgb24"))


def _painted(landscape: Landscape) -> Rgb:
    rng = np.random.default_rng(landscape.seed)
    picture = _sky(landscape, rng)
    rock = _noise(rng, HEIGHT_PX, WIDTH_PX, (24, 40)) - 0.5
    rocks = (rock, rock[:, ::-1], rock[::-1], rock[::-1, ::-1], rock)
    for at, own in enumerate(rocks):
        _ridge(picture, landscape, at / (len(rocks) - 1), own, rng)
    _lake(picture, landscape, rng)
    _shore(picture, landscape, rng)
    return _bytes(picture)


def _sky(landscape: Landscape, rng: np.random.Generator) -> Floats:
    rows = np.linspace(0, 1, HORIZON_PX, dtype=np.float32)
    stops = [_colour(colour) for colour in landscape.sky]
    sky = np.stack([np.interp(rows, (0, 0.6, 1), [stop[at] for stop in stops]) for at in range(3)], -1)
    picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32)
    picture[:HORIZON_PX] = sky[:, None, :]
    y, x = np.mgrid[0:HORIZON_PX, 0:WIDTH_PX].astype(np.float32)
    away = np.hypot(x - landscape.sun_at[0] * WIDTH_PX, y - landscape.sun_at[1] * HEIGHT_PX)
    sun = _colour(landscape.sun)
    if landscape.stars:
        field = (rng.random((HORIZON_PX, WIDTH_PX)) > 0.9985) * rng.random((HORIZON_PX, WIDTH_PX))
        starlight = cv2.GaussianBlur(field.astype(np.float32), (0, 0), 0.7) * 3
        picture[:HORIZON_PX] = _over(picture[:HORIZON_PX], sun, np.clip(starlight, 0, 1))
    clouds = _noise(rng, HORIZON_PX, WIDTH_PX, (3, 5)) * np.clip(1.2 - 1.1 * np.abs(rows - 0.45) * 2, 0, 1)[:, None]
    share = np.clip((clouds - 0.5) * 3.2, 0, 0.75) * (0.35 if landscape.stars else 1.0)
    picture[:HORIZON_PX] = _over(picture[:HORIZON_PX], 0.65 * sun + 0.35 * stops[2], share)
    picture[:HORIZON_PX] = _over(picture[:HORIZON_PX], sun, 0.55 * np.exp(-away / 130))
    picture[:HORIZON_PX] = _over(picture[:HORIZON_PX], sun, np.clip(38 - away, 0, 1))
    return picture


def _ridge(picture: Floats, landscape: Landscape, nearness: float, rock: Floats, rng: np.random.Generator) -> None:
    """Paint one range over those behind it; its faces run down aslant from the crest, lit from the sun's side."""
    outline = _noise(rng, 1, WIDTH_PX, (1, 4), octaves=7)
    crest = HORIZON_PX - (1 - nearness) * 190 + 40 - outline * (230 - 90 * nearness)
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    depth = y - crest
    inside = np.clip(depth + 0.5, 0, 1)[..., None]
    slopes = cv2.GaussianBlur(np.gradient(crest[0]).astype(np.float32)[None], (0, 0), 3).clip(-1.5, 1.5)
    along = x + 0.5 * depth + 60 * rock
    faces = cv2.remap(slopes, along, np.zeros_like(along), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    side = 1 if landscape.sun_at[0] > 0.5 else -1
    light = (1 + 0.2 * side * faces * np.exp(-np.maximum(depth, 0) / 130) + 0.4 * rock)[..., None]
    haze = (np.clip(depth / 240, 0, 1) * (0.5 - 0.3 * nearness))[..., None]
    colour = _colour(landscape.far) * (1 - nearness) + _colour(landscape.near) * nearness
    painted = colour * light * (1 - haze) + _colour(landscape.sky[2]) * haze
    picture[...] = picture * (1 - inside) + painted * inside


def _lake(picture: Floats, landscape: Landscape, rng: np.random.Generator) -> None:
    """Mirror what stands above the horizon, rippled more towards the viewer, and let the sun glitter."""
    deep = HEIGHT_PX - HORIZON_PX
    y, x = np.mgrid[0:deep, 0:WIDTH_PX].astype(np.float32)
    ripple = _noise(rng, deep, WIDTH_PX, (60, 14), octaves=3) - 0.5
    nearer = y / deep
    up = np.clip(HORIZON_PX - 1 - y * 1.6 - ripple * 46 * nearer, 0, HORIZON_PX - 1)
    mirrored = cv2.remap(picture, x + ripple * 30 * nearer, up.astype(np.float32), cv2.INTER_LINEAR)
    water = mirrored * 0.72 + _colour(landscape.sky[0]) * 0.18
    column = np.exp(-(((x - landscape.sun_at[0] * WIDTH_PX) / (50 + 170 * nearer)) ** 2))
    glitter = np.clip((ripple - 0.08) * 7, 0, 1) * column
    picture[HORIZON_PX:] = _over(water, _colour(landscape.sun), glitter)


def _shore(picture: Floats, landscape: Landscape, rng: np.random.Generator) -> None:
    """Pines on both sides, most of them on the right, so that left and right are told apart."""
    dark = tuple(float(level) * 0.55 for level in _colour(landscape.near))
    ground = HEIGHT_PX - 36 - 34 * _noise(rng, 1, WIDTH_PX, (1, 3)) - 70 * np.linspace(-0.35, 1, WIDTH_PX) ** 2
    rows = np.arange(HEIGHT_PX, dtype=np.float32)[:, None]
    grass = ground + 5 * _noise(rng, 1, WIDTH_PX, (1, 320), octaves=2)
    inside = np.clip(rows - grass, 0, 1)[..., None]
    soil = np.array(dark, np.float32) * (0.8 + 0.7 * _noise(rng, HEIGHT_PX, WIDTH_PX, (90, 160), octaves=3)[..., None])
    picture[...] = picture * (1 - inside) + soil * inside
    places = [*rng.uniform(0.0, 0.16, 5), *rng.uniform(0.62, 1.0, 17)]
    for place in sorted(places, key=lambda share: abs(share - 0.5)):
        x = int(place * WIDTH_PX)
        height = float(rng.uniform(70, 120) + 130 * max(0.0, place - 0.55))
        foot = float(ground[0, min(x, WIDTH_PX - 1)]) + 8
        shade = tuple(level * float(rng.uniform(0.75, 1.1)) for level in dark)
        for branch in _pine(x, foot, height, rng):
            cv2.fillPoly(picture, [branch], shade, cv2.LINE_AA, _FINE_BITS)
        cv2.rectangle(picture, (x - 2, int(foot - height * 0.1)), (x + 2, int(foot)), shade, -1)


def _pine(x: int, foot: float, height: float, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Return its branches, from the foot to the tip, in 1/16 px."""
    branches = []
    sag, levels = height * 0.03, 13
    for level in range(levels):
        low, high = foot - height * (0.06 + 0.88 * level / levels), foot - height * min(1.0, (level + 2.6) / levels)
        wide = height * 0.23 * (1 - level / levels) * float(rng.uniform(0.8, 1.15)) + 1.5
        corners = np.array([[x - wide, low + sag], [x, low - sag], [x + wide, low + sag], [x, high]])
        branches.append(np.rint(corners * (1 << _FINE_BITS)).astype(np.int32))
    return branches


def _balloon(first: str, second: str) -> Floats:
    """Return (height, width, 4): red, green, blue 0..255 and opacity 0..1."""
    width, height, finer = 120, 168, 4
    y, x = (np.mgrid[0 : height * finer, 0 : width * finer].astype(np.float32) + 0.5) / finer - 0.5
    across, down = (x - width / 2 + 0.5) / 56, (y - 60) / 58
    bulge = np.where(down > 0, np.sqrt(np.clip(1 - down**2 * 0.8, 0, 1)) * (1 - 0.3 * np.clip(down, 0, 1)), 1)
    around = np.where(down > 0, np.abs(across) / np.maximum(bulge, 0.05), np.hypot(across, down))
    envelope = np.clip((1 - around) * 40, 0, 1) * (down < 1.0)
    turned = np.arcsin(
        np.clip(across / np.maximum(np.sqrt(np.clip(1 - np.clip(down, -1, 0) ** 2, 0.01, 1)) * bulge, 0.05), -1, 1)
    )
    gores = (np.floor((turned + np.pi / 2) / np.pi * 8) % 2)[..., None]
    colour = _colour(first) * (1 - gores) + _colour(second) * gores
    colour = colour * (1.05 - 0.5 * np.clip(across * 0.8 + 0.35 * down, -0.3, 1))[..., None]
    basket = (np.abs(x - width / 2 + 0.5) < 10) & (y > 140) & (y < 158)
    ropes = (np.abs(np.abs(x - width / 2 + 0.5) - (9 + (140 - y) * 0.55)) < 0.8) & (y > 112) & (y <= 140)
    solid = np.clip(envelope + basket + ropes, 0, 1)
    colour = np.where((basket | ropes)[..., None] & (envelope < 0.5)[..., None], _colour("#5B3A21"), colour)
    fine = np.concatenate([colour, solid[..., None]], -1).astype(np.float32)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int], octaves: int = 5) -> Floats:
    """Return fractal noise, 0..1. cells: of the coarsest octave, along height and width."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for octave in range(octaves):
        grid = rng.random((cells[0] * (1 << octave if height > 1 else 1) + 1, cells[1] * (1 << octave) + 1))
        total += weight * cv2.resize(grid.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        weight /= 2
    low, high = float(total.min()), float(total.max())
    scaled: Floats = (total - low) / (high - low)
    return scaled


def _over(below: Floats, colour: Floats, share: Floats) -> Floats:
    mixed: Floats = below * (1 - share[..., None]) + colour * share[..., None]
    return mixed.astype(np.float32)


def _colour(code: str) -> Floats:
    return np.array([int(code[at : at + 2], 16) for at in (1, 3, 5)], np.float32)


def _bytes(values: Floats) -> Rgb:
    levels: Rgb = np.rint(values).clip(0, 255).astype(np.uint8)
    return levels
