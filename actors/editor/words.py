"""Title, description and hashtags from the source's own words. Pure and deterministic; nothing is made up.

Limits: YouTube Data API v3, videos resource, snippet.title (100 characters, no < and >) and snippet.description
(5000 bytes, no < and >), read 2026-11.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final

from msgspec import Struct

from contracts.rights import RightsRecord, attribution_text

__all__ = [
    "PostText",
    "SourceText",
    "compose",
    "finished",
    "fit_bytes",
    "fit_chars",
    "hashtags",
    "tags_of",
    "title_from_file_name",
]

MAX_TITLE_CHARS: Final = 100
MAX_DESCRIPTION_BYTES: Final = 5000
MAX_TAGS: Final = 8
MAX_TAG_CHARS: Final = 30
_SPACED_SCRIPT_MIN_CHARS: Final = 3
_ANGLES: Final = str.maketrans({"<": "‹", ">": "›"})
_POSSESSIVE: Final = re.compile(r"['’]s\b", re.IGNORECASE)
_WEIGHT_TAG, _WEIGHT_TITLE, _WEIGHT_TEXT = 4.0, 3.0, 1.0
_MENTIONS_NEEDED: Final = 2
_STOP_TEXT: Final = """
a about after again all also am an and any are as at be because been before being between both but by can could did do
does doing down during each few for from further get go had has have having he her here hers him his how i if in into
is it its just let like made make me more most much must my new no nor not now of off on once one only or other our out
over own really said same say see she should so some such take than that the their them then there these they thing this
those through to too two under until up upon us use very was way we well were what when where which while who whom why
will
with would you your yours
clip clips episode film footage full hd http https mov movie mp4 official part scene video videos webm www com org net
the der die das und ist ein eine mit von für auf den dem nicht sich auch als aus bei nach wie oder zum zur
le la les un une des et est dans pour que qui sur avec pas par au aux ce cette sont plus
el los las una del que por con para como pero sus esta este son más il lo gli che per non uno della nel
o os as um uma do da dos das em no na com não se e y en de du
и в на не что с по как это из у за от для а но к о то
"""
_STOP: Final = frozenset(_STOP_TEXT.split())


class SourceText(Struct, frozen=True, kw_only=True):
    """The words that come with a source. Empty: not given."""

    title: str = ""
    file_name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    transcript: str = ""


class PostText(Struct, frozen=True, kw_only=True):
    """The words of a post."""

    title: str
    description: str
    hashtags: tuple[str, ...]


def compose(source: SourceText, rights: RightsRecord) -> PostText:
    """Return the words of the post, taken from what came with the source."""
    title = source.title or rights.title or title_from_file_name(source.file_name) or source.transcript
    return finished(title, source.description, hashtags(source), rights)


def finished(title: str, told: str, tags: Sequence[str], rights: RightsRecord) -> PostText:
    """Bring words within the limits. The credit that a licence asks for is never cut; the rest gives way to it."""
    credit = _lines(attribution_text(rights))
    room = MAX_DESCRIPTION_BYTES - len(credit.encode()) - 2
    told = fit_bytes(_lines(told), max(0, room))
    return PostText(
        title=fit_chars(_line(title), MAX_TITLE_CHARS) or "Untitled",
        description=fit_bytes("\n\n".join(part for part in (told, credit) if part), MAX_DESCRIPTION_BYTES),
        hashtags=_best(dict.fromkeys(tags, 0.0)),
    )


def tags_of(given: Sequence[str]) -> tuple[str, ...]:
    """Return what can be a hashtag of what is given, in its order: letters and digits of one word, lower case."""
    scores: dict[str, float] = {}
    for tag in given:
        _add(scores, "".join(_words(tag)), 0.0)
    return _best(scores)


def hashtags(source: SourceText) -> tuple[str, ...]:
    """Return at most eight hashtags without #, best first: given tags, then the words said most."""
    scores: dict[str, float] = {}
    for tag in source.tags:
        _add(scores, "".join(_words(tag)), _WEIGHT_TAG)
    title = source.title or title_from_file_name(source.file_name)
    for word in dict.fromkeys(_words(title)):
        _add(scores, word, _WEIGHT_TITLE)
    counts: dict[str, int] = {}
    for word in _words(f"{source.description} {source.transcript}"):
        counts[word] = counts.get(word, 0) + 1
    for word, count in counts.items():
        if count >= _MENTIONS_NEEDED or word in scores:
            _add(scores, word, min(count, 5) * _WEIGHT_TEXT)
    return _best(scores)


def title_from_file_name(name: str) -> str:
    """Return a file's name as words: no folder, no suffix, no underscores."""
    stem = PurePath(name.replace("\\", "/")).stem
    return _line(re.sub(r"[_.\-]+", " ", stem))


def fit_chars(text: str, limit: int) -> str:
    """Cut to `limit` characters at the end of a word, marked with an ellipsis."""
    if len(text) <= limit:
        return text
    head = _whole_characters(text[:limit])
    return _at_word_end(head[:-1], text) + "…"


def fit_bytes(text: str, limit: int) -> str:
    """Cut to `limit` bytes of UTF-8 at the end of a word, marked with an ellipsis."""
    if len(text.encode()) <= limit:
        return text
    head = text.encode()[: max(0, limit - len("…".encode()))].decode(errors="ignore")
    return _at_word_end(_whole_characters(head), text) + "…" if head else ""


def _at_word_end(head: str, text: str) -> str:
    """Drop a word that was cut in two, unless that would drop most of the text."""
    if text[len(head) : len(head) + 1].isspace():
        return head.rstrip()
    cut = max(head.rfind(" "), head.rfind("\n"))
    return (head[:cut] if cut > len(head) // 2 else head).rstrip(" \n,;:-")


def _whole_characters(text: str) -> str:
    """Drop what a cut left of a character of several code points (joiners at the end)."""
    return text.rstrip("\u200d\ufe0f")


def _line(text: str) -> str:
    return " ".join(_lines(text).split())


def _lines(text: str) -> str:
    """Normalise: NFC, no control characters, no angle brackets, at most one empty line in a row."""
    normal = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\t", " ")
    bare = "".join(char for char in normal if char == "\n" or unicodedata.category(char) not in {"Cc", "Cs"})
    return re.sub(r"\n{3,}", "\n\n", bare.translate(_ANGLES)).strip()


def _words(text: str) -> Iterator[str]:
    """Yield words in lower case. Marks count as letters: without them many scripts fall apart."""
    word = ""
    for char in f"{_POSSESSIVE.sub('', unicodedata.normalize('NFC', text)).lower()} ":
        if unicodedata.category(char)[0] in "LMN":
            word += char
        elif char not in "'’\u200c\u200d":
            if word:
                yield word
            word = ""


def _best(scores: Mapping[str, float]) -> tuple[str, ...]:
    ranked = sorted(scores, key=lambda word: -scores[word])  # stable: first mention wins a tie
    return tuple(ranked[:MAX_TAGS])


def _add(scores: dict[str, float], word: str, points: float) -> None:
    least = _SPACED_SCRIPT_MIN_CHARS if word.isascii() else 2
    if least <= len(word) <= MAX_TAG_CHARS and word not in _STOP and not word.isdigit():
        scores[word] = scores.get(word, 0.0) + points
