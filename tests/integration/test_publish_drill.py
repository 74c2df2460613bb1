"""Every publishing platform, cut at every request and at every note: one post or none, and the row tells which.

Run everything, with 500 random schedules, by DRILL=all; one platform by `-k NAME`; a seed again by DRILL_SEED.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import math
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct
from yarl import URL

from actors import platforms
from actors.platforms import youtube
from actors.platforms._youtube.upload import CHUNK_UNIT_BYTES
from actors.publisher.journal import SessionJournal
from actors.runtime.db import Database
from actors.runtime.http import Http
from actors.runtime.ledger import Ledger
from actors.runtime.objects import Folder
from contracts.events import AccountConnected, Destination, Event, PostRequested
from contracts.ids import AccountId, ItemId, ObjectKey, post_id
from contracts.rights import RightsRecord
from tests.channel import Channel, Killed, connected_channel, stamped

PUBLISHERS: Final = [name for name in platforms.names() if platforms.module(name).CAPS.publish]
ALL: Final = os.environ.get("DRILL") == "all"
SCHEDULES: Final = math.ceil((500 if ALL else 40) / len(PUBLISHERS))
SEED: Final = int(os.environ.get("DRILL_SEED") or random.SystemRandom().randrange(2**32))
RIGHTS: Final = RightsRecord(licence="CC0-1.0", title="Reef")
NOTES: Final = ("sending", "keep", "committing", "refused")
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "500": {"kind": "status", "status": 500},
    "503_twice": {"kind": "status", "status": 503, "times": 2},
    "401": {"kind": "status", "status": 401},
    "429": {"kind": "status", "status": 429},
    "400": {"kind": "status", "status": 400},
    "drop": {"kind": "drop_mid_body"},
    "lost_answer": {"kind": "accept_then_timeout", "delay_s": 0.0},
    "cut_answer": {"kind": "truncate"},
}
MOST_DELIVERIES: Final = 200


class Cut:
    """Ends the worker at one call: the `at`-th that is counted since it was set, before or after it."""

    def __init__(self) -> None:
        self.count = 0
        self.at: set[int] = set()
        self.when: Literal["before", "after"] = "before"

    def set(self, *at: int, when: Literal["before", "after"] = "before") -> None:
        self.count, self.at, self.when = 0, set(at), when

    async def through(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        struck = self.count in self.at
        if struck and self.when == "before":
            raise Killed(f"before call {self.count}")
        answer = await call()
        if struck:
            raise Killed(f"after call {self.count}")
        return answer


class Case(Struct, frozen=True):
    """One post of one account."""

    account: AccountId
    request: PostRequested
    title: str
    sha256: str


class Drill:
    """One platform, and posts that are made there one after another."""

    def __init__(self, channel: Channel, platform: str, requests: Cut, notes: Cut) -> None:
        self.channel = channel
        self.platform = platform
        self.requests = requests
        self.notes = notes
        self.ends: Counter[str] = Counter()
        self._number = 0
        self._told: set[str] = set()
        feed = _feed(platform)
        self._needs: dict[str, Any] = getattr(feed, "DRILL", {}) if feed else {}

    async def case(self) -> Case:
        """Connect another account and store another video, a day later."""
        self._number += 1
        self.channel.clock.turn(90_000)
        await self.channel.ask("DELETE", "/sandbox/faults")
        self.requests.set()
        self.notes.set()
        account = await self.connect(f"creator{self._number}")
        title = f"Reef number {self._number} of the drill"
        content = title.encode() + bytes(2 * CHUNK_UNIT_BYTES)
        hides = platforms.module(self.platform).CAPS.hides
        request = stamped(
            PostRequested(
                item_id=ItemId(f"drill:{self.platform}-{self._number}"),
                key=await self.channel.put_video(content),
                rights=RIGHTS,
                destination=Destination(
                    platform=self.platform,
                    account_id=account,
                    privacy="public" if "public" in hides else hides[0],
                    options=self._needs.get("options", {}),
                ),
                title=title,
                description="Words.",
            )
        )
        return Case(account, request, title, hashlib.sha256(content).hexdigest())

    async def connect(self, name: str) -> AccountId:
        if self.platform == "youtube":
            return await self.channel.connect(account=f"{name}@sandbox.test")
        return await self.channel.connect_to(self.platform, account=name, kept=self._needs.get("kept"))

    async def settle(self, case: Case, *, race: bool = False) -> None:
        """Deliver until nothing is left to do: a connected account again, and what that asks for, included."""
        if race:
            other = msgspec.structs.replace(self.channel, services=_replica(self.channel))
            tries = (self._deliver(self.channel, case.request, 1), self._deliver(other, case.request, 2))
            await asyncio.gather(*tries)
        await self._until_settled(case.request, first=3 if race else 1)
        for _ in range(3):
            if (await self.row(case))["state"] != "waiting":
                return
            await self.channel.ask("DELETE", "/sandbox/faults")
            name = case.account.partition(":")[2]
            if self.platform == "youtube":
                name = case.title.split()[2]
                await self.connect(f"creator{name}")
            else:
                await self.connect(name)
            await self._until_settled(stamped(AccountConnected(account_id=case.account, platform=self.platform)))
            for told in await self.channel.given("post.requested"):
                if told["event_id"] not in self._told and told["item_id"] == case.request.item_id:
                    self._told.add(told["event_id"])
                    await self._until_settled(msgspec.convert(told, PostRequested))

    async def _until_settled(self, event: Event, *, first: int = 1) -> None:
        for delivery in range(first, first + MOST_DELIVERIES):
            answered, delay_s = await self._deliver(self.channel, event, delivery)
            if answered in {"ack", "term"}:
                return
            self.channel.clock.turn(delay_s)
        raise AssertionError(f"not settled after {MOST_DELIVERIES} deliveries")

    async def _deliver(self, channel: Channel, event: Event, delivery: int) -> tuple[str, float]:
        try:
            return await channel.deliver(event, delivery=delivery)
        except Killed:
            return "killed", 1.0

    async def row(self, case: Case) -> Any:
        name = post_id(case.request.item_id, self.platform, case.account)
        found = await self.channel.db.fetchrow("select * from posts where post_id = $1", name)
        assert found is not None
        return found

    async def there(self, case: Case) -> list[Any]:
        """Return the posts of this case that stand on the platform."""
        if self.platform == "youtube":
            return [one for one in (await self.channel.state())["videos"] if one["sha256"] == case.sha256]
        mine = []
        for one in await self.channel.posted(self.platform):
            words = f"{one['title']} {one['text']}"
            if one["account"] == case.account.partition(":")[2] or one["sha256"] == case.sha256 or case.title in words:
                mine.append(one)
        return mine

    async def check(self, case: Case, what: str) -> str:
        """Exactly one post that the row knows, or none and the reason. An unknown outcome says that it is unknown."""
        posts, row = await self.there(case), await self.row(case)
        told = f"{what}: {row['state']} ({row['because']}), {len(posts)} there"
        assert len(posts) <= 1, told
        if row["state"] == "published":
            assert len(posts) == 1, told
            assert posts[0].get("sha256") in {"", None, case.sha256}, told
        else:
            assert row["state"] in {"waiting", "failed", "unconfirmed"}, told
            assert row["because"], told
            assert row["next_action"], told
            assert not posts or row["state"] == "unconfirmed", told
        state = str(row["state"])
        self.ends[state] += 1
        return state

    async def dry_run(self) -> tuple[dict[str, int], int, int]:
        """Make one post undisturbed; return its requests by place, their number, and that of its notes."""
        case = await self.case()
        before = Counter((await self.channel.state())["calls"])
        await self.settle(case)
        requests, notes = self.requests.count, self.notes.count
        assert await self.check(case, "undisturbed") == "published", dict(await self.row(case))
        places = Counter((await self.channel.state())["calls"]) - before
        assert sum(places.values()) > 0
        assert requests > 0
        return dict(places), requests, notes


def _feed(platform: str) -> Any:
    try:
        return importlib.import_module(f"deploy.sandbox.feeds.{platform}")
    except ModuleNotFoundError:
        return None


def _replica(channel: Channel) -> Any:
    values = {name: getattr(channel.services, name) for name in channel.services.__dataclass_fields__}
    values["ledger"] = Ledger(channel.db, sender="publisher", clock=channel.clock, ttl_s=5.0)
    return type(channel.services)(**values)


@asynccontextmanager
async def drilled(
    database: Database, folder: Path, platform: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Drill]:
    """Open a platform whose requests and notes are counted and can be cut."""
    requests, notes = Cut(), Cut()
    request = Http.request

    async def counted(self: Http, method: str, url: str, **more: Any) -> Any:
        if URL(url).path.startswith("/sandbox/"):
            return await request(self, method, url, **more)
        return await requests.through(lambda: request(self, method, url, **more))

    monkeypatch.setattr(Http, "request", counted)
    for name in NOTES:
        monkeypatch.setattr(SessionJournal, name, _noted(notes, getattr(SessionJournal, name)))
    monkeypatch.setattr(youtube.YouTube, "chunk_bytes", CHUNK_UNIT_BYTES)
    async with _reachable(folder / "media", monkeypatch), connected_channel(database, folder) as channel:
        drill = Drill(channel, platform, requests, notes)
        yield drill
        print(f"{platform}: {dict(drill.ends)}")  # noqa: T201 - shown when it fails, and by -s


@asynccontextmanager
async def _reachable(media: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Serve the stored files as a bucket does, for platforms that fetch them."""
    media.mkdir(parents=True, exist_ok=True)
    app = web.Application()
    app.router.add_static("/", media)
    async with TestServer(app) as server:

        async def address(_: Folder, key: ObjectKey, *, life_s: int) -> str | None:
            return str(server.make_url(f"/{key}?life_s={life_s}"))

        monkeypatch.setattr(Folder, "address", address)
        yield


