"""What is seen of a source at each moment, however the file is made and wherever reading begins."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream
from PIL import Image, ImageCms

from actors.renderer.draw.geometry import UPRIGHT
from actors.renderer.source import video
from actors.renderer.source.picture import Picture
from actors.renderer.source.video import ClipReader, first_frame_us
from contracts.errors import Reject
from tests.renderer_media import Yuv, flat, write_video
from tests.shared_media import real_files

SHORT_S = 3
HEAVY = {
    "av1_hdr10_portrait_720x1280.mp4",
    "hevc_hlg_rot90_editlist.mov",
    "portrait_4k60_short.mp4",
    "screenrec_hevc_1080p60_mono.mp4",
    "vp8_1080p60_51audio.webm",
}


def shades(count: int, width: int = 64, height: int = 48) -> list[Yuv]:
    """Pictures that differ, each a flat grey with a moving bar."""
    pictures = []
    for number in range(count):
        picture = flat(width, height, 40 + number * 2 % 180)
        picture[:height, (number * 3) % width] = 230
        pictures.append(picture)
    return pictures


def encoded(
    path: Path,
    pictures: Iterable[Yuv],
    codec: str,
    *,
    gop: int = 10,
    container: Mapping[str, str] = MappingProxyType({}),
    adjust: Callable[[VideoStream], None] | None = None,
    start: int = 0,
    options: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write pictures at 25 a second with any codec. start: first timestamp, frames."""
    with av.open(str(path), "w", options=dict(container)) as out:
        stream = cast(VideoStream, out.add_stream(codec, rate=25, options={"g": str(gop), **options}))
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
                if adjust is not None:
                    adjust(stream)
            frame.pts, frame.time_base = start + number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def seen(path: Path, moments: Iterable[int], *, start_us: int = 0, threads: int = 1) -> list[Picture]:
    reader = ClipReader(path, zero_us=first_frame_us(path), threads=threads)
    return list(reader.pictures(moments, start_us=start_us, early_us=8_000))


def digests(pictures: Iterable[Picture]) -> list[str]:
    return [hashlib.md5(b"".join(plane.tobytes() for plane in picture.planes)).hexdigest() for picture in pictures]


def level(picture: Picture) -> float:
    return float(np.median(picture.planes[0]))


# Reading from the middle ------------------------------------------------------------------------------


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make short files be entered in the middle; return whether each attempt to was trusted."""
    trusted: list[bool] = []
    found = video._trusted

    def spy(*given: Any) -> Any:
        frames = found(*given)
        trusted.append(frames is not None)
        return frames

    monkeypatch.setattr(video, "SEEK_FROM_US", 0)
    monkeypatch.setattr(video, "WARM_UP_US", 200_000)
    monkeypatch.setattr(video, "_trusted", spy)
    return trusted


def same_from_everywhere(path: Path, length_us: int, *, moments: int = 60) -> None:
    """Compare what is seen when reading begins at three places with what is seen from the start."""
    wanted = range(0, length_us + 200_000, max(1, length_us // moments))
    whole = digests(seen(path, wanted, threads=2))
    for share in (0.3, 0.6, 0.95):
        at = int(len(wanted) * share)
        part = wanted[at : at + 5]
        assert digests(seen(path, part, start_us=part[0])) == whole[at : at + 5], share


@pytest.mark.parametrize("file", real_files(), ids=lambda file: file.name)
def test_a_clip_from_the_middle_shows_what_the_whole_file_shows_there(file: Path, near: list[bool]) -> None:
    """Chunks begin anywhere: a picture that depended on where reading began would jump at their joints."""
    if file.name in HEAVY and os.environ.get("SWEEP") != "all":
        pytest.skip("SWEEP=all takes every file")
    with av.open(str(file)) as container:
        stream = container.streams.best("video")
        assert isinstance(stream, VideoStream)
        times = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None]
    same_from_everywhere(file, int(min(SHORT_S, max(times) - min(times)) * 1e6), moments=30)
    assert near


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3"}),
        ("open.mp4", "libx264", {"bf": "3", "x264-params": "open-gop=1"}),
        ("refresh.mkv", "libx264", {"x264-params": "intra-refresh=1"}),
        ("a.mkv", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("a.ts", "mpeg2video", {"bf": "2"}),
        ("a.flv", "libx264", {"bf": "2"}),
        ("a.avi", "mpeg4", {}),
        ("bf.avi", "mpeg4", {"bf": "2"}),
        ("a.ogv", "libtheora", {}),
    ],
)
def test_every_container_can_be_entered(
    tmp_path: Path, near: list[bool], name: str, codec: str, options: dict[str, str]
) -> None:
    """An index that is trusted where it is wrong shows the wrong picture, or grey."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build has no {codec}")
    same_from_everywhere(encoded(tmp_path / name, shades(120), codec, options=options), 4_800_000)
    assert near or name.endswith(("avi", "ogv")), "none was entered"


