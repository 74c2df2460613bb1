"""Rank many candidates: columns of NumPy beside a loop in Python that does the same arithmetic.

python -m benchmarks.ranking [--count 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import numpy as np

from actors.ranker.columns import columns_of
from actors.ranker.rank_file import rank_lines
from actors.ranker.recent import RECENT, Freshest
from actors.ranker.score import score, uses_for
from actors.ranker.signals import (
    ABSENT,
    AGE_SOFTNESS,
    MOST_CHANGE,
    MOST_RATE,
    OLDEST_UNMEASURED_DAYS,
    PRIOR_VIEWS,
    RANGES,
    SHIPPED,
    SMALL,
    Column,
    Columns,
    parts_of,
    scores_of,
    values_of,
    weights_of,
)
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord

AT: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


def candidates(count: int) -> Columns:
    """Candidates with three observations each, a day apart, all signals known but those of a model and a vote."""
    rng = np.random.default_rng(0)
    age = rng.lognormal(1.0, 1.0, count) + 2.1
    views = np.floor(rng.lognormal(9.0, 2.0, count)) + 10.0
    before, earlier = np.floor(views * rng.uniform(0.5, 1.0, count)), np.floor(views * rng.uniform(0.2, 0.5, count))
    unit = [rng.random(count) for _ in range(4)]
    return Columns.empty(count)._replace(
        views=views,
        likes=np.floor(views * rng.beta(2, 60, count)),
        comments=np.floor(views * rng.beta(1, 250, count)),
        age_days=age,
        seen_days=np.full(count, 2.0),
        stale_days=np.zeros(count),
        before_views=before,
        before_gap_days=np.ones(count),
        earlier_views=earlier,
        earlier_gap_days=np.ones(count),
        base_likes=np.full(count, 0.03),
        base_comments=np.full(count, 0.004),
        official=np.floor(unit[0] * 1.2),
        shouts=unit[1],
        question=np.floor(unit[2] * 1.2),
        relevance=unit[3],
        licence=rng.choice([0.0, 0.7, 0.9, 1.0], count),
        saturation=rng.random(count),
        fit=rng.random(count),
    )


def in_columns(columns: Columns) -> Column:
    """What ships."""
    return scores_of(values_of(columns, parts_of(columns)))


def in_a_loop(columns: Columns) -> list[float]:
    """The same arithmetic, one candidate after the other."""
    weights = weights_of()
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [_one(dict(zip(Columns._fields, row, strict=True)), weights) for row in rows]


def _one(row: dict[str, float], weights: dict[str, float]) -> float:
    soft = math.log1p(math.exp(-abs(AGE_SOFTNESS * row["age_days"]))) + max(AGE_SOFTNESS * row["age_days"], 0.0)
    age = max(soft / AGE_SOFTNESS, row["seen_days"] + 0.05)
    gap, gap_then = row["before_gap_days"], row["earlier_gap_days"]
    measured = not math.isnan(gap)
    law = math.log(math.log1p(1.0 / (age if measured else min(age, OLDEST_UNMEASURED_DAYS))))
    before = max(age - gap, 0.05)
    then = math.log(math.log(age / before) / gap)
    growth = _growth(row["views"], row["before_views"], gap)
    earlier = max(before - gap_then, 0.02)
    power_then = _growth(row["before_views"], row["earlier_views"], gap_then) - math.log(
        math.log(before / earlier) / gap_then
    )
    parts = {
        "velocity": SHIPPED.growth * growth,
        "recency": law - SHIPPED.growth * then,
        "acceleration": SHIPPED.change * min(max(power_then - (growth - then), -MOST_CHANGE), MOST_CHANGE),
        "engagement": SHIPPED.likes[measured] * _rate(row["likes"], row["views"], row["base_likes"])
        + SHIPPED.comments[measured] * _rate(row["comments"], row["views"], row["base_comments"]),
        "title": SHIPPED.official[measured] * row["official"]
        + SHIPPED.shouts[measured] * row["shouts"]
        + SHIPPED.question[measured] * row["question"],
        "reach": math.log((row["views"] + 1.0) / (row["views"] + 1.0 + SMALL)),
        "learned": row["learned"],
    }
    total = 0.0
    for name, weight in weights.items():
        if name in parts:
            low, high = RANGES[name]
            value = (parts[name] - low) / (high - low)
        else:
            value = row[name]
        total += weight * (ABSENT if math.isnan(value) else min(max(value, 0.0), 1.0))
    return total


def _growth(now: float, then: float, gap_days: float) -> float:
    return math.log(min(max(math.log((now + SMALL) / (then + SMALL)) / gap_days, 1e-4), 30.0))


def _rate(count: float, views: float, base: float) -> float:
    return min(max(math.log((count + base * PRIOR_VIEWS) / (views + PRIOR_VIEWS) / base), -MOST_RATE), MOST_RATE)


def lines(columns: Columns) -> list[bytes]:
    """The same candidates as lines of a file."""
    found = []
    for at, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        one = dict(zip(Columns._fields, row, strict=True))
        seen = [("21", one["earlier_views"]), ("22", one["before_views"]), ("23", one["views"])]
        observations = [
            {"at": f"2026-11-{day}T11:30:00Z", "views": int(views), "likes": None, "comments": None, "shares": None}
            for day, views in seen
        ]
        line: dict[str, object] = {
            "id": f"v{at}",
            "platform": "youtube",
            "title": f"Title number {at}",
            "description": "",
            "tags": [],
        }
        line |= {"channel": f"c{at % 5000}", "published_at": "2026-11-20T08:00:00Z", "duration_s": 30.0}
        found.append(json.dumps(line | {"licence": "CC-BY-4.0", "observations": observations}).encode())
    return found


def freshest(columns: Columns) -> Freshest:
    """The same candidates as the database gives them."""
    count, now_s = len(columns.views), AT.timestamp()
    at, views = np.full((count, RECENT), np.nan), np.full((count, RECENT), np.nan)
    at[:, -3:] = now_s - np.array([2.0, 1.0, 0.0]) * 86_400
    views[:, -3:] = np.column_stack([columns.earlier_views, columns.before_views, columns.views])
    nothing = np.full((count, RECENT), np.nan)
    return Freshest(
        item_ids=[ItemId(f"youtube:{number}") for number in range(count)],
        platforms=["youtube"] * count,
        work_ids=np.arange(count),
        published_s=now_s - columns.age_days * 86_400,
        at_s=at,
        views=views,
        likes=views * 0.03,
        comments=nothing,
        shares=nothing,
    )


def seconds(work: Callable[[], object]) -> float:
    """CPU time: the machine may be shared."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    columns = candidates(given.count)
    apart = float(np.abs(in_columns(columns) - np.array(in_a_loop(columns))).max())
    if apart > 1e-9:
        raise SystemExit(f"the two do not agree: {apart:g} points apart")
    fast, slow = [], []
    for _ in range(given.rounds):
        fast.append(seconds(lambda: np.argsort(-in_columns(columns), kind="stable")))
        slow.append(seconds(lambda: sorted(in_a_loop(columns), reverse=True)))
    database = freshest(columns)
    rows = statistics.median(
        seconds(lambda: np.argsort(-in_columns(columns_of(database)), kind="stable")) for _ in range(given.rounds)
    )
    candidate = Candidate(
        item_id=ItemId("archive:1"),
        platform="archive",
        platform_id="1",
        url="https://example.org/1",
        title="Creatures of the deep sea",
        published_at=AT,
        metrics=Metrics(views=1000, likes=35),
        observed_at=AT,
        rights=RightsRecord(licence="CC0-1.0"),
    )
    uses, few = uses_for(monetised=True), 1000
    explained = seconds(lambda: [score(candidate, niche="deep sea", uses=uses) for _ in range(few)]) / few
    file = lines(columns)
    whole = seconds(lambda: sum(1 for _ in rank_lines(file, monetised=True).lines))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    columns_mb = sum(column.nbytes for column in columns) / 2**20
    quick, naive = statistics.median(fast), statistics.median(slow)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{given.count:,} candidates, three observations each; CPU time, medians of {given.rounds} rounds")
    print(f"the two ways are {apart:.1e} points apart at most")
    print(f"columns, scored and ordered    {quick:8.3f} s   {given.count / quick:12,.0f} candidates/s")
    print(f"loop in Python, the same       {naive:8.3f} s   {given.count / naive:12,.0f} candidates/s")
    print(f"ratio                          {naive / quick:8.0f}")
    print(f"rows of the database, the same {rows:8.3f} s   {given.count / rows:12,.0f} candidates/s")
    print(f"one explained score            {explained * 1e6:8.0f} us")
    print(f"`rank`: a file read and ranked {whole:8.3f} s   {given.count / whole:12,.0f} lines/s")
    print(f"memory: columns {columns_mb:.0f} MB; peak of the process {peak_mb:.0f} MB, lines of the file included")


if __name__ == "__main__":
    main()
