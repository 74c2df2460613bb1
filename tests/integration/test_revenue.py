"""Money in a real database: entries and their corrections, sources over real HTTP, profit and loss, the command."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from yarl import URL

from actors.editor.words import SourceText
from actors.editor.writer import post_text
from actors.platforms import youtube
from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from actors.runtime.links import marker_of
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from actors.tracker.revenue import youtube_revenue
from actors.tracker.revenue.collect import collect_revenue
from actors.tracker.revenue.costs import import_prices, read_prices
from actors.tracker.revenue.csv_import import Map, import_file, save_map
from actors.tracker.revenue.entries import Entry, Recorded, record, record_all
from actors.tracker.revenue.money import Money
from actors.tracker.revenue.profit import Line, Report, report
from actors.tracker.revenue.rates import import_rates
from contracts.ids import AccountId, ItemId, PostId
from contracts.platform import Draft
from contracts.rights import RightsRecord
from deploy.revenue import revenue
from deploy.sandbox.context import Refused, Sandbox
from deploy.sandbox.faults import Switchboard, parse_fault
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds.shopify import CREDENTIALS, Shopify
from deploy.sandbox.settings import SandboxSettings
from tests.channel import Channel, HandClock, connected_channel
from tests.journal import Notes

TODAY: Final = date(2026, 11, 23)
NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="tracker", time_scale=1.0) as found:
        yield found


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, sender="tracker", clock=HandClock(), ttl_s=5.0)


async def post(
    db: Database, number: int = 1, *, account: str | None = None, video: str = "", at: datetime = NOW
) -> PostId:
    """Write a published post and its item."""
    name = PostId(f"{number:08x}-0000-5000-8000-000000000000")
    await db.execute(
        "insert into items (item_id, correlation_id, origin, title, rights, decision)"
        " values ($1, 'c', 'import', $2, '{}', 'imported') on conflict do nothing",
        f"item-{number}",
        f"Video {number}",
    )
    await db.execute(
        "insert into posts (post_id, item_id, platform, account_id, state, draft, object_key, size_bytes,"
        " platform_post_id, correlation_id, request, published_at)"
        " values ($1, $2, 'youtube', $3, 'published', '{}', 'k', 1, $4, 'c', '{}', $5)",
        name,
        f"item-{number}",
        account,
        video or f"video-{number:05}",
        at,
    )
    return name


async def told(db: Database) -> list[dict[str, Any]]:
    """Return the events of revenue in the outbox, oldest first."""
    rows = await db.fetch("select payload from outbox where subject = 'ett.revenue.recorded' order by id")
    return [msgspec.json.decode(row["payload"]) for row in rows]


async def sums(db: Database) -> dict[str, int]:
    rows = await db.fetch("select source, sum(amount_minor)::bigint as minor from revenue_entries group by source")
    return {row["source"]: row["minor"] for row in rows}


# Entries ------------------------------------------------------------------------------------------


def entry(key: str, minor: int, **more: Any) -> Entry:
    return Entry(source="test", key=key, amount=Money(minor, "EUR"), earned_on=TODAY, **more)


async def test_the_same_row_is_one_entry_and_another_number_is_a_correction(database: Database, ledger: Ledger) -> None:
    """An estimate that is corrected would be earned twice, or what was said before be lost."""
    assert await record(ledger, [entry("a", 100), entry("b", 5)], now=NOW) == Recorded(new=2)
    assert await record(ledger, [entry("a", 100), entry("b", 5)], now=NOW) == Recorded(known=2)
    assert await record(ledger, [entry("a", 70), entry("b", 5)], now=NOW) == Recorded(corrected=1, known=1)
    assert await sums(database) == {"test": 75}
    history = await database.fetch("select revision, amount_minor from revenue_changes")
    assert [tuple(row) for row in history] == [(1, 100)]
    events = [one for one in await told(database) if one["entry_id"] == entry("a", 0).id]
    assert [one["amount_minor"] for one in events] == [100, 70]
    assert len({one["event_id"] for one in events}) == 2


async def test_entries_and_events_stand_or_fall_together(database: Database, ledger: Ledger) -> None:
    """Money would be told that is not in the books, or be in the books and never told."""
    with pytest.raises(Exception, match="posts"):
        await record(ledger, [entry("a", 1), entry("b", 2, post_id=PostId("nowhere"))], now=NOW)
    assert await sums(database) == {}
    assert await told(database) == []


async def test_two_importers_at_once_make_one_entry(database: Database, ledger: Ledger) -> None:
    """Two people, or two replicas, would double what was earned, or one of them fail."""
    entries = [entry(f"k{number}", number) for number in range(1200)]
    done = await asyncio.gather(*(record_all(ledger, entries[::step], now=NOW) for step in (1, -1, 1, -1)))
    assert sum(one.new for one in done) == 1200
    assert sum(one.corrected for one in done) == 0
    assert len(await told(database)) == 1200


async def test_corrections_at_once_lose_nothing_of_what_stood(database: Database, ledger: Ledger) -> None:
    """Of two corrections at once, one would overwrite what the other said without a trace."""
    await record(ledger, [entry("a", 0)], now=NOW)
    await asyncio.gather(*(record(ledger, [entry("a", minor)], now=NOW) for minor in range(1, 9)))
    history = await database.fetch("select revision, amount_minor from revenue_changes order by revision")
    last = await database.fetchval("select amount_minor from revenue_entries")
    assert [row["revision"] for row in history] == list(range(1, 9))
    assert sorted([*(row["amount_minor"] for row in history), last]) == list(range(9))


# CSV ----------------------------------------------------------------------------------------------

FORM: Final = Map(
    date="Datum", amount="Provision", currency="EUR", id=("Nr",), post="SubID", decimal=",", date_format="%d.%m.%Y"
)


async def test_a_file_is_imported_once_and_its_changes_are_corrections(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    """A person who is not sure imports again: what was earned would double."""
    name = await post(database)
    await save_map(database, "net", FORM, now=NOW)
    file = tmp_path / "report.csv"

    async def take(text: str) -> Any:
        file.write_bytes(b"\xef\xbb\xbf" + text.encode())
        return await import_file(database, ledger, file, FORM, name="net", now=NOW)

    head = "Bericht;;;\r\nDatum;Nr;Provision;SubID\r\n"
    rows = f"01.11.2026;1;1.234,50;{marker_of(name)}\r\n02.11.2026;2;3,10;\r\n03.11.2026;3;zehn;\r\n"
    first = await take(head + rows)
    assert (first.recorded, first.attributed, first.rejected_rows) == (Recorded(new=2), 1, 1)
    assert first.rejected[0].line == 5
    assert (await take(head + rows)).recorded == Recorded(known=2)
    changed = await take(head + rows.replace("3,10", "-3,10"))
    assert changed.recorded == Recorded(corrected=1, known=1)
    assert await sums(database) == {"csv:net": 123_450 - 310}
    row = await database.fetchrow("select item_id, post_id, platform from revenue_entries where source_key = '1'")
    assert row is not None
    assert tuple(row) == ("item-1", name, "youtube")
    event = next(one for one in await told(database) if one["amount_minor"] == 123_450)
    assert (event["item_id"], event["source"], event["currency"]) == ("item-1", "csv:net", "EUR")


async def test_a_row_that_is_left_out_now_takes_its_entry_back(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    """A commission that the network declined stays earned for ever."""
    form = Map(date="d", amount="a", currency="EUR", id=("id",), skip={"s": ("declined",)})
    file = tmp_path / "report.csv"

    async def take(*rows: str) -> Any:
        file.write_text("\n".join(("id,d,a,s", *rows)) + "\n")
        return await import_file(database, ledger, file, form, name="net", now=NOW)

    await take("1,2026-11-01,10.00,approved", "2,2026-11-01,1.00,approved")
    declined = ("1,2026-11-01,10.00,declined", "9,2026-11-01,5.00,declined", "2,2026-11-01,1.00,approved")
    done = await take(*declined)
    assert (done.left_out, done.recorded) == (2, Recorded(corrected=1, known=1))
    assert await sums(database) == {"csv:net": 100}
    assert [one["amount_minor"] for one in await told(database)][-1] == 0
    assert (await take(*declined)).recorded == Recorded(known=1), "the same file again changes nothing"
    assert (await take(*declined, "1,2026-11-01,10.00,approved")).recorded == Recorded(corrected=1, known=1)
    assert await sums(database) == {"csv:net": 1100}


async def test_rates_and_prices_that_come_twice_count_once(database: Database) -> None:
    """A file with a line twice ends in a trace of the database."""
    done = await import_rates(database, ["Date,USD\n", "2026-11-20,1.1\n", "2026-11-20,1.10\n"], source="s", now=NOW)
    assert (done.rates, done.new) == (1, 1)
    head, line = "kind,name,amount,currency,per,from,source", "render_seconds,,1,EUR,1,2026-01-01,bill"
    assert await import_prices(database, read_prices([head, line, line]), now=NOW) == (1, 0)


async def test_earnings_per_thousand_need_the_views_of_every_place(database: Database, ledger: Ledger) -> None:
    """What a platform without views earned is divided by the views of another one."""
    first = await post(database, 1)
    await database.execute(
        "insert into measurements (post_id, bucket, measured_at, age_s, views) values ($1, 0, $2, 0, 1000)", first, NOW
    )
    await record(ledger, [entry("a", 1000, item_id=ItemId("item-1"), post_id=first, platform="youtube")], now=NOW)
    assert line(await report(database, by="item", today=TODAY), "item-1").per_thousand_minor == 1000
    await database.execute(
        "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, platform_post_id,"
        " correlation_id, request, published_at, shown_at)"
        " values ('p2', 'item-1', 'x', 'published', '{}', 'k', 1, 'p2', 'c', '{}', $1, $2)",
        NOW,
        NOW + timedelta(days=1),
    )
    assert line(await report(database, by="item", today=TODAY), "item-1").per_thousand_minor == 1000, "not shown yet"
    await database.execute("update posts set shown_at = null")
    made = await report(database, by="item", today=TODAY)
    for one in (line(made, "item-1"), made.total):
        assert (one.views, one.per_thousand_minor) == (1000, None)
        assert one.absent["per_thousand"] == "views are not known of every place: x"


async def test_files_of_other_encodings_are_read_or_refused_plainly(
    database: Database, ledger: Ledger, tmp_path: Path
) -> None:
    """A file of an office program would end in a trace, or in rows of nonsense."""
    form = msgspec.structs.replace(FORM, post=None, note=("Händler",))
    text = "Datum;Nr;Provision;Händler\n01.11.2026;1;1,00;Müller\n"
    file = tmp_path / "report.csv"
    for number, encoding in enumerate(("utf-16", "utf-8", "cp1252")):
        file.write_text(text.replace(";1;", f";{number};"), encoding=encoding)
        given = msgspec.structs.replace(form, encoding="cp1252") if encoding == "cp1252" else form
        done = await import_file(database, ledger, file, given, name="net", now=NOW)
        assert done.recorded.new == 1, encoding
    notes = await database.fetch("select distinct note from revenue_entries")
    assert [row["note"] for row in notes] == ["Müller"]
    with pytest.raises(Exception, match="is not written in utf-8"):
        await import_file(database, ledger, file, form, name="net", now=NOW)


# Profit and loss ----------------------------------------------------------------------------------


def line(made: Report, key: str) -> Line:
    return next(one for one in made.lines if one.key == key)


async def test_profit_and_loss_is_known_only_where_every_part_is(database: Database, ledger: Ledger) -> None:
    """A video would show a profit that leaves out what it cost, or revenue that no source told of."""
    name = await post(database, 1)
    await post(database, 2)
    await database.execute(
        "insert into renditions (plan_id, item_id, plan, rendition, started_at, finished_at)"
        " values ('p', 'item-1', '{}', '{\"size_bytes\": 1000000000}', $1, $2)",
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 1, 0, 1, 40, tzinfo=UTC),
    )
    await database.execute(
        "insert into measurements (post_id, bucket, measured_at, age_s, views)"
        " values ($1, 0, $2, 0, 10), ($1, 1, $2, 9, 4000)",
        name,
        NOW,
    )
    made = await report(database, by="item", today=TODAY)
    first = line(made, "item-1")
    assert (first.earned_minor, first.spent_minor, first.profit_minor) == (None, None, None)
    assert first.absent["earned"] == "no source told of any revenue"
    assert "no price of" in first.absent["spent"]
    assert line(made, "item-2").absent["spent"] == "nothing that it used is recorded"

    dollars = Entry(source="manual", key="1", amount=Money(1050, "USD"), earned_on=date(2026, 11, 22), item_id="item-1")  # type: ignore[arg-type]
    await record(ledger, [dollars], now=NOW)
    made = await report(database, by="item", today=TODAY, currency="EUR")
    assert line(made, "item-1").earned_minor is None
    assert "no rate from USD to EUR" in line(made, "item-1").absent["earned"]
    made = await report(database, by="item", today=TODAY)
    assert (made.currency, line(made, "item-1").earned_minor) == ("USD", 1050)

    await database.execute(
        "insert into exchange_rates values ('2026-11-20', 'USD', 1.05, 'ECB', now()),"
        " ('2026-10-30', 'USD', 1.00, 'ECB', now())"
    )
    await database.execute(
        "insert into prices (kind, valid_from, amount_minor, currency, per, source, imported_at) values"
        " ('render_seconds', '2026-01-01', 1, 'EUR', 10, 'bill', now()),"
        " ('storage_byte_days', '2026-01-01', 3, 'USD', 30000000000, 'bill', now())"
    )
    made = await report(database, by="item", today=TODAY, currency="EUR")
    first = line(made, "item-1")
    assert first.earned_minor == 1000
    assert first.spent == {"render_seconds": 10, "storage_byte_days": 2}
    assert (first.spent_minor, first.profit_minor) == (12, 988)
    assert (first.views, first.per_thousand_minor) == (4000, 250)
    assert made.rates == (date(2026, 10, 30), date(2026, 11, 20))
    assert made.total.profit_minor == 988
    by_month = await report(database, by="month", today=TODAY, currency="EUR")
    assert [(one.key, one.earned_minor, one.spent_minor) for one in by_month.lines] == [("2026-11", 1000, 12)]
    by_place = await report(database, by="platform", today=TODAY, currency="EUR")
    assert line(by_place, "youtube").spent_minor is None
    assert "--by item" in line(by_place, "youtube").absent["spent"]


async def test_tokens_that_were_not_recorded_leave_the_cost_unknown(database: Database) -> None:
    """The words of a model would be free."""
    await post(database, 1)
    await database.execute(
        "insert into written_texts (item_id, asked, model, said) values ('item-1', 'x', 'big-model', '{}')"
    )
    await database.execute(
        "insert into prices (kind, valid_from, amount_minor, currency, per, source, imported_at) values"
        " ('llm_input_tokens', '2026-01-01', 100, 'EUR', 1000, 'page', now()),"
        " ('llm_output_tokens', '2026-01-01', 200, 'EUR', 1000, 'page', now())"
    )
    today = datetime.now(UTC).date()
    found = line(await report(database, by="item", today=today), "item-1")
    assert found.spent_minor is None
    assert "the tokens of big-model were not recorded" in found.absent["spent"]
    await database.execute(
        "insert into usages (usage_id, item_id, kind, name, amount, used_at) values"
        " ('u1', 'item-1', 'llm_input_tokens', 'big-model', 50, now()),"
        " ('u2', 'item-1', 'llm_output_tokens', 'big-model', 30, now())"
    )
    found = line(await report(database, by="item", today=today), "item-1")
    assert found.spent == {"llm_input_tokens": 5, "llm_output_tokens": 6}


async def test_votes_are_part_of_what_a_video_costs(database: Database) -> None:
    """A video would show a profit without the votes that chose it, or every work that a scan saw would be a line."""
    await post(database, 1)
    for name, decision in (("item-1", "selected"), ("seen-1", "passed"), ("seen-2", "found")):
        await database.execute(
            "insert into items (item_id, correlation_id, origin, title, rights, decision)"
            " values ($1, 'c', 'scan', '', '{}', $2) on conflict do nothing",
            name,
            decision,
        )
        await database.execute(
            "insert into usages (usage_id, item_id, kind, name, amount, used_at) values"
            " ('vote/' || $1 || 1, $1, 'llm_input_tokens', 'big-model', 500, now()),"
            " ('vote/' || $1 || 2, $1, 'llm_output_tokens', 'big-model', 20, now())",
            name,
        )
    await database.execute(
        "insert into prices (kind, valid_from, amount_minor, currency, per, source, imported_at) values"
        " ('llm_input_tokens', '2026-01-01', 100, 'EUR', 1000, 'page', now()),"
        " ('llm_output_tokens', '2026-01-01', 200, 'EUR', 1000, 'page', now())"
    )
    today = datetime.now(UTC).date()
    made = await report(database, by="item", today=today)
    assert [one.key for one in made.lines] == ["(no video made of it)", "item-1"]
    assert line(made, "item-1").spent == {"llm_input_tokens": 50, "llm_output_tokens": 4}
    assert line(made, "(no video made of it)").spent == {"llm_input_tokens": 100, "llm_output_tokens": 8}
    assert made.total.spent_minor == 162
    (month,) = (await report(database, by="month", today=today)).lines
    assert month.spent_minor == 162
    alone = await report(database, by="item", today=today, item="seen-1")
    assert line(alone, "seen-1").spent_minor == 54
    await database.execute(
        "insert into written_texts (item_id, asked, model, said) values ('item-1', 'x', 'big-model', '{}')"
    )
    found = line(await report(database, by="item", today=today), "item-1")
    assert found.spent_minor is None, "the tokens of a vote pass for those of the post's words"
    await database.execute("delete from written_texts")
    await database.execute("insert into usages values ('vote/9', 'item-1', 'llm_untold_answers', 'm', 1, now())")
    found = line(await report(database, by="item", today=today), "item-1")
    assert found.absent["spent"] == "the tokens of a vote of m were not told"


async def test_tokens_are_recorded_where_words_are_written(channel: Channel) -> None:
    """What a model costs could never be known."""
    await post(channel.db, 1)
    settings = msgspec.structs.replace(channel.services.settings, groq_api_key=SandboxSettings().groq_api_key)
    services = dataclasses.replace(channel.services, settings=settings)
    rights = RightsRecord(licence="CC0-1.0", title="A dive")
    for _ in range(2):
        source = SourceText(title="A dive")
        await post_text(services, ItemId("item-1"), source, rights, seed=1, log=get_logger())
    rows = await channel.db.fetch("select kind, name, amount from usages order by kind")
    assert [row["kind"] for row in rows] == ["llm_input_tokens", "llm_output_tokens"], "the second time nobody is asked"
    assert all(row["amount"] > 0 and row["name"] == settings.groq_model for row in rows)


# YouTube ------------------------------------------------------------------------------------------

SCOPES: Final = (*youtube.OAUTH.scopes, youtube_revenue.SCOPE)


async def earning(channel: Channel, folder: Path, *, account: str = "earns@sandbox.test") -> AccountId:
    """Connect an account that earns, with one video that has views."""
    name = await channel.connect(account=account, scopes=SCOPES, life_s=10**8)
    file = folder / "video.mp4"
    file.write_bytes(b"video" * 100)
    adapter = youtube.YouTube(channel.services.means)
    draft = Draft(marker="ett1", title="T", description="", privacy="public")
    checkpoint = await adapter.open_session(name, draft, size_bytes=500)
    remote = await adapter.send(name, draft, checkpoint, file, Notes())
    await post(channel.db, 1, account=name, video=remote.platform_post_id, at=channel.clock.now())
    return name


async def turn(channel: Channel) -> Any:
    row = await channel.db.fetchrow("select * from revenue_turns")
    assert row is not None
    return row


async def test_youtube_estimates_are_recorded_and_corrected(channel: Channel, tmp_path: Path) -> None:
    """Each reading would add what was earned once more, or a correction of Google's never arrive."""
    await earning(channel, tmp_path)
    await collect_revenue(channel.services)
    assert await sums(channel.db) == {}, "reports come two days late; nothing is not zero"
    channel.clock.turn(4 * 86_400)
    await collect_revenue(channel.services)
    first = await sums(channel.db)
    assert first["youtube"] > 0
    await collect_revenue(channel.services)
    assert await sums(channel.db) == first, "its turn has not come"
    channel.clock.turn(20 * 86_400)
    await collect_revenue(channel.services)
    second = await sums(channel.db)
    assert second["youtube"] > first["youtube"], "the sandbox's views of that day grew"
    rows = await channel.db.fetch("select * from revenue_entries where amount_minor <> 0")
    assert len(rows) == 1
    assert (rows[0]["item_id"], rows[0]["currency"], rows[0]["revision"]) == ("item-1", "USD", 2)
    assert await channel.db.fetchval("select amount_minor from revenue_changes") == first["youtube"]
    assert (await turn(channel))["because"] == ""


