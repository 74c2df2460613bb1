"""What captions look like, and what they leave alone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from actors.renderer.job import FontFile
from actors.renderer.text import fonts
from actors.renderer.text.captions import SAFE_MARGIN, CaptionTrack, Stamp, blend, luma_chroma
from actors.renderer.text.linebreak import Piece, active_word, break_lines, pieces
from contracts.plan import Captions, CaptionStyle, Cue, Word

SIZE = (540, 960)


@pytest.fixture
def font(monkeypatch: pytest.MonkeyPatch) -> FontFile:
    """The font that is the same on every machine."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    return fonts.find(None)


def timed_cue(text: str, start_us: int = 0, step_us: int = 200_000) -> Cue:
    words = tuple(
        Word(text=word, start_us=start_us + at * step_us, end_us=start_us + (at + 1) * step_us)
        for at, word in enumerate(text.split())
    )
    return Cue(start_us=start_us, end_us=start_us + len(words) * step_us, text=text, words=words)


def planes(level: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    width, height = SIZE
    half = (height // 2, width // 2)
    return np.full((height, width), level, np.uint8), np.full(half, 100, np.uint8), np.full(half, 150, np.uint8)


def track(font: FontFile, *cues: Cue, **style: object) -> CaptionTrack:
    return CaptionTrack(Captions(cues=cues, style=replace(CaptionStyle(), **style)), font, *SIZE)


def shown(found: CaptionTrack, t_us: int = 0) -> Stamp:
    stamp = found.at(t_us)
    assert stamp is not None
    return stamp


def test_only_the_box_is_touched(font: FontFile) -> None:
    """Captions change the picture around them, or cost time where there is no text."""
    stamp = shown(track(font, timed_cue("Only this box")))
    drawn, before = planes(), planes()
    blend(drawn, stamp)
    for at, (plane, original) in enumerate(zip(drawn, before, strict=True)):
        half = 1 if at == 0 else 2
        changed = np.argwhere(plane != original)
        (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
        height, width = stamp.keep[min(at, 1)].shape
        assert top >= stamp.row // half
        assert left >= stamp.column // half
        assert bottom < stamp.row // half + height
        assert right < stamp.column // half + width
        clear = stamp.keep[min(at, 1)] == 255
        box = plane[stamp.row // half :, stamp.column // half :][:height, :width]
        assert set(np.unique(box[clear & (stamp.ink[at] == 0)])) <= {original[0, 0]}


def test_colours_of_type_and_outline_are_exact(font: FontFile) -> None:
    """White captions are grey, or coloured."""
    drawn = planes()
    blend(drawn, shown(track(font, timed_cue("HHHH"), highlight=None)))
    assert drawn[0].max() == 235
    assert drawn[0].min() == 16
    white = np.argwhere(drawn[0] == 235)
    inner = [tuple(at // 2) for at in white if (drawn[0][at[0] - 2 : at[0] + 3, at[1] - 2 : at[1] + 3] == 235).all()]
    assert inner
    assert {int(drawn[1][at]) for at in inner} == {int(drawn[2][at]) for at in inner} == {128}


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ("#FFFFFF", (235, 128, 128)),
        ("#000000", (16, 128, 128)),
        ("#FF0000", (63, 102, 240)),
        ("#0000FF", (32, 240, 118)),
    ],
)
def test_colours_are_bt709(colour: str, wanted: tuple[int, int, int]) -> None:
    """Brand colours come out wrong."""
    assert tuple(round(value) for value in luma_chroma(colour)) == wanted


def test_a_highlight_is_drawn_once_for_each_word(font: FontFile) -> None:
    """Captions are drawn anew for every frame, or the highlight does not move."""
    found = track(font, timed_cue("one two three"))
    stamps = [found.at(t_us) for t_us in range(0, 600_000, 33_333)]
    assert len({id(stamp) for stamp in stamps}) == 3
    assert not np.array_equal(shown(found, 0).ink[1], shown(found, 250_000).ink[1])


def test_type_does_not_move_when_the_highlight_does(font: FontFile) -> None:
    """Words jump to and fro while they are spoken."""
    found = track(font, timed_cue("one two three four"))
    first, second = shown(found, 0), shown(found, 250_000)
    assert (first.row, first.column) == (second.row, second.column)
    assert np.array_equal(first.keep[0], second.keep[0])


def test_nothing_is_shown_between_cues(font: FontFile) -> None:
    """Captions stay on after their time, or the wrong one is shown."""
    found = track(font, timed_cue("early", 100_000), timed_cue("late", 500_000))
    assert [found.at(t_us) is not None for t_us in (0, 100_000, 299_999, 300_000, 499_999, 500_000, 700_000)] == [
        *(False, True, True, False, False, True, False)
    ]


@pytest.mark.parametrize("text", ["word " * 60, "x" * 400, "字幕" * 80, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn"])
@pytest.mark.parametrize("position_y", [0.0, 1.0])
def test_long_text_stays_within_the_safe_area(font: FontFile, text: str, position_y: float) -> None:
    """Long captions run out of the frame, or under the buttons of the player."""
    stamp = shown(track(font, Cue(start_us=0, end_us=1, text=text.strip()), position_y=position_y))
    height, width = stamp.keep[0].shape
    assert stamp.row >= SAFE_MARGIN * SIZE[1] - 4
    assert stamp.row + height <= (1 - SAFE_MARGIN) * SIZE[1] + 4
    assert stamp.column >= SAFE_MARGIN * SIZE[0] - 4
    assert stamp.column + width <= (1 - SAFE_MARGIN) * SIZE[0] + 4


def test_blank_text_draws_nothing(font: FontFile) -> None:
    """A cue of spaces stops the render."""
    assert track(font, Cue(start_us=0, end_us=1, text=" \u200b\n ")).at(0) is None


def test_lines_are_few_and_even() -> None:
    """One word is left alone on the last line."""
    parts = tuple(Piece(word) for word in ("aaaa", "bbbb", "cccc", "dddd", "eeee"))
    lines = break_lines(parts, lambda text: float(len(text)), 19.0)
    assert [len(line) for line in lines] in ([3, 2], [2, 3])


def test_words_keep_their_punctuation_and_their_place() -> None:
    """The highlight is on the wrong word, or cuts a word from its comma."""
    cue = Cue(
        start_us=0,
        end_us=9,
        text='Well, "you" know you\nknow 你好世界',
        words=tuple(Word(text=word, start_us=0, end_us=1) for word in ("well", "you", "know", "you", "你好", "世界")),
    )
    found = [(piece.text, piece.word, piece.glued, piece.forced) for piece in pieces(cue)]
    assert found == [
        ("Well,", 0, False, False),
        ('"you"', 1, False, False),
        ("know", 2, False, False),
        ("you", 3, False, False),
        ("know", None, False, True),
        ("你好", 4, False, False),
        ("世界", 5, True, False),
    ]
    assert pieces(cue, uppercase=True)[0].text == "WELL,"


def test_a_word_stays_lit_through_a_short_pause_only() -> None:
    """The highlight flickers between words, or stays on through silence."""
    words = (
        Word(text="a", start_us=0, end_us=100_000),
        Word(text="b", start_us=300_000, end_us=400_000),
        Word(text="c", start_us=2_000_000, end_us=2_100_000),
    )
    cue = Cue(start_us=0, end_us=3_000_000, text="a b c", words=words)
    assert [active_word(cue, t_us) for t_us in (0, 200_000, 350_000, 450_000, 2_050_000, 2_500_000)] == [
        *(0, 0, 1, None, 2, None)
    ]
