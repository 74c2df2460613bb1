"""Google's resumable upload protocol: ask how much is there, send the rest, never send twice what may be a video.

Docs: "Resumable Uploads", developers.google.com/youtube/v3/guides/using_resumable_upload_protocol, read 2026-11-23.
A question is `PUT` with `Content-Range: bytes */TOTAL`; 308 is "resume incomplete" with the stored bytes in `Range`,
200 and 201 are the finished resource. Every chunk but the last is a multiple of 256 KiB.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from actors.platforms._bodies import file_body
from actors.runtime.http import Response
from actors.runtime.killpoint import reach
from actors.runtime.pace import Pace
from contracts.errors import Retry, Unconfirmed

__all__ = ["CHUNK_UNIT_BYTES", "Put", "parse_confirmed", "send_rest"]

CHUNK_UNIT_BYTES: Final = 262_144
"""Chunks but the last are a multiple of this."""
STALLS_ALLOWED: Final = 2

_RANGE = re.compile(r"bytes=0-(\d+)")

Put = Callable[[str, Callable[[], AsyncIterator[bytes]] | None, int, bool], Awaitable[Response]]
"""Send one PUT to the session: Content-Range, the body (None: empty), its length in bytes, whether it has the last."""


def parse_confirmed(headers: Mapping[str, str]) -> int:
    """Return how many bytes a 308 answer says are stored. Raises: Retry if the Range header cannot be read."""
    told = headers.get("Range")
    if told is None:
        return 0
    found = _RANGE.fullmatch(told.strip())
    if found is None:
        raise Retry(f"the upload session answered with an unreadable Range ({told!r})")
    return int(found[1]) + 1


async def send_rest(
    put: Put,
    file: Path,
    *,
    size_bytes: int,
    chunk_bytes: int | None,
    pace: Pace,
    sending: Callable[[int], Awaitable[None]],
) -> Response:
    """Ask where the session stands, send what is missing, return the first answer that is not 308.

    Args: chunk_bytes: size of a chunk, a multiple of 256 KiB; None: everything that is missing in one body.
    `sending(n)` is awaited before the request that carries byte n - 1.
    Raises: Unconfirmed (the session is gone), Retry (the server takes no more bytes just now).
    """
    if chunk_bytes is not None and (chunk_bytes <= 0 or chunk_bytes % CHUNK_UNIT_BYTES):
        raise ValueError(f"chunk_bytes must be a multiple of {CHUNK_UNIT_BYTES}")
    answer = await put(f"bytes */{size_bytes}", None, 0, False)
    furthest, stalls = -1, 0
    while answer.status == 308:
        first = parse_confirmed(answer.headers)
        if first >= size_bytes:
            raise Retry("the platform has every byte and has not made the video of them yet", delay_s=5.0)
        stalls = stalls + 1 if first <= furthest else 0
        if stalls > STALLS_ALLOWED:
            raise Retry(f"the platform stores nothing beyond byte {first} of {size_bytes}")
        furthest = max(furthest, first)
        end = size_bytes if chunk_bytes is None else min(first + chunk_bytes, size_bytes)
        await sending(end)
        place = f"bytes {first}-{end - 1}/{size_bytes}"
        answer = await put(place, file_body(file, first, end, pace), end - first, end == size_bytes)
        reach("publisher.chunk_sent")
    if answer.status in {404, 410}:
        raise Unconfirmed(f"the upload session has ended (HTTP {answer.status})")
    return answer
