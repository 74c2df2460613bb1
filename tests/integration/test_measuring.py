"""Snapshots of posts: planned, taken once, put off when the platform is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors import platforms
from actors.platforms import youtube
from actors.platforms._youtube.errors import next_quota_day
from actors.runtime.db import Database
from actors.tracker import measure
from actors.tracker.handle import Q
from actors.tracker.history import history
from actors.tracker.measure import measure_due
from actors.tracker.numbers import FIELDS
from actors.tracker.schedule import LATE, LOOKS, SNAPSHOTS
from actors.tracker.sentinel import look_due
from contracts.events import PostMeasured, PostPublished
from contracts.ids import AccountId, ItemId, PostId
from contracts.platform import Draft, PostMetrics
from tests.channel import Channel, Killed, connected_channel, kill_at, stamped
from tests.journal import Notes


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker", time_scale=1.0) as found:
        yield found


async def published(channel: Channel, number: int = 1, *, account: AccountId, video_id: str = "") -> PostPublished:
    """Write the row of a published post, and return its event."""
    now = channel.clock.now()
    post = PostId(f"post-{number:03}")
    video_id = video_id or f"gone-{number:06}"
    await channel.db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes,"
        " platform_post_id, correlation_id, request, published_at)"
        " values ($1, $2, 'youtube', $3, 'published', '{}', 'k', 1, $4, $5, '{}', $6)",
        post,
        f"item-{number}",
        account,
        video_id,
        f"c-{number}",
        now,
    )
    event: PostPublished = stamped(
        PostPublished(
            item_id=ItemId(f"item-{number}"),
            post_id=post,
            platform="youtube",
            account_id=account,
            platform_post_id=video_id,
            url="https://www.youtube.com/watch?v=x",
            published_at=now,
        )
    )
    return event


async def upload(channel: Channel, account: AccountId, folder: Path) -> str:
    """Put a real video into the sandbox and return its id."""
    file = folder / "video.mp4"
    file.write_bytes(b"video" * 100)
    services = channel.services
    adapter = youtube.YouTube(services.means)
    draft = Draft(marker="ett1", title="T", description="", privacy="public")
    checkpoint = await adapter.open_session(account, draft, size_bytes=500)
    return (await adapter.send(account, draft, checkpoint, file, Notes())).platform_post_id


async def test_a_post_is_measured_at_once_and_then_on_schedule(channel: Channel, tmp_path: Path) -> None:
    """A new post shows no numbers, or numbers that nobody can trace."""
    account = await channel.connect()
    event = await published(channel, account=account, video_id=await upload(channel, account, tmp_path))
    assert await channel.settle(event) == "ack"
    for age in SNAPSHOTS:
        channel.clock._now = event.published_at + age
        await measure_due(channel.services)
        await measure_due(channel.services)
    rows = await channel.db.fetch("select * from measurements order by bucket")
    assert [row["bucket"] for row in rows] == list(range(len(SNAPSHOTS)))
    assert [row["age_s"] for row in rows] == [int(age.total_seconds()) for age in SNAPSHOTS]
    views = [row["views"] for row in rows]
    assert views == sorted(views)
    assert views[-1] > views[0] == 0
    assert rows[0]["shares"] is None
    assert rows[0]["absent"]["shares"]
    assert await channel.db.fetchval("select count(*) from measure_schedule") == 0
    told = [event for event in await channel.given("post.measured") if not event["revision"]]
    assert [event["bucket"] for event in told] == list(range(len(SNAPSHOTS)))
    assert {event["correlation_id"] for event in told} == {"c-1"}
    assert told[-1]["metrics"]["views"] == views[-1]


async def test_a_post_that_is_kept_until_a_time_is_measured_from_then_on(channel: Channel, tmp_path: Path) -> None:
    """Its first numbers are zeros of days when nobody could see it, and its age is that of its upload."""
    account = await channel.connect(life_s=10**8)
    event = await published(channel, account=account, video_id=await upload(channel, account, tmp_path))
    shown_at = event.published_at + timedelta(days=10)
    assert await channel.settle(msgspec.structs.replace(event, shown_at=shown_at)) == "ack"
    due = await channel.db.fetch("select due_at from measure_schedule order by bucket")
    assert [row["due_at"] for row in due] == [shown_at + age for age in SNAPSHOTS]
    assert await channel.db.fetchval("select next_at from standings") == shown_at + LOOKS[0]
    for after in (timedelta(days=-1), timedelta(hours=1)):
        channel.clock._now = shown_at + after
        await measure_due(channel.services)
        await look_due(channel.services)
    rows = await channel.db.fetch("select bucket, age_s from measurements")
    assert [tuple(row) for row in rows] == [(2, 3600)]
    assert await channel.db.fetchval("select next_at from standings") == shown_at + LOOKS[2]
    (one,) = await history(channel.db, channel.clock.now())
    assert (one.shown_at, [shot.age_s for shot in one.shots]) == (shown_at, [3600])
    assert await history(channel.db, shown_at - timedelta(days=1)) == ()


async def test_credentials_that_are_wrong_here_put_snapshots_off(channel: Channel) -> None:
    """A wrong CLIENT_SECRET of one afternoon leaves every snapshot of it empty for good."""
    account = await channel.connect(life_s=1)
    assert await channel.settle(await published(channel, account=account)) == "ack"
    channel.clock.turn(5)
    await channel.fault("oauth.token", "status", status=401, reason="invalid_client")
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 0
    due = await channel.db.fetchval("select min(due_at) from measure_schedule where bucket = 0")
    assert due == channel.clock.now() + timedelta(hours=1)
    channel.clock.turn(3601)
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 1


async def test_an_event_that_comes_twice_plans_once(channel: Channel) -> None:
    """A redelivered event measures everything anew."""
    account = await channel.connect()
    event = await published(channel, account=account)
    assert await channel.settle(event) == "ack"
    await measure_due(channel.services)
    await channel.db.execute("delete from inbox")
    assert await channel.settle(event, first=2) == "ack"
    assert await channel.db.fetchval("select count(*) from measure_schedule") == len(SNAPSHOTS) - 1


async def test_nothing_due_asks_nothing(channel: Channel) -> None:
    """An idle tracker spends the quota."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await measure_due(channel.services)
    for _ in range(3):
        await measure_due(channel.services)
    assert (await channel.state())["calls"]["youtube.videos"] == 1


