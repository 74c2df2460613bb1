"""Reading TikTok: search for approved researchers (Research API), else the own videos of one account (Display API).

Docs: developers.tiktok.com/doc: research-api-specs-query-videos, research-api-faq, client-access-token-management,
tiktok-api-v2-video-list, tiktok-api-v2-video-object, read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from actors.platforms._api import Api, absent, count, dig, leaving_out, mark_of, read_each
from actors.platforms._app_token import AppToken, Granted, TokenRefused, parse_grant
from actors.platforms._text import clean
from actors.platforms._tiktok.errors import RESEARCHES, fault_of
from actors.platforms._words import first_line, has_words, hashtag_of, hashtags_in
from actors.runtime.http import Response
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from actors.runtime.quota import Bucket
from actors.runtime.settings import Settings
from contracts.errors import AuthExpired, Reject
from contracts.ids import AccountId, item_id
from contracts.platform import Candidate, Metrics, Need
from contracts.rights import RightsRecord

__all__ = [
    "BASE_URL",
    "LISTINGS",
    "NAME",
    "NEEDS",
    "PAGE_SIZE",
    "Reader",
    "lacking",
    "parse_own",
    "parse_researched",
    "query_for",
    "way_of",
]

NAME: Final = "tiktok"
BASE_URL: Final = "https://open.tiktokapis.com/v2"
PAGE_SIZE: Final = 100
KEY: Final = Need(
    setting="tiktok_client_key",
    means="Key of an app at developers.tiktok.com; for research one that TikTok has approved",
    secret=False,
    optional=True,
)
SECRET: Final = Need(setting="tiktok_client_secret", means="The secret of that app", optional=True)
RESEARCH: Final = Need(
    setting="tiktok_research_enabled",
    means="true says that TikTok has approved that app for non-commercial research, and that this use is such",
    secret=False,
    optional=True,
)
TOKEN: Final = Need(
    setting="tiktok_access_token",
    means="Token of an own account with video.list, for its own videos; it lives for hours",
    optional=True,
)
NEEDS: Final = (KEY, SECRET, RESEARCH, TOKEN)
MONETISED: Final = Need(
    setting="monetised",
    means="TikTok gives its Research API for non-commercial use only: set MONETISED=false only if that is true, "
    f"else unset {RESEARCH.setting.upper()}",
    secret=False,
)
"""No setting of this platform: what research asks of the one that all parts of the product know."""

LISTINGS: Final = Bucket(name="video_list", limit=600, window_s=60)
OWN_PAGE_SIZE: Final = 20
MOST_PAGES: Final = 3
MOST_OWN_PAGES: Final = 10
BACK: Final = timedelta(days=29)
"""From the first to the last day asked for; both count, so these are 30 days."""
FRESH_S: Final = 1800.0
"""A list of own videos does for all niches, a search for all who ask for the same."""
LAST_S: Final = 253_402_300_799
_YES: Final = frozenset({"1", "true", "yes", "on"})
_RESEARCH_FIELDS: Final = (
    "id,create_time,username,video_description,like_count,comment_count,share_count,view_count,hashtag_names,"
    "video_duration"
)
_OWN_FIELDS: Final = (
    "id,create_time,cover_image_url,share_url,video_description,duration,height,width,title,"
    "like_count,comment_count,share_count,view_count"
)
_RESEARCHED: Final = "TikTok gives no licence; data of the Research API serve approved non-commercial research only"
_OWN: Final = "TikTok gives no licence; whoever owns this account may attest that the video is theirs"

Page = tuple[tuple[Candidate, ...], dict[str, Any]]
Id = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^\d+$")]


class Researched(Struct, frozen=True, kw_only=True):
    """One video of the Research API."""

    id: Id
    username: Annotated[str, Meta(pattern=r"^[\w.]+$")]
    create_time: Any = None
    video_description: str | None = None
    hashtag_names: Any = None
    video_duration: Any = None
    like_count: Any = None
    comment_count: Any = None
    share_count: Any = None
    view_count: Any = None


class Own(Struct, frozen=True, kw_only=True):
    """One video of the account. Lengths: seconds, px."""

    id: Id
    share_url: Annotated[str, Meta(pattern=r"^https?://")]
    create_time: Any = None
    cover_image_url: Any = None
    title: str | None = None
    video_description: str | None = None
    duration: Any = None
    height: Any = None
    width: Any = None
    like_count: Any = None
    comment_count: Any = None
    share_count: Any = None
    view_count: Any = None


def way_of(settings: Settings) -> Literal["research", "own"] | None:
    """Return how TikTok may be read with these settings; None: not at all."""
    if (settings.option(RESEARCH.setting) or "").lower() in _YES:
        return "research"
    return "own" if settings.option(TOKEN.setting) else None


def lacking(settings: Settings) -> tuple[Need, ...]:
    """Return what is missing of the way that is chosen; of none, the shortest: a token of an own account."""
    way = way_of(settings)
    if way == "research":
        unset = tuple(need for need in (KEY, SECRET) if not settings.option(need.setting))
        return (*unset, MONETISED) if settings.monetised else unset
    return () if way == "own" else (TOKEN,)


def query_for(niche: str, *, today: date, page_size: int = PAGE_SIZE) -> dict[str, Any]:
    """Return the body of a research query: the niche as words or as hashtag, in the last 30 days."""
    conditions = [("keyword", clean(niche, max_chars=200)), ("hashtag_name", hashtag_of(niche))]
    return {
        "query": {
            "or": [
                {"operation": "EQ", "field_name": name, "field_values": [value]} for name, value in conditions if value
            ]
        },
        "start_date": f"{today - BACK:%Y%m%d}",
        "end_date": f"{today:%Y%m%d}",
        "max_count": page_size,
        "is_random": False,
    }


def parse_researched(data: Any, *, at: datetime) -> tuple[Candidate, ...]:
    """Read the videos of a research answer. Raises: Retry on an unknown shape."""
    return tuple(
        _candidate(
            one,
            url=f"https://www.tiktok.com/@{one.username}/video/{one.id}",
            title="",
            tags=tuple(
                clean(tag, max_chars=100)
                for tag in (one.hashtag_names if isinstance(one.hashtag_names, list) else ())
                if isinstance(tag, str) and tag.strip()
            )[:50],
            creator=one.username,
            duration=one.video_duration,
            note=_RESEARCHED,
            at=at,
        )
        for one in read_each(data, Researched, what="TikTok's Research API")
    )


def parse_own(data: Any, *, at: datetime) -> tuple[Candidate, ...]:
    """Read the videos of the account. Raises: Retry on an unknown shape."""
    return tuple(
        msgspec.structs.replace(
            _candidate(one, url=one.share_url, title=one.title or "", duration=one.duration, note=_OWN, at=at),
            thumbnail_url=_address(one.cover_image_url),
            width_px=count(one.width) or None,
            height_px=count(one.height) or None,
        )
        for one in read_each(data, Own, what="TikTok's list of videos")
    )


def _candidate(
    one: Researched | Own,
    *,
    url: str,
    title: str,
    duration: Any,
    note: str,
    at: datetime,
    tags: tuple[str, ...] = (),
    creator: str | None = None,
) -> Candidate:
    text = one.video_description or ""
    name = clean(title, max_chars=300) or first_line(text) or str(one.id)
    counts = {
        "views": count(one.view_count),
        "likes": count(one.like_count),
        "comments": count(one.comment_count),
        "shares": count(one.share_count),
    }
    length_s = count(duration)
    created_s = count(one.create_time)
    return Candidate(
        item_id=item_id(NAME, str(one.id)),
        platform=NAME,
        platform_id=str(one.id),
        url=url,
        title=name,
        description=clean(text, max_chars=5000),
        creator=creator,
        creator_id=creator,
        tags=tags or hashtags_in(text),
        published_at=datetime.fromtimestamp(created_s, UTC) if created_s and created_s <= LAST_S else None,
        duration_us=length_s * 1_000_000 if length_s and length_s < 10**9 else None,
        metrics=Metrics(**counts, absent=absent(counts, "not in the answer")),
        observed_at=at,
        rights=RightsRecord(licence="unknown", title=name, author=creator, source_url=url, read_at=at, note=note),
    )


def _address(told: Any) -> str | None:
    return told if isinstance(told, str) and told.startswith(("https://", "http://")) else None


def _fault(answer: Response, now: datetime) -> Exception | None:
    return fault_of(answer, now, mend=_mend_of(answer))


def _mend_of(answer: Response) -> str:
    if answer.url.rstrip("/").endswith("/video/list"):
        return f"Renew the token in {TOKEN.setting.upper()}: it lives for hours"
    return f"Check {KEY.setting.upper()} and {SECRET.setting.upper()}, and TikTok's approval of the app for research"


class Reader:
    """Finds videos in the one way that the settings or the connected accounts allow. client: opens their tokens."""

    def __init__(self, means: Means, client: OAuthClient, *, page_size: int = PAGE_SIZE) -> None:
        self._page_size = page_size
        self._tokens = means.tokens
        self._client = client
        self._clock = means.clock
        self._settings = means.settings
        self._api = Api(means, name=NAME, base=BASE_URL, what="TikTok", fault=_fault)
        self._token = AppToken(means, of=(NAME, means.settings.option(KEY.setting) or ""), ask=self._grant)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` videos: of a search the most viewed ones, of the own ones the newest.

        Raises: Retry, RateLimited, Reject (also where no setting allows to read TikTok).
        """
        if not query.split():
            raise Reject("there are no words to search for", mend="name a niche")
        way = way_of(self._settings)
        if way == "research":
            if self._settings.monetised:
                reason = "TikTok's Research API is for non-commercial use only, and this channel is said to earn money"
                raise Reject(reason, mend=MONETISED.means)
            return await self._researched(query, limit)
        if way == "own":
            return await self._own(query, limit, self._settings.option(TOKEN.setting) or "")
        if (account := await self._account()) is not None:
            return await self._owned(account, query, limit)
        raise Reject(
            "TikTok cannot be searched: its Research API is for approved non-commercial research only, and its "
            "Display API shows the videos of an account that is connected or whose token is set",
            mend=f"For own videos connect an account or set {TOKEN.setting.upper()}; with TikTok's approval for "
            f"research set {KEY.setting.upper()}, {SECRET.setting.upper()} and {RESEARCH.setting.upper()}=true",
        )

    async def _researched(self, query: str, limit: int) -> tuple[Candidate, ...]:
        body = query_for(query, today=self._clock.now().astimezone(UTC).date(), page_size=self._page_size)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for _ in range(min(MOST_PAGES, -(-limit // self._page_size))):
                videos, data = await self._token.using(self._asking(body))
                found |= {one.platform_id: one for one in videos}
                if data.get("has_more") is not True or not videos:
                    break
                body = {**body, **{name: data[name] for name in ("cursor", "search_id") if name in data}}
        return tuple(sorted(found.values(), key=_views, reverse=True))[:limit]

    def _asking(self, body: Mapping[str, Any]) -> Callable[[str], Awaitable[Page]]:
        async def ask(token: str) -> Page:
            return await self._api.read_post(
                "/research/video/query/",
                lambda answer, at: _page(answer, parse_researched, at),
                params={"fields": _RESEARCH_FIELDS},
                headers={"Authorization": f"Bearer {token}"},
                json=body,
                fresh_s=FRESH_S,
                keyed_by=self._settings.option(KEY.setting) or "",
                buckets=(RESEARCHES,),
            )

        return ask

    async def _grant(self) -> Granted:
        form = {"grant_type": "client_credentials"}
        for need, name in ((KEY, "client_key"), (SECRET, "client_secret")):
            told = self._settings.option(need.setting)
            if not told:
                raise Reject(f"{need.setting.upper()} is not set, which research needs", mend=need.means)
            form[name] = told
        answer = await self._api.post("/oauth/token/", data=form)
        mend = f"Check {KEY.setting.upper()} and {SECRET.setting.upper()}"
        return parse_grant(answer, what="TikTok", now=self._clock.now(), mend=mend)

    async def _account(self) -> AccountId | None:
        """Return the account that was connected first and may list its videos; None: there is none."""
        accounts = await self._tokens.accounts(NAME) if self._tokens is not None else ()
        return next((one.account_id for one in accounts if "video.list" in one.scopes), None)

    async def _owned(self, account: AccountId, query: str, limit: int) -> tuple[Candidate, ...]:
        """Read the list of a connected account; a token that is refused is replaced, once."""
        token = await self._tokens.access_token(account, self._client)
        try:
            return await self._own(query, limit, token, of=account)
        except TokenRefused:
            await self._tokens.refused(account, token)
        token = await self._tokens.access_token(account, self._client)
        try:
            return await self._own(query, limit, token, of=account)
        except TokenRefused as refused:
            await self._tokens.lost(account, token, refused.reason)
            raise AuthExpired(account, refused.reason) from refused

    async def _own(self, query: str, limit: int, token: str, *, of: str = "") -> tuple[Candidate, ...]:
        body: dict[str, Any] = {"max_count": OWN_PAGE_SIZE}
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for _ in range(MOST_OWN_PAGES):
                videos, data = await self._api.read_post(
                    "/video/list/",
                    lambda answer, at: _page(answer, parse_own, at),
                    params={"fields": _OWN_FIELDS},
                    headers={"Authorization": f"Bearer {token}"},
                    json=body,
                    fresh_s=FRESH_S,
                    keyed_by=of or mark_of(token),
                    buckets=(LISTINGS,),
                )
                found |= {one.platform_id: one for one in videos if has_words(f"{one.title}\n{one.description}", query)}
                cursor = count(data.get("cursor"))
                if len(found) >= limit or data.get("has_more") is not True or cursor in {None, body.get("cursor")}:
                    break
                body = {**body, "cursor": cursor}
        return tuple(found.values())[:limit]


def _page(answer: Any, parse: Callable[..., tuple[Candidate, ...]], at: datetime) -> Page:
    """Read one answer: its videos (null stands for none), and all of its data, which says where the next begins."""
    data = dig(answer, "data", what="TikTok")
    videos = dig(data, "videos", what="TikTok")
    return parse([] if videos is None else videos, at=at), data


def _views(one: Candidate) -> int:
    return -1 if one.metrics.views is None else one.metrics.views
