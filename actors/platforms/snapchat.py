"""Snapchat: no discovery.

Docs: developers.snap.com/api/marketing-api/Public-Profile-API, read 2026-11-23: for accounts on an allow-list, and
for their own profiles only; no endpoint searches Spotlight, and none names trends.
"""

from __future__ import annotations

from typing import Final

from actors.runtime.means import Means
from contracts.platform import Caps, Limits

__all__ = ["ADAPTER", "CAPS", "LIMITS", "NAME", "Snapchat"]

NAME: Final = "snapchat"
CAPS: Final = Caps(
    cannot="Snapchat has no public endpoint that searches Spotlight or names trends: its API reads the own profile "
    "of allow-listed accounts only."
)
LIMITS: Final = Limits()


class Snapchat:
    """Stands for a platform that cannot be searched."""

    def __init__(self, means: Means) -> None:
        """Take what every adapter takes; nothing of it is used."""


ADAPTER = Snapchat
