"""Shows everything that a plan can do to a picture: one sheet of film strips, and docs/effects.md.

The renderer's own director and canvas draw it, on landscapes that are made here.
`python -m deploy.effects_sheet --docs docs/effects` writes the pictures below that folder, and the page beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import msgspec
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from msgspec import Meta, Struct
from PIL import Image as Pictured
from PIL import ImageDraw, ImageFont

from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.looks import Cube, look_of
from actors.renderer.draw.scene import Director, Shape
from actors.renderer.source.picture import planes_of
from actors.renderer.text import fonts
from actors.renderer.text.stamps import blend
from actors.renderer.text.texts import Texts, text_of
from actors.renderer.timeline import frame_time_us, spans, strip_time_us
from contracts import plan as contract
from contracts.plan import Interrupt, Plan, Shown, Windowed
from deploy.effects_tiles import FPS, SIZE, TILES, Tile, plan_of
from deploy.landscape import LANDSCAPES, Footage

__all__ = ["main", "names", "page", "pictures", "sheet"]

KINDS: Final[dict[str, tuple[type[Struct], ...]]] = {
    "effects": get_args(contract.Effect),
    "layouts": get_args(contract.Layout),
    "overlays": get_args(contract.Overlay),
}
SHEET_SHRINK: Final = 3
DOCS_SHRINK: Final = 4
_COLUMNS: Final = 4
_GAP_PX: Final = 4
_MARGIN_PX: Final = 28
_TITLE_PX: Final = 44
_INK: Final = "#F2F2EE"
_FAINT: Final = "#8B93A1"
_GROUND: Final = "#14181F"


class Studio:
    """Draws tiles: frames of plans over the landscapes."""

    def __init__(self, folder: Path) -> None:
        self._footage = {name: Footage(landscape) for name, landscape in LANDSCAPES.items()}
        self._images = {"logo": _logo(folder / "logo.png")}
        self._tables = {"teal": _teal_and_orange()}
        self._canvas = CpuCanvas(*SIZE)

    def strip(self, tile: Tile, shrink: int) -> Pictured.Image:
        """Return the tile's moments beside each other, each `SIZE` divided by `shrink`."""
        plan = plan_of(tile)
        director = Director(plan, lambda grades: look_of(grades, self._tables))
        texts = Texts(plan, fonts.find_all(None, text_of(plan)), self._images)
        drawn = [self._frame(plan, director, texts, round(at_s * FPS)) for at_s in tile.at_s]
        width, height = SIZE[0] // shrink, SIZE[1] // shrink
        strip = Pictured.new("RGB", (len(drawn) * (width + _GAP_PX) - _GAP_PX, height), _GROUND)
        for at, picture in enumerate(drawn):
            left, top = tile.close or (0, 0)
            part = picture.crop((left, top, left + width, top + height)) if tile.close else picture.reduce(shrink)
            strip.paste(part, (at * (width + _GAP_PX), 0))
        return strip

    def _frame(self, plan: Plan, director: Director, texts: Texts, number: int) -> Pictured.Image:
        t_us = frame_time_us(number, plan.output.fps)
        laid = spans(plan)
        seen = [
            self._footage[strip.source].at(strip_time_us(laid[strip.clip], strip, t_us, plan))
            for strip in director.strips(number)
        ]
        shapes = tuple(Shape(one.width_px, one.height_px, one.aspect, one.turn) for one in seen)
        frame = VideoFrame(*SIZE, "yuv420p")
        self._canvas.draw(director.recipe(number, shapes), seen, frame)
        for stamp in texts.at(t_us):
            blend(planes_of(frame), stamp)
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        return Pictured.fromarray(frame.to_ndarray(format="rgb24"))


def names() -> dict[str, tuple[str, ...]]:
    """Return the names of everything on the sheet, by kind."""
    kinds = dict.fromkeys(tile.kind for tile in TILES)
    return {kind: tuple(dict.fromkeys(tile.name for tile in TILES if tile.kind == kind)) for kind in kinds}