def _noted(notes: Cut, note: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def noted(self: SessionJournal, *args: Any) -> None:
        await notes.through(lambda: note(self, *args))

    return noted


@pytest.fixture(params=PUBLISHERS)
async def drill(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Drill]:
    async with drilled(database, tmp_path, request.param, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_at_any_request_leaves_one_post_or_none(drill: Drill, fault: str) -> None:
    """A platform that errs at the wrong moment gets two posts, or a person never learns that there is none."""
    places, _, _ = await drill.dry_run()
    for place, count in sorted(places.items()):
        for skip in range(count):
            case = await drill.case()
            await drill.channel.fault(place, skip=skip, **FAULTS[fault])
            await drill.settle(case)
            await drill.check(case, f"{fault} at call {skip + 1} of {place}")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_request_leaves_one_post(drill: Drill, when: Literal["before", "after"]) -> None:
    """A worker that dies at a request posts twice, or loses the post."""
    _, requests, _ = await drill.dry_run()
    for number in range(1, requests + 1):
        case = await drill.case()
        drill.requests.set(number, when=when)
        await drill.settle(case)
        await drill.check(case, f"killed {when} request {number}")
    assert drill.ends["failed"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_any_note_leaves_one_post(drill: Drill, when: Literal["before", "after"]) -> None:
    """A worker that dies beside a write to its journal posts twice, or loses the post."""
    _, _, notes = await drill.dry_run()
    for number in range(1, notes + 1):
        case = await drill.case()
        drill.notes.set(number, when=when)
        await drill.settle(case)
        await drill.check(case, f"killed {when} note {number}")
    assert drill.ends["failed"] == 0


async def test_two_replicas_that_race_post_once(drill: Drill) -> None:
    """Two replicas that get the same event at once post twice."""
    for _ in range(5):
        case = await drill.case()
        await drill.settle(case, race=True)
        assert await drill.check(case, "two replicas") == "published"


async def test_random_schedules_leave_one_post_or_none(drill: Drill) -> None:
    """Some order of faults, deaths and replicas that nobody thought of posts twice."""
    chance = random.Random(f"{SEED}/{drill.platform}")
    print(f"DRILL_SEED={SEED}")  # noqa: T201 - shown when it fails
    places, requests, notes = await drill.dry_run()
    for turn in range(SCHEDULES):
        case = await drill.case()
        schedule = []
        for _ in range(chance.randint(0, 3)):
            place = chance.choice(sorted(places))
            fault, skip = chance.choice(sorted(FAULTS)), chance.randrange(places[place] + 2)
            await drill.channel.fault(place, skip=skip, **FAULTS[fault])
            schedule.append(f"{fault} at {place}+{skip}")
        for cut, most in ((drill.requests, requests), (drill.notes, notes)):
            at = [chance.randint(1, 2 * most) for _ in range(chance.randint(0, 2))] if most else []
            when: Literal["before", "after"] = chance.choice(("before", "after"))
            cut.set(*at, when=when)
            schedule.append(f"killed {when} {at}")
        if drill.platform != "youtube" and chance.random() < 0.2:
            await drill.channel.ask("POST", f"/sandbox/people/{drill.platform}/expire")
            schedule.append("tokens ended")
        race = chance.random() < 0.3
        await drill.settle(case, race=race)
        await drill.check(case, f"DRILL_SEED={SEED}, schedule {turn}, race {race}: {'; '.join(schedule)}")
