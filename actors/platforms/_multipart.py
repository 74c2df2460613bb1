"""Multipart forms with one part of a file in them, streamed. Source: RFC 7578, read 2026-11-23."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from actors.platforms._bodies import file_body
from actors.runtime.pace import Pace

__all__ = ["multipart"]


def multipart(
    fields: Mapping[str, str], *, name: str, file: Path, first: int, end: int, content_type: str, pace: Pace
) -> tuple[dict[str, str], Callable[[], AsyncIterator[bytes]]]:
    """Return headers and a maker of bodies: `fields` in their order, then file[first:end] as the part `name`."""
    boundary = secrets.token_hex(16)
    texts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(key)}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    about = f'Content-Disposition: form-data; name="{name}"; filename="video.mp4"\r\nContent-Type: {content_type}'
    head = f"{texts}--{boundary}\r\n{about}\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    parts = file_body(file, first, end, pace)

    async def body() -> AsyncIterator[bytes]:
        yield head
        async for part in parts():
            yield part
        yield tail

    length = len(head) + end - first + len(tail)
    return {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(length)}, body


def _quoted(name: str) -> str:
    """Return a name as browsers write it into a form."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