def test_fragments_without_an_index_can_be_entered(tmp_path: Path, near: list[bool]) -> None:
    """A fragmented recording has no table of where its frames are."""
    path = encoded(tmp_path / "f.mp4", shades(120), "libx264", container={"movflags": "frag_keyframe+empty_moov"})
    same_from_everywhere(path, 4_800_000)
    assert any(near)


def test_packets_that_go_back_in_time_are_not_walked(tmp_path: Path, near: list[bool]) -> None:
    """The walk to a moment would end in the wrong one of two frames that claim it."""
    pieces = [encoded(tmp_path / f"{n}.flv", shades(75), "libx264") for n in range(2)]
    path = tmp_path / "both.flv"
    path.write_bytes(pieces[0].read_bytes() + pieces[1].read_bytes()[13:])
    wanted = range(0, 6_000_000, 80_000)
    whole = digests(seen(path, wanted))
    assert digests(seen(path, wanted[50:], start_us=wanted[50])) == whole[50:]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_false_key_frames_are_not_trusted(tmp_path: Path, near: list[bool], codec: str) -> None:
    """A file whose table calls every frame a key frame would be entered at one that needs others."""
    path = encoded(tmp_path / "a.mp4", shades(120), codec, gop=50)
    data = path.read_bytes()
    assert b"stss" in data
    path.write_bytes(data.replace(b"stss", b"free"))
    same_from_everywhere(path, 4_800_000)


def test_a_clock_that_starts_again_is_followed(tmp_path: Path, near: list[bool]) -> None:
    """Two recordings in one stream: the second one's times would be taken for the first one's."""
    pieces = [encoded(tmp_path / f"{n}.ts", shades(75), "mpeg2video", start=n) for n in range(2)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    wanted = range(0, 6_000_000, 80_000)
    whole = digests(seen(path, wanted))
    assert digests(seen(path, wanted[60:], start_us=wanted[60])) == whole[60:]
    assert len(set(whole)) > 60


# Time -------------------------------------------------------------------------------------------------


def test_moments_before_and_after_the_source_hold_its_ends(tmp_path: Path) -> None:
    """A clip longer than its source would end in black, or not at all."""
    path = write_video(tmp_path / "a.mov", [flat(64, 48, 50), flat(64, 48, 90)])
    pictures = seen(path, [-1_000_000, 0, 10_000_000])
    assert [level(picture) for picture in pictures] == [50, 50, 90]
    assert level(seen(path, [20_000_000], start_us=20_000_000)[0]) == 90


def test_variable_and_late_times_are_kept(tmp_path: Path) -> None:
    """A frame of a screen recording lasts until the next one, whenever that comes; a late start is no gap."""
    path = write_video(tmp_path / "a.mov", [flat(64, 48, y) for y in (50, 90, 130)], pts=[300, 303, 360])
    zero_us = first_frame_us(path)
    assert zero_us in {0, 10_000_000}
    assert [level(p) for p in seen(path, [0, 90_000, 110_000, 1_900_000, 2_010_000])] == [50, 50, 90, 90, 130]


# Shape ------------------------------------------------------------------------------------------------


def turned_stream(path: Path, rotations: Iterable[int]) -> Path:
    """Write one H.264 stream whose pictures are to be turned differently from one key frame to the next."""
    data = b""
    for number, degrees in enumerate(rotations):
        part = encoded(path.with_suffix(f".{number}.h264"), shades(10), "libx264")
        with av.open(str(part)) as container:
            stream = container.streams.video[0]
            rotate = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:rotate={degrees}", stream)
            for packet in container.demux(stream):
                data += b"".join(bytes(out) for out in rotate.filter(packet if packet.size else None))
    raw = path.with_suffix(".h264")
    raw.write_bytes(data)
    with av.open(str(raw)) as source, av.open(str(path), "w") as out:
        template = source.streams.video[0]
        into = out.add_stream_from_template(template)
        for number, packet in enumerate(packet for packet in source.demux(template) if packet.size):
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 25)
            packet.stream = into
            out.mux(packet)
    return path


