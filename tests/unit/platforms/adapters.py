"""An adapter of discovery whose platform is a server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

from aiohttp.test_utils import BaseTestServer

from actors.runtime.cache import OwnCache
from actors.runtime.clock import Clock
from actors.runtime.http import open_http
from actors.runtime.means import Means
from actors.runtime.quota import OwnQuota
from actors.runtime.settings import load_settings
from actors.runtime.tokens import Tokens

__all__ = ["adapter_at", "adapter_on"]

A = TypeVar("A")


@asynccontextmanager
async def adapter_on(
    kind: Callable[[Means], A],
    server: BaseTestServer,
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[A]:
    """Make the adapter with the server as its platform, see adapter_at."""
    async with adapter_at(kind, str(server.make_url("")), folder, options=options, clock=clock) as adapter:
        yield adapter


@asynccontextmanager
async def adapter_at(
    kind: Callable[[Means], A],
    url: str,
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[A]:
    """Make the adapter with the address as its platform. It has no accounts; `options` are settings by name."""
    name = cast("str", __import__(kind.__module__, fromlist=["NAME"]).NAME)
    clock = Clock() if clock is None else clock
    given = {key.upper(): value for key, value in (options or {}).items()}
    settings = load_settings({f"{name.upper()}_API_URL": url, "CONTACT": "me@example.org", **given}, folder)
    async with open_http(settings, clock) as http:
        yield kind(
            Means(
                http=http,
                settings=settings,
                tokens=cast("Tokens", None),
                clock=clock,
                quota=OwnQuota(clock),
                cache=OwnCache(),
            )
        )
