"""The ranker's wiring."""

from __future__ import annotations

from actors.ranker.chores import count_usual, find_patterns, learn
from actors.ranker.handle import check_found, record_many, settle
from actors.ranker.thumbnails import look_at_thumbnails
from actors.runtime.app import ActorApp, Ticker
from actors.runtime.together import Together
from contracts.events import CandidateFound, ScanCompleted

__all__ = ["APP"]

APP = ActorApp(
    name="ranker",
    handlers={CandidateFound: Together(many=record_many, check=check_found), ScanCompleted: settle},
    tickers=(
        Ticker(name="ranker.count_usual", every_s=600.0, run=count_usual),
        Ticker(name="ranker.find_patterns", every_s=600.0, run=find_patterns),
        Ticker(name="ranker.learn", every_s=600.0, run=learn),
        Ticker(name="ranker.look_at_thumbnails", every_s=60.0, run=look_at_thumbnails),
    ),
)
