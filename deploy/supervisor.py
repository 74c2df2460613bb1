"""The stack of one folder: embedded servers and the processes that use them, started, watched and ended together.

    async with Stack(data_dir, children=children, handle_signals=True) as stack:
        await stack.wait()

The state file `run/stack.json` tells other commands where everything is; the lock `run/lock` lets one stack use
a folder. Whatever way this process ends, its children end with it (see deploy/launch.py).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import psutil
from msgspec import Struct

from contracts.errors import EttamettaError, Reject
from deploy import natsconf, streams
from deploy.children import FIRST_TRIES, READY_DEADLINE_S, Child, Keeper, Tier, end_process
from deploy.embedded import HOST, free_port, load_passwords, nats_child, postgres_child, postgres_url, write_private
from deploy.migrate import migrate

__all__ = ["ChildState", "Stack", "StackState", "read_state"]

ORPHAN_DEADLINE_S: Final = 10.0
START_DEADLINE_S: Final = READY_DEADLINE_S * FIRST_TRIES
DEFAULT_ACK_WAIT_S: Final = 15.0


class ChildState(Struct, frozen=True):
    """A running child. created_at: as the kernel tells it, to know the process again."""

    name: str
    pid: int
    created_at: float
    starts: int
    stop_signal: int


class StackState(Struct, frozen=True, kw_only=True):
    """What a running stack tells other commands. It holds passwords: the file is for its owner only."""

    pid: int
    created_at: float
    started_at: float
    database_url: str | None
    nats_urls: dict[str, str]
    urls: dict[str, str]
    children: tuple[ChildState, ...]


def read_state(data_dir: Path) -> StackState | None:
    """Return the state of the stack that runs on a folder, or None."""
    state = _load_state(data_dir / "run" / "stack.json")
    return state if state is not None and _lives(state.pid, state.created_at) else None


class Stack:
    """Servers and processes on one folder.

    Attributes, once entered: database_url, admin_url (NATS, all rights), nats_urls (by user).

    Args: urls: addresses to tell other commands, such as {"gateway": …}; handle_signals: SIGINT and SIGTERM
    end the stack: `wait` returns, or else whatever the owner awaits is cancelled; a second one kills.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        children: Iterable[Child] = (),
        need_nats: bool = True,
        need_postgres: bool = True,
        urls: dict[str, str] | None = None,
        ack_wait_s: float = DEFAULT_ACK_WAIT_S,
        handle_signals: bool = False,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.database_url: str | None = None
        self.nats_urls: dict[str, str] = {}
        self.urls = dict(urls or {})
        self._children = tuple(children)
        self._need_nats = need_nats
        self._need_postgres = need_postgres
        self._ack_wait_s = ack_wait_s
        self._handle_signals = handle_signals
        self._keepers: list[Keeper] = []
        self._started_at = time.time()
        self._asked = asyncio.Event()
        self._owner: asyncio.Task[object] | None = None
        self._waiting = False
        self._lock: int | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def admin_url(self) -> str | None:
        return self.nats_urls.get(natsconf.ADMIN)

    @property
    def children(self) -> tuple[ChildState, ...]:
        """The children that run now."""
        return tuple(
            ChildState(keeper.child.name, keeper.pid, keeper.created_at, keeper.starts, int(keeper.child.stop_signal))
            for keeper in self._keepers
            if keeper.pid is not None
        )

    async def __aenter__(self) -> Self:
        try:
            for name in ("run", "logs", "nats"):
                (self.data_dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Reject(f"the data folder cannot be made ({error})", mend="name another with --data-dir") from error
        self._lock = _lock_folder(self.data_dir)
        self._owner = asyncio.current_task()
        started = asyncio.Event()
        try:
            await asyncio.to_thread(_end_leftovers, self._state_file)
            if self._handle_signals:
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
            self._running = asyncio.create_task(self._run(started), name="stack")
            up = asyncio.create_task(started.wait())
            await asyncio.wait((self._running, up), return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if self._running.done():
                self._running.result()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def wait(self) -> None:
        """Return when a signal or `stop` asks for the end. Raises: what ended the stack from inside."""
        assert self._running is not None
        self._waiting = True
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait((asked, self._running), return_when=asyncio.FIRST_COMPLETED)
            if self._running.done():
                self._running.result()
        finally:
            asked.cancel()
            self._waiting = False

    def stop(self) -> None:
        """Ask for the end."""
        self._asked.set()

    async def _close(self) -> None:
        self._asked.set()
        try:
            if self._running is not None:
                # A second cancellation of the owner must not leave children behind half-way.
                await asyncio.wait((self._running,))
                if not self._running.cancelled() and (error := self._running.exception()) is not None:
                    raise error
        finally:
            if self._handle_signals:
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().remove_signal_handler(number)
            if self._lock is not None:
                self._state_file.unlink(missing_ok=True)
                os.close(self._lock)
                self._lock = None

    async def _run(self, started: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._start(group)
                started.set()
                await self._asked.wait()
                await self._end()
        except* EttamettaError as errors:
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None
        finally:
            for keeper in self._keepers:
                keeper.kill()

    async def _start(self, group: asyncio.TaskGroup) -> None:
        servers = await self._servers()
        if await self._bring_up(group, servers):
            async with asyncio.TaskGroup() as setup:
                if self._need_postgres and self.database_url is not None:
                    setup.create_task(migrate(self.database_url))
                if self.admin_url is not None:
                    setup.create_task(streams.apply(self.admin_url, ack_wait_s=self._ack_wait_s))
        await self._bring_up(group, list(self._children))

    async def _servers(self) -> list[Child]:
        passwords = load_passwords(self.data_dir / "run" / "passwords.json")
        servers = []
        if self._need_nats:
            port = free_port()
            self.nats_urls = {
                user: f"nats://{user}:{password}@{HOST}:{port}" for user, password in passwords.nats.items()
            }
            servers.append(nats_child(self.data_dir, port=port, passwords=passwords))
        if self._need_postgres:
            port = free_port()
            self.database_url = postgres_url(port, passwords.postgres)
            servers.append(await postgres_child(self.data_dir, port=port, passwords=passwords))
        return servers

    async def _bring_up(self, group: asyncio.TaskGroup, children: list[Child]) -> bool:
        """Start children side by side; return when all are up: False if the end was asked for meanwhile."""
        if self._asked.is_set():
            return False
        keepers = [Keeper(child, env=self._env(child), changed=self._write_state) for child in children]
        self._keepers += keepers
        for keeper in keepers:
            group.create_task(keeper.run(), name=keeper.child.name)
        asked = asyncio.create_task(self._asked.wait())
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                for keeper in keepers:
                    up = asyncio.create_task(keeper.up.wait())
                    await asyncio.wait((up, asked), return_when=asyncio.FIRST_COMPLETED)
                    up.cancel()
        finally:
            asked.cancel()
        return not self._asked.is_set()

    def _env(self, child: Child) -> dict[str, str]:
        env = {}
        if self.database_url is not None:
            env["DATABASE_URL"] = self.database_url
        if child.bus_user is not None and self.nats_urls:
            env["NATS_URL"] = self.nats_urls[child.bus_user]
        return env

    async def _end(self) -> None:
        for tier in sorted(Tier, reverse=True):
            ending = [keeper for keeper in self._keepers if keeper.child.tier == tier]
            for keeper in ending:
                keeper.stop()
            for keeper in ending:
                await keeper.ended.wait()

    def _on_signal(self) -> None:
        if self._asked.is_set():
            for keeper in self._keepers:
                keeper.kill()
            return
        self._asked.set()
        if not self._waiting and self._owner is not None:
            self._owner.cancel()

    @property
    def _state_file(self) -> Path:
        return self.data_dir / "run" / "stack.json"

    def _write_state(self) -> None:
        state = StackState(
            pid=os.getpid(),
            created_at=psutil.Process().create_time(),
            started_at=self._started_at,
            database_url=self.database_url,
            nats_urls=self.nats_urls,
            urls=self.urls,
            children=self.children,
        )
        write_private(self._state_file, msgspec.json.encode(state))


def _lock_folder(data_dir: Path) -> int:
    """Take the lock of a folder for as long as this process lives. Raises: Reject if another has it."""
    path = data_dir / "run" / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
        os.close(lock)
        raise Reject(
            f"already running on {data_dir} as pid {holder}", mend="stop that one, or name another data folder"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _end_leftovers(state_file: Path) -> None:
    """End children of a stack that was killed on this folder, those that need NATS and PostgreSQL first."""
    state = _load_state(state_file)
    for child in reversed(state.children if state is not None else ()):
        end_process(child.pid, child.created_at, child.stop_signal, deadline_s=ORPHAN_DEADLINE_S)
    state_file.unlink(missing_ok=True)


def _load_state(path: Path) -> StackState | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _lives(pid: int, created_at: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - created_at) <= 1.0
    except psutil.NoSuchProcess:
        return False
