"""The scan itself: which platforms, side by side, and what a failure comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from actors import platforms
from actors.runtime.settings import Settings
from actors.scanner.ask import Answer, ask_all, because, raise_if_worth_repeating
from actors.scanner.sources import choose, ration_of, sources
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry
from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BARE = Settings()
WITH_KEY = Settings(options={"youtube_api_key": "a-word"})


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


def test_every_platform_whose_needs_are_met_is_asked() -> None:
    """A newcomer without any credential must find something, and whoever sets a key must find more."""
    bare, keyed = choose(None, BARE), choose(None, WITH_KEY)
    assert {"internet_archive", "wikimedia_commons"} <= set(bare.asked)
    assert "youtube" not in bare.asked
    assert bare.skipped["youtube"] == "YOUTUBE_API_KEY is not set"
    assert set(keyed.asked) == {*bare.asked, "youtube"}
    assert "youtube" not in keyed.skipped


def test_each_platform_is_asked_or_skipped_with_a_reason() -> None:
    """A platform that is left out without a word looks like one that found nothing."""
    chosen = choose(None, BARE)
    able = {name for name in platforms.names() if platforms.module(name).CAPS.discover}
    assert set(chosen.asked) | set(chosen.skipped) == able
    assert not set(chosen.asked) & set(chosen.skipped)
    for name in able:
        caps = platforms.module(name).CAPS
        if platforms.lacking(name, BARE):
            assert "not set" in chosen.skipped[name]
        elif caps.account:
            assert chosen.skipped[name] == "no account is connected"
            assert name in choose(None, BARE, connected={name}).asked
        elif caps.by_name_only:
            assert f"--platform {name}" in chosen.skipped[name]
        elif caps.fallback:
            assert name in chosen.fallback
            assert "quota" in chosen.skipped[name]
        else:
            assert name in chosen.asked


def test_named_platforms_are_asked_alone() -> None:
    """Whoever names a platform pays for that one alone."""
    assert choose("wikimedia_commons", BARE).asked == ("wikimedia_commons",)
    assert choose("youtube:shorts, wikimedia_commons", WITH_KEY).asked == ("youtube:shorts", "wikimedia_commons")
    assert choose("wikimedia_commons", BARE).fallback == ()
    for both in ("youtube:long,youtube:shorts", "youtube,youtube:shorts"):
        assert choose(both, WITH_KEY).asked == ("youtube",), "one search gives both kinds"
    for name in platforms.names():
        if platforms.module(name).CAPS.by_name_only:
            assert choose(name, BARE).asked == (name,)


@pytest.mark.parametrize("name", ["nowhere", "linkedin", "_text", "youtube:podcasts", "internet_archive:", "", " , "])
def test_a_platform_that_cannot_be_scanned_is_refused(name: str) -> None:
    """The text must say which names work; retrying a wrong name never ends."""
    with pytest.raises(Reject, match=r"can be scanned.*internet_archive.*youtube:shorts, youtube:long"):
        choose(name, BARE)


def test_a_platform_without_discovery_says_why() -> None:
    """A person who names a platform that cannot be searched must not be told that there is no such platform."""
    with pytest.raises(Reject, match=r"'linkedin' is no platform that can be scanned: \w+"):
        choose("linkedin", BARE)


def test_both_kinds_of_youtube_can_be_chosen() -> None:
    """Shorts and long videos are two markets: a channel of one kind learns nothing from the other."""
    assert {"youtube", "youtube:shorts", "youtube:long"} <= set(sources())
    sees = platforms.module("youtube").CAPS.sees
    assert "youtube:shorts" in sees
    assert "youtube:long" in sees


def test_the_ration_of_a_platform_can_be_raised() -> None:
    """An audit gives a project more calls: they must not lie idle."""
    usual = ration_of("youtube:shorts", BARE)
    assert usual is not None
    assert (usual.limit, usual.zone) == (100, "America/Los_Angeles")
    raised = ration_of("youtube", Settings(youtube_searches_per_day=5000))
    assert raised is not None
    assert raised.limit == 5000
    assert ration_of("internet_archive", BARE) is None


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
    """Asking one after the other, or a few at a time, lets slow platforms delay the rest."""
    everybody = asyncio.Barrier(40)

    async def meeting() -> tuple[Candidate, ...]:
        await everybody.wait()
        return ()

    answers = await ask_all({str(number): meeting for number in range(40)}, deadline_s=5)
    assert [answer.error for answer in answers] == [None] * 40


def failed(*errors: Exception) -> tuple[Answer, ...]:
    return tuple(Answer(platform=f"p{number}", error=error) for number, error in enumerate(errors))


def test_all_failed_and_may_work_later_is_repeated() -> None:
    """A scan in the minute when everything is down would be lost."""
    with pytest.raises(Retry, match=r"no platform answered\. p0: busy; p1: away") as caught:
        raise_if_worth_repeating(
            failed(Retry("busy", delay_s=20), Retry("away", delay_s=60), RateLimited("later", until=AT))
        )
    assert caught.value.delay_s == 20


def test_a_limited_platform_is_told_with_its_time() -> None:
    """A person who waits must know for how long."""
    limited = RateLimited("the quota is spent", until=AT + timedelta(hours=2))
    raise_if_worth_repeating(failed(limited, limited))
    assert because(limited) == "the quota is spent; it may be asked again from 2026-11-23 14:00 UTC"


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
