"""A connected channel for tests: sandbox platforms over HTTP, the real services, a clock that is turned by hand.

Handlers run through the real outcome code; only the bus between deliveries is played, so that waits take no time.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import asyncpg
import msgspec
import pytest
from msgspec import Struct
from yarl import URL

from actors import platforms
from actors.platforms import youtube
from actors.publisher.app import APP as PUBLISHER
from actors.runtime import killpoint, outcome
from actors.runtime.app import ActorApp
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.http import Http
from actors.runtime.ledger import Ledger
from actors.runtime.objects import open_objects
from actors.runtime.settings import Settings
from actors.runtime.tokens import TokenSet, open_tokens
from actors.runtime.work import Services
from actors.tracker.app import APP as TRACKER
from contracts.codec import encode, new_event_id
from contracts.events import Event
from contracts.flow import PARTIES, consumers_of
from contracts.ids import AccountId, CorrelationId, ObjectKey
from contracts.media import AudioStream, Probe, VideoStream
from deploy.sandbox import SandboxSettings, api_urls, credentials, running

__all__ = ["Channel", "HandClock", "Killed", "connected_channel", "kill_at", "stamped"]

APPS = {app.name: app for app in (PUBLISHER, TRACKER)}
LEASE_S = 5.0


class HandClock(Clock):
    """A clock that moves only when it is turned."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds)

    def turn(self, seconds: float) -> None:
        self._now += timedelta(seconds=max(seconds, 0.0))


class Killed(BaseException):
    """The process ends here: nothing after this line runs."""


def kill_at(monkeypatch: pytest.MonkeyPatch, boundary: str) -> Callable[[], bool]:
    """End the work that reaches `boundary` first. Returns whether that happened."""
    reached: list[str] = []

    def reach(name: str) -> None:
        if name == boundary and not reached:
            reached.append(name)
            raise Killed(name)

    for name in platforms.names():
        platforms.module(name)
    real = killpoint.reach
    for module in list(sys.modules.values()):
        if getattr(module, "reach", None) is real:
            monkeypatch.setattr(module, "reach", reach)
    return lambda: bool(reached)


class _Message:
    """One delivery, as the bus hands it over."""

    def __init__(self, data: bytes, delivery: int) -> None:
        self.data = data
        self.metadata = SimpleNamespace(
            num_delivered=delivery, timestamp=datetime.now(UTC), sequence=SimpleNamespace(stream=1)
        )
        self.answered = ""
        self.delay_s = 0.0

    async def ack(self) -> None:
        self.answered = "ack"

    async def nak(self, delay: float | None = None) -> None:
        self.answered, self.delay_s = "nak", delay or 0.0

    async def term(self) -> None:
        self.answered = "term"


