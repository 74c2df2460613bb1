"""What the sheet of effects shows: for each name a short plan, and the moments of it that tell most."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from actors.editor.styles import STYLES
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import (
    Captions,
    CaptionStyle,
    Clip,
    Colour3D,
    ColourPop,
    Cue,
    Effect,
    Emoji,
    FillCrop,
    FitInside,
    Flash,
    FocusPoint,
    Freeze,
    Glitch,
    Glow,
    Grade,
    Grain,
    Grid,
    HookCard,
    Image,
    Inset,
    KenBurns,
    Layout,
    LowerThird,
    Mirror,
    Monochrome,
    Output,
    Overlay,
    Pane,
    Plan,
    PlanSource,
    ProgressBar,
    PunchIn,
    Shake,
    Sharpen,
    SpeedPoint,
    Split,
    Text,
    Transition,
    View,
    Vignette,
    Word,
    Zoom,
)
from contracts.rights import RightsRecord

__all__ = ["FPS", "SIZE", "TILES", "Tile", "plan_of"]

SIZE: Final = (540, 960)
FPS: Final = 30
_US: Final = 1_000_000
Once = TypeVar("Once", PunchIn, Flash, Shake, ColourPop, Freeze, Glitch)
_SOURCES: Final = ("lake", "night", "meadow", "logo", "teal")


class Tile(NamedTuple):
    """A film strip. says: what is seen; settings: where the contract does not tell; at_s: moments of the output.

    close: left and top of a part that is shown pixel for pixel, instead of the whole.
    """

    kind: str
    name: str
    says: str
    at_s: tuple[float, ...]
    clips: tuple[Clip, ...]
    effects: tuple[Effect, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    style: CaptionStyle | None = None
    settings: str = ""
    close: tuple[int, int] | None = None
    number: int = 0

    @property
    def file(self) -> str:
        """Name of its picture, without ending."""
        return f"{self.kind}-{self.name}" + (f"-{self.number}" if self.number else "")


def plan_of(tile: Tile) -> Plan:
    """Return the plan that a tile is a part of."""
    rights = RightsRecord(licence="CC0-1.0")
    return Plan(
        sources=tuple(PlanSource(id=name, key=ObjectKey(name), sha256="", rights=rights) for name in _SOURCES),
        clips=tile.clips,
        effects=tile.effects,
        overlays=tile.overlays,
        captions=Captions(cues=_CUES, style=tile.style) if tile.style else None,
        output=Output(width_px=SIZE[0], height_px=SIZE[1], fps=Rational(FPS)),
        seed=11,
    )


def _clip(layout: Layout | None = None, source: str = "lake", seconds: float = 3.0, **fields: Any) -> Clip:
    return Clip(
        source=source, start_us=0, end_us=round(seconds * _US), layout=layout or FillCrop(focus_x=0.52), **fields
    )


def _effect(
    name: str, says: str, at_s: tuple[float, ...], *effects: Effect, clip: Clip | None = None, **fields: Any
) -> Tile:
    return Tile("effects", name, says, at_s, (clip or _clip(),), effects, **fields)


def _once(kind: type[Once], **fields: Any) -> Once:
    """Return an interrupt that comes after one second, and never again."""
    return kind(first_us=_US, every_us=10 * _US, **fields)


def _layout(name: str, says: str, at_s: tuple[float, ...], *layouts: Layout, number: int = 0) -> Tile:
    return Tile("layouts", name, says, at_s, tuple(_clip(layout) for layout in layouts), number=number)


def _change(kind: Any, says: str, **fields: Any) -> Tile:
    transition = Transition(kind=kind, duration_us=_US, **fields)
    clips = _clip(), _clip(source="night", transition=transition)
    return Tile("transitions", kind, says, (2.3, 2.47, 2.67), clips, settings=_OF_TRANSITIONS)


def _overlay(name: str, says: str, at_s: tuple[float, ...], overlay: Overlay) -> Tile:
    return Tile("overlays", name, says, at_s, (_clip(source="meadow"),), overlays=(overlay,))


def _style(name: str, style: CaptionStyle) -> Tile:
    says = _OF_STYLES.get(name, "")
    settings = "<br>".join(
        f"`{field}` = `{msgspec.json.encode(getattr(style, field)).decode()}`"
        for field in style.__struct_fields__
        if getattr(style, field) != getattr(CaptionStyle(), field)
    )
    moments_s = (0.2, 0.9, 1.6)
    return Tile("captions", name, says, moments_s, (_clip(source="night"),), style=style, settings=settings or "none")


_OF_TRANSITIONS: Final = "see `Transition` below"
_OF_STYLES: Final = {
    "plain": "a soft shadow, nothing else",
    "boxed": "a box behind each line",
    "outline": "an outline, the spoken word lit",
    "karaoke": "lit up to the spoken word",
    "pop": "the spoken word pops up, capitals",
    "two_line": "two small lines, low",
    "word_box": "a box behind the spoken word",
}
_WORDS: Final = ("Most", "of", "the", "sea", "has", "never", "been", "seen")
_CUES: Final = (
    Cue(
        start_us=0,
        end_us=2 * _US,
        text=" ".join(_WORDS),
        words=tuple(
            Word(text=word, start_us=at * 250_000, end_us=(at + 1) * 250_000) for at, word in enumerate(_WORDS)
        ),
    ),
)
_NIGHT, _MEADOW = Pane(source="night"), Pane(source="meadow")

TILES: Final = (
    _effect("mirror", "from the second picture on", (0.5, 1.5), Mirror(start_us=_US)),
    _effect("zoom", "towards a point that stays", (0.0, 1.5, 2.95), Zoom(end_scale=2.0, focus_x=0.55, focus_y=0.25)),
    _effect("punch_in", "before, during, after", (0.9, 1.1, 1.4), _once(PunchIn, scale=1.4)),
    _effect("flash", "before, at its start, fading", (0.95, 1.0, 1.15), _once(Flash, duration_us=300_000)),
    _effect(
        "shake",
        "three frames in a row",
        (1.07, 1.1, 1.14),
        _once(Shake, amplitude=0.05, duration_us=600_000),
    ),
    _effect(
        "colour_pop",
        "before, at its start, fading",
        (0.95, 1.0, 1.3),
        _once(ColourPop, saturation=2.6, duration_us=600_000),
    ),
    _effect("freeze", "at its start; still the same; on again", (1.0, 1.9, 2.1), _once(Freeze, duration_us=_US)),
    _effect("glitch", "drawn anew twelve times a second", (1.0, 1.1, 1.2), _once(Glitch, duration_us=_US)),
    _effect(
        "grade",
        "none; warm, more contrast; cold and dark",
        (0.5, 1.5, 2.5),
        Grade(start_us=_US, end_us=2 * _US, temperature=0.8, contrast=1.2, saturation=1.25),
        Grade(start_us=2 * _US, temperature=-0.9, exposure=-0.8),
    ),
    _effect(
        "grade",
        "none; a .cube table by half; in full",
        (0.5, 1.5, 2.5),
        Grade(start_us=_US, end_us=2 * _US, table=Colour3D(source="teal", strength=0.5)),
        Grade(start_us=2 * _US, table=Colour3D(source="teal")),
        number=2,
    ),
    _effect(
        "monochrome",
        "none; grey; tinted",
        (0.5, 1.5, 2.5),
        Monochrome(start_us=_US, end_us=2 * _US),
        Monochrome(start_us=2 * _US, tint="#E8B878"),
    ),
    _effect(
        "sharpen",
        "none, 0.6, 2 (a part, pixel for pixel)",
        (0.5, 1.5, 2.5),
        Sharpen(start_us=_US, end_us=2 * _US, radius=0.0015),
        Sharpen(start_us=2 * _US, strength=2.0, radius=0.0015),
        clip=_clip(FillCrop(focus_x=0.9)),
        close=(200, 560),
    ),
    _effect(
        "glow",
        "none, and strong",
        (0.5, 1.5),
        Glow(start_us=_US, strength=1.5, radius=0.04, threshold=0.5),
        clip=_clip(FillCrop(focus_x=0.62), "night"),
    ),
    _effect("vignette", "none, and strong", (0.5, 1.5), Vignette(start_us=_US, strength=0.8, radius=0.25)),
    _effect(
        "grain",
        "none, 0.25, 0.8 (a part, pixel for pixel)",
        (0.5, 1.5, 2.5),
        Grain(start_us=_US, end_us=2 * _US),
        Grain(start_us=2 * _US, strength=0.8, size=0.002),
        close=(340, 260),
    ),
    _layout(
        "fill_crop",
        "along a path of focus points",
        (0.2, 1.5, 2.8),
        FillCrop(path=(FocusPoint(at_us=0, x=0.2, y=0.5), FocusPoint(at_us=3 * _US, x=0.85, y=0.5))),
    ),
    _layout(
        "fit_inside", "over itself, blurred; over a colour", (1.0, 4.0), FitInside(), FitInside(background="#2B3A55")
    ),
    _layout(
        "ken_burns",
        "from window to window",
        (0.0, 1.5, 2.95),
        KenBurns(start=View(x=0.6, y=0.4, scale=1.0), end=View(x=0.45, y=0.3, scale=2.4)),
    ),
    _layout(
        "split",
        "rows; columns",
        (1.0, 4.0),
        Split(pane=_NIGHT),
        Split(pane=_NIGHT, direction="columns", share=0.4),
    ),
    _layout(
        "inset",
        "the second picture in a window",
        (1.0, 4.0),
        Inset(pane=_MEADOW),
        Inset(pane=_MEADOW, x=0.3, y=0.8, aspect=1.6, width=0.5),
    ),
    _layout(
        "grid",
        "two columns; three",
        (1.0, 4.0),
        Grid(panes=(_NIGHT, _MEADOW, _NIGHT), gap=0.02, background="#F2F2EE"),
        Grid(panes=(_NIGHT, _MEADOW, _MEADOW, Pane(source="lake", focus_x=0.9), _NIGHT), columns=3),
    ),
    _change("crossfade", "three moments of a second"),
    _change("dip", "through a colour", colour="#FFFFFF"),
    _change("whip", "both sweep to the left"),
    _change("zoom", "into the one, out of the other"),
    Tile(
        "speed",
        "ramp",
        "the balloon at equal intervals, faster and faster",
        (0.0, 2.6, 5.2),
        (_clip(seconds=3.0, ramp=(SpeedPoint(at_us=0, speed=0.3), SpeedPoint(at_us=3 * _US, speed=4.0))),),
        settings="`clips[].speed` = `1.0`, or `clips[].ramp`: a list of `SpeedPoint`, see below",
    ),
    _overlay("image", "fading in", (0.1, 0.3, 1.0), Image(source="logo", x=0.82, y=0.1, width=0.2, fade_us=500_000)),
    _overlay("progress_bar", "fills to the end", (0.5, 1.5, 2.5), ProgressBar(height=0.016, y=0.992, ground="#1A1A1A")),
    _overlay(
        "text", "fading in", (0.1, 0.3, 1.0), Text(fade_us=500_000, text="One lake,\nthree lights", y=0.2, size=0.06)
    ),
    _overlay(
        "lower_third",
        "a name and a line below it",
        (0.1, 0.3, 1.0),
        LowerThird(fade_us=500_000, title="Ada Meer", subtitle="Limnologist"),
    ),
    _overlay("hook_card", "the hook on a card", (0.5,), HookCard(text="Nobody has seen\nthe bottom of this lake")),
    _overlay("emoji", "a balloon over a balloon", (0.5,), Emoji(emoji="🎈", size=0.14)),
    *(_style(name, style) for name, style in STYLES.items()),
)
