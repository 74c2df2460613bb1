"""Loudness and true peak: by a second measure, made from the standard alone."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from actors.renderer.sound.loudness import Heard, Listener, mastering
from actors.renderer.sound.mix import Mixer
from actors.renderer.sound.read import read
from actors.renderer.sound.trim import Trim, measured, settled
from actors.renderer.source.media import Tally
from contracts.plan import Loudness, Output, Plan
from tests.loudness_meter import integrated_lufs, true_peak_dbtp
from tests.renderer_media import decode_audio, flat, plan_of, write_video
from tests.shared_media import real_files

RATE = 48_000
Sound = NDArray[np.float32]


def sine(seconds: float, dbfs: float, hz: float = 1000.0, phase: float = 0.0) -> Sound:
    turns = 2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE + phase
    return np.tile((10 ** (dbfs / 20) * np.sin(turns)).astype(np.float32), (2, 1))


def heard_lufs(sound: Sound, block: int = 7777) -> float:
    listener = Listener()
    for at in range(0, sound.shape[1], block):
        listener.hear(sound[:, at : at + block])
    return listener.heard().lufs()


def heard_dbtp(sound: Sound) -> float:
    listener = Listener()
    listener.hear(sound)
    return listener.heard().peak_dbtp()


@pytest.mark.parametrize("measure", [heard_lufs, integrated_lufs])
def test_both_measures_agree_with_the_standards_tones(measure: object) -> None:
    """Every level that is measured and promised is wrong."""
    assert callable(measure)
    one_side = sine(5, 0.0, 997.0)
    one_side[1] = 0
    assert measure(one_side) == pytest.approx(-3.01, abs=0.005)  # BS.1770-5, annex 1
    # EBU Tech 3341 (11/2023), table 1, cases 1 to 5; all within 0.1 LU.
    for stretches, wanted in (
        (((20, -23),), -23.0),
        (((20, -33),), -33.0),
        (((10, -36), (60, -23), (10, -36)), -23.0),
        (((10, -72), (10, -36), (60, -23), (10, -36), (10, -72)), -23.0),
        (((20, -26), (20.1, -20), (20, -26)), -23.0),
    ):
        sound = np.concatenate([sine(seconds, level) for seconds, level in stretches], axis=1)
        assert measure(sound) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("measure", [heard_dbtp, true_peak_dbtp])
def test_both_measures_find_peaks_between_samples(measure: object) -> None:
    """Loud passages distort in players although no sample is too high."""
    assert callable(measure)
    # EBU Tech 3341 (11/2023), table 1, cases 15 to 19; within +0.2 and -0.4 dB.
    for part, degrees, level, wanted in (
        (4, 0, 0.5, -6),
        (4, 45, 0.5, -6),
        (6, 60, 0.5, -6),
        (8, 67.5, 0.5, -6),
        (4, 45, 1.41, 3),
    ):
        sound = sine(1, 20 * math.log10(level), RATE / part, math.radians(degrees))
        # The tone comes and goes slowly: an edge has peaks of its own.
        sound *= np.clip(np.minimum(np.arange(RATE), np.arange(RATE)[::-1]) / 4800, 0, 1).astype(np.float32)
        assert wanted - 0.4 <= measure(sound) <= wanted + 0.2


def speech_like(seconds: int, level: float) -> Sound:
    """Syllables of a buzzing voice with pauses and now and then a plosive, peaks far above the mean."""
    chance = np.random.default_rng(4)
    count = seconds * RATE
    t = np.arange(count) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * n * t + n) / n for n in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) * np.sin(2 * np.pi * 0.21 * t), 0, 1)
    sound = np.asarray(buzz * syllables + chance.normal(0, 0.002, count))
    for at in chance.integers(0, count - 500, seconds * 2):
        sound[at : at + 300] += chance.normal(0, 4, 300) * np.hanning(300)
    return (np.stack([sound, sound * 0.8]) * level).astype(np.float32)


def music_like(seconds: int, level: float) -> Sound:
    """A beat, a bass and chords."""
    t = np.arange(seconds * RATE) / RATE
    beat = np.random.default_rng(6).normal(0, 1, t.size) * np.exp(-((t * 4) % 1) * 30) * 2
    tones = sum(np.sin(2 * np.pi * hz * t) * np.exp(-((t * 2) % 1) * k) for hz, k in ((55, 1), (220, 3), (1760, 8)))
    return np.tile(((tones + beat) * level).astype(np.float32), (2, 1))


SOUNDS: dict[str, Callable[[], Sound]] = {
    "speech": lambda: speech_like(20, 0.05),
    "quiet speech": lambda: speech_like(20, 0.002),
    "speech too loud": lambda: speech_like(20, 0.3),
    "music": lambda: music_like(20, 0.05),
    "a tone": lambda: sine(5, -30),
    "noise": lambda: np.random.default_rng(0).normal(0, 0.2, (2, 10 * RATE)).astype(np.float32),
    "half a second": lambda: sine(0.5, -20),
}


def source_of(path: Path, sound: Sound) -> Plan:
    """A plan with this sound, kept in 16 bits, so within full scale."""
    seconds = sound.shape[1] / RATE
    pictures = [flat(16, 16)] * max(2, round(seconds * 30))
    made = write_video(path, pictures, sound=np.clip(sound, -1, 1))
    return replace(plan_of(made, end_us=round(seconds * 1e6), audio=True), output=Output())


def mixer_of(plan: Plan, total: int, trim: Trim | None = None) -> Mixer:
    return Mixer(plan, total, {"s": Path(plan.sources[0].key)}, {"s": 0}, trim=trim)


def finished(plan: Plan, total: int, trim: Trim | None = None) -> tuple[Sound, Mixer]:
    mixer = mixer_of(plan, total, trim)
    got = np.concatenate([mixer.mix(min(4096, total - at)) for at in range(0, total, 4096)], axis=1)
    mixer.close()
    return got, mixer


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_gets_the_loudness_and_keeps_below_the_peak(tmp_path: Path, name: str) -> None:
    """A video is louder or softer than all others, or distorts."""
    sound = SOUNDS[name]()
    got, mixer = finished(source_of(tmp_path / "s.mov", sound), sound.shape[1])
    assert integrated_lufs(got) == pytest.approx(-14.0, abs=0.15)
    assert mixer.lufs == pytest.approx(integrated_lufs(got), abs=0.1)
    assert true_peak_dbtp(got) <= -1.0
    assert [note for note in mixer.notes if "peaks leave" in note] == []


def aac(sound: Sound, path: Path, output: Output) -> Path:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=RATE)
        stream.layout = "stereo"
        stream.bit_rate = output.audio_bitrate_bps
        for at in range(0, sound.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, at : at + 1024]), "fltp", "stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def in_the_file(plan: Plan, total: int, path: Path) -> Sound:
    """What is heard from the encoded file after as many rounds as it takes."""

    def write(trim: Trim) -> float:
        sound, mixer = finished(plan, total, trim)
        aac(sound, path, plan.output)
        return mixer.lufs

    found = settled(plan.output, path, write)
    sound = decode_audio(path)[:, :total]
    assert found.lufs == pytest.approx(integrated_lufs(sound), abs=0.1)
    return sound


@pytest.mark.parametrize("name", ["speech", "music", "noise"])
def test_the_encoded_file_itself_keeps_the_promise(tmp_path: Path, name: str) -> None:
    """The encoder adds to peaks and takes from the loudness, and nobody looked."""
    sound = SOUNDS[name]()
    got = in_the_file(source_of(tmp_path / "s.mov", sound), sound.shape[1], tmp_path / "o.mp4")
    assert integrated_lufs(got) == pytest.approx(-14.0, abs=0.3)
    assert true_peak_dbtp(got) <= -1.0


WITH_SOUND = ("speech_film_friday.mp4", "film_many_cuts_70s.webm", "multi_track_nasa.mp4", "aac_51_720p.mp4")


@pytest.mark.parametrize("path", [path for path in real_files() if path.name in WITH_SOUND], ids=lambda path: path.name)
def test_real_sound_keeps_the_promise_in_the_encoded_file(tmp_path: Path, path: Path) -> None:
    """What holds for made-up sounds does not for recordings, compressed and of many channels."""
    with av.open(str(path)) as container:
        seconds = min(25.0, float(container.duration or 0) / 1e6)
    plan = replace(plan_of(path, end_us=round(seconds * 1e6), audio=True), output=Output())
    got = in_the_file(plan, round(seconds * RATE), tmp_path / "o.mp4")
    assert integrated_lufs(got) == pytest.approx(-14.0, abs=0.3)
    assert true_peak_dbtp(got) <= -1.0


def test_silence_stays_silence(tmp_path: Path) -> None:
    """A silent video hisses: its noise is made as loud as speech."""
    noise = np.random.default_rng(0).normal(0, 10 ** (-80 / 20), (2, 5 * RATE)).astype(np.float32)
    for sound in (np.zeros((2, 5 * RATE), np.float32), noise):
        plan = source_of(tmp_path / "s.mov", sound)
        got, mixer = finished(plan, sound.shape[1])
        kept = decode_audio(Path(plan.sources[0].key)).reshape(-1, 2).T / np.float32(32_768)
        assert np.array_equal(got, kept)
        assert mixer.lufs == -math.inf
        assert mixer.notes == []


def test_a_sound_shorter_than_a_measure_is_brought_to_its_level_too(tmp_path: Path) -> None:
    """A sting of a fifth of a second stays as soft, or as loud, as it was."""
    for level in (-40, -3):
        sound = sine(0.2, level)
        got, _ = finished(source_of(tmp_path / "s.mov", sound), sound.shape[1])
        assert integrated_lufs(np.tile(got, (1, 3))) == pytest.approx(-14.0, abs=0.2)


def test_what_cannot_be_as_loud_is_said(tmp_path: Path) -> None:
    """Clicks are blown up into a noise, or nobody learns why a video is soft."""
    clicks = np.zeros((2, 10 * RATE), np.float32)
    clicks[:, ::RATE] = 0.5
    got, mixer = finished(source_of(tmp_path / "s.mov", clicks), clicks.shape[1])
    assert true_peak_dbtp(got) <= -1.0
    assert mixer.lufs < -20
    (note,) = mixer.notes
    assert note == f"the sound reaches {mixer.lufs:.1f} LUFS, not -14.0: its peaks leave no room for more"


def test_a_large_raise_is_said(tmp_path: Path) -> None:
    """Nobody learns why a video hisses."""
    sound = np.random.default_rng(0).normal(0, 10 ** (-60 / 20), (2, 5 * RATE)).astype(np.float32)
    got, mixer = finished(source_of(tmp_path / "s.mov", sound), sound.shape[1])
    assert integrated_lufs(got) == pytest.approx(-14.0, abs=0.15)
    assert len(mixer.notes) == 1
    assert "the sound is very quiet" in mixer.notes[0]


def test_the_limiter_is_down_before_a_peak_and_comes_up_slowly() -> None:
    """Peaks click, or the sound trembles after each."""
    sound = sine(4, -20, 200)
    sound[:, 2 * RATE : 2 * RATE + 480] *= 12
    listener = Listener()
    listener.hear(sound)
    heard = listener.heard()
    gains = mastering(heard, Loudness(integrated_lufs=heard.lufs(), true_peak_dbtp=-3.0)).gains(0, sound.shape[1])
    assert np.abs(sound * gains).max() <= 10 ** (-3 / 20)
    level_db = 20 * np.log10(gains[::48])
    assert level_db[:1980] == pytest.approx(level_db[0], abs=1e-3)
    assert np.diff(level_db).min() > -1.5  # dB in a millisecond
    assert np.diff(level_db).max() < 0.2
    assert level_db[-1] == pytest.approx(level_db[0], abs=1e-3)


def test_nothing_is_heard_of_how_the_work_is_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a long video the level jumps once a minute."""
    listener = Listener()
    listener.hear(speech_like(10, 0.3))
    heard = listener.heard()
    whole = mastering(heard, Loudness())
    monkeypatch.setattr("actors.renderer.sound.loudness._MINUTE_SLOTS", 60)
    cut_up = mastering(heard, Loudness())
    assert cut_up.at_edges == pytest.approx(whole.at_edges, rel=1e-6)
    assert len(whole.at_edges) == len(heard.peak) + 1
    assert whole.at_edges.min() < 0.7 * whole.at_edges.max()


