"""What a plan changes in each work, in words; and the rights of the whole video."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest
from msgspec.structs import replace

from contracts import plan as p
from contracts.changes import changes_made, rights_of
from contracts.ids import ObjectKey
from contracts.plan import AudioTrack, Captions, Clip, Cue, Plan, PlanSource
from contracts.rights import RightsRecord, attribution_text

SEA: Final = RightsRecord(licence="CC-BY-4.0", title="Sea", author="Ann")
TUNE: Final = RightsRecord(licence="CC-BY-3.0", title="Tune", author="Bo")


def source(name: str, rights: RightsRecord = SEA) -> PlanSource:
    return PlanSource(id=name, key=ObjectKey(name), sha256="0" * 64, rights=rights)


def plan(**given: Any) -> Plan:
    fields: dict[str, Any] = {
        "sources": (source("sea"),),
        "clips": (Clip(source="sea", start_us=0, end_us=5_000_000),),
    }
    return Plan(**(fields | given))


def of_sea(**given: Any) -> tuple[str, ...]:
    return changes_made(plan(**given), "sea")


def test_a_plain_plan_says_what_little_it_does() -> None:
    """If it fails, credits claim changes that nobody made, or hide the crop."""
    assert of_sea() == ("shown from 0:00 to 0:05", "cropped")


@pytest.mark.parametrize("effect", get_args(p.Effect))
def test_every_effect_has_its_words(effect: type[p.Windowed]) -> None:
    """If it fails, an effect was added that no credit tells of."""
    before = of_sea()
    after = of_sea(effects=(effect(),))
    assert len(set(after) - set(before)) == 1


OVERLAYS: Final[tuple[p.Overlay, ...]] = (
    p.Image(source="logo"),
    p.ProgressBar(),
    p.Text(text="a"),
    p.LowerThird(title="a"),
    p.HookCard(text="a"),
    p.Emoji(emoji="🐙"),
)


def test_every_overlay_and_layout_has_its_words() -> None:
    """If it fails, a kind was added that no credit tells of."""
    assert {type(overlay) for overlay in OVERLAYS} == set(get_args(p.Overlay))
    for overlay in OVERLAYS:
        assert len(set(of_sea(overlays=(overlay,))) - set(of_sea())) == 1
    layouts = (
        *(p.FillCrop(), p.FitInside(), p.KenBurns(), p.Split(pane=p.Pane(source="sea"))),
        *(p.Inset(pane=p.Pane(source="sea")), p.Grid(panes=(p.Pane(source="sea"),))),
    )
    assert {type(layout) for layout in layouts} == set(get_args(p.Layout))
    for layout in layouts:
        assert len(of_sea(clips=(Clip(source="sea", start_us=0, end_us=1_000_000, layout=layout),))) > 1


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"speed": 2.0}, "sped up"),
        ({"speed": 0.5}, "slowed down"),
        ({"ramp": (p.SpeedPoint(at_us=0, speed=2.0),)}, "speed changed"),
        ({"start_us": 2_500_000}, "shown from 0:02.5 to 1:05"),
        ({"transition": p.Transition()}, "transitions added"),
    ],
)
def test_what_is_done_to_a_clip_is_said(given: dict[str, Any], word: str) -> None:
    """If it fails, a work is shown faster, slower or in part, and its credit does not say so."""
    clip = Clip(**{"source": "sea", "start_us": 0, "end_us": 65_000_000, **given})
    assert word in of_sea(clips=(clip,))
    assert word not in of_sea()


def test_sound_and_captions_are_said() -> None:
    """If it fails, music, a voice or captions are put over a work, and its credit does not say so."""
    music = AudioTrack(source="tune", role="music", loop=True, gain_db=-6)
    voice = AudioTrack(source="voice", role="voice")
    made = plan(
        sources=(source("sea"), source("tune", TUNE), source("voice", replace(SEA, note="Narration"))),
        audio=(AudioTrack(source="sea", duck_db=-16), voice, music),
        captions=Captions(cues=(Cue(start_us=0, end_us=1, text="a"),)),
    )
    assert {"captioned", "music added", "narration added", "volume changed"} < set(changes_made(made, "sea"))
    assert changes_made(made, "tune") == ("used as background music", "looped", "volume changed")
    assert changes_made(made, "voice") == ("heard as narration",)
    lines = attribution_text(rights_of(made)).split("\n")
    assert [line.split(" by ")[0] for line in lines] == ['"Sea"', 'Adapted from "Tune"']


def test_the_rights_of_a_video_are_those_of_all_that_is_in_it() -> None:
    """If it fails, a picture beside the first one, or a colour table, is used without its rights being looked at."""
    sources = tuple(source(name, replace(TUNE, title=name)) for name in ("sea", "pane", "logo", "look", "unused"))
    made = plan(
        sources=sources,
        clips=(Clip(source="sea", start_us=0, end_us=1_000_000, layout=p.Split(pane=p.Pane(source="pane"))),),
        overlays=(p.Image(source="logo"),),
        effects=(p.Grade(table=p.Colour3D(source="look")),),
    )
    whole = rights_of(made)
    assert whole.title == "sea"
    assert [part.title for part in whole.parts] == ["pane", "logo", "look"]
    assert all(part.changes for part in (whole, *whole.parts))
