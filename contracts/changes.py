"""What a plan does to each work that it uses, in the words of a credit line; and the rights of the whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from contracts.plan import (
    AudioTrack,
    Clip,
    Colour3D,
    Emoji,
    FillCrop,
    FitInside,
    Grade,
    Grid,
    HookCard,
    Image,
    Inset,
    KenBurns,
    Layout,
    LowerThird,
    Pane,
    Plan,
    ProgressBar,
    Split,
    Text,
)
from contracts.rights import RightsRecord

__all__ = ["changes_made", "rights_of"]

_LAYOUTS: Final[dict[type, str]] = {
    FillCrop: "cropped",
    FitInside: "set into a frame",
    KenBurns: "cropped, panned and zoomed",
    Split: "cropped, shown beside another picture",
    Inset: "cropped, shown beside another picture",
    Grid: "cropped, shown beside other pictures",
}
_EFFECTS: Final = {
    "mirror": "mirrored",
    "zoom": "zoomed",
    "punch_in": "zoomed",
    "flash": "flashes added",
    "shake": "shaken",
    "colour_pop": "colours changed",
    "freeze": "frozen at moments",
    "glitch": "glitches added",
    "grade": "colours changed",
    "monochrome": "colours changed",
    "sharpen": "sharpened",
    "glow": "glow added",
    "vignette": "corners darkened",
    "grain": "grain added",
}
_OVERLAYS: Final[dict[type, str]] = {
    Image: "pictures laid over it",
    ProgressBar: "a progress bar added",
    Text: "text added",
    LowerThird: "text added",
    HookCard: "text added",
    Emoji: "emoji added",
}


def rights_of(plan: Plan) -> RightsRecord:
    """Return the rights of the video that a plan makes: the first clip's work, with the others as its parts.

    Every record says what the plan changes in its work. What the plan neither shows nor plays is no part of it.
    """
    first = plan.clips[0].source
    records = {one.id: replace(one.rights, changes=changes_made(plan, one.id)) for one in plan.sources}
    main = records.pop(first)
    return replace(main, parts=(*main.parts, *(one for one in records.values() if one.changes)))


def changes_made(plan: Plan, source: str) -> tuple[str, ...]:
    """Return what the plan does to one of its sources, in words; empty: it is shown as it is.

    A plan does not know the shape or length of its sources: filling the frame counts as cropping, and the stretches
    that are shown are named where anything else is done.
    """
    clips = [clip for clip in plan.clips if clip.source == source]
    panes = [pane for clip in plan.clips for pane in _panes(clip.layout) if pane.source == source]
    found = dict.fromkeys(
        [
            *(word for clip in clips for word in _clip(clip)),
            *(["cropped", "shown beside another picture"] if panes else []),
            *(_picture(plan) if clips or panes else []),
            *_sound(plan, source, shown=bool(clips)),
            *_elsewhere(plan, source),
        ]
    )
    cut = len(clips) > 1 or any(clip.start_us for clip in clips)
    if clips and (found or cut):
        spans = dict.fromkeys(f"{_clock(clip.start_us)} to {_clock(clip.end_us)}" for clip in clips)
        return (f"shown from {', '.join(spans)}", *found)
    return tuple(found)


def _clip(clip: Clip) -> Iterator[str]:
    if clip.ramp:
        yield "speed changed"
    elif clip.speed > 1:
        yield "sped up"
    elif clip.speed < 1:
        yield "slowed down"
    yield from _LAYOUTS[type(clip.layout)].split(", ")


def _picture(plan: Plan) -> Iterator[str]:
    """Yield what is done to every picture of the plan."""
    if any(clip.transition for clip in plan.clips):
        yield "transitions added"
    for effect in plan.effects:
        yield _EFFECTS[str(effect.__struct_config__.tag)]
    for overlay in plan.overlays:
        yield _OVERLAYS[type(overlay)]
    if plan.captions is not None and plan.captions.cues:
        yield "captioned"


def _sound(plan: Plan, source: str, *, shown: bool) -> Iterator[str]:
    for track in plan.audio:
        if track.source != source:
            if shown and track.role == "voice":
                yield "narration added"
            elif shown and track.role == "music":
                yield "music added"
        elif track.role == "voice":
            yield "heard as narration"
        elif track.role == "music":
            yield "used as background music"
            if track.loop:
                yield "looped"
        if track.source == source and _levelled(track):
            yield "volume changed"


def _levelled(track: AudioTrack) -> bool:
    return bool(track.gain_db or track.duck_db or track.fade_in_us or track.fade_out_us)


def _elsewhere(plan: Plan, source: str) -> Iterator[str]:
    if any(isinstance(overlay, Image) and overlay.source == source for overlay in plan.overlays):
        yield "laid over the picture"
    tables = [effect.table for effect in plan.effects if isinstance(effect, Grade)]
    if any(isinstance(table, Colour3D) and table.source == source for table in tables):
        yield "used to change colours"


def _panes(layout: Layout) -> tuple[Pane, ...]:
    if isinstance(layout, Split | Inset):
        return (layout.pane,)
    return layout.panes if isinstance(layout, Grid) else ()


def _clock(at_us: int) -> str:
    """Return a moment as minutes and seconds, as in 1:05 or 0:02.5."""
    tenths = round(at_us / 100_000)
    text = f"{tenths // 600}:{tenths // 10 % 60:02}"
    return f"{text}.{tenths % 10}" if tenths % 10 else text
