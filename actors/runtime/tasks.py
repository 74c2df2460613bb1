"""The end of background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["end_tasks"]

AGAIN_S: Final = 5.0


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], *, again_s: float = AGAIN_S) -> None:
    """Cancel tasks until every one has ended; what they raise stays with them.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which nats-py asks with, loses a cancellation that comes
    together with the answer (github.com/python/cpython/issues/86296).
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
