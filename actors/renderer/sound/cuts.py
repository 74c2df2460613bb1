"""Where each sound of a plan lies in the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from actors.renderer.sound.envelope import Fade
from actors.renderer.timeline import SAMPLE_RATE_HZ, sample_at, spans
from contracts.plan import Clip, Plan
from contracts.plan_rules import pace, ramp_of

__all__ = ["DECLICK", "Cut", "cuts", "paced"]

DECLICK: Final = SAMPLE_RATE_HZ * 2 // 1000
"""Fade on each side of a cut between moments that do not follow each other."""


class Cut(Struct, frozen=True, kw_only=True):
    """A stretch of one source at its place in the output. Ends are output samples.

    clip: what it follows, None for voice and music; track: its number in the plan; source_us: where it begins.
    """

    source: str
    track: int
    clip: Clip | None
    source_us: int
    start: int
    end: int
    fades: tuple[Fade, ...] = ()


def cuts(plan: Plan, total: int) -> tuple[Cut, ...]:
    """Lay the sounds of a plan out over `total` samples, in order of their start; fades are those at joints."""
    found: list[Cut] = []
    for number, track in enumerate(plan.audio):
        if track.role == "clips":
            found += _clip_cuts(plan, number, total)
        else:
            start = sample_at(track.at_us)
            found.append(
                Cut(source=track.source, track=number, clip=None, source_us=track.start_us, start=start, end=total)
            )
    return tuple(sorted((cut for cut in found if cut.start < cut.end), key=lambda cut: cut.start))


def _clip_cuts(plan: Plan, number: int, total: int) -> Iterator[Cut]:
    laid = spans(plan)
    for at, span in enumerate(laid):
        clip = span.clip
        if clip.source != plan.audio[number].source:
            continue
        start = sample_at(span.out_start_us)
        end = total if at == len(laid) - 1 else min(total, sample_at(span.out_end_us))
        fades: tuple[Fade, ...] = ()
        if at > 0:
            fades += _joint(laid[at - 1].clip, clip, start, sample_at(laid[at - 1].out_end_us), rising=True)
        if at < len(laid) - 1:
            fades += _joint(clip, laid[at + 1].clip, sample_at(laid[at + 1].out_start_us), end, rising=False)
        yield Cut(
            source=clip.source, track=number, clip=clip, source_us=clip.start_us, start=start, end=end, fades=fades
        )


def _joint(before: Clip, after: Clip, start: int, end: int, *, rising: bool) -> tuple[Fade, ...]:
    """Return how one side of a joint fades over what the two clips share, [start, end)."""
    if start < end:
        return (Fade(start, end, rising=rising, equal_power=True),)
    if before.source == after.source and before.end_us == after.start_us and not paced(before) and not paced(after):
        return ()  # the sound goes on
    return (Fade(start, start + DECLICK, rising=True) if rising else Fade(end - DECLICK, end, rising=False),)


def paced(clip: Clip) -> bool:
    """Return whether the clip plays at another speed than its own."""
    return any(out != pace(1.0) for _, out in ramp_of(clip))
