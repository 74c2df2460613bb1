"""How fast bytes may leave: one pace for all uploads of a process."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from actors.runtime.clock import Clock

__all__ = ["Pace"]

FURTHEST_AHEAD: Final = timedelta(seconds=60)
"""A clock that was set back must not hold bytes up for as long as it was set back by."""


class Pace:
    """At most `bytes_per_s` over all who take from it; 0: as fast as it goes."""

    def __init__(self, bytes_per_s: int, clock: Clock) -> None:
        self.bytes_per_s = bytes_per_s
        self._clock = clock
        self._free_at: datetime | None = None

    async def take(self, size_bytes: int) -> None:
        """Wait until `size_bytes` may leave. Whoever takes at the same time waits its turn."""
        if not self.bytes_per_s:
            return
        now = self._clock.now()
        turn = min(max(self._free_at or now, now), now + FURTHEST_AHEAD)
        self._free_at = turn + timedelta(seconds=size_bytes / self.bytes_per_s)
        await self._clock.sleep((turn - now).total_seconds())
