"""Candidates in PostgreSQL: one work for one video, whoever stores it, in whatever order and number at once."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.ranker import ingest as stage
from actors.ranker.entries import Seen, counts_of
from actors.ranker.ingest import FEWEST_COPIED, Ingested, adopt, ingest
from actors.ranker.joins import MOST_NAMESAKES, Q
from actors.ranker.observe import observe
from actors.ranker.recent import RECENT, Counts, freshest
from actors.runtime.db import Connection, Database, open_database
from contracts.events import Reason
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from tests.stack import ROOT

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SQUID = "Giant squid filmed alive off the coast of Japan"
YT = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def candidate(platform: str, name: str, title: str = "Untitled", **given: Any) -> Candidate:
    fields: dict[str, Any] = {
        "item_id": ItemId(f"{platform}:{name}"),
        "platform": platform,
        "platform_id": name,
        "url": f"https://{platform}.invalid/",
        "title": title,
        "observed_at": AT,
        "metrics": Metrics(views=100),
        "rights": RightsRecord(licence="unknown"),
    }
    return Candidate(**(fields | given))


def sighting(one: Candidate, counts: tuple[Counts, ...] | None = None) -> Seen:
    return Seen(candidate=one, counts=(counts_of(one),) if counts is None else counts)


async def put(database: Database, *candidates: Candidate) -> Ingested:
    async with database.transaction() as conn:
        return await ingest(conn, [sighting(one) for one in candidates])


async def works(database: Database) -> set[frozenset[str]]:
    """Return the works as sets of item ids."""
    rows = await database.fetch("select array_agg(item_id) as items from marks group by work_id")
    return {frozenset(row["items"]) for row in rows}


async def test_one_video_on_four_platforms_is_one_work(database: Database) -> None:
    """Each of them would be made into a video of its own."""
    tube = candidate("youtube", "dQw4w9WgXcQ", SQUID, url=YT, duration_us=187_000_000, creator="Ocean Lab")
    found = candidate("duckduckgo", "h1", "something else", url="https://youtu.be/dQw4w9WgXcQ?si=x")
    post = candidate("reddit", "1abcde", "look at this", links=("https://m.youtube.com/watch?v=dQw4w9WgXcQ",))
    mirror = candidate("peertube", "p1", f"{SQUID} (reupload)", duration_us=187_400_000, creator="archive")
    other = candidate("vimeo", "v1", SQUID, duration_us=191_000_000, creator="Ocean Lab")
    for batch in ((tube,), (found, other), (post, mirror)):
        await put(database, *batch)
    assert await works(database) == {
        frozenset({"youtube:dQw4w9WgXcQ", "duckduckgo:h1", "reddit:1abcde", "peertube:p1"}),
        frozenset({"vimeo:v1"}),
    }
    because = dict(map(tuple, await database.fetch("select item_id, because from marks")))
    assert because["duckduckgo:h1"] == "it is youtube:dQw4w9WgXcQ"
    assert because["reddit:1abcde"] == "it links to youtube:dQw4w9WgXcQ"
    assert because["peertube:p1"].startswith("same title, lengths 0.4 s apart")
    assert because["youtube:dQw4w9WgXcQ"] == ""
    row = await database.fetchrow("select items, platforms, item_id from works order by items desc limit 1")
    assert row is not None
    assert (row["items"], len(row["platforms"])) == (4, 4)


async def test_link_seen_before_its_video(database: Database) -> None:
    """Posts often come before the video that they share has been seen."""
    await put(database, candidate("reddit", "1abcde", links=(YT,)), candidate("bluesky", "b", links=(YT,)))
    await put(database, candidate("youtube", "dQw4w9WgXcQ", url=YT))
    assert len(await works(database)) == 1


async def test_later_link_merges_two_works(database: Database) -> None:
    """What turns out to be one work later must be one, and nothing of either be lost."""
    post = candidate("reddit", "1abcde")
    await put(database, candidate("youtube", "dQw4w9WgXcQ", url=YT), candidate("vimeo", "12345678"))
    await put(database, post, candidate("mastodon", "m", links=("https://redd.it/1abcde",)))
    assert len(await works(database)) == 3
    later = AT + timedelta(hours=1)
    linked = candidate("reddit", "1abcde", links=(YT,), observed_at=later)
    got = await put(database, linked)
    assert (got.merged_works, got.new_works, got.new_items) == (1, 0, 0)
    one = frozenset({"youtube:dQw4w9WgXcQ", "reddit:1abcde", "mastodon:m"})
    assert await works(database) == {one, frozenset({"vimeo:12345678"})}
    assert await database.fetchval("select min(item_no) = min(work_id) from marks where item_id = any($1)", list(one))
    # The post is edited: what it links to now must not be pulled in.
    edited = candidate("reddit", "1abcde", links=("https://vimeo.com/12345678",), observed_at=later)
    await put(database, edited)
    assert await works(database) == {one, frozenset({"vimeo:12345678"})}
    assert await database.fetchval("select count(*) from observations") == 5


async def test_title_does_not_merge_works_nor_join_a_series(database: Database) -> None:
    """One wrong item in between would make one work of a whole series."""
    length = {"duration_us": 187_000_000}
    first = candidate("youtube", "aaaaaaaaaaa", SQUID, creator="Ocean Lab", **length)
    await put(database, first, candidate("tiktok", "7000000001", SQUID, creator="clips", **length))
    await put(database, candidate("youtube", "bbbbbbbbbbb", SQUID, creator="Ocean Lab", **length))
    assert await works(database) == {
        frozenset({"youtube:aaaaaaaaaaa", "tiktok:7000000001"}),
        frozenset({"youtube:bbbbbbbbbbb"}),
    }


def crowd(seed: int, count: int) -> list[Candidate]:
    """Sightings of a few works under many names, several moments each."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        work, kind = rng.randrange(12), rng.randrange(4)
        video, at = f"{work:011d}", AT + timedelta(minutes=number)
        given: dict[str, Any] = {"observed_at": at, "metrics": Metrics(views=number)}
        if kind == 0:
            made.append(candidate("youtube", video, url=f"https://youtu.be/{video}", **given))
        elif kind == 1:
            made.append(candidate("duckduckgo", f"d{work}", url=f"https://www.youtube.com/shorts/{video}", **given))
        elif kind == 2:
            url = f"https://redd.it/{work + 10000}"
            made.append(candidate("reddit", str(work + 10000), url=url, links=(f"https://youtu.be/{video}",), **given))
        else:
            made.append(candidate("bluesky", f"b{work}", links=(f"https://redd.it/{work + 10000}",), **given))
    return made


