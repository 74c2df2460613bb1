"""The supervisor: restarts, the order of the end, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import msgspec
import nats
import psutil
import pytest

from contracts.errors import Reject
from deploy.children import LAUNCHER, Child, Keeper, Tier
from deploy.supervisor import Stack, read_state
from tests.stack import elsewhere, none_lives, until

ACTOR = """
import os, signal, socket, sys, urllib.parse
def port_is_open(url):
    try:
        socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(url).port), 2).close()
    except OSError:
        return False
    return True
def end(*_):
    up = all(port_is_open(os.environ[name]) for name in ("NATS_URL", "DATABASE_URL"))
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2] + (" with servers" if up else " without servers") + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with open(sys.argv[1], "a") as file:
    file.write(sys.argv[2] + " starts\\n")
while True:
    signal.pause()
"""
IDLE = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def script(name: str, code: str, *arguments: str, tier: Tier = Tier.ACTOR, stop_deadline_s: float = 10.0) -> Child:
    return Child(name=name, argv=(sys.executable, "-c", code, *arguments), tier=tier, stop_deadline_s=stop_deadline_s)


def pid_of(stack: Stack, name: str) -> int:
    return next(child.pid for child in stack.children if child.name == name)


def started(stack: Stack, name: str, times: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return any(child.name == name and child.starts == times for child in stack.children)

    return condition


def says(path: Path, text: str) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return path.exists() and text in path.read_text()

    return condition


async def test_a_process_is_told_its_own_addresses_and_others_can_read_them(tmp_path: Path) -> None:
    """An actor would connect as another, or `ettametta status` would not find the stack."""
    seen = tmp_path / "seen"
    code = f"import os, signal; open({str(seen)!r}, 'w').write(os.environ['NATS_URL'] + ' ' + os.environ['DATABASE_URL'] + ' ' + os.environ['EXTRA'] + '.'); signal.pause()"  # noqa: E501
    child = Child(name="worker", argv=(sys.executable, "-c", code), bus_user="renderer", env={"EXTRA": "yes"})
    data = tmp_path / "data"
    async with Stack(data, children=[child], urls={"sandbox": "http://127.0.0.1:1"}) as stack:
        await until(says(seen, "."), what="the worker saw its addresses")
        assert seen.read_text() == f"{stack.nats_urls['renderer']} {stack.database_url} yes."
        state = read_state(data)
        assert state is not None
        assert (state.pid, state.nats_urls, state.database_url) == (os.getpid(), stack.nats_urls, stack.database_url)
        assert state.urls == {"sandbox": "http://127.0.0.1:1"}
        assert [each.name for each in state.children] == ["nats", "postgres", "worker"]
        assert stat.S_IMODE((data / "run" / "stack.json").stat().st_mode) == 0o600
    assert read_state(data) is None
    assert not (data / "run" / "stack.json").exists()


async def test_servers_of_the_users_own_are_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A studio with its own NATS and PostgreSQL would have its work in embedded ones."""
    monkeypatch.setenv("NATS_URL", "nats://theirs:4222")
    seen = tmp_path / "seen"
    code = f"import os, signal; open({str(seen)!r}, 'w').write(os.environ['NATS_URL'] + '.'); signal.pause()"
    child = Child(name="worker", argv=(sys.executable, "-c", code), bus_user="renderer")
    async with Stack(tmp_path / "data", children=[child], need_nats=False, need_postgres=False) as stack:
        await until(says(seen, "."), what="the worker saw its address")
        assert seen.read_text() == "nats://theirs:4222."
        assert [each.name for each in stack.children] == ["worker"]
        assert (stack.database_url, stack.admin_url) == (None, None)


async def test_whatever_dies_is_started_again_where_clients_look_for_it(tmp_path: Path) -> None:
    """One crash would stop the channel, or clients would wait for ever at an address that nobody has any more."""
    async with Stack(tmp_path, children=[script("worker", IDLE)]) as stack:
        assert stack.database_url is not None
        pool = await asyncpg.create_pool(stack.database_url, min_size=1)
        await pool.execute("create table kept (value int)")
        await pool.execute("insert into kept values (1)")
        client = await nats.connect(
            stack.nats_urls["outside"], reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=_ignore
        )
        await client.jetstream().publish("ett.scan.requested", b"{}")
        for name in ("worker", "nats", "postgres"):
            os.kill(pid_of(stack, name), signal.SIGKILL)
        for name in ("worker", "nats", "postgres"):
            await until(started(stack, name, 2), what=f"{name} starts again")

        async def stored() -> bool:
            try:
                return (await client.jetstream().publish("ett.scan.requested", b"{}", timeout=1)).seq == 2
            except (nats.errors.Error, TimeoutError):
                return False

        async def readable() -> bool:
            try:
                return bool(await pool.fetchval("select value from kept") == 1)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await until(stored, what="NATS takes events again")
        await until(readable, what="PostgreSQL answers again")
        await client.close()
        pool.terminate()


