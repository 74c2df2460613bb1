"""What a platform would refuse of a draft and its file, found before a byte is sent. Pure.

Each finding says what is wrong and what mends it; where another rendering of the same plan mends it, also how that
plan's output changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from actors.publisher.caption import length
from contracts.media import AudioStream, Probe, Rational, Rendition, VideoStream
from contracts.plan import Output, Plan
from contracts.platform import Caps, Draft, Limits

__all__ = ["Finding", "mended", "preflight", "probe_of_rendition"]

WORST_CRF: Final = 34
"""Beyond it pictures are worse than a refusal. Six steps halve the rate (x264, rate control)."""
CODEC_NAMES: Final = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}
"""Names of FFmpeg's decoders that differ from the codec's."""
RATE_TOLERANCE: Final = 1.0011
"""29.97 for 30: a limit of 30 means both."""
ONE_SHAPE: Final = 1.05
"""A platform that takes shapes this near to each other means the one between them."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that the platform does not take. output: fields of the plan's output that mend it; empty: none do."""

    what: str
    mend: str
    output: dict[str, Any] = {}


def preflight(
    draft: Draft, probe: Probe | None, limits: Limits, *, size_bytes: int, caps: Caps, fits: bool = True
) -> tuple[Finding, ...]:
    """Return everything that is wrong. fits: whether the credit fits into the caption.

    A file that was not looked at is judged by its size alone.
    """
    found = [*_words(draft, limits, caps, fits=fits), *_size(size_bytes, probe, limits)]
    if probe is not None:
        found += [*_length(probe, limits), *_form(probe, limits), *_picture(probe.video, limits)]
    return tuple(found)


def _words(draft: Draft, limits: Limits, caps: Caps, *, fits: bool) -> Iterator[Finding]:
    if not fits:
        yield Finding(
            what=f"the credit that the licences ask for is longer than the {limits.caption} that a text may have",
            mend="Post it to another platform, or use works whose credit is shorter",
        )
    told = length(draft.caption, limits.unit, link_weight=limits.link_weight)
    if limits.caption is not None and told > limits.caption:
        yield Finding(what=f"the text counts {told}, at most {limits.caption} are taken", mend="Shorten its words")
    if limits.max_hashtags is not None and len(draft.tags) > limits.max_hashtags and limits.caption is None:
        yield Finding(what=f"{len(draft.tags)} hashtags, at most {limits.max_hashtags} are taken", mend="Take some out")
    if draft.privacy not in caps.hides and draft.publish_at is None:
        yield Finding(
            what=f"it was asked to be {draft.privacy}, and posts there are {' or '.join(caps.hides)}",
            mend=f"Ask for it as {caps.hides[0]}: --privacy {caps.hides[0]}, or PRIVACY={caps.hides[0]}",
        )


def _size(size_bytes: int, probe: Probe | None, limits: Limits) -> Iterator[Finding]:
    if limits.min_bytes is not None and size_bytes < limits.min_bytes:
        yield Finding(what=f"the file has {size_bytes:,} bytes, at least {limits.min_bytes:,} are taken", mend=_OTHER)
    if limits.max_bytes is not None and size_bytes > limits.max_bytes:
        what = f"the file has {size_bytes:,} bytes, at most {limits.max_bytes:,} are taken"
        yield Finding(what=what, mend="Render it smaller", output={"rate": limits.max_bytes / size_bytes})
    if probe is None or limits.max_bits_per_s is None or not probe.duration_us:
        return
    rate = size_bytes * 8_000_000 / probe.duration_us
    if rate > limits.max_bits_per_s:
        what = f"the file has {rate / 1e6:.1f} Mbit/s, at most {limits.max_bits_per_s / 1e6:.1f} are taken"
        yield Finding(what=what, mend="Render it smaller", output={"rate": limits.max_bits_per_s / rate})


def _length(probe: Probe, limits: Limits) -> Iterator[Finding]:
    took = f"the video is {probe.duration_us / 1e6:.1f} s long"
    if limits.max_duration_us is not None and probe.duration_us > limits.max_duration_us:
        yield Finding(what=f"{took}, at most {limits.max_duration_us / 1e6:g} s are taken", mend="Cut it shorter")
    if limits.min_duration_us is not None and probe.duration_us < limits.min_duration_us:
        yield Finding(what=f"{took}, at least {limits.min_duration_us / 1e6:g} s are taken", mend=_OTHER)


