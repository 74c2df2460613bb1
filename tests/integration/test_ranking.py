"""The ranker with real NATS and PostgreSQL: recording, waiting for a scan's candidates, choosing once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from actors.ranker import handle
from actors.ranker.app import APP
from actors.runtime.app import serving
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from contracts.codec import decode, encode, subject_of
from contracts.events import CandidateFound, CandidateSelected, Destination, Event, ScanCompleted
from contracts.ids import CorrelationId, EventId, ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from tests.stack import until

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SettingsOf = Callable[[str], Settings]


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits are the same, only shorter."""
    monkeypatch.setattr(handle, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(handle, "LONGEST_WAIT_S", 0.1)


def candidate(name: str, views: int = 100, **given: Any) -> Candidate:
    fields: dict[str, Any] = {
        "item_id": ItemId(f"archive:{name}"),
        "platform": "archive",
        "platform_id": name,
        "url": f"https://example.org/{name}",
        "title": "Creatures of the deep sea",
        "published_at": AT - timedelta(days=10),
        "media_url": f"https://example.org/{name}.mp4",
        "metrics": Metrics(views=views),
        "observed_at": AT,
        "rights": RightsRecord(licence="CC0-1.0"),
    }
    return Candidate(**(fields | given))


def found(scan: str, one: Candidate, **given: Any) -> CandidateFound:
    return CandidateFound(
        event_id=EventId(f"{scan}/{one.item_id}"),
        correlation_id=CorrelationId(f"flow-of-{scan}"),
        causation_id=EventId(scan),
        candidate=one,
        niche="deep sea",
        **given,
    )


def completed(scan: str, count: int, **given: Any) -> ScanCompleted:
    return ScanCompleted(
        event_id=EventId(f"{scan}/end"),
        correlation_id=CorrelationId(f"flow-of-{scan}"),
        causation_id=EventId(scan),
        niche="deep sea",
        found={"archive": count},
        **given,
    )


async def tell(admin: Client, events: Iterable[Event]) -> None:
    for event in events:
        await admin.jetstream().publish(subject_of(event), encode(event))


async def selections(admin: Client) -> list[CandidateSelected]:
    """Return every candidate.selected that the stream holds, in order."""
    jetstream = admin.jetstream()
    subject = subject_of(CandidateSelected)
    count = (await jetstream.stream_info("ETT", subjects_filter=subject)).state.subjects or {}
    reading = await jetstream.subscribe(
        subject, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    )
    return [decode((await reading.next_msg(timeout=5)).data, CandidateSelected) for _ in range(count.get(subject, 0))]


async def settled(database: Database, *scans: str) -> list[str]:
    """Wait until the scans are settled and all is told; return what each came to."""

    async def all_told() -> bool:
        open_scans = "select count(*) from unnest($1::text[]) as wanted where not exists (select from scans"
        waiting = await database.fetchval(f"{open_scans} where scan_id = wanted and settled_at is not null)", scans)
        unsent = await database.fetchval("select count(*) from outbox where published_at is null")
        return bool(waiting == 0 and unsent == 0)

    await until(all_told, what=f"settled {scans}")
    rows = await database.fetch("select scan_id, because from scans where scan_id = any($1)", scans)
    because = {row["scan_id"]: row["because"] for row in rows}
    return [because[scan] for scan in scans]


async def decisions(database: Database) -> dict[str, tuple[str, str]]:
    rows = await database.fetch("select item_id, decision, decided_because from items order by item_id")
    return {row["item_id"]: (row["decision"], row["decided_because"]) for row in rows}


async def test_best_usable_candidate_is_selected_and_told(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """The loop works on what comes out here; the rest must say why it was passed over."""
    where = Destination(platform="youtube", privacy="unlisted")
    events = [
        found("s1", candidate("best", 9000), destination=where),
        found("s1", candidate("second", 50), destination=where),
        found("s1", candidate("unknown", 99_000, rights=RightsRecord(licence="unknown")), destination=where),
    ]
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [*events, completed("s1", 3)])
        assert await settled(database, "s1") == ["selected archive:best of 3 candidates"]
    (selected,) = await selections(nats_admin)
    assert (selected.item_id, selected.destination) == ("archive:best", where)
    assert (selected.correlation_id, selected.causation_id) == ("flow-of-s1", "s1/end")
    assert selected.score == pytest.approx(sum(reason.points for reason in selected.reasons))
    assert selected.candidate == events[0].candidate
    decided = await decisions(database)
    assert {name: decision for name, (decision, _) in decided.items()} == {
        "archive:best": "selected",
        "archive:second": "passed",
        "archive:unknown": "passed",
    }
    assert decided["archive:second"][1].startswith("archive:best came first")
    assert decided["archive:unknown"][1].startswith("the licence is unknown")
    row = await database.fetchrow("select score, correlation_id, destination from items where item_id = 'archive:best'")
    assert row is not None
    assert (row["score"], row["correlation_id"]) == (selected.score, "flow-of-s1")
    assert row["destination"]["privacy"] == "unlisted"
    assert await database.fetchval("select count(*) from observations") == 3
    outcomes = await database.fetch("select item_id, outcome from sightings")
    assert dict(map(tuple, outcomes)) == {
        "archive:best": "selected",
        "archive:second": "passed",
        "archive:unknown": "refused",
    }


async def test_end_of_scan_waits_for_its_candidates(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """The end of a scan overtakes its candidates: choosing then takes the first that came, or none."""
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [completed("s1", 2), found("s1", candidate("poor", 1))])

        async def waiting() -> bool:
            return bool(await database.fetchval("select recorded = 1 and waits > 1 from scans where scan_id = 's1'"))

        await until(waiting, what="waiting for the second candidate")
        assert (await decisions(database))["archive:poor"] == ("found", "")
        await tell(nats_admin, [found("s1", candidate("best", 9000))])
        assert await settled(database, "s1") == ["selected archive:best of 2 candidates"]
    assert await database.fetchval("select count(*) from attempts where failures > 0") == 0
    assert [one.item_id for one in await selections(nats_admin)] == ["archive:best"]


async def test_candidate_that_never_comes_does_not_block(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """A candidate that was rejected would hold its whole scan up for ever."""
    async with serving(APP, settings_of("ranker")):
        await nats_admin.jetstream().publish(subject_of(CandidateFound), b'{"type":"candidate.found","niche":1}')
        await tell(nats_admin, [found("s1", candidate("a")), completed("s1", 2)])
        assert await settled(database, "s1") == ["selected archive:a of 1 candidates; 1 of 2 never arrived"]


async def test_candidate_that_cannot_be_stored_ends_with_its_reason(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """A name that no index holds would be retried for a day as a fault of the database."""
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [found("s", candidate("odd", language="e" * 3000)), found("s", candidate("fine"))])

        async def ended() -> bool:
            row = await database.fetchrow("select kind, error from dead_letters")
            return row is not None and row["kind"] == "rejected" and "cannot be stored" in row["error"]

        await until(ended, what="the candidate is rejected")
        await tell(nats_admin, [completed("s", 2)])

        async def settled() -> bool:
            return bool(await database.fetchval("select true from scans where settled_at is not null"))

        await until(settled, what="the scan is settled")
    assert await database.fetchval("select array_agg(item_id) from items") == ["archive:fine"]


async def test_known_item_is_not_selected_again(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """The same work would be made into a video with every scan."""
    later = candidate("a", 500, observed_at=AT + timedelta(days=1), rights=RightsRecord(licence="unknown"))
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [found("s1", candidate("a")), completed("s1", 1)])
        await settled(database, "s1")
        await tell(nats_admin, [found("s2", later), completed("s2", 1)])
        assert await settled(database, "s2") == ["nothing selected of 1 candidates: 1 already selected"]
        await tell(nats_admin, [completed("s3", 0, failed={"commons": "down"})])
        assert await settled(database, "s3") == ["nothing selected: no candidate was found; did not answer: commons"]
    assert len(await selections(nats_admin)) == 1
    assert await database.fetchval("select count(*) from observations") == 2
    assert await database.fetchval("select rights ->> 'licence' from items") == "CC0-1.0"


async def test_work_is_selected_on_one_platform_only(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """The same video under another platform's name, or brought in by a person, would be made once more."""
    await database.execute(
        "insert into items (item_id, correlation_id, origin, title, url, rights, decision) values"
        " ('import:1', '', 'import', 'Brought in', 'https://youtu.be/dQw4w9WgXcQ', $1, 'imported')",
        RightsRecord(licence="owned"),
    )
    brought = candidate("dQw4w9WgXcQ", 99_000, url="https://www.youtube.com/watch?v=dQw4w9WgXcQ&feature=share")
    fresh = candidate("fresh", 100, url="https://vimeo.com/76979871")
    copy = candidate("copy", 50_000, url="https://player.vimeo.com/video/76979871")
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [found("s1", brought), found("s1", fresh), completed("s1", 2)])
        assert await settled(database, "s1") == ["selected archive:fresh of 2 candidates"]
        await tell(nats_admin, [found("s2", copy), completed("s2", 1)])
        assert await settled(database, "s2") == ["nothing selected of 1 candidates: 1 already selected"]
    assert [one.item_id for one in await selections(nats_admin)] == ["archive:fresh"]
    rows = await database.fetch("select item_id, because from sightings where outcome = 'known'")
    assert dict(map(tuple, rows)) == {
        "archive:dQw4w9WgXcQ": "its work was chosen before as import:1",
        "archive:copy": "its work was chosen before as archive:fresh",
    }


TITLE = "Humpback whale sings below the harbour of Nuuk at dawn"
LATE = AT - timedelta(days=2)
EARLY = AT - timedelta(days=9)
HERE = "https://vimeo.com/76979871"


def original(**given: Any) -> Candidate:
    """Return a work that another made; nothing is known of its licence."""
    fields: dict[str, Any] = {
        "item_id": ItemId("youtube:whale"),
        "platform": "youtube",
        "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "title": TITLE,
        "duration_us": 93_400_000,
        "creator": "Maker",
        "published_at": EARLY,
        "media_url": None,
        "rights": RightsRecord(licence="unknown"),
    }
    return candidate("whale", 10, **(fields | given))


def repost(**given: Any) -> Candidate:
    """Return the same work, put up again under a free licence."""
    rights = RightsRecord(licence="CC-BY-4.0", author="Reposter")
    fields: dict[str, Any] = {"duration_us": 93_400_000, "creator": "Reposter", "published_at": LATE, "rights": rights}
    fields["url"] = HERE
    return candidate("whalecopy", 90_000, title=TITLE, **(fields | given))


STRICT = "the same work was published before by another, under Unknown (youtube:whale)"
DOUBT = "the same work may have been published before by another, under Unknown (youtube:whale)"


@pytest.mark.parametrize(
    "case",
    [
        (original(), repost(), STRICT),
        (original(rights=RightsRecord(licence="CC-BY-NC-4.0")), repost(), STRICT.replace("Unknown", "CC BY-NC 4.0")),
        (original(published_at=None), repost(), DOUBT),
        (original(), repost(published_at=None), DOUBT),
        (original(published_at=LATE), repost(), DOUBT),
        (original(creator=None), repost(), DOUBT),
        (original(), repost(creator=None), DOUBT),
        (original(creator="The Reposter"), repost(), ""),
        (original(published_at=LATE + timedelta(days=1)), repost(), ""),
        (original(rights=RightsRecord(licence="CC0-1.0")), repost(), ""),
        (original(title="Humpback whale"), repost(), ""),
        (original(url=HERE, published_at=None, creator=None), repost(), ""),
        (original(links=(HERE,), duration_us=None), repost(), ""),
    ],
    ids=[
        *("unknown", "stricter", "no date", "no own date", "same date", "no creator", "no own creator"),
        *("same creator", "later", "free", "another work", "same page", "a link to it"),
    ],
)
async def test_a_repost_is_not_selected_by_its_own_word(
    nats_admin: Client,
    database: Database,
    settings_of: SettingsOf,
    case: tuple[Candidate, Candidate, str],
) -> None:
    """Another's film would be posted because somebody put a copy of it up under a free licence."""
    first, second, because = case
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [found("s1", second), found("s1", first), completed("s1", 2)])
        await settled(database, "s1")
    works = await database.fetchval("select count(distinct work_id) from marks")
    assert works == (2 if first.title != TITLE else 1), "the case is none of what it says"
    outcome, told = await database.fetchrow(
        "select outcome, because from sightings where item_id = 'archive:whalecopy'"
    ) or ("", "")
    assert outcome == ("refused" if because else "selected"), told
    assert told.startswith(because)


async def test_passed_item_may_rise_later(nats_admin: Client, database: Database, settings_of: SettingsOf) -> None:
    """What was second best yesterday, and takes off today, is what a channel looks for."""
    risen = candidate("b", 90_000, observed_at=AT + timedelta(days=1))
    async with serving(APP, settings_of("ranker")):
        await tell(nats_admin, [found("s1", candidate("a", 9000)), found("s1", candidate("b", 50)), completed("s1", 2)])
        await settled(database, "s1")
        await tell(nats_admin, [found("s2", risen), completed("s2", 1)])
        await settled(database, "s2")
    first, second = await selections(nats_admin)
    assert (first.item_id, second.item_id) == ("archive:a", "archive:b")
    assert "measured, from 50 to 90000 in 1 days" in second.reasons[0].because


async def test_older_sighting_does_not_replace_a_newer_one(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """Replicas finish out of order: an old title or licence must not come back."""
    new = candidate("a", title="New deep sea", observed_at=AT + timedelta(hours=1))
    async with serving(APP, settings_of("ranker")):
        for event in (found("s2", new), found("s1", candidate("a", title="Old deep sea"))):
            await tell(nats_admin, [event])

            async def recorded(scan: str = str(event.causation_id)) -> bool:
                return bool(await database.fetchval("select true from sightings where scan_id = $1", scan))

            await until(recorded, what="recorded")
    assert await database.fetchval("select title from items") == "New deep sea"
    assert await database.fetchval("select count(*) from observations") == 2


async def test_configured_destination_is_used_when_the_scan_names_none(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """A winner without a destination is made and never posted."""
    settings = msgspec.structs.replace(settings_of("ranker"), destination="youtube", privacy="unlisted")
    async with serving(APP, settings):
        await tell(nats_admin, [found("s1", candidate("a")), completed("s1", 1)])
        await settled(database, "s1")
    (selected,) = await selections(nats_admin)
    assert selected.destination == Destination(platform="youtube", privacy="unlisted")


async def test_two_replicas_choose_each_item_once(
    nats_admin: Client, database: Database, settings_of: SettingsOf
) -> None:
    """Scans that overlap, handled by two replicas at once and told twice, must not choose one work twice."""
    scans = [f"s{number}" for number in range(8)]
    events: list[Event] = []
    for scan in scans:
        events += [completed(scan, 5), *(found(scan, candidate(f"item{number}", 100 + number)) for number in range(5))]
    async with AsyncExitStack() as replicas:
        for _ in range(2):
            await replicas.enter_async_context(serving(APP, settings_of("ranker")))
        await tell(nats_admin, [*events, *reversed(events)])
        texts = await settled(database, *scans)
    selected = [one.item_id for one in await selections(nats_admin)]
    assert sorted(selected) == [f"archive:item{number}" for number in range(5)]
    assert sum(text.startswith("selected") for text in texts) == 5
    assert sum(text == "nothing selected of 5 candidates: 5 already selected" for text in texts) == 3
    assert await database.fetchval("select count(*) from dead_letters") == 0
    assert await database.fetchval("select count(*) from sightings where outcome is null") == 0
