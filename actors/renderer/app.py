"""Wiring of the renderer."""

from __future__ import annotations

from typing import Final

from actors.renderer.handle import handle
from actors.runtime.app import ActorApp
from contracts.events import RenderRequested

__all__ = ["APP"]

APP: Final = ActorApp(name="renderer", handlers={RenderRequested: handle})
