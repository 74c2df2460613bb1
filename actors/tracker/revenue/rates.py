"""Exchange rates as imported facts, and conversion with the rate of a day.

Layout of the files: the European Central Bank's euro foreign exchange reference rates, eurofxref.csv and
eurofxref-hist.csv: a column `Date`, then one for each currency, units for one euro, N/A where there was none.
The bank publishes on working days; a day without rates takes those of the last day before that has them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from msgspec import Struct

from actors.runtime.db import Database
from actors.tracker.revenue.days import FIRST, LAST, read_day
from actors.tracker.revenue.entries import Q, batches
from actors.tracker.revenue.money import Money, currency_code, exponent_of
from contracts.errors import Reject

__all__ = ["BACK", "Converted", "Rate", "Rates", "Taken", "import_rates", "load_rates", "read_rates"]

BACK: Final = timedelta(days=7)
"""Longest that a rate is carried on: no run of holidays of the bank is longer."""
EURO: Final = "EUR"
BATCH: Final = 5_000
_NONE: Final = frozenset({"", "N/A", "NA", "-"})


class Rate(Struct, frozen=True):
    """Units of a currency for one euro on a day."""

    day: date
    currency: str
    per_euro: Decimal


class Taken(Struct, frozen=True, kw_only=True):
    """What came of a file."""

    rates: int
    new: int
    changed: int
    first: date | None
    last: date | None


class Converted(Struct, frozen=True, kw_only=True):
    """An amount in another currency, in its minor unit and exact; None: `because` says why.

    day: the day whose rates were used; None: none was needed.
    """

    exact: Fraction | None
    day: date | None = None
    because: str = ""


class Rates:
    """Rates that are at hand, by day."""

    def __init__(self, days: Mapping[date, Mapping[str, Decimal]]) -> None:
        self._days = days

    def convert(self, amount: Money, to: str, *, on: date) -> Converted:
        """Convert with the rates of `on`, or of the last day before that has both, at most a week back."""
        if amount.currency == to:
            return Converted(exact=Fraction(amount.minor))
        for back in range(min(BACK.days + 1, on.toordinal())):
            day = on - timedelta(days=back)
            rates = self._days.get(day)
            if rates is None:
                continue
            of, into = _per_euro(rates, amount.currency), _per_euro(rates, to)
            if of is not None and into is not None:
                scale = Fraction(10) ** (exponent_of(to) - exponent_of(amount.currency))
                return Converted(exact=amount.minor * into / of * scale, day=day)
        return Converted(
            exact=None, because=f"no rate from {amount.currency} to {to} was imported for {on} or the week before"
        )


def _per_euro(rates: Mapping[str, Decimal], currency: str) -> Fraction | None:
    if currency == EURO:
        return Fraction(1)
    found = rates.get(currency)
    return None if found is None else Fraction(found)


def read_rates(lines: Iterable[str]) -> Iterator[Rate]:
    """Read a file of rates. Raises: Reject with the line that is wrong."""
    rows = csv.reader(lines, skipinitialspace=True)
    header = [cell.strip() for cell in next(rows, [])]
    if not header or header[0].lower() != "date" or len(header) < 2:
        raise Reject("this is no file of exchange rates", mend="It begins with: Date,USD,JPY,... (units for one euro)")
    columns = [(at, _code(name)) for at, name in enumerate(header) if at and name]
    if twice := [name for name in header[1:] if name and header[1:].count(name) > 1]:
        raise Reject(f"the file has two columns {twice[0]}", mend="Take one of them out")
    days: dict[date, int] = {}
    for row in rows:
        if not row or not row[0].strip():
            continue
        day = _day(row[0].strip(), rows.line_num)
        found_today = []
        for at, currency in columns:
            told = row[at].strip() if at < len(row) else ""
            if currency is None or told in _NONE:
                continue
            try:
                found = Decimal(told)
            except InvalidOperation:
                found = Decimal(0)
            if not (found.is_finite() and found > 0):
                raise Reject(
                    f"line {rows.line_num}: '{told[:20]}' is no rate of {currency}", mend="Mend it, or write N/A"
                )
            found_today.append(Rate(day, currency, found))
        digest = hash(tuple((one.currency, one.per_euro) for one in found_today))
        if day not in days:
            days[day] = digest
            yield from found_today
        elif days[day] != digest:
            raise Reject(
                f"line {rows.line_num}: other rates of {day} stand above it", mend="Keep one line for each day"
            )


def _code(name: str) -> str | None:
    """Return the currency of a column; None: one that ended before ISO 4217's list of today, such as SKK."""
    try:
        return currency_code(name)
    except Reject:
        if len(name) == 3 and name.isalpha():
            return None
        raise


def _day(told: str, line: int) -> date:
    for form in ("%Y-%m-%d", "%d %B %Y"):
        try:
            return read_day(told, form)
        except ValueError:
            continue
    raise Reject(f"line {line}: '{told[:30]}' is no day of {FIRST.year} to {LAST.year}", mend="Write it as 2026-11-20")


async def import_rates(db: Database, lines: Iterable[str], *, source: str, now: datetime) -> Taken:
    """Store the rates of a file, whole or not at all; the same file again changes nothing. Raises: Reject."""
    count = new = changed = 0
    first: date | None = None
    last: date | None = None
    async with db.transaction() as conn:
        for batch in batches(read_rates(lines), BATCH):
            days = [one.day for one in batch]
            first, last = min(filter(None, (first, *days))), max(filter(None, (last, *days)))
            per_euro = [one.per_euro for one in batch]
            rows = await conn.fetch(Q["put_rates"], days, [one.currency for one in batch], per_euro, source, now)
            count += len(batch)
            new += sum(row["new"] for row in rows)
            changed += sum(not row["new"] for row in rows)
    if not count:
        raise Reject("the file holds no rate of a currency that is known", mend="It begins with: Date,USD,JPY,...")
    return Taken(rates=count, new=new, changed=changed, first=first, last=last)


async def load_rates(db: Database, *, first: date, last: date, currencies: Iterable[str]) -> Rates:
    """Read the rates for amounts of these days."""
    days: dict[date, dict[str, Decimal]] = {}
    for row in await db.fetch(Q["rates_between"], max(first, FIRST) - BACK, last, sorted(set(currencies) - {EURO})):
        days.setdefault(row["day"], {})[row["currency"]] = row["per_euro"]
    return Rates(days)
