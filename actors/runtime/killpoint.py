"""Named step boundaries at which a crash test can end, or hold, a process.

`ETTAMETTA_KILL_FILE` names a file that the test writes: `<boundary>` kills the process that reaches it with
SIGKILL, `<boundary> hold` keeps it waiting until the claim is removed, so that the test can kill something
else meanwhile. Renaming the file to `.claimed` makes sure that one process takes it, once. Without the
variable a boundary costs one comparison.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

__all__ = ["reach"]

_FILE: Final = os.environ.get("ETTAMETTA_KILL_FILE", "")
_HOLD_S: Final = 20.0


def reach(name: str) -> None:
    """Say that the boundary `name` is reached."""
    if not _FILE:
        return
    try:
        wanted, _, how = Path(_FILE).read_text(encoding="utf-8").strip().partition(" ")
        if wanted != name:
            return
        claim = Path(f"{_FILE}.claimed")
        Path(_FILE).rename(claim)
    except FileNotFoundError:
        return
    if how != "hold":
        os.kill(os.getpid(), signal.SIGKILL)
    deadline = time.monotonic() + _HOLD_S
    while claim.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
