"""Untrusted media is read in a child process that may fail, grow or hang without harm.

The parent calls `run_isolated`; the child's module calls `serve` from its `__main__` block:

    if __name__ == "__main__":
        isolate.serve(ProbeRequest, probe)

Protocol: one JSON line on the child's stdin (file names travel here, never in argv), after which stdin stays
open: its end means that the parent died, and the child's process group ends at once. Answers are JSON lines on a
private copy of stdout, so that nothing a C library prints can be taken for one. stderr is kept from the terminal.
A child may start workers (see crew); they belong to its process group and share its end.

Memory is capped twice. RLIMIT_DATA (Linux 4.7 and later) counts what is allocated, unlike RLIMIT_AS, which also
counts the address space that ONNX Runtime and mapped models only reserve; and the parent watches resident memory,
which also works where the kernel ignores RLIMIT_DATA (macOS). The child's other bounds are in confine.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Final, NoReturn, TypeVar

import msgspec
import psutil
from msgspec import Raw, Struct

from actors.runtime.confine import OPEN_FILES, Limits, confine
from contracts.errors import Reject, Retry

__all__ = [
    "ChildFailed",
    "Ending",
    "Progress",
    "die_with_parent",
    "ended_without_answer",
    "ending_of",
    "error_of",
    "run_isolated",
    "serve",
]

Q = TypeVar("Q", bound=Struct)
T = TypeVar("T", bound=Struct)
Progress = Callable[[Struct], None]
"""What a child calls to tell how far it is."""

LINE_LIMIT_BYTES: Final = 64 << 20
STDERR_TAIL_BYTES: Final = 4096
WATCH_INTERVAL_S: Final = 0.1
LAST_WORDS_S: Final = 1.0
WRITES_BYTES: Final = 64 << 30
_FILES_PER_WORKER: Final = 4
_LIST_EVERY: Final = 10
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

_LIBRARY_ENV: Final = frozenset(
    {
        *{"HOME", "LANG", "LANGUAGE", "PATH", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "FONT_PATH"},
        *{"REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"},
        *{"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy"},
    }
)
_ENV_PREFIXES: Final = (
    "LC_",
    "LD_",
    "DYLD_",
    "PYTHON",
    "XDG_",
    "OMP_",
    "OPENCV_",
    "CUDA",
    "CUPY_",
    "NVIDIA_",
    "MEDIA_MAX_",
)
# A signal that somebody sent says nothing about the media; any other one was the media's doing.
_SENT_SIGNALS: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class ChildFailed(RuntimeError):
    """The child raised something that has no name in contracts.errors: a bug, with the child's own trace."""


class _Envelope(Struct, frozen=True):
    limits: Limits
    request: Raw


class _Progressed(Struct, frozen=True, tag="progress"):
    body: Raw


class _Done(Struct, frozen=True, tag="result"):
    body: Raw


class _Rejected(Struct, frozen=True, tag="reject"):
    reason: str
    mend: str = ""


class _Retried(Struct, frozen=True, tag="retry"):
    reason: str
    delay_s: float | None = None


class _OutOfMemory(Struct, frozen=True, tag="memory"):
    pass


class _Failed(Struct, frozen=True, tag="failed"):
    trace: str


Ending = _Rejected | _Retried | _OutOfMemory | _Failed
"""How work ended that has no result, as it travels between processes."""
_Answer = _Progressed | _Done | Ending
_ANSWERS: Final = msgspec.json.Decoder(_Answer)


# Parent -------------------------------------------------------------------------------------------


