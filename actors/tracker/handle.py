"""A post was published: plan its snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.runtime.db import load_queries
from actors.runtime.work import Services, Work
from actors.tracker.schedule import due_times
from contracts.events import PostPublished

__all__ = ["Q", "handle"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


async def handle(work: Work[PostPublished], services: Services) -> None:  # noqa: ARG001 - the shape of a handler
    """Write one row per snapshot; the first is due at once."""
    times = due_times(work.event.published_at)
    async with work.commit() as tx:
        await tx.conn.execute(Q["plan_snapshots"], work.event.post_id, list(range(len(times))), times)
