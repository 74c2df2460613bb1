"""X's recent search: posts with a video of the past seven days, by words. Each post read costs money.

Docs: https://docs.x.com/x-api/posts/recent-search, /x-api/fundamentals/response-codes-and-errors, /data-dictionary and
the OpenAPI description 2.167, read 2026-11-23.
Auth: a bearer token of an application. Limits: 450 searches in 15 minutes; 3,000,000 posts read a month; 512
characters of query; 100 posts an answer. Prices: USD 0.005 for a post read, USD 0.010 for a user, which is why
authors are not expanded. With the credits or the spending limit used up, requests are refused as `usage-capped`.
Units: `duration_ms` milliseconds; times RFC 3339. Views are those of the video, not impressions of the post; shares
are reposts and quotes. Older answers write `retweet_count`, `tweet.fields` and `tweets`
where newer ones write `repost_count`, `post.fields` and `posts`; both are read. Answers with status 200 may hold
`errors` beside `data`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, leaving_out, read_each
from actors.platforms._posts import (
    as_dict,
    as_list,
    language_tag,
    length_us,
    links_of,
    metrics_of,
    required,
    unlicensed,
    web_address,
    words_of,
)
from actors.platforms._text import clean, id_text, parse_moment
from actors.runtime.http import Response
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Need

__all__ = ["BASE_URL", "BEARER", "NAME", "Search", "capped", "is_capped", "parse_answer", "query_for"]

NAME: Final = "x"
LEAST_PAGE: Final = 10
PAGE_SIZE: Final = 100
BEARER: Final = Need(
    setting="x_bearer_token",
    means="Bearer token of an app with paid credits, from https://console.x.com; each post read costs money",
)

BASE_URL: Final = "https://api.x.com"
SEARCH: Final = "/2/tweets/search/recent"
SEARCHES: Final = Bucket(name="searches", limit=450, window_s=900)
RATES: Final = Rates(remaining="x-rate-limit-remaining", reset="x-rate-limit-reset", as_="unix")
FRESH_S: Final = 900.0
"""Long, as the same post read on another day is paid for again."""
MOST_QUERY_CHARS: Final = 512
WHAT: Final = "the X search"
_FILTERS: Final = " has:videos -is:retweet"
_POST_FIELDS: Final = "created_at,public_metrics,lang,author_id,attachments,entities"
_MEDIA_FIELDS: Final = "media_key,type,duration_ms,height,width,preview_image_url,public_metrics"
_REPOSTS: Final = {"retweeted", "reposted"}
_NOT_TOLD: Final = {
    "views": "the answer has no view count of the video",
    "likes": "the answer has no public metrics of the post",
    "comments": "the answer has no public metrics of the post",
    "shares": "the answer has no public metrics of the post",
}


Page = tuple[tuple[Candidate, ...], str | None]


class Post(Struct, frozen=True, kw_only=True):
    """A post, as far as it is used. What a post need not have may be of any type."""

    id: str
    text: str
    author_id: Any = None
    created_at: Any = None
    lang: Any = None
    public_metrics: Any = None
    attachments: Any = None
    entities: Any = None
    referenced_tweets: Any = None
    referenced_posts: Any = None


class OtherNames(Reject):
    """The platform does not know `post.fields`: it speaks in the older names."""


def query_for(niche: str) -> str:
    """Return the query: the words of `niche` as words and never as operators, posts with a video, no reposts."""
    words = [bare for word in words_of(niche) if (bare := clean(word.replace('"', ""), max_chars=100))]
    if not words:
        raise Reject("there are no words to search for", mend="name a niche")
    query = ""
    for word in words:
        longer = f'{query} "{word}"'.strip()
        if len(longer) + len(_FILTERS) > MOST_QUERY_CHARS:
            break
        query = longer
    return f"{query}{_FILTERS}"


def parse_answer(answer: Any, at: datetime) -> Page:
    """Read a search answer: its posts, and the mark of the next page. Raises: Retry if it has another shape."""
    told, meta = as_dict(answer), as_dict(as_dict(answer).get("meta"))
    if errors := [as_dict(one) for one in as_list(told.get("errors"))]:
        get_logger().warning("discovery.partial_answer", platform=NAME, count=len(errors), because=_words(errors[0]))
    posts = [] if count(meta.get("result_count")) == 0 else dig(answer, "data", what=WHAT)
    includes = as_dict(told.get("includes"))
    media = _by(includes.get("media"), "media_key")
    names = {key: user.get("username") for key, user in _by(includes.get("users"), "id").items()}
    found = (parse_post(post, media=media, names=names, at=at) for post in read_each(posts, Post, what=WHAT))
    following = meta.get("next_token")
    return tuple(one for one in found if one is not None), following if isinstance(following, str) else None


def _by(told: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a list by their field `name`, which is a text."""
    return {key: one for one in map(as_dict, as_list(told)) if isinstance(key := one.get(name), str)}


