"""What the database knows beside a candidate: usual engagement, saturation, and how the channel's own videos did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from actors.ranker.features import CHANNEL_PRIOR_VIEWS, PLATFORM_PRIOR_VIEWS
from actors.ranker.identity import mark_of, number_of
from actors.ranker.ingest import work_of
from actors.ranker.score import Context, Value, words_of
from actors.ranker.signals import TYPICAL_PER_VIEW
from actors.runtime.db import Connection, into, load_queries
from contracts.platform import Candidate

__all__ = ["Rates", "Result", "context_of", "count_rates", "fit_of", "saturation_of", "usual"]

Q: Final = load_queries(Path(__file__).with_name("context.sql"))

RATES_OVER: Final = timedelta(days=30)
NAMESAKES_OVER: Final = timedelta(days=14)
COUNTING_TIMEOUT_S: Final = 600.0
"""Counting takes 6 s for a million items of three observations, and grows with them."""
RESULTS_OVER: Final = timedelta(days=180)
OWN_OVER: Final = timedelta(days=30)
"""A post of the channel's own on the same subject is remembered for so long."""
LEAST_RESULTS: Final = 3
PRIOR_RESULTS: Final = 2.0
"""Middling results that are mixed in, so that one lucky post does not decide."""
SAME_PLATFORM: Final = 0.25
"""How alike two works are that have nothing but their platform in common."""
POWER_OF_AGE: Final = 0.4
"""Views grow about like this power of age, so that posts of different ages can be compared. Source: docs/ranking.md."""


class Rates(Struct, frozen=True, kw_only=True):
    """Sums over items: of a platform, or of one creator there (`creator` not empty)."""

    creator: str
    likes: int
    comments: int
    liked_views: int
    commented_views: int


class Result(Struct, frozen=True, kw_only=True):
    """One of the channel's own posts."""

    title: str
    platform: str | None
    published_at: datetime
    views: int | None
    age_s: int | None


async def context_of(conn: Connection, candidate: Candidate, niche: str) -> Context:
    """Read what is known beside a candidate, as of its observation."""
    now, title_key = candidate.observed_at, number_of(mark_of(candidate).title)
    creator = candidate.creator_id or candidate.creator or ""
    rows = await conn.fetch(Q["rates"], candidate.platform, [creator, ""], candidate.item_id, RATES_OVER)
    rates = [into(Rates, row) for row in rows]
    namesakes = 0
    if title_key is not None:
        of = (title_key, candidate.item_id, now - NAMESAKES_OVER)
        namesakes = await conn.fetchval(Q["namesakes"], *of, None)
        # Copies are no other works.
        if namesakes and (own_work := await work_of(conn, candidate)) is not None:
            namesakes = await conn.fetchval(Q["namesakes"], *of, own_work)
    rows = await conn.fetch(Q["results"], now - RESULTS_OVER, candidate.item_id)
    results = [into(Result, row) for row in rows]
    saturation, why_saturated = saturation_of(candidate, results, namesakes=namesakes, now=now)
    fit, why_fitting = fit_of(candidate, results, niche=niche)
    likes, comments, why_usual = usual(rates)
    because = {"saturation": why_saturated, "fit": why_fitting, "engagement": why_usual}
    return Context(likes_per_view=likes, comments_per_view=comments, saturation=saturation, fit=fit, because=because)


async def count_rates(conn: Connection, now: datetime) -> None:
    """Count the usual engagement anew; once a day is enough."""
    await conn.execute(Q["count_rates"], now - RATES_OVER, now, timeout=COUNTING_TIMEOUT_S)


def usual(rates: Sequence[Rates]) -> tuple[float, float, str]:
    """Return likes and comments per view that a work is compared with: its creator's, shrunk to its platform's.

    Rates of a creator without any views say nothing and are passed over.
    """
    likes, comments = TYPICAL_PER_VIEW["likes"], TYPICAL_PER_VIEW["comments"]
    told = "nothing is counted of its platform yet, so the usual rates are those of all platforms"
    for one in sorted(rates, key=lambda found: found.creator):
        if one.creator and not one.liked_views and not one.commented_views:
            continue
        prior = CHANNEL_PRIOR_VIEWS if one.creator else PLATFORM_PRIOR_VIEWS
        likes = (one.likes + likes * prior) / (one.liked_views + prior)
        comments = (one.comments + comments * prior) / (one.commented_views + prior)
        of = "its channel's other works', shrunk to its platform's" if one.creator else "its platform's"
        told = f"the usual rates are {of} ({one.liked_views:,} views counted)"
    return likes, comments, told


def saturation_of(candidate: Candidate, results: Sequence[Result], *, namesakes: int, now: datetime) -> Value:
    """Return 1 where a subject is fresh, less where others or the channel itself have just shown it."""
    own = [one for one in results if one.published_at > now - OWN_OVER]
    closest = max((_alike(candidate.title, one.title) for one in own), default=0.0)
    told = [f"{namesakes} other works of the same title in {NAMESAKES_OVER.days} days"]
    if closest > 0:
        told.append(f"a post of the channel's own in {OWN_OVER.days} days shares {closest:.0%} of the title's words")
    return (1.0 - closest) / (1.0 + namesakes), "; ".join(told)


def fit_of(candidate: Candidate, results: Sequence[Result], *, niche: str) -> Value:
    """Return how posts like this one did among the channel's own, 0..1; None: too few are measured.

    Words of the niche do not make works alike: all of them have those.
    """
    measured = [one for one in results if one.views is not None and one.age_s]
    if len(measured) < LEAST_RESULTS:
        return None, f"{len(measured)} own posts are measured, {LEAST_RESULTS} are needed"
    success = [(one.views or 0) / (1.0 + (one.age_s or 0) / 86_400) ** POWER_OF_AGE for one in measured]
    total = weight = 0.0
    for one, reached in zip(measured, success, strict=True):
        place = sum(other < reached for other in success) + (success.count(reached) - 1) / 2
        alike = _alike(candidate.title, one.title, without=niche) + SAME_PLATFORM * (one.platform == candidate.platform)
        total += alike * place / (len(success) - 1)
        weight += alike
    value = (total + PRIOR_RESULTS * 0.5) / (weight + PRIOR_RESULTS)
    return value, f"own posts like it reached place {value:.0%} of {len(measured)}, shrunk to the middle"


def _alike(one: str, other: str, *, without: str = "") -> float:
    """Return what part of the words of two titles they share."""
    a, b = (words_of(text).keys() - words_of(without).keys() for text in (one, other))
    return len(a & b) / len(a | b) if a | b else 0.0
