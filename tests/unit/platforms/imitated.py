"""An adapter whose platform is the sandbox on a clock turned by hand, or answers written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors import platforms
from actors.runtime.clock import Clock
from deploy.sandbox import SandboxSettings, api_urls, feeds, running
from tests.unit.platforms.adapters import adapter_at

__all__ = ["NOW", "HandClock", "Imitated", "Told", "imitated", "told"]

NOW: Final = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


class HandClock(Clock):
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        """Return Unix seconds."""
        return self.at.timestamp()

    def turn(self, **length: float) -> None:
        self.at += timedelta(**length)


class Imitated:
    """One adapter and the sandbox, which share a clock."""

    def __init__(self, name: str, url: str, adapter: Any, clock: HandClock, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.url = url
        self.adapter = adapter
        self.clock = clock
        self._root = url.partition("/at/")[0]
        self._session = session

    async def set(self, place: str, **fault: Any) -> None:
        body = {"where": f"{self.name}.{place}", "times": None, **fault}
        async with self._session.post(f"{self._root}/sandbox/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def clear(self) -> None:
        async with self._session.delete(f"{self._root}/sandbox/faults") as answer:
            assert answer.status < 300

    async def calls(self, place: str) -> int:
        async with self._session.get(f"{self._root}/sandbox/state") as answer:
            return int((await answer.json())["calls"].get(f"{self.name}.{place}", 0))

    async def get(self, path: str, **params: str) -> tuple[int, Any]:
        """Ask the imitation itself. Return status and body."""
        headers = {"Authorization": f"Bearer {params.pop('token', '')}"}
        async with self._session.get(f"{self.url}{path}", params=params, headers=headers) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def imitated(name: str, folder: Path, **changes: str | None) -> AsyncIterator[Imitated]:
    """Make the adapter with the credentials of its imitation, and `changes` to them (None: not set)."""
    clock = HandClock()
    known = {"monetised", *(need.setting for need in platforms.needs_of(name))}
    options = {"monetised": "false", **feeds.module(name).CREDENTIALS, **changes}
    chosen = {key: value for key, value in options.items() if value is not None and key in known}
    async with (
        running(folder / "sandbox", settings=SandboxSettings(), clock=clock.seconds) as address,
        aiohttp.ClientSession() as session,
        adapter_at(
            platforms.module(name).ADAPTER, api_urls(str(address))[name], folder, options=chosen, clock=clock
        ) as adapter,
    ):
        yield Imitated(name, api_urls(str(address))[name], adapter, clock, session)


class Told:
    """A platform that gives the answers it was told to, the last one for ever, and notes what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[web.Request] = []
        self.status = 200
        self.headers: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append(request)
        body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=self.status, headers=self.headers)


@asynccontextmanager
async def told(
    kind: Callable[..., Any], folder: Path, *answers: Any, options: Mapping[str, str]
) -> AsyncIterator[tuple[Told, Any, HandClock]]:
    """Make the adapter with a platform that gives `answers`."""
    platform, clock = Told(*answers), HandClock()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", platform.answer)
    async with (
        TestServer(app) as server,
        adapter_at(kind, str(server.make_url("")), folder, options=options, clock=clock) as made,
    ):
        yield platform, made, clock
