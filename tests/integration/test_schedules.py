"""Posts at their times: placed once, claimed once, late by a stated rule. A real database, sandbox platforms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from actors.publisher import due, schedule
from actors.publisher.agenda import Agenda
from actors.publisher.due import release_due
from actors.publisher.timetable import Timetable, instant_of, parse_blackout, parse_slots, wall_of, zone_of
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from contracts.errors import Reject
from contracts.events import AccountConnected, Destination, PostPublished, PostRequested
from contracts.ids import AccountId, CorrelationId, ItemId, PostId
from contracts.rights import RightsRecord
from deploy.cli import main
from gateway.overview import Reader
from gateway.queues import Queues
from gateway.readiness import POST_LATE_S, Late, judge
from tests.channel import Channel, Killed, connected_channel, kill_at, stamped

RIGHTS = RightsRecord(licence="CC0-1.0", title="Reef")
CONSUMER = "publisher-post-requested"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


def agenda(channel: Channel) -> Agenda:
    return Agenda(channel.db, now=channel.clock.now())


async def request(channel: Channel, name: str = "reef", **told: Any) -> PostRequested:
    """Ask for a post. Unlisted: YouTube would keep a time itself, and make the video public then."""
    values = {"platform": "youtube", "privacy": "unlisted", **told}
    made: PostRequested = stamped(
        PostRequested(
            item_id=ItemId(f"internet_archive:{name}"),
            key=await channel.put_video(f"video of {name}".encode()),
            rights=RIGHTS,
            destination=Destination(**values),
            title=f"A {name}",
        )
    )
    return made


async def asked(channel: Channel, name: str = "reef", **told: Any) -> PostId:
    """Ask for a post and deliver that; return the post's id."""
    made = await request(channel, name, **told)
    await channel.settle(made)
    return PostId(await channel.db.fetchval("select post_id from posts where item_id = $1", f"internet_archive:{name}"))


async def told(channel: Channel) -> list[PostRequested]:
    """Return what the clock asked for so far."""
    return [msgspec.convert(event, PostRequested) for event in await channel.given("post.requested")]


async def tick(channel: Channel) -> list[PostRequested]:
    """Run the ticker once and deliver what it asked for."""
    before = len(await told(channel))
    await release_due(channel.services)
    new = (await told(channel))[before:]
    for event in new:
        await channel.settle(event)
    return new


async def row(channel: Channel, post: PostId) -> Any:
    found = await channel.db.fetchrow(
        "select p.*, t.due_at, t.wakes_at, t.claimed_at, t.late_s, t.asking_since, t.kept_there "
        "from posts p left join post_times t using (post_id) where post_id = $1",
        post,
    )
    assert found is not None
    return found


async def titles(channel: Channel) -> list[str]:
    return sorted(video["title"] for video in (await channel.state())["videos"])


def kill(monkeypatch: pytest.MonkeyPatch, boundary: str) -> Callable[[], bool]:
    died = kill_at(monkeypatch, boundary)
    from actors.runtime import ledger  # its `reach` was replaced just now

    for module in (schedule, due):
        monkeypatch.setattr(module, "reach", ledger.reach)  # type: ignore[attr-defined]
    return died


async def test_a_post_waits_for_its_time_and_goes_then(channel: Channel) -> None:
    """A post with a time goes at once, or never."""
    await channel.connect()
    at = channel.clock.now() + 3 * HOUR
    post = await asked(channel, publish_at=at)
    waiting = await row(channel, post)
    assert (waiting["state"], waiting["due_at"], waiting["wakes_at"]) == ("scheduled", at, at)
    assert "it is due on" in waiting["because"]
    channel.clock.turn(3 * 3600 - 1)
    assert await tick(channel) == []
    channel.clock.turn(5)
    assert len(await tick(channel)) == 1
    assert await tick(channel) == []
    done = await row(channel, post)
    assert (done["state"], done["late_s"]) == ("published", 4.0)
    assert await titles(channel) == ["A reef"]


