"""What a machine can decode, transform and encode with is tried for real, apart, in time; what renders take of it."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame

from actors.renderer import devices, drawing, gate, trials
from actors.renderer.devices import (
    TRIALS,
    Choice,
    Devices,
    Found,
    Kind,
    Trial,
    choose,
    chosen,
    impossible,
    nvidia_present,
    probe,
)
from actors.renderer.job import ENGINE, Rendered, engine_of
from actors.renderer.local import render
from actors.renderer.render import render_file
from actors.renderer.source.picture import _PLANAR, Converter, planes_of
from actors.renderer.source.video import _opened_on_gpu
from actors.runtime.extras import install
from actors.runtime.isolate import run_isolated
from actors.runtime.untrusted import DEMUXERS, SOUND_DEMUXERS, open_local
from contracts.errors import Reject
from contracts.media import Rational
from contracts.plan import Captions, Cue, Flash, Glow, Grade, Grain, Mirror, Output, Plan, Sharpen, Zoom
from tests.host_kernels import HostBackend, build
from tests.kernel_cases import LEAST_SHARE_CLOSE, WORST_LEVELS, on_cpu, recipes
from tests.renderer_media import plan_of, request_for, write_video


def having(*works: tuple[Kind, str]) -> Devices:
    """A machine on which only these work."""
    return Devices(
        tuple(
            Found(kind=each.kind, name=each.name, works=(each.kind, each.name) in works, detail="it is broken")
            for each in TRIALS
        )
    )


NOTHING = having()
H100 = having(("transform", "cuda"), ("decode", "cuda"))
RTX = having(("transform", "cuda"), ("decode", "cuda"), ("encode", "h264_nvenc"), ("encode", "hevc_nvenc"))


def test_auto_takes_what_there_is_and_says_why_not_the_rest() -> None:
    """If it fails, a machine without a GPU renders nothing, or one with a GPU leaves it idle."""
    assert choose("auto", NOTHING).name == "cpu/cpu/libx264"
    assert choose("auto", NOTHING).why == ("transform: it is broken",)
    assert choose("auto", H100).name == "cuda/cuda/libx264"
    assert choose("auto", having(("transform", "cuda"))).name == "cpu/cuda/libx264"
    assert choose("auto", having(("transform", "cuda"))).why == ("decode: it is broken",)
    assert choose("auto", having(("decode", "cuda"))).name == "cpu/cpu/libx264"


def test_auto_never_encodes_by_hardware() -> None:
    """If it fails, the same plan gives other bytes on a machine with another GPU, and larger files."""
    assert choose("auto", RTX).encode == "libx264"
    assert choose("auto", RTX, codec="hevc").encode == "libx265"


def test_cuda_uses_the_encoder_where_the_gpu_has_one() -> None:
    """If it fails, an H100, which has none, cannot be asked for, or an RTX encodes on the CPU."""
    assert choose("cuda", RTX).name == "cuda/cuda/h264_nvenc"
    assert choose("cuda", RTX, codec="hevc").name == "cuda/cuda/hevc_nvenc"
    assert choose("cuda", H100).name == "cuda/cuda/libx264"
    assert choose("cuda", H100).why == ("encode: it is broken",)


def test_what_is_asked_for_and_cannot_be_had_is_refused() -> None:
    """If it fails, somebody who asks for the GPU gets the CPU without a word."""
    with pytest.raises(Reject, match="the GPU cannot be used: it is broken") as caught:
        choose("cuda", NOTHING)
    assert "--device cpu" in caught.value.mend
    with pytest.raises(Reject, match="h264_vaapi cannot be used: it is broken"):
        choose("cpu", NOTHING, encoder="h264_vaapi")
    assert choose("cpu", having(("encode", "h264_vaapi")), encoder="h264_vaapi").name == "cpu/cpu/h264_vaapi"
    assert choose("cpu", RTX) == choose("cpu", NOTHING)


async def test_every_trial_has_an_outcome_with_a_reason() -> None:
    """If it fails, doctor says of a part neither that it works nor why it does not."""
    found = await probe()
    assert [(each.kind, each.name) for each in found.found] == [(each.kind, each.name) for each in TRIALS]
    assert all(each.detail for each in found.found)
    if not nvidia_present():
        assert not found.of("transform", "cuda").works
        assert found.of("encode", "h264_nvenc").detail == "there is no NVIDIA GPU here"
    assert found.of("decode", "nonesuch").detail == "not tried"


async def test_an_encoder_that_works_is_found_to_work() -> None:
    """If it fails, the trial fails whatever is tried, and no machine ever uses its encoder."""
    asked = (Trial(kind="encode", name="libx264"), Trial(kind="encode", name="libx265"))
    assert [each.works for each in (await probe(asked)).found] == [True, True]


async def test_what_a_driver_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, people read "Operation not permitted" where FFmpeg knows which library is missing."""
    if nvidia_present():
        pytest.skip("there is an NVIDIA GPU here")
    monkeypatch.setattr(devices, "impossible", lambda _: None)
    asked = (Trial(kind="encode", name="h264_nvenc"), Trial(kind="decode", name="cuda"))
    for found in (await probe(asked)).found:
        assert not found.works
        if sys.platform == "linux":
            assert "libcuda.so.1" in found.detail


