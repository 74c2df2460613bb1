"""Numbers, times and names as people read them, and what they read where there is nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.html import Child, Html, el, fragment

__all__ = [
    "age",
    "ago",
    "bytes_",
    "clock_time",
    "count",
    "empty",
    "not_available",
    "platform_title",
    "prose",
    "span",
    "when",
]

_TITLES: Final = {
    "youtube": "YouTube",
    "tiktok": "TikTok",
    "linkedin": "LinkedIn",
    "peertube": "PeerTube",
    "duckduckgo": "DuckDuckGo",
}


def count(value: int) -> str:
    return f"{value:,}"


def bytes_(size: int) -> str:
    """Write a size in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def span(seconds: float) -> str:
    """Write a duration with one unit, rounded down, as clocks do."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{int(seconds // length_s)} {unit}"
    return f"{int(max(seconds, 0))} s"


def age(seconds: float) -> str:
    """Write how old a post was when it was measured."""
    return f"{span(seconds)} after posting"


def ago(moment: datetime, *, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def clock_time(moment: datetime) -> str:
    return f"{moment:%d %b %Y, %H:%M:%S} UTC"


def when(moment: datetime, *, now: datetime) -> Html:
    """Write a moment relative to now; the script keeps it true."""
    return el("time", ago(moment, now=now), datetime=moment.isoformat(), title=clock_time(moment), data_relative=True)


def not_available(because: str) -> Html:
    """Say that a value is not known, and why. Never a dash, never a zero."""
    return el("span", fragment("Not available, because ", because), class_="absent")


def empty(title: str, *text: Child, command: str | None = None) -> Html:
    """Say that there is nothing here, why, and what to do."""
    return el(
        "div",
        el("p", title, class_="empty-title"),
        el("p", *text),
        el("p", el("code", command)) if command else None,
        class_="empty",
    )


def prose(text: str) -> Html:
    """Write a message as a sentence; what stands between backticks is code."""
    whole = text[:1].upper() + text[1:]
    whole += "" if whole.endswith((".", "!", "?")) or not whole else "."
    parts: list[Child] = [el("code", part) if at % 2 else part for at, part in enumerate(whole.split("`"))]
    return fragment(*parts)


def platform_title(name: str | None) -> str:
    return "Import" if name is None else _TITLES.get(name, name.replace("_", " ").title())
