"""A post was published: plan its snapshots, and the looks at what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors import platforms
from actors.runtime.db import load_queries
from actors.runtime.work import Services, Work
from actors.tracker.schedule import due_times, next_look
from contracts.events import PostPublished

__all__ = ["Q", "handle"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))


async def handle(work: Work[PostPublished], services: Services) -> None:  # noqa: ARG001 - the shape of a handler
    """Write one row per snapshot, where the platform tells numbers; the first is due once people can see it."""
    event = work.event
    shown_at = event.shown_at or event.published_at
    times = due_times(shown_at)
    caps = platforms.module(event.platform).CAPS
    async with work.commit() as tx:
        if event.shown_at is not None:
            await tx.conn.execute(Q["note_shown_at"], event.post_id, event.shown_at)
        if caps.measure:
            await tx.conn.execute(Q["plan_snapshots"], event.post_id, list(range(len(times))), times)
        if caps.looks:
            await tx.conn.execute(Q["plan_looks"], event.post_id, next_look(shown_at, work.now))
