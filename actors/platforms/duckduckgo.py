"""DuckDuckGo: videos on any site by words, as signals, where the quotas of the other platforms are spent.

Docs: none; the two requests are those of the `ddgs` library 9.16.1, read 2026-11-23. This client names itself and
imitates no browser, so the site may refuse it: 202, 403, 418 and 429 all mean too many requests.
Auth: none, but a token `vqd` from the page of the search. Limits: none stated; this client keeps to 60 searches
an hour. Units: `duration` as 4:31 or 1:02:03; `published` ISO 8601; 60 results an answer. Inner keys are unconfirmed.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from actors.platforms._api import KEYLESS, Api, count, dig, read_each
from actors.platforms._posts import as_dict, length_us, metrics_of, unlicensed
from actors.platforms._reading import address, words_of
from actors.platforms._text import clean, parse_moment, plain_text
from actors.runtime.http import Response, retry_after
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import RateLimited, Retry
from contracts.ids import derived, item_id
from contracts.platform import Candidate, Caps, Limits

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "DuckDuckGo", "canonical", "parse_results", "parse_token"]

NAME: Final = "duckduckgo"
CAPS: Final = Caps(
    discover=True,
    keyless=True,
    fallback=True,
    sees="videos of the last month on other sites, by words; views where the site tells them",
    costs="2 requests for 60 videos, at most 60 searches an hour; undocumented, so it may refuse",
    cannot="It names pages on other sites and no licence, so a video is a signal only.",
)
PAGE_SIZE: Final = 60
LIMITS: Final = Limits(page_size=PAGE_SIZE)

BASE_URL: Final = "https://duckduckgo.com"
WHAT: Final = "the DuckDuckGo video search"
FRESH_S: Final = 1800.0
TOKEN_FRESH_S: Final = 600.0
THROTTLED: Final = timedelta(minutes=15)
"""How long it is left alone after a refusal; longer than a token is kept, so the next try asks for a new one."""
BUCKET: Final = Bucket(name="requests an hour, of our own", limit=120, window_s=3600)
REGION: Final = "wt-wt"
SAFE_SEARCH: Final = "1"
FILTERS: Final = "publishedAfter:m,,,"
_REFUSALS: Final = frozenset({202, 403, 418, 429})
_TOKEN: Final = re.compile(r"""vqd["']?\s*(?:value\s*)?[=:]\s*["']?(\d+-[\d-]+)""")
_LENGTH: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2})")
_NOISE: Final = re.compile(r"^(?:utm_\w+|fbclid|gclid|igshid|si|feature|pp|ref|ref_src|app|share_id)$")
_YOUTUBE: Final = re.compile(r"^/(?:shorts|embed|live|v)/([\w-]{11})(?:/|$)")
_NOT_TOLD: Final = {
    "views": "the search result tells no views for this video",
    "likes": "a search result tells no likes",
    "comments": "a search result tells no comments",
    "shares": "a search result tells no shares",
}


class _Result(Struct):
    """One result. What lies inside `statistics` and `images` is unconfirmed, so nothing of it is required."""

    title: str
    content: str
    description: str | None = None
    duration: Any = None
    published: str | None = None
    publisher: str | None = None
    uploader: str | None = None
    statistics: Any = None
    images: Any = None


def parse_token(page: str) -> str:
    """Return the token in the page of a search. Raises: Retry if there is none."""
    if (found := _TOKEN.search(page)) is None:
        raise Retry("DuckDuckGo's page holds no search token: it was changed, or it refuses this client")
    return found[1]


def parse_results(answer: Any, *, at: datetime) -> tuple[Candidate, ...]:
    """Return the candidates of one answer. Raises: Retry on another shape."""
    results = read_each(dig(answer, "results", what=WHAT), _Result, what=WHAT)
    found = (_candidate(result, at) for result in results)
    return tuple(one for one in found if one is not None)


def canonical(url: str) -> str | None:
    """Return the one address of a page, without what only traces its reader; None: it is no web address."""
    told = address(url)
    try:
        parts = urlsplit(told or "")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if not host:
        return None
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _NOISE.match(key)]
    short = host.removeprefix("www.").removeprefix("m.").removeprefix("music.")
    if short in {"youtube.com", "youtube-nocookie.com"}:
        named = _YOUTUBE.match(parts.path)
        video = named[1] if named else dict(query).get("v", "") if parts.path == "/watch" else ""
        if re.fullmatch(r"[\w-]{11}", video):
            return f"https://www.youtube.com/watch?v={video}"
    if short == "youtu.be" and (video := parts.path.strip("/")):
        return f"https://www.youtube.com/watch?v={video}"
    if short == "dai.ly" and (video := parts.path.strip("/")):
        return f"https://www.dailymotion.com/video/{video}"
    if short == "player.vimeo.com" and (seen := re.match(r"^/video/(\d+)", parts.path)):
        return f"https://vimeo.com/{seen[1]}"
    place = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, parts.path or "/", urlencode(query), ""))


def fault_of(answer: Response, now: datetime) -> Exception | None:
    """Name a refusal, which comes with several statuses, 202 among them."""
    if answer.status not in _REFUSALS:
        return None
    until = retry_after(answer.headers, now=now) or now + THROTTLED
    return RateLimited(f"{WHAT} answered {answer.status}: it wants to be left alone", until=until)


def _candidate(result: _Result, at: datetime) -> Candidate | None:
    page = canonical(result.content)
    if page is None:
        return None
    number = derived("page", page)
    title = clean(plain_text(result.title, max_chars=300), max_chars=300) or page
    author = clean(result.uploader or "", max_chars=200) or None
    site = clean(result.publisher or "", max_chars=100)
    more = f"it is for {site or 'the page itself'} to say"
    views = count(as_dict(result.statistics).get("viewCount"))
    images = as_dict(result.images)
    stills = (address(images.get(size)) for size in ("large", "medium", "small"))
    return Candidate(
        item_id=item_id(NAME, number),
        platform=NAME,
        platform_id=number,
        url=page,
        title=title,
        description=plain_text(result.description or "", max_chars=5000),
        creator=author,
        published_at=parse_moment(result.published),
        duration_us=_length_us(result.duration),
        thumbnail_url=next((url for url in stills if url), None),
        links=(page,),
        metrics=metrics_of(_NOT_TOLD, views=views),
        observed_at=at,
        rights=unlicensed("A web search", title=title, author=author, page=page, at=at, more=more),
    )


def _length_us(told: object) -> int | None:
    found = _LENGTH.fullmatch(told.strip()) if isinstance(told, str) else None
    return length_us(int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])) if found else None


class DuckDuckGo:
    """Finds videos on any site, in the order of the search."""

    def __init__(self, means: Means) -> None:
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(BUCKET,), fault=fault_of, mend=KEYLESS)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates, of one answer. Raises: Retry, RateLimited, Reject."""
        words = words_of(query)
        token = await self._api.read(
            "/",
            lambda body, _at: parse_token(body.decode(errors="replace")),
            params={"q": words},
            fresh_s=TOKEN_FRESH_S,
        )
        # The token belongs to the request and not to the question: an answer to the same words is the same.
        batch = await self._api.read_json(
            "/v.js",
            lambda answer, at: parse_results(answer, at=at),
            params={"q": words, "o": "json", "l": REGION, "f": FILTERS, "p": SAFE_SEARCH, "s": "0"},
            secret_params={"vqd": token},
            fresh_s=FRESH_S,
        )
        return tuple({one.platform_id: one for one in batch}.values())[:limit]


ADAPTER = DuckDuckGo
