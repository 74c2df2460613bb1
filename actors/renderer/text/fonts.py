"""Find the font of the captions: FONT_PATH, else fontconfig's choice, else the one that a dependency brings along."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from PIL import ImageFont
from PIL.ImageFont import Axis

from actors.renderer.job import FontFile
from contracts.errors import Reject

__all__ = ["WEIGHT", "find", "load"]

WEIGHT: Final = 800
"""Of variable fonts: extra bold, which stays readable over moving pictures."""
_WHEEL: Final = ("fontpkg_inter", "files/Inter[opsz,wght].ttf")
_FC_MATCH_DEADLINE_S: Final = 10.0
_CHARACTERS_ASKED: Final = 200


def find(font_path: Path | None, text: str = "") -> FontFile:
    """Return a font that can be loaded, preferably one that has the characters of `text`.

    Raises: Reject if `font_path` is set and is no font, or if there is none at all.
    """
    if font_path is not None:
        return _set(font_path)
    for found in (_fontconfig(text), _wheel()):
        if found is not None and _loads(found):
            return found
    raise Reject("there is no font for captions", mend="set FONT_PATH to a .ttf or .otf file")


def load(font: FontFile, size_px: int) -> ImageFont.FreeTypeFont:
    """Load a font in one size; a variable one in bold. Raises: OSError."""
    loaded = ImageFont.truetype(font.path, size_px, index=font.index)
    with suppress(OSError):  # not a variable font
        loaded.set_variation_by_axes([_along(axis) for axis in loaded.get_variation_axes()])
    return loaded


def _along(axis: Axis) -> float:
    name, most = axis["name"], axis["maximum"] or 0
    if name == b"Optical size":  # captions are large type
        return float(most)
    return float(min(most, WEIGHT) if name == b"Weight" else axis["default"] or 0)


def _set(font_path: Path) -> FontFile:
    if not font_path.is_file():
        raise Reject(f"FONT_PATH: there is no file {font_path}", mend="correct FONT_PATH, or unset it")
    font = FontFile(path=str(font_path.absolute()), origin="FONT_PATH")
    if not _loads(font):
        raise Reject(f"FONT_PATH: {font_path} is not a font", mend="set it to a .ttf or .otf file, or unset it")
    return font


def _loads(font: FontFile) -> bool:
    try:
        load(font, 32)
    except OSError:
        return False
    return True


def _fontconfig(text: str) -> FontFile | None:
    program = shutil.which("fc-match")
    if program is None:
        return None
    pattern = "sans-serif:bold:scalable=true" + _charset(text)
    try:
        answer = subprocess.run(
            [program, "-f", "%{file}\n%{index}\n", pattern],
            capture_output=True,
            text=True,
            check=True,
            timeout=_FC_MATCH_DEADLINE_S,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    if len(answer) < 2 or not answer[0]:
        return None
    index = int(answer[1]) if answer[1].isdigit() else 0
    return FontFile(path=answer[0], index=index & 0xFFFF, origin="fontconfig")


def _charset(characters: Iterable[str]) -> str:
    """Return the part of a fontconfig pattern that asks for characters beyond ASCII."""
    wanted = sorted({ord(character) for character in characters if ord(character) > 0x7F})[:_CHARACTERS_ASKED]
    return ":charset=" + " ".join(f"{code:x}" for code in wanted) if wanted else ""


def _wheel() -> FontFile | None:
    package, name = _WHEEL
    try:
        path = Path(str(files(package) / name))
    except ModuleNotFoundError:
        return None
    return FontFile(path=str(path), origin=package) if path.is_file() else None
