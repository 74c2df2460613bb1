"""A whole system for crash tests: real servers, real actors as processes, sandbox platforms, a kill switch."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp
import asyncpg

from actors.runtime.app import connect
from actors.runtime.killpoint import CLAIMED
from actors.runtime.settings import Settings, load_settings
from contracts.events import ScanRequested
from contracts.flow import ACTORS, OUTSIDE, consumers_of
from contracts.ids import ItemId, item_id
from deploy.demo import connect_account, demo_environment, list_in_archive
from deploy.embedded import free_port
from deploy.supervisor import Stack
from deploy.system import sandbox_child, send, system_children

__all__ = ["WALK", "World", "tiny_video"]

STEPS = ("taken", "handled", "committing", "committed", "answering", "answered")
OUTSIDE_EFFECTS = (
    "editor.acquired",
    "editor.stored",
    "renderer.rendered",
    "renderer.stored",
    "renderer.joined",
    "renderer.finished",
    "publisher.intent_stored",
    "publisher.session_opened",
    "publisher.session_stored",
    "publisher.chunk_sent",
    "publisher.uploaded",
    "tracker.measured",
)
NOT_ON_THE_WAY = {
    "editor-import-requested",
    "publisher-post-requested",
    "publisher-account-connected",
    "publisher-post-changed",
}
CONSUMERS = tuple(
    consumer.name
    for actor in ACTORS.values()
    for consumer in consumers_of(actor)
    if consumer.name not in NOT_ON_THE_WAY
)
WALK: dict[str, tuple[str, ...]] = {
    **{step: tuple(f"{consumer}.{step}" for consumer in CONSUMERS) for step in STEPS},
    "relayed": tuple(f"{name}.relayed" for name in ACTORS),
    "outside": OUTSIDE_EFFECTS,
}
"""Every step boundary that an item passes on its way from a scan to its first measurement, by kind."""


class World:
    """Runs while its context is open. Everything happens on loopback, below `folder`."""

    def __init__(self, folder: Path, *, replicas: int = 1, ack_wait_s: float = 2.0) -> None:
        self.folder = folder
        self.replicas = replicas
        self.ack_wait_s = ack_wait_s
        self.kill_dir = folder / "kill"
        self.kill_dir.mkdir(parents=True, exist_ok=True)
        self.urls = {
            "gateway": f"http://127.0.0.1:{free_port()}",
            "sandbox": f"http://127.0.0.1:{free_port()}",
        }
        self.stack: Stack
        self.db: asyncpg.Pool[asyncpg.Record]
        self.settings: Settings

    async def __aenter__(self) -> Self:
        env = demo_environment(self.folder, gateway_url=self.urls["gateway"], sandbox_url=self.urls["sandbox"])
        # Every plan is cut into chunk jobs, so that an item passes the consumers of chunks and of joins too.
        env |= {
            "ETTAMETTA_KILL_DIR": str(self.kill_dir),
            "ACK_WAIT_S": str(self.ack_wait_s),
            "RENDER_CHUNK_FROM_S": "0",
            "YOUTUBE_UPLOADS_PER_DAY": "10000",
            "SANDBOX_QUOTA_UPLOADS": "10000",
        }
        self.settings = load_settings(env=env, folder=self.folder)
        logs = self.folder / "logs"
        port = int(self.urls["sandbox"].rsplit(":", 1)[1])
        self.stack = Stack(
            self.folder,
            children=(
                sandbox_child(self.folder / "sandbox", port=port, env=env, log_dir=logs),
                *system_children(self.settings, replicas=self.replicas, env=env, log_dir=logs),
            ),
            urls=self.urls,
            ack_wait_s=self.ack_wait_s,
        )
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(self.stack)
            assert self.stack.database_url is not None
            self.db = await asyncpg.create_pool(self.stack.database_url, min_size=0, max_size=2)
            opened.callback(self.db.terminate)
            await self.patiently(lambda: connect_account(self.urls["gateway"]))
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def list_item(self, name: str, media: Path) -> ItemId:
        """Put an item into the sandbox archive, findable by its name."""
        await self.patiently(lambda: list_in_archive(self.urls["sandbox"], name, media, licence="CC0-1.0", niche=name))
        return item_id("internet_archive", name)

    async def scan(self, name: str) -> None:
        assert self.stack.nats_urls
        settings = load_settings(env={"NATS_URL": self.stack.nats_urls[OUTSIDE.name]}, folder=self.folder)

        async def ask() -> None:
            async with connect(settings, OUTSIDE) as bus:
                await send(bus, ScanRequested(niche=name, platform="internet_archive", limit=5))

        await self.patiently(ask)

    def arm(self, boundary: str, *, hold: bool = False) -> None:
        """Kill, or hold, whoever reaches the boundary first."""
        part = self.kill_dir / f"{boundary}.part"
        part.write_text("hold" if hold else "")
        part.rename(self.kill_dir / boundary)

    def claims(self) -> set[str]:
        """Return the boundaries that were reached."""
        return {path.name.removesuffix(CLAIMED) for path in self.kill_dir.glob(f"*{CLAIMED}")}

    def release(self, boundary: str) -> None:
        """Let a held process go on."""
        (self.kill_dir / (boundary + CLAIMED)).unlink()

    def disarm(self) -> None:
        for path in self.kill_dir.iterdir():
            path.unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """SIGKILL the child of that name, and nothing else."""
        for child in self.stack.children:
            if child.name == name:
                os.kill(child.pid, signal.SIGKILL)

    async def measured(self, items: tuple[ItemId, ...], *, deadline_s: float) -> None:
        """Wait until every item has a measurement. Raises: AssertionError that says where each one is."""

        async def count() -> int:
            sql = "select count(distinct item_id) from measurements join posts using (post_id) where item_id = any($1)"
            return int(await self.db.fetchval(sql, list(items)))

        try:
            async with asyncio.timeout(deadline_s):
                while await self.patiently(count) < len(items):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(await self.patiently(lambda: self.where(items))) from None

    async def where(self, items: tuple[ItemId, ...]) -> str:
        rows = await self.db.fetch(
            "select items.item_id, decision, posts.state, posts.because from items left join posts using (item_id)"
            " where items.item_id = any($1)",
            list(items),
        )
        letters = await self.db.fetch("select consumer, error from dead_letters")
        return f"items: {[tuple(row) for row in rows]}; dead letters: {[tuple(row) for row in letters]}"

    async def videos_per_item(self) -> dict[str, int]:
        """Return how many videos the sandbox holds for each post marker."""
        state = await self.patiently(self._sandbox_state)
        found: dict[str, int] = {}
        for video in state["videos"]:
            marker = next((tag for tag in video["tags"] if tag.startswith("ett")), "")
            found[marker] = found.get(marker, 0) + 1
        return found

    async def _sandbox_state(self) -> Any:
        async with aiohttp.ClientSession() as http, http.get(f"{self.urls['sandbox']}/sandbox/state") as answer:
            return await answer.json()

    async def patiently(self, ask: Callable[[], Awaitable[Any]], *, deadline_s: float = 30.0) -> Any:
        """Ask again while a server that was killed comes back."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while True:
            try:
                return await ask()
            except (
                OSError,
                aiohttp.ClientError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                TimeoutError,
            ):
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)


def tiny_video(path: Path, *, seed: int = 0) -> Path:
    """Write half a second of 96x64 video whose bytes differ with the seed."""
    import av
    import numpy as np

    chance = np.random.default_rng(seed)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(5):
            image = np.kron(chance.integers(0, 255, (8, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    return path