@pytest.mark.parametrize(
    "boundary",
    [
        "publisher.intent_stored",
        "publisher.placed",
        "publisher.due_claimed",
        "publisher.due_told",
        "publisher.session_opened",
        "publisher.session_stored",
        "publisher.uploaded",
        f"{CONSUMER}.handled",
        f"{CONSUMER}.committing",
        f"{CONSUMER}.committed",
        f"{CONSUMER}.answered",
    ],
)
@pytest.mark.parametrize("when", ["placing", "posting"])
async def test_a_death_at_any_line_leaves_one_post(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, boundary: str, when: str
) -> None:
    """A process that dies while it places, claims or posts leaves two posts, or none."""
    account = await channel.connect()
    await agenda(channel).set_timetable(account, {"slots": parse_slots("daily 06:00,18:00"), "zone": "Europe/Berlin"})
    first = await request(channel, at_slot=True)

    async def deliver(event: PostRequested) -> None:
        for delivery in range(1, 30):
            try:
                answered, delay_s = await channel.deliver(event, delivery=delivery)
            except Killed:
                channel.clock.turn(10.0)  # its lease runs out
                await channel.db.execute("update leases set expires_at = now()")
                continue
            if answered == "ack":
                return
            channel.clock.turn(delay_s)
        raise AssertionError("not settled")

    if when == "placing":
        died = kill(monkeypatch, boundary)
    await deliver(first)
    if when == "posting":
        died = kill(monkeypatch, boundary)
    due_at = await channel.db.fetchval("select due_at from post_times")
    channel.clock.turn((due_at - channel.clock.now()).total_seconds())
    for _ in range(3):
        before = len(await told(channel))
        try:
            await release_due(channel.services)
        except Killed:
            channel.clock.turn(1)
            continue
        for event in (await told(channel))[before:]:
            await deliver(event)
    for event in await told(channel):  # each once more, as the stream may
        await deliver(event)
    assert died()
    assert await titles(channel) == ["A reef"]
    assert (await channel.post())["state"] == "published"
    assert len(await channel.given("post.published")) == 1


async def test_however_many_replicas_look_each_due_post_is_claimed_once(channel: Channel) -> None:
    """Two replicas see the same post due, and both ask for it."""
    await channel.connect()
    at = channel.clock.now() + HOUR
    posts = {await asked(channel, f"reef {number}", publish_at=at) for number in range(12)}
    channel.clock.turn(3601)
    replicas = [
        replace(channel.services, ledger=Ledger(channel.db, sender="publisher", clock=channel.clock, ttl_s=5.0))
        for _ in range(6)
    ]
    await asyncio.gather(*(release_due(one) for one in replicas for _ in range(2)))
    events = await told(channel)
    assert len(events) == len(posts) == len({event.event_id for event in events})
    assert {event.item_id for event in events} == {ItemId(f"internet_archive:reef {n}") for n in range(12)}
    claimed = await channel.db.fetch("select turn from post_times")
    assert [one["turn"] for one in claimed] == [1] * 12


async def test_a_request_that_cannot_be_read_holds_up_no_other(channel: Channel) -> None:
    """One damaged row, and nothing that is due after it is posted any more."""
    await channel.connect()
    at = channel.clock.now() + HOUR
    first = await asked(channel, "first", publish_at=at)
    await asked(channel, "second", publish_at=at + timedelta(seconds=1))
    await channel.db.execute("update posts set request = request - 'rights' where post_id = $1", first)
    channel.clock.turn(3601)
    assert len(await tick(channel)) == 1
    assert await titles(channel) == ["A second"]
    damaged = await row(channel, first)
    assert (damaged["state"], damaged["next_action"]) == ("failed", "Ask for the post again")
    assert await tick(channel) == []


async def test_slots_asked_for_at_once_are_different_slots(channel: Channel) -> None:
    """Two replicas place two posts at the same moment and give both the same slot."""
    account = await channel.connect()
    await agenda(channel).set_timetable(account, {"slots": parse_slots("mon,thu 18:00"), "zone": "America/New_York"})
    asks = [await request(channel, f"reef {number}", at_slot=True) for number in range(6)]
    await asyncio.gather(*(channel.settle(one) for one in asks))
    due_at = [each["due_at"] for each in await channel.db.fetch("select due_at from post_times order by due_at")]
    walls = [wall_of(at, zone_of("America/New_York")) for at in due_at]
    assert len(set(due_at)) == 6
    assert {wall.time() for wall in walls} == {time(18)}
    assert [wall.weekday() for wall in walls] in ([0, 3] * 3, [3, 0] * 3)
    assert walls[-1] - walls[0] <= timedelta(days=18)


