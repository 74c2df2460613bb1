"""A post of one's own on X: its body, how it is known again, what X counts of it and how it stands.

Docs: https://docs.x.com/x-api/posts/creation-of-a-post, /x-api/posts/user-posts-timeline-by-user-id, /metrics and
/x-api/fundamentals/response-codes-and-errors, OpenAPI 2.167, read 2026-11-23. X writes `&`, `<` and `>` of a text as
HTML entities, puts a t.co address where a link was, and adds one for the post's own video. Counts that are told to the
author alone (`non_public_metrics`) exist for 30 days.
"""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from actors.platforms._api import absent, count
from actors.platforms._posts import as_dict, as_list, from_unix
from actors.platforms._text import clean
from actors.platforms._x.search import OtherNames, capped, is_capped
from actors.runtime.http import Response
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft, PostMetrics, RemotePost, Standing

__all__ = [
    "MEDIA_METRICS",
    "POST_METRICS",
    "Duplicate",
    "body_of",
    "fault",
    "is_it",
    "parse_metrics",
    "parse_post",
    "parse_standing",
    "words_of",
]

POST_METRICS: Final = "public_metrics,non_public_metrics,attachments"
MEDIA_METRICS: Final = "media_key,type,public_metrics,non_public_metrics"
BUSY: Final = timedelta(minutes=15)
"""How long to wait after a 429 that names no moment: the length of X's windows."""
LONGEST: Final = timedelta(days=1)
_FIELDS: Final = (
    "views", "likes", "comments", "shares", "saves", "reach", "impressions", "clicks", "followers",
    "watched_us", "average_watched_us", "retention",
)  # fmt: skip
_PRIVATE: Final = "X tells it to the author alone, for 30 days, and this answer had none"
_WHY: Final = {
    "views": "the answer has no view count of the video",
    "reach": "X does not count different people",
    "clicks": _PRIVATE,
    "followers": "X does not tell what followers a post brought",
    "watched_us": "X does not tell how long a video was watched",
    "average_watched_us": "X does not tell how long a video was watched",
    "retention": _PRIVATE,
}
_QUARTERS: Final = (0, 25, 50, 75, 100)
_OWN_MEDIA: Final = ("pic.twitter.com/", "pic.x.com/")


class Duplicate(Reject):
    """X has a post of this account with the same text."""


def words_of(draft: Draft) -> str:
    """Return the text of the post."""
    return draft.caption or draft.title


def body_of(draft: Draft, media_id: str) -> dict[str, Any]:
    """Return the body of POST /2/tweets."""
    body: dict[str, Any] = {"text": words_of(draft), "media": {"media_ids": [media_id]}}
    if draft.synthetic:
        body["made_with_ai"] = True
    if draft.paid:
        body["paid_partnership"] = True
    if who := draft.options.get("reply_settings"):
        body["reply_settings"] = who
    return body


def is_it(post: Any, *, words: str, media_key: str, since: datetime | None) -> bool:
    """Say whether `post` is the one that was sent: it has the video, or the same words and is no older than `since`."""
    told = as_dict(post)
    if media_key and media_key in as_list(as_dict(told.get("attachments")).get("media_keys")):
        return True
    made = _moment(told.get("created_at"))
    if since is not None and (made is None or made < since):
        return False
    return _plain(_written(told)) == _plain(words)


def parse_post(post: Any) -> RemotePost:
    """Read a post that was made or found. Raises: Retry if it has no id."""
    told = as_dict(post)
    name = told.get("id")
    if not isinstance(name, str) or not name:
        raise Retry("X answered without a post id")
    page = f"https://x.com/i/status/{name}"
    return RemotePost(platform_post_id=name, url=page, published_at=_moment(told.get("created_at")))


