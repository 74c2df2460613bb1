"""The newest observations of an item in a few bytes, and of a hundred thousand items as arrays."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from actors.runtime.db import Connection, load_queries
from contracts.clock import Utc
from contracts.ids import ItemId

__all__ = ["RECENT", "Counts", "Freshest", "freshest", "newest", "pack"]

Q: Final = load_queries(Path(__file__).with_name("ingest.sql"))

RECENT: Final = 8
"""Observations kept at hand for each item."""

_ROW: Final = struct.Struct(">qdddd")
_AT: Final = struct.Struct(">q")
_DTYPE: Final = np.dtype([("at", ">i8"), ("views", ">f8"), ("likes", ">f8"), ("comments", ">f8"), ("shares", ">f8")])
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_NAN: Final = float("nan")

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


def pack(counts: Iterable[Counts], before: bytes = b"") -> bytes:
    """Return the newest observations as bytes, together with those packed before, of which the same moment stays."""
    packed = {}
    for one in counts:
        at = round(one.at.timestamp() * 1e6)
        values = (one.views, one.likes, one.comments, one.shares)
        packed[at] = _ROW.pack(at, *[_NAN if value is None else value for value in values])
    for start in range(0, len(before), _ROW.size):
        packed[_AT.unpack_from(before, start)[0]] = before[start : start + _ROW.size]
    return b"".join(packed[at] for at in sorted(packed)[-RECENT:])


def newest(packed: bytes) -> datetime | None:
    """Return the time of the newest of the packed observations."""
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
