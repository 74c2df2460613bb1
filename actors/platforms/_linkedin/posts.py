r"""A post on LinkedIn: its text and body, how it is known again, its counts, LinkedIn's errors and versions.

Docs: learn.microsoft.com/linkedin/marketing: Posts API, "little text" format, Social Metadata API, Member Post
Statistics, versioning, read 2026-11-23. Names in statistics, and 426 for a retired version, are second-hand.
In "little text" \ | { } @ [ ] ( ) < > # * _ ~ mean something unless a backslash is before them; a hashtag is written
{hashtag|\#|word}.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec

from actors.platforms._api import absent, count
from actors.platforms._posts import as_dict, as_list, from_unix
from actors.platforms._text import clean
from actors.runtime.http import Response, retry_after
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Draft, PostMetrics, RemotePost, Standing

__all__ = [
    "HEADERS",
    "STATISTICS",
    "VERSION",
    "author_of",
    "body_of",
    "fault",
    "little_text",
    "moment_of",
    "parse_metrics",
    "parse_post",
    "parse_standing",
    "parse_statistic",
    "path_of",
    "words_of",
]

VERSION: Final = "202608"
"""Of August 2026, read 2026-11-23. LinkedIn retires a version about a year after its month."""
HEADERS: Final = {"LinkedIn-Version": VERSION, "X-Restli-Protocol-Version": "2.0.0"}
BUSY: Final = timedelta(hours=1)
"""How long to wait after a 429: LinkedIn's limits are of a day, and it names no moment."""
STATISTICS: Final = {"impressions": "IMPRESSION", "reach": "MEMBERS_REACHED", "shares": "RESHARE"}
"""Counts by the name of their query."""
_FIELDS: Final = (
    "views", "likes", "comments", "shares", "saves", "reach", "impressions", "clicks", "followers",
    "watched_us", "average_watched_us", "retention",
)  # fmt: skip
_WHOSE: Final = "Organization permissions must be used"
"""How a 400 begins that a missing scope is behind (second-hand)."""
_UNTOLD: Final = "LinkedIn does not tell it of a post"
_MARKS: Final = re.compile(r"[\\|{}@\[\]()<>#*_~]")
_TAG: Final = re.compile(r"(?<![\w#&/])#(\w+)")
_URN: Final = re.compile(r"urn:li:(share|ugcPost|activity):\d+")


def words_of(draft: Draft) -> str:
    """Return the text of the post as people read it."""
    return draft.caption or draft.title


def little_text(text: str) -> str:
    """Return `text` as commentary: its marks escaped, its hashtags as such."""
    parts, at = [], 0
    for tag in _TAG.finditer(text):
        parts += [_escaped(text[at : tag.start()]), "{hashtag|\\#|", _escaped(tag[1]), "}"]
        at = tag.end()
    return "".join((*parts, _escaped(text[at:])))


def _escaped(text: str) -> str:
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", text)


def author_of(draft: Draft, person: str) -> str:
    """Return who posts, a URN: the option `author`, which names an organisation, else the account's person.

    Raises: Reject.
    """
    told = draft.options.get("author", "").removeprefix("urn:li:").removeprefix("organization:")
    if told in {"", "person", f"person:{person}"}:
        return f"urn:li:person:{person}"
    if told.isascii() and told.isdigit():
        return f"urn:li:organization:{told}"
    raise Reject(
        f"'{clean(told, max_chars=60)}' is no author on LinkedIn",
        mend="Leave the option author out, or give urn:li:organization: and the page's number",
    )


def body_of(draft: Draft, *, author: str, video: str) -> dict[str, Any]:
    """Return the body of POST /rest/posts."""
    return {
        "author": author,
        "commentary": little_text(words_of(draft)),
        "visibility": "PUBLIC",
        "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
        "content": {"media": {"id": video, "title": draft.title}},
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": False,
    }


def path_of(resource: str, urn: str) -> str:
    """Return the path of what a URN names; its colons are encoded, as Rest.li wants it."""
    return f"/rest/{resource}/{quote(urn, safe='')}"


