"""Walks over the step boundaries: each boundary strikes once, at whichever item reaches it first.

As many items as boundaries of one kind go through the loop together.
"""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

from contracts.ids import ItemId
from tests.world import WALK, World, tiny_video

__all__ = ["actors_die_at", "servers_die_at"]

SERVERS = ("nats", "postgres", "sandbox")
DEADLINE_S = 240.0


async def actors_die_at(world: World, kind: str, folder: Path) -> None:
    """Kill the process that reaches each boundary of a kind; all items must be posted once and measured."""
    for boundary in WALK[kind]:
        world.arm(boundary)
    items = await _start(world, f"actors-{kind}", folder)
    await world.measured(items, deadline_s=DEADLINE_S)
    missed = set(WALK[kind]) - world.claims()
    world.disarm()
    assert not missed, f"nothing reached {missed}"
    await _assert_posted_once(world, items)


async def servers_die_at(world: World, kind: str, folder: Path, *, first: int = 0) -> None:
    """Kill NATS, PostgreSQL and the sandbox in turn while the process that reaches a boundary is held there."""
    waiting = dict.fromkeys(WALK[kind])
    for boundary in waiting:
        world.arm(boundary, hold=True)
    items = await _start(world, f"servers{first}-{kind}", folder)
    # Each kind begins with another server, so that no server is always the first consumer's.
    struck = first + list(WALK).index(kind)

    async def strike() -> None:
        nonlocal struck
        while waiting:
            for boundary in world.claims() & waiting.keys():
                world.kill(SERVERS[struck % len(SERVERS)])
                struck += 1
                world.release(boundary)
                del waiting[boundary]
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        striking = group.create_task(strike())
        await world.measured(items, deadline_s=DEADLINE_S)
        striking.cancel()
    world.disarm()
    assert not waiting, f"nothing reached {set(waiting)}"
    await _assert_posted_once(world, items)


async def _start(world: World, name: str, folder: Path) -> tuple[ItemId, ...]:
    names = [f"{name}-{number}" for number in range(len(WALK[name.partition("-")[2]]))]
    items = [
        await world.list_item(each, tiny_video(folder / f"{each}.mp4", seed=zlib.crc32(each.encode())))
        for each in names
    ]
    for each in names:
        await world.scan(each)
    return tuple(items)


async def _assert_posted_once(world: World, items: tuple[ItemId, ...]) -> None:
    videos = await world.videos_per_item()
    assert "" not in videos, "the sandbox holds a video without a marker"
    assert set(videos.values()) <= {1}, videos
    assert len(videos) >= len(items)
