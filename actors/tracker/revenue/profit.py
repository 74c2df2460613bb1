"""Profit and loss: what was earned less what was spent, by item, platform, account or month, in one currency.

Sums are exact and rounded once, at the end. Where a part is not known the sum that needs it is null, and `absent` says
why; the parts that are known are still shown. No source, no number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, Final, Literal

from msgspec import Struct

from actors.runtime.db import Database
from actors.tracker.revenue.costs import NEVER_CHOSEN, PriceList, Usage, load_prices, usages_of
from actors.tracker.revenue.entries import Q
from actors.tracker.revenue.money import Money, currency_code, rounded
from actors.tracker.revenue.rates import Rates, load_rates

__all__ = ["By", "Line", "Report", "report"]

By = Literal["item", "platform", "account", "month"]

NO_SOURCE: Final = "no source told of any revenue"
NOT_ATTRIBUTED: Final = "(not attributed)"
NO_VIDEO: Final = "(no video made of it)"
SHARED: Final = "what was spent is known for each item, which may be posted in several places; see --by item"
EUR: Final = "EUR"


class Line(Struct, frozen=True, kw_only=True):
    """One line of the report. Amounts in the minor unit of the report's currency; null: `absent` says why."""

    key: str
    title: str = ""
    earned_minor: int | None
    estimated: bool = False
    entries: int = 0
    spent_minor: int | None
    spent: dict[str, int | None] = {}
    profit_minor: int | None
    views: int | None
    per_thousand_minor: int | None
    absent: dict[str, str] = {}


class Report(Struct, frozen=True, kw_only=True):
    """Lines and their sum, in one currency. rates: days whose exchange rates were used, first and last."""

    by: By
    currency: str
    lines: tuple[Line, ...]
    total: Line
    rates: tuple[date, date] | None = None


@dataclass
class _Sum:
    """What adds up to a line."""

    key: str
    title: str = ""
    earned: Fraction = Fraction(0)
    entries: int = 0
    estimated: bool = False
    spent: dict[str, Fraction] = field(default_factory=dict)
    views: int | None = None
    unseen: set[str] = field(default_factory=set)
    """Platforms of its posts that told no views."""
    why_earned: set[str] = field(default_factory=set)
    why_spent: dict[str, str] = field(default_factory=dict)
    used: bool = False


class _Books:
    """Adds up lines; remembers the days of the rates that it used."""

    def __init__(self, rates: Rates, currency: str) -> None:
        self._rates = rates
        self._currency = currency
        self.days: set[date] = set()

    def earn(self, to: Iterable[_Sum], row: Any) -> None:
        found = self._rates.convert(Money(row["minor"], row["currency"]), self._currency, on=row["earned_on"])
        self.days |= {found.day} if found.day else set()
        for line in to:
            line.entries += row["entries"]
            line.estimated |= row["estimated"]
            if found.exact is None:
                line.why_earned.add(found.because)
            else:
                line.earned += found.exact

    def spend(self, to: Iterable[_Sum], usage: Usage, prices: PriceList) -> None:
        cost, because = self._cost(usage, prices)
        for line in to:
            line.used = True
            line.spent.setdefault(usage.kind, Fraction(0))
            if cost is None:
                line.why_spent.setdefault(usage.kind, because)
            else:
                line.spent[usage.kind] += cost

    def _cost(self, usage: Usage, prices: PriceList) -> tuple[Fraction | None, str]:
        if usage.amount is None:
            return None, usage.because
        price = prices.find(usage.kind, usage.name, on=usage.day)
        if price is None:
            named = f" of {usage.name}" if usage.name else ""
            return None, f"no price of {usage.kind}{named} was imported for {usage.day}"
        found = self._rates.convert(Money(1, price.amount.currency), self._currency, on=usage.day)
        self.days |= {found.day} if found.day else set()
        return (None, found.because) if found.exact is None else (usage.amount * price.of_one * found.exact, "")


