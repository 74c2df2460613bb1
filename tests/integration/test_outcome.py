"""What the bus is told for each outcome of a handler: real NATS, real PostgreSQL, a real replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nats.aio.client import Client

from actors.runtime import outcome
from actors.runtime.app import ActorApp, serving
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from actors.runtime.together import Gathering, Together, commit_together
from actors.runtime.work import Handler, Services, Work
from contracts.errors import RateLimited, Reject, Retry, Snooze
from contracts.events import ScanCompleted, ScanRequested
from contracts.ids import CorrelationId
from tests.stack import connected

CONSUMER = "scanner-scan-requested"


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short here; what they are is tested by backoff_s itself."""
    monkeypatch.setattr(outcome, "BACKOFF_FIRST_S", 0.02)
    monkeypatch.setattr(outcome, "BACKOFF_LONGEST_S", 0.05)
    monkeypatch.setattr(outcome, "MAX_RETRIES", 12)


@asynccontextmanager
async def scanner(settings: Settings, handler: Handler) -> AsyncIterator[Services]:
    async with serving(ActorApp(name="scanner", handlers={ScanRequested: handler}), settings) as services:
        yield services


async def until(condition: Callable[[], Awaitable[Any]], deadline_s: float = 15.0) -> Any:
    async with asyncio.timeout(deadline_s):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
        return found


async def settled(nats_admin: Client) -> bool:
    """Whether the consumer has nothing left in hand or waiting."""
    info = await nats_admin.jetstream().consumer_info("ETT", CONSUMER)
    return info.num_ack_pending == 0 and info.num_pending == 0 and (info.delivered is not None)


async def ask(nats_admin: Client, payload: bytes = b'{"niche":"deep sea"}') -> None:
    await nats_admin.jetstream().publish("ett.scan.requested", payload)


async def test_plain_json_is_handled_and_its_consequence_published(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """`nats pub` by hand could do nothing, or what follows could stay in the outbox."""
    seen: list[ScanRequested] = []

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        seen.append(work.event)
        async with work.commit() as tx:
            tx.emit(ScanCompleted(niche=work.event.niche, found={}))

    subscription = await nats_admin.subscribe("ett.scan.completed")
    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        message = await subscription.next_msg(timeout=10)
        await until(lambda: settled(nats_admin))
        await until(lambda: database.fetchval("select count(*) = 0 from outbox where published_at is null"))
    assert [event.niche for event in seen] == ["deep sea"]
    assert seen[0].event_id
    assert seen[0].occurred_at is not None
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"]


async def test_a_program_outside_starts_a_scan_with_one_plain_line(
    nats_admin: Client, nats_urls: dict[str, str], settings_of: Callable[[str], Settings]
) -> None:
    """A user's own program, with the outside user and any client, could not ask for anything."""
    seen: asyncio.Queue[ScanRequested] = asyncio.Queue()

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        seen.put_nowait(work.event)

    async with scanner(settings_of("scanner"), handle), connected(nats_urls["outside"]) as outside:
        await outside.publish("ett.scan.requested", b'{"niche":"deep sea"}')
        async with asyncio.timeout(10):
            event = await seen.get()
    assert event.niche == "deep sea"
    assert event.correlation_id == CorrelationId(event.event_id)


async def test_retry_comes_again_and_is_forgotten_after_success(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """A passing fault could lose the event, or leave it marked as failing."""
    calls = 0

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise Retry("the platform hiccuped")

    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        await until(lambda: database.fetchval("select true from inbox where outcome = 'done'"))
    assert calls == 3
    assert await database.fetchval("select count(*) from attempts") == 0


@pytest.mark.parametrize(("error", "said"), [(Retry("still down"), "still down"), (KeyError("bug"), "KeyError: 'bug'")])
async def test_endless_failure_becomes_a_dead_letter(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings], error: Exception, said: str
) -> None:
    """An event that always fails could be tried for ever, or vanish without its error and trace."""
    calls = 0

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        nonlocal calls
        calls += 1
        raise error

    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        row = await until(lambda: database.fetchrow("select kind, error, trace, failures, payload from dead_letters"))
        await until(lambda: settled(nats_admin))
    limit = outcome.MAX_RETRIES if isinstance(error, Retry) else outcome.MAX_FAILURES
    assert calls == limit
    assert (row["kind"], row["failures"]) == ("dead", limit)
    assert said in row["error"]
    assert "Traceback" in row["trace"]
    assert b"deep sea" in row["payload"]


async def test_reject_ends_at_once_and_is_told(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """A bad request could be tried eight times, or end without anybody knowing why."""
    calls = 0

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        nonlocal calls
        calls += 1
        raise Reject("there is no platform 'x'", mend="use one of a, b")

    told = await nats_admin.subscribe("ett.work.rejected")
    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        message = await told.next_msg(timeout=10)
        await until(lambda: settled(nats_admin))
    assert calls == 1
    assert b"use one of a, b" in message.data
    assert await database.fetchval("select kind from dead_letters") == "rejected"


@pytest.mark.parametrize(
    "payload", [b"not json", b'{"niche":""}', b'{"type":"post.published","niche":"x"}', b"\xff\xfe"]
)
async def test_unreadable_events_are_rejected_with_the_field(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings], payload: bytes
) -> None:
    """A malformed event could block its consumer or crash the actor."""

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        assert work.event.niche == "good"

    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin, payload)
        await ask(nats_admin, b'{"niche":"good"}')
        await until(lambda: database.fetchval("select true from inbox where outcome = 'done'"))
        row = await until(lambda: database.fetchrow("select kind, error, payload from dead_letters"))
    assert row["payload"] == payload
    assert "not a valid scan.requested event" in row["error"]


