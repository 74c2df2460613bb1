"""A journal for adapters that are driven without a publisher: it remembers what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from contracts.platform import UploadCheckpoint

__all__ = ["Notes"]


class Notes:
    """A `contracts.platform.Journal` in memory. told: every call in order; on_sending: awaited at each `sending`."""

    def __init__(self, *, may_exist: bool = False, on_sending: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.told: list[tuple[str, object]] = []
        self.kept: list[UploadCheckpoint] = []
        self._unanswered = int(may_exist)
        self._on_sending = on_sending

    @property
    def may_exist(self) -> bool:
        return self._unanswered > 0

    async def sending(self, end: int) -> None:
        self.told.append(("sending", end))
        if self._on_sending is not None:
            await self._on_sending(end)

    async def keep(self, checkpoint: UploadCheckpoint) -> None:
        self.told.append(("keep", checkpoint.step))
        self.kept.append(checkpoint)

    async def committing(self) -> None:
        self.told.append(("committing", None))
        self._unanswered += 1

    async def refused(self) -> None:
        self.told.append(("refused", None))
        self._unanswered = max(self._unanswered - 1, 0)
