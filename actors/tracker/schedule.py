"""When a post is measured. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["SNAPSHOTS", "due_times"]

SNAPSHOTS: Final[tuple[timedelta, ...]] = (
    timedelta(0),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
    timedelta(days=2),
    timedelta(days=4),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=30),
)
"""Age of a post at each snapshot, in the order of the buckets: dense while the counts grow fast."""


def due_times(published_at: datetime, snapshots: tuple[timedelta, ...] = SNAPSHOTS) -> list[datetime]:
    """Return the time of each bucket."""
    return [published_at + age for age in snapshots]
