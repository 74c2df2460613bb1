"""What items cost: resources used, at the prices of their days. A price that was not imported leaves the cost unknown.

Derived from what is stored: render seconds from the begin and end of each rendition, byte-days from the sizes of stored
files and the time since, characters from narrated words. Tokens are in `usages`, where who asks a model writes them:
the editor for the words of a post, the ranker for votes, the tokens of one call shared out evenly over its works.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from actors.runtime.db import Database
from actors.tracker.revenue.days import read_day
from actors.tracker.revenue.entries import Q
from actors.tracker.revenue.money import Money, currency_code, exponent_of, parse_amount
from contracts.errors import Reject

__all__ = [
    "KINDS",
    "NEVER_CHOSEN",
    "VOICE",
    "Price",
    "PriceList",
    "Usage",
    "import_prices",
    "load_prices",
    "read_prices",
    "usages_of",
]

KINDS: Final = {
    "llm_input_tokens": "tokens given to a language model",
    "llm_output_tokens": "tokens that it wrote",
    "tts_characters": "characters spoken by a synthetic voice",
    "render_seconds": "seconds of rendering, by the clock",
    "storage_byte_days": "bytes stored, for each day",
}
VOICE: Final = "hibari"
"""The voice that narrates; it runs here and has a price only if one is imported."""
NEVER_CHOSEN: Final = ""
"""The item of what was used by works that were voted on and not made into a video."""
UNTOLD: Final = "llm_untold_answers"
TOKENS: Final = ("llm_input_tokens", "llm_output_tokens")
COLUMNS: Final = ("kind", "amount", "currency", "per", "from", "source")
_MOST_PER: Final = 2**62


class Price(Struct, frozen=True, kw_only=True):
    """What `per` units cost from a day on. name: a model, a voice; empty: any without a price of its own."""

    kind: str
    name: str = ""
    valid_from: date
    amount: Money
    per: int
    source: str

    @property
    def of_one(self) -> Fraction:
        """The price of one unit, in the currency's minor unit."""
        return Fraction(self.amount.minor, self.per)


class Usage(Struct, frozen=True, kw_only=True):
    """How much of a resource an item used on a day. amount None: not known, because."""

    item_id: str
    kind: str
    name: str = ""
    day: date
    amount: int | None
    because: str = ""


class PriceList:
    """Prices by kind, name and day."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._by: dict[tuple[str, str], list[Price]] = {}
        for price in sorted(prices, key=lambda one: one.valid_from):
            self._by.setdefault((price.kind, price.name), []).append(price)

    @property
    def currencies(self) -> set[str]:
        return {price.amount.currency for prices in self._by.values() for price in prices}

    def find(self, kind: str, name: str, *, on: date) -> Price | None:
        """Return the price of that day: the named one's own, else that of any."""
        for key in dict.fromkeys(((kind, name), (kind, ""))):
            prices: Sequence[Price] = self._by.get(key, ())
            at = bisect_right([price.valid_from for price in prices], on)
            if at:
                return prices[at - 1]
        return None


