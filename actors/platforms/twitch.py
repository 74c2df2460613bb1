"""Twitch: discovery of clips in categories, or of a channel, that have the niche's words as their name.

Docs: https://dev.twitch.tv/docs/api/reference (Search Categories, Get Users, Get Clips), /docs/api/guide (rate limits)
and /docs/authentication/getting-tokens-oauth (client credentials), read 2026-11-23.
Auth: a token for the application itself, from id.twitch.tv, with the Client-Id beside it. Limits: a bucket of 800
points a minute, 1 a call; 100 clips an answer, sorted by views. Clips are asked for by category or channel only: no
call searches their titles. Their files are not part of the API.
Units: `duration` seconds (float); times RFC 3339.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from msgspec import Struct

from actors.platforms._api import Api, Rates, count, dig, leaving_out, read_each
from actors.platforms._app_token import AppToken, Granted, parse_grant, refusal_of
from actors.platforms._posts import (
    as_dict,
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
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import Reject
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Need

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "NEEDS", "Category", "Twitch", "choose", "parse_clips"]

NAME: Final = "twitch"
CAPS: Final = Caps(
    discover=True,
    sees="the week's clips of categories whose name has the niche's words, else of the channel of that name; views",
    costs="1 request for 100 clips and 1 or 2 for the names, of 800 a minute",
    cannot="Clips cannot be searched by their titles, and their files are not part of the API.",
)
PAGE_SIZE: Final = 100
LIMITS: Final = Limits(page_size=PAGE_SIZE)
_CONSOLE: Final = "https://dev.twitch.tv/console/apps"
NEEDS: Final = (
    Need(setting="twitch_client_id", means=f"Id of an application registered at {_CONSOLE}", secret=False),
    Need(setting="twitch_client_secret", means=f"Secret of that application, from {_CONSOLE}"),
)

BASE_URL: Final = "https://api.twitch.tv"
TOKEN_URL: Final = "https://id.twitch.tv"  # noqa: S105 - an address
REQUESTS: Final = Bucket(name="requests", limit=700, window_s=60)
RATES: Final = Rates(remaining="Ratelimit-Remaining", reset="Ratelimit-Reset", as_="unix")
FRESH_S: Final = 600.0
NAMES_FRESH_S: Final = 86_400.0
MOST_CATEGORIES: Final = 2
LOOKS_BACK: Final = timedelta(days=7)
WHAT: Final = "Twitch"
_MEND: Final = f"Check TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET at {_CONSOLE}"
_NOT_TOLD: Final = {"views": "the clip has no view count in the answer"} | dict.fromkeys(
    ("likes", "comments", "shares"), "Twitch does not tell them of clips"
)
_LOGIN: Final = re.compile(r"[a-z0-9_]{3,25}")


T = TypeVar("T")


class Category(Struct, frozen=True, kw_only=True):
    """A game or another category."""

    id: str
    name: str


class User(Struct, frozen=True, kw_only=True):
    """A channel's owner."""

    id: str


class Clip(Struct, frozen=True, kw_only=True):
    """A clip, as far as it is used. What a clip need not have may be of any type."""

    id: str
    title: str
    url: Any = None
    broadcaster_id: Any = None
    broadcaster_name: Any = None
    video_id: Any = None
    language: Any = None
    view_count: Any = None
    created_at: Any = None
    thumbnail_url: Any = None
    duration: Any = None


def parse_categories(answer: Any, _: datetime) -> tuple[Category, ...]:
    """Read a search for categories. Raises: Retry if it has another shape."""
    return read_each(dig(answer, "data", what=WHAT), Category, what=WHAT)


def parse_users(answer: Any, _: datetime) -> tuple[User, ...]:
    """Read an answer of users. Raises: Retry if it has another shape."""
    return read_each(dig(answer, "data", what=WHAT), User, what=WHAT)


def choose(categories: tuple[Category, ...], words: list[str]) -> tuple[Category, ...]:
    """Return the categories whose name has each of the words, the shortest names first.

    Twitch also gives names that begin alike or are spelt alike, which are other subjects.
    """
    wanted = {word.casefold() for word in words}
    fitting = [one for one in categories if wanted <= set(re.findall(r"[\w']+", one.name.casefold()))]
    return tuple(sorted(fitting, key=lambda one: (len(one.name), one.name, one.id))[:MOST_CATEGORIES])


def parse_clips(answer: Any, at: datetime, *, tags: tuple[str, ...]) -> tuple[tuple[Candidate, ...], str | None]:
    """Read a clips answer: its clips, and the cursor; None: it was the last. Raises: Retry if it has another shape."""
    clips = read_each(dig(answer, "data", what=WHAT), Clip, what=WHAT)
    cursor = as_dict(answer.get("pagination")).get("cursor")
    found = (parse_clip(clip, tags=tags, at=at) for clip in clips)
    return tuple(one for one in found if one is not None), cursor if isinstance(cursor, str) and cursor else None