@pytest.mark.parametrize(
    "error",
    [Snooze("held", delay_s=0.05), RateLimited("slow down", until=datetime.now(UTC) + timedelta(seconds=0.05))],
)
async def test_waiting_spends_no_attempt(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings], error: Exception
) -> None:
    """Work that has to wait often could end as a dead letter."""
    calls = 0

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        nonlocal calls
        calls += 1
        if calls < outcome.MAX_FAILURES + 4:
            raise error

    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        await until(lambda: database.fetchval("select true from inbox where outcome = 'done'"))
    assert await database.fetchval("select count(*) from dead_letters") == 0


async def test_two_replicas_handle_each_event_once(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """Scaling out could do work twice, or leave one replica idle for ever."""
    done: list[tuple[str, str]] = []

    def handler(name: str) -> Handler:
        async def handle(work: Work[ScanRequested], services: Services) -> None:
            async with work.commit() as tx:
                await tx.conn.execute("select pg_sleep(0.01)")
            done.append((name, work.event.niche))

        return handle

    settings = settings_of("scanner")
    async with scanner(settings, handler("one")), scanner(settings, handler("two")):
        await asyncio.gather(*(ask(nats_admin, b'{"niche":"n%d"}' % number) for number in range(60)))
        await until(lambda: database.fetchval("select count(*) = 60 from inbox"))
    assert sorted(niche for _, niche in done) == sorted(f"n{number}" for number in range(60))
    assert {name for name, _ in done} == {"one", "two"}


async def test_long_work_is_not_given_to_another(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """Work longer than the ack window could be redelivered while it goes on."""
    calls = 0
    info_s = 5.0

    async def handle(work: Work[ScanRequested], services: Services) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(info_s)

    async with scanner(settings_of("scanner"), handle):
        await ask(nats_admin)
        await until(lambda: database.fetchval("select true from inbox"), deadline_s=20)
        await until(lambda: settled(nats_admin))
    assert calls == 1


def test_backoff_doubles_up_to_a_bound() -> None:
    """Retries could hammer a platform, or wait for days."""
    assert outcome.backoff_s(1, jitter=0.0) == outcome.BACKOFF_FIRST_S
    waits = [outcome.backoff_s(failures, jitter=0.0) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[-1] == outcome.BACKOFF_LONGEST_S
    assert outcome.backoff_s(3, jitter=1.0) == 0.75 * outcome.backoff_s(3, jitter=0.0)


async def test_what_waits_together_commits_together_and_fails_alone(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings]
) -> None:
    """One bad event could take the others of its group with it, or be committed with them; or none would be grouped."""
    sizes: list[int] = []

    async def handle(works: Sequence[Work[ScanRequested]], services: Services) -> None:
        sizes.append(len(works))
        async with commit_together(works) as found:
            for work, tx in found:
                tx.emit(ScanCompleted(niche=work.event.niche, found={}))
            await asyncio.sleep(0.1)
            if any(work.event.niche == "bad" for work, _ in found):
                raise Reject("bad", mend="none")

    def check(work: Work[ScanRequested]) -> None:
        if work.event.niche == "worse":
            raise Reject("worse", mend="none")

    settings = settings_of("scanner")
    niches = [f"n{number}" for number in range(20)]
    app = ActorApp(
        name="scanner",
        handlers={ScanRequested: Together(many=handle, check=check)},
        places={ScanRequested: lambda _: 32},
    )
    async with serving(app, settings):
        payloads = [b'{"event_id":"%s","niche":"%s"}' % (n.encode(), n.encode()) for n in [*niches, "bad", "worse"]]
        await asyncio.gather(*(ask(nats_admin, each) for each in [*payloads, *payloads[:5]]))
        await until(lambda: database.fetchval("select count(*) = 22 from inbox"))
        await until(lambda: settled(nats_admin))
    rows = await database.fetch("select event_id, outcome from inbox")
    assert {row["event_id"]: row["outcome"] for row in rows} == dict.fromkeys(niches, "done") | {
        "bad": "rejected",
        "worse": "rejected",
    }
    told = await database.fetch(
        "select convert_from(payload, 'utf8') as text from outbox where subject like '%completed'"
    )
    assert len(told) == len(niches), "an event was handled twice, or its consequence is missing"
    assert max(sizes) > 1


async def test_stopped_leader_leaves_the_group_to_others() -> None:
    """Events of a group would hang for ever, in hand and never answered, when the first of them is given up."""
    started, tried = asyncio.Event(), []

    async def handle(works: Sequence[Work[ScanRequested]], services: Services) -> None:
        tried.append([work.event.niche for work in works])
        started.set()
        if len(tried) < 3:
            await asyncio.sleep(60)

    gathering = Gathering(Together(many=handle, check=lambda work: None))
    services: Any = None

    def work(niche: str) -> Work[ScanRequested]:
        return Work(event=ScanRequested(niche=niche), consumer=CONSUMER, services=services, redelivered=False)

    async with asyncio.timeout(10):
        first, *others = (asyncio.create_task(gathering(work(niche), services)) for niche in "abc")
        await started.wait()
        first.cancel()
        started.clear()
        await started.wait()
        leader = next(task for task, niche in zip(others, "bc", strict=True) if niche == tried[1][0])
        leader.cancel()
        done = await asyncio.gather(first, *others, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done].count(True) == 2
    assert tried == [["a"], ["b", "c"], ["c"]]
