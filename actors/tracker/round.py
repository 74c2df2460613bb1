"""A round: what a platform is asked of an account's posts, some at a time, by one replica.

A transaction-level lock per account keeps replicas apart while the platform is asked; it goes with the connection of a
worker that dies. A platform that is away, asks for patience, cannot tell or has lost its permission ends the round:
what was due is put off. What fails for one account does not hold up the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from actors.runtime.db import into, is_unavailable
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.tracker.handle import Q
from contracts.errors import EttamettaError
from contracts.ids import AccountId

__all__ = ["BATCH", "Round", "make_round"]

BATCH: Final = 50
"""Posts of one asking: what platforms take in one request."""


class _Posted(Protocol):
    @property
    def platform_post_id(self) -> str: ...


P = TypeVar("P", bound=_Posted)
A = TypeVar("A")


class Round(Struct, Generic[P, A], frozen=True, kw_only=True):
    """One kind of round.

    hold, due: the queries that take the account's lock and its due posts, which become `kind`.
    ask: as adapters have it, answers by the post's id there; put_off: told what was due, the time and the error;
    store: told what was due and the answers.
    """

    hold: str
    due: str
    kind: type[P]
    ask: Callable[[AccountId, tuple[str, ...]], Awaitable[Mapping[str, A]]]
    put_off: Callable[[Sequence[P], datetime, Exception], Awaitable[None]]
    store: Callable[[Sequence[P], Mapping[str, A]], Awaitable[None]]


async def make_round(services: Services, account: AccountId, what: Round[P, A]) -> None:
    """Ask until nothing is due any more, another replica has the account, or the platform is away.

    A fault of the program is logged, and comes again with the next round.
    """
    try:
        while await _ask_some(services, account, what):
            pass
    except Exception as error:
        if is_unavailable(error):
            raise
        get_logger().exception("round.failed", account_id=account, asked=what.due)


async def _ask_some(services: Services, account: AccountId, what: Round[P, A]) -> bool:
    """Ask about up to one request's worth of posts; return whether more may be due."""
    async with services.db.transaction() as lock:
        if not await lock.fetchval(Q[what.hold], account):
            return False
        now = services.clock.now()
        due = [into(what.kind, row) for row in await lock.fetch(Q[what.due], account, now, BATCH)]
        if not due:
            return False
        try:
            found = await what.ask(account, tuple(post.platform_post_id for post in due))
        except EttamettaError as error:
            await what.put_off(due, now, error)
            return False
        await what.store(due, found)
        return len(due) == BATCH
