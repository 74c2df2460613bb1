"""How promising a candidate is, each signal with its value, its weight and its reason in words.

A score is the sum of value x weight over all signals, 0..100 points. What is not known is worth half of its signal's
points, or what is typical of the work's age, and the reason says so: it neither helps nor harms. Scores depend on
nothing but the arguments. The arithmetic is that of `signals.py`, which ranks whole files.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from actors.ranker.features import Counts, history_of, inputs_of, title_of
from actors.ranker.signals import (
    ABSENT,
    TYPICAL_PER_VIEW,
    VOTE_POINTS,
    Column,
    Columns,
    Objective,
    Parts,
    parts_of,
    values_of,
    weights_of,
)
from contracts.clock import Utc
from contracts.events import Reason
from contracts.platform import Candidate, Metrics
from contracts.rights import LICENCES, RightsRecord, Use, may

__all__ = [
    "NOTHING_KNOWN",
    "Context",
    "Learned",
    "Observation",
    "Scored",
    "Voted",
    "licence_value",
    "relevance",
    "relevance_of",
    "score",
    "uses_for",
    "with_vote",
    "words_of",
]

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


class Context(Struct, frozen=True, kw_only=True):
    """What is known beside the candidate itself; null: not known, `because` says why or how, by signal."""

    likes_per_view: float | None = None
    comments_per_view: float | None = None
    saturation: float | None = None
    fit: float | None = None
    because: dict[str, str] = {}


NOTHING_KNOWN: Final = Context()


class Learned(Protocol):
    """A model of what the forecast leaves over."""

    @property
    def version(self) -> str: ...
    def residuals(self, inputs: NDArray[np.float32]) -> Column:
        """Return what to add to each forecast, log units."""
        ...


class Voted(Protocol):
    """A vote of a language model."""

    @property
    def value(self) -> float: ...
    @property
    def because(self) -> str: ...


def uses_for(*, monetised: bool) -> tuple[Use, ...]:
    """Return what the channel must be allowed to do with a work."""
    return ("download", "derivative", "commercial") if monetised else ("download", "derivative")


def score(
    candidate: Candidate,
    *,
    niche: str,
    earlier: Sequence[Observation] = (),
    uses: Sequence[Use],
    context: Context = NOTHING_KNOWN,
    model: Learned | None = None,
    vote: Voted | None = None,
    objective: Objective = "balanced",
) -> Scored:
    """Score a candidate as of the moment it was observed. earlier: older observations of the same work, any order.

    Args: model: adds what it learned to the forecast. vote: moves the score by VOTE_POINTS at most.
    """
    fitting, why_relevant = relevance_of(candidate, niche)
    usable, why_usable = licence_value(candidate.rights, uses, at=candidate.observed_at)
    columns = _columns(candidate, earlier, context)._replace(
        relevance=_one(fitting), licence=_one(usable), vote=_one(None if vote is None else vote.value)
    )
    parts = parts_of(columns, objective)
    if model is not None:
        columns = columns._replace(learned=model.residuals(inputs_of(columns, parts)))
        parts = parts_of(columns, objective)
    values = values_of(columns, parts, objective)
    words = _told(candidate, columns, parts, context) | {
        "relevance": why_relevant,
        "licence": why_usable,
        "learned": f"model {model.version}: {columns.learned[0]:+.2f} log units" if model else "no model is in use",
        "vote": f"{vote.because} (at most {VOTE_POINTS:g} points)" if vote else "no language model voted",
    }
    reasons = _reasons(values, words, objective)
    return Scored(score=round(sum(reason.points for reason in reasons), 2), reasons=reasons)


def with_vote(scored: Scored, vote: Voted | None, *, because: str) -> Scored:
    """Return the score with a vote in place of the one it has. because: why there is none, where there is none."""
    value = ABSENT if vote is None else min(max(vote.value, 0.0), 1.0)
    told = f"{because}; counted as middling" if vote is None else f"{vote.because} (at most {VOTE_POINTS:g} points)"
    reasons = tuple(
        msgspec.structs.replace(one, points=round((one.weight or 0.0) * value, 2), value=round(value, 6), because=told)
        if one.signal == "vote"
        else one
        for one in scored.reasons
    )
    return Scored(score=round(sum(reason.points for reason in reasons), 2), reasons=reasons)


def _reasons(values: Mapping[str, Column], words: Mapping[str, str], objective: Objective) -> tuple[Reason, ...]:
    reasons = []
    for signal, weight in weights_of(objective).items():
        value, because = float(values[signal][0]), words[signal]
        if np.isnan(value):
            value, because = ABSENT, f"{because}; counted as middling"
        reasons.append(
            Reason(
                signal=signal,
                points=round(weight * value, 2),
                because=because,
                value=round(value, 6),
                weight=round(weight, 6),
            )
        )
    return tuple(reasons)


def _columns(candidate: Candidate, earlier: Sequence[Observation], context: Context) -> Columns:
    """Return one row of columns."""
    counts = candidate.metrics
    now = _days(candidate.observed_at)
    at = candidate.observed_at
    seen = [Counts(_days(old.observed_at), _number(old.views)) for old in earlier if old.observed_at < at]
    newest = Counts(now, _number(counts.views), _number(counts.likes), _number(counts.comments))
    history = history_of([*seen, newest])
    title = title_of(candidate.title)
    age = np.nan if candidate.published_at is None else history.at - _days(candidate.published_at)
    likes, comments = context.likes_per_view, context.comments_per_view
    return Columns.empty(1)._replace(
        views=_one(history.views),
        likes=_one(history.likes),
        comments=_one(history.comments),
        age_days=_one(age),
        seen_days=_one(history.seen_days),
        stale_days=_one(now - history.at),
        before_views=_one(history.before_views),
        before_gap_days=_one(history.before_gap_days),
        earlier_views=_one(history.earlier_views),
        earlier_gap_days=_one(history.earlier_gap_days),
        base_likes=_one(TYPICAL_PER_VIEW["likes"] if likes is None else likes),
        base_comments=_one(TYPICAL_PER_VIEW["comments"] if comments is None else comments),
        official=_one(title.official),
        shouts=_one(title.shouts),
        question=_one(title.question),
        saturation=_one(context.saturation),
        fit=_one(context.fit),
    )


# In words --------------------------------------------------------------------------------------------


def _told(candidate: Candidate, columns: Columns, parts: Parts, context: Context) -> dict[str, str]:
    views = columns.views[0]
    absent = f"views are not available{_why(candidate.metrics, 'views')}"
    told = {
        "velocity": _velocity(columns, parts, absent),
        "recency": _recency(candidate, columns, parts),
        "acceleration": "fewer than three observations",
        "engagement": _engagement(candidate.metrics, columns, context),
        "title": _title(columns),
        "reach": absent if np.isnan(views) else f"{views:,.0f} views",
    }
    if not np.isnan(parts.acceleration[0]):
        faster = "slower" if parts.acceleration[0] < 0 else "faster"
        gap = columns.earlier_gap_days[0]
        told["acceleration"] = f"{faster} than its age lets expect, against the {_short(gap)} days before"
    for signal, unknown in (("saturation", "nobody counted works like it"), ("fit", "no results of the channel yet")):
        told[signal] = context.because.get(signal, unknown)
    return told


def _velocity(columns: Columns, parts: Parts, absent: str) -> str:
    growth = np.expm1(parts.growth[0])
    views, before, gap = columns.views[0], columns.before_views[0], columns.before_gap_days[0]
    if parts.measured[0]:
        per_day = max(views - before, 0.0) / gap
        measured = f"measured, from {before:.0f} to {views:.0f} in {_short(gap)} days"
        return f"{growth:+.1%} a day, {_short(per_day)} views a day: {measured}"
    seen = absent if np.isnan(views) else "no earlier observation to measure from"
    return f"{seen}; taken as typical of its age, {growth:+.1%} a day"


def _recency(candidate: Candidate, columns: Columns, parts: Parts) -> str:
    age = columns.age_days[0]
    if candidate.published_at is None:
        return f"no date of publication; taken as {_short(parts.age[0])} days old, from when it was first seen"
    when = "today" if age < 1 else f"{_short(age)} days ago"
    return f"published {when}; growth slows with age"


def _engagement(metrics: Metrics, columns: Columns, context: Context) -> str:
    views = columns.views[0]
    likes, comments = (columns.likes[0], columns.base_likes[0]), (columns.comments[0], columns.base_comments[0])
    known = [
        f"{count:.0f} {name} ({count / views:.2%}; {base:.2%} is usual)"
        for name, (count, base) in {"likes": likes, "comments": comments}.items()
        if not np.isnan(count) and views > 0
    ]
    if np.isnan(views) or not known:
        missing = "views" if np.isnan(views) else "likes"
        return f"{missing} are not available{_why(metrics, missing)}"
    usual = context.because.get("engagement", "the usual rates are those of all platforms")
    return f"{', '.join(known)} on {views:.0f} views, shrunk where views are few; {usual}"


def _title(columns: Columns) -> str:
    seen = [
        name
        for name, value in (
            ("says that it is official or a trailer", columns.official[0]),
            ("shouts", columns.shouts[0]),
            ("asks a question", columns.question[0]),
        )
        if value > 0
    ]
    return "the title " + (" and ".join(seen) if seen else "neither shouts nor asks")


# Relevance and licence -------------------------------------------------------------------------------

Value = tuple[float | None, str]
"""A signal's part of its points, 0..1 (None: not known), and why."""


