"""`python -m gateway`: the gateway alone, on the settings of this folder."""

from __future__ import annotations

import asyncio
import sys

from actors.runtime.settings import load_settings
from contracts.errors import EttamettaError
from gateway.app import run


def main() -> int:
    """Run until stopped; return the exit code."""
    try:
        asyncio.run(run(load_settings()))
    except EttamettaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
