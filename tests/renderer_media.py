"""Small media with known content, and plans that use them, for the tests of the renderer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.renderer.job import Rendered, RenderRequest
from contracts.ids import ObjectKey
from contracts.media import Rational
from contracts.plan import AudioTrack, Clip, Output, Plan, PlanSource
from contracts.rights import RightsRecord

__all__ = ["RIGHTS", "Yuv", "decode_audio", "decode_luma", "flat", "plan_of", "request_for", "write_video"]

RIGHTS = RightsRecord(licence="owned", attested_by="test", attestation="made by the test")
Yuv = NDArray[np.uint8]
"""(height * 3 / 2, width): the planes of yuv420p one below the other, as PyAV lays them."""


def flat(width: int, height: int, y: int = 128, u: int = 128, v: int = 128) -> Yuv:
    """A picture of one colour."""
    planes = np.concatenate([np.full(width * height, y), *(np.full(width * height // 4, c) for c in (u, v))])
    return planes.astype(np.uint8).reshape(height * 3 // 2, width)


def write_video(
    path: Path,
    pictures: Iterable[Yuv],
    *,
    pts: Sequence[int] | None = None,
    sound: NDArray[np.float32] | None = None,
    sound_from_s: Fraction = Fraction(0),
    time_base: Fraction = Fraction(1, 30),
    metadata: dict[str, str] | None = None,
    adjust: Callable[[Any], None] | None = None,
) -> Path:
    """Write pictures without loss (H.264 qp 0) and sound as PCM into a MOV. pts: in time_base units.

    sound: (2, n) at 48 kHz; adjust: gets the video stream before the first frame.
    """
    with av.open(str(path), "w", format="mov", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata.update(metadata or {})
        video = out.add_stream("libx264", rate=1 / time_base, options={"qp": "0", "preset": "ultrafast"})
        audio = out.add_stream("pcm_s16le", rate=48_000, layout="stereo") if sound is not None else None
        video.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            if number == 0:
                video.width, video.height = frame.width, frame.height
                video.codec_context.time_base = time_base
                context = video.codec_context
                context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
                if adjust is not None:
                    adjust(video)
            frame.pts, frame.time_base = (pts[number] if pts else number), time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None and sound is not None:
            levels = np.rint(sound.T * 32767).astype(np.int16).reshape(1, -1)
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(levels), format="s16", layout="stereo")
            block.sample_rate, block.time_base = 48_000, Fraction(1, 48_000)
            block.pts = round(sound_from_s * 48_000)
            out.mux(audio.encode(block))
            out.mux(audio.encode(None))
    return path


def plan_of(path: Path, *, end_us: int, start_us: int = 0, audio: bool = False, **fields: Any) -> Plan:
    """A plan of one clip, small and fast to encode."""
    output = fields.pop("output", Output(width_px=64, height_px=64, fps=Rational(30), preset="ultrafast", crf=0))
    return Plan(
        sources=(
            PlanSource(
                id="s",
                key=ObjectKey(str(path)),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                rights=RIGHTS,
            ),
        ),
        clips=fields.pop("clips", (Clip(source="s", start_us=start_us, end_us=end_us),)),
        audio=(AudioTrack(source="s"),) if audio else (),
        output=output,
        **fields,
    )


def request_for(plan: Plan, out: Path, **fields: Any) -> RenderRequest:
    paths = {source.id: source.key for source in plan.sources}
    request = RenderRequest(plan=plan, paths=dict(paths), part=f"{out}.part", out=str(out))
    return msgspec.structs.replace(request, **fields)


def decode_luma(path: Path | Rendered) -> list[Yuv]:
    """Return the luma planes of all frames."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="yuv420p")[: frame.height]  # type: ignore[misc]  # an 8-bit format
            for frame in container.decode(video=0)
        ]


def decode_audio(path: Path) -> NDArray[np.float32]:
    """Return all sound, (2, n)."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(blocks, axis=1).astype(np.float32)
