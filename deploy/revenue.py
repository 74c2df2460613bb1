"""`ettametta revenue`: what posts earned and cost, and where each number comes from."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, Final, TypeVar, get_args

import click
import msgspec

from actors.runtime.clock import Clock
from actors.runtime.db import Database, into
from actors.runtime.ledger import Ledger
from actors.runtime.links import DISCLOSURE, AffiliateLink
from actors.runtime.settings import Settings
from actors.tracker.revenue.attribution import attribute_named
from actors.tracker.revenue.costs import import_prices, read_prices
from actors.tracker.revenue.csv_import import Imported, Map, all_maps, find_map, import_file, save_map
from actors.tracker.revenue.entries import Entry, Q, record
from actors.tracker.revenue.money import Money, currency_code, exponent_of, money, parse_amount
from actors.tracker.revenue.profit import By, Report, report
from actors.tracker.revenue.rates import import_rates
from contracts.errors import Reject
from contracts.ids import ItemId
from deploy.command import complete, data_option, json_option, print_json, settings_in
from deploy.profit_words import render
from deploy.say import say
from deploy.system import own_database
from deploy.times import read_day

__all__ = ["revenue"]

SENDER: Final = "tracker"
"""Who tells of entries that a person brings in: the actor that tells of all others."""
LEASE_S: Final = 15.0
SHOWN: Final = 50

T = TypeVar("T")

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


class Books:
    """The database, and the ledger that entries are written through."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.ledger = Ledger(db, sender=SENDER, clock=Clock(), ttl_s=LEASE_S)
        self.now = datetime.now(UTC)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Books]:
    async with own_database(settings, name="ettametta-revenue") as db:
        yield Books(db)


def _with_books(data_dir: Path | None, work: Callable[[Books], Awaitable[T]]) -> T:
    async def go() -> T:
        async with _opened(settings_in(data_dir)) as books:
            return await work(books)

    return complete(go())


@click.group()
def revenue() -> None:
    """What posts earned and cost. Every number comes from a source that is named; without one there is none."""


# Bringing in --------------------------------------------------------------------------------------


@revenue.command("import")
@_file
@click.option("--map", "name", required=True, help="How its columns are read: a name given with `revenue map`.")
@json_option
@data_option
def import_csv(*, file: Path, name: str, as_json: bool, data_dir: Path | None) -> None:
    """Take the rows of a network's CSV file. The same file again changes nothing; a changed row is a correction."""

    async def work(books: Books) -> Imported:
        found = await _saved(books, name)
        return await import_file(books.db, books.ledger, file, found, name=name, now=books.now)

    done = _with_books(data_dir, work)
    if as_json:
        print_json(done)
    else:
        for bad in done.rejected[:SHOWN]:
            say(f"line {bad.line}: {bad.because}", err=True)
        if done.rejected_rows > SHOWN:
            say(f"and {done.rejected_rows - SHOWN} more rows that were not taken; --json names up to 1,000", err=True)
        told = done.recorded
        say(
            f"{done.rows} rows: {told.new} new, {told.corrected} corrected, {told.known} known before, "
            f"{done.left_out} left out by the map, {done.rejected_rows} not taken; {done.attributed} belong to a post"
        )
    if done.rejected_rows:
        sys.exit(1)


@revenue.command("map")
@click.argument("name", required=False)
@click.option("--date", "day", metavar="COLUMN", help="Column of the day.")
@click.option("--amount", metavar="COLUMN", help="Column of what was earned.")
@click.option("--currency", metavar="CODE", help="Currency of every row.")
@click.option("--currency-column", metavar="COLUMN", help="Column of the currency.")
@click.option("--id", "ids", multiple=True, metavar="COLUMN", help="Column that names a row; may be repeated [all].")
@click.option("--post", metavar="COLUMN", help="Column of the sub-id, of the post's id, or of its address.")
@click.option("--note", "notes", multiple=True, metavar="COLUMN", help="Column kept as a note; may be repeated.")
@click.option("--platform", metavar="P", help="Platform of rows that name no post.")
@click.option("--date-format", default="%Y-%m-%d", show_default=True, help="As in %d.%m.%Y.")
@click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True, help="The decimal mark.")
@click.option("--encoding", default="utf-8", show_default=True, help="Where the file has no byte order mark.")
@click.option("--round", "rounds", is_flag=True, help="Round amounts finer than the currency [such rows are refused].")
@click.option(
    "--skip", "skips", multiple=True, metavar="COLUMN=VALUE", help="Leave out rows with this value; may be repeated."
)
@json_option
@data_option
def map_(name: str | None, *, as_json: bool, data_dir: Path | None, **options: Any) -> None:
    """Save how a network's CSV is read under NAME; without options show it, without NAME show all."""
    given = _map_of(options) if name and options["day"] and options["amount"] else None
    if name and given is None and (options["day"] or options["amount"]):
        raise Reject("a map needs at least --date and --amount")

    async def work(books: Books) -> list[tuple[str, Map]]:
        if name and given is not None:
            await save_map(books.db, name, given, now=books.now)
        return [(name, await _saved(books, name))] if name else await all_maps(books.db)

    found = _with_books(data_dir, work)
    if as_json:
        print_json(dict(found))
        return
    for one, saved in found:
        said = ", ".join(f"{key} {value}" for key, value in msgspec.structs.asdict(saved).items() if value)
        say(f"{one}: {said}")
    if not found:
        say(f"no map is saved. {_how('NAME')}")


