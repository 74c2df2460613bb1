"""Groq's language model and speech recognition, as the editor asks them.

Docs: console.groq.com/docs: speech to text (read 2026-11). Limits: sound files up to 25 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.llm import Llm, Used
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, RateLimited, Reject, Retry

if TYPE_CHECKING:
    from groq import AsyncGroq
    from groq._response import AsyncAPIResponse

__all__ = ["GroqApi", "Heard", "HeardWord", "Segment", "Unanswered"]

ASK_DEADLINE_S: Final = 45.0
HEAR_DEADLINE_S: Final = 120.0
MAX_SOUND_BYTES: Final = 25_000_000
_FAILURES: Final = (RateLimited, Reject, Retry)


class Unanswered(EttamettaError):
    """There is no answer that can be used; the text says why. Work goes on without it."""


class HeardWord(Struct, frozen=True):
    """Times in seconds."""

    word: str
    start: float
    end: float


class Segment(Struct, frozen=True):
    """Times in seconds. The other values are Whisper's doubts about what it heard."""

    start: float
    end: float
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 1.0


class Heard(Struct, frozen=True):
    """A transcription, `verbose_json`."""

    words: tuple[HeardWord, ...] | None = None
    segments: tuple[Segment, ...] | None = None


class GroqApi:
    """Asks Groq with the configured key and models."""

    def __init__(self, key: str, settings: Settings, clock: Clock) -> None:
        self._llm = Llm("groq", key, settings, clock)
        self.model = self._llm.model
        self.transcript_model = settings.groq_transcript_model

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self | None:
        """Return one, or None where no key is set."""
        return cls(settings.groq_api_key, settings, clock) if settings.groq_api_key else None

    @property
    def used(self) -> Used | None:
        """Tokens of what was written last; None: not told."""
        return self._llm.used

    async def write(self, *, system: str, user: str, schema: Mapping[str, Any], seed: int) -> str:
        """Return what the model says: JSON that follows `schema`, unless it fails to. Raises: Unanswered."""
        try:
            return await self._llm.write(system=system, user=user, schema=schema, seed=seed, deadline_s=ASK_DEADLINE_S)
        except _FAILURES as error:
            raise Unanswered(str(error)) from error

    async def hear(self, sound: Path) -> Heard:
        """Transcribe a FLAC file with the times of its words. Raises: Unanswered."""
        data = await asyncio.to_thread(sound.read_bytes)
        if len(data) > MAX_SOUND_BYTES:
            raise Unanswered(f"the sound has {len(data)} bytes, more than the {MAX_SOUND_BYTES} that are taken")

        async def call(client: AsyncGroq) -> AsyncAPIResponse[Any]:
            return await client.audio.transcriptions.with_raw_response.create(
                model=self.transcript_model,
                file=("sound.flac", data, "audio/flac"),
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
                temperature=0,
            )

        try:
            return await self._llm.ask(call, Heard, HEAR_DEADLINE_S)
        except _FAILURES as error:
            raise Unanswered(str(error)) from error
