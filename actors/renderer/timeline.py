"""Exact arithmetic between frames, samples and microseconds. No floating point.

Frame `n` is shown from `n / fps`; it belongs to the clip that holds that moment of output time, and in a transition
to two. A clip's speed ramp is a quadratic from source to output time in each of its pieces; it is solved in integers.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from contracts.media import Rational
from contracts.plan import Clip, Freeze, Interrupt, Plan
from contracts.plan_rules import clip_duration_us, duration_us, overlap_us, panes_of, ramp_of, starts_us

__all__ = [
    "SAMPLE_RATE_HZ",
    "Piece",
    "Span",
    "Strip",
    "frame_count",
    "frame_time_us",
    "held_us",
    "sample_at",
    "samples_of_frames",
    "source_time_us",
    "spans",
    "started_us",
    "strip_time_us",
    "strips",
    "wanted_us",
]

SAMPLE_RATE_HZ: Final = 48_000
_US: Final = 1_000_000


class Piece(NamedTuple):
    """A stretch of a clip in which its pace changes evenly with source time.

    Source time `source_us + x` is reached at output time t, both from the clip's start, when
    square x² + linear x + constant <= unit t. begins_us: the first such t.
    """

    source_us: int
    length_us: int
    begins_us: Fraction
    square: int
    linear: int
    constant: int
    unit: int

    def reached_us(self, t_us: int) -> int:
        """Return the last source time, from the source's first frame, that is reached at t_us."""
        room = self.unit * t_us - self.constant
        root = self.linear**2 + 4 * self.square * room
        if self.square == 0:
            far = room // self.linear
        elif self.square > 0:
            far = (math.isqrt(root) - self.linear) // (2 * self.square)
        else:
            ceiling = math.isqrt(root - 1) + 1 if root > 0 else 0
            far = (self.linear - ceiling) // (-2 * self.square)
        return self.source_us + min(max(far, 0), self.length_us)


class Span(Struct, frozen=True, kw_only=True):
    """A clip on the output's time line. Frames in which any of it is seen: first_frame <= n < end_frame."""

    clip: Clip
    index: int
    out_start_us: int
    out_end_us: int
    first_frame: int
    end_frame: int
    pieces: tuple[Piece, ...]


class Strip(Struct, frozen=True, kw_only=True):
    """One thing to read: the picture of a clip, or of a pane of its layout.

    clip: index of the clip; pane: 0 the clip's own, 1.. the layout's panes.
    """

    clip: int
    pane: int
    source: str


def frame_time_us(frame: int, fps: Rational) -> int:
    """Return when the frame begins, rounded down to a microsecond."""
    return frame * fps.den * _US // fps.num