async def test_the_end_comes_in_order_with_servers_last(tmp_path: Path) -> None:
    """Actors could not finish the message in their hands: their database would be gone."""
    story = tmp_path / "story"
    children = [
        script("actor", ACTOR, str(story), "actor"),
        script("gateway", ACTOR, str(story), "gateway", tier=Tier.SERVICE),
    ]
    children = [msgspec.structs.replace(child, bus_user="renderer") for child in children]
    async with Stack(tmp_path / "data", children=children) as stack:
        for name in ("actor", "gateway"):
            await until(says(story, f"{name} starts"), what=f"{name} is up")
        pids = [child.pid for child in stack.children]
    assert story.read_text().splitlines()[2:] == ["actor with servers", "gateway with servers"]
    await none_lives(pids, deadline_s=1.0)


async def test_a_child_that_will_not_end_is_killed_in_time(tmp_path: Path) -> None:
    """Ctrl-C would hang."""
    log = tmp_path / "log"
    child = msgspec.structs.replace(script("deaf", DEAF, stop_deadline_s=0.3), log=log)
    async with asyncio.timeout(20):
        async with Stack(tmp_path / "data", children=[child], need_nats=False, need_postgres=False) as stack:
            await until(says(log, "deaf"), what="it ignores SIGTERM")
            pid = pid_of(stack, "deaf")
    await none_lives([pid], deadline_s=1.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_everything_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, or a stop by systemd, would leave servers behind or count as a failure."""
    async with elsewhere(tmp_path) as other:
        pids = [child.pid for child in other.state.children]
        other.process.send_signal(number)
        assert await asyncio.wait_for(other.process.wait(), 30) == 0
        await none_lives(pids, deadline_s=1.0)
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()
    assert not (tmp_path / "run" / "stack.json").exists()


async def test_a_child_that_never_starts_is_named(tmp_path: Path) -> None:
    """The stack would wait for ever and say nothing."""
    log = tmp_path / "log"

    async def never() -> bool:
        return False

    child = Child(
        name="gateway", tier=Tier.SERVICE, argv=("/bin/sh", "-c", "echo no font; exit 3"), ready=never, log=log
    )
    with pytest.raises(Reject, match=r"gateway does not start: no font"):
        async with Stack(tmp_path / "data", children=[child], need_nats=False, need_postgres=False):
            pass
    assert not (tmp_path / "data" / "run" / "stack.json").exists()


async def test_a_child_without_kernel_help_ends_with_its_parent(tmp_path: Path) -> None:
    """On macOS a killed supervisor would leave its children behind. The same code runs here on Linux."""
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(LAUNCHER), "--parent", str(os.getpid()), "--signal", "15", "--watch", str(reader), "--",
        "/bin/sleep", "600", pass_fds=(reader,),
    )  # fmt: skip
    os.close(reader)

    async def runs() -> bool:
        return len(psutil.Process(process.pid).children()) == 1

    await until(runs, what="the program runs")
    (child,) = psutil.Process(process.pid).children()
    os.close(writer)
    assert await asyncio.wait_for(process.wait(), 10) == 128 + signal.SIGTERM
    await none_lives([child.pid], deadline_s=5.0)


async def test_a_child_whose_parent_is_already_gone_does_not_start(tmp_path: Path) -> None:
    """A supervisor killed in the moment of a start would leave that child behind."""
    mark = tmp_path / "started"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(LAUNCHER), "--parent", "1", "--signal", "15", "--", "/bin/sh", "-c", f"echo > '{mark}'"
    )
    assert await process.wait() == 1
    assert not mark.exists()


async def test_restarts_slow_down_while_a_child_keeps_dying(tmp_path: Path) -> None:
    """A broken actor would take a whole core."""
    log = tmp_path / "log"
    child = Child(name="broken", argv=("/bin/sh", "-c", "echo died"), log=log)
    keeper = Keeper(child, env={}, changed=lambda: None)
    running = asyncio.create_task(keeper.run())

    async def three_deaths() -> bool:
        return log.exists() and log.read_text().count("died") == 3

    loop = asyncio.get_running_loop()
    since = loop.time()
    await until(three_deaths, what="it died three times")
    assert loop.time() - since >= 0.05 + 0.2
    keeper.stop()
    await asyncio.wait_for(running, 5)


async def test_the_stack_is_up_once_all_of_it_is(tmp_path: Path) -> None:
    """The demo would show a page that nothing serves yet."""
    gate = tmp_path / "gate"

    async def gate_is_open() -> bool:
        return gate.exists()

    service = msgspec.structs.replace(script("service", IDLE, tier=Tier.SERVICE), ready=gate_is_open)
    stack = Stack(tmp_path / "data", children=[service], need_nats=False, need_postgres=False)
    entering = asyncio.create_task(stack.__aenter__())
    await until(started(stack, "service", 1), what="the service starts")
    assert not entering.done()
    gate.touch()
    await asyncio.wait_for(entering, 10)
    await stack.__aexit__(None, None, None)


async def _ignore(_: Exception) -> None:
    pass