async def test_a_slot_on_a_platform_that_keeps_times_is_given_to_it(channel: Channel) -> None:
    """The video is uploaded only at its time, though YouTube would show it to the second."""
    account = await channel.connect()
    slot = channel.clock.now().replace(second=0, microsecond=0) + 3 * HOUR
    await agenda(channel).set_timetable(account, {"slots": parse_slots(f"daily {slot:%H:%M}")})
    post = await asked(channel, privacy="public", at_slot=True)
    kept = await row(channel, post)
    assert (kept["state"], kept["kept_there"], kept["wakes_at"], kept["due_at"]) == ("published", True, None, slot)
    assert (await channel.video())["publish_at"] == f"{slot:%Y-%m-%dT%H:%M:%SZ}"
    [published] = await channel.given("post.published")
    assert msgspec.convert(published, PostPublished).shown_at == slot
    [shown] = await agenda(channel).shown(account, slots=1)
    assert [each.kept_there for each in shown.planned] == [True]
    channel.clock.turn(4 * 3600)
    assert await tick(channel) == []


async def test_a_slot_too_near_for_the_platform_is_kept_here(channel: Channel) -> None:
    """The platform refuses a time that is only minutes ahead, and the post fails."""
    account = await channel.connect()
    slot = channel.clock.now().replace(second=0, microsecond=0) + timedelta(minutes=10)
    await agenda(channel).set_timetable(account, {"slots": parse_slots(f"daily {slot:%H:%M}")})
    post = await asked(channel, privacy="public", at_slot=True)
    assert (await row(channel, post))["state"] == "scheduled"
    channel.clock.turn(600)
    await tick(channel)
    assert (await channel.video())["privacy"] == "public"


async def test_a_time_without_room_is_refused_and_its_mend_works(channel: Channel) -> None:
    """A person is told no, and what is suggested instead is refused as well."""
    account = await channel.connect()
    await agenda(channel).set_timetable(account, {"spacing_s": 7200, "per_day": 5})
    at = (channel.clock.now() + 5 * HOUR).replace(second=0, microsecond=0)
    await asked(channel, "first", publish_at=at)
    post = await asked(channel, "second", publish_at=at + HOUR)
    refused = await row(channel, post)
    assert refused["state"] == "failed"
    assert "nearer than 2:00:00" in refused["because"]
    mend = refused["next_action"].rsplit(" --at ", 1)[1]
    said = await agenda(channel).move(post[:8], at=datetime.fromisoformat(mend))
    assert "is due on" in said
    moved = await row(channel, post)
    assert (moved["state"], moved["due_at"]) == ("scheduled", at + 2 * HOUR)
    for hours, expected in ((5, ["A first"]), (2, ["A first", "A second"])):
        channel.clock.turn(hours * 3600)
        await tick(channel)
        assert await titles(channel) == expected


async def test_at_once_waits_for_room(channel: Channel) -> None:
    """A niche with five winners posts five times within a minute."""
    account = await channel.connect()
    await agenda(channel).set_timetable(account, {"spacing_s": 3600})
    now = channel.clock.now()
    posts = [await asked(channel, name) for name in ("a", "b", "c")]
    assert [(await row(channel, post))["state"] for post in posts] == ["published", "scheduled", "scheduled"]
    assert [(await row(channel, post))["due_at"] for post in posts] == [now, now + HOUR, now + 2 * HOUR]
    for expected in (2, 3):
        channel.clock.turn(3600)
        await tick(channel)
        assert len(await titles(channel)) == expected


# After a stop --------------------------------------------------------------------------------------


