"""Reading a platform: quota first, then kept answers, then one request; what the platform says is shared by all.

A request is sent once. Whatever fails is told with the errors of `contracts.errors`; the delivery of the event
decides about another try, so no adapter loops.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from actors.runtime.cache import Kept
from actors.runtime.http import Body, Params, Response, raise_for_status, retry_after
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.quota import Bucket, Pause
from contracts.errors import RateLimited, Reject, Retry

__all__ = ["KEYLESS", "Api", "Rates", "absent", "count", "dig", "leaving_out", "mark_of", "read_each"]

DEADLINE_S: Final = 20.0
BUSY: Final = timedelta(seconds=60)
"""How long a platform is left alone that answers 429 and does not say how long."""
LONGEST: Final = timedelta(days=1)
ONCE: Final = timedelta(milliseconds=1)
CREDENTIAL: Final = "Check its credential: `ettametta doctor` names it"
KEYLESS: Final = "Set CONTACT, which goes into the User-Agent, or ask later"

T = TypeVar("T")


class Rates(Struct, frozen=True, kw_only=True):
    """Names of the headers in which a platform says how much is left, and how it writes the moment of more."""

    remaining: str
    reset: str
    as_: Literal["seconds", "unix", "iso"]


class Api:
    """One platform's API for one adapter.

    Args: name: of the adapter; base: (name, address), the address used where settings do not replace it;
    what: the platform in words; buckets: quotas that every request spends one of; rates: its rate headers;
    fault: reads a platform's own error answers, and returns the error to raise or None, which leaves it to the status;
    mend: what a person does about 401 and 403, KEYLESS where there is no credential.
    """

    def __init__(
        self,
        means: Means,
        *,
        name: str,
        base: str,
        what: str,
        buckets: Sequence[Bucket] = (),
        rates: Rates | None = None,
        fault: Callable[[Response, datetime], Exception | None] | None = None,
        mend: str = CREDENTIAL,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._means = means
        self._name = name
        self._what = what
        self._buckets = tuple(buckets)
        self._rates = rates
        self._fault = fault
        self._mend = mend
        self._deadline_s = deadline_s
        self.base_url = means.settings.api_url(name, base)

    async def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        fresh_s: float = 0.0,
        keyed_by: str = "",
        buckets: Sequence[Bucket] = (),
        cost: int = 1,
    ) -> Any:
        """Return the decoded JSON of a GET. Arguments and errors: those of `read`."""
        return await self.read_json(
            path,
            lambda answer, _: answer,
            params=params,
            headers=headers,
            secret_params=secret_params,
            fresh_s=fresh_s,
            keyed_by=keyed_by,
            buckets=buckets,
            cost=cost,
        )

    async def read_json(
        self,
        path: str,
        parse: Callable[[Any, datetime], T],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        fresh_s: float = 0.0,
        keyed_by: str = "",
        buckets: Sequence[Bucket] = (),
        cost: int = 1,
    ) -> T:
        """Return what `parse` makes of decoded JSON; otherwise as `read`."""
        return await self.read(
            path,
            lambda body, at: parse(_json(body, self._what), at),
            params=params,
            headers=headers,
            secret_params=secret_params,
            fresh_s=fresh_s,
            keyed_by=keyed_by,
            buckets=buckets,
            cost=cost,
        )

    async def read(
        self,
        path: str,
        parse: Callable[[bytes, datetime], T],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        fresh_s: float = 0.0,
        keyed_by: str = "",
        buckets: Sequence[Bucket] = (),
        cost: int = 1,
        in_thread: bool = False,
    ) -> T:
        """Return what `parse` makes of the body of a GET and of the moment at which it was fetched, aware UTC.

        Counts of a kept answer belong to that moment. A body that `parse` refuses is not kept.
        Args: path: below the base address, or a whole address that begins with it; secret_params: credentials that
        go into the address, kept out of keys and texts; fresh_s: seconds for which an earlier answer does;
        keyed_by: whose answer it is, where that depends on the credential (see mark_of);
        buckets: quotas that this request spends `cost` of, beside those of the platform; in_thread: parse beside the
        event loop, for what takes long.
        Raises: RateLimited (also while the platform is left alone), Retry, Reject.
        """
        url = path if path.startswith(self.base_url) else f"{self.base_url}{path}"
        whole = [*(params.items() if isinstance(params, Mapping) else params or ()), *(secret_params or {}).items()]

        async def send(etag: str | None) -> Response:
            asked = {**(headers or {}), **({"If-None-Match": etag} if etag else {})}
            return await self._send("GET", url, params=whole, headers=asked, buckets=buckets, cost=cost)

        key = _key(self._name, url, params, keyed_by)
        return await self._remembered(key, parse, send, fresh_s=fresh_s, in_thread=in_thread)

    async def read_post(
        self,
        path: str,
        parse: Callable[[Any, datetime], T],
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        fresh_s: float = 0.0,
        keyed_by: str = "",
        buckets: Sequence[Bucket] = (),
        cost: int = 1,
    ) -> T:
        """Return what `parse` makes of the decoded JSON of a POST that only reads; otherwise as `read`."""
        url = f"{self.base_url}{path}"

        async def send(_: str | None) -> Response:
            return await self._send(
                "POST", url, params=params, headers=headers or {}, json=json, buckets=buckets, cost=cost
            )

        key = _key(self._name, url, params, keyed_by, json)
        return await self._remembered(key, lambda body, at: parse(_json(body, self._what), at), send, fresh_s=fresh_s)

    async def _remembered(
        self,
        key: str,
        parse: Callable[[bytes, datetime], T],
        send: Callable[[str | None], Awaitable[Response]],
        *,
        fresh_s: float,
        in_thread: bool = False,
    ) -> T:
        """Return what `parse` makes of a kept answer, else of what `send` gives, which takes the kept one's ETag."""
        cache, clock = self._means.cache, self._means.clock
        kept = await cache.get(key) if fresh_s else None
        if kept is not None and kept.fresh_until > clock.now():
            return await _parsed(parse, kept.body, kept.fetched_at, in_thread=in_thread)
        answer = await send(kept.etag if kept is not None else None)
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

    async def post(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Body | None = None,
        buckets: Sequence[Bucket] = (),
        cost: int = 1,
    ) -> Any:
        """Return the decoded JSON of a POST that only reads: a search, a token. Errors: those of `get`."""
        answer = await self._send(
            "POST",
            f"{self.base_url}{path}",
            params=params,
            headers=headers or {},
            json=json,
            data=data,
            buckets=buckets,
            cost=cost,
        )
        return _json(answer.body, self._what)

    async def _send(
        self,
        method: str,
        url: str,
        *,
        params: Params | None,
        headers: Mapping[str, str],
        buckets: Sequence[Bucket],
        cost: int,
        json: Any = None,
        data: Body | None = None,
    ) -> Response:
        quota = self._means.quota
        if (pause := await quota.paused(self._name)) is not None:
            raise RateLimited(f"{self._what} is left alone: {pause.because}", until=pause.until)
        for bucket in (*self._buckets, *buckets):
            await quota.spend(self._name, bucket, cost)
        answer = await self._means.http.request(
            method, url, params=params, headers=headers, json=json, data=data, deadline_s=self._deadline_s
        )
        now = self._means.clock.now()
        try:
            self._raise(answer, now)
        except RateLimited as limited:
            await quota.pause(self._name, Pause(until=limited.until, because=str(limited)))
            raise
        if (until := self._spent(answer, now)) is not None:
            because = "its rate headers say that nothing is left"
            await quota.pause(self._name, Pause(until=until, because=because))
        return answer

    def _raise(self, answer: Response, now: datetime) -> None:
        if answer.status == 304:
            return
        if self._fault is not None and (error := self._fault(answer, now)) is not None:
            raise error
        if answer.status in {429, 503} and retry_after(answer.headers, now=now) is None:
            until = _reset(answer, self._rates, now) if answer.status == 429 else None
            if until is not None or answer.status == 429:
                raise RateLimited(f"{self._what} answered 429: too many requests", until=until or now + BUSY)
        if answer.status in {401, 403}:
            _refuse(answer, self._what, now, self._mend)
        raise_for_status(answer, what=self._what, now=now)

    def _spent(self, answer: Response, now: datetime) -> datetime | None:
        """Return when there is more, if the headers of a good answer say that nothing is left now."""
        if self._rates is None:
            return None
        try:
            left = float(answer.headers.get(self._rates.remaining, "1"))
        except ValueError:
            return None
        return _reset(answer, self._rates, now) if left < 1 else None


