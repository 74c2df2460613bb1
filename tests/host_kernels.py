"""The GPU engine on the host: kernels.cu, built by the machine's C++ compiler, as a backend of GpuCanvas.

As on a device, nothing is done before it is waited for: what is freed or used again too early is found out.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.kernels import KERNELS, SOURCE

FLAGS = ("-O2", "-std=c++17", "-ffp-contract=off", "-fno-fast-math", "-march=native", "-Wall", "-Wextra", "-Werror")


def build(folder: Path, source: Path = SOURCE) -> ctypes.CDLL:
    """Build the kernels into a library. Skips without a compiler, except in CI."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("there is no C++ compiler: apt-get install g++")
        pytest.skip("there is no C++ compiler")
    library = folder / "kernels.so"
    done = subprocess.run(
        [compiler, *FLAGS, "-shared", "-fPIC", "-x", "c++", str(source), "-o", str(library)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class HostLane:
    """Work that is done in order when it is waited for, in memory of the host."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._rooms: dict[str, NDArray[np.uint8]] = {}
        self._due: list[Callable[[], object]] = []
        self.launched: list[str] = []

    def room(self, name: str, shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> NDArray[Any]:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if name not in self._rooms or self._rooms[name].size < size:
            self._rooms[name] = np.full(size, 0xA5, np.uint8)
        room: NDArray[Any] = self._rooms[name][:size].view(kind).reshape(shape)
        return room

    def upload(self, name: str, data: NDArray[Any]) -> NDArray[Any]:
        room = self.room(name, data.shape, data.dtype.type)
        self._due.append(partial(np.copyto, room, data.copy()))
        return room

    def download(self, source: NDArray[Any], into: NDArray[Any]) -> None:
        self._due.append(partial(np.copyto, into, source))

    def launch(self, kernel: str, arguments: ctypes.Structure, width: int, height: int) -> None:
        assert isinstance(arguments, KERNELS[kernel])
        told = type(arguments).from_buffer_copy(arguments)
        self._due.append(partial(self._library[kernel], ctypes.byref(told), ctypes.c_int(width), ctypes.c_int(height)))
        self.launched.append(kernel)

    def wait(self) -> None:
        for work in self._due:
            work()
        self._due.clear()


class HostBackend:
    """The host as a device."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def lane(self) -> HostLane:
        return HostLane(self._library)

    def constant(self, data: NDArray[Any]) -> NDArray[Any]:
        return data.copy()

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return np.empty(shape, np.uint8)

    def address(self, array: NDArray[Any]) -> int:
        return array.ctypes.data

    def frame(self, luma: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> VideoFrame:
        return VideoFrame.from_dlpack((luma, chroma), format="nv12")
