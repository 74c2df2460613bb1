"""Room to work in that is kept from frame to frame, so that drawing takes no new memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rooms"]


class Rooms:
    """Buffers by name, each as large as was ever wanted. One name is one piece of memory, whatever its shape."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def plane(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a plane (height, width) of undefined content."""
        height, width = shape
        size = height * width
        kept = self._kept.get(name)
        if kept is None or kept.size < size:
            kept = self._kept[name] = np.empty(size + size // 8, np.uint8)
        return kept[:size].reshape(height, width)

    def floats(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return float32 (height, width) of undefined content."""
        height, width = shape
        floats: NDArray[np.float32] = self.plane(name, (height, 4 * width)).reshape(-1).view(np.float32)
        return floats.reshape(height, width)
