"""Named step boundaries at which a crash test can end a process.

`ETTAMETTA_KILL_AT=<name>[@<pid file>]` with `ETTAMETTA_KILL_MARK=<file>` kills this process (or the one
named by the pid file) with SIGKILL when the boundary is reached, once: the mark file records that it
happened. Without the variable a boundary costs one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

__all__ = ["reach"]

_TARGET, _, _PID_FILE = os.environ.get("ETTAMETTA_KILL_AT", "").partition("@")
_MARK: Final = os.environ.get("ETTAMETTA_KILL_MARK", "")


def reach(name: str) -> None:
    """Say that the boundary `name` is reached."""
    if not _TARGET or name != _TARGET:
        return
    if _MARK:
        try:
            os.close(os.open(_MARK, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
    victim = int(Path(_PID_FILE).read_text(encoding="ascii")) if _PID_FILE else os.getpid()
    os.kill(victim, signal.SIGKILL)
