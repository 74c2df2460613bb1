"""How promising a candidate is: five signals, each with its reason in words.

A score is the sum of its reasons, 0..100 points. A number that is not known is worth half of its signal's points,
and the reason says so: it neither helps nor harms. Scores depend on nothing but the arguments.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from contracts.clock import Utc
from contracts.events import Reason
from contracts.platform import Candidate, Metrics
from contracts.rights import LICENCES, Use, may

__all__ = ["POINTS", "Observation", "Scored", "relevance_of", "score", "uses_for"]

POINTS: Final = {"velocity": 35.0, "engagement": 15.0, "relevance": 20.0, "recency": 10.0, "licence": 20.0}
"""Most points that each signal can give; together 100."""

FULL_VIEWS_PER_DAY: Final = 100_000.0
LEAST_AGE_DAYS: Final = 1.0
"""A younger work is taken to be this old: the first hours say little about a day."""
LEAST_GAP: Final = timedelta(hours=6)
LONGEST_GAP: Final = timedelta(days=30)
TYPICAL_PER_VIEW: Final = {"likes": 0.035, "comments": 0.003, "shares": 0.002}
PRIOR_VIEWS: Final = 500.0
"""Typical views mixed into every rate, so that three likes on four views are no sensation."""
HALF_LIFE_DAYS: Final = 30.0
WHERE: Final = (("title", 1.0), ("tags", 0.8), ("description", 0.5))
_DAY: Final = timedelta(days=1)
_PLURALS: Final = ((re.compile(r"(?<=x|z|h)es$|(?<=ss)es$"), ""), (re.compile(r"(?<![siu])s$"), ""))
_LAST_VOWELS: Final = re.compile(r"(?:ie|y|oe)$")
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Observation(Struct, frozen=True, kw_only=True):
    """Views of a candidate at one moment."""

    observed_at: Utc
    views: int | None


class Scored(Struct, frozen=True, kw_only=True):
    """A score, 0..100, and the reasons that add up to it."""

    score: float
    reasons: tuple[Reason, ...]


def uses_for(*, monetised: bool) -> tuple[Use, ...]:
    """Return what the channel must be allowed to do with a work."""
    return ("download", "derivative", "commercial") if monetised else ("download", "derivative")


def score(candidate: Candidate, *, niche: str, earlier: Sequence[Observation] = (), uses: Sequence[Use]) -> Scored:
    """Score a candidate as of the moment it was observed. earlier: older observations of the same work, any order."""
    values = {
        "velocity": _velocity(candidate, earlier),
        "engagement": _engagement(candidate.metrics),
        "relevance": relevance_of(candidate, niche),
        "recency": _recency(candidate),
        "licence": _licence(candidate, uses),
    }
    reasons = tuple(
        Reason(signal=signal, points=round(POINTS[signal] * (0.5 if value is None else value), 2), because=because)
        for signal, (value, because) in values.items()
    )
    return Scored(score=round(sum(reason.points for reason in reasons), 2), reasons=reasons)


Value = tuple[float | None, str]
"""A signal's part of its points, 0..1 (None: not known), and why."""


def _velocity(candidate: Candidate, earlier: Sequence[Observation]) -> Value:
    views = candidate.metrics.views
    if views is None:
        return None, f"views are not available{_why(candidate.metrics, 'views')}; counted as middling"
    if (measured := _measured(candidate, views, earlier)) is not None:
        per_day, how = measured
    elif candidate.published_at is None:
        return None, f"{views} views, but no date of publication, so no views a day; counted as middling"
    else:
        days = max((candidate.observed_at - candidate.published_at) / _DAY, LEAST_AGE_DAYS)
        per_day, how = views / days, f"{views} views in {_number(days)} days since publication"
    value = min(math.log1p(per_day) / math.log1p(FULL_VIEWS_PER_DAY), 1.0)
    return value, f"{_number(per_day)} views a day: {how}; log scale, full at {FULL_VIEWS_PER_DAY:,.0f}"


