"""NATS, PostgreSQL or the platform is killed at every step boundary: each item is posted once and measured."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.walk import servers_die_at
from tests.world import WALK, World


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system for the whole walk, so that damage done at one boundary would show at the next."""
    async with World(tmp_path_factory.mktemp("walk")) as running:
        yield running


@pytest.mark.parametrize("kind", WALK)
@pytest.mark.parametrize("first", range(3) if os.environ.get("CRASH") == "all" else (0,))
async def test_servers_die_at(world: World, kind: str, first: int, tmp_path: Path) -> None:
    """A crash of a server at this step could lose an item or post it twice. CRASH=all: each server at each step."""
    await servers_die_at(world, kind, tmp_path, first=first)