async def test_replicas_at_once_make_each_work_once(database_url: str, database: Database) -> None:
    """Replicas see the same things at the same time, in any order: none may fail, and no work may be there twice."""
    sightings = crowd(1, 240)
    async with open_database(database_url, name="a") as a, open_database(database_url, name="b") as b:

        async def store(db: Database, mine: Iterable[Candidate]) -> None:
            for one in mine:
                await put(db, one)

        async def store_batch(db: Database, mine: list[Candidate]) -> None:
            for at in range(0, len(mine), 30):
                await put(db, *mine[at : at + 30])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store(a, sightings))
            tasks.create_task(store(b, reversed(sightings)))
            tasks.create_task(store_batch(b, random.Random(2).sample(sightings, len(sightings))))
    names = {one.item_id for one in sightings}
    together = {
        frozenset(names & {f"youtube:{at:011d}", f"duckduckgo:d{at}", f"reddit:{at + 10000}", f"bluesky:b{at}"})
        for at in range(12)
    }
    assert await works(database) == together
    assert await database.fetchval("select count(*) from observations") == len(sightings)


async def test_one_by_one_and_in_bulk_come_to_the_same(database_url: str, database: Database) -> None:
    """A history file must not give other works than the events that it was written from."""
    title = {f"{SQUID} {number}": number for number in range(6)}
    sightings = [
        *crowd(3, 120),
        *(
            candidate(platform, f"t{number}", name, duration_us=187_000_000 + 100_000 * number, creator=platform)
            for name, number in title.items()
            for platform in ("vimeo", "tiktok", "rumble")
        ),
    ]
    for one in sightings:
        await put(database, one)
    apart = await works(database)
    rows = await database.fetch("select item_id, observed_at, views from observations order by 1, 2")
    await database.execute("truncate marks, work_keys, counts")
    await database.execute("truncate items cascade")
    await put(database, *sightings)
    assert await works(database) == apart
    assert await database.fetch("select item_id, observed_at, views from observations order by 1, 2") == rows


