"""Reading with a memory: what is kept was understood, and is read with the moment at which it was fetched.

Counts from a kept answer belong to that moment, not to the moment at which they are used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from actors.platforms._api import Api, _json, _key
from actors.platforms._text import clean
from actors.runtime.cache import Kept
from actors.runtime.http import Params
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.platform import Need

__all__ = ["ReadingApi", "address", "needed", "words_of"]

MOST_URL_CHARS: Final = 2_048

T = TypeVar("T")


class ReadingApi(Api):
    """An API whose answers are kept only once they could be read."""

    async def read(
        self,
        path: str,
        parse: Callable[[bytes, datetime], T],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        fresh_s: float = 0.0,
        in_thread: bool = False,
    ) -> T:
        """Return what `parse` makes of the body and of the moment at which it was fetched, aware UTC.

        Args: in_thread: parse beside the event loop, for what takes long.
        Arguments and errors otherwise: those of `Api.get`. A body that `parse` refuses is not kept.
        """
        url = path if path.startswith(self.base_url) else f"{self.base_url}{path}"
        key = _key(self._name, url, params)
        cache, clock = self._means.cache, self._means.clock
        kept = await cache.get(key) if fresh_s else None
        if kept is not None and kept.fresh_until > clock.now():
            return await _parsed(parse, kept.body, kept.fetched_at, in_thread=in_thread)
        asked = dict(headers or {})
        if kept is not None and kept.etag:
            asked["If-None-Match"] = kept.etag
        whole = [*(params.items() if isinstance(params, Mapping) else params or ()), *(secret_params or {}).items()]
        answer = await self._send("GET", url, params=whole, headers=asked, buckets=(), cost=1)
        now = clock.now()
        body, etag = answer.body, answer.headers.get("ETag")
        if answer.status == 304:
            if kept is None:
                raise Retry(f"{self._what} answered 304 to a question without an ETag")
            body, etag = kept.body, kept.etag
        found = await _parsed(parse, body, now, in_thread=in_thread)
        if fresh_s:
            until = now + timedelta(seconds=fresh_s)
            await cache.put(key, Kept(body=body, etag=etag, fetched_at=now, fresh_until=until))
        return found

    async def read_json(
        self,
        path: str,
        parse: Callable[[Any, datetime], T],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        fresh_s: float = 0.0,
    ) -> T:
        """Return what `parse` makes of decoded JSON; otherwise as `read`."""
        return await self.read(
            path,
            lambda body, at: parse(_json(body, self._what), at),
            params=params,
            headers=headers,
            secret_params=secret_params,
            fresh_s=fresh_s,
        )


async def _parsed(parse: Callable[[bytes, datetime], T], body: bytes, at: datetime, *, in_thread: bool) -> T:
    return await asyncio.to_thread(parse, body, at) if in_thread else parse(body, at)


def needed(settings: Settings, need: Need) -> str:
    """Return the value of a setting that an adapter needs. Raises: Reject if it is not set, with where to get it."""
    value = settings.option(need.setting)
    if not value:
        raise Reject(f"{need.setting.upper()} is not set", mend=need.means)
    return value


def words_of(query: str) -> str:
    """Return the words with single spaces. Raises: Reject if there are none: a search for nothing finds everything."""
    words = " ".join(query.split())
    if not words:
        raise Reject("there are no words to search for", mend="name a niche")
    return words


def address(told: object) -> str | None:
    """Return an http or https address that may be stored and shown; None: it is anything else."""
    if not isinstance(told, str) or len(told) > MOST_URL_CHARS or told != clean(told, max_chars=MOST_URL_CHARS):
        return None
    try:
        parsed = urlsplit(told)
    except ValueError:
        return None
    return told if parsed.scheme in {"http", "https"} and parsed.hostname and " " not in told else None
