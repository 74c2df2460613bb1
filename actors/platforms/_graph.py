"""Meta's Graph APIs: Instagram, Facebook and Threads answer, page and fail alike.

Docs: developers.facebook.com/docs/graph-api/guides/error-handling, .../overview/rate-limiting,
.../results (paging), read 2026-11-23.
Auth: a token, sent as a header so that it stands in no address. Limits: X-App-Usage and
X-Business-Use-Case-Usage hold percentages of a rolling hour, and minutes until access comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from actors.platforms._api import Api, count, leaving_out, mark_of
from actors.platforms._text import clean
from actors.runtime.http import Response, retry_after
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import RateLimited, Reject, Retry
from contracts.platform import Need

__all__ = ["GRAPH_URL", "Graph", "GraphRefused", "fault_of", "used_up"]

VERSION: Final = "v25.0"
GRAPH_URL: Final = f"https://graph.facebook.com/{VERSION}"

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
FULL_PERCENT: Final = 100
MOST_MINUTES: Final = 24 * 60
_RATE_LIMITS: Final = frozenset({4, 17, 32, 613})
_HASHTAGS_SPENT: Final = 18
_BLOCKED: Final = 368
_TOKEN: Final = frozenset({102, 190})
_PASSING: Final = frozenset({1, 2})
_TOKEN_LOST: Final = {
    458: "the app was removed from the account",
    460: "the password was changed",
    463: "it expired",
    467: "it is not valid",
}

T = TypeVar("T")


class GraphRefused(Reject):
    """A refusal with Meta's own number, for calls to which one of the numbers is an answer."""

    def __init__(self, reason: str, *, code: int, mend: str = "") -> None:
        super().__init__(reason, mend=mend)
        self.code = code

    @property
    def token_lost(self) -> bool:
        """Whether no other call with this token can succeed either."""
        return self.code in _TOKEN


def fault_of(answer: Response, now: datetime, *, what: str, token: str, permission: str) -> Exception | None:
    """Read Meta's error object, whatever the status; None: there is none, the status decides.

    Args: what: the API in words; token: the setting that holds the token, in capitals; permission: what it needs.
    """
    error = _error_in(answer)
    if error is None:
        return None
    code, subcode = count(error.get("code")) or 0, count(error.get("error_subcode")) or 0
    told = clean(str(error.get("error_user_msg") or error.get("message") or ""), max_chars=300).rstrip(".")
    text = f"{what} answered error {code}{f': {told}' if told else ''}"
    if code in _RATE_LIMITS or answer.status == 429:
        until = retry_after(answer.headers, now=now) or _regained_at(answer, now) or now + HOUR
        return RateLimited(text, until=until)
    if code == _HASHTAGS_SPENT:
        return RateLimited(text, until=now + DAY)
    if code == _BLOCKED:
        return RateLimited(f"{text}. {what} holds this use for abusive", until=now + DAY)
    if code in _TOKEN:
        lost = _TOKEN_LOST.get(subcode, "it expired or is not valid")
        return GraphRefused(f"{text}. The token is refused: {lost}", code=code, mend=f"Renew the token in {token}")
    if code == 10 or 200 <= code <= 299:
        return GraphRefused(f"{text}. A permission is missing", code=code, mend=f"The token needs {permission}")
    if code in _PASSING or error.get("is_transient") is True or answer.status >= 500:
        return Retry(text)
    return GraphRefused(text, code=code)


def used_up(answer: Response, now: datetime) -> datetime | None:
    """Return when there is more, if the usage headers of an answer say that all of the hour's share is used."""
    full = any(
        (used := _number(shares.get(name))) is not None and used >= FULL_PERCENT
        for shares in _usage(answer)
        for name in ("call_count", "total_cputime", "total_time")
    )
    return (_regained_at(answer, now) or now + HOUR) if full else None


