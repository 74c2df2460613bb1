"""Which moment of which source each output frame shows, and how frames and samples are counted."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.renderer.timeline import (
    Strip,
    frame_count,
    frame_time_us,
    held_us,
    sample_at,
    samples_of_frames,
    source_time_us,
    spans,
    started_us,
    strip_time_us,
    strips,
    wanted_us,
)
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import Clip, Freeze, Glitch, Grid, Output, Pane, Plan, PlanSource, SpeedPoint, Transition
from contracts.plan_rules import check, clip_duration_us, duration_us, overlap_us, ramp_of, starts_us
from tests.renderer_media import RIGHTS

RATES = st.sampled_from([Rational(30), Rational(24), Rational(30000, 1001), Rational(60000, 1001), Rational(1)])


FPS = Rational(30)


def planned(*clips: Clip, fps: Rational = FPS, **fields: Any) -> Plan:
    source = PlanSource(id="s", key=ObjectKey("k"), sha256="", rights=RIGHTS)
    return Plan(sources=(source,), clips=clips, output=Output(fps=fps), **fields)


def clip(length_us: int = 2_000_000, start_us: int = 0, **fields: Any) -> Clip:
    return Clip(source="s", start_us=start_us, end_us=start_us + length_us, **fields)


@st.composite
def ramped(draw: st.DrawFn) -> Clip:
    """A clip of any speed or ramp."""
    start_us = draw(st.integers(0, 5_000_000))
    length_us = draw(st.integers(1, 10_000_000))
    speeds = st.integers(100, 10_000).map(lambda thousandths: thousandths / 1000)
    times = draw(st.lists(st.integers(0, 16_000_000), max_size=5, unique=True).map(sorted))
    points = tuple(SpeedPoint(at_us=at, speed=draw(speeds)) for at in times)
    return clip(length_us, start_us, speed=draw(speeds), ramp=points)


@st.composite
def mixed(draw: st.DrawFn) -> tuple[Clip, ...]:
    """Clips, some of them with the longest transition that they may have."""
    found: list[Clip] = []
    for length_us in draw(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=5)):
        change = None
        room_us = min(clip_duration_us(found[-1]) - overlap_us(found[-1]), length_us, 5_000_000) if found else 0
        if room_us >= 40_000 and draw(st.booleans()):
            change = Transition(duration_us=draw(st.integers(40_000, room_us)))
        found.append(clip(length_us, transition=change))
    return tuple(found)


def test_counts_are_exact_over_hours() -> None:
    """Sound drifts away from the picture in long videos."""
    ntsc = Rational(30000, 1001)
    frames = frame_count(12 * 3600 * 1_000_000, ntsc)
    assert frames == 1_294_705
    assert samples_of_frames(30_000, ntsc) == 1001 * 48_000
    assert frame_time_us(30_000, ntsc) == 1001 * 1_000_000
    assert sample_at(12 * 3600 * 1_000_000) == 12 * 3600 * 48_000


@given(mixed(), RATES)
def test_every_frame_belongs_to_one_clip_and_in_a_transition_to_two(clips: tuple[Clip, ...], fps: Rational) -> None:
    """Frames are missing where clips meet, or three clips are seen at once."""
    plan = planned(*clips, fps=fps)
    check(plan)
    laid = spans(plan)
    total = frame_count(duration_us(plan), fps)
    assert (laid[0].first_frame, laid[-1].end_frame) == (0, total)
    assert laid[-1].out_end_us == duration_us(plan)
    for frame in range(total):
        seen = [span for span in laid if span.first_frame <= frame < span.end_frame]
        at_us = Fraction(frame * fps.den * 1_000_000, fps.num)
        assert seen == [span for span in laid if span.out_start_us <= at_us < span.out_end_us]
        assert len(seen) == 1 or (len(seen) == 2 and seen[1].clip.transition)


@given(mixed(), RATES)
def test_clips_at_their_own_speed_show_each_moment_when_it_comes(clips: tuple[Clip, ...], fps: Rational) -> None:
    """Plain plans are a microsecond off, and show the frame before the one that they should."""
    plan = planned(*clips, fps=fps)
    for span in spans(plan):
        for frame in range(span.first_frame, span.end_frame):
            at_us = frame_time_us(frame, fps)
            assert source_time_us(span, at_us, plan) == span.clip.start_us + at_us - span.out_start_us


def passed_us(clip: Clip, source_us: int) -> Fraction:
    """Integrate a clip's pace from its start to a moment of its source, by its definition."""
    total = Fraction(0)
    for (left_us, left), (right_us, right) in itertools.pairwise(ramp_of(clip)):
        end_us = min(max(source_us, left_us), right_us)
        there = left + (right - left) * Fraction(end_us - left_us, right_us - left_us)
        total += (end_us - left_us) * (left + there) / 2
    return total


