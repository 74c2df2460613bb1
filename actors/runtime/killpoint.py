"""Named step boundaries at which a crash test can end, or hold, a process.

In the folder `ETTAMETTA_KILL_DIR` a test writes a file named like a boundary: empty, it kills the process that
reaches the boundary with SIGKILL; with the word `hold` it keeps it waiting until the claim is removed, so that the
test can kill something else meanwhile. Renaming the file to `.claimed` makes sure that one process takes it, once.
Without the variable a boundary costs one comparison.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

__all__ = ["CLAIMED", "reach"]

CLAIMED: Final = ".claimed"

_FOLDER: Final = os.environ.get("ETTAMETTA_KILL_DIR", "")
_HOLD_S: Final = 20.0


def reach(name: str) -> None:
    """Say that the boundary `name` is reached."""
    if not _FOLDER:
        return
    armed = Path(_FOLDER, name)
    claim = Path(_FOLDER, name + CLAIMED)
    try:
        how = armed.read_text(encoding="utf-8")
        armed.rename(claim)
    except FileNotFoundError:
        return
    if how != "hold":
        os.kill(os.getpid(), signal.SIGKILL)
    deadline = time.monotonic() + _HOLD_S
    while claim.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
