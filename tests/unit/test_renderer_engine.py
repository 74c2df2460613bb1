"""Whole renders of small sources: the bytes, the frames and the sound that come out."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from actors.renderer.job import Progressed, Rendered
from actors.renderer.local import render
from actors.renderer.source.video import Timed, select, timed
from contracts.errors import Reject
from contracts.media import Rational
from contracts.plan import AudioTrack, Captions, Clip, Cue, Flash, Mirror, Output, Plan, PunchIn, Zoom
from tests.renderer_media import Yuv, decode_audio, decode_luma, flat, plan_of, request_for, write_video

SMALL = Output(width_px=64, height_px=64, fps=Rational(30), preset="ultrafast", crf=0)


def made(plan: Plan, out: Path, **fields: Any) -> Rendered:
    """Render as the child process does, in a scratch folder of its own."""
    tell = fields.pop("tell", lambda _: None)
    with TemporaryDirectory(dir=out.parent, prefix=".scratch") as scratch:
        return render(request_for(plan, out, part=f"{scratch}/whole.part", **fields), tell)


def numbered(count: int) -> list[Yuv]:
    """Pictures whose level tells their number."""
    return [flat(64, 64, y=20 + 3 * at) for at in range(count)]


def levels(path: Path) -> list[int]:
    """Return the numbers that the frames show."""
    return [round((float(picture[16:48, 16:48].mean()) - 20) / 3) for picture in decode_luma(path)]


def tone(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    at = np.arange(round(48_000 * seconds)) / 48_000
    return np.tile((0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32), (2, 1))


def test_frames_come_through_one_by_one(tmp_path: Path) -> None:
    """Frames are lost, doubled or swapped although source and output have the same rate."""
    source = write_video(tmp_path / "s.mov", numbered(60))
    rendered = made(plan_of(source, end_us=2_000_000), tmp_path / "o.mp4")
    assert (rendered.frames, rendered.duration_us, rendered.has_audio) == (60, 2_000_000, False)
    assert levels(tmp_path / "o.mp4") == list(range(60))


def test_clips_are_cut_and_joined_exactly(tmp_path: Path) -> None:
    """A cut shows a frame of the wrong moment; later clips of long sources are sought wrongly."""
    source = write_video(tmp_path / "s.mov", [flat(64, 64, y=20 + at // 2) for at in range(240)])
    clips = (
        Clip(source="s", start_us=7_000_000, end_us=7_200_000),
        Clip(source="s", start_us=0, end_us=100_000),
        Clip(source="s", start_us=4_000_000, end_us=4_100_000),
    )
    made(plan_of(source, end_us=1, clips=clips), tmp_path / "o.mp4")
    shown = [round(float(picture[16:48, 16:48].mean()) - 20) for picture in decode_luma(tmp_path / "o.mp4")]
    assert shown == [number // 2 for number in (*range(210, 216), *range(3), *range(120, 123))]


@pytest.mark.parametrize("fps", [Rational(24), Rational(30), Rational(60), Rational(30000, 1001)])
def test_output_has_a_constant_rate_whatever_the_source(tmp_path: Path, fps: Rational) -> None:
    """Variable frame rates of phones and screen recordings make the picture run off from the sound."""
    pts = [0, 10, 20, 70, 71, 300, 310, 900, 1000]
    source = write_video(tmp_path / "s.mov", numbered(9), pts=pts, time_base=Fraction(1, 1000))
    rendered = made(plan_of(source, end_us=1_000_000, output=replace(SMALL, fps=fps)), tmp_path / "o.mp4")
    rate = Fraction(fps.num, fps.den)
    assert rendered.frames == round(rate)
    with av.open(str(tmp_path / "o.mp4")) as container:
        times = [Fraction(frame.pts or 0) * (frame.time_base or 1) for frame in container.decode(video=0)]
    assert {after - before for before, after in pairwise(times)} == {1 / rate}
    shown = levels(tmp_path / "o.mp4")
    for at, number in enumerate(shown):
        moment_ms = 1000 * at / rate + 250 / rate
        assert number == max(index for index, start in enumerate(pts) if start <= moment_ms)


def test_the_last_frame_is_held_for_a_clip_that_is_a_little_too_long(tmp_path: Path) -> None:
    """A rounding in a plan ends in a refusal or a black frame."""
    source = write_video(tmp_path / "s.mov", numbered(30))
    made(plan_of(source, end_us=1_200_000), tmp_path / "o.mp4")
    assert levels(tmp_path / "o.mp4") == [*range(30), *[29] * 6]


def test_effects_are_in_the_picture(tmp_path: Path) -> None:
    """Planned effects do not show, or at other moments than planned."""
    left = flat(64, 64, y=60)
    left[:64, :32] = 180
    source = write_video(tmp_path / "s.mov", [left] * 30)
    effects = (
        Mirror(),
        PunchIn(first_us=500_000, every_us=5_000_000, duration_us=100_000, scale=2.0),
        Flash(first_us=800_000, every_us=5_000_000, duration_us=100_000, strength=1.0),
    )
    made(plan_of(source, end_us=1_000_000, effects=effects), tmp_path / "o.mp4")
    frames = decode_luma(tmp_path / "o.mp4")
    assert (int(frames[0][32, 8]), int(frames[0][32, 56])) == (60, 180)
    flashed = [int(frame[32, 8]) for frame in frames]
    assert flashed[23:28] == [60, 235, round(60 + 175 * 2 / 3), round(60 + 175 / 3), 60]
    edge = [int(np.argmax(frame[32] > 120)) for frame in frames]
    assert set(edge[:24]) == {32}


def test_chroma_is_flashed_and_mirrored_with_luma(tmp_path: Path) -> None:
    """Colours stay where the picture has moved, or flashes are tinted."""
    picture = flat(64, 64)
    chroma = picture[64:].reshape(2, 32, 32)
    chroma[0, :, :16] = 200
    source = write_video(tmp_path / "s.mov", [picture] * 4)
    effects = (Mirror(), Flash(first_us=100_000, strength=1.0))
    made(plan_of(source, end_us=133_000, effects=effects), tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as container:
        frames = [frame.to_ndarray(format="yuv420p")[64:].reshape(2, 32, 32) for frame in container.decode(video=0)]
    assert (int(frames[0][0, 16, 4]), int(frames[0][0, 16, 28])) == (128, 200)
    assert set(np.unique(frames[3])) == {128}


def test_rotation_pixel_aspect_and_odd_sizes(tmp_path: Path) -> None:
    """Odd-sized pictures get a coloured edge; wide pixels come out narrow."""
    with av.open(str(tmp_path / "odd.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 33, 65, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for _ in range(4):
            frame = av.VideoFrame(33, 65, "yuv420p")
            for at, plane in enumerate(frame.planes):
                plane.update(bytes([90 if at == 0 else 140]) * plane.buffer_size)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    made(plan_of(tmp_path / "odd.mkv", end_us=133_000), tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as container:
        frames = [np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in container.decode(video=0)]
    for picture in frames:
        assert int(np.ptp(picture[:64])) <= 1
        assert int(np.ptp(picture[64:])) <= 1


@pytest.mark.parametrize(
    ("pixel_format", "full", "matrix", "size"),
    [
        ("yuv420p", False, 1, (64, 64)),
        ("yuv420p", True, 1, (64, 64)),
        ("yuv420p", False, 5, (64, 64)),
        ("yuv422p10le", False, 1, (64, 64)),
        ("gbrp10le", True, 0, (64, 64)),
        ("yuv420p", False, 2, (64, 64)),
        ("yuv420p", False, 2, (1280, 64)),
    ],
)
def test_colours_survive_every_pixel_format(
    tmp_path: Path,
    pixel_format: str,
    full: bool,  # noqa: FBT001  # pytest passes it by name
    matrix: int,
    size: tuple[int, int],
) -> None:
    """Colours shift, wash out or crush for full-range, 10-bit, RGB or BT.601 sources."""
    red, green, blue = 200, 80, 40
    kr, kb = (0.2126, 0.0722) if matrix in {0, 1} or (matrix == 2 and size[0] >= 1280) else (0.299, 0.114)
    y = (kr * red + (1 - kr - kb) * green + kb * blue) / 255
    cb, cr = (blue / 255 - y) / (2 * (1 - kb)), (red / 255 - y) / (2 * (1 - kr))
    ten = 4 if "10" in pixel_format else 1
    if pixel_format == "gbrp10le":
        samples = [ten * green, ten * blue, ten * red]
    elif full:
        samples = [round(255 * y), round(128 + 255 * cb), round(128 + 255 * cr)]
    else:
        samples = [round(ten * (16 + 219 * y)), round(ten * (128 + 224 * cb)), round(ten * (128 + 224 * cr))]
    with av.open(str(tmp_path / "s.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.colorspace = matrix
        for _ in range(3):
            frame = av.VideoFrame(*size, pixel_format)
            for value, plane in zip(samples, frame.planes, strict=True):
                unit = value.to_bytes(2, "little") if ten > 1 else bytes([value])
                plane.update(unit * (plane.buffer_size // len(unit)))
            frame.color_range, frame.colorspace = (2 if full else 1), matrix
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    made(plan_of(tmp_path / "s.mkv", end_us=100_000), tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries) == (1, 1, 1, 1)
        picture = frame.to_ndarray(format="yuv420p")
    kr, kb = 0.2126, 0.0722
    y = (kr * red + (1 - kr - kb) * green + kb * blue) / 255
    wanted = 16 + 219 * y, 128 + 224 * (blue / 255 - y) / (2 * (1 - kb)), 128 + 224 * (red / 255 - y) / (2 * (1 - kr))
    got = picture[32, 32], picture[64 + 8, 10], picture[64 + 24, 10]
    assert [float(value) for value in got] == pytest.approx(list(wanted), abs=2.5)


def test_same_plan_same_bytes_and_nothing_of_the_source_in_them(tmp_path: Path) -> None:
    """Retries after a crash store different files; a phone's position and name are published."""
    secrets = {"location": "+52.5200+013.4050/", "com.apple.quicktime.make": "SecretPhone", "title": "SecretTitle"}
    source = write_video(tmp_path / "s.mov", numbered(45), sound=tone(1.5), metadata=secrets)
    with av.open(str(source)) as container:
        assert "SecretTitle" in container.metadata.values()
    effects = (Mirror(), Zoom(), PunchIn(first_us=0), Flash(first_us=0))
    captions = Captions(cues=(Cue(start_us=0, end_us=1_500_000, text="Hello"),))
    plan = plan_of(source, end_us=1_500_000, audio=True, effects=effects, captions=captions)
    first = made(plan, tmp_path / "1.mp4")
    second = made(plan, tmp_path / "2.mp4")
    assert first.sha256 == second.sha256
    content = (tmp_path / "1.mp4").read_bytes()
    for secret in (b"52.5", b"SecretPhone", b"SecretTitle", b"Lavf", str(tmp_path).encode()):
        assert secret not in content
    assert content.index(b"moov") < content.index(b"mdat")
    assert first.size_bytes == len(content)