@given(ramped(), st.lists(st.integers(0, 1 << 40), min_size=1, max_size=20))
def test_a_ramp_shows_the_last_moment_that_its_integral_has_reached(clip: Clip, draws: list[int]) -> None:
    """Ramps jump at their points, go back in time, or depend on a processor's rounding."""
    plan = planned(clip)
    (span,) = spans(plan)
    length_us = clip_duration_us(clip)
    assert span.out_end_us == length_us
    shown = []
    for t_us in sorted(draw % (length_us + 1) for draw in draws):
        at_us = source_time_us(span, t_us, plan)
        shown.append(at_us)
        assert clip.start_us <= at_us <= clip.end_us
        if t_us < length_us:
            assert passed_us(clip, at_us) <= t_us
            assert at_us == clip.end_us or passed_us(clip, at_us + 1) > t_us
    assert shown == sorted(shown)


ROUND_SPEEDS = st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])


@given(st.integers(1, 100), ROUND_SPEEDS, ROUND_SPEEDS)
def test_a_ramp_is_exact_where_its_integral_is_a_whole_microsecond(length_us: int, first: float, last: float) -> None:
    """Square roots of whole numbers are rounded the wrong way, and frames come one early or late."""
    ramp = (SpeedPoint(at_us=0, speed=first), SpeedPoint(at_us=length_us, speed=last))
    plan = planned(clip(length_us, ramp=ramp))
    (span,) = spans(plan)
    reached = [passed_us(span.clip, at_us) for at_us in range(length_us + 1)]
    for t_us in range(span.out_end_us):
        assert source_time_us(span, t_us, plan) == max(at for at, passed in enumerate(reached) if passed <= t_us)


@given(ramped())
def test_a_ramp_is_exact_at_its_ends(clip: Clip) -> None:
    """The first or last frames of a fast or slow clip are not those that the plan names."""
    plan = planned(clip)
    (span,) = spans(plan)
    assert source_time_us(span, 0, plan) == clip.start_us
    assert source_time_us(span, span.out_end_us, plan) == clip.end_us
    assert abs(passed_us(clip, clip.end_us) - span.out_end_us) <= Fraction(1, 2) or span.out_end_us == 1


def test_speed_is_what_the_plan_says() -> None:
    """Double speed takes the same time."""
    plan = planned(clip(4_000_000, 1_000_000, speed=2.0), clip(1_000_000, speed=0.5))
    fast, slow = spans(plan)
    assert (fast.out_end_us, slow.out_start_us, slow.out_end_us) == (2_000_000, 2_000_000, 4_000_000)
    assert source_time_us(fast, 500_000, plan) == 2_000_000
    assert source_time_us(slow, 3_000_000, plan) == 500_000


