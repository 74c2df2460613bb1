"""What becomes of posts: looked at on a schedule, believed when seen twice, told once, never told of an outage."""

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
from actors.publisher.app import APP as PUBLISHER
from actors.publisher.remedy import Remedy
from actors.runtime.db import Database
from actors.tracker import sentinel
from actors.tracker.measure import measure_due
from actors.tracker.schedule import CONFIRM_AFTER, LOOKS, LOOKS_WHEN_GONE, SNAPSHOTS
from actors.tracker.sentinel import look_due
from contracts.errors import Unconfirmed
from contracts.events import PostChanged, PostPublished
from contracts.ids import AccountId, EventId, ItemId, PostId
from contracts.platform import Standing
from tests.channel import Channel, Killed, connected_channel, stamped

NAME = "mastodon"


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker") as found:
        yield found


class Scene:
    """Posts of one account that stand on the imitated platform."""

    def __init__(self, channel: Channel, account: AccountId) -> None:
        self.channel = channel
        self.account = account

    async def published(self, number: int = 1, *, privacy: str = "public", there: str | None = None) -> PostPublished:
        """Write the row of a post, and let the tracker take its event."""
        now = self.channel.clock.now()
        name = there or f"11{number:016}"
        await self.channel.db.execute(
            "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes, privacy,"
            " platform_post_id, correlation_id, request, published_at)"
            " values ($1, $2, $3, $4, 'published', '{}', 'k', 1, $5, $6, $7, '{}', $8)",
            f"post-{number}", f"item-{number}", NAME, self.account, privacy, name, f"c-{number}", now,
        )  # fmt: skip
        event: PostPublished = stamped(
            PostPublished(
                item_id=ItemId(f"item-{number}"),
                post_id=PostId(f"post-{number}"),
                platform=NAME,
                account_id=self.account,
                platform_post_id=name,
                url="https://mastodon.example/1",
                privacy=privacy,
                published_at=now,
            )
        )
        assert await self.channel.settle(event) == "ack"
        return event

    async def look(self, after: timedelta) -> None:
        self.channel.clock.turn(after.total_seconds())
        await look_due(self.channel.services)

    async def changes(self) -> list[str]:
        return [event["standing"]["state"] for event in await self.channel.given("post.changed")]

    async def standing(self, number: int = 1) -> Any:
        return await self.channel.db.fetchrow("select * from standings where post_id = $1", f"post-{number}")


class Platform:
    """A platform whose looks are told by the test."""

    def __init__(self) -> None:
        self.seen: dict[str, Standing] = {}
        self.asked: list[tuple[str, ...]] = []

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        self.asked.append(platform_post_ids)
        return {name: self.seen.get(name, Standing(state="stands", privacy="public")) for name in platform_post_ids}


