"""One replica of one actor: its consumers, its relay, its timers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from actors.runtime import telemetry
from actors.runtime.clock import Clock
from actors.runtime.consumer import PullConsumer
from actors.runtime.db import DRIVER_ERRORS, is_unavailable, open_database
from actors.runtime.http import open_http
from actors.runtime.ledger import Ledger
from actors.runtime.log import get_logger, setup_logging
from actors.runtime.objects import open_objects
from actors.runtime.outcome import process
from actors.runtime.relay import Relay
from actors.runtime.settings import Settings
from actors.runtime.tasks import end_tasks
from actors.runtime.together import Gathering, Together
from actors.runtime.tokens import open_tokens
from actors.runtime.work import Handler, Services, clear_scratch
from contracts.errors import EttamettaError, Reject, Retry
from contracts.events import Event
from contracts.flow import PARTIES, Actor, Consumer, consumers_of

__all__ = ["ActorApp", "Bus", "Ticker", "connect", "open_services", "pull", "run_actor", "serving"]

RECONNECT_WAIT_S: Final = 1
CONNECT_PATIENCE_S: Final = 60.0
DRAIN_S: Final = 10.0
CLOSE_S: Final = 5.0


class Ticker(Struct, frozen=True, kw_only=True):
    """Work by the clock. every_s: pause between two runs, seconds."""

    name: str
    every_s: float
    run: Callable[[Services], Awaitable[None]]


class ActorApp(Struct, frozen=True, kw_only=True):
    """The wiring of one actor. places: messages of a kind that one replica works on at once, if settings decide."""

    name: str
    handlers: Mapping[type[Event], Handler]
    tickers: tuple[Ticker, ...] = ()
    places: Mapping[type[Event], Callable[[Settings], int]] = {}


class Bus:
    """The connection of one party to NATS."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js = client.jetstream()
        self.on_reconnected: list[Callable[[], None]] = []
        self.closed = asyncio.Event()

    async def until_closed(self) -> None:
        """Wait until the server closed the connection for good. Raises: Retry, which ends the process to begin anew."""
        await self.closed.wait()
        raise Retry("NATS closed the connection; see the log before this for its reason")

    async def announce(self, subject: str, payload: bytes) -> None:
        """Publish without waiting for the stream. An outage is not an error."""
        with suppress(NatsError, OSError):
            await self.client.publish(subject, payload)


@asynccontextmanager
async def connect(settings: Settings, party: Actor) -> AsyncIterator[Bus]:
    """Connect as `party`; lost connections come back by themselves, for ever.

    Raises: Reject if NATS_URL is not set, or the server cannot be reached for a minute.
    """
    if settings.nats_url is None:
        raise Reject("NATS_URL is not set", mend="set it, or use `ettametta up`, which starts a server")
    log = get_logger()
    client = Client()
    bus = Bus(client)

    async def on_error(error: Exception) -> None:
        log.warning("bus.error", error=repr(error))

    async def on_lost() -> None:
        if not client.is_closed:
            log.warning("bus.lost")

    async def on_closed() -> None:
        bus.closed.set()

    async def on_back() -> None:
        log.info("bus.back")
        for told in bus.on_reconnected:
            told()

    try:
        async with asyncio.timeout(CONNECT_PATIENCE_S):
            await client.connect(
                settings.nats_url,
                name=f"ettametta-{party.name}",
                inbox_prefix=party.inbox_prefix,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_S,
                ping_interval=20,
                error_cb=on_error,
                disconnected_cb=on_lost,
                reconnected_cb=on_back,
                closed_cb=on_closed,
            )
    except (TimeoutError, NatsError, OSError) as error:
        raise Reject(f"NATS cannot be reached ({error!r})", mend="start it, or correct NATS_URL") from error
    try:
        yield bus
    finally:
        with suppress(TimeoutError, NatsError, OSError):
            async with asyncio.timeout(CLOSE_S):
                await client.close()


