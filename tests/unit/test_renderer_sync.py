"""Sound against picture, by flashes and beeps in the finished file. An hour of it: `python -m benchmarks.sync`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from msgspec.structs import replace

from actors.renderer.render import render_file
from benchmarks.sync import make_source, marks, plan_for
from contracts.plan import Clip, Plan

FPS = Fraction(5000, 1001)
"""A rate whose frames are no whole number of samples or microseconds, slow so that ten minutes are cheap."""


async def rendered(plan: Plan, out: Path) -> Path:
    await render_file(plan, resolve=lambda source: Path(source.key), out=out)
    return out


async def test_after_ten_minutes_sound_and_picture_are_together_to_a_sample(tmp_path: Path) -> None:
    """In a long video lips and voice drift apart."""
    frames = round(600 * FPS)
    source = make_source(tmp_path / "s.mov", frames=frames, fps=FPS, every_s=60)
    found = marks(await rendered(plan_for(source, frames=frames, fps=FPS), tmp_path / "o.mp4"))
    assert len(found) == 9
    assert found[-1].at_s > 530
    # The middle of a beep that went through AAC is found to less than a sample, 21 us.
    for mark in found:
        assert abs(mark.beep_late_s) < 1 / 48_000
    assert abs(found[-1].beep_late_s - found[0].beep_late_s) < 1 / 48_000


async def test_after_many_cuts_sound_and_picture_are_together(tmp_path: Path) -> None:
    """Every cut shifts the sound by a part of a frame or of a sample, and the parts add up."""
    frames = round(60 * FPS)
    source = make_source(tmp_path / "s.mov", frames=frames, fps=FPS, every_s=2)
    plan = plan_for(source, frames=frames, fps=FPS)
    # The flash of each clip lies in the middle of its 1.7 s.
    middles_us = [round((number + Fraction(1, 2)) / FPS * 1_000_000) for number in range(10, frames - 10, 10)]
    clips = tuple(Clip(source="s", start_us=at - 850_333, end_us=at + 850_334) for at in middles_us)
    found = marks(await rendered(replace(plan, clips=clips), tmp_path / "o.mp4"))
    assert len(found) == len(clips)
    for number, mark in enumerate(found):
        # The cut's own sound lies where it was cut to, to two samples; a frame shows what its beginning falls on.
        assert abs(mark.at_s + mark.beep_late_s - (1.700667 * number + 0.850333)) < 2 / 48_000
        assert abs(mark.beep_late_s) <= float(1 / FPS)