@pytest.mark.parametrize(
    ("account", "scopes", "words"),
    [
        ("creator@sandbox.test", SCOPES, "does not tell it"),
        ("earns@sandbox.test", youtube.OAUTH.scopes[:1], "did not grant"),
    ],
    ids=["no partner", "no permission"],
)
async def test_an_account_without_revenue_says_why_and_stays_connected(
    channel: Channel, tmp_path: Path, account: str, scopes: tuple[str, ...], words: str
) -> None:
    """A channel that earns nothing would be disconnected, or show a zero that nobody told."""
    name = await earning(channel, tmp_path, account=account)
    await channel.db.execute("update accounts set scopes = $2 where account_id = $1", name, list(scopes))
    channel.clock.turn(4 * 86_400)
    await collect_revenue(channel.services)
    assert words in (await turn(channel))["because"]
    assert await sums(channel.db) == {}
    assert await channel.db.fetchval("select state from accounts") == "connected"


async def test_many_replicas_ask_once(channel: Channel, tmp_path: Path) -> None:
    """Every replica would ask the platform, and spend its quota, for the same numbers."""
    await earning(channel, tmp_path)

    async def calls(replicas: int) -> int:
        before = int((await channel.state())["calls"].get("youtube.reports", 0))
        channel.clock.turn(4 * 86_400)
        await asyncio.gather(*(collect_revenue(channel.services) for _ in range(replicas)))
        return int((await channel.state())["calls"]["youtube.reports"]) - before

    await calls(1)  # the first token that it has is refused there, and asked for anew
    assert await calls(4) == await calls(1)
    assert (await sums(channel.db))["youtube"] > 0


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_fault_of_youtube_is_said_and_passes(channel: Channel, tmp_path: Path, status: int) -> None:
    """An outage would lose a day, end the ticker, or ask again without a pause."""
    await earning(channel, tmp_path)
    channel.clock.turn(4 * 86_400)
    await channel.fault("youtube.reports", "status", status=status)
    await collect_revenue(channel.services)
    found = await turn(channel)
    assert found["because"]
    assert found["next_at"] > channel.clock.now()
    channel.clock.turn((found["next_at"] - channel.clock.now()).total_seconds())
    await collect_revenue(channel.services)
    assert (await sums(channel.db))["youtube"] > 0
    assert (await turn(channel))["because"] == ""


