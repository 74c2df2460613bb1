"""Tags of languages, as platforms take them."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

__all__ = ["LanguageTag", "language_tag"]

_TAG: Final = "^(?!und|mul|mis|zxx)[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
"""The shape of BCP 47 (RFC 5646, 2.1) without its registry; what stands for no one language is none."""

LanguageTag = Annotated[str, Meta(pattern=_TAG)]


def language_tag(told: str | None) -> str | None:
    """Return the tag; None: it is none, or says that the language is not known."""
    return told if told is not None and re.fullmatch(_TAG, told) else None