async def test_posts_are_asked_for_fifty_at_a_time(channel: Channel) -> None:
    """A hundred posts cost a hundred calls."""
    account = await channel.connect()
    for number in range(120):
        await channel.settle(await published(channel, number, account=account))
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 120
    assert (await channel.state())["calls"]["youtube.videos"] == 3


async def test_a_death_between_asking_and_storing_loses_and_doubles_nothing(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker that dies leaves a post unmeasured, or told twice."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    died = kill_at(monkeypatch, "tracker.measured")
    with pytest.raises(Killed):
        await measure_due(channel.services)
    assert died()
    assert await channel.db.fetchval("select count(*) from measurements") == 0
    await measure_due(channel.services)
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 1
    assert len(await channel.given("post.measured")) == 1


async def test_two_trackers_measure_once(channel: Channel) -> None:
    """Two replicas spend the quota twice and tell each number twice."""
    account = await channel.connect()
    for number in range(60):
        await channel.settle(await published(channel, number, account=account))
    await channel.fault("youtube.videos", "slow", times=4, delay_s=0.2)
    await asyncio.gather(*(measure_due(channel.services) for _ in range(3)))
    assert await channel.db.fetchval("select count(*) from measurements") == 60
    assert len(await channel.given("post.measured")) == 60
    assert (await channel.state())["calls"]["youtube.videos"] == 2


async def test_a_post_that_is_gone_has_no_numbers(channel: Channel) -> None:
    """A deleted post shows zeros, or holds up the others."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await measure_due(channel.services)
    row = await channel.db.fetchrow("select views, likes, comments, shares, absent from measurements")
    assert row is not None
    assert (row["views"], row["likes"], row["comments"], row["shares"]) == (None, None, None, None)
    assert set(row["absent"].values()) == {"youtube no longer shows this post"}


async def test_an_outage_puts_a_snapshot_off(channel: Channel) -> None:
    """An outage loses a snapshot, or is hammered every second."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await channel.fault("youtube.videos", "status", status=503)
    await measure_due(channel.services)
    await measure_due(channel.services)
    assert (await channel.state())["calls"]["youtube.videos"] == 1
    assert await channel.db.fetchval("select count(*) from measurements") == 0
    channel.clock.turn(60)
    await measure_due(channel.services)
    assert await channel.db.fetchval("select age_s from measurements") == 60


async def test_a_spent_quota_puts_snapshots_off_to_the_next_day(channel: Channel) -> None:
    """A spent quota is asked for every minute of the day."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await channel.fault("youtube.videos", "quota")
    await measure_due(channel.services)
    due = await channel.db.fetchval("select min(due_at) from measure_schedule where bucket = 0")
    assert due == next_quota_day(channel.clock.now())


async def test_a_lost_permission_puts_snapshots_off(channel: Channel) -> None:
    """A disconnected account is asked for every second."""
    account = await channel.connect(life_s=1)
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await channel.fault("oauth.token", "status", status=400, reason="invalid_grant")
    await measure_due(channel.services)
    due = await channel.db.fetchval("select min(due_at) from measure_schedule where bucket = 0")
    assert due == channel.clock.now() + timedelta(hours=1)
    await channel.connect()
    channel.clock.turn(3601)
    await measure_due(channel.services)
    assert await channel.db.fetchval("select count(*) from measurements") == 1


async def test_a_refusal_is_kept_as_the_reason(channel: Channel) -> None:
    """A snapshot that the platform refuses for good is asked for ever."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    await channel.fault("youtube.videos", "status", status=400, reason="invalidFilters")
    await measure_due(channel.services)
    row = await channel.db.fetchrow("select views, absent from measurements")
    assert row is not None
    assert row["views"] is None
    assert "invalidFilters" in row["absent"]["views"]


async def test_snapshots_missed_while_nothing_ran_are_taken_as_one(channel: Channel) -> None:
    """After an outage each post gets many equal numbers at one moment."""
    account = await channel.connect()
    assert await channel.settle(await published(channel, account=account)) == "ack"
    channel.clock.turn(2 * 3600)
    await measure_due(channel.services)
    rows = await channel.db.fetch("select bucket, age_s from measurements")
    assert [tuple(row) for row in rows] == [(2, 7200)]
    assert await channel.db.fetchval("select min(bucket) from measure_schedule") == 3


class Told:
    """A platform whose numbers are told by the test."""

    def __init__(self) -> None:
        self.numbers: dict[str, PostMetrics] = {}
        self.asked = 0

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        self.asked += 1
        return {name: self.numbers[name] for name in platform_post_ids if name in self.numbers}

    def tell(self, name: str = "gone-000001", **numbers: Any) -> None:
        because = {field: "not in the answer" for field in FIELDS if numbers.get(field) is None}
        self.numbers[name] = PostMetrics(**numbers, absent=because)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Numbers are those of the test; everything else is real."""
    platform = Told()
    monkeypatch.setattr(
        measure,
        "platforms",
        SimpleNamespace(module=platforms.module, build=lambda name, services: platform),
    )
    return platform


async def measured_at(channel: Channel, event: PostPublished, age: timedelta) -> None:
    channel.clock._now = event.published_at + age
    await measure_due(channel.services)


async def test_every_number_is_kept(channel: Channel, told: Told) -> None:
    """Numbers that a platform tells its account alone are asked for, paid for and thrown away."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    numbers: dict[str, Any] = {
        "views": 1000, "likes": 90, "comments": 8, "shares": 7, "saves": 6, "reach": 700, "impressions": 1500,
        "clicks": 5, "followers": -2, "watched_us": 9_000_000_000, "average_watched_us": 9_000_000,
        "retention": ((0.0, 1.0), (0.5, 0.61)),
    }  # fmt: skip
    assert set(numbers) == set(FIELDS)
    told.tell(**numbers)
    await measure_due(channel.services)
    row = await channel.db.fetchrow("select * from measurements")
    assert row is not None
    kept = {name: row[name] for name in FIELDS}
    assert kept == {**numbers, "retention": [[0.0, 1.0], [0.5, 0.61]]}
    (event_told,) = await channel.given("post.measured")
    assert msgspec.convert(event_told["metrics"], PostMetrics) == told.numbers["gone-000001"]


