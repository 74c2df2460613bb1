"""Speak a script with a synthetic voice and find when each of its words is heard.

Runs as a child process: `await narrate_script(...)` is for the stage, `narrate` is what the child does. The voice is
the one inside the hibari wheel (English), so nothing is fetched; the same script always gives the same sound.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from hibari import SAMPLE_RATE, Hibari  # type: ignore[import-untyped]  # it ships no types
from msgspec import Struct

from actors.editor.align import SAMPLE_RATE_HZ as ALIGN_RATE_HZ
from actors.editor.align import align_samples
from actors.runtime import isolate
from contracts.errors import Reject
from contracts.plan import Word

__all__ = ["VOICE", "VOICE_RATE_HZ", "NarrateRequest", "Narrated", "narrate", "narrate_script"]

VOICE: Final = "heart"
VOICE_RATE_HZ: Final = 48_000
MAX_SCRIPT_CHARS: Final = 10_000
DEADLINE_S: Final = 300.0
MEMORY_BYTES: Final = 2 << 30
_SEED: Final = 0
_PEAK: Final = 0.89  # -1 dBFS


class NarrateRequest(Struct, frozen=True):
    """wav_path: file to write, 48 kHz mono, 16 bit."""

    script: str
    wav_path: str


class Narrated(Struct, frozen=True):
    """Words in order, times from the start of the sound."""

    duration_us: int
    words: tuple[Word, ...]


async def narrate_script(script: str, wav: Path) -> Narrated:
    """Write the spoken script to `wav`. Raises: Reject if it cannot be spoken."""
    return await isolate.run_isolated(
        "actors.editor.narrate",
        NarrateRequest(script, str(wav)),
        result=Narrated,
        deadline_s=DEADLINE_S,
        memory_bytes=MEMORY_BYTES,
        what="speaking the script",
    )


def narrate(request: NarrateRequest, _progress: isolate.Progress) -> Narrated:
    """Speak and align in this process. Raises: Reject."""
    script = request.script.strip()
    if not script:
        raise Reject("narration was asked for and there is no script", mend="give the words to be spoken")
    if len(script) > MAX_SCRIPT_CHARS:
        raise Reject(f"the script is longer than {MAX_SCRIPT_CHARS} characters", mend="shorten it")
    spoken: np.ndarray = Hibari(voice=VOICE)(script, seed=_SEED)
    if not spoken.size:
        raise Reject("the script holds nothing that the English voice can speak", mend="write it in English")
    spoken = spoken * (_PEAK / max(float(np.abs(spoken).max()), 1e-6))
    # Aligned first: an unspeakable script is refused before a file exists.
    words = align_samples(_resample(spoken, ALIGN_RATE_HZ), script)
    sound = _resample(spoken, VOICE_RATE_HZ)
    with wave.open(request.wav_path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE_HZ)
        file.writeframes(sound.astype("<i2").tobytes())
    return Narrated(duration_us=round(sound.size / VOICE_RATE_HZ * 1_000_000), words=words)


def _resample(spoken: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return float (n,) at the voice's rate as int16 (m,) at `rate_hz`."""
    pcm = np.round(spoken * 32767).astype(np.int16)
    frame = AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    resampler = AudioResampler("s16", "mono", rate_hz)
    blocks = [out.to_ndarray()[0] for given in (frame, None) for out in resampler.resample(given)]
    resampled: np.ndarray = np.concatenate(blocks)
    return resampled


if __name__ == "__main__":
    isolate.serve(NarrateRequest, narrate)
