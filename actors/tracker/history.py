"""Posts with their snapshots, read from what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from actors.runtime.db import Database
from actors.tracker.growth import Post, Shot
from actors.tracker.handle import Q

__all__ = ["history"]

LOOKS_BACK: Final = timedelta(weeks=16)


async def history(
    db: Database,
    now: datetime,
    *,
    account: str | None = None,
    niche: str | None = None,
    platform: str | None = None,
) -> tuple[Post, ...]:
    """Return the posts that people can see since the last months, oldest first; None: no matter which."""
    rows = await db.fetch(Q["history"], account, niche, platform, now - LOOKS_BACK, now)
    found = []
    for _, some in groupby(rows, key=lambda row: row["post_id"]):
        shots = list(some)
        found.append(
            Post(
                **{name: shots[0][name] for name in ("post_id", "platform", "account_id", "niche", "shown_at")},
                shots=tuple(
                    Shot(**{name: row[name] for name in Shot.__struct_fields__})
                    for row in shots
                    if row["bucket"] is not None
                ),
            )
        )
    return tuple(found)
