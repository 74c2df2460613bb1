"""Fit text into a width and a height: size, lines, and what of them is drawn where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from actors.renderer.text.linebreak import Paragraph, break_lines
from actors.renderer.text.runs import SetLine, Typesetter

__all__ = ["LINE_SPACING", "Block", "Row", "fit"]

LINE_SPACING: Final = 1.18
"""Least distance of baselines over the size of the type."""
_UP, _DOWN, _GAP = 0.76, 0.22, 0.08
"""Room for ascenders, for descenders and between lines, over the size; scripts that reach further get more."""
_SIZE_MIN_PX: Final = 8
_SHRINK: Final = 0.9


class Row(NamedTuple):
    """One line. owners: of each of its characters the word that it is lit with."""

    line: SetLine
    owners: tuple[int | None, ...]
    text: str

    def of(self, wanted: Callable[[int | None], bool]) -> frozenset[int]:
        """Return the characters whose word is wanted."""
        return frozenset(at for at, owner in enumerate(self.owners) if wanted(owner))


class Block(NamedTuple):
    """Lines of one size. pitch_px: from baseline to baseline; up_px: from the top of a line to its baseline."""

    rows: tuple[Row, ...]
    size_px: int
    pitch_px: int
    up_px: int

    @property
    def width_px(self) -> float:
        """The width of the widest line."""
        return max((row.line.width for row in self.rows), default=0.0)


def fit(
    setter: Typesetter,
    paragraphs: Sequence[Paragraph],
    *,
    size_px: float,
    width_px: float,
    height_px: float,
    rows_at_once: int | None = None,
) -> Block:
    """Break paragraphs to a width; type shrinks until the lines that are seen at once fit into the height."""
    size = max(_SIZE_MIN_PX, round(size_px))
    while True:
        rows: list[Row] = []
        for paragraph in paragraphs:
            lengths = setter.advances(paragraph.text, size, rtl=paragraph.rtl)
            for start, end in break_lines(paragraph, lengths, width_px):
                text = paragraph.text[start:end]
                rows.append(Row(setter.line(text, size, rtl=paragraph.rtl), paragraph.owners[start:end], text))
        up = max([_UP * size, *(row.line.up for row in rows)])
        down = max([_DOWN * size, *(row.line.down for row in rows)])
        pitch = round(max(LINE_SPACING * size, up + down + _GAP * size))
        block = Block(tuple(rows), size, pitch, round((pitch - up - down) / 2 + up))
        if size <= _SIZE_MIN_PX or pitch * min(len(rows), rows_at_once or len(rows)) <= height_px:
            return block
        size = max(_SIZE_MIN_PX, int(size * _SHRINK))
