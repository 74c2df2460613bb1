"""What every adapter's calls do alike: pauses, quota, kept answers, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct

from actors.platforms._api import KEYLESS, Api, Rates, count, dig, leaving_out, mark_of, read_each
from actors.runtime.clock import Clock
from actors.runtime.means import Means
from actors.runtime.quota import Bucket
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.adapters import adapter_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUCKET = Bucket(name="calls", limit=5)


class HandClock(Clock):
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Platform:
    """Answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b'{"n": 1}'

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.headers.get("ETag") and request.headers.get("If-None-Match") == self.headers["ETag"]:
            return web.Response(status=304)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


NAME = "somewhere"


class Somewhere:
    def __init__(self, means: Means) -> None:
        self.means = means
        self.api = Api(
            means,
            name=NAME,
            base="https://somewhere.example",
            what="Somewhere",
            buckets=(BUCKET,),
            rates=Rates(remaining="X-Left", reset="X-Reset", as_="seconds"),
        )


@asynccontextmanager
async def somewhere(folder: Path, clock: Clock) -> AsyncIterator[tuple[Platform, Somewhere]]:
    platform = Platform()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", platform.answer)
    async with TestServer(app) as server, adapter_at(Somewhere, str(server.make_url("")), folder, clock=clock) as made:
        yield platform, made


async def test_kept_answer_is_used_and_then_confirmed(tmp_path: Path) -> None:
    """Asking anew for what is known spends quota for nothing."""
    clock = HandClock()
    async with somewhere(tmp_path, clock) as (platform, there):
        platform.headers = {"ETag": '"a"'}
        for _ in range(3):
            assert await there.api.get("/x", params={"q": "1"}, fresh_s=60) == {"n": 1}
        assert len(platform.asked) == 1
        clock.at += timedelta(seconds=61)
        platform.body = b"never read"
        assert await there.api.get("/x", params={"q": "1"}, fresh_s=60) == {"n": 1}
        assert await there.api.get("/x", params={"q": "1"}, fresh_s=60) == {"n": 1}
        assert [request.headers.get("If-None-Match") for request in platform.asked] == [None, '"a"']
        with pytest.raises(Retry):
            await there.api.get("/x", params={"q": "2"}, fresh_s=60)


async def test_cut_off_answer_is_not_kept(tmp_path: Path) -> None:
    """One broken answer would fail every scan for as long as good ones are kept."""
    async with somewhere(tmp_path, HandClock()) as (platform, there):
        platform.body = b'{"n": '
        with pytest.raises(Retry):
            await there.api.get("/x", fresh_s=60)
        platform.body = b'{"n": 1}'
        assert await there.api.get("/x", fresh_s=60) == {"n": 1}


async def test_secrets_are_in_no_key_and_no_text(tmp_path: Path) -> None:
    """A key in an error text ends up in logs and pages."""
    async with somewhere(tmp_path, HandClock()) as (platform, there):
        await there.api.get("/x", secret_params={"key": "one"}, fresh_s=60)
        await there.api.get("/x", secret_params={"key": "two"}, fresh_s=60)
        assert [request.query["key"] for request in platform.asked] == ["one"]
        platform.status = 403
        with pytest.raises(Reject) as caught:
            await there.api.get("/y", secret_params={"key": "sesame"})
        assert "sesame" not in str(caught.value)
        assert "doctor" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [(429, {}, 60), (429, {"Retry-After": "7"}, 7), (429, {"X-Reset": "30"}, 30), (503, {"Retry-After": "9"}, 9)],
)
async def test_told_to_wait_it_waits(status: int, headers: dict[str, str], wait_s: int, tmp_path: Path) -> None:
    """A client that asks on while it is told to wait is banned."""
    clock = HandClock()
    async with somewhere(tmp_path, clock) as (platform, there):
        platform.status, platform.headers = status, headers
        for _ in range(3):
            with pytest.raises(RateLimited) as caught:
                await there.api.get("/x")
            assert caught.value.until == NOW + timedelta(seconds=wait_s)
        assert len(platform.asked) == 1
        clock.at += timedelta(seconds=wait_s)
        platform.status = 200
        assert await there.api.get("/x") == {"n": 1}


