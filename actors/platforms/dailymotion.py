"""Dailymotion: public videos by words, as signals.

Docs: https://developers.dailymotion.com/api/ (version 0: GET /videos), read 2026-11-23, and a recorded answer of it.
Version 2 has a list of videos too, but the name of its search parameter is not in the documents read, so this asks
version 0. Names of fields and sorts are second-hand. `DAILYMOTION_API_URL` replaces the base.
Auth: none for public data. Limits: 100 results an answer, 1,000 a query; no request quota is stated.
Units: `duration` seconds; `created_time` Unix seconds; `description` is HTML.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct, field

from actors.platforms._api import KEYLESS, Api, count, dig, leaving_out, read_each
from actors.platforms._posts import from_unix, language_tag, length_us, metrics_of, unlicensed
from actors.platforms._reading import address, words_of
from actors.platforms._text import clean, plain_text
from actors.runtime.means import Means
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "Dailymotion", "parse_videos"]

NAME: Final = "dailymotion"
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    sees="public videos, by words; views and likes",
    costs="no stated quota; 1 request for 100 videos",
    cannot="Its answers carry no licence and no file, so a video is a signal only.",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://api.dailymotion.com"
WHAT: Final = "the Dailymotion search"
FRESH_S: Final = 600.0
MOST_PAGES: Final = 10
_FIELDS: Final = (
    "id,title,description,duration,created_time,url,thumbnail_720_url,views_total,likes_total,tags,language,"
    "owner,owner.screenname"
)
_NOT_TOLD: Final = {
    "views": "the answer has no views for this video",
    "likes": "the answer has no likes for this video",
    "comments": "Dailymotion does not tell the number of comments",
    "shares": "Dailymotion does not count shares",
}


class _Video(Struct):
    id: str
    title: str
    url: str
    description: str | None = None
    duration: float | None = None
    created_time: float | None = None
    thumbnail_720_url: str | None = None
    thumbnail_360_url: str | None = None
    views_total: int | None = None
    likes_total: int | None = None
    tags: list[str] | None = None
    language: str | None = None
    owner: str | None = None
    screenname: str | None = field(default=None, name="owner.screenname")


def parse_videos(answer: Any, *, at: datetime) -> tuple[tuple[Candidate, ...], bool]:
    """Return the candidates of one page, and whether there is another. Raises: Retry on another shape."""
    videos = read_each(dig(answer, "list", what=WHAT), _Video, what=WHAT)
    found = (_candidate(video, at) for video in videos)
    return tuple(one for one in found if one is not None), answer.get("has_more") is True


def _candidate(video: _Video, at: datetime) -> Candidate | None:
    page = address(video.url)
    if page is None or not video.id.isalnum():
        return None
    title = clean(video.title, max_chars=300) or f"Dailymotion {video.id}"
    author = clean(video.screenname or "", max_chars=200) or None
    views, likes = count(video.views_total), count(video.likes_total)
    tags = (clean(tag, max_chars=80) for tag in video.tags or ())
    return Candidate(
        item_id=item_id(NAME, video.id),
        platform=NAME,
        platform_id=video.id,
        url=page,
        title=title,
        description=plain_text(video.description or "", max_chars=5000),
        creator=author,
        creator_id=clean(video.owner or "", max_chars=60) or None,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:50],
        published_at=from_unix(video.created_time),
        duration_us=length_us(video.duration),
        thumbnail_url=address(video.thumbnail_720_url) or address(video.thumbnail_360_url),
        language=language_tag(video.language),
        metrics=metrics_of(_NOT_TOLD, views=views, likes=likes),
        observed_at=at,
        rights=unlicensed("Dailymotion", title=title, author=author, page=page, at=at),
    )


class Dailymotion:
    """Finds public videos by words, in the order of the site's own relevance."""

    def __init__(self, means: Means) -> None:
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, mend=KEYLESS)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        words = words_of(query)
        size = min(limit, PAGE_SIZE)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for page in range(1, MOST_PAGES + 1):
                batch, more = await self._api.read_json(
                    "/videos",
                    lambda answer, at: parse_videos(answer, at=at),
                    params={
                        "search": words,
                        "fields": _FIELDS,
                        "sort": "relevance",
                        "family_filter": "true",
                        "limit": str(size),
                        "page": str(page),
                    },
                    fresh_s=FRESH_S,
                )
                found |= {one.platform_id: one for one in batch}
                if not more or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]


ADAPTER = Dailymotion
