"""Embedded NATS and PostgreSQL: odd folders, second starts, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest

from contracts.errors import Reject
from deploy import embedded
from deploy.children import LAUNCHER
from deploy.embedded import PORTS, free_port, load_passwords, nats_binary, postgres_binary, postgres_child
from deploy.supervisor import Stack, read_state
from tests.stack import elsewhere, none_lives, until


async def write_row(database_url: str | None, value: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table if not exists kept (value text)")
    await connection.execute("insert into kept values ($1)", value)
    await connection.close()


async def rows(database_url: str | None) -> list[str]:
    connection = await asyncpg.connect(database_url)
    found = await connection.fetch("select value from kept order by value")
    await connection.close()
    return [row["value"] for row in found]


async def test_any_folder_will_do_and_keeps_what_was_stored(tmp_path: Path) -> None:
    """A person whose home has a long name, spaces or an accent could not start, or would lose everything."""
    folder = tmp_path / "Böb's földer with spaces" / ("long" * 40)
    async with Stack(folder) as stack:
        await write_row(stack.database_url, "one")
        client = await nats.connect(stack.nats_urls["outside"])
        await client.jetstream().publish("ett.scan.requested", b'{"niche":"sea"}')
        await client.close()
    async with Stack(folder) as stack:
        assert await rows(stack.database_url) == ["one"]
        admin = await nats.connect(stack.admin_url or "")
        assert (await admin.jetstream().stream_info("ETT")).state.messages == 1
        await admin.close()


async def test_another_process_can_use_the_address(database_url: str) -> None:
    """The actors, which are processes of their own, could not reach the database."""
    code = (
        "import asyncio, asyncpg, sys\n"
        "async def main():\n"
        "    connection = await asyncpg.connect(sys.argv[1])\n"
        "    print(await connection.fetchval('select current_user'))\n"
        "    await connection.close()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, database_url, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "ettametta"


async def test_a_stranger_gets_neither_in_nor_the_passwords(stack: Stack) -> None:
    """Any program on the machine could read tokens, or post."""
    assert stack.database_url is not None
    head, _, tail = stack.database_url.partition("@")
    user, _, _ = head.rpartition(":")
    for url in (f"{user}:wrong@{tail}", f"postgresql://postgres@{tail}", f"postgresql://postgres:@{tail}"):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await asyncpg.connect(url)
    for name in ("passwords.json", "stack.json", "lock"):
        assert stat.S_IMODE((stack.data_dir / "run" / name).stat().st_mode) == 0o600
    for name in ("run", "postgres"):
        assert stat.S_IMODE((stack.data_dir / name).stat().st_mode) == 0o700


async def test_the_role_of_the_application_is_no_superuser(database_url: str) -> None:
    """An injected statement could read files of the machine."""
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval("select pg_read_file('/etc/passwd')")
    settings = {row["name"]: row["setting"] for row in await connection.fetch("select name, setting from pg_settings")}
    assert (settings["synchronous_commit"], settings["server_encoding"]) == ("on", "UTF8")
    await connection.close()


async def test_a_second_stack_on_a_folder_says_who_has_it(stack: Stack) -> None:
    """Two servers on one folder would destroy the data."""
    with pytest.raises(Reject, match=rf"already running on .* as pid {os.getpid()}\. stop that one"):
        async with Stack(stack.data_dir):
            pass
    assert read_state(stack.data_dir) is not None


async def test_a_killed_supervisor_takes_its_children_along(tmp_path: Path) -> None:
    """Servers that nobody watches would hold the folder, and the next start would fail."""
    async with elsewhere(tmp_path) as other:
        pids = [child.pid for child in other.state.children]
        assert len(pids) == 3
        other.process.kill()
        await other.process.wait()
        assert read_state(tmp_path) is None
        await none_lives(pids)
    async with Stack(tmp_path):
        pass


async def test_everything_killed_at_once_starts_again_with_what_was_committed(tmp_path: Path) -> None:
    """After a power cut the stack would not start, or would have lost committed work."""
    async with elsewhere(tmp_path) as other:
        state = other.state
        await write_row(state.database_url, "committed")
        parents = [psutil.Process(child.pid) for child in state.children]
        every = [each for parent in parents for each in (parent, *parent.children(recursive=True))]
        other.process.send_signal(signal.SIGSTOP)
        for each in every:
            each.kill()
        other.process.kill()
        await other.process.wait()
    assert (tmp_path / "run" / "stack.json").exists()
    assert (tmp_path / "postgres" / "postmaster.pid").exists()
    async with Stack(tmp_path) as stack:
        assert await rows(stack.database_url) == ["committed"]
        connection = await asyncpg.connect(stack.database_url)
        assert await connection.fetchval("show fsync") == "on"  # a kill alone loses nothing that was written
        await connection.close()


async def test_a_lock_file_whose_pid_now_belongs_to_another_program_is_stale(tmp_path: Path) -> None:
    """After a reboot PostgreSQL would refuse to start beside a program that happens to have its old pid."""
    async with Stack(tmp_path, need_nats=False):
        lock = tmp_path / "postgres" / "postmaster.pid"
        old = lock.read_text(encoding="utf-8").splitlines()
    owner = (tmp_path / "postgres").stat().st_uid
    other = await asyncio.create_subprocess_exec("/bin/sleep", "600", user=owner if os.geteuid() == 0 else None)
    try:
        lock.write_text("\n".join([str(other.pid), *old[1:]]) + "\n", encoding="utf-8")
        os.chown(lock, owner, -1)
        async with Stack(tmp_path, need_nats=False) as stack:
            connection = await asyncpg.connect(stack.database_url)
            assert await connection.fetchval("select 1") == 1
            await connection.close()
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


async def test_a_server_that_nobody_watches_is_ended_before_the_next_starts(tmp_path: Path) -> None:
    """An orphaned PostgreSQL would hold the folder for ever."""
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    passwords = load_passwords(tmp_path / "run" / "passwords.json")
    child = await postgres_child(tmp_path, port=free_port(), passwords=passwords)
    user = ("--user", child.run_as) if child.run_as else ()
    launch = (sys.executable, str(LAUNCHER), "--parent", str(os.getpid()), "--signal", "9", *user, "--", *child.argv)
    orphan = await asyncio.create_subprocess_exec(*launch, env=child.env, stderr=subprocess.DEVNULL)
    try:
        await until(child.ready, what="the orphan is up")
        async with Stack(tmp_path, need_nats=False) as stack:
            await asyncio.wait_for(orphan.wait(), 5)
            await write_row(stack.database_url, "new")
    finally:
        if orphan.returncode is None:
            orphan.kill()
            await orphan.wait()


async def test_a_cluster_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    """A person who presses Ctrl-C during the first start could never start again."""
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with Stack(tmp_path, need_nats=False) as stack:
        await write_row(stack.database_url, "whole")
    assert not half.exists()


async def test_data_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """PostgreSQL would die with a message in a log that nobody reads."""
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n")
    with pytest.raises(Reject, match=r"is of PostgreSQL 16, this is 18"):
        async with Stack(tmp_path, need_nats=False):
            pass
    assert sorted(path.name for path in folder.iterdir()) == ["PG_VERSION"]
    with pytest.raises(Reject, match=r"is of PostgreSQL 16"):
        async with Stack(tmp_path, need_nats=False):
            pass


def test_the_binaries_are_those_of_the_wheels() -> None:
    """A PostgreSQL or NATS of the system, of some other version, would be used by chance."""
    assert b"18." in subprocess.check_output([postgres_binary("postgres"), "--version"])
    assert b"nats-server" in subprocess.check_output([nats_binary(), "--version"])
    assert Path(sys.prefix).resolve() in nats_binary().parents


def test_ports_are_not_those_of_outgoing_connections() -> None:
    """A client that waits for a restarting server could be given that server's port as its own."""
    assert free_port() in PORTS
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if path.exists():
        assert int(path.read_text().split()[0]) >= PORTS.stop


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user for PostgreSQL")
async def test_programs_below_a_private_folder_serve_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root with a venv below its own home, or in a private temporary folder, could not start the database."""
    package = embedded.postgres_binary("postgres").parents[2]
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, private / part.name, symlinks=True)
    folder = private / embedded.postgres_binary("postgres").parent.relative_to(package.parent)
    monkeypatch.setattr(embedded, "postgres_binary", lambda name: folder / name)
    monkeypatch.setattr(tempfile, "tempdir", None)
    async with Stack(tmp_path / "stack", need_nats=False) as stack:
        connection = await asyncpg.connect(stack.database_url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
