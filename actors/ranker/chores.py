"""What the ranker does now and then: usual engagement, patterns and trends, a model of its own."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
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
    now = services.clock.now()
    async with services.db.transaction() as conn:
        if await conn.fetchval(Q["take_chore"], "usual", now, DAILY):
            await count_rates(conn, now)


async def find_patterns(services: Services) -> None:
    """Work out patterns and niche trends, every six hours for all replicas."""
    now = services.clock.now()
    async with services.db.transaction() as conn:
        if await conn.fetchval(Q["take_chore"], "findings", now, OFTEN):
            await findings.refresh(conn, now)


async def learn(services: Services) -> None:
    """Train a model on the own observations once a day, where the extra `learn` is installed."""
    if not can_learn():
        return
    now = services.clock.now()
    if await services.db.fetchval(Q["take_chore"], "learn", now, DAILY):
        async with services.db.pool.acquire() as conn:
            report = await retrain(conn, now=now)
        get_logger().info("model.trained", better=report.better, because=report.because)


def can_learn() -> bool:
    """Whether what training needs is installed: the extra `learn`."""
    return all(importlib.util.find_spec(name) for name in ("lightgbm", "onnxmltools"))
