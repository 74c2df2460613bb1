"""The render plan: pure data from which a video is made, the same on every machine.

All times are integer microseconds. Times in a clip, and in what belongs to one, are source time, counted from the
source's first frame; everything else is output time. Shares are of the frame, 0 left or top .. 1 right or bottom.
Scale, place and colour are given once, so that a plan looks the same at every output size. What follows from a plan,
and what its types alone cannot check, is in plan_rules.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.ids import ObjectKey, PlanId
from contracts.media import Rational
from contracts.rights import RightsRecord

__all__ = [
    "FLASH_STRENGTH_MIN",
    "MAX_DURATION_US",
    "MAX_FLASHES_PER_S",
    "MAX_SIDE_PX",
    "PLAN_VERSION",
    "AudioTrack",
    "CaptionStyle",
    "Captions",
    "Chosen",
    "Clip",
    "Colour3D",
    "ColourPop",
    "Cue",
    "Effect",
    "Emoji",
    "FillCrop",
    "FitInside",
    "Flash",
    "FocusPoint",
    "Freeze",
    "Glitch",
    "Glow",
    "Grade",
    "Grain",
    "Grid",
    "HookCard",
    "Image",
    "Inset",
    "Interrupt",
    "KenBurns",
    "Layout",
    "Loudness",
    "LowerThird",
    "Mirror",
    "Monochrome",
    "Output",
    "Overlay",
    "Pane",
    "Plan",
    "PlanSource",
    "ProgressBar",
    "PunchIn",
    "SafeArea",
    "Shake",
    "Sharpen",
    "Shown",
    "SpeedPoint",
    "Split",
    "Text",
    "Transition",
    "View",
    "Vignette",
    "Windowed",
    "Word",
    "Zoom",
    "plan_id",
]

PLAN_VERSION: Final = 1
MAX_FLASHES_PER_S: Final = 3
"""WCAG 2.2 (12/2024), success criterion 2.3.1."""
FLASH_STRENGTH_MIN: Final = 0.1
"""Share of white from which a flash counts: a change of a tenth of the largest relative luminance, same source."""
MAX_DURATION_US: Final = 12 * 3600 * 1_000_000
MAX_SIDE_PX: Final = 4320

Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$", description="#RRGGBB.")]
Share = Annotated[float, Meta(ge=0, le=1)]
SourceId = Annotated[str, Meta(description="Id of a plan source.")]


class PlanSource(Struct, frozen=True, kw_only=True):
    """A stored file that the plan uses (a video, a still, a sound or a .cube table), with the right to use it."""

    id: Annotated[str, Meta(description="Name that the rest of the plan refers to.")]
    key: Annotated[ObjectKey, Meta(description="Where the file is stored; a path when rendering without services.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the file, hex.")]
    rights: Annotated[RightsRecord, Meta(description="What may be done with it.")]


# Layouts: how a clip's picture, and others beside it, lie in the frame ------------------------------


class FocusPoint(Struct, frozen=True, kw_only=True):
    """A moment of a focus path; between two of them the focus glides, eased."""

    at_us: Annotated[int, Meta(description="Source time, microseconds.", ge=0)]
    x: Annotated[Share, Meta(description="Point kept in view, share of the source's width.")]
    y: Annotated[Share, Meta(description="Point kept in view, share of the source's height.")]


class FillCrop(Struct, frozen=True, kw_only=True, tag_field="layout", tag="fill_crop"):
    """Fill the frame, cutting off what does not fit."""

    focus_x: Annotated[Share, Meta(description="Point kept in view, 0 left .. 1 right of the source.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point kept in view, 0 top .. 1 bottom of the source.")] = 0.5
    path: Annotated[
        tuple[FocusPoint, ...], Meta(description="Moves the point over time, in order; empty: it stays.")
    ] = ()


class FitInside(Struct, frozen=True, kw_only=True, tag_field="layout", tag="fit_inside"):
    """Show the whole picture; what it leaves free shows the same picture, filling and blurred, or a colour."""

    background: Annotated[
        Colour | None, Meta(description="Colour of what is left free; null: the blurred picture.")
    ] = None
    blur: Annotated[
        float, Meta(description="Standard deviation of the blur, share of the frame's width.", gt=0, le=0.2)
    ] = 0.03
    dim: Annotated[Share, Meta(description="Share of black over the blurred picture.")] = 0.25


class View(Struct, frozen=True, kw_only=True):
    """A window on the source."""

    x: Annotated[Share, Meta(description="Its middle, share of the source's width.")] = 0.5
    y: Annotated[Share, Meta(description="Its middle, share of the source's height.")] = 0.5
    scale: Annotated[float, Meta(description="Magnification; 1 just fills the frame.", ge=1, le=8)] = 1.0


class KenBurns(Struct, frozen=True, kw_only=True, tag_field="layout", tag="ken_burns"):
    """Glide from one window to another over the length of the clip: pan and zoom, for stills above all."""

    start: Annotated[View, Meta(description="Window at the clip's beginning.")] = View()
    end: Annotated[View, Meta(description="Window at the clip's end.")] = View(scale=1.2)


class Pane(Struct, frozen=True, kw_only=True):
    """Another picture beside the clip's own; it fills its place and plays at the clip's speed."""

    source: SourceId
    start_us: Annotated[int, Meta(description="Source time shown when the clip begins, microseconds.", ge=0)] = 0
    focus_x: Annotated[Share, Meta(description="Point kept in view, share of the source's width.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point kept in view, share of the source's height.")] = 0.5


class Split(Struct, frozen=True, kw_only=True, tag_field="layout", tag="split"):
    """The clip and one pane share the frame: one above the other, or side by side. The clip comes first."""

    pane: Annotated[Pane, Meta(description="The second picture.")]
    direction: Annotated[Literal["rows", "columns"], Meta(description="`rows`: one above the other.")] = "rows"
    share: Annotated[float, Meta(description="Share of the frame that the clip gets.", ge=0.1, le=0.9)] = 0.5
    focus_x: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5


class Inset(Struct, frozen=True, kw_only=True, tag_field="layout", tag="inset"):
    """The clip fills the frame; one pane lies over it in a small window."""

    pane: Annotated[Pane, Meta(description="The picture in the window.")]
    x: Annotated[Share, Meta(description="Middle of the window.")] = 0.75
    y: Annotated[Share, Meta(description="Middle of the window.")] = 0.2
    width: Annotated[float, Meta(description="Width of the window, share of the frame's width.", gt=0, le=1)] = 0.35
    aspect: Annotated[float, Meta(description="Width of the window over its height.", ge=0.2, le=5)] = 1.0
    focus_x: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5


class Grid(Struct, frozen=True, kw_only=True, tag_field="layout", tag="grid"):
    """The clip and up to eight panes in equal cells, row by row; the clip comes first."""

    panes: Annotated[tuple[Pane, ...], Meta(description="The other pictures.", min_length=1, max_length=8)]
    columns: Annotated[int, Meta(description="Cells beside each other.", ge=1, le=3)] = 2
    gap: Annotated[float, Meta(description="Space between cells, share of the frame's width.", ge=0, le=0.1)] = 0.0
    background: Annotated[Colour, Meta(description="Colour between the cells and of empty ones.")] = "#000000"
    focus_x: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point of the clip kept in view.")] = 0.5


Layout = FillCrop | FitInside | KenBurns | Split | Inset | Grid


# Clips ----------------------------------------------------------------------------------------------


class SpeedPoint(Struct, frozen=True, kw_only=True):
    """A moment of a speed ramp; between two of them the time that a frame lasts changes evenly."""

    at_us: Annotated[int, Meta(description="Source time, microseconds.", ge=0)]
    speed: Annotated[float, Meta(description="Source seconds per output second, to 1/1000.", ge=0.1, le=10)]


class Transition(Struct, frozen=True, kw_only=True):
    """How a clip takes over from the one before it; the two overlap by its length. Without one there is a cut."""

    kind: Annotated[
        Literal["crossfade", "dip", "whip", "zoom"],
        Meta(description="`dip`: through a colour; `whip`: both sweep sideways; `zoom`: into one, out of the other."),
    ] = "crossfade"
    duration_us: Annotated[int, Meta(description="Length, microseconds.", ge=40_000, le=5_000_000)] = 500_000
    colour: Annotated[Colour, Meta(description="Colour of a dip.")] = "#000000"


class Clip(Struct, frozen=True, kw_only=True):
    """A stretch of one source, shown after the clip before it."""

    source: SourceId
    start_us: Annotated[int, Meta(description="First moment used, from the source's first frame, microseconds.", ge=0)]
    end_us: Annotated[int, Meta(description="First moment no longer used, microseconds.", ge=1)]
    speed: Annotated[
        float, Meta(description="Source seconds per output second, to 1/1000. Sound keeps its pitch.", ge=0.1, le=10)
    ] = 1.0
    ramp: Annotated[
        tuple[SpeedPoint, ...],
        Meta(description="Changes of speed in order of time, instead of `speed`; the first and last hold to the ends."),
    ] = ()
    layout: Annotated[Layout, Meta(description="How the picture is placed in the frame.")] = FillCrop()
    transition: Annotated[Transition | None, Meta(description="From the clip before; null: a cut.")] = None


# Effects --------------------------------------------------------------------------------------------


class Windowed(Struct, frozen=True, kw_only=True):
    """An effect that lasts; by default for the whole output."""

    start_us: Annotated[int, Meta(description="First moment, output time, microseconds.", ge=0)] = 0
    end_us: Annotated[int | None, Meta(description="First moment after it, microseconds; null: the end.")] = None


class Interrupt(Struct, frozen=True, kw_only=True):
    """A pattern interrupt: short, and repeated at an interval or on given beats."""

    every_us: Annotated[int, Meta(description="Interval between starts, microseconds.", ge=200_000)] = 3_000_000
    first_us: Annotated[int, Meta(description="Start of the first, microseconds.", ge=0)] = 3_000_000
    duration_us: Annotated[int, Meta(description="Length of each, microseconds.", ge=1)] = 200_000
    beats_us: Annotated[
        tuple[int, ...], Meta(description="Starts in order, microseconds, instead of the interval.", max_length=10_000)
    ] = ()
    jitter_us: Annotated[
        int, Meta(description="Each start of the interval is put off by up to this, drawn by the plan's seed.", ge=0)
    ] = 0


class Mirror(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="mirror"):
    """Swap left and right."""


class Zoom(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="zoom"):
    """A slow, smooth zoom over its window, eased at both ends; before and after it holds."""

    start_scale: Annotated[float, Meta(description="Magnification at the start.", ge=1, le=4)] = 1.0
    end_scale: Annotated[float, Meta(description="Magnification at the end.", ge=1, le=4)] = 1.1
    focus_x: Annotated[Share, Meta(description="Point of the frame that stays in place.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point of the frame that stays in place.")] = 0.5


class PunchIn(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="punch_in"):
    """A sudden short magnification."""

    scale: Annotated[float, Meta(description="Magnification while it lasts.", ge=1, le=4)] = 1.15
    focus_x: Annotated[Share, Meta(description="Point of the frame that stays in place.")] = 0.5
    focus_y: Annotated[Share, Meta(description="Point of the frame that stays in place.")] = 0.5


class Flash(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="flash"):
    """A short fade from white. At most three flashes a second are allowed."""

    strength: Annotated[Share, Meta(description="Share of white at its start.")] = 0.7


class Shake(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="shake"):
    """The picture trembles and calms down, magnified just enough that its edge is never seen."""

    amplitude: Annotated[float, Meta(description="Largest way, share of the frame's height.", gt=0, le=0.1)] = 0.012
    frequency_hz: Annotated[float, Meta(description="Swings a second.", ge=1, le=30)] = 11.0


class ColourPop(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="colour_pop"):
    """A burst of saturation that fades."""

    saturation: Annotated[float, Meta(description="Saturation at its start.", ge=1, le=4)] = 2.0


class Freeze(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="freeze"):
    """The picture stands still, then catches up; sound goes on."""


class Glitch(Interrupt, frozen=True, kw_only=True, tag_field="effect", tag="glitch"):
    """Colours split apart and bands of the picture jump sideways, drawn anew some times a second by the seed."""

    split: Annotated[float, Meta(description="Way between the colours, share of the width.", ge=0, le=0.1)] = 0.012
    shift: Annotated[float, Meta(description="Largest jump of a band, share of the width.", ge=0, le=0.5)] = 0.06
    bands: Annotated[int, Meta(description="Bands that jump at a time.", ge=0, le=16)] = 5


class Colour3D(Struct, frozen=True, kw_only=True):
    """A 3D colour table."""

    source: Annotated[str, Meta(description="Id of a plan source that is a .cube file.")]
    strength: Annotated[Share, Meta(description="Share of the table's result.")] = 1.0


class Grade(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="grade"):
    """Colour correction, in this order: exposure, temperature, contrast, saturation, table."""

    exposure: Annotated[float, Meta(description="Stops, -4 .. 4.", ge=-4, le=4)] = 0.0
    temperature: Annotated[float, Meta(description="-1 cold .. 1 warm; brightness stays.", ge=-1, le=1)] = 0.0
    contrast: Annotated[float, Meta(description="Factor about middle grey.", ge=0, le=4)] = 1.0
    saturation: Annotated[float, Meta(description="Factor; 0 is monochrome.", ge=0, le=4)] = 1.0
    table: Annotated[Colour3D | None, Meta(description="A 3D table after all else; null: none.")] = None


class Monochrome(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="monochrome"):
    """Take the colour away, or give everything one tint."""

    strength: Annotated[Share, Meta(description="Share of the colour that is taken.")] = 1.0
    tint: Annotated[Colour | None, Meta(description="Tint of the greys; null: none.")] = None


class Sharpen(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="sharpen"):
    """Unsharp mask on brightness."""

    strength: Annotated[float, Meta(description="Share of the detail that is added.", gt=0, le=3)] = 0.6
    radius: Annotated[
        float, Meta(description="Standard deviation of the blur, share of the height.", gt=0, le=0.01)
    ] = 0.0008


class Glow(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="glow"):
    """Bright parts shine over what is around them."""

    strength: Annotated[float, Meta(description="Share of the light that is added.", gt=0, le=2)] = 0.5
    threshold: Annotated[Share, Meta(description="Brightness from which parts shine.")] = 0.6
    radius: Annotated[float, Meta(description="Reach, share of the frame's height.", gt=0, le=0.1)] = 0.02


class Vignette(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="vignette"):
    """Darken towards the corners."""

    strength: Annotated[Share, Meta(description="Share of the light that the corners lose.")] = 0.45
    radius: Annotated[
        float, Meta(description="Where it begins, share of the way from the middle to a corner.", ge=0, le=0.95)
    ] = 0.45


class Grain(Windowed, frozen=True, kw_only=True, tag_field="effect", tag="grain"):
    """Film grain on brightness, strongest in middle tones, new in every frame, drawn by the plan's seed."""

    strength: Annotated[Share, Meta(description="Standard deviation in middle grey, share of 32 levels of 256.")] = 0.25
    size: Annotated[float, Meta(description="Size of a grain, share of the frame's height.", gt=0, le=0.01)] = 0.001


