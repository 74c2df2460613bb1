"""Two replicas of every actor side by side, killed alike: the same guarantee."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.walk import actors_die_at, servers_die_at
from tests.world import WALK, World

KINDS = tuple(WALK) if os.environ.get("CRASH") == "all" else ("committing", "outside")
"""CRASH=all walks all boundaries with two replicas too."""


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system for the whole walk, so that damage done at one boundary would show at the next."""
    async with World(tmp_path_factory.mktemp("walk"), replicas=2) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
async def test_one_of_two_dies_at(world: World, kind: str, tmp_path: Path) -> None:
    """With two replicas, the death of one could make the other do its work twice."""
    await actors_die_at(world, kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
async def test_servers_of_two_die_at(world: World, kind: str, tmp_path: Path) -> None:
    """With two replicas, the loss of a server could make both do the same work."""
    await servers_die_at(world, kind, tmp_path)
