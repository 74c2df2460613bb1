"""`ettametta observe`: files as people have them, into a real database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.ranker.observe import observe
from actors.runtime.db import Database

BOM = b"\xef\xbb\xbf"


def line(name: str, **given: Any) -> bytes:
    seen = [{"at": "2026-11-02T10:00:00Z", "views": 10}]
    return json.dumps({"id": name, "platform": "vimeo", "observations": seen} | given).encode()


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id": "caf\xe9", "platform": "vimeo"}',
        b'{"id": "x", "more": ' + b"[" * 100_000,
        line("x", observations=[{"at": "0001-01-01T00:00:00+14:00"}]),
        line("x", observations=[{"at": "9999-12-31T23:59:59-14:00"}]),
        line("x", published_at="0001-01-01T00:00:00+05:00"),
        line("x\0y"),
        line("x", platform="\0"),
        line("x", language="e\0n"),
        line("".join(chr(0x4E00 + at * 7919 % 20_000) for at in range(4_000))),
    ],
)
async def test_bad_line_costs_that_line_only(database: Database, bad: bytes) -> None:
    """One line among a million would end the run."""
    got = await observe(database, [line("a"), bad, line("b")])
    assert [one.number for one in got.bad] == [2]
    assert (got.lines, got.bad_lines, got.stored.new_items) == (3, 1, 2)


async def test_file_that_an_editor_saved(database: Database) -> None:
    """Some begin files with a byte order mark and leave empty lines."""
    got = await observe(database, [BOM + line("a"), b"\n", line("b")], batch=1)
    assert (got.lines, got.bad_lines, got.stored.new_items) == (2, 0, 2)


async def test_addresses_with_nul_are_stored(database: Database) -> None:
    """PostgreSQL takes no NUL in a text, and an address may spell one."""
    lines = [line(name, url=f"https://example.org/films/2026/deep%00sea-squid?n={name}%00") for name in "ab"]
    assert (await observe(database, lines)).stored.new_items == 2


async def test_bare_lines_are_stored_without_counts(database: Database) -> None:
    """What `rank` takes must not be left out here, and no count be made up for it."""
    bare = line("a", platform=None, observations=None, published_at="2026-11-01", title=None, tags=[None])
    assert (await observe(database, [bare])).stored.new_items == 1
    again = await observe(database, [bare])
    assert (again.bad_lines, again.stored.new_items, again.stored.observations) == (0, 0, 0)
    row = await database.fetchrow("select item_id, platform, (select count(*) from observations) as seen from items")
    assert row is not None
    assert tuple(row) == ("unknown:a", "unknown", 0)
    seen = line("a", platform=None, observations=[{"at": "2026-11-03", "views": 30.0}])
    await observe(database, [seen, bare])
    assert await database.fetchval("select candidate -> 'metrics' ->> 'views' from items") == "30"
    assert await database.fetchval("select views from observations") == 30