def _form(probe: Probe, limits: Limits) -> Iterator[Finding]:
    taken = {name for told in limits.containers for name in told.split(",")}
    if taken and not taken & set(probe.container.split(",")):
        fit = next((name for name in ("mp4", "mov") if name in taken), None)
        yield Finding(
            what=f"the file is {probe.container}; it must be {_either(limits.containers)}",
            mend="Render it as that",
            output={"container": fit} if fit else {},
        )
    codec = CODEC_NAMES.get(probe.video.codec, probe.video.codec)
    if limits.video_codecs and codec not in limits.video_codecs:
        known = next((name for name in ("h264", "hevc") if name in limits.video_codecs), None)
        yield Finding(
            what=f"the picture is {codec}; it must be {_either(limits.video_codecs)}",
            mend="Render it as that",
            output={"video_codec": known} if known else {},
        )
    audio = probe.audio
    if limits.audio_codecs and audio is not None and audio.codec not in limits.audio_codecs:
        yield Finding(
            what=f"the sound is {audio.codec}; it must be {_either(limits.audio_codecs)}",
            mend="Render it as that",
            output={"audio_codec": "aac"} if "aac" in limits.audio_codecs else {},
        )


def _picture(video: VideoStream, limits: Limits) -> Iterator[Finding]:
    fps = video.fps.num / video.fps.den
    for bound, wrong in (
        (limits.max_fps, limits.max_fps is not None and fps > limits.max_fps * RATE_TOLERANCE),
        (limits.min_fps, limits.min_fps is not None and fps * RATE_TOLERANCE < limits.min_fps),
    ):
        if wrong and bound is not None:
            taken = "most" if fps > bound else "least"
            yield Finding(
                what=f"{fps:.4g} frames a second, at {taken} {bound:g} are taken",
                mend="Render it at another rate",
                output={"fps": Rational(round(bound))} if float(bound).is_integer() else {},
            )
    wide, high = video.width_px, video.height_px
    size = _fitted(wide, high, limits)
    if size != (wide, high):
        yield Finding(
            what=f"the picture is {wide}x{high} px ({_ratio(wide / high)}); {_sides(limits)}",
            mend="Render it at another size",
            output={"width_px": size[0], "height_px": size[1]},
        )


def _fitted(wide: int, high: int, limits: Limits) -> tuple[int, int]:
    """Return the nearest size that is taken, sides even; the same where this one is."""
    aspect = wide / high
    want = min(max(aspect, limits.min_aspect or 0.0), limits.max_aspect or math.inf)
    if not math.isclose(want, aspect, rel_tol=0.005):
        wide, high = (round(high * want), high) if want < aspect else (wide, round(wide / want))
    shrink = min(1.0, (limits.max_width_px or wide) / wide, (limits.max_height_px or high) / high)
    grow = max(1.0, (limits.min_side_px or 0) / min(wide, high))
    scale = shrink if shrink < 1 else grow
    if scale == 1.0 and math.isclose(wide / high, aspect, rel_tol=0.005):
        return wide, high
    even = math.ceil if scale > 1 else math.floor
    return even(wide * scale / 2) * 2, even(high * scale / 2) * 2


def _sides(limits: Limits) -> str:
    low, high = limits.min_aspect, limits.max_aspect
    if low and high and high / low < ONE_SHAPE:
        shape = f"{_ratio((low + high) / 2)} (width to height)"
    else:
        told = (f"at least {_ratio(low)}" if low else "", f"at most {_ratio(high)}" if high else "")
        shape = " and ".join(part for part in told if part) + " (width to height)" if low or high else ""
    parts = (
        shape,
        f"at most {limits.max_width_px} px wide" if limits.max_width_px else "",
        f"at most {limits.max_height_px} px high" if limits.max_height_px else "",
        f"at least {limits.min_side_px} px on each side" if limits.min_side_px else "",
    )
    return "it must be " + ", ".join(part for part in parts if part)


def _ratio(aspect: float) -> str:
    return "{}:{}".format(*Fraction(aspect).limit_denominator(100).as_integer_ratio())


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)


_OTHER: Final = "Post another video"


def mended(plan: Plan, found: tuple[Finding, ...]) -> Plan | None:
    """Return the plan whose rendering mends every finding; None: no change of its output does."""
    output: Output = plan.output
    rate = 1.0
    for one in found:
        if not one.output:
            return None
        changes = dict(one.output)
        rate = min(rate, changes.pop("rate", 1.0))
        output = replace(output, **changes)
    if rate < 1.0:
        crf = output.crf + math.ceil(6 * math.log2(1 / rate)) + 1
        if crf > WORST_CRF:
            return None
        output = replace(output, crf=crf)
    return None if output == plan.output else replace(plan, output=output)


def probe_of_rendition(rendition: Rendition, output: Output) -> Probe:
    """Return what is known of a file that was rendered and checked here, without looking at it again."""
    return Probe(
        container=output.container,
        size_bytes=rendition.size_bytes,
        start_us=0,
        duration_us=rendition.duration_us,
        video=VideoStream(
            index=0,
            codec=output.video_codec,
            coded_width_px=rendition.width_px,
            coded_height_px=rendition.height_px,
            width_px=rendition.width_px,
            height_px=rendition.height_px,
            fps=output.fps,
        ),
        audio=AudioStream(index=1, codec=output.audio_codec, sample_rate_hz=output.sample_rate_hz, channels=2)
        if rendition.has_audio
        else None,
    )
