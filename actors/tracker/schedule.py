"""When a post is measured and looked at. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["CONFIRM_AFTER", "LATE", "LOOKS", "SNAPSHOTS", "due_times", "next_look"]

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
LATE: Final = timedelta(hours=48)
"""How late a platform may tell a number (Meta: "up to 48 hours", YouTube Analytics: two to three days)."""
LOOKS: Final[tuple[timedelta, ...]] = (
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=8),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=4),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=30),
    timedelta(days=60),
    timedelta(days=90),
    timedelta(days=180),
    timedelta(days=365),
)
"""Age of a post at each look: a post is taken down in its first hours, or long after by a claim."""
CONFIRM_AFTER: Final = timedelta(minutes=10)
"""Between the look that finds a post gone and the one that must agree."""


def due_times(shown_at: datetime, snapshots: tuple[timedelta, ...] = SNAPSHOTS) -> list[datetime]:
    """Return the time of each bucket. shown_at: since when people can see the post."""
    return [shown_at + age for age in snapshots]


def next_look(shown_at: datetime, now: datetime) -> datetime | None:
    """Return when a post is looked at next; None: no more. Looks that were missed are not made up for."""
    return next((shown_at + age for age in LOOKS if shown_at + age > now), None)
