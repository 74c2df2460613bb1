"""What effects do when, and how frames and samples are counted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.renderer.draw.effects import ease, moment
from actors.renderer.timeline import frame_count, frame_time_us, samples_of_frames, spans
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import Clip, Flash, Mirror, Plan, PlanSource, PunchIn, Zoom
from contracts.rights import RightsRecord

TOTAL_US = 10_000_000


def test_zoom_starts_and_ends_slowly() -> None:
    """The zoom jerks at its ends."""
    scales = [
        moment((Zoom(start_scale=1.0, end_scale=1.2),), at, TOTAL_US).scale for at in range(0, TOTAL_US + 1, 10_000)
    ]
    assert (scales[0], scales[-1]) == pytest.approx((1.0, 1.2))
    steps = [later - earlier for earlier, later in itertools.pairwise(scales)]
    assert max(steps) == pytest.approx(steps[len(steps) // 2], rel=0.01)
    assert steps[0] < max(steps) / 100
    assert min(steps) >= 0


def test_ease_stays_within_its_ends() -> None:
    """A moment past the end magnifies without limit."""
    assert (ease(-1), ease(0), ease(0.5), ease(1), ease(7)) == (0, 0, 0.5, 1, 1)


def test_punch_in_and_flash_last_as_long_as_planned() -> None:
    """Interrupts come at the wrong moment, stay on, or never come."""
    effects = (PunchIn(), Flash(strength=0.6))
    assert moment(effects, 2_999_999, TOTAL_US) == (1.0, False, 0.0)
    assert tuple(moment(effects, 3_000_000, TOTAL_US)) == pytest.approx((1.15, False, 0.6))
    assert tuple(moment(effects, 3_100_000, TOTAL_US)) == pytest.approx((1.15, False, 0.3))
    assert moment(effects, 3_200_000, TOTAL_US) == (1.0, False, 0.0)
    assert moment(effects, 6_000_000, TOTAL_US).scale == 1.15


def test_effects_add_up() -> None:
    """Of two effects at once only one is seen."""
    both = moment((Mirror(), Zoom(start_scale=2.0, end_scale=2.0), PunchIn(first_us=0, scale=1.5)), 0, TOTAL_US)
    assert both == (3.0, True, 0.0)
    assert not moment((Mirror(), Mirror()), 0, TOTAL_US).mirrored


def planned(*lengths_us: int, fps: Rational) -> Plan:
    plan = Plan(
        sources=(PlanSource(id="s", key=ObjectKey("k"), sha256="", rights=RightsRecord(licence="CC0-1.0")),),
        clips=tuple(Clip(source="s", start_us=0, end_us=length) for length in lengths_us),
    )
    return replace(plan, output=replace(plan.output, fps=fps))


@given(
    st.lists(st.integers(1, 5_000_000), min_size=1, max_size=6),
    st.sampled_from([Rational(30), Rational(24), Rational(30000, 1001), Rational(60000, 1001), Rational(1)]),
)
def test_every_frame_belongs_to_exactly_one_clip(lengths_us: list[int], fps: Rational) -> None:
    """Frames are missing or doubled where clips meet."""
    plan = planned(*lengths_us, fps=fps)
    laid = spans(plan)
    assert laid[0].first_frame == 0
    assert laid[-1].end_frame == frame_count(sum(lengths_us), fps)
    for before, after in itertools.pairwise(laid):
        assert before.end_frame == after.first_frame
    for span in laid[:-1]:
        for at_us in span.wanted_us(fps):
            assert -1 <= at_us < span.clip.end_us


def test_counts_are_exact_over_hours() -> None:
    """Sound drifts away from the picture in long videos."""
    ntsc = Rational(30000, 1001)
    frames = frame_count(12 * 3600 * 1_000_000, ntsc)
    assert frames == 1_294_705
    assert samples_of_frames(30_000, ntsc) == 1001 * 48_000
    assert frame_time_us(30_000, ntsc) == 1001 * 1_000_000
