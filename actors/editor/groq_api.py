"""Groq's language model and speech recognition, as the editor asks them.

Docs: console.groq.com/docs: text chat, structured outputs, speech to text, rate limits, deprecations (read 2026-11).
Auth: Bearer key. Limits: per organisation and model; 429 with Retry-After in seconds; sound files up to 25 MB.
Answers are read from their raw bytes: the client's own types lack word times, and let any 200 answer pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec
from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError

if TYPE_CHECKING:
    from groq import APIStatusError, AsyncGroq
    from groq._response import AsyncAPIResponse

__all__ = ["BASE_URL", "GroqApi", "Heard", "HeardWord", "Segment", "Unanswered"]

BASE_URL: Final = "https://api.groq.com"
ASK_DEADLINE_S: Final = 45.0
HEAR_DEADLINE_S: Final = 120.0
MAX_WAIT_S: Final = 5.0
"""Longest pause before the one second try; a longer one that is asked for means: do without."""
BUSY_WAIT_S: Final = 1.0
MAX_ANSWER_TOKENS: Final = 2000
MAX_SOUND_BYTES: Final = 25_000_000
_FLEX_FULL: Final = 498

T = TypeVar("T", bound=Struct)


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


class _Message(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Completion(Struct, frozen=True):
    choices: tuple[_Choice, ...]


class GroqApi:
    """Asks Groq with the configured key and models."""

    def __init__(self, key: str, settings: Settings, clock: Clock) -> None:
        self.model = settings.groq_model
        self.transcript_model = settings.groq_transcript_model
        self._key = key
        self._base_url = settings.api_url("groq", BASE_URL)
        self._user_agent = settings.user_agent
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self | None:
        """Return one, or None where no key is set."""
        return cls(settings.groq_api_key, settings, clock) if settings.groq_api_key else None

    async def write(self, *, system: str, user: str, schema: Mapping[str, Any], seed: int) -> str:
        """Return what the model says: JSON that follows `schema`, unless it fails to. Raises: Unanswered."""
        reasons = {"reasoning_effort": "low"} if self.model.startswith("openai/gpt-oss") else {}

        async def call(client: AsyncGroq) -> AsyncAPIResponse[Any]:
            return await client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "words", "strict": True, "schema": dict(schema)},
                },
                max_completion_tokens=MAX_ANSWER_TOKENS,
                temperature=0,
                seed=seed,
                extra_body=reasons,
            )

        completion = await self._ask(call, _Completion, deadline_s=ASK_DEADLINE_S)
        if not completion.choices:
            raise Unanswered("the model answered without a choice")
        choice = completion.choices[0]
        if choice.finish_reason != "stop" or not choice.message.content:
            raise Unanswered(f"the model's answer is not whole (finish_reason: {choice.finish_reason})")
        return choice.message.content

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

        return await self._ask(call, Heard, deadline_s=HEAR_DEADLINE_S)

    async def _ask(
        self, call: Callable[[AsyncGroq], Awaitable[AsyncAPIResponse[Any]]], kind: type[T], *, deadline_s: float
    ) -> T:
        """Send a request, a second time where a short wait may help, and read the answer. Raises: Unanswered."""
        # A slow import that only those pay who have a key.
        import groq  # noqa: PLC0415

        if not (self._key.isascii() and self._key.isprintable()):
            raise Unanswered("GROQ_API_KEY is no key: it holds characters that keys never have")
        try:
            async with (
                asyncio.timeout(deadline_s),
                groq.AsyncGroq(
                    api_key=self._key,
                    base_url=self._base_url,
                    max_retries=0,
                    timeout=deadline_s,
                    default_headers={"User-Agent": self._user_agent},
                ) as client,
            ):
                for last in (False, True):
                    try:
                        answer = await call(client)
                        return msgspec.json.decode(await answer.read(), type=kind)
                    except groq.APIStatusError as error:
                        wait_s = _wait_s(error)
                        if last or wait_s is None:
                            raise Unanswered(_told(error)) from None
                    except groq.APIConnectionError as error:
                        if last or isinstance(error, groq.APITimeoutError):
                            raise Unanswered(f"Groq cannot be reached ({error.message.rstrip('.').lower()})") from None
                        wait_s = BUSY_WAIT_S
                    await self._clock.sleep(wait_s)
        except TimeoutError:
            raise Unanswered(f"Groq did not answer within {deadline_s:g} s") from None
        except msgspec.MsgspecError as error:
            raise Unanswered(f"Groq's answer cannot be read ({error})") from None
        raise AssertionError("the second try returns or raises")


def _wait_s(error: APIStatusError) -> float | None:
    """Return how long to wait before a second try; None: it would not help, or not soon."""
    if error.status_code == 429:
        try:
            told_s = float(error.response.headers.get("retry-after", ""))
        except ValueError:
            return None
        return told_s if 0 <= told_s <= MAX_WAIT_S else None
    return BUSY_WAIT_S if error.status_code >= 500 or error.status_code == _FLEX_FULL else None


def _told(error: APIStatusError) -> str:
    """Return status, code and words of an error body, in one short line."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error")
    told = inner if isinstance(inner, dict) else body
    code, message = told.get("code") or told.get("type"), told.get("message")
    text = f"Groq answered {error.status_code}" + (f" {code}" if code else "")
    return f"{text}: {' '.join(str(message).split())[:200]}" if message else text
