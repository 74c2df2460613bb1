"""Amounts, rates and prices: exact, in minor units, and never invented."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tracker.revenue.costs import Price, PriceList, read_prices
from actors.tracker.revenue.money import Money, carried, currency_code, exponent_of, money, parse_amount, shown
from actors.tracker.revenue.rates import Rates, read_rates
from contracts.errors import Reject

ECB = """Date,USD,JPY,SKK,GBP,
2026-11-20,1.0500,163.80,N/A,0.8800,
2026-11-19,1.0400,162.00,N/A,N/A,
"""


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("HUF", 2), ("CLF", 4)])
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    """Yen would be stored a hundredfold, dinars at a tenth."""
    assert exponent_of(currency) == digits
    assert money(Decimal(7), currency) == Money(7 * 10**digits, currency)


@pytest.mark.parametrize("code", ["ZZZ", "XAU", "", "EURO", "€"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    """A typing error would make a currency of its own, which no rate ever converts."""
    with pytest.raises(Reject):
        currency_code(code)


@pytest.mark.parametrize(
    ("text", "decimal", "amount"),
    [
        ("1,234.56", ".", "1234.56"),
        ("1.234,56", ",", "1234.56"),
        ("1 234,56 €", ",", "1234.56"),
        ("1\u00a0234,56", ",", "1234.56"),
        ("1'234.50", ".", "1234.50"),
        ("$12.30", ".", "12.30"),
        ("US$ 12.30", ".", "12.30"),
        ("EUR 12.30", ".", "12.30"),
        ("-12.30", ".", "-12.30"),
        ("-$12.30", ".", "-12.30"),
        ("$-12.30", ".", "-12.30"),
        ("12.30-", ".", "-12.30"),
        ("(12.30)", ".", "-12.30"),
        ("\u221212,30", ",", "-12.30"),
        (".5", ".", "0.5"),
        ("0", ".", "0"),
    ],
)
def test_amounts_are_read_as_networks_write_them(text: str, decimal: str, amount: str) -> None:
    """A report of one country would be read as a hundredth or a thousandfold of what it says."""
    assert parse_amount(text, decimal=decimal) == Decimal(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "-", "12,3", "1,23,456.00", "1.2.3", "12e3", "NaN", "Infinity", "0x10", "twelve", "١٢"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """A wrong decimal mark would pass as another amount."""
    with pytest.raises(Reject):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("12 €", "eur"), ("$12", "USD"), ("$12", "CAD"), ("CA$ 12", "CAD"), ("US$12", "USD"), ("A$12", "AUD"),
     ("EUR 12", "EUR"), ("12 kr", "SEK"), ("¥12", "CNY"), ("£12", "GBP"), ("R$12", "BRL"), ("-12 CHF", "CHF")],
)  # fmt: skip
def test_a_sign_may_say_what_the_currency_is(text: str, currency: str) -> None:
    """Amounts as networks write them would be refused."""
    assert abs(parse_amount(text, currency=currency)) == 12


@pytest.mark.parametrize(
    ("text", "currency"),
    [("12 €", "USD"), ("$12", "EUR"), ("US$12", "CAD"), ("CA$ 12", "USD"), ("USD 12", "EUR"), ("12 GBP", "EUR"),
     ("($12)", "EUR"), ("-£12", "EUR"), ("USD 12 €", "USD"), ("ABC 12", "EUR")],
)  # fmt: skip
def test_a_sign_of_another_currency_is_refused(text: str, currency: str) -> None:
    """Dollars would be booked as euros."""
    with pytest.raises(Reject, match="which is not"):
        parse_amount(text, currency=currency)


def test_more_decimals_than_the_currency_has_are_refused_or_rounded_to_even() -> None:
    """Parts of a cent would vanish without a word."""
    with pytest.raises(Reject, match="more decimals"):
        money(Decimal("0.125"), "EUR")
    assert [money(Decimal(text), "EUR", finer="round").minor for text in ("0.125", "0.135", "-0.125")] == [12, 14, -12]


@given(st.lists(st.fractions(min_value=-1000, max_value=1000, max_denominator=10_000), max_size=60))
def test_rounding_day_by_day_loses_nothing(parts: list[Fraction]) -> None:
    """A month of thirds of a cent would come to nothing."""
    given = list(carried(parts))
    for end in range(len(parts) + 1):
        assert sum(given[:end]) == round(sum(parts[:end], Fraction(0)))


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_what_is_shown_reads_back(minor: int, currency: str) -> None:
    """What a person copies from the report would be another amount."""
    text = shown(minor, currency)
    assert money(parse_amount(text), currency) == Money(minor, currency)


def rates() -> Rates:
    days: dict[date, dict[str, Decimal]] = {}
    for rate in read_rates(ECB.splitlines()):
        days.setdefault(rate.day, {})[rate.currency] = rate.per_euro
    return Rates(days)


def test_conversion_takes_the_rate_of_the_day_or_of_the_last_day_before() -> None:
    """An amount would be converted with a rate that nobody published for it."""
    dollars = Money(10_500, "USD")
    on_friday = rates().convert(dollars, "EUR", on=date(2026, 11, 20))
    assert (on_friday.exact, on_friday.day) == (Fraction(10_000), date(2026, 11, 20))
    on_sunday = rates().convert(dollars, "EUR", on=date(2026, 11, 22))
    assert (on_sunday.exact, on_sunday.day) == (Fraction(10_000), date(2026, 11, 20))
    before = rates().convert(Money(10_400, "USD"), "EUR", on=date(2026, 11, 19))
    assert (before.exact, before.day) == (Fraction(10_000), date(2026, 11, 19))
    yen = rates().convert(dollars, "JPY", on=date(2026, 11, 20))
    assert yen.exact == Fraction(16_380)
    same = rates().convert(dollars, "USD", on=date(1999, 1, 1))
    assert (same.exact, same.day) == (Fraction(10_500), None)


@pytest.mark.parametrize(
    ("currency", "to", "on"),
    [
        ("USD", "EUR", "2026-11-18"),
        ("USD", "EUR", "2026-11-28"),
        ("CHF", "EUR", "2026-11-20"),
        ("GBP", "EUR", "2026-11-19"),
        ("USD", "EUR", "0001-01-01"),
    ],
    ids=["before the first", "too long after the last", "another currency", "none that day", "no week before"],
)
def test_without_a_rate_there_is_no_conversion(currency: str, to: str, on: str) -> None:
    """A rate of another day, or 1.0, would be a number that no source gave."""
    found = rates().convert(Money(100, currency), to, on=date.fromisoformat(on))
    assert found.exact is None
    assert on in found.because
    assert currency in found.because


def test_both_layouts_of_the_bank_are_read_and_old_currencies_left_out() -> None:
    """The daily file of the same bank would be refused, or the whole history for a currency that ended."""
    daily = list(read_rates(["Date, USD, JPY, \n", "20 November 2026, 1.0500, 163.80, \n"]))
    assert [(rate.day, rate.currency, rate.per_euro) for rate in daily] == [
        (date(2026, 11, 20), "USD", Decimal("1.0500")),
        (date(2026, 11, 20), "JPY", Decimal("163.80")),
    ]
    assert {rate.currency for rate in read_rates(ECB.splitlines())} == {"USD", "JPY", "GBP"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2",
        "Date,USD\nyesterday,1.05",
        "Date,USD\n0001-01-01,1.05",
        "Date,USD\n2026-11-20,nil",
        "Date,USD\n2026-11-20,-1",
        "Date,Dollar\n",
        "Date,USD\n2026-11-20,1.05\n2026-11-20,1.06",
        "Date,USD,USD\n2026-11-20,1.05,1.05",
    ],
)
def test_a_file_that_is_no_list_of_rates_is_refused(text: str) -> None:
    """Half of a wrong file would be stored as facts."""
    with pytest.raises(Reject):
        list(read_rates(text.splitlines()))


PRICES = """kind,name,amount,currency,per,from,source
llm_input_tokens,openai/gpt-oss-20b,0.075,USD,1000000,2026-01-01,price page
llm_input_tokens,,1,USD,1000000,2026-01-01,a guess of the worst
render_seconds,,0.0004,EUR,1,2026-06-01,power bill
render_seconds,,0.0005,EUR,1,2026-11-01,power bill
"""


def test_prices_finer_than_a_cent_are_kept_exactly() -> None:
    """A price of a fraction of a cent would be rounded to nothing before it is multiplied."""
    listed = read_prices(PRICES.splitlines())
    assert listed[0] == Price(
        kind="llm_input_tokens",
        name="openai/gpt-oss-20b",
        valid_from=date(2026, 1, 1),
        amount=Money(15, "USD"),
        per=2_000_000,
        source="price page",
    )
    assert listed[2].of_one == Fraction(4, 100)


def test_a_price_is_that_of_its_day_and_of_its_own_name_first() -> None:
    """Last year's video would be charged at today's price, or a small model at the price of a large one."""
    prices = PriceList(read_prices(PRICES.splitlines()))

    def of(kind: str, name: str, on: date) -> Fraction | None:
        found = prices.find(kind, name, on=on)
        return None if found is None else found.of_one

    assert of("render_seconds", "", date(2026, 10, 31)) == Fraction(4, 100)
    assert of("render_seconds", "gpu", date(2026, 11, 1)) == Fraction(5, 100)
    assert of("render_seconds", "", date(2026, 5, 31)) is None
    assert of("llm_input_tokens", "openai/gpt-oss-20b", date(2026, 2, 1)) == Fraction(75, 10_000_000)
    assert of("llm_input_tokens", "another", date(2026, 2, 1)) == Fraction(100, 1_000_000)
    assert of("llm_output_tokens", "another", date(2026, 2, 1)) is None


def test_two_prices_of_one_day_are_refused() -> None:
    """One of them would count, by chance, or the import end in a trace of the database."""
    with pytest.raises(Reject, match="line 6: another price of render_seconds from 2026-11-01 stands above it"):
        read_prices([*PRICES.splitlines(), "render_seconds,,0.0006,EUR,1,2026-11-01,power bill"])


@pytest.mark.parametrize(
    "line",
    [
        "electricity,,1,EUR,1,2026-01-01,bill",
        "render_seconds,,-1,EUR,1,2026-01-01,bill",
        "render_seconds,,1,EUR,0,2026-01-01,bill",
        "render_seconds,,1,EUR,1,January,bill",
        "render_seconds,,1,EUR,1,0001-01-01,bill",
        "render_seconds,,1,EUR,1,2026-01-01,",
        "render_seconds,,1,QQQ,1,2026-01-01,bill",
    ],
)
def test_a_wrong_price_is_named_with_its_line(line: str) -> None:
    """A price without a source, or of nothing that is used, would stand as a fact."""
    with pytest.raises(Reject, match="line 2"):
        read_prices(["kind,name,amount,currency,per,from,source", line])
