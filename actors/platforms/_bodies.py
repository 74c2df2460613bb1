"""Bodies of uploads: parts of a file, streamed in blocks at the pace that the settings allow; memory stays flat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from actors.runtime.pace import Pace

__all__ = ["BLOCK_BYTES", "deadline_of", "file_body"]

BLOCK_BYTES: Final = 1 << 20
SLOWEST_BYTES_PER_S: Final = 64 * 1024
"""A line that carries less than this is taken for broken."""


def file_body(file: Path, first: int, end: int, pace: Pace) -> Callable[[], AsyncIterator[bytes]]:
    """Return a maker of streams of file[first:end]: a request that is repeated needs a new one."""
    block = min(BLOCK_BYTES, pace.bytes_per_s or BLOCK_BYTES)  # a slow pace sends small blocks, not long silences

    async def read() -> AsyncIterator[bytes]:
        at = first
        while at < end and (part := await asyncio.to_thread(_part, file, at, min(block, end - at))):
            at += len(part)
            await pace.take(len(part))
            yield part

    return read


def _part(file: Path, at: int, size_bytes: int) -> bytes:
    """Read a part. Opened for each: a stream that is given up half way leaves nothing open."""
    with file.open("rb") as source:
        source.seek(at)
        return source.read(size_bytes)


def deadline_of(size_bytes: int, pace: Pace) -> float:
    """Return how long a body of that size may take at that pace, seconds."""
    slowest = min(SLOWEST_BYTES_PER_S, (pace.bytes_per_s or SLOWEST_BYTES_PER_S) / 2)
    return 60.0 + size_bytes / slowest
