"""Reddit: discovery of posts that show a video or link to one, by words.

Docs: https://github.com/reddit-archive/reddit/wiki/OAuth2 and /API, https://www.reddit.com/dev/api (search),
read 2026-11-23.
Auth: a token for the application itself, at www.reddit.com with HTTP Basic; data at oauth.reddit.com. A connected
account (OAuth 2.0, scopes identity and read, duration=permanent) is asked with where there is one: it sees the
subreddits that it belongs to. A User-Agent of the form `platform:app-id:version (by /u/name)`, else 403.
Limits: 60 (as documented) to 100 (as reported) requests a minute, in windows of 10 minutes; x-ratelimit-remaining may
be fractional, x-ratelimit-reset is in seconds; 100 posts an answer. Commercial use needs an agreement with Reddit.
Units: `created_utc` Unix seconds, `duration` seconds; `ups` are what is taken as likes, and are fuzzed by Reddit.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final, TypeVar
from urllib.parse import quote

from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, read_each
from actors.platforms._app_token import AppToken, Granted, TokenRefused, parse_grant, refusal_of
from actors.platforms._posts import (
    Page,
    as_dict,
    as_list,
    by_cursor,
    from_unix,
    is_video_page,
    length_us,
    links_of,
    metrics_of,
    required,
    unlicensed,
    web_address,
    words_of,
)
from actors.platforms._text import clean, id_text
from actors.runtime.http import Http, raise_for_status
from actors.runtime.means import Means
from actors.runtime.oauth import Identity, OAuthClient
from actors.runtime.quota import Bucket
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.errors import AuthExpired, Reject
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need

__all__ = [
    "ADAPTER",
    "CAPS",
    "LIMITS",
    "NAME",
    "NEEDS",
    "OAUTH",
    "Reddit",
    "identify",
    "parse_listing",
    "parse_post",
    "subreddits_of",
]

NAME: Final = "reddit"
CAPS: Final = Caps(
    discover=True,
    sees="the week's posts with a video or a link to one, by words, in r/all or named subreddits; no views, no shares",
    costs="1 request for 100 posts, at most 3 a scan, of about 600 in 10 minutes",
    cannot="Commercial use needs an agreement with Reddit: an application made there alone does not allow it.",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(title_chars=300, page_size=PAGE_SIZE)
_APPS: Final = "Make an app of the type 'web app' at https://www.reddit.com/prefs/apps"
NEEDS: Final = (
    Need(setting="reddit_client_id", means=f"{_APPS}; the id stands below its name", secret=False),
    Need(setting="reddit_client_secret", means=f"{_APPS}; it is its secret"),
    Need(
        setting="reddit_subreddits",
        means="Subreddits to search, separated by commas; unset: r/all",
        secret=False,
        optional=True,
    ),
    Need(
        setting="reddit_handle",
        means="Your name on Reddit, which its rules want in the User-Agent",
        secret=False,
        optional=True,
    ),
)

BASE_URL: Final = "https://oauth.reddit.com"
TOKEN_URL: Final = "https://www.reddit.com"  # noqa: S105 - an address
REQUESTS: Final = Bucket(name="requests", limit=600, window_s=600)
RATES: Final = Rates(remaining="x-ratelimit-remaining", reset="x-ratelimit-reset", as_="seconds")
FRESH_S: Final = 300.0
MOST_PAGES: Final = 3
MOST_QUERY_CHARS: Final = 512
WHAT: Final = "Reddit"
_MEND: Final = "Check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET at https://www.reddit.com/prefs/apps"
_NOT_TOLD: Final = {
    "views": "Reddit does not tell views",
    "likes": "the post has no score in the answer",
    "shares": "Reddit does not tell shares",
}
_SUBREDDIT: Final = re.compile(r"[A-Za-z0-9_]{2,21}")


T = TypeVar("T")


class Post(Struct, frozen=True, kw_only=True):
    """A t3, as far as it is used. What a post need not have may be of any type."""

    id: str
    title: str
    permalink: str
    url: Any = None
    author: Any = None
    author_fullname: Any = None
    subreddit: Any = None
    selftext: Any = None
    link_flair_text: Any = None
    created_utc: Any = None
    score: Any = None
    ups: Any = None
    hide_score: Any = None
    num_comments: Any = None
    is_video: Any = None
    media: Any = None
    secure_media: Any = None
    preview: Any = None
    thumbnail: Any = None


class Thing(Struct, frozen=True, kw_only=True):
    """One child of a listing."""

    data: Post


def subreddits_of(told: str | None) -> tuple[str, ...]:
    """Read the setting. Raises: Reject, naming what is no name of a subreddit."""
    names = [re.sub(r"^/?r/", "", name).strip("/") for name in re.split(r"[\s,]+", told or "") if name]
    for name in names:
        if not _SUBREDDIT.fullmatch(name):
            mend = "REDDIT_SUBREDDITS holds names as in reddit.com/r/NAME, separated by commas"
            raise Reject(f"'{name[:40]}' is no name of a subreddit", mend=mend)
    return tuple(dict.fromkeys(names)) or ("all",)


def parse_listing(answer: Any, at: datetime) -> Page:
    """Read a listing: its posts with video, and the mark of the next page. Raises: Retry if it has another shape."""
    children = dig(answer, "data", "children", what=WHAT)
    after = dig(answer, "data", what=WHAT).get("after")
    found = (parse_post(thing.data, at=at) for thing in read_each(children, Thing, what=WHAT))
    return tuple(one for one in found if one is not None), after if isinstance(after, str) and after else None


def parse_post(post: Post, *, at: datetime) -> Candidate | None:
    """Return the post as a candidate; None: it neither shows a video nor links to a known page of one."""
    media = as_dict(post.secure_media) or as_dict(post.media)
    own, embedded = as_dict(media.get("reddit_video")), as_dict(media.get("oembed"))
    there = web_address(post.url)
    shared = there is not None and (is_video_page(there) or embedded.get("type") == "video")
    if not (post.is_video is True or own or shared) or not re.fullmatch(r"[a-z0-9]{1,16}", post.id):
        return None
    title = clean(post.title, max_chars=300)
    known = isinstance(post.author, str) and post.author != "[deleted]"
    author = clean(post.author, max_chars=100) if known else None
    page = f"https://www.reddit.com/comments/{post.id}"
    if re.fullmatch(r"/r/[\w/]+", post.permalink):
        page = f"https://www.reddit.com{post.permalink}"
    ups = count(post.ups)
    hidden = post.hide_score is True
    return Candidate(
        item_id=item_id(NAME, post.id),
        platform=NAME,
        platform_id=post.id,
        url=page,
        title=title,
        description=clean(post.selftext, max_chars=5000) if isinstance(post.selftext, str) else "",
        creator=author,
        creator_id=id_text(post.author_fullname),
        tags=_tags(post),
        published_at=from_unix(post.created_utc),
        duration_us=length_us(own.get("duration")),
        width_px=count(own.get("width")),
        height_px=count(own.get("height")),
        thumbnail_url=_still(post),
        links=links_of((there,)) if there is None or post.id not in there else (),
        metrics=metrics_of(
            _NOT_TOLD | ({"likes": "the subreddit hides the scores of young posts"} if hidden else {}),
            likes=None if hidden else (count(post.score) if ups is None else ups),
            comments=count(post.num_comments),
        ),
        observed_at=at,
        rights=unlicensed("Reddit", title=title, author=author, page=page, at=at),
    )


def _tags(post: Post) -> tuple[str, ...]:
    told = (post.subreddit, post.link_flair_text)
    return tuple(tag for one in told if isinstance(one, str) and (tag := clean(one, max_chars=80)))


def _still(post: Post) -> str | None:
    images = as_list(as_dict(post.preview).get("images"))
    first = as_dict(images[0]) if images else {}
    return web_address(as_dict(first.get("source")).get("url")) or web_address(post.thumbnail)


def user_agent(settings: Settings) -> str:
    """Return the name that Reddit's rules ask for: platform, application, version, whose it is."""
    handle = re.sub(r"^/?u/", "", settings.option("reddit_handle") or "")
    by = f"by /u/{handle}" if re.fullmatch(r"[\w-]{2,20}", handle) else settings.contact or "self-hosted"
    return f"python:ettametta:{version('ettametta')} ({by})"


