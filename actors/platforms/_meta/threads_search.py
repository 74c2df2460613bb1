"""Threads' keyword search: video posts of anybody by words.

Docs: developers.facebook.com/docs/threads/keyword-search and .../threads/troubleshooting, read 2026-11-23.
Limits: 2,200 queries in any 24 hours a user, those without results free; 100 posts a page.
Units: times ISO 8601, `since` Unix seconds. Results carry no counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from actors.platforms._api import absent, read_each
from actors.platforms._meta.graph import Graph
from actors.platforms._text import clean, parse_moment
from actors.platforms._words import first_line, hashtags_in
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from actors.runtime.quota import Bucket
from contracts.errors import Reject
from contracts.ids import item_id
from contracts.platform import Candidate, Metrics, Need
from contracts.rights import RightsRecord

__all__ = ["BASE_URL", "MOST_AN_HOUR", "QUERIES", "TOKEN", "Keywords", "Post", "parse_posts"]

NAME: Final = "threads"
MOST_AN_HOUR: Final = 2_200 // 25
"""Any 24 hours reach into 25 hours of the clock."""
TOKEN: Final = Need(
    setting="threads_access_token",
    means="Token of a Threads user, from an app at developers.facebook.com with threads_basic and "
    "threads_keyword_search",
)

BASE_URL: Final = "https://graph.threads.net/v1.0"
QUERIES: Final = Bucket(name="queries", limit=MOST_AN_HOUR, window_s=3_600)
FRESH_S: Final = 600.0
MOST_PAGES: Final = 2
BACK: Final = timedelta(days=7)
_FIELDS: Final = "id,text,media_type,permalink,timestamp,username"
_NO_COUNTS: Final = "the Threads search gives no counts"


class Post(Struct, frozen=True, kw_only=True):
    """One post of a search. timestamp: ISO 8601."""

    id: Annotated[str, Meta(min_length=1)]
    media_type: str
    permalink: Annotated[str, Meta(pattern=r"^https?://")]
    text: str | None = None
    timestamp: Any = None
    username: str | None = None


def parse_posts(data: Any, *, at: datetime) -> tuple[Candidate, ...]:
    """Read the posts of a search; what is no video is left out. Raises: Retry on an unknown shape."""
    posts = read_each(data, Post, what="the Threads search")
    return tuple(_candidate(post, at) for post in posts if post.media_type == "VIDEO")


def _candidate(post: Post, at: datetime) -> Candidate:
    text = post.text or ""
    author = clean(post.username or "", max_chars=100) or None
    title = first_line(text) or post.id
    counts = dict.fromkeys(("views", "likes", "comments", "shares"))
    return Candidate(
        item_id=item_id(NAME, post.id),
        platform=NAME,
        platform_id=post.id,
        url=post.permalink,
        title=title,
        description=clean(text, max_chars=5000),
        creator=author,
        creator_id=author,
        tags=hashtags_in(text),
        published_at=parse_moment(post.timestamp),
        metrics=Metrics(absent=absent(counts, _NO_COUNTS)),
        observed_at=at,
        rights=RightsRecord(
            licence="unknown",
            title=title,
            author=author,
            source_url=post.permalink,
            read_at=at,
            note="Threads gives no licence for posts",
        ),
    )


class Keywords:
    """Finds video posts by words."""

    def __init__(self, means: Means, client: OAuthClient, *, page_size: int) -> None:
        self._page_size = page_size
        self._clock = means.clock
        self._graph = Graph(
            means,
            name=NAME,
            base=BASE_URL,
            what="Threads",
            token=TOKEN,
            permission="threads_basic and threads_keyword_search",
            client=client,
            buckets=(QUERIES,),
        )

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` posts, in the platform's order. Raises: Retry, RateLimited, Reject."""
        words = clean(query, max_chars=200)
        if not words:
            raise Reject("there are no words to search for", mend="name a niche")
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        params = {
            "q": words,
            "search_type": "TOP",
            "search_mode": "KEYWORD",
            "media_type": "VIDEO",
            "since": str(int((hour - BACK).timestamp())),
            "fields": _FIELDS,
            "limit": str(self._page_size),
        }

        def read(data: list[Any], at: datetime) -> tuple[Candidate, ...]:
            return parse_posts(data, at=at)

        posts = await self._graph.collect(
            "/keyword_search", params, read, enough=limit, most_pages=MOST_PAGES, fresh_s=FRESH_S
        )
        return tuple({one.platform_id: one for one in posts}.values())[:limit]
