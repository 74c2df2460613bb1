"""The CUDA backend of the GPU engine, on CuPy. All of it that cannot run without a device is here."""

from __future__ import annotations

import ctypes
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

import cupy  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the extra `gpu`
import numpy as np
from av.video.frame import CudaContext, VideoFrame
from numpy.typing import NDArray

from actors.renderer.draw.cpu import CpuCanvas
from actors.renderer.draw.geometry import CHROMA_LEFT, Matrix
from actors.renderer.draw.gpu import GpuCanvas, Pictured
from actors.renderer.draw.kernels import KERNELS, OPTIONS, SOURCE
from actors.renderer.draw.recipe import BLACK, Box, Fade, Grain, Layer, Recipe, Scene, Vignette
from actors.renderer.draw.steps import Array, Planes
from actors.renderer.source.picture import planes_of

__all__ = ["CudaBackend", "Uploaded", "backend", "device_planes", "host_lines", "self_test", "uploaded"]

BLOCK: Final = (32, 8)
"""Threads of a block: a warp reads along a row."""
WORST_LEVELS: Final = 2
"""Most that the GPU's samples may differ from the CPU's, levels."""


class CudaLane:
    """A stream, with device memory and pinned host memory of its own; see steps.Lane."""

    def __init__(self, kernels: dict[str, Any]) -> None:
        self._kernels = kernels
        # A blocking stream: it keeps its order with the default stream, in which FFmpeg decodes and encodes.
        self._stream = cupy.cuda.Stream()
        self._rooms: dict[str, Array] = {}
        self._staged: dict[str, NDArray[np.uint8]] = {}
        self._downloads: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def room(self, name: str, shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> Array:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if name not in self._rooms or self._rooms[name].size < size:
            with self._stream:
                self._rooms[name] = cupy.empty(size, np.uint8)
        return self._rooms[name][:size].view(kind).reshape(shape)

    def upload(self, name: str, data: NDArray[Any]) -> Array:
        staged = self._pinned(f"up {name}", data)
        np.copyto(staged, data)
        room = self.room(name, data.shape, data.dtype.type)
        room.set(staged, stream=self._stream)
        return room

    def download(self, source: Array, into: NDArray[Any]) -> None:
        staged = self._pinned(f"down {len(self._downloads)}", into)
        _copy_rows(source, staged, self._stream)
        self._downloads.append((staged, into))

    def launch(self, kernel: str, arguments: ctypes.Structure, width: int, height: int) -> None:
        # An array of one element is passed by value (CuPy documentation, "User-Defined Kernels", read 2026-11-23).
        told = np.frombuffer(bytes(arguments), np.dtype((np.void, ctypes.sizeof(arguments))))
        grid = -(-width // BLOCK[0]), -(-height // BLOCK[1])
        with self._stream:
            self._kernels[kernel](grid, BLOCK, (told, np.int32(width), np.int32(height)))

    def wait(self) -> None:
        self._stream.synchronize()
        for staged, into in self._downloads:
            np.copyto(into, staged)
        self._downloads.clear()

    def _pinned(self, name: str, like: NDArray[Any]) -> NDArray[Any]:
        if name not in self._staged or self._staged[name].size < like.nbytes:
            self._staged[name] = np.frombuffer(cupy.cuda.alloc_pinned_memory(like.nbytes), np.uint8)
        pinned: NDArray[Any] = self._staged[name][: like.nbytes].view(like.dtype).reshape(like.shape)
        return pinned


class CudaBackend:
    """The current CUDA device; see steps.Backend. The compiled kernels are kept by CuPy on disk."""

    def __init__(self) -> None:
        module = cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=OPTIONS)
        self._kernels = {name: module.get_function(name) for name in KERNELS}
        # The primary context, which CuPy uses too; one for all frames, so that an encoder sees one pool of them.
        self._context = CudaContext(device_id=cupy.cuda.Device().id)

    def lane(self) -> CudaLane:
        return CudaLane(self._kernels)

    def constant(self, data: NDArray[Any]) -> Array:
        array = cupy.asarray(data)
        cupy.cuda.get_current_stream().synchronize()
        return array

    def empty(self, shape: tuple[int, ...]) -> Array:
        return cupy.empty(shape, np.uint8)

    def address(self, array: Array) -> int:
        return int(array.data.ptr)

    def frame(self, luma: Array, chroma: Array) -> VideoFrame:
        return VideoFrame.from_dlpack((luma, chroma), format="nv12", cuda_context=self._context)


def host_lines(luma: Array, every: int) -> NDArray[np.uint8]:
    """Return a copy on the host of every so many lines of a plane, when all that was begun before is done."""
    lines = luma[::every]
    into = np.empty(lines.shape, np.uint8)
    stream = cupy.cuda.Stream.null
    _copy_rows(lines, into, stream)
    stream.synchronize()
    return into


def _copy_rows(source: Array, into: NDArray[Any], stream: Any) -> None:
    """Have rows (uint8, dense in themselves) copied to the host, with no kernel to pick them out."""
    height, width = source.shape
    kind = cupy.cuda.runtime.memcpyDeviceToHost
    at, pitch = source.data.ptr, source.strides[0]
    cupy.cuda.runtime.memcpy2DAsync(into.ctypes.data, width, at, pitch, width, height, kind, stream.ptr)


@cache
def backend() -> CudaBackend:
    """Return the one backend of this process."""
    return CudaBackend()


def device_planes(frame: VideoFrame) -> Planes:
    """Return the planes of a frame that the GPU decoded (`cuda`, of NV12), where they are.

    Nothing is copied; the arrays hold the frame. Raises: ValueError if it is not 8-bit NV12.
    """
    kind = frame.sw_format
    if frame.format.name != "cuda" or kind is None or kind.name != "nv12":
        raise ValueError(f"{frame.format.name} frame of {kind.name if kind else 'nothing'} is not NV12 on the GPU")
    # As capsules: PyAV refuses to be told the stream that CuPy would name. A lane's stream waits for the default one.
    luma, chroma = (cupy.from_dlpack(plane.__dlpack__()) for plane in frame.planes)
    return luma, chroma[..., 0], chroma[..., 1]


class Uploaded(NamedTuple):
    """A picture on the device."""

    planes: Planes
    chroma_site: Matrix


def uploaded(picture: Pictured) -> Uploaded:
    """Return a copy of a picture on the device, for one that is shown again and again, such as a still."""
    y, cb, cr = (cupy.asarray(np.ascontiguousarray(plane)) for plane in picture.planes)
    cupy.cuda.get_current_stream().synchronize()
    return Uploaded((y, cb, cr), picture.chroma_site)


class _Still:
    """A picture of noise on a slope."""

    chroma_site: Matrix = CHROMA_LEFT

    def __init__(self, width: int, height: int) -> None:
        drawn = np.random.default_rng(1).integers(0, 64, (height * 3 // 2, width), np.uint8)
        drawn += np.linspace(32, 160, width).astype(np.uint8)
        self.frame = VideoFrame.from_ndarray(drawn, format="yuv420p")
        self.planes = planes_of(self.frame)


def self_test() -> str:
    """Draw a frame on the device and on the CPU; return the device's name and how alike they are.

    Raises: ValueError if they are not; what CuPy raises if there is no device or no driver.
    """
    width, height = 360, 640
    picture = _Still(640, 360)
    to_source = np.array([[-0.37, 0.0, 400.3], [0.0, 0.56, 0.4], [0.0, 0.0, 1.0]])
    recipe = Recipe(
        scenes=(Scene((Layer(0, to_source, Box(0, 0, width, height), 1.5, split_px=2.0),), BLACK),),
        vignette=Vignette(0.5, 0.4),
        grain=Grain(6.0, 2.0, 7),
        fades=(Fade(0.25, (235.0, 128.0, 128.0)),),
    )
    wanted = VideoFrame(width, height, "yuv420p")
    CpuCanvas(width, height).draw(recipe, [picture], wanted)
    canvas = GpuCanvas(width, height, CudaBackend())
    frames = [canvas.submit(recipe, [picture], VideoFrame(width, height, "yuv420p")) for _ in range(4)]
    worst = max(
        int(np.abs(ours.astype(np.int16) - right).max())
        for pending in frames
        for ours, right in zip(planes_of(pending.wait()), planes_of(wanted), strict=True)
    )
    if worst > WORST_LEVELS:
        raise ValueError(f"the GPU draws up to {worst} levels away from the CPU")
    found = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    version = Fraction(cupy.cuda.runtime.driverGetVersion(), 10)
    return (
        f"{found['name'].decode()}, {found['totalGlobalMem'] / 2**30:.0f} GiB, CUDA {version // 100}.{version % 100}, "
        f"CuPy {cupy.__version__}; like the CPU to {worst} of 255 levels"
    )
