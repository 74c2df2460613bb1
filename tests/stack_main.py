"""A stack in a process of its own, for tests that kill it: `python -m tests.stack_main FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from deploy.children import Child
from deploy.supervisor import Stack

WORKER = Child(name="worker", argv=(sys.executable, "-c", "import signal; signal.pause()"))


async def main(folder: Path) -> None:
    async with Stack(folder, children=[WORKER], handle_signals=True) as stack:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await stack.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
