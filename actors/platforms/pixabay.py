"""Pixabay: stock videos by words, under the platform's own licence.

Docs: https://pixabay.com/api/docs/ and https://pixabay.com/service/license-summary/, read 2026-11-23 (fields and error
texts second-hand).
Auth: `key` in the address. Limits: 100 requests in 60 seconds; 3 to 200 results an answer, 500 a query; answers must be
kept for 24 hours; no systematic mass download; X-RateLimit-Remaining and -Reset (seconds). Errors are plain text.
Units: `duration` seconds; `size` bytes, 0 with an empty address where a size does not exist. Videos have no title.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, leaving_out, read_each
from actors.platforms._posts import length_us, metrics_of
from actors.platforms._reading import address, needed, words_of
from actors.platforms._renditions import Rendition, best
from actors.platforms._text import clean
from actors.runtime.http import Response
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import Reject
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need
from contracts.rights import RightsRecord

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Pixabay", "parse_hits"]

NAME: Final = "pixabay"
CAPS: Final = Caps(
    discover=True,
    licence_known=True,
    sees="stock videos, by words; views, likes and comments as of the last 24 hours; no dates",
    costs="1 request for 200 videos, of 100 a minute; the same words once in 24 hours",
)
NEEDS: Final = (Need(setting="pixabay_api_key", means="Sign in at pixabay.com; pixabay.com/api/docs shows the key"),)
PAGE_SIZE: Final = 200
LEAST_PAGE_SIZE: Final = 3
MOST_REACHED: Final = 500
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://pixabay.com/api"
WHAT: Final = "the Pixabay search"
FRESH_S: Final = 86_400.0
MOST_QUERY_CHARS: Final = 100
BUCKET: Final = Bucket(name="requests a minute", limit=100, window_s=60)
RATES: Final = Rates(remaining="X-RateLimit-Remaining", reset="X-RateLimit-Reset", as_="seconds")
_NOT_TOLD: Final = {
    "views": "the answer has no views for this video",
    "likes": "the answer has no likes for this video",
    "comments": "the answer has no comments for this video",
    "shares": "Pixabay does not count shares",
}


class _File(Struct):
    url: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    thumbnail: str | None = None


class _Hit(Struct):
    id: int
    pageURL: str  # noqa: N815 - the platform's name
    videos: dict[str, _File]
    tags: str | None = None
    duration: float | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    user_id: int | None = None
    user: str | None = None


def parse_hits(answer: Any, *, at: datetime) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates of one page, and how many can be reached in all. Raises: Retry on another shape."""
    hits = read_each(dig(answer, "hits", what=WHAT), _Hit, what=WHAT)
    found = (_candidate(hit, at) for hit in hits)
    return tuple(one for one in found if one is not None), count(answer.get("totalHits")) or 0


def search_text(words: str) -> str:
    """Return as many whole words as the search takes."""
    if len(words) <= MOST_QUERY_CHARS:
        return words
    return words[: MOST_QUERY_CHARS + 1].rpartition(" ")[0] or words[:MOST_QUERY_CHARS]


def fault_of(answer: Response, _now: datetime) -> Exception | None:
    """Name a refused key, which comes as 400 in plain text."""
    text = clean(answer.text, max_chars=200) if answer.status == 400 else ""
    if "api key" in text.lower():
        return Reject(f"{WHAT} refused the key: {text}", mend="Check PIXABAY_API_KEY: pixabay.com/api/docs shows it")
    return Reject(f"{WHAT} answered 400: {text}") if text else None


def _candidate(hit: _Hit, at: datetime) -> Candidate | None:
    page = address(hit.pageURL)
    if page is None or hit.id <= 0:
        return None
    tags = tuple(dict.fromkeys(tag for one in (hit.tags or "").split(",") if (tag := clean(one, max_chars=80))))
    title = ", ".join(tags[:3]) or f"Pixabay video {hit.id}"
    author = clean(hit.user or "", max_chars=200) or None
    file = best(
        Rendition(
            url=url,
            width_px=count(one.width) or None,
            height_px=count(one.height) or None,
            size_bytes=count(one.size) or None,
        )
        for one in hit.videos.values()
        if (url := address(one.url))
    )
    stills = (address(one.thumbnail) for one in hit.videos.values() if file and one.url == file.url)
    counts = {
        "views": count(hit.views),
        "likes": count(hit.likes),
        "comments": count(hit.comments),
    }
    return Candidate(
        item_id=item_id(NAME, str(hit.id)),
        platform=NAME,
        platform_id=str(hit.id),
        url=page,
        title=title,
        creator=author,
        creator_id=str(hit.user_id) if hit.user_id else None,
        tags=tags[:50],
        duration_us=length_us(hit.duration),
        media_url=file.url if file else None,
        media_bytes=file.size_bytes if file else None,
        thumbnail_url=next(stills, None),
        width_px=file.width_px if file else None,
        height_px=file.height_px if file else None,
        metrics=metrics_of(_NOT_TOLD, **counts),
        observed_at=at,
        rights=RightsRecord(
            licence="pixabay",
            title=title,
            author=author,
            source_url=page,
            read_at=at,
            note="the answer states no licence; every video on Pixabay is under the Pixabay Content License",
        ),
    )


class Pixabay:
    """Finds stock videos by words, the popular first."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(BUCKET,), rates=RATES, fault=fault_of)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates; counts are as old as `observed_at`. Raises: Retry, RateLimited, Reject."""
        words = search_text(words_of(query))
        key = needed(self._settings, NEEDS[0])
        size = min(max(limit, LEAST_PAGE_SIZE), PAGE_SIZE)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for page in range(1, -(-MOST_REACHED // size) + 1):
                batch, reachable = await self._api.read_json(
                    "/videos/",
                    lambda answer, at: parse_hits(answer, at=at),
                    params={
                        "q": words,
                        "safesearch": "true",
                        "order": "popular",
                        "page": str(page),
                        "per_page": str(size),
                    },
                    secret_params={"key": key},
                    fresh_s=FRESH_S,
                )
                found |= {one.platform_id: one for one in batch}
                if not batch or page * size >= reachable or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]


ADAPTER = Pixabay
