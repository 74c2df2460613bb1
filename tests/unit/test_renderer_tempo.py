"""Sound at another speed: its pitch, its length and its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.renderer.sound.read import Samples, Tape
from actors.renderer.sound.tempo import HOP, REACH, SourceClock, stretched
from contracts.plan import Clip, SpeedPoint
from contracts.plan_rules import clip_duration_us, ramp_of

RATE = 48_000
Ramp = tuple[tuple[int, Fraction], ...]


def steady(seconds: float, speed: float) -> tuple[Ramp, int]:
    """The ramp of a clip at one speed, and the samples it is heard for."""
    clip = Clip(source="s", start_us=0, end_us=round(seconds * 1e6), speed=speed)
    return ramp_of(clip), round(clip_duration_us(clip) * RATE / 1e6)


def played(sound: Samples, ramp: Ramp, count: int) -> Samples:
    return np.concatenate(list(stretched(Tape(iter([sound])), SourceClock(ramp), count)), axis=1)


def sine(hz: float, count: int) -> Samples:
    return np.tile((0.5 * np.sin(2 * np.pi * hz * np.arange(count) / RATE)).astype(np.float32), (2, 1))


def pitch_hz(sound: NDArray[np.float32]) -> float:
    """The strongest tone, between the steps of a long spectrum."""
    spectrum = np.log(np.abs(np.fft.rfft(sound * np.hanning(sound.size), 1 << 20)) + 1e-12)
    at = int(np.argmax(spectrum))
    left, middle, right = spectrum[at - 1 : at + 2]
    return float(at + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / (1 << 20)


@pytest.mark.parametrize("speed", [0.1, 0.333, 0.8, 1.1, 2.0, 4.5, 10.0])
def test_pitch_stays_and_nothing_clicks_at_any_speed(speed: float) -> None:
    """Voices of slow and fast clips sound like giants and mice, or crackle."""
    for hz in (110.3, 997.0, 5003.0):
        ramp, count = steady(max(2.0, 2 * speed), speed)
        # The source goes on a little after the clip, as it does in a file.
        got = played(sine(hz, round(ramp[-1][0] * 0.048) + 8192), ramp, count)
        assert got.shape == (2, count)
        inside = got[0, 2400:-2400]
        assert abs(1200 * np.log2(pitch_hz(inside) / hz)) < 2.0
        # No sample follows another faster than the tone itself does, and the tone keeps its level.
        assert np.abs(np.diff(inside)).max() < 0.5 * 2 * np.pi * hz / RATE * 1.03
        spans = inside[: inside.size // 2400 * 2400].reshape(-1, 2400)
        assert np.abs(spans).max(axis=1).min() > 0.47


@pytest.mark.parametrize("count", [1, 2, HOP - 1, HOP, HOP + 1, 12_345, 3 * HOP])
def test_the_length_is_exact(count: int) -> None:
    """Sound and picture drift apart by a little in every clip that is not at its own speed."""
    assert played(sine(300, RATE), steady(1, 1.5)[0], count).shape == (2, count)


def test_its_own_speed_changes_nothing() -> None:
    """A ramp that passes through normal speed blurs the sound there."""
    noise = np.random.default_rng(0).normal(0, 0.2, (2, RATE)).astype(np.float32)
    assert np.abs(played(noise, steady(1, 1.0)[0], 40_000) - noise[:, :40_000]).max() < 1e-6


def test_stereo_stays_where_it_is() -> None:
    """Sound from one side comes from both, or sides that cancel each other crackle."""
    one_side = sine(440, 4 * RATE)
    one_side[1] = 0
    ramp, count = steady(2, 0.7)
    got = played(one_side, ramp, count)
    assert not got[1].any()
    opposed = sine(440, 4 * RATE) * np.array([[1], [-1]], np.float32)
    got = played(opposed, ramp, count)
    assert np.array_equal(got[0], -got[1])
    assert np.abs(np.diff(got[0, 2400:-2400])).max() < 0.5 * 2 * np.pi * 440 / RATE * 1.03


def test_a_sound_is_heard_when_its_picture_is_seen_along_a_ramp() -> None:
    """In a speed ramp lips and words drift apart."""
    points = (
        SpeedPoint(at_us=0, speed=0.5),
        SpeedPoint(at_us=2_000_000, speed=3.0),
        SpeedPoint(at_us=4_000_000, speed=1.0),
    )
    clip = Clip(source="s", start_us=0, end_us=4_000_000, ramp=points)
    clock = SourceClock(ramp_of(clip))
    count = round(clip_duration_us(clip) * RATE / 1e6)
    beeps = range(24_000, 4 * RATE - 24_000, 24_000)
    sound = np.random.default_rng(0).normal(0, 0.001, (2, 5 * RATE)).astype(np.float32)
    for at in beeps:
        sound[:, at : at + 2400] += sine(1000, 2400)
    got = played(sound, ramp_of(clip), count)
    shown = clock.source_at(np.arange(count, dtype=np.float64))
    level = np.convolve(np.abs(got[0]), np.ones(96) / 96, "same")
    starts = np.flatnonzero((level[1:] > 0.1) & (level[:-1] <= 0.1))
    for beep in beeps:
        out = int(np.searchsorted(shown, beep))
        # 32 ms, a frame at 30 a second: a window strays by 15 ms of the source, which at half speed are 30.
        assert np.abs(starts - out).min() < 2 * REACH + 96
    assert abs(np.searchsorted(shown, 4 * RATE) - count) < 2


def test_the_clock_is_the_inverse_of_the_plans_pace() -> None:
    """The sound of a ramp ends before or after its picture."""
    points = (
        SpeedPoint(at_us=500_000, speed=10),
        SpeedPoint(at_us=2_000_000, speed=0.1),
        SpeedPoint(at_us=2_500_000, speed=0.1),
    )
    clip = Clip(source="s", start_us=300_000, end_us=3_000_000, ramp=points)
    ramp = ramp_of(clip)
    clock = SourceClock(ramp)
    out = Fraction(0)
    for (left_us, left), (right_us, right) in itertools.pairwise(ramp):
        for step in range(5):
            x = Fraction(step, 4) * (right_us - left_us)
            t = out + left * x + (right - left) * x * x / (2 * (right_us - left_us))
            source = float(left_us - clip.start_us + x) * 0.048
            assert clock.source_at(np.array([float(t * RATE / 1_000_000)]))[0] == pytest.approx(source, abs=1e-6)
        out += (right_us - left_us) * (left + right) / 2
    assert round(out) == clip_duration_us(clip)


def power_of(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean square over 2 ms."""
    return np.convolve(sound.astype(np.float64) ** 2, np.ones(96) / 96, "same")


