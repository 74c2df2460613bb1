"""Cut a plan into chunks: frame ranges that are rendered each by itself, and keys by which finished ones are known.

A chunk's key is the SHA-256 of all that can be seen in its frames, and of nothing else: a plan that was changed in one
place finds the other chunks finished.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.renderer.job import ENGINE
from actors.renderer.timeline import Span, frame_count, frame_time_us, samples_of_frames, spans
from contracts.media import Rational
from contracts.plan import (
    Captions,
    Effect,
    Glitch,
    Grade,
    Grain,
    Image,
    Interrupt,
    KenBurns,
    Overlay,
    Plan,
    ProgressBar,
    Shake,
    Zoom,
)
from contracts.plan_rules import duration_us, panes_of, starts_us

__all__ = ["Chunk", "chunks", "gop_frames", "sound_key"]

GOP_S: Final = 2.5
CHUNK_GOPS: Final = 2
SHORT_GOPS: Final = 4
"""Plans up to this long are cut at every GOP, so that they too fill more than one core."""
_NEAR_US: Final = 1_000_000
"""A clip's end counts as seen up to this long before it."""


class Chunk(Struct, frozen=True, kw_only=True):
    """Frames first_frame <= n < end_frame of a plan's output. key: SHA-256 of what is seen in them, hex."""

    index: int
    first_frame: int
    end_frame: int
    key: str


def gop_frames(fps: Rational) -> int:
    """Return the number of frames from one forced keyframe to the next."""
    return max(1, round(GOP_S * fps.num / fps.den))


def chunks(plan: Plan, *, fonts: tuple[str, ...] = (), engine: str = ENGINE) -> tuple[Chunk, ...]:
    """Cut the plan's frames at fixed places.

    fonts: names of the faces that draw its text, by content; engine: name of what renders it, see job.engine_of.
    """
    plan = _as_read(plan)
    gop = gop_frames(plan.output.fps)
    total = frame_count(duration_us(plan), plan.output.fps)
    step = gop * (1 if total <= SHORT_GOPS * gop else CHUNK_GOPS)
    seen = _Seen(plan, fonts, engine)
    return tuple(
        Chunk(index=at, first_frame=first, end_frame=end, key=_digest(seen.within(first, end)))
        for at, first in enumerate(range(0, total, step))
        for end in (min(first + step, total),)
    )


def sound_key(plan: Plan) -> str | None:
    """Return the SHA-256 of all that can be heard, hex; None: the plan has no sound."""
    if not plan.audio:
        return None
    plan = _as_read(plan)
    sha256 = {source.id: source.sha256.lower() for source in plan.sources}
    frames = frame_count(duration_us(plan), plan.output.fps)
    heard: list[object] = [
        ENGINE,
        samples_of_frames(frames, plan.output.fps),
        [_renamed(track, sha256) for track in plan.audio],
        [plan.output.audio_codec, plan.output.audio_bitrate_bps, plan.output.sample_rate_hz],
        plan.output.loudness,
    ]
    followed = {track.source for track in plan.audio if track.role == "clips"}
    if followed:
        heard.append(
            [
                [
                    sha256[clip.source] if clip.source in followed else None,
                    [clip.start_us, clip.end_us, clip.speed, clip.ramp, clip.transition],
                ]
                for clip in plan.clips
            ]
        )
    return _digest(heard)


