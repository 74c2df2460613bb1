"""Open untrusted local media: files only, by the demuxers and decoders named here, within bounds set beforehand.

FFmpeg reads some four hundred formats; every one that is left out is one that a hostile file cannot reach. Playlists,
concatenations, image sequences and everything that follows an address are not among them.

Its bounds are settings. The command puts them into its environment; the processes that read media find them there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, TypeVar, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from contracts.errors import Reject

__all__ = [
    "DECODERS",
    "DEMUXERS",
    "MAX_DURATION_S",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "MAX_STREAMS",
    "SOUND_DEMUXERS",
    "STILL_KINDS",
    "bounded",
    "demuxed",
    "open_local",
    "pixel_aspect",
    "refuse_expansion",
    "still_kind",
]

DEMUXERS: Final = "mov,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,mxf"
"""Containers of video that are read, as libavformat spells them."""
SOUND_DEMUXERS: Final = "wav,mp3,flac,aac,aiff"
"""Containers of sound alone."""
DECODERS: Final = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mpeg2video,mpeg1video,mjpeg,theora,h263,flv,vp6,vp6f,vp6a,msmpeg4v1,"
    "msmpeg4v2,msmpeg4,wmv1,wmv2,wmv3,vc1,prores,dnxhd,cfhd,dvvideo,ffv1,huffyuv,ffvhuff,utvideo,qtrle,"
    "rawvideo,v210,aac,aac_latm,mp3float,mp3,mp2float,mp2,mp1float,mp1,ac3,eac3,dca,truehd,mlp,opus,libopus,"
    "vorbis,flac,alac,speex,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,wmav1,wmav2,wmapro,nellymoser,"
    "pcm_s8,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf"
)
"""Decoders that are used, as libavcodec spells them."""
STILL_KINDS: Final = ("PNG", "JPEG", "WEBP")
"""Pictures that are read, as Pillow spells them."""


S = TypeVar("S", bound=Stream)


def _setting(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default


MAX_SIDE_PX: Final = _setting("MEDIA_MAX_SIDE_PX", 8192)
MAX_PIXELS: Final = _setting("MEDIA_MAX_PIXELS", 8192 * 4352)
"""Of one coded picture, so that 8K with its alignment fits; checked by the decoder before it allocates."""
MAX_DURATION_S: Final = _setting("MEDIA_MAX_DURATION_S", 12 * 3600)
MAX_STREAMS: Final = _setting("MEDIA_MAX_STREAMS", 64)
_EXPANSION: Final = 4
_FREE_BYTES: Final = 64 << 20


def open_local(path: Path, demuxers: str = DEMUXERS, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a local file, without ever following an address inside it. Raises: av.error.FFmpegError."""
    return av.open(
        f"file:{path.absolute()}",
        options={
            "protocol_whitelist": "file",
            "format_whitelist": demuxers,
            "codec_whitelist": DECODERS,
            "max_streams": str(MAX_STREAMS),
            "max_pixels": str(MAX_PIXELS),
        },
        metadata_errors="replace",
        hwaccel=hwaccel,
    )


def bounded(stream: VideoStream | AudioStream, *, threads: int = 1) -> None:
    """Set a stream's decoder up, before its first packet. Raises: Reject if its codec or size is not accepted."""
    # PyAV has none where FFmpeg knows no decoder for a stream, though its types promise one.
    context = cast(VideoCodecContext | AudioCodecContext | None, stream.codec_context)
    if context is None or context.codec.name not in DECODERS.split(","):
        kind = "in a way that is not known" if context is None else f"as {context.codec.name}, which is not read"
        raise Reject(f"the {stream.type} is coded {kind}", mend="convert it to H.264 and AAC in MP4")
    if isinstance(stream, VideoStream):
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
            raise Reject(
                f"the picture is {width}x{height} px, more than {MAX_SIDE_PX} px a side"
                f" or {MAX_PIXELS // 1_000_000} million in all",
                mend="scale it down first",
            )
    context.options = {"codec_whitelist": context.codec.name, "max_pixels": str(MAX_PIXELS)}
    context.thread_count = threads
    context.thread_type = "AUTO"


def demuxed(container: InputContainer, *streams: S) -> Iterator[Packet[S]]:
    """Yield the packets of `streams`, and at the end an empty one for each.

    Where a damaged file brings up a further stream while it is read, PyAV 18.1 raises IndexError after the last packet.
    """
    try:
        yield from cast("Iterator[Packet[S]]", container.demux(*streams))
    except IndexError:
        return


def refuse_expansion(read_bytes: int, size_bytes: int) -> None:
    """Raise Reject where the packets of a file are far larger than the file: it was packed to inflate."""
    if read_bytes > _FREE_BYTES + _EXPANSION * size_bytes:
        raise Reject(
            f"the file holds more than {_EXPANSION} times as many bytes as it has", mend="save it again as MP4"
        )


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Return the aspect of a coded pixel; 1 where it is unset or absurd."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(aspect) if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)


def still_kind(head: bytes) -> str | None:
    """Return which of STILL_KINDS a file's first twelve bytes announce; None: no still."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return None
