"""Large files: the whole of them arrives once, through broken connections, with flat memory.

512 MiB by default; UPLOAD=all sends 4 GiB to YouTube and 1 GiB to TikTok.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from benchmarks.upload import GIB, MIB, Platform, served, sha256_of, sparse_file, upload

WHOLE = os.environ.get("UPLOAD") == "all"
GROWTH_BYTES = 64 * MIB


@pytest.mark.parametrize(("platform", "whole_bytes"), [("youtube", 4 * GIB), ("tiktok", 1 * GIB)])
async def test_a_large_file_arrives_once_with_flat_memory(platform: Platform, whole_bytes: int, tmp_path: Path) -> None:
    """A publisher that holds a video in memory is killed by its first long one; a bad resume breaks the video."""
    file = tmp_path / "large.mp4"
    sparse_file(file, (whole_bytes if WHOLE else 512 * MIB) - 12_345)
    async with served(tmp_path / "sandbox") as address, aiohttp.ClientSession(address) as session:
        outcome = await upload(address, platform, file, breaks=2)
        async with session.get("/sandbox/state") as answer:
            state = await answer.json()
        async with session.get("/sandbox/posted") as answer:
            posted = [one for one in await answer.json() if one["platform"] == platform]
    assert outcome["broke"] >= 2, "a chunk that is sent again at once meets the same broken line"
    assert state["struck"][f"{platform}.upload:drop_mid_body"] == 2
    posts = state["videos"] if platform == "youtube" else posted
    (post,) = [one for one in posts if one["size_bytes"] == outcome["size_bytes"]]
    assert len(posts) == 2, "the warm-up and the large one"
    assert outcome["post"] == post["id"]
    assert post["sha256"] == await asyncio.to_thread(sha256_of, file)
    assert outcome["grew_bytes"] < GROWTH_BYTES
