"""The part of Lucene's query language that the Internet Archive's search understands and clients use.

Words, "phrases", field:value, field:(group), AND OR NOT, + -, * and ? wildcards, [a TO b] ranges, _exists_.
Clauses side by side must all match. Source: "Apache Lucene - Query Parser Syntax" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["Query", "QueryInvalid", "parse_query"]

Document = Mapping[str, Any]
Query = Callable[[Document], bool]

_TEXT_FIELDS = ("title", "description", "subject", "creator")
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) |
        (?P<range>[\[{]\s*(?:"[^"]*"|[^\s\]}]+)\s+TO\s+(?:"[^"]*"|[^\s\]}]+)\s*[\]}]) |
        (?P<phrase>"(?:\\.|[^"\\])*") |
        (?P<field>[A-Za-z_][\w.-]*|\*):(?!//) |
        (?P<operator>&&|\|\||AND\b|OR\b|NOT\b|!|[+-](?=\S)) |
        (?P<word>(?:\\.|[^\s()"\\])+)
    )""",
    re.VERBOSE,
)
_TRAILER = re.compile(r"[~^][\d.]*$")


class QueryInvalid(ValueError):
    """The query cannot be read."""


def parse_query(text: str) -> Query:
    """Turn a query into a test of documents. Raises: QueryInvalid."""
    parser = _Parser(_tokens(text))
    query = parser.either(None)
    if parser.rest:
        raise QueryInvalid(f"unexpected '{parser.rest[0][1]}'")
    return query


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise QueryInvalid(f"cannot read the query from '{text[at : at + 20]}'")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.rest = tokens

    def _next_is(self, kind: str, *texts: str) -> bool:
        return bool(self.rest) and self.rest[0][0] == kind and (not texts or self.rest[0][1] in texts)

    def either(self, field: str | None) -> Query:
        choices = [self._together(field)]
        while self._next_is("operator", "OR", "||"):
            self.rest.pop(0)
            choices.append(self._together(field))
        return choices[0] if len(choices) == 1 else lambda document: any(choice(document) for choice in choices)

    def _together(self, field: str | None) -> Query:
        clauses = [self._clause(field)]
        while self.rest and not self._next_is("close") and not self._next_is("operator", "OR", "||"):
            if self._next_is("operator", "AND", "&&"):
                self.rest.pop(0)
            clauses.append(self._clause(field))
        return clauses[0] if len(clauses) == 1 else lambda document: all(clause(document) for clause in clauses)

    def _clause(self, field: str | None) -> Query:
        if not self.rest:
            raise QueryInvalid("the query ends too early")
        kind, text = self.rest.pop(0)
        if kind == "operator":
            if text in {"NOT", "!", "-"}:
                negated = self._clause(field)
                return lambda document: not negated(document)
            if text == "+":
                return self._clause(field)
            raise QueryInvalid(f"unexpected '{text}'")
        if kind == "open":
            inner = self.either(field)
            if not self._next_is("close"):
                raise QueryInvalid("a bracket is not closed")
            self.rest.pop(0)
            return inner
        if kind == "field":
            return self._clause(text)
        if kind == "range":
            return _range(field or "date", text)
        if kind == "phrase":
            return _term(field, re.sub(r"\\(.)", r"\1", text[1:-1]), wild=False)
        if kind == "word":
            plain = re.sub(r"\\(.)", r"\1", _TRAILER.sub("", text))
            return _term(field, plain, wild="*" in text or "?" in text)
        raise QueryInvalid(f"unexpected '{text}'")


def _values(document: Document, field: str) -> Sequence[Any]:
    value = document.get(field)
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _term(field: str | None, text: str, *, wild: bool) -> Query:
    if field == "_exists_":
        return lambda document: bool(_values(document, text))
    if text == "*":
        return (lambda _: True) if field in {None, "*"} else (lambda document: bool(_values(document, field or "")))
    fields = (*_TEXT_FIELDS, "identifier") if field is None else (field,)
    folded, wanted = text.casefold(), _words(text)

    def matches(value: Any, name: str) -> bool:
        whole = str(value).casefold()
        if name not in _TEXT_FIELDS:
            return fnmatchcase(whole, folded) if wild else whole == folded
        words = _words(whole)
        if wild:
            return any(fnmatchcase(word, folded) for word in words)
        spans = range(len(words) - len(wanted) + 1)
        return bool(wanted) and any(words[at : at + len(wanted)] == wanted for at in spans)

    return lambda document: any(matches(value, name) for name in fields for value in _values(document, name))


def _range(field: str, text: str) -> Query:
    low, high = (side.strip().strip('"') for side in text[1:-1].split(" TO "))
    with_low, with_high = text[0] == "[", text[-1] == "]"

    def inside(value: Any) -> bool:
        try:
            number = float(value)
            floor = float("-inf") if low == "*" else float(low)
            ceiling = float("inf") if high == "*" else float(high)
        except ValueError:
            word = str(value)
            after = low == "*" or word > low or (with_low and word == low)
            before = high == "*" or word < high or (with_high and word.startswith(high))
            return after and before
        after = number > floor or (with_low and number == floor)
        return after and (number < ceiling or (with_high and number == ceiling))

    return lambda document: any(inside(value) for value in _values(document, field))
