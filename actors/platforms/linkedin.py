"""LinkedIn: no discovery.

Docs: learn.microsoft.com/linkedin/marketing (Videos API, Posts API), read 2026-11-23: posts are read by their own
author or organisation only; no endpoint searches, and none names trends.
"""

from __future__ import annotations

from typing import Final

from actors.runtime.means import Means
from contracts.platform import Caps, Limits

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "LinkedIn"]

NAME: Final = "linkedin"
CAPS: Final = Caps(cannot="LinkedIn has no public endpoint that searches posts or names trends.")
LIMITS: Final = Limits()


class LinkedIn:
    """Stands for a platform that cannot be searched."""

    def __init__(self, means: Means) -> None:
        """Take what every adapter takes; nothing of it is used."""


ADAPTER = LinkedIn