# Shopify ------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Shop:
    """A shop of the sandbox, and services that are set to it."""

    services: Services
    url: URL
    clock: HandClock
    switchboard: Switchboard

    async def order(self, number: int, total: str = "119.00", **more: Any) -> None:
        given = {"id": number, "totalPriceSet": {"shopMoney": {"amount": total, "currencyCode": "EUR"}}, **more}
        stamp = f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}"
        body = [{"createdAt": stamp, "updatedAt": stamp, **given}]
        answer = await self.services.http.request("POST", str(self.url / "sandbox" / "orders"), json=body)
        assert answer.status == 201, answer.text

    async def read(self) -> Any:
        """Let the next turn come and take it."""
        self.clock.turn(3600)
        await collect_revenue(self.services)
        row = await self.services.db.fetchrow("select * from revenue_turns")
        assert row is not None
        return row

    def fault(self, where: str, kind: str, **more: Any) -> None:
        self.switchboard.set(parse_fault({"where": where, "kind": kind, **more}))


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except Refused as refused:
        return refused.response


@asynccontextmanager
async def serving(channel: Channel, folder: Path) -> AsyncIterator[Shop]:
    sandbox = Sandbox(folder / "shop", SandboxSettings(), lambda: channel.clock.now().timestamp())
    switchboard = Switchboard(sandbox)
    app = web.Application(middlewares=[_refusing])
    Shopify(Stage("shopify", "/at/shopify", sandbox, switchboard, app.router))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = URL.build(scheme="http", host="127.0.0.1", port=int(runner.addresses[0][1])) / "at" / "shopify"
        settings = msgspec.structs.replace(
            channel.services.settings,
            api_urls={**channel.services.settings.api_urls, "shopify": str(url)},
            options={**channel.services.settings.options, **CREDENTIALS},
        )
        services = dataclasses.replace(channel.services, settings=settings)
        yield Shop(services=services, url=url, clock=channel.clock, switchboard=switchboard)
    finally:
        await runner.cleanup()
        sandbox.store.close()