async def stopped(channel: Channel, if_late: str | None, **told: Any) -> PostId:
    """Schedule a post, let its time pass by five hours with nothing running, and start again."""
    post = await asked(channel, publish_at=channel.clock.now() + HOUR, if_late=if_late, **told)
    channel.clock.turn(6 * 3600)
    await tick(channel)
    return post


async def test_ask_leaves_it_waiting_and_a_person_lets_it_go(channel: Channel) -> None:
    """After a stop, old posts go out unasked, or the person has no way to answer."""
    await channel.connect()
    post = await stopped(channel, None)
    asking = await row(channel, post)
    assert asking["state"] == "waiting"
    assert "passed by 5 h" in asking["because"]
    assert asking["next_action"] == f"ettametta schedule go {post} or ettametta schedule skip {post}"
    assert asking["late_s"] == 5 * 3600
    assert await titles(channel) == []
    await channel.settle(stamped(AccountConnected(account_id=asking["account_id"], platform="youtube")))
    for event in await told(channel):
        await channel.settle(event)
    assert (await row(channel, post))["state"] == "waiting"  # a reconnected account is no answer
    await agenda(channel).go(post)
    assert len(await tick(channel)) == 1
    assert (await row(channel, post))["state"] == "published"
    assert await titles(channel) == ["A reef"]


async def test_a_person_skips_what_was_asked(channel: Channel) -> None:
    """A post that a person skipped goes out all the same."""
    await channel.connect()
    post = await stopped(channel, "ask")
    await agenda(channel).skip(post)
    for event in await told(channel):
        await channel.settle(event)
    channel.clock.turn(86_400)
    assert await tick(channel) == []
    skipped = await row(channel, post)
    assert (skipped["state"], skipped["because"]) == ("failed", "it was skipped by hand")
    assert await titles(channel) == []
    await agenda(channel).go(post)  # and thinks better of it
    await tick(channel)
    assert await titles(channel) == ["A reef"]


async def test_a_skip_reaches_what_the_clock_has_asked_for_already(channel: Channel) -> None:
    """Skipped while its event was on the way, the post goes out."""
    await channel.connect()
    post = await asked(channel, publish_at=channel.clock.now() + HOUR)
    channel.clock.turn(3600)
    await release_due(channel.services)
    await agenda(channel).skip(post)
    [event] = await told(channel)
    assert await channel.settle(event) == "term"
    assert (await row(channel, post))["state"] == "failed"
    assert await titles(channel) == []


async def test_skip_ends_it_with_the_reason(channel: Channel) -> None:
    """A late post goes out though the rule says skip, or vanishes without a word."""
    await channel.connect()
    post = await stopped(channel, "skip")
    skipped = await row(channel, post)
    assert skipped["state"] == "failed"
    assert "passed by 5 h" in skipped["because"]
    assert "schedule go" in skipped["next_action"]
    assert await titles(channel) == []


async def test_post_goes_late_with_the_spacing_kept(channel: Channel) -> None:
    """After a stop, everything that was missed goes out within a minute."""
    account = await channel.connect()
    await agenda(channel).set_timetable(account, {"spacing_s": 1800})
    start = channel.clock.now()
    posts = [await asked(channel, n, publish_at=start + HOUR * k, if_late="post") for k, n in enumerate("abc", start=1)]
    channel.clock.turn(6 * 3600)
    await tick(channel)
    assert len(await titles(channel)) == 1
    due_at = sorted([(await row(channel, post))["due_at"] for post in posts])
    assert due_at == [start + 6 * HOUR + n * timedelta(minutes=30) for n in range(3)]
    for expected in (2, 3):
        channel.clock.turn(1800)
        await tick(channel)
        assert len(await titles(channel)) == expected


async def test_a_moved_post_goes_at_its_new_time_alone(channel: Channel) -> None:
    """Moved, a post goes at both times."""
    await channel.connect()
    start = channel.clock.now()
    post = await asked(channel, publish_at=start + HOUR)
    await agenda(channel).move(post, at=start + 3 * HOUR)
    channel.clock.turn(2 * 3600)
    assert await tick(channel) == []
    channel.clock.turn(3600)
    assert len(await tick(channel)) == 1
    assert (await row(channel, post))["state"] == "published"
    with pytest.raises(Reject, match="published"):
        await agenda(channel).move(post, at=start + 9 * HOUR)


