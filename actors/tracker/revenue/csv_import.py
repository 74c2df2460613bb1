"""CSV files of networks: columns are read by a map that is saved under a name.

Delimiter, byte order mark and the lines above the header are found by themselves; decimal mark and form of dates are
part of the map, because a file does not tell them apart. A row that cannot be taken is named with its line and reason.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from actors.tracker.revenue.attribution import Attributed, attribute_named
from actors.tracker.revenue.days import read_day
from actors.tracker.revenue.entries import BATCH, Entry, Q, Recorded, batches, entry_id, record
from actors.tracker.revenue.money import Money, currency_code, money, parse_amount
from contracts.errors import Reject

__all__ = ["Imported", "Map", "Rejected", "Row", "all_maps", "find_map", "import_file", "read_rows", "save_map"]

HEADER_WITHIN: Final = 30
"""Lines in which the header must come: titles stand above it in some reports."""
DELIMITERS: Final = (",", ";", "\t", "|")
REJECTED_SHOWN: Final = 1000
LONGEST_CELL: Final = 10_000
LEFT_OUT: Final = "taken back: the file's row is one that the map leaves out"


class Map(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a network's columns are read."""

    date: str
    """Column of the day."""
    amount: str
    currency: str | None = None
    """Currency of every row; None: `currency_column` has it."""
    currency_column: str | None = None
    id: tuple[str, ...] = ()
    """Columns that name a row for good; empty: the whole row names itself."""
    post: str | None = None
    """Column with a post's marker (sub-id), id or address."""
    note: tuple[str, ...] = ()
    platform: str | None = None
    date_format: str = "%Y-%m-%d"
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    finer: Literal["refuse", "round"] = "refuse"
    skip: dict[str, tuple[str, ...]] = {}
    """Rows left out: by column, the values, such as {"Status": ["declined"]}."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be there."""
        named = (self.date, self.amount, self.currency_column, self.post, *self.id, *self.note, *self.skip)
        return tuple(dict.fromkeys(name for name in named if name is not None))


class Rejected(Struct, frozen=True):
    """A row that was not taken."""

    line: int
    because: str


class Row(Struct, frozen=True, kw_only=True):
    """One row as the map reads it."""

    line: int
    key: str
    amount: Money
    earned_on: date
    post: str = ""
    note: str = ""


class Imported(Struct, kw_only=True):
    """What came of a file. rejected: the first of them; rejected_rows counts all."""

    rows: int = 0
    recorded: Recorded
    attributed: int = 0
    left_out: int = 0
    rejected_rows: int = 0
    rejected: list[Rejected]

    def reject(self, line: int, because: str) -> None:
        self.rejected_rows += 1
        if len(self.rejected) < REJECTED_SHOWN:
            self.rejected.append(Rejected(line, because))


def check_map(given: Map) -> Map:
    """Return the map with its currency in one form. Raises: Reject."""
    if (given.currency is None) == (given.currency_column is None):
        raise Reject("the map names no currency, or two", mend="Give either one currency or the column that has it")
    try:
        codecs.lookup(given.encoding)
    except LookupError as error:
        raise Reject(f"'{given.encoding}' is no encoding", mend="Such as utf-8 or cp1252") from error
    shown = datetime(2026, 11, 23, tzinfo=UTC).strftime(given.date_format)
    try:
        same = datetime.strptime(shown, given.date_format).replace(tzinfo=UTC).date() == date(2026, 11, 23)
    except ValueError:
        same = False
    if not same:
        raise Reject(f"'{given.date_format}' does not tell a day", mend="Such as %Y-%m-%d, %d.%m.%Y or %m/%d/%y")
    if given.currency is None:
        return given
    return msgspec.structs.replace(given, currency=currency_code(given.currency))


