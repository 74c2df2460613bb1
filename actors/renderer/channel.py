"""A bounded queue between two threads that either side can end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Channel", "Stopped"]

T = TypeVar("T")


class Stopped(Exception):
    """The other side wants no more. A signal, not an error."""


class Channel(Generic[T]):
    """Items in order, at most `depth` waiting."""

    def __init__(self, depth: int) -> None:
        self._items: deque[T] = deque()
        self._depth = depth
        self._changed = threading.Condition()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Give one item, waiting for room. Raises: Stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._depth)
            if self._stopped:
                raise Stopped
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item follows; with an error, the reader gets it after the items that wait."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Say that no item is wanted: both sides are woken."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the end. Raises: what the writer ended with; Stopped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._ended or bool(self._items))
                if self._stopped:
                    raise Stopped
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def get(self) -> T:
        """Take one item. Raises: as iterating does; Stopped at the end."""
        for item in self:
            return item
        raise Stopped
