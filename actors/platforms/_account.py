"""Asking a platform in the name of a connected account: its token, one more try with a fresh one, errors of contracts.

A request is sent once for each token. None is repeated because it failed: the delivery of the event decides about that,
and for a request that may make a post, what the journal says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from actors.platforms._posts import as_dict
from actors.runtime.addresses import NotPublic
from actors.runtime.clock import Clock
from actors.runtime.http import Body, Http, Params, Response, open_http, raise_for_status
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient, SignIn
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.errors import AuthExpired, Reject, Retry
from contracts.ids import AccountId
from contracts.platform import Journal

__all__ = [
    "AccountApi",
    "Denied",
    "Fault",
    "authorised",
    "denied_by_status",
    "none_was_made",
    "open_public",
    "surely_refused",
    "whose",
]

DEADLINE_S: Final = 30.0
_UNSURE: Final = frozenset({408, 409, 425})
"""4xx answers after which the post may still exist: late, doubled or too early."""


class Denied(Struct, frozen=True, kw_only=True):
    """The platform does not accept the token. renewable: a fresh token may do; else a person must connect again."""

    because: str
    renewable: bool = True


Fault = Callable[[Response, datetime], Exception | None]
"""Reads a platform's own error answers; None leaves it to the status."""
Denies = Callable[[Response], Denied | None]
Refuses = Callable[[Response], bool]
Client = OAuthClient | SignIn


def denied_by_status(answer: Response) -> Denied | None:
    """Read a 401, in the platform's own words where it gives any."""
    if answer.status != 401:
        return None
    try:
        raise_for_status(answer, what="the platform", now=datetime.now(UTC))
    except Reject as refused:
        return Denied(because=refused.reason)
    return None


async def none_was_made(journal: Journal) -> None:
    """Note what the platform says for certain: no request made the post, and none will."""
    while journal.may_exist:
        await journal.refused()


def surely_refused(answer: Response) -> bool:
    """Say whether the answer to a request that makes a post says for certain that it made none."""
    return 400 <= answer.status < 500 and answer.status not in _UNSURE


async def authorised(
    tokens: Tokens,
    account: AccountId,
    client: Client,
    send: Callable[[str], Awaitable[Response]],
    *,
    denied: Denies = denied_by_status,
    commits: Journal | None = None,
    refuses: Refuses = surely_refused,
) -> Response:
    """Send with the account's token, and where that is denied once more with a fresh one.

    Args: send: sends the request with a token, with a new body each time; denied: reads a denial; commits: the
    journal, where the request may make the post: it is told before each try, and at once if the answer says for
    certain that this try made none, as a denial does; refuses: reads that in answers that are no denial.
    Raises: AuthExpired (the account is marked: a person must connect it again), and what `send` raises.
    """

    async def attempt(token: str) -> tuple[Response, Denied | None]:
        if commits is not None:
            await commits.committing()
        answer = await send(token)
        found = denied(answer)
        if commits is not None and (found is not None or refuses(answer)):
            await commits.refused()
        return answer, found

    token = await tokens.access_token(account, client)
    answer, found = await attempt(token)
    if found is not None and found.renewable:
        await tokens.refused(account, token)
        token = await tokens.access_token(account, client)
        answer, found = await attempt(token)
    if found is not None:
        await tokens.lost(account, token, found.because)
        raise AuthExpired(account, found.because)
    return answer


@asynccontextmanager
async def open_public(settings: Settings, clock: Clock) -> AsyncIterator[Http]:
    """Give a client for servers that people name: it connects to public addresses, and to what the settings name.

    Raises: Retry where a name leads inside this network: it did not when the account was connected.
    """
    try:
        async with open_http(settings, clock, only_public=True) as http:
            yield http
    except NotPublic as inner:
        raise Retry(f"{inner.reason.partition(',')[0]}, so nothing is sent there") from inner


