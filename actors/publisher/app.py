"""Wiring of the publisher."""

from __future__ import annotations

from functools import partial
from typing import Final

from actors import platforms
from actors.publisher.changed import note_change
from actors.publisher.due import release_due
from actors.publisher.handle import handle
from actors.publisher.resume import resume
from actors.runtime.app import ActorApp, Ticker
from actors.runtime.tokens import renew_ageing
from contracts.events import AccountConnected, PostChanged, PostRequested, RenderCompleted

__all__ = ["APP"]

APP: Final = ActorApp(
    name="publisher",
    handlers={RenderCompleted: handle, PostRequested: handle, AccountConnected: resume, PostChanged: note_change},
    tickers=(
        Ticker(name="publisher.release_due", every_s=1.0, run=release_due),
        Ticker(name="publisher.renew_ageing", every_s=3600.0, run=partial(renew_ageing, module=platforms.module)),
    ),
)
