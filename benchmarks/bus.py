"""One consumer's cost on the bus: ours against raw nats-py doing the same work, in one run, on one machine.

    python -m benchmarks.bus [--messages 4000] [--rate 500] [--seconds 10] [--rounds 3]

Work per message: decode a `candidate.found` of about 1 kB, answer the server. Ways, interleaved over the rounds:
raw     nats-py pull subscriptions, one message each, as many as the actor has
raw64   nats-py, one pull subscription, 64 messages each (its fastest; latency suffers, see the table)
faststream  FastStream pull subscribers, one message each, its access log off
bare    our runtime (pull, decode, heartbeat, outcome, one log line) with a ledger that keeps nothing
ledger  our runtime with the ledger in PostgreSQL: one transaction per message
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import nats
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout

from actors.runtime.app import connect, open_services
from actors.runtime.consumer import PullConsumer
from actors.runtime.ledger import Attempts, Tx
from actors.runtime.log import setup_logging
from actors.runtime.outcome import process
from actors.runtime.settings import Settings
from actors.runtime.work import Services, Work
from contracts.codec import decode, encode, new_event_id, subject_of
from contracts.events import CandidateFound, Event
from contracts.flow import ACTORS, STREAM, consumers_of
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from deploy import streams
from deploy.supervisor import Stack

ACTOR: Final = ACTORS["ranker"]
CONSUMER: Final = consumers_of(ACTOR)[0]
WAYS: Final = ("raw", "raw64", "faststream", "bare", "ledger")
ACK_WAIT_S: Final = 60.0


def message(number: int) -> bytes:
    """Return one event; its description holds the moment of sending."""
    at = datetime.now(UTC)
    return encode(
        CandidateFound(
            event_id=new_event_id(),
            niche="deep sea",
            candidate=Candidate(
                item_id=ItemId(f"internet_archive:{number}"),
                platform="internet_archive",
                platform_id=str(number),
                url=f"https://archive.org/details/{number}",
                title="Animals of the deep sea make their own light",
                description=repr(time.time()),
                tags=("deep sea", "ocean", "animals"),
                published_at=at,
                metrics=Metrics(views=1200, absent={"likes": "the archive has none"}),
                observed_at=at,
                rights=RightsRecord(licence="CC-BY-4.0", title="Animals", author="Somebody", read_at=at),
            ),
        )
    )


class Seen:
    """Latencies from sending to answered, and the end of the run."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.latencies_s: list[float] = []
        self.first = self.last = 0.0
        self.done = asyncio.Event()

    def add(self, sent_at: float) -> None:
        self.last = time.time()
        self.first = self.first or self.last
        self.latencies_s.append(self.last - sent_at)
        if len(self.latencies_s) >= self.wanted:
            self.done.set()


async def consume_raw(url: str, seen: Seen, *, tasks: int, batch: int) -> None:
    client = await nats.connect(url, inbox_prefix=ACTOR.inbox_prefix)
    jetstream = client.jetstream()

    async def take() -> None:
        subscription = await jetstream.pull_subscribe_bind(CONSUMER.name, STREAM.name)
        while not seen.done.is_set():
            try:
                for got in await subscription.fetch(batch, timeout=5):
                    event = decode(got.data, CandidateFound)
                    await got.ack()
                    seen.add(float(event.candidate.description))
            except NatsTimeout:
                continue

    running = [asyncio.create_task(take()) for _ in range(tasks)]
    await seen.done.wait()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await client.close()


async def consume_faststream(url: str, seen: Seen) -> None:
    broker = NatsBroker(url, inbox_prefix=ACTOR.inbox_prefix, apply_types=False, logger=None)

    async def take(got: NatsMessage) -> None:
        event = decode(got.body, CandidateFound)
        await got.ack()
        seen.add(float(event.candidate.description))

    async def whole(got: NatsMessage) -> NatsMessage:
        return got

    for _ in range(CONSUMER.batch):
        broker.subscriber(
            CONSUMER.subject,
            durable=CONSUMER.name,
            stream=JStream(STREAM.name, declare=False),
            pull_sub=PullSub(batch_size=1),
            inbox_prefix=f"{ACTOR.inbox_prefix}.".encode(),
            ack_policy=AckPolicy.MANUAL,
            decoder=whole,
        )(take)
    await broker.start()
    await seen.done.wait()
    await broker.stop()


class NoLedger:
    """Keeps nothing: what is left is the runtime itself."""

    async def is_settled(self, *_: object) -> bool:
        return False

    async def note_redelivery(self, *_: object) -> Attempts:
        return Attempts(0, 0)

    @asynccontextmanager
    async def commit(self, _: str, event: Event, **__: object) -> AsyncIterator[Tx]:
        yield Tx(None, cause=event, at=None)  # type: ignore[arg-type] # nothing is written