def test_a_ramp_from_slow_to_fast_takes_the_mean_of_its_paces() -> None:
    """A ramp is as long as if its speed, not its pace, were averaged."""
    ramp = (SpeedPoint(at_us=0, speed=0.5), SpeedPoint(at_us=1_000_000, speed=2.0))
    plan = planned(clip(1_000_000, ramp=ramp))
    (span,) = spans(plan)
    assert span.out_end_us == 1_250_000
    # x = 2/3 solves 2 x - 0.75 x² = 1.
    assert source_time_us(span, 1_000_000, plan) == pytest.approx(666_666, abs=1)


FREEZE = Freeze(first_us=1_000_000, every_us=2_000_000, duration_us=400_000)


def test_a_freeze_stands_still_and_catches_up() -> None:
    """A freeze drops what comes after it instead of going on in time, or creeps on."""
    plan = planned(clip(6_000_000, 500_000), effects=(FREEZE,))
    (span,) = spans(plan)
    for t_us, seen_us in (
        (999_999, 1_499_999),
        (1_000_000, 1_500_000),
        (1_399_999, 1_500_000),
        (1_400_000, 1_900_000),
        (3_399_999, 3_500_000),
        (3_400_000, 3_900_000),
    ):
        assert source_time_us(span, t_us, plan) == seen_us


def test_a_freeze_over_a_cut_holds_the_first_picture_of_the_new_clip() -> None:
    """The new clip shows moments from before its start."""
    plan = planned(clip(1_100_000), clip(1_000_000, 700_000), effects=(FREEZE,))
    _, after = spans(plan)
    assert source_time_us(after, 1_200_000, plan) == 700_000
    assert source_time_us(after, 1_400_000, plan) == 1_000_000


@given(
    st.lists(
        st.builds(
            Freeze,
            first_us=st.integers(0, 2_000_000),
            every_us=st.integers(200_000, 3_000_000),
            duration_us=st.integers(1, 4_000_000),
            jitter_us=st.integers(0, 199_999),
        ),
        max_size=3,
    )
)
def test_time_never_goes_back_in_freezes(freezes: list[Freeze]) -> None:
    """Readers are asked for moments that they have passed."""
    plan = planned(clip(8_000_000), effects=tuple(freezes))
    seen = [held_us(plan, t_us) for t_us in range(0, 8_000_000, 33_333)]
    assert seen == sorted(seen)
    assert all(held <= t_us for held, t_us in zip(seen, range(0, 8_000_000, 33_333), strict=True))


@given(
    st.builds(
        Glitch,
        first_us=st.integers(0, 3_000_000),
        every_us=st.integers(200_000, 3_000_000),
        jitter_us=st.integers(0, 199_999),
        beats_us=st.lists(st.integers(0, 9_000_000), max_size=4, unique=True).map(sorted).map(tuple),
    ),
    st.integers(0, 9_000_000),
    st.integers(0, 3),
)
def test_the_newest_start_is_that_of_the_plan(glitch: Glitch, t_us: int, seed: int) -> None:
    """An effect and the lint for flashes see different starts."""
    all_of_them = [start for start in starts_us(glitch, 10_000_000, seed) if start <= t_us]
    assert started_us(glitch, t_us, seed) == (max(all_of_them) if all_of_them else None)


def test_panes_play_beside_the_clip_at_its_speed() -> None:
    """The second picture of a split runs at another speed or from another place."""
    layout = Grid(panes=(Pane(source="a", start_us=3_000_000), Pane(source="b")))
    plan = planned(clip(4_000_000, 1_000_000, speed=2.0, layout=layout), clip())
    span, after = spans(plan)
    assert strips(span) == (
        Strip(clip=0, pane=0, source="s"),
        Strip(clip=0, pane=1, source="a"),
        Strip(clip=0, pane=2, source="b"),
    )
    assert strips(after) == (Strip(clip=1, pane=0, source="s"),)
    assert [strip_time_us(span, strip, 500_000, plan) for strip in strips(span)] == [2_000_000, 4_000_000, 1_000_000]
    assert list(wanted_us(span, strips(span)[1], range(15, 17), plan)) == [4_000_000, 4_066_666]
