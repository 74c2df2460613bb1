"""Sound, exact to the sample: where it lies, how it is cut, faded, looped, ducked and mixed down."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from actors.renderer.sound.cuts import DECLICK
from actors.renderer.sound.envelope import Duck
from actors.renderer.sound.mix import Mixer
from actors.renderer.sound.read import Samples, aligned, read
from actors.renderer.source.media import Tally
from actors.renderer.timeline import samples_of_frames
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import AudioTrack, Clip, Loudness, Output, Plan, PlanSource, SpeedPoint, Transition
from contracts.plan_rules import clip_duration_us
from tests.renderer_media import RIGHTS, flat, plan_of, write_video

RATE = 48_000


def frame_of(levels: NDArray[np.float32], start_s: Fraction, rate: int = RATE, layout: str = "stereo") -> av.AudioFrame:
    # Packed: PyAV 18.1 cannot fill eight planes.
    packed = np.ascontiguousarray(levels.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
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


CENTRE = np.float32(np.sqrt(0.5))


@pytest.mark.parametrize(
    ("layout", "left", "right"),
    [
        # Rec. ITU-R BS.775-4, annex 4, table 2; in FFmpeg's order of channels, the low-frequency one left out.
        ("5.1", (1, 0, CENTRE, 0, CENTRE, 0), (0, 1, CENTRE, 0, 0, CENTRE)),
        ("7.1", (1, 0, CENTRE, 0, CENTRE, 0, CENTRE, 0), (0, 1, CENTRE, 0, 0, CENTRE, 0, CENTRE)),
        ("quad", (1, 0, CENTRE, 0), (0, 1, 0, CENTRE)),
        ("mono", (1,), (1,)),
        ("stereo", (1, 0), (0, 1)),
    ],
)
def test_many_channels_are_mixed_down_by_the_standard(
    layout: str, left: tuple[float, ...], right: tuple[float, ...]
) -> None:
    """Dialogue of a film is too soft, its rumble is heard, or its surroundings come from the wrong side."""
    for channel in range(len(left)):
        levels = np.zeros((len(left), 4800), np.float32)
        levels[channel] = 0.5
        got = joined(aligned([frame_of(levels, Fraction(0), layout=layout)], zero_us=0, start_us=0))[:, 2400]
        # All coefficients of a side together make one, so that a sum is never beyond full scale.
        assert got[0] == pytest.approx(0.5 * left[channel] / sum(left), abs=2e-4)
        assert got[1] == pytest.approx(0.5 * right[channel] / sum(right), abs=2e-4)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two seconds of picture; sound whose samples tell their number, modulo 30,000."""
    saw = np.tile((np.arange(2 * RATE) % 30_000 / 32_767).astype(np.float32), (2, 1))
    return write_video(tmp_path / "s.mov", [flat(64, 64)] * 60, sound=saw)


def sound_file(path: Path, levels: NDArray[np.float32]) -> Path:
    """A source of which only the sound matters."""
    return write_video(path, [flat(16, 16)] * 2, sound=levels)


def level(value: float, count: int) -> NDArray[np.float32]:
    return np.full((2, count), value, np.float32)


def tone(count: int, hz: float = 300.0, level: float = 0.5) -> NDArray[np.float32]:
    return np.tile((level * np.sin(2 * np.pi * hz * np.arange(count) / RATE)).astype(np.float32), (2, 1))


def as_mixed(path: Path, *others: Path, clips: tuple[Clip, ...] = (), audio: tuple[AudioTrack, ...] = ()) -> Plan:
    """A plan that leaves the level as it is. The sources: s, then t, u."""
    plan = plan_of(path, end_us=1_000_000, audio=True)
    named = [
        PlanSource(id=name, key=ObjectKey(str(other)), sha256="", rights=RIGHTS)
        for name, other in zip("tu", others, strict=False)
    ]
    return replace(
        plan,
        sources=(*plan.sources, *named),
        clips=clips or plan.clips,
        audio=audio or plan.audio,
        output=replace(plan.output, loudness=None),
    )


def mixed(plan: Plan, total: int, *, block: int = 1000) -> tuple[NDArray[np.float32], list[str]]:
    mixer = Mixer(plan, total, {one.id: Path(one.key) for one in plan.sources}, {one.id: 0 for one in plan.sources})
    got = np.concatenate([mixer.mix(min(block, total - at)) for at in range(0, total, block)], axis=1)
    mixer.close()
    return got, mixer.notes


