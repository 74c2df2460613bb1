"""Text in every script is set as a browser sets it."""

from __future__ import annotations

import itertools
from importlib.resources import files

import cv2
import numpy as np
import pytest

from actors.renderer.job import FontFile
from actors.renderer.text.linebreak import break_lines, paragraphs
from actors.renderer.text.runs import Typesetter, bidi_levels, is_emoji
from tests.caption_samples import FOLDER, SAMPLES, drawn, fonts_used, likeness


@pytest.fixture(scope="module")
def setter() -> Typesetter:
    return Typesetter(fonts_used())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_line_looks_as_in_a_browser(name: str) -> None:
    """Letters are not joined, marks float, words stand in the wrong order, or emoji fall apart."""
    reference = cv2.imread(str(FOLDER / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    assert reference is not None
    found = likeness(drawn(SAMPLES[name]), np.asarray(reference, np.uint8))
    assert found.overlap >= 0.9
    assert abs(found.longer_px) <= 1
    assert max(map(abs, found.shift_px)) <= 2


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("arabic", "\u200c".join(SAMPLES["arabic"])),
        ("hebrew_in_latin", "He said םלוע םולש twice"),
        ("devanagari", "\u200c".join(SAMPLES["devanagari"])),
        ("emoji", SAMPLES["emoji"].replace("\u200d", "").replace("🏽", "")),
    ],
)
def test_the_comparison_sees_what_is_wrong(name: str, wrong: str) -> None:
    """The test above passes whatever is drawn."""
    reference = cv2.imread(str(FOLDER / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    assert reference is not None
    assert likeness(drawn(wrong), np.asarray(reference, np.uint8)).overlap < 0.8


@pytest.mark.parametrize("emoji", ["👍🏽", "🇩🇪", "❤️", "👩🏽‍🚀", "1️⃣"])
def test_an_emoji_sequence_is_one_picture(setter: Typesetter, emoji: str) -> None:
    """A flag is shown as two letters, a skin tone as a patch beside a hand."""
    line = setter.line(emoji, 40, rtl=False)
    assert len(line.glyphs) == 1
    assert line.glyphs[0].font.face.coloured


def test_what_is_an_emoji_follows_its_style() -> None:
    """Hearts and digits in plain text turn into coloured pictures, or the other way round."""
    assert [is_emoji(text) for text in ("❤️", "❤︎", "1", "1️⃣", "⚡", "😀", "©", "A")] == [
        *(True, False, False, True, True, True, False, False)
    ]


@pytest.mark.parametrize(
    ("text", "rtl", "levels"),
    [
        ("abc", False, "000"),
        ("אבג", True, "111"),
        ("אב 12", True, "11122"),
        ("a אב b", False, "001100"),
        ("אב ab!", True, "111221"),
        ("a \u2067אב\u2069 b", False, None),
    ],
)
def test_directions_follow_the_bidirectional_algorithm(text: str, rtl: bool, levels: str | None) -> None:  # noqa: FBT001
    """Numbers in Hebrew are read backwards, or a full stop stands at the wrong end."""
    found = bidi_levels(text, rtl=rtl)
    assert len(found) == len(text)
    assert levels is None or found == [int(level) for level in levels]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("สวัสดีครับวันนี้", ["สวัสดี", "ครับ", "วัน", "นี้"]),
        ("今日は、とても良い天気ですね。", ["今日は、", "とても", "良い", "天気ですね。"]),
        ("감사합니다 여러분", ["감사합니다 ", "여러분"]),
        ("well-known (and so on)", ["well-", "known ", "(and ", "so ", "on)"]),
        ("10 000\u00a0km", ["10 ", "000\u00a0km"]),
    ],
)
def test_lines_break_where_readers_expect(text: str, places: list[str]) -> None:
    """Thai is cut within words, a Japanese line begins with a comma, a number loses its unit."""
    paragraph = paragraphs(text)[0]
    cuts = (0, *paragraph.cuts, len(paragraph.text))
    assert [paragraph.text[start:end] for start, end in itertools.pairwise(cuts)] == places


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width_px", [60.0, 150.0, 400.0])
def test_no_line_is_wider_than_asked(setter: Typesetter, name: str, width_px: float) -> None:
    """Lines run out of the frame, or text is lost where they break."""
    paragraph = paragraphs(SAMPLES[name])[0]
    lines = break_lines(paragraph, setter.advances(paragraph.text, 40, rtl=paragraph.rtl), width_px)
    texts = [paragraph.text[start:end] for start, end in lines]
    assert "".join(texts).replace(" ", "") == paragraph.text.replace(" ", "")
    for text in texts:
        # Half a size of slack: a letter may end in another form where a word was cut.
        assert setter.line(text, 40, rtl=paragraph.rtl).width <= width_px + 20 or len(text) <= 4


def test_a_word_takes_its_own_glyphs_in_a_line_that_reads_both_ways(setter: Typesetter) -> None:
    """The highlight lies on another word than the one that is spoken."""
    text = "He said שלום עולם twice"
    line = setter.line(text, 40, rtl=False)
    start = text.index("שלום")
    (first,) = line.extents(range(start, start + 4))
    start = text.index("עולם")
    (second,) = line.extents(range(start, start + 4))
    before = setter.line("He said ", 40, rtl=False).width
    assert first[0] > second[1]  # Hebrew reads from the right
    assert second[0] == pytest.approx(before, abs=0.5)
    assert first[1] - first[0] == pytest.approx(setter.line("שלום", 40, rtl=True).width, abs=0.5)


def test_what_no_font_has_is_left_out_and_known() -> None:
    """Empty boxes are shown to the public, and nobody is told."""
    inter = FontFile(path=str(files("fontpkg_inter") / "files/Inter[opsz,wght].ttf"), origin="the tests")
    alone = Typesetter((inter,))
    line = alone.line("ab 字", 40, rtl=False)
    assert len(line.glyphs) == 2
    assert list(alone.missing) == ["字"]


def test_kerning_crosses_what_is_highlighted_apart(setter: Typesetter) -> None:
    """Words move when one of them is lit: each was set by itself."""
    whole = setter.line("AVAV", 40, rtl=False).width
    assert whole < 4 * setter.line("A", 40, rtl=False).width
