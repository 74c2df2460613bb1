"""Captions of an item: from subtitles, a script that is spoken in the media, a narration made here, or hearing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.editor.align import align_file
from actors.editor.cues import cues_from_words
from actors.editor.narrate import VOICE, narrate_script
from actors.editor.subtitles import parse_subtitles
from contracts.errors import Reject
from contracts.media import Probe
from contracts.plan import Cue
from contracts.rights import RightsRecord

__all__ = ["Captioned", "captions_for", "transcript_of", "voice_rights"]


class Captioned(Struct, frozen=True, kw_only=True):
    """Cues, how they came about, and the length of the voice that was made (0: none)."""

    origin: Literal["subtitles", "aligned", "narrated", "transcribed"]
    cues: tuple[Cue, ...]
    voice_us: int = 0

    @property
    def language(self) -> str | None:
        """The language of the words; None: it is not known. Voice and alignment are English, and refuse other words."""
        return "en" if self.origin in {"aligned", "narrated"} else None


async def captions_for(
    media: Path, probe: Probe, *, script: str, subtitles: bytes | None, narrate: bool, voice: Path
) -> Captioned | None:
    """Return the captions that can be had; None: nothing was given to make them from.

    A narration is written to `voice` and its words are what is shown; else subtitles win over a script.
    Raises: Reject, Retry.
    """
    if narrate:
        if not script.strip():
            raise Reject("narration was asked for and there is no script", mend="give the words to be spoken")
        spoken = await narrate_script(script, voice)
        return Captioned(origin="narrated", cues=cues_from_words(spoken.words), voice_us=spoken.duration_us)
    if subtitles is not None:
        return Captioned(origin="subtitles", cues=await asyncio.to_thread(parse_subtitles, subtitles))
    if script.strip():
        return Captioned(origin="aligned", cues=cues_from_words(await align_file(media, probe, script)))
    return None


def transcript_of(cues: Sequence[Cue]) -> str:
    """Return the words of the cues as one text."""
    return " ".join(cue.text.replace("\n", " ") for cue in cues)


def voice_rights(given: RightsRecord) -> RightsRecord:
    """Return the rights of a narration: whoever brought the script in vouches for its words."""
    return replace(
        given,
        note=f"Narration: synthetic voice '{VOICE}' of hibari-tts (Apache-2.0) speaking the script that was given.",
    )
