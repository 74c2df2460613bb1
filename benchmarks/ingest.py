"""How fast candidates with their observations go into PostgreSQL, works found on the way: ours beside the naive way.

    python -m benchmarks.ingest [--candidates 100000 | --full] [--naive 2000] [--folder DIR]

Everything runs on an embedded PostgreSQL with the product's settings, in one run and a temporary folder.
Every candidate has 3 observations; one in twenty is seen on a second platform under the same title and length.

bulk    `observe` on a file of JSON lines: read, decode, normalise, dedupe, one transaction per batch
again   every candidate once more with one further observation, a day later: everything is known
event   `ingest` of one candidate in a transaction of its own, as an event of a scan is stored
naive   row by row in Python: look for the same title and length, upsert the item, upsert each observation; one
        transaction per candidate. It finds fewer works and keeps no keys, so it does less.
unnest, copy   the items alone, both ways of handing over a batch
read    the freshest 100,000 items with their last observations as arrays, median of 5

A rate is observations by wall time; CPU is that of this process, of the one that prepares and of the server's together.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from msgspec import Struct

from actors.ranker import observe as observing
from actors.ranker.entries import Batch, prepare
from actors.ranker.ingest import Q, ingest
from actors.ranker.observe import observe, read_line
from actors.ranker.recent import freshest
from actors.runtime.db import Database, open_database
from actors.runtime.log import setup_logging
from deploy.supervisor import Stack

AT: Final = datetime(2026, 11, 20, tzinfo=UTC)
DAYS: Final = 3
REPOSTED: Final = 20
"""One candidate in so many is a repost of the one before it."""
FRESH: Final = 100_000
PLATFORMS: Final = ("youtube", "vimeo", "dailymotion", "tiktok", "internet_archive")
WORDS: Final = (
    "creature deep sea volcano street food chess opening rocket launch night market whale squid coral reef lava"  # noqa: SIM905
    " eruption noodle master endgame gambit jelly glow abyss trench robot diver camera filmed island harbour storm"
    " winter summer secret hidden giant tiny ancient river glacier forest desert canyon bridge train".split()
)


class Row(Struct, frozen=True):
    """One line of the table."""

    way: str
    candidates: int
    observations: int
    wall_s: float
    cpu_s: float
    note: str = ""


def lines(count: int, *, seed: int, days: range = range(DAYS)) -> Iterator[bytes]:
    """Yield candidates with random ids, so that indexes are met all over."""
    rng = random.Random(seed)
    title, seconds = "", 0.0
    for number in range(count):
        if number % REPOSTED:
            title = " ".join(rng.choices(WORDS, k=8)).capitalize() + rng.choice(("", " (Official Video)", " #shorts"))
            seconds = rng.randrange(6_000, 900_000) / 1000
            site = rng.randrange(len(PLATFORMS))
        else:
            site = (site + 1) % len(PLATFORMS) if number else 0
        published = AT - timedelta(minutes=rng.randrange(1, 500_000))
        views = rng.randrange(1_000_000)
        yield json.dumps({
            "id": f"{rng.getrandbits(44):011x}",
            "platform": PLATFORMS[site],
            "title": title,
            "description": f"{title}, filmed on location by a small crew over several weeks. All rights reserved.",
            "channel": f"Channel {rng.randrange(50_000)}",
            "tags": rng.choices(WORDS, k=4),
            "published_at": published.isoformat(),
            "duration_s": seconds,
            "licence": None,
            "observations": [
                {
                    "at": (AT + timedelta(days=day, seconds=number % 80_000)).isoformat(),
                    "views": views * (day + 1), "likes": views // 30, "comments": views // 400, "shares": None,
                }
                for day in days
            ],
        }).encode() + b"\n"  # fmt: skip


class Meter:
    """Wall and CPU time of a stretch, and the highest memory since it was made."""

    def __init__(self, server: psutil.Process) -> None:
        self._me, self._server = psutil.Process(), server
        self.samples: list[tuple[float, float]] = []

    def cpu_s(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)  # the process that prepares ends with its file
        total = sum(self._me.cpu_times()[:2]) + ended.ru_utime + ended.ru_stime
        for process in (self._server, *self._server.children(recursive=True)):
            try:
                times = process.cpu_times()
                total += times.user + times.system
            except psutil.NoSuchProcess:
                continue
        return float(total)

    async def watch(self) -> None:
        while True:
            server = 0
            for process in (self._server, *self._server.children(recursive=True)):
                try:
                    server += process.memory_full_info().pss
                except psutil.Error:
                    continue
            mine = self._me.memory_info().rss
            for process in self._me.children(recursive=True):
                with suppress(psutil.Error):
                    if process not in self._server.parents() and process.name().startswith("python"):
                        mine += process.memory_info().rss
            self.samples.append((mine / 1e6, server / 1e6))
            await asyncio.sleep(2.0)  # to look at all processes takes a while itself

    def memory(self) -> str:
        """Tell the peaks of the first and the last third: flat memory has them alike."""
        third = max(len(self.samples) // 3, 1)
        first = [max(column) for column in zip(*self.samples[:third], strict=True)]
        last = [max(column) for column in zip(*self.samples[-third:], strict=True)]
        return (
            f"peak RSS of both our processes {first[0]:.0f} MB in the first third, {last[0]:.0f} MB in the last;"
            f" PSS of the server {first[1]:.0f} and {last[1]:.0f} MB"
        )


@asynccontextmanager
async def timed(
    meter: Meter, into: list[Row], way: str, candidates: int, observations: int
) -> AsyncIterator[list[str]]:
    notes: list[str] = []
    cpu, wall = meter.cpu_s(), time.perf_counter()
    yield notes
    wall = time.perf_counter() - wall
    into.append(Row(way, candidates, observations, wall, meter.cpu_s() - cpu, "; ".join(notes)))
    print(f"{way}: {candidates:,} candidates in {wall:.1f} s", flush=True)


async def naive(db: Database, some: list[bytes]) -> None:
    """Store row by row."""
    for line in some:
        seen = read_line(line)
        one = seen.candidate
        async with db.transaction() as conn:
            same = await conn.fetchval(
                "select item_id from naive_items where title = $1 and duration_us = $2 limit 1",
                one.title, one.duration_us,
            )  # fmt: skip
            await conn.execute(
                "insert into naive_items (item_id, same_as, title, url, duration_us, candidate)"
                " values ($1, $2, $3, $4, $5, $6) on conflict (item_id) do update set candidate = excluded.candidate",
                one.item_id, same, one.title, one.url, one.duration_us, one,
            )  # fmt: skip
            for at in seen.counts:
                await conn.execute(
                    "insert into naive_observations values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
                    one.item_id, at.at, at.views, at.likes, at.comments, at.shares,
                )  # fmt: skip


async def make_naive_tables(db: Database) -> None:
    await db.execute(
        "create table naive_items (item_id text primary key, same_as text, title text, url text, duration_us bigint,"
        " candidate jsonb)"
    )
    await db.execute("create index on naive_items (title)")
    await db.execute(
        "create table naive_observations (item_id text references naive_items, observed_at timestamptz, views bigint,"
        " likes bigint, comments bigint, shares bigint, primary key (item_id, observed_at))"
    )


async def one_by_one(db: Database, some: list[bytes]) -> None:
    for line in some:
        seen = read_line(line)
        async with db.transaction() as conn:
            await ingest(conn, [seen])


def columns(batch: Batch) -> list[list[Any]]:
    nothing = [None] * len(batch)
    empty = [""] * len(batch)
    bodies = [each.candidate.decode() for each in batch]
    return [[each.mark.item_id for each in batch], empty, empty, nothing, bodies, nothing]


async def by_unnest(db: Database, batch: Batch) -> None:
    async with db.transaction() as conn:
        await conn.execute(Q["lock_works"])
        await conn.fetch(Q["put_items"], *columns(batch))


async def by_copy(db: Database, batch: Batch) -> None:
    head, rest = Q["put_items"].split("from unnest", 1)
    async with db.transaction() as conn:
        await conn.execute(Q["lock_works"])
        await conn.execute(
            "create temporary table given (item_id text, correlation_id text, niche text, score float8,"
            " candidate text, reasons text) on commit drop"
        )
        await conn.copy_records_to_table("given", records=zip(*columns(batch), strict=True))
        await conn.fetch(f"{head} from given {rest[rest.index('offset 0') :]}")


async def measure(options: argparse.Namespace, folder: Path, rows: list[Row]) -> None:
    files = {"bulk": (folder / "first.jsonl", range(DAYS)), "again": (folder / "again.jsonl", range(DAYS, DAYS + 1))}
    for file, days in files.values():
        with file.open("wb") as out:
            out.writelines(lines(options.candidates, seed=1, days=days))
        print(f"{options.candidates:,} candidates, {file.stat().st_size / 1e6:.0f} MB of lines", flush=True)
    async with (
        Stack(folder / "data", need_nats=False) as stack,
        open_database(str(stack.database_url), max_size=2, name="benchmark") as db,
    ):
        server = next(psutil.Process(child.pid) for child in stack.children if child.name == "postgres" and child.pid)
        meter = Meter(server)
        some = list(lines(options.naive, seed=2))
        await make_naive_tables(db)
        for part in range(2):  # interleaved, so that the machine's mood meets both
            mine = some[part::2]
            async with timed(meter, rows, "naive", len(mine), len(mine) * DAYS):
                await naive(db, mine)
            async with timed(meter, rows, "event", len(mine), len(mine) * DAYS):
                await one_by_one(db, mine)
        await compare_handing_over(db, meter, rows)
        watching = asyncio.create_task(meter.watch())
        for way, (file, days) in files.items():
            async with timed(meter, rows, way, options.candidates, options.candidates * len(days)) as notes:
                with file.open("rb") as lines_read:
                    got = await observe(db, lines_read)
                notes.append(f"{got.stored.new_works:,} new works, {got.stored.joined:,} joined")
                assert got.bad_lines == 0
            if way == "bulk":
                told = meter.memory()
        watching.cancel()
        took = []
        for _ in range(5):
            started = time.perf_counter()
            async with db.transaction() as conn:
                read = await freshest(conn, FRESH)
            took.append(time.perf_counter() - started)
        held = int((read.at_s == read.at_s).sum())
        told_all = f"median; all: {', '.join(f'{each:.3f}' for each in took)} s"
        rows.append(Row("read", len(read.item_ids), held, statistics.median(took), 0.0, told_all))
        print(told)


async def compare_handing_over(db: Database, meter: Meter, rows: list[Row]) -> None:
    size = observing.BATCH // 2
    source = lines(size * 4, seed=3)
    for at in range(4):
        batch = prepare(read_line(line) for line in itertools.islice(source, size))
        way, run = ("unnest", by_unnest) if at in {0, 3} else ("copy", by_copy)
        async with timed(meter, rows, way, size, 0):
            await run(db, batch)


def summed(rows: list[Row]) -> list[Row]:
    table = []
    for way, group in itertools.groupby(sorted(rows, key=lambda row: row.way), key=lambda row: row.way):
        each = list(group)
        table.append(
            Row(
                way,
                sum(row.candidates for row in each),
                sum(row.observations for row in each),
                sum(row.wall_s for row in each),
                sum(row.cpu_s for row in each),
                "; ".join(row.note for row in each if row.note),
            )
        )
    return sorted(table, key=lambda row: ("naive", "event", "unnest", "copy", "bulk", "again", "read").index(row.way))


def report(rows: list[Row]) -> None:
    table = summed(rows)
    plain = next(row for row in table if row.way == "naive")
    base = plain.observations / plain.wall_s
    print("| way | candidates | wall, s | observations/s | to naive | CPU per candidate, us | |")
    print("|---|---|---|---|---|---|---|")
    for row in table:
        rate = row.observations / row.wall_s
        told = (
            f"{rate:,.0f} | {rate / base:.1f}"
            if row.observations
            else f"({row.candidates / row.wall_s:,.0f} items/s) | "
        )
        print(
            f"| {row.way} | {row.candidates:,} | {row.wall_s:.2f} | {told} |"
            f" {1e6 * row.cpu_s / row.candidates:.0f} | {row.note} |"
        )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 candidates")
    parser.add_argument("--naive", type=int, default=2_000, help="candidates for the slow ways")
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    options = parser.parse_args()
    options.candidates = 1_000_000 if options.full else options.candidates
    setup_logging(actor="bench", level="error")
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    print(f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}; load before: {os.getloadavg()[0]:.1f}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as temporary:
        asyncio.run(measure(options, Path(temporary), rows))
    report(rows)
    print(f"load after: {os.getloadavg()[0]:.1f}; a load above the number of cores is other work on the machine")
    sys.stdout.flush()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
