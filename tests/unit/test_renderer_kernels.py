"""The GPU's kernels without a GPU: they compile for devices, and on the host they draw what the CPU engine draws."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final, get_args, get_type_hints

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from actors.renderer.draw.gpu import LANES, GpuCanvas
from actors.renderer.draw.kernels import KERNELS, OPTIONS, SOURCE
from actors.renderer.draw.looks import look_of
from actors.renderer.draw.recipe import Fade, Grain, Layer, Recipe, Scene, Sharpen
from actors.renderer.source.picture import planes_of
from contracts import plan as p
from contracts.plan import Transition
from tests.host_kernels import HostBackend, build
from tests.kernel_cases import (
    CASES,
    EFFECTS,
    FULL,
    HEIGHT,
    LAYOUTS,
    PICTURES,
    PLAIN,
    STAMPS,
    TRANSITIONS,
    WIDTH,
    WORST_LEVELS,
    Drawn,
    OnDevice,
    differences,
    judge,
    on_cpu,
    on_gpu,
    recipes,
    stamp,
)

ARCHITECTURES: Final = ("compute_75", "sm_80", "sm_90")
"""Turing, the oldest that CUDA 12 does not deprecate; A100; H100 and H200."""


# NVRTC ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    """NVIDIA's run-time compiler, from its wheel. It needs neither a device nor a driver."""
    try:
        found = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        found = None
    if found is None or not found.submodule_search_locations:
        if os.environ.get("CI"):
            pytest.fail("NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12")
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc-cu12")
    (library,) = Path(found.submodule_search_locations[0]).glob("lib/libnvrtc.so.*[0-9]")
    return ctypes.CDLL(str(library))


