"""Time, passed in so that tests can turn the hands."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

__all__ = ["Clock"]


class Clock:
    """The real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
