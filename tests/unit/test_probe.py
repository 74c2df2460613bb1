"""What the probe says of real and hostile files."""

from __future__ import annotations

import os
import shutil
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from actors.runtime.damage import Tally, refuse_damage
from actors.runtime.probe import MIN_SIDE_PX, ProbeRequest, probe, probe_file, refuse_by_head, shown_size, standard_rate
from contracts.errors import Reject
from contracts.media import Probe, Rational
from tests.hostile_media import reading

DATA = Path(__file__).parents[2].parent / "shared" / "data"

# (width, height, rotation, start s, duration s, fps, has audio); None where the file leaves it open
EXPECTED: dict[str, tuple[int, int, int, float, float, Rational | None, bool]] = {
    "fragmented_absurd_duration.mp4": (1080, 720, 0, 0.067, 1.001, Rational(30000, 1001), True),
    "first_pts_10s.mp4": (1137, 640, 0, 10.0, 4.0, Rational(30, 1), False),
    "iphone_portrait_568x320.mov": (320, 568, 90, 0.0, 2.068, None, True),
    "phone_rot180_vfr.mp4": (1280, 720, 180, 0.0, 2.38, None, True),
    "phone_rot90_cif_mono.mp4": (288, 352, 270, 0.0, 0.771, None, True),
    "multi_track_nasa.mp4": (480, 270, 0, 0.0, 13.013, Rational(30000, 1001), True),
    "camcorder_1080i_ac3.mts": (1920, 1080, 0, 1.433, 1.034, Rational(30000, 1001), True),
    "flv_1000fps_tb.flv": (1080, 720, 0, 0.067, 1.0, Rational(30, 1), True),
    "film_many_cuts_70s.webm": (798, 332, 0, 0.0, 70.458, Rational(24, 1), True),
    "odd_161x121.webm": (161, 121, 0, 0.0, 1.001, None, False),
    "long_6min_1080p.mp4": (1920, 1080, 0, 0.0, 362.767, Rational(30, 1), True),
}

# Malformed files that still hold a video which plays
PLAYABLE = {
    "avi_large_length.avi",
    "failing_audio.mp4",
    "missing_stsd.mp4",
    "no_duration.webm",
    "quote'in name.mov",
    "truncated_100000B_35s.mp4",
}
REASONS = {
    "-name-starts-with-dash-.mp4": "too small: 1x1 px",
    "constructed_hls_playlist_as.mp4": "playlist",
    "constructed_html_as.mp4": "web page",
    "encrypted_cenc.mp4": "encrypted",
    "evil.wav": "not of a kind",
    "invalid_vp9_bitstream.webm": "not one frame",
    "no_timescale_bad_matrix.mp4": "most of the picture is damaged: 89 of 89",
    "smallest_mp4_no_streams.mp4": "no video stream",
    "zero_bytes.webm": "empty",
    "zero_length_packets.ts": "no frames",
}


def files_of(folder: str) -> list[Path]:
    """List real media. Absent: skipped, and an error in CI, so that it never passes unseen."""
    found = sorted(path for path in (DATA / folder).glob("*") if path.suffix != ".md") if DATA.is_dir() else []
    if not found and os.environ.get("CI"):
        raise RuntimeError(f"{DATA / folder} is absent: CI must run on the real files")
    return found


def media(folder: str) -> list[object]:
    found = files_of(folder)
    why = pytest.mark.skip(reason=f"{DATA / folder} is absent")
    return [pytest.param(path, id=path.name) for path in found] or [pytest.param(Path(), marks=why)]


@pytest.mark.parametrize("path", media("A_video"))
async def test_every_real_video_is_accepted(path: Path) -> None:
    """A file that plays everywhere is not refused, and is described as it is shown."""
    found = await probe_file(path)
    assert found.duration_us > 0
    assert found.size_bytes == path.stat().st_size  # noqa: ASYNC240, RUF100  # a test
    if expected := EXPECTED.get(path.name):
        width, height, rotation, start_s, duration_s, fps, has_audio = expected
        video = found.video
        assert (video.width_px, video.height_px, video.rotation_deg) == (width, height, rotation)
        assert found.start_us == pytest.approx(start_s * 1e6, abs=1000)
        assert found.duration_us == pytest.approx(duration_s * 1e6, abs=1000)
        assert fps is None or video.fps == fps
        assert (found.audio is not None) == has_audio


@pytest.mark.parametrize("path", media("B_malformed"))
async def test_every_malformed_file_ends_clearly(path: Path) -> None:
    """A hostile file costs a second and one clear line, and a playable one is not lost."""
    before_s = time.monotonic()
    if path.name in PLAYABLE:
        assert (await probe_file(path)).duration_us > 0
    else:
        with pytest.raises(Reject) as caught:
            await probe_file(path)
        assert "\n" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert REASONS.get(path.name, "") in str(caught.value)
    assert time.monotonic() - before_s < 20
    assert not reading()


