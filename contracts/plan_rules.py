"""What follows from a plan: lengths, starts, the files it names; and what its types alone cannot check."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction

from contracts.errors import Reject
from contracts.plan import (
    FLASH_STRENGTH_MIN,
    MAX_DURATION_US,
    MAX_FLASHES_PER_S,
    Clip,
    Cue,
    FillCrop,
    Flash,
    Grade,
    Grid,
    Image,
    Inset,
    Interrupt,
    Layout,
    Pane,
    Plan,
    Shown,
    Split,
    Windowed,
)

__all__ = [
    "check",
    "clip_duration_us",
    "duration_us",
    "overlap_us",
    "pace",
    "panes_of",
    "ramp_of",
    "references",
    "starts_us",
]

# Lengths --------------------------------------------------------------------------------------------


def pace(speed: float) -> Fraction:
    """Return output time per source time, exactly: speeds count to 1/1000."""
    return 1 / Fraction(round(speed * 1000), 1000)


def ramp_of(clip: Clip) -> tuple[tuple[int, Fraction], ...]:
    """Return (source time, pace) from the clip's start to its end; between two, pace is linear in source time."""
    if not clip.ramp:
        return (clip.start_us, pace(clip.speed)), (clip.end_us, pace(clip.speed))
    points = [(point.at_us, pace(point.speed)) for point in clip.ramp]
    inner = [point for point in points if clip.start_us < point[0] < clip.end_us]
    return (
        (clip.start_us, _pace_at(points, clip.start_us)),
        *inner,
        (clip.end_us, _pace_at(points, clip.end_us)),
    )


def _pace_at(points: list[tuple[int, Fraction]], at_us: int) -> Fraction:
    if at_us <= points[0][0]:
        return points[0][1]
    for (left_us, left), (right_us, right) in itertools.pairwise(points):
        if at_us <= right_us:
            return left + (right - left) * Fraction(at_us - left_us, right_us - left_us)
    return points[-1][1]


def clip_duration_us(clip: Clip) -> int:
    """Return how long a clip is shown, output time: the integral of its pace, to the nearest microsecond."""
    ramp = ramp_of(clip)
    total = sum(
        ((right_us - left_us) * (left + right) / 2 for (left_us, left), (right_us, right) in itertools.pairwise(ramp)),
        Fraction(0),
    )
    return max(1, round(total))


def overlap_us(clip: Clip) -> int:
    """Return how much of a clip's beginning the clip before it shares."""
    return clip.transition.duration_us if clip.transition else 0


def duration_us(plan: Plan) -> int:
    """Return the length of the output in microseconds."""
    return sum(clip_duration_us(clip) for clip in plan.clips) - sum(overlap_us(clip) for clip in plan.clips)


# Checks ---------------------------------------------------------------------------------------------


def starts_us(interrupt: Interrupt, total_us: int, seed: int) -> tuple[int, ...]:
    """Return when an interrupt starts within an output of `total_us`; jitter is drawn by the seed."""
    if interrupt.beats_us:
        return tuple(at for at in interrupt.beats_us if at < total_us)
    found = range(interrupt.first_us, total_us, interrupt.every_us)
    if not interrupt.jitter_us:
        return tuple(found)
    kind = type(interrupt).__name__
    return tuple(at + _drawn(f"{seed}:{kind}:{at}", interrupt.jitter_us) for at in found)


