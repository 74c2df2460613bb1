"""What the finished video looks like: (probe, cues, rights, choices, seed) to a render plan. Pure.

Effects are creative choices. Whatever a preset leaves open is drawn from the seed, so that the same input always
gives the same plan; nothing varies for the sake of varying.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from actors.editor.cues import within
from actors.editor.styles import SAFE_AREAS, STYLES
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.media import Probe, Rational
from contracts.plan import (
    AudioTrack,
    Captions,
    CaptionStyle,
    Clip,
    Cue,
    Effect,
    FillCrop,
    FitInside,
    Flash,
    KenBurns,
    Layout,
    Mirror,
    Output,
    Plan,
    PlanSource,
    PunchIn,
    Zoom,
)
from contracts.plan_rules import check
from contracts.rights import RightsRecord

__all__ = ["PRESETS", "Preset", "Voice", "for_still", "make_plan", "output_rate", "preset_named", "style_named"]

DEFAULT_RATE: Final = Rational(30, 1)
MAX_FPS: Final = 60
HOUR_US: Final = 3600 * 1_000_000
_RATES: Final = tuple(
    Rational(*pair)
    for pair in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1))
)
_NEAR: Final = 0.02
SOURCE, VOICE = "source", "voice"


class Preset(Struct, frozen=True, kw_only=True):
    """A named set of choices.

    layout: of a source that does not have the frame's shape; max_duration_us: the beginning of the source up to this
    length is used; interrupt_every_us: interval of punch-ins and flashes, 0 for none; punch_scales: one is drawn by
    the seed; ducked_db: change of the source's level while a voice speaks; style, safe: names in `styles`.
    """

    width_px: int = 1080
    height_px: int = 1920
    layout: Layout = FillCrop()
    max_duration_us: int = 60_000_000
    mirror: bool = False
    zoom_to: float = 1.0
    interrupt_every_us: int = 0
    punch_scales: tuple[float, ...] = (1.15,)
    ducked_db: float = -16.0
    style: str = "outline"
    safe: str = "none"


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "short": Preset(
            mirror=True,
            zoom_to=1.1,
            interrupt_every_us=3_000_000,
            punch_scales=(1.12, 1.15, 1.18),
            safe="youtube_shorts",
        ),
        "story": Preset(layout=FitInside(), zoom_to=1.06, style="boxed", safe="story"),
        "square": Preset(height_px=1080),
        "wide": Preset(
            width_px=1920, height_px=1080, layout=FitInside(), max_duration_us=12 * HOUR_US, style="two_line"
        ),
        "plain": Preset(style="plain"),
    }
)
"""`short`: portrait, mirrored, a slow zoom, an interrupt every 3 s. `story`: portrait, the whole picture before its own
blur. `square` and `plain` (portrait): only cropped. `wide`: landscape, whole, at full length. All others: a minute."""


class Voice(Struct, frozen=True, kw_only=True):
    """A narration that is mixed in."""

    key: ObjectKey
    sha256: str
    rights: RightsRecord
    duration_us: int


def preset_named(name: str) -> Preset:
    """Return a preset. Raises: Reject, naming those that there are."""
    if name not in PRESETS:
        raise Reject(f"there is no preset '{name}'", mend=f"known: {', '.join(PRESETS)}")
    return PRESETS[name]


def for_still(preset: Preset, shown_us: int) -> Preset:
    """Return the preset for a still that is shown so long: it is glided over, whatever would be done with a video."""
    return replace(preset, layout=KenBurns(), zoom_to=1.0, max_duration_us=max(preset.max_duration_us, shown_us))


def make_plan(
    probe: Probe,
    *,
    key: ObjectKey,
    sha256: str,
    rights: RightsRecord,
    preset: Preset,
    cues: Sequence[Cue] = (),
    voice: Voice | None = None,
    effects: tuple[Effect, ...] | None = None,
    style: str | None = None,
    seed: int = 0,
) -> Plan:
    """Return the plan of one video.

    Args: cues: in time from the source's first frame, or from the start of the voice if there is one; effects, style:
    instead of the preset's.
    Raises: Reject if the voice is longer than the preset allows, or if there is no such style.
    """
    draw = random.Random(seed)  # noqa: S311  # a creative choice, no secret
    clips = _clips(probe.duration_us, preset, voice)
    length_us = sum(clip.end_us - clip.start_us for clip in clips)
    shown = within(cues, 0, length_us)
    sources = [PlanSource(id=SOURCE, key=key, sha256=sha256, rights=rights)]
    audio = []
    if probe.audio is not None:
        audio.append(AudioTrack(source=SOURCE, duck_db=preset.ducked_db if voice else 0.0))
    if voice is not None:
        sources.append(PlanSource(id=VOICE, key=voice.key, sha256=voice.sha256, rights=voice.rights))
        audio.append(AudioTrack(source=VOICE, role="voice"))
    plan = Plan(
        sources=tuple(sources),
        clips=clips,
        audio=tuple(audio),
        effects=_effects(preset, length_us, draw) if effects is None else effects,
        captions=Captions(cues=shown, style=style_named(style or preset.style)) if shown else None,
        output=Output(
            width_px=preset.width_px,
            height_px=preset.height_px,
            fps=output_rate(probe.video.fps),
            safe=SAFE_AREAS[preset.safe],
        ),
        seed=seed,
    )
    check(plan)
    return plan


def style_named(name: str) -> CaptionStyle:
    """Return a caption style. Raises: Reject, naming those that there are."""
    if name not in STYLES:
        raise Reject(f"there is no caption style '{name}'", mend=f"known: {', '.join(STYLES)}")
    return STYLES[name]


def output_rate(source: Rational) -> Rational:
    """Return the usual rate within 2 % of the source's; 60 for faster ones, 30 for odd ones."""
    fps = source.num / source.den
    nearest = min(_RATES, key=lambda rate: abs(rate.num / rate.den - fps))
    if abs(nearest.num / nearest.den - fps) <= fps * _NEAR:
        return nearest
    return Rational(MAX_FPS, 1) if fps > MAX_FPS else DEFAULT_RATE


def _clips(source_us: int, preset: Preset, voice: Voice | None) -> tuple[Clip, ...]:
    """Take the beginning of the source; under a longer voice it starts over until the voice ends."""
    if voice is not None and voice.duration_us > preset.max_duration_us:
        raise Reject(
            f"the narration takes {voice.duration_us / 1e6:.0f} s, longer than the {preset.max_duration_us / 1e6:.0f} s"
            " that the preset allows",
            mend="shorten the script",
        )
    left_us = min(max(source_us, voice.duration_us if voice else 0), preset.max_duration_us)
    clips = []
    while left_us > 0:
        taken = min(left_us, source_us)
        clips.append(Clip(source=SOURCE, start_us=0, end_us=taken, layout=preset.layout))
        left_us -= taken
    return tuple(clips)


def _effects(preset: Preset, length_us: int, draw: random.Random) -> tuple[Effect, ...]:
    effects: list[Effect] = [Mirror()] if preset.mirror else []
    if preset.zoom_to > 1.0:
        effects.append(Zoom(start_scale=1.0, end_scale=preset.zoom_to))
    every = preset.interrupt_every_us
    scale = draw.choice(preset.punch_scales)
    if every:
        punch, flash = PunchIn(every_us=every, first_us=every, scale=scale), Flash(every_us=every, first_us=every)
        if length_us >= every + max(punch.duration_us, flash.duration_us):
            effects += [punch, flash]
    return tuple(effects)
