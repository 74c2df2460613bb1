"""Meta's APIs in the name of a connected account: its token, its limits, and requests after which a post may exist.

Docs: developers.facebook.com/docs/graph-api/guides/error-handling and .../overview/rate-limiting, read 2026-11-23.
No token of these APIs can be renewed once it is refused, so a refusal is final. An account whose usage headers say
that all is used is left alone until the moment that they name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from actors.platforms._account import AccountApi, Denied, surely_refused
from actors.platforms._meta.graph import GraphRefused, fault_in, fault_of, is_limit, next_cursor, used_up
from actors.runtime.http import Body, Params, Response, retry_after
from actors.runtime.means import Means
from actors.runtime.oauth import OAuthClient
from actors.runtime.quota import Pause
from contracts.errors import RateLimited, Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, Journal, Limits, Standing

__all__ = ["GraphAccount", "check_public", "check_words", "denied_of", "own_id", "truth"]

HOUR: Final = timedelta(hours=1)
MOST_PAGES: Final = 4


def own_id(account: AccountId) -> str:
    """Return the platform's own number of an account."""
    return account.partition(":")[2]


def denied_of(answer: Response) -> Denied | None:
    """Read the refusal of a token: an error of that kind, or a bare 401."""
    fault = fault_in(answer)
    if fault is not None and fault.meaning.kind != "token":
        return None
    if fault is None:
        return Denied(because="Meta refuses the token (HTTP 401)", renewable=False) if answer.status == 401 else None
    says = fault.meaning.says or "the token is refused"
    return Denied(because=f"{says} (Meta: {fault.told or fault.code})", renewable=False)


def made_none(answer: Response) -> bool:
    """Say whether an answer says for certain that no post was made: passing faults are answered with 400 as well."""
    fault = fault_in(answer)
    return fault is not None and surely_refused(answer) and fault.meaning.kind != "retry"


class GraphAccount(AccountApi):
    """One of Meta's APIs for the accounts of one adapter.

    Args: scheme: how the token is named in the header.
    """

    def __init__(
        self,
        means: Means,
        *,
        name: str,
        base: str,
        what: str,
        client: OAuthClient,
        scheme: str = "Bearer",
    ) -> None:
        permission = " and ".join(client.scopes)

        def fault(answer: Response, now: datetime) -> Exception | None:
            return fault_of(answer, now, what=what, permission=permission)

        super().__init__(
            means,
            name=name,
            base=base,
            what=what,
            client=client,
            fault=fault,
            denied=denied_of,
            refuses=made_none,
            header=lambda token: {"Authorization": f"{scheme} {token}"},
        )

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
        """Send as AccountApi does. Raises also: RateLimited while the account is left alone."""
        quota, clock = self._means.quota, self._means.clock
        if (pause := await quota.paused(account)) is not None:
            raise RateLimited(f"{self._what} is left alone for this account: {pause.because}", until=pause.until)
        answer = await super().send(
            account,
            method,
            path,
            params=params,
            headers=headers,
            json=json,
            data=data,
            deadline_s=deadline_s,
            commits=commits,
        )
        now = clock.now()
        until = used_up(answer, now)
        if until is None and is_limit(answer):
            until = retry_after(answer.headers, now=now) or now + HOUR
        if until is not None:
            await quota.pause(account, Pause(until=until, because="its usage says that nothing is left"))
        return answer

    async def commit(self, account: AccountId, path: str, form: dict[str, str], journal: Journal) -> dict[str, Any]:
        """Send the one request that may make the post, and return its answer.

        Raises: Retry, RateLimited, Reject, AuthExpired, Unconfirmed (an earlier request may have made it).
        """
        again = journal.may_exist
        answer = await self.send(account, "POST", path, data=form, commits=journal)
        fault = fault_in(answer)
        if again and fault is not None and made_none(answer) and fault.meaning.kind != "wait":
            raise Unconfirmed(f"{self._what} refuses to publish it again ({fault.told or fault.code})")
        self.check(answer)
        return self.read(answer)

    async def pages(
        self, account: AccountId, path: str, params: Mapping[str, str], *, most_pages: int = MOST_PAGES
    ) -> list[Any]:
        """Return the `data` of one page after another. Raises: as `get`."""
        found: list[Any] = []
        after = ""
        for _ in range(most_pages):
            answer = await self.get(account, path, params={**params, **({"after": after} if after else {})})
            data = answer.get("data")
            if not isinstance(data, list):
                raise Retry(f"{self._what} answered in a shape that is not known here: there is no 'data'")
            found += data
            following = next_cursor(answer)
            if not following or following == after:
                break
            after = following
        return found

    async def each(
        self,
        account: AccountId,
        ids: tuple[str, ...],
        read: Callable[[str], Awaitable[Any]],
    ) -> dict[str, Any]:
        """Return what `read` gives of each object, without those that are gone.

        An account that lost a permission is shown no object either; so what is gone is believed only while the
        account itself can be read. Raises: as `get`.
        """
        found: dict[str, Any] = {}
        sure = False
        for one in ids:
            try:
                found[one] = await read(one)
            except GraphRefused as refused:
                if not refused.gone:
                    raise
                if not sure:
                    await self.get(account, f"/{own_id(account)}", params={"fields": "id"})
                    sure = True
        return found

    async def standings(
        self, account: AccountId, ids: tuple[str, ...], read: Callable[[str], Awaitable[Standing]]
    ) -> dict[str, Standing]:
        """Return how each object stands; one that is gone is `removed`. Raises: as `get`."""
        found = await self.each(account, ids, read)
        removed = Standing(state="removed", because=f"{self._what} no longer shows it to its own account")
        return {one: found.get(one, removed) for one in ids}


def check_words(draft: Draft, limits: Limits, *, what: str, most_mentions: int | None = None) -> None:
    """Check the words of a draft before anything is opened. Raises: Reject, naming the first fault and its mend."""
    words = draft.caption
    if limits.caption is not None and len(words) > limits.caption:
        raise Reject(f"the words have {len(words)} characters", mend=f"{what} takes {limits.caption}")
    tags = sum(1 for word in words.split() if word.startswith("#") and len(word) > 1)
    if limits.max_hashtags is not None and tags > limits.max_hashtags:
        raise Reject(f"the words have {tags} hashtags", mend=f"{what} takes {limits.max_hashtags}")
    mentions = sum(1 for word in words.split() if word.startswith("@") and len(word) > 1)
    if most_mentions is not None and mentions > most_mentions:
        raise Reject(f"the words have {mentions} mentions", mend=f"{what} takes {most_mentions}")


def check_public(draft: Draft, limits: Limits, *, size_bytes: int, noun: str, what: str) -> None:
    """Check that a post may be seen by everybody, and that the file fits. Raises: Reject."""
    if draft.privacy != "public":
        raise Reject(f"a {noun} cannot be {draft.privacy}", mend=f"Choose public: {what} knows nothing else")
    if not 0 < size_bytes <= (limits.max_bytes or 0):
        raise Reject(f"the file has {size_bytes} bytes", mend=f"{what} takes 1 to {limits.max_bytes}")


def truth(draft: Draft, option: str) -> str | None:
    """Return an option of a draft as Meta writes truth; None: it is not given. Raises: Reject."""
    told = draft.options.get(option)
    if told is None:
        return None
    if told.lower() not in {"true", "false"}:
        raise Reject(f"the option {option} is '{told}'", mend="Write true or false")
    return told.lower()
