"""Find fonts for a text: FONT_PATH, else those that come in wheels, else what fontconfig knows.

Wheels come before the system's fonts, so that a plan looks the same on every machine.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from actors.renderer.job import FontFile
from actors.renderer.text.glyphs import Face, face_of, script_of
from actors.renderer.text.linebreak import clusters
from actors.renderer.text.runs import is_emoji, needed_codes, split_by_font
from contracts.errors import Reject

__all__ = ["SCRIPTS", "by_script", "find", "find_all", "missing"]

_LATIN: Final = ("fontpkg_inter", "files/Inter[opsz,wght].ttf")
_NOTO: Final = "manimgx_fonts"
_NOTO_CJK: Final = ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc")
_CJK_FACE: Final = {"Hira": 0, "Kana": 0, "Hang": 1, "Bopo": 3}
"""Faces of the collection, by the script that tells the language; without one, simplified Chinese."""
_SIMPLIFIED: Final = 2
_APPLE_EMOJI: Final = Path("/System/Library/Fonts/Apple Color Emoji.ttc")
SCRIPTS: Final[dict[str, str]] = {
    "Latin": "Ag",
    "Greek": "Ωμ",
    "Cyrillic": "Жя",
    "Arabic": "سلام",
    "Hebrew": "שלום",
    "Devanagari": "नमस्ते",
    "Thai": "ไทย",
    "Chinese": "简体",
    "Japanese": "かな漢字",
    "Korean": "한글",
    "emoji in colour": "😀",
}
"""A sample of each script that captions are looked at in."""
_FC_MATCH_DEADLINE_S: Final = 10.0
_CHARACTERS_ASKED: Final = 200


def find(font_path: Path | None, text: str = "") -> FontFile:
    """Return the first font for a text. Raises: Reject; see find_all."""
    return find_all(font_path, text)[0]


def find_all(font_path: Path | None, text: str = "") -> tuple[FontFile, ...]:
    """Return fonts for a text in order of preference: one for its letters, then those that the rest of it needs.

    Raises: Reject if `font_path` is set and is no font, or if there is none at all.
    """
    first = [_set(font_path)] if font_path is not None else _letters()
    chosen = list(itertools.islice((font for font in first if _opened(font) is not None), 1))
    if not chosen:
        raise Reject("there is no font for captions", mend="set FONT_PATH to a .ttf or .otf file")
    shown = frozenset(text)
    emoji = frozenset().union(*(needed_codes(cluster) for _, cluster in clusters(text) if is_emoji(cluster)))
    _add(chosen, emoji, _emoji_fonts(), emoji=True)
    letters = needed_codes("".join(shown)) - emoji - {ord(one) for one in shown if one.isspace()}
    _add(chosen, letters, _noto_for(shown))
    _add(chosen, letters, _asked(chosen, letters))
    return tuple(chosen)


def _letters() -> Iterator[FontFile]:
    inter = _wheel(*_LATIN)
    if inter is not None:
        yield inter
    yield from _noto(("",))
    yield from _fontconfig("sans-serif:bold", ())


def by_script(font_path: Path | None) -> dict[str, FontFile | None]:
    """Return the font that draws each of SCRIPTS here; None: nothing has it, or emoji come without colour.

    Raises: Reject; see find_all.
    """
    found: dict[str, FontFile | None] = {}
    for name, sample in SCRIPTS.items():
        fonts = find_all(font_path, sample)
        faces = [face_of(font) for font in fonts]
        (*_, (*_, face)) = split_by_font(sample, faces)
        usable = face is not None and (face.coloured or not is_emoji(sample)) and not missing(fonts, sample)
        found[name] = face.file if face is not None and usable else None
    return found


def missing(fonts: Sequence[FontFile], text: str) -> tuple[str, ...]:
    """Return the characters that none of these fonts has, in order."""
    faces = [face_of(font) for font in fonts]
    found: dict[str, None] = {}
    for cluster in dict.fromkeys(cluster for _, cluster in clusters(text)):
        if cluster.strip() and any(face is None for *_, face in split_by_font(cluster, faces)):
            found.update((one, None) for one in cluster if needed_codes(one))
    return tuple(found)


def _add(chosen: list[FontFile], needed: frozenset[int], offered: Iterable[FontFile], *, emoji: bool = False) -> None:
    """Add what of the offered has needed characters that the chosen lack. emoji: only fonts of emoji count."""
    left = needed
    for known in map(face_of, chosen):
        left -= known.covered(left) if known.emoji or not emoji else frozenset()
    for font in offered if left else ():
        face = _opened(font)
        if face is not None and font not in chosen and face.covered(left):
            chosen.append(font)
            left -= face.covered(left)
        if not left:
            return


def _noto_for(shown: frozenset[str]) -> Iterator[FontFile]:
    yield from _noto(("", "Arabic", "Hebrew", "Devanagari", "Thai"))
    scripts = {script_of(one) for one in shown}
    cjk = _wheel(*_NOTO_CJK, index=next((at for script, at in _CJK_FACE.items() if script in scripts), _SIMPLIFIED))
    if cjk is not None:
        yield cjk
    yield from _noto(None)


def _noto(names: tuple[str, ...] | None) -> Iterator[FontFile]:
    """Yield fonts of the wheel of Noto fonts; None: all upright ones."""
    try:
        folder = Path(str(files(_NOTO)))
    except ModuleNotFoundError:
        return
    paths = (
        [folder / f"NotoSans{name}[wght].ttf" for name in names]
        if names is not None
        else sorted(path for path in folder.glob("NotoSans*.ttf") if "Italic" not in path.name)
    )
    for path in paths:
        if path.is_file():
            yield FontFile(path=str(path), origin=_NOTO)


def _emoji_fonts() -> Iterator[FontFile]:
    """Yield emoji fonts in colour, then the one without."""
    if _APPLE_EMOJI.is_file():
        yield FontFile(path=str(_APPLE_EMOJI), origin="the system")
    for font in _fontconfig("emoji:color=true", (0x1F600,)):
        face = _opened(font)
        if face is not None and face.coloured:
            yield font
    plain = _wheel(_NOTO, "NotoEmoji[wght].ttf")
    if plain is not None:
        yield plain


def _asked(chosen: Sequence[FontFile], letters: frozenset[int]) -> Iterator[FontFile]:
    """Ask fontconfig for what is still lacking, as long as its answers help."""
    left = letters
    for font in chosen:
        left -= face_of(font).covered(left)
    while left:
        answer = next(_fontconfig("sans-serif:bold", left), None)
        face = None if answer is None else _opened(answer)
        if answer is None or face is None or not face.covered(left):
            return
        yield answer
        left -= face.covered(left)


def _set(font_path: Path) -> FontFile:
    if not font_path.is_file():
        raise Reject(f"FONT_PATH: there is no file {font_path}", mend="correct FONT_PATH, or unset it")
    font = FontFile(path=str(font_path.absolute()), origin="FONT_PATH")
    if _opened(font) is None:
        raise Reject(f"FONT_PATH: {font_path} is not a font", mend="set it to a .ttf or .otf file, or unset it")
    return font


def _opened(font: FontFile) -> Face | None:
    with suppress(OSError):
        return face_of(font)
    return None


def _fontconfig(wanted: str, codes: Iterable[int]) -> Iterator[FontFile]:
    """Yield fontconfig's choice, if there is such a program and it has one."""
    program = shutil.which("fc-match")
    if program is None:
        return
    asked = " ".join(f"{code:x}" for code in sorted(codes)[:_CHARACTERS_ASKED])
    answer = _answer(program, f"{wanted}:scalable=true" + (f":charset={asked}" if asked else ""))
    if len(answer) < 2 or not answer[0]:
        return
    index = int(answer[1]) if answer[1].isdigit() else 0
    yield FontFile(path=answer[0], index=index & 0xFFFF, origin="fontconfig")


@lru_cache(maxsize=64)
def _answer(program: str, pattern: str) -> list[str]:
    try:
        return subprocess.run(
            [program, "-f", "%{file}\n%{index}\n", pattern],
            capture_output=True,
            text=True,
            check=True,
            timeout=_FC_MATCH_DEADLINE_S,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []


def _wheel(package: str, name: str, *, index: int = 0) -> FontFile | None:
    try:
        path = Path(str(files(package) / name))
    except ModuleNotFoundError:
        return None
    return FontFile(path=str(path), index=index, origin=package) if path.is_file() else None
