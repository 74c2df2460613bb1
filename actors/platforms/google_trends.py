"""Google Trends: what a country searches for today.

Docs: https://trends.google.com/trending/rss, the "Trending now" feed, from clients with live output of October 2026,
read 2026-11-23. Google's own Trends API is closed to the public; the addresses behind its pages are not for others.
Auth: none. Limits: none stated; about 10 topics an answer, up to 20.
Units: `ht:approx_traffic` is a lower bound of searches, as 2000+ or 200K+; `pubDate` RFC 822 with zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from xml.etree import ElementTree as ET

from actors.platforms._api import KEYLESS, Api
from actors.platforms._reading import address
from actors.platforms._text import clean
from actors.runtime.means import Means
from contracts.errors import Reject, Retry
from contracts.platform import Caps, Limits, Need, Topic

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "GoogleTrends", "parse_topics", "parse_traffic"]

NAME: Final = "google_trends"
CAPS: Final = Caps(
    trends=True,
    keyless=True,
    sees="searches that rise today in a country or region, with a lower bound of their number and the news about them",
    costs="no stated quota; 1 request for about 10 topics, kept for half an hour",
    cannot="It names words and no works.",
)
NEEDS: Final = (
    Need(
        setting="google_trends_region",
        means="Country or region to read where none is asked for, as US, DE or US-CA; unset: US",
        secret=False,
        optional=True,
    ),
)
LIMITS: Final = Limits(page_size=20)

BASE_URL: Final = "https://trends.google.com"
WHAT: Final = "the Google Trends feed"
FRESH_S: Final = 1800.0
DEFAULT_REGION: Final = "US"
_HT: Final = "{https://trends.google.com/trending/rss}"
_REGION: Final = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_TRAFFIC: Final = re.compile(r"([\d.,]+)\s*([KMB]?)\s*\+?", re.IGNORECASE)
_TIMES: Final = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}


def parse_topics(body: bytes, *, region: str, at: datetime) -> tuple[Topic, ...]:
    """Read the feed; a topic without a title is left out. Raises: Retry if it is no such feed.

    A document type is refused, and with it every entity that could grow or name a file; so is all but UTF-8, in which
    one could hide.
    """
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text:
            raise Retry(f"{WHAT} answered with a document type, which a feed has not")
        root = ET.fromstring(text)  # noqa: S314 - it declares no entities
    except (ET.ParseError, ValueError) as error:
        raise Retry(f"{WHAT} answered with something that is not XML") from error
    channel = root.find("channel") if root.tag == "rss" else None
    if channel is None:
        raise Retry(f"{WHAT} answered in a shape that is not known here: there is no 'rss.channel'")
    topics = (_topic(item, region, at) for item in channel.iter("item"))
    return tuple(topic for topic in topics if topic is not None)


def parse_traffic(text: str) -> int | None:
    """Return the number in 2000+, 2,000+, 200K+ or 1.5M+; None: it is anything else."""
    found = _TRAFFIC.fullmatch(text.strip())
    if found is None:
        return None
    try:
        return round(float(found[1].replace(",", "")) * _TIMES[found[2].upper()])
    except ValueError:
        return None


def _topic(item: ET.Element, region: str, at: datetime) -> Topic | None:
    name = clean(item.findtext("title") or "", max_chars=200)
    if not name:
        return None
    volume = parse_traffic(item.findtext(f"{_HT}approx_traffic") or "")
    news = (clean(one.findtext(f"{_HT}news_item_title") or "", max_chars=300) for one in item.iter(f"{_HT}news_item"))
    return Topic(
        platform=NAME,
        name=name,
        url=address((item.findtext("link") or "").strip()),
        region=region,
        volume=volume,
        unit="searches, at least" if volume is not None else "",
        related=tuple(dict.fromkeys(title for title in news if title))[:20],
        started_at=_moment(item.findtext("pubDate") or ""),
        observed_at=at,
    )


def _moment(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text.strip())
        return told.astimezone(UTC) if told.tzinfo is not None else told.replace(tzinfo=UTC)
    except (OverflowError, TypeError, ValueError):
        return None


class GoogleTrends:
    """Names what rises in one country."""

    def __init__(self, means: Means) -> None:
        self._default = (means.settings.option("google_trends_region") or DEFAULT_REGION).strip()
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, mend=KEYLESS)

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:
        """Return at most `limit` topics, the most searched first. region: None is the one of the settings.

        Raises: Retry, RateLimited, Reject.
        """
        place = (region or self._default).strip().upper()
        if not _REGION.fullmatch(place):
            raise Reject(
                f"'{region or self._default}' is no region", mend="Write a country as US, or a region as US-CA"
            )
        topics = await self._api.read(
            "/trending/rss",
            lambda body, at: parse_topics(body, region=place, at=at),
            params={"geo": place},
            fresh_s=FRESH_S,
        )
        return tuple(sorted(topics, key=lambda topic: -(topic.volume or 0)))[:limit]


ADAPTER = GoogleTrends
