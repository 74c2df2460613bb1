"""Who is asked while a day's calls last. Pure.

First, each niche that was not asked in this window has one call kept for it: every niche is served every day. Where
the calls do not reach that far, those that wait longest go first, so that n niches and c calls a day come round in
n / c days. What is left over is spread over the rest of the window: a quarter alike, so that a quiet niche that wakes
is noticed, three quarters by how much a niche moves. A niche is asked once it waited for as long as its share lasts,
or will have before it is halfway to its next scan; and once no more scans are to come than calls are spare.

A turn is one call: scans on a schedule take one page of results. It is used up by an answer and by an outage alike.
What a person asks a platform for by its name is not rationed; the plan is made anew with what that leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from statistics import median
from typing import Final

from msgspec import Struct

from contracts.clock import Utc

__all__ = ["Standing", "Turn", "plan", "spare"]

ALIKE: Final = 0.25
"""Part of the calls left over that every niche gets alike."""
LEAST: Final = 0.01
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Standing(Struct, frozen=True, kw_only=True):
    """A niche before the planner. movement None: not known yet, taken for the middle of the others.

    asked_at: when it last had a turn, None: never; asks: turns in this window; wanted_at: when it will next ask;
    every_s: time between its scans, seconds.
    """

    niche: str
    movement: float | None
    asked_at: Utc | None
    asks: int
    wanted_at: Utc
    every_s: int


class Turn(Struct, frozen=True, kw_only=True):
    """Whether a niche is asked now, and why. spent: no call is left for it this day."""

    granted: bool
    because: str
    spent: bool = False


def spare(standings: Sequence[Standing], *, calls_left: int, ends_at: datetime) -> int:
    """Return how many calls nobody has to be kept from: those beyond one for each niche still to come."""
    return calls_left - len(_unserved(standings, ends_at))


def plan(standings: Sequence[Standing], *, calls_left: int, ends_at: datetime, now: datetime) -> dict[str, Turn]:
    """Decide for each niche whether it is asked if it asks now, with the calls that the window has left."""
    until = f"{ends_at:%H:%M} UTC"
    if calls_left <= 0:
        text = f"no call is left until {until}"
        return {one.niche: Turn(granted=False, because=text, spent=True) for one in standings}
    unserved = _unserved(standings, ends_at)
    turns: dict[str, Turn] = {}
    for place, one in enumerate(unserved):
        if place < calls_left:
            turns[one.niche] = Turn(granted=True, because="it was not asked today")
        else:
            text = f"{calls_left} calls are left until {until}, and {place} niches wait longer"
            turns[one.niche] = Turn(granted=False, because=text, spent=True)
    free = calls_left - len(unserved)
    shares = _shares(standings)
    scans = sum(_scans_to_come(one, ends_at) for one in standings) - len(unserved)
    left_s = max((ends_at - now).total_seconds(), 0.0)
    for one in standings:
        if one.niche in turns:
            continue
        if free < 1:
            text = f"the {calls_left} calls left until {until} are kept for niches not asked today"
            turns[one.niche] = Turn(granted=False, because=text)
            continue
        if free >= scans:
            text = f"{free} calls are spare until {until}, and {scans} scans are to come"
            turns[one.niche] = Turn(granted=True, because=text)
            continue
        share = free * shares[one.niche]
        waited_s, wait_s = (now - (one.asked_at or _LONG_AGO)).total_seconds(), left_s / share
        text = f"its share of {free} spare calls is {share:.1f} until {until}: asked every {_hours(wait_s)}"
        turns[one.niche] = Turn(
            granted=waited_s + one.every_s / 2 >= wait_s, because=f"{text}, last {_hours(waited_s)} ago"
        )
    return turns


def _unserved(standings: Sequence[Standing], ends_at: datetime) -> list[Standing]:
    """Return who still has to be asked in this window, the longest waiting first."""
    waiting = [one for one in standings if not one.asks and one.wanted_at < ends_at]
    return sorted(waiting, key=lambda one: (one.asked_at or _LONG_AGO, one.niche))


def _scans_to_come(one: Standing, ends_at: datetime) -> int:
    """Return how many scans of a niche fall into the rest of the window, the one that it wants now included."""
    return max(0, ceil((ends_at - one.wanted_at).total_seconds() / one.every_s))


def _shares(standings: Sequence[Standing]) -> dict[str, float]:
    """Return each niche's part of the spare calls; together 1."""
    known = [one.movement for one in standings if one.movement is not None]
    middle = median(known) if known else 1.0
    moving = {one.niche: max(middle if one.movement is None else one.movement, LEAST) for one in standings}
    total = sum(moving.values())
    return {niche: ALIKE / len(moving) + (1 - ALIKE) * amount / total for niche, amount in moving.items()}


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds < 10**6 else "many days"
