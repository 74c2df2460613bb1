"""Which tags of languages are taken."""

from __future__ import annotations

import msgspec
import pytest

from contracts.language import LanguageTag, language_tag


@pytest.mark.parametrize("tag", ["en", "pt-BR", "zh-Hant", "zh-Hant-TW", "es-419", "fil", "ca-valencia", "EN"])
def test_tags_of_languages_are_taken(tag: str) -> None:
    """If this fails, subtitles of a language are never shown."""
    assert language_tag(tag) == msgspec.convert(tag, LanguageTag) == tag


@pytest.mark.parametrize(
    "told", ["", "english", "pt_BR", "e", "en-", "en US", "e\0n", "und", "zxx", "mul", "1en", "en-toolongpart"]
)
def test_what_names_no_language_is_none(told: str) -> None:
    """If this fails, a platform refuses a whole post for its language, or an event cannot be read."""
    assert language_tag(told) is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, LanguageTag)


def test_what_is_not_told_is_none() -> None:
    """If this fails, works without a language stop the editor."""
    assert language_tag(None) is None