async def test_a_trial_that_crashes_or_hangs_harms_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If it fails, a broken driver takes doctor or the renderer with it."""
    (tmp_path / "broken_driver.py").write_text("import os, sys\nsys.stdin.readline()\nos.abort()\n")
    (tmp_path / "hung_driver.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = Trial(kind="encode", name="libx264")
    for module, words in (("broken_driver", "SIGABRT"), ("hung_driver", "longer than 1 s")):

        async def instead(_: str, *args: object, module: str = module, **fields: object) -> object:
            return await run_isolated(module, *args, **fields)  # type: ignore[arg-type]

        monkeypatch.setattr(devices, "run_isolated", instead)
        begun = time.monotonic()
        (found,) = (await probe((asked,), deadline_s=1)).found
        assert not found.works
        assert words in found.detail
        assert time.monotonic() - begun < 10


def test_frames_that_come_back_wrong_are_noticed() -> None:
    """If it fails, a decoder or encoder that makes grey frames passes."""
    good = trials._pictures()
    trials._check(good)
    with pytest.raises(ValueError, match="4 of 5 frames"):
        trials._check(good[1:])
    with pytest.raises(ValueError, match="came back as"):
        trials._check([*good[1:], good[0]])


def test_what_cannot_be_here_is_told_without_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, doctor takes seconds on a machine without any accelerator."""
    assert "has no h264_nonesuch" in str(impossible(Trial(kind="encode", name="h264_nonesuch")))
    assert "has no nonesuch" in str(impossible(Trial(kind="decode", name="nonesuch")))
    monkeypatch.setattr(devices, "nvidia_present", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    assert install("gpu") in str(impossible(Trial(kind="transform", name="cuda")))
    monkeypatch.setattr(devices, "find_spec", lambda _: object())
    assert impossible(Trial(kind="transform", name="cuda")) is None
    assert impossible(Trial(kind="encode", name="libx264")) is None


def test_pyav_can_keep_frames_on_the_gpu() -> None:
    """If it fails, this PyAV lost what the GPU engine is built on."""
    assert HWAccel("cuda", is_hw_owned=True).is_hw_owned
    assert hasattr(av.VideoFrame, "from_dlpack")


# What is used where ----------------------------------------------------------------------------------------


async def test_without_a_gpu_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, every render on a machine without a GPU starts seconds later, or makes other bytes."""

    async def never(_: object) -> Devices:
        raise AssertionError

    monkeypatch.setattr(devices, "probe", never)
    monkeypatch.setattr(devices, "nvidia_present", lambda: False)
    for codec, encoder in devices.SOFTWARE.items():
        assert await chosen("auto", codec) == await chosen("cpu", codec) == Choice(encode=encoder)
        assert engine_of(await chosen("auto", codec)) == ENGINE
    monkeypatch.setattr(devices, "nvidia_present", lambda: True)
    assert (await chosen("cpu", "h264")).name == "cpu/cpu/libx264"


async def test_a_gpu_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, every chunk waits for the trials; or NVENC is tried where it is never used."""
    asked: list[list[str]] = []

    async def tried(wanted: Any) -> Devices:
        asked.append([f"{each.kind} {each.name}" for each in wanted])
        return RTX

    monkeypatch.setattr(devices, "_CHOSEN", {})
    monkeypatch.setattr(devices, "probe", tried)
    monkeypatch.setattr(devices, "nvidia_present", lambda: True)
    for _ in range(2):
        assert (await chosen("auto", "h264")).name == "cuda/cuda/libx264"
        assert (await chosen("cuda", "hevc")).name == "cuda/cuda/hevc_nvenc"
    assert asked == [["decode cuda", "transform cuda"], ["decode cuda", "transform cuda", "encode hevc_nvenc"]]


async def test_a_gpu_that_is_not_there_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, somebody who asks for the GPU gets the CPU, a traceback, or no word of the extra."""
    plan = plan_of(striped(tmp_path / "s.mov", 2), end_us=66_000)
    monkeypatch.setattr(devices, "_CHOSEN", {})
    for present, why in ((False, "there is no NVIDIA GPU here"), (True, re.escape(install("gpu")))):
        monkeypatch.setattr(devices, "nvidia_present", lambda present=present: present)
        monkeypatch.setattr(devices, "find_spec", lambda _: None)
        with pytest.raises(Reject, match=why) as caught:
            await render_file(plan, resolve=lambda one: Path(one.key), out=tmp_path / "o.mp4", device="cuda")
        assert "\n" not in str(caught.value)
        assert "--device cpu" in caught.value.mend
    assert not (tmp_path / "o.mp4").exists()


def test_engines_have_names_of_their_own() -> None:
    """If it fails, chunks of two engines are joined, and the picture changes in the middle."""
    mixed = choose("cuda", RTX)
    names = [engine_of(each) for each in (Choice(), choose("auto", H100), mixed, Choice(transform="cuda"))]
    assert names[0] == engine_of(Choice(encode="libx265")) == ENGINE
    assert len(set(names)) == 4
    assert names[1].startswith("cuda-2 (cuda/cuda/libx264, av ")
    other = Choice(decode="cuda", transform="cuda", encode=mixed.encode, gpu="another GPU")
    assert engine_of(other) != names[2]
    assert engine_of(choose("auto", RTX)) == names[1]


# A GPU's way through the engine, on the host ---------------------------------------------------------------


def striped(path: Path, frames: int) -> Path:
    """Stripes of all levels that move."""
    rows = np.indices((192, 128)).sum(axis=0)
    return write_video(path, (((rows * 3 + 5 * at) % 200 + 20).astype(np.uint8) for at in range(frames)))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> HostBackend:
    return HostBackend(build(tmp_path_factory.mktemp("kernels")))


LOSSLESS = Output(width_px=72, height_px=128, fps=Rational(30), preset="ultrafast", crf=0)
ON_GPU = Choice(transform="cuda", why=("decode: it is broken",))


def plan_on(source: Path, **fields: Any) -> Plan:
    effects = (Mirror(), Zoom(), Grade(contrast=1.1), Sharpen(), Glow(), Grain(), Flash(first_us=200_000))
    captions = Captions(cues=(Cue(start_us=0, end_us=5_000_000, text="Hello"),))
    return plan_of(source, end_us=6_000_000, output=LOSSLESS, effects=effects, captions=captions, **fields)


def made(plan: Plan, folder: Path, name: str, choice: Choice) -> Rendered:
    (folder / name).mkdir()
    request = request_for(plan, folder / f"{name}.mp4", part=str(folder / name / "part"), workers=2, choice=choice)
    return render(request, lambda _: None)


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().astype(np.int16) for frame in container.decode(video=0)]


def test_a_plan_drawn_by_the_kernels_is_the_plan_drawn_by_the_cpu(
    tmp_path: Path, backend: HostBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, frames of a GPU render are lost, swapped, drawn over or different, or their origin is not told."""
    monkeypatch.setattr(drawing, "cuda_backend", lambda: backend)
    plan = plan_on(striped(tmp_path / "s.mov", 180))
    ours, theirs = made(plan, tmp_path, "gpu", ON_GPU), made(plan, tmp_path, "cpu", Choice())
    assert (ours.frames, ours.engine, theirs.engine) == (180, engine_of(ON_GPU), ENGINE)
    assert ours.notes == (*theirs.notes, "the CPU was used, not the GPU: decode: it is broken")
    pairs = zip(frames_of(tmp_path / "gpu.mp4"), frames_of(tmp_path / "cpu.mp4"), strict=True)
    off = np.stack([np.abs(one - other) for one, other in pairs])
    assert off.max() <= WORST_LEVELS
    assert (off <= 1).mean() >= LEAST_SHARE_CLOSE
    again = made(plan, tmp_path, "again", ON_GPU)
    assert again.sha256 == ours.sha256


def test_a_gpu_that_fails_ends_the_render_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a render hangs for ever where one of the lines that share a GPU ends."""

    def broken() -> None:
        raise Reject("the GPU fell off the bus")

    monkeypatch.setattr(drawing, "cuda_backend", broken)
    with pytest.raises(Reject, match="fell off the bus"):
        made(plan_on(striped(tmp_path / "s.mov", 180)), tmp_path, "gpu", ON_GPU)


def test_frames_that_stay_on_the_device_are_checked_all_the_same(backend: HostBackend) -> None:
    """If it fails, frames go to NVENC in wrong order or colours, or the gate compares with another picture."""
    output = Output(width_px=540, height_px=960)
    drawn = list(recipes((Mirror(), Zoom(), Sharpen())))
    staying = drawing.GpuDrawing(output, backend, None)
    found = [one for each in drawn for one in staying.begin(each.recipe, each.pictures, ())]
    assert len(found) == len(drawn) - staying.in_flight
    found += staying.rest()
    for each, one in zip(drawn, found, strict=True):
        right = planes_of(on_cpu(each))
        luma, chroma = (np.from_dlpack(plane) for plane in one.frame.planes)
        for wanted, seen in zip(right, (luma, chroma[..., 0], chroma[..., 1]), strict=True):
            assert np.abs(wanted.astype(np.int16) - seen).max() <= WORST_LEVELS
        assert one.signature == gate.signature(luma.astype(np.uint8)).tobytes()


@pytest.mark.parametrize("height", [64, 128, 200, 480, 958, 1080, 1920, 3840])
def test_the_lines_of_a_signature_give_the_same_signature(height: int) -> None:
    """If it fails, the gate refuses good frames of a GPU at some sizes."""
    luma = np.random.default_rng(1).integers(0, 256, (height, 90), np.uint8)
    assert np.array_equal(gate.signature(luma[:: drawing._every(height)]), gate.signature(luma))


@pytest.mark.parametrize("kind", _PLANAR)
def test_what_a_gpu_decodes_comes_to_the_host_as_the_cpu_decodes_it(kind: str) -> None:
    """If it fails, sources that cannot stay on the GPU have other colours there."""
    plain = VideoFrame(64, 48, _PLANAR[kind])
    rng = np.random.default_rng(2)
    for plane in plain.planes:
        samples = rng.integers(0, 256, plane.buffer_size, np.uint8)
        if kind != "nv12":
            samples[1::2] &= 0x03 if kind == "p010le" else 0x0F
        plane.update(samples.tobytes())
    there = plain.reformat(format=kind)
    back = there.reformat(format=_PLANAR[kind], threads=1)
    for one, other in zip(back.planes, plain.planes, strict=True):
        seen, right = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in (one, other)
        )
        wide = one.width * (1 if kind == "nv12" else 2)
        assert np.array_equal(seen[: one.height, :wide], right[: one.height, :wide])


def test_a_converter_of_a_gpu_takes_frames_of_the_host_too() -> None:
    """If it fails, what the GPU cannot decode cannot be rendered with it at all."""
    frame = VideoFrame(1280, 720, "yuv420p")
    frame.colorspace = 1

    def never(_: object) -> Any:
        raise AssertionError

    picture = Converter(device_planes=never).picture(frame)
    assert picture.frame is frame


def test_sources_for_a_gpu_are_opened_within_the_same_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If it fails, a playlist that reaches for other files or the network is read where there is a GPU."""
    told: list[tuple[Any, dict[str, Any]]] = []

    def opened(file: str, **options: Any) -> Any:
        told.append((file, options))
        raise av.error.InvalidDataError(1, "as told")

    monkeypatch.setattr(av, "open", opened)
    with pytest.raises(Reject, match="cannot be opened"), _opened_on_gpu(tmp_path / "x.mp4"):
        pass
    with pytest.raises(av.error.InvalidDataError):
        open_local(tmp_path / "x.mp4", f"{DEMUXERS},{SOUND_DEMUXERS}")
    (file, options), (its_file, its_options) = told
    accel = options.pop("hwaccel")
    assert its_options.pop("hwaccel") is None
    assert (file, options) == (its_file, its_options)
    assert accel.is_hw_owned
    assert accel.allow_software_fallback
