"""PostgreSQL: a pool, JSON as Structs, and SQL that lives in `queries.sql` files."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
import msgspec

__all__ = [
    "DRIVER_ERRORS",
    "Connection",
    "Database",
    "Record",
    "into",
    "is_unavailable",
    "load_queries",
    "open_database",
]

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[Record] | asyncpg.pool.PoolConnectionProxy[Record]"

COMMAND_TIMEOUT_S: Final = 30.0
ACQUIRE_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 5.0

DRIVER_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever a statement can raise: the server's no, the driver's, or the network's."""

T = TypeVar("T")

_NAME = re.compile(r"^-- name: (?P<name>\w+) :(?P<kind>one|many|exec|val)\b.*$", re.MULTILINE)


def load_queries(path: Path) -> Mapping[str, str]:
    """Read `-- name: claim_slot :one` blocks. Raises: ValueError if a name appears twice."""
    text = path.read_text(encoding="utf-8")
    marks = list(_NAME.finditer(text))
    queries: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name = mark["name"]
        if name in queries:
            raise ValueError(f"{path}: query '{name}' is there twice")
        queries[name] = text[mark.end() : following.start() if following else len(text)].strip().rstrip(";")
    return MappingProxyType(queries)


def into(kind: type[T], record: Record | Mapping[str, Any]) -> T:
    """Turn a row into a Struct with the same field names."""
    return msgspec.convert(dict(record), kind)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database, not the work, is at fault: the same statement may succeed once it is back."""
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error) or "released" in str(error)
    return isinstance(
        error,
        asyncpg.PostgresConnectionError
        | asyncpg.exceptions.OperatorInterventionError
        | asyncpg.exceptions.TooManyConnectionsError
        | asyncpg.exceptions.TransactionRollbackError
        # The driver's own state after a server died in the middle of an operation.
        | asyncpg.InternalClientError
        | asyncpg.exceptions.InsufficientResourcesError
        | asyncpg.exceptions.ReadOnlySQLTransactionError
        | ConnectionError
        | TimeoutError
        | socket.gaierror,
    ) or (isinstance(error, OSError) and error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH})


class Database:
    """A pool of connections whose jsonb columns speak msgspec."""

    def __init__(self, pool: asyncpg.Pool[Record]) -> None:
        self.pool = pool

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        return await self.pool.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        return await self.pool.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        return await self.pool.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        return await self.pool.execute(sql, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Give a connection inside a transaction: committed at the end, rolled back on any error."""
        async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
            yield connection


async def prepare(connection: asyncpg.Connection[Record]) -> None:
    """Teach a connection to write Structs into jsonb and read plain JSON back."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        # The binary form is a version, 1, and the text; COPY takes no other.
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )


@asynccontextmanager
async def open_database(url: str, *, max_size: int = 8, name: str = "ettametta") -> AsyncIterator[Database]:
    """Open a pool. Raises: OSError or asyncpg errors when the server cannot be reached."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        init=prepare,
        command_timeout=COMMAND_TIMEOUT_S,
        timeout=ACQUIRE_TIMEOUT_S,
        max_inactive_connection_lifetime=300.0,
        server_settings={"application_name": name, "timezone": "UTC"},
    )
    await pool
    async with pool.acquire():
        pass
    try:
        yield Database(pool)
    finally:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await pool.close()
        except DRIVER_ERRORS:
            pool.terminate()
