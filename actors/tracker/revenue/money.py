"""Amounts of money: whole numbers of a currency's minor unit. Pure; there is no float in it.

Currencies and their minor units: ISO 4217, table A.1 as its maintenance agency publishes it, from the package iso4217.
Rounding is to the nearest minor unit, halves to the even one (IEEE 754's roundTiesToEven), and happens once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Literal

import iso4217
from msgspec import Struct

from contracts.errors import Reject

__all__ = [
    "MOST_MINOR",
    "Money",
    "carried",
    "currency_code",
    "exponent_of",
    "money",
    "parse_amount",
    "rounded",
    "shown",
]

MOST_MINOR: Final = 10**18
"""Amounts beyond it are mistakes; sums of many of them still fit into 64 bits."""
_CURRENCIES: Final[dict[str, Any]] = {one.code: one for one in iso4217.Currency}
_SPACES: Final = re.compile(r"[\s\u00a0\u2007\u2009\u202f'’]+")
_PLAIN: Final = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_SYMBOLS: Final = re.compile(
    r"^(?:[A-Z]{1,3}\$|\$|€|£|¥|₹|₩|₺|zł|kr\.?|CHF|Fr\.?|[A-Z]{3})|(?:\$|€|£|¥|₹|₩|₺|zł|kr\.?|[A-Z]{3})$"
)

_SIGNS: Final[dict[str, frozenset[str]]] = {
    sign: frozenset(codes.split())
    for sign, codes in {
        "$": "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP UYU DOP BRL BBD BMD BND BSD BZD CVE FJD GYD JMD KYD LRD NAD"
        " SBD SRD TTD XCD CUP NIO",
        "€": "EUR",
        "£": "GBP EGP FKP GIP LBP SDG SHP SSP SYP",
        "¥": "JPY CNY",
        "₹": "INR",
        "₩": "KRW KPW",
        "₺": "TRY",
        "zł": "PLN",
        "kr": "DKK SEK NOK ISK",
        "kr.": "DKK SEK NOK ISK",
        "Fr": "CHF",
        "Fr.": "CHF",
        "RMB": "CNY",
        "C$": "CAD NIO",
        "S$": "SGD",
        "R$": "BRL",
        "NT$": "TWD",
    }.items()
}


class Money(Struct, frozen=True, order=True):
    """An amount in one currency. minor: in its minor unit; below 0: paid back."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return shown(self.minor, self.currency)


def currency_code(text: str) -> str:
    """Return the ISO 4217 code. Raises: Reject for what is no currency that amounts are counted in."""
    code = text.strip().upper()
    found = _CURRENCIES.get(code)
    if found is None:
        raise Reject(f"'{text.strip()[:20]}' is no ISO 4217 currency", mend="Write it as EUR, USD or JPY")
    if found.exponent is None:
        raise Reject(f"{code} has no minor unit in ISO 4217", mend="Name the currency that was paid")
    return code


def exponent_of(currency: str) -> int:
    """Return how many decimals the currency has: 2 for USD, 0 for JPY, 3 for KWD. Raises: Reject."""
    return int(_CURRENCIES[currency_code(currency)].exponent)


def money(amount: Decimal, currency: str, *, finer: Literal["refuse", "round"] = "refuse") -> Money:
    """Return a decimal amount of the major unit as money.

    Args: finer: what becomes of more decimals than the currency has. Raises: Reject.
    """
    code = currency_code(currency)
    if not amount.is_finite():
        raise Reject(f"{amount} is no amount")
    exact = Fraction(amount) * 10 ** exponent_of(code)
    if exact.denominator != 1 and finer == "refuse":
        raise Reject(
            f"{amount} has more decimals than {code}, which has {exponent_of(code)}", mend="Say that it may be rounded"
        )
    minor = rounded(exact)
    if abs(minor) > MOST_MINOR:
        raise Reject(f"{amount} {code} is more than can be kept", mend="Look at its decimal mark")
    return Money(minor, code)


def parse_amount(text: str, *, decimal: Literal[".", ","] = ".", currency: str | None = None) -> Decimal:
    """Read an amount as people and networks write it: symbols, thousands, a minus at either end, or in brackets.

    Args: decimal: the decimal mark; the other one separates thousands, and only in groups of three; currency:
    what it is taken for, so that a sign or code of another one is refused. Raises: Reject.
    """
    told = text.strip()
    bare = _SPACES.sub("", told).replace("\u2212", "-")
    negative = bare.startswith("(") and bare.endswith(")")
    bare = bare[1:-1] if negative else bare
    for _ in range(2):
        sign = bare.startswith("-") or bare.endswith("-")
        negative, bare = negative or sign, bare.strip("-") if sign else bare
        bare = bare.removeprefix("+")
        for sign_of in _SYMBOLS.findall(bare):
            if currency is not None and not _stands_for(sign_of, currency_code(currency)):
                raise Reject(
                    f"'{told[:40]}' is written with {sign_of}, which is not {currency_code(currency)}",
                    mend="Give the currency that it is in",
                )
        bare = _SYMBOLS.sub("", bare)
    whole, mark, part = bare.partition(decimal)
    other = "," if decimal == "." else "."
    groups = whole.split(other)
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        raise Reject(f"'{told[:40]}' is no amount with '{decimal}' as the decimal mark", mend="Say which mark it has")
    plain = "".join(groups) + ("." + part if mark else "")
    if not (plain.isascii() and _PLAIN.fullmatch(plain)):
        raise Reject(f"'{told[:40]}' is no amount", mend=f"The decimal mark is taken to be '{decimal}'")
    try:
        found = Decimal(plain)
    except InvalidOperation as error:
        raise Reject(f"'{told[:40]}' is no amount") from error
    return -found if negative else found


def _stands_for(sign: str, code: str) -> bool:
    """Say whether a sign or code can mean the currency; a sign of several, such as $, means any of them."""
    if sign in _SIGNS:
        return code in _SIGNS[sign]
    if sign.endswith("$"):  # US$, CA$, A$: the country's letters, as the code begins or has them
        letters = sign[:-1]
        return code in _SIGNS["$"] and (letters == code or code.startswith(letters))
    return sign == code


def rounded(exact: Fraction) -> int:
    """Return the nearest whole number, of two the even one."""
    return round(exact)


def carried(exact: Iterable[Fraction]) -> Iterator[int]:
    """Round a series so that the sum of any beginning of it is the rounded sum: nothing is lost in small parts."""
    total, given = Fraction(0), 0
    for part in exact:
        total += part
        now = rounded(total)
        yield now - given
        given = now


def shown(minor: int, currency: str) -> str:
    """Write an amount for people: `-1,234.50 EUR`."""
    digits = exponent_of(currency)
    whole, part = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole:,}{f'.{part:0{digits}}' if digits else ''} {currency}"
