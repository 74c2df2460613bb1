"""Reading with a memory: only what was understood is kept, with its moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms._api import Api, dig
from actors.platforms._reading import address, needed, words_of
from actors.runtime.means import Means
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry
from contracts.platform import Need
from tests.unit.platforms.adapters import adapter_at
from tests.unit.platforms.imitated import HandClock

NAME = "somewhere"


class Somewhere:
    def __init__(self, means: Means) -> None:
        self.api = Api(means, name=NAME, base="https://somewhere.example", what="Somewhere")

    async def n(self, **more: Any) -> tuple[int, datetime]:
        return await self.api.read_json("/n", lambda told, at: (dig(told, "n", what="it"), at), **more)


class Platform:
    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.body = b'{"n": 1}'
        self.etag = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        return web.Response(body=self.body, headers={"ETag": self.etag} if self.etag else {})


@asynccontextmanager
async def somewhere(folder: Path) -> AsyncIterator[tuple[Platform, Somewhere, HandClock]]:
    platform, clock = Platform(), HandClock()
    app = web.Application()
    app.router.add_get("/{tail:.*}", platform.answer)
    async with TestServer(app) as server, adapter_at(Somewhere, str(server.make_url("")), folder, clock=clock) as made:
        yield platform, made, clock


@pytest.mark.parametrize("body", [b'{"n"', b'{"m": 1}', b"", b"[]"])
async def test_what_is_not_understood_is_not_kept(tmp_path: Path, body: bytes) -> None:
    """One broken answer that is kept for a day hides the platform for a day."""
    async with somewhere(tmp_path) as (platform, there, _):
        platform.body = body
        with pytest.raises(Retry):
            await there.n(fresh_s=86_400)
        platform.body = b'{"n": 2}'
        assert (await there.n(fresh_s=86_400))[0] == 2


async def test_kept_answer_keeps_its_moment(tmp_path: Path) -> None:
    """Counts that are dated anew look like a video that stands still."""
    async with somewhere(tmp_path) as (platform, there, clock):
        began = clock.now()
        assert await there.n(fresh_s=60) == (1, began)
        clock.turn(seconds=59)
        assert await there.n(fresh_s=60) == (1, began)
        assert len(platform.asked) == 1
        clock.turn(seconds=2)
        assert await there.n(fresh_s=60) == (1, clock.now())
        assert len(platform.asked) == 2


async def test_confirmed_answer_is_as_new(tmp_path: Path) -> None:
    """A 304 says that the counts are those of now."""
    async with somewhere(tmp_path) as (platform, there, clock):
        platform.etag = '"a"'
        await there.n(fresh_s=60)
        clock.turn(seconds=61)
        assert await there.n(fresh_s=60) == (1, clock.now())
        assert platform.asked[1].headers["If-None-Match"] == '"a"'
        clock.turn(seconds=59)
        await there.n(fresh_s=60)
        assert len(platform.asked) == 2


async def test_nothing_is_kept_unasked(tmp_path: Path) -> None:
    """Without a stated age every question goes out."""
    async with somewhere(tmp_path) as (platform, there, _):
        await there.n()
        await there.n()
        assert len(platform.asked) == 2


async def test_credential_in_the_address_is_sent_and_is_no_part_of_the_key(tmp_path: Path) -> None:
    """A key that is exchanged must not ask again for what is known."""
    async with somewhere(tmp_path) as (platform, there, _):
        await there.n(fresh_s=60, secret_params={"key": "one"})
        await there.n(fresh_s=60, secret_params={"key": "two"})
        assert [request.query["key"] for request in platform.asked] == ["one"]


async def test_parsing_in_a_thread_gives_the_same(tmp_path: Path) -> None:
    """A long parse must not hold the event loop, nor lose its errors."""
    async with somewhere(tmp_path) as (_, there, clock):
        assert await there.api.read("/n", lambda body, at: (body, at), in_thread=True) == (b'{"n": 1}', clock.now())
        with pytest.raises(Retry):
            await there.api.read("/n", lambda body, _at: dig(body, "n", what="it"), in_thread=True)


def test_setting_that_is_needed_is_named() -> None:
    """A person must learn which setting to set, and where to get it."""
    need = Need(setting="some_api_key", means="Get one at some.example")
    assert needed(Settings(options={"some_api_key": "x"}), need) == "x"
    with pytest.raises(Reject, match=r"SOME_API_KEY is not set\. Get one at some\.example"):
        needed(Settings(), need)


def test_words() -> None:
    """A search for nothing finds everything."""
    assert words_of(" deep \n sea ") == "deep sea"
    with pytest.raises(Reject, match="no words"):
        words_of(" \t")


@pytest.mark.parametrize(
    "told",
    [None, 7, "", "javascript:alert(1)", "//a.b/c", "https://", "https://a b.c", "https://a.b/\x00", "https://[a"],
)
def test_what_is_no_web_address_is_refused(told: object) -> None:
    """Addresses are shown as links and fetched: nothing else may pass for one."""
    assert address(told) is None
    assert address("https://a.b/c?d=e#f") == "https://a.b/c?d=e#f"
