"""A render plan of a local file, made without any service: `ettametta plan`."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from actors.editor.acquire import file_sha256
from actors.editor.captions import Captioned, captions_for, voice_rights
from actors.editor.groq_api import GroqApi, Unanswered
from actors.editor.planning import Voice, for_still, make_plan, preset_named, style_named
from actors.editor.still import is_still, probe_still
from actors.editor.transcribe import transcribe
from actors.runtime.clock import Clock
from actors.runtime.log import get_logger
from actors.runtime.probe import probe_file
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.media import Probe
from contracts.plan import Effect, Plan
from contracts.rights import RightsRecord, may

__all__ = ["STILL_US", "plan_file"]

STILL_US: Final = 5_000_000
"""How long a still is shown if nobody says."""


async def plan_file(
    media: Path,
    *,
    rights: RightsRecord,
    preset: str = "short",
    script: str = "",
    subtitles: Path | None = None,
    narrate: bool = False,
    effects: tuple[Effect, ...] | None = None,
    style: str | None = None,
    still_us: int | None = None,
    settings: Settings,
    folder: Path | None = None,
) -> Plan:
    """Return the plan; its source keys are absolute paths.

    Args: still_us: how long a still is shown, at least; folder: where the voice of a narration is written, as
    `<name of the media>.voice.wav`; None: beside the media.
    Raises: Reject, saying what is wrong with the media, its rights, or the words given.
    """
    chosen = preset_named(preset)
    if style is not None:
        style_named(style)
    verdict = may("derivative", rights, at=datetime.now(UTC))
    if not verdict.allowed:
        raise Reject(f"rights: {verdict.because}", mend="name its licence, and attest it where it is your own")
    media = media.absolute()  # noqa: ASYNC240  # reads no file
    still = await asyncio.to_thread(is_still, media)
    if still:
        probe = await probe_still(media, shown_us=still_us or STILL_US)
        chosen = for_still(chosen, probe.duration_us)
    elif still_us is None:
        probe = await probe_file(media)
    else:
        raise Reject("seconds were given, and the media is no still: it has a length of its own", mend="leave them out")
    sha256 = await file_sha256(media)
    text = await asyncio.to_thread(subtitles.read_bytes) if subtitles else None
    wav = (folder.absolute() if folder else media.parent) / f"{media.stem}.voice.wav"  # noqa: ASYNC240  # as above
    made = await captions_for(media, probe, script=script, subtitles=text, narrate=narrate, voice=wav)
    if made is None and probe.audio is not None and (groq := GroqApi.of(settings, Clock())):
        made = await _heard(media, probe, groq, length_us=chosen.max_duration_us)
    voice = None
    if made is not None and made.voice_us:
        voice = Voice(
            key=ObjectKey(str(wav)),
            sha256=await file_sha256(wav),
            rights=voice_rights(rights),
            duration_us=made.voice_us,
        )
        if still:
            probe = replace(probe, duration_us=max(probe.duration_us, made.voice_us))
    return make_plan(
        probe,
        key=ObjectKey(str(media)),
        sha256=sha256,
        rights=rights,
        preset=chosen,
        cues=made.cues if made else (),
        voice=voice,
        effects=effects,
        style=style,
        seed=int(sha256[:8], 16),
    )


async def _heard(media: Path, probe: Probe, groq: GroqApi, *, length_us: int) -> Captioned | None:
    """Return what is said in the media; None, with a line in the log, where that cannot be had."""
    with tempfile.TemporaryDirectory(prefix="ettametta-") as folder:
        try:
            cues = await transcribe(media, probe, groq, Path(folder), length_us=length_us)
        except Unanswered as error:
            get_logger().warning("edit.no_captions", because=str(error))
            return None
    return Captioned(origin="transcribed", cues=cues)