def test_clips_take_their_own_stretches_and_do_not_click(source: Path) -> None:
    """Cuts play the sound of another moment, or click."""
    clips = (
        Clip(source="s", start_us=1_000_000, end_us=1_100_000),
        Clip(source="s", start_us=0, end_us=50_000),
    )
    got, notes = mixed(as_mixed(source, clips=clips), 7200)
    wanted = np.concatenate([np.arange(48_000, 52_800) % 30_000, np.arange(2400)])
    # The samples are scaled by 32767 on writing and by 32768 on reading.
    off = np.abs(got[0] * 32_768 - wanted)
    assert off[: 4800 - DECLICK].max() < 0.1
    assert off[4800 + DECLICK :].max() < 0.1
    assert np.abs(np.diff(got[0])).max() < 0.02
    assert notes == []


def test_a_cut_between_moments_that_follow_each_other_is_not_heard(source: Path) -> None:
    """A video of many clips from one speech has a hole at every cut."""
    clips = tuple(Clip(source="s", start_us=at, end_us=at + 100_000) for at in range(0, 500_000, 100_000))
    whole, _ = mixed(as_mixed(source, clips=(Clip(source="s", start_us=0, end_us=500_000),)), 24_000)
    assert np.array_equal(mixed(as_mixed(source, clips=clips), 24_000)[0], whole)


def test_voice_starts_at_its_place_with_its_gain_and_the_sum_does_not_clip_over(source: Path, tmp_path: Path) -> None:
    """A narration comes early, too loud, or distorts."""
    loud = sound_file(tmp_path / "v.mov", level(0.8, 4800))
    voice = AudioTrack(source="t", role="voice", at_us=100_000, gain_db=-6.0206)
    got, _ = mixed(as_mixed(source, loud, audio=(voice,)), 24_000)
    assert not got[:, :4800].any()
    assert got[0, 4800:9600] == pytest.approx(0.4, abs=1e-3)
    assert not got[:, 9600:].any()
    twice = as_mixed(source, loud, audio=(replace(voice, gain_db=0.0), replace(voice, gain_db=0.0)))
    assert mixed(twice, 24_000)[0].max() == 1.0


def test_voice_and_music_begin_at_the_moment_chosen(source: Path) -> None:
    """The wrong part of a song is heard."""
    music = AudioTrack(source="s", role="music", at_us=50_000, start_us=500_000)
    got, _ = mixed(as_mixed(source, audio=(music,)), 4800)
    assert not got[:, :2400].any()
    assert np.abs(got[0, 2400:] * 32_768 - np.arange(24_000, 26_400)).max() < 0.1