@pytest.fixture
async def shop(channel: Channel, tmp_path: Path) -> AsyncIterator[Shop]:
    async with serving(channel, tmp_path) as found:
        yield found


def visited(marker: str | None, campaign: str | None = None, *, ready: bool = True) -> dict[str, Any]:
    visit = {
        "landingPage": None,
        "referralCode": None,
        "utmParameters": {"campaign": campaign, "content": marker, "medium": "social", "source": "youtube"},
    }
    return {"customerJourneySummary": {"ready": ready, "firstVisit": None, "lastVisit": visit}}


async def link(db: Database, code: str = "lamp") -> None:
    await db.execute(
        "insert into affiliate_links (code, url, title, disclosure, created_at)"
        " values ($1, 'https://s.tld/', 'L', 'Ad', now())",
        code,
    )


async def test_orders_are_attributed_and_other_sales_are_not_ours(shop: Shop) -> None:
    """A video's sales would be nobody's, or the shop's whole business be the channel's."""
    name = await post(shop.services.db)
    await link(shop.services.db)
    await shop.order(1, **visited(marker_of(name), "lamp"))
    await shop.order(2, **visited(None, "lamp"))
    await shop.order(3, **visited(None, "newsletter"))
    await shop.order(4, displayFinancialStatus="PENDING", **visited(marker_of(name)))
    await shop.order(5, test=True, **visited(marker_of(name)))
    await shop.order(6, **visited("ett0123456789abcdef"))
    found = await shop.read()
    assert found["because"] == ""
    assert found["found"] == {
        "orders": 6, "attributed": 2, "not_ours": 2, "not_paid": 2, "waiting": 0, "unreadable": 0,
    }  # fmt: skip
    rows = await shop.services.db.fetch(
        "select note, post_id, link_code, amount_minor from revenue_entries order by note"
    )
    assert [tuple(row) for row in rows] == [("order #1", name, "lamp", 11_900), ("order #2", None, "lamp", 11_900)]


