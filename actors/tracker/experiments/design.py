"""How an experiment is laid out: which variant has which turn, and what a pair gives. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from actors.runtime.draw import Variant, variant_of
from contracts.clock import Utc
from contracts.ids import AccountId, PostId

__all__ = [
    "AGES_APART",
    "HALF",
    "SETTLES_S",
    "SPREADS",
    "Experiment",
    "Turn",
    "Variant",
    "compared",
    "late",
    "ratios_of",
    "variant_of",
]

SETTLES_S: Final = 600
"""How long a change takes to be seen everywhere; what is counted in that time belongs to neither variant. Seconds."""
LATE: Final = 0.25
"""Part of its length by which a turn may be longer than planned and still count."""
AGES_APART: Final = 0.25
"""Part by which the ages of two posts may differ when they are compared."""
HALF: Final = 0.5
"""Added to both counts, so that no view at all is a small number and not minus infinity."""
SPREADS: Final = {"swap": 0.3, "pairs": 0.8}
"""Standard deviation of the log ratios that a size is planned with before any is known: an assumption, said to be
one, and planned anew from the pairs themselves."""


class Experiment(Struct, frozen=True, kw_only=True):
    """A row of `experiments`."""

    experiment_id: str
    kind: Literal["title", "description", "thumbnail", "hook", "caption_style"]
    design: Literal["swap", "pairs"]
    platform: str
    account_id: AccountId | None
    post_id: PostId | None
    a: str
    b: str
    effect: float
    planned: int
    most: int
    sized_anew: bool
    window_s: int
    seed: int
    made_here: bool
    state: str
    verdict: dict[str, Any] | None
    because: str
    created_at: Utc
    ended_at: Utc | None

    def value(self, variant: Variant) -> str:
        return self.a if variant == "A" else self.b


class Turn(Struct, frozen=True, kw_only=True):
    """A row of `experiment_turns`."""

    number: int
    variant: Variant
    set_at: Utc | None = None
    from_at: Utc | None = None
    from_views: int | None = None
    until_at: Utc | None = None
    until_views: int | None = None
    void: str = ""


def late(turn: Turn, *, window_s: int) -> str:
    """Say why a turn that has ended does not count; empty: it does."""
    if turn.from_at is None or turn.until_at is None:
        return "it has no beginning or no end"
    length_s = (turn.until_at - turn.from_at).total_seconds()
    if length_s > window_s * (1 + LATE):
        return f"it lasted {length_s:.0f} s instead of {window_s} s: nothing was measured in between"
    if turn.from_views is None or turn.until_views is None:
        return "the platform told no views"
    if turn.until_views < turn.from_views:
        return "the platform took views back"
    return ""


def ratios_of(turns: Sequence[Turn]) -> list[float]:
    """Return the log ratio of B's views a second to A's, for each pair of turns that counts, in order."""
    found = []
    by_number = {turn.number: turn for turn in turns}
    for number in range(0, len(turns) - 1, 2):
        pair = (by_number[number], by_number[number + 1])
        if any(turn.void or turn.until_at is None for turn in pair):
            continue
        rate = {turn.variant: _rate(turn) for turn in pair}
        found.append(math.log(rate["B"] / rate["A"]))
    return found


def _rate(turn: Turn) -> float:
    assert turn.from_at is not None
    assert turn.until_at is not None
    assert turn.from_views is not None
    assert turn.until_views is not None
    return (turn.until_views - turn.from_views + HALF) / (turn.until_at - turn.from_at).total_seconds()


def compared(*, a_views: int | None, a_age_s: int, b_views: int | None, b_age_s: int) -> tuple[float | None, str]:
    """Return the log ratio of two posts' views, or None and why they cannot be compared."""
    if a_views is None or b_views is None:
        return None, "the platform told no views of one of the posts"
    if max(a_age_s, b_age_s) > min(a_age_s, b_age_s) * (1 + AGES_APART):
        return None, f"they were measured at ages of {a_age_s} s and {b_age_s} s: too far apart"
    return math.log((b_views + HALF) / (a_views + HALF)), ""