async def test_a_correction_is_kept_beside_the_first_number(channel: Channel, told: Told) -> None:
    """A platform that takes views back rewrites history, or its fall reads as people who left."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    for age, views, likes in ((SNAPSHOTS[2], 100, 9), (SNAPSHOTS[3], 200, 12), (SNAPSHOTS[4], 150, 10)):
        told.tell(views=views, likes=likes)
        await measured_at(channel, event, age)
    rows = await channel.db.fetch("select bucket, views, likes from measurements order by bucket")
    assert [tuple(row) for row in rows] == [(2, 100, 9), (3, 200, 12), (4, 150, 10)]
    (change,) = await channel.db.fetch("select * from measurement_changes")
    assert (change["bucket"], change["field"], change["kind"]) == (3, "views", "corrected")
    assert (change["was"], change["value"]) == (200, 150)
    assert change["told_at"] == event.published_at + SNAPSHOTS[4]
    told.tell(views=150, likes=10)
    await measured_at(channel, event, SNAPSHOTS[5])
    assert await channel.db.fetchval("select count(*) from measurement_changes") == 1, "it is told again and again"
    assert [one["bucket"] for one in await channel.given("post.measured")] == [2, 3, 4, 3, 5]


async def test_what_is_told_of_a_snapshot_later_is_told_on_the_bus(channel: Channel, told: Told) -> None:
    """A program that follows the bus keeps the numbers that its platform took back, and never gets the late ones."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    for age, numbers in (
        (SNAPSHOTS[2], {"views": 100}),
        (SNAPSHOTS[3], {"views": 200, "likes": 12}),
        (SNAPSHOTS[4], {"views": 150, "likes": 10, "retention": ((0.0, 1.0), (0.5, 0.6))}),
        (SNAPSHOTS[5], {"views": 120, "likes": 10}),
    ):
        told.tell(**numbers)
        await measured_at(channel, event, age)
    events = await channel.given("post.measured")
    assert len({one["event_id"] for one in events}) == len(events), "one is taken for another, and dropped"
    assert {one["correlation_id"] for one in events} == {"c-1"}
    at = [event.published_at + age for age in SNAPSHOTS]
    newest: dict[int, PostMeasured] = {}
    for one in (msgspec.convert(one, PostMeasured) for one in events):
        before = newest.get(one.bucket)
        assert one.revision == (0 if before is None else before.revision + 1)
        assert (one.measured_at, one.age_s) == (at[one.bucket], int(SNAPSHOTS[one.bucket].total_seconds()))
        newest[one.bucket] = one
    assert {bucket: (one.revision, one.metrics.views, one.metrics.likes) for bucket, one in newest.items()} == {
        2: (2, 100, 12),
        3: (2, 120, 12),
        4: (1, 120, 10),
        5: (0, 120, 10),
    }
    curve = ((0.0, 1.0), (0.5, 0.6))
    assert [newest[bucket].metrics.retention for bucket in (2, 3, 4, 5)] == [curve, curve, curve, None]
    assert newest[2].revised == {"likes": at[3], "retention": at[4]}
    assert newest[3].revised == {"views": at[5], "retention": at[4]}
    assert "likes" not in newest[2].metrics.absent
    rows = await channel.db.fetch(Q["known_by_now"], "post-001", len(SNAPSHOTS))
    assert {row["bucket"]: row["revision"] for row in rows} == {
        bucket: one.revision for bucket, one in newest.items()
    }, "what is told and what is stored differ"


