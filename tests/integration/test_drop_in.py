"""Adding a platform takes one file and one test: a copy of the tree with those two in it, and nothing else changed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

ROOT: Final = Path(__file__).parents[2]

PLATFORM: Final = '''"""Dropped in: works of a site that lists them openly.

Docs: its own page, read 2026-11-23. Auth: none. Limits: none stated.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from actors.platforms._api import Api, absent, dig, read_each
from actors.runtime.means import Means
from contracts.ids import item_id
from contracts.platform import Candidate, Caps, Limits, Metrics, Need
from contracts.rights import RightsRecord

NAME: Final = "dropped_in"
CAPS: Final = Caps(discover=True, sees="everything on the site, by words", costs="1 request")
LIMITS: Final = Limits(page_size=10)
NEEDS: Final = (Need(setting="dropped_in_api_key", means="A key from the site"),)


class Work(Struct):
    id: str
    views: int


class DroppedIn:
    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._api = Api(means, name=NAME, base="https://dropped.example", what="the site")

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        answer = await self._api.get("/works", params={"q": query})
        works = read_each(dig(answer, "works", what="the site"), Work, what="the site")
        counts = {"views": None, "likes": None, "comments": None, "shares": None}
        return tuple(
            Candidate(
                item_id=item_id(NAME, work.id),
                platform=NAME,
                platform_id=work.id,
                url=f"https://dropped.example/{work.id}",
                title=f"{query} {work.id}",
                metrics=Metrics(absent=absent(counts, "the site tells no counts")),
                observed_at=self._clock.now(),
                rights=RightsRecord(licence="unknown", note="the site states no licence"),
            )
            for work in works[:limit]
        )


ADAPTER = DroppedIn
'''

TEST: Final = '''"""The dropped-in platform against a server on loopback."""

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.platforms.dropped_in import DroppedIn
from tests.unit.platforms.adapters import adapter_on


async def test_it_finds(tmp_path: Path) -> None:
    async def works(_: web.Request) -> web.Response:
        return web.json_response({"works": [{"id": "a", "views": 1}, {"id": "b"}]})

    app = web.Application()
    app.router.add_get("/works", works)
    async with TestServer(app) as server, adapter_on(DroppedIn, server, tmp_path) as adapter:
        assert [one.item_id for one in await adapter.discover("sea", limit=5)] == ["dropped_in:a"]
'''

LOOK: Final = """
import json
from actors.runtime.settings import Settings, load_settings
from actors.scanner.sources import choose, sources
from deploy.doctor.discovery import check_discovery
from deploy.platform_table import row_of, table
from pathlib import Path

bare, keyed = load_settings({}, Path("empty")), load_settings({"DROPPED_IN_API_KEY": "a-word"}, Path("empty"))
checks = {check.name: check for settings in (bare,) for check in check_discovery(settings)}
ready = {check.name: check for check in check_discovery(keyed)}
print(json.dumps({
    "asked": list(choose(None, keyed).asked),
    "skipped": choose(None, bare).skipped.get("dropped_in"),
    "named": list(choose("dropped_in", keyed).asked),
    "sources": list(sources()),
    "row": row_of("dropped_in").needs,
    "table": "| dropped_in |" in table(),
    "doctor": str(checks["watch dropped_in"]),
    "doctor_ready": str(ready["watch dropped_in"]),
}))
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """Make a tree of links to this one, with a platform and its test added."""
    top = tmp_path / "tree"
    top.mkdir()
    added = {
        Path("actors/platforms/dropped_in.py"): PLATFORM,
        Path("tests/unit/platforms/test_dropped_in.py"): TEST,
    }
    open_folders = {folder for path in added for folder in path.parents if folder != Path()}

    def link(folder: Path) -> None:
        for entry in (ROOT / folder).iterdir():
            where = folder / entry.name
            if entry.name in {".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}:
                continue
            if where in open_folders:
                (top / where).mkdir()
                link(where)
            else:
                (top / where).symlink_to(entry)

    link(Path())
    for path, text in added.items():
        (top / path).write_text(text, encoding="utf-8")
    (top / "empty").mkdir()
    return top


async def run(tree: Path, *arguments: str) -> tuple[int, str]:
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=tree,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_platform_is_one_file_and_its_test(overlay: Path) -> None:
    """Somebody who adds a platform would have to find a list, a table or a setting to edit as well."""
    code, out = await run(overlay, "-c", LOOK)
    assert code == 0, out
    seen = msgspec.json.decode(out.splitlines()[-1])
    assert "dropped_in" in seen["asked"]
    assert seen["skipped"] == "DROPPED_IN_API_KEY is not set"
    assert seen["named"] == ["dropped_in"]
    assert "dropped_in" in seen["sources"]
    assert (seen["row"], seen["table"]) == ("DROPPED_IN_API_KEY", True)
    assert "DROPPED_IN_API_KEY is not set" in seen["doctor"]
    assert "everything on the site" in seen["doctor_ready"]
    quiet = ("-q", "-p", "no:cacheprovider", "-k", "dropped_in")
    code, out = await run(
        overlay,
        "-m",
        "pytest",
        *quiet,
        "tests/unit/platforms/test_conformance.py",
        "tests/unit/platforms/test_dropped_in.py",
    )
    assert code == 0, out
    assert "4 passed" in out, out


async def test_a_platform_without_its_test_does_not_pass(overlay: Path) -> None:
    """The check above would pass whatever is dropped in."""
    (overlay / "tests/unit/platforms/test_dropped_in.py").unlink()
    quiet = ("-q", "-p", "no:cacheprovider", "-k", "dropped_in")
    code, out = await run(overlay, "-m", "pytest", *quiet, "tests/unit/platforms/test_conformance.py")
    assert code == 1, out
    assert "it has no test file" in out