def test_sound_is_exact_to_the_sample(tmp_path: Path) -> None:
    """Lips and voice are apart, or sound and picture end apart."""
    sound = np.zeros((2, 96_000), np.float32)
    sound[:, 48_000:48_100] = 0.9
    source = write_video(tmp_path / "s.mov", numbered(60), sound=sound)
    rendered = made(plan_of(source, end_us=2_000_000, audio=True), tmp_path / "o.mp4")
    assert rendered.has_audio
    got = decode_audio(tmp_path / "o.mp4")
    assert abs(got.shape[1] - 96_000) < 1024
    # AAC smears an edge, so the click is placed by the middle of its energy.
    energy = got[0].astype(np.float64) ** 2
    middle = float((energy * np.arange(energy.size)).sum() / energy.sum())
    assert middle == pytest.approx(48_050, abs=3)


def test_sound_that_starts_late_stays_late(tmp_path: Path) -> None:
    """Recordings whose sound begins after the picture are out of step."""
    source = write_video(
        tmp_path / "s.mov", numbered(60), sound=np.full((2, 24_000), 0.5, np.float32), sound_from_s=Fraction(1)
    )
    made(plan_of(source, end_us=2_000_000, audio=True), tmp_path / "o.mp4")
    got = np.abs(decode_audio(tmp_path / "o.mp4")[0])
    assert got[:47_000].max() < 0.02
    assert got[49_000:71_000].min() > 0.4


