"""Videos and reels on Facebook pages, filtered by words: of the pages of the setting, else of the connected ones.

Docs: developers.facebook.com/docs/graph-api/reference/page/videos, .../reference/video, read 2026-11-23.
Limits: X-App-Usage, percentages of a rolling hour; 100 videos a page.
Units: `length` seconds (float), times ISO 8601, `permalink_url` is a path on www.facebook.com.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urljoin

from msgspec import Meta, Struct, field

from actors.platforms._api import absent, count, leaving_out, read_each
from actors.platforms._meta.account import own_id
from actors.platforms._meta.graph import GRAPH_URL, Graph, GraphRefused, Reader
from actors.platforms._text import clean, parse_moment
from actors.platforms._words import first_line, has_words, hashtags_in
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from contracts.errors import AuthExpired, Reject
from contracts.ids import item_id
from contracts.platform import Candidate, Metrics, Need
from contracts.rights import RightsRecord

__all__ = ["PAGES", "SITE", "TOKEN", "PageVideos", "Video", "parse_videos", "total_of"]

NAME: Final = "facebook"
TOKEN: Final = Need(
    setting="facebook_access_token",
    means="Token of a page, or of a system user who may read all named pages, from an app at developers.facebook.com",
)
PAGES: Final = Need(
    setting="facebook_page_ids",
    means="Numbers of the pages to read, with commas between them; a page shows its own under About",
    secret=False,
)

SITE: Final = "https://www.facebook.com/"
FRESH_S: Final = 1800.0
EDGES: Final = ("videos", "video_reels")
_FIELDS: Final = (
    "id,title,description,length,views,created_time,permalink_url,picture,from,"
    "likes.limit(0).summary(true),comments.limit(0).summary(true)"
)
_OWN: Final = "Facebook gives no licence; whoever owns this page may attest that the video is theirs"


class Video(Struct, frozen=True, kw_only=True):
    """One video of a page. length: seconds."""

    id: Annotated[str, Meta(pattern=r"^\d+$")]
    permalink_url: Annotated[str, Meta(min_length=1)]
    title: str | None = None
    description: str | None = None
    length: Any = None
    views: Any = None
    created_time: Any = None
    picture: Any = None
    likes: Any = None
    comments: Any = None
    page: Any = field(default=None, name="from")


def parse_videos(data: Any, *, at: datetime) -> tuple[Candidate, ...]:
    """Read the videos of a page. Raises: Retry on an unknown shape."""
    videos = read_each(data, Video, what="Facebook's list of videos")
    return tuple(found for video in videos if (found := _candidate(video, at)) is not None)


def _candidate(video: Video, at: datetime) -> Candidate | None:
    """Return the candidate; None: its page is not on the site."""
    url = urljoin(SITE, video.permalink_url)
    if not url.startswith(("https://", "http://")):
        return None
    text = video.description or ""
    title = clean(video.title or "", max_chars=300) or first_line(text) or video.id
    page = video.page if isinstance(video.page, dict) else {}
    author = clean(str(page.get("name") or ""), max_chars=100) or None
    counts = {
        "views": count(video.views),
        "likes": total_of(video.likes),
        "comments": total_of(video.comments),
        "shares": None,
    }
    because = {"shares": "Facebook gives no shares of a video here"}
    return Candidate(
        item_id=item_id(NAME, video.id),
        platform=NAME,
        platform_id=video.id,
        url=url,
        title=title,
        description=clean(text, max_chars=5000),
        creator=author,
        creator_id=str(page["id"]) if isinstance(page.get("id"), str | int) else None,
        tags=hashtags_in(text),
        published_at=parse_moment(video.created_time),
        duration_us=_duration_us(video.length),
        thumbnail_url=_address(video.picture),
        metrics=Metrics(**counts, absent=absent(counts, because)),
        observed_at=at,
        rights=RightsRecord(licence="unknown", title=title, author=author, source_url=url, read_at=at, note=_OWN),
    )


def total_of(told: Any) -> int | None:
    """Return the count of a summary; None: there is none."""
    summary = told.get("summary") if isinstance(told, dict) else None
    return count(summary.get("total_count")) if isinstance(summary, dict) else None


def _duration_us(told: Any) -> int | None:
    known = isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < 1e9
    return round(told * 1_000_000) if known else None


def _address(told: Any) -> str | None:
    return told if isinstance(told, str) and told.startswith(("https://", "http://")) else None


class PageVideos:
    """Finds videos on pages that may be read."""

    def __init__(self, means: Means, client: OAuthClient, *, page_size: int) -> None:
        self._page_size = page_size
        self._settings = means.settings
        self._graph = Graph(
            means,
            name=NAME,
            base=GRAPH_URL,
            what="Facebook",
            token=TOKEN,
            permission="pages_show_list, pages_read_engagement and pages_read_user_content for each named page",
            client=client,
        )

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos that have the words, newest first.

        A page that refuses is left out, unless all do. Raises: Retry, RateLimited, Reject.
        """
        if not query.split():
            raise Reject("there are no words to search for", mend="name a niche")
        found: dict[str, Candidate] = {}
        refusals: list[GraphRefused | AuthExpired] = []
        pages = await self._pages()
        with leaving_out(found, platform=NAME):
            for page, reader in pages:
                try:
                    found |= {one.platform_id: one for one in await self._videos_of(page, reader)}
                except AuthExpired as expired:
                    refusals.append(expired)
                except GraphRefused as refused:
                    if refused.token_lost or len(pages) == 1:
                        raise
                    refusals.append(refused)
        if refusals:
            because = str(refusals[0])
            get_logger().warning("discovery.accounts_left_out", platform=NAME, count=len(refusals), because=because)
            if len(refusals) == len(pages):
                raise refusals[0]
        fitting = [one for one in found.values() if has_words(f"{one.title}\n{one.description}", query)]
        return tuple(sorted(fitting, key=_age, reverse=True))[:limit]

    async def _pages(self) -> tuple[tuple[str, Reader], ...]:
        """Return the pages to read, each with the token for it."""
        readers = await self._graph.readers()
        if readers[0].account is not None:
            return tuple((own_id(one.account.account_id), one) for one in readers if one.account is not None)
        told = self._settings.option(PAGES.setting) or ""
        pages = tuple(dict.fromkeys(page.strip() for page in told.split(",") if page.strip()))
        if not pages:
            raise Reject(f"{PAGES.setting.upper()} is not set", mend=PAGES.means)
        if wrong := next((page for page in pages if not (page.isascii() and page.isdigit())), None):
            raise Reject(f"{PAGES.setting.upper()} names '{wrong}', which is not a number", mend=PAGES.means)
        return tuple((page, readers[0]) for page in pages)

    async def _videos_of(self, page: str, reader: Reader) -> list[Candidate]:
        """Return the latest of the page; a list read for one niche does for the others."""

        def read(data: list[Any], at: datetime) -> tuple[Candidate, ...]:
            return parse_videos(data, at=at)

        params = {"fields": _FIELDS, "limit": str(self._page_size)}
        found: list[Candidate] = []
        with leaving_out(found, platform=NAME):
            for edge in EDGES:
                path = f"/{page}/{edge}"
                found += await self._graph.collect(
                    path, params, read, enough=self._page_size, most_pages=1, reader=reader, fresh_s=FRESH_S
                )
        return found


def _age(one: Candidate) -> tuple[bool, float]:
    return (one.published_at is not None, one.published_at.timestamp() if one.published_at else 0.0)
