"""A language model behind an OpenAI-shaped interface: Groq where its key is set, else any compatible server.

Docs: console.groq.com/docs: text chat, structured outputs, rate limits, errors, deprecations (read 2026-11); OpenAI API
reference, chat completions and models (read 2026-11). Auth: Bearer key. Limits: per organisation and model; 429 with
Retry-After in seconds, or `x-ratelimit-reset-*` as a length of time (`2m59.56s`).
Answers are read from their raw bytes: the client's own types let any 200 answer pass.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

import msgspec
from msgspec import Meta, Struct

from actors.runtime.clock import Clock
from actors.runtime.http import LONGEST_WAIT_S, retry_after
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, RateLimited, Reject, Retry

if TYPE_CHECKING:
    from groq import APIStatusError, AsyncGroq
    from groq._response import AsyncAPIResponse

__all__ = ["GROQ_URL", "OPENAI_MODEL", "OPENAI_URL", "SET_ONE", "UNSET", "Llm", "Provider", "Used"]

Provider = Literal["groq", "openai"]

GROQ_URL: Final = "https://api.groq.com"
OPENAI_URL: Final = "https://api.openai.com/v1"
OPENAI_MODEL: Final = "gpt-5.4-mini"
SET_ONE: Final = "set GROQ_API_KEY, or OPENAI_API_KEY (with OPENAI_API_URL and OPENAI_MODEL for another server)"
UNSET: Final = f"no language model is set; {SET_ONE}"
DEADLINE_S: Final = 45.0
MAX_WAIT_S: Final = 5.0
"""Longest pause before the one second try; a longer one that is asked for means: do without."""
BUSY_WAIT_S: Final = 1.0
LIMITED_WAIT_S: Final = 60.0
MAX_ANSWER_TOKENS: Final = 2000
_THOUGHTS: Final = 3
"""Tokens of an answer are these times as many where the model may think first and cannot be told to be brief."""
_FLEX_FULL: Final = 498
_PATHS: Final[Mapping[Provider, str]] = {"groq": "/openai/v1", "openai": ""}
_LENGTH: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_UNITS_S: Final = (3600.0, 60.0, 1.0, 0.001)

T = TypeVar("T", bound=Struct)


class _Message(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class Used(Struct, frozen=True):
    """Tokens of one answer, as the provider counts them."""

    prompt_tokens: Annotated[int, Meta(ge=0)]
    completion_tokens: Annotated[int, Meta(ge=0)]


class _Completion(Struct, frozen=True):
    choices: tuple[_Choice, ...]
    usage: Any = None


class _Model(Struct, frozen=True):
    id: str
    active: bool | None = None


class _Models(Struct, frozen=True):
    data: tuple[_Model, ...]


class Llm:
    """One provider, asked with the configured key and model.

    Every call raises Retry (it may work later), RateLimited, or Reject (the key, the model or the question is wrong).
    """

    def __init__(self, provider: Provider, key: str, settings: Settings, clock: Clock) -> None:
        self.provider: Provider = provider
        self.model = settings.groq_model if provider == "groq" else settings.option("openai_model") or OPENAI_MODEL
        self.title = "Groq" if provider == "groq" else "the OpenAI-compatible server"
        self.key_name = f"{provider.upper()}_API_KEY"
        self.model_name = f"{provider.upper()}_MODEL"
        self.base_url = settings.api_url(provider, GROQ_URL if provider == "groq" else OPENAI_URL)
        self._key = key
        self._user_agent = settings.user_agent
        self._clock = clock
        self.used: Used | None = None
        """Tokens of the last answer; None: it did not tell, or there was none."""

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Self | None:
        """Return the one whose key is set, Groq first; None: there is none, see UNSET."""
        if settings.groq_api_key:
            return cls("groq", settings.groq_api_key, settings, clock)
        return cls("openai", settings.openai_api_key, settings, clock) if settings.openai_api_key else None

    async def write(
        self,
        *,
        system: str,
        user: str,
        schema: Mapping[str, Any],
        seed: int,
        name: str = "words",
        most_tokens: int = MAX_ANSWER_TOKENS,
        deadline_s: float = DEADLINE_S,
        tries: int = 2,
    ) -> str:
        """Return what the model says: JSON that follows `schema`, unless it fails to.

        Args: schema: strict, every object closed and all it names required; name: of the schema, for the model.
        Raises: Retry, RateLimited, Reject.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": dict(schema)},
            },
            "max_completion_tokens": most_tokens,
        }
        if self.provider == "groq":
            body |= {"temperature": 0, "seed": seed}
            if self.model.startswith("openai/gpt-oss"):
                body["reasoning_effort"] = "low"
        else:
            # Models that think refuse a temperature, and their thoughts count as answer.
            body["max_completion_tokens"] = most_tokens * _THOUGHTS
        completion = await self.ask(self._call("post", "/chat/completions", body), _Completion, deadline_s, tries=tries)
        self.used = _used(completion.usage)
        if not completion.choices:
            raise Retry("the model answered without a choice")
        choice = completion.choices[0]
        if choice.finish_reason != "stop" or not choice.message.content:
            raise Retry(f"the model's answer is not whole (finish_reason: {choice.finish_reason})")
        return choice.message.content

    async def models(self, *, deadline_s: float = DEADLINE_S) -> tuple[str, ...]:
        """Return the ids of the models that this key may use, sorted. Raises: Retry, RateLimited, Reject."""
        found = await self.ask(self._call("get", "/models", None), _Models, deadline_s, tries=1)
        return tuple(sorted(model.id for model in found.data if model.active is not False))

    def _call(
        self, method: Literal["get", "post"], path: str, body: Mapping[str, Any] | None
    ) -> Callable[[AsyncGroq], Awaitable[AsyncAPIResponse[Any]]]:
        path = f"{_PATHS[self.provider]}{path}"

        async def call(client: AsyncGroq) -> AsyncAPIResponse[Any]:
            # The raw answer; the client's own methods know Groq's paths only.
            from groq._response import AsyncAPIResponse  # noqa: PLC0415

            if method == "get":
                return await client.get(path, cast_to=AsyncAPIResponse[object])
            return await client.post(path, cast_to=AsyncAPIResponse[object], body=body)

        return call

    async def ask(
        self,
        call: Callable[[AsyncGroq], Awaitable[AsyncAPIResponse[Any]]],
        kind: type[T],
        deadline_s: float,
        *,
        tries: int = 2,
    ) -> T:
        """Send a request, once more where a short wait may help, and read the answer.

        Raises: Retry, RateLimited, Reject.
        """
        # A slow import that only those pay who have a key.
        import groq  # noqa: PLC0415

        if not (self._key.isascii() and self._key.isprintable()):
            raise Reject(
                f"{self.key_name} is no key: it holds characters that keys never have", mend=f"Set {self.key_name} anew"
            )
        try:
            async with (
                asyncio.timeout(deadline_s),
                groq.AsyncGroq(
                    api_key=self._key,
                    base_url=self.base_url,
                    max_retries=0,
                    timeout=deadline_s,
                    default_headers={"User-Agent": self._user_agent},
                ) as client,
            ):
                for left in range(tries - 1, -1, -1):
                    try:
                        answer = await call(client)
                        return msgspec.json.decode(await answer.read(), type=kind)
                    except groq.APIStatusError as error:
                        wait_s = _wait_s(error)
                        if not left or wait_s is None:
                            raise self._refused(error) from None
                    except groq.APIConnectionError as error:
                        if not left or isinstance(error, groq.APITimeoutError):
                            told = error.message.rstrip(".").lower()
                            raise Retry(f"{self.title} cannot be reached ({told})") from None
                        wait_s = BUSY_WAIT_S
                    await self._clock.sleep(wait_s)
        except TimeoutError:
            raise Retry(f"{self.title} did not answer within {deadline_s:g} s") from None
        except msgspec.MsgspecError as error:
            raise Retry(f"{self.title}'s answer cannot be read ({error})") from None
        raise AssertionError("the last try returns or raises")

    def _refused(self, error: APIStatusError) -> EttamettaError:
        """Return what an error answer means for later calls."""
        code, told = _told(error)
        text = f"{self.title} answered {error.status_code}{told.replace(self._key, '[hidden]')}"
        if error.status_code in {401, 403}:
            return Reject(text, mend=f"Set {self.key_name} to a key that is valid")
        if code == "insufficient_quota":
            return Reject(text, mend="Add credit there, or unset the key")
        if error.status_code == 429:
            headers, now = error.response.headers, self._clock.now()
            until = retry_after(headers, now=now)
            if until is None and (wait_s := _reset_s(headers)) is not None:
                until = now + timedelta(seconds=wait_s)
            return Retry(text, delay_s=LIMITED_WAIT_S) if until is None else RateLimited(text, until=until)
        if error.status_code >= 500 or error.status_code in {408, _FLEX_FULL} or code == "json_validate_failed":
            return Retry(text)
        if code in {"model_decommissioned", "model_not_found"}:
            return Reject(text, mend=f"Set {self.model_name} to a model that `ettametta doctor` lists")
        return Reject(text)