@pytest.mark.parametrize(
    ("speed", "typical_db", "least_db"), [(0.5, -1, -4), (0.7, -1, -4), (1.25, -0.5, -4), (1.5, -1, -9)]
)
def test_a_beat_keeps_its_attack(speed: float, typical_db: float, least_db: float) -> None:
    """The drums of a fast or slow clip are gone, or smear into a roll."""
    chance = np.random.default_rng(0)
    sound = chance.normal(0, 0.0005, (2, 62 * RATE)).astype(np.float32)
    hit = (chance.normal(0, 0.3, 4000) * np.exp(-np.arange(4000) / 600)).astype(np.float32)
    beats = np.arange(120) * 24_000 + chance.integers(6000, 16_000, 120)
    for at in beats:
        sound[:, at : at + 4000] += hit
    ramp, count = steady(60, speed)
    power = power_of(played(sound, ramp, count)[0])
    found = np.array([power[max(0, round(at / speed) - 2400) :][:4800].max() for at in beats])
    lost_db = 10 * np.log10(found / power_of(hit).max())
    assert np.median(lost_db) > typical_db
    assert lost_db.min() > least_db


def test_memory_does_not_grow_with_length() -> None:
    """An hour at another speed fills the memory."""
    asked = 0

    def endless() -> Iterator[Samples]:
        nonlocal asked
        block = np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float32)
        while True:
            asked += 4800
            yield block

    given = 0
    for block in stretched(Tape(endless()), SourceClock(steady(60, 2.0)[0]), 20 * RATE):
        given += block.shape[1]
        assert abs(asked - 2 * given) < 20 * HOP
    assert given == 20 * RATE