def read_rows(lines: Iterable[str], given: Map, told: Imported, left_out: set[str] | None = None) -> Iterator[Row]:
    """Read rows; those that cannot be taken go to `told`. Raises: Reject if no line is the header.

    Args: left_out: gets, at the end, the keys that the map leaves out wherever they come.
    """
    left = set[str]() if left_out is None else left_out
    ahead = iter(lines)
    reader, header, above = _header(ahead, given)
    at = {name: place for place, name in reversed(list(enumerate(header)))}
    twins: Counter[str] = Counter()
    named: dict[str, int] = {}
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            left.difference_update(named)
            return
        except csv.Error as error:
            told.reject(above + reader.line_num, f"the line cannot be read ({error})")
            continue
        line = above + reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        told.rows += 1
        try:
            row = _row(cells, at, given, line)
        except (Reject, ValueError) as error:
            told.reject(line, str(error))
            continue
        if isinstance(row, str):
            told.left_out += 1
            left |= {row} - {""}
            continue
        if not given.id:  # rows that are alike are told apart by their number: the same file has the same again
            twins[row.key] += 1
            row = msgspec.structs.replace(row, key=f"{row.key}/{twins[row.key]}")
        elif (first := named.setdefault(row.key, line)) != line:
            told.reject(line, f"it has the same {' and '.join(given.id)} as line {first}: add a column that differs")
            continue
        yield row


def _header(ahead: Iterator[str], given: Map) -> tuple[Any, list[str], int]:
    """Find the first line that has every column, and the delimiter that shows them.

    Returns: a reader of what follows, the header's names, and the number of the header's line.
    """
    nearest: tuple[int, list[str]] = (0, list(given.columns))
    for number, line in enumerate(ahead, start=1):
        for delimiter in DELIMITERS:
            names = [cell.strip() for cell in next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])]
            missing = [name for name in given.columns if name not in names]
            if not missing:
                return csv.reader(ahead, delimiter=delimiter, strict=True), names, number
            found = len(given.columns) - len(missing)
            if found > nearest[0]:
                nearest = (found, missing)
        if number >= HEADER_WITHIN:
            break
    named = ", ".join(f"'{name}'" for name in nearest[1])
    raise Reject(
        f"no line among the first {HEADER_WITHIN} is a header with every column of the map; missing: {named}",
        mend="Choose another map, or save this one anew with the names that the file has",
    )


def _row(cells: Sequence[str], at: dict[str, int], given: Map, line: int) -> Row | str:
    """Read a row. Words: the map leaves it out, and that is its key, if it has one. Raises: Reject, ValueError."""

    def cell(name: str) -> str:
        place = at[name]
        if place >= len(cells):
            raise ValueError(f"the row ends before its column '{name}'")
        text = cells[place].strip()
        if "\0" in text or len(text) > LONGEST_CELL:
            raise ValueError(f"column '{name}' holds a NUL or more than {LONGEST_CELL:,} characters")
        return text

    for column, values in given.skip.items():
        if cell(column).casefold() in {value.casefold() for value in values}:
            return _key_left_out(cells, at, given)
    earned_on = read_day(cell(given.date), given.date_format)
    told_amount = cell(given.amount)
    if not told_amount:
        raise ValueError(f"column '{given.amount}' is empty")
    currency = given.currency or cell(given.currency_column or "")
    amount: Decimal = parse_amount(told_amount, decimal=given.decimal, currency=currency)
    found = money(amount, currency, finer=given.finer)
    named = [cell(name) for name in given.id]
    if given.id and not any(named):
        raise ValueError(f"nothing names the row: {', '.join(given.id)} is empty")
    key = "\x1f".join(named) if given.id else _digest(cells)
    return Row(
        line=line,
        key=key,
        amount=found,
        earned_on=earned_on,
        post=cell(given.post) if given.post else "",
        note=" · ".join(text for name in given.note if (text := cell(name))),
    )


