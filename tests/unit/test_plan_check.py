"""Render plans: what types cannot refuse, `check` refuses by the name of the element."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import plan as p
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import AudioTrack, Captions, Clip, Cue, Output, Plan, PlanSource, plan_id
from contracts.plan_rules import check, clip_duration_us, duration_us, starts_us
from contracts.rights import RightsRecord

SOURCE: Final = PlanSource(
    id="a", key=ObjectKey("sources/a.mp4"), sha256="0" * 64, rights=RightsRecord(licence="owned")
)
CLIP: Final = Clip(source="a", start_us=0, end_us=1_000_000)
GOOD: Final = Plan(sources=(SOURCE,), clips=(CLIP,), audio=(AudioTrack(source="a"),))


def cue(start_us: int, end_us: int) -> Cue:
    return Cue(start_us=start_us, end_us=end_us, text="x")


def changed(**fields: Any) -> Plan:
    return msgspec.structs.replace(GOOD, **fields)


def with_transition(length_us: int) -> Clip:
    return Clip(source="a", start_us=0, end_us=1_000_000, transition=p.Transition(duration_us=length_us))


def ramped(*points: tuple[int, float]) -> Clip:
    ramp = tuple(p.SpeedPoint(at_us=at_us, speed=speed) for at_us, speed in points)
    return Clip(source="a", start_us=0, end_us=3_000_000, ramp=ramp)


def beside(layout: p.Layout) -> Clip:
    return Clip(source="a", start_us=0, end_us=1_000_000, layout=layout)


def test_a_good_plan_passes() -> None:
    """If it fails, nothing can be rendered."""
    check(GOOD)
    check(changed(captions=Captions(cues=(cue(0, 10), cue(5, 20)))))


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (changed(sources=(SOURCE, SOURCE)), r"^sources: "),
        (changed(clips=(CLIP, Clip(source="b", start_us=0, end_us=1))), r"^clips\[1\]\.source: .*'b'.* known: a"),
        (changed(clips=(Clip(source="a", start_us=5, end_us=5),)), r"^clips\[0\]: end_us 5 .* start_us 5"),
        (changed(audio=(AudioTrack(source="v"),)), r"^audio\[0\]\.source: .*'v'"),
        (changed(clips=(Clip(source="a", start_us=0, end_us=13 * 3600 * 1_000_000),)), r"^clips: 46800 s"),
        (changed(captions=Captions(cues=(cue(0, 9), cue(9, 9)))), r"^captions\.cues\[1\]: end_us 9"),
        (changed(captions=Captions(cues=(cue(5, 9), cue(0, 9)))), r"^captions\.cues\[1\]: starts before"),
        (changed(output=Output(fps=Rational(0, 1))), r"^output\.fps: 0/1"),
        (changed(output=Output(fps=Rational(500, 2))), r"^output\.fps: 500/2"),
        (changed(clips=(with_transition(1),)), r"^clips\[0\]\.transition: there is no clip before"),
        (
            changed(clips=(CLIP, with_transition(1_000_001))),
            r"^clips\[1\]\.transition: 1000001 us .* 1000000",
        ),
        (
            changed(clips=(CLIP, with_transition(600_000), with_transition(500_000))),
            r"^clips\[2\]\.transition: 500000 us is longer .* 400000 us",
        ),
        (changed(clips=(ramped((5, 1.0), (5, 2.0)),)), r"^clips\[0\]\.ramp\[1\]: 5 is not after"),
        (
            changed(clips=(beside(p.Split(pane=p.Pane(source="z"))),)),
            r"^clips\[0\]\.layout\.pane\.source: .*'z'",
        ),
        (
            changed(clips=(beside(p.Grid(panes=(p.Pane(source="a"), p.Pane(source="z")))),)),
            r"^clips\[0\]\.layout\.panes\[1\]\.source: .*'z'",
        ),
        (changed(overlays=(p.Image(source="z"),)), r"^overlays\[0\]\.source: .*'z'"),
        (changed(overlays=(p.Emoji(emoji="x", start_us=5, end_us=5),)), r"^overlays\[0\]: end_us 5"),
        (changed(effects=(p.Grade(table=p.Colour3D(source="z")),)), r"^effects\[0\]\.table\.source: .*'z'"),
        (changed(effects=(p.Mirror(start_us=9, end_us=3),)), r"^effects\[0\]: end_us 3"),
        (changed(effects=(p.Shake(beats_us=(5, 4)),)), r"^effects\[0\]\.beats_us\[1\]: 4 is not after"),
        (changed(effects=(p.Shake(every_us=200_000, jitter_us=200_000),)), r"^effects\[0\]\.jitter_us"),
        (changed(output=Output(safe=p.SafeArea(top=0.45, bottom=0.45))), r"^output\.safe"),
    ],
)
def test_a_bad_plan_is_refused_by_the_element(plan: Plan, named: str) -> None:
    """If it fails, a person with a plan of 200 lines is not told which one to mend."""
    with pytest.raises(Reject, match=named):
        check(plan)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sources": []}, "sources"),
        ({"clips": []}, "clips"),
        ({"version": 2}, "version"),
        ({"clips": [{"source": "a", "start_us": -1, "end_us": 1}]}, r"clips\[0\]\.start_us"),
        ({"clips": [{"source": "a", "start_us": 0.5, "end_us": 1}]}, r"clips\[0\]\.start_us"),
        ({"effects": [{"effect": "flash", "every_us": 199_999}]}, r"effects\[0\]\.every_us"),
        ({"effects": [{"effect": "blur"}]}, r"effects\[0\]"),
        ({"output": {"width_px": 719}}, "width_px"),
        ({"output": {"fps": [30, 0]}}, r"fps\[1\]"),
        ({"captions": {"cues": [], "style": {"fill": "red"}}}, r"captions\.style\.fill"),
    ],
)
def test_types_refuse_by_the_path(change: dict[str, Any], named: str) -> None:
    """If it fails, a plan that cannot be rendered, or that flashes dangerously, gets as far as the renderer."""
    raw = {**msgspec.json.decode(msgspec.json.encode(GOOD)), **change}
    with pytest.raises(msgspec.ValidationError, match=named):
        msgspec.json.decode(msgspec.json.encode(raw), type=Plan)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)), min_size=1, max_size=8), st.integers(0, 2**31))
def test_a_plan_survives_its_file_and_keeps_its_id(spans: list[tuple[int, int]], seed: int) -> None:
    """If it fails, rendering a saved plan makes another video than the one that was planned."""
    clips = tuple(Clip(source="a", start_us=start, end_us=start + length) for start, length in spans)
    plan = changed(clips=clips, seed=seed)
    again = msgspec.json.decode(msgspec.json.format(msgspec.json.encode(plan), indent=2), type=Plan)
    assert again == plan
    assert plan_id(again) == plan_id(plan)
    assert duration_us(plan) == sum(length for _, length in spans)
    assert plan_id(changed(clips=clips, seed=seed + 1)) != plan_id(plan)


@given(
    speed=st.integers(1, 10),
    start_scale=st.integers(1, 4),
    shadow=st.integers(0, 1),
    focus=st.sampled_from([0, 1]),
    gain_db=st.integers(-60, 24),
)
def test_a_whole_number_is_the_same_plan_however_it_is_written(
    speed: int, start_scale: int, shadow: int, focus: int, gain_db: int
) -> None:
    """A plan that was made here is rendered again when it comes back from a file or the bus."""

    def plan_with(kind: type[float]) -> Plan:
        return changed(
            clips=(
                Clip(
                    source="a",
                    start_us=0,
                    end_us=1_000_000,
                    speed=kind(speed),
                    ramp=(p.SpeedPoint(at_us=0, speed=kind(speed)),),
                    layout=p.KenBurns(start=p.View(x=kind(focus))),
                ),
            ),
            audio=(AudioTrack(source="a", gain_db=kind(gain_db)),),
            effects=(p.Zoom(start_scale=kind(start_scale), focus_y=kind(focus)),),
            captions=Captions(cues=(cue(0, 1),), style=p.CaptionStyle(shadow=kind(shadow))),
        )

    here, there = plan_with(int), plan_with(float)
    read = msgspec.json.decode(msgspec.json.encode(here), type=Plan)
    assert plan_id(here) == plan_id(there) == plan_id(read)
    assert msgspec.json.encode(here) != msgspec.json.encode(there)


def test_defaults_are_of_the_type_that_is_read() -> None:
    """A value that nobody set makes a plan another one when it is read."""
    wrong = [
        f"{kind.__name__}.{field.name}"
        for kind in vars(p).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        for field in msgspec.structs.fields(kind)
        if isinstance(field.default, int)
        and not isinstance(field.default, bool)
        and isinstance(bare(field.type), msgspec.inspect.FloatType)
    ]
    assert wrong == []


def bare(kind: Any) -> msgspec.inspect.Type:
    found = msgspec.inspect.type_info(kind)
    return found.type if isinstance(found, msgspec.inspect.Metadata) else found


@pytest.mark.parametrize(
    ("clip", "length_us"),
    [
        (CLIP, 1_000_000),
        (Clip(source="a", start_us=0, end_us=1_000_000, speed=3.0), 333_333),
        (Clip(source="a", start_us=0, end_us=1_000_000, speed=0.1), 10_000_000),
        (ramped((1_000_000, 1.0), (2_000_000, 2.0)), 2_250_000),  # 1 s, then a mean pace of 3/4, then of 1/2
        (ramped((0, 2.0)), 1_500_000),
        (ramped((5_000_000, 1.0), (6_000_000, 2.0)), 3_000_000),
    ],
)
def test_speed_gives_an_exact_length(clip: Clip, length_us: int) -> None:
    """If it fails, sound and captions drift away from a clip that was sped up."""
    assert clip_duration_us(clip) == length_us


def test_transitions_shorten_the_output() -> None:
    """If it fails, captions after a transition come too early or too late."""
    plan = changed(clips=(CLIP, with_transition(400_000), with_transition(500_000)))
    check(plan)
    assert duration_us(plan) == 2_100_000


LONG: Final = (Clip(source="a", start_us=0, end_us=10_000_000),)


@pytest.mark.parametrize(
    "flashes",
    [
        (p.Flash(every_us=1_000_000, first_us=0),),
        (p.Flash(every_us=333_334, first_us=0),),
        (p.Flash(beats_us=(0, 100_000, 200_000, 1_000_000)),),
        (p.Flash(every_us=250_000, first_us=0, strength=0.09),),
        (p.Flash(every_us=1_000_000, first_us=0), p.Flash(every_us=500_000, first_us=250_000)),
    ],
)
def test_three_flashes_a_second_are_allowed(flashes: tuple[p.Flash, ...]) -> None:
    """If it fails, a lawful plan is refused."""
    check(changed(clips=LONG, effects=flashes))


@pytest.mark.parametrize(
    "flashes",
    [
        (p.Flash(every_us=250_000, first_us=0),),
        (p.Flash(every_us=333_333, first_us=0),),
        (p.Flash(beats_us=(0, 100_000, 200_000, 999_999)),),
        (p.Flash(every_us=1_000_000, first_us=0), p.Flash(every_us=333_334, first_us=100_000)),
        (p.Flash(every_us=334_000, first_us=0, jitter_us=300_000),),
    ],
)
def test_four_flashes_a_second_are_refused(flashes: tuple[p.Flash, ...]) -> None:
    """If it fails, a video can cause a seizure."""
    with pytest.raises(Reject, match=r"effects\[\d\]: more than three flashes in the second from"):
        check(changed(clips=LONG, effects=flashes))


def test_jitter_is_drawn_by_the_seed_and_stays_within_its_bound() -> None:
    """If it fails, two renders of one plan differ, or interrupts run into each other."""
    effect = p.Shake(every_us=500_000, first_us=0, jitter_us=100_000)
    drawn = starts_us(effect, 10_000_000, 1)
    assert drawn == starts_us(effect, 10_000_000, 1)
    assert drawn != starts_us(effect, 10_000_000, 2)
    late = [start - at * 500_000 for at, start in enumerate(drawn)]
    assert all(0 <= each <= 100_000 for each in late)
    assert len(set(late)) > 10
