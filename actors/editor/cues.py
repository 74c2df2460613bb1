"""Timed words to caption cues, and cues to the part of the video that is shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from contracts.plan import Cue, Word

__all__ = ["CueRules", "cues_from_words", "within"]

_SENTENCE_END: Final = (".", "!", "?", "…", "。", "！", "？")
_CLAUSE_END: Final = (",", ";", ":", "–", "—", "、", "，")
_CLOSING: Final = "\"'”’)]»"


class CueRules(Struct, frozen=True, kw_only=True):
    """When a cue ends. Times in microseconds, widths in characters."""

    max_words: int = 4
    max_chars: int = 22
    pause_us: int = 500_000
    min_shown_us: int = 400_000
    linger_us: int = 600_000


def cues_from_words(words: Sequence[Word], rules: CueRules | None = None) -> tuple[Cue, ...]:
    """Group words into cues of a few words that end at pauses, sentences and the line's width.

    A cue lingers into a pause and never overlaps the next. Words out of order in time are moved to keep order.
    """
    rules = rules or CueRules()
    groups: list[list[Word]] = []
    for word in _in_order(words):
        if groups and not _ends(groups[-1], word, rules):
            groups[-1].append(word)
        else:
            groups.append([word])
    starts = [group[0].start_us for group in groups]
    return tuple(
        Cue(
            start_us=group[0].start_us,
            end_us=_end_us(group, starts[at + 1] if at + 1 < len(groups) else None, rules),
            text=" ".join(word.text for word in group),
            words=tuple(group),
        )
        for at, group in enumerate(groups)
    )


def within(cues: Sequence[Cue], start_us: int, end_us: int) -> tuple[Cue, ...]:
    """Return what is shown of the cues from `start_us` to `end_us`, in time from `start_us`."""
    shown = []
    for cue in cues:
        first, last = max(cue.start_us, start_us), min(cue.end_us, end_us)
        if last <= first:
            continue
        words = tuple(
            replace(word, start_us=max(word.start_us, start_us) - start_us, end_us=min(word.end_us, end_us) - start_us)
            for word in cue.words
            if word.end_us > start_us and word.start_us < end_us
        )
        text = cue.text if len(words) == len(cue.words) else " ".join(word.text for word in words)
        if text:
            shown.append(Cue(start_us=first - start_us, end_us=last - start_us, text=text, words=words))
    return tuple(shown)


def _in_order(words: Sequence[Word]) -> list[Word]:
    placed: list[Word] = []
    at = 0
    for word in words:
        start = max(word.start_us, at)
        at = max(start + 1, word.end_us)
        placed.append(replace(word, start_us=start, end_us=at))
    return placed


def _ends(group: Sequence[Word], following: Word, rules: CueRules) -> bool:
    last = group[-1]
    chars = sum(len(word.text) + 1 for word in group) + len(following.text)
    if following.start_us - last.end_us >= rules.pause_us or chars > rules.max_chars:
        return True
    if following.start_us - group[0].start_us < rules.min_shown_us:
        return False
    said = last.text.rstrip(_CLOSING)
    return (
        len(group) >= rules.max_words or said.endswith(_SENTENCE_END) or (said.endswith(_CLAUSE_END) and len(group) > 1)
    )


def _end_us(group: Sequence[Word], following_us: int | None, rules: CueRules) -> int:
    end = max(group[-1].end_us + rules.linger_us, group[0].start_us + rules.min_shown_us)
    return end if following_us is None else min(end, following_us)
