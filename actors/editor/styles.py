"""Named caption styles, and the parts of the frame that each place draws over: data for plans."""

from __future__ import annotations

from typing import Final

from contracts.plan import CaptionStyle, SafeArea

__all__ = ["SAFE_AREAS", "STYLES"]

STYLES: Final[dict[str, CaptionStyle]] = {
    "plain": CaptionStyle(highlight=None, outline_width=0.0, shadow=0.3),
    "boxed": CaptionStyle(box="#000000", outline_width=0.0),
    "outline": CaptionStyle(),
    "karaoke": CaptionStyle(highlight_kind="karaoke", max_lines=2),
    "pop": CaptionStyle(pop=1.25, uppercase=True, size=0.05, max_lines=2, max_width=0.8, outline_width=0.14),
    "two_line": CaptionStyle(size=0.036, max_lines=2, highlight=None, position_y=0.82, outline_width=0.1),
    "word_box": CaptionStyle(highlight="#E0245E", highlight_kind="box", max_lines=2, outline_width=0.08),
}

SAFE_AREAS: Final[dict[str, SafeArea]] = {
    # Players' own controls: our choice, the five hundredths of the title-safe areas of television.
    "none": SafeArea(),
    # Title, channel and buttons of the Shorts player. Bottom: a quarter, as guides for makers agree on (secondary, read
    # 2026-11-23); the rest is our own, cautious choice: YouTube publishes none.
    "youtube_shorts": SafeArea(top=0.1, right=0.13, bottom=0.25, left=0.05),
    # Caption, sound and the column of buttons. Our own, cautious choice: guides give 20 to 30 hundredths at the bottom.
    "tiktok": SafeArea(top=0.1, right=0.13, bottom=0.25, left=0.05),
    # Meta's guide for ads in reels, as quoted by several guides (secondary, read 2026-11-23): 14 hundredths at the top,
    # 35 at the bottom, 6 at each side. Reels that are no ads lose less at the bottom.
    "instagram_reels": SafeArea(top=0.14, right=0.06, bottom=0.35, left=0.06),
    # Meta's guide for ads in stories, same sources: 14 hundredths at the top, 20 at the bottom. The sides are ours.
    "story": SafeArea(top=0.14, right=0.06, bottom=0.2, left=0.06),
}