Effect = (
    Mirror
    | Zoom
    | PunchIn
    | Flash
    | Shake
    | ColourPop
    | Freeze
    | Glitch
    | Grade
    | Monochrome
    | Sharpen
    | Glow
    | Vignette
    | Grain
)


# Overlays -------------------------------------------------------------------------------------------


class Shown(Struct, frozen=True, kw_only=True):
    """Something that lies over the picture for a while."""

    start_us: Annotated[int, Meta(description="First moment, output time, microseconds.", ge=0)] = 0
    end_us: Annotated[int | None, Meta(description="First moment after it, microseconds; null: the end.")] = None
    fade_us: Annotated[int, Meta(description="Length of its fade in and out, microseconds.", ge=0)] = 0
    opacity: Annotated[Share, Meta(description="Opacity when fully shown.")] = 1.0


class Image(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="image"):
    """A picture with its own transparency, such as a logo."""

    source: Annotated[str, Meta(description="Id of a plan source that is a still picture.")]
    x: Annotated[Share, Meta(description="Its middle.")] = 0.5
    y: Annotated[Share, Meta(description="Its middle.")] = 0.5
    width: Annotated[float, Meta(description="Its width, share of the frame's width.", gt=0, le=1)] = 0.3


class ProgressBar(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="progress_bar"):
    """A bar that fills from its start to its end."""

    y: Annotated[Share, Meta(description="Its middle.")] = 0.995
    height: Annotated[float, Meta(description="Its height, share of the frame's height.", gt=0, le=0.2)] = 0.01
    colour: Annotated[Colour, Meta(description="Of the part that is filled.")] = "#FFE14D"
    ground: Annotated[Colour | None, Meta(description="Of the rest; null: nothing is drawn there.")] = None


