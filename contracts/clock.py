"""How moments are written: aware, UTC, RFC 3339."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

__all__ = ["Utc"]

Utc = Annotated[datetime, Meta(tz=True)]
"""An aware moment; a naive one is refused on decoding."""
