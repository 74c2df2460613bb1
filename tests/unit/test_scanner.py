"""The scan itself: which platforms, side by side, and what a failure comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from actors.scanner.handle import Answer, ask_all, platforms_for, raise_if_worth_repeating
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry
from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def candidate(name: str) -> Candidate:
    return Candidate(
        item_id=ItemId(name),
        platform="archive",
        platform_id=name,
        url="https://example.org",
        title=name,
        observed_at=AT,
        rights=RightsRecord(licence="CC0-1.0"),
    )


def giving(*names: str) -> Callable[[], Awaitable[tuple[Candidate, ...]]]:
    async def discover() -> tuple[Candidate, ...]:
        return tuple(candidate(name) for name in names)

    return discover


def failing(error: Exception) -> Callable[[], Awaitable[tuple[Candidate, ...]]]:
    async def discover() -> tuple[Candidate, ...]:
        raise error

    return discover


async def hanging() -> tuple[Candidate, ...]:
    await asyncio.Event().wait()
    return ()


def test_keyless_platforms_are_asked_when_none_is_named() -> None:
    """A newcomer without any credential must find something."""
    assert platforms_for(None) == ("internet_archive", "wikimedia_commons")
    assert platforms_for("wikimedia_commons") == ("wikimedia_commons",)


@pytest.mark.parametrize("name", ["nowhere", "youtube", "_text"])
def test_a_platform_that_cannot_be_scanned_is_refused(name: str) -> None:
    """The text must say which names work; retrying a wrong name never ends."""
    with pytest.raises(Reject, match=rf"'{name}' is no platform that can be scanned.*internet_archive"):
        platforms_for(name)


async def test_slow_and_failing_platforms_do_not_touch_the_others() -> None:
    """One hanging platform would stop every scan."""
    async with asyncio.timeout(10):
        answers = await ask_all(
            {
                "good": giving("a", "b", "a"),
                "slow": hanging,
                "down": failing(Retry("down for repair")),
                "bug": failing(KeyError("files")),
            },
            deadline_s=0.1,
        )
    by_name = {answer.platform: answer for answer in answers}
    assert [one.item_id for one in by_name["good"].candidates] == ["a", "b"]
    assert str(by_name["slow"].error) == "slow did not answer within 0.1 s"
    assert isinstance(by_name["slow"].error, Retry)
    assert isinstance(by_name["down"].error, Retry)
    assert isinstance(by_name["bug"].error, KeyError)
    raise_if_worth_repeating(answers)


async def test_platforms_are_asked_at_the_same_time() -> None:
    """Asking one after the other takes as long as all of them together."""
    both = asyncio.Barrier(2)

    async def meeting() -> tuple[Candidate, ...]:
        await both.wait()
        return ()

    answers = await ask_all({"a": meeting, "b": meeting}, deadline_s=5)
    assert [answer.error for answer in answers] == [None, None]


def failed(*errors: Exception) -> tuple[Answer, ...]:
    return tuple(Answer(platform=f"p{number}", error=error) for number, error in enumerate(errors))


def test_all_failed_and_may_work_later_is_repeated() -> None:
    """A scan in the minute when everything is down would be lost."""
    with pytest.raises(Retry, match=r"no platform answered\. p0: busy; p1: away") as caught:
        raise_if_worth_repeating(
            failed(Retry("busy", delay_s=20), Retry("away", delay_s=60), RateLimited("later", until=AT))
        )
    assert caught.value.delay_s == 20


def test_all_limited_come_back_at_the_earliest_time() -> None:
    """Coming back before the platform said gets the client blocked."""
    with pytest.raises(RateLimited) as caught:
        raise_if_worth_repeating(
            failed(RateLimited("a", until=AT + timedelta(hours=2)), RateLimited("b", until=AT + timedelta(hours=1)))
        )
    assert caught.value.until == AT + timedelta(hours=1)


@pytest.mark.parametrize(
    "errors", [(Reject("wrong"), Retry("busy")), (AuthExpired("x:1", "gone"),), (Reject("wrong"), Reject("wrong too"))]
)
def test_failures_that_do_not_mend_themselves_close_the_scan(errors: tuple[EttamettaError, ...]) -> None:
    """A refused scan that is repeated for ever is never shown as failed."""
    raise_if_worth_repeating(failed(*errors))


def test_a_bug_is_not_taken_for_a_busy_platform() -> None:
    """A bug must end as a dead letter with its trace, which a person can read."""
    with pytest.raises(KeyError):
        raise_if_worth_repeating(failed(Retry("busy"), KeyError("files")))


def test_one_answer_is_enough() -> None:
    """Candidates that were found must not wait for a platform that is down."""
    raise_if_worth_repeating((*failed(Retry("busy")), Answer(platform="good")))