async def whose(
    http: Http,
    url: str,
    token: str,
    *,
    what: str,
    fault: Fault,
    now: datetime,
    params: Params | None = None,
) -> dict[str, Any]:
    """Return what a platform tells of the account that a token opens, of a token that is not kept yet.

    Raises: what `fault` reads, Reject, RateLimited, Retry.
    """
    answer = await http.request("GET", url, params=params, headers={"Authorization": f"Bearer {token}"})
    if (error := fault(answer, now)) is not None:
        raise error
    raise_for_status(answer, what=f"{what}, asked whose account it is,", now=now)
    return as_dict(answer.json())


class AccountApi:
    """One platform's API for the accounts of one adapter.

    Args: name: of the adapter; base: the address used where settings do not replace it; what: the platform in words;
    client: the adapter's OAUTH or SIGN_IN; fault: reads the platform's error answers, of any status;
    denied: reads the answer to a token that is not accepted; refuses: reads that no post was made; header: writes the
    token into the headers; named: the account's server is one that a person named, so that it must be a public one.
    """

    def __init__(
        self,
        means: Means,
        *,
        name: str,
        base: str,
        what: str,
        client: Client,
        fault: Fault | None = None,
        denied: Denies = denied_by_status,
        refuses: Refuses = surely_refused,
        header: Callable[[str], dict[str, str]] = lambda token: {"Authorization": f"Bearer {token}"},
        deadline_s: float = DEADLINE_S,
        named: bool = False,
    ) -> None:
        self.base_url = means.settings.api_url(name, base)
        self._means = means
        self._what = what
        self._client = client
        self._fault = fault
        self._denied = denied
        self._refuses = refuses
        self._header = header
        self._deadline_s = deadline_s
        self._named = named

    async def get(
        self,
        account: AccountId,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the object that a GET answers. Raises: Retry, RateLimited, Reject, AuthExpired."""
        answer = await self.send(account, "GET", path, params=params, headers=headers)
        self.check(answer)
        return self.read(answer)

    async def post(
        self,
        account: AccountId,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Body | None = None,
        commits: Journal | None = None,
    ) -> dict[str, Any]:
        """Return the object that a POST answers; an empty answer is an empty object.

        Args: commits: the journal, where this request may make the post, see `send`.
        Raises: Retry, RateLimited, Reject, AuthExpired.
        """
        answer = await self.send(
            account, "POST", path, params=params, headers=headers, json=json, data=data, commits=commits
        )
        self.check(answer)
        return self.read(answer) if answer.body else {}

    async def send(
        self,
        account: AccountId,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Body | Callable[[], Body] | None = None,
        deadline_s: float | None = None,
        commits: Journal | None = None,
    ) -> Response:
        """Send a request and return its answer, whatever its status; a denied token is seen to.

        Args: path: below the base address, or a whole address; data: a stream is given as a maker of streams, since a
        second try needs a new one; commits: the journal, where this request may make the post, see `authorised`.
        Raises: AuthExpired, Retry, Reject.
        """
        url = path if path.startswith(("https://", "http://")) else f"{self.base_url}{path}"

        async def once(token: str) -> Response:
            async with self._http() as http:
                return await http.request(
                    method,
                    url,
                    params=params,
                    headers={**(headers or {}), **self._header(token)},
                    json=json,
                    data=data() if callable(data) else data,
                    deadline_s=deadline_s or self._deadline_s,
                )

        return await authorised(
            self._means.tokens,
            account,
            self._client,
            once,
            denied=self._denied,
            commits=commits,
            refuses=self._refuses,
        )

    def _http(self) -> AbstractAsyncContextManager[Http]:
        means = self._means
        return open_public(means.settings, means.clock) if self._named else nullcontext(means.http)

    def check(self, answer: Response) -> None:
        """Raise what an answer means if it is no success: RateLimited, Retry, Reject."""
        now = self._means.clock.now()
        if self._fault is not None and (error := self._fault(answer, now)) is not None:
            raise error
        raise_for_status(answer, what=self._what, now=now)

    def read(self, answer: Response) -> dict[str, Any]:
        """Return the object in an answer. Raises: Retry if there is none."""
        found = answer.json()
        if not isinstance(found, dict):
            raise Retry(f"{self._what} answered in a shape that is not known here: an object was expected")
        return found
