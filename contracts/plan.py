"""The render plan: pure data from which a video is made, the same on every machine.

All times are integer microseconds. Times in `clips` are source time; everything else is output time.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from contracts.errors import Reject
from contracts.ids import ObjectKey, PlanId
from contracts.media import Rational
from contracts.rights import RightsRecord

__all__ = [
    "MIN_FLASH_INTERVAL_US",
    "AudioTrack",
    "CaptionStyle",
    "Captions",
    "Clip",
    "Cue",
    "Effect",
    "FillCrop",
    "Flash",
    "Mirror",
    "Output",
    "Plan",
    "PlanSource",
    "PunchIn",
    "Word",
    "Zoom",
    "check",
    "duration_us",
    "plan_id",
]

PLAN_VERSION = 1
MIN_FLASH_INTERVAL_US = 333_334
"""At most three flashes in any second: WCAG 2.2, success criterion 2.3.1."""
MAX_DURATION_US = 12 * 3600 * 1_000_000
MAX_SIDE_PX = 4320

Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$", description="#RRGGBB.")]


class PlanSource(Struct, frozen=True, kw_only=True):
    """A stored file that the plan uses, with the right to use it."""

    id: Annotated[str, Meta(description="Name that clips and audio tracks refer to.")]
    key: Annotated[ObjectKey, Meta(description="Where the file is stored; a path when rendering without services.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the file, hex.")]
    rights: Annotated[RightsRecord, Meta(description="What may be done with it.")]


class FillCrop(Struct, frozen=True, kw_only=True, tag_field="layout", tag="fill_crop"):
    """Fill the frame, cutting off what does not fit."""

    focus_x: Annotated[float, Meta(description="Point kept in view, 0 left .. 1 right of the source.", ge=0, le=1)] = (
        0.5
    )
    focus_y: Annotated[float, Meta(description="Point kept in view, 0 top .. 1 bottom of the source.", ge=0, le=1)] = (
        0.5
    )


class Clip(Struct, frozen=True, kw_only=True):
    """A stretch of one source, shown after the clip before it."""

    source: Annotated[str, Meta(description="Id of a plan source.")]
    start_us: Annotated[int, Meta(description="First moment used, from the source's first frame, microseconds.", ge=0)]
    end_us: Annotated[int, Meta(description="First moment no longer used, microseconds.", ge=1)]
    layout: Annotated[FillCrop, Meta(description="How the picture is placed in the frame.")] = FillCrop()


class Mirror(Struct, frozen=True, kw_only=True, tag_field="effect", tag="mirror"):
    """Swap left and right."""


class Zoom(Struct, frozen=True, kw_only=True, tag_field="effect", tag="zoom"):
    """A slow, smooth zoom over the whole output, eased at both ends."""

    start_scale: Annotated[float, Meta(description="Magnification at the start.", ge=1, le=4)] = 1.0
    end_scale: Annotated[float, Meta(description="Magnification at the end.", ge=1, le=4)] = 1.1


class PunchIn(Struct, frozen=True, kw_only=True, tag_field="effect", tag="punch_in"):
    """A sudden short magnification at a fixed interval."""

    every_us: Annotated[int, Meta(description="Interval between starts, microseconds.", ge=200_000)] = 3_000_000
    first_us: Annotated[int, Meta(description="Start of the first, microseconds.", ge=0)] = 3_000_000
    duration_us: Annotated[int, Meta(description="Length of each, microseconds.", ge=1)] = 200_000
    scale: Annotated[float, Meta(description="Magnification while it lasts.", ge=1, le=4)] = 1.15


class Flash(Struct, frozen=True, kw_only=True, tag_field="effect", tag="flash"):
    """A short fade from white at a fixed interval."""

    every_us: Annotated[
        int, Meta(description="Interval, microseconds; at most three flashes a second.", ge=MIN_FLASH_INTERVAL_US)
    ] = 3_000_000
    first_us: Annotated[int, Meta(description="Start of the first, microseconds.", ge=0)] = 3_000_000
    duration_us: Annotated[int, Meta(description="Length of each, microseconds.", ge=1)] = 200_000
    strength: Annotated[float, Meta(description="Share of white at its start.", ge=0, le=1)] = 0.7


Effect = Mirror | Zoom | PunchIn | Flash


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
    position_y: Annotated[float, Meta(description="Middle of the text, 0 top .. 1 bottom.", ge=0, le=1)] = 0.72
    max_width: Annotated[float, Meta(description="Widest line as a share of the frame width.", gt=0, le=1)] = 0.86
    fill: Annotated[Colour, Meta(description="Colour of the type.")] = "#FFFFFF"
    outline: Annotated[Colour, Meta(description="Colour of the outline.")] = "#000000"
    outline_width: Annotated[float, Meta(description="Outline as a share of the type's height.", ge=0, le=0.5)] = 0.12
    highlight: Annotated[Colour | None, Meta(description="Colour of the word being spoken; null: none.")] = "#FFE14D"
    uppercase: Annotated[bool, Meta(description="Show the text in capitals.")] = False


class Captions(Struct, frozen=True, kw_only=True):
    """The caption track burnt into the picture."""

    cues: Annotated[tuple[Cue, ...], Meta(description="Cues in order of time.")]
    style: Annotated[CaptionStyle, Meta(description="How they look.")] = CaptionStyle()


class AudioTrack(Struct, frozen=True, kw_only=True):
    """One sound that is mixed into the output."""

    source: Annotated[str, Meta(description="Id of a plan source.")]
    role: Annotated[
        Literal["clips", "voice"],
        Meta(description="`clips`: follows the clips of that source; `voice`: plays once from at_us."),
    ] = "clips"
    at_us: Annotated[int, Meta(description="Start of a voice, output time, microseconds.", ge=0)] = 0
    gain_db: Annotated[float, Meta(description="Change of level, decibels.", ge=-60, le=24)] = 0.0


class Output(Struct, frozen=True, kw_only=True):
    """The file to be made."""

    width_px: Annotated[int, Meta(description="Width, px, even.", ge=16, le=MAX_SIDE_PX, multiple_of=2)] = 1080
    height_px: Annotated[int, Meta(description="Height, px, even.", ge=16, le=MAX_SIDE_PX, multiple_of=2)] = 1920
    fps: Annotated[Rational, Meta(description="Constant frame rate, frames per second.")] = Rational(30, 1)
    video_codec: Annotated[Literal["h264"], Meta(description="Video codec.")] = "h264"
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
    container: Annotated[Literal["mp4"], Meta(description="Container, index first (fast start).")] = "mp4"


class Plan(Struct, frozen=True, kw_only=True):
    """Everything that the renderer needs to know."""

    version: Annotated[Literal[1], Meta(description="Version of the plan format.")] = 1
    sources: Annotated[tuple[PlanSource, ...], Meta(description="The files used.", min_length=1)]
    clips: Annotated[tuple[Clip, ...], Meta(description="The picture, in order.", min_length=1)]
    audio: Annotated[tuple[AudioTrack, ...], Meta(description="The sounds; empty: a silent video.")] = ()
    effects: Annotated[tuple[Effect, ...], Meta(description="Applied in this order.")] = ()
    captions: Annotated[Captions | None, Meta(description="Caption track; null: none.")] = None
    output: Annotated[Output, Meta(description="The file to be made.")] = Output()
    seed: Annotated[int, Meta(description="Seed of every creative choice that was left open.", ge=0)] = 0


def duration_us(plan: Plan) -> int:
    """Return the length of the output in microseconds."""
    return sum(clip.end_us - clip.start_us for clip in plan.clips)


def plan_id(plan: Plan) -> PlanId:
    """Return the SHA-256 of the plan's canonical JSON (keys sorted), hex."""
    return PlanId(hashlib.sha256(msgspec.json.encode(plan, order="sorted")).hexdigest())


