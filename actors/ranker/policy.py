"""Which candidates of a scan are made into videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from contracts.ids import ItemId
from contracts.rights import LICENCES, Outlet, RightsRecord, Use, may_all

__all__ = [
    "FINAL",
    "MIN_SCORE",
    "MOST_SELECTED",
    "Choice",
    "Contender",
    "Decision",
    "Outcome",
    "Precedent",
    "choose",
    "summary",
]

MOST_SELECTED: Final = 1
"""Works chosen per scan."""
MIN_SCORE: Final = 45.0
"""Points of 100 below which nothing is made of a work: a usable one, off the niche, that hardly grows has fewer."""

Decision = Literal["found", "selected", "passed", "imported"]
Outcome = Literal["selected", "passed", "refused", "known"]

FINAL: Final[frozenset[Decision]] = frozenset({"selected", "imported"})
"""Decisions that stand. A work that was passed over may be chosen when a later scan sees it again."""


class Precedent(Struct, frozen=True, kw_only=True):
    """Another item of the same work that another creator published before, or may have."""

    item_id: ItemId
    rights: RightsRecord
    certain: bool
    """Both dates and both creators are known, and say so."""


class Contender(Struct, frozen=True, kw_only=True):
    """A candidate of a scan, as the choice sees it."""

    item_id: ItemId
    score: float
    decision: Decision
    rights: RightsRecord
    has_media: bool
    to: Outlet | None = None
    precedents: tuple[Precedent, ...] = ()


class Choice(Struct, frozen=True, kw_only=True):
    """What became of a contender, and why."""

    item_id: ItemId
    outcome: Outcome
    because: str


def choose(
    contenders: Sequence[Contender],
    *,
    uses: Sequence[Use],
    at: datetime,
    most: int = MOST_SELECTED,
    min_score: float = MIN_SCORE,
) -> tuple[Choice, ...]:
    """Decide on every contender, best first. The same contenders give the same choices, in whatever order they come.

    Never selects what the rights do not allow, what offers no media, or what was decided for good before.
    """
    ranked = sorted(contenders, key=lambda one: (-one.score, one.item_id))
    choices: list[Choice] = []
    taken: list[Contender] = []
    for one in ranked:
        outcome, because = _hindrance(one, uses=uses, at=at, min_score=min_score)
        if outcome is None and len(taken) >= most:
            best = taken[-1]
            outcome, because = "passed", f"{best.item_id} came first: {best.score:g} against {one.score:g}"
        if outcome is None:
            taken.append(one)
            outcome, because = "selected", f"score {one.score:g}, number {len(taken)} of {len(ranked)} seen"
        choices.append(Choice(item_id=one.item_id, outcome=outcome, because=because))
    return tuple(choices)


def _hindrance(one: Contender, *, uses: Sequence[Use], at: datetime, min_score: float) -> tuple[Outcome | None, str]:
    if one.decision in FINAL:
        return "known", f"it was {one.decision} before"
    verdict = may_all((*uses, "share"), one.rights, at=at, to=one.to)
    if not verdict.allowed:
        return "refused", verdict.because
    for before in one.precedents:  # whoever shows a work again cannot license more than its maker did
        verdict = may_all((*uses, "share"), before.rights, at=at, to=one.to)
        if not verdict.allowed:
            was = "was published before" if before.certain else "may have been published before"
            licence = LICENCES.get(before.rights.licence, LICENCES["unknown"]).title
            return "refused", f"the same work {was} by another, under {licence} ({before.item_id}): {verdict.because}"
    if not one.has_media:
        return "refused", "the platform offers no media file"
    if one.score < min_score:
        return "passed", f"score {one.score:g} is below {min_score:g}"
    return None, ""


def summary(choices: Sequence[Choice], *, found: int, failed: Sequence[str] = ()) -> str:
    """Say in one line what a scan came to, for people."""
    counts = Counter(choice.outcome for choice in choices)
    if chosen := [choice.item_id for choice in choices if choice.outcome == "selected"]:
        text = f"selected {', '.join(chosen)} of {len(choices)} candidates"
    elif not choices and found == 0:
        text = "nothing selected: no candidate was found"
    else:
        words: dict[Outcome, str] = {"known": "already selected", "refused": "refused", "passed": "passed over"}
        parts = [f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]]
        text = f"nothing selected of {len(choices)} candidates: {', '.join(parts)}"
        if first := next((choice.because for choice in choices if choice.outcome in {"refused", "passed"}), ""):
            text += f" ({first})"
    if len(choices) < found:
        text += f"; {found - len(choices)} of {found} never arrived"
    if failed:
        text += f"; did not answer: {', '.join(failed)}"
    return text
