"""Mastodon: discovery of posts with a video under a hashtag, as one server knows them; its rising hashtags; posting.

Docs: https://docs.joinmastodon.org/methods/timelines/#tag, /methods/trends/, /api/rate-limits/, read 2026-11-23; for
posting see _mastodon_posts.
Auth: none, where the server shows its public timelines to everybody; search by words needs a login and is not used.
Accounts are connected at their own server, whose limits for posts are read from it before each post.
Limits: 300 requests in 5 minutes; 40 posts, 20 hashtags an answer; pages go back by `max_id`, the id of the last post
of the page before, as the `next` of the Link header does.
Units: `meta.original.duration` seconds; times ISO 8601; the `history` of a hashtag holds texts, today first. Counts are
those that the asked server has heard of. Content is HTML. `gifv` is a moving picture without sound, and no video here.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import KEYLESS, Api, Rates, count, read_each
from actors.platforms._mastodon.account import NAME, OAUTH, SERVER, WHAT, identify
from actors.platforms._mastodon.limits import LINK_CHARS
from actors.platforms._mastodon.posts import Posts
from actors.platforms._posts import (
    Page,
    as_dict,
    as_list,
    by_cursor,
    language_tag,
    length_us,
    links_of,
    metrics_of,
    unlicensed,
    web_address,
    words_of,
)
from actors.platforms._text import clean, parse_moment, plain_text
from actors.platforms._words import hashtag_of
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import Reject
from contracts.ids import AccountId, item_id
from contracts.platform import (
    Candidate,
    Caps,
    Draft,
    Journal,
    Limits,
    Need,
    PostMetrics,
    RemotePost,
    Standing,
    Topic,
    UploadCheckpoint,
)

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "NEEDS",
    "OAUTH",
    "Mastodon",
    "identify",
    "parse_statuses",
    "parse_tags",
    "server_of",
    "tag_of",
]

CAPS: Final = Caps(
    discover=True,
    trends=True,
    publish=True,
    measure=True,
    looks=True,
    schedules=True,
    hides=("private", "unlisted", "public"),
    keyless=True,
    sees="the newest posts with a video under the niche's words as one hashtag, as one server knows them; its trends",
    costs="1 request for 40 posts, at most 3 a scan, of 300 in 5 minutes",
    cannot="Servers search by words only for their own users.",
    posting="an account on any server, whose own limits count; keeps a post until its time from 5 minutes on",
)
PAGE_SIZE: Final = 40
LIMITS: Final = Limits(caption=500, link_weight=LINK_CHARS, page_size=PAGE_SIZE)
"""`caption` is that of a server which did not change it; see check_draft in _mastodon_limits for the server's own."""
NEEDS: Final = (
    Need(
        setting="mastodon_server",
        means="Host name of the server to ask; unset: mastodon.social",
        secret=False,
        optional=True,
    ),
)

REQUESTS: Final = Bucket(name="requests", limit=250, window_s=300)
RATES: Final = Rates(remaining="X-RateLimit-Remaining", reset="X-RateLimit-Reset", as_="iso")
FRESH_S: Final = 300.0
MOST_PAGES: Final = 3
MOST_TAGS: Final = 20
_NOT_TOLD: Final = {
    "views": "Mastodon does not count views",
    "likes": "the post has no such count in the answer",
    "comments": "the post has no such count in the answer",
    "shares": "the post has no such count in the answer",
}
_HOST: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class Status(Struct, frozen=True, kw_only=True):
    """A post, as far as it is used. What a post need not have may be of any type."""

    id: str
    uri: str
    account: dict[str, Any]
    url: Any = None
    content: Any = None
    spoiler_text: Any = None
    created_at: Any = None
    language: Any = None
    media_attachments: Any = None
    tags: Any = None
    card: Any = None
    replies_count: Any = None
    reblogs_count: Any = None
    favourites_count: Any = None


class Tag(Struct, frozen=True, kw_only=True):
    """A rising hashtag."""

    name: str
    url: Any = None
    history: Any = None


def server_of(told: str | None) -> str:
    """Return the host name that the setting means. Raises: Reject."""
    host = re.sub(r"^https://|/+$", "", (told or SERVER).strip().lower())
    if not _HOST.fullmatch(host):
        raise Reject(f"'{host[:60]}' is no host name", mend="MASTODON_SERVER is a name such as mastodon.social")
    return host


def tag_of(niche: str) -> str:
    """Return the words of `niche` as one hashtag. Raises: Reject if nothing is left."""
    tag = hashtag_of(" ".join(words_of(niche)))
    if not tag:
        raise Reject("the niche has no words that could be a hashtag", mend="name it with letters")
    return tag


def parse_statuses(answer: Any, at: datetime, *, server: str) -> Page:
    """Read a timeline: its posts with video, and the id before which the next page begins; None: it was the last.

    Raises: Retry if it has another shape.
    """
    statuses = read_each(answer, Status, what=WHAT)
    found = (parse_status(status, server=server, at=at) for status in statuses)
    return tuple(one for one in found if one is not None), statuses[-1].id if statuses else None


