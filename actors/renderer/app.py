"""Wiring of the renderer."""

from __future__ import annotations

from typing import Final

from actors.renderer.handle import render_handler
from actors.renderer.handle_chunk import chunk_handler
from actors.renderer.handle_join import join_handler
from actors.renderer.parts import Parts, sweep
from actors.renderer.pieces import Engine, LocalEngine, workers
from actors.runtime.app import ActorApp, Ticker
from actors.runtime.work import Services
from contracts.events import ChunkRequested, JoinRequested, RenderRequested

__all__ = ["APP", "renderer"]

SWEEP_EVERY_S: Final = 600.0
LET_GO_EVERY_S: Final = 60.0


def renderer(engine: Engine) -> ActorApp:
    """Return one replica's renderer on an engine."""
    parts = Parts(engine)

    async def let_go(_: Services) -> None:
        await parts.at_hand.let_go()

    return ActorApp(
        name="renderer",
        handlers={
            RenderRequested: render_handler(parts),
            ChunkRequested: chunk_handler(parts),
            JoinRequested: join_handler(parts),
        },
        tickers=(
            Ticker(name="renderer.sweep", every_s=SWEEP_EVERY_S, run=sweep),
            Ticker(name="renderer.let_go", every_s=LET_GO_EVERY_S, run=let_go),
        ),
        places={ChunkRequested: workers},
    )


APP: Final = renderer(LocalEngine())
