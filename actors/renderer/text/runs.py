"""Set one line of text: which font draws what, in which direction, and where each glyph lies."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from bidi import algorithm  # type: ignore[import-untyped]

from actors.renderer.job import FontFile
from actors.renderer.text.glyphs import Face, Placed, Scaled, face_of, script_of
from actors.renderer.text.linebreak import clusters

__all__ = ["Pen", "SetLine", "Typesetter", "bidi_levels", "is_emoji", "needed_codes", "split_by_font"]

# Source: emoji-data.txt of Unicode 17, Emoji_Presentation below U+1F000.
_EMOJI_BMP: Final = frozenset(
    itertools.chain.from_iterable(
        range(first, last + 1)
        for first, last in (
            *((0x231A, 0x231B), (0x23E9, 0x23EC), (0x23F0, 0x23F0), (0x23F3, 0x23F3), (0x25FD, 0x25FE)),
            *((0x2614, 0x2615), (0x2648, 0x2653), (0x267F, 0x267F), (0x2693, 0x2693), (0x26A1, 0x26A1)),
            *((0x26AA, 0x26AB), (0x26BD, 0x26BE), (0x26C4, 0x26C5), (0x26CE, 0x26CE), (0x26D4, 0x26D4)),
            *((0x26EA, 0x26EA), (0x26F2, 0x26F3), (0x26F5, 0x26F5), (0x26FA, 0x26FA), (0x26FD, 0x26FD)),
            *((0x2705, 0x2705), (0x270A, 0x270B), (0x2728, 0x2728), (0x274C, 0x274C), (0x274E, 0x274E)),
            *((0x2753, 0x2755), (0x2757, 0x2757), (0x2795, 0x2797), (0x27B0, 0x27B0), (0x27BF, 0x27BF)),
            *((0x2B1B, 0x2B1C), (0x2B50, 0x2B50), (0x2B55, 0x2B55)),
        )
    )
)
_TEXT_STYLE, _EMOJI_STYLE = "\ufe0e", "\ufe0f"


class Pen(NamedTuple):
    """What one glyph takes of its line. left, right: px; at: index of its first character."""

    left: float
    right: float
    at: int


class SetLine(NamedTuple):
    """A line, from (0, 0), its baseline at 0, y downwards. up, down: how far ink goes from the baseline, px."""

    glyphs: tuple[Placed, ...]
    pens: tuple[Pen, ...]
    width: float
    up: float
    down: float

    def extents(self, wanted: Iterable[int]) -> tuple[tuple[float, float], ...]:
        """Return the stretches, left to right, that these characters take."""
        chosen = frozenset(wanted)
        found: list[tuple[float, float]] = []
        for pen in self.pens:
            if pen.at not in chosen or pen.right <= pen.left:
                continue
            if found and abs(pen.left - found[-1][1]) < 0.5:
                found[-1] = found[-1][0], pen.right
            else:
                found.append((pen.left, pen.right))
        return tuple(found)


class _Run(NamedTuple):
    start: int
    end: int
    face: Face
    level: int


class Typesetter:
    """Sets lines in fonts that are given in order of preference. missing: characters that no font has."""

    def __init__(self, fonts: Sequence[FontFile]) -> None:
        """Open the fonts. Raises: OSError."""
        self._faces = tuple(face_of(font) for font in fonts)
        self._scaled: dict[tuple[int, float], Scaled] = {}
        self.missing: dict[str, None] = {}

    def line(self, text: str, size_px: float, *, rtl: bool) -> SetLine:
        """Set one line that reads in this direction by itself."""
        glyphs: list[Placed] = []
        pens: list[Pen] = []
        x = up = down = 0.0
        for run in _in_sight(self._runs(text, rtl=rtl)):
            font = self._at(run.face, size_px)
            for glyph in font.shape(text, run.start, run.end, rtl=bool(run.level % 2)):
                _, top, wide, tall = font.box(glyph.id)
                if wide and tall:
                    glyphs.append(Placed(font, glyph.id, x + glyph.x_offset, -glyph.y_offset, glyph.cluster))
                    up, down = max(up, top + glyph.y_offset), max(down, tall - top - glyph.y_offset)
                pens.append(Pen(x, x + glyph.advance, glyph.cluster))
                x += glyph.advance
        return SetLine(tuple(glyphs), tuple(pens), x, up, down)

    def advances(self, text: str, size_px: float, *, rtl: bool) -> list[float]:
        """Return the length of each character; what several make together counts at the first."""
        lengths = [0.0] * len(text)
        for pen in self.line(text, size_px, rtl=rtl).pens:
            lengths[pen.at] += pen.right - pen.left
        return lengths

    def _at(self, face: Face, size_px: float) -> Scaled:
        key = (id(face), size_px)
        if key not in self._scaled:
            self._scaled[key] = face.scaled(size_px)
        return self._scaled[key]

    def _runs(self, text: str, *, rtl: bool) -> Iterator[_Run]:
        levels = bidi_levels(text, rtl=rtl)
        pieces: list[tuple[int, int, Face, int, str | None]] = []
        for start, end, face in split_by_font(text, self._faces):
            if face is None:
                self.missing.update(dict.fromkeys(c for c in text[start:end] if not _ignorable(c)))
                continue
            for at in range(start, end):
                script = None if face.emoji else script_of(text[at])
                if pieces:
                    first, last, same, level, before = pieces[-1]
                    joins = script is None or before is None or script == before or _ignorable(text[at])
                    if last == at and same is face and level == levels[at] and joins:
                        pieces[-1] = (first, at + 1, face, level, before or script)
                        continue
                pieces.append((at, at + 1, face, levels[at], script))
        return (_Run(*piece[:4]) for piece in pieces)


def split_by_font(text: str, faces: Sequence[Face]) -> Iterator[tuple[int, int, Face | None]]:
    """Yield stretches of the text and the first face that has all of each cluster in them; None: none has."""
    begun, last, current = 0, 0, None
    for start, cluster in clusters(text):
        face = _face_for(cluster, faces)
        if start and face is not current:
            yield begun, start, current
            begun = start
        current, last = face, start + len(cluster)
    if last > begun:
        yield begun, last, current


def _face_for(cluster: str, faces: Sequence[Face]) -> Face | None:
    emoji = is_emoji(cluster)
    for codes in (needed_codes(cluster), needed_codes(unicodedata.normalize("NFC", cluster))):
        for face in sorted(faces, key=lambda face: face.emoji is not emoji):
            if face.covers(codes):
                return face
    return None


def is_emoji(cluster: str) -> bool:
    """Return whether a cluster is shown as an emoji. Source: UTS #51, 2.2 and 2.3."""
    if _TEXT_STYLE in cluster:
        return False
    first = ord(cluster[0])
    return _EMOJI_STYLE in cluster or first in _EMOJI_BMP or 0x1F1E6 <= first <= 0x1FAFF