async def test_asked_again_for_another_time_it_goes_then(channel: Channel) -> None:
    """Asked again, the post goes at the time that was given up, or twice."""
    await channel.connect()
    start = channel.clock.now()
    post = await asked(channel, publish_at=start + HOUR)
    assert await asked(channel, publish_at=start + 5 * HOUR) == post
    channel.clock.turn(2 * 3600)
    assert await tick(channel) == []
    channel.clock.turn(3 * 3600)
    await tick(channel)
    assert await titles(channel) == ["A reef"]


async def test_an_older_asking_does_not_take_the_place_of_a_newer_one(channel: Channel) -> None:
    """Redelivered after a person asked anew, the asking before that posts at its own time."""
    await channel.connect()
    start = channel.clock.now()
    old = msgspec.structs.replace(await request(channel), occurred_at=start)
    newer = msgspec.structs.replace(await request(channel, publish_at=start + 48 * HOUR), occurred_at=start + HOUR)
    assert await channel.settle(newer) == "ack"
    assert await channel.settle(old) == "ack"
    planned = await channel.post()
    assert (planned["state"], planned["correlation_id"]) == ("scheduled", newer.correlation_id)
    assert await titles(channel) == []


async def test_what_comes_late_of_an_asking_that_was_given_up_changes_nothing(channel: Channel) -> None:
    """What the clock asked for just before a person asked anew is posted all the same."""
    await channel.connect()
    start = channel.clock.now()
    post = await asked(channel, publish_at=start + HOUR)
    channel.clock.turn(3601)
    await release_due(channel.services)
    [late] = await told(channel)
    newer = await request(channel, publish_at=start + 5 * HOUR)
    assert late.occurred_at is not None
    newer = msgspec.structs.replace(newer, occurred_at=late.occurred_at - timedelta(seconds=1))
    assert await channel.settle(newer) == "ack"
    assert await channel.settle(late) == "ack"
    planned = await row(channel, post)
    assert (planned["state"], planned["due_at"]) == ("scheduled", start + 5 * HOUR)
    assert await titles(channel) == []
    channel.clock.turn(4 * 3600)
    await tick(channel)
    assert await titles(channel) == ["A reef"]


async def test_a_time_that_is_given_anew_is_asked_for_anew(channel: Channel) -> None:
    """The event for the second time has the id of the first: it passes for known, and the post never goes."""
    await channel.connect()
    post = await asked(channel, publish_at=channel.clock.now() + HOUR)
    await channel.db.execute("update probes set probe = jsonb_set(probe, '{duration_us}', '999999999999999')")
    channel.clock.turn(3601)
    await tick(channel)
    await asked(channel)  # at once: its time is dropped
    assert (await row(channel, post))["state"] == "failed"
    assert await channel.db.fetchval("select count(*) from post_times") == 0
    await channel.db.execute("update probes set probe = jsonb_set(probe, '{duration_us}', '20000000')")
    await asked(channel, publish_at=channel.clock.now() + HOUR)
    channel.clock.turn(3601)
    await tick(channel)
    events = await told(channel)
    assert len({event.event_id for event in events}) == len(events) == 2
    assert (await row(channel, post))["state"] == "published"


# Accounts and privacy ------------------------------------------------------------------------------


async def test_a_planned_post_stays_its_accounts_when_another_is_connected(channel: Channel) -> None:
    """A second account is connected, and every planned post that names none fails."""
    account = await channel.connect(account="a@sandbox.test")
    post = await asked(channel, publish_at=channel.clock.now() + HOUR)
    await channel.connect(account="b@sandbox.test")
    channel.clock.turn(3601)
    await tick(channel)
    done = await row(channel, post)
    assert (done["state"], done["account_id"]) == ("published", account)