def _refuse(answer: Response, what: str, now: datetime, mend: str) -> None:
    try:
        raise_for_status(answer, what=what, now=now)
    except Reject as refused:
        raise Reject(refused.reason, mend=mend) from refused


def _reset(answer: Response, rates: Rates | None, now: datetime) -> datetime | None:
    told = answer.headers.get(rates.reset, "").strip() if rates is not None else ""
    try:
        if rates is None or not told:
            return None
        if rates.as_ == "iso":
            until = datetime.fromisoformat(told)
            until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        elif rates.as_ == "unix":
            until = datetime.fromtimestamp(float(told), UTC)
        else:
            until = now + timedelta(seconds=float(told))
    except (OverflowError, ValueError, OSError):
        return None
    return min(max(until, now + ONCE), now + LONGEST)


async def _parsed(parse: Callable[[bytes, datetime], T], body: bytes, at: datetime, *, in_thread: bool) -> T:
    return await asyncio.to_thread(parse, body, at) if in_thread else parse(body, at)


def _key(name: str, url: str, params: Params | None, keyed_by: str, body: Any = None) -> str:
    pairs = sorted(params.items() if isinstance(params, Mapping) else params or ())
    whole = (name, url, pairs, *((keyed_by, body) if keyed_by or body is not None else ()))
    return hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()


