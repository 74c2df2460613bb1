"""The looks of pictures from strangers, in a child process that may fail without harm."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from actors.ranker.picture import look_of, read_grey
from actors.runtime import isolate
from contracts.errors import Reject

__all__ = ["LookRequest", "Looks", "look", "looks_of"]

DEADLINE_S: Final = 60.0
MEMORY_BYTES: Final = 1 << 30


class LookRequest(Struct, frozen=True):
    """paths: local files."""

    paths: tuple[str, ...]


class Looks(Struct, frozen=True):
    """The look of each file in order; null: it cannot be read, or says nothing."""

    looks: tuple[int | None, ...]


async def looks_of(files: list[Path]) -> tuple[int | None, ...]:
    """Return the look of each picture; None: it cannot be read, or says nothing. Raises: Reject, Retry."""
    found = await isolate.run_isolated(
        "actors.ranker.look",
        LookRequest(tuple(str(file) for file in files)),
        result=Looks,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        writes_bytes=0,
        what="looking at thumbnails",
    )
    return found.looks


def look(request: LookRequest, _progress: isolate.Progress) -> Looks:
    """Look in this process."""
    found: list[int | None] = []
    for path in request.paths:
        try:
            found.append(look_of(read_grey(Path(path).read_bytes())))
        except (Reject, OSError):
            found.append(None)
    return Looks(tuple(found))


if __name__ == "__main__":
    isolate.serve(LookRequest, look)
