"""Structured logs: one JSON object a line on stderr, or coloured lines on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

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


def _redact(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in fields.keys() & SECRET_KEYS:
        fields[key] = "[redacted]"
    return fields


def setup_logging(*, actor: str, level: str = "info", terminal: bool | None = None) -> None:
    """Configure logging of this process. terminal: None asks stderr whether it is one."""
    pretty = sys.stderr.isatty() if terminal is None else terminal
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if pretty
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(actor=actor)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