def mark_of(credential: str) -> str:
    """Return what tells one credential's answers from another's, and from which it cannot be had back."""
    return hashlib.sha256(f"whose answers: {credential}".encode()).hexdigest()


@contextmanager
def leaving_out(found: Sized, *, platform: str) -> Iterator[None]:
    """Read one page after another within it: a fault on a later page ends the reading and keeps what was found.

    Raises: Retry, RateLimited as long as there is nothing in `found`.
    """
    try:
        yield
    except (Retry, RateLimited) as error:
        if not found:
            raise
        get_logger().warning("discovery.pages_left_out", platform=platform, found=len(found), because=str(error))


def _json(body: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Retry(f"{what} answered with something that is not JSON") from error


def dig(answer: Any, *path: str, what: str) -> Any:
    """Return what lies at `path` in nested objects. Raises: Retry if the answer has another shape."""
    found = answer
    for key in path:
        if not isinstance(found, dict) or key not in found:
            raise Retry(f"{what} answered in a shape that is not known here: there is no '{'.'.join(path)}'")
        found = found[key]
    return found


def read_each(items: Any, kind: type[T], *, what: str) -> tuple[T, ...]:
    """Read each item as `kind`, numbers in texts included; those that cannot be read are left out and logged.

    Raises: Retry if `items` is no list, or if it has items and none can be read: the platform changed its answers.
    """
    if not isinstance(items, list):
        raise Retry(f"{what} answered in a shape that is not known here: a list was expected")
    read, faults = [], []
    for item in items:
        try:
            read.append(msgspec.convert(item, kind, strict=False))
        except msgspec.ValidationError as error:
            faults.append(str(error))
    if faults:
        get_logger().warning("discovery.items_left_out", what=what, count=len(faults), because=faults[0])
        if not read:
            raise Retry(f"{what} answered {len(faults)} items in a shape that is not known here: {faults[0]}")
    return tuple(read)


def count(told: object) -> int | None:
    """Return a count that is written as a number or as digits; None: anything else, negative numbers included."""
    if isinstance(told, bool):
        return None
    if isinstance(told, int):
        return told if 0 <= told < 2**63 else None
    text = told.strip() if isinstance(told, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def absent(counts: Mapping[str, int | None], because: Mapping[str, str] | str) -> dict[str, str]:
    """Return the reason for each count that is None."""
    named: Iterable[str] = (name for name, value in counts.items() if value is None)
    return {name: because if isinstance(because, str) else because.get(name, "not in the answer") for name in named}
