"""An adapter of discovery whose platform is a server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

from aiohttp.test_utils import BaseTestServer

from actors.runtime.clock import Clock
from actors.runtime.http import Http, open_http
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens

__all__ = ["adapter_on"]

A = TypeVar("A")


@asynccontextmanager
async def adapter_on(
    kind: Callable[[Http, Settings, Tokens, Clock], A], server: BaseTestServer, folder: Path
) -> AsyncIterator[A]:
    """Make the adapter with the server as its platform. It has no tokens: keyless discovery asks for none."""
    name = cast("str", __import__(kind.__module__, fromlist=["NAME"]).NAME)
    settings = Settings(
        data_dir=folder, api_urls={name: str(server.make_url("")).rstrip("/")}, contact="me@example.org"
    )
    async with open_http(settings, Clock()) as http:
        yield kind(http, settings, cast("Tokens", None), Clock())