def _used(told: Any) -> Used | None:
    try:
        return msgspec.convert(told, Used)
    except msgspec.ValidationError:
        return None


def _wait_s(error: APIStatusError) -> float | None:
    """Return how long to wait before one more try; None: it would not help, or not soon."""
    if error.status_code == 429:
        try:
            told_s = float(error.response.headers.get("retry-after", ""))
        except ValueError:
            return None
        return told_s if 0 <= told_s <= MAX_WAIT_S else None
    return BUSY_WAIT_S if error.status_code >= 500 or error.status_code == _FLEX_FULL else None


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """Return when what is used up comes back, seconds, by the limit that has nothing left; None: it is not told."""
    waits = [
        _seconds(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    known = [wait_s for wait_s in waits if wait_s is not None]
    return min(max(known), LONGEST_WAIT_S) if known else None


def _seconds(text: str) -> float | None:
    """Read a length of time as Go writes it: `2m59.56s`, `7.66s`, `120ms`."""
    found = _LENGTH.fullmatch(text.strip())
    if not text.strip() or found is None:
        return None
    try:
        return sum(float(part) * unit_s for part, unit_s in zip(found.groups(), _UNITS_S, strict=True) if part)
    except ValueError:
        return None


def _told(error: APIStatusError) -> tuple[str, str]:
    """Return the code of an error body, and code and words in one short line that goes on a sentence."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error")
    told = inner if isinstance(inner, dict) else body
    code, message = str(told.get("code") or told.get("type") or ""), told.get("message")
    text = f" {code}" if code else ""
    return code, f"{text}: {' '.join(str(message).split())[:200]}" if message else text
