"""When an account's posts did best, told only where its own measurements can tell. Pure.

The logarithm of a post's views after a day is compared between times of the week. Posts are taken in blocks of
consecutive ones, so that an account that grows does not favour the hours it came to later: the difference of a time to
the others is the within-block estimate of least squares. How large the largest difference of all times becomes by
chance is found by permuting views within the blocks; every interval is that wide. So the intervals hold together: on
data in which the time does not matter, some interval leaves 1 out in at most 5 % of all accounts.

Source: max-T permutation, Westfall & Young 1993, "Resampling-Based Multiple Testing", 2.3; within-block estimate:
Frisch & Waugh 1933. Exact where, within a block, the views do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from actors.publisher.timetable import WEEKDAYS, wall_of, zone_of
from contracts.clock import Utc

__all__ = ["LEAST_POSTS", "LEVEL", "Advice", "Cell", "Measured", "advise"]

LEAST_POSTS: Final = 30
LEAST_IN_TIME: Final = 5
"""Posts at a time, and not at it, for the time to be compared."""
NEWEST: Final = 500
BLOCK: Final = 10
LEVEL: Final = 0.95
PERMUTATIONS: Final = 1999
BATCH: Final = 250

Floats = NDArray[np.float64]


class Measured(Struct, frozen=True, kw_only=True):
    """A post that was seen since `shown_at`, and its views about a day later."""

    shown_at: Utc
    views: int


class Cell(Struct, frozen=True, kw_only=True):
    """A time of the week, against all other times."""

    name: Annotated[str, Meta(description="Weekday, hour, or both, in the account's zone.")]
    posts: int
    ratio: Annotated[float, Meta(description="Its views over the others', 1.2 is 20 % more.")]
    low: Annotated[float, Meta(description="Lower end of the interval of all times together.")]
    high: Annotated[float, Meta(description="Upper end of it.")]


class Advice(Struct, frozen=True, kw_only=True):
    """What the measurements tell."""

    verdict: Literal["best", "no difference", "not enough data"]
    because: str
    zone: str
    posts: int
    cells: Annotated[tuple[Cell, ...], Meta(description="The best first, at most five.")] = ()


def advise(measured: Sequence[Measured], zone: str, *, seed: int = 0) -> Advice:
    """Return the best time with its interval, or why none can be told. seed: of the permutations."""
    newest = sorted(measured, key=lambda post: post.shown_at)[-NEWEST:]
    posts = len(newest)
    if posts < LEAST_POSTS:
        because = f"not enough data: {posts} of at least {LEAST_POSTS} posts were measured a day after they were shown"
        return Advice(verdict="not enough data", because=because, zone=zone, posts=posts)
    names, at = _times([post.shown_at for post in newest], zone)
    blocks = np.minimum(np.arange(posts) // BLOCK, posts // BLOCK - 1)
    centred = _centre(at, blocks)
    weights = np.sum(centred**2, axis=1)
    compared = (at.sum(axis=1) >= LEAST_IN_TIME) & (posts - at.sum(axis=1) >= LEAST_IN_TIME) & (weights > 1e-9)
    if not compared.any():
        because = (
            f"not enough data: of {posts} measured posts, no two times of the week have {LEAST_IN_TIME} posts each"
        )
        return Advice(verdict="not enough data", because=because, zone=zone, posts=posts)
    names = [name for name, one in zip(names, compared, strict=True) if one]
    at, centred, weights = at[compared], centred[compared], weights[compared]
    views = _centre(np.log1p(np.array([[post.views for post in newest]], dtype=np.float64)), blocks)[0]
    if not views.any():
        return Advice(
            verdict="no difference",
            because=f"no time can be told to be better: all {posts} posts have the same views",
            zone=zone,
            posts=posts,
        )
    freedom = posts - int(blocks[-1]) - 2
    differences = centred @ views / weights
    errors = np.sqrt(np.maximum(views @ views - differences**2 * weights, 1e-12) / freedom / weights)
    wide = _critical(centred / np.sqrt(weights)[:, None], views, blocks, freedom, seed=seed) * errors
    order = np.argsort(-differences)
    cells = tuple(
        Cell(
            name=names[index],
            posts=int(at[index].sum()),
            ratio=float(np.exp(differences[index])),
            low=float(np.exp(differences[index] - wide[index])),
            high=float(np.exp(differences[index] + wide[index])),
        )
        for index in order[:5]
    )
    told = [cell for cell in cells if cell.low > 1.0]
    if not told:
        because = (
            f"no time can be told to be better from {posts} posts: every interval of the {len(names)} times compared "
            "holds 1 or lies below it"
        )
        return Advice(verdict="no difference", because=because, zone=zone, posts=posts, cells=cells)
    best = max(told, key=lambda cell: cell.low)
    because = (
        f"{best.name} ({zone}) did best: {best.ratio:.2f} times the views of other times after a day, "
        f"{LEVEL:.0%} interval {best.low:.2f} to {best.high:.2f}, from {best.posts} of {posts} posts"
    )
    return Advice(verdict="best", because=because, zone=zone, posts=posts, cells=cells)


def _times(shown: Sequence[datetime], zone: str) -> tuple[list[str], Floats]:
    """Return the times of the week that are compared, and which post is at which: 1 or 0, (times, posts)."""
    walls = [wall_of(at, zone_of(zone)) for at in shown]
    labels = [
        [f"{WEEKDAYS[wall.weekday()]} {wall.hour:02d}:00" for wall in walls],
        [f"{wall.hour:02d}:00 any day" for wall in walls],
        [f"{WEEKDAYS[wall.weekday()]} any hour" for wall in walls],
    ]
    found: dict[bytes, tuple[str, Floats]] = {}
    for family in labels:
        for name in sorted(set(family)):
            row = np.array([one == name for one in family], dtype=np.float64)
            found.setdefault(row.tobytes(), (name, row))  # the same posts under two names are one time
    return [name for name, _ in found.values()], np.stack([row for _, row in found.values()])


def _centre(values: Floats, blocks: NDArray[np.int64]) -> Floats:
    """Take the mean of each block away from each row."""
    sizes = np.bincount(blocks)
    sums = np.stack([np.bincount(blocks, weights=row) for row in values])
    centred: Floats = values - (sums / sizes)[:, blocks]
    return centred


def _critical(directions: Floats, views: Floats, blocks: NDArray[np.int64], freedom: int, *, seed: int) -> float:
    """Return the t that the largest of all times stays below by chance, in `LEVEL` of all permutations.

    directions: unit vectors, (times, posts). The length of `views` is the same in every permutation.
    """
    chance = np.random.default_rng(seed)
    length = np.sqrt(views @ views)
    largest = []
    for begin in range(0, PERMUTATIONS, BATCH):
        keys = chance.random((min(BATCH, PERMUTATIONS - begin), len(views)))
        mixed = views[np.argsort(keys + blocks, axis=1, kind="stable")]
        largest.append(np.abs(mixed @ directions.T).max(axis=1) / length)
    found = np.sort(np.concatenate(largest))
    part = min(float(found[int(np.ceil(LEVEL * (PERMUTATIONS + 1))) - 1]), 1.0 - 1e-9)
    return float(part * np.sqrt(freedom / (1.0 - part**2)))
