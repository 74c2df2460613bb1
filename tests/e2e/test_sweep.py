"""Real and hostile files through the whole loop: each ends measured, or refused in one clear line.

And rendered alone, each looks and lasts as FFmpeg's own filters say. SWEEP=all takes every real file; else a choice of
the short, awkward ones.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from actors.renderer.render import render_file
from actors.runtime.probe import probe_file
from benchmarks.contact_sheet import plan_at, rendered, shown_by_ffmpeg
from tests.shared_media import malformed_files, real_files
from tests.world import World

AWKWARD = {
    "audio_shorter_than_video.mp4",
    "dolbyvision_hlg_rot90.mov",
    "flv_1000fps_tb.flv",
    "fragmented_absurd_duration.mp4",
    "h264_10bit.mp4",
    "iphone_portrait_rot90_short.mov",
    "odd_161x121.webm",
    "pcm_audio_in_mp4.mp4",
}
DEADLINE_S = 300.0


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system that all files go through: none may end it."""
    async with World(tmp_path_factory.mktemp("sweep"), ack_wait_s=10.0) as running:
        yield running


def slug(file: Path) -> str:
    return "sweep-" + re.sub(r"[^a-z0-9]+", "-", file.name.lower()).strip("-")


async def ended(world: World, file: Path) -> str | None:
    """Send a file through the loop; return None when it was measured, else why it was refused."""
    item = await world.list_item(slug(file), file)
    await world.scan(slug(file))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await world.db.fetchval(
                "select true from measurements join posts using (post_id) where item_id = $1", item
            ):
                return None
            because: str | None = await world.db.fetchval("select error from dead_letters where item_id = $1", item)
            if because is None:
                # A scan may also end without choosing the file: it offers nothing that can be played, say.
                because = await world.db.fetchval(
                    "select items.decided_because from items join scans on scans.niche = $2"
                    " where items.item_id = $1 and items.decision <> 'selected' and scans.settled_at is not null",
                    item,
                    slug(file),
                )
            if because is not None:
                return because
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("file", real_files(), ids=lambda file: file.name)
async def test_real_file_is_posted_and_measured(world: World, file: Path) -> None:
    """A video that people really have could not get through."""
    if os.environ.get("SWEEP") != "all" and file.name not in AWKWARD:
        pytest.skip("SWEEP=all takes every file")
    assert await ended(world, file) is None


@pytest.mark.parametrize("file", malformed_files(), ids=lambda file: file.name)
async def test_hostile_file_is_refused_in_one_line_or_works(world: World, file: Path) -> None:
    """A damaged file could hang or end the system, or be refused without a reason."""
    because = await ended(world, file)
    assert because is None or (len(because) < 400 and "\n" not in because and "Traceback" not in because), because


def small(picture: Image.Image) -> NDArray[np.float64]:
    """The middle of a picture that fills 9:16, as 18 x 32 patches of R, G and B."""
    width = min(picture.width, picture.height * 9 / 16)
    height = width * 16 / 9
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    box = (left, top, left + width, top + height)
    return np.asarray(picture.resize((18, 32), Image.Resampling.BOX, box=box), np.float64)


@pytest.mark.parametrize("file", real_files(), ids=lambda file: file.name)
async def test_real_file_looks_and_lasts_as_it_should(file: Path, tmp_path: Path) -> None:
    """A video could be turned, squeezed, cropped off centre, in wrong colours, or too short."""
    if os.environ.get("SWEEP") != "all" and file.name not in AWKWARD:
        pytest.skip("SWEEP=all takes every file")
    probe = await probe_file(file)
    at_us = max(0, probe.duration_us - 200_000) // 2
    wanted = small(shown_by_ffmpeg(file, at_us))
    shown = small(await rendered(file, at_us, tmp_path / "moment.mp4"))
    # Both map high dynamic range, each in its way.
    alike = 30 if "hdr" in file.name or "hlg" in file.name else 4
    assert np.abs(shown - wanted).mean() < alike
    assert np.abs(shown.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < alike
    if wanted.std() > 5:
        assert np.corrcoef(shown.ravel(), wanted.ravel())[0, 1] > 0.96
    length_us = min(probe.duration_us, 2_000_000)
    plan = plan_at(file, 0, length_us)
    whole = await render_file(plan, resolve=lambda source: Path(source.key), out=tmp_path / "whole.mp4")
    assert whole.duration_us == pytest.approx(length_us, abs=33_334)
    assert (whole.width_px, whole.height_px) == (1080, 1920)
    with av.open(str(tmp_path / "whole.mp4")) as container:
        frames = [frame for frame in container.decode(video=0) if isinstance(frame, av.VideoFrame)]
    assert len(frames) == whole.frames
    tags = {(f.colorspace, f.color_primaries, f.color_trc, f.color_range) for f in frames}
    assert tags == {(1, 1, 1, 1)}, "BT.709, limited range"


async def test_nothing_is_left_behind(world: World) -> None:
    """Refused files could fill the disk, or leave processes and work behind."""
    scratch = world.folder / "tmp"
    assert not scratch.exists() or not any(scratch.iterdir())
    children = {child.name: child for child in world.stack.children}
    assert all(child.starts == 1 for child in children.values()), "a process died on the way"
    for child in children.values():
        grandchildren = psutil.Process(child.pid).children(recursive=True)
        assert child.name == "postgres" or not grandchildren, grandchildren
    waiting = await world.db.fetchval("select count(*) from outbox where published_at is null")
    assert waiting == 0
