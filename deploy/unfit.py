"""What a platform would not take of a person's file, and the commands that bring the file into a form that it takes."""

from __future__ import annotations

import math
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from actors import platforms
from actors.editor.planning import PRESETS, Preset, output_rate
from actors.publisher.caption import length
from actors.publisher.draft import make_draft
from actors.publisher.preflight import Finding, preflight
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.media import Probe
from contracts.plan import Output
from contracts.rights import RightsRecord, attribution_text, may

__all__ = ["refuse_unfit"]

LIKE_ITSELF: Final = ("plain", "square", "wide")
"""Presets that change nothing of a video but its form."""


def refuse_unfit(video: Path, asked: PostRequested, probe: Probe | None) -> None:
    """Refuse a file that was not rendered here. probe: None, its form is judged later.

    Raises: Reject, with everything that is wrong and what mends it.
    """
    platform = platforms.module(asked.destination.platform)
    limits = platform.LIMITS
    draft = make_draft(asked, limits=limits, now=datetime.now(UTC))
    credit = length(attribution_text(asked.rights), limits.unit, link_weight=limits.link_weight)
    fits = limits.caption is None or credit <= limits.caption
    size_bytes = video.stat().st_size

    def wrong(seen: Probe | None) -> tuple[Finding, ...]:
        return preflight(draft, seen, limits, size_bytes=size_bytes, caps=platform.CAPS, fits=fits)

    found = wrong(probe)
    if not found:
        return
    mends = [one.mend for one in found]
    formless = wrong(None)
    if probe is not None and found != formless and may("derivative", asked.rights, at=datetime.now(UTC)).allowed:
        taken = [name for name in LIKE_ITSELF if wrong(_rendered(probe, PRESETS[name])) == formless]
        if taken:
            nearest = min(taken, key=lambda name: _distance(probe, PRESETS[name]))
            mends = [*(one.mend for one in formless), _commands(video, platform.NAME, nearest, probe, asked.rights)]
    told = "; ".join(one.what for one in found)
    raise Reject(f"{platform.NAME}: {told}", mend="; ".join(dict.fromkeys(mends)))


def _rendered(probe: Probe, preset: Preset) -> Probe:
    """Return what would be found of a rendering with the preset."""
    made = Output(width_px=preset.width_px, height_px=preset.height_px, fps=output_rate(probe.video.fps))
    sides = {"width_px": made.width_px, "height_px": made.height_px}
    return replace(
        probe,
        container=made.container,
        duration_us=min(probe.duration_us, preset.max_duration_us),
        video=replace(probe.video, codec=made.video_codec, fps=made.fps, **sides),
        audio=None if probe.audio is None else replace(probe.audio, codec=made.audio_codec),
    )


def _distance(probe: Probe, preset: Preset) -> float:
    """Return how much of the shape a preset changes."""
    return abs(math.log(probe.video.width_px * preset.height_px / (probe.video.height_px * preset.width_px)))


def _commands(video: Path, platform: str, preset: str, probe: Probe, rights: RightsRecord) -> str:
    name = _unlike_option(f"{video.stem}-{platform}")
    named = _unlike_option(str(video))
    plan = ["ettametta", "plan", named, "--preset", preset, "--licence", rights.licence]
    plan += ["--attest", rights.attestation] if rights.attestation else []
    plan += ["--author", rights.author] if rights.author else []
    render = ["ettametta", "render", f"{name}.json", "-o", f"{name}.mp4"]
    most_us = PRESETS[preset].max_duration_us
    cut = f" of its first {most_us / 1e6:g} s" if probe.duration_us > most_us else ""
    return (
        f"Make one{cut} that is taken: `{shlex.join([*plan, '-o', f'{name}.json'])}`, then `{shlex.join(render)}`, "
        f"and post {name}.mp4"
    )


def _unlike_option(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name
