"""Events that wait at the same time are handled in one transaction, where that costs less than one for each.

Who comes first does not wait for others: what arrives while a group is worked on is the next group. A group commits
together or not at all; if it fails, each of its members is tried alone, so that one cannot hold up the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from actors.runtime.db import is_unavailable
from actors.runtime.ledger import Tx
from actors.runtime.log import get_logger
from actors.runtime.work import Services, Work

__all__ = ["Gathering", "Together", "commit_together"]

Many = Callable[[Sequence[Work[Any]], Services], Awaitable[None]]


class Together(Struct, frozen=True, kw_only=True):
    """A handler of several events at once; of one, where it is called as any handler is.

    check: raises what is wrong with one event, before it joins others.
    """

    many: Many
    check: Callable[[Work[Any]], None]

    async def __call__(self, work: Work[Any], services: Services) -> None:
        self.check(work)
        await self.many([work], services)


class Gathering:
    """One replica's turns of such a handler; called for each event, as any handler is."""

    def __init__(self, handler: Together) -> None:
        self._handler = handler
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Work[Any], asyncio.Future[None]]] = []

    async def __call__(self, work: Work[Any], services: Services) -> None:
        self._handler.check(work)
        one = (work, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        try:
            async with self._turn:
                if not one[1].done():
                    await self._work_on_all(services)
        except asyncio.CancelledError:
            if one in self._waiting:
                self._waiting.remove(one)
            one[1].cancel()
            raise
        one[1].result()

    async def _work_on_all(self, services: Services) -> None:
        group, self._waiting = self._waiting, []
        try:
            try:
                await self._handler.many([work for work, _ in group], services)
            except Exception as error:  # noqa: BLE001 - told to each, or each is tried alone
                if len(group) == 1 or is_unavailable(error):
                    _settle(group, error)
                    return
                get_logger().info("group.parted", members=len(group), error=repr(error))
            else:
                _settle(group, None)
                return
            for one in group:
                if not one[1].done():
                    await self._work_on(one, services)
        except asyncio.CancelledError:
            # Who leads is stopped: the others go on without it.
            self._waiting = [one for one in group if not one[1].done()] + self._waiting
            raise

    async def _work_on(self, one: tuple[Work[Any], asyncio.Future[None]], services: Services) -> None:
        try:
            await self._handler.many([one[0]], services)
        except Exception as error:  # noqa: BLE001 - told to whom it belongs
            _settle([one], error)
        else:
            _settle([one], None)


def _settle(group: Sequence[tuple[Work[Any], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in group:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)


@asynccontextmanager
async def commit_together(works: Sequence[Work[Any]]) -> AsyncIterator[list[tuple[Work[Any], Tx]]]:
    """Open the one transaction that finishes all these events of one consumer; give those not finished before."""
    first = works[0]
    by_id = {work.event.event_id: work for work in works}
    redelivered = [work.event.event_id for work in by_id.values() if work.redelivered]
    async with first.services.ledger.commit_many(
        first.consumer, [work.event for work in by_id.values()], redelivered=redelivered
    ) as open_ones:
        found = [(by_id[event_id], tx) for event_id, tx in open_ones.items()]
        yield found
    for work, tx in found:
        work.committed = True
        work.outgoing = [str(event.__struct_config__.tag) for event in tx.outgoing]
