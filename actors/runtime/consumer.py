"""Takes messages of a durable JetStream consumer as they come, never more than can be worked on at once.

The client's own `fetch` answers only when a pull is full or its time is up, so a large pull is late and a small one
slow. This keeps one pull open for exactly the free places: a message starts to be worked on the moment it arrives,
and none waits in this process, where no heartbeat would cover it.
Source: JetStream wire API, $JS.API.CONSUMER.MSG.NEXT and its status messages (docs.nats.io, read 2026-11-22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from actors.runtime.log import get_logger
from contracts.flow import STREAM, Consumer

__all__ = ["PullConsumer"]

EXPIRES_S: Final = 30.0
GRACE_S: Final = 5.0
PAUSE_S: Final = 0.5
ENDED: Final = frozenset({"404", "408"})
"""A pull that ended as it should: no messages, or its time is up."""


class PullConsumer:
    """One replica's part of a durable consumer. `take` is awaited once per message and answers it.

    places: messages worked on at once; None: the consumer's batch.
    """

    def __init__(
        self, client: Client, consumer: Consumer, take: Callable[[Msg], Awaitable[None]], *, places: int | None = None
    ) -> None:
        self.in_hand: dict[int, Msg] = {}
        self._client = client
        self._take = take
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM.name}.{consumer.name}"
        self._places = places or consumer.batch
        self._open = 0
        self._open_until = 0.0
        self._pause_until = 0.0
        self._changed = asyncio.Event()
        self._renew = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger().bind(consumer=consumer.name)

    async def run(self) -> None:
        """Take messages until cancelled; those in hand are finished by `drain`."""
        while True:
            self._open = 0
            self._renew.clear()
            inbox = self._client.new_inbox()
            subscription = await self._client.subscribe(inbox, cb=self._arrived)
            try:
                await self._keep_pulling(inbox)
            finally:
                with suppress(NatsError, OSError):
                    await subscription.unsubscribe()

    async def drain(self, *, deadline_s: float) -> None:
        """Wait for the messages in hand. What is not done then comes again to another."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def heartbeat(self) -> None:
        """Tell the server that every message in hand is still being worked on."""
        for message in tuple(self.in_hand.values()):
            with suppress(NatsError, OSError):
                await message.in_progress()

    def pull_anew(self) -> None:
        """Pull through a new inbox: after a reconnect nobody can tell whether the server still holds the open pull."""
        self._renew.set()
        self._changed.set()

    async def _keep_pulling(self, inbox: str) -> None:
        loop = asyncio.get_running_loop()
        while not self._renew.is_set():
            self._changed.clear()
            now = loop.time()
            if self._open and now >= self._open_until:
                self._open = 0
            free = self._places - len(self._tasks) - self._open
            # A pull for each freed place would cost a request per message.
            wanted = free > self._places // 4
            may = wanted and now >= self._pause_until and self._client.is_connected
            if may and await self._pull(inbox, free):
                self._open += free
                self._open_until = loop.time() + EXPIRES_S + GRACE_S
                wanted = False
            if wanted:
                wake_at = max(self._pause_until, now + PAUSE_S)
            else:
                wake_at = self._open_until if self._open else now + EXPIRES_S
            with suppress(TimeoutError):
                async with asyncio.timeout_at(max(wake_at, now + 0.01)):
                    await self._changed.wait()

    async def _pull(self, inbox: str, count: int) -> bool:
        request = msgspec.json.encode({"batch": count, "expires": int(EXPIRES_S * 1e9)})
        try:
            await self._client.publish(self._subject, request, reply=inbox)
        except (NatsError, OSError) as error:
            self._log.warning("consumer.not_pulled", error=repr(error))
            self._pause_until = asyncio.get_running_loop().time() + PAUSE_S
            return False
        return True

    async def _arrived(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status") if not message.data else None
        if status is None:
            self._open = max(self._open - 1, 0)
            task = asyncio.create_task(self._work(message))
            self._tasks.add(task)
            task.add_done_callback(self._finished)
            return
        if status == "100":
            return
        # Pulls overlap: the one that ended says how many of its places were not used.
        self._open = max(self._open - int(headers.get("Nats-Pending-Messages", self._open)), 0)
        if status not in ENDED:
            self._log.warning("consumer.refused", status=status, because=headers.get("Description", ""))
            self._pause_until = asyncio.get_running_loop().time() + PAUSE_S
        self._changed.set()

    async def _work(self, message: Msg) -> None:
        self.in_hand[id(message)] = message
        try:
            await self._take(message)
        except Exception:  # noqa: BLE001 - without an answer the message comes again
            self._log.exception("message.not_answered")
        finally:
            del self.in_hand[id(message)]

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._places - len(self._tasks) - self._open > self._places // 4:
            self._changed.set()
