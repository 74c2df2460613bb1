"""A predecessor's database, copied: every row is copied or skipped for a reason, and only once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from click.testing import CliRunner
from nats.aio.client import Client

from actors.runtime.db import Database
from contracts.errors import Reject
from contracts.flow import STREAM
from deploy.cli import main
from deploy.legacy import Tally, copy_legacy, render
from deploy.legacy.read import is_secret, record
from deploy.legacy.source import BLOCK
from deploy.supervisor import Stack
from tests.stack import cloned, sibling

PASSWORD: Final = "a-password-that-is-kept-nowhere"
TOKEN: Final = "a-token-that-is-kept-nowhere"

SCHEMA: Final = """
create table users (id integer primary key, username text, email text, hashed_password text, is_active integer,
    created_at text);
create table system_settings (id integer primary key, key text, value text, updated_at text);
create table video_filters (id integer primary key, name text, parameters text, is_enabled integer);
create table content_candidates (id integer primary key, platform text, external_id text, url text, title text,
    author text, views integer, likes integer, comments integer, duration_seconds integer, niche text,
    discovered_at text);
create table viral_patterns (id integer primary key, pattern_type text, score double precision, metadata text);
create table social_accounts (id integer primary key, user_id integer, platform text, username text,
    platform_user_id text, access_token text, refresh_token text, expires_at text, is_active integer);
create table niche_trends (id integer primary key, niche text, growth double precision, is_mock integer);
create table published_content (id integer primary key, candidate_id integer, social_account_id integer, platform text,
    title text, description text, platform_post_id text, url text, status text, views integer, published_at text);
create table video_jobs (id integer primary key, status text, input_url text, output_path text, created_at text);
create table monitored_niches (id integer primary key, niche text, platform text, is_active integer,
    scan_interval_hours integer, last_scanned_at text);
create table affiliate_links (id integer primary key, product_name text, niche text, link text, cta_text text,
    is_active integer, created_at text);
create table revenue_logs (id integer primary key, published_content_id integer, platform text, source text,
    amount double precision, currency text, earned_at text, metadata text);
create table nexus_jobs (id text primary key, status text, graph text, created_at text);
create table ab_tests (id integer primary key, variant_a text, variant_b text, winner text, created_at text);
create table scheduled_posts (id integer primary key, video_path text, platform text, scheduled_time text, status text);
"""

AT: Final = "2026-03-01T12:00:00"


def rows_of(table: str, count: int) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a table; every tenth is one that must not be copied, where the table can have such."""
    for n in range(1, count + 1):
        bad = n % 10 == 0
        yield {
            "users": (n, f"user{n}", f"u{n}@example.net", PASSWORD, 1, AT),
            "system_settings": (n, f"openai_api_key_{n}" if bad else f"setting_{n}", PASSWORD if bad else "on", AT),
            "video_filters": (n, f"filter {n}", '{"speed": 1.1}', 1),
            "content_candidates": (
                n,
                "myspace" if bad else "YouTube",
                f"vid-{n:07}",
                f"https://www.youtube.com/watch?v=vid-{n:07}",
                f"Deep sea creature number {n}",
                f"channel {n % 7}",
                n * 100,
                n,
                None,
                30 + n % 30,
                "deep sea",
                AT,
            ),
            "viral_patterns": (n, "hook", 0.9, '{"mock": true}' if bad else "{}"),
            "social_accounts": (
                n,
                1,
                "youtube" if n % 2 else "tiktok",
                f"channel{n}",
                "" if bad else f"UC{n}",
                TOKEN,
                TOKEN,
                AT,
                1,
            ),
            "niche_trends": (n, f"niche {n}", 12.5, 1 if bad else 0),
            "published_content": (
                n,
                n if n % 3 else None,
                1 if n % 2 else None,
                "youtube",
                f"Post {n}",
                "words",
                f"mock_{n}" if bad else f"post-{n:06}",
                f"https://www.youtube.com/watch?v=post-{n:06}",
                "published" if n % 10 != 5 else "failed",
                10**6,
                AT,
            ),
            "video_jobs": (n, "done", "https://youtu.be/x", f"/out/{n}.mp4", AT),
            "monitored_niches": (n, "" if bad else f"Niche {n}", "youtube", n % 2, 12, AT),
            "affiliate_links": (
                n,
                f"Lamp {n}",
                "deep sea",
                "https://example.com/mock" if bad else f"https://shop.tld/{n}",
                "Buy",
                n % 2,
                AT,
            ),
            "revenue_logs": (
                n,
                n,
                "youtube",
                "mock" if bad else ("estimated" if n % 10 == 5 else "adsense"),
                n + 0.1,
                "USD",
                AT,
                '{"simulated": true}' if n % 10 == 7 else None,
            ),
            "nexus_jobs": (f"job-{n:06}", "done", f'{{"nodes": [1], "api_key": "{TOKEN}"}}', AT),
            "ab_tests": (n, "a", "b", "a", AT),
            "scheduled_posts": (n, f"/out/{n}.mp4", "youtube", AT, "pending"),
        }[table]


