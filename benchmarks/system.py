"""The whole system: cost of doing nothing, and of the chain with its ledger.

    python -m benchmarks.system [--idle 30] [--items 12]

Idle: CPU of all processes of `up` with the sandbox, as a share of one core, and resident memory (RSS counts shared
pages in each process; PSS shares them out). Chain: tiny items from scan to first measurement, one after another and
all at once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from actors.runtime.log import setup_logging
from tests.world import World, tiny_video


def family(world: World) -> list[psutil.Process]:
    """Return all processes of the stack but this one."""
    found = []
    for child in world.stack.children:
        process = psutil.Process(child.pid)
        found += [process, *process.children(recursive=True)]
    return found


def cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def idle(world: World, seconds: float) -> None:
    """Print what the system costs while nothing happens."""
    await asyncio.sleep(5.0)
    processes = family(world)
    before = {process.pid: sum(process.cpu_times()[:2]) for process in processes}
    await asyncio.sleep(seconds)
    names = {child.pid: child.name for child in world.stack.children}
    print(f"idle for {seconds:.0f} s\n| process | CPU, % of a core | RSS, MB | PSS, MB |\n|---|---|---|---|")
    totals = [0.0, 0.0, 0.0]
    grouped: dict[str, list[float]] = {}
    for process in processes:
        parent = next((each.pid for each in [process, *process.parents()] if each.pid in names), None)
        memory = process.memory_full_info()
        row = [
            100 * (sum(process.cpu_times()[:2]) - before[process.pid]) / seconds,
            memory.rss / 1e6,
            memory.pss / 1e6,
        ]
        kept = grouped.setdefault(names[parent] if parent else "?", [0.0, 0.0, 0.0])
        for at, value in enumerate(row):
            kept[at] += value
            totals[at] += value
    for name, row in sorted(grouped.items()):
        print(f"| {name} | {row[0]:.2f} | {row[1]:.0f} | {row[2]:.0f} |")
    print(f"| all | {totals[0]:.2f} | {totals[1]:.0f} | {totals[2]:.0f} |")


async def chain(world: World, folder: Path, items: int) -> None:
    """Print how long tiny items take from scan to first measurement."""
    took = []
    for number in range(min(items, 5)):
        name = f"one-{number}"
        item = await world.list_item(name, tiny_video(folder / f"{name}.mp4", seed=number))
        started = time.perf_counter()
        await world.scan(name)
        await world.measured((item,), deadline_s=120)
        took.append(time.perf_counter() - started)
    print(f"one at a time: median {statistics.median(took):.2f} s from scan to measurement, {len(took)} items")
    names = [f"many-{number}" for number in range(items)]
    wanted = [
        await world.list_item(name, tiny_video(folder / f"{name}.mp4", seed=100 + at)) for at, name in enumerate(names)
    ]
    started = time.perf_counter()
    for name in names:
        await world.scan(name)
    await world.measured(tuple(wanted), deadline_s=600)
    elapsed = time.perf_counter() - started
    handled = await world.db.fetchval("select count(*) from inbox")
    print(
        f"all at once: {items} items in {elapsed:.1f} s, {items / elapsed:.2f} items/s; {handled} events handled in all"
    )
    stages = await world.db.fetch(
        "select subject, percentile_cont(0.5) within group (order by waited) as p50,"
        " percentile_cont(0.99) within group (order by waited) as p99"
        " from (select subject, extract(epoch from published_at - created_at) as waited from outbox) as told"
        " group by subject order by subject"
    )
    print("| event | outbox to stream, p50 ms | p99 ms |\n|---|---|---|")
    for row in stages:
        print(f"| {row['subject']} | {1000 * row['p50']:.1f} | {1000 * row['p99']:.1f} |")


async def run(idle_s: float, items: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        async with World(folder, ack_wait_s=15.0) as world:
            await idle(world, idle_s)
            await chain(world, folder, items)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=float, default=30.0)
    parser.add_argument("--items", type=int, default=12)
    options = parser.parse_args()
    setup_logging(actor="bench", level="error")
    asyncio.run(run(options.idle, options.items))


if __name__ == "__main__":
    main()