async def _saved(books: Books, name: str) -> Map:
    try:
        return await find_map(books.db, name)
    except Reject as error:
        raise Reject(error.reason, mend=_how(name)) from error


def _how(name: str) -> str:
    return (
        "Save it, with the columns as the file's header names them: ettametta revenue map "
        f'{quote(name)} --date "Date" --amount "Earnings" --currency EUR --id "Order ID" --post "Sub ID"'
    )


def _map_of(options: dict[str, Any]) -> Map:
    skip: dict[str, tuple[str, ...]] = {}
    for told in options["skips"]:
        column, mark, value = told.partition("=")
        if not mark:
            raise Reject(f"'{told}' is no COLUMN=VALUE", mend="Such as --skip Status=declined")
        skip[column] = (*skip.get(column, ()), value)
    return Map(
        date=options["day"],
        amount=options["amount"],
        currency=options["currency"],
        currency_column=options["currency_column"],
        id=options["ids"],
        post=options["post"],
        note=options["notes"],
        platform=options["platform"],
        date_format=options["date_format"],
        decimal=options["decimal"],
        encoding=options["encoding"],
        finer="round" if options["rounds"] else "refuse",
        skip=skip,
    )


@revenue.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("amount")
@click.argument("currency")
@click.option("--on", "day", metavar="DAY", required=True, help="The day that it was earned, as 2026-11-23.")
@click.option("--note", required=True, help="What it was for, and how you know.")
@click.option("--post", metavar="ID", help="The post it was earned with: its id, its id there, or its address.")
@click.option("--item", metavar="ID", help="The item it was earned with.")
@click.option("--platform", metavar="P", help="The platform that paid.")
@data_option
def add(amount: str, currency: str, *, day: str, note: str, data_dir: Path | None, **of: str | None) -> None:
    """Record an amount by hand, with a note. A minus takes back. The same words again are the same entry."""
    found, on = _typed(amount, currency), read_day(day)
    if on > datetime.now(UTC).date():
        raise Reject(f"{on} is a day to come", mend="Record what was earned once it is")
    if not note.strip():
        raise Reject("an entry by hand needs a note", mend="Say what it was for, and how you know")

    async def work(books: Books) -> str:
        post = (await attribute_named(books.db, [of["post"]])).get(of["post"]) if of["post"] else None
        if of["post"] and post is None:
            raise Reject(f"no post is known as '{of['post']}'", mend="`ettametta status` lists them")
        item = ItemId(of["item"]) if of["item"] else (post.item_id if post else None)
        if of["item"] and not await books.db.fetch(Q["known_items"], [of["item"]]):
            raise Reject(f"no item is known as '{of['item']}'", mend="`ettametta status` lists them")
        entry = Entry(
            source="manual",
            key="\x1f".join((str(found), f"{on}", item or "", post.post_id if post else "", note.strip())),
            amount=found,
            earned_on=on,
            item_id=item,
            post_id=post.post_id if post else None,
            platform=of["platform"] or (post.platform if post else None),
            account_id=post.account_id if post else None,
            attributed_by="by hand" if item else "",
            note=note.strip(),
        )
        told = await record(books.ledger, [entry], now=books.now)
        if told.new:
            return f"recorded {found} as {entry.id}"
        return f"{found} with this note is recorded already, as {entry.id}; give another note if it is another one"

    say(_with_books(data_dir, work))


def _typed(amount: str, currency: str) -> Money:
    """Return the amount that a person typed. Raises: Reject, saying how it is written."""
    code, digits = currency_code(currency), exponent_of(currency)
    try:
        return money(parse_amount(amount, currency=code), code)
    except Reject as error:
        part = f"at most {digits} decimals after a point" if digits else "no decimals"
        mend = f"Write it in digits with {part}, as in: ettametta revenue add {1234.5:.{digits}f} {code}"
        raise Reject(error.reason, mend=mend) from error


# Facts that are imported --------------------------------------------------------------------------


@revenue.group("rates")
def rates() -> None:
    """Exchange rates, as a bank published them."""


@rates.command("import")
@_file
@click.option("--source", default="ECB euro reference rates", show_default=True, help="Who published them.")
@data_option
def rates_import(*, file: Path, source: str, data_dir: Path | None) -> None:
    """Take exchange rates from FILE in the layout of the European Central Bank: Date,USD,JPY,... for one euro."""

    async def work(books: Books) -> str:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            done = await import_rates(books.db, lines, source=source, now=books.now)
        return f"{done.rates} rates from {done.first} to {done.last}: {done.new} new, {done.changed} changed"

    say(_with_books(data_dir, lambda books: _readable(file, work(books))))


