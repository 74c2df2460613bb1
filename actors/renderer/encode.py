"""Encode: the picture of one chunk, or the whole sound, each into a small MP4 of its own.

Output bytes depend on an encoder's thread count, so every encoder runs on one thread: cores are filled with chunks.
Every chunk is made with the same parameters and starts with an IDR picture; GOPs are closed. So chunks can be joined.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from actors.renderer.chunks import gop_frames
from actors.renderer.devices import SOFTWARE, Choice
from actors.renderer.sound.mix import Samples
from actors.renderer.timeline import SAMPLE_RATE_HZ
from contracts.plan import Output

__all__ = ["AAC_FRAME", "BT709", "LIMITED", "PictureWriter", "SoundWriter"]

AAC_FRAME: Final = 1024
BT709: Final = 1  # AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709
LIMITED: Final = 1  # AVCOL_RANGE_MPEG
_CPU_AVX2: Final = 11  # cv::CpuFeatures of OpenCV, which its Python module does not name
HAS_AVX2: Final = bool(cv2.checkHardwareSupport(_CPU_AVX2))
"""x264 is kept to AVX2: its macroblock tree for AVX-512 reads memory that was never written, so that the same pictures
give other bytes each time (seen in the FFmpeg 8.1 of PyAV 18.1, 2026-11-23); AVX2 costs no measurable time."""
_PLAIN: Final = {"fflags": "+bitexact"}
PLAIN: Final = Choice()
NVENC_PRESETS: Final = {"ultrafast": "p1", "superfast": "p2", "veryfast": "p3", "faster": "p4", "fast": "p4"}
"""x264's presets as NVENC's, by speed; the slower ones are p5: from there on it gains little."""


class _Writer:
    """One file of one stream; left by an error, it is closed unfinished."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(f"file:{path.absolute()}", "w", format="mp4", options=_PLAIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._container.close()

    def _flush(self) -> None:
        raise NotImplementedError


class PictureWriter(_Writer):
    """The frames of one chunk, counted from 0. They may lie on the GPU where `choice` says that they stay there."""

    def __init__(self, path: Path, output: Output, choice: Choice = PLAIN) -> None:
        super().__init__(path)
        fps = Fraction(output.fps.num, output.fps.den)
        h264 = output.video_codec == "h264"
        if choice.hardware is None:
            encoder, options = SOFTWARE[output.video_codec], _h264(output) if h264 else _hevc(output)
        else:
            encoder, options = choice.hardware, _nvenc(output)
        stream = self._container.add_stream(encoder, rate=fps, options=options)
        assert isinstance(stream.codec_context, VideoCodecContext)
        stream.width, stream.height = output.width_px, output.height_px
        stream.pix_fmt = "cuda" if choice.stays else "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / fps
        context.thread_count = 1
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        if not h264:
            context.codec_tag = "hvc1"  # what Apple's players ask for
        self._stream = stream
        self._time_base = 1 / fps
        self._number = 0

    def write(self, frame: VideoFrame) -> None:
        """Encode the next frame. Its memory may be used again as soon as this returns: the encoder copies it."""
        frame.pts, frame.time_base = self._number, self._time_base
        self._number += 1
        self._container.mux(self._stream.encode(frame))

    def _flush(self) -> None:
        self._container.mux(self._stream.encode(None))


def _h264(output: Output) -> dict[str, str]:
    options = {"preset": output.preset, "crf": str(output.crf), "g": str(gop_frames(output.fps))}
    return {**options, "x264-params": "asm=avx2"} if HAS_AVX2 else options


def _hevc(output: Output) -> dict[str, str]:
    keyint = gop_frames(output.fps)
    one_thread = "pools=none:frame-threads=1:log-level=none:info=0"
    return {
        "preset": output.preset,
        "crf": str(output.crf),
        "x265-params": f"{one_thread}:keyint={keyint}:open-gop=0:repeat-headers=0",
    }


def _nvenc(output: Output) -> dict[str, str]:
    """Return constant quality in closed GOPs, every frame shown in the order of its coding.

    Option names are those of libavcodec's nvenc. It has not run on a GPU yet.
    """
    step = NVENC_PRESETS.get(output.preset, "p5")
    quality = {"rc": "vbr", "cq": str(output.crf), "b": "0", "preset": step, "tune": "hq"}
    return {**quality, "bf": "0", "g": str(gop_frames(output.fps)), "no-scenecut": "1", "forced-idr": "1"}


class SoundWriter(_Writer):
    """The whole sound, 48 kHz stereo AAC."""

    def __init__(self, path: Path, output: Output) -> None:
        super().__init__(path)
        self._stream = self._container.add_stream("aac", rate=output.sample_rate_hz)
        self._stream.layout = "stereo"
        self._stream.bit_rate = output.audio_bitrate_bps
        self._stream.codec_context.flags |= Flags.bitexact
        self._samples = 0

    def write(self, samples: Samples) -> None:
        """Encode a block: AAC_FRAME samples, or fewer at the very end."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE_HZ)
        self._samples += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def _flush(self) -> None:
        self._container.mux(self._stream.encode(None))