class Text(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="text"):
    """Free text."""

    text: Annotated[str, Meta(description="The text; a line feed forces a line break.", min_length=1, max_length=500)]
    x: Annotated[Share, Meta(description="Its middle.")] = 0.5
    y: Annotated[Share, Meta(description="Its middle.")] = 0.5
    max_width: Annotated[float, Meta(description="Widest line, share of the frame's width.", gt=0, le=1)] = 0.86
    size: Annotated[float, Meta(description="Height of the type, share of the frame's height.", gt=0, le=0.5)] = 0.045
    fill: Annotated[Colour, Meta(description="Colour of the type.")] = "#FFFFFF"
    outline: Annotated[Colour, Meta(description="Colour of the outline.")] = "#000000"
    outline_width: Annotated[float, Meta(description="Share of the type's height.", ge=0, le=0.5)] = 0.1
    box: Annotated[Colour | None, Meta(description="Colour of a box behind it; null: none.")] = None


class LowerThird(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="lower_third"):
    """A name and a line below it, on a plate at the lower left."""

    title: Annotated[str, Meta(description="The name.", min_length=1, max_length=200)]
    subtitle: Annotated[str, Meta(description="The line below it; empty: none.", max_length=200)] = ""
    y: Annotated[Share, Meta(description="Middle of the plate.")] = 0.7
    plate: Annotated[Colour, Meta(description="Colour of the plate.")] = "#111111"
    accent: Annotated[Colour, Meta(description="Colour of the bar at its left.")] = "#FFE14D"