async def test_a_number_that_comes_late_is_kept_with_its_time(channel: Channel, told: Told) -> None:
    """A number that its platform tells two days later stays unknown for ever, or passes for one of the first hour."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    told.tell(views=10)
    await measured_at(channel, event, SNAPSHOTS[2])
    told.tell(views=90, reach=60)
    await measured_at(channel, event, SNAPSHOTS[7])
    first = await channel.db.fetchrow("select reach, absent from measurements where bucket = 2")
    assert first is not None
    assert (first["reach"], first["absent"]["reach"]) == (None, "not in the answer")
    (change,) = await channel.db.fetch("select * from measurement_changes")
    assert (change["bucket"], change["field"], change["kind"], change["value"]) == (2, "reach", "late", 60)
    assert change["told_at"] == event.published_at + SNAPSHOTS[7]


async def test_the_last_snapshot_is_asked_for_again_where_a_usual_number_is_missing(
    channel: Channel, told: Told
) -> None:
    """Nothing comes after the last snapshot: what it lacks would be lacking for ever."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    told.tell(views=10, reach=8)
    await measured_at(channel, event, SNAPSHOTS[10])
    told.tell(views=20)
    await measured_at(channel, event, SNAPSHOTS[11])
    due = await channel.db.fetch("select bucket, due_at from measure_schedule")
    assert [tuple(row) for row in due] == [(11, event.published_at + SNAPSHOTS[11] + LATE)]
    told.tell(views=25, reach=18)
    await measured_at(channel, event, SNAPSHOTS[11] + LATE)
    changes = await channel.db.fetch("select bucket, field, kind, value from measurement_changes")
    assert [tuple(row) for row in changes] == [(11, "reach", "late", 18)]
    assert await channel.db.fetchval("select views from measurements where bucket = 11") == 20
    assert await channel.db.fetchval("select count(*) from measure_schedule") == 0
    told_of = [(one["bucket"], one["revision"]) for one in await channel.given("post.measured")]
    assert told_of == [(10, 0), (11, 0), (11, 1)], "one for each bucket, and one for what came late"


async def test_what_a_platform_never_tells_is_not_asked_for_again(channel: Channel, told: Told) -> None:
    """Every post costs its calls twice for numbers that do not exist."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    told.tell(views=10)
    await measured_at(channel, event, SNAPSHOTS[11])
    assert await channel.db.fetchval("select count(*) from measure_schedule") == 0


async def test_another_snapshot_that_is_due_soon_is_enough(channel: Channel, told: Told) -> None:
    """Early snapshots lack what comes late: each of them would be asked for twice."""
    event = await published(channel, account=await channel.connect())
    await channel.settle(event)
    other = await published(channel, 2, account=AccountId(await channel.db.fetchval("select account_id from accounts")))
    await channel.settle(other)
    told.tell(views=10)
    told.tell("gone-000002", views=10, reach=8)
    await measured_at(channel, event, SNAPSHOTS[3])
    due = await channel.db.fetch("select bucket from measure_schedule where post_id = 'post-001' order by bucket")
    assert [row["bucket"] for row in due] == list(range(4, len(SNAPSHOTS)))