def read_prices(lines: Iterable[str]) -> list[Price]:
    """Read a price list: kind, name, amount, currency, per, from, source. Raises: Reject with the wrong line."""
    rows = csv.DictReader(lines, skipinitialspace=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise Reject(
            f"the price list has no column {', '.join(missing)}",
            mend="Its first line is: kind,name,amount,currency,per,from,source",
        )
    found: dict[tuple[str, str, date], Price] = {}
    for row in rows:
        cells = {name: (row.get(name) or "").strip() for name in (*COLUMNS, "name")}
        if not any(cells.values()):
            continue
        try:
            price = _price(cells)
        except (Reject, ValueError) as error:
            raise Reject(f"line {rows.line_num}: {error}") from error
        key = (price.kind, price.name, price.valid_from)
        same = found.setdefault(key, price)
        if (same.amount, same.per) != (price.amount, price.per):
            named = " of ".join(part for part in (price.kind, price.name) if part)
            raise Reject(f"line {rows.line_num}: another price of {named} from {price.valid_from} stands above it")
    return list(found.values())


def _price(cells: Mapping[str, str]) -> Price:
    if cells["kind"] not in KINDS:
        raise ValueError(f"'{cells['kind'][:40]}' is nothing that is priced; known: {', '.join(KINDS)}")
    if not cells["source"]:
        raise ValueError("a price needs its source: where it was read")
    currency = currency_code(cells["currency"])
    exact = Fraction(parse_amount(cells["amount"], currency=currency)) * 10 ** exponent_of(currency)
    per = int(cells["per"].replace("_", ""))
    # A price finer than the minor unit is that of more units: 0.075 USD for 1,000,000 is 75 cents for 10,000,000.
    minor, units = exact.numerator, per * exact.denominator
    if not (0 <= minor < _MOST_PER and per > 0 and units < _MOST_PER):
        raise ValueError("the amount is below 0, or the price is finer or larger than can be kept")
    return Price(
        kind=cells["kind"],
        name=cells["name"],
        valid_from=read_day(cells["from"]),
        amount=Money(minor, currency),
        per=units,
        source=cells["source"],
    )


async def import_prices(db: Database, prices: Sequence[Price], *, now: datetime) -> tuple[int, int]:
    """Store a price list; return how many prices are new and how many changed."""
    rows = await db.fetch(
        Q["put_prices"],
        [one.kind for one in prices],
        [one.name for one in prices],
        [one.valid_from for one in prices],
        [one.amount.minor for one in prices],
        [one.amount.currency for one in prices],
        [one.per for one in prices],
        [one.source for one in prices],
        now,
    )
    new = sum(row["new"] for row in rows)
    return new, len(rows) - new


async def load_prices(db: Database) -> PriceList:
    return PriceList(
        Price(
            kind=row["kind"],
            name=row["name"],
            valid_from=row["valid_from"],
            amount=Money(row["amount_minor"], row["currency"]),
            per=row["per"],
            source=row["source"],
        )
        for row in await db.fetch(Q["all_prices"])
    )


async def usages_of(db: Database, item: str | None, *, today: date) -> list[Usage]:
    """Return what items used. item: only this one; None: all. Files are counted as stored until `today`."""
    found, counted = [], set()
    for row in await db.fetch(Q["used"], item, today):
        about = {name: row[name] for name in ("item_id", "name", "day")}
        if row["kind"] == UNTOLD:
            because = f"the tokens of a vote of {row['name']} were not told"
            found += [Usage(**about, kind=kind, amount=None, because=because) for kind in TOKENS]
            continue
        found.append(Usage(**about, kind=row["kind"], amount=row["amount"]))
        if not row["of_vote"]:
            counted.add((row["item_id"], row["kind"]))
    for row in await db.fetch(Q["narrated"], item):
        amount, because = _spoken(row["cues"])
        found.append(
            Usage(
                item_id=row["item_id"],
                kind="tts_characters",
                name=VOICE,
                day=row["day"],
                amount=amount,
                because=because,
            )
        )
    for row in await db.fetch(Q["written_by"], item):
        found += [
            Usage(
                item_id=row["item_id"],
                kind=kind,
                name=row["model"],
                day=row["day"],
                amount=None,
                because=f"the tokens of {row['model']} were not recorded",
            )
            for kind in TOKENS
            if (row["item_id"], kind) not in counted
        ]
    return found


def _spoken(cues: Any) -> tuple[int | None, str]:
    """Count the characters of narrated words."""
    told = [cue.get("text") for cue in cues if isinstance(cue, dict)] if isinstance(cues, list) else []
    texts = [text for text in told if isinstance(text, str)]
    if not texts or len(texts) < len(told):
        return None, "the narrated words are not stored"
    return len(" ".join(" ".join(texts).split())), ""