def _moment(told: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _written(post: dict[str, Any]) -> str:
    """Return the text as its author wrote it: links in full, without the one of its own video."""
    text = post.get("text")
    text = text if isinstance(text, str) else ""
    for link in map(as_dict, as_list(as_dict(post.get("entities")).get("urls"))):
        short, full = link.get("url"), link.get("expanded_url")
        if isinstance(short, str) and short:
            own = link.get("media_key") or str(link.get("display_url", "")).startswith(_OWN_MEDIA)
            text = text.replace(short, "" if own or not isinstance(full, str) else full)
    return html.unescape(text)


def _plain(text: str) -> str:
    """Return what is left of a text where X may write it differently: composed, one kind of space, bare links."""
    text = unicodedata.normalize("NFC", text).casefold()
    return " ".join(word.rstrip("/") for word in re.sub(r"https?://", "", text).split())


def parse_metrics(post: Any, media: dict[str, dict[str, Any]]) -> PostMetrics:
    """Read a post's counts; media: those of the answer, by media_key."""
    told = as_dict(post)
    public, private = as_dict(told.get("public_metrics")), as_dict(told.get("non_public_metrics"))
    keys = as_list(as_dict(told.get("attachments")).get("media_keys"))
    video = next((media[key] for key in keys if isinstance(key, str) and key in media), {})
    reposts = count(public.get("repost_count", public.get("retweet_count")))
    found: dict[str, Any] = {
        "views": count(as_dict(video.get("public_metrics")).get("view_count")),
        "likes": count(public.get("like_count")),
        "comments": count(public.get("reply_count")),
        "shares": None if reposts is None else reposts + (count(public.get("quote_count")) or 0),
        "saves": count(public.get("bookmark_count")),
        "impressions": count(private.get("impression_count", public.get("impression_count"))),
        "clicks": count(private.get("url_link_clicks")),
        "retention": _retention(as_dict(video.get("non_public_metrics"))),
    }
    because = dict.fromkeys(_FIELDS, "the answer has no public metrics of the post") | _WHY
    return PostMetrics(**found, absent=absent({name: found.get(name) for name in _FIELDS}, because))


def _retention(told: dict[str, Any]) -> tuple[tuple[float, float], ...] | None:
    """Return the part of those who began that reached each quarter; None: it is not told, or nobody began."""
    reached = [count(told.get(f"playback_{quarter}_count")) for quarter in _QUARTERS]
    began = reached[0]
    if not began or None in reached:
        return None
    return tuple((quarter / 100, (part or 0) / began) for quarter, part in zip(_QUARTERS, reached, strict=True))


def parse_standing(asked: tuple[str, ...], answer: dict[str, Any]) -> dict[str, Standing]:
    """Read an answer about posts by id: what is withheld is blocked, what X does not find is removed."""
    standing = dict.fromkeys(asked, Standing(state="unknown", because="X told nothing of it"))
    for error in map(as_dict, as_list(answer.get("errors"))):
        name = error.get("resource_id") or error.get("value")
        if name in standing and "resource-not-found" in str(error.get("type", "")):
            standing[name] = Standing(state="removed", because=_words(error))
        elif name in standing and "not-authorized" in str(error.get("type", "")) and not error.get("field"):
            standing[name] = Standing(state="private", because=_words(error))
    for post in map(as_dict, as_list(answer.get("data"))):
        if (name := post.get("id")) in standing:
            withheld = as_dict(post.get("withheld"))
            countries = ", ".join(code for code in as_list(withheld.get("country_codes")) if isinstance(code, str))
            words = f"X withholds it in {countries or 'some countries'}"
            standing[name] = Standing(state="blocked", because=words) if withheld else Standing(state="stands")
    return standing


def _words(error: dict[str, Any]) -> str:
    return clean(str(error.get("detail") or error.get("title") or error.get("message") or ""), max_chars=200)


def fault(answer: Response, now: datetime) -> Exception | None:
    """Read X's errors to what is asked in the name of an account; None: the status says enough."""
    if answer.status < 400:
        return None
    try:
        told = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        told = {}
    errors = [as_dict(one) for one in as_list(told.get("errors"))]
    words = _words(told) or (_words(errors[0]) if errors else "") or f"HTTP {answer.status}"
    if any(map(is_capped, (told, *errors))):
        return capped(now)
    if answer.status == 429:
        return RateLimited(f"X answered 429: {words}", until=_until(answer, now))
    if answer.status == 403 and "duplicate" in words.lower():
        mend = "Look for that post on the account; if it is another one, change the words and retry"
        return Duplicate(f"X refuses it as the same text as an earlier post: {words}", mend=mend)
    if answer.status == 400 and any("post.fields" in as_dict(one.get("parameters")) for one in errors):
        return OtherNames("X does not know 'post.fields'")
    if answer.status == 403:
        mend = "Check at https://console.x.com what the app may do, and on X whether the account is limited"
        return Reject(f"X answered 403: {words}", mend=mend)
    if answer.status < 500 and answer.status != 408:
        return Reject(f"X answered {answer.status}: {words}")
    return None


def _until(answer: Response, now: datetime) -> datetime:
    """Return when the limit that is used up ends: that of the day where it is, else that of the window."""
    headers = answer.headers
    spent = next((one for one in ("app", "user") if headers.get(f"x-{one}-limit-24hour-remaining") == "0"), None)
    name = f"x-{spent}-limit-24hour-reset" if spent else "x-rate-limit-reset"
    told = headers.get(name, "")
    until = from_unix(float(told)) if told.isascii() and told.isdigit() else None
    return min(max(until or now + BUSY, now), now + LONGEST)
