"""Worker processes of an isolated child: forked from it, so that what it imported is paid for and held once.

A worker is a function that talks with its foreman over a pipe. One that crashes, is killed or raises ends the whole
work, with the same meaning as in the child itself. Workers die with the child, and with its process group.
Where forking is not safe (macOS: system libraries hold threads), workers are started anew and import for themselves.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from actors.runtime.isolate import Ending, die_with_parent, ended_without_answer, ending_of, error_of

__all__ = ["Crew", "Link"]

A = TypeVar("A")
_FORKS: Final = sys.platform == "linux"
_CONTEXT: Final[Any] = multiprocessing.get_context("fork" if _FORKS else "spawn")


class _Told(Struct, frozen=True, tag="told"):
    body: msgspec.Raw


class _Asked(Struct, frozen=True, tag="asked"):
    pass


class _Finished(Struct, frozen=True, tag="finished"):
    pass


_Word = _Told | _Asked | _Finished | Ending
_WORDS: Final = msgspec.msgpack.Decoder(_Word)


class Link:
    """A worker's side of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def tell(self, what: Struct) -> None:
        """Tell the foreman something; any thread may."""
        self._send(_Told(msgspec.Raw(msgspec.msgpack.encode(what))))

    def ask(self) -> bytes:
        """Ask for the next task and wait for it; one thread only. Empty: there is none left."""
        self._send(_Asked())
        return self._connection.recv_bytes()

    def _send(self, word: _Word) -> None:
        data = msgspec.msgpack.encode(word)
        with self._lock:
            self._connection.send_bytes(data)

    def end(self, error: BaseException | None) -> None:
        """Say how the work ended."""
        self._send(_Finished() if error is None else ending_of(error))


class Crew(Generic[A]):
    """Workers at work. what: names it in error texts; told: type of what workers tell.

    answer: gets the number of the worker that asks; returns its next task, empty for none.
    """

    def __init__(self, told: type[A], answer: Callable[[int], bytes], *, what: str) -> None:
        self._told = msgspec.msgpack.Decoder(told)
        self._answer = answer
        self._what = what
        self._processes: list[Any] = []
        self._links: dict[Connection, int] = {}

    def start(self, work: Callable[..., None], *args: object) -> int:
        """Start a worker that runs `work(link, *args)`; return its number."""
        ours, theirs = _CONTEXT.Pipe()
        gc.freeze()  # so that collections in the workers do not copy what is shared
        process = _CONTEXT.Process(
            target=_run, args=(os.getpid(), theirs, ours if _FORKS else None, work, args), daemon=True
        )
        with warnings.catch_warnings():
            # Python warns of forking beside threads. Those of the child only wait for its stdin, and hold no lock.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        number = len(self._processes)
        self._processes.append(process)
        self._links[ours] = number
        return number

    def told(self) -> Iterator[A]:
        """Yield what workers tell until all have finished.

        Raises: Reject, Retry, MemoryError, ChildFailed: what ended a worker.
        """
        while self._links:
            for link in wait(list(self._links)):
                assert isinstance(link, Connection)
                number = self._links[link]
                try:
                    word = _WORDS.decode(link.recv_bytes())
                except (EOFError, ConnectionResetError):
                    process = self._processes[number]
                    process.join()
                    raise ended_without_answer(process.exitcode, self._what, "") from None
                match word:
                    case _Told(body=body):
                        yield self._told.decode(body)
                    case _Asked():
                        link.send_bytes(self._answer(number))
                    case _Finished():
                        del self._links[link]
                        link.close()
                    case ending:
                        raise error_of(ending, self._what)

    def end(self) -> None:
        """Kill whoever still works."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        gc.unfreeze()


def _run(
    foreman: int, link: Connection, theirs: Connection | None, work: Callable[..., None], args: tuple[object, ...]
) -> None:
    die_with_parent()
    if os.getppid() != foreman:  # it died before the kernel was asked
        os._exit(1)
    if theirs is not None:
        theirs.close()
    own = Link(link)
    try:
        work(own, *args)
    except BaseException as error:  # noqa: BLE001  # the foreman raises it again
        own.end(error)
    else:
        own.end(None)
    # Exit without destructors: libraries that were stopped midway crash in theirs.
    os._exit(0)