async def test_file_does_not_replace_what_a_scan_knows(database: Database) -> None:
    """A bare line of a history file would take licence, media and niche from a work that a scan found."""
    scanned = candidate(
        "vimeo", "1", SQUID, rights=RightsRecord(licence="CC-BY-4.0"), media_url="https://vimeo.invalid/1.mp4"
    )
    scan = Seen(
        candidate=scanned,
        counts=(counts_of(scanned),),
        niche="deep sea",
        score=70.0,
        reasons=(Reason(signal="views", value=1.0, weight=1.0, points=70.0, because="many"),),
    )
    later, earlier = (
        sighting(candidate("vimeo", "1", "squid", observed_at=AT + timedelta(days=days), metrics=Metrics(views=days)))
        for days in (1, 2)
    )
    stored = "select niche, title, rights ->> 'licence', candidate ->> 'media_url', score from items"
    for order in ((scan, later), (later, scan), (earlier, scan, later)):
        for one in order:
            async with database.transaction() as conn:
                await ingest(conn, [one])
        row = await database.fetchrow(stored)
        assert row is not None
        assert tuple(row) == ("deep sea", SQUID, "CC-BY-4.0", "https://vimeo.invalid/1.mp4", 70.0)
        assert await database.fetchval("select count(*) from counts") == len(order)
        await database.execute("truncate marks, work_keys, counts")
        await database.execute("truncate items cascade")


async def test_file_without_a_niche_leaves_the_niche(database: Database) -> None:
    """A niche that a file of events told would be gone with the next bare line."""
    named = Seen(candidate=candidate("vimeo", "1"), counts=(), niche="deep sea")
    async with database.transaction() as conn:
        await ingest(conn, [named])
    await put(database, candidate("vimeo", "1", SQUID, observed_at=AT + timedelta(days=1)))
    assert await database.fetchval("select niche || ': ' || title from items") == f"deep sea: {SQUID}"


async def test_works_from_before_marks_keep_their_history(database: Database) -> None:
    """After an update all velocities would be unknown until a work has been seen twice more."""
    given = {hour: candidate("vimeo", "1", observed_at=AT + timedelta(hours=hour)) for hour in range(12)}
    chosen = candidate("vimeo", "2", observed_at=AT + timedelta(days=1))
    await put(database, *(given[hour] for hour in range(10)), chosen)
    await database.execute("update items set decision = 'selected' where item_id = 'vimeo:2'")
    marked = "select seen_at, recent from marks order by item_no"
    before = [tuple(row) for row in await database.fetch(marked)]
    await database.execute("truncate marks, work_keys")
    async with database.transaction() as conn:
        await adopt(conn, now=AT)
    assert [tuple(row) for row in await database.fetch(marked)] == before[1:]
    again = await put(database, given[9], given[4])
    assert (again.new_items, again.new_works) == (0, 1)
    assert [tuple(row) for row in await database.fetch(marked)] == before
    await put(database, given[11])
    async with database.transaction() as conn:
        read = await freshest(conn, 2)
    expected = [(AT + timedelta(hours=hour)).timestamp() for hour in (3, 4, 5, 6, 7, 8, 9, 11)]
    assert read.at_s[read.item_ids.index(ItemId("vimeo:1"))].tolist() == expected


