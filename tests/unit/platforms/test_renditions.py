"""The choice among a work's files."""

from __future__ import annotations

from itertools import permutations

import pytest

from actors.platforms._renditions import Rendition, best


def made(width: int | None, height: int | None, size: int | None = None) -> Rendition:
    return Rendition(url=f"https://a.b/{width}x{height}-{size}", width_px=width, height_px=height, size_bytes=size)


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ([made(3840, 2160), made(1920, 1080), made(640, 360)], made(1920, 1080)),
        ([made(1080, 1920), made(2160, 3840)], made(1080, 1920)),
        ([made(None, 1080), made(None, 480)], made(None, 1080)),
        ([made(1920, 1080, 9000), made(1920, 1080, 5000)], made(1920, 1080, 5000)),
        ([made(1920, 1080, 10**9), made(640, 360, 1000)], made(640, 360, 1000)),
        ([made(3840, 2160), made(2560, 1440)], made(2560, 1440)),
        ([made(None, None), made(3840, 2160)], made(3840, 2160)),
        ([made(3840, 2160, 10**9), made(3840, 2160, 1000)], made(3840, 2160, 1000)),
    ],
)
def test_best_file_is_chosen_in_any_order(files: list[Rendition], chosen: Rendition) -> None:
    """The wrong file is unreadably small, or gigabytes that are scaled down again."""
    assert {best(order) for order in permutations(files)} == {chosen}


def test_none_of_none() -> None:
    """A work without files has no best one."""
    assert best(()) is None
