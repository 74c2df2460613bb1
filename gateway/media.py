"""Which stored files a browser may have: renditions, and videos that were posted as they came. Nothing else."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

__all__ = ["media_url", "video_type"]

_PLACE: Final = re.compile(
    r"(?P<folder>renditions|posts)/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*(?P<suffix>\.[a-z0-9]+)"
)
_TYPES: Final = {
    "renditions": {".mp4": "video/mp4"},
    "posts": {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"},
}


def video_type(key: str) -> str | None:
    """Return the content type of a stored file; None: it is not for browsers."""
    place = _PLACE.fullmatch(key)
    return None if place is None else _TYPES[place["folder"]].get(place["suffix"])


def media_url(key: str) -> str:
    return f"/media/{quote(key)}"
