"""How fleets of renderers share a long plan: simulated renderers on real JetStream, PostgreSQL and objects.

    python -m benchmarks.fleet [--replicas 1 2 5 10 20 50 100] [--rounds 4] [--processes 4] [--chunk-s S …]

What is real: the events, the stream and its pulls, leases, rows, outbox and relay, the stored files of the chunks with
their hashes, the join in a child process, the finished file. What is not: a chunk is not rendered where it is asked
for. Its time is waited out, and then a small file that was rendered before takes its place. The times waited are the
CPU times that chunk jobs of the engine's benchmark (1080p to 1080x1920, five seconds each) took on this machine, child
process included: what they take on a core of their own; --chunk-s names others. Replicas are tasks in a few processes,
each with consumers, a ledger and leases of its own; those of one process share its connections.

A fleet of N gets `rounds` chunks for each replica (at least eight). Ideal is what a scheduler without any cost makes
of the same times: each free replica takes the next chunk at once. Efficiency is ideal over actual, from the moment that
render.requested is sent to the last chunk (chunks), and to the finished file (whole, in which only the join is added).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import heapq
import json
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from actors.renderer.app import renderer
from actors.renderer.pieces import SOUND, Cut, LocalEngine, OnFrames, Piece, cut, file_name
from actors.renderer.render import render_file
from actors.runtime.app import connect, open_services, pull
from actors.runtime.db import Database, open_database
from actors.runtime.ledger import Ledger
from actors.runtime.log import setup_logging
from actors.runtime.objects import Folder, content_key
from actors.runtime.relay import Relay
from actors.runtime.settings import Settings
from benchmarks.render import make_source, plan_of
from contracts.codec import encode, new_event_id, subject_of
from contracts.events import RenderRequested
from contracts.flow import ACTORS, consumers_of
from contracts.ids import CorrelationId, ItemId
from contracts.media import Rational
from contracts.plan import Clip, Output, Plan, PlanSource
from deploy.supervisor import Stack
from tests.renderer_media import RIGHTS, flat, write_video

FLEETS: Final = (1, 2, 5, 10, 20, 50, 100)
LEAST_CHUNKS: Final = 8
MEASURED_S: Final = 20
ACK_WAIT_S: Final = 15.0
DEADLINE_S: Final = 240.0
SEED: Final = 7
ITEM: Final = ItemId("import:fleet")
CHUNK_US: Final = 4_000_000


class Waiting(LocalEngine):
    """Waits as long as a render takes, then hands over what was rendered before."""

    def __init__(self, rendered: Path, times_s: Sequence[float]) -> None:
        self._rendered = rendered
        self._times_s = times_s

    async def make(
        self,
        cut: Cut,  # noqa: ARG002  # as the engine has it
        piece: Piece,
        *,
        sources: Mapping[str, Path],  # noqa: ARG002
        out: Path,
        on_frames: OnFrames,
    ) -> tuple[str, ...]:
        began, took_s = time.monotonic(), time_of(piece.index, self._times_s)
        while (left_s := began + took_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, 1.0))
            if left_s > 1.0:
                await on_frames(int(piece.frames * (time.monotonic() - began) / took_s))
        await asyncio.to_thread(shutil.copyfile, self._rendered / file_name(piece), out)
        return ()


def time_of(index: int, times_s: Sequence[float]) -> float:
    """Return how long a part takes: drawn from the measured times, always the same for one index."""
    return random.Random(f"{SEED}:{index}").choice(times_s)  # no secret


def ideal_s(indexes: Sequence[int], replicas: int, times_s: Sequence[float]) -> float:
    """Return when a fleet without any cost would be done: whoever is free takes the next part at once."""
    free_at = [0.0] * replicas
    for index in indexes:
        heapq.heappush(free_at, heapq.heappop(free_at) + time_of(index, times_s))
    return max(free_at)


async def measured(folder: Path) -> list[float]:
    """Render chunks of the engine's benchmark one by one; return their CPU times, child process included."""
    source = folder / "measured.mp4"
    await asyncio.to_thread(make_source, source, MEASURED_S)
    plan = plan_of(source, MEASURED_S)
    known = await asyncio.to_thread(cut, plan, None)
    times_s = []
    for piece in (piece for piece in known.pieces.values() if piece.index != SOUND):
        before_s = _children_s()
        await LocalEngine().make(
            known, piece, sources={plan.sources[0].id: source}, out=folder / "measured.part", on_frames=_nobody
        )
        times_s.append(_children_s() - before_s)
    return times_s


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _nobody(_: int) -> None:
    """Progress that nobody reads."""


