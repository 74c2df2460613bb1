"""Text and moments as platforms send them, made safe to store and to show."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Final

__all__ = ["clean", "id_text", "parse_moment", "plain_text"]

MAX_HTML_CHARS: Final = 100_000
_BREAKS: Final = frozenset(
    {"br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "li", "ol", "p", "table", "td", "tr", "ul"}
)
_SILENT: Final = frozenset({"script", "style", "template"})


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def clean(text: str, *, max_chars: int) -> str:
    """Return one line without control and formatting characters, at most `max_chars` long."""
    return " ".join(_without_controls(text).split())[:max_chars].rstrip()


def plain_text(html: str, *, max_chars: int) -> str:
    """Return the text of an HTML fragment: no tags, no scripts, entities resolved, one line per block."""
    stripper = _Stripper()
    stripper.feed(html[:MAX_HTML_CHARS])
    stripper.close()
    lines = (" ".join(line.split()) for line in _without_controls("".join(stripper.parts)).split("\n"))
    return "\n".join(line for line in lines if line)[:max_chars].rstrip()


def id_text(told: object, *, max_chars: int = 200) -> str | None:
    """Return an id that is written as a text of printable characters; None: it is anything else."""
    return told if isinstance(told, str) and 0 < len(told) <= max_chars and told.isprintable() else None


def parse_moment(text: object) -> datetime | None:
    """Return the aware moment that an ISO 8601 text names, UTC where it names no zone; None: it is no such text."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return moment and (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (OverflowError, ValueError):
        return None


def _without_controls(text: str) -> str:
    """Drop what PostgreSQL refuses (NUL, surrogates) and what turns text around (bidirectional overrides)."""
    return "".join(
        c if c in "\n\t\r" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} or c in "\u200c\u200d" else ""
        for c in text
    )
