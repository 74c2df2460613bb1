"""What a machine can decode, transform and encode with is tried for real, apart, in time; what renders take of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import av
import pytest
from av.codec.hwaccel import HWAccel

from actors.renderer import devices
from actors.renderer.devices import TRIALS, Devices, Found, Kind, Trial, choose, impossible, nvidia_present, probe
from actors.runtime.isolate import run_isolated
from contracts.errors import Reject


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
    good = devices._pictures()
    devices._check(good)
    with pytest.raises(ValueError, match="4 of 5 frames"):
        devices._check(good[1:])
    with pytest.raises(ValueError, match="came back as"):
        devices._check([*good[1:], good[0]])


def test_what_cannot_be_here_is_told_without_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, doctor takes seconds on a machine without any accelerator."""
    assert "has no h264_nonesuch" in str(impossible(Trial(kind="encode", name="h264_nonesuch")))
    assert "has no nonesuch" in str(impossible(Trial(kind="decode", name="nonesuch")))
    monkeypatch.setattr(devices, "nvidia_present", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    assert "pip install 'ettametta[gpu]'" in str(impossible(Trial(kind="transform", name="cuda")))
    monkeypatch.setattr(devices, "find_spec", lambda _: object())
    assert impossible(Trial(kind="transform", name="cuda")) is None
    assert impossible(Trial(kind="encode", name="libx264")) is None


def test_pyav_can_keep_frames_on_the_gpu() -> None:
    """If it fails, this PyAV lost what the GPU engine is built on."""
    assert HWAccel("cuda", is_hw_owned=True).is_hw_owned
    assert hasattr(av.VideoFrame, "from_dlpack")