def _drawn(name: str, limit: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (limit + 1)


def check(plan: Plan) -> None:
    """Check what types alone cannot. Raises: Reject, naming the element."""
    known = [source.id for source in plan.sources]
    if len(set(known)) != len(known):
        raise Reject("sources: two sources share an id", mend="give each source its own id")
    for where, name in references(plan):
        if name not in known:
            raise Reject(f"{where}: there is no source '{name}'", mend=f"known: {', '.join(known)}")
    for at, clip in enumerate(plan.clips):
        _check_clip(plan, at, clip)
    total_us = duration_us(plan)
    if total_us > MAX_DURATION_US:
        raise Reject(f"clips: {total_us / 1e6:.0f} s is longer than 12 hours", mend="shorten the clips")
    _check_effects(plan, total_us)
    for at, shown in enumerate(plan.overlays):
        _check_window(f"overlays[{at}]", shown)
    if plan.captions is not None:
        _check_cues(plan.captions.cues)
    safe = plan.output.safe
    if safe.top + safe.bottom > 0.8 or safe.left + safe.right > 0.8:
        raise Reject("output.safe: the margins leave less than a fifth of the frame", mend="make them smaller")
    rate = plan.output.fps
    if not 1 <= rate.num / rate.den <= 240:
        raise Reject(f"output.fps: {rate.num}/{rate.den} is not between 1 and 240")


def references(plan: Plan) -> list[tuple[str, str]]:
    """Return every place that names a source, and the name."""
    found: list[tuple[str, str]] = []
    for at, clip in enumerate(plan.clips):
        found.append((f"clips[{at}].source", clip.source))
        panes = panes_of(clip.layout)
        where = f"clips[{at}].layout.pane" + ("s" if isinstance(clip.layout, Grid) else "")
        found += [
            (f"{where}[{n}].source" if where.endswith("s") else f"{where}.source", p.source)
            for n, p in enumerate(panes)
        ]
    found += [(f"audio[{at}].source", track.source) for at, track in enumerate(plan.audio)]
    for at, effect in enumerate(plan.effects):
        if isinstance(effect, Grade) and effect.table is not None:
            found.append((f"effects[{at}].table.source", effect.table.source))
    found += [
        (f"overlays[{at}].source", shown.source) for at, shown in enumerate(plan.overlays) if isinstance(shown, Image)
    ]
    return found


def panes_of(layout: Layout) -> tuple[Pane, ...]:
    """Return the pictures that a layout shows beside the clip's own."""
    match layout:
        case Split(pane=pane) | Inset(pane=pane):
            return (pane,)
        case Grid(panes=panes):
            return panes
        case _:
            return ()


def _check_clip(plan: Plan, at: int, clip: Clip) -> None:
    where = f"clips[{at}]"
    if clip.end_us <= clip.start_us:
        raise Reject(f"{where}: end_us {clip.end_us} is not after start_us {clip.start_us}")
    _rising(f"{where}.ramp", [point.at_us for point in clip.ramp])
    if isinstance(clip.layout, FillCrop):
        _rising(f"{where}.layout.path", [point.at_us for point in clip.layout.path])
    if clip.transition is None:
        return
    if at == 0:
        raise Reject(f"{where}.transition: there is no clip before the first", mend="leave it out")
    length_us = clip.transition.duration_us
    before = plan.clips[at - 1]
    # Three pictures at once are never mixed, and a clip never ends before the one before it does.
    room_us = min(clip_duration_us(before) - overlap_us(before), clip_duration_us(clip))
    if length_us > room_us:
        raise Reject(
            f"{where}.transition: {length_us} us is longer than what the two clips have to share, {room_us} us",
            mend="shorten the transition or lengthen the clips",
        )


def _check_effects(plan: Plan, total_us: int) -> None:
    flashes: list[tuple[int, int]] = []
    for at, effect in enumerate(plan.effects):
        where = f"effects[{at}]"
        if isinstance(effect, Windowed):
            _check_window(where, effect)
            continue
        _rising(f"{where}.beats_us", list(effect.beats_us))
        if effect.jitter_us >= effect.every_us:
            raise Reject(
                f"{where}.jitter_us: {effect.jitter_us} reaches into the next interval", mend="make it smaller"
            )
        if isinstance(effect, Flash) and effect.strength >= FLASH_STRENGTH_MIN:
            flashes += [(start, at) for start in starts_us(effect, total_us, plan.seed)]
    flashes.sort()
    for (start_us, at), (later_us, _) in zip(flashes, flashes[MAX_FLASHES_PER_S:], strict=False):
        if later_us - start_us < 1_000_000:
            raise Reject(
                f"effects[{at}]: more than three flashes in the second from {start_us / 1e6:.3f} s",
                mend="at most three a second: more can cause seizures (WCAG 2.2, 2.3.1)",
            )


def _check_window(where: str, item: Windowed | Shown) -> None:
    if item.end_us is not None and item.end_us <= item.start_us:
        raise Reject(f"{where}: end_us {item.end_us} is not after start_us {item.start_us}")


def _check_cues(cues: tuple[Cue, ...]) -> None:
    last_us = 0
    for at, cue in enumerate(cues):
        if cue.end_us <= cue.start_us:
            raise Reject(f"captions.cues[{at}]: end_us {cue.end_us} is not after start_us {cue.start_us}")
        if cue.start_us < last_us:
            raise Reject(f"captions.cues[{at}]: starts before the cue before it", mend="sort the cues by start_us")
        last_us = cue.start_us


def _rising(where: str, moments_us: list[int]) -> None:
    for at, (earlier, later) in enumerate(itertools.pairwise(moments_us)):
        if later <= earlier:
            raise Reject(
                f"{where}[{at + 1}]: {later} is not after the one before it, {earlier}", mend="sort them by time"
            )