async def test_refunds_and_late_payments_correct_what_was_recorded(shop: Shop) -> None:
    """What was paid back would stay earned, or an order that was paid later never count."""
    name = await post(shop.services.db)
    await shop.order(1, **visited(marker_of(name)))
    await shop.order(2, displayFinancialStatus="PENDING", **visited(marker_of(name)))
    await shop.read()
    assert await sums(shop.services.db) == {"shopify": 11_900}
    back = {"shopMoney": {"amount": "100.00", "currencyCode": "EUR"}}
    await shop.order(1, displayFinancialStatus="PARTIALLY_REFUNDED", totalRefundedSet=back, **visited(marker_of(name)))
    await shop.order(2, "50.00", **visited(marker_of(name)))
    await shop.read()
    assert await sums(shop.services.db) == {"shopify": 1_900 + 5_000}
    assert len(await told(shop.services.db)) == 3
    await shop.read()
    assert len(await told(shop.services.db)) == 3


async def test_pages_are_read_to_the_end_within_the_shops_points(shop: Shop) -> None:
    """Orders after the first page would be lost, or the shop's limit be run into."""
    name = await post(shop.services.db)
    for number in range(1, 231):
        await shop.order(number, "1.00", **visited(marker_of(name)))
        shop.clock.turn(1)
    began = shop.clock.now()
    found = await shop.read()
    assert (found["because"], found["found"]["attributed"]) == ("", 230)
    assert await sums(shop.services.db) == {"shopify": 23_000}
    assert shop.clock.now() - began > timedelta(seconds=3600 + 5), "it waited for points"
    await shop.order(900, "1.00", **visited(marker_of(name)))
    assert (await shop.read())["found"]["orders"] <= 3, "it goes on where it ended"


