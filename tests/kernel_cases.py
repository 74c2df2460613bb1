"""Recipes of every effect, layout, transition, map and stamp, on which the GPU engine is held against the CPU's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.geometry import CHROMA_CENTRE, CHROMA_LEFT, CHROMA_TOP_LEFT, UPRIGHT, Matrix, Plane
from actors.renderer.draw.gpu import GpuCanvas
from actors.renderer.draw.looks import Cube, look_of
from actors.renderer.draw.recipe import Box, Layer, Recipe, Scene
from actors.renderer.draw.scene import Director, Shape
from actors.renderer.draw.steps import Backend
from actors.renderer.source.picture import planes_of
from actors.renderer.text.stamps import Stamp, blend
from contracts import plan as p
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import Clip, Output, Plan, PlanSource, Transition
from contracts.plan_rules import check
from tests.renderer_media import RIGHTS

WIDTH, HEIGHT = 540, 960
FRAMES: Final = (0, 17, 33, 61)
"""Of a plan of 4 s at 30 a second: the first, in an interrupt or transition, between, and in the next."""
LEAST_SHARE_CLOSE: Final = 0.999
WORST_LEVELS: Final = 2
"""The promise: no sample is further away, and of all this share is at most one level away."""


class Drawn(NamedTuple):
    """One frame to draw."""

    recipe: Recipe
    pictures: Sequence[Any]
    stamps: Sequence[Stamp] = ()


class Picture:
    """Soft noise of every size with hard edges, and samples by themselves in one part: the worst of all resampling."""

    def __init__(self, width: int, height: int, seed: int, site: Matrix = CHROMA_LEFT) -> None:
        rng = np.random.default_rng(seed)
        planes = []
        for part in (1, 2, 2):
            size = (width // part, height // part)
            plane = np.zeros(size[::-1], np.float32)
            for coarse in (2, 8, 32):
                few = rng.normal(0, 1, (size[1] // coarse + 1, size[0] // coarse + 1)).astype(np.float32)
                plane += cv2.resize(few, size, interpolation=cv2.INTER_CUBIC) * coarse**0.5
            plane = 126 + 34 * plane / plane.std()
            noisy = np.s_[size[1] // 3 : size[1] // 2, size[0] // 3 : size[0] // 2]
            plane[noisy] = rng.integers(0, 256, plane[noisy].shape)
            planes.append(plane.clip(0, 255).astype(np.uint8))
        y, cb, cr = planes
        self.planes: tuple[Plane, Plane, Plane] = (y, cb, cr)
        self.chroma_site = site
        self.shape = Shape(width, height, Fraction(1), UPRIGHT)


class OnDevice(np.ndarray[Any, Any]):
    """Stands for memory that is on the device already, and so is not uploaded."""

    __cuda_array_interface__ = None


PICTURES: Final = (Picture(1280, 720, 1), Picture(640, 480, 2, CHROMA_CENTRE), Picture(606, 1080, 3, CHROMA_TOP_LEFT))
CUBE: Final = Cube(
    np.stack(np.meshgrid(*[np.linspace(0, 1, 9) ** power for power in (0.8, 1.3, 1.0)], indexing="ij")[::-1], -1)
)


def recipes(effects: tuple[p.Effect, ...] = (), *clips: Clip) -> Iterator[Drawn]:
    """Return recipes of a plan, as the engine has them, and their pictures."""
    clips = clips or (Clip(source="a", start_us=0, end_us=4_000_000),)
    plan = Plan(
        sources=tuple(PlanSource(id=name, key=ObjectKey(name), sha256="0" * 64, rights=RIGHTS) for name in "abc"),
        clips=clips,
        effects=effects,
        output=Output(width_px=WIDTH, height_px=HEIGHT, fps=Rational(30, 1)),
        seed=5,
    )
    check(plan)
    director = Director(plan, lambda grades: look_of(grades, {"c": CUBE}))
    for frame in FRAMES:
        pictures = [PICTURES["abc".index(strip.source)] for strip in director.strips(frame)]
        yield Drawn(director.recipe(frame, tuple(picture.shape for picture in pictures)), pictures)


ONSET: Final[dict[str, Any]] = {"first_us": 500_000, "every_us": 1_500_000, "duration_us": 400_000}
EFFECTS: Final[dict[str, tuple[p.Effect, ...]]] = {
    "mirror": (p.Mirror(),),
    "zoom": (p.Zoom(end_scale=1.3, focus_x=0.7),),
    "punch_in": (p.PunchIn(**ONSET),),
    "flash": (p.Flash(**ONSET),),
    "shake": (p.Shake(**ONSET),),
    "colour_pop": (p.ColourPop(**ONSET),),
    "freeze": (p.Freeze(**ONSET),),
    "glitch": (p.Glitch(**ONSET),),
    "grade": (p.Grade(exposure=0.4, contrast=1.3, saturation=1.4, temperature=0.3),),
    "grade, strong": (p.Grade(exposure=-2, contrast=3, saturation=3),),
    "grade with table": (p.Grade(table=p.Colour3D(source="c", strength=0.8)),),
    "monochrome": (p.Monochrome(),),
    "monochrome, tinted": (p.Monochrome(strength=0.7, tint="#C08040"),),
    "sharpen": (p.Sharpen(),),
    "sharpen, strong": (p.Sharpen(strength=3, radius=0.01),),
    "glow": (p.Glow(),),
    "glow, strong": (p.Glow(strength=2, threshold=0.1, radius=0.003),),
    "vignette": (p.Vignette(),),
    "grain": (p.Grain(),),
    "grain, coarse": (p.Grain(strength=1, size=0.006),),
    "all": (
        p.Mirror(), p.Zoom(), p.PunchIn(**ONSET), p.Flash(**ONSET), p.Glitch(**ONSET), p.Grade(contrast=1.2),
        p.Sharpen(), p.Glow(), p.Vignette(), p.Grain(),
    ),
}  # fmt: skip

PANE: Final = p.Pane(source="b", focus_x=0.3)
LAYOUTS: Final[dict[str, p.Layout]] = {
    "fill_crop": p.FillCrop(focus_x=0.3),
    "fit_inside": p.FitInside(),
    "fit_inside, colour": p.FitInside(background="#204060"),
    "ken_burns": p.KenBurns(end=p.View(scale=1.7, x=0.4)),
    "split": p.Split(pane=PANE, share=0.4),
    "split, columns": p.Split(pane=PANE, direction="columns"),
    "inset": p.Inset(pane=PANE),
    "grid": p.Grid(panes=(PANE, p.Pane(source="c"), PANE), gap=0.02, background="#804020"),
}

TRANSITIONS: Final = ("crossfade", "dip", "whip", "zoom")

MAPS: Final[dict[str, tuple[Matrix, float]]] = {
    "as it is": (UPRIGHT, 1.0),
    "shifted by parts": (np.array([[1, 0, 30.31], [0, 1, 4.73], [0, 0, 1.0]]), 1.0),
    "turned": (np.array([[0, -0.9, 900.0], [0.9, 0, 33.1], [0, 0, 1]]), 1 / 0.9),
    "rotated": (np.array([[0.5, -0.7, 400.3], [0.7, 0.5, 33.1], [0, 0, 1.0]]), 1 / 0.86),
    "to a third": (np.array([[3.1, 0, -100.2], [0, 3.1, -300.7], [0, 0, 1.0]]), 1 / 3.1),
    "to a sixth": (np.array([[-6.4, 0, 2000.2], [0, 6.4, -900.7], [0, 0, 1.0]]), 1 / 6.4),
    "eight times": (np.array([[0.125, 0, 77.7], [0, 0.125, 100.1], [0, 0, 1.0]]), 8.0),
}


def stamp(row: int, column: int, height: int, width: int, seed: int) -> Stamp:
    """A stamp of every share of keep and ink."""
    rng = np.random.default_rng(seed)
    half = height // 2, width // 2
    keep = rng.integers(0, 256, (height, width), dtype=np.uint8), rng.integers(0, 256, half, dtype=np.uint8)
    ink = tuple(rng.integers(0, 256, size, dtype=np.uint8) for size in ((height, width), half, half))
    return Stamp(row=row, column=column, keep=keep, ink=(ink[0], ink[1], ink[2]))


FULL: Final = Box(0, 0, WIDTH, HEIGHT)
PLAIN: Final = Recipe((Scene((Layer(0, UPRIGHT, FULL, 1.0),)),))
STAMPS: Final = (stamp(100, 40, 300, 460, 1), stamp(350, 0, 80, 540, 2), stamp(958, 538, 2, 2, 3))


def _laid(layout: p.Layout) -> Iterator[Drawn]:
    clip = Clip(source="a", start_us=0, end_us=4_000_000, layout=layout)
    return recipes((p.Zoom(end_scale=1.2), p.Glitch(**ONSET)), clip)


def _taken_over(kind: Any) -> Iterator[Drawn]:
    after = Transition(kind=kind, duration_us=1_200_000, colour="#FF8000")
    return recipes(
        (),
        Clip(source="a", start_us=0, end_us=1_500_000),
        Clip(source="b", start_us=0, end_us=3_500_000, layout=p.FitInside(), transition=after),
    )


def _mapped(to_source: Matrix, scale: float) -> Iterator[Drawn]:
    layer = Layer(0, to_source, FULL, scale)
    changes = (
        layer,
        layer._replace(blur_px=9.0),
        layer._replace(smear_px=31.0, split_px=3.3),
        layer._replace(blur_px=2.0, dim=0.4),
    )
    for changed in changes:
        yield Drawn(Recipe((Scene((changed,)),)), [PICTURES[0]])


CASES: Final[dict[str, Callable[[], Iterable[Drawn]]]] = {
    **{f"effect {name}": partial(recipes, effects) for name, effects in EFFECTS.items()},
    **{f"layout {name}": partial(_laid, layout) for name, layout in LAYOUTS.items()},
    **{f"transition {kind}": partial(_taken_over, kind) for kind in TRANSITIONS},
    **{f"map {name}": partial(_mapped, *each) for name, each in MAPS.items()},
    "stamps": lambda: [Drawn(PLAIN, [PICTURES[0]], STAMPS)],
}


def on_cpu(drawn: Drawn) -> VideoFrame:
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    CpuCanvas(WIDTH, HEIGHT).draw(drawn.recipe, drawn.pictures, frame)
    for each in drawn.stamps:
        blend(planes_of(frame), each)
    return frame


def on_gpu(drawn: Drawn, backend: Backend) -> VideoFrame:
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    GpuCanvas(WIDTH, HEIGHT, backend).draw(drawn.recipe, drawn.pictures, frame, drawn.stamps)
    return frame


def differences(right: VideoFrame, ours: VideoFrame) -> NDArray[Any]:
    pairs = zip(planes_of(right), planes_of(ours), strict=True)
    return np.concatenate([np.abs(a.astype(np.int16) - b).ravel() for a, b in pairs])


def judge(name: str, backend: Backend) -> None:
    """Draw a case with both engines, print a row of the table (pytest -rP), hold it against the promise."""
    found = np.concatenate([differences(on_cpu(drawn), on_gpu(drawn, backend)) for drawn in CASES[name]()])
    close, worst = float((found <= 1).mean()), int(found.max())
    alike = float((found == 0).mean())
    sys.stdout.write(f"{name:<28} worst {worst} levels; same {alike:9.5%}; within one level {close:9.5%}\n")
    assert worst <= WORST_LEVELS
    assert close >= LEAST_SHARE_CLOSE
