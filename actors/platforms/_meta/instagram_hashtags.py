"""Instagram's hashtag search: videos under one hashtag, as a professional account may see them.

Docs: developers.facebook.com/docs/instagram-platform/instagram-api-with-facebook-login/hashtag-search and
.../instagram-graph-api/reference: ig-hashtag-search, ig-hashtag, ig-user/recently_searched_hashtags, read 2026-11-23.
Limits: 30 different hashtags in any 7 days, each counted from its first query; 50 media a page; `recent_media`
reaches back 24 hours. Only recent media carry a time; no answer carries a name of the account, views or shares.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from actors.platforms._api import absent, count, leaving_out, read_each
from actors.platforms._meta.account import own_id
from actors.platforms._meta.graph import GRAPH_URL, Graph, GraphRefused, Reader
from actors.platforms._text import clean, parse_moment
from actors.platforms._words import first_line, hashtag_of, hashtags_in
from actors.runtime.cache import Kept
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from contracts.errors import RateLimited, Reject, Retry
from contracts.ids import item_id
from contracts.platform import Candidate, Metrics, Need
from contracts.rights import RightsRecord

__all__ = [
    "MOST_HASHTAGS",
    "NO_SLOT_WAIT",
    "TOKEN",
    "USER",
    "Hashtags",
    "Medium",
    "parse_media",
    "parse_searched",
]

NAME: Final = "instagram"
MOST_HASHTAGS: Final = 30
TOKEN: Final = Need(
    setting="instagram_access_token",
    means="Token of a professional Instagram account, from an app at developers.facebook.com that Meta has reviewed "
    "for Instagram Public Content Access",
)
USER: Final = Need(
    setting="instagram_user_id",
    means="Number of that professional account, from /me/accounts?fields=instagram_business_account",
    secret=False,
)

MOST_PAGES: Final = 2
"""Pages of each of the two lists that one search reads: pictures come between the videos."""
NO_SLOT_WAIT: Final = timedelta(hours=6)
"""The platform does not say when the oldest hashtag leaves the 7 days."""
FRESH_S: Final = 600.0
ID_KEPT: Final = timedelta(days=365)
_NO_SUCH_HASHTAG: Final = 24
_FIELDS: Final = "id,caption,media_type,permalink,like_count,comments_count"
_NOT_TOLD: Final = {
    "views": "Instagram tells views to the owner only",
    "likes": "not in the answer: the owner hides them",
    "shares": "Instagram tells shares to the owner only",
}


class Medium(Struct, frozen=True, kw_only=True):
    """One medium of a hashtag. timestamp: ISO 8601, on recent media only."""

    id: Annotated[str, Meta(pattern=r"^\d+(_\d+)?$")]
    media_type: str
    permalink: Annotated[str, Meta(pattern=r"^https?://")]
    caption: str | None = None
    like_count: Any = None
    comments_count: Any = None
    timestamp: Any = None


class Searched(Struct, frozen=True, kw_only=True):
    """One hashtag that was asked for in the last 7 days."""

    id: str
    name: str | None = None


def parse_searched(data: Any) -> tuple[Searched, ...]:
    """Read /recently_searched_hashtags. Raises: Retry if any of it cannot be read: the count must be right."""
    read = read_each(data, Searched, what="Instagram's list of searched hashtags")
    if len(read) != len(data):
        raise Retry("Instagram's list of searched hashtags cannot be read whole")
    return read


def parse_media(data: Any, *, hashtag: str, at: datetime) -> tuple[Candidate, ...]:
    """Read the media of a hashtag; pictures and albums are left out. Raises: Retry on an unknown shape."""
    media = read_each(data, Medium, what="Instagram's hashtag search")
    return tuple(_candidate(medium, hashtag, at) for medium in media if medium.media_type == "VIDEO")


def _candidate(medium: Medium, hashtag: str, at: datetime) -> Candidate:
    caption = medium.caption or ""
    title = first_line(caption) or medium.id
    counts = {
        "views": None,
        "likes": count(medium.like_count),
        "comments": count(medium.comments_count),
        "shares": None,
    }
    return Candidate(
        item_id=item_id(NAME, medium.id),
        platform=NAME,
        platform_id=medium.id,
        url=medium.permalink,
        title=title,
        description=clean(caption, max_chars=5000),
        tags=hashtags_in(caption) or (hashtag,),
        published_at=parse_moment(medium.timestamp),
        metrics=Metrics(**counts, absent=absent(counts, _NOT_TOLD)),
        observed_at=at,
        rights=RightsRecord(
            licence="unknown",
            title=title,
            source_url=medium.permalink,
            read_at=at,
            note="Instagram gives no licence for other people's videos, and does not name the account here",
        ),
    )


def _merged(top: Iterable[Candidate], recent: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Take from both lists in turn, each video once; where it is in both, the one that knows its time."""
    found: dict[str, Candidate] = {}
    for one in chain.from_iterable(zip_longest(top, recent)):
        if one is not None and (one.platform_id not in found or found[one.platform_id].published_at is None):
            found[one.platform_id] = one
    return tuple(found.values())


