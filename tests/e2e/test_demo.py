"""The demo as a newcomer runs it: one command, from a file to a measured post."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.world import tiny_video

DEADLINE_S = 180.0


async def demo(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy", "demo", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_demo_brings_a_file_to_a_measured_post_once(tmp_path: Path) -> None:
    """A newcomer's first command could fail, print no summary, or post the same file twice."""
    media = tiny_video(tmp_path / "my clip.mp4")
    folder = tmp_path / "data of mine"
    arguments = (str(media), "--once", "--json", "--data-dir", str(folder))
    code, out, err = await demo(*arguments)
    assert code == 0, err
    first: dict[str, Any] = json.loads(out)
    assert first["posted_before"] is False
    assert first["rejected"] is None
    assert first["rights"]["licence"] == "CC-BY-4.0"
    points = [reason["points"] for reason in first["candidate"]["reasons"]]
    assert abs(sum(points) - first["candidate"]["score"]) < 0.1
    rendition = first["rendition"]
    assert (rendition["width"], rendition["height"]) == (1080, 1920)
    assert Path(rendition["path"]).is_file()
    assert first["post"]["state"] == "published"
    assert first["measurement"]["views"] is not None
    assert first["measurement"]["shares"] is None
    assert first["measurement"]["absent"]["shares"]
    types = [event["type"] for event in first["events"]]
    assert types == [
        "scan.requested",
        "candidate.found",
        "scan.completed",
        "candidate.selected",
        "render.requested",
        "render.completed",
        "post.published",
        "post.measured",
    ]
    code, out, err = await demo(*arguments)
    assert code == 0, err
    second: dict[str, Any] = json.loads(out)
    assert second["posted_before"] is True
    assert second["post"]["id"] == first["post"]["id"]


async def test_demo_refuses_what_is_no_video_in_one_line(tmp_path: Path) -> None:
    """A newcomer who names the wrong file could see a traceback, or wait for ever."""
    media = tmp_path / "letter.mp4"
    media.write_text("Dear Sir or Madam")
    code, out, err = await demo(str(media), "--once", "--json", "--data-dir", str(tmp_path / "data"))
    assert code == 1, err
    assert "Traceback" not in err
    summary = json.loads(out)
    assert summary["rejected"]
    assert "\n" not in summary["rejected"]
    assert summary["post"] is None
