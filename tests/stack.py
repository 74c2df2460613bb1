"""Plumbing of the fixtures: database clones, a fresh stream, settings that point at the test's servers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import nats
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.flow import STREAM
from deploy import streams

ACK_WAIT_S = 2.0
"""Short, so that redelivery shows quickly."""


def sibling(database_url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return urlsplit(database_url)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def cloned(template_url: str) -> AsyncIterator[str]:
    """Give the address of a copy of a database, and drop the copy afterwards. Nobody may use the template."""
    name = f"t{uuid.uuid4().hex}"
    template = urlsplit(template_url).path.lstrip("/")
    server = await asyncpg.connect(sibling(template_url, "postgres"))
    try:
        await server.execute(f"create database {name} template {template}")
        yield sibling(template_url, name)
    finally:
        await server.execute(f"drop database if exists {name} with (force)")
        await server.close()


@asynccontextmanager
async def connected(url: str, *, inbox: str = "_INBOX") -> AsyncIterator[Client]:
    """Give a plain client that reports its errors to the test, not to the log."""
    client = await nats.connect(url, inbox_prefix=inbox, error_cb=_ignore, allow_reconnect=False)
    try:
        yield client
    finally:
        await client.close()


async def fresh_stream(admin: Client) -> None:
    """Make the stream and its consumers anew, empty."""
    jetstream = admin.jetstream()
    try:
        await jetstream.delete_stream(STREAM.name)
    except NotFoundError:
        pass
    await streams.apply_to(jetstream, ack_wait_s=ACK_WAIT_S)


def media_folder(folder: Path) -> str:
    return str(folder / "media")


async def _ignore(_: Exception) -> None:
    pass