@revenue.group("prices")
def prices() -> None:
    """Prices of what making a video uses."""


@prices.command("import")
@_file
@data_option
def prices_import(*, file: Path, data_dir: Path | None) -> None:
    """Take a price list from FILE: kind,name,amount,currency,per,from,source. docs/revenue.md names the kinds."""

    async def work(books: Books) -> str:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            found = read_prices(lines)
        new, changed = await import_prices(books.db, found, now=books.now)
        return f"{len(found)} prices: {new} new, {changed} changed"

    say(_with_books(data_dir, lambda books: _readable(file, work(books))))


async def _readable(file: Path, work: Awaitable[T]) -> T:
    try:
        return await work
    except UnicodeDecodeError as error:
        raise Reject(f"{file.name} is no UTF-8 text", mend="Save it as UTF-8") from error


# Links --------------------------------------------------------------------------------------------


@revenue.command("links")
@click.argument("code", required=False)
@click.option("--url", help="Its address; with it CODE is added or changed.")
@click.option("--title", default="", help="Words beside it in a post [CODE].")
@click.option("--disclosure", default=DISCLOSURE, show_default=True, help="What discloses it, first in every post.")
@click.option("--network", default="", help="Who pays for it.")
@click.option("--niche", help="Only in posts of this niche [every one].")
@click.option("--platform", "only_on", multiple=True, metavar="P", help="Only on this platform; may be repeated [all].")
@click.option(
    "--marker-param",
    default="utm_content",
    show_default=True,
    help="Parameter of the post's marker: the sub-id's name.",
)
@click.option("--discount-code", help="Code that a shop's order shows.")
@click.option("--pause/--resume", "paused", default=None, help="Put it into no further posts, or again.")
@json_option
@data_option
def links(code: str | None, *, as_json: bool, data_dir: Path | None, **options: Any) -> None:
    """List the links that are added to posts by rule; with CODE and --url add one or change it."""
    if options["url"] is not None:
        _check_link(code, options)

    async def work(books: Books) -> tuple[AffiliateLink, ...]:
        if code and options["url"]:
            values = (options["title"] or code, options["disclosure"], options["network"], options["niche"])
            more = (list(options["only_on"]), options["marker_param"], options["discount_code"], books.now)
            await books.db.fetchval(Q["put_link"], code, options["url"], *values, *more)
        if code and options["paused"] is not None:
            await books.db.fetchval(Q["pause_link"], code, options["paused"])
        found = tuple(into(AffiliateLink, row) for row in await books.db.fetch(Q["all_links"]))
        if code and code not in {link.code for link in found}:
            raise Reject(f"no link is called '{code}'", mend="Add it with --url")
        return tuple(link for link in found if code in {None, link.code})

    found = _with_books(data_dir, work)
    if as_json:
        print_json(found)
        return
    for link in found:
        where = ", ".join(link.platforms) or "every platform"
        state = "paused" if link.paused else f"{link.niche or 'every niche'}, {where}"
        say(f"{link.code}: {link.title} ({state})")
        say(f"    {link.url}")
        say(f"    {link.disclosure}")
    if not found:
        say("no link is added to posts. Add one: ettametta revenue links CODE --url https://... --title WORDS")


def _check_link(code: str | None, options: dict[str, Any]) -> None:
    if not code or not code.isascii() or code != code.lower() or not code.replace("-", "").replace("_", "").isalnum():
        raise Reject(f"'{code or ''}' is no code", mend="Small letters, digits, - and _")
    if not options["url"].startswith(("https://", "http://")) or any(one.isspace() for one in options["url"]):
        raise Reject("the link is no web address", mend="Begin it with https://")
    if not options["disclosure"].strip():
        raise Reject("a link that earns needs words that disclose it", mend=f'Such as "{DISCLOSURE}"')


# Showing ------------------------------------------------------------------------------------------


@revenue.command("show")
@click.option("--item", metavar="ID", help="Only this item.")
@click.option("--by", type=click.Choice(get_args(By)), default="item", show_default=True)
@click.option("--currency", metavar="CODE", help="[the one that all revenue is in, else EUR]")
@json_option
@data_option
def show(*, item: str | None, by: By, currency: str | None, as_json: bool, data_dir: Path | None) -> None:
    """Show what was earned and spent; what is not known is said, with the reason."""

    async def work(books: Books) -> tuple[Report, list[dict[str, Any]]]:
        made = await report(books.db, by=by, today=books.now.date(), currency=currency, item=item)
        return made, [dict(row) for row in await books.db.fetch(Q["all_turns"])]

    made, turns = _with_books(data_dir, work)
    if as_json:
        print_json({**msgspec.structs.asdict(made), "sources": turns})
        return
    say(render(made))
    for turn in turns:
        said = turn["because"] or f"read {turn['read_at']:%Y-%m-%d %H:%M} UTC"
        say(f"source {turn['source']} {turn['account']}: {said}; asked again {turn['next_at']:%Y-%m-%d %H:%M} UTC")
