"""Decoded frames of any kind become pictures of one kind: 8-bit 4:2:0 planes, limited range, BT.709.

A frame that is of that kind already is used in place, without a copy. Tags decide how the others are read; where they
are missing, the size does, as in players. Wide gamut and high dynamic range go through `tone`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, cast

import av.error
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from msgspec import Struct

from actors.renderer.draw.geometry import CHROMA_CENTRE, CHROMA_LEFT, UPRIGHT, Matrix, Plane, orientation
from actors.renderer.source import tone
from actors.renderer.source.tone import Tone
from contracts.errors import Reject

__all__ = ["Converter", "Picture", "Planes", "downloaded", "planes_of", "tone_of"]

# Numbers of ITU-T H.273 (07/2024), tables 2 to 4, as AVFrame carries them.
_MATRIX_709: Final = 1
_MATRIX_2020: Final = frozenset({9, 10})
_MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_PRIMARIES_2020: Final = 9
_PRIMARIES_P3: Final = frozenset({11, 12})
_TRANSFER_PQ: Final = 16
_TRANSFER_HLG: Final = 18
_UNKNOWN: Final = 2
_RANGE_FULL: Final = 2
_HD_FROM: Final = (1280, 577)
"""Width or height from which an untagged picture is taken for BT.709, below for BT.601, as players do."""
_PEAKS: Final = (400, 4000)
"""Bounds of what a file may claim as its brightest light, cd/m2; beyond them it is a mistake."""
_PROPERTIES_PX: Final = 16
_PLANAR: Final = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p016le": "yuv420p12le"}
"""What a GPU decodes to, and what the CPU does."""


Planes = tuple[Any, Any, Any]
"""y, u, v: arrays of NumPy on the host, of CuPy on a GPU."""


class Picture(Struct, frozen=True):
    """Planes y, u, v and how they are to be shown. frame: owns the memory."""

    frame: VideoFrame
    planes: Planes
    width_px: int
    height_px: int
    aspect: Fraction
    turn: Matrix
    chroma_site: Matrix

    @property
    def shape(self) -> tuple[int, int, Fraction, bytes]:
        """What decides how it lies in the output."""
        return self.width_px, self.height_px, self.aspect, self.turn.tobytes()


class Converter:
    """Turns the frames of one stream into pictures.

    aspect: of a pixel, from the stream; centred: chroma lies between luma samples, as in JPEG and MPEG-1;
    device_planes: gives the planes of a plain frame that lies on a GPU, where they are; others come to the host.
    What may change within a stream (turn, brightest light) is read from every key frame, and holds until the next.
    """

    def __init__(
        self,
        aspect: Fraction = Fraction(1),
        *,
        centred: bool = False,
        device_planes: Callable[[VideoFrame], Planes] | None = None,
    ) -> None:
        self._device_planes = device_planes
        self._aspect = aspect
        self._site = CHROMA_CENTRE if centred else CHROMA_LEFT
        self._reformatter = VideoReformatter()
        self._for_properties = VideoReformatter()
        self._turn: Matrix | None = None
        self._peak = tone.DEFAULT_PEAK
        self._converted: tuple[VideoFrame, Picture] | None = None

    def picture(self, frame: VideoFrame) -> Picture:
        """Return the picture of a frame; the same frame again costs nothing. Raises: Reject."""
        if self._converted is None or self._converted[0] is not frame:
            self._converted = frame, self._convert(frame)
        return self._converted[1]

    def _convert(self, frame: VideoFrame) -> Picture:
        try:
            if self._turn is None or frame.key_frame:
                self._read_properties(frame)
            if self._device_planes is not None and _is_plain_on_gpu(frame):
                plain, planes = frame, self._device_planes(frame)
            else:
                plain = self._plain(downloaded(frame))
                planes = planes_of(plain)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.MemoryError):
                raise
            raise Reject(
                f"pictures of the kind {frame.format.name} are not read", mend="convert the source to H.264"
            ) from error
        return Picture(
            frame=plain,
            planes=planes,
            width_px=frame.width,
            height_px=frame.height,
            aspect=self._aspect,
            turn=UPRIGHT if self._turn is None else self._turn,
            chroma_site=CHROMA_LEFT if frame.format.is_rgb else self._site,
        )

    def _read_properties(self, frame: VideoFrame) -> None:
        # Of a tiny copy: `side_data` makes a reference cycle, which keeps a frame until cycles are collected.
        tiny = self._for_properties.reformat(
            frame,
            width=_PROPERTIES_PX,
            height=_PROPERTIES_PX,
            format="gray",
            interpolation=Interpolation.POINT,
            threads=1,
        )
        self._turn = orientation(_side_data(tiny, "DISPLAYMATRIX"))
        self._peak = _peak(_side_data(tiny, "CONTENT_LIGHT_LEVEL"), _side_data(tiny, "MASTERING_DISPLAY_METADATA"))

    def _plain(self, frame: VideoFrame) -> VideoFrame:
        wanted = tone_of(frame, self._peak)
        if wanted is not None:
            return self._toned(frame, wanted)
        return frame if _is_plain(frame) else self._scaled(frame, "yuv420p", Colorspace.ITU709, full=False)

    def _toned(self, frame: VideoFrame, wanted: Tone) -> VideoFrame:
        source = frame
        if frame.format.name != "yuv420p10le":
            into = Colorspace.BT2020 if wanted.luma == "2020" else Colorspace.ITU709
            source = self._scaled(frame, "yuv420p10le", into, full=wanted.full_range)
        out = VideoFrame(frame.width, frame.height, "yuv420p")
        out.colorspace, out.color_range = Colorspace.ITU709, ColorRange.MPEG
        out.color_primaries, out.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        y, u, v = (plane.view(np.uint16) for plane in _rows(source, 2))
        tone.apply(tone.tables(wanted), (y, u, v), planes_of(out))
        return out

    def _scaled(self, frame: VideoFrame, kind: str, into: Colorspace, *, full: bool) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            format=kind,
            src_colorspace=None if frame.format.is_rgb else _MATRICES.get(_matrix(frame)),
            dst_colorspace=into,
            src_color_range=ColorRange.JPEG if _is_full(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,
        )


def downloaded(frame: VideoFrame) -> VideoFrame:
    """Return a frame that lies on a GPU as the CPU decodes it; any other as it is."""
    if frame.format.name != "cuda" or frame.sw_format is None:
        return frame
    name = frame.sw_format.name
    return frame.reformat(format=_PLANAR.get(name, name), threads=1)


def planes_of(frame: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return the planes of a yuv420p frame as arrays that share its memory, without the padding of rows."""
    y, u, v = _rows(frame, 1)
    return y, u, v


