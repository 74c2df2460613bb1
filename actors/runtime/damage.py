"""How damaged a stream is, by one rule for whoever decodes.

A frame counts as damaged when the decoder concealed a part of it or lost it, and so does every frame after it up to
the next whole key frame, because it is made from the damaged one. Sources of which more than DAMAGED_SHARE is damaged
are refused; others are used as they are, and a note says how many frames suffer.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from av.frame import Frame
from av.video.frame import VideoFrame

from contracts.errors import Reject

__all__ = ["DAMAGED_SHARE", "Tally", "refuse_damage", "why"]

DAMAGED_SHARE: Final = Fraction(1, 2)
"""Largest share of the frames in question that may be damaged."""


class Tally:
    """What became of the packets of one stream.

    whole: frames without damage; patched: frames that the decoder concealed damage in, or that are made from such
    frames; failed: packets that gave no frame.
    """

    def __init__(self) -> None:
        self.whole = 0
        self.patched = 0
        self.failed = 0
        self.last_error = ""
        self._spoilt = False

    @property
    def damaged(self) -> int:
        return self.patched + self.failed

    @property
    def detail(self) -> str:
        """The last error, in brackets, to be put after a sentence."""
        return f" ({self.last_error})" if self.last_error else ""

    def take(self, frame: Frame) -> None:
        """Count a frame that came out of the decoder."""
        if frame.is_corrupt:
            self._spoilt = True
        elif not isinstance(frame, VideoFrame) or frame.key_frame:
            self._spoilt = False
        if self._spoilt:
            self.patched += 1
        else:
            self.whole += 1

    def fail(self, error: Exception) -> None:
        """Count a packet that gave no frame."""
        self.failed += 1
        self.last_error = why(error)
        self._spoilt = True

    def add(self, other: Tally) -> None:
        self.whole += other.whole
        self.patched += other.patched
        self.failed += other.failed
        self.last_error = other.last_error or self.last_error


def refuse_damage(tally: Tally) -> None:
    """Raise Reject if more of the frames than DAMAGED_SHARE are damaged."""
    frames = tally.whole + tally.damaged
    if tally.damaged > DAMAGED_SHARE * frames:
        raise Reject(
            f"most of the picture is damaged: {tally.damaged} of {frames} frames{tally.detail}", mend="get a whole copy"
        )


def why(error: Exception) -> str:
    """Return FFmpeg's own words for an error, without paths."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