def test_a_turn_that_changes_on_the_way_is_followed(tmp_path: Path) -> None:
    """A stream that turns its pictures from some frame on would lie on its side from there."""
    path = turned_stream(tmp_path / "a.mkv", (0, 90))
    pictures = seen(path, [0, 320_000, 440_000, 700_000])
    assert [np.array_equal(picture.turn, UPRIGHT) for picture in pictures] == [True, True, False, False]
    assert pictures[3].shape != pictures[0].shape


def test_pixel_aspects_and_odd_sizes_are_kept(tmp_path: Path) -> None:
    """An anamorphic picture would be squeezed, an odd one cut or shifted."""

    def anamorphic(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)

    path = encoded(tmp_path / "a.mp4", shades(3), "libx264", adjust=anamorphic)
    assert seen(path, [0])[0].aspect == Fraction(16, 11)
    odd = next(file for file in real_files() if file.name == "odd_161x121.webm")
    picture = seen(odd, [0])[0]
    assert [plane.shape for plane in picture.planes] == [(121, 161), (61, 81), (61, 81)]


def combs(count: int) -> list[Yuv]:
    """Two fields of different moments in each picture: a bar that moves between them."""
    pictures = []
    for number in range(count):
        picture = flat(96, 64, 60)
        for field in range(2):
            left = 8 + 8 * (2 * number + field) % 70
            picture[field:64:2, left : left + 12] = 200
        pictures.append(picture)
    return pictures


def combed(picture: Picture) -> float:
    """How much neighbouring rows differ more than rows two apart."""
    y = picture.planes[0].astype(float)
    return float(np.abs(np.diff(y, axis=0)).mean() - np.abs(y[2:] - y[:-2]).mean())


def mpeg2(path: Path, pictures: list[Yuv], *, start: int, fields: bool) -> bytes:
    flags = {"flags": "+ildct+ilme", "field_order": "tt", "top": "1"} if fields else {}
    return encoded(path, pictures, "mpeg2video", start=start, options={"q": "1", **flags}).read_bytes()


def test_interlaced_pictures_are_made_whole_even_when_they_come_late(tmp_path: Path, near: list[bool]) -> None:
    """Combs in a broadcast recording, or only after its progressive opening."""
    whole = mpeg2(tmp_path / "p.ts", [flat(96, 64, 60)] * 30, start=0, fields=False)
    fields = mpeg2(tmp_path / "i.ts", combs(30), start=30, fields=True)
    path = tmp_path / "both.ts"
    path.write_bytes(whole + fields)
    plain = tmp_path / "plain.ts"
    plain.write_bytes(mpeg2(tmp_path / "c.ts", combs(30), start=0, fields=False))
    assert combed(seen(plain, [400_000])[0]) > 5, "the test's own pictures must be combed"
    late = seen(path, [1_600_000, 2_000_000])
    assert max(combed(picture) for picture in late) < 1
    same_from_everywhere(path, 2_300_000)


def test_interlacing_that_comes_and_goes_is_the_same_from_everywhere(tmp_path: Path, near: list[bool]) -> None:
    """The first interlaced frame is made with the one before it; entered just before, it would look otherwise."""
    pieces = [
        mpeg2(tmp_path / "1.ts", combs(20), start=0, fields=True),
        mpeg2(tmp_path / "2.ts", shades(30, 96, 64), start=20, fields=False),
        mpeg2(tmp_path / "3.ts", combs(30), start=50, fields=True),
    ]
    joined = tmp_path / "all.ts"
    joined.write_bytes(b"".join(pieces))
    path = tmp_path / "all.mkv"
    with av.open(str(joined)) as source, av.open(str(path), "w") as out:
        into = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = into
                out.mux(packet)
    whole = digests(seen(path, range(0, 3_200_000, 40_000)))
    for at in (44, 46, 48, 49, 50, 51):
        moments = range(at * 40_000, (at + 6) * 40_000, 40_000)
        assert digests(seen(path, moments, start_us=moments[0])) == whole[at : at + 6], at
    assert any(near)


