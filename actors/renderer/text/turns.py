"""A long cue goes on in turns of a few lines: which lines, and when each turn begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.renderer.text.block import Row
from contracts.plan import Cue

__all__ = ["Turn", "turns_of"]


class Turn(NamedTuple):
    """Lines of a cue that are seen together. start_us: when they appear, output time; words: those in them."""

    start_us: int
    rows: tuple[Row, ...]
    words: frozenset[int]


def turns_of(cue: Cue, rows: Sequence[Row], most: int) -> tuple[Turn, ...]:
    """Share out lines to as few turns as it takes, `most` lines at a time, evenly.

    A turn begins with its first word, or where word times are not known in proportion to the text before it.
    """
    count = -(-len(rows) // most)
    groups = [tuple(rows[at * len(rows) // count : (at + 1) * len(rows) // count]) for at in range(count)]
    lengths = [sum(len(row.text) for row in group) for group in groups]
    found: list[Turn] = []
    for at, group in enumerate(groups):
        words = frozenset(owner for row in group for owner in row.owners if owner is not None)
        share_us = cue.start_us + (cue.end_us - cue.start_us) * sum(lengths[:at]) // max(1, sum(lengths))
        first_us = cue.words[min(words)].start_us if words else share_us
        start_us = cue.start_us if at == 0 else max(found[-1].start_us, first_us)
        found.append(Turn(start_us, group, words))
    return tuple(found)
