"""Reading the values of old rows: what they can mean here, what is a secret, what was invented. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = [
    "Left",
    "amount",
    "flag",
    "known_platform",
    "mock_because",
    "moment",
    "number",
    "opens",
    "record",
    "required",
    "text",
]

_SECRET: Final = re.compile(
    r"token|secret|passw|api_?key|access_?key|credential|cookie|private_?key|hashed|session|authorization|refresh|bearer"
    r"|[^\W_][\W_]+keys?(?:[\W_]*id)?$"
    r"|(?:^|[\W_])(?:sk|pk|pass|pwd|pw|dsn)(?:$|[\W_\d])"
    r"|(?:database|db|redis|mongo|mongodb|postgres|postgresql|mysql|amqp|rabbitmq|broker|celery|sentry|smtp|imap|webhook"
    r"|connection|conn)[\W_]*(?:url|uri|string|str)(?:$|[\W_])",
    re.IGNORECASE,
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OPENS: Final = re.compile(r"://[^\s/?#@:]{0,500}:[^\s/?#]{1,500}@")
"""An address with a password (RFC 3986, 3.2.1), anywhere in a text."""
_NOT_COPIED: Final = "(an address with a password, not copied)"
_INVENTED: Final = re.compile(
    r"(?:mock|fake|dummy|demo|sample|simulated|placeholder|generated)(?:$|[\W_\d].*)", re.IGNORECASE | re.DOTALL
)
_MARKED: Final = ("is_mock", "is_demo", "is_fake", "is_simulated", "is_test", "mock", "simulated")
_NAMED: Final = (
    "source",
    "provider",
    "external_id",
    "platform_post_id",
    "post_id",
    "transaction_id",
    "origin",
    "data_source",
)
_NOWHERE: Final = frozenset({"example.com", "example.org", "example.net", "localhost", "127.0.0.1"})
_MOST_CHARS: Final = 100_000
_PLATFORMS: Final = {
    "youtube shorts": "youtube",
    "youtube_shorts": "youtube",
    "yt": "youtube",
    "twitter": "x",
    "twitter/x": "x",
    "instagram reels": "instagram",
    "ig": "instagram",
    "facebook reels": "facebook",
    "tik tok": "tiktok",
}


class Left(Exception):
    """The row is not copied, because of this."""


def text(row: Mapping[str, Any], *names: str) -> str:
    """Return the first of these columns that holds words; empty: none does. Raises: Left."""
    for name in names:
        value = row.get(name)
        if value is None or isinstance(value, bytes):
            continue
        told = str(value).strip()
        if "\0" in told:
            raise Left(f"{name} holds a NUL")
        if told:
            return told[:_MOST_CHARS]
    return ""


def required(row: Mapping[str, Any], *names: str) -> str:
    """Raises: Left if none of these columns holds words."""
    found = text(row, *names)
    if not found:
        raise Left(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} empty")
    return found


def number(row: Mapping[str, Any], *names: str) -> int | None:
    """Return a count; None: it is not told, or is none."""
    for name in names:
        value = row.get(name)
        if isinstance(value, bool) or value is None:
            continue
        try:
            found = float(str(value))
        except ValueError:
            continue
        if math.isfinite(found) and 0 <= found < 2**53:
            return int(found)
    return None


def flag(row: Mapping[str, Any], *names: str, default: bool) -> bool:
    for name in names:
        if row.get(name) is not None:
            return str(row[name]).strip().lower() not in {"0", "false", "f", "no", "off", ""}
    return default


def moment(row: Mapping[str, Any], *names: str) -> datetime | None:
    """Return a time, aware; a naive one is taken as UTC, as the predecessor wrote it. None: it is not told."""
    for name in names:
        value = row.get(name)
        try:
            if isinstance(value, datetime):
                found = value
            elif isinstance(value, date):
                found = datetime(value.year, value.month, value.day, tzinfo=UTC)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                found = datetime.fromtimestamp(value, UTC)
            elif isinstance(value, str) and value.strip():
                found = datetime.fromisoformat(value.strip())
            else:
                continue
            found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError, OSError):
            continue
        if 1990 <= found.year < 9000:
            return found
    return None


def amount(row: Mapping[str, Any], name: str) -> Decimal:
    """Return an amount, exact as it was written. Raises: Left."""
    value = row.get(name)
    try:
        found = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        raise Left(f"{name} is no amount") from None
    if not found.is_finite():
        raise Left(f"{name} is no amount")
    return found


def known_platform(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the platform by its name here. Raises: Left."""
    told = required(row, "platform").lower()
    found = _PLATFORMS.get(told, told.replace(" ", "_"))
    if found not in names:
        raise Left(f"'{told[:30]}' is no platform that is known here")
    return found


def mock_because(row: Mapping[str, Any]) -> str:
    """Return what shows that a row was invented; empty: nothing does."""
    for name in _MARKED:
        if row.get(name) is not None and flag(row, name, default=False):
            return f"invented: {name} is set"
    for name in _NAMED:
        value = row.get(name)
        if isinstance(value, str) and _INVENTED.fullmatch(value.strip()):
            return f"invented: {name} says so"
    for name in ("url", "post_url", "video_url", "link"):
        value = row.get(name)
        if isinstance(value, str) and _host(value) in _NOWHERE:
            return f"invented: {name} leads nowhere"
    for name in ("metadata", "meta", "extra", "details"):
        told = _parsed(row.get(name))
        if isinstance(told, dict) and any(told.get(mark) is True for mark in _MARKED):
            return f"invented: {name} says so"
    return ""


def _host(url: str) -> str:
    try:
        return (urlsplit(url.strip()).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as it is kept to be read, without its secrets."""
    return {name: _plain(value) for name, value in row.items() if not is_secret(name) and value is not None}


def is_secret(name: str) -> bool:
    """Say whether what has this name is kept from everyone."""
    return _SECRET.search(_CAMEL.sub("_", name)) is not None


def opens(value: Any) -> bool:
    """Say whether a value holds an address with a password."""
    return isinstance(value, str) and _OPENS.search(value) is not None


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _plain(value: Any) -> Any:
    value = _parsed(value)
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items() if not is_secret(str(name))}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"({len(value)} bytes, not copied)"
    words = str(value)
    return _NOT_COPIED if opens(words) else words.replace("\0", "")[:_MOST_CHARS]