@pytest.fixture
async def scene(channel: Channel) -> Scene:
    return Scene(channel, await channel.connect_to(NAME, life_s=10 * 365 * 86_400))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Answers of the platform are those of the test; everything else is real."""
    platform = Platform()
    monkeypatch.setattr(
        sentinel,
        "platforms",
        SimpleNamespace(names=platforms.names, module=platforms.module, build=lambda name, services: platform),
    )
    return platform


async def test_a_removed_post_is_told_once_after_two_looks(channel: Channel, scene: Scene) -> None:
    """A removal goes unnoticed, is told at every look, or stops an account for a hiccup."""
    await scene.published()
    await scene.look(LOOKS[0])  # the imitated server has never had such a post
    assert await scene.changes() == []
    row = await scene.standing()
    assert (row["state"], row["doubted_state"], row["told_state"]) == ("stands", "removed", "stands")
    await scene.look(CONFIRM_AFTER)
    assert await scene.changes() == ["removed"]
    row = await scene.standing()
    assert (row["state"], row["told_state"]) == ("removed", "removed")
    assert row["next_at"] == channel.clock.now() + LOOKS_WHEN_GONE[0]
    assert row["seen_at"] == channel.clock.now()
    assert await channel.db.fetchval("select count(*) from measure_schedule") == 0
    (change,) = await channel.db.fetch("select * from standing_changes")
    assert (change["state"], change["seen_at"]) == ("removed", channel.clock.now())
    for _ in range(3):
        await scene.look(timedelta(days=40))
    assert await scene.changes() == ["removed"]
    (event,) = await channel.given("post.changed")
    assert (event["correlation_id"], event["account_id"]) == ("c-1", scene.account)


async def removed(scene: Scene, told: Platform, *, at: timedelta = LOOKS[0]) -> PostPublished:
    """Publish a post that is found removed, and told so."""
    event = await scene.published()
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(at)
    await scene.look(CONFIRM_AFTER)
    assert await scene.changes() == ["removed"]
    return event


async def test_a_post_that_is_gone_is_looked_at_a_few_times_more(
    channel: Channel, scene: Scene, told: Platform
) -> None:
    """A post that its platform gives back stays removed here for ever, or one that is gone is asked for for ever."""
    await removed(scene, told)
    gone_at, asked, at = channel.clock.now(), len(told.asked), []
    for _ in range(20):
        due = (await scene.standing())["next_at"]
        if due is None:
            break
        at.append(due - gone_at)
        channel.clock._now = due
        await look_due(channel.services)
        await look_due(channel.services)
    assert at == list(LOOKS_WHEN_GONE)
    assert len(told.asked) == asked + len(LOOKS_WHEN_GONE)
    await scene.look(timedelta(days=400))
    assert await scene.changes() == ["removed"]


async def test_a_post_that_is_given_back_is_told_and_followed_again(
    channel: Channel, scene: Scene, told: Platform
) -> None:
    """Its owner wins an appeal and nothing here knows, or one wrong answer brings a removed post back to life."""
    event = await removed(scene, told, at=timedelta(days=3))
    back_at = channel.clock.now()
    await channel.db.execute(
        "insert into measurements (post_id, bucket, measured_at, age_s, absent) values ('post-1', 4, $1, 9, '{}')",
        back_at,
    )
    stands = Standing(state="stands", privacy="public")
    told.seen[event.platform_post_id] = stands
    await scene.look(LOOKS_WHEN_GONE[0])
    assert (await scene.standing())["doubted_state"] == "stands"
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(CONFIRM_AFTER)
    row = await scene.standing()
    assert (row["told_state"], row["doubted_state"]) == ("removed", None)
    assert row["next_at"] == back_at + LOOKS_WHEN_GONE[1]
    assert await scene.changes() == ["removed"]
    told.seen[event.platform_post_id] = stands
    await scene.look(LOOKS_WHEN_GONE[1] - LOOKS_WHEN_GONE[0])
    await scene.look(CONFIRM_AFTER)
    assert await scene.changes() == ["removed", "stands"]
    (_, change) = await channel.given("post.changed")
    assert change["standing"]["because"] == "it stands again"
    row = await scene.standing()
    assert (row["state"], row["told_state"]) == ("stands", "stands")
    assert row["next_at"] == event.published_at + timedelta(days=7)
    due = await channel.db.fetch("select bucket, due_at from measure_schedule order by bucket")
    assert [row["bucket"] for row in due] == list(range(5, len(SNAPSHOTS))), "what it had is taken again, or nothing is"
    assert due[-1]["due_at"] == event.published_at + SNAPSHOTS[-1]
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(timedelta(days=1))
    await scene.look(CONFIRM_AFTER)
    assert (await scene.standing())["next_at"] == channel.clock.now() + LOOKS_WHEN_GONE[0]
    assert await scene.changes() == ["removed", "stands", "removed"]


async def test_the_publisher_marks_the_post_and_pauses_the_account(channel: Channel, scene: Scene) -> None:
    """A removal that only stands in a table is followed by the next post."""
    await scene.published()
    await scene.look(LOOKS[0])
    await scene.look(CONFIRM_AFTER)
    (told,) = await channel.given("post.changed")
    publisher = msgspec.structs.replace(channel, services=_as_publisher(channel))
    assert await publisher.settle(msgspec.convert(told, PostChanged)) == "ack"
    assert await channel.db.fetchval("select state from posts") == "removed"
    assert await channel.db.fetchval("select paused_at from accounts") is not None
    assert [event["account_id"] for event in await channel.given("account.paused")] == [scene.account]


@pytest.mark.parametrize("grave", ["removed", "blocked"])
async def test_an_account_stays_paused_when_its_post_is_back_and_says_so(
    channel: Channel, scene: Scene, told: Platform, grave: Any
) -> None:
    """A post that was given back stays removed here, or the account posts on before a person has looked."""
    event = await scene.published()
    publisher = msgspec.structs.replace(channel, services=_as_publisher(channel))
    for seen in (Standing(state=grave, because="spam"), Standing(state="stands", privacy="public")):
        told.seen[event.platform_post_id] = seen
        await scene.look(timedelta(days=1))
        await scene.look(CONFIRM_AFTER)
        change = (await channel.given("post.changed"))[-1]
        assert await publisher.settle(msgspec.convert(change, PostChanged)) == "ack"
    assert await channel.db.fetchval("select state from posts") == "published"
    row = await channel.db.fetchrow("select paused_at, paused_because from accounts")
    assert row is not None
    assert row["paused_at"] is not None
    back = f"that post is back since {channel.clock.now():%Y-%m-%d %H:%M} UTC: stands"
    assert row["paused_because"] == f"a post was {grave} at {NAME}: spam; {back}"
    assert len(await channel.given("account.paused")) == 1
    await channel.db.execute("update accounts set paused_because = 'by hand'")
    again = msgspec.structs.replace(msgspec.convert(change, PostChanged), event_id=EventId("again"))
    assert await publisher.settle(again) == "ack"
    assert await channel.db.fetchval("select paused_because from accounts") == "by hand"


async def test_a_post_that_was_put_away_is_noticed_when_it_is_back_and_gone_again(
    channel: Channel, scene: Scene, told: Platform
) -> None:
    """A person's word on the first removal hides the second one, or stays on a post that stands."""
    event = await scene.published()
    publisher = msgspec.structs.replace(channel, services=_as_publisher(channel))

    async def found(seen: Standing, *, after: timedelta = LOOKS_WHEN_GONE[0]) -> Any:
        told.seen[event.platform_post_id] = seen
        await scene.look(after)
        await scene.look(CONFIRM_AFTER)
        change = msgspec.convert((await channel.given("post.changed"))[-1], PostChanged)
        assert await publisher.settle(change) == "ack"
        again = msgspec.structs.replace(change, event_id=EventId(f"again-{change.event_id}"))
        assert await publisher.settle(again) == "ack"
        return await channel.db.fetchrow("select state, settled, next_action from posts")

    removed = Standing(state="removed", because="spam")
    await found(removed)
    await Remedy(channel.db, channel.clock).dropped(event.post_id)
    assert await channel.db.fetchval("select settled from posts") == "dropped"
    change = msgspec.convert((await channel.given("post.changed"))[-1], PostChanged)
    assert await publisher.settle(msgspec.structs.replace(change, event_id=EventId("late"))) == "ack"
    row = await channel.db.fetchrow("select settled, next_action from posts")
    assert row is not None
    assert row["settled"] == "dropped"
    assert row["next_action"].startswith("none: a person put it away"), "the same news undoes a person's word"
    assert tuple(await found(Standing(state="stands", privacy="public"))) == ("published", None, "")
    back = f"that post is back since {channel.clock.now():%Y-%m-%d %H:%M} UTC: stands"
    paused = await channel.db.fetchval("select paused_because from accounts")
    assert paused == f"a post was removed at {NAME}: spam; {back}"
    assert tuple(await found(removed, after=timedelta(days=7))) == ("removed", None, "")


