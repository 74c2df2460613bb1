"""Sound, exact to the sample."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from actors.renderer.sound.mix import Mixer, Samples, aligned
from actors.renderer.timeline import samples_of_frames
from contracts.media import Rational
from contracts.plan import AudioTrack, Clip, Output, Plan, PlanSource
from tests.renderer_media import RIGHTS, flat, plan_of, write_video

RATE = 48_000


def frame_of(levels: NDArray[np.float32], start_s: Fraction, rate: int = RATE, layout: str = "stereo") -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(levels), format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(start_s * rate)
    return frame


def joined(blocks: Iterable[Samples]) -> Samples:
    return np.concatenate([np.zeros((2, 0), np.float32), *blocks], axis=1)


def ramp(count: int, start: int = 0) -> NDArray[np.float32]:
    """Every sample tells its own number."""
    return np.tile((np.arange(start, start + count) / 2**20).astype(np.float32), (2, 1))


def numbers(samples: Samples) -> list[int]:
    return [round(float(value) * 2**20) for value in samples[0]]


def test_sound_keeps_its_place_against_the_picture() -> None:
    """Lips and voice are apart where sound begins before or after the first frame."""
    for began_us, zero_us, first in ((0, 10_000, 480), (20_000, 10_000, -480), (0, 0, 0)):
        frames = [frame_of(ramp(4800), Fraction(began_us, 1_000_000))]
        got = numbers(joined(aligned(frames, zero_us=zero_us, start_us=0)))
        wanted = list(range(first, 4800)) if first >= 0 else [0] * -first + list(range(4800))
        assert got == wanted


def test_gaps_are_silent_and_overlaps_are_heard_once() -> None:
    """After a gap in a recording everything is early; after an overlap words are heard twice."""
    frames = [
        frame_of(ramp(4800), Fraction(0)),
        frame_of(ramp(4800, 9600), Fraction(9600, RATE)),
        frame_of(ramp(4800, 12_000), Fraction(12_000, RATE)),
    ]
    got = numbers(joined(aligned(frames, zero_us=0, start_us=0)))
    assert got == [*range(4800), *[0] * 4800, *range(9600, 16_800)]


def test_jitter_of_timestamps_is_not_a_gap() -> None:
    """Sound crackles where timestamps were rounded to milliseconds."""
    frames = []
    for at in range(20):
        frame = frame_of(ramp(1024, at * 1024), Fraction(0))
        frame.time_base = Fraction(1, 1000)
        frame.pts = round(at * 1024 * 1000 / RATE)
        frames.append(frame)
    assert numbers(joined(aligned(frames, zero_us=0, start_us=0))) == list(range(20 * 1024))


def test_other_rates_and_channels_become_48_khz_stereo() -> None:
    """Sound of phones and films plays at the wrong speed or on one side."""
    tone = np.sin(2 * np.pi * 441 * np.arange(44_100) / 44_100).astype(np.float32) * 0.5
    frames = [
        frame_of(tone[None, at : at + 1000], Fraction(at, 44_100), 44_100, "mono") for at in range(0, 44_100, 1000)
    ]
    got = joined(aligned(frames, zero_us=0, start_us=0))
    wanted = 0.5 * np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE)
    assert got.shape == (2, RATE)
    assert np.array_equal(got[0], got[1])
    assert np.abs(got[0] - wanted)[200:-200].max() < 1e-3
    six = joined(
        aligned([frame_of(np.full((6, 4800), 0.9, np.float32), Fraction(0), layout="5.1")], zero_us=0, start_us=0)
    )
    assert six.shape == (2, 4800)
    assert 0.5 < float(np.abs(six).max()) <= 1.0


def test_a_change_of_format_goes_on_in_time() -> None:
    """Sound stops, or the render fails, where a broadcast changes from stereo to 5.1."""
    frames = [
        frame_of(np.full((2, 4800), 0.25, np.float32), Fraction(0)),
        frame_of(np.full((6, 4800), 0.25, np.float32), Fraction(4800, RATE), layout="5.1"),
    ]
    got = joined(aligned(frames, zero_us=0, start_us=0))
    assert got.shape == (2, 9600)
    assert got[0, 4799] == pytest.approx(0.25)
    assert got[0, 4800] > 0.1


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two seconds of picture; sound whose samples tell their number, modulo 30,000."""
    saw = np.tile((np.arange(2 * RATE) % 30_000 / 32_767).astype(np.float32), (2, 1))
    return write_video(tmp_path / "s.mov", [flat(64, 64)] * 60, sound=saw)


def mixed(plan: Plan, total: int, *paths: Path, block: int = 1000) -> tuple[NDArray[np.float32], list[str]]:
    mixer = Mixer(
        plan,
        total,
        {one.id: path for one, path in zip(plan.sources, paths, strict=True)},
        {one.id: 0 for one in plan.sources},
    )
    got = np.concatenate([mixer.mix(min(block, total - at)) for at in range(0, total, block)], axis=1)
    mixer.close()
    return got, mixer.notes


def test_clips_take_their_own_stretches(source: Path) -> None:
    """Cuts play the sound of another moment."""
    clips = (
        Clip(source="s", start_us=1_000_000, end_us=1_100_000),
        Clip(source="s", start_us=0, end_us=50_000),
    )
    plan = plan_of(source, end_us=1, audio=True, clips=clips)
    got, notes = mixed(plan, 7200, source)
    wanted = np.concatenate([np.arange(48_000, 52_800) % 30_000, np.arange(2400)])
    # The samples are scaled by 32767 on writing and by 32768 on reading.
    assert np.abs(got[0] * 32_768 - wanted).max() < 0.1
    assert notes == []


def test_voice_starts_at_its_place_with_its_gain_and_the_sum_does_not_clip_over(source: Path, tmp_path: Path) -> None:
    """A narration comes early, too loud, or distorts."""
    loud = write_video(tmp_path / "v.mov", [flat(64, 64)] * 2, sound=np.full((2, 4800), 0.8, np.float32))
    plan = plan_of(source, end_us=500_000, audio=True)
    voice = AudioTrack(source="v", role="voice", at_us=100_000, gain_db=-6.0206)
    plan = replace(
        plan,
        sources=(*plan.sources, PlanSource(id="v", key=plan.sources[0].key, sha256="", rights=RIGHTS)),
        audio=(voice,),
    )
    got, _ = mixed(plan, 24_000, source, loud)
    assert not got[:, :4800].any()
    assert got[0, 4800:9600] == pytest.approx(0.4, abs=1e-3)
    assert not got[:, 9600:].any()
    twice = replace(plan, audio=(replace(voice, gain_db=0.0), replace(voice, gain_db=0.0)))
    assert mixed(twice, 24_000, source, loud)[0].max() == 1.0


def test_no_sound_is_silence_and_said(tmp_path: Path) -> None:
    """A silent source stops the render, or nobody is told why the video is silent."""
    silent = write_video(tmp_path / "silent.mov", [flat(64, 64)] * 2)
    got, notes = mixed(plan_of(silent, end_us=66_000, audio=True), 3168, silent)
    assert not got.any()
    assert notes == ["source s: it has no sound; silence stands in"]


def test_sound_lasts_exactly_as_long_as_the_picture() -> None:
    """Sound and picture end apart, and drift in long videos."""
    output = Output(fps=Rational(24000, 1001))
    assert samples_of_frames(24_000, output.fps) == 1001 * RATE
    assert [samples_of_frames(count, Rational(30)) for count in (0, 1, 30)] == [0, 1600, 48_000]