class HookCard(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="hook_card"):
    """The hook, in dark type on a light card, as shorts begin."""

    text: Annotated[str, Meta(description="The text; a line feed forces a line break.", min_length=1, max_length=300)]
    y: Annotated[Share, Meta(description="Middle of the card.")] = 0.22
    size: Annotated[float, Meta(description="Height of the type, share of the frame's height.", gt=0, le=0.5)] = 0.036
    card: Annotated[Colour, Meta(description="Colour of the card.")] = "#FFFFFF"
    ink: Annotated[Colour, Meta(description="Colour of the type.")] = "#111111"


class Emoji(Shown, frozen=True, kw_only=True, tag_field="overlay", tag="emoji"):
    """One emoji, in colour."""

    emoji: Annotated[str, Meta(description="The emoji.", min_length=1, max_length=32)]
    x: Annotated[Share, Meta(description="Its middle.")] = 0.5
    y: Annotated[Share, Meta(description="Its middle.")] = 0.4
    size: Annotated[float, Meta(description="Its height, share of the frame's height.", gt=0, le=0.5)] = 0.08


Overlay = Image | ProgressBar | Text | LowerThird | HookCard | Emoji


# Captions -------------------------------------------------------------------------------------------


class Word(Struct, frozen=True, kw_only=True):
    """One spoken word."""

    text: Annotated[str, Meta(description="The word as shown.", min_length=1)]
    start_us: Annotated[int, Meta(description="When it begins to be heard, output time, microseconds.", ge=0)]
    end_us: Annotated[int, Meta(description="When it ends, output time, microseconds.", ge=0)]


