"""A week of forty niches on a hundred searches a day: real scheduler, planner, adapters and ledger, a turned clock."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from actors import platforms
from actors.platforms import youtube
from actors.runtime.db import Database
from actors.runtime.http import Response
from actors.runtime.quota import window_of
from actors.scanner.niches import Niches
from actors.scanner.schedule import watch_due
from contracts.codec import new_event_id
from contracts.events import ScanRequested
from contracts.ids import CorrelationId
from tests.scanning import PACIFIC, Scanner, answering, opened

MIDNIGHT: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""In Los Angeles."""
NICHES: Final = tuple(f"niche {at:02}" for at in range(40))
MOVING: Final = frozenset(NICHES[::5])
SEARCH: Final = "www.googleapis.com/youtube/v3/search"
FALLBACK: Final = "duckduckgo.com/v.js"
WORKS: Final = 6
QUOTA: Final = 100


class YouTube:
    """Answers searches and lists. Works of niches that move double their views each day, and half of them are new."""

    def __init__(self) -> None:
        self.searched = 0
        self.spent = False

    def __call__(self, path: str, given: dict[str, str]) -> Response:
        if path.endswith("/search"):
            self.searched += 1
            if self.spent:
                reason = {"message": "quota", "domain": "youtube.quota", "reason": "quotaExceeded"}
                return answering({"error": {"code": 403, "message": "quota", "errors": [reason]}}, status=403)
            return answering({"items": [{"id": {"videoId": self._id(given["q"], at)}} for at in range(WORKS)]})
        return answering({"items": [self._video(key) for key in given["id"].split(",")]})

    def _id(self, niche: str, at: int) -> str:
        fresh = f"{self.searched}" if niche in MOVING and at % 2 else "0"
        return f"{niche}.{at}.{fresh}"

    def _video(self, key: str) -> dict[str, Any]:
        niche = key.partition(".")[0]
        days = (self.now() - MIDNIGHT) / timedelta(days=1)
        views = round(10_000 * math.pow(2, days)) if niche in MOVING else 10_000
        snippet = {
            "title": f"about {niche}",
            "channelTitle": "c",
            "channelId": "c",
            "publishedAt": "2026-11-20T00:00:00Z",
        }
        return {"id": key, "snippet": snippet, "statistics": {"viewCount": str(views)}}

    def now(self) -> datetime:
        raise NotImplementedError


def duckduckgo(path: str, given: dict[str, str]) -> Response:
    if path != "/v.js":
        return answering(b'<script>vqd="4-1234567890"</script>')
    page = f"https://example.org/{given['q'].replace(' ', '-')}"
    return answering({"results": [{"title": given["q"], "content": page, "duration": "1:00"}]})


