"""Live events for browsers: one subscription to the bus, many server-sent event streams.

Source: HTML Living Standard, section 9.2 "Server-sent events" (read 2026-11).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import web
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from actors.runtime.log import get_logger
from actors.runtime.telemetry import count
from contracts.codec import EVENTS, SUBJECT_PREFIX
from gateway.web import Problem

__all__ = ["Hub", "Sent", "Viewer"]

KEPT: Final = 256
KEPT_BYTES: Final = 4 * 1024 * 1024
VIEWERS: Final = 200
HEARTBEAT_S: Final = 15.0
WRITE_TIMEOUT_S: Final = 10.0
RETRY_MS: Final = 2000


class Sent(Struct, frozen=True, kw_only=True):
    """One event as it was seen on the bus. number: counted by this gateway, from 1."""

    number: int
    type: str
    data: bytes


class Viewer:
    """A stream's queue. Whoever does not keep up is let go: the browser comes back and resumes."""

    def __init__(self) -> None:
        self._queue: deque[Sent] = deque()
        self._size_bytes = 0
        self._wake = asyncio.Event()
        self.gone = False

    def put(self, sent: Sent) -> None:
        if len(self._queue) >= KEPT or self._size_bytes + len(sent.data) > KEPT_BYTES:
            self.leave()
            return
        self._queue.append(sent)
        self._size_bytes += len(sent.data)
        self._wake.set()

    def leave(self) -> None:
        self.gone = True
        self._wake.set()

    async def get(self) -> Sent | None:
        """Return the next event; None: it is time for a heartbeat, or the stream is over (`gone`)."""
        if not self._queue and not self.gone:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
        self._wake.clear()
        if self.gone or not self._queue:
            return None
        sent = self._queue.popleft()
        self._size_bytes -= len(sent.data)
        return sent


class Hub:
    """Hands every event of the bus to every viewer, and keeps the last ones for those who come back."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(4)
        self.viewers: set[Viewer] = set()
        self._recent: deque[Sent] = deque()
        self._recent_bytes = 0
        self._number = 0

    @asynccontextmanager
    async def listening(self, client: Client) -> AsyncIterator[None]:
        """Listen to all events of the flow while the body runs."""

        async def seen(message: Msg) -> None:
            self.see(message.subject, message.data)

        subscription = await client.subscribe(f"{SUBJECT_PREFIX}>", cb=seen)
        try:
            yield
        finally:
            self.close()
            if client.is_connected:
                await subscription.unsubscribe()

    def see(self, subject: str, data: bytes) -> None:
        """Take one message from the bus. What is no event of the flow is not shown."""
        name = subject.removeprefix(SUBJECT_PREFIX)
        if name not in EVENTS or b"\n" in data or b"\r" in data or len(data) > KEPT_BYTES:
            return
        self._number += 1
        sent = Sent(number=self._number, type=name, data=data)
        self._recent.append(sent)
        self._recent_bytes += len(data)
        while len(self._recent) > KEPT or self._recent_bytes > KEPT_BYTES:
            self._recent_bytes -= len(self._recent.popleft().data)
        for viewer in tuple(self.viewers):
            viewer.put(sent)
            if viewer.gone:
                self._drop(viewer)

    def close(self) -> None:
        for viewer in tuple(self.viewers):
            viewer.leave()

    def join(self, last_event_id: str) -> Viewer:
        """Add a viewer; with the id of the last event it got, begin after that one. Raises: Problem 503."""
        if len(self.viewers) >= VIEWERS:
            raise Problem(503, "Too many pages are watching", mend=f"At most {VIEWERS} streams are served at once.")
        viewer = Viewer()
        boot, _, number = last_event_id.partition("-")
        if boot == self.boot and number.isascii() and number.isdecimal():
            for sent in self._recent:
                if sent.number > int(number):
                    viewer.put(sent)
        viewer.gone = False
        self.viewers.add(viewer)
        return viewer

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /api/v1/events."""
        viewer = self.join(request.headers.get("Last-Event-ID", ""))
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        try:
            await response.prepare(request)
            await self._write(response, f"retry: {RETRY_MS}\n\n".encode())
            while not viewer.gone:
                sent = await viewer.get()
                if sent is not None:
                    head = f"id: {self.boot}-{sent.number}\nevent: {sent.type}\ndata: ".encode()
                    await self._write(response, head + sent.data + b"\n\n")
                elif not viewer.gone:
                    await self._write(response, b": still here\n\n")
        except (ConnectionResetError, TimeoutError):
            pass
        finally:
            self.viewers.discard(viewer)
        return response

    def _drop(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        count("live.dropped")
        get_logger().info("live.dropped", viewers=len(self.viewers))

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(data)