def test_first_frame_is_time_zero(tmp_path: Path) -> None:
    """Sources whose clock starts at ten seconds, or whose sound starts first, are shifted."""
    source = write_video(tmp_path / "s.mov", numbered(30), pts=list(range(300, 330)), sound=tone(11))
    made(plan_of(source, end_us=1_000_000, audio=True), tmp_path / "o.mp4")
    assert levels(tmp_path / "o.mp4") == list(range(30))


def test_damage_is_bridged_or_refused_by_a_stated_line(tmp_path: Path) -> None:
    """A damaged file ends in a traceback, a video of garbage, or a video that stands still."""
    source = write_video(tmp_path / "s.mov", numbered(60))
    long = plan_of(source, end_us=5_000_000)
    with pytest.raises(Reject, match=r"only 2\.0 s of the 5\.0 s asked for can be decoded"):
        made(long, tmp_path / "o.mp4")
    noise = bytes(range(256)) * 64
    (tmp_path / "noise.mp4").write_bytes(noise)
    with pytest.raises(Reject, match="cannot be opened"):
        made(plan_of(tmp_path / "noise.mp4", end_us=1_000_000), tmp_path / "o.mp4")
    detailed = np.random.default_rng(3).integers(16, 236, (60, 96, 64), dtype=np.uint8)
    source = write_video(tmp_path / "d.mov", detailed)
    good = source.read_bytes()
    box = good.index(b"mdat") - 4
    end = box + int.from_bytes(good[box : box + 4], "big")
    # What follows on damage is made from it, up to the next key frame: here there is only the first.
    for share, usable in ((0.8, True), (0.1, False)):
        content = bytearray(good)
        for at in range(box + round(share * (end - box)), end - 16, 3_000):
            content[at : at + 16] = bytes(16)
        (tmp_path / "broken.mov").write_bytes(content)
        plan = plan_of(tmp_path / "broken.mov", end_us=2_000_000)
        if usable:
            rendered = made(plan, tmp_path / "o.mp4")
            assert rendered.frames == 60
            assert "frames of the picture are damaged" in rendered.notes[0]
        else:
            with pytest.raises(Reject, match="most of the picture is damaged"):
                made(plan, tmp_path / "o.mp4")
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_failed_render_leaves_the_earlier_file_alone(tmp_path: Path) -> None:
    """A failed retry destroys the good file, or leaves half a file in its place."""
    source = write_video(tmp_path / "s.mov", numbered(10))
    out = tmp_path / "o.mp4"
    out.write_bytes(b"earlier")
    with pytest.raises(Reject):
        made(plan_of(source, end_us=3_000_000), out)
    assert out.read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"s.mov", "o.mp4"}


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    """The page never says that the render is finished."""
    source = write_video(tmp_path / "s.mov", numbered(10))
    told: list[Progressed] = []
    made(plan_of(source, end_us=333_000), tmp_path / "o.mp4", tell=told.append)
    assert told[-1] == Progressed(10, 10)


