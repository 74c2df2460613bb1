"""Encode and mux: H.264 and AAC in MP4, index first, nothing in it that the plan does not say.

Output bytes depend on the thread count of x264, so it is fixed and never taken from the machine.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.video.frame import VideoFrame

from actors.renderer.sound.mix import Samples
from actors.renderer.timeline import SAMPLE_RATE_HZ
from contracts.plan import Output

__all__ = ["AAC_FRAME", "Writer"]

ENCODER_THREADS: Final = 3
"""Frame threads. Measured on 2 cores: 3 is fastest."""
AAC_FRAME: Final = 1024
GOP_S: Final = 2
_BT709: Final = 1  # AVCOL_PRI_BT709, AVCOL_TRC_BT709, AVCOL_SPC_BT709
_LIMITED: Final = 1  # AVCOL_RANGE_MPEG


class Writer:
    """One output file being written."""

    def __init__(self, path: Path, output: Output, *, audio: bool) -> None:
        fps = Fraction(output.fps.num, output.fps.den)
        self._container = av.open(
            f"file:{path.absolute()}",
            "w",
            format=output.container,
            options={"movflags": "+faststart", "fflags": "+bitexact"},
        )
        video = self._container.add_stream(
            "libx264",
            rate=fps,
            options={"preset": output.preset, "crf": str(output.crf), "g": str(max(1, round(fps * GOP_S)))},
        )
        video.width, video.height, video.pix_fmt = output.width_px, output.height_px, "yuv420p"
        context = video.codec_context
        context.time_base = 1 / fps
        context.thread_count = ENCODER_THREADS
        context.thread_type = "FRAME"
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        self._video = video
        self._time_base = 1 / fps
        self._audio: AudioStream | None = None
        if audio:
            self._audio = self._container.add_stream("aac", rate=output.sample_rate_hz)
            self._audio.layout = "stereo"
            self._audio.bit_rate = output.audio_bitrate_bps
            self._audio.codec_context.flags |= Flags.bitexact
        self._samples = 0

    def picture(self, frame: VideoFrame, number: int) -> None:
        """Encode frame `number`. Its memory may be used again as soon as this returns: x264 copies it."""
        frame.pts, frame.time_base = number, self._time_base
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: Samples) -> None:
        """Encode a block: AAC_FRAME samples, or fewer at the very end."""
        assert self._audio is not None
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts, frame.time_base = self._samples, Fraction(1, SAMPLE_RATE_HZ)
        self._samples += samples.shape[1]
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Write what is still inside the encoders, and the index."""
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Let go of the file without finishing it."""
        self._container.close()
