"""Start one child process that cannot outlive its supervisor.

Run as a file (`python -I -S launch.py …`), it needs the standard library alone and is up in some 15 ms:

    launch.py --parent PID --signal N [--user NAME] [--watch FD] -- PROGRAM ARGUMENT…

On Linux it asks the kernel to send signal N when the parent dies (prctl(2), PR_SET_PDEATHSIG), then becomes
the program. Elsewhere it stays, and signals the program when FD, a pipe that the parent holds, reaches its end.

--user: give up root first. PostgreSQL refuses to run as root, yet its files may lie below folders that only
root may enter; so on Linux the program keeps one capability, to pass by file permissions (capabilities(7),
"Ambient"). That is less than root, and less than opening those folders to everyone.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import pwd
import select
import signal
import struct
import subprocess
import sys
import threading
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
LINUX = platform.system() == "Linux"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


def main(arguments: list[str]) -> NoReturn:
    """Read the options, then become or watch the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("--watch", type=int)
    parser.add_argument("program", nargs="+")
    options = parser.parse_args(arguments)
    if options.user:
        become(options.user)
    if options.watch is not None:
        sys.exit(watch(options.program, pipe=options.watch, number=options.signal))
    # After the change of user, which clears it.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, options.signal, 0, 0, 0)
    if os.getppid() != options.parent:
        sys.exit(1)
    os.execv(options.program[0], options.program)  # noqa: S606 - no shell is wanted


def become(name: str) -> None:
    """Change to the user `name`; on Linux keep the capability to pass by file permissions, if there is one."""
    user = pwd.getpwnam(name)
    libc = ctypes.CDLL(None, use_errno=True)
    if LINUX:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if not LINUX:
        return
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        bit = 1 << capability
        header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
        if libc.capset(header, struct.pack("=6I", bit, bit, bit, 0, 0, 0)) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def watch(program: list[str], *, pipe: int, number: int) -> int:
    """Run the program; send it `number` when the pipe ends. Returns its exit status as a shell would."""
    child = subprocess.Popen(program)

    def forward(received: int, _: FrameType | None) -> None:
        child.send_signal(received)

    def await_end() -> None:
        select.select([pipe], [], [])
        child.send_signal(number)

    for each in FORWARDED:
        signal.signal(each, forward)
    threading.Thread(target=await_end, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    main(sys.argv[1:])