def relevance_of(candidate: Candidate, niche: str) -> Value:
    """Return how many of the niche's words the work's own words hold; title counts more than tags and description."""
    return relevance(
        words_of(niche), title=candidate.title, tags=" ".join(candidate.tags), description=candidate.description
    )


def relevance(wanted: Mapping[str, str], *, title: str, tags: str, description: str) -> Value:
    """The same for a niche whose words are read: `words_of(niche)`."""
    if not wanted:
        return None, "the niche has no words"
    texts = {"title": title, "tags": tags, "description": description}
    held = {name: frozenset(words_of(text)) for name, text in texts.items()}
    folded = {name: _fold(text) for name, text in texts.items()}
    places = {word: _place(stem, held, folded) for stem, word in wanted.items()}
    value = sum(weight for _, weight in places.values()) / len(wanted)
    return value, "; ".join(
        f"'{word}' in {place}" if place else f"'{word}' nowhere" for word, (place, _) in places.items()
    )


def licence_value(rights: RightsRecord, uses: Sequence[Use], *, at: Utc) -> tuple[float, str]:
    """Return how freely a work may be used for `uses`: 0 not at all, 1 without conditions."""
    for use in uses:
        verdict = may(use, rights, at=at)
        if not verdict.allowed:
            return 0.0, verdict.because
    licence = LICENCES[rights.licence]
    if licence.share_alike:
        return 0.7, f"{licence.title}: usable; the video must carry the same licence"
    if licence.attribution:
        return 0.9, f"{licence.title}: usable with the author named"
    return 1.0, f"{licence.title}: usable, no conditions"


def words_of(text: str) -> dict[str, str]:
    """Return the words of a text as they stand there, by stem."""
    return {_stem(word): word for word in _WORD.findall(_fold(text))}


def _place(word: str, held: Mapping[str, frozenset[str]], folded: Mapping[str, str]) -> tuple[str, float]:
    for name, weight in WHERE:
        # Scripts without spaces have no separate words, so any text holding the letters counts.
        if word in held[name] or (not word.isascii() and word in folded[name]):
            return name, weight
    return "", 0.0


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


def _one(value: float | None) -> Column:
    return np.array([np.nan if value is None else value], dtype=np.float64)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _days(at: Utc) -> float:
    return at.timestamp() / _DAY.total_seconds()


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
