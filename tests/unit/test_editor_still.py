"""Stills: a photo becomes a plan of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import json
from PIL import Image

from actors.editor.planfile import STILL_US, plan_file
from actors.editor.still import probe_still
from actors.renderer.render import render_file
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.plan import Clip, KenBurns, Output, Plan, Zoom
from contracts.plan_rules import duration_us
from contracts.rights import RightsRecord
from deploy.cli import main
from tests.renderer_media import decode_luma, flat, write_video

RIGHTS = RightsRecord(licence="CC0-1.0")


def photo(path: Path, orientation: int = 1) -> Path:
    """Write 160x120 px that get brighter to the right."""
    picture = Image.linear_gradient("L").rotate(90).resize((160, 120)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
async def test_a_photo_becomes_a_plan(tmp_path: Path, name: str) -> None:
    """A photo is refused, or stands still for no time at all."""
    plan = await plan_file(photo(tmp_path / name), rights=RIGHTS, settings=Settings())
    assert plan.clips == (Clip(source="source", start_us=0, end_us=STILL_US, layout=KenBurns()),)
    assert plan.audio == ()
    assert not [effect for effect in plan.effects if isinstance(effect, Zoom)]  # it would be magnified twice


async def test_a_photo_is_described_upright(tmp_path: Path) -> None:
    """Photos of phones are taken to lie on their side."""
    found = await probe_still(photo(tmp_path / "a.jpg", orientation=6), shown_us=1_000_000)
    assert (found.video.width_px, found.video.height_px, found.video.rotation_deg) == (120, 160, 90)
    assert (found.container, found.duration_us) == ("jpeg", 1_000_000)


async def test_the_plan_of_a_photo_can_be_rendered(tmp_path: Path) -> None:
    """The plan is refused by the renderer, or nothing moves."""
    plan = await plan_file(
        photo(tmp_path / "a.jpg"), rights=RIGHTS, preset="plain", still_us=400_000, settings=Settings()
    )
    small = Plan(sources=plan.sources, clips=plan.clips, output=Output(width_px=64, height_px=64))
    rendered = await render_file(small, resolve=lambda one: Path(one.key), out=tmp_path / "out.mp4", workers=1)
    assert rendered.frames == 12
    first, *_, last = decode_luma(tmp_path / "out.mp4")
    assert int(last[:, :8].mean()) > int(first[:, :8].mean()) + 2  # the dark edge has left the window


async def test_a_photo_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A plan is made of a photo that no render can use."""
    whole = photo(tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Reject, match="damaged or cut off"):
        await probe_still(tmp_path / "cut.png", shown_us=1_000_000)


def test_the_command_takes_seconds_for_stills_only(tmp_path: Path) -> None:
    """A person cannot say how long a photo shows, or is told nothing where a video has its own length."""
    out = tmp_path / "plan.json"
    given = ["--licence", "CC0-1.0", "--preset", "short", "--seconds", "75", "-o", str(out)]
    done = CliRunner().invoke(main, ["plan", str(photo(tmp_path / "a.png")), *given])
    assert done.exit_code == 0, done.output
    assert duration_us(json.decode(out.read_bytes(), type=Plan)) == 75_000_000
    video = tmp_path / "v.mp4"
    write_video(video, [flat(64, 48)] * 10)
    done = CliRunner().invoke(main, ["plan", str(video), *given])
    assert (done.exit_code, "is no still" in done.output) == (2, True), done.output
