"""What adapters of discovery ask for and take in: settings, search words, addresses."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from actors.platforms._text import clean
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.platform import Need

__all__ = ["address", "needed", "words_of"]

MOST_URL_CHARS: Final = 2_048


def needed(settings: Settings, need: Need) -> str:
    """Return the value of a setting that an adapter needs. Raises: Reject if it is not set, with where to get it."""
    value = settings.option(need.setting)
    if not value:
        raise Reject(f"{need.setting.upper()} is not set", mend=need.means)
    return value


def words_of(query: str) -> str:
    """Return the words with single spaces. Raises: Reject if there are none: a search for nothing finds everything."""
    words = " ".join(query.split())
    if not words:
        raise Reject("there are no words to search for", mend="name a niche")
    return words


def address(told: object) -> str | None:
    """Return an http or https address that may be stored and shown; None: it is anything else."""
    if not isinstance(told, str) or len(told) > MOST_URL_CHARS or told != clean(told, max_chars=MOST_URL_CHARS):
        return None
    try:
        parsed = urlsplit(told)
    except ValueError:
        return None
    return told if parsed.scheme in {"http", "https"} and parsed.hostname and " " not in told else None