class _Seen:
    """What of a plan is seen in a range of frames, as plain data."""

    def __init__(self, plan: Plan, fonts: tuple[str, ...], engine: str) -> None:
        self._plan = plan
        self._engine = engine
        self._fonts = fonts
        self._spans = spans(plan)
        self._total_us = duration_us(plan)
        self._sha256 = {source.id: source.sha256.lower() for source in plan.sources}
        self._starts = {
            at: starts_us(effect, self._total_us, plan.seed)
            for at, effect in enumerate(plan.effects)
            if isinstance(effect, Interrupt)
        }

    def within(self, first: int, end: int) -> list[object]:
        """Return everything that decides how frames first <= n < end look."""
        plan, output = self._plan, self._plan.output
        window = frame_time_us(first, output.fps), frame_time_us(end - 1, output.fps) + 1
        effects = [seen for at, effect in enumerate(plan.effects) if (seen := self._effect(at, effect, window))]
        overlays = [self._overlay(shown, window) for shown in plan.overlays if _touches(shown, window)]
        cues = self._cues(plan.captions, window)
        drawn = any(isinstance(effect, Grain | Glitch | Shake) for effect in plan.effects)
        return [
            self._engine,
            [first, end],
            [output.width_px, output.height_px, output.fps, output.video_codec, output.crf, output.preset],
            [self._clip(span, window) for span in self._spans if span.first_frame < end and first < span.end_frame],
            effects,
            [overlays, cues, output.safe, self._fonts] if overlays or cues else None,
            plan.seed if drawn else None,
        ]

    def _clip(self, span: Span, window: tuple[int, int]) -> object:
        clip = span.clip
        seen = _renamed(clip, self._sha256)
        seen["panes"] = [_renamed(pane, self._sha256) for pane in panes_of(clip.layout)]
        whole = isinstance(clip.layout, KenBurns) or span.out_end_us - _NEAR_US < window[1]
        if not whole:
            del seen["end_us"]
        return [span.out_start_us, seen]

    def _effect(self, at: int, effect: Effect, window: tuple[int, int]) -> object | None:
        seen = _renamed(effect, self._sha256)
        if isinstance(effect, Grade) and effect.table is not None:
            seen["table"] = _renamed(effect.table, self._sha256)
        if isinstance(effect, Zoom):
            return [seen, self._total_us if effect.end_us is None else None]
        if isinstance(effect, Interrupt):
            on = [at_us for at_us in self._starts[at] if _meets(at_us, at_us + effect.duration_us, window)]
            if on and not isinstance(effect, Glitch | Shake):  # these are drawn: by what, they alone know
                for name in ("every_us", "first_us", "beats_us", "jitter_us"):
                    del seen[name]
            return [seen, on] if on else None
        if not _meets(effect.start_us, effect.end_us, window):
            return None
        starts, ends = max(effect.start_us, window[0]), window[1]
        seen["start_us"], seen["end_us"] = starts, ends if effect.end_us is None else min(effect.end_us, ends)
        return seen

    def _overlay(self, shown: Overlay, window: tuple[int, int]) -> object:
        seen = _renamed(shown, self._sha256) if isinstance(shown, Image) else msgspec.to_builtins(shown)
        ends_with_all = shown.end_us is None and (
            isinstance(shown, ProgressBar) or self._total_us - shown.fade_us < window[1]
        )
        return [seen, self._total_us if ends_with_all else None]

    def _cues(self, captions: Captions | None, window: tuple[int, int]) -> object | None:
        if captions is None:
            return None
        cues = [cue for cue in captions.cues if _meets(cue.start_us, cue.end_us, window)]
        return [cues, captions.style] if cues else None


def _touches(shown: Overlay, window: tuple[int, int]) -> bool:
    return _meets(shown.start_us, shown.end_us, window)


def _meets(start_us: int, end_us: int | None, window: tuple[int, int]) -> bool:
    return start_us < window[1] and (end_us is None or end_us > window[0])


def _renamed(item: Struct, sha256: dict[str, str]) -> dict[str, Any]:
    """Return the item as plain data, with its source's content in the place of its source's name."""
    fields: dict[str, Any] = msgspec.to_builtins(item)
    if "source" in fields:
        fields["source"] = sha256[fields["source"]]
    return fields


def _as_read(plan: Plan) -> Plan:
    """Return the plan as it is after travelling: a whole number where a share belongs is then a float."""
    return msgspec.json.decode(msgspec.json.encode(plan), type=Plan)


def _digest(seen: object) -> str:
    return hashlib.sha256(msgspec.json.encode(seen, order="sorted")).hexdigest()
