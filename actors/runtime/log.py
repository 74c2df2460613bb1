"""Structured logs: one JSON object a line on stderr, or coloured lines on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import msgspec
import structlog

__all__ = ["get_logger", "setup_logging"]

SECRET_KEYS: Final = frozenset(
    {
        "access_token",
        "authorization",
        "client_secret",
        "code",
        "password",
        "refresh_token",
        "secret",
        "session_url",
        "token",
    }
)

_PLAIN: Final = (str, int, float, type(None))

# Local variables hold tokens.
_TRACEBACKS: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def _redact(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in fields.items():
        if key.lower() in SECRET_KEYS or not isinstance(value, _PLAIN):
            fields[key] = _redacted(key, value)
    return fields


def _json(fields: Any, **_: Any) -> bytes:
    return msgspec.json.encode(fields, enc_hook=repr)


def _redacted(key: Any, value: Any) -> Any:
    if isinstance(key, str) and key.lower() in SECRET_KEYS:
        return "[redacted]"
    if isinstance(value, Mapping):
        return {inner: _redacted(inner, each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(None, each) for each in value]
    return value


def setup_logging(*, actor: str, level: str = "info", terminal: bool | None = None) -> None:
    """Configure logging of this process. terminal: None asks stderr whether it is one."""
    pretty = sys.stderr.isatty() if terminal is None else terminal
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.ExceptionRenderer(_TRACEBACKS), structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if pretty
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(actor=actor)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
