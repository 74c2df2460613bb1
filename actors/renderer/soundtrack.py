"""The sound of a plan: one job, whole, levelled and checked."""

from __future__ import annotations

import math
from pathlib import Path

from msgspec.structs import replace

from actors.renderer import gate
from actors.renderer.chunkfile import SoundFacts
from actors.renderer.chunks import sound_key
from actors.renderer.encode import AAC_FRAME, SoundWriter
from actors.renderer.job import ENGINE, Made
from actors.renderer.join import kept_as, stored
from actors.renderer.reading import Materials, Zeros
from actors.renderer.sound.mix import Mixer
from actors.renderer.sound.trim import Trim, settled
from actors.renderer.timeline import frame_count, samples_of_frames
from contracts.plan import Loudness
from contracts.plan_rules import duration_us

__all__ = ["render_sound"]


def render_sound(materials: Materials, *, part: Path, out: Path, failed: Path) -> Made:
    """Write the whole sound of a plan to a file that appears only when it is checked.

    Raises: Reject; gate.GateFailed if the sound is not as planned.
    """
    plan = materials.plan
    key = sound_key(plan)
    assert key is not None
    samples = samples_of_frames(frame_count(duration_us(plan), plan.output.fps), plan.output.fps)
    zeros = Zeros(materials.paths)
    zeros_us = {track.source: zeros.of(track.source) for track in plan.audio if track.role == "clips"}
    notes: tuple[str, ...] = ()
    mixed_lufs = -math.inf

    def write(trim: Trim) -> float:
        nonlocal notes, mixed_lufs
        mixer = Mixer(plan, samples, materials.paths, zeros_us, trim=trim)
        try:
            with SoundWriter(part, plan.output) as writer:
                for at in range(0, samples, AAC_FRAME):
                    writer.write(mixer.mix(min(AAC_FRAME, samples - at)))
            notes, mixed_lufs = tuple(mixer.notes), mixer.lufs
            return mixed_lufs
        finally:
            mixer.close()

    settled(plan.output, part, write)
    try:
        digest = gate.check_sound(part, samples, _attainable(plan.output.loudness, mixed_lufs, notes))
    except gate.GateFailed as error:
        raise gate.GateFailed(f"{error}{kept_as(part, failed)}") from error
    facts = SoundFacts(key=key, engine=ENGINE, samples=samples, packets_sha256=digest, notes=notes)
    return stored(part, out, facts)


def _attainable(wanted: Loudness | None, mixed_lufs: float, notes: tuple[str, ...]) -> Loudness | None:
    """Return the level that the file must have: what is wanted, or where peaks forbid that, what the mixer told of."""
    if wanted is None or not notes:
        return wanted
    return replace(wanted, integrated_lufs=min(wanted.integrated_lufs, mixed_lufs))