TABLES: Final = (
    "users", "system_settings", "video_filters", "content_candidates", "viral_patterns", "social_accounts",
    "niche_trends", "published_content", "video_jobs", "monitored_niches", "affiliate_links", "revenue_logs",
    "nexus_jobs", "ab_tests", "scheduled_posts",
)  # fmt: skip
COPIED: Final = {
    "users": 10, "system_settings": 9, "video_filters": 10, "content_candidates": 9, "viral_patterns": 9,
    "social_accounts": 9, "niche_trends": 9, "published_content": 8, "video_jobs": 10, "monitored_niches": 9,
    "affiliate_links": 9, "revenue_logs": 7, "nexus_jobs": 10, "ab_tests": 10, "scheduled_posts": 10,
}  # fmt: skip
"""Of ten rows, those that have a place here."""


def make_sqlite(file: Path, count: int) -> str:
    with sqlite3.connect(file) as connection:
        connection.executescript(SCHEMA)
        for table in TABLES:
            rows = rows_of(table, count)
            first = next(rows)
            marks = ", ".join("?" * len(first))
            connection.execute(f"insert into {table} values ({marks})", first)
            connection.executemany(f"insert into {table} values ({marks})", rows)
    connection.close()
    return f"sqlite:///{file}"


async def make_postgres(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    for table in TABLES:
        await connection.copy_records_to_table(table, records=list(rows_of(table, count)))
    await connection.close()


def tallied(found: Sequence[Tally]) -> dict[str, tuple[int, int, int, int]]:
    return {one.table: (one.read, one.copied, one.known, sum(one.skipped.values())) for one in found}


def expected(count: int, *, again: bool) -> dict[str, tuple[int, int, int, int]]:
    tenth = count // 10
    return {
        name: (count, 0 if again else copied * tenth, copied * tenth if again else 0, (10 - copied) * tenth)
        for name, copied in COPIED.items()
    }


async def snapshot(database: Database) -> dict[str, tuple[int, str]]:
    """Return of each table how many rows it has, and which transaction wrote last."""
    names = await database.fetch("select tablename from pg_tables where schemaname = 'public' order by tablename")
    found = {}
    for name in (row["tablename"] for row in names):
        row = await database.fetchrow(f'select count(*) as rows, max(xmin::text::bigint)::text as last from "{name}"')
        assert row is not None
        found[name] = (row["rows"], row["last"])
    return found


async def test_ten_thousand_rows_a_table_are_copied_once(database: Database, tmp_path: Path) -> None:
    """What a person had would be lost or doubled, or figures that were invented would be taken for real ones."""
    url = make_sqlite(tmp_path / "old.db", 10_000)
    before = (tmp_path / "old.db").read_bytes()
    first = await copy_legacy(database, url)
    assert tallied(first) == expected(10_000, again=False)
    after_first = await snapshot(database)
    second = await copy_legacy(database, url)
    assert tallied(second) == expected(10_000, again=True)
    assert await snapshot(database) == after_first, "a second run changes nothing"
    assert (tmp_path / "old.db").read_bytes() == before, "the source is only read"
    assert not list(tmp_path.glob("old.db-*"))
    places = ("niches", "accounts", "affiliate_links", "posts", "revenue_entries")
    assert [after_first[name][0] for name in places] == [9_000, 9_000, 9_000, 8_000, 7_000]
    assert await database.fetchval("select count(*) from items where platform = 'youtube'") == 9_000
    await _check_content(database)


async def _check_content(database: Database) -> None:
    entry = await database.fetchrow("select * from revenue_entries where source_key = '1'")
    assert entry is not None
    assert (entry["amount_minor"], entry["currency"], entry["item_id"]) == (110, "USD", "youtube:vid-0000001")
    total = await database.fetchval("select sum(amount_minor) from revenue_entries")
    numbers = [n for n in range(1, 10_001) if n % 10 not in {0, 5, 7}]
    assert total == sum(n * 100 + 10 for n in numbers)
    given = await database.fetch("select distinct payload from outbox where subject = 'ett.revenue.recorded'")
    assert len(given) == 7_000
    account = await database.fetchrow("select * from accounts where account_id = 'youtube:UC1'")
    assert account is not None
    assert (account["state"], account["tokens"]) == ("reconnect_needed", None)
    posts = await database.fetch("select draft, request from posts limit 1")
    assert posts[0]["draft"]["marker"].startswith("ett")
    dump = "\n".join([
        str(await database.fetchval(f"select string_agg(t::text, '|') from {table} t"))
        for table in ("legacy_records", "accounts", "posts", "items", "niches", "affiliate_links")
    ])  # fmt: skip
    assert PASSWORD not in dump
    assert TOKEN not in dump
    assert "filter 7" in dump
    assert await database.fetchval("select count(*) from measurements") == 0, "old counts are measured anew"


async def test_a_postgresql_database_is_copied_alike(database: Database, database_url: str) -> None:
    """A predecessor that ran on PostgreSQL could not be left behind."""
    async with cloned(sibling(database_url, "template1")) as old:
        await make_postgres(old, 1_000)
        assert tallied(await copy_legacy(database, old)) == expected(1_000, again=False)
        assert tallied(await copy_legacy(database, old)) == expected(1_000, again=True)
        server = await asyncpg.connect(old)
        assert await server.fetchval("select count(*) from revenue_logs") == 1_000
        await server.close()


async def test_memory_stays_flat(database: Database, tmp_path: Path) -> None:
    """A database of years would be read whole into memory."""

    async def peak(count: int) -> int:
        file = tmp_path / f"{count}.db"
        with sqlite3.connect(file) as connection:
            connection.execute("create table video_jobs (id integer primary key, status text)")
            rows = ((n, "x" * 4000) for n in range(count))
            connection.executemany("insert into video_jobs values (?, ?)", rows)
        connection.close()
        tracemalloc.start()
        await copy_legacy(database, f"sqlite:///{file}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    await peak(BLOCK)
    small, large = await peak(BLOCK * 2), await peak(BLOCK * 20)
    assert large < small * 2


async def test_a_run_that_was_cut_off_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in the middle would leave half a copy that is doubled or never finished."""
    url = make_sqlite(tmp_path / "old.db", 1_000)
    from deploy.legacy import tables

    real = tables.Posts.write

    async def dies(self: Any, tx: Any, rows: Any, context: Any) -> set[str]:
        await real(self, tx, rows, context)
        if any(row.id == "999" for row in rows):
            raise ConnectionResetError
        return {row.id for row in rows}

    monkeypatch.setattr(tables.Posts, "write", dies)
    with pytest.raises(ConnectionResetError):
        await copy_legacy(database, url)
    assert 0 < await database.fetchval("select count(*) from posts") < 800
    monkeypatch.undo()
    done = tallied(await copy_legacy(database, url))["published_content"]
    assert (done[0], done[1] + done[2], done[3]) == (1_000, 800, 200)
    assert await database.fetchval("select count(*) from posts") == 800


async def test_a_schema_that_does_not_fit_is_named_before_anything_is_written(
    database: Database, tmp_path: Path
) -> None:
    """Half of a wrong database would be copied before the first missing column shows."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.executescript("create table users (id integer); insert into users values (1);")
        connection.executescript("create table revenue_logs (id integer, value real)")
        connection.executescript("create table monitored_niches (id integer)")
    connection.close()
    with pytest.raises(Reject, match="monitored_niches has no niche; revenue_logs has no amount") as told:
        await copy_legacy(database, f"sqlite:///{file}")
    assert "docs/data-model.md" in str(told.value)
    assert await database.fetchval("select count(*) from legacy_records") == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite:////nowhere/at/all.db", "postgresql://127.0.0.1:1/none"])
async def test_what_cannot_be_read_is_said_plainly(database: Database, url: str) -> None:
    """A person would see a trace of a driver."""
    with pytest.raises(Reject):
        await copy_legacy(database, url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://x/y", "sqlite:///FILE or postgresql://"),
        ("sqlite:////nowhere/at/all.db", "there is no database /nowhere/at/all.db"),
        ("sqlite:///text.db", "cannot be read as SQLite"),
        ("sqlite:///empty.db", "none of the predecessor's tables"),
        ("postgresql://127.0.0.1:1/none", "cannot be reached"),
        ("sqlite:///old.db --currency EURO", "no ISO 4217 currency"),
    ],
)
async def test_nothing_is_migrated_for_an_address_that_cannot_be_read(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, told: str
) -> None:
    """A person's database has a new schema, and the command that they meant cannot be run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.db").write_bytes(b"no database at all" * 100)
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.executescript("create table users (id integer, username text); insert into users values (1, 'a')")
    assert stack.database_url is not None
    async with cloned(sibling(stack.database_url, "template1")) as empty:
        env = {"DATABASE_URL": empty, "NATS_URL": "nats://127.0.0.1:1", "DATA_DIR": str(tmp_path)}
        words = ["migrate", "--from-legacy", *url.split()]
        done = await asyncio.to_thread(CliRunner(env=env).invoke, main, words)
        assert done.exit_code == 2, done.output
        assert done.output.startswith("error: ")
        assert told in done.output
        server = await asyncpg.connect(empty)
        try:
            assert await server.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        finally:
            await server.close()


async def test_a_predecessor_is_copied_after_the_migration(
    nats_admin: Client, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check before the migration would be all that the command does."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.executescript("create table monitored_niches (id integer, niche text, platform text, is_active integer)")
        old.execute("insert into monitored_niches values (1, 'deep sea', 'youtube', 1)")
    assert stack.database_url is not None
    # The fixtures' stream lies in memory, which the one that is migrated does not.
    await nats_admin.jetstream().delete_stream(STREAM.name)
    async with cloned(sibling(stack.database_url, "template1")) as empty:
        env = {"DATABASE_URL": empty, "NATS_URL": str(stack.admin_url), "DATA_DIR": str(tmp_path)}
        words = ["migrate", "--from-legacy", "sqlite:///old.db"]
        done = await asyncio.to_thread(CliRunner(env=env).invoke, main, words)
        assert done.exit_code == 0, done.output
        assert "database: applied 0001" in done.output
        assert "monitored_niches: 1 read, 1 copied, 0 known before, 0 skipped" in done.output
    await nats_admin.jetstream().delete_stream(STREAM.name)


async def test_a_file_that_is_no_database_is_said_plainly(database: Database, tmp_path: Path) -> None:
    """A person would see a trace of a driver."""
    (tmp_path / "old.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(Reject, match="SQLite"):
        await copy_legacy(database, f"sqlite:///{tmp_path / 'old.db'}")


@pytest.mark.parametrize(
    "name",
    ["openai_key", "GEMINI_KEY", "openaiKey", "aws_access_key_id", "AWS_ACCESS_KEY", "stripe_sk", "smtp_pass", "dsn",
     "SENTRY_DSN", "database_url", "DATABASE_URL", "redis_uri", "db_pwd", "connection_string", "access_token"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    """A key of the old system lies readable in the new one."""
    assert is_secret(name)
    assert record({name: "x", "details": {name: "y"}, "id": 1}) == {"details": {}, "id": 1}


@pytest.mark.parametrize("name", ["key", "keyword", "monkey", "url", "link_url", "passed", "risk", "task", "database"])
def test_other_names_are_no_secrets(name: str) -> None:
    """Rows that are no secret are not copied."""
    assert not is_secret(name)


async def test_addresses_with_a_password_are_not_copied(database: Database, tmp_path: Path) -> None:
    """A password lies readable where its name does not tell of one."""
    file = tmp_path / "old.db"
    told = f"see postgresql://app:{PASSWORD}@db/x"
    with sqlite3.connect(file) as connection:
        connection.executescript(SCHEMA)
        connection.execute("insert into system_settings values (1, 'storage', ?, '')", (told,))
        connection.execute("insert into system_settings values (2, 'site', 'https://site.tld:80/@me', '')")
        connection.execute("insert into video_jobs values (1, 'done', ?, '', '')", (told,))
        connection.execute("insert into nexus_jobs values ('1', 'done', ?, '')", (json.dumps({"at": [told]}),))
    connection.close()
    found = tallied(await copy_legacy(database, f"sqlite:///{file}"))
    assert found["system_settings"] == (2, 1, 0, 1)
    kept = await database.fetchval("select string_agg(t::text, '|') from legacy_records t")
    assert PASSWORD not in kept
    assert "site.tld" in kept
    assert kept.count("an address with a password, not copied") == 2


async def test_odd_rows_are_skipped_and_named(database: Database, tmp_path: Path) -> None:
    """One odd row would end the copy of a whole database."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(SCHEMA)
        connection.executemany(
            "insert into revenue_logs (id, source, amount, currency, earned_at) values (?, ?, ?, ?, ?)",
            [
                (1, "adsense", "much", "USD", AT),
                (2, "adsense", 1.0, "QQQ", AT),
                (3, "adsense", 1.0, "USD", "someday"),
                (4, "", 1.0, "USD", AT),
                (5, "adsense", 1.0, None, AT),
                (6, "adsense", float("inf"), "USD", AT),
                (7, "ad\0sense", 1.0, "USD", AT),
                (8, "adsense", 10.005, "usd", AT),
            ],
        )
    connection.close()
    found = {one.table: one for one in await copy_legacy(database, f"sqlite:///{file}", currency="EUR")}
    revenue = found["revenue_logs"]
    assert (revenue.read, revenue.copied, sum(revenue.skipped.values())) == (8, 2, 6)
    rows = await database.fetch("select source_key, amount_minor, currency from revenue_entries order by source_key")
    assert [tuple(row) for row in rows] == [("5", 100, "EUR"), ("8", 1000, "USD")]
    lines = render(tuple(found.values()))
    assert "revenue_logs: 8 read, 2 copied, 0 known before, 6 skipped" in lines
    assert any("no source is named" in line for line in lines)
