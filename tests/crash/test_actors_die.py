"""An actor is killed at every step boundary of the loop: after the restart each item is posted once and measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.walk import actors_die_at
from tests.world import WALK, World


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One system for the whole walk, so that damage done at one boundary would show at the next."""
    async with World(tmp_path_factory.mktemp("walk")) as running:
        yield running


def test_the_walk_is_long_enough() -> None:
    """A renamed step could silently leave most boundaries out of the walk."""
    boundaries = [boundary for kind in WALK.values() for boundary in kind]
    assert len(set(boundaries)) == len(boundaries) >= 50


@pytest.mark.parametrize("kind", WALK)
async def test_actors_die_at(world: World, kind: str, tmp_path: Path) -> None:
    """A crash of an actor at this step could lose an item or post it twice."""
    await actors_die_at(world, kind, tmp_path)