@pytest.fixture
def only_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the two platforms that this is about."""
    monkeypatch.setattr(platforms, "names", lambda: ("duckduckgo", "youtube"))


def sites() -> tuple[YouTube, dict[str, Any]]:
    site = YouTube()
    return site, {"www.googleapis.com": site, "duckduckgo.com": duckduckgo}


async def connected(database: Database) -> None:
    """Open every connection of the pool, so that work at the same moment is that."""
    async with AsyncExitStack() as held:
        for _ in range(8):
            await held.enter_async_context(database.pool.acquire())


async def watch(scanner: Scanner, *names: str, every: timedelta = timedelta(hours=6)) -> None:
    niches = Niches(scanner.db, scanner.services.settings)
    for name in names:
        await niches.add(name, now=scanner.clock.now(), every_s=int(every.total_seconds()))


@pytest.mark.usefixtures("only_two")
async def test_a_week_keeps_to_the_quota_serves_all_and_prefers_those_that_move(
    database: Database, tmp_path: Path
) -> None:
    """The quota would be gone by noon, some niches never looked at, and risers asked as seldom as sleepers."""
    site, known = sites()
    async with opened(database, tmp_path, known, at=MIDNIGHT, youtube_api_key="a-word") as scanner:
        site.now = scanner.clock.now  # type: ignore[method-assign]  # the site's clock is the test's
        await watch(scanner, *NICHES)
        scans = await scanner.run_until(MIDNIGHT + timedelta(days=7))
        assert scans > 7 * len(NICHES) * 3
        by_day: dict[str, Counter[str]] = defaultdict(Counter)
        for at, place, given in scanner.sites.asked:
            if place == SEARCH:
                by_day[at.astimezone(PACIFIC).date().isoformat()][given["q"]] += 1
        assert len(by_day) == 7
        for day, asked in by_day.items():
            assert 90 <= asked.total() <= QUOTA, f"{day}: {asked.total()} searches"
            assert set(asked) == set(NICHES), f"{day}: not asked: {set(NICHES) - set(asked)}"
        later_days = [asked for day, asked in sorted(by_day.items())][2:]
        moving = sum(asked[niche] for asked in later_days for niche in MOVING) / len(MOVING) / len(later_days)
        quiet = set(NICHES) - MOVING
        still = sum(asked[niche] for asked in later_days for niche in quiet) / len(quiet) / len(later_days)
        assert moving > 1.5 * still, f"{moving:.2f} a day against {still:.2f}"
        ends = await scanner.ended()
        assert len(ends) == scans
        refused = [end.skipped["youtube"] for end in ends if "youtube" in end.skipped]
        assert len(refused) == scans - sum(asked.total() for asked in by_day.values())
        assert all(why.startswith("rationed: ") for why in refused)
        late = [end for end in ends if "no call is left" in end.skipped.get("youtube", "")]
        assert all("duckduckgo" in end.found for end in late), "the fallback carries on"
        assert not any(end.failed for end in ends)


@pytest.mark.usefixtures("only_two")
async def test_the_fallback_carries_on_when_the_quota_is_spent(database: Database, tmp_path: Path) -> None:
    """Niches would stand still from the moment that the quota is spent until midnight."""
    site, known = sites()
    options = {"youtube_api_key": "a-word", "youtube_searches_per_day": "3"}
    async with opened(database, tmp_path, known, at=MIDNIGHT, **options) as scanner:
        site.now = scanner.clock.now  # type: ignore[method-assign]  # the site's clock is the test's
        await watch(scanner, *NICHES[:5])
        assert len(await scanner.tick()) == 5
        ends = await scanner.ended()
        assert Counter(frozenset(end.found) for end in ends) == {
            frozenset({"youtube"}): 3,
            frozenset({"duckduckgo"}): 2,
        }
        assert scanner.sites.count(SEARCH) == 3
        assert scanner.sites.count(FALLBACK) == 2
        first = {end.niche for end in ends if "youtube" in end.found}
        await scanner.run_until(MIDNIGHT + timedelta(days=2) - timedelta(seconds=1))
        second = [
            given["q"]
            for at, place, given in scanner.sites.asked
            if place == SEARCH and at >= MIDNIGHT + timedelta(days=1)
        ]
        assert len(second) == 3
        assert set(second) >= set(NICHES[:5]) - first, "whoever waited yesterday comes first today"


@pytest.mark.usefixtures("only_two")
async def test_scans_at_the_same_moment_do_not_spend_the_same_call(database: Database, tmp_path: Path) -> None:
    """Replicas that plan side by side would each ask in vain once the calls are gone."""
    site, known = sites()
    options = {"youtube_api_key": "a-word", "youtube_searches_per_day": "4"}
    async with opened(database, tmp_path, known, at=MIDNIGHT, **options) as scanner:
        site.now = scanner.clock.now  # type: ignore[method-assign]  # the site's clock is the test's
        await watch(scanner, *NICHES[:8])
        await watch_due(scanner.services)
        events = await scanner.asked_for()
        await connected(database)
        await asyncio.gather(*(scanner.scan(event) for event in events))
        ends = await scanner.ended()
        assert len(ends) == 8
        assert Counter("youtube" in end.found for end in ends) == {True: 4, False: 4}
        assert scanner.sites.count(SEARCH) == 4
        assert all("duckduckgo" in end.found for end in ends if "youtube" not in end.found)


@pytest.mark.usefixtures("only_two")
async def test_scans_at_the_same_moment_leave_the_call_that_is_kept(database: Database, tmp_path: Path) -> None:
    """Replicas that plan side by side would each take the one spare call, and then that of a niche still to come."""
    site, known = sites()
    options = {"youtube_api_key": "a-word", "youtube_searches_per_day": "7"}
    async with opened(database, tmp_path, known, at=MIDNIGHT, **options) as scanner:
        site.now = scanner.clock.now  # type: ignore[method-assign]  # the site's clock is the test's
        await watch(scanner, *NICHES[:6])
        late = MIDNIGHT + timedelta(hours=23, minutes=40)
        await database.execute(
            "update niches set next_at = $2 where name = $1", NICHES[5], MIDNIGHT + timedelta(hours=23, minutes=55)
        )
        await scanner.tick()
        assert scanner.sites.count(SEARCH) == 5
        scanner.clock.turn((late - scanner.clock.now()).total_seconds())
        await database.execute("update niches set next_at = $1 where name <> $2", late, NICHES[5])
        await watch_due(scanner.services)
        events = await scanner.asked_for()
        await connected(database)
        await asyncio.gather(*(scanner.scan(event) for event in events))
        assert scanner.sites.count(SEARCH) == 6
        scanner.clock.turn(900)
        await scanner.tick()
        assert scanner.sites.asked[-1][2].get("id", "").startswith(NICHES[5])
        assert scanner.sites.count(SEARCH) == 7


@pytest.mark.usefixtures("only_two")
async def test_a_quota_that_others_spent_is_found_out_once(database: Database, tmp_path: Path) -> None:
    """Forty niches would each ask a platform that says no, and count as served."""
    site, known = sites()
    async with opened(database, tmp_path, known, at=MIDNIGHT, youtube_api_key="a-word") as scanner:
        site.now, site.spent = scanner.clock.now, True  # type: ignore[method-assign]  # the site's clock
        await watch(scanner, *NICHES[:6])
        await scanner.tick()
        assert scanner.sites.count(SEARCH) == 1
        ends = await scanner.ended()
        assert [set(end.found) for end in ends] == [{"duckduckgo"}] * 6
        assert "2026-11-24 08:00 UTC" in ends[0].failed["youtube"]
        assert all(end.skipped["youtube"] == "rationed: no call is left until 08:00 UTC" for end in ends[1:])
        assert await database.fetchval("select count(*) from scans_later") == 0, "the schedule comes back by itself"
        site.spent = False
        await scanner.run_until(MIDNIGHT + timedelta(days=2) - timedelta(seconds=1))
        asked = {given["q"] for at, place, given in scanner.sites.asked if place == SEARCH and at > MIDNIGHT}
        assert asked == set(NICHES[:6])


@pytest.mark.usefixtures("only_two")
async def test_a_person_uses_what_is_spare_or_names_the_platform(database: Database, tmp_path: Path) -> None:
    """Scans by hand in the morning would leave nothing for the watched niches, or be refused although named."""
    site, known = sites()
    options = {"youtube_api_key": "a-word", "youtube_searches_per_day": "3"}

    def by_hand(niche: str, platform: str | None = None) -> ScanRequested:
        name = new_event_id()
        return ScanRequested(event_id=name, correlation_id=CorrelationId(name), niche=niche, platform=platform)

    async with opened(database, tmp_path, known, at=MIDNIGHT, **options) as scanner:
        site.now = scanner.clock.now  # type: ignore[method-assign]  # the site's clock is the test's
        await watch(scanner, *NICHES[:2])
        for niche in ("sourdough", "kites"):
            assert (await scanner.scan(by_hand(niche)))[0] == "ack"
        spare, kept = await scanner.ended()
        assert set(spare.found) == {"youtube"}
        assert kept.found == {}
        assert "kept for watched niches; add --platform youtube" in kept.skipped["youtube"]
        await scanner.scan(by_hand("kites", "youtube"))
        assert set((await scanner.ended())[-1].found) == {"youtube"}


def test_windows_end_at_midnight_in_los_angeles() -> None:
    """A day of the quota that ends at another hour spends two days' calls in one."""
    from actors.runtime.settings import Settings

    begins, ends = window_of(youtube.RATION(Settings()), MIDNIGHT + timedelta(hours=5))
    assert (begins, ends) == (MIDNIGHT, MIDNIGHT + timedelta(days=1))
