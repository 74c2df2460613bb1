"""Migrations against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.errors import Reject, Retry
from deploy.embedded import free_port
from deploy.migrate import LOCK_KEY, migrate, pending
from deploy.supervisor import Stack
from tests.stack import sibling, until

ALL = ("0001_spine",)


@pytest.fixture
async def empty_url(stack: Stack) -> AsyncIterator[str]:
    """Address of a database without any table."""
    assert stack.database_url is not None
    name = f"t{uuid.uuid4().hex}"
    server = await asyncpg.connect(sibling(stack.database_url, "postgres"))
    await server.execute(f"create database {name}")
    yield sibling(stack.database_url, name)
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def test_an_empty_database_gets_every_migration_once(empty_url: str) -> None:
    """A new installation would have no tables, or a second start would fail on those it has."""
    before = await pending(empty_url)
    assert before[: len(ALL)] == ALL
    assert await migrate(empty_url) == before
    assert await pending(empty_url) == ()
    assert await migrate(empty_url) == ()
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("select to_regclass('outbox')") == "outbox"
    await connection.close()


async def test_migrators_at_once_wait_for_each_other(empty_url: str) -> None:
    """Two replicas that start together would both create the tables, and one would die."""
    done = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(done, key=len)[:3] == [(), (), ()]
    assert max(done, key=len)[: len(ALL)] == ALL


async def test_a_migrator_waits_while_another_holds_the_lock(empty_url: str) -> None:
    """A second migrator would change the schema in the middle of the first one's work."""
    holder = await asyncpg.connect(empty_url)
    await holder.execute(f"select pg_advisory_lock({LOCK_KEY})")
    waiting = asyncio.create_task(migrate(empty_url))

    async def queued() -> bool:
        return bool(await holder.fetchval("select count(*) from pg_locks where locktype = 'advisory' and not granted"))

    await until(queued, what="the second migrator waits for the lock")
    assert await holder.fetchval("select to_regclass('outbox')") is None
    await holder.close()
    assert await waiting != ()


async def test_a_failing_statement_leaves_nothing_behind(empty_url: str) -> None:
    """A migration that fails half-way would leave a schema that no later migration fits."""
    connection = await asyncpg.connect(empty_url)
    await connection.execute("create table quota (already_here int)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(empty_url)
    assert await connection.fetchval("select to_regclass('inbox')") is None
    await connection.execute("drop table quota")
    await connection.close()
    assert await migrate(empty_url) != ()


async def test_the_schema_of_a_newer_version_is_refused(empty_url: str) -> None:
    """An old program on a new schema would write rows that the new program cannot read."""
    await migrate(empty_url)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("update alembic_version set version_num = '9999'")
    await connection.close()
    for work in (migrate, pending):
        with pytest.raises(Reject, match="upgrade ettametta"):
            await work(empty_url)


async def test_a_database_that_is_away_is_a_retry() -> None:
    """A database that starts later than ettametta would count as a bug."""
    with pytest.raises(Retry, match="DATABASE_URL"):
        await migrate(f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/none")