OAUTH: Final = OAuthClient(
    name=NAME,
    title="Reddit",
    authorize_api=(NAME, TOKEN_URL),
    authorize_path="/api/v1/authorize",
    token_api=(NAME, TOKEN_URL),
    token_path="/api/v1/access_token",  # noqa: S106 - a path
    revoke_path="/api/v1/revoke_token",
    client_id_setting="reddit_client_id",
    client_secret_setting="reddit_client_secret",  # noqa: S106 - the name of a setting
    scopes=("identity", "read"),
    authorize_params={"duration": "permanent"},
    authentication="basic",
    pkce="none",
    gone=("invalid_grant", "400"),
    user_agent=user_agent,
)


async def identify(http: Http, settings: Settings, access_token: str, *, now: datetime) -> Identity:
    """Return whose account the token opens. Raises: Reject, RateLimited, Retry."""
    headers = {"User-Agent": user_agent(settings), "Authorization": f"bearer {access_token}"}
    url = f"{settings.api_url(NAME, BASE_URL)}/api/v1/me"
    answer = await http.request("GET", url, params={"raw_json": "1"}, headers=headers)
    raise_for_status(answer, what=WHAT, now=now)
    told = as_dict(answer.json())
    key, name = id_text(told.get("id")), told.get("name")
    if key is None or not isinstance(name, str):
        raise Reject("Reddit told neither id nor name of the account")
    return Identity(
        account_id=f"{NAME}:{key}",
        title=f"u/{clean(name, max_chars=40)}",
        url=f"https://www.reddit.com/user/{quote(name)}",
        picture_url=web_address(told.get("icon_img")),
    )