def sheet(out: Path) -> None:
    """Draw all tiles into one picture. out: a file of any kind that Pillow writes, by its ending."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        cells = [(tile, studio.strip(tile, SHEET_SHRINK)) for tile in TILES]
    width = 3 * SIZE[0] // SHEET_SHRINK + 2 * _GAP_PX
    pitch = width + _MARGIN_PX, SIZE[1] // SHEET_SHRINK + _TITLE_PX + _MARGIN_PX
    kinds = names()
    rows = {kind: -(-sum(tile.kind == kind for tile in TILES) // _COLUMNS) for kind in kinds}
    height = sum(rows.values()) * pitch[1] + len(rows) * 2 * _TITLE_PX + _MARGIN_PX
    whole = Pictured.new("RGB", (_COLUMNS * pitch[0] + _MARGIN_PX, height), _GROUND)
    draw = ImageDraw.Draw(whole)
    font = fonts.find(None, "".join(tile.name + tile.says for tile in TILES))
    large, small = (ImageFont.truetype(font.path, size_px, font.index) for size_px in (34, 20))
    top = _MARGIN_PX
    for kind, count in rows.items():
        draw.text((_MARGIN_PX, top), kind.capitalize(), _INK, large)
        top += 2 * _TITLE_PX - _MARGIN_PX
        own = [cell for cell in cells if cell[0].kind == kind]
        for at, (tile, picture) in enumerate(own):
            x, y = _MARGIN_PX + at % _COLUMNS * pitch[0], top + at // _COLUMNS * pitch[1]
            draw.text((x, y), tile.name, _INK, small)
            draw.text((x + draw.textlength(f"{tile.name}  ", small), y), tile.says, _FAINT, small)
            whole.paste(picture, (x, y + _TITLE_PX - 12))
        top += count * pitch[1] + _MARGIN_PX
    whole.crop((0, 0, whole.width, top)).save(out)


def pictures(folder: Path) -> None:
    """Write one small film strip per tile."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        studio = Studio(Path(scratch))
        for tile in TILES:
            studio.strip(tile, DOCS_SHRINK).save(folder / f"{tile.file}.webp", quality=80, method=6)


# The page -------------------------------------------------------------------------------------------


def page(folder: str) -> str:
    """Return docs/effects.md. folder: of the pictures, as seen from the page."""
    parts = [_HEAD]
    for kind, intro in _INTROS.items():
        parts += ["", f"## {kind.capitalize()}", "", intro, "", "| | | settings |", "|---|---|---|"]
        parts += [_row(kind, name, folder) for name in names()[kind]]
    parts += ["", "## Parts", "", "Settings that have settings of their own.", "", "| | | settings |", "|---|---|---|"]
    parts += [f"| | `{kind.__name__}`: {_summary(kind)} | {_settings(kind, ())} |" for kind in _PARTS]
    return "\n".join(parts) + "\n"


def _row(kind: str, name: str, folder: str) -> str:
    own = [tile for tile in TILES if (tile.kind, tile.name) == (kind, name)]
    shown = "<br>".join(f"![{name}: {tile.says}]({folder}/{tile.file}.webp)" for tile in own)
    text = "<br>".join(dict.fromkeys(tile.says for tile in own))
    found = next((of for of in KINDS.get(kind, ()) if of.__struct_config__.tag == name), None)
    if found is None:
        return f"| {shown} | **{name}**<br>{text} | {own[0].settings} |"
    shared = next((base for base in (Windowed, Interrupt, Shown) if issubclass(found, base)), None)
    inherited = tuple(field.name for field in msgspec.structs.fields(shared)) if shared else ()
    return f"| {shown} | **{name}**<br>{_summary(found)}<br>*{text}* | {_settings(found, inherited)} |"


