"""What a handler is given: the event it works on, and the services of its process."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from actors.runtime.cache import SharedCache
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import Http
from actors.runtime.ledger import Lease, Ledger, Tx
from actors.runtime.log import get_logger
from actors.runtime.means import Means
from actors.runtime.objects import Objects
from actors.runtime.pace import Pace
from actors.runtime.quota import SharedQuota
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.codec import encode, follow, subject_of
from contracts.events import Event
from contracts.ids import CorrelationId, EventId

__all__ = ["Announce", "Handler", "Services", "Work", "clear_scratch"]

LOG: Final = get_logger()

HELD: Final = "held-"
"""Begins the names of folders that their owner holds a lock on."""
SCRATCH_KEPT_S: Final = 86_400.0

E = TypeVar("E", bound=Event)

Announce = Callable[[str, bytes], Awaitable[None]]
"""Publish bytes on a subject, without any promise."""


def clear_scratch(parent: Path) -> None:
    """Remove what killed processes left behind: held folders whose lock is free, anything else once it is a day old."""
    for left in parent.glob("*"):
        with suppress(OSError):  # it is in use, or another process clears too
            if not left.name.startswith(HELD):
                if time.time() - left.stat().st_mtime > SCRATCH_KEPT_S:
                    shutil.rmtree(left)
                continue
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(lock)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything outside that a process of one actor uses."""

    actor: str
    settings: Settings
    clock: Clock
    db: Database
    ledger: Ledger
    objects: Objects
    http: Http
    tokens: Tokens
    announce: Announce

    @property
    def means(self) -> Means:
        """What an adapter works with; quota and cache are shared by all replicas."""
        return Means(
            http=self.http,
            settings=self.settings,
            tokens=self.tokens,
            clock=self.clock,
            quota=SharedQuota(self.db, self.clock),
            cache=SharedCache(self.db, self.clock),
            pace=self.pace,
        )

    @cached_property
    def pace(self) -> Pace:
        """How fast all uploads of this process may go together."""
        return Pace(self.settings.upload_bytes_per_s, self.clock)

    def unit(
        self, *, seed: str, correlation_id: CorrelationId, causation_id: EventId | None
    ) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction with events outside a handler, as timers need. The same seed gives the same event ids."""
        return self.ledger.unit(seed=seed, correlation_id=correlation_id, causation_id=causation_id)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder for temporary files; it is gone afterwards, or `clear_scratch` finds it."""
        parent = self.settings.data_dir / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f"{HELD}{self.actor}-", dir=parent))
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                break
            os.close(lock)  # it was cleared before it was locked
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


@dataclass(kw_only=True)
class Work(Generic[E]):
    """One delivery of one event to one consumer."""

    event: E
    consumer: str
    services: Services
    redelivered: bool
    committed: bool = False
    outgoing: list[str] = field(default_factory=list)
    _leases: list[Lease] = field(default_factory=list)

    @property
    def log(self) -> FilteringBoundLogger:
        """The logger; consumer, event id and correlation id are bound to everything logged meanwhile."""
        return LOG

    @property
    def now(self) -> datetime:
        return self.services.clock.now()

    @asynccontextmanager
    async def commit(self) -> AsyncIterator[Tx]:
        """Open the transaction that finishes this event. Once per delivery."""
        if self.committed:
            raise RuntimeError("a handler commits once")
        async with self.services.ledger.commit(
            self.consumer, self.event, leases=self._leases, redelivered=self.redelivered
        ) as tx:
            yield tx
        self.committed = True
        self.outgoing = [str(event.__struct_config__.tag) for event in tx.outgoing]

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease]:
        """Hold a lease for long work; `commit` inside it fails if it was lost.

        Raises: Snooze while another holds it; LeaseLost.
        """
        async with self.services.ledger.lease(name) as lease:
            self._leases.append(lease)
            try:
                yield lease
            finally:
                self._leases.remove(lease)

    async def announce(self, event: Event) -> None:
        """Publish an event without any promise, such as progress."""
        stamped = follow(event, cause=self.event, name=self.now.isoformat(), at=self.now)
        await self.services.announce(subject_of(stamped), encode(stamped))


Handler = Callable[[Work[Any], Services], Awaitable[None]]