def needed_codes(text: str) -> frozenset[int]:
    """Return the characters that a font must have to show a text."""
    return frozenset(ord(character) for character in text if not _ignorable(character))


def _ignorable(character: str) -> bool:
    """Joiners, variation selectors and marks of direction are not drawn by themselves."""
    return unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F or ord(character) == 0x034F


def bidi_levels(text: str, *, rtl: bool) -> list[int]:
    """Return the embedding level of each character: odd ones read from right to left.

    Source: UAX #9, as python-bidi has it: without its rules on isolates (5.2) and on pairs of brackets (N0).
    """
    kinds = {unicodedata.bidirectional(character) for character in text}
    if not rtl and not kinds & {"R", "AL", "AN", "RLE", "RLO"}:
        return [0] * len(text)
    storage = algorithm.get_empty_storage()
    storage["base_level"], storage["base_dir"] = int(rtl), "R" if rtl else "L"
    plain = "".join("\u200b" if 0x2066 <= ord(character) <= 0x2069 else character for character in text)
    algorithm.get_embedding_levels(plain, storage)
    for at, character in enumerate(storage["chars"]):
        character["at"] = at
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, debug=False)
    algorithm.resolve_implicit_levels(storage, debug=False)
    resolved = {character["at"]: int(character["level"]) for character in storage["chars"]}
    levels: list[int] = []
    for at in range(len(text)):
        levels.append(resolved.get(at, levels[-1] if levels else int(rtl)))
    return levels


def _in_sight(runs: Iterable[_Run]) -> list[_Run]:
    """Put runs in the order they are seen. Source: UAX #9, rule L2."""
    found = list(runs)
    for level in range(max((run.level for run in found), default=0), 0, -1):
        at = 0
        while at < len(found):
            end = at
            while end < len(found) and found[end].level >= level:
                end += 1
            found[at:end] = reversed(found[at:end])
            at = max(end, at + 1)
    return found