async def test_visits_that_are_still_worked_out_are_waited_for(shop: Shop) -> None:
    """A sale would be taken for the shop's own, because Shopify had not finished looking."""
    name = await post(shop.services.db)
    await shop.order(1, **visited(None, ready=False))
    assert (await shop.read())["found"]["waiting"] == 1
    await shop.order(2, **visited(None))
    await shop.read()
    old = await shop.services.db.fetchval("select mark from revenue_turns")
    stamp = datetime.fromisoformat(old)
    given = {"updatedAt": f"{stamp:%Y-%m-%dT%H:%M:%SZ}", **visited(marker_of(name))}
    await shop.order(1, **given)
    await shop.read()
    assert await sums(shop.services.db) == {"shopify": 11_900}


@pytest.mark.parametrize(
    ("where", "fault", "words"),
    [
        ("shopify.orders", {"kind": "status", "status": 402}, "frozen"),
        ("shopify.orders", {"kind": "status", "status": 403}, "may not read"),
        ("shopify.orders", {"kind": "status", "status": 404}, "no such shop"),
        ("shopify.orders", {"kind": "status", "status": 423}, "locked"),
        ("shopify.orders", {"kind": "status", "status": 500}, "500"),
        ("shopify.orders", {"kind": "status", "status": 429, "retry_after_s": 60}, "429"),
        ("shopify.orders", {"kind": "truncate", "after_bytes": 20}, "not JSON"),
        ("shopify.token", {"kind": "status", "status": 500}, "500"),
    ],
)
async def test_a_fault_of_the_shop_is_said_and_passes(
    shop: Shop, where: str, fault: dict[str, Any], words: str
) -> None:
    """An outage would lose orders, end the ticker, or ask again without a pause."""
    name = await post(shop.services.db)
    await shop.order(1, **visited(marker_of(name)))
    shop.fault(where, **fault)
    found = await shop.read()
    assert words in found["because"]
    assert await sums(shop.services.db) == {}
    shop.clock.turn(max((found["next_at"] - shop.clock.now()).total_seconds(), 0))
    assert (await shop.read())["because"] == ""
    assert await sums(shop.services.db) == {"shopify": 11_900}


