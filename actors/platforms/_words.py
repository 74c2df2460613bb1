"""Words of a niche where a platform knows hashtags, or none of its answers are filtered."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from actors.platforms._text import clean

__all__ = ["first_line", "has_words", "hashtag_of", "hashtags_in"]

_HASHTAG: Final = re.compile(r"#([^\s#.,;:!?()\[\]{}\"'`/\\|<>@&+*=~^%$-]{1,100})")
MOST_TAGS: Final = 50


def hashtag_of(niche: str) -> str:
    """Return the niche as a hashtag without its mark: lower case, letters, digits, marks and `_` only, no spaces.

    Empty where nothing is left, or digits alone, which no platform takes as a hashtag.
    """
    folded = unicodedata.normalize("NFKC", niche).lower()
    kept = "".join(c for c in folded if c == "_" or unicodedata.category(c)[0] in "LMN")
    return "" if kept.isdigit() else kept[:100]


def hashtags_in(text: str) -> tuple[str, ...]:
    """Return the hashtags of a text in their order, each once, without the mark."""
    found = (clean(tag, max_chars=100) for tag in _HASHTAG.findall(unicodedata.normalize("NFC", text)))
    return tuple(dict.fromkeys(tag for tag in found if hashtag_of(tag)))[:MOST_TAGS]


def has_words(text: str, niche: str) -> bool:
    """Return whether a text holds every word of `niche` in any order, or its hashtag.

    Words of the Latin alphabet count at the beginning of a word only ("art" is not in "party"); others anywhere,
    since not every script separates words. A niche without words is in no text.
    """
    within = unicodedata.normalize("NFKC", text).casefold()
    words = [word.strip("#\"'") for word in unicodedata.normalize("NFKC", niche).casefold().split()]
    words = [word for word in words if word]
    if not words:
        return False
    if (tag := hashtag_of(niche)) and tag in {one.casefold() for one in hashtags_in(within)}:
        return True
    return all(
        re.search(rf"(?<![a-z0-9]){re.escape(word)}", within) if word.isascii() else word in within for word in words
    )


def first_line(text: str, *, max_chars: int = 300) -> str:
    """Return the first line of a caption that has words, as the title that such posts lack; empty: there is none."""
    return next((line for part in text.splitlines() if (line := clean(part, max_chars=max_chars))), "")
