"""Tokens that a platform gives to the application itself: asked for once, kept until shortly before they end.

They live in memory, as long as the process's HTTP client: each replica has its own, none is stored, shown or logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from actors.platforms._api import count, dig
from actors.runtime.http import Http, Response
from actors.runtime.means import Means
from contracts.errors import Reject, Retry

__all__ = ["AppToken", "Granted", "TokenRefused", "parse_grant", "refusal_of"]

LEEWAY: Final = timedelta(seconds=60)
"""A token that ends sooner than this is not used any more."""
UNTOLD: Final = timedelta(hours=1)
"""How long a token is kept whose life the platform does not tell."""

T = TypeVar("T")


@dataclass(frozen=True)
class Granted:
    """A token and when it ends, aware UTC."""

    value: str = field(repr=False)
    until: datetime


class TokenRefused(Reject):
    """The platform does not take the token: a new one may do."""


class _Place:
    """Where the token of one application lies while its process runs."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.granted: Granted | None = None


_PLACES: Final[WeakKeyDictionary[Http, dict[tuple[str, ...], _Place]]] = WeakKeyDictionary()


class AppToken:
    """One application's token.

    Args: of: names the token among those of the process (platform, client id); ask: asks the platform for a new one.
    """

    def __init__(self, means: Means, *, of: tuple[str, ...], ask: Callable[[], Awaitable[Granted]]) -> None:
        self._clock = means.clock
        self._ask = ask
        self._place = _PLACES.setdefault(means.http, {}).setdefault(of, _Place())

    async def using(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Return what `call` gives with a token; a kept one that is refused is replaced, once.

        Raises: what `call` and asking for a token raise.
        """
        token, new = await self._take()
        try:
            return await call(token.value)
        except TokenRefused:
            self._forget(token)
            if new:
                raise
        token, _ = await self._take()
        try:
            return await call(token.value)
        except TokenRefused:
            self._forget(token)
            raise

    async def _take(self) -> tuple[Granted, bool]:
        """Return a token and whether it was asked for just now. Of many callers at once, one asks."""
        async with self._place.turn:
            kept = self._place.granted
            if kept is not None and kept.until - LEEWAY > self._clock.now():
                return kept, False
            self._place.granted = await self._ask()
            return self._place.granted, True

    def _forget(self, token: Granted) -> None:
        if self._place.granted is token:
            self._place.granted = None


def parse_grant(answer: Any, *, what: str, now: datetime, mend: str) -> Granted:
    """Read an answer of a token endpoint (RFC 6749, 5.1). Raises: Reject (it holds an error), Retry (another shape)."""
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        raise Reject(f"{what} gives no token: {answer['error'][:100]}", mend=mend)
    token = dig(answer, "access_token", what=what)
    if not isinstance(token, str) or not token:
        raise Retry(f"{what} answered in a shape that is not known here: 'access_token' is no text")
    life_s = count(answer.get("expires_in"))
    life = UNTOLD if life_s is None else timedelta(seconds=min(life_s, 10**9))
    return Granted(value=token, until=now + life)


def refusal_of(what: str, *, mend: str) -> Callable[[Response, datetime], Exception | None]:
    """Return what reads 401 as a refused credential, for `Api`; it leaves all else to the status."""

    def read(answer: Response, _: datetime) -> Exception | None:
        return (
            TokenRefused(f"{what} answered 401: it does not take the credential", mend=mend)
            if answer.status == 401
            else None
        )

    return read
