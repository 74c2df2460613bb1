"""What effects do when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.renderer.draw.effects import GLITCHES_PER_S, Moment, drawn, ease, moment
from contracts.plan import (
    ColourPop,
    Effect,
    Flash,
    Glitch,
    Glow,
    Grade,
    Grain,
    Interrupt,
    Mirror,
    Monochrome,
    PunchIn,
    Shake,
    Sharpen,
    Vignette,
    Zoom,
)

TOTAL_US = 10_000_000
STILL = Moment()


def at(t_us: int, *effects: Effect, seed: int = 0) -> Moment:
    return moment(effects, t_us, TOTAL_US, seed)


def test_zoom_starts_and_ends_slowly() -> None:
    """The zoom jerks at its ends."""
    scales = [at(t_us, Zoom(start_scale=1.0, end_scale=1.2)).scale for t_us in range(0, TOTAL_US + 1, 10_000)]
    assert (scales[0], scales[-1]) == pytest.approx((1.0, 1.2))
    steps = [later - earlier for earlier, later in itertools.pairwise(scales)]
    assert max(steps) == pytest.approx(steps[len(steps) // 2], rel=0.01)
    assert steps[0] < max(steps) / 100
    assert min(steps) >= 0


def test_a_zoom_holds_before_and_after_its_window() -> None:
    """The picture jumps back where the zoom's window ends."""
    zoom = Zoom(start_us=2_000_000, end_us=4_000_000, start_scale=1.5, end_scale=2.0)
    assert [at(t_us, zoom).scale for t_us in (0, 2_000_000, 3_000_000, 4_000_000, 9_000_000)] == pytest.approx(
        [1.5, 1.5, 1.75, 2.0, 2.0]
    )


def test_ease_stays_within_its_ends() -> None:
    """A moment past the end magnifies without limit."""
    assert (ease(-1), ease(0), ease(0.5), ease(1), ease(7)) == (0, 0, 0.5, 1, 1)


SHARES = st.floats(0, 1)


@given(SHARES, SHARES, st.floats(1, 4), st.integers(0, TOTAL_US))
def test_the_focus_of_a_zoom_stays_in_place(x: float, y: float, scale: float, t_us: int) -> None:
    """The subject drifts away while the zoom goes on."""
    seen = at(t_us, Zoom(end_scale=scale, focus_x=x, focus_y=y))
    assert (seen.x + x / seen.scale, seen.y + y / seen.scale) == pytest.approx((x, y), abs=1e-12)


@given(st.lists(st.tuples(SHARES, SHARES, st.floats(1, 4)), min_size=1, max_size=4))
def test_magnifications_add_up_and_never_leave_the_frame(parts: list[tuple[float, float, float]]) -> None:
    """Of two zooms only one is seen, or both together show what is outside of the picture."""
    seen = at(0, *(PunchIn(first_us=0, scale=scale, focus_x=x, focus_y=y) for x, y, scale in parts))
    wanted = 1.0
    for *_, scale in parts:
        wanted *= scale
    assert seen.scale == pytest.approx(wanted)
    for begins in (seen.x, seen.y):
        assert begins >= 0
        assert begins + 1 / seen.scale <= 1 + 1e-12


def test_punch_in_and_flash_last_as_long_as_planned() -> None:
    """Interrupts come at the wrong moment, stay on, or never come."""
    effects = (PunchIn(), Flash(strength=0.6))
    assert at(2_999_999, *effects) == STILL
    assert (at(3_000_000, *effects).scale, at(3_000_000, *effects).white) == pytest.approx((1.15, 0.6))
    assert (at(3_100_000, *effects).scale, at(3_100_000, *effects).white) == pytest.approx((1.15, 0.3))
    assert at(3_200_000, *effects) == STILL
    assert at(6_000_000, *effects).scale == 1.15


def test_interrupts_come_on_their_beats() -> None:
    """Beats are ignored, and the interval is used."""
    punch = PunchIn(beats_us=(500_000, 700_000, 5_000_000))
    assert [at(t_us, punch).scale for t_us in (499_999, 500_000, 700_000, 899_999, 900_000, 3_000_000)] == [
        1.0,
        1.15,
        1.15,
        1.15,
        1.0,
        1.0,
    ]


def test_two_mirrors_are_none() -> None:
    """A second mirror is lost."""
    assert at(0, Mirror()).mirrored
    assert not at(0, Mirror(), Mirror()).mirrored
    assert [at(t_us, Mirror(start_us=5, end_us=9)).mirrored for t_us in (4, 5, 8, 9)] == [False, True, True, False]


SHAKES = st.builds(
    Shake,
    first_us=st.just(0),
    duration_us=st.integers(100_000, 2_000_000),
    amplitude=st.floats(0.001, 0.1),
    frequency_hz=st.floats(1, 30),
)


