"""Kill a process at every step boundary of the loop: after the restart each item is posted once and measured."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import BOUNDARIES, World, tiny_video

SERVERS = ("nats", "postgres", "sandbox")
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system for the whole walk, so that damage done at one boundary would show at the next."""
    async with World(tmp_path_factory.mktemp("walk")) as running:
        yield running


def server_killed_at(number: int) -> str:
    """Which server dies at a boundary: all of them in turn, or one that the environment names for a full walk."""
    return os.environ.get("CRASH_SERVER") or SERVERS[number % len(SERVERS)]


def test_the_walk_is_long_enough() -> None:
    """A renamed step could silently leave most boundaries out of the walk."""
    assert len(set(BOUNDARIES)) == len(BOUNDARIES) >= 20


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_an_actor_dies_at(world: World, boundary: str, tmp_path: Path) -> None:
    """A crash of an actor at this step could lose the item or post it twice."""
    name = f"self-{boundary.replace('.', '-')}"
    item = await world.list_item(name, tiny_video(tmp_path / "tiny.mp4", seed=BOUNDARIES.index(boundary)))
    world.arm(boundary)
    await world.scan(name)
    await world.measured((item,), deadline_s=DEADLINE_S)
    assert world.disarm(), f"nothing reached {boundary}"
    await assert_posted_once(world)


@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_a_server_dies_at(world: World, boundary: str, tmp_path: Path) -> None:
    """A crash of NATS, PostgreSQL or the platform at this step could lose the item or post it twice."""
    number = BOUNDARIES.index(boundary)
    name = f"server-{boundary.replace('.', '-')}"
    item = await world.list_item(name, tiny_video(tmp_path / "tiny.mp4", seed=1000 + number))
    world.arm(boundary, hold=True)
    await world.scan(name)
    await world.claimed(deadline_s=DEADLINE_S)
    world.kill(server_killed_at(number))
    assert world.disarm()
    await world.measured((item,), deadline_s=DEADLINE_S)
    await assert_posted_once(world)


async def assert_posted_once(world: World) -> None:
    videos = await world.videos_per_item()
    assert "" not in videos, "the sandbox holds a video without a marker"
    assert set(videos.values()) <= {1}, videos
