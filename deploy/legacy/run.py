"""Copying table by table, a block of rows in one transaction each; what was copied before is left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, cast

from msgspec import Struct

from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from contracts.errors import Reject
from deploy.legacy.read import Left, mock_because, text
from deploy.legacy.source import Block, Source, opened
from deploy.legacy.tables import CORRELATION, TABLES, Context, Old, Q, Table

__all__ = ["Tally", "columns_of", "copy_legacy", "render"]

SENDER: Final = "tracker"
"""Gives the events of entries of revenue; nothing else that is copied is told."""
LEASE_S: Final = 15.0
MOST_REASONS: Final = 50


class Tally(Struct, kw_only=True):
    """What became of one table. read = copied + known + skipped. there: whether the database has it."""

    table: str
    there: bool = True
    read: int = 0
    copied: int = 0
    known: int = 0
    skipped: Counter[str]

    def skip(self, because: str, rows: int = 1) -> None:
        if because not in self.skipped and len(self.skipped) >= MOST_REASONS:
            because = "other reasons"
        if rows:
            self.skipped[because] += rows


async def copy_legacy(db: Database, url: str, *, currency: str | None = None) -> tuple[Tally, ...]:
    """Copy a predecessor's database, which is only read.

    Args: url: sqlite:///FILE or postgresql://...; currency: of revenue whose row names none.
    Raises: Reject if it cannot be read, or a table lacks a column that is needed, before anything is written.
    """
    async with opened(url) as source:
        columns = await columns_of(source)
        copying = _Copying(db, source, currency)
        return tuple([await copying.copy(table, columns[table.name]) for table in TABLES])


async def columns_of(source: Source) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table, none where it is not there.

    Raises: Reject if no table is there, or one lacks a column that is needed.
    """
    columns = {table.name: await source.columns(table.name) for table in TABLES}
    faults = [
        f"{table.name} has no {', '.join(missing)}"
        for table in TABLES
        if columns[table.name] and (missing := [name for name in table.needs if name not in columns[table.name]])
    ]
    if faults:
        raise Reject(f"the database has another schema: {'; '.join(faults)}", mend="docs/data-model.md describes it")
    if not any(columns.values()):
        raise Reject("none of the predecessor's tables is there", mend="Check that the address names its database")
    return columns


class _Copying:
    """One pass over a database."""

    def __init__(self, db: Database, source: Source, currency: str | None) -> None:
        self._db = db
        self._ledger = Ledger(db, sender=SENDER, clock=Clock(), ttl_s=LEASE_S)
        self._source = source
        self._currency = currency

    async def copy(self, table: Table, columns: tuple[str, ...]) -> Tally:
        tally = Tally(table=table.name, there=bool(columns), skipped=Counter())
        if not columns:
            return tally
        key = "id" if "id" in columns else table.needs[0]
        ordered = (key, *(name for name in columns if name != key))
        async with aclosing(cast("Any", self._source.blocks(table.name, ordered))) as blocks:
            async for block in cast("AsyncIterator[Block]", blocks):
                await self._block(table, key, block, tally)
        return tally

    async def _block(self, table: Table, key: str, block: Block, tally: Tally) -> None:
        tally.read += len(block)
        known = await _became(self._db, table.name, [str(row[key]) for row in block])
        others = {
            other: await _became(self._db, other, sorted({found for row in block if (found := _named(row, names))}))
            for other, names in table.follows.items()
        }
        context = Context(
            now=datetime.now(UTC), currency=self._currency, became=lambda kind, old: others.get(kind, {}).get(old)
        )
        rows: dict[str, Old] = {}
        for row in block:
            old_id = str(row[key])
            if old_id in known:
                tally.known += 1
                continue
            if old_id in rows:
                tally.skip("another row has its id")
                continue
            try:
                rows[old_id] = _read(table, row, old_id, context)
            except Left as left:
                tally.skip(str(left))
        if rows:
            written = await self._write(table, rows, context)
            tally.copied += len(written)
            tally.skip("it is here already, from elsewhere", len(rows) - len(written))

    async def _write(self, table: Table, rows: dict[str, Old], context: Context) -> set[str]:
        """Write rows and what they became, in one transaction; return the ids of those that have their place."""
        seed = f"legacy/{table.name}/{next(iter(rows))}/{context.now.isoformat()}"
        async with self._ledger.unit(seed=seed, correlation_id=CORRELATION, causation_id=None) as tx:
            written = await table.write(tx, list(rows.values()), context)
            ids = [(table.name, row.id, row.new_id) for row in rows.values() if row.id in written]
            await tx.conn.executemany(Q["put_id"], ids)
        return written


def _read(table: Table, row: dict[str, Any], old_id: str, context: Context) -> Old:
    """Raises: Left."""
    if row_because := mock_because(row):
        raise Left(row_because)
    if "\0" in old_id or not old_id.strip() or old_id == "None":
        raise Left("it has no id")
    return table.read(row, old_id, context)


def _named(row: dict[str, Any], names: Sequence[str]) -> str:
    try:
        return text(row, *names)
    except Left:
        return ""


async def _became(db: Database, kind: str, old_ids: list[str]) -> dict[str, str]:
    asked = [old_id for old_id in old_ids if "\0" not in old_id]
    rows = await db.fetch(Q["ids_known"], kind, asked) if asked else []
    return {row["old_id"]: row["new_id"] for row in rows}


def render(found: Sequence[Tally]) -> list[str]:
    """Say in lines what became of each table."""
    lines = []
    for one in found:
        if not one.there:
            lines.append(f"{one.table}: not there")
            continue
        skipped = sum(one.skipped.values())
        lines.append(f"{one.table}: {one.read} read, {one.copied} copied, {one.known} known before, {skipped} skipped")
        lines += [f"    {count} {because}" for because, count in one.skipped.most_common()]
    return lines
