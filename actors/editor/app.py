"""The editor's wiring."""

from __future__ import annotations

from actors.editor.handle import handle_import, handle_selected
from actors.runtime.app import ActorApp
from contracts.events import CandidateSelected, ImportRequested

APP = ActorApp(name="editor", handlers={CandidateSelected: handle_selected, ImportRequested: handle_import})