def _settings(kind: type[Struct], without: Iterable[str]) -> str:
    hints = get_type_hints(kind, include_extras=True)
    told = [
        f"`{field.name}` {_default(field)}: {_description(hints[field.name])}"
        for field in msgspec.structs.fields(kind)
        if field.name not in without
    ]
    return "<br>".join(told).replace("|", "\\|") or "none"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "(required)"
    return f"= `{msgspec.json.encode(field.default).decode()}`"


def _description(hint: Any) -> str:
    found = [one.description for one in getattr(hint, "__metadata__", ()) if isinstance(one, Meta) and one.description]
    return str(found[-1]) if found else ""


def _summary(kind: type[Struct]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


_HEAD: Final = """# Effects

Everything that a render plan can do to a picture, drawn by the renderer itself on landscapes that it makes.
`ettametta effects` lists the names, `ettametta effects --sheet out.png` draws them all on one sheet.
This page and its pictures are written by `python -m deploy.effects_sheet --docs docs/effects`; the descriptions
are those of the plan's schema (`docs/schema/plan.json`).

Order within a frame: layout, mirror, zoom, punch-in and shake, transition, glitch, colour, sharpen, glow, vignette,
grain, dip and flash, overlays, captions. Effects of a kind apply in the order of the plan; of sharpen, glow, vignette
and grain the last one in force counts. Shares are of the frame, so that a plan looks the same at every size.
Where a frame holds several pictures, each is zoomed and shaken inside its place, and the places stay."""
_INTROS: Final = {
    "effects": (
        "Lasting effects also have `start_us` = `0` and `end_us` = `null` (the end). Interrupts also have `every_us` = "
        "`3000000`, `first_us` = `3000000`, `duration_us` = `200000`, `beats_us` = `[]` (starts instead of the "
        "interval) and `jitter_us` = `0` (each start is put off by up to this, by the plan's seed). At most three "
        "flashes a second are accepted (WCAG 2.2, 2.3.1)."
    ),
    "layouts": "How a clip lies in the frame: its `layout`.",
    "transitions": "How a clip takes over from the one before it: its `transition`. Without one there is a cut.",
    "speed": "How fast a clip plays. Its sound keeps its pitch.",
    "overlays": (
        "What lies over the picture and its effects. All have `start_us` = `0`, `end_us` = `null`, `fade_us` = `0` "
        "and `opacity` = `1.0`."
    ),
    "captions": (
        "How captions look: `captions.style`. Styles that have a name (`ettametta plan --style`), and what they set; "
        "every setting is below."
    ),
}
_PARTS: Final[tuple[type[Struct], ...]] = (
    contract.FocusPoint,
    contract.View,
    contract.Pane,
    contract.SpeedPoint,
    contract.Transition,
    contract.Colour3D,
    contract.CaptionStyle,
)


# What tiles use -------------------------------------------------------------------------------------


def _logo(path: Path) -> Path:
    """Draw a logo with soft edges and transparency."""
    side = 512
    logo = Pictured.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(logo)
    draw.ellipse((16, 16, side - 16, side - 16), fill=(255, 225, 77, 255))
    draw.polygon(((196, 144), (196, 368), (384, 256)), fill=(20, 24, 31, 255))
    logo.resize((256, 256), Pictured.Resampling.LANCZOS).save(path)
    return path


def _teal_and_orange() -> Cube:
    """Return a table that pushes shadows to teal and lights to orange."""
    side = np.linspace(0, 1, 17)
    blue, green, red = np.meshgrid(side, side, side, indexing="ij")
    light = (0.2126 * red + 0.7152 * green + 0.0722 * blue)[..., None]
    shift = np.array([0.14, 0.02, -0.16]) * (2 * light - 0.9)
    return Cube(np.clip(np.stack([red, green, blue], -1) + shift, 0, 1))


def main(arguments: list[str]) -> int:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(prog="python -m deploy.effects_sheet")
    parser.add_argument("--docs", type=Path, required=True, help="folder of the pictures; the page lies beside it")
    folder: Path = parser.parse_args(arguments).docs
    pictures(folder)
    folder.with_suffix(".md").write_text(page(folder.name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
