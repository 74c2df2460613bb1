"""Wiring of the tracker."""

from __future__ import annotations

from typing import Final

from actors.runtime.app import ActorApp, Ticker
from actors.tracker.experiments.run import run_experiments
from actors.tracker.handle import handle
from actors.tracker.measure import measure_due
from actors.tracker.revenue.collect import collect_revenue
from actors.tracker.sentinel import look_due
from contracts.events import PostPublished

__all__ = ["APP"]

APP: Final = ActorApp(
    name="tracker",
    handlers={PostPublished: handle},
    tickers=(
        Ticker(name="tracker.measure_due", every_s=1.0, run=measure_due),
        Ticker(name="tracker.look_due", every_s=10.0, run=look_due),
        Ticker(name="tracker.revenue", every_s=60.0, run=collect_revenue),
        Ticker(name="tracker.experiments", every_s=30.0, run=run_experiments),
    ),
)
