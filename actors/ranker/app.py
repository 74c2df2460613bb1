"""The ranker's wiring."""

from __future__ import annotations

from actors.ranker.handle import record, settle
from actors.runtime.app import ActorApp
from contracts.events import CandidateFound, ScanCompleted

__all__ = ["APP"]

APP = ActorApp(name="ranker", handlers={CandidateFound: record, ScanCompleted: settle})