class Graph(Api):
    """One of Meta's APIs for one adapter.

    Args: name, base, what, buckets: as for Api; token: the setting that holds the token; permission: what the
    token must be allowed, for the text of a refusal.
    """

    def __init__(
        self,
        means: Means,
        *,
        name: str,
        base: str,
        what: str,
        token: Need,
        permission: str,
        buckets: Sequence[Bucket] = (),
    ) -> None:
        def fault(answer: Response, now: datetime) -> Exception | None:
            return fault_of(answer, now, what=what, token=token.setting.upper(), permission=permission)

        super().__init__(means, name=name, base=base, what=what, buckets=buckets, fault=fault)
        self._token = token

    async def ask(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Return the object at `path`. Raises: RateLimited, Retry, Reject (GraphRefused where Meta gave a number)."""
        return await self.read_object(path, params, lambda answer, _: answer)

    async def read_object(
        self,
        path: str,
        params: Mapping[str, str],
        parse: Callable[[dict[str, Any], datetime], T],
        *,
        fresh_s: float = 0.0,
    ) -> T:
        """Return what `parse` makes of the object at `path` and of the moment at which it was fetched.

        fresh_s: seconds for which an earlier answer to the same token does. Raises: as `ask`.
        """
        token = self._means.settings.option(self._token.setting)
        if not token:
            raise Reject(f"{self._token.setting.upper()} is not set", mend=self._token.means)

        def read(answer: Any, at: datetime) -> T:
            if not isinstance(answer, dict):
                raise Retry(f"{self._what} answered with something that is no object")
            return parse(answer, at)

        headers = {"Authorization": f"Bearer {token}"}
        return await self.read_json(
            path, read, params=params, headers=headers, fresh_s=fresh_s, keyed_by=mark_of(token)
        )

    async def collect(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[list[Any], datetime], Sequence[T]],
        *,
        enough: int,
        most_pages: int,
        fresh_s: float = 0.0,
    ) -> list[T]:
        """Return what `read` makes of the `data` of one page after another, until there is `enough` or no more.

        The next page is asked for by its cursor: the address in `paging.next` holds the token, and is the
        platform's word only. A fault on a later page ends the pages. Raises: as `read`.
        """

        def read_page(answer: dict[str, Any], at: datetime) -> tuple[Sequence[T], str]:
            data = answer.get("data")
            if not isinstance(data, list):
                raise Retry(f"{self._what} answered in a shape that is not known here: there is no 'data'")
            return read(data, at), _cursor(answer)

        found: list[T] = []
        after = ""
        with leaving_out(found, platform=self._name):
            for _ in range(most_pages):
                asked = {**params, **({"after": after} if after else {})}
                batch, following = await self.read_object(path, asked, read_page, fresh_s=fresh_s)
                found += batch
                if len(found) >= enough or not following or following == after:
                    break
                after = following
        return found

    def _spent(self, answer: Response, now: datetime) -> datetime | None:
        return used_up(answer, now)


def _error_in(answer: Response) -> dict[str, Any] | None:
    """Return the error object of an answer; a body that is no JSON object has none."""
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _usage(answer: Response) -> list[dict[str, Any]]:
    """Return the shares of both usage headers; one is an object, the other has lists of such objects by account."""
    found: list[Any] = []
    for name in ("X-App-Usage", "X-Business-Use-Case-Usage"):
        try:
            told = msgspec.json.decode(answer.headers.get(name, "null"))
        except msgspec.DecodeError:
            continue
        if isinstance(told, dict):
            found += [told, *(one for each in told.values() if isinstance(each, list) for one in each)]
    return [one for one in found if isinstance(one, dict)]


def _regained_at(answer: Response, now: datetime) -> datetime | None:
    minutes = [_number(one.get("estimated_time_to_regain_access")) or 0 for one in _usage(answer)]
    longest = max(minutes, default=0)
    return now + timedelta(minutes=min(longest, MOST_MINUTES)) if longest > 0 else None


def _number(told: object) -> float | None:
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else None


def _cursor(answer: Mapping[str, Any]) -> str:
    """Return the cursor of the next page; empty: this was the last one."""
    paging = answer.get("paging")
    if not isinstance(paging, dict) or not paging.get("next"):
        return ""
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) else ""
