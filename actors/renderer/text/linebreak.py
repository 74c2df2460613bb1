"""Break text into lines: where Unicode allows it, as few as fit, evened out.

Source of the places: ICU's line breaking (UAX #14, with dictionaries for Thai, Lao, Khmer, Burmese and phrases for
Chinese, Japanese, Korean), by icu4py.
"""

from __future__ import annotations

import bisect
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from icu4py.breakers import CharacterBreaker, LineBreaker
from msgspec import Struct

from contracts.plan import Cue, Word

__all__ = ["Paragraph", "active_word", "break_lines", "clusters", "paragraphs", "reads_right_to_left", "spoken_word"]

HOLD_US: Final = 300_000
"""A word stays highlighted through a pause of up to this length before the next one."""
_LOCALE: Final = "ja@lw=phrase"
"""Chinese, Japanese and Korean break between phrases; other scripts break as anywhere."""


class Paragraph(Struct, frozen=True):
    """Text between two forced breaks, its white space single spaces.

    owners: of each character the word (index into the cue's) that it is lit with; None: of none. cuts: where a line
    may begin. rtl: it reads from right to left.
    """

    text: str
    owners: tuple[int | None, ...]
    cuts: tuple[int, ...]
    rtl: bool


def paragraphs(text: str, words: tuple[Word, ...] = (), *, uppercase: bool = False) -> tuple[Paragraph, ...]:
    """Cut a text at its line feeds; blank ones are left out."""
    owners = _owners(text, words)
    found: list[Paragraph] = []
    start = 0
    for part in text.split("\n"):
        shown, owned = _tidied(part, owners[start : start + len(part)], uppercase=uppercase)
        start += len(part) + 1
        if shown:
            cuts = tuple(itertools.accumulate(len(piece) for piece in LineBreaker(shown, _LOCALE)))
            found.append(Paragraph(shown, tuple(owned), cuts[:-1], reads_right_to_left(shown)))
    return tuple(found)


def _tidied(text: str, owners: list[int | None], *, uppercase: bool) -> tuple[str, list[int | None]]:
    """Make white space single and give punctuation the word that it stands at."""
    shown: list[str] = []
    owned: list[int | None] = []
    for start, token in _tokens(text):
        if shown:
            shown.append(" ")
            owned.append(None)
        own = owners[start : start + len(token)]
        first = next((word for word in own if word is not None), None)
        for at, character in enumerate(token):
            first = own[at] if own[at] is not None else first
            drawn = character.upper() if uppercase else character
            shown.append(drawn)
            owned += [first] * len(drawn)
    return "".join(shown), owned


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for blank, group in itertools.groupby(text, key=_blank):
        token = "".join(group)
        if not blank:
            yield at, token
        at += len(token)


def _blank(character: str) -> bool:
    return (character.isspace() and character not in "\u00a0\u202f") or unicodedata.category(character) == "Cc"


def _owners(text: str, words: tuple[Word, ...]) -> list[int | None]:
    """Return for each character of the text the word that it belongs to. Words that are not in the text own none."""
    owner: list[int | None] = [None] * len(text)
    folded, at = text.lower(), 0
    if len(folded) != len(text):
        folded = text
    for index, word in enumerate(words):
        wanted = word.text.strip()
        place = folded.find(wanted.lower(), at)
        if place < 0 or not wanted:
            continue
        at = place + len(wanted)
        owner[place:at] = [index] * (at - place)
    return owner


def clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield what a reader takes for one character, and where it begins. Source: UAX #29."""
    at = 0
    for cluster in CharacterBreaker(text, "en"):
        yield at, cluster
        at += len(cluster)


def spoken_word(cue: Cue, t_us: int) -> int | None:
    """Return the index of the last word that has begun."""
    found = bisect.bisect_right([word.start_us for word in cue.words], t_us) - 1
    return found if found >= 0 else None


def active_word(cue: Cue, t_us: int) -> int | None:
    """Return the index of the word being spoken."""
    index = spoken_word(cue, t_us)
    if index is None:
        return None
    word = cue.words[index]
    following = cue.words[index + 1].start_us if index + 1 < len(cue.words) else word.end_us
    held_us = following if following - word.end_us <= HOLD_US else word.end_us
    return index if t_us < max(word.end_us, held_us) else None


def break_lines(paragraph: Paragraph, advances: Sequence[float], max_width: float) -> tuple[tuple[int, int], ...]:
    """Break a paragraph into as few lines as fit, then even out their widths.

    Args: advances: of each character, px. Returns: the first character of each line, and the one after its last.
    """
    ends = [0.0, *itertools.accumulate(advances)]
    lines = _greedy(paragraph, ends, max_width)
    low, high = 0.0, max_width
    while high - low > 1.0 and len(lines) > 1:
        middle = (low + high) / 2
        tried = _greedy(paragraph, ends, middle, split=False)
        if len(tried) == len(lines) and all(ends[end] - ends[start] <= middle for start, end in tried):
            high, lines = middle, tried
        else:
            low = middle
    return tuple(lines)


def _greedy(
    paragraph: Paragraph, ends: Sequence[float], max_width: float, *, split: bool = True
) -> list[tuple[int, int]]:
    text = paragraph.text
    lines: list[tuple[int, int]] = []
    for start, end in itertools.pairwise((0, *paragraph.cuts, len(text))):
        stop = start + len(text[start:end].rstrip())
        if lines and ends[stop] - ends[lines[-1][0]] <= max_width:
            lines[-1] = (lines[-1][0], stop)
        elif split and ends[stop] - ends[start] > max_width:
            lines += _split(text, ends, (start, stop), max_width)
        else:
            lines.append((start, stop))
    return lines


def _split(text: str, ends: Sequence[float], span: tuple[int, int], max_width: float) -> Iterator[tuple[int, int]]:
    """Cut what is wider than a line between characters."""
    start, end = span
    at = start
    for offset, cluster in clusters(text[start:end]):
        here = span[0] + offset
        if here > at and ends[here + len(cluster)] - ends[at] > max_width:
            yield at, here
            at = here
    yield at, end


def reads_right_to_left(text: str) -> bool:
    """Return the direction of the first strong character. Source: Unicode UAX #9, rules P2 and P3."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"L", "R", "AL"}:
            return direction != "L"
    return False
