"""Cues from words, and the part of cues that is shown."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.editor.cues import CueRules, cues_from_words, within
from contracts.plan import Cue, Word


def say(text: str, *, each_us: int = 300_000, start_us: int = 0) -> list[Word]:
    return [
        Word(text=word, start_us=start_us + at * each_us, end_us=start_us + (at + 1) * each_us - 20_000)
        for at, word in enumerate(text.split())
    ]


def texts(cues: tuple[Cue, ...]) -> list[str]:
    return [cue.text for cue in cues]


def test_sentences_and_clauses_end_cues() -> None:
    """Captions break where a speaker breathes, not in the middle of a thought."""
    cues = cues_from_words(say("Look at that. The sea, when calm, is dark!"))
    assert texts(cues) == ["Look at that.", "The sea,", "when calm,", "is dark!"]


def test_a_pause_ends_a_cue_and_the_cue_leaves_the_screen() -> None:
    """Text does not stand there while nobody speaks."""
    cues = cues_from_words([*say("one two"), *say("three four", start_us=3_000_000)])
    assert texts(cues) == ["one two", "three four"]
    assert cues[0].end_us == cues[0].words[-1].end_us + CueRules().linger_us


def test_width_is_kept() -> None:
    """A line fits a phone's screen; a word that is wider stands alone."""
    cues = cues_from_words(say("extraordinarily uncharacteristic pneumonoultramicroscopicsilicovolcanoconiosis words"))
    assert texts(cues) == [
        "extraordinarily",
        "uncharacteristic",
        "pneumonoultramicroscopicsilicovolcanoconiosis",
        "words",
    ]


def test_quick_words_stay_long_enough_to_be_read() -> None:
    """Hurried speech does not flicker."""
    cues = cues_from_words(say("a. b. c. d. e. f. g. h.", each_us=90_000))
    assert all(cue.end_us - cue.start_us >= CueRules().min_shown_us for cue in cues)


times = st.lists(st.tuples(st.text("ab.,", min_size=1, max_size=9), st.integers(0, 10**7), st.integers(0, 10**6)))


@given(times)
def test_any_words_give_cues_in_order(raw: list[tuple[str, int, int]]) -> None:
    """No alignment, however odd, makes a plan that the renderer refuses; no word is lost."""
    words = [Word(text=text, start_us=start, end_us=start + length) for text, start, length in raw]
    cues = cues_from_words(words)
    assert [word.text for cue in cues for word in cue.words] == [word.text for word in words]
    for before, after in pairwise(cues):
        assert before.start_us < before.end_us <= after.start_us
    assert all(cue.start_us <= word.start_us < word.end_us for cue in cues for word in cue.words)


def test_within_keeps_what_is_shown() -> None:
    """Captions of the part that is cut away do not show, and times begin with the clip."""
    cues = cues_from_words(say("one two three. four five six."))
    shown = within(cues, 350_000, 1_000_000)
    assert [(cue.text, cue.start_us) for cue in shown] == [("two three.", 0), ("four", 550_000)]
    assert shown[-1].end_us == 650_000
    assert within((Cue(start_us=0, end_us=5, text="plain"),), 2, 4) == (Cue(start_us=0, end_us=2, text="plain"),)
    assert within(cues, 9_000_000, 10_000_000) == ()
