"""What one look at a post means: nothing new, a doubt, or a change that is told. Pure.

A removal and a block stop an account, so one look is not believed: the next one must say the same. What two looks
said, one does not take back either. What was asked to be private is private, and a post that is still being processed
stands: neither is a change. Where the platform does not tell, a doubt stays one.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from contracts.platform import Standing

__all__ = ["GRAVE", "Verdict", "judge"]

GRAVE: Final = frozenset({"removed", "blocked"})
QUIET: Final = frozenset({"stands", "processing"})


class Verdict(Struct, frozen=True, kw_only=True):
    """state: how it stands; told_state: what the world knows then; tells: that is news; doubt: to be confirmed."""

    state: str
    told_state: str
    tells: bool = False
    doubt: str | None = None


def judge(
    seen: Standing, *, state: str, told_state: str, doubted: str | None, confirmed_privacy: str | None
) -> Verdict:
    """Compare a look with what was known.

    Args: state, told_state: those stored; doubted: what the look before saw and nobody confirmed; confirmed_privacy:
    that of the post when it was published.
    """
    if seen.state == "unknown":
        return Verdict(state=state, told_state=told_state, doubt=doubted)
    meant = "stands" if seen.state in QUIET else seen.state
    if meant == "private" and confirmed_privacy in {None, "private"}:
        meant = "stands"
    if meant == told_state:
        return Verdict(state=seen.state, told_state=told_state)
    if (meant in GRAVE or told_state in GRAVE) and doubted != meant:
        return Verdict(state=state, told_state=told_state, doubt=meant)
    return Verdict(state=seen.state, told_state=meant, tells=True)
