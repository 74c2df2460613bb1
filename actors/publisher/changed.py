"""A post was found changed: what stands here follows, and its account is paused where a person has to look."""

from __future__ import annotations

from typing import Final

from actors.publisher.posts import Q
from actors.runtime.work import Services, Work
from contracts.events import AccountPaused, PostChanged

__all__ = ["PAUSES", "note_change"]

PAUSES: Final = frozenset({"removed", "blocked"})
"""Standings after which the next post to the account may make things worse."""


async def note_change(work: Work[PostChanged], services: Services) -> None:  # noqa: ARG001 - the shape of a handler
    """Write down how the post stands, and pause its account after a removal or a block."""
    event = work.event
    words = event.standing.because or "the platform gave no reason"
    async with work.commit() as tx:
        if event.standing.state == "removed":
            await tx.conn.execute(Q["set_removed"], event.post_id, f"removed at {event.platform}: {words}", work.now)
        else:
            await tx.conn.execute(Q["note_standing"], event.post_id, f"{event.standing.state}: {words}", work.now)
        if event.standing.state not in PAUSES:
            return
        because = f"a post was {event.standing.state} at {event.platform}: {words}"
        if await tx.conn.fetchval(Q["pause_account"], event.account_id, because, work.now):
            tx.emit(
                AccountPaused(
                    account_id=event.account_id,
                    platform=event.platform,
                    because=because,
                    next_action=f"look at the post there, then: ettametta accounts resume {event.account_id}",
                )
            )
