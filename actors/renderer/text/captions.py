"""Captions: each distinct state (a turn of a cue, the words lit in it, a step of its pop) is drawn once."""

from __future__ import annotations

import bisect
import itertools
from typing import Final, NamedTuple, TypeVar

from actors.renderer.text.block import Block, fit
from actors.renderer.text.lettering import Lettering, Look, area_of
from actors.renderer.text.linebreak import active_word, paragraphs, spoken_word
from actors.renderer.text.runs import Typesetter
from actors.renderer.text.stamps import Stamp, stamp_of
from actors.renderer.text.turns import Turn, turns_of
from contracts.plan import Captions, CaptionStyle, Output

__all__ = ["POP_STEPS", "POP_US", "CaptionTrack"]

POP_US: Final = 120_000
POP_STEPS: Final = 4
"""Sizes that a pop passes through on its way to the size of the rest."""
_KEPT: Final = 8
_V = TypeVar("_V")
_K = TypeVar("_K")


class _State(NamedTuple):
    cue: int
    turn: int
    word: int | None
    step: int


class CaptionTrack:
    """The captions of one output. drawings: states that were drawn."""

    def __init__(self, captions: Captions, setter: Typesetter, output: Output) -> None:
        self._cues = captions.cues
        self._starts_us = [cue.start_us for cue in captions.cues]
        # Of each cue the latest end of it and of all before it.
        self._ends_us = tuple(itertools.accumulate((cue.end_us for cue in captions.cues), max))
        self._style = captions.style
        self._look = _look(captions.style)
        self._setter = setter
        self._area = area_of(output)
        self._size = output.width_px, output.height_px
        self._turns: dict[int, tuple[Block, tuple[Turn, ...]]] = {}
        self._lettering: dict[tuple[int, int], Lettering] = {}
        self._stamps: dict[_State, Stamp | None] = {}
        self.drawings = 0

    def at(self, t_us: int) -> Stamp | None:
        """Return what is shown at a moment of output time. Of cues that overlap, the newest is shown."""
        index = self._shown(t_us)
        if index is None:
            return None
        block, turns = self._turns_of(index)
        if not turns:
            return None
        state = self._state(index, turns, t_us)
        if state not in self._stamps:
            self.drawings += 1
            _remember(self._stamps, state, self._draw(state, block, turns[state.turn]))
        return self._stamps[state]

    def _shown(self, t_us: int) -> int | None:
        """Return the last cue that has begun and not ended."""
        index = bisect.bisect_right(self._starts_us, t_us) - 1
        while index >= 0 and self._ends_us[index] > t_us:
            if self._cues[index].end_us > t_us:
                return index
            index -= 1
        return None

    def _state(self, index: int, turns: tuple[Turn, ...], t_us: int) -> _State:
        cue, style = self._cues[index], self._style
        turn = max(0, bisect.bisect_right([turn.start_us for turn in turns], t_us) - 1)
        word, step = None, POP_STEPS
        if self._look.lit is not None or style.pop != 1:
            word = (spoken_word if style.highlight_kind == "karaoke" else active_word)(cue, t_us)
        if style.pop != 1 and (word is not None or not cue.words):
            begun_us = turns[turn].start_us if word is None else cue.words[word].start_us
            step = min(POP_STEPS, max(0, t_us - begun_us) * POP_STEPS // POP_US)
        return _State(index, turn, word, step)

    def _draw(self, state: _State, block: Block, turn: Turn) -> Stamp | None:
        key = (state.cue, state.turn)
        if key not in self._lettering:
            _remember(self._lettering, key, self._placed(block, turn))
        lettering, word = self._lettering[key], state.word
        lit: frozenset[int] = frozenset()
        if word is not None and self._look.lit is not None:
            karaoke = self._style.highlight_kind == "karaoke"
            lit = turn.words & (frozenset(range(word + 1)) if karaoke else {word})
        if state.step >= POP_STEPS:
            return stamp_of(lettering.draw(lit), self._size)
        scale = 1 + (self._style.pop - 1) * (1 - state.step / POP_STEPS) ** 2
        art = lettering.draw(lit, popped=lambda owner: word is None or owner == word, scale=scale)
        return stamp_of(art, self._size)

    def _turns_of(self, index: int) -> tuple[Block, tuple[Turn, ...]]:
        if index not in self._turns:
            cue, style, area = self._cues[index], self._style, self._area
            size_px = style.size * self._size[1]
            pad_px = self._look.pad() * size_px
            height_px = area.bottom - area.top - 2 * pad_px
            block = fit(
                self._setter,
                paragraphs(cue.text, cue.words, uppercase=style.uppercase),
                size_px=size_px,
                width_px=max(1.0, min(style.max_width * self._size[0], area.right - area.left) - 2 * pad_px),
                height_px=height_px,
                rows_at_once=style.max_lines,
            )
            room = max(1, int(height_px // block.pitch_px))
            _remember(self._turns, index, (block, turns_of(cue, block.rows, min(style.max_lines or room, room))))
        return self._turns[index]

    def _placed(self, block: Block, turn: Turn) -> Lettering:
        area = self._area
        tall = block.pitch_px * len(turn.rows)
        pad_px = self._look.pad() * block.size_px
        top = self._style.position_y * self._size[1] - tall / 2
        top = max(area.top + pad_px, min(top, area.bottom - pad_px - tall))
        middle = (area.left + area.right) / 2
        return Lettering(block, turn.rows, self._look, anchor_px=middle, top_px=top, area=area, growth=self._style.pop)


def _look(style: CaptionStyle) -> Look:
    return Look(
        fill=style.fill,
        outline=style.outline,
        outline_width=style.outline_width,
        shadow=style.shadow,
        box=style.box,
        box_opacity=style.box_opacity,
        lit=style.highlight,
        lit_box=style.highlight is not None and style.highlight_kind == "box",
    )


def _remember(kept: dict[_K, _V], key: _K, value: _V) -> None:
    """Keep a value; of many, only the newest."""
    if len(kept) >= _KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
