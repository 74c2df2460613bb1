"""Pexels: stock videos by words, under the platform's own licence.

Docs: https://www.pexels.com/api/documentation/ (second-hand copies of March 2026) and https://www.pexels.com/license/,
read 2026-11-23. The older paths without /v1 are deprecated; PEXELS_API_URL without /v1 asks them.
Auth: header `Authorization: KEY`, without a scheme. Limits: 200 requests an hour, 20,000 a month; 80 results an answer;
X-Ratelimit-Remaining and -Reset (Unix seconds) with good answers only. A link to Pexels and the maker's name are asked.
Units: `duration` seconds; `size` bytes; width and height may be null. Videos have no title: it is in
the page's address.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, leaving_out, read_each
from actors.platforms._posts import length_us, metrics_of
from actors.platforms._reading import address, needed, words_of
from actors.platforms._renditions import Rendition, best
from actors.platforms._text import clean
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need
from contracts.rights import RightsRecord

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Pexels", "parse_videos"]

NAME: Final = "pexels"
CAPS: Final = Caps(
    discover=True,
    licence_known=True,
    sees="stock videos, by words; no counts, no dates",
    costs="1 request for 80 videos, of 200 an hour and 20,000 a month",
)
NEEDS: Final = (Need(setting="pexels_api_key", means="Get a free key at pexels.com/api"),)
PAGE_SIZE: Final = 80
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://api.pexels.com/v1"
WHAT: Final = "the Pexels search"
FRESH_S: Final = 86_400.0
"""Stock does not move within a day, and has no counts that could be old."""
MOST_PAGES: Final = 5
BUCKET: Final = Bucket(name="requests an hour", limit=200, window_s=3600)
RATES: Final = Rates(remaining="X-Ratelimit-Remaining", reset="X-Ratelimit-Reset", as_="unix")
_SLUG: Final = re.compile(r"/video/(?:([^/]*?)-)?\d+/?(?:[?#].*)?$")
_COUNTS_NOT_TOLD: Final = "Pexels does not tell counts"


class _User(Struct):
    id: int | None = None
    name: str | None = None


class _File(Struct):
    link: str | None = None
    quality: str | None = None
    file_type: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None


class _Video(Struct):
    id: int
    url: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    image: str | None = None
    user: _User | None = None
    tags: list[str] | None = None
    video_files: list[_File] | None = None


def parse_videos(answer: Any, *, at: datetime) -> tuple[tuple[Candidate, ...], bool]:
    """Return the candidates of one page, and whether there is another. Raises: Retry on another shape."""
    videos = read_each(dig(answer, "videos", what=WHAT), _Video, what=WHAT)
    found = (_candidate(video, at) for video in videos)
    return tuple(one for one in found if one is not None), bool(answer.get("next_page"))


def title_of(page: str, number: int) -> str:
    """Return the words in the address of a video's page; where there are none, its number."""
    slug = _SLUG.search(page)
    words = clean((slug[1] or "").replace("-", " "), max_chars=300) if slug else ""
    return words[:1].upper() + words[1:] or f"Pexels video {number}"


def _candidate(video: _Video, at: datetime) -> Candidate | None:
    page = address(video.url)
    if page is None or video.id <= 0:
        return None
    title = title_of(page, video.id)
    author = clean(video.user.name or "", max_chars=200) or None if video.user else None
    file = best(
        Rendition(
            url=link,
            width_px=count(one.width) or None,
            height_px=count(one.height) or None,
            size_bytes=count(one.size) or None,
        )
        for one in video.video_files or ()
        if (link := address(one.link)) and one.quality != "hls" and (one.file_type or "video/mp4") == "video/mp4"
    )
    tags = (clean(tag, max_chars=80) for tag in video.tags or ())
    return Candidate(
        item_id=item_id(NAME, str(video.id)),
        platform=NAME,
        platform_id=str(video.id),
        url=page,
        title=title,
        creator=author,
        creator_id=str(video.user.id) if video.user and video.user.id else None,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:50],
        duration_us=length_us(video.duration),
        media_url=file.url if file else None,
        media_bytes=file.size_bytes if file else None,
        thumbnail_url=address(video.image),
        width_px=(file.width_px if file else None) or count(video.width) or None,
        height_px=(file.height_px if file else None) or count(video.height) or None,
        metrics=metrics_of(_COUNTS_NOT_TOLD),
        observed_at=at,
        rights=RightsRecord(
            licence="pexels",
            title=title,
            author=author,
            source_url=page,
            read_at=at,
            note="the answer states no licence; every video on Pexels is under the Pexels licence",
        ),
    )


class Pexels:
    """Finds stock videos by words, in the order of the site's own search."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(BUCKET,), rates=RATES)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        words = words_of(query)
        headers = {"Authorization": needed(self._settings, NEEDS[0])}
        size = min(limit, PAGE_SIZE)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for page in range(1, MOST_PAGES + 1):
                batch, more = await self._api.read_json(
                    "/videos/search",
                    lambda answer, at: parse_videos(answer, at=at),
                    params={"query": words, "page": str(page), "per_page": str(size)},
                    headers=headers,
                    fresh_s=FRESH_S,
                )
                found |= {one.platform_id: one for one in batch}
                if not more or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]


ADAPTER = Pexels
