"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from actors.tracker.revenue import days
from contracts.errors import Reject

__all__ = ["IN_UTC", "IN_WALL_TIME", "read_day", "read_time"]

IN_WALL_TIME: Final = "Write it as 2026-12-01T18:00, in the account's wall time, or with +01:00 or Z"
IN_UTC: Final = "Write it as 2026-12-31 or 2026-12-31T18:00, in UTC, or with +01:00 or Z"
_YEARS: Final = range(1970, 9000)
"""Within them no zone and no planning leaves the calendar."""


def read_time(told: str, *, mend: str) -> datetime:
    """Read a time in ISO 8601; naive where it names no offset, which is then the caller's to understand.

    Args: mend: how it is written here. Raises: Reject.
    """
    try:
        found = datetime.fromisoformat(told.strip())
    except ValueError as error:
        raise Reject(f"'{told}' is no time", mend=mend) from error
    if found.year not in _YEARS:
        raise Reject(f"'{told}' is no time that can be planned", mend=mend)
    return found if found.tzinfo is None else found.astimezone(UTC)


def read_day(told: str) -> date:
    """Read the day of an amount. Raises: Reject."""
    try:
        return days.read_day(told.strip())
    except ValueError as error:
        raise Reject(str(error), mend="Write it as 2026-11-23") from error
