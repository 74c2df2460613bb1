"""How good an order is, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.ranker.signals import Column

__all__ = ["Interval", "interval", "judged", "ndcg", "precision", "ranks_of", "spearman"]

ROUNDS: Final = 2000
CONFIDENCE: Final = 0.95


class Interval(NamedTuple):
    """A mean over days and where it lies with 95 % confidence (percentile bootstrap over days)."""

    mean: float
    low: float
    high: float


def ndcg(scores: Column, gains: Column, *, first: int = 20) -> float:
    """Normalised discounted cumulative gain of the first places. Source: Järvelin & Kekäläinen 2002.

    Args: gains: what each is worth; below 0 counts as 0. NaN where nothing is worth anything.
    """
    gains = np.maximum(gains, 0.0)
    discount = 1.0 / np.log2(np.arange(2, min(first, len(gains)) + 2))
    best = float(np.sort(gains)[::-1][: len(discount)] @ discount)
    return float(gains[_order(scores)][: len(discount)] @ discount) / best if best > 0 else float("nan")


def spearman(scores: Column, label: Column) -> float:
    """Rank correlation; 0 where one of them is the same everywhere."""
    a, b = ranks_of(scores), ranks_of(label)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def precision(scores: Column, label: Column, *, first: int = 10) -> float:
    """Part of the first places that belongs there."""
    first = min(first, len(label))
    return len(set(_order(scores)[:first].tolist()) & set(_order(label)[:first].tolist())) / first


def judged(scores: Column, label: Column) -> tuple[float, float, float, float]:
    """Return NDCG@20 with the label as gain, NDCG@20 with its rank 0..1 as gain, Spearman, precision@10."""
    by_rank = ranks_of(label) / max(len(label) - 1, 1)
    return ndcg(scores, label), ndcg(scores, by_rank), spearman(scores, label), precision(scores, label)


def interval(values: Sequence[float] | Column, *, seed: int = 0) -> Interval:
    """Return the mean and its confidence interval."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = known[rng.integers(0, len(known), (ROUNDS, len(known)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(known.mean()), float(low), float(high))


def ranks_of(values: Column) -> Column:
    """Return ranks from 0, ties at their middle."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Column = ends - (counts + 1) / 2
    return middle[inverse]


def _order(scores: Column) -> NDArray[np.intp]:
    return np.argsort(-scores, kind="stable")
