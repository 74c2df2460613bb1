"""What the ranker does now and then: usual engagement, patterns and trends, a model of its own.

Whoever begins a chore puts it off for a quarter of its period in a statement of its own, and for the whole once it is
done: what fails or dies is tried again then, neither every time that the clock ticks nor by all replicas at once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from actors.ranker import findings
from actors.ranker.context import count_rates
from actors.ranker.handle import Q
from actors.ranker.train import retrain
from actors.runtime.log import get_logger
from actors.runtime.work import Services

__all__ = ["count_usual", "find_patterns", "learn"]

DAILY: Final = timedelta(days=1)
OFTEN: Final = timedelta(hours=6)


async def count_usual(services: Services) -> None:
    """Count the usual engagement of platforms and channels, once a day for all replicas."""

    async def count(now: datetime) -> None:
        async with services.db.transaction() as conn:
            await count_rates(conn, now)

    await _in_turn(services, "usual", DAILY, count)


async def find_patterns(services: Services) -> None:
    """Work out patterns and niche trends, every six hours for all replicas."""

    async def find(now: datetime) -> None:
        async with services.db.pool.acquire() as conn:
            await findings.refresh(conn, now)

    await _in_turn(services, "findings", OFTEN, find)


async def learn(services: Services) -> None:
    """Train a model on the own observations once a day, where the extra `learn` is installed."""
    if not can_learn():
        return

    async def train(now: datetime) -> None:
        async with services.db.pool.acquire() as conn:
            report = await retrain(conn, now=now)
        get_logger().info("model.trained", better=report.better, because=report.because)

    await _in_turn(services, "learn", DAILY, train)


async def _in_turn(
    services: Services, name: str, every: timedelta, work: Callable[[datetime], Awaitable[None]]
) -> None:
    """Do a chore if it is due. Errors of the work are raised; it is put off then."""
    now, put_off = services.clock.now(), every / 4
    # As if it was done so long ago that it is due again after `put_off`.
    if await services.db.fetchval(Q["take_chore"], name, now - every + put_off, put_off) is None:
        return
    await work(now)
    await services.db.fetchval(Q["take_chore"], name, now, timedelta())


def can_learn() -> bool:
    """Whether what training needs is installed: the extra `learn`."""
    return all(importlib.util.find_spec(name) for name in ("lightgbm", "onnxmltools"))
