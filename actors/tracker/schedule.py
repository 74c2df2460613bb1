"""When a post is measured and looked at. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = [
    "CONFIRM_AFTER",
    "LATE",
    "LOOKS",
    "LOOKS_WHEN_GONE",
    "SNAPSHOTS",
    "due_times",
    "next_look",
    "next_look_when_gone",
]

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
LOOKS_WHEN_GONE: Final[tuple[timedelta, ...]] = (
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=30),
    timedelta(days=90),
)
"""After a removal was seen: an appeal is decided in days or weeks, and most posts that are gone stay gone."""
CONFIRM_AFTER: Final = timedelta(minutes=10)
"""Between the look that finds a post gone, or back, and the one that must agree."""


def due_times(shown_at: datetime, snapshots: tuple[timedelta, ...] = SNAPSHOTS) -> list[datetime]:
    """Return the time of each bucket. shown_at: since when people can see the post."""
    return [shown_at + age for age in snapshots]


def next_look(shown_at: datetime, now: datetime) -> datetime | None:
    """Return when a post is looked at next; None: no more. Looks that were missed are not made up for."""
    return next((shown_at + age for age in LOOKS if shown_at + age > now), None)


def next_look_when_gone(removed_at: datetime, now: datetime) -> datetime | None:
    """Return when a post that was removed is looked at next; None: no more."""
    return next((removed_at + after for after in LOOKS_WHEN_GONE if removed_at + after > now), None)