async def consume_ours(settings: Settings, seen: Seen, *, ledger: bool) -> None:
    async def handle(work: Work[CandidateFound], _: Services) -> None:
        async with work.commit():
            pass

    async with connect(settings, ACTOR) as bus, open_services(settings, ACTOR.name, bus) as services:
        if not ledger:
            object.__setattr__(services, "ledger", NoLedger())

        async def take(message: Msg) -> None:
            work = await process(message, CONSUMER, handle, services, always_check=False)
            seen.add(float(work.event.candidate.description))

        consumer = PullConsumer(bus.client, CONSUMER, take)
        running = asyncio.create_task(consumer.run())
        await seen.done.wait()
        running.cancel()
        await consumer.drain(deadline_s=1.0)


def child(way: str, settings: Settings, wanted: int) -> dict[str, Any]:
    """Consume in this process; return what was seen."""
    setup_logging(actor="bench", level="info", terminal=False)

    async def go() -> dict[str, Any]:
        seen = Seen(wanted)
        if way == "raw":
            await consume_raw(str(settings.nats_url), seen, tasks=CONSUMER.batch, batch=1)
        elif way == "raw64":
            await consume_raw(str(settings.nats_url), seen, tasks=1, batch=64)
        elif way == "faststream":
            await consume_faststream(str(settings.nats_url), seen)
        else:
            await consume_ours(settings, seen, ledger=way == "ledger")
        latencies = sorted(seen.latencies_s)
        return {
            "per_s": (len(latencies) - 1) / max(seen.last - seen.first, 1e-9),
            "p50_ms": 1000 * statistics.median(latencies),
            "p99_ms": 1000 * latencies[int(len(latencies) * 0.99) - 1],
        }

    return asyncio.run(go())


async def publish(url: str, count: int, *, rate: float | None) -> None:
    """Publish `count` events, as fast as it goes or paced."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    subject = subject_of(CandidateFound)
    if rate is None:
        for start in range(0, count, 200):
            await asyncio.gather(
                *(jetstream.publish(subject, message(number)) for number in range(start, min(start + 200, count)))
            )
    else:
        begin = time.perf_counter()
        pending: set[asyncio.Task[Any]] = set()
        for number in range(count):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            task = asyncio.create_task(jetstream.publish(subject, message(number)))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
    await client.close()


async def run_way(stack: Stack, folder: Path, way: str, count: int, *, rate: float | None) -> dict[str, Any]:
    """Run one consumer process; backlog first where rate is None."""
    assert stack.admin_url is not None
    admin = await nats.connect(stack.admin_url)
    await admin.jetstream().delete_stream(STREAM.name)
    await streams.apply_to(admin.jetstream(), ack_wait_s=ACK_WAIT_S)
    await admin.close()
    if rate is None:
        await publish(stack.admin_url, count, rate=None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bus", "--child", way, "--messages", str(count),
        "--nats", stack.nats_urls[ACTOR.name], "--database", str(stack.database_url), "--folder", str(folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    if rate is not None:
        await asyncio.sleep(3.0)
        await publish(stack.admin_url, count, rate=rate)
    assert process.stdout is not None
    async with asyncio.timeout(180):
        result: dict[str, Any] = json.loads(await process.stdout.read())
        await process.wait()
    return result


def median(results: Sequence[dict[str, Any]], key: str) -> float:
    return float(statistics.median(result[key] for result in results))


async def main_run(messages: int, rate: float, seconds: float, rounds: int) -> None:
    """Run all ways interleaved and print the table."""
    fast: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    paced: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        async with Stack(folder, ack_wait_s=ACK_WAIT_S) as stack:
            for _ in range(rounds):
                for way in WAYS:
                    fast[way].append(await run_way(stack, folder, way, messages, rate=None))
                for way in WAYS:
                    paced[way].append(await run_way(stack, folder, way, int(rate * seconds), rate=rate))
    raw = median(fast["raw"], "per_s")
    print(f"{messages} messages in a backlog; {rate:.0f}/s for {seconds:.0f} s paced; medians of {rounds} rounds")
    print("| way | per second | of raw | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for way in WAYS:
        speed = median(fast[way], "per_s")
        p50, p99 = median(paced[way], "p50_ms"), median(paced[way], "p99_ms")
        print(f"| {way} | {speed:.0f} | {speed / raw:.2f} | {p50:.2f} | {p99:.2f} |")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--nats", help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        settings = Settings(
            data_dir=options.folder,
            media_url=str(options.folder / "media"),
            nats_url=options.nats,
            database_url=options.database,
            ack_wait_s=ACK_WAIT_S,
        )
        print(json.dumps(child(options.child, settings, options.messages)))
    else:
        asyncio.run(main_run(options.messages, options.rate, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
