"""Kill a process at every step boundary of the loop: after the restart each item is posted once and measured.

As many items as boundaries of one kind go through the loop together; each boundary strikes once, at whichever item
reaches it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.ids import ItemId
from tests.world import WALK, World, tiny_video

SERVERS = ("nats", "postgres", "sandbox")
DEADLINE_S = 200.0


@pytest.fixture(scope="module", params=[1, 2], ids=["one-replica", "two-replicas"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system for the whole walk, so that damage done at one boundary would show at the next."""
    async with World(tmp_path_factory.mktemp("walk"), replicas=request.param) as running:
        yield running


async def start_items(world: World, kind: str, count: int, folder: Path) -> tuple[ItemId, ...]:
    names = [f"{kind}-{number}" for number in range(count)]
    items = [await world.list_item(name, tiny_video(folder / f"{name}.mp4", seed=hash(name) % 2**32)) for name in names]
    for name in names:
        await world.scan(name)
    return tuple(items)


async def assert_posted_once(world: World, items: tuple[ItemId, ...]) -> None:
    videos = await world.videos_per_item()
    assert "" not in videos, "the sandbox holds a video without a marker"
    assert set(videos.values()) <= {1}, videos
    assert len(videos) >= len(items)


def test_the_walk_is_long_enough() -> None:
    """A renamed step could silently leave most boundaries out of the walk."""
    boundaries = [boundary for kind in WALK.values() for boundary in kind]
    assert len(set(boundaries)) == len(boundaries) >= 50


@pytest.mark.parametrize("kind", WALK)
async def test_actors_die_at(world: World, kind: str, tmp_path: Path) -> None:
    """A crash of an actor at this step could lose an item or post it twice."""
    for boundary in WALK[kind]:
        world.arm(boundary)
    items = await start_items(world, f"self-{kind}", len(WALK[kind]), tmp_path)
    await world.measured(items, deadline_s=DEADLINE_S)
    missed = set(WALK[kind]) - world.claims()
    world.disarm()
    assert not missed, f"nothing reached {missed}"
    await assert_posted_once(world, items)


@pytest.mark.parametrize("kind", WALK)
async def test_servers_die_at(world: World, kind: str, tmp_path: Path) -> None:
    """A crash of NATS, PostgreSQL or the platform at this step could lose an item or post it twice."""
    waiting = dict.fromkeys(WALK[kind])
    for boundary in waiting:
        world.arm(boundary, hold=True)
    items = await start_items(world, f"servers-{kind}", len(waiting), tmp_path)
    struck = 0

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
    await assert_posted_once(world, items)