def _measured(candidate: Candidate, views: int, earlier: Sequence[Observation]) -> tuple[float, str] | None:
    """Return views a day since the oldest usable observation of the last 30 days; None: there is none."""
    known = [
        (old.observed_at, old.views)
        for old in earlier
        if old.views is not None and LEAST_GAP <= candidate.observed_at - old.observed_at <= LONGEST_GAP
    ]
    if not known:
        return None
    since, before = min(known)
    days = (candidate.observed_at - since) / _DAY
    return max(views - before, 0) / days, f"measured, from {before} to {views} in {_number(days)} days"


def _engagement(metrics: Metrics) -> Value:
    counts = {name: count for name in TYPICAL_PER_VIEW if (count := getattr(metrics, name)) is not None}
    if metrics.views is None or not counts:
        missing = "views" if metrics.views is None else "likes"
        return None, f"{missing} are not available{_why(metrics, missing)}; counted as typical"
    typical = sum(TYPICAL_PER_VIEW[name] for name in counts)
    rate = (sum(counts.values()) + typical * PRIOR_VIEWS) / (metrics.views + PRIOR_VIEWS)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    mixed = f"{rate:.2%} with {PRIOR_VIEWS:.0f} typical views mixed in; {typical:.2%} is typical"
    return rate / (rate + typical), f"{told} on {metrics.views} views: {mixed}"


def relevance_of(candidate: Candidate, niche: str) -> Value:
    """Return how many of the niche's words the work's own words hold; title counts more than tags and description."""
    wanted = _words(niche)
    if not wanted:
        return None, "the niche has no words; counted as middling"
    texts = {"title": candidate.title, "tags": " ".join(candidate.tags), "description": candidate.description}
    held = {name: frozenset(_words(text)) for name, text in texts.items()}
    folded = {name: _fold(text) for name, text in texts.items()}
    places = {word: _place(stem, held, folded) for stem, word in wanted.items()}
    value = sum(weight for _, weight in places.values()) / len(wanted)
    return value, "; ".join(
        f"'{word}' in {place}" if place else f"'{word}' nowhere" for word, (place, _) in places.items()
    )


def _place(word: str, held: dict[str, frozenset[str]], folded: dict[str, str]) -> tuple[str, float]:
    for name, weight in WHERE:
        # Scripts without spaces have no separate words, so any text holding the letters counts.
        if word in held[name] or (not word.isascii() and word in folded[name]):
            return name, weight
    return "", 0.0


def _recency(candidate: Candidate) -> Value:
    if candidate.published_at is None:
        return None, "no date of publication; counted as middling"
    days = max((candidate.observed_at - candidate.published_at) / _DAY, 0.0)
    when = "today" if days < 1 else f"{_number(days)} days ago"
    return 0.5 ** (days / HALF_LIFE_DAYS), f"published {when}; halves every {HALF_LIFE_DAYS:.0f} days"


def _licence(candidate: Candidate, uses: Sequence[Use]) -> Value:
    for use in uses:
        verdict = may(use, candidate.rights, at=candidate.observed_at)
        if not verdict.allowed:
            return 0.0, verdict.because
    licence = LICENCES[candidate.rights.licence]
    if licence.share_alike:
        return 0.7, f"{licence.title}: usable; the video must carry the same licence"
    if licence.attribution:
        return 0.9, f"{licence.title}: usable with the author named"
    return 1.0, f"{licence.title}: usable, no conditions"


def _words(text: str) -> dict[str, str]:
    """Return the words of a text as they stand there, by stem."""
    return {_stem(word): word for word in _WORD.findall(_fold(text))}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _stem(word: str) -> str:
    """Take English plurals for their singular: volcanoes and volcano, cities and city, boxes and box."""
    if len(word) < 4:
        return word
    for ending, instead in _PLURALS:
        word, count = ending.subn(instead, word)
        if count:
            break
    return _LAST_VOWELS.sub(lambda found: "o" if found[0] == "oe" else "i", word)


def _why(metrics: Metrics, name: str) -> str:
    return f" ({because})" if (because := metrics.absent.get(name)) else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