@given(SHAKES, st.integers(0, 9))
def test_a_shake_keeps_to_its_room_and_calms_down(shake: Shake, seed: int) -> None:
    """A shake shows the picture's edge, or breaks off with a jolt."""
    for t_us in range(0, shake.duration_us, max(1, shake.duration_us // 50)):
        seen = at(t_us, shake, seed=seed)
        left = 1 - t_us / shake.duration_us
        assert max(abs(seen.shake_x), abs(seen.shake_y)) <= seen.room + 1e-15
        assert seen.room <= shake.amplitude * left * left + 1e-15
    assert at(shake.duration_us - 1, shake, seed=seed).room < 1e-9


def test_a_shake_swings_as_often_as_planned_and_as_the_seed_says() -> None:
    """A shake is a single jolt, or the same in every video."""
    shake = Shake(first_us=0, every_us=5_000_000, duration_us=1_000_000, frequency_hz=10, amplitude=0.05)
    ways = [at(t_us, shake).shake_x for t_us in range(0, 1_000_000, 1_000)]
    steps = [later - here for here, later in itertools.pairwise(ways)]
    turns = sum(before * after < 0 for before, after in itertools.pairwise(steps))
    assert 18 <= turns <= 20
    assert max(abs(way) for way in ways) > 0.02
    assert ways != [at(t_us, shake, seed=1).shake_x for t_us in range(0, 1_000_000, 1_000)]
    assert ways != [at(5_000_000 + t_us, shake).shake_x for t_us in range(0, 1_000_000, 1_000)]


def test_a_shake_moves_smoothly() -> None:
    """The picture jumps instead of trembling: its speed has no bound."""
    shake = Shake(first_us=0, duration_us=1_000_000, frequency_hz=10, amplitude=0.05)
    ways = [at(t_us, shake).shake_y for t_us in range(0, 1_000_000, 1_000)]
    # 1.5 is the steepest of ease; a swing goes at most from -1 to 1 of the amplitude in 50 ms.
    assert max(abs(later - here) for here, later in itertools.pairwise(ways)) <= 0.05 * 2 * 1.5 / 50 + 0.05 * 2 / 1000


def test_a_colour_pop_fades_to_nothing() -> None:
    """Colours stay too strong, or end with a jump."""
    pop = ColourPop(saturation=2.0, duration_us=1_000_000)
    shown = [at(t_us, pop).grades for t_us in (3_000_000, 3_500_000, 3_999_999, 4_000_000)]
    assert shown == [(Grade(saturation=2.0),), (Grade(saturation=1.5),), (), ()]
    found = {
        grade.saturation
        for t_us in range(3_000_000, 4_000_000, 777)
        for grade in at(t_us, pop).grades
        if isinstance(grade, Grade)
    }
    assert len(found) <= 64
    assert all(saturation * 64 == int(saturation * 64) for saturation in found)


def test_a_glitch_is_drawn_anew_twelve_times_a_second() -> None:
    """A glitch is a still, or a flicker in every frame."""
    glitch = Glitch(first_us=0, duration_us=1_000_000, every_us=2_000_000)
    states = [(seen.split, seen.bands) for t_us in range(0, 1_000_000, 1_000) for seen in (at(t_us, glitch),)]
    assert len(set(states)) == GLITCHES_PER_S == 12
    assert sum(here != later for here, later in itertools.pairwise(states)) == 11
    assert states[0] != (at(2_000_000, glitch).split, at(2_000_000, glitch).bands)
    assert states[0] != (at(0, glitch, seed=1).split, at(0, glitch, seed=1).bands)


@given(
    st.builds(
        Glitch,
        first_us=st.just(0),
        split=st.floats(0, 0.1),
        shift=st.floats(0, 0.5),
        bands=st.integers(0, 16),
    ),
    st.integers(0, 1000),
)
def test_bands_of_a_glitch_keep_to_the_plan_and_do_not_overlap(glitch: Glitch, seed: int) -> None:
    """Bands jump farther than planned, lie over each other, or outside of the frame."""
    seen = at(0, glitch, seed=seed)
    assert abs(seen.split) <= glitch.split
    assert len(seen.bands) == glitch.bands
    edges = [edge for band in seen.bands for edge in (band.top, band.bottom)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= 1 + 1e-12 for edge in edges)
    assert all(abs(band.shift) <= glitch.shift for band in seen.bands)


def test_lasting_effects_keep_to_their_window_and_order() -> None:
    """A grade stays on after its end, or two are applied in the wrong order."""
    grade, mono = Grade(exposure=1.0, start_us=10), Monochrome(end_us=20)
    assert at(9, grade, mono).grades == (mono,)
    assert at(15, mono, grade, ColourPop(first_us=0, duration_us=1 << 40)).grades[:2] == (mono, grade)
    assert at(20, grade, mono).grades == (grade,)
    steps = (Sharpen(end_us=5), Glow(end_us=5), Vignette(end_us=5), Grain(end_us=5))
    inside = at(4, *steps)
    assert (inside.sharpen, inside.glow, inside.vignette, inside.grain) == steps
    assert at(5, *steps) == STILL


@pytest.mark.parametrize("kind", [PunchIn, Flash, Shake, ColourPop, Glitch])
def test_every_interrupt_is_over_after_its_length(kind: type[Interrupt]) -> None:
    """An interrupt leaves a trace for the rest of the video."""
    effect: Effect = kind(first_us=100_000, every_us=1_000_000, duration_us=200_000)  # type: ignore[assignment]
    for t_us in (0, 99_999, 300_000, 1_099_999, 1_300_000):
        assert at(t_us, effect) == STILL
    assert at(160_000, effect) != STILL


@given(st.text())
def test_drawn_numbers_are_shares(name: str) -> None:
    """An effect goes beyond its limit."""
    assert 0 <= drawn(name) < 1
