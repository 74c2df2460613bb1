"""The fonts that a plan's text is drawn with."""

from __future__ import annotations

import hashlib
from pathlib import Path

from actors.renderer.job import FontFile
from actors.renderer.text import fonts
from actors.renderer.text.texts import text_of
from contracts.plan import Plan

__all__ = ["contents", "fonts_of"]


def fonts_of(plan: Plan, font_path: str | None) -> tuple[FontFile, ...]:
    """Find the fonts of a plan's text; none if it has no text. Raises: Reject if there is none to be found."""
    text = text_of(plan)
    return fonts.find_all(None if font_path is None else Path(font_path), text) if text.strip() else ()


def contents(faces: tuple[FontFile, ...]) -> tuple[str, ...]:
    """Return names of the faces that tell what is in them."""
    found: list[str] = []
    for face in faces:
        with Path(face.path).open("rb") as file:
            found.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}:{face.index}")
    return tuple(found)
