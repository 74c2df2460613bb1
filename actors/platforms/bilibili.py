"""Bilibili: what is popular there just now, filtered by words. Off unless BILIBILI_ENABLED=true.

Docs: none. Bilibili publishes no API for this; the addresses are those that its own pages use, as a client library
described them before it was closed, read 2026-11-23. On 28 January 2026 the best-known collection of them was closed
after a letter of Bilibili's lawyers, which called collecting and publishing them an infringement. Whoever turns this
on does so after a legal review of their own; importing a link by hand needs none of it.
Auth: none; requests are not signed and do not pass for a browser, so they may be refused. Limits: not stated; few
requests are sent, and an answer does for all niches for half an hour. Codes -352 and -412 mean "too automatic".
Units: `duration` seconds, `pubdate` Unix seconds; `reply` are comments; `copyright` 1: original, 2: repost.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._api import KEYLESS, Api, count, dig, leaving_out, read_each
from actors.platforms._posts import (
    as_dict,
    from_unix,
    length_us,
    metrics_of,
    required,
    unlicensed,
    web_address,
    words_of,
)
from actors.platforms._text import clean
from actors.platforms._words import has_words
from actors.runtime.http import Response
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Bilibili", "Video", "parse_popular", "parse_video", "text_of"]

NAME: Final = "bilibili"
CAPS: Final = Caps(
    discover=True,
    by_name_only=True,
    sees="the 80 most popular videos of the moment, those with the niche's words; no search",
    costs="no stated quota; at most 4 requests in half an hour, for all niches together",
    cannot=(
        "Off by default: Bilibili has no public API for this, and its lawyers called the publishing of these addresses "
        "an infringement in January 2026; review the law yourself before you set BILIBILI_ENABLED=true."
    ),
)
PAGE_SIZE: Final = 20
LIMITS: Final = Limits(page_size=PAGE_SIZE)
NEEDS: Final = (
    Need(
        setting="bilibili_enabled",
        means=(
            "Set it to true only after a legal review of your own: Bilibili offers no API for this and objects to the "
            "use of its pages' addresses. Importing a link by hand needs no such setting"
        ),
        secret=False,
    ),
)

BASE_URL: Final = "https://api.bilibili.com"
POPULAR: Final = "/x/web-interface/popular"
REQUESTS: Final = Bucket(name="requests", limit=12, window_s=1_800)
FRESH_S: Final = 1_800.0
MOST_PAGES: Final = 4
WARNED: Final = timedelta(hours=6)
"""How long Bilibili is left alone once it held a request for automatic."""
WHAT: Final = "Bilibili"
_TOO_AUTOMATIC: Final = {-352, -412}
_NOT_TOLD: Final = "the video has no such count in the answer"
_ORIGIN: Final = {1: "its uploader calls it original", 2: "its uploader calls it a repost"}


class Video(Struct, frozen=True, kw_only=True):
    """A video, as far as it is used. What a video need not have may be of any type."""

    bvid: str
    title: str
    desc: Any = None
    tname: Any = None
    pic: Any = None
    duration: Any = None
    pubdate: Any = None
    copyright: Any = None
    owner: Any = None
    stat: Any = None
    dimension: Any = None


def parse_popular(answer: Any, at: datetime) -> tuple[tuple[Video, ...], bool, datetime]:
    """Read a page of the popular list: its videos, whether there is more, and `at`.

    Raises: Retry if it has another shape.
    """
    data = dig(answer, "data", what=WHAT)
    return read_each(dig(data, "list", what=WHAT), Video, what=WHAT), data.get("no_more") is False, at


def text_of(video: Video) -> str:
    """Return what a niche's words are looked for in: title, description, section."""
    return " ".join(one for one in (video.title, video.desc, video.tname) if isinstance(one, str))


def parse_video(video: Video, *, at: datetime) -> Candidate | None:
    """Return the video as a candidate; None: its id is none."""
    if not re.fullmatch(r"BV[0-9A-Za-z]{8,12}", video.bvid):
        return None
    owner, stat, size = as_dict(video.owner), as_dict(video.stat), as_dict(video.dimension)
    title = clean(video.title, max_chars=300)
    author = clean(owner["name"], max_chars=100) if isinstance(owner.get("name"), str) else None
    page = f"https://www.bilibili.com/video/{video.bvid}"
    sides = (count(size.get("width")) or None, count(size.get("height")) or None)
    width_px, height_px = sides[::-1] if size.get("rotate") == 1 else sides
    mid = count(owner.get("mid"))
    origin = count(video.copyright)
    return Candidate(
        item_id=item_id(NAME, video.bvid),
        platform=NAME,
        platform_id=video.bvid,
        url=page,
        title=title,
        description=clean(video.desc, max_chars=5000) if isinstance(video.desc, str) else "",
        creator=author or None,
        creator_id=None if mid is None else str(mid),
        tags=(clean(video.tname, max_chars=80),) if isinstance(video.tname, str) and video.tname.strip() else (),
        published_at=from_unix(video.pubdate),
        duration_us=length_us(video.duration),
        width_px=width_px,
        height_px=height_px,
        thumbnail_url=web_address(video.pic),
        metrics=metrics_of(
            _NOT_TOLD,
            views=count(stat.get("view")),
            likes=count(stat.get("like")),
            comments=count(stat.get("reply")),
            shares=count(stat.get("share")),
        ),
        observed_at=at,
        rights=unlicensed(
            WHAT,
            title=title,
            author=author or None,
            page=page,
            at=at,
            more="" if origin is None else _ORIGIN.get(origin, ""),
        ),
    )


def fault(answer: Response, now: datetime) -> Exception | None:
    """Read the envelope, which says what is wrong whatever the status is."""
    try:
        told = as_dict(msgspec.json.decode(answer.body))
    except msgspec.DecodeError:
        told = {}
    code = told.get("code")
    if answer.status == 412 or code in _TOO_AUTOMATIC:
        return RateLimited(f"{WHAT} holds the requests for automatic and refuses them", until=now + WARNED)
    if answer.status != 200 or code in {0, None}:
        return None
    words = clean(str(told.get("message", "")), max_chars=100)
    if code in {-101, -400, -403, -404}:
        return Reject(f"{WHAT} refuses: {code} {words}", mend="It may have changed; leave BILIBILI_ENABLED unset")
    return Retry(f"{WHAT} answered with the code {clean(str(code), max_chars=20)} {words}".rstrip())


def enabled(settings: Settings) -> bool:
    """Tell whether somebody turned it on."""
    return (settings.option(NEEDS[0].setting) or "").strip().casefold() == "true"


def lacking(settings: Settings) -> tuple[Need, ...]:
    """Return what keeps it off: `false` is set, and turns nothing on."""
    return () if enabled(settings) else NEEDS


class Bilibili:
    """Filters the list of what is popular; its order is kept."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(REQUESTS,), fault=fault, mend=KEYLESS)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Reject unless it was turned on; Retry, RateLimited."""
        words_of(query)
        required(self._settings, NEEDS[0])
        if not enabled(self._settings):
            raise Reject("BILIBILI_ENABLED is not true", mend=NEEDS[0].means)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for number in range(1, MOST_PAGES + 1):
                params = {"pn": str(number), "ps": str(PAGE_SIZE)}
                videos, more, at = await self._api.read_json(POPULAR, parse_popular, params=params, fresh_s=FRESH_S)
                read = (parse_video(video, at=at) for video in videos if has_words(text_of(video), query))
                found |= {one.item_id: one for one in read if one is not None}
                if not more or len(found) >= limit:
                    break
        return tuple(found.values())[:limit]


ADAPTER = Bilibili