async def test_a_planned_post_waits_for_its_paused_account(channel: Channel) -> None:
    """After a strike on one account, what was planned for it goes to another one."""
    account = await channel.connect(account="a@sandbox.test")
    post = await asked(channel, publish_at=channel.clock.now() + HOUR)
    await channel.services.tokens.pause(account, "a strike")
    other = await channel.connect(account="b@sandbox.test")
    channel.clock.turn(3601)
    await tick(channel)
    held = await row(channel, post)
    assert (held["state"], held["account_id"]) == ("waiting", account)
    assert "is paused: a strike" in held["because"]
    before = await told(channel)
    await channel.settle(stamped(AccountConnected(account_id=other, platform="youtube")))
    assert await told(channel) == before
    await channel.db.execute("update accounts set paused_at = null, paused_because = ''")
    await channel.settle(stamped(AccountConnected(account_id=account, platform="youtube")))
    for event in (await told(channel))[len(before) :]:
        await channel.settle(event)
    done = await row(channel, post)
    assert (done["state"], done["account_id"]) == ("published", account)


async def test_a_planned_post_is_free_when_its_account_is_disconnected(channel: Channel) -> None:
    """A post waits for ever for an account that a person took away."""
    account = await channel.connect(account="a@sandbox.test")
    post = await asked(channel, publish_at=channel.clock.now() + HOUR)
    await channel.services.tokens.pause(account, "a strike")
    channel.clock.turn(3601)
    await tick(channel)
    await channel.db.execute("update accounts set state = 'disconnected' where account_id = $1", account)
    other = await channel.connect(account="b@sandbox.test")
    before = len(await told(channel))
    await channel.settle(stamped(AccountConnected(account_id=other, platform="youtube")))
    for event in (await told(channel))[before:]:
        await channel.settle(event)
    done = await row(channel, post)
    assert (done["state"], done["account_id"]) == ("published", other)


@pytest.mark.parametrize("hours", [0.1, 3.0])
async def test_a_private_post_stays_private_at_its_time(channel: Channel, hours: float) -> None:
    """What a person asked to keep private is shown to everybody when its time comes."""
    await channel.connect()
    at = channel.clock.now() + hours * HOUR
    post = await asked(channel, privacy="private", publish_at=at)
    waiting = await row(channel, post)
    assert (waiting["state"], waiting["kept_there"]) == ("scheduled", False)
    channel.clock.turn(hours * 3600 + 1)
    await tick(channel)
    video = await channel.video()
    assert (video["privacy"], video["publish_at"]) == ("private", None)
    [published] = await channel.given("post.published")
    assert msgspec.convert(published, PostPublished).shown_at is None


# Wall clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "change", "slot", "expected"),
    [
        ("Europe/Berlin", date(2027, 3, 28), "02:30", ["02:30+0100", "03:00+0200", "02:30+0200"]),
        ("Europe/Berlin", date(2027, 10, 31), "02:30", ["02:30+0200", "02:30+0200", "02:30+0100"]),
        ("America/New_York", date(2027, 3, 14), "18:00", ["18:00-0500", "18:00-0400", "18:00-0400"]),
        ("America/New_York", date(2027, 11, 7), "01:15", ["01:15-0400", "01:15-0400", "01:15-0500"]),
        ("Australia/Lord_Howe", date(2027, 10, 3), "02:15", ["02:15+1030", "02:30+1100", "02:15+1100"]),
        ("Australia/Lord_Howe", date(2027, 4, 4), "01:45", ["01:45+1100", "01:45+1100", "01:45+1030"]),
    ],
)
async def test_posts_go_at_the_wall_times_that_people_expect_once(
    channel: Channel, zone: str, change: date, slot: str, expected: list[str]
) -> None:
    """Over a change of the clocks a post comes an hour off, twice, or not at all."""
    begin = instant_of(datetime.combine(change - DAY, time()), zone_of(zone))
    channel.clock.turn((begin - channel.clock.now()).total_seconds())
    account = await channel.connect(life_s=30 * 86_400)
    await agenda(channel).set_timetable(account, {"zone": zone, "slots": parse_slots(f"daily {slot}")})
    for name in "abc":
        await asked(channel, name, at_slot=True)
    went: list[str] = []
    while channel.clock.now() < begin + 4 * DAY:
        went += [f"{channel.clock.now().astimezone(zone_of(zone)):%H:%M%z}" for _ in await tick(channel)]
        channel.clock.turn(900)
    assert went == expected
    assert await titles(channel) == ["A a", "A b", "A c"]


