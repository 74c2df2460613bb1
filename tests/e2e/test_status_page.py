"""The status page in a real browser: what a person sees of a video that was posted as it came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from actors.runtime.db import Database
from actors.runtime.settings import Settings
from contracts.ids import ObjectKey
from tests.browser import Browser, open_browser
from tests.integration.test_gateway_http import Gateway, add_item, gateway_on

SEEN = """
new Promise((done) => {
  const video = document.querySelector(`li[data-key="${KEY}"] .item-thumb video`);
  const tell = () => done({ width: video.videoWidth, wrong: video.error !== null });
  if (video.readyState >= 2 || video.error) tell();
  video.addEventListener("loadeddata", tell);
  video.addEventListener("error", tell);
})
"""


@pytest.fixture
async def gateway(settings_of: Callable[[str], Settings]) -> AsyncIterator[Gateway]:
    async with gateway_on(settings_of("gateway")) as found:
        yield found


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with open_browser(tmp_path / "browser") as found:
        yield found


def draw(file: Path) -> None:
    """Write a second of orange, in a form that every browser shows."""
    orange = np.full((192, 108, 3), (240, 120, 20), dtype=np.uint8)
    with av.open(str(file), "w", format="webm") as out:
        stream = out.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 108, 192, "yuv420p"
        for _ in range(10):
            out.mux(stream.encode(VideoFrame.from_ndarray(orange, format="rgb24")))
        out.mux(stream.encode(None))


async def test_a_video_that_was_posted_as_it_came_has_a_picture(
    gateway: Gateway, browser: Browser, database: Database, tmp_path: Path
) -> None:
    """A person reads "no video" beside the video that they posted, or sees an empty box where it is gone."""
    draw(tmp_path / "own.webm")
    await gateway.services.objects.put_file(ObjectKey("posts/ab/abcd.webm"), tmp_path / "own.webm")
    for name, key in (("kept", "posts/ab/abcd.webm"), ("gone", "posts/cd/cdef.mp4"), ("other", "posts/ef/efab.avi")):
        await add_item(database, name, decision="imported", origin="import")
        await database.execute(
            "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id,"
            " request) values ($1, $1, 'youtube', 'published', '{}', $2, 9, 'c', '{}')",
            name,
            key,
        )
    tab = await browser.tab()
    await tab.open(f"{gateway.url}/")
    assert await tab.evaluate(SEEN.replace("${KEY}", "kept")) == {"width": 108, "wrong": False}
    assert await tab.evaluate(SEEN.replace("${KEY}", "gone")) == {"width": 0, "wrong": True}
    boxes = await tab.evaluate(
        "[...document.querySelectorAll('.item-thumb')].map((e) => [e.innerText, ...[...e.children].map((c) => {"
        " const a = c.getBoundingClientRect(), b = e.getBoundingClientRect();"
        " return a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height })])"
    )
    assert sorted(boxes, key=len) == [["own file", True], ["own file", True, True], ["own file", True, True]]
    await tab.picture(tmp_path / "page.png")
    assert not tab.errors
