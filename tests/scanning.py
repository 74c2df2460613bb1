"""The scanner under a clock that is turned by hand, against platforms that count what they are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from actors.runtime import outcome
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import Http, Params, Response
from actors.runtime.ledger import Ledger
from actors.runtime.objects import open_objects
from actors.runtime.settings import load_settings
from actors.runtime.tokens import open_tokens
from actors.runtime.work import Services
from actors.scanner.app import APP
from actors.scanner.schedule import watch_due
from contracts.codec import decode
from contracts.events import ScanCompleted, ScanRequested
from contracts.flow import PARTIES, consumers_of
from tests.channel import HandClock

__all__ = ["PACIFIC", "Scanner", "Sites", "answering", "opened"]

PACIFIC = ZoneInfo("America/Los_Angeles")
NEXT_DUE = "select least((select min(next_at) from niches where not paused), (select min(due_at) from scans_later))"


def answering(body: Any, *, status: int = 200, **headers: str) -> Response:
    """Make an answer of a platform."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(status=status, headers=CIMultiDictProxy(CIMultiDict(headers)), body=raw, url="https://sites.test")


Site = Callable[[str, dict[str, str]], Response]
"""Answer a path with its parameters."""


class Sites(Http):
    """The client that actors use; requests go to functions by host, and are counted by host, path and Pacific day."""

    def __init__(self, clock: Clock, sites: Mapping[str, Site]) -> None:
        super().__init__("tests", clock)
        self.clock = clock
        self.sites = dict(sites)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.asked: list[tuple[datetime, str, dict[str, str]]] = []

    async def request(self, method: str, url: str, *, params: Params | None = None, **_: Any) -> Response:
        assert method == "GET"
        parts = urlsplit(url)
        pairs = list(params.items() if isinstance(params, Mapping) else params or ())
        given = dict([*parse_qsl(parts.query), *pairs])
        now = self.clock.now()
        self.calls[f"{parts.hostname}{parts.path}", now.astimezone(PACIFIC).date().isoformat()] += 1
        self.asked.append((now, f"{parts.hostname}{parts.path}", given))
        return self.sites[parts.hostname or ""](parts.path, given)

    def count(self, place: str) -> int:
        return sum(count for (asked, _), count in self.calls.items() if asked == place)


class _Message:
    def __init__(self, data: bytes, delivery: int, at: datetime) -> None:
        self.data = data
        self.metadata = SimpleNamespace(num_delivered=delivery, timestamp=at, sequence=SimpleNamespace(stream=1))
        self.answered = ""
        self.delay_s = 0.0

    async def ack(self) -> None:
        self.answered = "ack"

    async def nak(self, delay: float | None = None) -> None:
        self.answered, self.delay_s = "nak", delay or 0.0

    async def term(self) -> None:
        self.answered = "term"


class Scanner:
    """The scanner's own code: its tickers, its handler through the real outcome code, its outbox."""

    def __init__(self, services: Services, clock: HandClock, sites: Sites) -> None:
        self.services = services
        self.clock = clock
        self.sites = sites
        self._taken = 0

    @property
    def db(self) -> Database:
        return self.services.db

    async def asked_for(self) -> list[ScanRequested]:
        """Return the scans that the outbox got since the last call, oldest first."""
        sql = "select id, payload from outbox where subject = 'ett.scan.requested' and id > $1 order by id"
        rows = await self.db.fetch(sql, self._taken)
        self._taken = max((row["id"] for row in rows), default=self._taken)
        return [decode(row["payload"], ScanRequested) for row in rows]

    async def scan(self, event: ScanRequested, *, delivery: int = 1) -> tuple[str, float]:
        """Deliver a scan once; return how it was answered, and the delay that was asked for."""
        consumer = next(one for one in consumers_of(PARTIES["scanner"]) if one.kind is ScanRequested)
        message = _Message(msgspec.json.encode(event), delivery, self.clock.now())
        await outcome.process(message, consumer, APP.handlers[ScanRequested], self.services, always_check=True)
        return message.answered, message.delay_s

    async def tick(self) -> list[ScanRequested]:
        """Let the schedule ask for what is due, and do it."""
        await watch_due(self.services)
        scans = await self.asked_for()
        for event in scans:
            assert (await self.scan(event))[0] == "ack"
        return scans

    async def ended(self) -> list[ScanCompleted]:
        """Return the end of every scan, oldest first."""
        rows = await self.db.fetch("select payload from outbox where subject = 'ett.scan.completed' order by id")
        return [decode(row["payload"], ScanCompleted) for row in rows]

    async def run_until(self, end: datetime) -> int:
        """Turn the clock from one due moment to the next until `end`; return the number of scans."""
        scans = 0
        while True:
            due = await self.db.fetchval(NEXT_DUE)
            if due is None or due >= end:
                self.clock.turn((end - self.clock.now()).total_seconds())
                return scans
            self.clock.turn(max(0.0, (due - self.clock.now()).total_seconds()))
            scans += len(await self.tick())


@asynccontextmanager
async def opened(
    database: Database, folder: Path, sites: Mapping[str, Site], *, at: datetime | None = None, **options: str
) -> AsyncIterator[Scanner]:
    """Open the scanner's services. options: settings that platforms declare."""
    clock = HandClock()
    clock._now = at or clock.now()
    settings = load_settings({name.upper(): value for name, value in options.items()}, folder)
    http = Sites(clock, sites)

    async def announce(subject: str, payload: bytes) -> None:
        """Nobody listens."""

    async with open_objects(settings) as objects:
        services = Services(
            actor="scanner",
            settings=settings,
            clock=clock,
            db=database,
            ledger=Ledger(database, sender="scanner", clock=clock, ttl_s=5.0),
            objects=objects,
            http=http,
            tokens=open_tokens(settings, database, http, clock),
            announce=announce,
        )
        yield Scanner(services, clock, http)
