"""Whole renders out of chunks: the same bytes however they were made, exact joints, nothing done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import psutil
import pytest
from msgspec.structs import replace

from actors.renderer.chunkfile import ChunkFacts, facts_of, seal
from actors.renderer.chunks import chunks
from actors.renderer.job import ENGINE
from actors.renderer.local import Order
from actors.renderer.render import SCRATCH, join_file, render_chunk, render_file, render_sound, sweep
from actors.runtime.isolate import ChildFailed
from contracts.errors import Reject, Retry
from contracts.media import Rational
from contracts.plan import Captions, Clip, Cue, Mirror, Output, Plan, Zoom
from tests.renderer_media import decode_audio, decode_luma, flat, plan_of, write_video

ROOT = Path(__file__).parents[2]
TINY = Output(width_px=64, height_px=64, fps=Rational(30), preset="ultrafast", crf=0)


def counted(number: int) -> Any:
    """A picture whose blocks tell its number, in binary."""
    picture = flat(64, 64, y=40)
    for bit in range(12):
        row, column = divmod(bit, 4)
        if number >> bit & 1:
            picture[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 200
    return picture


def numbers(path: Path) -> list[int]:
    return [
        sum(1 << bit for bit in range(12) if picture[bit // 4 * 16 + 8, bit % 4 * 16 + 8] > 120)
        for picture in decode_luma(path)
    ]


def hum(seconds: float) -> Any:
    at = np.arange(round(48_000 * seconds)) / 48_000
    return np.tile((0.3 * np.sin(2 * np.pi * 220 * at)).astype(np.float32), (2, 1))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """17 s whose frames tell their number, with sound."""
    path = tmp_path_factory.mktemp("media") / "s.mov"
    return write_video(path, (counted(at) for at in range(510)), sound=hum(17))


async def made(plan: Plan, out: Path, **options: Any) -> Any:
    return await render_file(plan, resolve=lambda one: Path(one.key), out=out, **options)


def plan_17s(source: Path, **fields: Any) -> Plan:
    """Four chunks, the last one short."""
    cues = tuple(Cue(start_us=at * 1_000_000, end_us=(at + 1) * 1_000_000, text=str(at)) for at in range(17))
    fields = {"captions": Captions(cues=cues), "effects": (Mirror(), Zoom()), "output": TINY, **fields}
    return plan_of(source, end_us=17_000_000, audio=True, **fields)


@pytest.mark.parametrize(
    ("codec", "fps"), [("h264", Rational(30)), ("hevc", Rational(30)), ("h264", Rational(30000, 1001))]
)
async def test_joints_are_exact(source: Path, tmp_path: Path, codec: Any, fps: Rational) -> None:
    """A frame is missing, doubled or late where two chunks meet; sound clicks or drifts."""
    output = replace(TINY, video_codec=codec, fps=fps)
    plan = plan_of(source, end_us=17_000_000, audio=True, output=output)
    rendered = await made(plan, tmp_path / "o.mp4", workers=2)
    rate = Fraction(fps.num, fps.den)
    assert rendered.frames == round(17 * rate)
    shown = numbers(tmp_path / "o.mp4")
    assert shown == [min(509, int(Fraction(at, 1) / rate * 30 + Fraction(1, 4))) for at in range(rendered.frames)]
    with av.open(str(tmp_path / "o.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.codec_tag == ("avc1" if codec == "h264" else "hvc1")
        times = [(frame.pts or 0) * (frame.time_base or 1) for frame in container.decode(video=0)]
        assert times == [at / rate for at in range(rendered.frames)]
        assert video.start_time == 0
        assert audio.start_time == 0
    sound = decode_audio(tmp_path / "o.mp4")[0, 4800:-4800]
    assert abs(decode_audio(tmp_path / "o.mp4").shape[1] - rendered.frames / rate * 48_000) < 1024
    # A click is a jump of the second difference, which in a tone of 220 Hz is tiny.
    assert np.abs(np.diff(sound, n=2)).max() < 4 * (2 * np.pi * 220 / 48_000) ** 2 * np.abs(sound).max()


async def test_the_bytes_do_not_depend_on_who_made_which_chunk(source: Path, tmp_path: Path) -> None:
    """Two replicas, or a retry on another machine, make different files of one plan."""
    plan = plan_17s(source)
    sums = {(await made(plan, tmp_path / f"{workers}.mp4", workers=workers)).sha256 for workers in (1, 2, 3)}
    paths = {"s": source}
    parts = [tmp_path / f"part{chunk.index}.mp4" for chunk in chunks(plan)]
    for chunk in reversed(chunks(plan)):
        await render_chunk(plan, chunk, paths, parts[chunk.index])
    await render_sound(plan, paths, tmp_path / "sound.m4a")
    sums.add((await join_file(plan, parts, tmp_path / "sound.m4a", tmp_path / "joined.mp4")).sha256)
    assert len(sums) == 1
    assert not list(tmp_path.glob(f"{SCRATCH}*"))


async def test_finished_chunks_are_used_again(source: Path, tmp_path: Path) -> None:
    """A corrected caption renders everything again; a chunk that rotted on disk is joined."""
    plan, kept = plan_17s(source), tmp_path / "kept"
    first = await made(plan, tmp_path / "1.mp4", kept=kept)
    files = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(files) == 5
    told: list[tuple[int, int]] = []

    async def tell(done: int, total: int) -> None:
        told.append((done, total))

    again = await made(plan, tmp_path / "2.mp4", kept=kept, on_progress=tell)
    assert (again.sha256, told) == (first.sha256, [(510, 510)])
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == files
    found = {path: facts_of(path, ChunkFacts) for path in kept.glob("*.mp4")}
    rotten = next(path for path, facts in found.items() if facts is not None and facts.first_frame == 150)
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 1
    rotten.write_bytes(content)
    assert (await made(plan, tmp_path / "3.mp4", kept=kept)).sha256 == first.sha256
    assert plan.captions is not None
    cues = (*plan.captions.cues[:16], replace(plan.captions.cues[16], text="other"))
    before = set(kept.iterdir())
    await made(replace(plan, captions=Captions(cues=cues)), tmp_path / "4.mp4", kept=kept)
    assert len(set(kept.iterdir()) - before) == 1


RENDER = """
import asyncio, msgspec, sys
from pathlib import Path
from actors.renderer.render import render_file
from contracts.plan import Plan
plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
asyncio.run(render_file(plan, resolve=lambda s: Path(s.key), out=Path(sys.argv[2]), workers=2, kept=Path(sys.argv[3])))
"""


async def test_a_killed_render_leaves_nothing_running_and_goes_on(source: Path, tmp_path: Path) -> None:
    """After kill -9 workers burn on, scratch files stay for ever, or all is rendered again, or differently."""
    plan = plan_17s(source, output=replace(TINY, width_px=360, height_px=640, preset="medium", crf=30))
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
    kept, out = tmp_path / "kept", tmp_path / "o.mp4"
    parent = subprocess.Popen(  # noqa: ASYNC220  # starts at once
        [sys.executable, "-c", RENDER, str(tmp_path / "plan.json"), str(out), str(kept)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(120):
            while not kept.exists() or not list(kept.glob("*.mp4")):
                await asyncio.sleep(0.02)
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()  # noqa: ASYNC251, RUF100  # reaped at once
    async with asyncio.timeout(10):
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family):
            await asyncio.sleep(0.02)
    assert not out.exists()
    left = list(tmp_path.glob(f"{SCRATCH}*"))
    assert left
    done = {path: path.stat().st_mtime_ns for path in kept.glob("*.mp4")}
    assert 1 <= len(done) < 4
    resumed = await made(plan, out, kept=kept, workers=2)
    assert not list(tmp_path.glob(f"{SCRATCH}*"))
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert resumed.sha256 == (await made(plan, tmp_path / "whole.mp4", workers=1)).sha256


async def test_a_scratch_folder_in_use_is_not_swept(tmp_path: Path, source: Path) -> None:
    """One render removes the files of another beside it."""
    plan = plan_17s(source)
    both = await asyncio.gather(made(plan, tmp_path / "1.mp4"), made(plan, tmp_path / "2.mp4"))
    assert both[0].sha256 == both[1].sha256
    (tmp_path / f"{SCRATCH}dead").mkdir()
    sweep(tmp_path)
    assert not list(tmp_path.glob(f"{SCRATCH}*"))


def rendering() -> list[psutil.Process]:
    """Return the children of this process that render; servers of other tests are not among them."""
    children = psutil.Process().children()
    return [child for child in children if "actors.renderer.child" in child.cmdline()]


async def test_a_worker_that_dies_ends_the_render_with_its_meaning(source: Path, tmp_path: Path) -> None:
    """A crashed worker hangs the render, or its chunk is missing from the file."""
    plan = plan_17s(source, output=replace(TINY, width_px=360, height_px=640, preset="slow", crf=30))
    plan = replace(plan, captions=None)  # looking for fonts starts processes too
    task = asyncio.create_task(made(plan, tmp_path / "o.mp4", workers=2))
    async with asyncio.timeout(30):
        while not (workers := [one for child in rendering() for one in child.children()]):
            await asyncio.sleep(0.02)
    for worker in workers:  # one alone may have ended its work just then
        worker.send_signal(signal.SIGKILL)
    with pytest.raises(Retry, match="killed from outside"):
        await task
    assert not list(tmp_path.iterdir())


async def test_a_changed_chunk_is_not_joined(source: Path, tmp_path: Path) -> None:
    """Chunks in the wrong order, of another plan or cut short are joined to a file that looks whole."""
    plan = plan_of(source, end_us=11_000_000, output=TINY)
    parts = [tmp_path / f"part{chunk.index}.mp4" for chunk in chunks(plan)]
    for chunk in chunks(plan):
        await render_chunk(plan, chunk, {"s": source}, parts[chunk.index])
    out = tmp_path / "o.mp4"
    for wrong, fault in ((parts[::-1], "does not belong after frame 0"), (parts[:2], "300 frames instead of 330")):
        with pytest.raises(ChildFailed, match=fault):
            await join_file(plan, wrong, None, out)
    other = replace(plan, output=replace(TINY, preset="fast", crf=30))
    await render_chunk(other, chunks(other)[1], {"s": source}, tmp_path / "other.mp4")
    with pytest.raises(ChildFailed, match="other parameters"):
        await join_file(plan, [parts[0], tmp_path / "other.mp4", parts[2]], None, out)
    parts[1].write_bytes(parts[1].read_bytes()[:-1])
    with pytest.raises(ChildFailed, match="is not whole"):
        await join_file(plan, parts, None, out)
    assert not out.exists()


async def test_chunks_of_another_engine_are_refused(source: Path, tmp_path: Path) -> None:
    """A fleet of CPUs and GPUs, or of two versions, makes a file whose picture changes in the middle."""
    plan = plan_of(source, end_us=4_000_000, output=TINY)
    parts = [tmp_path / f"part{chunk.index}.mp4" for chunk in chunks(plan)]
    for chunk in chunks(plan):
        await render_chunk(plan, chunk, {"s": source}, parts[chunk.index])
    facts = facts_of(parts[1], ChunkFacts)
    assert facts is not None
    assert facts.engine == ENGINE
    with pytest.raises(Reject, match=r"part0\.mp4 was made by another engine: cpu-2 .*, not cuda-2") as caught:
        await join_file(plan, parts, None, tmp_path / "o.mp4", engine="cuda-2 (...)")
    assert "same device" in caught.value.mend
    seal(parts[1], replace(facts, engine="cuda-2 (...)"))
    with pytest.raises(Reject, match=r"part1\.mp4 was made by another engine: cuda-2"):
        await join_file(plan, parts, None, tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()


async def test_a_file_that_fails_is_kept_as_evidence(source: Path, tmp_path: Path) -> None:
    """Nobody can find out why a render failed."""
    plan = plan_of(source, end_us=1_000_000, output=replace(TINY, max_bytes=1000))
    with pytest.raises(ChildFailed, match=r"more than the 1000 that the plan allows; it is kept as .*o\.failed\.mp4"):
        await made(plan, tmp_path / "o.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["o.failed.mp4"]
    assert len(decode_luma(tmp_path / "o.failed.mp4")) == 30


async def test_flashes_of_a_plan_are_refused(tmp_path: Path) -> None:
    """Quick cuts between dark and bright, which no lint sees, cause a seizure."""
    source = write_video(tmp_path / "s.mov", [flat(64, 64, y=60 if at < 30 else 220) for at in range(60)])
    for every_us, refused in ((100_000, True), (200_000, False)):
        starts = range(0, 2_000_000, every_us)
        clips = tuple(
            Clip(source="s", start_us=start_us, end_us=start_us + every_us)
            for at in starts
            for start_us in (at // every_us % 2 * 1_000_000,)
        )
        plan = plan_of(source, end_us=1, clips=clips, output=TINY)
        if refused:
            with pytest.raises(Reject, match="flashes more than 3 times in the second from"):
                await made(plan, tmp_path / "o.mp4")
        else:
            await made(plan, tmp_path / "o.mp4")


async def test_flashes_of_a_source_are_told(tmp_path: Path) -> None:
    """Footage of a thunderstorm can never be used; or it is posted without a word."""
    source = write_video(tmp_path / "s.mov", [flat(64, 64, y=60 if at % 6 else 220) for at in range(60)])
    rendered = await made(plan_of(source, end_us=2_000_000, output=TINY), tmp_path / "o.mp4")
    assert "the source itself flashes more than 3 times" in rendered.notes[0]


def test_workers_go_on_where_they_are() -> None:
    """Every chunk reads its source from the last keyframe again; or a worker idles while another has a row to do."""
    order = Order(list(range(8)))
    assert [order.next(0), order.next(1)] == [0, 4]
    assert [order.next(0), order.next(1), order.next(0), order.next(1)] == [1, 5, 2, 6]
    assert {order.next(0), order.next(0)} == {3, 7}
    assert order.next(1) is None
    gaps = Order([1, 2, 9])
    assert [gaps.next(0), gaps.next(1), gaps.next(1), gaps.next(0)] == [1, 2, 9, None]


async def test_frame_times_in_the_file_rise(source: Path, tmp_path: Path) -> None:
    """Players stutter or refuse the file where decoding times repeat."""
    await made(plan_17s(source), tmp_path / "o.mp4", workers=2)
    with av.open(str(tmp_path / "o.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    times = [(packet.dts or 0, packet.pts or 0) for packet in packets]
    assert all(before[0] < after[0] for before, after in pairwise(times))
    assert all(decoded <= shown for decoded, shown in times)
    assert [at for at, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 510, 75))