async def prepared(folder: Path, media: Path, chunks: int) -> tuple[Plan, Path]:
    """Store a source and render all chunks of a plan with so many: tiny, one frame a second."""
    source = write_video(
        folder / "source.mov", [flat(64, 64, y=40 + at * 16) for at in range(5)], pts=range(0, 150, 30)
    )
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    key = content_key("sources", sha256, ".mov")
    await Folder(media).put_file(key, source)
    plan = Plan(
        sources=(PlanSource(id="s", key=key, sha256=sha256, rights=RIGHTS),),
        clips=tuple(Clip(source="s", start_us=0, end_us=CHUNK_US) for _ in range(chunks)),
        output=Output(width_px=32, height_px=32, fps=Rational(1), preset="ultrafast", crf=30),
        seed=chunks,
    )
    plan = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    rendered = folder / "rendered"
    await render_file(plan, resolve=lambda _: source, out=folder / "whole.mp4", kept=rendered)
    return plan, rendered


class Ran(NamedTuple):
    """One fleet's job. Times in seconds."""

    replicas: int
    chunks: int
    ideal_s: float
    chunks_s: float
    whole_s: float


async def run_fleet(
    stack: Stack, folder: Path, replicas: int, *, rounds: int, processes: int, times_s: list[float]
) -> Ran:
    """Let one fleet render one plan."""
    chunks = max(LEAST_CHUNKS, replicas * rounds)
    media = folder / "media"
    plan, rendered = await prepared(folder, media, chunks)
    (folder / "times.json").write_text(json.dumps(times_s))
    shares = [len(range(at, replicas, processes)) for at in range(min(processes, replicas))]
    children = [await _child(stack, folder, share, rendered) for share in shares]
    try:
        for child in children:
            assert child.stdout is not None
            async with asyncio.timeout(60):
                assert (await child.stdout.readline()).strip() == b"ready", "a process of the fleet did not start"
        async with open_database(str(stack.database_url), name="benchmark") as db, asyncio.timeout(DEADLINE_S):
            settings = Settings(nats_url=stack.nats_urls["editor"], data_dir=folder)
            async with connect(settings, ACTORS["editor"]) as bus:
                began = time.time()
                event = RenderRequested(
                    event_id=new_event_id(), correlation_id=CorrelationId("fleet"), item_id=ITEM, plan=plan
                )
                await bus.js.publish(subject_of(event), encode(event))
                chunks_s, whole_s = await _finished(db, began)
    finally:
        for child in children:
            child.terminate()
        await asyncio.gather(*(child.wait() for child in children))
    indexes = sorted((await asyncio.to_thread(cut, plan, None)).pieces)
    return Ran(replicas, chunks, ideal_s(indexes, replicas, times_s), chunks_s, whole_s)


async def _finished(db: Database, began: float) -> tuple[float, float]:
    """Wait for the file; return the times of the last chunk and of the file, and forget the job."""
    while True:
        row = await db.fetchrow(
            "select plan_id, (select max(extract(epoch from seen_at)) from render_chunks c where c.plan_id = r.plan_id)"
            "::float8 as last_at, extract(epoch from finished_at)::float8 as finished_at from renditions r"
            " where finished_at is not null"
        )
        if row is not None:
            again = await db.fetchval("select sum(renders - 1) from render_chunks")
            assert not again, f"{again} chunks were rendered twice"
            for table in ("render_chunks", "renditions", "chunk_files"):
                await db.execute(f"delete from {table}")  # names from here
            return row["last_at"] - began, row["finished_at"] - began
        await asyncio.sleep(0.05)


