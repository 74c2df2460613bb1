"""One child process: started, kept running, ended in time."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable
from enum import IntEnum
from pathlib import Path
from typing import IO, Final

import psutil
from msgspec import Struct

from actors.runtime.log import get_logger
from contracts.errors import Reject

__all__ = ["Child", "Keeper", "Tier", "accepts", "end_process"]

LINUX: Final = platform.system() == "Linux"
LAUNCHER: Final = Path(__file__).with_name("launch.py")

BACKOFF_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 30.0
"""A child that ran this long has recovered: the next restart is fast again."""

FIRST_TRIES: Final = 3
READY_POLL_S: Final = 0.01
READY_DEADLINE_S: Final = 60.0
LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024


class Tier(IntEnum):
    """Order of the end: higher ones first. The two servers start before all others."""

    POSTGRES = 0
    NATS = 1
    SERVICE = 2
    ACTOR = 3


async def _nothing() -> None:
    pass


async def _at_once() -> bool:
    return True


class Child(Struct, frozen=True, kw_only=True):
    """What to run, and how to see that it is up.

    env: added to the environment of this process, or all there is if `bare`. bus_user: whose NATS_URL it
    gets. run_as: user to become when this process is root. log: file for its output; None: our stderr.
    prepare: awaited before each start. ready: asked every few milliseconds until true.
    """

    name: str
    argv: tuple[str, ...]
    tier: Tier = Tier.ACTOR
    env: dict[str, str] = {}
    bare: bool = False
    bus_user: str | None = None
    run_as: str | None = None
    log: Path | None = None
    stop_signal: int = signal.SIGTERM
    stop_deadline_s: float = 10.0
    prepare: Callable[[], Awaitable[None]] = _nothing
    ready: Callable[[], Awaitable[bool]] = _at_once


async def accepts(host: str, port: int) -> bool:
    """Whether something takes TCP connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


class Keeper:
    """Runs a child and starts it again whenever it dies, until `stop`."""

    def __init__(self, child: Child, *, env: dict[str, str], changed: Callable[[], None]) -> None:
        self.child = child
        self.pid: int | None = None
        self.created_at: float = 0.0
        self.starts = 0
        self.up = asyncio.Event()
        self.ended = asyncio.Event()
        self._env = env
        self._changed = changed
        self._stopping = asyncio.Event()
        self._log = get_logger().bind(child=child.name)

    async def run(self) -> None:
        """Keep the child running. Raises: Reject if it never came up."""
        try:
            await self._keep()
        finally:
            self.ended.set()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping.is_set():
            await self.child.prepare()
            since = loop.time()
            ever_up = self.up.is_set()
            process, pipe = await self._spawn()
            try:
                if await self._comes_up(process):
                    self.up.set()
                await self._until_ended(process)
            finally:
                if pipe is not None:
                    os.close(pipe)
                self.pid = None
                _kill_group(process.pid)
            if self._stopping.is_set():
                return
            steady = loop.time() - since > STEADY_S
            failures = 1 if steady else failures + 1
            if not ever_up and not self.up.is_set() and failures >= FIRST_TRIES:
                raise Reject(f"{self.child.name} does not start: {self._last_words()}", mend="see its log")
            delay_s = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1]
            self._log.warning("child.died", status=process.returncode, restart_in_s=delay_s)
            try:
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Ask the child to end; `run` then returns within the child's deadline."""
        self._stopping.set()

    def kill(self) -> None:
        """End the child at once."""
        self._stopping.set()
        if self.pid is not None:
            _kill_group(self.pid)

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int | None]:
        child = self.child
        options = ["--parent", str(os.getpid()), "--signal", str(int(child.stop_signal))]
        if child.run_as is not None:
            options += ["--user", child.run_as]
        reader = writer = None
        if not LINUX:
            reader, writer = os.pipe()
            options += ["--watch", str(reader)]
        output = _open_log(child.log)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(LAUNCHER), *options, "--", *child.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child.env if child.bare else {**os.environ, **child.env, **self._env},
                pass_fds=() if reader is None else (reader,),
                start_new_session=True,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()
            if reader is not None:
                os.close(reader)
        self.pid = process.pid
        self.starts += 1
        try:
            self.created_at = psutil.Process(process.pid).create_time()
        except psutil.NoSuchProcess:
            self.created_at = 0.0
        self._changed()
        self._log.info("child.started", pid=process.pid, starts=self.starts)
        return process, writer

    async def _comes_up(self, process: asyncio.subprocess.Process) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_DEADLINE_S
        while process.returncode is None and not self._stopping.is_set() and loop.time() < deadline:
            if await self.child.ready():
                return True
            await asyncio.sleep(READY_POLL_S)
        if loop.time() >= deadline:
            _kill_group(process.pid)
        return False

    async def _until_ended(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.ensure_future(process.wait())
        asked = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _signal(process, self.child.stop_signal)
                await asyncio.wait((ended,), timeout=self.child.stop_deadline_s)
            if not ended.done():
                self._log.warning("child.killed", after_s=self.child.stop_deadline_s)
                _kill_group(process.pid)
            await ended
        finally:
            asked.cancel()
            if not ended.done():
                _kill_group(process.pid)
                ended.cancel()

    def _last_words(self) -> str:
        if self.child.log is None:
            return "its last words are above"
        lines = self.child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def end_process(pid: int, created_at: float, number: int, *, deadline_s: float) -> None:
    """End a process of an earlier run, unless its pid has gone to another by now. Blocks."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - created_at) > 1.0:
            return
        process.send_signal(number)
        try:
            process.wait(deadline_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(deadline_s)
    except psutil.NoSuchProcess:
        return


def _open_log(path: Path | None) -> IO[bytes] | None:
    if path is None:
        return None
    full = path.exists() and path.stat().st_size > LOG_LIMIT_BYTES
    return path.open("wb" if full else "ab")


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