def compiled(nvrtc: ctypes.CDLL, source: str, *options: str) -> tuple[int, str, str]:
    """Return the status, the compiler's words, and PTX."""

    def text(kind: str) -> str:
        size = ctypes.c_size_t()
        getattr(nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{kind}")(program, buffer)
        return buffer.value.decode()

    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    try:
        told = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = nvrtc.nvrtcCompileProgram(program, len(options), told)
        return status, text("ProgramLog"), text("PTX") if status == 0 else ""
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_compile_for_devices(nvrtc: ctypes.CDLL, architecture: str) -> None:
    """If it fails, every render on such a GPU falls back to the CPU, or a struct is read at wrong places."""
    options = [*OPTIONS, f"--gpu-architecture={architecture}"]
    if architecture.startswith("sm_"):
        options.append("--ptxas-options=-v")
    status, told, ptx = compiled(nvrtc, SOURCE.read_text(encoding="utf-8"), *options)
    assert status == 0, told
    assert "warning" not in told
    for name, arguments in KERNELS.items():
        assert f".entry {name}(" in ptx
        assert f"{name}_param_0[{ctypes.sizeof(arguments)}]" in ptx
    spilled = re.findall(r"(\d+) bytes spill", told)
    assert set(spilled) <= {"0"}, told
    assert len(spilled) == (2 * len(KERNELS) if architecture.startswith("sm_") else 0)


def test_a_kernel_that_does_not_compile_is_told(nvrtc: ctypes.CDLL) -> None:
    """If it fails, the test above passes whatever the kernels are."""
    status, told, _ = compiled(nvrtc, SOURCE.read_text(encoding="utf-8") + "\nvoid broken( {", *OPTIONS)
    assert status != 0
    assert "kernels.cu" in told


# The same on the host -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> HostBackend:
    return HostBackend(build(tmp_path_factory.mktemp("kernels")))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def test_every_effect_is_compared() -> None:
    """If it fails, a new effect has no GPU form, and nobody sees it."""
    assert {type(each) for effects in EFFECTS.values() for each in effects} == set(get_args(p.Effect))
    assert {type(layout) for layout in LAYOUTS.values()} == set(get_args(p.Layout))
    kinds, *_ = get_args(get_type_hints(Transition, include_extras=True)["kind"])
    assert set(TRANSITIONS) == set(get_args(kinds))


@pytest.mark.parametrize("name", CASES)
def test_both_engines_draw_the_same(backend: HostBackend, name: str) -> None:
    """If it fails, a video looks different when a GPU draws it."""
    judge(name, backend)


def test_stamps_are_blended_to_the_same_bytes(backend: HostBackend) -> None:
    """If it fails, captions drawn by a GPU have fringes."""
    stamped, bare = Drawn(PLAIN, [PICTURES[0]], STAMPS), Drawn(PLAIN, [PICTURES[0]])
    assert not differences(on_cpu(stamped), on_gpu(stamped, backend)).any()
    assert differences(on_cpu(stamped), on_gpu(bare, backend)).max() > WORST_LEVELS


# The engine around the kernels ----------------------------------------------------------------------------


def test_what_nothing_stands_between_is_one_kernel(backend: HostBackend) -> None:
    """If it fails, every effect reads and writes the whole frame once more."""
    (recipe, pictures, _), *_ = recipes(
        (p.Mirror(), p.Zoom(), p.Grade(contrast=1.2), p.Vignette(), p.Grain(), p.Flash())
    )
    canvas = GpuCanvas(WIDTH, HEIGHT, backend, lanes=1)
    canvas.draw(recipe, pictures, VideoFrame(WIDTH, HEIGHT, "yuv420p"), [stamp(0, 0, 20, 20, 1)])
    (lane,) = canvas._lanes
    assert lane.launched == ["compose"]  # type: ignore[attr-defined]  # the host's lane keeps a list


def test_frames_in_flight_do_not_disturb_each_other(backend: HostBackend) -> None:
    """If it fails, frames are drawn from the numbers, tables or pictures of other frames."""
    drawn = []
    for n in range(3 * LANES):
        layer = Layer(0, np.array([[0.7 + n / 50, 0, 9.3], [0, 0.8, n], [0, 0, 1.0]]), FULL, 1.0)
        recipe = Recipe(
            (Scene((layer._replace(blur_px=float(n)),)),),
            look=look_of((p.Grade(contrast=1 + n / 10),), {}),
            sharpen=Sharpen(0.5, 1.0 + n / 10) if n % 2 else None,
            grain=Grain(5.0, 1.0 + n % 2, n),
            fades=(Fade(n / 40, (235.0, 128.0, 128.0)),),
        )
        drawn.append(Drawn(recipe, [PICTURES[n % 3]], [stamp(2 * n, 4 * n, 100, 60 + 2 * n, n)]))
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    frames = [VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in drawn]
    pending = [
        canvas.submit(each.recipe, each.pictures, out, each.stamps) for each, out in zip(drawn, frames, strict=True)
    ]
    for each, out, late in zip(drawn, frames, pending, strict=True):
        assert late.wait() is out
        assert not differences(on_gpu(each, backend), out).any()


def test_a_canvas_forgets_looks_that_are_no_longer_used(backend: HostBackend) -> None:
    """If it fails, a long video with many looks fills the GPU's memory."""
    canvas = GpuCanvas(WIDTH, HEIGHT, backend, lanes=1)
    out = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for n in range(50):
        canvas.draw(PLAIN._replace(look=look_of((p.Grade(contrast=1 + n / 40),), {})), [PICTURES[0]], out)
    assert len(canvas._made) <= 32


def test_nv12_on_the_device_goes_in_and_out_without_change(backend: HostBackend) -> None:
    """If it fails, frames of NVDEC, or frames for NVENC, have wrong colours."""
    (recipe, pictures, _), *_ = recipes((p.Mirror(), p.Grade(saturation=1.5), p.Sharpen(), p.Glow()))
    right = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    GpuCanvas(WIDTH, HEIGHT, backend).draw(recipe, pictures, right)
    y, cb, cr = pictures[0].planes
    interleaved = np.stack([cb, cr], -1).view(OnDevice)
    decoded = SimpleNamespace(
        planes=(y.view(OnDevice), interleaved[..., 0], interleaved[..., 1]), chroma_site=pictures[0].chroma_site
    )
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    ours = canvas.submit(recipe, [decoded], None).wait()
    assert ours.format.name == "nv12"
    luma, chroma = (np.from_dlpack(plane) for plane in ours.planes)
    for wanted, found in zip(planes_of(right), (luma, chroma[..., 0], chroma[..., 1]), strict=True):
        assert np.array_equal(wanted, found)