class Cue(Struct, frozen=True, kw_only=True):
    """Text that is shown together."""

    start_us: Annotated[int, Meta(description="First moment shown, output time, microseconds.", ge=0)]
    end_us: Annotated[int, Meta(description="First moment no longer shown, output time, microseconds.", ge=1)]
    text: Annotated[str, Meta(description="The text; a line feed forces a line break.", min_length=1)]
    words: Annotated[tuple[Word, ...], Meta(description="Word times; empty where they are not known.")] = ()


class CaptionStyle(Struct, frozen=True, kw_only=True):
    """How captions look."""

    size: Annotated[float, Meta(description="Height of the type as a share of the frame height.", gt=0, le=0.5)] = 0.045
    position_y: Annotated[Share, Meta(description="Middle of the text, 0 top .. 1 bottom.")] = 0.72
    max_width: Annotated[float, Meta(description="Widest line as a share of the frame width.", gt=0, le=1)] = 0.86
    max_lines: Annotated[
        Annotated[int, Meta(ge=1, le=6)] | None,
        Meta(description="Lines at a time; longer cues go on in turns. null: as many as needed."),
    ] = None
    fill: Annotated[Colour, Meta(description="Colour of the type.")] = "#FFFFFF"
    outline: Annotated[Colour, Meta(description="Colour of the outline.")] = "#000000"
    outline_width: Annotated[float, Meta(description="Outline as a share of the type's height.", ge=0, le=0.5)] = 0.12
    shadow: Annotated[
        float, Meta(description="Soft shadow: its reach as a share of the type's height.", ge=0, le=1)
    ] = 0.0
    box: Annotated[Colour | None, Meta(description="Colour of a box behind each line; null: none.")] = None
    box_opacity: Annotated[Share, Meta(description="Opacity of the box.")] = 0.75
    highlight: Annotated[Colour | None, Meta(description="Colour of the word being spoken; null: none.")] = "#FFE14D"
    highlight_kind: Annotated[
        Literal["word", "karaoke", "box"],
        Meta(description="`word`: the spoken word; `karaoke`: all up to it; `box`: a box behind the spoken word."),
    ] = "word"
    pop: Annotated[
        float, Meta(description="Size at which a spoken word, or a cue without words, appears; 1: none.", ge=0.5, le=2)
    ] = 1.0
    uppercase: Annotated[bool, Meta(description="Show the text in capitals.")] = False


