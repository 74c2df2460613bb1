"""Meta's Graph APIs: Instagram, Facebook and Threads answer, page and fail alike.

Docs: developers.facebook.com/docs/graph-api/guides/error-handling, .../overview/rate-limiting,
.../results (paging), read 2026-11-23.
Auth: a token, sent as a header so that it stands in no address. Limits: X-App-Usage and
X-Business-Use-Case-Usage hold percentages of a rolling hour, and minutes until access comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from actors.platforms._api import Api, count, leaving_out, mark_of
from actors.platforms._meta.words import HOUR, RATE_LIMITS, Meaning, meaning_of
from actors.platforms._text import clean
from actors.runtime.http import Response, retry_after
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from actors.runtime.quota import Bucket
from actors.runtime.tokens import ConnectedAccount
from contracts.errors import AuthExpired, RateLimited, Reject, Retry
from contracts.platform import Need

__all__ = [
    "GRAPH_URL",
    "LOGIN_URL",
    "Fault",
    "Graph",
    "GraphRefused",
    "Reader",
    "fault_in",
    "fault_of",
    "is_limit",
    "next_cursor",
    "used_up",
]

VERSION: Final = "v25.0"
GRAPH_URL: Final = f"https://graph.facebook.com/{VERSION}"
LOGIN_URL: Final = f"https://www.facebook.com/{VERSION}"

FULL_PERCENT: Final = 100
MOST_MINUTES: Final = 24 * 60
_TOKEN: Final = frozenset({102, 190})

T = TypeVar("T")


class GraphRefused(Reject):
    """A refusal with Meta's own numbers, for calls to which one of the numbers is an answer."""

    def __init__(self, reason: str, *, code: int, mend: str = "", gone: bool = False) -> None:
        super().__init__(reason, mend=mend)
        self.code = code
        self.gone = gone
        """There is no such object, or this token is not shown it."""

    @property
    def token_lost(self) -> bool:
        """Whether no other call with this token can succeed either."""
        return self.code in _TOKEN


class Fault(Struct, frozen=True, kw_only=True):
    """An error object: its numbers, what they mean and what Meta says in words."""

    code: int
    told: str
    meaning: Meaning


def fault_in(answer: Response) -> Fault | None:
    """Read the error object of an answer, whatever its status; None: there is none."""
    error = _error_in(answer)
    if error is None:
        return None
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    told = clean(str(error.get("error_user_msg") or error.get("message") or ""), max_chars=300).rstrip(".")
    return Fault(code=code, told=told, meaning=meaning_of(code, subcode, error, answer.status))


def fault_of(answer: Response, now: datetime, *, what: str, permission: str, token: str = "") -> Exception | None:
    """Read Meta's error object, whatever the status; None: there is none, the status decides.

    Args: what: the API in words; token: the setting that holds the token, in capitals, empty: it is a connected
    account's; permission: what it needs.
    """
    fault = fault_in(answer)
    if fault is None:
        return None
    code, meaning = fault.code, fault.meaning
    text = f"{what} answered error {code}{f': {fault.told}' if fault.told else ''}"
    if meaning.kind == "token":
        mend = f"Renew the token in {token}" if token else "Connect the account again"
        says = meaning.says or "it expired or is not valid"
        return GraphRefused(f"{text}. The token is refused: {says}", code=code, mend=mend)
    if meaning.kind == "permission":
        who = "The token needs" if token else "Connect the account again and grant"
        return GraphRefused(f"{text}. A permission is missing", code=code, mend=f"{who} {permission}")
    text = f"{text}. {meaning.says}" if meaning.says else text
    if meaning.kind == "wait":
        until = retry_after(answer.headers, now=now) or _regained_at(answer, now) or now + meaning.wait
        return RateLimited(text, until=until)
    if meaning.kind == "retry":
        return Retry(text)
    return GraphRefused(text, code=code, mend=meaning.mend, gone=meaning.kind == "gone")


def is_limit(answer: Response) -> bool:
    """Say whether an answer refuses because of the rate of calls: then no other call would do better."""
    fault = fault_in(answer)
    return answer.status == 429 or (fault is not None and fault.code in RATE_LIMITS and fault.meaning.kind == "wait")


def used_up(answer: Response, now: datetime) -> datetime | None:
    """Return when there is more, if the usage headers of an answer say that all of the hour's share is used."""
    full = any(
        (used := _number(shares.get(name))) is not None and used >= FULL_PERCENT
        for shares in _usage(answer)
        for name in ("call_count", "total_cputime", "total_time")
    )
    return (_regained_at(answer, now) or now + HOUR) if full else None


class Reader(Struct, frozen=True, kw_only=True):
    """Whose token a question is asked with. account None: the token of the setting."""

    token: str
    account: ConnectedAccount | None = None

    def __repr__(self) -> str:
        return f"Reader(account={self.account})"