# Reading it ----------------------------------------------------------------------------------------


async def test_readiness_fails_on_what_is_due_and_not_claimed(channel: Channel) -> None:
    """No publisher runs, posts are missed, and the engine says that it is ready."""
    await channel.connect()
    await asked(channel, publish_at=channel.clock.now() + HOUR)

    class At(Clock):
        def now(self) -> datetime:
            return channel.clock.now()

    queues = Queues.__new__(Queues)  # the bus is not asked here
    reader = Reader(channel.db, queues, At())
    channel.clock.turn(3600 + POST_LATE_S - 1)
    late = await reader.late()
    assert getattr(late, "posts", None) == 0
    channel.clock.turn(2)
    late = await reader.late()
    assert (getattr(late, "posts", None), getattr(late, "post_due_at", None)) == (
        1,
        channel.clock.now() - timedelta(seconds=POST_LATE_S + 1),
    )
    await release_due(channel.services)
    assert getattr(await reader.late(), "posts", None) == 0


def test_a_late_post_is_a_reason_for_not_being_ready() -> None:
    """The probe of the machine's keeper never hears of missed posts."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    found = judge(Late(posts=2, post_due_at=now - timedelta(minutes=5)), [], now=now)
    assert [fault.what for fault in found.reasons] == ["posts"]
    assert "2 due posts were not claimed, the oldest is late by 5 min" in found.reasons[0].because
    assert judge(Late(), [], now=now).ready


async def test_the_agenda_shows_slots_posts_and_lateness(channel: Channel) -> None:
    """People cannot see when their posts go, or which slot is free."""
    account = await channel.connect()
    table: dict[str, Any] = {"zone": "Europe/Berlin", "slots": parse_slots("daily 18:00"), "spacing_s": 3600}
    await agenda(channel).set_timetable(account, table)
    first = await asked(channel, "first", at_slot=True)
    [shown] = await agenda(channel).shown(account, slots=3)
    assert shown.timetable == Timetable(**table)
    assert [slot.taken for slot in shown.slots] == ["taken", "", ""]
    assert [(post.post_id, post.zone, post.by_slot) for post in shown.planned] == [(first, "Europe/Berlin", True)]
    assert shown.late is None
    _, breaking = await agenda(channel).set_timetable(account, {"blackouts": (parse_blackout("17:00-19:00"),)})
    assert [(post.post_id, "blackout" in against) for post, against in breaking] == [(first, True)]
    channel.clock.turn(25 * 3600)
    await tick(channel)
    [shown] = await agenda(channel).shown(account, slots=1)
    assert shown.late is not None
    assert shown.late.posts == 1
    with pytest.raises(Reject, match="Known: youtube:"):
        await agenda(channel).set_timetable(AccountId("youtube:nobody"), table)


async def test_a_correlation_is_kept_from_asking_to_posting(channel: Channel) -> None:
    """What came of a request cannot be followed past its waiting."""
    await channel.connect()
    made = await request(channel, publish_at=channel.clock.now() + HOUR)
    await channel.settle(made)
    channel.clock.turn(3600)
    await tick(channel)
    [published] = await channel.given("post.published")
    assert CorrelationId(published["correlation_id"]) == made.correlation_id


async def test_advice_counts_only_what_was_measured_a_day_after_it_was_shown(channel: Channel) -> None:
    """Advice is taken from views of an hour, or of private posts."""
    account = await channel.connect()
    post = await asked(channel, privacy="public")
    shown = channel.clock.now()
    insert = (
        "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, $2, $3, $4, $5) "
        "on conflict do nothing"
    )
    for bucket, hours, views in ((2, 1, 5), (6, 24, 700), (7, 48, 900)):
        await channel.db.execute(insert, post, bucket, shown + hours * HOUR, hours * 3600, views)
    found = await agenda(channel).advice(account)
    assert (found.verdict, found.posts) == ("not enough data", 1)
    await channel.db.execute("update posts set privacy = 'private'")
    assert (await agenda(channel).advice(account)).posts == 0


async def test_the_commands_say_what_they_did(
    channel: Channel, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person reads a traceback, or a time that is not the account's."""
    monkeypatch.chdir(tmp_path)
    account = await channel.connect()
    env = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}

    async def run(*arguments: str) -> str:
        done = await asyncio.to_thread(CliRunner(env=env).invoke, main, ["schedule", *arguments])
        assert not isinstance(done.exception, Exception), done.exc_info
        return done.output

    said = await run("set", account, "--zone", "Europe/Berlin", "--slot", "mon,thu 18:00", "--spacing", "2h")
    assert said == f"{account}: zone Europe/Berlin; slots mon 18:00, thu 18:00; at least 2 h between posts\n"
    said = await run("set", account, "--per-day", "3", "--blackout", "2030-12-24..2030-12-26 10:00-12:00")
    assert "slots mon 18:00, thu 18:00; at least 2 h between posts; at most 3 a day; nothing at 2030-12-24" in said
    post = await asked(channel, at_slot=True)
    wall = wall_of((await row(channel, post))["due_at"], zone_of("Europe/Berlin"))
    for command in (("show",), ("show", account), ("queue", account)):
        assert f"{wall:%a %Y-%m-%d} 18:00 Europe/Berlin" in await run(*command)
    listed = await run("list")
    assert f"{wall:%a} 18:00 Europe/Berlin  {account}  scheduled  {post}  'A reef'" in listed
    assert msgspec.json.decode(await run("show", "--json"))[0]["planned"][0]["post_id"] == post
    said = await run("move", post, "--at", "2030-12-27T11:00")
    assert said == f"{post} is due on Fri 2030-12-27 11:00 Europe/Berlin (12-27 10:00 UTC)\n"
    assert "2030-12-27 10:00 UTC  Fri 11:00 Europe/Berlin" in await run("list")
    assert "in the blackout '2030-12-24..2030-12-26 10:00-12:00'" in await run("move", post, "--at", "2030-12-25T11:00")
    assert "1 posts are queued" not in await run("queue", account)
    assert "18:00 Europe/Berlin" in await run("queue", account, post)
    assert await run("skip", post) == f"{post} is skipped\n"
    assert await run("go", post[:10]) == f"{post} goes now\n"
    assert "not enough data: 0 of at least 30 posts" in await run("advice", account)
    assert "Known: youtube:" in await run("show", "youtube:nobody")
    assert "there is no post 'nothing'" in await run("go", "nothing")
    assert "Write it as 90m, 2h or 1d" in await run("set", account, "--spacing", "soon")
    assert "is no time zone" in await run("set", account, "--zone", "Mars")
    assert "has no timetable" in await run("drop", account)