def check(plan: Plan) -> None:
    """Check what types alone cannot. Raises: Reject, naming the element."""
    known = [source.id for source in plan.sources]
    if len(set(known)) != len(known):
        raise Reject("sources: two sources share an id", mend="give each source its own id")
    for at, clip in enumerate(plan.clips):
        if clip.source not in known:
            raise Reject(f"clips[{at}].source: there is no source '{clip.source}'", mend=f"known: {', '.join(known)}")
        if clip.end_us <= clip.start_us:
            raise Reject(f"clips[{at}]: end_us {clip.end_us} is not after start_us {clip.start_us}")
    for at, track in enumerate(plan.audio):
        if track.source not in known:
            raise Reject(f"audio[{at}].source: there is no source '{track.source}'", mend=f"known: {', '.join(known)}")
    total_us = duration_us(plan)
    if total_us > MAX_DURATION_US:
        raise Reject(f"clips: {total_us / 1e6:.0f} s is longer than 12 hours", mend="shorten the clips")
    if plan.captions is not None:
        last_us = 0
        for at, cue in enumerate(plan.captions.cues):
            if cue.end_us <= cue.start_us:
                raise Reject(f"captions.cues[{at}]: end_us {cue.end_us} is not after start_us {cue.start_us}")
            if cue.start_us < last_us:
                raise Reject(f"captions.cues[{at}]: starts before the cue before it", mend="sort the cues by start_us")
            last_us = cue.start_us
    rate = plan.output.fps
    if not 1 <= rate.num / rate.den <= 240:
        raise Reject(f"output.fps: {rate.num}/{rate.den} is not between 1 and 240")