class Graph(Api):
    """One of Meta's APIs as one adapter reads it, with the token of the setting, else with connected accounts.

    Args: name, base, what, buckets: as for Api; token: the setting that holds the token; permission: what the
    token must be allowed, for the text of a refusal; client: how its accounts are connected.
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
        client: OAuthClient | None = None,
        buckets: Sequence[Bucket] = (),
    ) -> None:
        def fault(answer: Response, now: datetime) -> Exception | None:
            return fault_of(answer, now, what=what, token=token.setting.upper(), permission=permission)

        super().__init__(means, name=name, base=base, what=what, buckets=buckets, fault=fault)
        self._token = token
        self._client = client

    async def readers(self) -> tuple[Reader, ...]:
        """Return whose tokens may ask. Raises: Reject if none is set and no account is connected, Retry.

        A token that a person set for reading comes before connected accounts, which may lack that permission.
        """
        if token := self._means.settings.option(self._token.setting):
            return (Reader(token=token),)
        tokens, found = self._means.tokens, []
        accounts = await tokens.accounts(self._name) if tokens is not None and self._client is not None else ()
        for account in accounts:
            with suppress(AuthExpired):
                assert self._client is not None
                token = await tokens.access_token(account.account_id, self._client)
                found.append(Reader(token=token, account=account))
        if found:
            return tuple(found)
        unset = f"{self._token.setting.upper()} is not set"
        if self._client is not None:
            raise Reject(f"{unset}, and no account is connected", mend=f"Connect one, or set it. {self._token.means}")
        raise Reject(unset, mend=self._token.means)

    async def ask(self, path: str, params: Mapping[str, str], *, reader: Reader | None = None) -> dict[str, Any]:
        """Return the object at `path`. Raises: RateLimited, Retry, Reject (GraphRefused where Meta gave a number)."""
        return await self.read_object(path, params, lambda answer, _: answer, reader=reader)

    async def read_object(
        self,
        path: str,
        params: Mapping[str, str],
        parse: Callable[[dict[str, Any], datetime], T],
        *,
        reader: Reader | None = None,
        fresh_s: float = 0.0,
    ) -> T:
        """Return what `parse` makes of the object at `path` and of the moment at which it was fetched.

        reader: whose token asks; None: the first one. fresh_s: seconds for which an earlier answer to the same token
        does. Raises: as `ask`, and AuthExpired where a connected account's token is refused.
        """
        reader = reader or (await self.readers())[0]

        def read(answer: Any, at: datetime) -> T:
            if not isinstance(answer, dict):
                raise Retry(f"{self._what} answered with something that is no object")
            return parse(answer, at)

        try:
            return await self.read_json(
                path,
                read,
                params=params,
                headers={"Authorization": f"Bearer {reader.token}"},
                fresh_s=fresh_s,
                keyed_by=mark_of(reader.token),
            )
        except GraphRefused as refused:
            if not refused.token_lost or reader.account is None:
                raise
            account = reader.account.account_id
            await self._means.tokens.lost(account, reader.token, refused.reason)
            raise AuthExpired(account, refused.reason) from refused

    async def collect(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[list[Any], datetime], Sequence[T]],
        *,
        enough: int,
        most_pages: int,
        reader: Reader | None = None,
        fresh_s: float = 0.0,
    ) -> list[T]:
        """Return what `read` makes of the `data` of one page after another, until there is `enough` or no more.

        The next page is asked for by its cursor: the address in `paging.next` holds the token, and is the
        platform's word only. A fault on a later page ends the pages. Raises: as `read_object`.
        """

        def read_page(answer: dict[str, Any], at: datetime) -> tuple[Sequence[T], str]:
            data = answer.get("data")
            if not isinstance(data, list):
                raise Retry(f"{self._what} answered in a shape that is not known here: there is no 'data'")
            return read(data, at), next_cursor(answer)

        reader = reader or (await self.readers())[0]
        found: list[T] = []
        after = ""
        with leaving_out(found, platform=self._name):
            for _ in range(most_pages):
                asked = {**params, **({"after": after} if after else {})}
                batch, following = await self.read_object(path, asked, read_page, reader=reader, fresh_s=fresh_s)
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


def _integer(told: object) -> int:
    """Return Meta's number, also one that is written as text; 0: there is none. Some are below zero."""
    text = str(told).strip() if isinstance(told, int | str) and not isinstance(told, bool) else ""
    below = text.startswith("-")
    number = count(text.removeprefix("-")) or 0
    return -number if below else number


def _number(told: object) -> float | None:
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else None


def next_cursor(answer: Mapping[str, Any]) -> str:
    """Return the cursor of the next page; empty: this was the last one."""
    paging = answer.get("paging")
    if not isinstance(paging, dict) or not paging.get("next"):
        return ""
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) else ""