async def test_a_change_that_is_told_late_changes_nothing(channel: Channel, scene: Scene) -> None:
    """Events overtake each other: a post that is gone stands here for ever."""
    event = await scene.published()
    publisher = msgspec.structs.replace(channel, services=_as_publisher(channel))
    now = channel.clock.now()

    async def told(state: Any, *, hours: int) -> None:
        standing = Standing(state=state, because="so")
        change = stamped(
            PostChanged(
                item_id=event.item_id,
                post_id=event.post_id,
                platform=NAME,
                account_id=scene.account,
                standing=standing,
                seen_at=now + timedelta(hours=hours),
            )
        )
        assert await publisher.settle(change) == "ack"

    await told("removed", hours=2)
    await told("stands", hours=1)
    row = await channel.db.fetchrow("select p.state, a.paused_because from posts p join accounts a using (account_id)")
    assert row is not None
    assert tuple(row) == ("removed", f"a post was removed at {NAME}: so")
    await told("stands", hours=3)
    assert await channel.db.fetchval("select state from posts") == "published"


async def test_a_removal_is_seen_although_the_post_was_given_up_before(channel: Channel, scene: Scene) -> None:
    """The word of a person on another matter hides a removal."""
    event = await scene.published()
    await channel.db.execute("update posts set settled = 'dropped'")
    change = PostChanged(
        item_id=event.item_id,
        post_id=event.post_id,
        platform=NAME,
        account_id=scene.account,
        standing=Standing(state="removed", because="spam"),
        seen_at=channel.clock.now(),
    )
    publisher = msgspec.structs.replace(channel, services=_as_publisher(channel))
    assert await publisher.settle(stamped(change)) == "ack"
    row = await channel.db.fetchrow("select state, settled from posts")
    assert row is not None
    assert tuple(row) == ("removed", None)