class Channel(Struct):
    """Everything a test touches."""

    services: Services
    sandbox: URL
    clock: HandClock

    @property
    def db(self) -> Database:
        return self.services.db

    async def connect(
        self,
        *,
        account: str = "creator@sandbox.test",
        scopes: tuple[str, ...] = youtube.OAUTH.scopes,
        life_s: int = 3600,
    ) -> AccountId:
        """Connect an account as the gateway does."""
        granted = await self.ask("POST", "/sandbox/oauth/grant", {"account": account, "scopes": list(scopes)})
        name = AccountId(f"youtube:{granted['channel_id']}")
        tokens = TokenSet(
            access_token=granted["access_token"],
            refresh_token=granted["refresh_token"],
            expires_at=self.clock.now() + timedelta(seconds=life_s),
            scopes=scopes,
        )
        await self.services.tokens.store(name, "youtube", "Sandbox channel", tokens)
        return name

    async def connect_to(
        self, platform: str, *, account: str = "creator", life_s: int = 7200, kept: dict[str, str] | None = None
    ) -> AccountId:
        """Connect an account of any imitated platform as the gateway does; its id there is `account`."""
        client = getattr(platforms.module(platform), "OAUTH", None)
        scopes = () if client is None else client.scopes
        granted = await self.ask(
            "POST", f"/sandbox/people/{platform}/grant", {"account": account, "scopes": list(scopes)}
        )
        name = AccountId(f"{platform}:{account}")
        tokens = TokenSet(
            access_token=granted["access"],
            refresh_token=granted["refresh"],
            expires_at=self.clock.now() + timedelta(seconds=life_s),
            scopes=scopes,
            kept=kept or {},
        )
        await self.services.tokens.store(name, platform, account, tokens)
        return name

    async def posted(self, platform: str) -> list[Any]:
        """Return what stands on an imitated platform."""
        return [one for one in await self.ask("GET", "/sandbox/posted") if one["platform"] == platform]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.services.http.request(method, str(self.sandbox.join(URL(path))), json=body)
        assert answer.status < 300, answer.text
        return answer.json() if answer.body else None

    async def fault(self, where: str, kind: str, **more: Any) -> None:
        await self.ask("POST", "/sandbox/faults", {"where": where, "kind": kind, **more})

    async def state(self) -> Any:
        return await self.ask("GET", "/sandbox/state")

    async def video(self) -> Any:
        """Return the one video that there is."""
        videos = (await self.state())["videos"]
        assert len(videos) == 1
        return videos[0]

    async def put_video(self, content: bytes) -> ObjectKey:
        """Store a finished video."""
        key = ObjectKey(f"renditions/{hashlib.sha256(content).hexdigest()}.mp4")
        with self.services.scratch() as folder:
            file = folder / "video.mp4"
            file.write_bytes(content)
            await self.services.objects.put_file(key, file)
        probe = msgspec.structs.replace(SEEN, size_bytes=len(content))
        await self.db.execute(
            "insert into probes values ($1, $2, $3) on conflict do nothing", Path(key).stem, probe, self.clock.now()
        )
        return key

    async def deliver(self, event: Event, *, delivery: int = 1, app: ActorApp | None = None) -> tuple[str, float]:
        """Deliver an event once; return how it was answered and the delay that was asked for."""
        app = app or APPS[self.services.actor]
        consumer = next(one for one in consumers_of(PARTIES[app.name]) if one.kind is type(event))
        message = _Message(encode(event), delivery)
        await outcome.process(message, consumer, app.handlers[type(event)], self.services, always_check=True)
        return message.answered, message.delay_s

    async def settle(self, event: Event, *, first: int = 1, most: int = 30) -> str:
        """Deliver an event again and again, the clock turned on by each delay, until it is acked or terminated."""
        for delivery in range(first, first + most):
            answered, delay_s = await self.deliver(event, delivery=delivery)
            if answered != "nak":
                return answered
            self.clock.turn(delay_s)
        raise AssertionError(f"not settled after {most} deliveries: {await self.post()}")

    async def post(self) -> asyncpg.Record:
        """Return the one row of posts."""
        rows = await self.db.fetch("select * from posts")
        assert len(rows) == 1
        return rows[0]

    async def given(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type that wait in the outbox, oldest first."""
        rows = await self.db.fetch("select payload from outbox where subject = $1 order by id", f"ett.{kind}")
        return [msgspec.json.decode(row["payload"]) for row in rows]


SEEN: Final = Probe(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size_bytes=0,
    start_us=0,
    duration_us=20_000_000,
    video=VideoStream(index=0, codec="h264", coded_width_px=1080, coded_height_px=1920, width_px=1080, height_px=1920),
    audio=AudioStream(index=1, codec="aac", sample_rate_hz=48_000, channels=2),
)
"""What the tests' files pass for: a short upright video, although their bytes are not one."""


def stamped(event: Event) -> Any:
    """Give an event an id of its own, and a correlation."""
    name = new_event_id()
    return msgspec.structs.replace(
        event, event_id=name, correlation_id=event.correlation_id or CorrelationId(f"c-{name}")
    )


@asynccontextmanager
async def connected_channel(
    database: Database, folder: Path, *, actor: str = "publisher", **sandbox_settings: Any
) -> AsyncIterator[Channel]:
    """Open a sandbox and the services of one actor that point at it. No account is connected yet."""
    clock = HandClock()
    known = SandboxSettings(check_media=False, **sandbox_settings)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(
            running(folder / "sandbox", settings=known, clock=lambda: clock.now().timestamp())
        )
        accepted = credentials()
        settings = Settings(
            data_dir=folder / "data",
            media_url=str(folder / "media"),
            google_client_id=known.client_id,
            google_client_secret=known.client_secret,
            api_urls=api_urls(str(address)),
            options={name: value for name, value in accepted.items() if name not in Settings.__struct_fields__},
            tiktok_client_key=accepted["tiktok_client_key"],
            tiktok_client_secret=accepted["tiktok_client_secret"],
        )
        http = await stack.enter_async_context(Http(settings.user_agent, clock))
        objects = await stack.enter_async_context(open_objects(settings))

        async def announce(subject: str, payload: bytes) -> None:
            """Nobody listens."""

        services = Services(
            actor=actor,
            settings=settings,
            clock=clock,
            db=database,
            ledger=Ledger(database, sender=actor, clock=clock, ttl_s=LEASE_S),
            objects=objects,
            http=http,
            tokens=open_tokens(settings, database, http, clock),
            announce=announce,
        )
        yield Channel(services=services, sandbox=address, clock=clock)
