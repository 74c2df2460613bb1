"""Watched niches: the schedule and its claims, platforms put off, topics, proposals; real PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from nats.aio.client import Client

from actors import platforms
from actors.runtime.app import serving
from actors.runtime.db import Database, open_database
from actors.runtime.http import Response
from actors.runtime.settings import Settings
from actors.scanner.app import APP as SCANNER
from actors.scanner.niches import Niches, judging
from actors.scanner.relate import Proposal
from actors.scanner.schedule import watch_due
from actors.scanner.trends import trends_due
from contracts.codec import decode, new_event_id, subject_of
from contracts.errors import RateLimited, Reject, Retry
from contracts.events import Destination, ScanCompleted, ScanRequested
from contracts.ids import CorrelationId
from deploy.sandbox import SandboxSettings, api_urls, running
from tests.scanning import Scanner, answering, opened

AT: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BUSY: Final = "commons.wikimedia.org"
CALM: Final = "archive.org"


def archive(path: str, given: dict[str, str]) -> Response:
    """Answer as the Internet Archive does; every word of a search is the subject of three works."""
    if path == "/advancedsearch.php":
        words = given["q"].split(")")[0].lstrip("(").lower().replace(" and ", "-")
        docs = [{"identifier": f"{words}-{at}", "downloads": 100 + at} for at in range(3)]
        return answering({"response": {"docs": docs}})
    name = path.rsplit("/", 1)[-1]
    metadata = {
        "identifier": name,
        "mediatype": "movies",
        "title": f"{name} and the vampire squid",
        "creator": name,
        "licenseurl": "https://creativecommons.org/licenses/by/4.0/",
        "subject": ["anglerfish"],
    }
    files = [{"name": "a.mp4", "format": "h.264", "size": "1000", "length": "10"}]
    return answering({"metadata": metadata, "files": files})


def throttled(_: str, __: dict[str, str]) -> Response:
    return answering({}, status=429, **{"Retry-After": "3600"})


def no_pages(_: str, __: dict[str, str]) -> Response:
    return answering({"batchcomplete": True, "query": {"pages": []}})


@pytest.fixture
def two_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "names", lambda: ("internet_archive", "wikimedia_commons"))


@pytest.fixture
async def scanner(database: Database, tmp_path: Path, two_platforms: None) -> AsyncIterator[Scanner]:
    async with opened(database, tmp_path, {CALM: archive, BUSY: no_pages}, at=AT) as found:
        yield found


def niches_of(scanner: Scanner) -> Niches:
    return Niches(scanner.db, scanner.services.settings)


def by_hand(niche: str, platform: str | None = None) -> ScanRequested:
    name = new_event_id()
    return ScanRequested(event_id=name, correlation_id=CorrelationId(name), niche=niche, platform=platform)


# The schedule -------------------------------------------------------------------------------------


async def test_a_niche_is_scanned_once_an_interval(scanner: Scanner) -> None:
    """A watched niche would be forgotten, or asked again at every look at the clock."""
    niches = niches_of(scanner)
    there = Destination(platform="youtube", privacy="unlisted")
    await niches.add("deep  sea", now=AT, every_s=3600, destination=there, candidates=7)
    for _ in range(3):
        await scanner.tick()
    (first,) = await scanner.ended()
    assert (first.niche, first.found) == ("deep sea", {"internet_archive": 3, "wikimedia_commons": 0})
    await scanner.run_until(AT + timedelta(hours=24))
    assert len(await scanner.ended()) in {24, 25}
    rows = await scanner.db.fetch("select payload from outbox where subject = 'ett.scan.requested' order by id")
    events = [decode(row["payload"], ScanRequested) for row in rows]
    assert all((one.limit, one.destination, one.platform) == (7, there, None) for one in events)
    assert len({one.event_id for one in events}) == len(events)
    assert all(str(one.correlation_id) == one.event_id for one in events)


async def test_a_pause_a_restart_and_an_end(scanner: Scanner) -> None:
    """A niche that nobody wants any more would go on spending."""
    niches = niches_of(scanner)
    await niches.add("deep sea", now=AT)
    await niches.pause("Deep Sea", now=AT)
    assert await scanner.tick() == []
    scanner.clock.turn(3 * 86_400)
    await niches.pause("deep sea", now=scanner.clock.now(), paused=False)
    assert len(await scanner.tick()) == 1, "time missed is not made up for"
    assert await scanner.tick() == []
    assert "watched no more" in await niches.drop("deep sea", now=AT)
    await scanner.run_until(AT + timedelta(days=9))
    assert len(await scanner.ended()) == 1
    for work in (niches.pause("deep sea", now=AT), niches.drop("deep sea", now=AT)):
        with pytest.raises(Reject, match="'deep sea' is not watched"):
            await work


async def test_wrong_niches_are_refused(scanner: Scanner) -> None:
    """A typing error would be found out hours later, by a scan that fails."""
    niches = niches_of(scanner)
    await niches.add("deep sea", now=AT)
    for wrong, text in (
        ({"name": "Deep Sea"}, "watched already"),
        ({"name": " "}, "empty"),
        ({"name": "x" * 201}, "longer"),
        ({"name": "new", "every_s": 60}, "15 minutes"),
        ({"name": "new", "platforms": ("nowhere",)}, "no platform that can be scanned"),
    ):
        with pytest.raises(Reject, match=text):
            await niches.add(**{"now": AT, **wrong})  # type: ignore[arg-type]  # each has its own arguments
    assert [one.name for one in await niches.listed()] == ["deep sea"]


async def test_two_schedulers_ask_for_each_due_niche_once(scanner: Scanner, database_url: str, tmp_path: Path) -> None:
    """With two replicas every scan would come twice, and spend twice."""
    niches = niches_of(scanner)
    names = [f"niche {at}" for at in range(30)]
    for name in names:
        await niches.add(name, now=AT)
    async with open_database(database_url, name="other") as db, opened(db, tmp_path / "b", {}, at=AT) as other:
        for _ in range(4):
            await asyncio.gather(*(watch_due(one.services) for one in (scanner, other, scanner, other)))
        asked = Counter(event.niche for event in await scanner.asked_for())
        assert asked == Counter(names)
        scanner.clock.turn(7 * 3600)
        other.clock.turn(7 * 3600)
        await asyncio.gather(*(watch_due(one.services) for one in (scanner, other)))
        assert Counter(event.niche for event in await scanner.asked_for()) == Counter(names)


async def test_a_replica_that_dies_leaves_the_niche_due(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan whose request was never sent would be lost until its next turn."""
    await niches_of(scanner).add("deep sea", now=AT)

    async def dies(*_: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(scanner.services.ledger, "_put", dies)
        with pytest.raises(ConnectionError):
            await watch_due(scanner.services)
    assert await scanner.asked_for() == []
    assert [event.niche for event in await scanner.tick()] == ["deep sea"]


async def test_two_scanners_on_the_bus_scan_each_niche_once(
    nats_admin: Client, database: Database, settings_of: Callable[[str], Settings], tmp_path: Path
) -> None:
    """The whole way: schedule, outbox, relay, stream, handler, sandbox, with two replicas of everything."""
    names = ["deep sea", "volcano", "chess", "street food"]
    folder = tmp_path / "sandbox"
    folder.mkdir()
    requests = await nats_admin.subscribe(subject_of(ScanRequested))
    ends = await nats_admin.subscribe(subject_of(ScanCompleted))
    async with running(folder, settings=SandboxSettings(), samples=True) as url, AsyncExitStack() as replicas:
        settings = msgspec.structs.replace(settings_of("scanner"), api_urls=api_urls(str(url)), contact="tests")
        for name in names:
            await Niches(database, settings).add(name, now=datetime.now(UTC), platforms=("internet_archive",))
        for _ in range(2):
            await replicas.enter_async_context(serving(SCANNER, settings))
        told: dict[str, ScanCompleted] = {}
        while len(told) < len(names):
            end = decode((await ends.next_msg(timeout=20)).data, ScanCompleted)
            told[end.event_id] = end
        assert Counter(one.niche for one in told.values()) == Counter(names)
        assert all(set(one.found) == {"internet_archive"} for one in told.values())
    # The stream drops what a relay publishes again; a plain subscription sees it.
    while ends.pending_msgs:
        assert decode((await ends.next_msg(timeout=1)).data, ScanCompleted).event_id in told
    asked = set()
    while requests.pending_msgs:
        asked.add(decode((await requests.next_msg(timeout=1)).data, ScanRequested).event_id)
    assert asked == {one.causation_id for one in told.values()}
    waiting = "select count(*) from niches where scanned_at is null or next_at < now()"
    assert await database.fetchval(waiting) == 0


# Platforms that are put off ---------------------------------------------------------------------


async def test_only_the_limited_platform_is_asked_again(scanner: Scanner) -> None:
    """The whole scan again would spend the others' quota and choose among the same works twice."""
    scanner.sites.sites[BUSY] = throttled
    first = by_hand("deep sea")
    assert (await scanner.scan(first))[0] == "ack"
    (end,) = await scanner.ended()
    assert end.found == {"internet_archive": 3}
    assert "it may be asked again from 2026-11-23 09:00 UTC" in end.failed["wikimedia_commons"]
    asked = dict(scanner.sites.calls)
    scanner.clock.turn(3500)
    assert await scanner.tick() == []
    scanner.sites.sites[BUSY] = no_pages
    scanner.clock.turn(100 + 300)
    (again,) = await scanner.tick()
    assert (again.platform, again.niche) == ("wikimedia_commons", "deep sea")
    assert again.correlation_id == first.correlation_id
    assert again.event_id != first.event_id
    assert [set(end.found) for end in await scanner.ended()] == [{"internet_archive"}, {"wikimedia_commons"}]
    assert {place: n for place, n in scanner.sites.calls.items() if CALM in place[0]} == {
        place: n for place, n in asked.items() if CALM in place[0]
    }, "a platform that had answered was asked twice"
    assert await scanner.tick() == []


async def test_scans_of_one_niche_leave_one_platform_to_be_asked_once(scanner: Scanner) -> None:
    """Ten scans in the hour of a pause would come back as ten requests at its end."""
    scanner.sites.sites[BUSY] = throttled
    for _ in range(3):
        await scanner.scan(by_hand("deep sea"))
    scanner.sites.sites[BUSY] = no_pages
    scanner.clock.turn(3600)
    await scanner.scan(by_hand("deep sea"))
    scanner.clock.turn(600)
    assert await scanner.tick() == [], "it was answered meanwhile"


async def test_when_every_platform_is_limited_the_scan_ends_and_each_comes_back(scanner: Scanner) -> None:
    """A scan that waits in silence for an hour looks like one that was lost."""
    scanner.sites.sites |= {BUSY: throttled, CALM: throttled}
    assert (await scanner.scan(by_hand("deep sea")))[0] == "ack"
    (end,) = await scanner.ended()
    assert (end.found, set(end.failed)) == ({}, {"internet_archive", "wikimedia_commons"})
    scanner.sites.sites |= {BUSY: no_pages, CALM: archive}
    await scanner.run_until(AT + timedelta(hours=2))
    assert Counter(name for end in (await scanner.ended())[1:] for name in end.found) == Counter(end.failed.keys())


async def test_the_schedule_saves_asking_again(scanner: Scanner) -> None:
    """A niche that is scanned every hour anyhow would ask twice within minutes."""
    await niches_of(scanner).add("deep sea", now=AT, every_s=900)
    scanner.sites.sites[BUSY] = throttled
    await scanner.tick()
    assert await scanner.db.fetchval("select count(*) from scans_later") == 0


async def test_an_outage_of_all_is_tried_again_and_asks_nobody_twice_who_answered(scanner: Scanner) -> None:
    """A scan in the minute when everything is down would be lost."""

    def down(_: str, __: dict[str, str]) -> Response:
        return answering({}, status=500)

    scanner.sites.sites |= {BUSY: down, CALM: down}
    event = by_hand("deep sea")
    answered, delay_s = await scanner.scan(event)
    assert (answered, await scanner.ended()) == ("nak", [])
    assert delay_s > 0
    scanner.sites.sites[CALM] = archive
    assert (await scanner.scan(event, delivery=2))[0] == "ack"
    (end,) = await scanner.ended()
    assert (set(end.found), set(end.failed)) == ({"internet_archive"}, {"wikimedia_commons"})
    assert (await scanner.scan(event, delivery=3))[0] == "ack"
    assert len(await scanner.ended()) == 1


# What niches grow from ----------------------------------------------------------------------------


async def test_movement_is_measured_from_scan_to_scan(scanner: Scanner) -> None:
    """Calls are rationed by movement: without it all niches are alike."""
    views = {"now": 100}

    def growing(path: str, given: dict[str, str]) -> Response:
        answer = archive(path, given)
        if path != "/advancedsearch.php":
            return answer
        docs = [{"identifier": f"work-{at}", "downloads": views["now"]} for at in range(3)]
        return answering({"response": {"docs": docs}})

    scanner.sites.sites[CALM] = growing
    niches = niches_of(scanner)
    await niches.add("deep sea", now=AT, every_s=86_400)
    await scanner.tick()
    (first,) = await niches.listed()
    assert (first.movement, first.works) == (None, 3)
    views["now"] = 210
    await scanner.run_until(AT + timedelta(days=1, hours=3))
    (second,) = await niches.listed()
    assert second.movement is not None
    assert second.movement > 0.3
    assert second.movement_because.startswith("views of 3 known works grew")
    assert second.movement_because.endswith("0 of 3 works are new")


async def test_neighbours_are_proposed_and_never_scanned(scanner: Scanner) -> None:
    """A system that follows its own ideas spends the quota on what nobody asked for."""
    niches = niches_of(scanner)
    await niches.add("deep sea", now=AT)
    await scanner.tick()
    assert {one.name for one in await niches.proposals(scanner.clock.now())} == {"anglerfish", "vampire squid"}
    await scanner.run_until(AT + timedelta(days=2))
    assert {end.niche for end in await scanner.ended()} == {"deep sea"}
    assert await niches.drop("vampire squid", now=AT) == "'vampire squid' is not proposed again"
    assert await niches.add("Anglerfish", now=scanner.clock.now()) == "'Anglerfish' is watched (it was proposed)"
    await scanner.run_until(AT + timedelta(days=3))
    assert {end.niche for end in await scanner.ended()} == {"deep sea", "Anglerfish"}
    names = {one.name for one in await niches.proposals(scanner.clock.now())}
    assert not names & {"anglerfish", "vampire squid"}


async def test_a_stated_number_of_proposals_is_watched(database: Database, tmp_path: Path, two_platforms: None) -> None:
    """Whoever allows one more niche must get one, not one a day."""
    options = {"proposed_niches_watched": "1"}
    async with opened(database, tmp_path, {CALM: archive, BUSY: no_pages}, at=AT, **options) as scanner:
        await niches_of(scanner).add("deep sea", now=AT)
        await scanner.run_until(AT + timedelta(days=4))
        listed = await niches_of(scanner).listed()
        assert Counter(one.proposed_by for one in listed) == Counter([None, "words"])
        assert len({end.niche for end in await scanner.ended()}) == 2


class Judge:
    """A judge with one fixed opinion."""

    name = "judge"

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.away = False
        self.limited = False

    async def ready(self) -> None:
        if self.limited:
            raise RateLimited("spent", until=AT + timedelta(days=3))

    async def propose(self, niche: str, words: Sequence[str]) -> tuple[Proposal, ...]:
        if self.away:
            raise Retry("away")
        self.asked.append((niche, tuple(words)))
        return (Proposal(name="hadal zone", near=niche, reason="deeper", proposed_by=self.name, score=0.9),)


async def test_a_judge_is_asked_once_a_day_with_words_only(scanner: Scanner) -> None:
    """A paid model would be asked at every scan, or an error of it would stop the schedule."""
    niches, judge = niches_of(scanner), Judge()
    await niches.add("deep sea", now=AT)
    await judging(scanner.services, judge)
    assert judge.asked == [], "nothing is known of it yet"
    await scanner.tick()
    for _ in range(3):
        await judging(scanner.services, judge)
    assert [niche for niche, _ in judge.asked] == ["deep sea"]
    assert "anglerfish" in judge.asked[0][1]
    assert {one.name: one.reason for one in await niches.proposals(scanner.clock.now())}["hadal zone"] == "deeper"
    scanner.clock.turn(25 * 3600)
    judge.limited = True
    for _ in range(3):
        with pytest.raises(RateLimited):
            await judging(scanner.services, judge)
    judge.limited, judge.away = False, True
    with pytest.raises(Retry):
        await judging(scanner.services, judge)


FEED: Final = """<rss xmlns:ht="https://trends.google.com/trending/rss" version="2.0"><channel><title>Daily</title>
<item><title>{name}</title><ht:approx_traffic>{volume}+</ht:approx_traffic>
<pubDate>Mon, 23 Nov 2026 00:00:00 +0000</pubDate></item></channel></rss>"""


async def test_topics_are_asked_for_on_a_schedule_and_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What everybody looks for today would be known only to whoever runs the adapter by hand."""
    monkeypatch.setattr(platforms, "names", lambda: ("google_trends",))
    told = {"name": "deep sea mining vote", "volume": 2000}

    def trends(_: str, __: dict[str, str]) -> Response:
        return answering(FEED.format(**told).encode())

    options = {"trends_region": "US"}
    async with opened(database, tmp_path, {"trends.google.com": trends}, at=AT, **options) as scanner:
        for _ in range(3):
            await trends_due(scanner.services)
        assert len(scanner.sites.asked) == 1
        (topic,) = await niches_of(scanner).topics(scanner.clock.now())
        assert (topic.name, topic.volume, topic.region, topic.first_seen_at) == ("deep sea mining vote", 2000, "US", AT)
        told["volume"] = 9000
        scanner.clock.turn(4 * 3600)
        await trends_due(scanner.services)
        (topic,) = await niches_of(scanner).topics(scanner.clock.now())
        assert (topic.volume, topic.first_seen_at) == (9000, AT)
        scanner.sites.sites["trends.google.com"] = throttled
        scanner.clock.turn(4 * 3600)
        await trends_due(scanner.services)
        await trends_due(scanner.services)
        assert len(scanner.sites.asked) == 3
        row = await database.fetchrow("select next_at, because from trend_turns")
        assert row is not None
        assert row["next_at"] == scanner.clock.now() + timedelta(hours=1)
        assert "asked again" in row["because"]
