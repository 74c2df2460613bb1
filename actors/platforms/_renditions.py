"""Which of several files of one work to fetch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

__all__ = ["Rendition", "best"]

MOST_LINES_PX: Final = 1080
LONGEST_SIDE_PX: Final = 1920
PREFERRED_BYTES: Final = 400_000_000


class Rendition(Struct, frozen=True, kw_only=True):
    """One file of a work. Null: the platform does not say."""

    url: str
    width_px: int | None = None
    height_px: int | None = None
    size_bytes: int | None = None

    @property
    def lines_px(self) -> int:
        """The shorter side, px; 0: unknown."""
        return min((side for side in (self.width_px, self.height_px) if side), default=0)

    @property
    def fits(self) -> bool:
        """Whether it is of known size and no larger than a full-HD picture, upright or lying."""
        longest = max(self.width_px or 0, self.height_px or 0)
        return 0 < self.lines_px <= MOST_LINES_PX and longest <= LONGEST_SIDE_PX and not self.heavy

    @property
    def heavy(self) -> bool:
        return (self.size_bytes or 0) > PREFERRED_BYTES


def best(renditions: Iterable[Rendition]) -> Rendition | None:
    """Return the tallest that fits full HD, the lighter of equals; else the smallest of all; None: there is none."""
    known = list(renditions)
    fitting = [one for one in known if one.fits]
    if fitting:
        return min(fitting, key=lambda one: (-one.lines_px, one.size_bytes or PREFERRED_BYTES, one.url))
    return min(known, key=lambda one: (one.heavy, one.lines_px or 10**6, one.size_bytes or 0, one.url), default=None)
