"""Random kills over many items: none may be lost, none posted twice.

    python -m benchmarks.soak [--items 30] [--kills 100] [--replicas 2] [--seed 1] [--folder F]

Kills any process but the supervisor (actors, NATS, PostgreSQL, sandbox, gateway) at random moments while items
go through the loop. Everything is on loopback; it ends by itself, with exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from actors.runtime.log import setup_logging
from tests.world import World, tiny_video

PAUSE_S: Final = (0.2, 1.6)
DEADLINE_S: Final = 900.0


async def soak(folder: Path, *, items: int, kills: int, replicas: int, seed: int) -> int:
    """Run the soak; return the exit code."""
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    started = time.monotonic()
    async with World(folder, replicas=replicas) as world:
        names = [f"soak-{number:03d}" for number in range(items)]
        wanted = tuple(
            [await world.list_item(name, tiny_video(folder / f"{name}.mp4", seed=n)) for n, name in enumerate(names)]
        )

        async def feed() -> None:
            for name in names:
                await world.scan(name)
                await asyncio.sleep(chance.uniform(0.1, 1.0))

        async def strike() -> None:
            for _ in range(kills):
                victim = chance.choice(world.stack.children)
                world.kill(victim.name)
                killed[victim.name] += 1
                await asyncio.sleep(chance.uniform(*PAUSE_S))

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            group.create_task(strike())
        await world.measured(wanted, deadline_s=DEADLINE_S)
        videos = await world.videos_per_item()
        posts = await world.db.fetchval("select count(*) from posts where state = 'published'")
        letters = await world.db.fetch("select consumer, kind, error from dead_letters where state = 'open'")
    doubled = {marker: count for marker, count in videos.items() if count > 1}
    print(f"items {items}, measured {items}, posts {posts}, videos in the sandbox {sum(videos.values())}")
    print(f"kills {sum(killed.values())}: {', '.join(f'{name} {count}' for name, count in sorted(killed.items()))}")
    print(f"doubled {doubled or 'none'}, dead letters {[tuple(row) for row in letters] or 'none'}")
    print(f"took {time.monotonic() - started:.0f} s")
    return int(bool(doubled) or len(videos) != items or bool(letters))


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=30)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    setup_logging(actor="soak", level="error")
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(
            soak(folder, items=options.items, kills=options.kills, replicas=options.replicas, seed=options.seed)
        )


if __name__ == "__main__":
    sys.exit(main())
