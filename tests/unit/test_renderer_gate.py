"""What the gate lets through and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from actors.renderer import gate
from actors.renderer.encode import AAC_FRAME, PictureWriter, SoundWriter
from actors.renderer.flashes import too_many
from actors.renderer.gate import GateFailed, check_chunk, check_sound, signature, signatures_of
from actors.renderer.source.picture import planes_of
from contracts.media import Rational
from contracts.plan import Loudness, Output

OUTPUT = Output(width_px=96, height_px=160, fps=Rational(30), preset="ultrafast")
Frame = Any


def moving(count: int) -> list[Frame]:
    """Frames of a bar that moves down."""
    frames = []
    for at in range(count):
        frame = av.VideoFrame(96, 160, "yuv420p")
        y, u, v = planes_of(frame)
        y[:], u[:], v[:] = 60, 128, 128
        y[at * 4 % 150 : at * 4 % 150 + 10] = 200
        frames.append(frame)
    return frames


def signed(frames: list[Frame]) -> gate.Signature:
    return signatures_of(b"".join(signature(planes_of(frame)[0]).tobytes() for frame in frames))


def written(path: Path, frames: list[Frame], output: Output = OUTPUT) -> Path:
    with PictureWriter(path, output) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_good_chunk_passes(tmp_path: Path, codec: Any) -> None:
    """Nothing can be rendered."""
    output = Output(width_px=96, height_px=160, fps=Rational(30), preset="ultrafast", video_codec=codec)
    frames = moving(40)
    digest, delay = check_chunk(written(tmp_path / "c.mp4", frames, output), output, signed(frames))
    assert len(digest) == 64
    assert 0 <= delay <= 4


@pytest.mark.parametrize("crf", [20, 30, 40, 51])
def test_a_coarse_but_right_picture_passes(crf: int, tmp_path: Path) -> None:
    """Grain over a slowly brightening wall, or any high rate factor, fails the gate with nothing wrong."""
    chance = np.random.default_rng(1)
    output = Output(width_px=360, height_px=640, crf=crf)
    frames = []
    for number in range(100):
        frame = av.VideoFrame(360, 640, "yuv420p")
        luma, *chroma = planes_of(frame)
        luma[...] = np.clip(30 + number + chance.normal(0, 4, luma.shape), 16, 235)
        for plane in chroma:
            plane[...] = 128
        frames.append(frame)
    assert check_chunk(written(tmp_path / "c.mp4", frames, output), output, signed(frames))


def repeated(frames: list[Frame]) -> list[Frame]:
    return [*frames[:20], frames[19], *frames[21:]]


def swapped(frames: list[Frame]) -> list[Frame]:
    return [*frames[:20], frames[30], *frames[21:30], frames[20], *frames[31:]]


def black(frames: list[Frame]) -> list[Frame]:
    dark = av.VideoFrame(96, 160, "yuv420p")
    for plane, level in zip(planes_of(dark), (16, 128, 128), strict=True):
        plane[:] = level
    return [*frames[:20], dark, *frames[21:]]


def frozen(frames: list[Frame]) -> list[Frame]:
    return [*frames[:20], *[frames[20]] * 20]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (repeated, "frame 20 "),
        (swapped, "frame 20 is not the picture that was drawn"),
        (black, "frame 20 is not the picture that was drawn"),
        (frozen, "frame 2"),
        (lambda frames: frames[:39], "39 frames instead of 40"),
        (lambda frames: [*frames, frames[0]], "more than the 40 frames"),
    ],
)
def test_other_pictures_than_the_drawn_ones_are_refused(
    tmp_path: Path, broken: Callable[[list[Frame]], list[Frame]], fault: str
) -> None:
    """A repeated, lost, swapped, black or frozen picture is posted."""
    path = written(tmp_path / "c.mp4", broken(moving(40)))
    with pytest.raises(GateFailed, match=fault):
        check_chunk(path, OUTPUT, signed(moving(40)))


def test_damage_and_other_formats_are_refused(tmp_path: Path) -> None:
    """A damaged file, or one of another kind than planned, is posted."""
    frames = moving(40)
    path = written(tmp_path / "c.mp4", frames)
    for wrong, fault in (
        (Output(width_px=98, height_px=160), "96x160 px"),
        (Output(width_px=96, height_px=160, video_codec="hevc"), "codec h264"),
        (Output(width_px=96, height_px=160, fps=Rational(25)), "30 frames a second instead of 25"),
    ):
        with pytest.raises(GateFailed, match=fault):
            check_chunk(path, wrong, signed(frames))
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 1200
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(GateFailed):
        check_chunk(path, OUTPUT, signed(frames))


def test_colour_tags_are_checked(tmp_path: Path) -> None:
    """A player shows other colours than were planned."""
    path = tmp_path / "c.mp4"
    frames = moving(4)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 160, "yuv420p"
        for frame in frames:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(GateFailed, match="colour tags"):
        check_chunk(path, OUTPUT, signed(frames))


def sounded(path: Path, level: float, samples: int) -> Path:
    at = np.arange(samples) / 48_000
    tone = np.tile((level * np.sin(2 * np.pi * 1000 * at)).astype(np.float32), (2, 1))
    with SoundWriter(path, Output()) as writer:
        for start in range(0, samples, AAC_FRAME):
            writer.write(tone[:, start : start + AAC_FRAME])
    return path


def test_sound_is_measured(tmp_path: Path) -> None:
    """Too loud, too quiet or too short sound is posted."""
    samples = 240_000
    # A 1 kHz sine on both sides at amplitude a measures 20 log10(a) LUFS: Rec. ITU-R BS.1770-5, 0.1 dB apart at most.
    path = sounded(tmp_path / "s.mp4", 0.1995, samples)
    assert len(check_sound(path, samples, Loudness())) == 64
    assert len(check_sound(path, samples, None)) == 64
    with pytest.raises(GateFailed, match=r"a loudness of -14\.\d LUFS where -18\.0"):
        check_sound(path, samples, Loudness(integrated_lufs=-18.0))
    with pytest.raises(GateFailed, match=r"a true peak of -1\d\.\d dBTP where -18\.0"):
        check_sound(path, samples, Loudness(true_peak_dbtp=-18.0))
    with pytest.raises(GateFailed, match="samples of sound instead of"):
        check_sound(path, samples + 2048, None)
    silent = sounded(tmp_path / "n.mp4", 0.0, samples)
    assert check_sound(silent, samples, Loudness())


def flashing(times_a_second: int, *, strength: int = 120, share: float = 1.0) -> list[gate.Signature]:
    """Two seconds at 30 fps; each flash is one bright frame."""
    frames = []
    for number in range(60):
        frame = np.full((16, 8), 60, np.uint8)
        if times_a_second and number % (30 // times_a_second) == 3:
            frame[: round(16 * share)] += strength
        frames.append(frame)
    return frames


def test_more_than_three_flashes_a_second_are_found() -> None:
    """A video can cause a seizure."""
    fps = Fraction(30)
    assert list(too_many(flashing(4), fps))
    assert not list(too_many(flashing(3), fps))
    assert not list(too_many(flashing(0), fps))
    assert not list(too_many(flashing(6, strength=8), fps))
    assert not list(too_many(flashing(6, share=0.2), fps))
    assert list(too_many(flashing(6, share=0.3), fps))
    between_bright = [np.full((16, 8), level, np.uint8) for level in (235, 222) * 30]
    assert not list(too_many(between_bright, fps))


def test_two_halves_that_flash_by_turns_are_found() -> None:
    """A checkerboard that flickers passes, because its mean never changes."""
    bright, dark = np.full((8, 8), 200, np.uint8), np.full((8, 8), 40, np.uint8)
    by_turns = [np.vstack((bright, dark)), np.vstack((dark, bright))] * 15
    assert list(too_many(by_turns, Fraction(30)))


def test_what_moves_through_the_picture_is_no_flash() -> None:
    """A train, a fence or a crowd that passes is refused, though it never flashes."""
    frames = []
    for number in range(60):
        frame = np.full((16, 8), 60, np.uint8)
        frame[2 * number % 16] = 200  # passes each block nearly four times a second
        frames.append(frame)
    assert not list(too_many(frames, Fraction(30)))


def test_slow_changes_are_no_flashes() -> None:
    """A dimmed lamp or a fade is refused."""
    ramp = [np.full((16, 8), 16 + 3 * at, np.uint8) for at in range(70)]
    assert not list(too_many([*ramp, *ramp[::-1]] * 2, Fraction(30)))


def test_another_pixel_format_is_refused(tmp_path: Path) -> None:
    """A file that phones cannot play is posted."""
    path = tmp_path / "c.mp4"
    frames = moving(4)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 160, "yuv444p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        for frame in frames:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(GateFailed, match="pixel format yuv444p"):
        check_chunk(path, OUTPUT, signed(frames))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    """A fault of the encoder looks like one of the source."""
    path = tmp_path / "c.mp4"
    path.write_bytes(bytes(4096))
    with pytest.raises(GateFailed, match=r"c\.mp4 cannot be opened"):
        check_chunk(path, OUTPUT, signed(moving(4)))
