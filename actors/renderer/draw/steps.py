"""The steps by which one frame is drawn on a device, and what a device must bring for them.

All planes are uint8 (height, width), with any strides: the chroma of NV12 is two planes of every other byte.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.geometry import Matrix, shrink_factor
from actors.renderer.draw.kernels import (
    AverageArgs,
    AxisArgs,
    BlurArgs,
    ComposeArgs,
    PlaceArgs,
    PlaneArgs,
    SamplingArgs,
    SmearArgs,
    TingeArgs,
)
from actors.renderer.draw.sampling import Way, runs, settled, shrunk_map, strips, way_of

__all__ = ["Array", "Backend", "Lane", "Planes", "Steps"]

_ALONG_AXES, _WARPED = 0, 1
"""Kinds of sampling; see kernels.cu."""

Array = Any
"""A NumPy or CuPy array: what is used of it is shape, strides and size."""
Planes = tuple[Array, Array, Array]


class Lane(Protocol):
    """One frame's way through a device: work in order, in memory that is used again for the lane's next frame."""

    def room(self, name: str, shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> Array:
        """Return device memory of this name; its content is undefined."""

    def upload(self, name: str, data: NDArray[Any]) -> Array:
        """Have host memory copied into the room of this name; `data` may be changed when this returns."""

    def download(self, source: Array, into: NDArray[Any]) -> None:
        """Have device memory copied to the host; it is there after `wait`."""

    def launch(self, kernel: str, arguments: ctypes.Structure, width: int, height: int) -> None:
        """Have a kernel run once for each x below width and y below height."""

    def wait(self) -> None:
        """Wait for everything so far."""


class Backend(Protocol):
    """A device."""

    def lane(self) -> Lane: ...

    def constant(self, data: NDArray[Any]) -> Array:
        """Return a copy in device memory that any lane may read."""

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return device memory (uint8) that somebody else may hold on to."""

    def address(self, array: Array) -> int: ...

    def frame(self, luma: Array, chroma: Array) -> VideoFrame:
        """Return an NV12 frame that owns this device memory, for an encoder on the device."""