class Reddit:
    """Finds posts by words; what the week liked most comes first."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._clock = means.clock
        self._headers = {"User-Agent": user_agent(means.settings)}
        fault = refusal_of(WHAT, mend=_MEND)
        self._api = Api(
            means, name=NAME, base=BASE_URL, what="the Reddit search", buckets=(REQUESTS,), rates=RATES, fault=fault
        )
        self._door = Api(means, name=NAME, base=TOKEN_URL, what="Reddit's sign-in of applications", fault=fault)
        client = means.settings.option("reddit_client_id") or ""
        self._token = AppToken(means, of=(NAME, client), ask=self._grant)
        self._tokens: Tokens | None = means.tokens

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        words = " ".join(words_of(query))[:MOST_QUERY_CHARS]
        for need in NEEDS[:2]:
            required(self._settings, need)
        path = f"/r/{'+'.join(subreddits_of(self._settings.option('reddit_subreddits')))}/search"
        read = partial(self._page, path, words)
        return (await by_cursor(read, platform=NAME, limit=limit, most_pages=MOST_PAGES))[:limit]

    async def _page(self, path: str, words: str, after: str | None) -> Page:
        params = {
            "q": words,
            "restrict_sr": "1",
            "type": "link",
            "sort": "top",
            "t": "week",
            "limit": str(PAGE_SIZE),
            "raw_json": "1",
        }

        async def ask(token: str) -> Page:
            headers = {**self._headers, "Authorization": f"bearer {token}"}
            page = params | ({"after": after} if after else {})
            return await self._api.read_json(path, parse_listing, params=page, headers=headers, fresh_s=FRESH_S)

        return await self._asked(ask)

    async def _asked(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """Ask in the name of a connected account; without one that is good, in the application's own."""
        tokens = self._tokens
        for account in await tokens.accounts(NAME) if tokens is not None else ():
            assert tokens is not None
            try:
                token = await tokens.access_token(account.account_id, OAUTH)
            except AuthExpired:
                continue
            try:
                return await ask(token)
            except TokenRefused:
                await tokens.refused(account.account_id, token)
        return await self._token.using(ask)

    async def _grant(self) -> Granted:
        pair = ":".join(required(self._settings, need) for need in NEEDS[:2])
        headers = {**self._headers, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        answer = await self._door.post(
            "/api/v1/access_token", headers=headers, data={"grant_type": "client_credentials"}, buckets=(REQUESTS,)
        )
        return parse_grant(answer, what="Reddit's sign-in of applications", now=self._clock.now(), mend=_MEND)


ADAPTER = Reddit
