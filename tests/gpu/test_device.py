"""The GPU engine on a real device. Without one these tests are skipped, and say so; the rest is tested without one."""

from __future__ import annotations

import io
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from actors.renderer.devices import Devices, nvidia_present, probe
from actors.renderer.draw.gpu import LANES, GpuCanvas
from actors.renderer.drawing import luma_lines
from actors.renderer.render import render_file
from actors.renderer.source.picture import planes_of
from actors.renderer.source.video import ClipReader
from contracts.plan import Mirror, Output, Zoom
from tests.host_kernels import HostBackend, build
from tests.kernel_cases import CASES, HEIGHT, PICTURES, PLAIN, WIDTH, differences, judge, on_gpu, recipes
from tests.renderer_media import plan_of

if TYPE_CHECKING:
    from actors.renderer.draw.cuda import CudaBackend

pytestmark = [
    pytest.mark.skipif(not nvidia_present(), reason="there is no NVIDIA GPU here"),
    pytest.mark.skipif(find_spec("cupy") is None, reason="the extra `gpu` is not installed"),
]


@pytest.fixture(scope="module")
def backend() -> CudaBackend:
    from actors.renderer.draw.cuda import CudaBackend

    return CudaBackend()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> HostBackend:
    return HostBackend(build(tmp_path_factory.mktemp("kernels")))


@pytest.fixture(scope="session")
async def devices() -> Devices:
    return await probe()


def needs(devices: Devices, kind: str, name: str) -> None:
    found = next(each for each in devices.found if (each.kind, each.name) == (kind, name))
    if not found.works:
        pytest.skip(f"{kind} by {name}: {found.detail}")


@pytest.mark.parametrize("name", CASES)
def test_the_device_draws_what_the_cpu_draws(backend: CudaBackend, name: str) -> None:
    """If it fails, a video looks different when this GPU draws it."""
    judge(name, backend)


@pytest.mark.parametrize("name", CASES)
def test_the_device_gives_the_bytes_of_the_host(backend: CudaBackend, host: HostBackend, name: str) -> None:
    """If it fails, what is tested without a device says little about devices, and two GPUs may give other bytes."""
    for drawn in CASES[name]():
        assert not differences(on_gpu(drawn, host), on_gpu(drawn, backend)).any()


