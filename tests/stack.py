"""Plumbing of the fixtures: database clones, a fresh stream, settings that point at the test's servers."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import nats
import psutil
from nats.aio.client import Client
from nats.js.api import StorageType
from nats.js.errors import NotFoundError

from contracts.flow import ACTORS, STREAM, consumers_of
from deploy import streams
from deploy.supervisor import StackState, read_state

ROOT = Path(__file__).parents[1]
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
        await server.execute(f"create database {name} template {template} strategy file_copy")
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
    """Make the stream and its consumers anew, empty.

    In memory: NATS 2.15 may bring messages and positions of a deleted stream in files back into a new one of
    the same name. Tests that kill NATS have a stack of their own, with files.
    """
    jetstream = admin.jetstream()
    with suppress(NotFoundError):
        await jetstream.delete_stream(STREAM.name)
    await jetstream.add_stream(streams.stream_config().evolve(storage=StorageType.MEMORY))
    for actor in ACTORS.values():
        for consumer in consumers_of(actor):
            await jetstream.add_consumer(STREAM.name, streams.consumer_config(consumer, ack_wait_s=ACK_WAIT_S))


class Elsewhere:
    """A stack in another process, which a test may kill."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process

    @property
    def state(self) -> StackState:
        state = read_state(self.folder)
        assert state is not None
        return state


@asynccontextmanager
async def elsewhere(folder: Path) -> AsyncIterator[Elsewhere]:
    """Start a stack with one idle worker in another process; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.stack_main", str(folder),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while (line := await process.stdout.readline()) != b"up\n":
                assert line, "the stack ended before it was up"
        yield Elsewhere(folder, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def none_lives(pids: Iterable[int], *, deadline_s: float = 20.0) -> None:
    """Wait until every one of these processes has ended."""
    left = set(pids)

    async def gone() -> bool:
        left.difference_update({pid for pid in left if not _runs(pid)})
        return not left

    await until(gone, what=f"processes {left} end", deadline_s=deadline_s)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def media_folder(folder: Path) -> str:
    return str(folder / "media")


async def until(condition: Callable[[], Awaitable[bool]], *, what: str, deadline_s: float = 20.0) -> None:
    """Wait until a real condition holds; ask it every few milliseconds."""
    try:
        async with asyncio.timeout(deadline_s):
            while not await condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s} s: {what}") from None


async def _ignore(_: Exception) -> None:
    pass