def _key_left_out(cells: Sequence[str], at: dict[str, int], given: Map) -> str:
    """Return the key of a row that is left out; empty: nothing names it."""
    named = [cells[at[name]].strip() if at[name] < len(cells) else "" for name in given.id]
    return "\x1f".join(named) if any(named) and len("".join(named)) < LONGEST_CELL else ""


def _digest(cells: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(text.strip() for text in cells).encode()).hexdigest()


async def import_file(db: Database, ledger: Ledger, file: Path, given: Map, *, name: str, now: datetime) -> Imported:
    """Take a file's rows as entries of the source `csv:name`. The same file again changes nothing.

    An entry whose row is left out now, such as one declined, is corrected to 0.

    Raises: Reject if the file cannot be read at all.
    """
    told, left_out = Imported(recorded=Recorded(), rejected=[]), set[str]()
    try:
        with file.open(encoding=_encoding(file, given.encoding), newline="") as lines:
            for batch in batches(read_rows(lines, given, told, left_out), BATCH):
                posts = await attribute_named(db, [row.post for row in batch if row.post])
                entries = [_entry(row, posts.get(row.post), given, name) for row in batch]
                told.attributed += sum(entry.post_id is not None for entry in entries)
                told.recorded += await record(ledger, entries, now=now)
        for keys in batches(sorted(left_out), BATCH):
            told.recorded += await record(ledger, await _taken_back(db, f"csv:{name}", keys), now=now)
    except UnicodeDecodeError as error:
        raise Reject(
            f"{file.name} is not written in {given.encoding}", mend="Save the map with --encoding, such as cp1252"
        ) from error
    except OSError as error:
        raise Reject(f"{file.name} cannot be read ({error.strerror})") from error
    return told


async def _taken_back(db: Database, source: str, keys: Sequence[str]) -> list[Entry]:
    """Return the entries with these keys that are in the books, with nothing earned."""
    found = await db.fetch(Q["standing_entries"], [entry_id(source, key) for key in keys])
    return [
        Entry(
            **{name: row[name] for name in Entry.__struct_fields__ if name not in {"source", "key", "amount", "note"}},
            source=source,
            key=row["source_key"],
            amount=Money(0, row["currency"]),
            note="; ".join(part for part in (row["note"], LEFT_OUT) if part),
        )
        for row in found
    ]


def _entry(row: Row, found: Attributed | None, given: Map, name: str) -> Entry:
    source = f"csv:{name}"
    told = f"no post is known by '{row.post[:60]}'" if row.post and found is None else ""
    return Entry(
        source=source,
        key=row.key,
        amount=row.amount,
        earned_on=row.earned_on,
        item_id=found.item_id if found else None,
        post_id=found.post_id if found else None,
        platform=found.platform if found else given.platform,
        account_id=found.account_id if found else None,
        attributed_by=f"column '{given.post}': {found.by}" if found else "",
        note="; ".join(part for part in (row.note, told) if part),
    )


def _encoding(file: Path, told: str) -> str:
    """Return the encoding of a file: what its byte order mark says, else what the map does."""
    with file.open("rb") as content:
        start = content.read(4)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else told


async def save_map(db: Database, name: str, given: Map, *, now: datetime) -> None:
    """Raises: Reject."""
    if not name.strip() or len(name) > 60 or not name.isprintable():
        raise Reject("the map needs a name of at most 60 characters")
    await db.execute(Q["put_map"], name, check_map(given), now)


async def find_map(db: Database, name: str) -> Map:
    """Raises: Reject, naming the maps that there are."""
    found = await db.fetchval(Q["find_map"], name)
    if found is None:
        known = ", ".join(one for one, _ in await all_maps(db)) or "none"
        raise Reject(f"no map is called '{name}'; saved: {known}", mend="Save one with `ettametta revenue map`")
    return msgspec.convert(found, Map)


async def all_maps(db: Database) -> list[tuple[str, Map]]:
    return [(row["name"], msgspec.convert(row["map"], Map)) for row in await db.fetch(Q["all_maps"])]
