"""The newest observations of an item in a few bytes, and of a hundred thousand items as arrays."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from actors.runtime.db import Connection, load_queries
from contracts.clock import Utc
from contracts.ids import ItemId

__all__ = [
    "COUNT_COLUMNS",
    "PACKED_BYTES",
    "RECENT",
    "Counts",
    "Freshest",
    "copied",
    "freshest",
    "listed",
    "merged",
    "newest",
    "pack",
    "recents",
]

Q: Final = load_queries(Path(__file__).with_name("ingest.sql"))

RECENT: Final = 8
"""Observations kept at hand for each item."""
COUNT_COLUMNS: Final = ("item_no", "observed_at", "views", "likes", "comments", "shares")
_COPY_ITEMS: Final = 2_000
"""Items whose rows are made at once for a COPY."""

_ROW: Final = struct.Struct(">qdddd")
_EXACT: Final = struct.Struct(">qqqqq")
PACKED_BYTES: Final = _EXACT.size
"""Of one observation, as `pack` gives it."""
_NONE: Final = -(2**63)
"""Stands for a count that is not known."""
_AT: Final = struct.Struct(">q")
_COUNTS: Final = ("views", "likes", "comments", "shares")
_DTYPE: Final = np.dtype([("at", ">i8"), *((name, ">f8") for name in _COUNTS)])
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_Y2000_US: Final = 946_684_800_000_000
"""Where PostgreSQL counts its time from."""
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"

Floats = NDArray[np.float64]


class Counts(Struct, frozen=True, kw_only=True, gc=False):
    """Counts of a candidate at one moment; None: not known."""

    at: Utc
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None


class Freshest(Struct, frozen=True, kw_only=True):
    """Items observed last, newest first, and their observations.

    published_s: (n,), seconds since 1970, NaN not known; at_s, views, likes, comments, shares: (n, RECENT), oldest to
    newest with the newest in the last column; NaN: not known, or (at_s too) no such observation.
    """

    item_ids: list[ItemId]
    platforms: list[str]
    work_ids: NDArray[np.int64]
    published_s: Floats
    at_s: Floats
    views: Floats
    likes: Floats
    comments: Floats
    shares: Floats


def pack(counts: Iterable[Counts]) -> bytes:
    """Return observations of one item as bytes, exactly, one of each moment and the oldest first."""
    rows = {}
    for one in counts:
        at = (one.at - _EPOCH) // _US
        rows[at] = _EXACT.pack(
            at,
            _NONE if one.views is None else one.views,
            _NONE if one.likes is None else one.likes,
            _NONE if one.comments is None else one.comments,
            _NONE if one.shares is None else one.shares,
        )
    return b"".join([rows[at] for at in sorted(rows)])


def _table(packed: Sequence[bytes]) -> NDArray[np.int64]:
    return np.frombuffer(b"".join(packed), ">i8").astype(np.int64).reshape(-1, 5)


def recents(packed: Sequence[bytes]) -> list[bytes]:
    """Return the newest observations of each item, of those that `pack` gave, as `marks.recent` holds them."""
    table = _table(packed)
    rows = np.empty(len(table), _DTYPE)
    rows["at"] = table[:, 0]
    for at, name in enumerate(_COUNTS, start=1):
        rows[name] = np.where(table[:, at] == _NONE, np.nan, table[:, at])
    data, result, end = rows.tobytes(), [], 0
    for one in packed:
        start, end = end, end + len(one)
        result.append(data[max(start, end - RECENT * _ROW.size) : end])
    return result


def merged(before: bytes, more: bytes) -> bytes:
    """Return the newest observations of two in the form of `marks.recent`; of the same moment that before stays."""
    rows = {_AT.unpack_from(data, at)[0]: data[at : at + _ROW.size] for data in (more, before) for at in _starts(data)}
    return b"".join([rows[at] for at in sorted(rows)[-RECENT:]])


def _starts(data: bytes) -> range:
    return range(0, len(data), _ROW.size)


def listed(items: Sequence[tuple[int, bytes]]) -> list[list[object]]:
    """Return the columns of `counts` for items by number and what `pack` gave of them."""
    table = _table([packed for _, packed in items])
    numbers = np.repeat([number for number, _ in items], [len(packed) // PACKED_BYTES for _, packed in items])
    moments: list[object] = [_EPOCH + at * _US for at in table[:, 0].tolist()]
    counts = [[None if one == _NONE else one for one in table[:, at].tolist()] for at in range(1, 5)]
    return [numbers.tolist(), moments, *counts]


def copied(items: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """Yield rows of `counts` for a binary COPY: for items by number and what `pack` gave of them.

    Source: PostgreSQL 18, COPY, "Binary Format" (read 2026-11-23).
    """
    yield _COPY_HEAD
    for start in range(0, len(items), _COPY_ITEMS):
        part = items[start : start + _COPY_ITEMS]
        table = _table([packed for _, packed in part])
        numbers = np.repeat([number for number, _ in part], [len(packed) // PACKED_BYTES for _, packed in part])
        # Rows with the same counts missing are of one length.
        missing = table[:, 1:] == _NONE
        kinds = missing @ (1, 2, 4, 8)
        for kind in np.unique(kinds).tolist():
            of_kind = kinds == kind
            rows = np.empty(int(of_kind.sum()), _copy_row(kind))
            rows["fields"], rows["item_no_size"], rows["item_no"] = 6, 8, numbers[of_kind]
            rows["at_size"], rows["at"] = 8, table[of_kind, 0] - _Y2000_US
            for at, name in enumerate(_COUNTS):
                absent = kind >> at & 1
                rows[f"{name}_size"] = -1 if absent else 8
                if not absent:
                    rows[name] = table[of_kind, at + 1]
            yield rows.tobytes()
    yield _COPY_END


def _copy_row(kind: int) -> np.dtype[np.void]:
    fields = [("fields", ">i2"), ("item_no_size", ">i4"), ("item_no", ">i8"), ("at_size", ">i4"), ("at", ">i8")]
    for at, name in enumerate(_COUNTS):
        fields += [(f"{name}_size", ">i4"), *([] if kind >> at & 1 else [(name, ">i8")])]
    return np.dtype(fields)


def newest(packed: bytes) -> datetime | None:
    """Return the time of the newest of the observations in the form of `marks.recent`."""
    return _EPOCH + _AT.unpack_from(packed, len(packed) - _ROW.size)[0] * _US if packed else None


async def freshest(conn: Connection, most: int) -> Freshest:
    """Read the `most` items that were observed last."""
    row = await conn.fetchrow(Q["freshest"], most)
    assert row is not None
    held = np.frombuffer(row["lengths"] or b"", ">i4").astype(np.int64) // _ROW.size
    rows = np.frombuffer(row["recent"] or b"", _DTYPE)
    # The last of each item goes to the last column.
    there = np.arange(RECENT) >= RECENT - held[:, None]

    def column(name: str) -> Floats:
        values = np.full(there.shape, np.nan)
        values[there] = rows[name]
        return values

    return Freshest(
        item_ids=row["item_ids"] or [],
        platforms=row["platforms"] or [],
        work_ids=np.frombuffer(row["work_ids"] or b"", ">i8").astype(np.int64),
        published_s=np.frombuffer(row["published_s"] or b"", ">f8").astype(np.float64),
        at_s=column("at") / 1e6,
        views=column("views"),
        likes=column("likes"),
        comments=column("comments"),
        shares=column("shares"),
    )