def test_a_font_that_is_none_is_refused(tmp_path: Path) -> None:
    """Captions are left out without a word."""
    source = write_video(tmp_path / "s.mov", numbered(4))
    captions = Captions(cues=(Cue(start_us=0, end_us=100_000, text="Hello"),))
    with pytest.raises(Reject, match="there is no file"):
        made(plan_of(source, end_us=100_000, captions=captions), tmp_path / "o.mp4", font_path="/none.ttf")


def test_workers_start_where_opencv_has_threads(tmp_path: Path) -> None:
    """A render hangs for ever where something before it, a probe say, used OpenCV with all cores."""
    source = write_video(tmp_path / "s.mov", numbered(10))
    cv2.setNumThreads(4)
    cv2.resize(np.zeros((2000, 2000), np.uint8), (3000, 3000), interpolation=cv2.INTER_CUBIC)
    assert made(plan_of(source, end_us=333_000), tmp_path / "o.mp4").frames == 10


def test_a_plan_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    """A wrong plan fails in the middle of a render, not before it."""
    source = write_video(tmp_path / "s.mov", numbered(4))
    plan = replace(plan_of(source, end_us=100_000), audio=(AudioTrack(source="other"),))
    with pytest.raises(Reject, match="there is no source 'other'"):
        made(plan, tmp_path / "o.mp4")


def test_times_never_run_backwards() -> None:
    """One broken timestamp freezes the picture for the rest of the video."""
    frames = []
    for pts in (0, 33, 66, 60, None, 10_000_133, -5_000_000, 10_000_200):
        frame = av.VideoFrame(16, 16)
        frame.pts, frame.time_base = pts, Fraction(1, 1000)
        frames.append(frame)
    starts = [one.start_us for one in timed(frames, 33_000)]
    assert starts == [0, 33_000, 66_000, 66_001, 99_001, 10_000_133_000, 10_000_166_000, 10_000_200_000]
    assert all(before < after for before, after in pairwise(starts))


def test_the_newest_frame_that_has_begun_is_shown() -> None:
    """Rounded timestamps make motion judder."""
    frame = av.VideoFrame(16, 16)
    frames = [Timed(frame, start, 33_000) for start in (5_000, 40_000, 67_000)]
    got = [one.start_us for one in select(frames, [0, 33_333, 60_000, 66_667, 900_000], early_us=8_000)]
    assert got == [5_000, 40_000, 67_000, 67_000, 67_000]
    assert list(select([], [0, 1], early_us=0)) == []