def test_an_hour_takes_a_few_megabytes() -> None:
    """A long video fills the memory."""
    count = 3600 * 200
    chance = np.random.default_rng(0)
    heard = Heard(chance.uniform(0, 0.02, count).astype(np.float32), chance.uniform(0, 1, count).astype(np.float32))
    tracemalloc.start()
    try:
        mastering(heard, Loudness())
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


def test_level_alone_moves_where_nothing_is_limited(tmp_path: Path) -> None:
    """Music that needs no limiter is squeezed all the same."""
    sound = sine(5, -30)
    plan = source_of(tmp_path / "s.mov", sound)
    got, _ = finished(plan, sound.shape[1])
    raw = np.concatenate(list(read(Path(plan.sources[0].key), zero_us=0, start_us=0, tally=Tally())), axis=1)
    inside = np.abs(raw) > 0.005
    ratio = got[inside] / raw[inside]
    assert ratio.max() / ratio.min() < 1 + 1e-6


def test_a_finished_file_is_measured(tmp_path: Path) -> None:
    """The numbers in the record of a rendition are those of the plan, not of the file."""
    path = aac(sine(5, -20), tmp_path / "o.mp4", Output())
    found = measured(path)
    assert found.lufs == pytest.approx(-20.0, abs=0.1)
    assert found.dbtp == pytest.approx(true_peak_dbtp(decode_audio(path)), abs=0.2)
    assert -20.1 < found.dbtp < -18.5