async def run_isolated(
    module: str,
    request: Struct | Callable[[], Awaitable[Struct]],
    *,
    result: type[T],
    deadline_s: float,
    memory_bytes: int,
    processes: int = 1,
    writes_bytes: int = WRITES_BYTES,
    network: bool = False,
    on_progress: Callable[[bytes], Awaitable[None]] | None = None,
    what: str = "reading the media",
) -> T:
    """Run `module` as a child on `request` and return its result. Cancelling kills the child.

    Args: request: or what makes it while the child starts; memory_bytes: limit of each process; processes: how many
    the child may be, with those it starts; writes_bytes: largest file that it may write; network: whether it may open
    connections; on_progress: gets the JSON of each progress the child tells; what: names the work in error texts.
    Raises: Reject if the child rejects, crashes, or exceeds one of its limits; Retry if it says so or was killed from
    outside; ChildFailed on a bug in it.
    """
    limits = Limits(
        memory_bytes=memory_bytes,
        # What a process can use within the deadline: a bound even where nobody is left to watch the clock.
        cpu_s=math.ceil(deadline_s) * (os.cpu_count() or 1),
        open_files=OPEN_FILES + _FILES_PER_WORKER * processes,
        file_bytes=writes_bytes,
        network=network,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        limit=LINE_LIMIT_BYTES,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    said = bytearray()
    errors = asyncio.create_task(_keep_tail(process.stderr, said))
    watch = asyncio.create_task(_watch_memory(process.pid, memory_bytes, processes))
    try:
        async with asyncio.timeout(deadline_s):
            asked = request if isinstance(request, Struct) else await request()
            envelope = _Envelope(limits=limits, request=Raw(msgspec.json.encode(asked)))
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(msgspec.json.encode(envelope) + b"\n")
                await process.stdin.drain()
            body = await _answer(process.stdout, on_progress, what, memory_bytes)
            if body is not None:
                return msgspec.json.decode(body, type=result)
            await _end(process, errors)
    except TimeoutError:
        raise Reject(f"{what} took longer than {deadline_s:.0f} s and was stopped") from None
    finally:
        watch.cancel()
        _kill_group(process.pid)
        process.stdin.close()
        await _end(process, errors)
        over_limit = await _outcome(watch)
    if over_limit:
        raise _memory_reject(what, memory_bytes)
    raise ended_without_answer(process.returncode or 0, what, said.decode(errors="replace").strip())


async def _answer(
    stdout: asyncio.StreamReader, on_progress: Callable[[bytes], Awaitable[None]] | None, what: str, memory_bytes: int
) -> Raw | None:
    """Read answers until the last one; None: the child ended without one."""
    while line := await _line(stdout):
        match _ANSWERS.decode(line):
            case _Progressed(body=body):
                if on_progress is not None:
                    await on_progress(bytes(body))
            case _Done(body=body):
                return body
            case _OutOfMemory():
                raise _memory_reject(what, memory_bytes)
            case ending:
                raise error_of(ending, what)
    return None


def error_of(ending: Ending, what: str) -> Exception:
    """Return the error that an ending stands for."""
    match ending:
        case _Rejected(reason=reason, mend=mend):
            return Reject(reason, mend=mend)
        case _Retried(reason=reason, delay_s=delay_s):
            return Retry(reason, delay_s=delay_s)
        case _OutOfMemory():
            return MemoryError()
        case _Failed(trace=trace):
            return ChildFailed(f"{what} failed in the child process:\n{trace}")


async def _line(stdout: asyncio.StreamReader) -> bytes:
    """Return the next whole line, or nothing when the child ended, even in the middle of one."""
    try:
        return await stdout.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""


async def _keep_tail(stderr: asyncio.StreamReader, said: bytearray) -> None:
    while chunk := await stderr.read(STDERR_TAIL_BYTES):
        said += chunk
        del said[:-STDERR_TAIL_BYTES]


async def _end(process: asyncio.subprocess.Process, errors: asyncio.Task[None]) -> None:
    """Wait for the child's end and its last words; a grandchild that left the group may keep the pipes open."""
    try:
        async with asyncio.timeout(LAST_WORDS_S):
            await process.wait()
            await asyncio.shield(errors)
    except TimeoutError:
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  # the only way to close its pipes
        errors.cancel()


async def _watch_memory(pid: int, memory_bytes: int, processes: int) -> bool:
    """Kill the group when one process of it, or all together, hold more than their share; True: they did."""
    found: list[psutil.Process] = []
    at = 0
    try:
        child = psutil.Process(pid)
        while True:
            if at % _LIST_EVERY == 0:  # a walk through all processes of the machine
                found = child.children(recursive=True)
            at += 1
            held = [child.memory_info().rss, *map(_resident_bytes, found)]
            if max(held) > memory_bytes or sum(held) > memory_bytes * processes:
                break
            await asyncio.sleep(WATCH_INTERVAL_S)
    except psutil.Error:  # it ended
        return False
    _kill_group(pid)
    return True


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended
        return 0


async def _outcome(watch: asyncio.Task[bool]) -> bool:
    await asyncio.wait([watch])
    return not watch.cancelled() and watch.result()


def _memory_reject(what: str, memory_bytes: int) -> Reject:
    return Reject(f"{what} needed more than {memory_bytes >> 20} MiB of memory and was stopped")


def ended_without_answer(exit_code: int, what: str, said: str) -> Exception:
    """Return what it means that a process ended without a word: the media's doing, somebody's, or a bug."""
    tail = f": {said.splitlines()[-1]}" if said else ""
    if exit_code >= 0:
        return ChildFailed(f"{what} ended with exit status {exit_code} and no answer:\n{said}")
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    if -exit_code == signal.SIGXCPU:
        return Reject(f"{what} took longer than the processor time it may have and was stopped")
    if -exit_code in _SENT_SIGNALS:
        return Retry(f"{what} was killed from outside ({name}); the system may be short of memory")
    return Reject(f"{what} crashed ({name}){tail}", mend="the file is damaged or hostile")


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Return the child's environment: what libraries need, and no secret of the parent."""
    kept = {name: value for name, value in os.environ.items() if name in _LIBRARY_ENV or name.startswith(_ENV_PREFIXES)}
    root = str(Path(__file__).parents[2])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return kept


# Child --------------------------------------------------------------------------------------------


def serve(request: type[Q] | UnionType, handler: Callable[[Q, Progress], Struct]) -> NoReturn:
    """Answer the one request on stdin with `handler(request, progress)` and exit."""
    die_with_parent()
    inlet, outlet = _private_pipes()
    envelope = msgspec.json.decode(_read_line(inlet), type=_Envelope)
    threading.Thread(target=_end_with_stdin, args=(inlet,), daemon=True).start()
    confine(envelope.limits)
    lock = threading.Lock()

    def send(answer: _Answer) -> None:
        data = msgspec.json.encode(answer) + b"\n"
        with lock:
            while data:
                data = data[os.write(outlet, data) :]

    def progress(told: Struct) -> None:
        send(_Progressed(Raw(msgspec.json.encode(told))))

    try:
        answer: _Answer = _Done(
            Raw(msgspec.json.encode(handler(msgspec.json.decode(envelope.request, type=request), progress)))
        )
    except Exception as error:  # noqa: BLE001  # the parent raises it again
        answer = ending_of(error)
    send(answer)
    # Exit without destructors: libraries that were stopped midway crash in theirs.
    os._exit(0)


def ending_of(error: BaseException) -> Ending:
    """Return how an error travels between processes."""
    match error:
        case Reject():
            return _Rejected(error.reason, error.mend)
        case Retry():
            return _Retried(str(error), error.delay_s)
        case MemoryError():
            return _OutOfMemory()
        case ChildFailed():  # a worker's: it brings its own trace
            return _Failed(str(error))
        case _ if getattr(error, "errno", None) == errno.EFBIG:  # Python's or FFmpeg's
            return _Rejected("it would write a larger file than it may")
        case _:
            return _Failed("".join(traceback.format_exception(error)))


def _private_pipes() -> tuple[int, int]:
    """Move stdin and stdout out of reach of libraries and grandchildren."""
    inlet, outlet = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return inlet, outlet


def _read_line(inlet: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(inlet, 1 << 16)
        if not chunk:
            os._exit(0)
        line += chunk
    return line


def _end_with_stdin(inlet: int) -> None:
    while os.read(inlet, 1 << 16):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies, where it can: a library may hold the interpreter's lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