async def test_a_token_that_is_refused_is_replaced_once(shop: Shop) -> None:
    """A token that the shop took back would stop revenue until a restart."""
    name = await post(shop.services.db)
    await shop.order(1, **visited(marker_of(name)))
    assert (await shop.read())["because"] == ""
    shop.fault("shopify.orders", "status", status=401)
    assert (await shop.read())["because"] == ""
    shop.fault("shopify.orders", "status", status=401, times=2)
    shop.clock.turn(3600)
    found = await shop.read()
    assert "does not take the token" in found["because"]
    assert "SHOPIFY_CLIENT_ID" in found["because"]


async def test_points_that_are_spent_are_waited_for(shop: Shop) -> None:
    """A busy shop would be asked again at once, and the app be blocked."""
    from deploy.sandbox.feeds import shopify

    name = await post(shop.services.db)
    await shop.order(1, **visited(marker_of(name)))
    shop.clock.turn(3600)
    shop.switchboard._sandbox.store.put("points", shopify.ShopPoints(points=0.0, at_s=shop.clock.now().timestamp()))
    await collect_revenue(shop.services)
    row = await shop.services.db.fetchrow("select * from revenue_turns")
    assert row is not None
    assert "no points left" in row["because"]
    assert timedelta(seconds=5) < row["next_at"] - shop.clock.now() < timedelta(seconds=10)
    shop.clock.turn(10)
    await collect_revenue(shop.services)
    assert await sums(shop.services.db) == {"shopify": 11_900}


# The command --------------------------------------------------------------------------------------

Ask = Callable[..., Any]


@pytest.fixture
def ask(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run `ettametta revenue` in this process, with a person's shell."""
    monkeypatch.chdir(tmp_path)
    env = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}

    async def invoke(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner(env=env).invoke, revenue, arguments)

    return invoke


async def test_a_person_brings_in_and_sees_what_was_earned(database: Database, ask: Ask, tmp_path: Path) -> None:
    """What a person needs for their books could not be brought in or read."""
    await post(database)
    (tmp_path / "rates.csv").write_text("Date,USD\n2026-11-20,1.05\n")
    (tmp_path / "prices.csv").write_text(
        "kind,amount,currency,per,from,source\nrender_seconds,1,EUR,100,2026-01-01,bill\n"
    )
    (tmp_path / "report.csv").write_text("Day,Ref,Fees,Sub\n2026-11-21,1,10.50,video-00001\n2026-11-21,2,oops,\n")
    assert (await ask("rates", "import", "rates.csv")).stdout.startswith("1 rates from 2026-11-20 to 2026-11-20: 1 new")
    assert (await ask("prices", "import", "prices.csv")).stdout.strip() == "1 prices: 1 new, 0 changed"
    columns = ("--date", "Day", "--amount", "Fees", "--id", "Ref", "--post", "Sub", "--currency", "usd")
    assert "net: date Day, amount Fees, currency USD" in (await ask("map", "net", *columns)).stdout
    done = await ask("import", "report.csv", "--map", "net")
    assert done.exit_code == 1, "a row was not taken"
    assert "line 3: 'oops' is no amount" in done.stderr
    assert "2 rows: 1 new, 0 corrected, 0 known before, 0 left out by the map, 1 not taken; 1 belong" in done.stdout
    manual = ("add", "-2.50", "eur", "--on", "2026-11-20", "--item", "item-1", "--note", "returned")
    assert "recorded -2.50 EUR" in (await ask(*manual)).stdout
    assert "recorded already" in (await ask(*manual)).stdout
    shown = (await ask("show", "--currency", "EUR")).stdout
    assert "item-1  Video 1" in shown
    assert "earned      7.50 EUR" in shown
    assert "not available, because nothing that it used is recorded" in shown
    assert "exchange rates of 2026-11-20" in shown
    told_json = msgspec.json.decode((await ask("show", "--currency", "EUR", "--json")).stdout)
    assert told_json["total"]["earned_minor"] == 750
    assert (await ask("show", "--by", "month", "--item", "item-1")).exit_code == 0


