"""Bluesky: discovery of posts that show a video or link to one, by words; its trends; posting and measuring.

Docs: https://docs.bsky.app, lexicons app.bsky.feed.searchPosts, app.bsky.unspecced.getTrends and
com.atproto.server.createSession, read 2026-11-23; for posting see _bluesky_posts. What is "unspecced" may change.
Auth: none at the public host, which at times refuses searches with 403; then a handle and an app password, with which
the searches go through bsky.social. Sessions may be opened 300 times a day. Accounts sign in with an app password.
Limits: 3,000 requests in 5 minutes from one address; 100 posts, 25 trends an answer. A post has 300 graphemes and a
video of at most 300,000,000 bytes; an account may upload so many a day as getUploadLimits says.
Units: times ISO 8601. `createdAt` is what the author's program says, so it counts only if it lies before `indexedAt`.
`aspectRatio` is a ratio, no size in pixels. Shares are reposts and quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, read_each
from actors.platforms._app_token import UNTOLD, AppToken, Granted, TokenRefused
from actors.platforms._bluesky.posts import Posts
from actors.platforms._bluesky.session import SIGN_IN
from actors.platforms._posts import (
    Page,
    as_dict,
    as_list,
    by_cursor,
    is_video_page,
    language_tag,
    links_of,
    metrics_of,
    required,
    unlicensed,
    web_address,
    words_of,
)
from actors.platforms._text import clean, parse_moment
from actors.runtime.http import Response
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

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "SIGN_IN", "Bluesky", "parse_posts", "parse_trends"]

NAME: Final = "bluesky"
CAPS: Final = Caps(
    discover=True,
    trends=True,
    publish=True,
    measure=True,
    looks=True,
    captions=True,
    keyless=True,
    sees="the week's posts with a video or a link to one, by words, and trends; no views, no lengths",
    costs="1 request for 100 posts, at most 3 a scan, of 3,000 in 5 minutes",
    cannot="The public host at times refuses searches; with a handle and an app password they go through an account.",
    posting="an app password; public posts only; links and hashtags are made live, captions go with the video",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(
    caption=300,
    unit="graphemes",
    max_bytes=300_000_000,
    containers=("mp4",),
    page_size=PAGE_SIZE,
)
NEEDS: Final = (
    Need(
        setting="bluesky_handle",
        means="Handle of an account, such as name.bsky.social, for searches that need a login",
        secret=False,
        optional=True,
    ),
    Need(
        setting="bluesky_app_password",
        means="App password of that account, from https://bsky.app/settings/app-passwords",
        optional=True,
    ),
)

PUBLIC_URL: Final = "https://public.api.bsky.app"
SESSION_URL: Final = "https://bsky.social"
REQUESTS: Final = Bucket(name="requests", limit=2_500, window_s=300)
SESSIONS: Final = Bucket(name="sessions", limit=250)
RATES: Final = Rates(remaining="ratelimit-remaining", reset="ratelimit-reset", as_="unix")
FRESH_S: Final = 300.0
MOST_PAGES: Final = 3
MOST_TRENDS: Final = 25
LOOKS_BACK: Final = timedelta(days=7)
WHAT: Final = "Bluesky"
_LOGIN: Final = "Set BLUESKY_HANDLE and BLUESKY_APP_PASSWORD: the public host wants a login for this"
_CHECK: Final = "Check BLUESKY_HANDLE and BLUESKY_APP_PASSWORD at https://bsky.app/settings/app-passwords"
_NOT_TOLD: Final = {
    "views": "Bluesky does not count views",
    "likes": "the post has no such count in the answer",
    "comments": "the post has no such count in the answer",
    "shares": "the post has no such count in the answer",
}
_URI: Final = re.compile(
    r"at://(?P<did>did:[a-z]+:[A-Za-z0-9._:%-]+)/app\.bsky\.feed\.post/(?P<key>[A-Za-z0-9._~:-]{1,512})"
)


T = TypeVar("T")


class Post(Struct, frozen=True, kw_only=True, rename="camel"):
    """A postView, as far as it is used. What a post need not have may be of any type."""

    uri: str
    author: dict[str, Any]
    record: dict[str, Any]
    embed: Any = None
    reply_count: Any = None
    repost_count: Any = None
    like_count: Any = None
    quote_count: Any = None
    indexed_at: Any = None


class Trend(Struct, frozen=True, kw_only=True, rename="camel"):
    """A trend, as far as it is used."""

    display_name: str
    topic: Any = None
    link: Any = None
    started_at: Any = None
    post_count: Any = None
    category: Any = None


def parse_posts(answer: Any, at: datetime) -> Page:
    """Read a searchPosts answer: its posts with video, and the cursor. Raises: Retry if it has another shape."""
    posts = read_each(dig(answer, "posts", what=WHAT), Post, what=WHAT)
    cursor = answer.get("cursor")
    found = (parse_post(post, at=at) for post in posts)
    return tuple(one for one in found if one is not None), cursor if isinstance(cursor, str) and cursor else None


def parse_post(post: Post, *, at: datetime) -> Candidate | None:
    """Return the post as a candidate; None: it neither shows a video nor links to a known page of one."""
    named = _URI.fullmatch(post.uri)
    embed = as_dict(post.embed)
    media = as_dict(embed.get("media")) or embed
    own = media.get("$type") == "app.bsky.embed.video#view"
    card = as_dict(media.get("external"))
    links = links_of((card.get("uri"), *(one.get("uri") for one in _features(post.record, "link"))))
    if named is None or not (own or any(map(is_video_page, links))):
        return None
    handle = post.author.get("handle")
    known = isinstance(handle, str) and re.fullmatch(r"[A-Za-z0-9.-]{3,253}", handle) and handle != "handle.invalid"
    author = handle if known else None
    text = post.record.get("text")
    words = next(
        (one for one in (text, media.get("alt"), card.get("title")) if isinstance(one, str) and one.strip()), ""
    )
    title = clean(words, max_chars=300) or f"Post by {author or named['did']}"
    page = f"https://bsky.app/profile/{author or named['did']}/post/{named['key']}"
    moments = [moment for told in (post.record.get("createdAt"), post.indexed_at) if (moment := parse_moment(told))]
    reposts, quotes = count(post.repost_count), count(post.quote_count)
    platform_id = f"{named['did']}:{named['key']}"
    return Candidate(
        item_id=item_id(NAME, platform_id),
        platform=NAME,
        platform_id=platform_id,
        url=page,
        title=title,
        description=clean(text, max_chars=5000) if isinstance(text, str) else "",
        creator=author,
        creator_id=named["did"],
        tags=_tags(post.record),
        published_at=min(moments, default=None),
        thumbnail_url=web_address(media.get("thumbnail")) or web_address(card.get("thumb")),
        language=next((tag for told in as_list(post.record.get("langs")) if (tag := language_tag(told))), None),
        links=links,
        metrics=metrics_of(
            _NOT_TOLD,
            likes=count(post.like_count),
            comments=count(post.reply_count),
            shares=None if reposts is None else reposts + (quotes or 0),
        ),
        observed_at=at,
        rights=unlicensed("Bluesky", title=title, author=author, page=page, at=at),
    )


def parse_trends(answer: Any, at: datetime) -> tuple[Topic, ...]:
    """Read a getTrends answer. Raises: Retry if it has another shape."""
    trends = read_each(dig(answer, "trends", what=WHAT), Trend, what=WHAT)
    return tuple(
        Topic(
            platform=NAME,
            name=name,
            url=web_address(f"https://bsky.app{trend.link}") if str(trend.link).startswith("/") else None,
            volume=count(trend.post_count),
            unit="posts",
            related=(clean(trend.category, max_chars=80),) if isinstance(trend.category, str) else (),
            started_at=parse_moment(trend.started_at),
            observed_at=at,
        )
        for trend in trends
        if (name := clean(trend.display_name, max_chars=200))
    )


def _features(record: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for facet in as_list(record.get("facets")):
        for feature in map(as_dict, as_list(as_dict(facet).get("features"))):
            if feature.get("$type") == f"app.bsky.richtext.facet#{kind}":
                yield feature


def _tags(record: dict[str, Any]) -> tuple[str, ...]:
    told = (*(one.get("tag") for one in _features(record, "tag")), *as_list(record.get("tags")))
    tags = (clean(tag, max_chars=80) for tag in told if isinstance(tag, str))
    return tuple(dict.fromkeys(tag for tag in tags if tag))[:50]


def _error(answer: Response) -> str:
    try:
        return str(as_dict(msgspec.json.decode(answer.body)).get("error", ""))
    except msgspec.DecodeError:
        return ""


class Bluesky:
    """Finds posts by words, what Bluesky ranks as top first; with a session where an account is set. Posts videos."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._clock = means.clock
        handle = means.settings.option("bluesky_handle") or ""
        self._session = bool(handle or means.settings.option("bluesky_app_password"))
        base = SESSION_URL if self._session else PUBLIC_URL
        self._api = Api(means, name=NAME, base=base, what=WHAT, buckets=(REQUESTS,), rates=RATES, fault=self._refused)
        self._door = Api(
            means, name=NAME, base=SESSION_URL, what="Bluesky's sign-in", buckets=(SESSIONS,), fault=self._shut
        )
        self._token = AppToken(means, of=(NAME, handle), ask=self._grant)
        self._posts = Posts(means)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        since = (self._clock.now() - LOOKS_BACK).strftime("%Y-%m-%dT00:00:00Z")
        params = {"q": " ".join(words_of(query)), "sort": "top", "since": since, "limit": str(PAGE_SIZE)}

        async def read(cursor: str | None) -> Page:
            asked = params | ({"cursor": cursor} if cursor else {})
            return await self._ask("app.bsky.feed.searchPosts", asked, parse_posts)

        return (await by_cursor(read, platform=NAME, limit=limit, most_pages=MOST_PAGES))[:limit]

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:  # noqa: ARG002 - they are the world's
        """Return at most `limit` topics, in Bluesky's order. Raises: Retry, RateLimited, Reject."""
        params = {"limit": str(min(limit, MOST_TRENDS))}
        return (await self._ask("app.bsky.unspecced.getTrends", params, parse_trends))[:limit]

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Ask whether the account may upload, and choose the post's key. Errors: those of Publishes."""
        return await self._posts.open_session(account, draft, size_bytes=size_bytes)

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Upload, wait for the video, make the record. Errors: those of Publishes."""
        return await self._posts.send(account, draft, checkpoint, file, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the record under the chosen key; None: there is none."""
        return await self._posts.find(account, draft, checkpoint)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts of those posts that Bluesky shows."""
        return await self._posts.measure(account, platform_post_ids)

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands."""
        return await self._posts.look(account, platform_post_ids)

    async def _ask(self, nsid: str, params: dict[str, str], parse: Callable[[Any, datetime], T]) -> T:
        async def ask(token: str) -> T:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return await self._api.read_json(f"/xrpc/{nsid}", parse, params=params, headers=headers, fresh_s=FRESH_S)

        return await (self._token.using(ask) if self._session else ask(""))

    async def _grant(self) -> Granted:
        handle, password = (required(self._settings, need) for need in NEEDS)
        login = {"identifier": handle.removeprefix("@"), "password": password}
        answer = await self._door.post("/xrpc/com.atproto.server.createSession", json=login)
        token = dig(answer, "accessJwt", what="Bluesky's sign-in")
        return Granted(value=str(token), until=self._clock.now() + UNTOLD)

    def _refused(self, answer: Response, _: datetime) -> Exception | None:
        words = f"{WHAT} answered {answer.status}"
        if answer.status == 401 or (answer.status == 400 and _error(answer) in {"ExpiredToken", "InvalidToken"}):
            return TokenRefused(f"{words}: it does not take the session", mend=_CHECK if self._session else _LOGIN)
        if answer.status == 403:
            return Reject(f"{words}: it refuses this", mend=_CHECK if self._session else _LOGIN)
        return None

    def _shut(self, answer: Response, _: datetime) -> Exception | None:
        if answer.status not in {400, 401, 403}:
            return None
        return Reject(f"Bluesky's sign-in answered {answer.status} {_error(answer)[:60]}".rstrip(), mend=_CHECK)


ADAPTER = Bluesky
