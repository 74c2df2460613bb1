"""Vimeo: public videos by words, each with its licence where its owner stated one.

Docs: https://developer.vimeo.com/api/reference/videos (OpenAPI 3.4), read 2026-11-23; paging wrapper and rate headers
from a second-hand note of the same day.
Auth: an app's access token with the scope `public`. Limits: 100 results an answer; X-RateLimit-Remaining and -Reset.
Units: `duration` seconds; times ISO 8601 with zone; `license` is a Creative Commons flavour without a version.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, leaving_out, read_each
from actors.platforms._posts import language_tag, length_us, metrics_of
from actors.platforms._reading import address, needed, words_of
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.means import Means
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need
from contracts.rights import RightsRecord

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Vimeo", "parse_rights", "parse_videos"]

NAME: Final = "vimeo"
CAPS: Final = Caps(
    discover=True,
    licence_known=True,
    sees="public videos, by words; plays where the owner shows them, likes and comments",
    costs="1 request for 100 videos of the token's own rate, which its headers tell",
    cannot="The API gives no file to fetch, so a video is a signal; its page may offer a download.",
)
NEEDS: Final = (
    Need(
        setting="vimeo_access_token",
        means="Make an app at developer.vimeo.com/apps and generate an unauthenticated token with the scope `public`",
    ),
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://api.vimeo.com"
WHAT: Final = "the Vimeo search"
FRESH_S: Final = 600.0
MOST_PAGES: Final = 5
ACCEPT: Final = "application/vnd.vimeo.*+json;version=3.4"
RATES: Final = Rates(remaining="X-RateLimit-Remaining", reset="X-RateLimit-Reset", as_="iso")
CC_VERSION: Final = "3.0"
"""Vimeo's answers name none. Its pages are known to link to the 3.0 licences; its documents do not confirm it."""
_FLAVOURS: Final = frozenset({"by", "by-nc", "by-nc-nd", "by-nc-sa", "by-nd", "by-sa"})
_FIELDS: Final = (
    "uri,name,description,link,duration,width,height,language,license,created_time,release_time,privacy.view,"
    "pictures.sizes,tags.name,stats.plays,metadata.connections.likes.total,metadata.connections.comments.total,"
    "user.uri,user.name"
)
_ID: Final = re.compile(r"/videos/(\d+)")
_USER_ID: Final = re.compile(r"/users/(\w+)")
_HIDDEN: Final = {
    "views": "the owner hides the plays",
    "likes": "the answer has no likes for this video",
    "comments": "the answer has no comments for this video",
    "shares": "Vimeo does not count shares",
}


class _Picture(Struct):
    link: str | None = None
    width: int | None = None


class _Pictures(Struct):
    sizes: list[_Picture] | None = None


class _Tag(Struct):
    name: str | None = None


class _Stats(Struct):
    plays: int | None = None


class _Total(Struct):
    total: int | None = None


class _Connections(Struct):
    likes: _Total | None = None
    comments: _Total | None = None


class _Metadata(Struct):
    connections: _Connections | None = None


class _Privacy(Struct):
    view: str | None = None


class _User(Struct):
    uri: str | None = None
    name: str | None = None


class _Video(Struct):
    uri: str
    name: str
    link: str
    description: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    language: str | None = None
    license: str | None = None
    created_time: str | None = None
    release_time: str | None = None
    privacy: _Privacy | None = None
    pictures: _Pictures | None = None
    tags: list[_Tag] | None = None
    stats: _Stats | None = None
    metadata: _Metadata | None = None
    user: _User | None = None


def parse_videos(answer: Any, *, at: datetime) -> tuple[tuple[Candidate, ...], bool]:
    """Return the candidates of one page, and whether there is another.

    Left out: what not everybody may see. Raises: Retry if the answer has another shape.
    """
    videos = read_each(dig(answer, "data", what=WHAT), _Video, what=WHAT)
    paging = answer.get("paging")
    found = (_candidate(video, at) for video in videos)
    return tuple(one for one in found if one is not None), bool(isinstance(paging, dict) and paging.get("next"))


def parse_rights(told: str | None, *, title: str, author: str | None, page: str, at: datetime) -> RightsRecord:
    """Read the field `license`."""
    stated = (told or "").strip().lower()
    licence, note = "unknown", "the owner states no licence"
    if stated in {"cc0", "cc-0"}:
        licence, note = "CC0-1.0", ""
    elif stated in _FLAVOURS:
        licence = f"CC-{stated.upper()}-{CC_VERSION}"
        note = f"Vimeo names no version; {CC_VERSION}, which its pages are known to link to, is taken unconfirmed"
    elif stated:
        note = "the stated licence is none that is known here"
    return RightsRecord(
        licence=licence,
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        proof=f"license: {clean(stated, max_chars=100)}" if stated else "",
        note=note,
    )


def _candidate(video: _Video, at: datetime) -> Candidate | None:
    number, page = _ID.match(video.uri), address(video.link)
    if number is None or page is None or (video.privacy and video.privacy.view not in {None, "anybody"}):
        return None
    title = clean(video.name, max_chars=300) or f"Vimeo {number[1]}"
    author = clean(video.user.name, max_chars=200) or None if video.user and video.user.name else None
    owner = _USER_ID.match(video.user.uri) if video.user and video.user.uri else None
    links = video.metadata.connections if video.metadata else None
    counts = {
        "views": count(video.stats.plays) if video.stats else None,
        "likes": count(links.likes.total) if links and links.likes else None,
        "comments": count(links.comments.total) if links and links.comments else None,
    }
    sizes = (video.pictures.sizes if video.pictures else None) or ()
    stills = [(one.width or 0, link) for one in sizes if (link := address(one.link)) and (one.width or 0) <= 1280]
    tags = (clean(tag.name, max_chars=80) for tag in video.tags or () if tag.name)
    return Candidate(
        item_id=item_id(NAME, number[1]),
        platform=NAME,
        platform_id=number[1],
        url=page,
        title=title,
        description=plain_text(video.description or "", max_chars=5000),
        creator=author,
        creator_id=owner[1] if owner else None,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:50],
        published_at=parse_moment(video.release_time) or parse_moment(video.created_time),
        duration_us=length_us(video.duration),
        thumbnail_url=max(stills, default=(0, None))[1],
        width_px=count(video.width) or None,
        height_px=count(video.height) or None,
        language=language_tag(video.language),
        metrics=metrics_of(_HIDDEN, **counts),
        observed_at=at,
        rights=parse_rights(video.license, title=title, author=author, page=page, at=at),
    )


class Vimeo:
    """Finds public videos by words, in the order of the site's own relevance."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, rates=RATES)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        words = words_of(query)
        headers = {"Authorization": f"bearer {needed(self._settings, NEEDS[0])}", "Accept": ACCEPT}
        size = min(limit, PAGE_SIZE)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for page in range(1, MOST_PAGES + 1):
                batch, more = await self._api.read_json(
                    "/videos",
                    lambda answer, at: parse_videos(answer, at=at),
                    params={
                        "query": words,
                        "sort": "relevant",
                        "page": str(page),
                        "per_page": str(size),
                        "fields": _FIELDS,
                    },
                    headers=headers,
                    fresh_s=FRESH_S,
                )
                found |= {one.platform_id: one for one in batch}
                if not more or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]


ADAPTER = Vimeo