def write_video(path: Path, *, size: tuple[int, int] = (64, 48), frames: int = 10, rate: int = 10) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        for shade in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), shade * 20 % 256, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "small.mp4")


async def test_names_are_only_names(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is taken for an option, an address or a list."""
    monkeypatch.chdir(video.parent)
    for name in ("-i.mp4", 'a\'b "c".mp4', "http:x.mp4", "concat:a|b.mp4", "100%d.mp4", "ü 😀.mp4", "line\nfeed.mp4"):
        shutil.copy(video, name)
        assert (await probe_file(Path(name))).duration_us == 1_000_000


@pytest.mark.parametrize(
    ("size", "text"), [((MIN_SIDE_PX - 2, 64), "too small"), ((8208, 64), "more than 8192 px"), ((16, 16), "")]
)
def test_sizes_have_bounds(tmp_path: Path, size: tuple[int, int], text: str) -> None:
    """A picture of no use, or one that would fill the memory, is refused before it is rendered."""
    path = write_video(tmp_path / "size.avi", size=size, frames=2)
    if text:
        with pytest.raises(Reject, match=text):
            run(path)
    else:
        assert run(path).video.width_px == 16


def test_playlist_inside_a_local_file_opens_nothing_else(tmp_path: Path, video: Path) -> None:
    """A playlist that slips past the first look still cannot make the reader open another file."""
    path = tmp_path / "list.mp4"
    path.write_text(f"{' ' * 600}\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n")
    with pytest.raises(Reject):
        run(path)


def test_longer_than_12_hours_is_refused(tmp_path: Path) -> None:
    """A video that would take days to render is refused by its own frames' times."""
    path = tmp_path / "long.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for hour in range(0, 15, 2):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = hour * 3600, Fraction(1)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(Reject, match="longer than 12 hours"):
        run(path)


def test_cover_picture_is_no_video(tmp_path: Path) -> None:
    """A song with a cover is not made into a video of one frame."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=48000)
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(cover.encode(picture.reformat(format="yuvj420p")))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48000
        out.mux(sound.encode(tone))
        out.mux(sound.encode())
        out.mux(cover.encode())
    with pytest.raises(Reject, match="cover picture"):
        run(path)


def test_missing_file_is_said(tmp_path: Path) -> None:
    """A wrong path is named as such."""
    with pytest.raises(Reject, match="cannot be read: No such file"):
        run(tmp_path / "none.mp4")


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf#EXTM3U", b"  <!DOCTYPE html>", b"ffconcat version 1.0"])
def test_mistakes_are_named_by_the_first_bytes(head: bytes) -> None:
    """What people send by mistake is told in their words."""
    with pytest.raises(Reject):
        refuse_by_head(head)


def test_shown_size() -> None:
    """A phone's portrait clip is portrait, an anamorphic one is not squeezed."""
    assert shown_size(1920, 1080, Fraction(1), 90) == (1080, 1920)
    assert shown_size(720, 576, Fraction(16, 11), 0) == (1047, 576)


@pytest.mark.parametrize(
    ("measured", "claimed", "rate"),
    [
        (Fraction(2997, 100), Fraction(30000, 1001), Fraction(30000, 1001)),
        (Fraction(30), Fraction(1000), Fraction(30)),
        (Fraction(60000, 1001), Fraction(30000, 1001), Fraction(30000, 1001)),
        (Fraction(16), None, Fraction(16)),
        (Fraction(1, 7200), None, Fraction(1, 1000)),
    ],
)
def test_rates(measured: Fraction, claimed: Fraction | None, rate: Fraction) -> None:
    """A header that claims 1000 frames a second is not believed."""
    assert standard_rate(measured, claimed) == rate


def run(path: Path) -> Probe:
    return probe(ProbeRequest(str(path)), lambda _: None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_stills_are_named_as_such(tmp_path: Path, kind: str) -> None:
    """A photo sent as a video is told apart from a damaged one, and where it can be used is said."""
    path = tmp_path / "photo.mp4"
    Image.new("RGB", (64, 48)).save(path, kind)
    with pytest.raises(Reject, match=rf"a picture \({kind}\), not a video"):
        run(path)


def test_codecs_that_are_not_on_the_list_are_not_decoded(tmp_path: Path) -> None:
    """Every decoder that a file can choose is code that it can attack."""
    path = tmp_path / "png.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        out.mux(stream.encode(av.VideoFrame(64, 48, "rgb24")))
        out.mux(stream.encode())
    with pytest.raises(Reject, match="coded as png"):
        run(path)


def test_half_damaged_is_the_bound(tmp_path: Path) -> None:
    """A video that is grey mush for the most part was taken for a good one."""
    tally = Tally()
    tally.whole, tally.patched, tally.failed = 10, 6, 4
    refuse_damage(tally)
    tally.failed = 5
    with pytest.raises(Reject, match="11 of 21 frames"):
        refuse_damage(tally)
