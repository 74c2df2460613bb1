"""Subtitle files as people have them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.editor.subtitles import MAX_BYTES, decode_text, ordered, parse_subtitles
from contracts.errors import Reject

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Grüße</i> &amp; {\\an8}<font color="red">Küsse</font>

2
00:00:03,000 --> 00:00:04,000
two
lines
"""
VTT = """WEBVTT - a title

NOTE nothing

STYLE
::cue { color: red }

first
00:01.000 --> 00:02.500 align:start position:10%
<v Bob>Hello <c.yellow>you</c> <00:00:02.000>there

00:00:03.000 --> 00:00:04.000
1 &lt; 2
"""


def shown(data: bytes) -> list[tuple[int, int, str]]:
    return [(cue.start_us // 1000, cue.end_us // 1000, cue.text) for cue in parse_subtitles(data)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_srt_in_any_encoding(encoding: str, line_end: str) -> None:
    """Umlauts survive whatever editor wrote the file; tags are not shown."""
    data = SRT.replace("\n", line_end).encode(encoding)
    assert shown(data) == [(1000, 2500, "Grüße & Küsse"), (3000, 4000, "two\nlines")]


def test_vtt() -> None:
    """Speaker and style tags, notes and positions are not shown; what is written is."""
    assert shown(VTT.encode()) == [(1000, 2500, "Hello you there"), (3000, 4000, "1 < 2")]


def test_overlaps_and_disorder_are_put_right() -> None:
    """Cues from two speakers do not cover each other and the plan stays valid."""
    raw = [(5, 9, "late"), (1, 6, "long"), (1, 3, "same"), (2, 2, "never"), (7, 8, ""), (-3, 1, "early")]
    assert [(cue.start_us, cue.end_us, cue.text) for cue in ordered(raw)] == [
        (0, 1, "early"),
        (1, 5, "same\nlong"),
        (5, 9, "late"),
    ]


@given(st.lists(st.tuples(st.integers(-9, 99), st.integers(-9, 99), st.sampled_from(["", "a", "b\nc"]))))
def test_any_times_give_cues_in_order(raw: list[tuple[int, int, str]]) -> None:
    """No file makes a plan that the renderer refuses."""
    cues = ordered(raw)
    assert all(before.end_us <= after.start_us for before, after in pairwise(cues))
    assert all(0 <= cue.start_us < cue.end_us for cue in cues)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "neither"),
        (b"\x00\x01\x02\xff" * 50, "neither"),
        (b"just words", "neither"),
        (b"1\n00:00:05,000 --> 00:00:02,000\nbackwards\n", "no text"),
        (b"a --> b\n", "cannot be read|no text"),
        (b" " * (MAX_BYTES + 1), "larger"),
    ],
)
def test_what_is_no_subtitle_file_is_refused(data: bytes, text: str) -> None:
    """A wrong file is told in one line, with what to do."""
    with pytest.raises(Reject, match=text) as caught:
        parse_subtitles(data)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    """No bytes crash the editor."""
    decode_text(data)
    try:
        parse_subtitles(b"1\n00:00:01,000 --> 00:00:02,000\n" + data)
    except Reject as error:
        assert str(error)  # noqa: PT017  # both outcomes are right