def test_a_hundred_frames_in_flight_are_each_right(backend: CudaBackend) -> None:
    """If it fails, frames are drawn from the memory of other frames, which shows only under load."""
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    drawn = [each for name in CASES for each in CASES[name]()]
    drawn = (drawn * (1 + 100 // len(drawn)))[:100]
    frames = [VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in drawn]
    pending = [canvas.submit(e.recipe, e.pictures, out, e.stamps) for e, out in zip(drawn, frames, strict=True)]
    assert len(pending) > 10 * LANES
    for each, late in zip(drawn, pending, strict=True):
        assert not differences(on_gpu(each, backend), late.wait()).any()


def test_memory_does_not_grow(backend: CudaBackend) -> None:
    """If it fails, an hour of video does not fit the GPU."""
    import cupy  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the extra `gpu`

    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    out = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    pool = cupy.get_default_memory_pool()
    used = []
    for n in range(60):
        canvas.draw(PLAIN, [PICTURES[0]], out)
        canvas.submit(PLAIN, [PICTURES[0]], None).wait()
        if n >= 10:
            used.append(pool.used_bytes())
    assert max(used) == used[0]


def clip_of(frames: int) -> io.BytesIO:
    """A small H.264 file of the first picture, moving."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "18"})
        assert isinstance(stream.codec_context, VideoCodecContext)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for n in range(frames):
            frame = VideoFrame(1280, 720, "yuv420p")
            for plane, source in zip(planes_of(frame), PICTURES[0].planes, strict=True):
                plane[:] = np.roll(source, 4 * n, axis=1)
            frame.pts, frame.time_base = n, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


def test_decoded_frames_stay_on_the_device(backend: CudaBackend, devices: Devices) -> None:
    """If it fails, every frame goes through the host's memory twice, or NVDEC's frames have other colours."""
    from actors.renderer.draw.cuda import device_planes

    needs(devices, "decode", "cuda")
    file = clip_of(20)
    with av.open(file, "r") as container:
        right = list(container.decode(video=0))
    file.seek(0)
    accel = HWAccel("cuda", is_hw_owned=True, allow_software_fallback=False)
    site = PICTURES[0].chroma_site
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    with av.open(file, "r", hwaccel=accel) as container:
        for frame, wanted in zip(container.decode(video=0), right, strict=True):
            picture = SimpleNamespace(planes=device_planes(frame), chroma_site=site, frame=frame)
            ours = canvas.submit(PLAIN, [picture], VideoFrame(WIDTH, HEIGHT, "yuv420p")).wait()
            plain = SimpleNamespace(planes=planes_of(wanted), chroma_site=site)
            theirs = canvas.submit(PLAIN, [plain], VideoFrame(WIDTH, HEIGHT, "yuv420p")).wait()
            assert not differences(theirs, ours).any()


def test_drawn_frames_are_encoded_without_leaving_the_device(
    backend: CudaBackend, devices: Devices, tmp_path: Path
) -> None:
    """If it fails, NVENC gets frames that are not drawn yet, or in wrong colours."""
    needs(devices, "encode", "h264_nvenc")
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    drawn = list(recipes())
    with av.open(tmp_path / "out.mp4", "w") as container:
        stream = container.add_stream("h264_nvenc", rate=30, options={"qp": "10", "rc": "constqp"})
        assert isinstance(stream.codec_context, VideoCodecContext)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "cuda"
        for n in range(40):
            each = drawn[n % len(drawn)]
            frame = canvas.submit(each.recipe, each.pictures, None).wait()
            assert frame.format.name == "cuda"
            frame.pts, frame.time_base = n, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(tmp_path / "out.mp4", "r") as file:
        for n, frame in enumerate(file.decode(video=0)):
            found = differences(on_gpu(drawn[n % len(drawn)], backend), frame.reformat(format="yuv420p"))
            assert found.mean() < 3
        assert n == 39


def test_a_clip_is_read_from_the_device(backend: CudaBackend, devices: Devices, tmp_path: Path) -> None:
    """If it fails, sources are sought, timed or turned otherwise where a GPU decodes, or go through the host."""
    needs(devices, "decode", "cuda")
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_of(150).getvalue())
    wanted_us = range(4_000_000, 4_900_000, 33_333)
    canvas = GpuCanvas(WIDTH, HEIGHT, backend)
    seen = []
    for there in (True, False):
        reader = ClipReader(path, zero_us=0, threads=1, on_gpu=there)
        drawn = []
        for picture in reader.pictures(wanted_us, start_us=4_000_000, early_us=8_000):
            assert (picture.frame.format.name == "cuda") is there
            assert luma_lines(picture.planes[0]).shape[0] in {144, 720}
            drawn.append(canvas.submit(PLAIN, [picture], VideoFrame(WIDTH, HEIGHT, "yuv420p")).wait())
        seen.append(drawn)
    for ours, theirs in zip(*seen, strict=True):
        assert not differences(theirs, ours).any()


@pytest.mark.parametrize("device", ["auto", "cuda"])
async def test_a_plan_is_rendered_by_the_device(tmp_path: Path, device: str) -> None:
    """If it fails, nobody who has a GPU can use it: the child, its limits, its workers or the gate are in the way."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_of(240).getvalue())
    plan = plan_of(path, end_us=8_000_000, output=Output(width_px=540, height_px=960), effects=(Mirror(), Zoom()))
    for out in ("1.mp4", "2.mp4"):
        made = await render_file(plan, resolve=lambda one: Path(one.key), out=tmp_path / out, device=device)
        assert made.frames == 240
        assert made.engine.startswith("cuda-2 (")
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
