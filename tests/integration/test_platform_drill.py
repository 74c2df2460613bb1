"""Every adapter that discovers, against every way in which its platform can misbehave, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from actors import platforms
from actors.platforms._api import Api
from actors.platforms._youtube import search as youtube_search
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry
from contracts.platform import Candidate, Topic
from deploy.demo import list_in_archive
from deploy.sandbox import SandboxSettings, api_urls, credentials, feeds, running
from tests.unit.platforms.adapters import adapter_at
from tests.world import tiny_video

ROOTED: Final = {
    "internet_archive": "archive.search",
    "wikimedia_commons": "commons.search",
    "youtube": "youtube.search",
}
"""Platforms whose imitations do more than list, with the places of their searches."""
IMITATED: Final = (
    *(
        name
        for name in feeds.names()
        if name in platforms.names() and (platforms.module(name).CAPS.discover or platforms.module(name).CAPS.trends)
    ),
    *ROOTED,
)
PAGE: Final = {
    "bilibili": 20,
    "bluesky": 5,
    "dailymotion": 3,
    "facebook": 100,
    "instagram": 3,
    "mastodon": 4,
    "peertube": 3,
    "pexels": 3,
    "pixabay": 3,
    "reddit": 5,
    "threads": 2,
    "tiktok": 3,
    "twitch": 2,
    "vimeo": 3,
    "youtube": 3,
}
"""Results in one answer with which a search for everything takes more than one."""
MOST_CALLS: Final = 4
"""Requests that one try may send: a token, a page, and what belongs to it. More is hammering."""


class Drill:
    """One adapter and its imitated platform."""

    def __init__(self, name: str, url: str, adapter: Any, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.adapter = adapter
        self._url = url
        self._session = session
        self._place = ROOTED.get(name, f"{name}.search")

    async def ask(self, *, limit: int = 5) -> tuple[Candidate | Topic, ...]:
        if platforms.module(self.name).CAPS.discover:
            return tuple(await self.adapter.discover("deep sea", limit=limit))
        return tuple(await self.adapter.trends(region="US", limit=limit))

    async def fails(self) -> EttamettaError:
        with pytest.raises(EttamettaError) as caught:
            await self.ask()
        return caught.value

    async def set(self, **fault: Any) -> None:
        body = {"where": self._place, "times": None, **fault}
        async with self._session.post(f"{self._url}/sandbox/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def clear(self) -> None:
        async with self._session.delete(f"{self._url}/sandbox/faults") as answer:
            assert answer.status < 300, await answer.text()

    async def calls(self) -> int:
        async with self._session.get(f"{self._url}/sandbox/state") as answer:
            told = await answer.json()
        return sum(count for place, count in told["calls"].items() if place == self._place)


@asynccontextmanager
async def drilling(name: str, folder: Path) -> AsyncIterator[Drill]:
    known = {need.setting for need in platforms.needs_of(name)}
    options = {key: value for key, value in credentials().items() if key in known} | {"monetised": "false"}
    async with (
        running(folder / "sandbox", settings=SandboxSettings()) as address,
        aiohttp.ClientSession() as session,
        adapter_at(platforms.module(name).ADAPTER, api_urls(str(address))[name], folder, options=options) as adapter,
    ):
        url = str(address).rstrip("/")
        await _list_works(name, url, tiny_video(folder / "deep sea.mp4"), session)
        yield Drill(name, url, adapter, session)


async def _list_works(name: str, url: str, file: Path, session: aiohttp.ClientSession) -> None:
    """Give those two archives one work; the other platforms have the sandbox's own."""
    if name == "internet_archive":
        await list_in_archive(url, "drill-deep-sea", file, licence="CC-BY-4.0", niche="deep sea")
    elif name == "wikimedia_commons":
        listing = {"file": str(file), "LicenseShortName": "CC BY 4.0", "License": "cc-by-4.0"}
        async with session.post(f"{url}/sandbox/commons/items", json=listing) as answer:
            assert answer.status == 201, await answer.text()


def test_every_platform_that_is_read_is_imitated() -> None:
    """A platform without an imitation is never tried before it meets the real one."""
    seeing = {
        name for name in platforms.names() if platforms.module(name).CAPS.discover or platforms.module(name).CAPS.trends
    }
    assert seeing <= set(IMITATED)