@asynccontextmanager
async def open_services(settings: Settings, party: str, bus: Bus) -> AsyncIterator[Services]:
    """Open what a process needs. Raises: Reject if the database is not set or cannot be reached for a minute."""
    if settings.database_url is None:
        raise Reject("DATABASE_URL is not set", mend="set it, or use `ettametta up`, which starts a server")
    clock = Clock()
    await asyncio.to_thread(clear_scratch, settings.data_dir / "tmp")
    async with AsyncExitStack() as stack:
        db = await _patiently(
            lambda: stack.enter_async_context(open_database(settings.database_url or "", name=party)), clock
        )
        ledger = Ledger(db, sender=party, clock=clock, ttl_s=settings.ack_wait_s)
        http = await stack.enter_async_context(open_http(settings, clock))
        objects = await stack.enter_async_context(open_objects(settings))
        tokens = open_tokens(settings, db, http, clock)
        yield Services(
            actor=party,
            settings=settings,
            clock=clock,
            db=db,
            ledger=ledger,
            objects=objects,
            http=http,
            tokens=tokens,
            announce=bus.announce,
        )


async def _patiently(opening: Callable[[], Awaitable[Any]], clock: Clock) -> Any:
    deadline = asyncio.get_running_loop().time() + CONNECT_PATIENCE_S
    while True:
        try:
            return await opening()
        except DRIVER_ERRORS as error:
            if asyncio.get_running_loop().time() > deadline or not is_unavailable(error):
                raise Reject(
                    f"PostgreSQL cannot be used ({error!r})", mend="start it, or correct DATABASE_URL"
                ) from error
            await clock.sleep(0.5)


async def run_actor(app: ActorApp, settings: Settings) -> None:
    """Run one replica until SIGTERM or SIGINT: takes no more, finishes what it holds, leaves."""
    setup_logging(actor=app.name, level=settings.log_level)
    telemetry.start(f"ettametta-{app.name}", metrics=settings.metrics)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving(app, settings):
            await stop.wait()
            get_logger().info("actor.stopping")
    finally:
        telemetry.stop()


@asynccontextmanager
async def serving(app: ActorApp, settings: Settings) -> AsyncIterator[Services]:
    """Run one replica for as long as the body lasts."""
    party = PARTIES[app.name]
    async with connect(settings, party) as bus, open_services(settings, app.name, bus) as services:
        consumers = [pull(bus, consumer, app, services) for consumer in consumers_of(party)]
        relay = Relay(services.db, bus.js, sender=app.name, clock=services.clock)
        async with asyncio.TaskGroup() as group:
            taking = [group.create_task(consumer.run(), name="consumer") for consumer in consumers]
            running = [
                group.create_task(_beat(consumers, every_s=settings.ack_wait_s / 3), name="heartbeat"),
                group.create_task(relay.run(), name="relay"),
                group.create_task(bus.until_closed(), name="bus"),
                *(group.create_task(_tick(ticker, services), name=ticker.name) for ticker in app.tickers),
            ]
            get_logger().info("actor.ready", takes=[consumer.name for consumer in consumers_of(party)])
            try:
                yield services
            finally:
                for task in taking:
                    task.cancel()
                await asyncio.gather(*(consumer.drain(deadline_s=DRAIN_S) for consumer in consumers))
                await end_tasks(running)


def pull(bus: Bus, consumer: Consumer, app: ActorApp, services: Services) -> PullConsumer:
    """Make the consumer that gives each of its messages to the app's handler."""
    given, places = app.handlers[consumer.kind], app.places.get(consumer.kind)
    handler = Gathering(given) if isinstance(given, Together) else given

    async def take(message: Msg) -> None:
        await process(message, consumer, handler, services, always_check=consumer.batch == 1)

    made = PullConsumer(bus.client, consumer, take, places=places(services.settings) if places else consumer.batch)
    bus.on_reconnected.append(made.pull_anew)
    return made


async def _beat(consumers: Sequence[PullConsumer], *, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        for consumer in consumers:
            await consumer.heartbeat()


async def _tick(ticker: Ticker, services: Services) -> None:
    log = get_logger().bind(ticker=ticker.name)
    while True:
        try:
            await ticker.run(services)
        except (EttamettaError, *DRIVER_ERRORS) as error:
            log.warning("ticker.delayed", error=repr(error))
        except Exception:
            log.exception("ticker.failed")
        await services.clock.sleep(ticker.every_s)
