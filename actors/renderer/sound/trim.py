"""What AAC changes in a sound, made up for: the encoded file itself is measured, and mixed again if it strays.

AAC gives back nearly the level it was given, but peaks grow and the highest tones go. Measured at 160 kbit/s: speech
and film +0.0 to +0.2 dB, steep music +0.8 dB, bursts of noise +1.4 dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from actors.renderer.sound.loudness import Listener
from actors.renderer.sound.read import read
from actors.renderer.source.media import Tally
from contracts.plan import Loudness, Output

__all__ = ["Measured", "Trim", "measured", "settled"]

ROUNDS: Final = 4
"""Times that a sound is written at most; once is nearly always enough."""
LOW_BITRATE_BPS: Final = 128_000
_MARGIN_DB: Final = 0.1
_MARGIN_LU: Final = 0.15


class Measured(Struct, frozen=True, kw_only=True):
    """Integrated loudness and true peak of a file; -inf: silence."""

    lufs: float
    dbtp: float


class Trim(Struct, frozen=True, kw_only=True):
    """What is aimed at besides what is wanted: louder by level_lu, with peaks lower by peak_db."""

    level_lu: float = 0.0
    peak_db: float = 0.0

    @classmethod
    def first(cls, output: Output) -> Trim:
        """Return what is right for nearly all sounds."""
        return cls(peak_db=1.0 if output.audio_bitrate_bps >= LOW_BITRATE_BPS else 2.0)

    def aim(self, wanted: Loudness) -> Loudness:
        """Return what the mix is brought to."""
        return replace(
            wanted,
            integrated_lufs=wanted.integrated_lufs + self.level_lu,
            true_peak_dbtp=wanted.true_peak_dbtp - self.peak_db,
        )


def measured(path: Path) -> Measured:
    """Measure the sound of a file. Raises: Reject if there is none."""
    listener = Listener()
    for block in read(path, zero_us=None, start_us=0, tally=Tally()):
        listener.hear(block)
    heard = listener.heard()
    return Measured(lufs=heard.lufs(), dbtp=heard.peak_dbtp())


def settled(output: Output, path: Path, write: Callable[[Trim], float]) -> Measured:
    """Write a sound until what is in the file is what is wanted; return what is in it.

    Args: write: mixes under a trim, encodes the whole to `path` and returns the loudness of the mix, LUFS.
    """
    trim = Trim.first(output)
    for left in reversed(range(ROUNDS)):
        mixed_lufs = write(trim)
        found = measured(path)
        if output.loudness is None or math.isinf(found.lufs) or not left:
            break
        over_db = found.dbtp - output.loudness.true_peak_dbtp
        lost_lu = mixed_lufs - found.lufs
        if over_db <= 0 and abs(lost_lu - trim.level_lu) <= _MARGIN_LU:
            break
        trim = Trim(level_lu=lost_lu, peak_db=trim.peak_db + (over_db + _MARGIN_DB if over_db > 0 else 0))
    return found
