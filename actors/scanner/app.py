"""The scanner's wiring."""

from __future__ import annotations

from actors.runtime.app import ActorApp
from actors.scanner.handle import handle
from contracts.events import ScanRequested

__all__ = ["APP"]

APP = ActorApp(name="scanner", handlers={ScanRequested: handle})