async def test_links_are_kept_with_their_disclosure(database: Database, ask: Ask) -> None:
    """A link could be put into posts without the words that disclose it."""
    done = await ask("links", "lamp", "--url", "https://shop.tld/lamp", "--title", "The lamp", "--niche", "deep sea")
    assert "lamp: The lamp (deep sea, every platform)" in done.stdout
    assert "commission" in done.stdout
    assert "paused" in (await ask("links", "lamp", "--pause")).stdout
    for wrong in (
        ("x y", "--url", "https://s.tld"),
        ("a", "--url", "ftp://s.tld"),
        ("a", "--url", "https://s.tld", "--disclosure", " "),
    ):
        assert (await ask("links", *wrong)).exit_code != 0
    assert await database.fetchval("select count(*) from affiliate_links") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "report.csv", "--map", "nothing"),
        ("add", "1.005", "EUR", "--on", "2026-11-20", "--note", "n"),
        ("add", "1", "EUR", "--on", "2026-11-20", "--note", " "),
        ("add", "1", "EUR", "--on", "2199-01-01", "--note", "n"),
        ("add", "1", "EUR", "--on", "2026-11-20", "--note", "n", "--item", "nowhere"),
        ("add", "1", "EUR", "--on", "2026-11-20", "--note", "n", "--post", "nowhere"),
        ("rates", "import", "report.csv"),
        ("prices", "import", "report.csv"),
        ("map", "net", "--date", "Day"),
        ("show", "--currency", "ZZZ"),
    ],
)
async def test_mistakes_are_told_and_nothing_is_recorded(
    database: Database, ask: Ask, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A typing error would be money in the books."""
    (tmp_path / "report.csv").write_text("Day,Ref\n")
    done = await ask(*arguments)
    assert done.exit_code != 0
    assert type(done.exception).__name__ in {"Reject", "SystemExit"}
    assert await sums(database) == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "12.345", "EUR"), "at most 2 decimals after a point, as in: ettametta revenue add 1234.50 EUR"),
        (("add", "12,34", "eur"), "ettametta revenue add 1234.50 EUR"),
        (("add", "$12", "EUR"), "ettametta revenue add 1234.50 EUR"),
        (("add", "12.5", "JPY"), "no decimals, as in: ettametta revenue add 1234 JPY"),
        (("add", "12", "EURO"), "Write it as EUR, USD or JPY"),
        (
            ("add", "12", "EUR", "--on", "21.11.2026"),
            "'21.11.2026' is no day in the form %Y-%m-%d. Write it as 2026-11-23",
        ),
        (("import", "report.csv", "--map", "my net"), "ettametta revenue map 'my net' --date \"Date\" --amount"),
        (("map", "net"), 'ettametta revenue map net --date "Date" --amount'),
        (("map",), 'ettametta revenue map NAME --date "Date" --amount'),
    ],
)
@pytest.mark.usefixtures("database")
async def test_what_is_advised_exists(ask: Ask, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    """A person looks for an option that is not there, or is told to make a map and not how."""
    (tmp_path / "report.csv").write_text("Day,Ref\n")
    more = ("--on", "2026-11-20", "--note", "n") if arguments[0] == "add" and "--on" not in arguments else ()
    done = await ask(*arguments, *more, *(("--note", "n") if "--on" in arguments else ()))
    assert told in (str(done.exception) if done.exit_code else done.output)


@pytest.mark.usefixtures("database")
async def test_the_example_of_a_map_works(ask: Ask, tmp_path: Path) -> None:
    """The example that a person copies would be refused."""
    (tmp_path / "report.csv").write_text('Date,Earnings,"Order ID","Sub ID"\n2026-11-21,10.50,1,\n')
    refused = str((await ask("import", "report.csv", "--map", "net")).exception)
    example = shlex.split(refused.partition("ettametta revenue ")[2])
    assert (await ask(*example)).exit_code == 0
    assert "1 rows: 1 new" in (await ask("import", "report.csv", "--map", "net")).stdout
