"""Exact arithmetic between frames, samples and microseconds. No floating point.

Frame `n` is shown from `n / fps`; it belongs to the clip that holds that moment of output time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from contracts.media import Rational
from contracts.plan import Clip, Plan, duration_us

__all__ = ["SAMPLE_RATE_HZ", "Span", "frame_count", "frame_time_us", "sample_at", "samples_of_frames", "spans"]

SAMPLE_RATE_HZ: Final = 48_000
_US: Final = 1_000_000


class Span(Struct, frozen=True, kw_only=True):
    """A clip on the output's time line. Frames: first_frame <= n < end_frame."""

    clip: Clip
    out_start_us: int
    out_end_us: int
    first_frame: int
    end_frame: int

    def wanted_us(self, fps: Rational) -> Iterator[int]:
        """Yield the source time that each frame shows, from the source's first frame, microseconds."""
        for frame in range(self.first_frame, self.end_frame):
            yield self.clip.start_us + frame_time_us(frame, fps) - self.out_start_us


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
    """Lay the clips out. Together they hold every frame exactly once; a clip shorter than a frame may hold none."""
    fps = plan.output.fps
    total = frame_count(duration_us(plan), fps)
    laid: list[Span] = []
    start_us = first = 0
    for clip in plan.clips:
        end_us = start_us + clip.end_us - clip.start_us
        end = min(total, -(-end_us * fps.num // (fps.den * _US)))
        laid.append(Span(clip=clip, out_start_us=start_us, out_end_us=end_us, first_frame=first, end_frame=end))
        start_us, first = end_us, end
    return tuple(laid)