@pytest.mark.parametrize(
    "fault", [Unconfirmed("too many posts to look through"), KeyError("a bug")], ids=["unclear", "bug"]
)
async def test_one_account_does_not_hold_up_the_others(
    channel: Channel, scene: Scene, told: Platform, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """One post that a platform cannot tell of ends all looking and measuring, for ever."""
    event = await scene.published(1)
    other = Scene(channel, await channel.connect_to(NAME, account="other"))
    second = await other.published(2)
    look = told.look

    async def looked(account: AccountId, names: tuple[str, ...]) -> dict[str, Standing]:
        if event.platform_post_id in names:
            raise fault
        return await look(account, names)

    monkeypatch.setattr(told, "look", looked)
    await scene.look(LOOKS[0])
    assert told.asked == [(second.platform_post_id,)]
    assert (await scene.standing(1))["looks"] == 0
    later = (await scene.standing(1))["next_at"] > channel.clock.now()
    assert later is isinstance(fault, Unconfirmed)


def _as_publisher(channel: Channel) -> Any:
    values = {name: getattr(channel.services, name) for name in channel.services.__dataclass_fields__}
    return type(channel.services)(**{**values, "actor": PUBLISHER.name})


async def test_a_look_that_is_not_confirmed_is_forgotten(scene: Scene, told: Platform) -> None:
    """One wrong answer of a platform stops an account."""
    event = await scene.published()
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(LOOKS[0])
    told.seen.clear()
    await scene.look(CONFIRM_AFTER)
    row = await scene.standing()
    assert (row["state"], row["doubted_state"]) == ("stands", None)
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(LOOKS[1])
    assert await scene.changes() == [], "the first look of a new doubt counts as the second of an old one"
    told.seen[event.platform_post_id] = Standing(state="blocked")
    await scene.look(CONFIRM_AFTER)
    assert await scene.changes() == [], "two looks that say different things agree"


@pytest.mark.parametrize(
    "fault", [{"status": 502}, {"status": 429, "retry_after_s": 60}, {"status": 401}, {"status": 403}], ids=str
)
async def test_an_outage_is_never_a_removal(channel: Channel, scene: Scene, fault: dict[str, Any]) -> None:
    """A platform that is down looks as if it had removed everything, and stops every account."""
    await scene.published()
    await channel.fault(f"{NAME}.status", "status", times=None, **fault)
    for age in LOOKS:
        await scene.look(age)
    assert await scene.changes() == []
    row = await scene.standing()
    assert (row["state"], row["doubted_state"], row["looks"]) == ("stands", None, 0)
    assert row["next_at"] > channel.clock.now()


async def test_a_deleted_account_of_ours_is_no_removal(channel: Channel, scene: Scene) -> None:
    """A permission that was lost says nothing of the posts."""
    await scene.published()
    await channel.ask("POST", f"/sandbox/people/{NAME}/expire")
    await scene.look(LOOKS[0])
    await scene.look(timedelta(hours=1))
    assert await scene.changes() == []


async def test_looks_thin_out(channel: Channel, scene: Scene, told: Platform) -> None:
    """A post of last year is asked for every minute, or one of this hour never."""
    event = await scene.published()
    for _ in range(400):
        due = await channel.db.fetchval("select next_at from standings")
        if due is None:
            break
        channel.clock._now = due
        await look_due(channel.services)
        await look_due(channel.services)
    assert len(told.asked) == len(LOOKS)
    assert channel.clock.now() == event.published_at + LOOKS[-1]


async def test_what_was_asked_private_is_no_change_and_what_became_private_is(scene: Scene, told: Platform) -> None:
    """A private test post stops the account, or a platform hides a public one unseen."""
    mine, public = await scene.published(1, privacy="private"), await scene.published(2)
    private = Standing(state="private", because="locked", privacy="private")
    told.seen = {mine.platform_post_id: private, public.platform_post_id: private}
    await scene.look(LOOKS[0])
    await scene.look(LOOKS[1])
    changes = await scene.channel.given("post.changed")
    assert [(event["post_id"], event["standing"]["state"]) for event in changes] == [("post-2", "private")]
    told.seen.clear()
    await scene.look(LOOKS[2])
    assert await scene.changes() == ["private", "stands"]


async def test_what_was_kept_until_its_time_is_public_from_then_on(scene: Scene, told: Platform) -> None:
    """A video that a platform never let out of its time stays private and nobody hears of it."""
    event = await scene.published(privacy="private")
    await scene.channel.db.execute("update posts set shown_at = published_at + interval '1 minute'")
    told.seen[event.platform_post_id] = Standing(state="private", because="locked", privacy="private")
    await scene.look(LOOKS[0])
    assert await scene.changes() == ["private"]


async def test_a_platform_that_does_not_tell_changes_nothing(scene: Scene, told: Platform) -> None:
    """Not knowing is no removal."""
    event = await scene.published()
    told.seen[event.platform_post_id] = Standing(state="unknown")
    for age in LOOKS[:4]:
        await scene.look(age)
    assert await scene.changes() == []
    assert (await scene.standing())["state"] == "stands"


async def test_a_doubt_outlives_a_look_that_tells_nothing(channel: Channel, scene: Scene, told: Platform) -> None:
    """A removal is never believed on a platform that tells every other time, or is asked for every ten minutes."""
    event = await scene.published()
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(LOOKS[0])
    doubted_at = channel.clock.now()
    told.seen[event.platform_post_id] = Standing(state="unknown")
    waits = []
    for _ in range(4):
        channel.clock._now = (await scene.standing())["next_at"]
        await look_due(channel.services)
        row = await scene.standing()
        assert (row["state"], row["doubted_state"], row["doubted_at"]) == ("stands", "removed", doubted_at)
        waits.append((row["next_at"] - channel.clock.now()) // CONFIRM_AFTER)
    assert waits == [1, 2, 4, 8]
    assert await scene.changes() == []
    told.seen[event.platform_post_id] = Standing(state="removed")
    await scene.look(CONFIRM_AFTER * waits[-1])
    assert await scene.changes() == ["removed"]


async def test_a_post_that_is_not_measured_twice_is_looked_at(channel: Channel, scene: Scene, told: Platform) -> None:
    """A post that vanishes between two looks is noticed days later."""
    await scene.published()
    channel.clock.turn(timedelta(days=8).total_seconds())
    await look_due(channel.services)
    planned = (await scene.standing())["next_at"]
    asked = len(told.asked)
    await measure_due(channel.services)  # once: it may be a hiccup
    await look_due(channel.services)
    assert (len(told.asked), (await scene.standing())["next_at"]) == (asked, planned)
    channel.clock._now = planned - timedelta(minutes=1)
    await channel.db.execute("update measure_schedule set due_at = $1", channel.clock.now())
    await measure_due(channel.services)
    assert (await scene.standing())["missed"] == 2
    await look_due(channel.services)
    assert len(told.asked) == asked + 1


async def test_a_death_between_looking_and_storing_loses_and_doubles_nothing(
    scene: Scene, told: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker that dies tells a change twice, or never."""
    event = await scene.published()
    told.seen[event.platform_post_id] = Standing(state="claimed", because="music")
    dying = True

    def reach(name: str) -> None:
        if dying:
            raise Killed(name)

    monkeypatch.setattr(sentinel, "reach", reach)
    with pytest.raises(Killed):
        await scene.look(LOOKS[0])
    assert await scene.changes() == []
    dying = False
    await scene.look(timedelta(0))
    await scene.look(timedelta(0))
    assert await scene.changes() == ["claimed"]


async def test_two_trackers_tell_once(scene: Scene, told: Platform) -> None:
    """Two replicas tell each change twice."""
    for number in range(60):
        event = await scene.published(number)
        told.seen[event.platform_post_id] = Standing(state="claimed")
    scene.channel.clock.turn(LOOKS[0].total_seconds())
    await asyncio.gather(*(look_due(scene.channel.services) for _ in range(3)))
    while await scene.channel.db.fetchval("select count(*) from standings where looks = 0"):
        await look_due(scene.channel.services)
    assert await scene.changes() == ["claimed"] * 60
    assert sum(len(names) for names in told.asked) == 60


async def test_a_platform_without_looks_has_none_planned(channel: Channel, scene: Scene) -> None:
    """A platform that does not tell what became of a post is asked for it for ever."""
    assert len(SNAPSHOTS) > 0
    without = next(name for name in platforms.names() if not platforms.module(name).CAPS.looks)
    event = await scene.published()
    await channel.db.execute("delete from standings")
    await channel.db.execute("update posts set platform = $1", without)
    assert await channel.settle(stamped(msgspec.structs.replace(event, platform=without))) == "ack"
    assert await channel.db.fetchval("select count(*) from standings") == 0
