"""What the platforms of one sandbox share: its folder, state, settings and clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from deploy.sandbox.settings import SandboxSettings
from deploy.sandbox.store import Store

__all__ = ["MediaFile", "Refused", "Sandbox", "origin", "rfc3339"]


class Refused(Exception):
    """A request that the platform turns down; `response` says so in the platform's own words."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class MediaFile(web.FileResponse):
    """A file answer (Range, conditional requests) that remembers its file, so that a fault can cut it short."""

    def __init__(self, file: Path, *, content_type: str) -> None:
        super().__init__(file, headers={"Content-Type": content_type, "X-Content-Type-Options": "nosniff"})
        self.file = file


class Sandbox:
    """One sandbox. `settings` may be replaced while it runs; `clock` gives Unix seconds."""

    def __init__(self, folder: Path, settings: SandboxSettings, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.media = folder / "media"
        self.media.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "sandbox.sqlite3")
        self.settings = settings
        self._clock = clock

    def now(self) -> float:
        """Return Unix seconds on the sandbox's clock, which /sandbox/clock can move forward."""
        return self._clock() + self.store.counter("clock_offset_s")

    def advance(self, seconds: float) -> float:
        """Move the clock forward and return the new time."""
        self.store.add("clock_offset_s", seconds)
        return self.now()


def rfc3339(moment: float) -> str:
    """Write Unix seconds the way YouTube does, in whole seconds UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def origin(request: web.Request) -> str:
    """Return scheme and host as the client addressed them."""
    return f"{request.scheme}://{request.host}"