class Steps:
    """The steps of one frame. Rooms are named in the order of their use, so that a lane finds them again."""

    def __init__(self, lane: Lane, backend: Backend, out: Planes) -> None:
        self._lane, self._backend = lane, backend
        self.out = out
        self.held: list[object] = []
        """What must outlive the frame's drawing."""
        self._rooms = 0
        self._sources: dict[tuple[int, int], Array] = {}
        self._averages: dict[tuple[int, int], Array] = {}

    def plane(self, array: Array) -> PlaneArgs:
        height, width = array.shape
        pitch, step = array.strides
        return PlaneArgs(self._backend.address(array), pitch, step, width, height)

    def begun(self) -> ComposeArgs:
        told = ComposeArgs(gain=1.0)
        told.out = tuple(self.plane(each) for each in self.out)
        return told

    def compose(self, told: ComposeArgs) -> None:
        height, width = self.out[1].shape
        self._lane.launch("compose", told, width, height)

    def listed(self, name: str, structs: Sequence[ctypes.Structure]) -> int:
        """Return where the device finds structs, one after the other."""
        if not structs:
            return 0
        data = np.frombuffer(b"".join(bytes(each) for each in structs), np.uint8)
        return self._backend.address(self._lane.upload(name, data))

    def uploaded(self, name: str, data: NDArray[np.uint8]) -> PlaneArgs:
        return self.plane(self._lane.upload(name, data))

    def source(self, picture: int, at: int, plane: Array) -> Array:
        """Return one plane of a picture on the device, where it may be already."""
        if hasattr(plane, "__cuda_array_interface__"):
            return plane
        key = picture, at
        if key not in self._sources:
            self._sources[key] = self._lane.upload(f"picture {picture}, plane {at}", plane)
        return self._sources[key]

    def sampling(self, source: Array, index_map: Matrix, width: int, height: int, scale: float) -> SamplingArgs:
        """Say how a plane is read, averaged down first where samples would be skipped: as sampling.Sampler does."""
        factor = shrink_factor(scale)
        if factor > 1:
            key = self._backend.address(source), factor
            if key not in self._averages:
                self._averages[key] = self.averaged(source, factor)
            source = self._averages[key]
            index_map = shrunk_map(index_map, factor)
        way = way_of(index_map, width, height)
        if way is None:
            told = SamplingArgs(source=self.plane(source), kind=_WARPED)
            told.map = tuple(index_map.ravel().tolist())
            return told
        told = SamplingArgs(source=self.plane(source), kind=_ALONG_AXES, turned=way.turned)
        told.map = tuple(settled(index_map, width, height).ravel().tolist())
        told.axes = tuple(
            AxisArgs(axis.step, axis.at, axis.anchor, axis.outputs - 1 if axis.mirrored else -1)
            for axis in (way.x, way.y)
        )
        # What is beside an anchor is warped.
        beside = (next(iter(strips(axis)), (0, 0)) for axis in (way.x, way.y))
        told.strip = tuple(edge for strip in beside for edge in strip)
        told.by_warp = _by_warp(way)
        told.begins = tuple(
            begin
            for axis in (way.x, way.y)
            for begin in ((axis.outputs - axis.at, 0) if axis.mirrored else (0, axis.at))
        )
        return told

    def enlarged(self, small: Array, step: int) -> SamplingArgs:
        """Say how a plane is read that is to be enlarged by a whole factor; 1: that it is read as it is."""
        told = SamplingArgs(source=self.plane(small), kind=_ALONG_AXES)
        told.axes = (AxisArgs(1 / step, 0, 0, -1),) * 2
        return told

    def placed(self, sampling: SamplingArgs, width: int, height: int) -> Array:
        to = self._room((height, width))
        self._lane.launch("place", PlaceArgs(sampling, self.plane(to)), width, height)
        return to

    def averaged(self, plane: Array, factor: int) -> Array:
        """By halves as long as that goes, then by what is left: as geometry.averaged does."""
        height, width = (-(-size // factor) * factor for size in plane.shape)
        while factor > 1:
            by = 2 if factor % 2 == 0 else factor
            factor //= by
            width, height = width // by, height // by
            to = self._room((height, width))
            self._lane.launch("average", AverageArgs(self.plane(plane), self.plane(to), by), width, height)
            plane = to
        return plane

    def blurred(self, plane: Array, taps: Array, before: Array = None, after: Array = None) -> Array:
        height, width = plane.shape
        to, between = self._room((height, width)), self._room((height, width), np.uint16)
        told = BlurArgs(self.plane(plane), self.plane(to), reach=taps.size // 2)
        told.taps, told.between = self._backend.address(taps), self._backend.address(between)
        told.before, told.after = (0 if each is None else self._backend.address(each) for each in (before, after))
        self._lane.launch("blur_rows", told, width, height)
        self._lane.launch("blur_columns", told, width, height)
        return to

    def smeared(self, plane: Array, length: int) -> Array:
        height, width = plane.shape
        to = self._room((height, width))
        self._lane.launch("smear", SmearArgs(self.plane(plane), self.plane(to), length), width, height)
        return to

    def tinged(self, luma: Array, chroma: Array, shares: Array) -> Array:
        height, width = chroma.shape
        to = self._room((height, width))
        told = TingeArgs(self.plane(luma), self.plane(chroma), self.plane(to), self._backend.address(shares))
        self._lane.launch("tinge", told, width, height)
        return to

    def _room(self, shape: tuple[int, int], kind: type[np.generic] = np.uint8) -> Array:
        self._rooms += 1
        return self._lane.room(f"room {self._rooms}", shape, kind)


def _by_warp(way: Way) -> int:
    """Return the bits of the parts that resize would copy, which sampling.Sampler warps."""
    found = 0
    if (way.x.step, way.y.step) != (1.0, 1.0):
        for y in runs(way.y):
            for x in runs(way.x):
                if all(round(run.length * (1 / axis.step)) == run.length for run, axis in ((x, way.x), (y, way.y))):
                    found |= 1 << (x.flipped + 2 * y.flipped)
    return found