def frame_count(total_us: int, fps: Rational) -> int:
    """Return the number of frames nearest to the length, at least one."""
    return max(1, (2 * total_us * fps.num + fps.den * _US) // (2 * fps.den * _US))


def samples_of_frames(frames: int, fps: Rational) -> int:
    """Return the number of audio samples that last as long as the frames, rounded to the nearest."""
    return (2 * frames * fps.den * SAMPLE_RATE_HZ + fps.num) // (2 * fps.num)


def sample_at(time_us: int) -> int:
    """Return the audio sample nearest to the time."""
    return (2 * time_us * SAMPLE_RATE_HZ + _US) // (2 * _US)


def spans(plan: Plan) -> tuple[Span, ...]:
    """Lay the clips out. Every frame is in one span, in a transition in two; a clip shorter than a frame may have none.

    The plan is checked: no three clips are ever seen at once.
    """
    fps = plan.output.fps
    total = frame_count(duration_us(plan), fps)
    laid: list[Span] = []
    end_us = 0
    for index, clip in enumerate(plan.clips):
        start_us = end_us - overlap_us(clip)
        end_us = start_us + clip_duration_us(clip)
        first, end = (min(total, -(-at_us * fps.num // (fps.den * _US))) for at_us in (start_us, end_us))
        laid.append(
            Span(
                clip=clip,
                index=index,
                out_start_us=start_us,
                out_end_us=end_us,
                first_frame=first,
                end_frame=end,
                pieces=_pieces(clip),
            )
        )
    return tuple(laid)


def _pieces(clip: Clip) -> tuple[Piece, ...]:
    found: list[Piece] = []
    begins_us = Fraction(0)
    for (left_us, left), (right_us, right) in itertools.pairwise(ramp_of(clip)):
        length_us = right_us - left_us
        square = (right - left) / (2 * length_us)
        unit = math.lcm(square.denominator, left.denominator, begins_us.denominator)
        found.append(
            Piece(left_us, length_us, begins_us, int(square * unit), int(left * unit), int(begins_us * unit), unit)
        )
        begins_us += length_us * (left + right) / 2
    return tuple(found)


def source_time_us(span: Span, t_us: int, plan: Plan) -> int:
    """Return the moment of the clip's source, from its first frame, that is seen at output time t_us.

    It never goes back; it stands still in a freeze and is held at the clip's ends.
    """
    held = held_us(plan, t_us) if any(isinstance(effect, Freeze) for effect in plan.effects) else t_us
    since_us = held - span.out_start_us
    if since_us <= 0:
        return span.clip.start_us
    if held >= span.out_end_us:
        return span.clip.end_us
    pieces = span.pieces
    piece = pieces[0] if len(pieces) == 1 else pieces[bisect_right(pieces, Fraction(since_us), key=_begins_us) - 1]
    return piece.reached_us(since_us)


def _begins_us(piece: Piece) -> Fraction:
    return piece.begins_us


def strips(span: Span) -> tuple[Strip, ...]:
    """Return what must be read for a clip: its own picture first, then its layout's panes."""
    sources = (span.clip.source, *(pane.source for pane in panes_of(span.clip.layout)))
    return tuple(Strip(clip=span.index, pane=pane, source=source) for pane, source in enumerate(sources))


def strip_time_us(span: Span, strip: Strip, t_us: int, plan: Plan) -> int:
    """Return the moment of the strip's source that is seen at output time t_us: panes play at the clip's speed."""
    at_us = source_time_us(span, t_us, plan)
    if strip.pane == 0:
        return at_us
    return panes_of(span.clip.layout)[strip.pane - 1].start_us + at_us - span.clip.start_us


def wanted_us(span: Span, strip: Strip, frames: range, plan: Plan) -> Iterator[int]:
    """Yield the moment of the strip's source that each of these frames shows. They are frames of the span."""
    for frame in frames:
        yield strip_time_us(span, strip, frame_time_us(frame, plan.output.fps), plan)


def started_us(interrupt: Interrupt, t_us: int, seed: int) -> int | None:
    """Return the newest start of an interrupt that is not after t_us; None: it has not come yet."""
    if interrupt.beats_us:
        beat = bisect_right(interrupt.beats_us, t_us)
        return interrupt.beats_us[beat - 1] if beat else None
    past = (t_us - interrupt.first_us) // interrupt.every_us
    if past < 0:
        return None
    # A start that is put off keeps to its interval, so that the newest is of this one or of the one before.
    earlier_us = interrupt.first_us + max(0, past - 1) * interrupt.every_us
    recent = starts_us(replace(interrupt, first_us=earlier_us), t_us + 1, seed)
    return max((start for start in recent if start <= t_us), default=None)


def held_us(plan: Plan, t_us: int) -> int:
    """Return the output time whose picture is seen at t_us: in a freeze, that of the newest start of any freeze."""
    newest_us, frozen = 0, False
    for effect in plan.effects:
        if isinstance(effect, Freeze) and (start_us := started_us(effect, t_us, plan.seed)) is not None:
            newest_us = max(newest_us, start_us)
            frozen = frozen or t_us - start_us < effect.duration_us
    return newest_us if frozen else t_us
