"""Render plans: what types cannot refuse, `check` refuses by the name of the element."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import (
    MIN_FLASH_INTERVAL_US,
    AudioTrack,
    Captions,
    Clip,
    Cue,
    Output,
    Plan,
    PlanSource,
    check,
    duration_us,
    plan_id,
)
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
        ({"effects": [{"effect": "flash", "every_us": MIN_FLASH_INTERVAL_US - 1}]}, r"effects\[0\]\.every_us"),
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
