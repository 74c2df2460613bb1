"""The scanner's wiring."""

from __future__ import annotations

from actors.runtime.app import ActorApp, Ticker
from actors.scanner.advise import advise_due
from actors.scanner.forget import forget_old
from actors.scanner.handle import handle
from actors.scanner.schedule import watch_due
from actors.scanner.trends import trends_due
from contracts.events import ScanRequested

__all__ = ["APP"]

APP = ActorApp(
    name="scanner",
    handlers={ScanRequested: handle},
    tickers=(
        Ticker(name="scanner.watch_due", every_s=5.0, run=watch_due),
        Ticker(name="scanner.trends_due", every_s=60.0, run=trends_due),
        Ticker(name="scanner.advise_due", every_s=600.0, run=advise_due),
        Ticker(name="scanner.forget_old", every_s=3600.0, run=forget_old),
    ),
)