def parse_clip(clip: Clip, *, tags: tuple[str, ...], at: datetime) -> Candidate | None:
    """Return the clip as a candidate; None: its id is none."""
    if not re.fullmatch(r"[\w-]{1,128}", clip.id, re.ASCII):
        return None
    title = clean(clip.title, max_chars=300)
    author = clean(clip.broadcaster_name, max_chars=100) if isinstance(clip.broadcaster_name, str) else None
    page = web_address(clip.url) or f"https://clips.twitch.tv/{clip.id}"
    cut_from = f"https://www.twitch.tv/videos/{clip.video_id}" if count(clip.video_id) is not None else None
    return Candidate(
        item_id=item_id(NAME, clip.id),
        platform=NAME,
        platform_id=clip.id,
        url=page,
        title=title,
        creator=author or None,
        creator_id=id_text(clip.broadcaster_id),
        tags=tags,
        published_at=parse_moment(clip.created_at),
        duration_us=length_us(clip.duration),
        thumbnail_url=web_address(clip.thumbnail_url),
        language=language_tag(clip.language),
        links=links_of((cut_from,)),
        metrics=metrics_of(_NOT_TOLD, views=count(clip.view_count)),
        observed_at=at,
        rights=unlicensed("Twitch", title=title, author=author or None, page=page, at=at),
    )


def _views(candidate: Candidate) -> int:
    return candidate.metrics.views or 0


class Twitch:
    """Finds the week's clips; the most viewed come first."""

    def __init__(self, means: Means) -> None:
        self._settings = means.settings
        self._clock = means.clock
        fault = refusal_of(WHAT, mend=_MEND)
        self._api = Api(means, name=NAME, base=BASE_URL, what=WHAT, buckets=(REQUESTS,), rates=RATES, fault=fault)
        self._door = Api(means, name=NAME, base=TOKEN_URL, what="Twitch's sign-in of applications", fault=_shut)
        self._client = means.settings.option("twitch_client_id") or ""
        self._token = AppToken(means, of=(NAME, self._client), ask=self._grant)

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates. Raises: Retry, RateLimited, Reject."""
        words = words_of(query)
        for need in NEEDS:
            required(self._settings, need)
        found: dict[str, Candidate] = {}
        with leaving_out(found, platform=NAME):
            for key, value, tags in await self._places(words):
                clips = await self._clips({key: value}, tags=tags, limit=limit)
                found |= {clip.item_id: clip for clip in clips}
        return tuple(sorted(found.values(), key=_views, reverse=True))[:limit]

    async def _places(self, words: list[str]) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return where to look for clips: the parameter, its value, and what the clips are about."""
        asked = {"query": " ".join(words), "first": "20"}
        known = await self._ask("/helix/search/categories", asked, parse_categories, NAMES_FRESH_S)
        categories = choose(known, words)
        if categories:
            return [("game_id", one.id, (clean(one.name, max_chars=80),)) for one in categories]
        login = "".join(words).lower()
        if not _LOGIN.fullmatch(login):
            return []
        users = await self._ask("/helix/users", {"login": login}, parse_users, NAMES_FRESH_S)
        return [("broadcaster_id", one.id, ()) for one in users[:1]]

    async def _clips(self, place: dict[str, str], *, tags: tuple[str, ...], limit: int) -> list[Candidate]:
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        params = {
            **place,
            "started_at": f"{hour - LOOKS_BACK:%Y-%m-%dT%H:%M:%SZ}",
            "ended_at": f"{hour + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            "first": str(PAGE_SIZE),
        }
        found: list[Candidate] = []
        with leaving_out(found, platform=NAME):
            for _ in range(-(-limit // PAGE_SIZE)):
                clips, cursor = await self._ask("/helix/clips", params, partial(parse_clips, tags=tags), FRESH_S)
                found += clips
                if cursor is None or len(found) >= limit:
                    break
                params["after"] = cursor
        return found

    async def _ask(self, path: str, params: dict[str, str], parse: Callable[[Any, datetime], T], fresh_s: float) -> T:
        async def ask(token: str) -> T:
            headers = {"Authorization": f"Bearer {token}", "Client-Id": self._client}
            return await self._api.read_json(path, parse, params=params, headers=headers, fresh_s=fresh_s)

        return await self._token.using(ask)

    async def _grant(self) -> Granted:
        client_id, secret = (required(self._settings, need) for need in NEEDS)
        form = {"client_id": client_id, "client_secret": secret, "grant_type": "client_credentials"}
        answer = await self._door.post("/oauth2/token", data=form)
        return parse_grant(answer, what="Twitch's sign-in of applications", now=self._clock.now(), mend=_MEND)


def _shut(answer: Response, _: datetime) -> Exception | None:
    if answer.status not in {400, 401, 403}:
        return None
    return Reject(f"Twitch's sign-in of applications answered {answer.status}: it does not know this one", mend=_MEND)


ADAPTER = Twitch
