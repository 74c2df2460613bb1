"""Large uploads to imitated platforms: memory, hash, breaks, and speed beside a plain streaming PUT.

    python -m benchmarks.upload --platform youtube --gib 4      # one upload through two breaks: memory and hash
    python -m benchmarks.upload --speed --gib 1                 # no breaks: rates beside a plain aiohttp PUT

The file is sparse: it takes no room on disk. The sandbox hashes the bytes and forgets them. It runs in a process of its
own, and so does each upload, so that resident memory is the upload's alone. A rate holds both ends and the hashing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, cast

import aiohttp

from actors import platforms
from actors.runtime.cache import OwnCache
from actors.runtime.clock import Clock
from actors.runtime.http import Http
from actors.runtime.means import Means
from actors.runtime.quota import OwnQuota
from actors.runtime.settings import Settings
from actors.runtime.tokens import Tokens
from contracts.errors import Retry, Snooze
from contracts.ids import AccountId
from contracts.platform import Draft, UploadCheckpoint
from deploy.sandbox import SandboxSettings, api_urls, running

__all__ = ["Outcome", "served", "sparse_file", "upload"]

MIB: Final = 1 << 20
GIB: Final = 1 << 30
WARM_BYTES: Final = 20 * MIB
Platform = Literal["youtube", "tiktok"]
Outcome = dict[str, Any]
PUTS: Final = {"youtube": 16 * MIB, "tiktok": 16 * MIB}
"""Bytes of one request, by platform: breaks are placed by them."""


class _OneToken:
    """An account whose token is known and good."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def access_token(self, account: AccountId, way: object) -> str:  # noqa: ARG002 - the shape of Tokens
        return self._token

    async def refused(self, account: AccountId, token: str) -> None:
        raise AssertionError(f"{account}: the sandbox refused the token of {len(token)} characters")

    async def lost(self, account: AccountId, token: str, because: str) -> None:
        raise AssertionError(f"{account}: {because} ({len(token)})")


class _Notes:
    """A journal that only remembers the checkpoint."""

    def __init__(self, checkpoint: UploadCheckpoint) -> None:
        self.checkpoint = checkpoint
        self.may_exist = False

    async def sending(self, end: int) -> None:
        """Nothing to note."""

    async def keep(self, checkpoint: UploadCheckpoint) -> None:
        self.checkpoint = checkpoint

    async def committing(self) -> None:
        self.may_exist = True

    async def refused(self) -> None:
        self.may_exist = False


