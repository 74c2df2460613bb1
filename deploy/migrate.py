"""Bring a database to the newest schema. Alembic keeps the order; the changes are SQL files in deploy/migrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from contracts.errors import Reject, Retry

__all__ = ["migrate", "pending"]

LOCK_KEY: Final = 0x_65_74_74_61
"""Advisory lock held while migrating: "etta" in ASCII."""

LOCK_TIMEOUT_S: Final = 120
CONNECT_TIMEOUT_S: Final = 10.0

UNREACHABLE: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)


async def migrate(database_url: str) -> tuple[str, ...]:
    """Apply all pending migrations in one transaction; return their names, oldest first.

    Several may call it at once: the others wait, then find nothing to do.
    Raises: Retry if the database cannot be reached; Reject if it is of a newer ettametta.
    """
    return await _run(database_url, _upgrade)


async def pending(database_url: str) -> tuple[str, ...]:
    """Return the names of the migrations that the database lacks, oldest first. Raises: as `migrate`."""
    return await _run(database_url, _missing)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _missing(connection: Connection) -> tuple[str, ...]:
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    try:
        scripts.get_revision(current or "base")
    except CommandError as error:
        raise Reject(
            f"the database has schema {current}, which this version does not know",
            mend="upgrade ettametta, or set DATABASE_URL to another database",
        ) from error
    steps = list(scripts.iterate_revisions("head", current or "base"))
    return tuple(Path(step.path).stem for step in reversed(steps))


def _upgrade(connection: Connection) -> tuple[str, ...]:
    connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_TIMEOUT_S}s'")
    connection.exec_driver_sql(f"select pg_advisory_xact_lock({LOCK_KEY})")
    missing = _missing(connection)
    if missing:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return missing


async def _run(database_url: str, work: Callable[[Connection], tuple[str, ...]]) -> tuple[str, ...]:
    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except UNREACHABLE as error:
        raise Retry(f"the database cannot be reached ({error}); start it, or mend DATABASE_URL") from error
    finally:
        await engine.dispose()
