"""Decoded frames of any kind become pictures of one kind: 8-bit 4:2:0 planes, limited range, BT.709.

A frame that is of that kind already is used in place, without a copy.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, cast

import av.error
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from msgspec import Struct

from actors.renderer.draw.geometry import (
    CHROMA_CENTRE,
    CHROMA_LEFT,
    CHROMA_TOP_LEFT,
    Matrix,
    Plane,
    orientation,
)

__all__ = ["Converter", "Picture", "planes_of"]

# Numbers of ITU-T H.273 (07/2024), tables 2 to 4, as AVFrame carries them.
_MATRIX_709: Final = 1
_MATRIX_UNKNOWN: Final = 2
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
_TRANSFER_PQ: Final = 16
_TRANSFER_HLG: Final = 18
"""Made to be shown on a display of standard range as it is (Rec. ITU-R BT.2100-2), so only its gamut is converted."""
_RANGE_FULL: Final = 2
_UNKNOWN: Final = 2
_HD_FROM: Final = (1280, 577)
"""Width or height from which an untagged picture is taken for BT.709, below for BT.601, as players do."""
_SITES: Final = {2: CHROMA_CENTRE, 3: CHROMA_TOP_LEFT}
"""AVChromaLocation; everything else is left, as in MPEG-2 and later."""


class Picture(Struct, frozen=True):
    """Planes y, u, v and how they are to be shown. frame: owns the memory."""

    frame: VideoFrame
    planes: tuple[Plane, Plane, Plane]
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
    """Turns the frames of one stream into pictures. aspect: of a pixel, from the stream."""

    def __init__(self, aspect: Fraction) -> None:
        self._aspect = aspect if Fraction(1, 8) <= aspect <= 8 else Fraction(1)
        self._reformatter = VideoReformatter()
        self._turn: Matrix | None = None
        self._converted: tuple[VideoFrame, Picture] | None = None

    def picture(self, frame: VideoFrame) -> Picture:
        """Return the picture of a frame; the same frame again costs nothing."""
        if self._converted is None or self._converted[0] is not frame:
            self._converted = frame, self._convert(frame)
        return self._converted[1]

    def _convert(self, frame: VideoFrame) -> Picture:
        if self._turn is None:
            # Of one frame only: `side_data` makes a reference cycle, which keeps a frame until cycles are collected.
            display_matrix = cast(Buffer | None, frame.side_data.get("DISPLAYMATRIX"))
            self._turn = orientation(bytes(display_matrix) if display_matrix is not None else None)
        plain = frame if _is_plain(frame) else self._reformat(frame)
        converted = plain is not frame
        return Picture(
            frame=plain,
            planes=planes_of(plain),
            width_px=frame.width,
            height_px=frame.height,
            aspect=self._aspect,
            turn=self._turn,
            chroma_site=CHROMA_LEFT if converted else _SITES.get(getattr(frame, "chroma_location", 0), CHROMA_LEFT),
        )

    def _reformat(self, frame: VideoFrame) -> VideoFrame:
        is_rgb = frame.format.is_rgb
        matrix = None if is_rgb else _MATRICES.get(_matrix(frame), None)
        full = is_rgb or frame.color_range == _RANGE_FULL or frame.format.name.startswith("yuvj")
        wide = _is_wide(frame)
        if wide:
            if frame.color_primaries == _UNKNOWN:
                frame.color_primaries = ColorPrimaries.BT2020
            if frame.color_trc in {_UNKNOWN, _TRANSFER_HLG}:
                frame.color_trc = ColorTrc.BT709
        try:
            return self._scale(frame, matrix, full=full, tone=wide)
        except (av.error.FFmpegError, ValueError):
            if not wide:
                raise
            return self._scale(frame, matrix, full=full, tone=False)

    def _scale(self, frame: VideoFrame, matrix: Colorspace | None, *, full: bool, tone: bool) -> VideoFrame:
        """Convert by swscale. tone: bring wide gamut and high dynamic range into BT.709, by its perceptual mapping."""
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            dst_color_trc=ColorTrc.BT709 if tone else None,
            dst_color_primaries=ColorPrimaries.BT709 if tone else None,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,
        )


def planes_of(frame: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return the planes of a yuv420p frame as arrays that share its memory, without the padding of rows."""
    half = (frame.height + 1) // 2, (frame.width + 1) // 2
    y, u, v = frame.planes
    return _samples(y, frame.height, frame.width), _samples(u, *half), _samples(v, *half)


def _samples(plane: VideoPlane, height: int, width: int) -> Plane:
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace != _MATRIX_UNKNOWN:
        return frame.colorspace
    if frame.color_primaries == _PRIMARIES_2020:
        return 9
    return _MATRIX_709 if frame.width >= _HD_FROM[0] or frame.height >= _HD_FROM[1] else 6


def _is_wide(frame: VideoFrame) -> bool:
    return frame.color_primaries == _PRIMARIES_2020 or frame.color_trc in {_TRANSFER_PQ, _TRANSFER_HLG}


def _is_plain(frame: VideoFrame) -> bool:
    return (
        frame.format.name == "yuv420p"
        and frame.color_range != _RANGE_FULL
        and _matrix(frame) == _MATRIX_709
        and not _is_wide(frame)
        and all(plane.line_size > 0 for plane in frame.planes)
    )
