"""What each stage of drawing costs: CPU milliseconds per frame of 1080x1920 from 1920x1080, one thread.

CPU time, not wall time: the machine may be shared. Rounds are interleaved; a stage's cost is the median of its rounds
less that of the common path without it.

    python -m benchmarks.draw [--rounds 40]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Final, NamedTuple

import cv2
import numpy as np

from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.finish import Planes
from actors.renderer.draw.geometry import CHROMA_LEFT, Matrix, Plane, warp
from actors.renderer.draw.looks import Cube, look_of
from actors.renderer.draw.recipe import Box, Fade, Glow, Grain, Layer, Recipe, Scene, Sharpen, Vignette
from contracts.plan import Colour3D, Grade, Monochrome

SOURCE: Final = 1920, 1080
OUT: Final = 1080, 1920
FULL: Final = Box(0, 0, *OUT)
WHITE: Final = (235.0, 128.0, 128.0)
IDENTITY: Final = np.stack(np.meshgrid(*[np.linspace(0, 1, 17)] * 3, indexing="ij")[::-1], -1)


class _Picture(NamedTuple):
    planes: Planes
    chroma_site: Matrix = CHROMA_LEFT


def picture(width: int, height: int, seed: int) -> _Picture:
    """Soft noise."""
    rng = np.random.default_rng(seed)

    def plane(across: int, down: int) -> Plane:
        soft = cv2.GaussianBlur(rng.normal(0, 1, (down, across)), (0, 0), 3)
        levels: Plane = np.clip(126 + 40 * soft / soft.std(), 16, 235).astype(np.uint8)
        return levels

    return _Picture((plane(width, height), plane(width // 2, height // 2), plane(width // 2, height // 2)))


def crop(zoom: float, *, box: Box = FULL, number: int = 0, turn: float = 0.0, **fields: float) -> Layer:
    """Fill a box with the middle of the source, mirrored."""
    width, height = box.right - box.left, box.bottom - box.top
    pitch = min(SOURCE[0] / width, SOURCE[1] / height) / zoom
    x = SOURCE[0] / 2 + pitch * (box.left + box.right) / 2
    y = SOURCE[1] / 2 - pitch * (box.top + box.bottom) / 2
    to_source = np.array([[-pitch, turn, x], [-turn, pitch, y], [0, 0, 1]])
    return Layer(number, to_source, box, 1 / pitch, **fields)


def recipes(zoom: float) -> dict[str, Recipe]:
    """Return one recipe for each stage; zoom: of the moment."""
    common = (Scene((crop(zoom),)),)
    cube = {"cube": Cube(IDENTITY**1.1)}
    return {
        "crop, mirror, zoom": Recipe(common),
        "the same by warpAffine": Recipe((Scene((crop(zoom, turn=1e-6),)),)),
        "+ flash": Recipe(common, fades=(Fade(0.4, WHITE),)),
        "+ exposure": Recipe(common, look_of((Grade(exposure=0.4),), {})),
        "+ saturation": Recipe(common, look_of((Grade(saturation=1.4),), {})),
        "+ temperature": Recipe(common, look_of((Grade(temperature=0.4),), {})),
        "+ monochrome": Recipe(common, look_of((Monochrome(),), {})),
        "+ .cube table": Recipe(common, look_of((Grade(table=Colour3D(source="cube")),), cube)),
        "+ sharpen 1.5 px": Recipe(common, sharpen=Sharpen(0.6, 1.5)),
        "+ glow": Recipe(common, glow=Glow(0.5, 38.0, 147.0)),
        "+ vignette": Recipe(common, vignette=Vignette(0.45, 0.45)),
        "+ grain": Recipe(common, grain=Grain(8.0, 1.9, 7)),
        "+ colour split": Recipe((Scene((crop(zoom, split_px=13.0),)),)),
        "+ smear 201 px": Recipe((Scene((crop(zoom, smear_px=201.0),)),)),
        "+ crossfade": Recipe((*common, Scene((crop(zoom, number=1),), mix=0.5))),
        "fit, blurred background": Recipe(
            (Scene((crop(zoom, blur_px=32.0, dim=0.25), crop(1.0, box=Box(0, 656, 1080, 1264)))),)
        ),
        "four cells": Recipe(
            (Scene(tuple(crop(zoom, box=Box(x, y, x + 540, y + 960)) for x in (0, 540) for y in (0, 960))),)
        ),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    pictures = [picture(*SOURCE, seed) for seed in (1, 2)]
    canvas = CpuCanvas(*OUT)
    planes = (
        np.empty(OUT[::-1], np.uint8),
        np.empty((OUT[1] // 2, OUT[0] // 2), np.uint8),
        np.empty((OUT[1] // 2, OUT[0] // 2), np.uint8),
    )
    index_map = np.array([[0.5625, 0, 656.0], [0, 0.5625, 0.0]])
    times: dict[str, list[float]] = {}
    for step in range(-1, rounds):
        for name, recipe in recipes(1.0 + 0.004 * (step + 1)).items():
            begun = time.thread_time()
            canvas.draw_planes(recipe, pictures, planes)
            if step >= 0:
                times.setdefault(name, []).append(1000 * (time.thread_time() - begun))
        for name, run in (
            ("one luma plane, cv2.resize", lambda: cv2.resize(pictures[0].planes[0], OUT, dst=planes[0])),
            ("one luma plane, cv2.warpAffine", lambda: warp(pictures[0].planes[0], index_map, planes[0])),
        ):
            begun = time.thread_time()
            run()
            if step >= 0:
                times.setdefault(name, []).append(1000 * (time.thread_time() - begun))
    medians = {name: statistics.median(found) for name, found in times.items()}
    common = medians["crop, mirror, zoom"]
    print(f"| {'stage':32} | ms | beside the crop |\n|{'-' * 34}|---:|---:|")
    for name, median in medians.items():
        more = f"{median - common:+.2f}" if name.startswith("+") else f"{median / common:.2f} x"
        print(f"| {name:32} | {median:.2f} | {more} |")


if __name__ == "__main__":
    main()