@pytest.mark.parametrize("kept", [30 * RATE, 100])
def test_music_begins_again_at_its_end(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Music ends in the middle of the video, or stumbles where it begins again."""
    monkeypatch.setattr("actors.renderer.sound.mix._LOOP_KEPT", kept)
    song = sound_file(tmp_path / "m.mov", ramp(4800) * 8)
    music = AudioTrack(source="t", role="music", at_us=10_000, start_us=25_000, loop=True)
    got, _ = mixed(as_mixed(source, song, audio=(music,)), 12_000)
    once = np.rint(ramp(4800)[0, 1200:] * 8 * 32_767)
    assert np.array_equal(np.rint(got[0, 480:] * 32_768), np.tile(once, 4)[:11_520])
    alone, _ = mixed(as_mixed(source, song, audio=(replace(music, loop=False),)), 12_000)
    assert not alone[:, 480 + 3600 :].any()


def test_a_loop_without_sound_ends(source: Path, tmp_path: Path) -> None:
    """A silent file as music hangs the render."""
    silent = write_video(tmp_path / "silent.mov", [flat(64, 64)] * 2)
    got, notes = mixed(as_mixed(source, silent, audio=(AudioTrack(source="t", role="music", loop=True),)), 4800)
    assert not got.any()
    assert notes == ["source t: it has no sound; silence stands in"]


@pytest.mark.parametrize("role", ["clips", "voice", "music"])
def test_fades_lie_at_the_beginning_and_end_of_what_is_heard(source: Path, tmp_path: Path, role: str) -> None:
    """Music starts with a bang, or is cut off where its file ends before the video."""
    steady = sound_file(tmp_path / "v.mov", level(0.5, 9600))
    at_us = 0 if role == "clips" else 50_000
    track = AudioTrack(source="t", role=role, at_us=at_us, fade_in_us=50_000, fade_out_us=100_000)  # type: ignore[arg-type]
    clips = (Clip(source="t", start_us=0, end_us=200_000),)
    got = mixed(as_mixed(source, steady, clips=clips, audio=(track,)), 9600 if role == "clips" else 24_000)[0][0]
    start, end = round(at_us * 0.048), round(at_us * 0.048) + 9600
    assert got[start] < 1e-3
    assert got[start + 1200] == pytest.approx(0.25, abs=2e-3)
    assert got[start + 2400 : end - 4800] == pytest.approx(0.5, abs=1e-3)
    assert got[end - 2400] == pytest.approx(0.25, abs=2e-3)
    assert got[end - 1] < 1e-3
    assert (np.diff(got[start : start + 2400]) >= 0).all()


def test_sound_crosses_over_in_a_transition_at_equal_power(source: Path, tmp_path: Path) -> None:
    """Between two clips the sound has a hole, or one of them is cut off."""
    noise = np.random.default_rng(5)
    one, two = (
        sound_file(tmp_path / f"{name}.mov", noise.uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)) for name in "ab"
    )
    clips = (
        Clip(source="t", start_us=0, end_us=500_000),
        Clip(source="u", start_us=0, end_us=500_000, transition=Transition(duration_us=200_000)),
    )
    plan = as_mixed(source, one, two, clips=clips, audio=(AudioTrack(source="t"), AudioTrack(source="u")))
    got, _ = mixed(plan, 38_400)
    first, second = (joined(read(path, zero_us=0, start_us=0, tally=Tally())) for path in (one, two))
    assert np.array_equal(got[:, :14_400], first[:, :14_400])
    assert np.array_equal(got[:, 24_000:], second[:, 9600:24_000])
    x = (np.arange(9600) + 0.5) / 9600 * np.pi / 2
    wanted = first[:, 14_400:24_000] * np.cos(x) + second[:, :9600] * np.sin(x)
    assert np.abs(got[:, 14_400:24_000] - wanted).max() < 1e-6
    power = [float(np.mean(got[:, at : at + 2400] ** 2)) for at in range(0, 38_400, 2400)]
    assert max(power) < 1.15 * min(power)


def words(count: int, *spoken: tuple[int, int]) -> NDArray[np.float32]:
    """Silence, with a voice-like tone where somebody speaks, in samples, over a little noise."""
    sound = (np.random.default_rng(1).normal(0, 0.0005, (2, count))).astype(np.float32)
    for start, end in spoken:
        sound[:, start:end] += tone(end - start, 180.0, 0.4)
    return sound


def test_music_is_down_before_a_word_begins_and_does_not_pump(source: Path, tmp_path: Path) -> None:
    """A word is drowned by the music, or the music swells in every pause for breath."""
    said = ((96_000, 115_200), (129_600, 158_400), (300_000, 324_000))
    voice = sound_file(tmp_path / "v.mov", words(400_000, *said))
    music = sound_file(tmp_path / "m.mov", level(0.25, 480_000))
    tracks = (
        AudioTrack(source="t", role="voice", gain_db=-60.0),
        AudioTrack(source="u", role="music", duck_db=-12.0),
    )
    got = mixed(as_mixed(source, voice, music, audio=tracks), 480_000)[0][0]
    ducked = 0.25 * 10 ** (-12 / 20)
    # Down in time, down over the short pause, up in the long one and after the last word.
    assert got[95_000:159_000] == pytest.approx(ducked, abs=2e-3)
    assert got[299_000:325_000] == pytest.approx(ducked, abs=2e-3)
    assert got[:80_000] == pytest.approx(0.25, abs=2e-3)
    assert got[210_000:280_000] == pytest.approx(0.25, abs=2e-3)
    assert got[380_000:] == pytest.approx(0.25, abs=2e-3)
    change_db = np.abs(np.diff(20 * np.log10(np.convolve(got, np.ones(480) / 480, "valid")[::480])))
    assert change_db.max() < 1.5  # in 10 ms
    turns = np.diff(np.sign(np.diff(np.round(got[::480], 2))[np.diff(np.round(got[::480], 2)) != 0]))
    assert np.count_nonzero(turns) == 3


def test_level_of_music_moves_only_for_speech() -> None:
    """A click or a hum in the recording of a voice takes the music away."""
    duck = Duck([(48_000, 96_000)], -10.0)
    assert duck.gains(0, 20_000) is None
    assert duck.gains(200_000, 300_000) is None
    gains = duck.gains(40_000, 100_000)
    assert gains is not None
    assert gains[8000 - Duck.LEAD :][: 48_000 + Duck.LEAD] == pytest.approx(10 ** (-10 / 20), abs=1e-6)


def test_clicks_and_room_noise_are_no_speech(source: Path, tmp_path: Path) -> None:
    """The music trembles at every click and breath of a recording."""
    recording = words(480_000, (240_000, 288_000))
    recording[:, 48_000:48_500] = 0.9
    recording += np.random.default_rng(2).normal(0, 0.004, recording.shape).astype(np.float32)
    voice = sound_file(tmp_path / "v.mov", recording)
    music = sound_file(tmp_path / "m.mov", level(0.25, 480_000))
    tracks = (
        AudioTrack(source="t", role="voice", gain_db=-60.0),
        AudioTrack(source="u", role="music", duck_db=-12.0),
    )
    got = mixed(as_mixed(source, voice, music, audio=tracks), 480_000)[0][0]
    assert got[:200_000] == pytest.approx(0.25, abs=5e-3)
    assert got[240_000:288_000] == pytest.approx(0.25 * 10 ** (-12 / 20), abs=5e-3)


def test_a_clip_at_another_speed_ends_where_its_picture_ends(source: Path, tmp_path: Path) -> None:
    """After a slow or fast clip everything is out of step."""
    # A tone for each half second tells which one is heard.
    sound = np.concatenate([tone(24_000, hz) for hz in (300.0, 400.0, 500.0, 600.0, 700.0, 700.0)], axis=1)
    made = sound_file(tmp_path / "t.mov", sound)
    clips = (
        Clip(source="t", start_us=0, end_us=1_000_000, speed=2.0),
        Clip(
            source="t",
            start_us=1_000_000,
            end_us=2_000_000,
            ramp=(SpeedPoint(at_us=1_000_000, speed=0.5), SpeedPoint(at_us=2_000_000, speed=2.0)),
        ),
        Clip(source="t", start_us=2_000_000, end_us=3_000_000),
    )
    assert [clip_duration_us(clip) for clip in clips] == [500_000, 1_250_000, 1_000_000]
    got = mixed(as_mixed(source, made, clips=clips, audio=(AudioTrack(source="t"),)), 132_000)[0][0]
    for start, end, hz in (
        (0, 11_000, 300.0),
        (13_000, 24_000, 400.0),
        (24_000, 63_000, 500.0),
        (68_000, 84_000, 600.0),
        (84_000, 132_000, 700.0),
    ):
        inside = got[start + 1000 : end - 1000]
        spectrum = np.abs(np.fft.rfft(inside * np.hanning(inside.size), 1 << 18))
        assert np.argmax(spectrum) * RATE / (1 << 18) == pytest.approx(hz, abs=1.0)
    assert np.array_equal(got[84_000 + DECLICK :], joined(read(made, zero_us=0, start_us=0, tally=Tally()))[0, 96_096:])


def test_the_mix_does_not_depend_on_the_size_of_blocks(source: Path, tmp_path: Path) -> None:
    """The same plan gives other bytes where somebody asks for other blocks."""
    voice = sound_file(tmp_path / "v.mov", words(48_000, (10_000, 30_000)))
    clips = (Clip(source="s", start_us=0, end_us=500_000, speed=0.75), Clip(source="s", start_us=0, end_us=333_333))
    tracks = (AudioTrack(source="s", duck_db=-9.0, fade_in_us=20_000), AudioTrack(source="t", role="voice"))
    plan = as_mixed(source, voice, clips=clips, audio=tracks)
    plan = replace(plan, output=Output(loudness=Loudness()))
    one, _ = mixed(plan, 48_000, block=997)
    assert np.array_equal(one, mixed(plan, 48_000, block=48_000)[0])
    assert one.any()


def test_no_sound_is_silence_and_said(tmp_path: Path) -> None:
    """A silent source stops the render, or nobody is told why the video is silent."""
    silent = write_video(tmp_path / "silent.mov", [flat(64, 64)] * 2)
    got, notes = mixed(plan_of(silent, end_us=66_000, audio=True), 3168)
    assert not got.any()
    assert notes == ["source s: it has no sound; silence stands in"]


def test_sound_lasts_exactly_as_long_as_the_picture() -> None:
    """Sound and picture end apart, and drift in long videos."""
    output = Output(fps=Rational(24000, 1001))
    assert samples_of_frames(24_000, output.fps) == 1001 * RATE
    assert [samples_of_frames(count, Rational(30)) for count in (0, 1, 30)] == [0, 1600, 48_000]
