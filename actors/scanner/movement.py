"""How much a niche moves: growth of what was seen before, share of what is new, topics that speak of it. Pure."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from contracts.clock import Utc
from contracts.ids import ItemId
from contracts.platform import Candidate

__all__ = ["Movement", "Seen", "movement_of", "smoothed", "speaks_of", "words_of"]

DAY_S: Final = 86_400.0
SHORTEST_S: Final = 600.0
"""Sightings that are closer say nothing of growth."""
PRIOR_VIEWS: Final = 10
MOST_TOPICS: Final = 4
SMOOTHING: Final = 0.5
_WORD: Final = re.compile(r"[^\W_]+")


class Seen(Struct, frozen=True, kw_only=True):
    """An earlier sighting of a work by the same niche."""

    item_id: ItemId
    views: int | None
    seen_at: Utc


class Movement(Struct, frozen=True, kw_only=True):
    """How much a niche moves. value None: nothing to measure it by yet."""

    value: float | None
    because: str


def movement_of(
    found: Sequence[Candidate], earlier: Mapping[ItemId, Seen], *, known: Collection[str], topics: int = 0
) -> Movement:
    """Measure a scan against the sightings before it.

    value is the median growth of views a day (natural logarithm), plus the share of works never seen before, plus a
    quarter for each new topic, four at most. Args: earlier: the last sighting of each work that was seen before;
    known: platforms that gave works before: what another gives for the first time is not news.
    """
    parts: list[float] = []
    words: list[str] = []
    growth = [rate for one in found if (rate := _growth(one, earlier.get(one.item_id))) is not None]
    if growth:
        median = max(0.0, statistics.median(growth))
        parts.append(median)
        words.append(f"views of {len(growth)} known works grew {math.expm1(median):.0%} a day")
    if compared := [one for one in found if one.platform in known]:
        new = sum(one.item_id not in earlier for one in compared)
        parts.append(new / len(compared))
        words.append(f"{new} of {len(compared)} works are new")
    if topics:
        parts.append(min(topics, MOST_TOPICS) / 4)
        words.append(f"{topics} new topic{'s' * (topics > 1)}")
    return Movement(value=sum(parts) if parts else None, because=", ".join(words) or "nothing to compare with yet")


def smoothed(before: float | None, now: float | None) -> float | None:
    """Mix a new measurement with those before it; a scan that measured nothing changes nothing."""
    if now is None or before is None:
        return before if now is None else now
    return before + SMOOTHING * (now - before)


def _growth(one: Candidate, before: Seen | None) -> float | None:
    if before is None or before.views is None or one.metrics.views is None:
        return None
    passed_s = (one.observed_at - before.seen_at).total_seconds()
    if passed_s < SHORTEST_S:
        return None
    return math.log((one.metrics.views + PRIOR_VIEWS) / (before.views + PRIOR_VIEWS)) * DAY_S / passed_s


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, folded for comparing."""
    return tuple(_WORD.findall(text.casefold()))


def speaks_of(niche: str, texts: Iterable[str]) -> bool:
    """Tell whether every word of the niche is in one of the texts."""
    wanted = set(words_of(niche))
    return bool(wanted) and any(wanted <= set(words_of(text)) for text in texts)
