"""The relay: publishes what committed transactions left in the outbox, oldest first, at least once.

LISTEN/NOTIFY wakes it, a sweep catches what a notification missed. `Nats-Msg-Id` makes the stream drop
repeats inside its duplicate window; beyond that the inbox does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from actors.runtime.clock import Clock
from actors.runtime.db import DRIVER_ERRORS, Database, Record
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Q
from actors.runtime.log import get_logger
from contracts.flow import STREAM

__all__ = ["Relay"]

BATCH: Final = 256
SWEEP_S: Final = 5.0
PUBLISH_TIMEOUT_S: Final = 5.0
KEEP_PUBLISHED: Final = timedelta(days=7)
PRUNE_EVERY_S: Final = 3600.0


class Relay:
    """Publishes the outbox of one sender."""

    def __init__(self, db: Database, js: JetStreamContext, *, sender: str, clock: Clock) -> None:
        self._db = db
        self._js = js
        self._sender = sender
        self._clock = clock
        self._wake = asyncio.Event()
        self._log = get_logger()

    async def run(self) -> None:
        """Run until cancelled; outages are waited out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_for_ever(), name="relay")
            group.create_task(self._listen_for_ever(), name="relay listener")
            group.create_task(self._prune_for_ever(), name="relay pruning")

    async def publish_waiting(self) -> int:
        """Publish one batch; return how many events it held."""
        async with self._db.transaction() as conn:
            rows = await conn.fetch(Q["claim_outbox"], self._sender, BATCH)
            if not rows:
                return 0
            ends = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
            reach(f"{self._sender}.relayed")
            sent = [row["id"] for row, end in zip(rows, ends, strict=True) if not isinstance(end, BaseException)]
            await conn.execute(Q["mark_published"], sent)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(rows)

    async def _publish(self, row: Record) -> None:
        await self._js.publish(
            row["subject"],
            row["payload"],
            timeout=PUBLISH_TIMEOUT_S,
            stream=STREAM.name,
            headers={"Nats-Msg-Id": row["message_id"]},
        )

    async def _publish_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self.publish_waiting() == BATCH:
                    pass
            except (NatsError, *DRIVER_ERRORS) as error:
                self._log.warning("relay.delayed", error=repr(error))
                await self._clock.sleep(1.0)
                continue
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _listen_for_ever(self) -> None:
        wake = _setter(self._wake)
        while True:
            gone = asyncio.Event()
            lost = _setter(gone)
            try:
                async with self._db.pool.acquire() as conn:
                    conn.add_termination_listener(lost)
                    await conn.add_listener(f"outbox_{self._sender}", wake)
                    self._wake.set()
                    try:
                        await gone.wait()
                    finally:
                        # An error here must not take the place of a cancellation.
                        with suppress(*DRIVER_ERRORS):
                            conn.remove_termination_listener(lost)
                            await conn.remove_listener(f"outbox_{self._sender}", wake)
            except DRIVER_ERRORS as error:
                self._log.warning("relay.not_listening", error=repr(error))
            await self._clock.sleep(1.0)

    async def _prune_for_ever(self) -> None:
        while True:
            try:
                await self._db.execute(Q["prune_outbox"], self._sender, KEEP_PUBLISHED)
                await self._db.execute(Q["prune_inbox"], timedelta(seconds=STREAM.max_age_s + 86_400))
            except DRIVER_ERRORS as error:
                self._log.warning("relay.not_pruned", error=repr(error))
            await self._clock.sleep(PRUNE_EVERY_S)


def _setter(event: asyncio.Event) -> Callable[..., None]:
    def set_it(*_: object) -> None:
        event.set()

    return set_it