def parse_status(status: Status, *, server: str, at: datetime) -> Candidate | None:
    """Return the post as a candidate; None: it has no video, or no address of its own."""
    media = map(as_dict, as_list(status.media_attachments))
    video = next((one for one in media if one.get("type") == "video"), None)
    page = web_address(status.url) or web_address(status.uri)
    if video is None or page is None or not re.fullmatch(r"\w{1,64}", status.id):
        return None
    original = as_dict(as_dict(video.get("meta")).get("original"))
    text = plain_text(status.content, max_chars=5000) if isinstance(status.content, str) else ""
    told = (status.spoiler_text, text, video.get("description"))
    title = next((line for one in told if isinstance(one, str) and (line := clean(one, max_chars=300))), "")
    author = _account(status.account, server)
    platform_id = f"{status.id}@{server}"
    return Candidate(
        item_id=item_id(NAME, platform_id),
        platform=NAME,
        platform_id=platform_id,
        url=page,
        title=title or f"Post by {author or 'somebody'}",
        description=text,
        creator=author,
        creator_id=web_address(status.account.get("url")),
        tags=_tags(status.tags),
        published_at=parse_moment(status.created_at),
        duration_us=length_us(original.get("duration")),
        width_px=count(original.get("width")),
        height_px=count(original.get("height")),
        thumbnail_url=web_address(video.get("preview_url")),
        language=language_tag(status.language),
        links=links_of((as_dict(status.card).get("url"),)),
        metrics=metrics_of(
            _NOT_TOLD,
            likes=count(status.favourites_count),
            comments=count(status.replies_count),
            shares=count(status.reblogs_count),
        ),
        observed_at=at,
        rights=unlicensed("Mastodon", title=title, author=author, page=page, at=at),
    )


def parse_tags(answer: Any, at: datetime) -> tuple[Topic, ...]:
    """Read a list of rising hashtags. Raises: Retry if it has another shape."""
    return tuple(
        Topic(
            platform=NAME,
            name=name,
            url=web_address(tag.url),
            volume=_uses_today(tag.history),
            unit="uses today",
            observed_at=at,
        )
        for tag in read_each(answer, Tag, what=WHAT)
        if (name := clean(tag.name, max_chars=100))
    )


def _uses_today(history: Any) -> int | None:
    days = as_list(history)
    return count(as_dict(days[0]).get("uses")) if days else None


def _account(account: dict[str, Any], server: str) -> str | None:
    """Return user@host; a name without host is one of the asked server."""
    name = account.get("acct")
    if not isinstance(name, str) or not (name := clean(name, max_chars=200)):
        return None
    return name if "@" in name else f"{name}@{server}"


def _tags(told: Any) -> tuple[str, ...]:
    names = (as_dict(one).get("name") for one in as_list(told))
    return tuple(dict.fromkeys(clean(name, max_chars=80) for name in names if isinstance(name, str) and name.strip()))[
        :50
    ]


def _liked(candidate: Candidate) -> int:
    return (candidate.metrics.likes or 0) + (candidate.metrics.shares or 0)


class Mastodon:
    """Reads one server; of the newest posts, those that were liked and passed on most come first."""

    def __init__(self, means: Means) -> None:
        self._told = means.settings.option("mastodon_server")
        self._posts = Posts(means)
        host = (self._told or SERVER).strip().removeprefix("https://").rstrip("/")
        self._api = Api(
            means, name=NAME, base=f"https://{host}", what=WHAT, buckets=(REQUESTS,), rates=RATES, mend=KEYLESS
        )

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        server, tag = server_of(self._told), tag_of(query)

        async def read(before: str | None) -> Page:
            return await self._api.read_json(
                f"/api/v1/timelines/tag/{tag}",
                partial(parse_statuses, server=server),
                params={"only_media": "true", "limit": str(PAGE_SIZE)} | ({"max_id": before} if before else {}),
                fresh_s=FRESH_S,
            )

        found = await by_cursor(read, platform=NAME, limit=limit, most_pages=MOST_PAGES)
        return tuple(sorted(found, key=_liked, reverse=True))[:limit]

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:  # noqa: ARG002 - they are the server's
        """Return at most `limit` hashtags, in the server's order. Raises: Retry, RateLimited, Reject."""
        server_of(self._told)
        params = {"limit": str(min(limit, MOST_TAGS))}
        return (await self._api.read_json("/api/v1/trends/tags", parse_tags, params=params, fresh_s=FRESH_S))[:limit]

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Check the draft against the account's server, and choose the post's key. Errors: those of Publishes."""
        return await self._posts.open_session(account, draft, size_bytes=size_bytes)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Upload, wait for the video, make the status. Errors: those of Publishes."""
        return await self._posts.send(account, draft, checkpoint, file, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the account's own status with the uploaded video; None: no status has it. Raises: Unconfirmed."""
        return await self._posts.find(account, draft, checkpoint)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts of those posts that the server shows."""
        return await self._posts.measure(account, platform_post_ids)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands."""
        return await self._posts.look(account, platform_post_ids)


ADAPTER = Mastodon
