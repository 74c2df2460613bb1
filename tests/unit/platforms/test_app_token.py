"""Tokens of applications: asked for once, kept while they last, replaced once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.platforms._app_token import AppToken, Granted, TokenRefused, parse_grant
from actors.runtime.clock import Clock
from actors.runtime.means import Means
from contracts.errors import Reject, Retry
from tests.unit.platforms.adapters import adapter_at

NAME = "somewhere"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class HandClock(Clock):
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Somewhere:
    """Asks for tokens that live for an hour, and remembers how often."""

    def __init__(self, means: Means) -> None:
        self.means = means
        self.asked = 0
        self.good: set[str] = set()
        self.token = self.another()

    def another(self) -> AppToken:
        """Make what the adapter of the next scan makes."""
        return AppToken(self.means, of=(NAME, "id"), ask=self.ask)

    async def ask(self) -> Granted:
        await asyncio.sleep(0)
        self.asked += 1
        self.good.add(f"token {self.asked}")
        return Granted(value=f"token {self.asked}", until=self.means.clock.now() + timedelta(hours=1))

    async def call(self, token: str) -> str:
        if token not in self.good:
            raise TokenRefused("it does not take the credential")
        return token


@asynccontextmanager
async def somewhere(folder: Path) -> AsyncIterator[tuple[Somewhere, HandClock]]:
    clock = HandClock()
    async with adapter_at(Somewhere, "http://127.0.0.1:9", folder, clock=clock) as there:
        yield there, clock


async def test_one_token_serves_the_process_until_it_ends(tmp_path: Path) -> None:
    """A token for every scan is what platforms count as abuse; one that has ended fails the scan."""
    async with somewhere(tmp_path) as (there, clock):
        assert await there.token.using(there.call) == "token 1"
        assert await there.another().using(there.call) == "token 1"
        clock.at += timedelta(minutes=58)
        assert await there.token.using(there.call) == "token 1"
        clock.at += timedelta(minutes=1)
        assert await there.token.using(there.call) == "token 2"
        assert there.asked == 2


async def test_many_scans_at_once_ask_once(tmp_path: Path) -> None:
    """Forty niches that start together would ask for forty tokens."""
    async with somewhere(tmp_path) as (there, _):
        taken = await asyncio.gather(*(there.another().using(there.call) for _ in range(40)))
        assert set(taken) == {"token 1"}
        assert there.asked == 1


async def test_kept_token_that_is_refused_is_replaced_once(tmp_path: Path) -> None:
    """A token may end early; a credential that is refused for good must not be asked for in a loop."""
    async with somewhere(tmp_path) as (there, _):
        await there.token.using(there.call)
        there.good.clear()
        assert await there.token.using(there.call) == "token 2"

        async def never(token: str) -> str:
            there.good.discard(token)
            return await there.call(token)

        with pytest.raises(Reject):
            await there.token.using(never)
        assert there.asked == 3
        with pytest.raises(Reject):
            await there.token.using(never)
        assert there.asked == 4, "a token that was given just now and is refused is not replaced again"


@pytest.mark.parametrize("answer", [None, [], {}, {"access_token": 7}, {"access_token": ""}, {"access_token": None}])
def test_answer_without_a_token_is_retried(answer: Any) -> None:
    """A changed answer must not end as a fault of the product."""
    with pytest.raises(Retry):
        parse_grant(answer, what="Somewhere", now=NOW, mend="")


def test_grant_is_read() -> None:
    """A life that is read wrongly costs a request that fails each time."""
    read = parse_grant({"access_token": "abc", "expires_in": 86400}, what="Somewhere", now=NOW, mend="")
    assert (read.value, read.until) == ("abc", NOW + timedelta(days=1))
    assert parse_grant({"access_token": "abc"}, what="Somewhere", now=NOW, mend="").until == NOW + timedelta(hours=1)
    with pytest.raises(Reject, match=r"gives no token: invalid_grant\. Look there"):
        parse_grant({"error": "invalid_grant"}, what="Somewhere", now=NOW, mend="Look there")


def test_token_is_not_shown() -> None:
    """A token in a text ends in a log."""
    assert "abc" not in repr(Granted(value="abc", until=NOW))