def parse_post(urn: str | None, *, published_at: datetime | None = None) -> RemotePost:
    """Return the post that `urn` names. Raises: Retry if it names none."""
    if urn is None or not _URN.fullmatch(urn):
        raise Retry("LinkedIn answered without the post's name")
    page = f"https://www.linkedin.com/feed/update/{urn}/"
    return RemotePost(platform_post_id=urn, url=page, published_at=published_at)


def parse_metrics(metadata: Any, statistics: dict[str, int | None], because: str) -> PostMetrics:
    """Read socialMetadata, None: the app may not, beside the statistics; because: why one of those is null."""
    told = as_dict(metadata)
    reactions = as_dict(told.get("reactionSummaries"))
    each = [count(as_dict(one).get("count")) for one in reactions.values()]
    likes = None if "reactionSummaries" not in told or None in each else sum(one or 0 for one in each)
    found: dict[str, int | None] = {
        "likes": likes,
        "comments": count(as_dict(told.get("commentSummary")).get("count")),
        **statistics,
    }
    why = dict.fromkeys(_FIELDS, _UNTOLD) | dict.fromkeys(STATISTICS, because or "the answer has no such count")
    refused = "LinkedIn tells it only to apps that have r_member_social or r_organization_social"
    why["likes"] = refused if metadata is None else "the answer has no reactions"
    why["comments"] = refused if metadata is None else "the answer has no count of comments"
    return PostMetrics(**found, absent=absent({name: found.get(name) for name in _FIELDS}, why))  # type: ignore[arg-type]  # only counts


def parse_statistic(answer: Any) -> int | None:
    """Read the total of one query of the statistics."""
    first = as_dict(next(iter(as_list(as_dict(answer).get("elements"))), None))
    return count(first.get("count", first.get("value")))


def parse_standing(post: Any) -> Standing:
    """Read how a post stands from itself."""
    state = as_dict(post).get("lifecycleState")
    if state == "PUBLISHED":
        return Standing(state="stands", privacy="public" if as_dict(post).get("visibility") == "PUBLIC" else None)
    if state == "PUBLISH_FAILED":
        return Standing(state="blocked", because="LinkedIn says PUBLISH_FAILED")
    return Standing(state="processing" if state == "PUBLISH_REQUESTED" else "unknown", because=f"LinkedIn says {state}")


def fault(answer: Response, now: datetime) -> Exception | None:
    """Read `{"status", "serviceErrorCode", "code", "message"}`; None: the status says enough."""
    if answer.status < 400 or answer.status >= 500 or answer.status == 408:
        return None
    try:
        body = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        body = {}
    words = ": ".join(clean(str(body[name]), max_chars=200) for name in ("code", "message") if body.get(name))
    text = f"LinkedIn answered {answer.status}{f': {words}' if words else ''}"
    if answer.status == 426:
        mend = "Install a newer ettametta: each of LinkedIn's versions ends after about a year"
        return Reject(f"LinkedIn no longer answers to version {VERSION} of its API", mend=mend)
    if answer.status == 429:
        return RateLimited(text, until=retry_after(answer.headers, now=now) or _tomorrow(now))
    if answer.status == 403 or _WHOSE in words:
        mend = (
            "The app needs the product Share on LinkedIn; posts of an organisation need w_organization_social (set "
            "LINKEDIN_ORGANISATIONS_ENABLED=true and connect the account again), and an account that may post for it"
        )
        return Reject(text, mend=mend)
    if "duplicate" in words.lower():
        return Reject(text, mend="Look for that post on LinkedIn; if it is another one, change the words and retry")
    return Reject(text)


def _tomorrow(now: datetime) -> datetime:
    """Return when LinkedIn's day of counting ends, or an hour from now if that is sooner: others' calls may count."""
    day = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    return min(day, now + BUSY)


def moment_of(post: dict[str, Any]) -> datetime | None:
    """Return when a post was published, else made; LinkedIn writes milliseconds since 1970."""
    told = post.get("publishedAt", post.get("createdAt"))
    return from_unix(told / 1000) if isinstance(told, int | float) and not isinstance(told, bool) else None