async def _child(stack: Stack, folder: Path, replicas: int, rendered: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.fleet", "--child", str(replicas), "--folder", str(folder),
        "--rendered", str(rendered), "--nats", stack.nats_urls["renderer"], "--database", str(stack.database_url),
        stdout=asyncio.subprocess.PIPE, stderr=(folder / "fleet.log").open("ab"), stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def serve(settings: Settings, replicas: int, rendered: Path, times_s: list[float]) -> None:
    """Run so many replicas in this process until it is ended."""
    party = ACTORS["renderer"]
    async with connect(settings, party) as bus, open_services(settings, party.name, bus) as services:
        consumers = []
        for _ in range(replicas):
            ledger = Ledger(services.db, sender=party.name, clock=services.clock, ttl_s=ACK_WAIT_S)
            app = renderer(Waiting(rendered, times_s))
            own = replace(services, ledger=ledger)
            consumers += [pull(bus, consumer, app, own) for consumer in consumers_of(party)]
        async with asyncio.TaskGroup() as group:
            for consumer in consumers:
                group.create_task(consumer.run())
            group.create_task(Relay(services.db, bus.js, sender=party.name, clock=services.clock).run())
            await asyncio.sleep(1.0)
            print("ready", flush=True)  # the parent waits for it
            while True:
                await asyncio.sleep(ACK_WAIT_S / 3)
                for consumer in consumers:
                    await consumer.heartbeat()


async def main_run(fleets: Sequence[int], rounds: int, processes: int, times_s: list[float]) -> None:
    """Run all fleets and print the table."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as temporary:
        folder = Path(temporary)
        times_s = times_s or await measured(folder)
        shown = ", ".join(f"{each:.2f}" for each in sorted(times_s))
        print(f"times of chunk jobs: {shown} s; median {statistics.median(times_s):.2f} s\n")
        print("| replicas | chunks | ideal s | chunks s | efficiency | whole s | efficiency of the whole |")
        print("|---|---|---|---|---|---|---|", flush=True)
        async with Stack(folder / "stack", ack_wait_s=ACK_WAIT_S) as stack:
            async with open_database(str(stack.database_url), name="benchmark") as db:
                await db.execute(
                    "insert into items (item_id, correlation_id, origin, title, rights, decision)"
                    " values ($1, 'c', 'import', 'Fleet', '{}', 'imported')",
                    ITEM,
                )
            for replicas in fleets:
                ran = await run_fleet(stack, folder, replicas, rounds=rounds, processes=processes, times_s=times_s)
                print(
                    f"| {ran.replicas} | {ran.chunks} | {ran.ideal_s:.1f} | {ran.chunks_s:.1f} "
                    f"| {ran.ideal_s / ran.chunks_s:.2f} | {ran.whole_s:.1f} | {ran.ideal_s / ran.whole_s:.2f} |",
                    flush=True,
                )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=FLEETS)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--chunk-s", type=float, nargs="+", default=[])
    for name in ("child", "folder", "rendered", "nats", "database"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is None:
        asyncio.run(main_run(options.replicas, options.rounds, options.processes, options.chunk_s))
        return
    setup_logging(actor="renderer", level="warning", terminal=False)
    folder = Path(options.folder)
    settings = Settings(
        data_dir=folder / "data",
        media_url=str(folder / "media"),
        nats_url=options.nats,
        database_url=options.database,
        ack_wait_s=ACK_WAIT_S,
        render_workers=1,
        render_chunk_from_s=0,
    )
    times_s: list[Any] = json.loads((folder / "times.json").read_text())
    asyncio.run(serve(settings, int(options.child), Path(options.rendered), times_s))


if __name__ == "__main__":
    main()
