"""Days of money: those that there can be entries, rates and prices of."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

__all__ = ["FIRST", "LAST", "read_day"]

FIRST: Final = date(1990, 1, 1)
LAST: Final = date(2100, 12, 31)


def read_day(told: str, form: str = "%Y-%m-%d") -> date:
    """Read a day. Raises: ValueError if it is none in that form, or one that no money can be of."""
    try:
        day = datetime.strptime(told, form).replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError(f"'{told[:40]}' is no day in the form {form}") from None
    if not FIRST <= day <= LAST:
        raise ValueError(f"'{told[:40]}' is not between {FIRST} and {LAST}")
    return day
