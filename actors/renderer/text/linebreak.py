"""Break a cue into lines of pieces. A piece is what is coloured as one: a word, or a part of text without spaces."""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Callable, Iterator

from msgspec import Struct

from contracts.plan import Cue

__all__ = ["Line", "Piece", "active_word", "break_lines", "pieces", "reads_right_to_left"]

HOLD_US = 300_000
"""A word stays highlighted through a pause of up to this length before the next one."""


class Piece(Struct, frozen=True):
    """A part of the text.

    word: index into the cue's words; None: no timed word. glued: no space before it. forced: begins a line.
    """

    text: str
    word: int | None = None
    glued: bool = False
    forced: bool = False


Line = tuple[Piece, ...]
Measure = Callable[[str], float]


def pieces(cue: Cue, *, uppercase: bool = False) -> tuple[Piece, ...]:
    """Cut a cue's text where its words begin and where it has spaces."""
    text = cue.text
    owner = _owners(cue)
    found: list[Piece] = []
    start = 0
    while start < len(text):
        if text[start].isspace():
            start += 1
            continue
        end = start + 1
        while end < len(text) and not text[end].isspace() and not _cuts(owner, end):
            end += 1
        before = text[:start]
        glued = bool(before) and not before[-1].isspace()
        gap = before[len(before.rstrip()) :]
        words = [word for word in owner[start:end] if word is not None]
        shown = text[start:end].upper() if uppercase else text[start:end]
        found.append(Piece(shown, words[0] if words else None, glued, bool(found) and "\n" in gap))
        start = end
    return tuple(found)


def _owners(cue: Cue) -> list[int | None]:
    """Return for each character of the text the word that it belongs to. Words that are not in the text own none."""
    owner: list[int | None] = [None] * len(cue.text)
    folded, at = cue.text.lower(), 0
    if len(folded) != len(cue.text):
        folded = cue.text
    for index, word in enumerate(cue.words):
        wanted = word.text.strip()
        place = folded.find(wanted.lower(), at)
        if place < 0 or not wanted:
            continue
        at = place + len(wanted)
        owner[place:at] = [index] * (at - place)
    return owner


def _cuts(owner: list[int | None], at: int) -> bool:
    """Whether another word begins here. Punctuation stays with the word before it."""
    return owner[at] is not None and owner[at - 1] is not None and owner[at] != owner[at - 1]


def active_word(cue: Cue, t_us: int) -> int | None:
    """Return the index of the word being spoken."""
    for index in range(len(cue.words) - 1, -1, -1):
        word = cue.words[index]
        if word.start_us <= t_us:
            following = cue.words[index + 1].start_us if index + 1 < len(cue.words) else word.end_us
            held_us = following if following - word.end_us <= HOLD_US else word.end_us
            return index if t_us < max(word.end_us, held_us) else None
    return None


def break_lines(parts: tuple[Piece, ...], measure: Measure, max_width: float) -> tuple[Line, ...]:
    """Break into as few lines as fit, then even out their widths. A piece wider than a line is split."""
    whole = tuple(part for piece in parts for part in _split(piece, measure, max_width))
    lines = _greedy(whole, measure, max_width)
    low, high = 0.0, max_width
    while high - low > 2.0:
        middle = (low + high) / 2
        tried = _greedy(whole, measure, middle)
        if len(tried) == len(lines) and all(_width(line, measure) <= middle for line in tried):
            high = middle
        else:
            low = middle
    return _greedy(whole, measure, high)


def _greedy(parts: tuple[Piece, ...], measure: Measure, max_width: float) -> tuple[Line, ...]:
    lines: list[list[Piece]] = []
    for piece in parts:
        if lines and not piece.forced and _width((*lines[-1], piece), measure) <= max_width:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return tuple(tuple(line) for line in lines)


def _width(line: Line, measure: Measure) -> float:
    return measure("".join(("" if at == 0 or piece.glued else " ") + piece.text for at, piece in enumerate(line)))


def _split(piece: Piece, measure: Measure, max_width: float) -> Iterator[Piece]:
    text, glued, forced = piece.text, piece.glued, piece.forced
    while len(text) > 1 and measure(text) > max_width:
        cut = max(1, bisect.bisect_right(range(1, len(text)), max_width, key=lambda count: measure(text[:count])))
        while cut > 1 and unicodedata.combining(text[cut]):
            cut -= 1
        yield Piece(text[:cut], piece.word, glued, forced)
        text, glued, forced = text[cut:], True, False
    yield Piece(text, piece.word, glued, forced)


def reads_right_to_left(text: str) -> bool:
    """Return the direction of the first strong character. Source: Unicode UAX #9, rules P2 and P3."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"L", "R", "AL"}:
            return direction != "L"
    return False
