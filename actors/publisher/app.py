"""Wiring of the publisher."""

from __future__ import annotations

from typing import Final

from actors.publisher.changed import note_change
from actors.publisher.handle import handle
from actors.publisher.resume import resume
from actors.runtime.app import ActorApp
from contracts.events import AccountConnected, PostChanged, PostRequested, RenderCompleted

__all__ = ["APP"]

APP: Final = ActorApp(
    name="publisher",
    handlers={RenderCompleted: handle, PostRequested: handle, AccountConnected: resume, PostChanged: note_change},
)
