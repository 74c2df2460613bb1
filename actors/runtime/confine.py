"""Bounds on a process that reads untrusted media; whatever it starts inherits them, and none can be lifted again.

They are POSIX resource limits and, on Linux, two promises to the kernel: to gain no privileges (prctl(2),
PR_SET_NO_NEW_PRIVS), and to open no sockets but those of this machine (seccomp(2); x86-64 and aarch64). A kernel that
knows neither goes without: then nothing but the lists of protocols and decoders keeps a file from the network.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import socket
import struct
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from msgspec import Struct

__all__ = ["OPEN_FILES", "Limits", "confine"]

OPEN_FILES: Final = 256
_CPU_GRACE_S: Final = 10
"""From SIGXCPU, which says why, to SIGKILL."""

# linux/prctl.h, linux/seccomp.h, linux/bpf_common.h, linux/audit.h, asm/unistd.h of Linux 6.12.
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1
_FLAGS: Final = 1 | 4
"""SECCOMP_FILTER_FLAG_TSYNC: all threads; _SPEC_ALLOW: without the slower memory that old kernels add."""
_ALLOW: Final = 0x7FFF0000
_DENY: Final = 0x00050000 | errno.EACCES
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32: Final = 0x40000000
"""Numbers from here on are those of a second table of calls on x86-64."""
_IO_URING_SETUP: Final = 425
"""It opens sockets past the filter."""


class Limits(Struct, frozen=True):
    """memory_bytes: allocated, of each process; cpu_s: of each process; file_bytes: of each file that it writes."""

    memory_bytes: int
    cpu_s: int
    open_files: int = OPEN_FILES
    file_bytes: int = 64 << 30
    network: bool = False


class _Machine(NamedTuple):
    """Numbers of an architecture: its name in audit.h, and its calls."""

    audit: int
    socket: int
    seccomp: int


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 41, 317),
    "aarch64": _Machine(0xC00000B7, 198, 277),
}


def confine(limits: Limits) -> None:
    """Put this process, all its threads and all that it starts under `limits`."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    _lower(resource.RLIMIT_CPU, limits.cpu_s, grace=_CPU_GRACE_S)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if not limits.network:
            _leave_network(libc)


def _lower(kind: int, most: int, *, grace: int = 0) -> None:
    _, hard = resource.getrlimit(kind)
    ceiling = most + grace if hard == resource.RLIM_INFINITY else min(most + grace, hard)
    with suppress(ValueError, OSError):  # this kernel takes no such value
        resource.setrlimit(kind, (min(most, ceiling), ceiling))


def _leave_network(libc: ctypes.CDLL) -> None:
    """Have the kernel refuse every new socket that is not a Unix one, with EACCES."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return
    # Jumps are counted from the next line: (operation, lines if so, lines if not, operand).
    program = (
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, 6, machine.audit),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 4, 0, _X32),
        (_EQUAL, 3, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 3, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    )
    lines = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(lines)))
    libc.syscall(
        ctypes.c_long(machine.seccomp),
        ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_ulong(_FLAGS),
        ctypes.byref(head),
    )
