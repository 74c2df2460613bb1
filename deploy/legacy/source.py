"""A predecessor's database, read-only: SQLite or PostgreSQL, its rows in blocks, so that memory stays flat."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import quote, unquote

import asyncpg

from actors.runtime.db import DRIVER_ERRORS
from contracts.errors import Reject

__all__ = ["BLOCK", "Block", "Source", "opened"]

BLOCK: Final = 500
"""Rows that are read, and written in one transaction, at a time."""
CONNECT_TIMEOUT_S: Final = 10.0
_SQLITE: Final = "sqlite://"
_POSTGRES: Final = ("postgresql://", "postgres://")

Block: TypeAlias = list[dict[str, Any]]


class Source(Protocol):
    """Where rows come from. Tables and columns are those that the database names itself."""

    async def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table; none: there is no such table."""
        ...

    def blocks(self, table: str, columns: tuple[str, ...]) -> AsyncIterator[Block]:
        """Give the rows of a table in blocks, in the order of its first column."""
        ...


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Source]:
    """Open a database by its address: sqlite:///FILE or postgresql://... Raises: Reject."""
    bare = url.replace("+asyncpg://", "://", 1).replace("+aiosqlite://", "://", 1).replace("+psycopg2://", "://", 1)
    if bare.startswith(_SQLITE):
        async with _sqlite(Path(unquote(bare.removeprefix(_SQLITE).removeprefix("/")))) as source:
            yield source
    elif bare.startswith(_POSTGRES):
        async with _postgres(bare) as source:
            yield source
    else:
        raise Reject(
            "the predecessor's database is named by its address",
            mend="Write sqlite:///FILE or postgresql://USER@HOST/NAME",
        )


@asynccontextmanager
async def _sqlite(file: Path) -> AsyncIterator[Source]:
    """Four slashes are an absolute path, three a relative one, as SQLAlchemy writes them."""
    if not file.is_file():
        raise Reject(
            f"there is no database {file}", mend="An absolute path has four slashes: sqlite:////var/lib/app.db"
        )
    connection: sqlite3.Connection | None = None
    try:
        connection = await asyncio.to_thread(
            sqlite3.connect, f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        yield _Sqlite(connection)
    except sqlite3.Error as error:
        raise Reject(f"{file} cannot be read as SQLite ({error})", mend="Name the predecessor's own file") from error
    finally:
        if connection is not None:
            await asyncio.to_thread(connection.close)


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def columns(self, table: str) -> tuple[str, ...]:
        rows = await asyncio.to_thread(
            lambda: self._connection.execute("select name from pragma_table_info(?)", (table,)).fetchall()
        )
        return tuple(row["name"] for row in rows)

    async def blocks(self, table: str, columns: tuple[str, ...]) -> AsyncIterator[Block]:
        cursor = await asyncio.to_thread(self._connection.execute, _select(table, columns))
        while rows := await asyncio.to_thread(cursor.fetchmany, BLOCK):
            yield [dict(row) for row in rows]


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Source]:
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"default_transaction_read_only": "on", "application_name": "ettametta-legacy"},
        )
    except (*DRIVER_ERRORS, TimeoutError, ValueError) as error:
        raise Reject(
            f"the predecessor's database cannot be reached ({type(error).__name__})", mend="Check its address"
        ) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield _Postgres(connection)
    except asyncpg.PostgresError as error:
        raise Reject(f"the predecessor's database refused to be read ({error})") from error
    finally:
        await connection.close()


class _Postgres:
    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def columns(self, table: str) -> tuple[str, ...]:
        rows = await self._connection.fetch(
            "select attname from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped"
            " order by attnum",
            table,
        )
        return tuple(row["attname"] for row in rows)

    async def blocks(self, table: str, columns: tuple[str, ...]) -> AsyncIterator[Block]:
        block: Block = []
        async for row in self._connection.cursor(_select(table, columns), prefetch=BLOCK):
            block.append(dict(row))
            if len(block) == BLOCK:
                yield block
                block = []
        if block:
            yield block


def _select(table: str, columns: tuple[str, ...]) -> str:
    """Names come from this program and from the catalogue of the database, never from rows."""
    named = ", ".join(_quoted(name) for name in columns)
    return f"select {named} from {_quoted(table)} order by {_quoted(columns[0])}"  # noqa: S608


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