async def test_last_call_that_the_headers_allow_is_the_last(tmp_path: Path) -> None:
    """Waiting for the first 429 means having asked once too often."""
    async with somewhere(tmp_path, HandClock()) as (platform, there):
        platform.headers = {"X-Left": "0.0", "X-Reset": "12"}
        assert await there.api.get("/x") == {"n": 1}
        with pytest.raises(RateLimited) as caught:
            await there.api.get("/x")
        assert caught.value.until == NOW + timedelta(seconds=12)


async def test_quota_is_spent_before_the_call(tmp_path: Path) -> None:
    """A call that is counted only when it went well exceeds the quota by its failures."""
    async with somewhere(tmp_path, HandClock()) as (platform, there):
        platform.status = 500
        for _ in range(5):
            with pytest.raises(Retry):
                await there.api.get("/x")
        with pytest.raises(RateLimited, match="'calls' of 5"):
            await there.api.get("/x")
        assert len(platform.asked) == 5


class Item(Struct, frozen=True):
    id: str
    views: int = 0


def test_items_that_cannot_be_read_are_left_out() -> None:
    """One odd item must not lose a page; a page of odd items must not count as an empty one."""
    assert read_each([{"id": "a", "views": "7"}, {"views": 1}, 5], Item, what="X") == (Item("a", 7),)
    assert read_each([], Item, what="X") == ()
    for drifted in ([{"ident": "a"}], {"id": "a"}, None):
        with pytest.raises(Retry, match="shape"):
            read_each(drifted, Item, what="X")


@pytest.mark.parametrize("answer", [None, [], {"data": []}, {"data": {"x": 1}}])
def test_missing_path_is_named(answer: Any) -> None:
    """A KeyError says nothing to a person, and counts as a bug of ours."""
    with pytest.raises(Retry, match=r"there is no 'data\.children'"):
        dig(answer, "data", "children", what="X")


def test_counts_are_counts() -> None:
    """A count that is guessed from something else is an invented number."""
    wanted = [7, 7, None, None, None, None, None, None]
    assert [count(told) for told in (7, "7", -1, "7.5", True, None, "٣", 2**70)] == wanted


async def test_refusal_of_a_platform_without_credentials_names_none(tmp_path: Path) -> None:
    """A person would look for a key that does not exist."""
    async with somewhere(tmp_path, HandClock()) as (platform, there):
        platform.status = 403
        with pytest.raises(Reject, match="Check its credential"):
            await there.api.get("/x")
        open_one = Api(there.means, name=NAME, base="https://somewhere.example", what="Somewhere", mend=KEYLESS)
        with pytest.raises(Reject, match="Set CONTACT"):
            await open_one.get("/x")


async def test_posts_are_kept_by_their_body(tmp_path: Path) -> None:
    """Lists that are asked for by POST would be read again for each niche, or one answer would pass for another."""
    clock = HandClock()
    async with somewhere(tmp_path, clock) as (platform, there):

        async def ask(**more: Any) -> Any:
            return await there.api.read_post("/x", lambda answer, at: (answer["n"], at), fresh_s=60, **more)

        first = await ask(json={"a": 1, "b": 2})
        clock.at += timedelta(seconds=30)
        assert await ask(json={"b": 2, "a": 1}) == first == (1, NOW)
        assert len(platform.asked) == 1
        for more in ({"json": {"a": 2}}, {"json": {"a": 2}, "keyed_by": "one"}, {"json": {"a": 2}, "keyed_by": "two"}):
            await ask(**more)
        assert len(platform.asked) == 4


@pytest.mark.parametrize("error", [Retry("away"), RateLimited("busy", until=NOW)])
def test_fault_on_a_later_page_keeps_the_earlier_ones(error: Exception) -> None:
    """What was paid for would be lost; without any page an empty answer would hide the fault."""

    def ask() -> None:
        raise error

    with leaving_out(["a page"], platform=NAME):
        ask()
    with pytest.raises(type(error)), leaving_out([], platform=NAME):
        ask()
    with pytest.raises(Reject), leaving_out(["a page"], platform=NAME):
        raise Reject("no")


def test_mark_of_a_credential_does_not_show_it() -> None:
    """Keys are stored; a credential must not be."""
    assert mark_of("sesame") == mark_of("sesame") != mark_of("poppy")
    assert "sesame" not in mark_of("sesame")
