"""The processes of a whole system on one machine, and how a command finds the one that runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from nats.errors import Error as NatsError

from actors.runtime.app import Bus, connect, open_services
from actors.runtime.db import DRIVER_ERRORS, Database, open_database
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from contracts.codec import encode, new_event_id, subject_of
from contracts.errors import Reject
from contracts.events import Event
from contracts.flow import ACTORS, GATEWAY, OUTSIDE, STREAM
from contracts.ids import CorrelationId
from deploy.children import Child, Tier, accepts
from deploy.supervisor import read_state

__all__ = [
    "actor_child",
    "gateway_child",
    "located",
    "outside",
    "own_database",
    "publish",
    "sandbox_child",
    "send",
    "system_children",
]

NAMES: Final = (*ACTORS, GATEWAY.name)
PUBLISH_TIMEOUT_S: Final = 10.0
STOP_DEADLINE_S: Final = 25.0
"""Longer than an actor takes to finish what it holds and to close its connections."""
EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def actor_child(
    settings: Settings, actor: str, *, env: Mapping[str, str], replica: int = 1, log_dir: Path | None = None
) -> Child:
    """Describe one replica of one actor."""
    name = actor if replica == 1 else f"{actor}-{replica}"
    return Child(
        name=name,
        argv=(sys.executable, "-m", "deploy", "run", actor),
        bus_user=actor,
        stop_deadline_s=STOP_DEADLINE_S,
        env={"DATA_DIR": str(settings.data_dir), **env},
        log=log_dir / f"{name}.log" if log_dir else None,
    )


def gateway_child(settings: Settings, *, env: Mapping[str, str], log_dir: Path | None = None) -> Child:
    """Describe the gateway."""
    return Child(
        name=GATEWAY.name,
        argv=(sys.executable, "-m", "deploy", "gateway"),
        tier=Tier.SERVICE,
        ready=_listening(settings.gateway_host, settings.gateway_port),
        bus_user=GATEWAY.name,
        env={"DATA_DIR": str(settings.data_dir), **env},
        log=log_dir / "gateway.log" if log_dir else None,
    )


def sandbox_child(folder: Path, *, port: int, env: Mapping[str, str], log_dir: Path | None = None) -> Child:
    """Describe the sandbox platforms on loopback."""
    return Child(
        name="sandbox",
        argv=(sys.executable, "-m", "deploy", "sandbox", "--folder", str(folder), "--port", str(port)),
        tier=Tier.SERVICE,
        ready=_listening("127.0.0.1", port),
        env=dict(env),
        log=log_dir / "sandbox.log" if log_dir else None,
    )


def _listening(host: str, port: int) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return not port or await accepts("127.0.0.1" if host in EVERY_ADDRESS else host, port)

    return ready


def system_children(
    settings: Settings,
    *,
    only: Iterable[str] = NAMES,
    replicas: int = 1,
    env: Mapping[str, str] | None = None,
    log_dir: Path | None = None,
) -> tuple[Child, ...]:
    """Describe the actors named in `only`, each so many times, and the gateway if it is named.

    Raises: Reject if a name is not known.
    """
    wanted = tuple(only)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise Reject(f"there is no actor '{unknown[0]}'", mend=f"known: {', '.join(NAMES)}")
    extra = env or {}
    actors = [
        actor_child(settings, name, env=extra, replica=number, log_dir=log_dir)
        for name in ACTORS
        if name in wanted
        for number in range(1, replicas + 1)
    ]
    gateway = [gateway_child(settings, env=extra, log_dir=log_dir)] if GATEWAY.name in wanted else []
    return (*gateway, *actors)


def located(settings: Settings, user: str) -> Settings:
    """Fill addresses that are not set from the stack that runs on the data folder. Raises: Reject if none runs."""
    if settings.nats_url and settings.database_url:
        return settings
    state = read_state(settings.data_dir)
    if state is None:
        raise Reject(
            f"nothing runs on {settings.data_dir}",
            mend="start it with `ettametta up`, or set NATS_URL and DATABASE_URL",
        )
    return msgspec.structs.replace(
        settings,
        nats_url=settings.nats_url or state.nats_urls.get(user),
        database_url=settings.database_url or state.database_url,
    )


@asynccontextmanager
async def own_database(settings: Settings, *, name: str) -> AsyncIterator[Database]:
    """Open DATABASE_URL, or the database of the system that runs. name: shown by the server. Raises: Reject."""
    url = settings.database_url or located(settings, OUTSIDE.name).database_url
    assert url is not None
    try:
        async with open_database(url, max_size=2, name=name) as db:
            yield db
    except DRIVER_ERRORS as error:
        raise Reject(
            f"the database cannot be used ({error})", mend="start it, correct DATABASE_URL, or run `ettametta migrate`"
        ) from error


@asynccontextmanager
async def outside(settings: Settings) -> AsyncIterator[tuple[Services, Bus]]:
    """Open services and the bus as a program of the user's. Raises: Reject if nothing runs or can be reached."""
    found = located(settings, OUTSIDE.name)
    async with connect(found, OUTSIDE) as bus, open_services(found, OUTSIDE.name, bus) as services:
        yield services, bus


async def send(bus: Bus, event: Event) -> Event:
    """Publish one event into the stream as the first of its flow; return it as sent."""
    event_id = new_event_id()
    sent = msgspec.structs.replace(event, event_id=event_id, correlation_id=CorrelationId(event_id))
    headers = {"Nats-Msg-Id": event_id}
    try:
        await bus.js.publish(
            subject_of(sent), encode(sent), stream=STREAM.name, headers=headers, timeout=PUBLISH_TIMEOUT_S
        )
    except NatsError as error:
        raise Reject(
            f"the stream did not take the request ({error!r})", mend="run `ettametta migrate`, or look at NATS"
        ) from error
    return sent


async def publish(settings: Settings, event: Event) -> Event:
    """Connect as a program of the user's and publish one event. Raises: Reject."""
    async with connect(settings if settings.nats_url else located(settings, OUTSIDE.name), OUTSIDE) as bus:
        return await send(bus, event)
