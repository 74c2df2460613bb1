"""All that lies over the picture: overlays in order, then captions."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from actors.renderer.job import FontFile
from actors.renderer.text.captions import CaptionTrack
from actors.renderer.text.fonts import missing
from actors.renderer.text.overlays import ShownOverlay
from actors.renderer.text.runs import Typesetter
from actors.renderer.text.stamps import Stamp
from contracts.errors import Reject
from contracts.plan import Emoji, HookCard, LowerThird, Plan, Text
from contracts.plan_rules import duration_us

__all__ = ["Texts", "notes_of", "text_of"]


def text_of(plan: Plan) -> str:
    """Return all the text that a plan shows, as fonts are chosen for it."""
    found: list[str] = []
    for overlay in plan.overlays:
        match overlay:
            case Text() | HookCard():
                found.append(overlay.text)
            case LowerThird():
                found += [overlay.title, overlay.subtitle]
            case Emoji():
                found.append(overlay.emoji)
            case _:
                pass
    if plan.captions is not None:
        upper = plan.captions.style.uppercase
        found += [cue.text.upper() if upper else cue.text for cue in plan.captions.cues]
    return "\n".join(found)


def notes_of(plan: Plan, fonts: tuple[FontFile, ...]) -> tuple[str, ...]:
    """Return what a person should know about a plan's text in these fonts: what is left out."""
    lacking = missing(fonts, text_of(plan))
    if not lacking:
        return ()
    named = ", ".join(f"{one} ({unicodedata.name(one, f'U+{ord(one):04X}')})" for one in lacking[:5])
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    mend = "install a font with them (for Chinese, Japanese and Korean the extra `fonts`) or set FONT_PATH to one"
    return (f"left out, because no font has them: {named}{more}; {mend}",)


class Texts:
    """What is shown over one output. notes: what a person should know about it."""

    def __init__(self, plan: Plan, fonts: tuple[FontFile, ...], images: dict[str, Path]) -> None:
        """Open the fonts. Raises: Reject if there are none but text; OSError if one cannot be read."""
        text = text_of(plan)
        if text.strip() and not fonts:
            raise Reject("the plan shows text and no font was found", mend="set FONT_PATH to a .ttf or .otf file")
        setter = Typesetter(fonts)
        total_us = duration_us(plan)
        self._overlays = [ShownOverlay(overlay, setter, images, plan.output, total_us) for overlay in plan.overlays]
        self._captions = CaptionTrack(plan.captions, setter, plan.output) if plan.captions is not None else None
        self.notes = notes_of(plan, fonts)

    def at(self, t_us: int) -> tuple[Stamp, ...]:
        """Return what is shown at a moment of output time, in drawing order."""
        shown = [overlay.at(t_us) for overlay in self._overlays]
        if self._captions is not None:
            shown.append(self._captions.at(t_us))
        return tuple(stamp for stamp in shown if stamp is not None)
