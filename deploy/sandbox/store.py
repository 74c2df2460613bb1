"""The sandbox's state: Structs as JSON documents in one SQLite file.

Calls take well under a millisecond, so they run on the event loop; what happens between two awaits is atomic.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

__all__ = ["Store"]

Document = TypeVar("Document", bound=Struct)

_BLOCK = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_SQL = dict(_BLOCK.findall(Path(__file__).with_name("queries.sql").read_text("utf-8")))


class Store:
    """Documents by kind (their class name) and id, and named counters. A committed write survives `kill -9`."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(file, isolation_level=None)
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = NORMAL")
        self._sql.executescript(_SQL["schema"])

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make several writes one. Must not be held across an await."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def put(self, key: str, document: Struct) -> None:
        body = msgspec.json.encode(document).decode()
        self._sql.execute(_SQL["put_document"], {"kind": type(document).__name__, "id": key, "body": body})

    def get(self, kind: type[Document], key: str) -> Document | None:
        row = self._sql.execute(_SQL["get_document"], {"kind": kind.__name__, "id": key}).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=kind)

    def all(self, kind: type[Document]) -> list[Document]:
        """Return every document of one kind, oldest first."""
        rows = self._sql.execute(_SQL["all_documents"], {"kind": kind.__name__})
        decoder = msgspec.json.Decoder(kind)
        return [decoder.decode(body) for (body,) in rows]

    def keys(self, kind: type[Struct], *, client_id: str, account: str) -> list[str]:
        """Return the ids of an account's documents of one kind, oldest first."""
        values = {"kind": kind.__name__, "client_id": client_id, "account": account}
        return [key for (key,) in self._sql.execute(_SQL["keys_of_account"], values)]

    def drop(self, kind: type[Struct], key: str) -> bool:
        return self._sql.execute(_SQL["drop_document"], {"kind": kind.__name__, "id": key}).rowcount > 0

    def drop_all(self, kind: type[Struct]) -> None:
        self._sql.execute(_SQL["drop_documents"], {"kind": kind.__name__})

    def add(self, name: str, amount: float) -> float:
        """Add to a counter and return its new value."""
        value: float = self._sql.execute(_SQL["add_to_counter"], {"name": name, "amount": amount}).fetchone()[0]
        return value

    def counter(self, name: str) -> float:
        row = self._sql.execute(_SQL["counter"], {"name": name}).fetchone()
        return 0.0 if row is None else float(row[0])

    def counters(self, prefix: str) -> dict[str, int]:
        """Return the counters whose name starts with `prefix`, the prefix cut off."""
        rows = self._sql.execute(_SQL["counters_with_prefix"], {"prefix": prefix})
        return {name[len(prefix) :]: int(value) for name, value in rows}