async def test_only_what_can_be_posted_to_has_times(channel: Channel, database_url: str, tmp_path: Path) -> None:
    """A person gives a timetable to an account that nothing can ever be posted to."""
    account = await channel.connect()
    await channel.db.execute(
        "insert into accounts (account_id, platform, title, state) values ('reddit:1', 'reddit', 'u/reef', 'connected')"
    )
    env = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}

    async def run(*arguments: str) -> str:
        done = await asyncio.to_thread(CliRunner(env=env).invoke, main, ["schedule", *arguments])
        return done.output

    for command in (("set", "--slot", "mon 18:00"), ("show",), ("queue",), ("advice",)):
        said = await run(*command, "reddit:1")
        assert "reddit cannot be posted to" in said, command
        assert f"Accounts that can be posted to: {account}" in said, command
    assert await channel.db.fetchval("select count(*) from timetables") == 0
    assert "reddit" not in await run("show")
    assert [one["account_id"] for one in msgspec.json.decode(await run("show", "--json"))] == [account]
    await channel.db.execute("insert into timetables values ('reddit:1', '{}', now())")
    assert "has no timetable" in await run("drop", "reddit:1"), "one that is there can be taken away"
    await channel.db.execute("delete from accounts where platform <> 'reddit'")
    assert "none is connected yet" in await run("set", "reddit:1", "--slot", "mon 18:00")
    assert "no account to post to is connected" in await run("show")
