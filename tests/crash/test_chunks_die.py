"""Renderers are killed at random times while they share a plan: it is finished, exact, and little is made twice."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actors.renderer.render import render_file
from actors.runtime.app import connect
from actors.runtime.db import Database, open_database
from actors.runtime.objects import Folder, content_key
from actors.runtime.settings import load_settings
from contracts.codec import encode, new_event_id, subject_of
from contracts.events import RenderRequested
from contracts.flow import ACTORS
from contracts.ids import CorrelationId, ItemId
from contracts.media import Rational
from contracts.plan import AudioTrack, Clip, Output, Plan, PlanSource, Zoom
from deploy.supervisor import Stack
from tests.renderer_media import RIGHTS, flat, write_video
from tests.stack import ROOT

ALL = os.environ.get("CRASH") == "all"
CHUNKS, KILLS = (40, 30) if ALL else (10, 6)
LEAST_KILLS = KILLS if ALL else 2
"""A machine that stands still for a while may finish between two kills."""
"""CRASH=all kills thirty times in forty chunks."""
SEED = 20261123
REPLICAS = 2
PAUSE_S = (0.4, 3.0)
"""From one kill to the next: from before a renderer is up to after it made a few chunks."""
ACK_WAIT_S = 2.0
DEADLINE_S = 300.0
ITEM = ItemId("import:fish")


class Renderer:
    """A replica that is started anew whenever it was killed."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = env
        self._log = log
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deploy", "run", "renderer",
                cwd=ROOT, env={**os.environ, **self._env}, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip

    async def kill(self) -> None:
        """SIGKILL, and nothing else."""
        self._process.kill()
        await self._process.wait()


class Fleet(NamedTuple):
    """What the test looks at."""

    db: Database
    replicas: list[Renderer]
    media: Path
    stack: Stack


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Run NATS, PostgreSQL and the replicas."""
    media = folder / "media"
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(Stack(folder / "stack", ack_wait_s=ACK_WAIT_S))
        assert stack.database_url is not None
        db = await opened.enter_async_context(open_database(stack.database_url, name="test"))
        env = {
            "DATA_DIR": str(folder / "data"),
            "MEDIA_URL": str(media),
            "DATABASE_URL": stack.database_url,
            "NATS_URL": stack.nats_urls["renderer"],
            "ACK_WAIT_S": str(ACK_WAIT_S),
            "RENDER_CHUNK_FROM_S": "10",
            "RENDER_WORKERS": "1",
        }
        replicas = [Renderer(env, folder / f"renderer-{number}.log") for number in range(REPLICAS)]
        for replica in replicas:
            await replica.start()
            opened.push_async_callback(replica.kill)
        yield Fleet(db, replicas, media, stack)


async def stored_plan(media: Path, folder: Path) -> Plan:
    """Store a source of ten seconds; the plan shows it again and again, at one frame a second."""
    sound = np.sin(np.arange(10 * 48_000) / 48_000 * 2 * np.pi * 440).astype(np.float32) / 4
    pictures = [flat(64, 64, y=40 + at * 16) for at in range(10)]
    file = write_video(folder / "s.mov", pictures, pts=range(0, 300, 30), sound=np.stack([sound, sound]))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    key = content_key("sources", sha256, ".mov")
    await Folder(media).put_file(key, file)
    return Plan(
        sources=(PlanSource(id="s", key=key, sha256=sha256, rights=RIGHTS),),
        clips=tuple(
            Clip(source="s", start_us=at * 1_000_000, end_us=at * 1_000_000 + 4_000_000)
            for at in (number % 6 for number in range(CHUNKS))
        ),
        audio=(AudioTrack(source="s"),),
        effects=(Zoom(),),
        output=Output(width_px=64, height_px=64, fps=Rational(1), preset="ultrafast"),
    )


async def ask(running: Fleet, plan: Plan) -> None:
    await running.db.execute(
        "insert into items (item_id, correlation_id, origin, title, rights, decision) "
        "values ($1, 'c', 'import', 'Fish', $2, 'imported')",
        ITEM,
        RIGHTS,
    )
    event = RenderRequested(event_id=new_event_id(), correlation_id=CorrelationId("c"), item_id=ITEM, plan=plan)
    settings = load_settings(env={"NATS_URL": running.stack.nats_urls["editor"]}, folder=running.media.parent)
    async with connect(settings, ACTORS["editor"]) as bus:
        await bus.js.publish(subject_of(event), encode(event))


async def test_renderers_die_at_random_times(tmp_path: Path) -> None:
    """A plan whose renderers crash is lost, joined from wrong parts, joined twice, or rendered over and over."""
    chance = random.Random(SEED)
    async with fleet(tmp_path) as running, asyncio.timeout(DEADLINE_S):
        plan = await stored_plan(running.media, tmp_path)
        await ask(running, plan)
        await until(running.db, "select count(*) from render_chunks where renders > 0")
        killed = 0
        while killed < KILLS:
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            if await finished(running.db):
                assert killed >= LEAST_KILLS, f"it was finished after {killed} kills: too few to say anything"
                break
            replica = chance.choice(running.replicas)
            await replica.kill()
            killed += 1
            await replica.start()
        await until(running.db, "select count(*) from renditions where finished_at is not null")
        rows = await running.db.fetch("select index, state, renders from render_chunks order by index")
        completed = await running.db.fetchval("select count(*) from outbox where subject = 'ett.render.completed'")
        joins = await running.db.fetchval("select count(*) from outbox where subject = 'ett.join.requested'")
        letters = await running.db.fetch("select consumer, error from dead_letters")
        rendition = await running.db.fetchval("select rendition from renditions")
        left = await asyncio.to_thread(lambda: sorted(path.name for path in (tmp_path / "data" / "tmp").iterdir()))
    assert left == [], "a killed renderer's temporary files fill the disk"
    assert [tuple(row) for row in letters] == []
    assert (completed, joins) == (1, 1)
    assert [row["index"] for row in rows] == [-1, *range(CHUNKS)]
    assert {row["state"] for row in rows} == {"done"}
    redone = sum(row["renders"] for row in rows) - len(rows)
    assert 0 < redone <= killed, "each kill may cost the one chunk that was in work, and no kill hit any"
    out = tmp_path / "local.mp4"
    local = await render_file(plan, resolve=lambda source: running.media / source.key, out=out)
    assert rendition["sha256"] == local.sha256
    assert rendition["frames"] == CHUNKS * 4
    sys.stdout.write(f"{killed} kills in {CHUNKS} chunks: {redone} chunks redone\n")


async def finished(db: Database) -> bool:
    return bool(await db.fetchval("select count(*) from renditions where finished_at is not null"))


async def until(db: Database, question: str) -> None:
    """Wait until a count is not zero."""
    while not await db.fetchval(question):
        await asyncio.sleep(0.1)
