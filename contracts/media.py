"""What is known about media files. Times are integer microseconds, sizes pixels, rates rational."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from contracts.ids import ItemId, ObjectKey, PlanId

__all__ = ["AudioStream", "Probe", "Rational", "Rendition", "VideoStream"]


class Rational(Struct, frozen=True, array_like=True):
    """An exact ratio, written in JSON as `[numerator, denominator]`."""

    num: Annotated[int, Meta(description="Numerator.", ge=0)]
    den: Annotated[int, Meta(description="Denominator.", ge=1)] = 1


class VideoStream(Struct, frozen=True, kw_only=True):
    """The video stream that is used."""

    index: Annotated[int, Meta(description="Index of the stream in the container.", ge=0)]
    codec: Annotated[str, Meta(description="Decoder name, as FFmpeg spells it.")]
    coded_width_px: Annotated[int, Meta(description="Width before rotation, px.", ge=1)]
    coded_height_px: Annotated[int, Meta(description="Height before rotation, px.", ge=1)]
    width_px: Annotated[int, Meta(description="Width as shown: rotated, square pixels, px.", ge=1)]
    height_px: Annotated[int, Meta(description="Height as shown: rotated, square pixels, px.", ge=1)]
    rotation_deg: Annotated[int, Meta(description="Clockwise turn to show it upright: 0, 90, 180, 270.")] = 0
    pixel_aspect: Annotated[Rational, Meta(description="Sample aspect ratio.")] = Rational(1, 1)
    fps: Annotated[Rational, Meta(description="Average frame rate, frames per second.")] = Rational(30, 1)
    pixel_format: Annotated[str, Meta(description="Pixel format, as FFmpeg spells it.")] = "yuv420p"
    full_range: Annotated[bool, Meta(description="Whether samples use the full 0..255 range.")] = False


class AudioStream(Struct, frozen=True, kw_only=True):
    """The audio stream that is used."""

    index: Annotated[int, Meta(description="Index of the stream in the container.", ge=0)]
    codec: Annotated[str, Meta(description="Decoder name, as FFmpeg spells it.")]
    sample_rate_hz: Annotated[int, Meta(description="Sample rate, Hz.", ge=1)]
    channels: Annotated[int, Meta(description="Number of channels.", ge=1)]


class Probe(Struct, frozen=True, kw_only=True):
    """What decoding (not only the header) showed of a file."""

    container: Annotated[str, Meta(description="Container format, as FFmpeg spells it.")]
    size_bytes: Annotated[int, Meta(description="Size of the file, bytes.", ge=0)]
    start_us: Annotated[int, Meta(description="Time of the first video frame, microseconds.")]
    duration_us: Annotated[int, Meta(description="Length of the video as read from its packets, microseconds.", ge=0)]
    video: Annotated[VideoStream, Meta(description="The video stream used.")]
    audio: Annotated[AudioStream | None, Meta(description="The audio stream used; null: the file has none.")] = None


class Rendition(Struct, frozen=True, kw_only=True):
    """A finished, checked video file."""

    item_id: Annotated[ItemId, Meta(description="The item it was made for.")]
    plan_id: Annotated[PlanId, Meta(description="SHA-256 of the plan it was made from, hex.")]
    key: Annotated[ObjectKey, Meta(description="Where the file is stored.")]
    sha256: Annotated[str, Meta(description="SHA-256 of the file, hex.")]
    size_bytes: Annotated[int, Meta(description="Size of the file, bytes.", ge=1)]
    width_px: Annotated[int, Meta(description="Width, px.", ge=1)]
    height_px: Annotated[int, Meta(description="Height, px.", ge=1)]
    duration_us: Annotated[int, Meta(description="Length, microseconds.", ge=1)]
    frames: Annotated[int, Meta(description="Number of video frames.", ge=1)]
    has_audio: Annotated[bool, Meta(description="Whether it has an audio stream.")]
    engine: Annotated[str, Meta(description="Which engine rendered it, with its version.")]
