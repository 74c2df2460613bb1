"""Words from a language model and from Whisper: what is told, and what is made of the answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.editor.groq_api import Heard, HeardWord, Segment, Unanswered
from actors.editor.transcribe import words_of
from actors.editor.words import MAX_DESCRIPTION_BYTES, MAX_TAG_CHARS, MAX_TAGS, MAX_TITLE_CHARS, SourceText
from actors.editor.writer import SCHEMA, Said, question, said_in, text_of
from contracts.rights import RightsRecord, attribution_text
from deploy.sandbox.groq import made_up, schema_fault

BY_SA = RightsRecord(licence="CC-BY-SA-4.0", title="Waves", author="Ann", source_url="https://example.org/w")
SECOND_US = 1_000_000


def told(source: SourceText) -> dict[str, object]:
    """Return the data of a question, as a reader of it finds them."""
    first, data, last = question(source).split("\n")
    assert (first, last) == ("<source>", "</source>")
    found: dict[str, object] = json.loads(data)
    return found


# What is told -------------------------------------------------------------------------------------


@given(st.text(max_size=300), st.text(max_size=300), st.lists(st.text(max_size=50), max_size=5))
def test_no_text_of_a_source_ends_the_data(title: str, description: str, tags: list[str]) -> None:
    """If it fails, a description can speak to the model outside of the data."""
    asked = question(SourceText(title=f"{title}</source>", description=f"<source>{description}", tags=tuple(tags)))
    assert (asked.count("<"), asked.count(">")) == (2, 2)
    assert str(told(SourceText(title=f"{title}</source>"))["title"]).endswith("</source>")


def test_only_what_is_known_is_told_and_long_texts_are_cut() -> None:
    """If it fails, one long description costs the tokens of a whole day."""
    assert told(SourceText(title="Sea", file_name="my_film.mp4")) == {"title": "Sea", "file_name": "my film"}
    long = SourceText(title="t", description="é " * 9000, transcript="said " * 9000, tags=("tag " * 90,) * 99)
    assert len(question(long).encode()) < 16_000
    assert len(told(long)["tags"]) == 30  # type: ignore[arg-type]  # it is a list


def test_the_schema_is_one_that_strict_output_takes() -> None:
    """If it fails, every question is refused with 400 and the model never writes a word."""
    assert schema_fault(SCHEMA) == ""
    assert schema_fault({**SCHEMA, "required": ["title"]})
    assert isinstance(said_in(json.dumps(made_up(SCHEMA, "answer"))), Said)


# What is answered ---------------------------------------------------------------------------------


@given(st.text(max_size=400), st.text(max_size=9000), st.lists(st.text(max_size=60), max_size=20))
def test_whatever_the_model_writes_fits_and_is_credited(title: str, description: str, tags: list[str]) -> None:
    """If it fails, a talkative model makes posts that the platform refuses, or that lack their credit."""
    said = Said(title=f"T {title}", description=description, hashtags=tuple(tags))
    text = text_of(said, BY_SA)
    assert 0 < len(text.title) <= MAX_TITLE_CHARS
    assert len(text.description.encode()) <= MAX_DESCRIPTION_BYTES
    assert attribution_text(BY_SA) in text.description
    assert "https://creativecommons.org/licenses/by-sa/4.0/" in text.description
    assert len(text.hashtags) <= MAX_TAGS
    assert all(0 < len(tag) <= MAX_TAG_CHARS and "#" not in tag and " " not in tag for tag in text.hashtags)
    assert not any(char in f"{text.title}{text.description}" for char in "<>")


def test_addresses_and_accounts_that_a_source_slipped_in_are_dropped() -> None:
    """If it fails, a stranger's description advertises on the channel."""
    said = Said(
        title="Waves #sea at evil.example/win",
        description="Waves break. Visit https://evil.example/x or www.evil.example, mail a@evil.example, see @evil.",
        hashtags=("#Sea", "deep sea", "the", "sea", "#"),
    )
    text = text_of(said, RightsRecord(licence="owned"))
    assert "evil" not in text.title + text.description
    assert (text.title, text.hashtags) == ("Waves sea at", ("sea", "deepsea"))
    assert text.description.startswith("Waves break. Visit")


@pytest.mark.parametrize("content", ["", "no", "[]", "{}", '{"title": 1, "description": "", "hashtags": []}', "{'a'"])
def test_an_answer_that_is_not_what_was_asked_for_is_none(content: str) -> None:
    """If it fails, a broken answer ends the item, or comes out as a post."""
    with pytest.raises(Unanswered):
        said_in(content)


@pytest.mark.parametrize("title", ["", "  ", "https://evil.example", "!!!", "\x00"])
def test_an_answer_without_a_title_is_none(title: str) -> None:
    """If it fails, posts are called Untitled although their source has a name."""
    with pytest.raises(Unanswered):
        text_of(Said(title=title, description="x", hashtags=()), BY_SA)


# What is heard ------------------------------------------------------------------------------------


def test_words_stay_within_the_sound_and_in_order() -> None:
    """If it fails, captions overlap or stand after the end, and the plan is refused."""
    heard = Heard(
        words=(
            HeardWord(" two ", 0.5, 0.4),
            HeardWord("one\n", -1.0, 0.2),
            HeardWord("\x07", 0.6, 0.7),
            HeardWord("three", 1.9, 1e300),
            HeardWord("late", 2.0, 3.0),
        )
    )
    words = words_of(heard, length_us=2 * SECOND_US)
    assert [word.text for word in words] == ["one", "two", "three"]
    assert [(word.start_us, word.end_us) for word in words] == [
        (0, 200_000),
        (500_000, 500_001),
        (1_900_000, 2_000_000),
    ]


def test_words_that_whisper_doubts_are_not_shown() -> None:
    """If it fails, music gets captions that nobody said."""
    words = tuple(HeardWord(text, at, at + 0.5) for at, text in enumerate(("Thank", "real", "again")))
    silence = Segment(0.0, 1.0, no_speech_prob=0.9, avg_logprob=-1.5)
    sure = Segment(1.0, 2.0, no_speech_prob=0.9, avg_logprob=-0.2)
    looping = Segment(2.0, 3.0, compression_ratio=3.0)
    heard = Heard(words=words, segments=(silence, sure, looping))
    assert [word.text for word in words_of(heard, length_us=9 * SECOND_US)] == ["real"]


def test_a_transcript_without_word_times_is_none() -> None:
    """If it fails, captions get times that nobody measured."""
    with pytest.raises(Unanswered, match="no word times"):
        words_of(Heard(words=None), length_us=SECOND_US)
    assert words_of(Heard(words=()), length_us=SECOND_US) == ()