class Hashtags:
    """Finds the videos of the niche's hashtag."""

    def __init__(self, means: Means, client: OAuthClient, *, page_size: int) -> None:
        self._page_size = page_size
        self._clock = means.clock
        self._cache = means.cache
        self._settings = means.settings
        self._graph = Graph(
            means,
            name=NAME,
            base=GRAPH_URL,
            what="Instagram",
            token=TOKEN,
            permission="instagram_basic and the feature Instagram Public Content Access",
            client=client,
        )

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos, popular and recent ones in turn.

        Raises: Retry, Reject, RateLimited (also where the hashtag would be the 31st in 7 days).
        """
        hashtag = hashtag_of(query)
        if not hashtag:
            raise Reject("there are no words to make a hashtag of", mend="name a niche in letters")
        reader = (await self._graph.readers())[0]
        user_id = self._user_id(reader)
        hashtag_id = await self._id_of(hashtag, user_id, reader)
        if hashtag_id is None:
            return ()

        async def media(edge: str, fields: str) -> list[Candidate]:
            params = {"user_id": user_id, "fields": fields, "limit": str(self._page_size)}
            return await self._graph.collect(
                f"/{hashtag_id}/{edge}",
                params,
                lambda data, at: parse_media(data, hashtag=hashtag, at=at),
                enough=limit,
                most_pages=MOST_PAGES,
                reader=reader,
                fresh_s=FRESH_S,
            )

        top = await media("top_media", _FIELDS)
        recent: list[Candidate] = []
        with leaving_out(top, platform=NAME):
            recent = await media("recent_media", f"{_FIELDS},timestamp")
        return _merged(top, recent)[:limit]

    def _user_id(self, reader: Reader) -> str:
        """Return the account that hashtags are counted for: whose token it is."""
        if reader.account is not None:
            return own_id(reader.account.account_id)
        told = self._settings.option(USER.setting) or ""
        if not told:
            raise Reject(f"{USER.setting.upper()} is not set", mend=USER.means)
        if not (told.isascii() and told.isdigit()):
            raise Reject(f"{USER.setting.upper()} is not a number", mend=USER.means)
        return told

    async def _id_of(self, hashtag: str, user_id: str, reader: Reader) -> str | None:
        """Return the id of a hashtag that may be asked for now; None: there is no such hashtag.

        Ids never change, so one is asked for once; whether the hashtag is new in its 7 days is asked every time.
        """
        path = f"/{user_id}/recently_searched_hashtags"
        answer = await self._graph.ask(path, {"fields": "id,name", "limit": str(MOST_HASHTAGS)}, reader=reader)
        searched = parse_searched(answer.get("data"))
        key = f"{NAME}:hashtag:{hashtag}"
        kept = await self._cache.get(key)
        known = next((one.id for one in searched if one.name and hashtag_of(one.name) == hashtag), None)
        if known is None and kept is not None:
            known = kept.body.decode()
        if known not in {one.id for one in searched} and len(searched) >= MOST_HASHTAGS:
            raise RateLimited(
                f"Instagram: #{hashtag} would be the {MOST_HASHTAGS + 1}st hashtag in 7 days, and "
                f"{MOST_HASHTAGS} are allowed",
                until=self._clock.now() + NO_SLOT_WAIT,
            )
        if known is None:
            known = await self._look_up(hashtag, user_id, reader)
        if known is not None:
            now = self._clock.now()
            fresh = Kept(body=known.encode(), etag=None, fetched_at=now, fresh_until=now + ID_KEPT)
            await self._cache.put(key, fresh)
        return known

    async def _look_up(self, hashtag: str, user_id: str, reader: Reader) -> str | None:
        try:
            answer = await self._graph.ask("/ig_hashtag_search", {"user_id": user_id, "q": hashtag}, reader=reader)
        except GraphRefused as refused:
            if refused.code == _NO_SUCH_HASHTAG:
                return None
            raise
        found = read_each(answer.get("data"), Searched, what="Instagram's hashtag search")
        return found[0].id if found else None