def sparse_file(file: Path, size_bytes: int) -> None:
    """Make a file that takes no room but for a few marks, so that a part in the wrong place changes its hash."""
    with file.open("wb") as out:
        out.truncate(size_bytes)
        for at in range(0, size_bytes - 16, max(size_bytes // 97, 16)):
            out.seek(at)
            out.write(at.to_bytes(16, "big"))


def sha256_of(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Run a sandbox in a process of its own and give its address."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.upload", "--serve", str(folder)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        yield (await server.stdout.readline()).decode().strip()
    finally:
        server.terminate()
        await server.wait()


async def upload(address: str, platform: Platform, file: Path, *, breaks: int) -> Outcome:
    """Upload a file in a process of its own, through `breaks` broken connections; return what it measured."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.upload", "--send", address, "--platform", platform, "--file", str(file)),
        *("--breaks", str(breaks)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"the upload ended with {child.returncode}")
    return cast("Outcome", json.loads(out.splitlines()[-1]))


# --- inside the processes


async def _serve(folder: Path) -> None:
    known = SandboxSettings(check_media=False, processing_polls=0)
    async with running(folder, settings=known) as address:
        print(str(address), flush=True)
        await asyncio.Event().wait()


async def _send(address: str, platform: Platform, file: Path, *, breaks: int) -> Outcome:
    async with aiohttp.ClientSession() as session, Http("benchmark", Clock()) as http:

        async def ask(path: str, body: Any) -> Any:
            async with session.post(address.rstrip("/") + path, json=body) as answer:
                return await answer.json()

        adapter = await _adapter(address, platform, http, ask)
        warm = file.with_name(f"warm-{platform}.mp4")
        sparse_file(warm, WARM_BYTES)
        await _through(adapter, platform, warm)
        size_bytes = _size(file)
        puts = max(size_bytes // PUTS[platform], breaks + 1)
        for number in range(1, breaks + 1):
            fault = {"where": f"{platform}.upload", "kind": "drop_mid_body", "skip": puts * number // (breaks + 1) - 1}
            await ask("/sandbox/faults", fault)
        before, began = _resident("VmRSS"), time.monotonic()
        _forget_peak()
        broke, remote = await _through(adapter, platform, file)
        return {
            "platform": platform,
            "size_bytes": size_bytes,
            "seconds": round(time.monotonic() - began, 3),
            "broke": broke,
            "post": remote,
            "grew_bytes": _resident("VmHWM") - before,
        }


async def _adapter(address: str, platform: Platform, http: Http, ask: Callable[[str, Any], Awaitable[Any]]) -> Any:
    module = platforms.module(platform)
    scopes = list(cast("Any", module).OAUTH.scopes)
    if platform == "youtube":
        token = (await ask("/sandbox/oauth/grant", {"scopes": scopes}))["access_token"]
    else:
        account = f"creator{os.getpid()}"  # inits are limited by the minute and account
        token = (await ask(f"/sandbox/people/{platform}/grant", {"account": account, "scopes": scopes}))["access"]
    clock = Clock()
    means = Means(
        http=http,
        settings=Settings(api_urls=api_urls(address)),
        tokens=cast("Tokens", _OneToken(token)),
        clock=clock,
        quota=OwnQuota(clock),
        cache=OwnCache(),
    )
    return module.ADAPTER(means)


async def _through(adapter: Any, platform: Platform, file: Path) -> tuple[int, str]:
    """Upload a file as the publisher does, delivery after delivery; return how often it broke, and the post's id."""
    account, broke = AccountId(f"{platform}:creator"), 0
    draft = Draft(marker=f"ett{file.stem}", title=file.stem, description="", caption=file.stem)
    checkpoint = await adapter.open_session(account, draft, size_bytes=_size(file))
    notes = _Notes(checkpoint)
    while True:
        try:
            remote = await adapter.send(account, draft, notes.checkpoint, file, notes)
        except Retry:
            broke += 1
        except Snooze as waits:
            await asyncio.sleep(min(waits.delay_s, 0.05))
        else:
            return broke, remote.platform_post_id


def _resident(name: str) -> int:
    """Return a figure of this process's memory, bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) * 1024


def _forget_peak() -> None:
    """Let VmHWM count from here (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _size(file: Path) -> int:
    return file.stat().st_size


async def _plain(address: str, file: Path) -> float:
    """Send a file with one plain aiohttp PUT to an upload session of the same server; return the seconds."""
    size_bytes = _size(file)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        async with session.post(f"{address.rstrip('/')}/sandbox/oauth/grant", json={}) as granted:
            token = (await granted.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "X-Upload-Content-Length": str(size_bytes)}
        resource = {"snippet": {"title": "plain"}, "status": {"privacyStatus": "private"}}
        path = f"{address.rstrip('/')}/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status"
        async with session.post(path, json=resource, headers=headers) as opened:
            place = opened.headers["Location"]
        began = time.monotonic()
        with file.open("rb") as source:
            async with session.put(place, data=source, headers={"Content-Type": "video/mp4"}) as answer:
                assert answer.status == 201, await answer.text()
        return time.monotonic() - began


async def _speed(folder: Path, size_bytes: int, rounds: int) -> None:
    file = folder / "large.mp4"
    sparse_file(file, size_bytes)
    rates: dict[str, list[float]] = {"plain": [], "youtube": [], "tiktok": []}
    async with served(folder / "sandbox") as address:
        for _ in range(rounds):
            rates["plain"].append(size_bytes / MIB / await _plain(address, file))
            for platform in ("youtube", "tiktok"):
                outcome = await upload(address, platform, file, breaks=0)
                rates[platform].append(size_bytes / MIB / outcome["seconds"])
    plain = statistics.median(rates["plain"])
    for name, each in rates.items():
        middle = statistics.median(each)
        print(f"{name:8} {middle:7.0f} MiB/s  {middle / plain:.2f} of plain  {[round(one) for one in each]}")


async def _memory(folder: Path, platform: Platform, size_bytes: int) -> None:
    file = folder / "large.mp4"
    sparse_file(file, size_bytes)
    async with served(folder / "sandbox") as address:
        outcome = await upload(address, platform, file, breaks=2)
        print(json.dumps(outcome))


def main() -> None:
    known = argparse.ArgumentParser(prog="benchmarks.upload")
    known.add_argument("--platform", choices=("youtube", "tiktok"), default="youtube")
    known.add_argument("--gib", type=float, default=1.0)
    known.add_argument("--rounds", type=int, default=3)
    known.add_argument("--speed", action="store_true")
    known.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    known.add_argument("--send", help=argparse.SUPPRESS)
    known.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    known.add_argument("--breaks", type=int, default=0, help=argparse.SUPPRESS)
    asked = known.parse_args()
    if asked.serve is not None:
        asyncio.run(_serve(asked.serve))
    elif asked.send is not None:
        print(json.dumps(asyncio.run(_send(asked.send, asked.platform, asked.file, breaks=asked.breaks))))
    else:
        with TemporaryDirectory() as folder:
            size_bytes = int(asked.gib * GIB)
            if asked.speed:
                asyncio.run(_speed(Path(folder), size_bytes, asked.rounds))
            else:
                asyncio.run(_memory(Path(folder), asked.platform, size_bytes))


if __name__ == "__main__":
    main()