class SafeArea(Struct, frozen=True, kw_only=True):
    """Parts of the frame that a platform draws over, as shares from each edge; type stays out of them."""

    top: Annotated[float, Meta(description="Share of the frame kept free at the top.", ge=0, le=0.45)] = 0.05
    right: Annotated[float, Meta(description="Share of the frame kept free at the right.", ge=0, le=0.45)] = 0.05
    bottom: Annotated[float, Meta(description="Share of the frame kept free at the bottom.", ge=0, le=0.45)] = 0.05
    left: Annotated[float, Meta(description="Share of the frame kept free at the left.", ge=0, le=0.45)] = 0.05


class Captions(Struct, frozen=True, kw_only=True):
    """The caption track burnt into the picture."""

    cues: Annotated[tuple[Cue, ...], Meta(description="Cues in order of time.")]
    style: Annotated[CaptionStyle, Meta(description="How they look.")] = CaptionStyle()


# Sound ----------------------------------------------------------------------------------------------


class AudioTrack(Struct, frozen=True, kw_only=True):
    """One sound that is mixed into the output."""

    source: SourceId
    role: Annotated[
        Literal["clips", "voice", "music"],
        Meta(description="`clips`: follows the clips of that source; `voice` and `music` play from at_us."),
    ] = "clips"
    at_us: Annotated[int, Meta(description="Start of a voice or music, output time, microseconds.", ge=0)] = 0
    start_us: Annotated[int, Meta(description="First moment used of a voice or music, source time.", ge=0)] = 0
    loop: Annotated[bool, Meta(description="Music begins again at its end until the output ends.")] = False
    gain_db: Annotated[float, Meta(description="Change of level, decibels.", ge=-60, le=24)] = 0.0
    fade_in_us: Annotated[int, Meta(description="Fade at the track's beginning, microseconds.", ge=0)] = 0
    fade_out_us: Annotated[int, Meta(description="Fade at the track's end, microseconds.", ge=0)] = 0
    duck_db: Annotated[
        float, Meta(description="Change of level while a voice track speaks, decibels; 0: none.", ge=-60, le=0)
    ] = 0.0


class Loudness(Struct, frozen=True, kw_only=True):
    """The level of the whole, by Rec. ITU-R BS.1770-5."""

    integrated_lufs: Annotated[float, Meta(description="Integrated loudness, LUFS.", ge=-40, le=-5)] = -14.0
    true_peak_dbtp: Annotated[float, Meta(description="Highest true peak, dBTP.", ge=-20, le=0)] = -1.0