# Stills -----------------------------------------------------------------------------------------------


def corner_photo() -> Image.Image:
    """Red at the top left, else grey; wider than high."""
    picture = Image.new("RGB", (80, 40), (128, 128, 128))
    picture.paste((255, 0, 0), (0, 0, 20, 20))
    return picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_stills_never_end_and_stand_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    """A photo taken with the phone upright would lie on its side, or last for one frame."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)  # the transpose that undoes each
    stored = corner_photo() if back is None else corner_photo().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    stored.save(path, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    assert first_frame_us(path) == 0
    pictures = seen(path, [-5, 0, 36_000_000_000], start_us=30_000_000_000)
    assert [(p.width_px, p.height_px) for p in pictures] == [(80, 40)] * 3
    assert pictures[2].planes[0] is pictures[0].planes[0], "one picture is kept, not decoded again"
    y, _, v = pictures[0].planes
    assert y[30, 60] == pytest.approx(126, abs=1)
    assert y[10, 10] == pytest.approx(63, abs=2)
    assert v[5, 5] == pytest.approx(240, abs=3)


def test_transparent_stills_lie_on_black(tmp_path: Path) -> None:
    """Colours hidden under transparency would show."""
    picture = Image.new("RGBA", (64, 48), (255, 255, 255, 0))
    path = tmp_path / "logo.png"
    picture.save(path)
    assert level(seen(path, [0])[0]) == 16
    picture.convert("P").save(path, transparency=0)
    assert level(seen(path, [0])[0]) in {16, 235}


def test_wide_gamut_stills_are_brought_into_range(tmp_path: Path) -> None:
    """A profile in a photo says what its numbers mean; without it colours are pale or loud."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmpZ").replace(b"bXYZ", b"rXYZ").replace(b"tmpZ", b"bXYZ")
    picture = Image.new("RGB", (64, 48), (220, 30, 30))
    plain, odd = tmp_path / "plain.png", tmp_path / "odd.png"
    picture.save(plain, icc_profile=profile)
    picture.save(odd, icc_profile=swapped)  # red and blue change places
    assert float(np.median(seen(plain, [0])[0].planes[2])) > 180
    assert float(np.median(seen(odd, [0])[0].planes[1])) > 180


def test_other_stills(tmp_path: Path) -> None:
    """16 bit, grey, palette, CMYK, huge and animated ones are pictures as well; a broken one says so."""
    grey = Image.fromarray(np.full((48, 64), 40_000, np.uint16))
    grey.save(tmp_path / "deep.png")
    assert level(seen(tmp_path / "deep.png", [0])[0]) == pytest.approx(16 + 219 * 40_000 / 65_535, abs=1.5)
    Image.new("L", (64, 48), 128).save(tmp_path / "grey.jpg")
    assert level(seen(tmp_path / "grey.jpg", [0])[0]) == pytest.approx(126, abs=1)
    Image.new("CMYK", (64, 48), (0, 0, 0, 0)).save(tmp_path / "ink.jpg")
    assert level(seen(tmp_path / "ink.jpg", [0])[0]) > 230
    frames = [Image.new("RGB", (64, 48), (shade,) * 3) for shade in (0, 255)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert level(seen(tmp_path / "moving.webp", [0, 5_000_000])[1]) == 16
    Image.new("RGB", (6000, 4000), (9, 9, 9)).save(tmp_path / "large.png")
    assert seen(tmp_path / "large.png", [0])[0].width_px == 3000
    whole = io.BytesIO()
    corner_photo().save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:60])
    with pytest.raises(Reject, match="damaged, cut off"):
        seen(tmp_path / "cut.png", [0])


def test_patterns_in_names_open_no_other_file(tmp_path: Path) -> None:
    """FFmpeg's readers of pictures take %d and * in a name for a sequence."""
    corner_photo().save(tmp_path / "1.png")
    path = tmp_path / "%d.png"
    with pytest.raises(Reject, match="No such file"):
        first_frame_us(path)
    path.symlink_to(tmp_path / "1.png")
    assert seen(path, [0])[0].width_px == 80
