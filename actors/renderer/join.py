"""Join finished chunks and the sound into one file, index first, without encoding anything again.

Every frame gets its exact place: frame n of the plan starts at n / fps. Nothing in the file tells when, where or from
how many parts it was made.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import msgspec
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from actors.renderer import gate
from actors.renderer.chunkfile import ChunkFacts, SoundFacts, facts_of, seal
from actors.renderer.flashes import too_many
from actors.renderer.job import ENGINE, Made, Rendered
from actors.renderer.timeline import frame_count
from actors.runtime.damage import Tally, refuse_damage
from contracts.errors import Reject
from contracts.plan import MAX_FLASHES_PER_S, Plan
from contracts.plan_rules import duration_us

__all__ = ["Part", "SoundPart", "failed_beside", "join", "kept_as", "parts_of", "stored"]

USABLE_SHARE: Final = 0.5
"""Least share of what a plan asks of its sources that must decode; below it the source is refused, not held still."""
SOURCE_AREA: Final = 1 / 16
"""Share of a source that must flash by itself to be what flashes in the video: a crop makes a part of it the whole."""


class Part(msgspec.Struct, frozen=True):
    """The file of a chunk."""

    path: Path
    facts: ChunkFacts


class SoundPart(msgspec.Struct, frozen=True):
    """The file of the sound."""

    path: Path
    facts: SoundFacts


def parts_of(chunks: Sequence[Path], sound: Path | None) -> tuple[tuple[Part, ...], SoundPart | None]:
    """Read what the files say of themselves. Raises: gate.GateFailed if one is not whole."""
    parts: list[Part] = []
    for path in chunks:
        facts = facts_of(path, ChunkFacts)
        if facts is None:
            raise gate.GateFailed(f"the chunk {path.name} is not whole")
        parts.append(Part(path, facts))
    if sound is None:
        return tuple(parts), None
    heard = facts_of(sound, SoundFacts)
    if heard is None:
        raise gate.GateFailed(f"the sound {sound.name} is not whole")
    return tuple(parts), SoundPart(sound, heard)


def join(
    plan: Plan, parts: Sequence[Part], sound: SoundPart | None, *, part: Path, out: Path, engine: str = ENGINE
) -> Rendered:
    """Write and check `part`, then rename it to `out`. engine: that must have made all parts.

    Raises: Reject if what was read does not do, flashes too often, or was made by another engine; gate.GateFailed if
    the file is not as planned: it is then kept as evidence, and the error says where.
    """
    output = plan.output
    frames = frame_count(duration_us(plan), output.fps)
    _of_one_engine(parts, engine)
    notes = (*_judged(plan, parts), *_flashes(plan, parts), *(sound.facts.notes if sound is not None else ()))
    try:
        _follow_on(parts, frames)
        _mux(plan, parts, sound, part)
        pictures = [(one.facts.frames, one.facts.packets_sha256) for one in parts]
        length_us = gate.check_file(
            part, output, frames, pictures, sound.facts.packets_sha256 if sound is not None else None
        )
    except gate.GateFailed as error:
        raise gate.GateFailed(f"{error}{kept_as(part, failed_beside(out))}") from error
    with part.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        size_bytes = file.tell()
    part.replace(out)
    return Rendered(
        width_px=output.width_px,
        height_px=output.height_px,
        duration_us=length_us,
        frames=frames,
        has_audio=sound is not None,
        sha256=sha256,
        size_bytes=size_bytes,
        engine=engine,
        notes=notes,
    )


def stored(part: Path, out: Path, facts: ChunkFacts | SoundFacts) -> Made:
    """Seal a part that passed its check and put it in its place."""
    sha256 = seal(part, facts)
    size_bytes = part.stat().st_size
    part.replace(out)
    return Made(sha256=sha256, size_bytes=size_bytes, notes=facts.notes if isinstance(facts, SoundFacts) else ())


def kept_as(part: Path, failed: Path) -> str:
    """Keep a file that failed its check as evidence; return where it is, to end a sentence."""
    if not part.exists():
        return ""
    part.replace(failed)
    return f"; it is kept as {failed}"


def failed_beside(out: Path, what: str = "") -> Path:
    """Return where evidence of a failure is kept: beside the place of the good file."""
    return out.with_name(f"{out.stem}{what}.failed.mp4")


def _judged(plan: Plan, parts: Sequence[Part]) -> tuple[str, ...]:
    """Refuse what came mostly from damage; return what a person should know. Raises: Reject."""
    asked_us = sum(part.facts.asked_us for part in parts)
    usable_us = sum(part.facts.usable_us for part in parts)
    tally = Tally()
    for part in parts:
        tally.whole += part.facts.whole
        tally.patched += part.facts.damaged
        tally.last_error = tally.last_error or part.facts.last_error
    if usable_us < USABLE_SHARE * asked_us:
        share = Fraction(usable_us, asked_us) * duration_us(plan) / 1_000_000
        raise Reject(
            f"only {float(share):.1f} s of the {duration_us(plan) / 1e6:.1f} s asked for can be decoded{tally.detail}",
            mend="the source is damaged or shorter than the plan says",
        )
    refuse_damage(tally)
    return (f"{tally.damaged} frames of the picture are damaged{tally.detail}",) if tally.damaged else ()


def _flashes(plan: Plan, parts: Sequence[Part]) -> tuple[str, ...]:
    """Refuse what flashes too often by the plan's doing; return a note where a source does. Raises: Reject."""
    fps = Fraction(plan.output.fps.num, plan.output.fps.den)
    composed = (one for part in parts for one in gate.signatures_of(part.facts.signatures))
    found = list(too_many(composed, fps))
    if not found:
        return ()
    own = _source_flashes(parts, fps)
    second = int(fps)
    by_plan = [frame for frame in found if not any(abs(frame - other) <= second for other in own)]
    if by_plan:
        since_s = float(max(0, by_plan[0] - second) / fps)
        raise Reject(
            f"the finished video flashes more than {MAX_FLASHES_PER_S} times in the second from {since_s:.2f} s",
            mend="fewer or weaker flashes: more can cause seizures (WCAG 2.2, 2.3.1)",
        )
    since_s = float(max(0, found[0] - second) / fps)
    return (f"the source itself flashes more than {MAX_FLASHES_PER_S} times in the second from {since_s:.2f} s",)


