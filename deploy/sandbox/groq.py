"""Groq, as the sandbox plays it: chat completions with structured output, transcriptions with word times, models.

Docs: console.groq.com/docs (API reference, structured outputs, speech to text, errors, deprecations; read 2026-11).
Bearer key. It hears nothing and reads only works that it is asked to vote on, see votes; all else that it answers is
made up, in the shape that was asked for, or is what the settings `groq_said` and `groq_heard` hold.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final
from uuid import uuid4

import av
import av.error
from aiohttp import BodyPartReader, web
from msgspec import Struct

from deploy.sandbox.context import Refused, Sandbox
from deploy.sandbox.faults import FaultKind, Handler, Switchboard, fault_of
from deploy.sandbox.votes import voted

__all__ = ["Chat", "Groq", "Sound", "made_up", "schema_fault"]

CHAT_MODELS: Final = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3.8-27b")
SPEECH_MODELS: Final = ("whisper-large-v3", "whisper-large-v3-turbo")
RETIRED: Final = frozenset(
    {
        *{"llama-3.1-8b-instant", "llama-3.3-70b-versatile", "qwen/qwen3-32b", "qwen/qwen3.6-27b"},
        *{"groq/compound", "groq/compound-mini", "moonshotai/kimi-k2-instruct-0905", "distil-whisper-large-v3-en"},
    }
)
MOST_SOUND_BYTES: Final = 25_000_000
MOST_REQUESTS: Final = 1000
MOST_TOKENS: Final = 8000
_SHORTEST_S: Final = 0.01
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
_SPEECH_FORMATS: Final = frozenset({"json", "text", "verbose_json"})
_BLOCK_BYTES: Final = 1 << 18
_USUAL: Final = {
    401: "invalid_api_key",
    404: "model_not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_WORDS: Final = {
    "invalid_api_key": "Invalid API Key",
    "json_validate_failed": (
        "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details."
    ),
    "model_decommissioned": (
        "The model `{model}` has been decommissioned and is no longer supported. Please refer to "
        "https://console.groq.com/docs/deprecations for a recommendation on which model to use instead."
    ),
    "model_not_found": "The model `{model}` does not exist or you do not have access to it.",
    "rate_limit_exceeded": (
        "Rate limit reached for model `{model}` in organization `org_sandbox` on tokens per minute (TPM): Limit 8000, "
        "Used 7972, Requested 1351. Please try again in 9.4225s. Need more tokens? Upgrade to Dev Tier today at "
        "https://console.groq.com/settings/billing"
    ),
    "request_too_large": "Request Entity Too Large",
}


class Chat(Struct, frozen=True, kw_only=True):
    """One question that was answered."""

    id: str
    model: str
    messages: tuple[dict[str, Any], ...]
    answer: str


class Sound(Struct, frozen=True, kw_only=True):
    """One sound that was transcribed."""

    id: str
    model: str
    size_bytes: int
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float


class Groq:
    """The three calls."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard

    def add_routes(self, router: web.UrlDispatcher) -> None:
        def guard(place: str, handler: Handler, *own: FaultKind) -> Handler:
            return self._switchboard.guard(place, handler, refusal=refusal, own=frozenset(own))

        router.add_post("/openai/v1/chat/completions", guard("groq.chat", self._chat, "malformed", "cut_off"))
        router.add_get("/openai/v1/models", guard("groq.models", self._models))
        router.add_post("/openai/v1/audio/transcriptions", guard("groq.transcriptions", self._transcribe))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        asked = await _json(request)
        model = _model(asked.get("model"), CHAT_MODELS)
        messages = asked.get("messages")
        if not isinstance(messages, list) or not messages:
            raise _bad("'messages' : minimum number of items is 1")
        for at, message in enumerate(messages):
            if not isinstance(message, dict) or message.get("role") not in _ROLES:
                raise _bad(f"'messages.{at}' : for 'role' one of system, user, assistant, tool is expected")
            if not isinstance(message.get("content"), str):
                raise _bad(f"'messages.{at}.content' : value must be a string")
        most = asked.get("max_completion_tokens", 1024)
        if not isinstance(most, int) or most < 1:
            raise _bad("'max_completion_tokens' : value must be an integer of at least 1")
        said = self._said(asked.get("response_format") or {"type": "text"}, messages)
        fault, finish = fault_of(request, "malformed", "cut_off"), "stop"
        if fault is not None and fault.kind == "malformed":
            said = f"Sure! Here is the JSON you asked for:\n{said}"
        elif fault is not None:
            said, finish = said[: len(said) // 2], "length"
        name = f"chatcmpl-{uuid4()}"
        self._store.put(name, Chat(id=name, model=model, messages=tuple(messages), answer=said))
        prompt, answer = sum(len(message["content"]) for message in messages) // 4, max(1, len(said) // 4)
        body = {
            "id": name,
            "object": "chat.completion",
            "created": int(self._sandbox.now()),
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": said},
                    "logprobs": None,
                    "finish_reason": finish,
                }
            ],
            "usage": {
                "queue_time": 0.01,
                "prompt_tokens": prompt,
                "prompt_time": 0.01,
                "completion_tokens": answer,
                "completion_time": 0.1,
                "total_tokens": prompt + answer,
                "total_time": 0.11,
            },
            "system_fingerprint": "fp_sandbox",
            "service_tier": "on_demand",
            "x_groq": {"id": f"req_{uuid4().hex}"},
        }
        return web.json_response(body, headers=self._limits(prompt + answer))

    async def _models(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        data = [
            {
                "id": name,
                "object": "model",
                "created": 1_750_000_000,
                "owned_by": name.partition("/")[0] if "/" in name else "Groq",
                "active": True,
                "context_window": 131_072 if name in CHAT_MODELS else 448,
                "public_apps": None,
                "max_completion_tokens": 65_536 if name in CHAT_MODELS else 448,
            }
            for name in CHAT_MODELS + SPEECH_MODELS
        ]
        return web.json_response({"object": "list", "data": data}, headers=self._limits(0))

    def _said(self, wanted: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
        """Return what the model says. Raises: Refused if the wanted shape is none."""
        kind = wanted.get("type")
        if kind not in {"text", "json_object", "json_schema"}:
            raise _bad("'response_format.type' : one of text, json_object, json_schema is expected")
        schema: Any = {"type": "object", "properties": {}}
        if kind == "json_schema":
            named = wanted.get("json_schema")
            if not isinstance(named, dict) or not named.get("name") or not isinstance(named.get("schema"), dict):
                raise _bad("'response_format.json_schema' : name and schema are required")
            schema = named["schema"]
            if named.get("strict") and (fault := schema_fault(schema)):
                raise _bad(f"invalid JSON schema for response_format: '{named['name']}': {fault}")
        if self._sandbox.settings.groq_said:
            return self._sandbox.settings.groq_said
        if (votes := voted(messages, schema, obeys=self._sandbox.settings.groq_obeys)) is not None:
            return votes
        return "Made-up words." if kind == "text" else json.dumps(made_up(schema, "answer"))

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        if request.content_type != "multipart/form-data":
            raise _bad("request Content-Type isn't multipart/form-data")
        with NamedTemporaryFile(dir=self._sandbox.folder, prefix="sound-") as file:
            fields = await self._form(request, Path(file.name))
            model = _model(fields.get("model", [""])[0], SPEECH_MODELS)
            shape = fields.get("response_format", ["json"])[0]
            if shape not in _SPEECH_FORMATS:
                raise _bad(f"response_format must be one of [{' '.join(sorted(_SPEECH_FORMATS))}]")
            times = set(fields.get("timestamp_granularities[]", ["segment"]))
            if not times <= {"word", "segment"}:
                raise _bad("timestamp_granularities[] must be one of [word segment]")
            if "timestamp_granularities[]" in fields and shape != "verbose_json":
                raise _bad("timestamp_granularities[] needs response_format verbose_json")
            if "file" not in fields:
                raise _bad("one of file or url must be provided")
            name = f"req_{uuid4().hex}"
            sound = await asyncio.to_thread(_look, Path(file.name), name, model)
        self._store.put(name, sound)
        words = self._sandbox.settings.groq_heard.split()
        text = " ".join(words)
        headers = self._limits(0)
        if shape == "text":
            return web.Response(text=f" {text}", headers=headers)
        body: dict[str, Any] = {"text": f" {text}" if text else "", "x_groq": {"id": name}}
        if shape == "verbose_json":
            timed = _spread(words, sound.duration_s)
            body |= {"task": "transcribe", "language": "English", "duration": sound.duration_s}
            body["words"] = timed if "word" in times else None
            body["segments"] = [_segment(text, sound.duration_s)] if text and "segment" in times else None
        return web.json_response(body, headers=headers)

    async def _form(self, request: web.Request, to: Path) -> dict[str, list[str]]:
        """Read the form; the sound goes to a file, its name stands for it. Raises: Refused."""
        fields: dict[str, list[str]] = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise _bad("the form must not be nested")
            if part.name != "file":
                fields.setdefault(part.name, []).append(await part.text())
                continue
            fields["file"] = [part.filename or ""]
            size_bytes = 0
            with to.open("wb") as out:
                while block := await part.read_chunk(_BLOCK_BYTES):
                    size_bytes += len(block)
                    if size_bytes <= MOST_SOUND_BYTES:
                        out.write(block)
            if size_bytes > MOST_SOUND_BYTES:
                raise Refused(refusal(413))
        return fields

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self._sandbox.settings.groq_api_key}":
            raise Refused(refusal(401))

    def _limits(self, tokens: int) -> dict[str, str]:
        """Return the headers of every answer: requests of the day, tokens of the minute."""
        used = int(self._store.add("groq_requests", 1))
        return {
            "x-ratelimit-limit-requests": str(MOST_REQUESTS),
            "x-ratelimit-remaining-requests": str(max(0, MOST_REQUESTS - used)),
            "x-ratelimit-reset-requests": "1m26.4s",
            "x-ratelimit-limit-tokens": str(MOST_TOKENS),
            "x-ratelimit-remaining-tokens": str(max(0, MOST_TOKENS - tokens)),
            "x-ratelimit-reset-tokens": "7.66s",
        }


def refusal(status: int, reason: str = "", *, model: str = "openai/gpt-oss-20b", words: str = "") -> web.Response:
    """Write the error envelope; `reason` "" means the usual one for the status."""
    code = reason or _USUAL.get(status, "")
    message = words or _WORDS.get(code, "Internal Server Error" if status >= 500 else "The request failed.")
    kind = "internal_server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message.replace("{model}", model), "type": "tokens" if code == "rate_limit_exceeded" else kind}
    if code:
        error["code"] = code
    if code == "json_validate_failed":
        error["failed_generation"] = "{"
    return web.json_response({"error": error}, status=status)


def schema_fault(schema: Mapping[str, Any], at: str = "/") -> str:
    """Say what a strict schema lacks; empty: nothing. Every object is closed and requires all it names."""
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        names = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            return f"{at}: `additionalProperties:false` must be set on every object"
        if set(schema.get("required", ())) != set(names):
            return f"{at}: `required` is required to be supplied and to be an array including every key in properties"
        faults = (schema_fault(inner, f"{at}properties/{name}/") for name, inner in names.items())
        return next((fault for fault in faults if fault), "")
    if kind == "array":
        return schema_fault(schema["items"], f"{at}items/") if "items" in schema else f"{at}: array without `items`"
    return "" if kind or "enum" in schema or "anyOf" in schema else f"{at}: `type` is missing"


def made_up(schema: Mapping[str, Any], name: str) -> Any:
    """Return a value that fits a schema and says that it is made up."""
    if "anyOf" in schema:
        return made_up(schema["anyOf"][0], name)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {key: made_up(inner, key) for key, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [made_up(schema.get("items", {"type": "string"}), f"{name} {count}") for count in ("one", "two")]
    return {"string": f"Made-up {name}", "integer": 1, "number": 1.0, "boolean": True}.get(str(kind))


def _model(given: Any, known: tuple[str, ...]) -> str:
    if given in known:
        return str(given)
    if given in RETIRED:
        raise Refused(refusal(400, "model_decommissioned", model=str(given)))
    if given in CHAT_MODELS + SPEECH_MODELS:
        raise _bad(f"The model `{given}` does not support this endpoint")
    raise Refused(refusal(404, "model_not_found", model=str(given)))


def _look(file: Path, name: str, model: str) -> Sound:
    """Open a sound. Blocks; run it in a thread. Raises: Refused if it is none."""
    try:
        with av.open(str(file)) as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            sound = Sound(
                id=name,
                model=model,
                size_bytes=file.stat().st_size,
                codec=stream.codec_context.name,
                sample_rate_hz=stream.codec_context.sample_rate,
                channels=stream.codec_context.channels,
                duration_s=round(samples / stream.codec_context.sample_rate, 6),
            )
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise _bad("could not process file - is it a valid media file?") from error
    if sound.duration_s < _SHORTEST_S:
        raise _bad("Audio file is too short. Minimum audio length is 0.01 seconds.")
    return sound


def _spread(words: list[str], duration_s: float) -> list[dict[str, Any]]:
    each_s = duration_s / max(1, len(words))
    return [
        {"word": word, "start": round(at * each_s, 2), "end": round((at + 0.8) * each_s, 2)}
        for at, word in enumerate(words)
    ]


def _segment(text: str, duration_s: float) -> dict[str, Any]:
    return {
        "id": 0,
        "seek": 0,
        "start": 0,
        "end": duration_s,
        "text": f" {text}",
        "tokens": [50365, 51000],
        "temperature": 0,
        "avg_logprob": -0.2,
        "compression_ratio": 1.2,
        "no_speech_prob": 0.01,
    }


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as wrong:
        raise _bad("The request body is not valid JSON.") from wrong
    if not isinstance(body, dict):
        raise _bad("The request body must be an object.")
    return body


def _bad(words: str) -> Refused:
    return Refused(refusal(400, words=words))