async def test_title_that_thousands_have_costs_no_more(database: Database) -> None:
    """Each batch would be compared with all works of its title, under the lock that all others wait for."""
    await database.execute(
        "insert into marks (item_no, item_id, work_id, platform, title_key, duration_us)"
        " select n, n::text, n, 'vimeo', 7, n * 10000 from generate_series(1, 5000) n"
    )
    await database.execute("analyze marks")
    given = ([0], [7], [24_000_000], [26_000_000], MOST_NAMESAKES)
    rows = await database.fetch(Q["namesakes"], *given)
    assert [row["duration_us"] for row in rows] == [24_000_000 + n * 10_000 for n in range(MOST_NAMESAKES)]
    plan = json.loads(await database.fetchval(f"explain (analyze, format json) {Q['namesakes']}", *given))
    nodes = [plan[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    read = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes]
    assert max(read) <= MOST_NAMESAKES, "rows of the title that nobody asked for"


async def test_history_of_an_item_is_kept_and_read_in_columns(database: Database) -> None:
    """Velocity is measured from what is read here; a count that moves to another moment is a growth made up."""
    grown = [
        candidate("vimeo", "1", observed_at=AT + timedelta(hours=hour), metrics=Metrics(views=100 * hour, likes=hour))
        for hour in range(12)
    ]
    for one in (*grown[6:], *grown[:6], *grown[3:5]):
        await put(database, one)
    await put(database, candidate("vimeo", "2", observed_at=AT - timedelta(days=1), metrics=Metrics()))
    async with database.transaction() as conn:
        read = await freshest(conn, 10)
        newest = await freshest(conn, 1)
    assert read.item_ids == ["vimeo:1", "vimeo:2"]
    assert newest.item_ids == ["vimeo:1"]
    assert read.platforms == ["vimeo", "vimeo"]
    assert read.views.shape == (2, RECENT)
    assert read.views[0].tolist() == [100.0 * hour for hour in range(4, 12)]
    assert read.likes[0].tolist() == [float(hour) for hour in range(4, 12)]
    assert read.at_s[0].tolist() == [(AT + timedelta(hours=hour)).timestamp() for hour in range(4, 12)]
    assert np.isnan(read.views[1]).all()
    assert np.isfinite(read.at_s[1]).tolist() == [False] * (RECENT - 1) + [True]
    assert np.isnan(read.published_s).all()
    assert await database.fetchval("select count(*) from observations") == 13
    assert (
        await database.fetchval("select candidate -> 'metrics' ->> 'views' from items where item_id = 'vimeo:1'")
        == "1100"
    )


async def test_nothing_to_read_gives_empty_columns(database: Database) -> None:
    """A new installation ranks, too."""
    async with database.transaction() as conn:
        read = await freshest(conn, 10)
    assert (read.item_ids, read.views.shape, read.work_ids.shape) == ([], (0, RECENT), (0,))


async def test_several_counts_of_one_candidate(database: Database) -> None:
    """A line of a file has its whole history."""
    counts = tuple(Counts(at=AT - timedelta(days=day), views=1000 - day) for day in range(3))
    one = sighting(candidate("vimeo", "1", "Zero \0 byte \\u0000"), counts=counts)
    async with database.transaction() as conn:
        assert (await ingest(conn, [one, one])).observations == 3
    assert await database.fetchval("select title from items") == "Zero  byte \\u0000"
    async with database.transaction() as conn:
        assert (await freshest(conn, 1)).views[0, -3:].tolist() == [998.0, 999.0, 1000.0]


async def test_many_new_items_give_way_to_another_stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of the same id, made at the same moment, would end the whole batch, or be overwritten by it."""
    many = [candidate("vimeo", f"{number:05d}") for number in range(FEWEST_COPIED)]
    look_up, imported = stage._look_up, "vimeo:00007"

    async def then_import(conn: Connection, by_id: dict[str, Any], item_ids: Sequence[str]) -> dict[str, int | None]:
        found = await look_up(conn, by_id, item_ids)
        await database.execute(
            "insert into items (item_id, correlation_id, origin, title, rights, decision)"
            " values ($1, '', 'import', 'mine', '{}', 'imported') on conflict do nothing",
            imported,
        )
        return found

    monkeypatch.setattr(stage, "_look_up", then_import)
    got = await put(database, *many)
    assert (got.items, got.new_works) == (FEWEST_COPIED, FEWEST_COPIED)
    assert await database.fetchval("select title from items where item_id = $1", imported) == "mine"
    assert await database.fetchval("select count(*) from marks join items using (item_no, item_id)") == FEWEST_COPIED
    assert await database.fetchval("select count(*) from observations") == FEWEST_COPIED


async def test_copied_rows_hold_what_was_given(database: Database) -> None:
    """A count that is missing must not become another one's, nor a large one lose its last digits."""
    given = {
        (way, at): (
            None if way & 1 else 10**18 - at,
            None if way & 2 else at,
            None if way & 4 else 0,
            None if way & 8 else 7,
        )
        for way in range(16)
        for at in (1, 0)
    }
    sightings = [
        sighting(
            candidate("vimeo", f"{number:05d}"),
            tuple(
                Counts(at=AT + timedelta(microseconds=at), views=views, likes=likes, comments=comments, shares=shares)
                for (way, at), (views, likes, comments, shares) in given.items()
                if way == number % 16
            ),
        )
        for number in range(FEWEST_COPIED)
    ]
    async with database.transaction() as conn:
        assert (await ingest(conn, sightings)).observations == 2 * FEWEST_COPIED
    rows = await database.fetch("select * from observations order by item_id, observed_at")
    assert [tuple(row) for row in rows] == [
        (f"vimeo:{number:05d}", AT + timedelta(microseconds=at), *given[number % 16, at])
        for number in range(FEWEST_COPIED)
        for at in (0, 1)
    ]


LINE = {
    "id": "dQw4w9WgXcQ",
    "platform": "youtube",
    "title": SQUID,
    "description": None,
    "channel": "Ocean Lab",
    "tags": ["squid"],
    "published_at": "2026-11-01T10:00:00Z",
    "duration_s": 187.4,
    "licence": "CC-BY-4.0",
    "observations": [
        {"at": "2026-11-02T10:00:00Z", "views": 10, "likes": None, "comments": 1, "shares": None},
        {"at": "2026-11-03T10:00:00Z", "views": 30, "likes": 2, "comments": 1, "shares": None},
    ],
}


async def test_file_of_lines(database: Database) -> None:
    """One bad line must cost that line only, and the person must learn which and why."""
    bad = [b"{", b'{"id": "a"}', json.dumps(LINE | {"platform": 5}).encode(), b"\xff\xfe"]
    huge = json.dumps(LINE | {"id": "h", "observations": [{"at": "2026-11-02T10:00:00Z", "views": 2**63}]}).encode()
    lines = [json.dumps(LINE).encode(), *bad, b"", huge]
    lines += [json.dumps(LINE | {"id": f"{number:011d}", "title": f"n {number}"}).encode() for number in range(25)]
    got = await observe(database, lines, batch=4)
    assert (got.lines, got.bad_lines) == (31, 5)
    assert [one.number for one in got.bad] == [2, 3, 4, 5, 7]
    assert "neither an observation" in got.bad[1].because
    assert "platform" in got.bad[2].because
    assert (got.stored.new_items, got.stored.observations) == (26, 52)
    row = await database.fetchrow("select candidate, rights from items where item_id = 'youtube:dQw4w9WgXcQ'")
    assert row is not None
    assert row["candidate"]["url"] == YT
    assert row["candidate"]["metrics"]["absent"] == {"shares": "not in the file"}
    assert row["rights"]["licence"] == "CC-BY-4.0"
    again = await observe(database, lines)
    assert (again.stored.new_items, again.stored.new_works) == (0, 0)
    assert await database.fetchval("select count(*) from observations") == 52


async def test_migration_keeps_earlier_observations(database: Database) -> None:
    """Weeks of history would be gone with the update."""
    folder = ROOT / "deploy" / "migrations" / "versions"

    def sql(name: str) -> str:
        return Path(folder, name).read_text(encoding="utf-8")

    async with database.pool.acquire() as conn:
        await conn.execute("create schema before")
        await conn.execute("set search_path to before")
        await conn.execute(sql("0001_spine.sql") + sql("0002_platforms.sql"))
        await conn.execute(
            "insert into items (item_id, correlation_id, origin, title, rights, decision)"
            " values ('a', '', 'scan', 't', '{}', 'found'), ('b', '', 'scan', 't', '{}', 'selected')"
        )
        await conn.execute("insert into observations (item_id, observed_at, views) values ('b', now(), 7)")
        await conn.execute(sql("0003_works.sql"))
        rows = await conn.fetch("select item_id, views, likes from observations")
        await conn.execute("reset search_path")
    assert [tuple(row) for row in rows] == [("b", 7, None)]