async def report(db: Database, *, by: By, today: date, currency: str | None = None, item: str | None = None) -> Report:
    """Work out profit and loss. currency: None takes the one that all revenue is in, else EUR. Raises: Reject."""
    earned = await db.fetch(Q["earned"], item)
    told = {row["currency"] for row in earned}
    to = currency_code(currency) if currency else (next(iter(told)) if len(told) == 1 else EUR)
    prices = await load_prices(db)
    usages = await usages_of(db, item, today=today)
    posted = await db.fetch(Q["posted"], item, today)
    seen = await db.fetch(Q["seen"], item)
    counted = {row["post_id"] for row in seen}
    days = [row["earned_on"] for row in earned] + [usage.day for usage in usages] or [today]
    rates = await load_rates(db, first=min(days), last=max(days), currencies=told | prices.currencies | {to})
    books, sums, total = _Books(rates, to), dict[str, _Sum](), _Sum("total")

    def line(key: str | None) -> _Sum:
        return sums.setdefault(key or NOT_ATTRIBUTED, _Sum(key or NOT_ATTRIBUTED))

    key_of = _keys(by)
    for row in posted:
        found = line(key_of(row, row["day"]))
        found.title = row["title"] if by == "item" else ""
        if row["shown"] and row["post_id"] not in counted:
            found.unseen.add(row["platform"])
            total.unseen.add(row["platform"])
    for row in earned:
        books.earn((line(key_of(row, row["earned_on"])), total), row)
    for usage in usages:
        of_item = NO_VIDEO if usage.item_id == NEVER_CHOSEN else usage.item_id
        mine = {"item": of_item, "month": f"{usage.day:%Y-%m}"}.get(by)
        books.spend((total,) if mine is None else (line(mine), total), usage, prices)
    for row in seen:
        total.views = (total.views or 0) + row["views"]
        if by != "month":
            of = line(key_of(row, today))
            of.views = (of.views or 0) + row["views"]
    lines = [_line(one, by) for one in sums.values()]
    lines.sort(key=lambda one: (-(one.earned_minor or 0), one.key) if by != "month" else (0, one.key))
    return Report(
        by=by,
        currency=to,
        lines=tuple(lines),
        total=_line(total, "item", strays=NOT_ATTRIBUTED in sums),
        rates=(min(books.days), max(books.days)) if books.days else None,
    )


def _keys(by: By) -> Callable[[Any, date], str | None]:
    if by == "month":
        return lambda _, day: f"{day:%Y-%m}"
    name = {"item": "item_id", "platform": "platform", "account": "account_id"}[by]
    return lambda row, _: row[name]


def _line(one: _Sum, by: By, *, strays: bool = False) -> Line:
    absent: dict[str, str] = {}
    earned = rounded(one.earned) if one.entries and not one.why_earned else None
    if earned is None:
        absent["earned"] = "; ".join(sorted(one.why_earned)) or NO_SOURCE
    spent: dict[str, int | None] = {
        kind: None if kind in one.why_spent else rounded(amount) for kind, amount in sorted(one.spent.items())
    }
    cost: Fraction | None = sum(one.spent.values(), Fraction(0))
    if by in {"platform", "account"}:
        cost, absent["spent"] = None, SHARED
    elif one.key == NOT_ATTRIBUTED and by == "item":
        cost, absent["spent"] = None, "it belongs to no item"
    elif one.why_spent:
        cost, absent["spent"] = None, "; ".join(dict.fromkeys(one.why_spent.values()))
    elif not one.used:
        cost, absent["spent"] = None, "nothing that it used is recorded"
    if earned is None or cost is None:
        absent["profit"] = absent.get("earned") or absent["spent"]
    views = one.views if by != "month" else None
    if views is None:
        absent["views"] = "views are counted for each post, not for each month" if by == "month" else "not measured yet"
    per_thousand = None
    if earned is None or not views:
        absent["per_thousand"] = absent.get("earned") or absent.get("views") or "it has no views"
    elif strays or one.key == NOT_ATTRIBUTED:
        absent["per_thousand"] = "it is not known which views brought it"
    elif one.unseen:
        absent["per_thousand"] = f"views are not known of every place: {', '.join(sorted(one.unseen))}"
    else:
        per_thousand = rounded(one.earned * 1000 / views)
    return Line(
        key=one.key,
        title=one.title,
        earned_minor=earned,
        estimated=one.estimated,
        entries=one.entries,
        spent_minor=None if cost is None else rounded(cost),
        spent=spent,
        profit_minor=rounded(one.earned - cost) if earned is not None and cost is not None else None,
        views=views,
        per_thousand_minor=per_thousand,
        absent=absent,
    )