def _source_flashes(parts: Sequence[Part], fps: Fraction) -> list[int]:
    strips: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
    for part in parts:
        for shown in part.facts.shown:
            strips.setdefault((shown.clip, shown.pane), []).append((shown.first_frame, shown.signatures))
    found: list[int] = []
    for pieces in strips.values():
        first = pieces[0][0]
        seen = (one for _, data in pieces for one in gate.signatures_of(data))
        found += [first + frame for frame in too_many(seen, fps, SOURCE_AREA)]
    return found


def _of_one_engine(parts: Sequence[Part], engine: str) -> None:
    for part in parts:
        if part.facts.engine != engine:
            raise Reject(
                f"the chunk {part.path.name} was made by another engine: {part.facts.engine}, not {engine}",
                mend="give all renderers the same version and the same device",
            )


def _follow_on(parts: Sequence[Part], frames: int) -> None:
    at = 0
    for part in parts:
        if part.facts.first_frame != at:
            raise gate.GateFailed(f"the chunk {part.path.name} does not belong after frame {at}")
        at += part.facts.frames
    if at != frames:
        raise gate.GateFailed(f"the chunks hold {at} frames instead of {frames}")


def _mux(plan: Plan, parts: Sequence[Part], sound: SoundPart | None, path: Path) -> None:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(f"file:{path.absolute()}", "w", format=plan.output.container, options=options) as out:
        with gate.written(parts[0].path) as first:
            template = first.streams.video[0]
            head = template.codec_context.extradata
            picture = out.add_stream_from_template(template)
            frame_time = Fraction(plan.output.fps.den, plan.output.fps.num)
            picture.time_base = frame_time
            if plan.output.video_codec == "hevc":
                picture.codec_context.codec_tag = "hvc1"
        tracks = [_pictures(parts, picture, head)]
        if sound is None:
            for _, packet in tracks[0]:
                out.mux(packet)
            return
        with gate.written(sound.path) as heard:
            track = out.add_stream_from_template(heard.streams.audio[0])
            tracks.append(_sounds(heard, track))
            for _, packet in heapq.merge(*tracks, key=lambda timed: timed[0]):
                out.mux(packet)


def _pictures(parts: Sequence[Part], stream: Stream, head: bytes | None) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Yield the packets of all chunks in decoding order, on the whole's clock, counted in frames."""
    base = stream.time_base
    assert base is not None
    delay = max(part.facts.delay for part in parts)
    decoded = 0
    for part in parts:
        with gate.written(part.path) as chunk:
            own = chunk.streams.video[0]
            if own.codec_context.extradata != head:
                raise gate.GateFailed(f"the chunk {part.path.name} was encoded with other parameters than the first")
            for packet in gate.whole_packets(chunk, own):
                packet.pts = part.facts.first_frame + round((packet.pts or 0) * packet.time_base / base)
                packet.dts = decoded - delay
                packet.duration, packet.time_base, packet.stream = 1, base, stream
                decoded += 1
                yield packet.dts * base, packet


def _sounds(container: InputContainer, stream: Stream) -> Iterator[tuple[Fraction, Packet[Any]]]:
    for packet in gate.whole_packets(container, container.streams.audio[0]):
        at = Fraction(packet.dts or 0) * packet.time_base
        packet.stream = stream
        yield at, packet
