"""Wiring of the publisher."""

from __future__ import annotations

from typing import Final

from actors.publisher.changed import note_change
from actors.publisher.due import release_due
from actors.publisher.handle import handle
from actors.publisher.resume import resume
from actors.runtime.app import ActorApp, Ticker
from contracts.events import AccountConnected, PostChanged, PostRequested, RenderCompleted

__all__ = ["APP"]

APP: Final = ActorApp(
    name="publisher",
    handlers={RenderCompleted: handle, PostRequested: handle, AccountConnected: resume, PostChanged: note_change},
    tickers=(Ticker(name="publisher.release_due", every_s=1.0, run=release_due),),
)
