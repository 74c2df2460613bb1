"""What form a work has: of its title, its first words, its length, its cuts and captions. Pure.

Words are English; question marks, numbers, emoji, capitals and lengths are found in any language. A form that cannot be
known is None with a reason, never a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

__all__ = ["KINDS", "Known", "Shape", "forms", "hook", "title_forms"]

_QUESTION: Final = re.compile("[?？؟⸮]")
_ASKS: Final = re.compile(
    r"(?:who|whom|whose|what|where|why|which|how|is|are|was|were|do|does|did|can|could|would|will|should|have|has)\b"
)
_LIST: Final = re.compile(
    r"^\W*(?:the\s+|my\s+)?(?:top\s+)?\d{1,3}\s+(?!(?:am|pm|st|nd|rd|th|k|x|vs)\b)[^\W\d]|\btop\s+\d{1,3}\b"
)
_HOW_TO: Final = re.compile(r"\bhow\s+(?:to|i|we|you|one)\b")
_SUPERLATIVE: Final = re.compile(
    r"\b(?:best|worst|most|least|first|last|only|ever|biggest|largest|greatest|smallest|tiniest|fastest|slowest|deepest"
    r"|highest|tallest|longest|shortest|oldest|newest|youngest|hottest|coldest|strongest|weakest|hardest|easiest"
    r"|cheapest|richest|rarest|strangest|weirdest|craziest|scariest|deadliest|funniest|cutest|brightest|darkest"
    r"|loudest|heaviest|closest|farthest|furthest|finest|simplest|ultimate)\b"
)
_FIRST_PERSON: Final = re.compile(r"\b(?:i|i['’](?:m|ve|ll|d)|my|mine|me|we|we['’](?:re|ve|ll|d)|our|ours)\b")
_EMOJI: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b\u23e9-\u23fa]")
_COMMAND: Final = re.compile(
    r"^(?:watch|look|stop|wait|never|always|don['’]?t|do not|see|try|imagine|listen|guess|meet|make|let['’]?s|learn"
    r"|discover|find|check|avoid|forget|remember|think|go|get|take|use|say|ask)\b"
)
_ADDRESS: Final = re.compile(r"\b(?:you|your|you['’](?:re|ll|ve|d))\b")
_STORY: Final = re.compile(r"^(?:i|i['’]\w+|my|we|we['’]\w+|our|when|once|one day|last|yesterday|today)\b")
_FIRST_WORDS: Final = 12
_MIN_CAPS_WORDS: Final = 2
_CAPS_SHARE: Final = 0.5

Buckets = tuple[tuple[float, str], ...]
"""Upper ends, exclusive, with names; what is at or above the last end has the last name."""
TITLE_CHARS: Final[Buckets] = ((31, "up to 30 characters"), (61, "31-60 characters"), (101, "61-100 characters"))
DURATION_S: Final[Buckets] = (
    (15, "under 15 s"), (30, "15-30 s"), (60, "30-60 s"), (180, "1-3 min"), (600, "3-10 min"),
)  # fmt: skip
CUTS: Final[Buckets] = ((6, "under 6 cuts a min"), (20, "6-20 cuts a min"))
WORDS: Final[Buckets] = ((1, "under 1 word a s"), (2.5, "1-2.5 words a s"))


class Shape(Struct, frozen=True, kw_only=True):
    """What is known of a work's form. spoken: its first words, empty: not known; None: not known."""

    title: str
    spoken: str = ""
    duration_s: float | None = None
    cuts_per_min: float | None = None
    caption_words_per_s: float | None = None


class Known(Struct, frozen=True, kw_only=True):
    """The forms of one kind that a work has; none, and why, where they cannot be known."""

    forms: frozenset[str]
    because: str = ""


def forms(shape: Shape) -> dict[str, Known]:
    """Return what forms a work has, by kind."""
    return {kind: look(shape) for kind, look in KINDS.items()}


def title_forms(title: str) -> frozenset[str]:
    """Return the forms of a title; `plain`: none of them."""
    folded = _folded(title)
    tests = {
        "question": bool(_QUESTION.search(title)),
        "list": bool(_LIST.search(folded)),
        "how-to": bool(_HOW_TO.search(folded)),
        "superlative": bool(_SUPERLATIVE.search(folded)),
        "first person": bool(_FIRST_PERSON.search(folded)),
        "capitals": _shouts(title),
        "emoji": bool(_EMOJI.search(title)),
    }
    return frozenset(name for name, found in tests.items() if found) or frozenset({"plain"})


def hook(text: str) -> str | None:
    """Return how the first words take hold of somebody; None: there are no words."""
    words = _folded(text).split()[:_FIRST_WORDS]
    start = re.sub(r"^\W+", "", " ".join(words))
    if not start:
        return None
    sentence = re.split(r"(?<=[.!?？؟])\s", start, maxsplit=1)[0]
    if re.match(r"how\s+(?:to|i|we|you|one)\b", start):
        return "how-to"
    if _QUESTION.search(sentence) or _ASKS.match(start):
        return "question"
    if start[0].isdigit():
        return "number"
    if _COMMAND.match(start):
        return "command"
    if _STORY.match(start):
        return "story"
    return "address" if _ADDRESS.search(sentence) else "statement"


def _hook(shape: Shape) -> Known:
    found = hook(shape.spoken) or hook(shape.title)
    return _no("neither title nor transcript has words") if found is None else _one(found)


def _length(shape: Shape) -> Known:
    if shape.duration_s is None:
        return _no("the platform gives no length")
    return _one(_bucket(shape.duration_s, DURATION_S, "over 10 min"))


def _pacing(shape: Shape) -> Known:
    if shape.cuts_per_min is None:
        return _no("cuts are known of own renders only")
    return _one("no cut" if shape.cuts_per_min == 0 else _bucket(shape.cuts_per_min, CUTS, "over 20 cuts a min"))


def _captions(shape: Shape) -> Known:
    if shape.caption_words_per_s is None:
        return _no("captions are known of own renders only")
    words = shape.caption_words_per_s
    return _one("no captions" if words == 0 else _bucket(words, WORDS, "over 2.5 words a s"))


KINDS: Final[Mapping[str, Callable[[Shape], Known]]] = {
    "title form": lambda shape: Known(forms=title_forms(shape.title)) if shape.title.strip() else _no("no title"),
    "title length": lambda shape: _one(_bucket(len(shape.title.strip()), TITLE_CHARS, "over 100 characters")),
    "hook": _hook,
    "length": _length,
    "pacing": _pacing,
    "caption density": _captions,
}
"""Every kind of form, and how it is found."""


def _one(name: str) -> Known:
    return Known(forms=frozenset({name}))


def _no(because: str) -> Known:
    return Known(forms=frozenset(), because=because)


def _bucket(value: float, buckets: Buckets, last: str) -> str:
    return next((name for end, name in buckets if value < end), last)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _shouts(title: str) -> bool:
    """Whether at least two words, and half of those that can be, are in capitals."""
    words: list[str] = [word for word in re.findall(r"[^\W\d_]{2,}", title) if word.upper() != word.lower()]
    loud = sum(word.isupper() for word in words)
    return loud >= _MIN_CAPS_WORDS and loud >= _CAPS_SHARE * len(words)
