"""`ettametta up` and `ettametta migrate`."""

from __future__ import annotations

import asyncio
import socket

import click
import msgspec

from actors.runtime.log import setup_logging
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, Reject
from contracts.flow import GATEWAY
from deploy import streams
from deploy.migrate import migrate
from deploy.supervisor import Stack
from deploy.system import NAMES, located, system_children

__all__ = ["run_migrate", "run_up"]

PATIENCE_S = 60.0


async def run_up(settings: Settings, *, only: tuple[str, ...] = (), replicas: int = 1) -> None:
    """Run the system until a signal ends it. Raises: Reject if something cannot start."""
    setup_logging(actor="up", level=settings.log_level)
    if settings.nats_url is None or settings.database_url is None:
        settings = msgspec.structs.replace(settings, data_dir=settings.data_dir.absolute())
    names = only or NAMES
    if GATEWAY.name in names and settings.gateway_port:
        _refuse_taken(settings.gateway_host, settings.gateway_port)
    await _prepare(settings)
    children = system_children(settings, only=names, replicas=replicas)
    stack = Stack(
        settings.data_dir,
        children=children,
        need_nats=settings.nats_url is None,
        need_postgres=settings.database_url is None,
        urls={"gateway": settings.public_url},
        ack_wait_s=settings.ack_wait_s,
        handle_signals=True,
    )
    async with stack:
        click.echo(f"ettametta runs on {settings.data_dir}; the page is {settings.public_url}", err=True)
        click.echo("Ctrl-C stops it.", err=True)
        await stack.wait()


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Reject(
                f"the gateway cannot listen on {host}:{port} ({error.strerror})",
                mend="free that port, or set GATEWAY_PORT and PUBLIC_URL",
            ) from error


async def run_migrate(settings: Settings) -> tuple[str, ...]:
    """Bring database and stream up to date; return what was done, a line each. Raises: Reject, Retry."""
    found = settings if settings.database_url and settings.nats_url else located(settings, "admin")
    assert found.database_url is not None
    done = [f"database: applied {name}" for name in await migrate(found.database_url)]
    lines = done or ["database: nothing to do"]
    url = found.nats_admin_url or found.nats_url
    if url is not None:
        await streams.apply(url, ack_wait_s=settings.ack_wait_s)
        lines.append("stream and consumers: up to date")
    return tuple(lines)


async def _prepare(settings: Settings) -> None:
    """Set up servers that are not ours; those we start are set up by the stack."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        try:
            if settings.database_url is not None:
                await migrate(settings.database_url)
            if settings.nats_url is not None:
                await streams.apply(settings.nats_admin_url or settings.nats_url, ack_wait_s=settings.ack_wait_s)
        except Reject:
            raise
        except EttamettaError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(1.0)
        else:
            return
