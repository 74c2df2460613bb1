"""Rumble: new videos of named channels, from their feeds.

Docs: none that is public. Rumble has no search for others; feeds are given to channels and partners (general knowledge,
unconfirmed, read 2026-11-23). A feed is RSS 2.0 with the Media RSS and iTunes elements where its maker writes them.
Auth: none beside the address. Limits: none stated; this asks each feed once in 15 minutes, with its ETag.
Units: lengths in seconds or H:MM:SS; `pubDate` RFC 822.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import feedparser  # type: ignore[import-untyped]  # it has no types

from actors.platforms._api import KEYLESS, Api, count
from actors.platforms._posts import language_tag, length_us, metrics_of, unlicensed
from actors.platforms._reading import address, needed, words_of
from actors.platforms._text import clean, plain_text
from actors.platforms._words import has_words
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Rumble", "parse_feed"]

NAME: Final = "rumble"
CAPS: Final = Caps(
    discover=True,
    sees="new videos of the channels whose feeds are named; those that hold every word of the niche",
    costs="1 request a feed in 15 minutes",
    cannot="Rumble has no public search, and its feeds carry no licence, so a video is a signal only.",
)
NEEDS: Final = (
    Need(
        setting="rumble_channels",
        means="Write the addresses of channels' RSS feeds, separated by commas; a channel's owner or partner has them",
        secret=False,
    ),
)
LIMITS: Final = Limits()

BASE_URL: Final = "https://rumble.com"
WHAT: Final = "the Rumble feed"
FRESH_S: Final = 900.0
MOST_FEEDS: Final = 20
MOST_ENTRIES: Final = 500
MOST_BYTES: Final = 4_194_304
PARALLEL: Final = 4
_ID: Final = re.compile(r"rumble\.com/(v[0-9a-z]+)\b")
_LENGTH: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6})(?:\.\d+)?")
_NOT_TOLD: Final = {
    "views": "the feed tells no views for this video",
    "likes": "the feed tells no likes",
    "comments": "the feed tells no comments",
    "shares": "the feed tells no shares",
}


def parse_feed(body: bytes, *, at: datetime) -> tuple[Candidate, ...]:
    """Read a feed, in its own order; takes about 2 s for each MB.

    Raises: Retry if it is none or was cut off early; Reject if it is too large.
    An entry without a title or without an address is left out.
    """
    if len(body) > MOST_BYTES:
        raise Reject(f"{WHAT} has more than {MOST_BYTES} bytes", mend="name a feed of the newest videos only")
    # A stream and never the bytes: the library takes bytes for the name of a file where there is one of that name.
    feed = feedparser.parse(io.BytesIO(body), resolve_relative_uris=False)
    if not feed.get("version") or (feed.get("bozo") and not feed.entries):
        raise Retry(f"{WHAT} answered with something that is no whole feed")
    about = feed.feed
    found = (_candidate(entry, about, at) for entry in feed.entries[:MOST_ENTRIES])
    return tuple(one for one in found if one is not None)


def _candidate(entry: Mapping[str, Any], about: Mapping[str, Any], at: datetime) -> Candidate | None:
    page = address(entry.get("link"))
    title = clean(plain_text(_text(entry, "title"), max_chars=300), max_chars=300)
    if page is None or not title:
        return None
    named = _ID.search(page)
    number = named[1] if named else hashlib.sha256(page.encode()).hexdigest()[:24]
    author = clean(_text(entry, "author") or _text(about, "title"), max_chars=200) or None
    media, stills = _first(entry, "media_content"), _first(entry, "media_thumbnail")
    views = count((entry.get("media_statistics") or {}).get("views"))
    tags = (clean(str(tag.get("term") or ""), max_chars=80) for tag in entry.get("tags") or ())
    return Candidate(
        item_id=item_id(NAME, number),
        platform=NAME,
        platform_id=number,
        url=page,
        title=title,
        description=plain_text(_text(entry, "summary"), max_chars=5000),
        creator=author,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:50],
        published_at=_moment(entry.get("published_parsed")),
        duration_us=_length_us(_text(entry, "itunes_duration") or str(media.get("duration") or "")),
        thumbnail_url=address(stills.get("url")),
        language=language_tag(_text(about, "language")),
        metrics=metrics_of(_NOT_TOLD, views=views),
        observed_at=at,
        rights=unlicensed("A Rumble feed", title=title, author=author, page=page, at=at),
    )


def _text(values: Mapping[str, Any], key: str) -> str:
    told = values.get(key)
    return told if isinstance(told, str) else ""


def _first(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    told = values.get(key)
    return told[0] if isinstance(told, list) and told and isinstance(told[0], Mapping) else {}


def _moment(told: Any) -> datetime | None:
    """Return the moment that the library read, which is UTC."""
    try:
        return datetime.fromtimestamp(timegm(told), UTC) if told else None
    except (OverflowError, TypeError, ValueError, OSError):
        return None


def _length_us(text: str) -> int | None:
    found = _LENGTH.fullmatch(text.strip())
    return length_us(int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + int(found[3])) if found else None


class Rumble:
    """Finds among the new videos of named channels those that hold the words, the newest first."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._turns = asyncio.Semaphore(PARALLEL)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. A feed that fails is left out, unless all do.

        Raises: Retry, RateLimited, Reject.
        """
        words = words_of(query)
        feeds = needed(self._means.settings, NEEDS[0]).replace(",", " ").split()[:MOST_FEEDS]
        if wrong := [url for url in feeds if address(url) is None]:
            raise Reject(f"RUMBLE_CHANNELS names {len(wrong)} that are no web address", mend=NEEDS[0].means)
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(self._read(url)) for url in dict.fromkeys(feeds)]
        results = [read.result() for read in reads]
        faults = [one for one in results if isinstance(one, Exception)]
        if faults:
            get_logger().warning("discovery.feeds_left_out", platform=NAME, count=len(faults), because=str(faults[0]))
            if len(faults) == len(results):
                raise faults[0]
        found = {one.platform_id: one for batch in results if isinstance(batch, tuple) for one in batch}
        oldest = datetime.min.replace(tzinfo=UTC)
        fitting = [one for one in found.values() if has_words(" ".join((one.title, one.description, *one.tags)), words)]
        return tuple(sorted(fitting, key=lambda one: one.published_at or oldest, reverse=True)[:limit])

    async def _read(self, url: str) -> tuple[Candidate, ...] | Retry | RateLimited | Reject:
        parts = urlsplit(url)
        api = Api(self._means, name=NAME, base=f"{parts.scheme}://{parts.netloc}", what=WHAT, mend=KEYLESS)
        query = f"?{parts.query}" if parts.query else ""
        async with self._turns:
            try:
                return await api.read(
                    f"{parts.path}{query}", lambda body, at: parse_feed(body, at=at), fresh_s=FRESH_S, in_thread=True
                )
            except (Retry, RateLimited, Reject) as error:
                return error


ADAPTER = Rumble
