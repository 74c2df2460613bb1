"""The order of work on one machine."""

from __future__ import annotations

import itertools

import pytest

from actors.renderer.chunks import Chunk
from actors.renderer.local import _sound_first


def laid(*frames: int) -> list[Chunk]:
    edges = list(itertools.accumulate(frames, initial=0))
    return [
        Chunk(index=at, first_frame=first, end_frame=end, key="")
        for at, (first, end) in enumerate(itertools.pairwise(edges))
    ]


@pytest.mark.parametrize(("frames", "first"), [((150,) * 4, False), ((150,) * 240, True)])
def test_the_longest_work_begins_first(frames: tuple[int, ...], first: bool) -> None:  # noqa: FBT001
    """A core waits at the end of a long plan for the sound, or of a short one for a chunk."""
    wanted = laid(*frames)
    assert _sound_first(wanted, wanted) is first


def test_the_sound_is_made_when_no_chunk_is_missing() -> None:
    """A render that was killed after its last chunk never gets its sound."""
    assert _sound_first(laid(150, 150), [])