def tone_of(frame: VideoFrame, peak: int = tone.DEFAULT_PEAK) -> Tone | None:
    """Return what a frame of high dynamic range or wide gamut needs; None: it is plain SDR. peak: of PQ, cd/m2."""
    trc, primaries, matrix = frame.color_trc, frame.color_primaries, frame.colorspace
    if trc not in {_TRANSFER_PQ, _TRANSFER_HLG} and primaries != _PRIMARIES_2020 and primaries not in _PRIMARIES_P3:
        return None
    high = {_TRANSFER_PQ: "pq", _TRANSFER_HLG: "hlg"}.get(trc, "sdr")
    wide = primaries == _PRIMARIES_2020 or (primaries == _UNKNOWN and high != "sdr")
    return Tone(
        transfer="pq" if high == "pq" else "hlg" if high == "hlg" else "sdr",
        primaries="2020" if wide else "p3" if primaries in _PRIMARIES_P3 else "709",
        luma="2020" if matrix in _MATRIX_2020 or (matrix == _UNKNOWN and wide) else "709",
        full_range=_is_full(frame) and not frame.format.is_rgb,
        peak=peak if high == "pq" else tone.DEFAULT_PEAK,
    )


def _rows(frame: VideoFrame, sample_bytes: int) -> tuple[Plane, Plane, Plane]:
    half = (frame.height + 1) // 2, (frame.width + 1) // 2
    y, u, v = frame.planes[:3]
    return (
        _samples(y, frame.height, frame.width * sample_bytes),
        _samples(u, half[0], half[1] * sample_bytes),
        _samples(v, half[0], half[1] * sample_bytes),
    )


def _samples(plane: VideoPlane, height: int, width: int) -> Plane:
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    found = cast(Buffer | None, frame.side_data.get(kind))
    return bytes(found) if found is not None else None


def _peak(light_level: bytes | None, mastering: bytes | None) -> int:
    """Return the brightest light that the material tells of, cd/m2, in hundreds.

    Source: libavutil/mastering_display_metadata.h (AVContentLightMetadata begins with MaxCLL;
    AVMasteringDisplayMetadata holds max_luminance as a rational at byte 72, has_luminance at byte 84).
    """
    told = struct.unpack_from("=I", light_level)[0] if light_level and len(light_level) >= 4 else 0
    if not told and mastering and len(mastering) >= 88 and struct.unpack_from("=i", mastering, 84)[0]:
        most, per = struct.unpack_from("=2i", mastering, 72)
        told = most // per if per > 0 else 0
    if told <= 0:
        return tone.DEFAULT_PEAK
    return -(-min(max(told, _PEAKS[0]), _PEAKS[1]) // 100) * 100


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace != _UNKNOWN:
        return frame.colorspace
    if frame.color_primaries == _PRIMARIES_2020:
        return 9
    return _MATRIX_709 if frame.width >= _HD_FROM[0] or frame.height >= _HD_FROM[1] else 6


def _is_full(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.color_range == _RANGE_FULL or frame.format.name.startswith("yuvj")


def _is_plain_on_gpu(frame: VideoFrame) -> bool:
    kind = frame.sw_format
    return (
        frame.format.name == "cuda"
        and kind is not None
        and kind.name == "nv12"
        and frame.width % 2 == frame.height % 2 == 0
        and frame.color_range != _RANGE_FULL
        and _matrix(frame) == _MATRIX_709
        and tone_of(frame) is None
    )


def _is_plain(frame: VideoFrame) -> bool:
    return (
        frame.format.name == "yuv420p"
        and frame.color_range != _RANGE_FULL
        and _matrix(frame) == _MATRIX_709
        and all(plane.line_size > 0 for plane in frame.planes)
    )
