"""The GPU: which one is here, what of a render it can do, and why not the rest.

PyAV is imported inside the check, so that one that is broken is a finding and not a crash.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.extras import install
from deploy.doctor.check import Check, missing, ok, wrong

if TYPE_CHECKING:
    from actors.renderer.devices import Devices, Found

__all__ = ["DEADLINE_S", "check_gpu", "nvidia_driver"]

DEADLINE_S: Final = 60.0
"""The first trial on a machine compiles the kernels; where there is no GPU the answer is at once."""
_TRIAL_S: Final = 25.0
_CODECS: Final = ("h264", "hevc")
_DRIVER: Final = "install the NVIDIA driver that fits CUDA 12 and let this user use /dev/nvidia*"
_CONTAINER: Final = "in a container, set NVIDIA_DRIVER_CAPABILITIES=compute,video,utility"


async def _probe() -> Devices:
    from actors.renderer import devices

    return await devices.probe(deadline_s=_TRIAL_S)


def _present() -> bool:
    from actors.renderer import devices

    return devices.nvidia_present()


def nvidia_driver(proc: Path = Path("/proc/driver/nvidia")) -> tuple[tuple[str, ...], str]:
    """Return the names of the GPUs and the version of the driver, as the kernel tells them; empty: not known.

    Source: NVIDIA Linux driver README, "The /proc/driver/nvidia interface", read 2026-11-23.
    """
    names = []
    for file in sorted(proc.glob("gpus/*/information")):
        model = re.search(r"^Model:\s*(.+)$", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        names.append(model[1].strip() if model else "NVIDIA GPU")
    try:
        told = (proc / "version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    version = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", told)
    return tuple(names), version[1] if version else ""


async def check_gpu(
    *,
    present: Callable[[], bool] = _present,
    tried: Callable[[], Awaitable[Devices]] = _probe,
    driver: Callable[[], tuple[tuple[str, ...], str]] = nvidia_driver,
) -> tuple[Check, ...]:
    """Try what a GPU can do of a render. None is ever needed: what it cannot do, the CPU does."""
    devices = await tried()
    others = [found for found in devices.found if found.works and not _is_nvidia(found)]
    rest = tuple(ok(f"{found.name} ({found.kind})", found.detail) for found in others)
    if not present():
        return (ok("gpu", "no NVIDIA GPU here; rendering runs on the CPU"), *rest)
    names, version = driver()
    here = f"{', '.join(names) or 'NVIDIA GPU'}{f', driver {version}' if version else ''}"
    return (_transform(here, devices.of("transform", "cuda")), _decode(devices), _encode(devices), *rest)


def _is_nvidia(found: Found) -> bool:
    return found.name == "cuda" or found.name.endswith("_nvenc")


def _transform(here: str, found: Found) -> Check:
    if found.works:
        return ok("gpu", f"{here}; draws frames: {found.detail}")
    if "extra" in found.detail:
        return missing("gpu", f"{here}; the extra `gpu` is not installed: rendering runs on the CPU", _extra())
    return wrong("gpu", f"{here}; CUDA does not work: {found.detail}; rendering runs on the CPU", _DRIVER)


def _extra() -> str:
    return f"{install('gpu')}, if you want to use it"


def _decode(devices: Devices) -> Check:
    found = devices.of("decode", "cuda")
    if found.works:
        return ok("gpu decode", f"NVDEC {found.detail}")
    return missing("gpu decode", f"no NVDEC: {found.detail}; the CPU decodes", _CONTAINER)


def _encode(devices: Devices) -> Check:
    found = [devices.of("encode", f"{codec}_nvenc") for codec in _CODECS]
    works = [each.name for each in found if each.works]
    if works:
        return ok("gpu encode", f"NVENC: {', '.join(works)}, used with --device cuda")
    reason = f"no NVENC: {found[0].detail}; the CPU encodes"
    # A GPU without an encoder (A100, H100, H200) has nothing that could be mended; a missing library has.
    if "load" in found[0].detail:
        return missing("gpu encode", reason, _CONTAINER)
    return ok("gpu encode", reason)