def parse_post(
    post: Post, *, media: dict[str, dict[str, Any]], names: dict[str, Any], at: datetime
) -> Candidate | None:
    """Return the post as a candidate; None: it repeats another one, or its media are known and none is a video."""
    kinds = {as_dict(one).get("type") for one in (*as_list(post.referenced_posts), *as_list(post.referenced_tweets))}
    keys = as_list(as_dict(post.attachments).get("media_keys"))
    attached = [media[key] for key in keys if isinstance(key, str) and key in media]
    video = next((one for one in attached if one.get("type") == "video"), None)
    if kinds & _REPOSTS or (attached and video is None) or not post.id.isdigit():
        return None
    video = video or {}
    creator_id = id_text(post.author_id)
    name = names.get(creator_id or "")
    author = name if isinstance(name, str) and re.fullmatch(r"\w{1,50}", name) else None
    page = f"https://x.com/{author or 'i'}/status/{post.id}"
    title = clean(post.text, max_chars=300)
    metrics = as_dict(post.public_metrics)
    reposts = count(metrics.get("repost_count", metrics.get("retweet_count")))
    quotes = count(metrics.get("quote_count"))
    return Candidate(
        item_id=item_id(NAME, post.id),
        platform=NAME,
        platform_id=post.id,
        url=page,
        title=title,
        description=clean(post.text, max_chars=5000),
        creator=author,
        creator_id=creator_id,
        tags=_tags(post.entities),
        published_at=parse_moment(post.created_at),
        duration_us=_length(video.get("duration_ms")),
        width_px=count(video.get("width")),
        height_px=count(video.get("height")),
        thumbnail_url=web_address(video.get("preview_image_url")),
        language=language_tag(post.lang),
        links=_links(post.entities),
        metrics=metrics_of(
            _NOT_TOLD,
            views=count(as_dict(video.get("public_metrics")).get("view_count")),
            likes=count(metrics.get("like_count")),
            comments=count(metrics.get("reply_count")),
            shares=None if reposts is None else reposts + (quotes or 0),
        ),
        observed_at=at,
        rights=unlicensed("X", title=title, author=author, page=page, at=at),
    )


def _length(told: object) -> int | None:
    milliseconds = count(told)
    return None if milliseconds is None else length_us(milliseconds / 1000)


def _tags(entities: Any) -> tuple[str, ...]:
    told = (as_dict(one).get("tag") for one in as_list(as_dict(entities).get("hashtags")))
    return tuple(dict.fromkeys(clean(tag, max_chars=80) for tag in told if isinstance(tag, str) and tag.strip()))[:50]


def _links(entities: Any) -> tuple[str, ...]:
    """Return the pages that the post points at; its own pictures and videos are none."""
    urls: Iterable[dict[str, Any]] = map(as_dict, as_list(as_dict(entities).get("urls")))
    own = "pic.twitter.com/", "pic.x.com/"
    return links_of(
        one.get("unwound_url") or one.get("expanded_url")
        for one in urls
        if not one.get("media_key") and not str(one.get("display_url", "")).startswith(own)
    )


def _words(error: dict[str, Any]) -> str:
    return clean(str(error.get("detail") or error.get("title") or error.get("message") or "no reason"), max_chars=200)


def is_capped(error: dict[str, Any]) -> bool:
    return str(error.get("type", "")).rstrip("/").endswith("/usage-capped")


def capped(now: datetime) -> RateLimited:
    """Return that the money is used up; spending limits are looked at anew each day."""
    tomorrow = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    words = "X refuses requests: the credits or the spending limit are used up. Raise them at https://console.x.com"
    return RateLimited(words, until=tomorrow)


def fault(answer: Response, now: datetime) -> Exception | None:
    """Read X's own errors, which also come with status 200; those that it shares with others are left to the status."""
    try:
        told = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        return None
    errors = [as_dict(one) for one in as_list(told.get("errors"))]
    if any(map(is_capped, (told, *errors))):
        return capped(now)
    if answer.status == 200 and errors and not told.get("data"):
        return Retry(f"{WHAT} gave no posts: {_words(errors[0])}")
    if answer.status == 400:
        if any("post.fields" in as_dict(one.get("parameters")) for one in errors):
            return OtherNames(f"{WHAT} does not know 'post.fields'")
        return Reject(f"{WHAT} answered 400: {_words(told)}", mend="Name the niche in plain words")
    if answer.status in {401, 403}:
        mend = "Check X_BEARER_TOKEN and what its app may do, at https://console.x.com"
        return Reject(f"{WHAT} answered {answer.status}: {_words(told)}", mend=mend)
    return None


class Search:
    """Finds posts with a video by words; what X holds for most relevant comes first."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(SEARCHES,), rates=RATES, fault=fault)
        self._fields = "post.fields"

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates; reads no more posts than it needs. Raises: Retry, RateLimited, Reject."""
        token = required(self._settings, BEARER)
        asked = query_for(query)
        found: dict[str, Candidate] = {}
        following: str | None = None
        with leaving_out(found, platform=NAME):
            for _ in range(-(-limit // PAGE_SIZE)):
                size = min(PAGE_SIZE, max(LEAST_PAGE, limit - len(found)))
                posts, following = await self._page(token, asked, size=size, following=following)
                found |= {post.item_id: post for post in posts}
                if following is None or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]

    async def _page(self, token: str, query: str, *, size: int, following: str | None) -> Page:
        params = {
            "query": query,
            "max_results": str(size),
            "sort_order": "relevancy",
            "expansions": "attachments.media_keys",
            "media.fields": _MEDIA_FIELDS,
        } | ({"next_token": following} if following else {})
        headers = {"Authorization": f"Bearer {token}"}

        async def ask() -> Page:
            named = {**params, self._fields: _POST_FIELDS}
            return await self._api.read_json(SEARCH, parse_answer, params=named, headers=headers, fresh_s=FRESH_S)

        try:
            return await ask()
        except OtherNames:
            if self._fields == "tweet.fields":
                raise
            self._fields = "tweet.fields"
        return await ask()