# Output ---------------------------------------------------------------------------------------------


class Output(Struct, frozen=True, kw_only=True):
    """The file to be made."""

    width_px: Annotated[int, Meta(description="Width, px, even.", ge=16, le=MAX_SIDE_PX, multiple_of=2)] = 1080
    height_px: Annotated[int, Meta(description="Height, px, even.", ge=16, le=MAX_SIDE_PX, multiple_of=2)] = 1920
    fps: Annotated[Rational, Meta(description="Constant frame rate, frames per second.")] = Rational(30, 1)
    video_codec: Annotated[Literal["h264", "hevc"], Meta(description="Video codec.")] = "h264"
    crf: Annotated[int, Meta(description="Constant rate factor: lower is better.", ge=0, le=51)] = 20
    preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"],
        Meta(description="Speed of the encoder against size."),
    ] = "veryfast"
    audio_codec: Annotated[Literal["aac"], Meta(description="Audio codec.")] = "aac"
    audio_bitrate_bps: Annotated[int, Meta(description="Audio bit rate, bits per second.", ge=32_000, le=512_000)] = (
        160_000
    )
    sample_rate_hz: Annotated[Literal[48000], Meta(description="Audio sample rate, Hz.")] = 48000
    loudness: Annotated[Loudness | None, Meta(description="Level of the sound; null: as mixed.")] = Loudness()
    container: Annotated[Literal["mp4", "mov"], Meta(description="Container, index first (fast start).")] = "mp4"
    safe: Annotated[SafeArea, Meta(description="Margins that type keeps to.")] = SafeArea()
    max_bytes: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="A larger file is refused, bytes; null: any size.")
    ] = None


class Chosen(Struct, frozen=True, kw_only=True):
    """A choice that was not left to the preset, and why it is that one. Changes nothing in the picture."""

    what: Annotated[Literal["caption_style"], Meta(description="What was chosen.")]
    value: Annotated[str, Meta(description="Name of what was chosen.")]
    because: Annotated[str, Meta(description="Who or what chose it, with the numbers, in words.")]
    blueprint_id: Annotated[str | None, Meta(description="The blueprint that was followed; null: none.")] = None
    experiment_id: Annotated[str | None, Meta(description="The experiment that drew it; null: none.")] = None
    variant: Annotated[Literal["A", "B"] | None, Meta(description="The variant that was drawn; null: none.")] = None


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that the renderer needs to know."""

    version: Annotated[Literal[1], Meta(description="Version of the plan format.")] = 1
    sources: Annotated[tuple[PlanSource, ...], Meta(description="The files used.", min_length=1)]
    clips: Annotated[tuple[Clip, ...], Meta(description="The picture, in order.", min_length=1)]
    audio: Annotated[tuple[AudioTrack, ...], Meta(description="The sounds; empty: a silent video.")] = ()
    effects: Annotated[
        tuple[Effect, ...],
        Meta(
            description="Geometry, then colour, detail, light and grain; of a kind, in this order. Of `sharpen`, "
            "`glow`, `vignette` and `grain` the last one in force counts, each for itself."
        ),
    ] = ()
    overlays: Annotated[tuple[Overlay, ...], Meta(description="Over the picture and its effects, in this order.")] = ()
    captions: Annotated[Captions | None, Meta(description="Caption track, over all; null: none.")] = None
    output: Annotated[Output, Meta(description="The file to be made.")] = Output()
    seed: Annotated[int, Meta(description="Seed of every creative choice that was left open.", ge=0)] = 0
    chosen: Annotated[
        tuple[Chosen, ...] | UnsetType, Meta(description="What was not left to the preset; absent: nothing.")
    ] = UNSET


def plan_id(plan: Plan) -> PlanId:
    """Return the SHA-256 of the plan's canonical JSON (keys sorted, numbers as they are read), hex.

    Raises: msgspec.ValidationError if the plan does not keep to its own types.
    """
    # A plan that was made here may hold 2 where one that was read holds 2.0.
    read = _PLANS.decode(msgspec.json.encode(plan))
    return PlanId(hashlib.sha256(msgspec.json.encode(read, order="sorted")).hexdigest())


_PLANS: Final = msgspec.json.Decoder(Plan)
