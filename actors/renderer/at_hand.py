"""Sources of plans as local files, fetched and checked once, not once for each chunk.

With media in a folder nothing is copied. From a bucket a source is fetched to temporary storage and stays until
other plans need the room, or nobody used it for a while.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from actors.runtime.objects import Objects
from contracts.errors import Reject
from contracts.ids import ObjectKey
from contracts.plan import Plan, PlanSource

__all__ = ["AtHand"]

IDLE_S: Final = 300.0
UNUSED: Final = 8
"""Files that nobody uses now and that are kept for the next chunk."""


class _File:
    def __init__(self, stack: AsyncExitStack, path: Path) -> None:
        self.stack = stack
        self.path = path
        self.users = 0
        self.used_at_s = time.monotonic()


class AtHand:
    """The sources that one process has as files."""

    def __init__(self) -> None:
        self._files: dict[tuple[ObjectKey, str], _File] = {}
        self._opening: dict[tuple[ObjectKey, str], asyncio.Lock] = {}

    @asynccontextmanager
    async def sources(self, objects: Objects, plan: Plan) -> AsyncIterator[dict[str, Path]]:
        """Give the local file of each source, by its id. Raises: Reject if one is missing or not what was planned."""
        async with AsyncExitStack() as used:
            yield {
                source.id: used.enter_context(self._used(await self._file(objects, source))) for source in plan.sources
            }

    async def let_go(self, *, idle_s: float = IDLE_S) -> None:
        """Remove what nobody used for so long."""
        unused = sorted(
            (each for each in self._files.items() if not each[1].users), key=lambda each: -each[1].used_at_s
        )
        for at, (name, file) in enumerate(unused):
            if at >= UNUSED or time.monotonic() - file.used_at_s >= idle_s:
                del self._files[name]
                await file.stack.aclose()

    async def _file(self, objects: Objects, source: PlanSource) -> _File:
        name = source.key, source.sha256.lower()
        async with self._opening.setdefault(name, asyncio.Lock()):
            if (file := self._files.get(name)) is None or not await asyncio.to_thread(file.path.is_file):
                async with AsyncExitStack() as stack:
                    path = await stack.enter_async_context(objects.local(source.key))
                    await asyncio.to_thread(_verify, source, path)
                    file = self._files[name] = _File(stack.pop_all(), path)
                await self.let_go()
        return file

    @contextmanager
    def _used(self, file: _File) -> Iterator[Path]:
        file.users += 1
        try:
            yield file.path
        finally:
            file.users -= 1
            file.used_at_s = time.monotonic()


def _verify(source: PlanSource, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256.lower():
        raise Reject(
            f"source '{source.id}' is not the file that was planned: its SHA-256 is {found}, not {source.sha256}",
            mend="make the plan again",
        )
