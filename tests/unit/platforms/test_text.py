"""Text from platforms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from actors.platforms._text import clean, parse_moment, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One &amp; two</p><p>three<br/>four</p>", "One & two\nthree\nfour"),
        ("a <b>bold</b> claim", "a bold claim"),
        ("<script>alert(1)</script>seen<style>p{}</style>", "seen"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("nul\x00 and \u202eback", "nul and back"),
        ("&#0;&lt;script&gt;", "\ufffd<script>"),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    """Markup in a description would be posted, or run in the dashboard; NUL is refused by the database."""
    assert plain_text(html, max_chars=100) == text


def test_lengths_are_bounded() -> None:
    """A description of megabytes does not fit into an event."""
    assert plain_text("<p>word</p>" * 1_000_000, max_chars=50) == "\n".join(["word"] * 10)
    assert clean("  a \n b\x00c  ", max_chars=4) == "a bc"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2009-07-10T01:41:17Z", datetime(2009, 7, 10, 1, 41, 17, tzinfo=UTC)),
        ("2009-07-10 01:41:17", datetime(2009, 7, 10, 1, 41, 17, tzinfo=UTC)),
        ("2009-07-10T03:41:17+02:00", datetime(2009, 7, 10, 1, 41, 17, tzinfo=UTC)),
        ("0001-01-01T00:00:00+05:00", None),
        ("last week", None),
        (17, None),
        (None, None),
    ],
)
def test_parse_moment(text: object, moment: datetime | None) -> None:
    """A naive or wrong date would make a work look young and rising."""
    assert parse_moment(text) == moment
