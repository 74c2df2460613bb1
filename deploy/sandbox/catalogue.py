"""Works that the imitated platforms list: a fixed set over a few niches, whose counts grow with the sandbox's clock.

Everything is made up; the files are made here at need.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from pathlib import Path
from typing import Final

from msgspec import Struct

from deploy.sandbox.context import Sandbox
from deploy.sandbox.media import make_clip

__all__ = ["Catalogue", "Counts", "Listed"]

_DAY_S: Final = 86_400.0


class Counts(Struct, frozen=True, kw_only=True):
    """What a work has gathered until now."""

    views: int
    likes: int
    comments: int
    shares: int


class Listed(Struct, frozen=True, kw_only=True):
    """One work. final_views: what it tends to; halves_days: time in which half of what is left comes."""

    id: str
    niche: str
    title: str
    description: str
    creator: str
    tags: tuple[str, ...]
    age_days: float
    """Age at the sandbox's start."""
    duration_s: float
    width_px: int
    height_px: int
    licence: str | None
    """A Creative Commons id as `CC-BY-4.0`, or None: none is stated."""
    final_views: int
    halves_days: float
    language: str = "en"

    @property
    def number(self) -> int:
        """The id as a number, for platforms whose ids are numbers."""
        return 7_000_000 + zlib.crc32(self.id.encode()) % 900_000


def _work(niche: str, at: int, words: str, **more: object) -> Listed:
    """Make a work from its words; what `more` does not say follows from its place in the niche."""
    tall = at % 2 == 0
    values: dict[str, object] = {
        "id": f"{niche.replace(' ', '-')}-{at}",
        "niche": niche,
        "title": words,
        "description": f"{words}. A made-up work of the sandbox about {niche}.",
        "creator": f"Sandbox {niche} {1 + at % 3}",
        "tags": (*niche.split(), niche, "sandbox", *(word.lower() for word in words.split()[:2])),
        "age_days": 0.3 + at * 1.7,
        "duration_s": 12.0 + at * 17.0,
        "width_px": 1080 if tall else 1920,
        "height_px": 1920 if tall else 1080,
        "licence": (None, "CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0")[at % 6],
        "final_views": 2_000 * 3**at,
        "halves_days": 1.0 + at % 4,
    }
    return Listed(**{**values, **more})  # type: ignore[arg-type]  # every value above fits its field


WORKS: Final[tuple[Listed, ...]] = tuple(
    _work(niche, at, words)
    for niche, titles in {
        "deep sea": (
            "Lanternfish at night",
            "How deep is the sea?",
            "Anglerfish filmed alive",
            "Ten creatures of the deep sea",
            "Submarine descends to a hot vent",
            "Deep sea corals, slowly",
        ),
        "street food": (
            "Noodles pulled by hand",
            "Why street food tastes better",
            "Crispy potato twist",
            "A night market in ten bites",
            "The oldest dumpling stall",
            "Street food under one coin",
        ),
        "volcano": (
            "Lava meets snow",
            "What wakes a volcano?",
            "Volcano lightning",
            "A crater from above",
            "Walking on new rock",
            "Eruption in slow motion",
        ),
        "chess": (
            "Mate in two, can you see it?",
            "The shortest game ever",
            "A rook sacrifice",
            "Blitz against the clock",
            "Endgame with one pawn",
            "Chess in the park",
        ),
    }.items()
    for at, words in enumerate(titles)
)


class Catalogue:
    """The works, as one sandbox sees them. Their ages count from the first time that this sandbox was asked."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def _began(self) -> float:
        began = self._sandbox.store.counter("catalogue_began_s")
        return began or self._sandbox.store.add("catalogue_began_s", self._sandbox.now())

    def search(self, words: str, *, any_word: bool = False) -> list[Listed]:
        """Return the works whose title, description or tags hold every word (or any), most viewed first."""
        wanted = [word.strip('"#').casefold() for word in words.split() if word.strip('"#')]
        test = any if any_word else all
        found = [work for work in WORKS if test(word in _text_of(work) for word in wanted)]
        return sorted(found, key=lambda work: (-self.counts(work).views, work.id))

    def find(self, _platform: str, work_id: str) -> Listed | None:
        """Return the work whose id, or number, that is."""
        return next((work for work in WORKS if work_id in {work.id, str(work.number)}), None)

    def published_s(self, work: Listed) -> float:
        """Return when it was published, Unix seconds."""
        return self._began() - work.age_days * _DAY_S

    def counts(self, work: Listed) -> Counts:
        """Return the counts of this moment; they grow fast at first, then ever slower."""
        days = max(0.0, (self._sandbox.now() - self.published_s(work)) / _DAY_S)
        views = round(work.final_views * (1 - math.pow(0.5, days / work.halves_days)))
        return Counts(views=views, likes=views // 22, comments=views // 310, shares=views // 470)

    async def media(self, work: Listed) -> Path:
        """Return a file of the work; it is made on first use."""
        folder = self._sandbox.folder / "catalogue"
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        clip = folder / f"{work.id}.mp4"
        if not await asyncio.to_thread(clip.exists):
            size = (270, 480) if work.height_px > work.width_px else (480, 270)
            await asyncio.to_thread(
                make_clip, clip, seconds=4.0, width_px=size[0], height_px=size[1], seed=work.number % 97
            )
        return clip


def _text_of(work: Listed) -> str:
    return f"{work.title} {work.description} {' '.join(work.tags)}".casefold()
