"""What posts of social platforms have in common: they carry no licence, they point at videos elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from actors.platforms._api import absent, leaving_out
from actors.platforms._text import clean
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.platform import Candidate, Metrics, Need
from contracts.rights import RightsRecord

__all__ = [
    "Page",
    "as_dict",
    "as_list",
    "by_cursor",
    "from_unix",
    "is_video_page",
    "language_tag",
    "length_us",
    "links_of",
    "metrics_of",
    "required",
    "unlicensed",
    "web_address",
    "words_of",
]

Page = tuple[tuple[Candidate, ...], str | None]
"""Candidates, and the cursor of the next page; None: it was the last."""
MOST_LINKS: Final = 10
_ANY: Final = r"/."
_VIDEO_PAGES: Final = {
    "b23.tv": _ANY,
    "bilibili.com": r"/video/",
    "clips.twitch.tv": _ANY,
    "dai.ly": _ANY,
    "dailymotion.com": r"/video/",
    "facebook.com": r"/(watch|reel/|[^/]+/videos/)",
    "fb.watch": _ANY,
    "instagram.com": r"/(reels?|tv)/",
    "player.vimeo.com": r"/video/",
    "rumble.com": r"/(v|embed/)",
    "streamable.com": _ANY,
    "tiktok.com": r"/(@[^/]+/video/|t/)",
    "twitch.tv": r"/(videos/|[^/]+/clip/)",
    "twitter.com": r"/.+/video/\d",
    "v.redd.it": _ANY,
    "vimeo.com": r"/(.+/)?\d",
    "vm.tiktok.com": _ANY,
    "x.com": r"/.+/video/\d",
    "youtu.be": _ANY,
    "youtube-nocookie.com": r"/embed/",
    "youtube.com": r"/(watch|shorts/|live/|embed/|v/|clip/)",
}
"""Hosts whose pages are known to show a video, and how such a page's path begins."""
_LANGUAGE: Final = re.compile(r"(?!und\b|zxx\b|mul\b|mis\b|q[a-t][a-z]\b)[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def as_dict(told: Any) -> dict[str, Any]:
    """Return the object; empty: it is none. For what an answer need not have."""
    return told if isinstance(told, dict) else {}


def as_list(told: Any) -> list[Any]:
    """Return the list; empty: it is none. For what an answer need not have."""
    return told if isinstance(told, list) else []


async def by_cursor(
    read: Callable[[str | None], Awaitable[Page]], *, platform: str, limit: int, most_pages: int
) -> tuple[Candidate, ...]:
    """Return the candidates of one page after another, each once, until there is enough or no more; maybe too many.

    Args: read: gives the page at a cursor, None: the first. Raises: what reading the first page does, see leaving_out.
    """
    found: dict[str, Candidate] = {}
    cursor: str | None = None
    with leaving_out(found, platform=platform):
        for _ in range(most_pages):
            page, cursor = await read(cursor)
            found |= {one.item_id: one for one in page}
            if cursor is None or len(found) >= limit:
                break
    return tuple(found.values())


def words_of(query: str) -> list[str]:
    """Return the words to search for. Raises: Reject if there are none."""
    if words := query.split():
        return words
    raise Reject("there are no words to search for", mend="name a niche")


def required(settings: Settings, need: Need) -> str:
    """Return the setting's value. Raises: Reject, saying where a person gets it."""
    if value := settings.option(need.setting):
        return value
    raise Reject(f"{need.setting.upper()} is not set", mend=need.means)


def web_address(told: object) -> str | None:
    """Return a web address that may be stored and shown; None: it is no such text."""
    if not isinstance(told, str) or len(told) > 2048 or told != clean(told, max_chars=2048) or " " in told:
        return None
    try:
        parsed = urlsplit(told)
    except ValueError:
        return None
    return told if parsed.scheme in {"http", "https"} and parsed.hostname else None


def is_video_page(page: str) -> bool:
    """Tell whether that is the page of a video on a host that is known here."""
    try:
        parsed = urlsplit(page)
        host = re.sub(r"^(www|m|mobile)\.", "", parsed.hostname or "")
    except ValueError:
        return False
    return host in _VIDEO_PAGES and re.match(_VIDEO_PAGES[host], parsed.path) is not None


def links_of(told: Iterable[object]) -> tuple[str, ...]:
    """Return the web addresses among `told`, each once, in their order."""
    return tuple(dict.fromkeys(found for one in told if (found := web_address(one))))[:MOST_LINKS]


def from_unix(told: object) -> datetime | None:
    """Return the moment that a number of seconds since 1970 names, UTC; None: it is no such number."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told) or told <= 0:
        return None
    try:
        return datetime.fromtimestamp(told, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def length_us(seconds: object) -> int | None:
    """Return microseconds; None: it is no positive number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 10**9:
        return None
    return round(seconds * 1_000_000) or None


def language_tag(told: object) -> str | None:
    """Return a language tag; None: it is none, or one of those that say "not determined"."""
    return told if isinstance(told, str) and len(told) < 36 and _LANGUAGE.fullmatch(told) else None


def metrics_of(because: dict[str, str] | str, **counts: int | None) -> Metrics:
    """Return the four counts, with the reason for each that is not known."""
    known = {name: counts.get(name) for name in ("views", "likes", "comments", "shares")}
    return Metrics(**known, absent=absent(known, because))


def unlicensed(what: str, *, title: str, author: str | None, page: str, at: datetime, more: str = "") -> RightsRecord:
    """Return the record of a work that its platform shows without a licence: a signal, no material."""
    note = f"{what} gives no licence with it: the work is a signal only"
    return RightsRecord(
        licence="unknown",
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        note=f"{note}; {more}" if more else note,
    )
