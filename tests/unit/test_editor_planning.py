"""The plan that is made of a source."""

from __future__ import annotations

import msgspec
import pytest

from actors.editor.planning import PRESETS, Preset, Voice, make_plan, output_rate, preset_named
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.media import AudioStream, Probe, Rational, VideoStream
from contracts.plan import Cue, Flash, Mirror, Plan, PunchIn, Zoom, plan_id
from contracts.plan_rules import check, duration_us
from contracts.rights import RightsRecord

RIGHTS = RightsRecord(licence="CC0-1.0")
THIRTY = Rational(30, 1)


def probed(duration_s: float = 20, *, sound: bool = True, fps: Rational = THIRTY) -> Probe:
    return Probe(
        container="mov",
        size_bytes=1,
        start_us=0,
        duration_us=round(duration_s * 1e6),
        video=VideoStream(
            index=0, codec="h264", coded_width_px=640, coded_height_px=360, width_px=640, height_px=360, fps=fps
        ),
        audio=AudioStream(index=1, codec="aac", sample_rate_hz=48000, channels=2) if sound else None,
    )


def plan_of(
    probe: Probe, preset: str = "short", *, cues: tuple[Cue, ...] = (), voice_s: float = 0, seed: int = 1
) -> Plan:
    voice = Voice(key=ObjectKey("v"), sha256="b", rights=RIGHTS, duration_us=round(voice_s * 1e6)) if voice_s else None
    return make_plan(
        probe,
        key=ObjectKey("k"),
        sha256="a",
        rights=RIGHTS,
        preset=PRESETS[preset],
        cues=cues,
        voice=voice,
        seed=seed,
    )


def test_short_is_the_whole_treatment() -> None:
    """The default is a portrait video with every effect, at the source's rate."""
    plan = plan_of(probed(fps=Rational(25, 1)))
    assert (plan.output.width_px, plan.output.height_px, plan.output.fps) == (1080, 1920, Rational(25, 1))
    assert [type(effect) for effect in plan.effects] == [Mirror, Zoom, PunchIn, Flash]
    assert [(clip.start_us, clip.end_us) for clip in plan.clips] == [(0, 20_000_000)]
    assert [(track.source, track.gain_db) for track in plan.audio] == [("source", 0.0)]


def test_plain_has_no_effects() -> None:
    """A person who wants only the crop gets only the crop."""
    assert plan_of(probed(), "plain").effects == ()


@pytest.mark.parametrize("seconds", [0.05, 2.0, 3.1])
def test_no_interrupts_in_a_video_that_is_shorter(seconds: float) -> None:
    """A flash is not cut off in the middle."""
    assert [type(effect) for effect in plan_of(probed(seconds)).effects] == [Mirror, Zoom]


def test_only_the_first_minute_is_used() -> None:
    """A long source becomes a short, and its later captions are gone."""
    cues = (Cue(start_us=0, end_us=10, text="a"), Cue(start_us=59_000_000, end_us=62_000_000, text="b"))
    plan = plan_of(probed(363), cues=(*cues, Cue(start_us=90_000_000, end_us=91_000_000, text="c")))
    assert duration_us(plan) == 60_000_000
    assert plan.captions
    assert [(cue.text, cue.end_us) for cue in plan.captions.cues] == [("a", 10), ("b", 60_000_000)]


def test_silent_source_has_no_track() -> None:
    """A silent source does not fail in the mixer."""
    assert plan_of(probed(sound=False)).audio == ()


def test_voice_lies_over_a_quieter_source() -> None:
    """A narration can be understood."""
    plan = plan_of(probed(), voice_s=5)
    assert [(track.source, track.role) for track in plan.audio] == [("source", "clips"), ("voice", "voice")]
    assert plan.audio[0].duck_db <= -12
    assert duration_us(plan) == 20_000_000


def test_picture_starts_over_under_a_longer_voice() -> None:
    """A narration is never cut off by a short clip."""
    plan = plan_of(probed(4), voice_s=10)
    assert [clip.end_us for clip in plan.clips] == [4_000_000, 4_000_000, 2_000_000]
    with pytest.raises(Reject, match="takes 61 s, longer than the 60 s"):
        plan_of(probed(4), voice_s=61)


@pytest.mark.parametrize(
    ("source", "rate"),
    [
        (Rational(30000, 1001), Rational(30000, 1001)),
        (Rational(72000, 2401), Rational(30, 1)),
        (Rational(120, 1), Rational(60, 1)),
        (Rational(16, 1), Rational(30, 1)),
        (Rational(24, 1), Rational(24, 1)),
        (Rational(1000, 1), Rational(60, 1)),
    ],
)
def test_output_rate(source: Rational, rate: Rational) -> None:
    """Motion stays smooth: usual rates are kept, odd ones become 30."""
    assert output_rate(source) == rate


def test_same_input_same_plan() -> None:
    """Work done twice makes one video; the seed alone makes another."""
    assert plan_id(plan_of(probed())) == plan_id(plan_of(probed()))
    scales = {
        effect.scale
        for seed in range(20)
        for effect in plan_of(probed(), seed=seed).effects
        if isinstance(effect, PunchIn)
    }
    assert scales == set(PRESETS["short"].punch_scales)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("seconds", [0.000_001, 1, 59.999, 60.001, 43_000])
def test_every_plan_is_valid(name: str, seconds: float) -> None:
    """The renderer takes every plan that the editor makes, also after a trip through JSON."""
    plan = plan_of(probed(seconds), name, voice_s=min(seconds, 30))
    check(msgspec.json.decode(msgspec.json.encode(plan), type=Plan))


def test_unknown_preset_is_named() -> None:
    """A typing error is told with the names there are."""
    with pytest.raises(Reject, match=r"no preset 'shrot'. known: short, story, square, wide, plain"):
        preset_named("shrot")
    assert preset_named("plain") == Preset(style="plain")