@pytest.mark.parametrize("name", IMITATED)
async def test_answers(name: str, tmp_path: Path) -> None:
    """An adapter that gives nothing from a platform in good order is of no use."""
    async with drilling(name, tmp_path) as drill:
        found = await drill.ask()
        assert found
        assert len(found) <= 5
        for one in found:
            assert one.platform == name
            if isinstance(one, Candidate):
                assert one.item_id == f"{name}:{one.platform_id}"
                counts = {"views", "likes", "comments", "shares"}
                told = {field for field in counts if getattr(one.metrics, field) is not None}
                assert set(one.metrics.absent) == counts - told, "each unknown count has its reason, no other has"
                assert one.media_url is None or one.rights.licence != "unknown"
        assert 1 <= await drill.calls() <= MOST_CALLS


@pytest.mark.parametrize("name", [name for name in IMITATED if platforms.module(name).CAPS.discover])
async def test_nothing_found_is_no_fault(name: str, tmp_path: Path) -> None:
    """An empty page that counts as an error is asked for again until somebody looks."""
    async with drilling(name, tmp_path) as drill:
        assert tuple(await drill.adapter.discover("zzqx nowhere", limit=5)) == ()


@pytest.mark.parametrize("name", IMITATED)
@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ({"kind": "status", "status": 401}, (Reject, AuthExpired, RateLimited)),
        ({"kind": "status", "status": 403}, (Reject, AuthExpired, RateLimited)),
        ({"kind": "status", "status": 429}, (RateLimited,)),
        ({"kind": "status", "status": 429, "retry_after_s": 90}, (RateLimited,)),
        ({"kind": "status", "status": 500}, (Retry,)),
        ({"kind": "status", "status": 503, "retry_after_s": 90}, (Retry, RateLimited)),
        ({"kind": "truncate", "after_bytes": 40}, (Retry,)),
        ({"kind": "truncate", "after_bytes": 0}, (Retry,)),
        ({"kind": "drop_mid_body", "after_bytes": 20}, (Retry,)),
    ],
    ids=["401", "403", "429", "429-after", "500", "503-after", "malformed", "empty-body", "cut-off"],
)
async def test_fault_is_named_and_nothing_is_hammered(
    name: str, fault: dict[str, Any], wanted: tuple[type[Exception], ...], tmp_path: Path
) -> None:
    """A wrong error type loses work or repeats it for ever; a loop inside an adapter gets its user banned."""
    async with drilling(name, tmp_path) as drill:
        await drill.set(**fault)
        before = datetime.now(UTC)
        error = await drill.fails()
        assert isinstance(error, wanted), f"{type(error).__name__}: {error}"
        if isinstance(error, Reject) and platforms.module(name).CAPS.keyless:
            assert "redential" not in str(error), "there is none to check"
        assert await drill.calls() <= MOST_CALLS
        if isinstance(error, RateLimited):
            asked = fault.get("retry_after_s", 1)
            assert error.until >= before + timedelta(seconds=min(asked, 1)), "it comes back too early"
            calls = await drill.calls()
            again = await drill.fails()
            assert isinstance(again, RateLimited), "it asked again although it was told to wait"
            assert await drill.calls() == calls
        else:
            await drill.clear()
            assert await drill.ask(), "a fault that is over still shows"


@pytest.mark.parametrize("name", IMITATED)
async def test_silence_ends(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that never answers would hold a scan for ever."""
    made = Api.__init__

    def impatient(self: Api, *args: Any, **named: Any) -> None:
        made(self, *args, **{**named, "deadline_s": 0.2})

    monkeypatch.setattr(Api, "__init__", impatient)
    async with drilling(name, tmp_path) as drill:
        await drill.set(kind="slow", delay_s=5)
        assert isinstance(await drill.fails(), Retry)


@pytest.mark.parametrize("name", PAGE)
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after_s": 90}], ids=["500", "429-after"])
async def test_fault_on_a_later_page_keeps_what_was_found(
    name: str, fault: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first pages gave was paid for: a scan that loses it asks for all of it again."""
    monkeypatch.setattr(youtube_search if name == "youtube" else platforms.module(name), "PAGE_SIZE", PAGE[name])
    async with drilling(name, tmp_path / "whole") as drill:
        whole = await drill.ask(limit=50)
        assert await drill.calls() > 1, "there is no later page"
    async with drilling(name, tmp_path / "cut") as drill:
        await drill.set(kind="status", skip=1, **fault)
        found = await drill.ask(limit=50)
        assert found
        ids = {one.platform_id for one in whole if isinstance(one, Candidate)}
        assert {one.platform_id for one in found if isinstance(one, Candidate)} < ids
        assert await drill.calls() <= MOST_CALLS
