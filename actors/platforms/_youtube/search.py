"""YouTube's search: ids by words from one call of the day's hundred, then all that is told of them, 50 at a time.

Docs: YouTube Data API v3 reference ("Search: list", "Videos: list", "Videos"), "Quota Calculator", YouTube Help
"Creative Commons", "Get started creating YouTube Shorts", read 2026-11-23.
A Short is square or vertical and at most 3 minutes long; the API has no flag for it. The form of the picture is told
only by `player.embedWidth` and `embedHeight`, only where it is known and `maxWidth` or `maxHeight` was asked for;
thumbnails are padded to 4:3 and 16:9 and say nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import Struct

from actors.platforms._api import Api, absent, count, leaving_out, read_each
from actors.platforms._text import clean, parse_moment
from actors.platforms._youtube.errors import QuotaSpent, fault_of
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

__all__ = ["ABSENT", "SOURCES", "Form", "Search", "parse_candidates", "parse_duration", "searches", "units", "uploads"]

PLATFORM: Final = "youtube"
BASE_URL: Final = "https://www.googleapis.com"
WATCH_URL: Final = "https://www.youtube.com"
WHAT: Final = "YouTube's search"
PAGE_SIZE: Final = 50
WINDOW: Final = timedelta(days=30)
FRESH_S: Final = 3600.0
"""An answer of the search does for an hour; the counts of its videos are asked for every time."""
BOX_PX: Final = 720
LONGEST_SHORT_US: Final = 180_000_000
PACIFIC: Final = "America/Los_Angeles"
_PARTS: Final = "id,snippet,statistics,contentDetails,status,player"
_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?")

Form = Literal["shorts", "long"]
SOURCES: Final[dict[str, str]] = {
    "shorts": "square or vertical videos of at most 3 minutes",
    "long": "all other videos, live ones included",
}

ABSENT: Final = {
    "views": "YouTube gave no view count for this video",
    "likes": "YouTube gave no like count: the owner hides it or ratings are off",
    "comments": "YouTube gave no comment count: comments are off",
    "shares": "YouTube's statistics have no share count",
}


class _Thumbnail(Struct, frozen=True):
    url: str = ""
    width: int = 0


class _Snippet(Struct, frozen=True, rename="camel"):
    title: str
    description: str = ""
    published_at: str = ""
    channel_id: str | None = None
    channel_title: str | None = None
    tags: tuple[str, ...] = ()
    thumbnails: dict[str, _Thumbnail] = {}
    default_audio_language: str | None = None
    default_language: str | None = None
    live_broadcast_content: str = "none"


class _Details(Struct, frozen=True):
    duration: str = ""


class _Status(Struct, frozen=True, rename="camel"):
    license: str = ""


class _Player(Struct, frozen=True, rename="camel"):
    embed_width: int | None = None
    embed_height: int | None = None


class _Video(Struct, frozen=True, rename="camel"):
    id: str
    snippet: _Snippet
    statistics: dict[str, Any] = {}
    content_details: _Details = _Details()
    status: _Status = _Status()
    player: _Player = _Player()


class _FoundId(Struct, frozen=True, rename="camel"):
    video_id: str


class _Hit(Struct, frozen=True):
    id: _FoundId


def searches(settings: Settings) -> Bucket:
    """Return the quota of searches: 100 calls of a Pacific day unless an audit gave the project more."""
    return Bucket(name="searches", limit=settings.youtube_searches_per_day, zone=PACIFIC)


def units(settings: Settings) -> Bucket:
    """Return the quota of everything but searches and uploads: 10,000 units of a Pacific day, one a list call."""
    return Bucket(name="units", limit=settings.youtube_units_per_day, zone=PACIFIC)


def uploads(settings: Settings) -> Bucket:
    """Return the quota of upload calls: 100 of a Pacific day unless an audit gave the project more."""
    return Bucket(name="uploads", limit=settings.youtube_uploads_per_day, zone=PACIFIC)


def parse_duration(told: str) -> int | None:
    """Return microseconds for ISO 8601 as `PT4M13S` or `P1DT2H`; None: nothing is told, or it is live (`P0D`)."""
    found = _DURATION.fullmatch(told)
    if found is None:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total_s = (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
    return total_s * 1_000_000 if 0 < total_s < 10**8 else None


def form_of(video: _Video) -> Form | None:
    """Tell Shorts from the rest; None: it is short enough, and its form is not told."""
    duration_us = parse_duration(video.content_details.duration)
    if duration_us is None or duration_us > LONGEST_SHORT_US or video.snippet.live_broadcast_content != "none":
        return "long"
    width, height = video.player.embed_width, video.player.embed_height
    if not width or not height:
        return None
    return "shorts" if width <= height else "long"


def parse_candidates(answer: Any, *, watch_url: str, at: datetime) -> tuple[tuple[Candidate, Form | None], ...]:
    """Read videos.list: each video with its form. What cannot be read is left out. Raises: Retry if nothing can."""
    items = answer.get("items") if isinstance(answer, dict) else None
    return tuple((_candidate(video, watch_url, at), form_of(video)) for video in read_each(items, _Video, what=WHAT))


def _candidate(video: _Video, watch_url: str, at: datetime) -> Candidate:
    snippet, told = video.snippet, video.statistics
    counts = {
        "views": count(told.get("viewCount")),
        "likes": count(told.get("likeCount")),
        "comments": count(told.get("commentCount")),
        "shares": None,
    }
    page = f"{watch_url}/shorts/{video.id}" if form_of(video) == "shorts" else f"{watch_url}/watch?v={video.id}"
    title = clean(snippet.title, max_chars=300)
    creator = clean(snippet.channel_title or "", max_chars=100) or None
    widest = max(snippet.thumbnails.values(), key=lambda one: one.width, default=None)
    return Candidate(
        item_id=item_id(PLATFORM, video.id),
        platform=PLATFORM,
        platform_id=video.id,
        url=page,
        title=title or video.id,
        description="\n".join(clean(line, max_chars=1000) for line in snippet.description.splitlines())[:5000].strip(),
        creator=creator,
        creator_id=snippet.channel_id,
        tags=_tags(snippet.tags),
        published_at=parse_moment(snippet.published_at),
        duration_us=parse_duration(video.content_details.duration),
        thumbnail_url=(widest.url or None) if widest else None,
        language=snippet.default_audio_language or snippet.default_language,
        metrics=Metrics(**counts, absent=absent(counts, ABSENT)),
        observed_at=at,
        rights=_rights(video.status.license, title=title, author=creator, page=page, at=at),
    )


def _rights(told: str, *, title: str, author: str | None, page: str, at: datetime) -> RightsRecord:
    free = told == "creativeCommon"
    if free:
        note = "YouTube states CC BY without a version; the licence that its pages link to is 3.0"
    elif told == "youtube":
        note = "the standard YouTube licence gives no right of re-use"
    else:
        note = "YouTube gave no licence for this video"
    return RightsRecord(
        licence="CC-BY-3.0" if free else "unknown",
        title=title,
        author=author,
        source_url=page,
        read_at=at,
        proof=f"status.license: {clean(told, max_chars=40)}" if told else "",
        note=f"{note}. YouTube's terms forbid downloading: bring the file of its owner with `ettametta import`",
    )


def _tags(told: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for one in told if (tag := clean(one, max_chars=80))))[:50]


class Search:
    """Finds videos by words: the most viewed of the last 30 days first."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._key = means.settings.option("youtube_api_key")
        self._watch_url = means.settings.api_url("youtube_www", WATCH_URL)
        self._api = Api(means, name=PLATFORM, base=BASE_URL, what=WHAT, fault=fault_of)

    async def find(self, query: str, *, limit: int, form: Form | None = None) -> tuple[Candidate, ...]:
        """Return at most `limit` videos; form: only Shorts, or only the rest (a Short's form must be told).

        A page of 50 is one search, and one unit for its videos. Raises: Retry, RateLimited, Reject.
        """
        if not query.split():
            raise Reject("there are no words to search for", mend="Name a niche")
        seen: list[tuple[Candidate, Form | None]] = []
        with leaving_out(seen, platform=PLATFORM):
            async for ids in self._pages(query, form=form, pages=-(-limit // PAGE_SIZE)):
                seen += await self._videos(ids)
        unclear = sum(its is None for _, its in seen)
        found = {candidate.item_id: candidate for candidate, its in seen if form is None or its == form}
        if unclear:
            get_logger().warning("youtube.form_unknown", count=unclear, left_out=form is not None)
            if form is not None and unclear == len(seen):
                raise Reject(
                    "YouTube told of no video whether it is a Short", mend="Scan `youtube`, which takes both kinds"
                )
        return tuple(found.values())[:limit]

    async def _pages(self, query: str, *, form: Form | None, pages: int) -> AsyncIterator[list[str]]:
        """Yield the ids of one page after the other."""
        since = (self._means.clock.now() - WINDOW).astimezone(UTC).date()
        params = {
            "part": "snippet",
            "type": "video",
            "q": query,
            "order": "viewCount",
            "publishedAfter": f"{since.isoformat()}T00:00:00Z",
            "maxResults": str(PAGE_SIZE),
        }
        if form == "shorts":
            params["videoDuration"] = "short"
        for _ in range(pages):
            answer = await self._get("search", params, searches(self._means.settings), fresh_s=FRESH_S)
            hits = read_each(answer.get("items"), _Hit, what=WHAT)
            if not hits:
                return
            yield [hit.id.video_id for hit in hits]
            token = answer.get("nextPageToken")
            if not isinstance(token, str) or not token:
                return
            params["pageToken"] = token

    async def _videos(self, ids: Sequence[str]) -> tuple[tuple[Candidate, Form | None], ...]:
        found: list[tuple[Candidate, Form | None]] = []
        for start in range(0, len(ids), PAGE_SIZE):
            asked = {"part": _PARTS, "id": ",".join(ids[start : start + PAGE_SIZE])}
            asked |= {"maxWidth": str(BOX_PX), "maxHeight": str(BOX_PX)}
            answer = await self._get("videos", asked, units(self._means.settings))
            found += parse_candidates(answer, watch_url=self._watch_url, at=self._means.clock.now())
        return tuple(found)

    async def _get(
        self, resource: str, params: dict[str, str], bucket: Bucket, *, fresh_s: float = 0.0
    ) -> dict[str, Any]:
        if not self._key:
            raise Reject(
                "YOUTUBE_API_KEY is not set",
                mend="Make an API key for the YouTube Data API v3 in the Google Cloud console, under Credentials",
            )
        try:
            answer = await self._api.get(
                f"/youtube/v3/{resource}",
                params=params,
                secret_params={"key": self._key},
                fresh_s=fresh_s,
                buckets=(bucket,),
            )
        except QuotaSpent:
            await self._means.quota.exhaust(PLATFORM, bucket)
            raise
        if not isinstance(answer, dict):
            raise Retry(f"{WHAT} answered without an object")
        return answer
