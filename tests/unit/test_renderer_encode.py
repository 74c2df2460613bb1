"""The encoders give the same bytes for the same pictures, whatever lay in memory before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from actors.renderer.encode import PictureWriter
from contracts.plan import Output

WIDTH, HEIGHT, FRAMES = 360, 640, 60


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A texture that a slow zoom shows: what the encoder's look-ahead works hardest on."""
    chance = np.random.default_rng(1)
    texture = cv2.GaussianBlur(chance.integers(0, 255, (900, 600), dtype=np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, texture, 16, 235, cv2.NORM_MINMAX)
    found = []
    for number in range(FRAMES):
        scale = 1.0 + number / 500
        zoom = np.array([[scale, 0.0, -100.0 * scale - number], [0.0, scale, -100.0 * scale]])
        luma = cv2.warpAffine(texture, zoom, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        found.append(np.vstack((luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8))))
    return found


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_dirty_memory_does_not_change_the_bytes(codec: str, pictures: list[np.ndarray], tmp_path: Path) -> None:
    """If it fails, a chunk that is made again after a crash, or by another replica, does not fit its neighbours."""
    chance = np.random.default_rng()  # what lies in memory is no part of the input
    output = Output(width_px=WIDTH, height_px=HEIGHT, video_codec="hevc" if codec == "hevc" else "h264")
    seen = set()
    for at in range(4):
        dirt = [np.full(chance.integers(1_000, 4_000_000), chance.integers(256), np.uint8) for _ in range(30)]
        del dirt[::2]
        path = tmp_path / f"{at}.mp4"
        with PictureWriter(path, output) as writer:
            for picture in pictures:
                writer.write(VideoFrame.from_ndarray(picture, format="yuv420p"))
        seen.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(seen) == 1
