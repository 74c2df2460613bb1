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
    """Write down how the post stands, and pause its account after a removal or a block.

    A post that is back resumes nothing: whether the next one may go is for a person to judge. The pause says so. What
    was seen before something that is known already changes no post.
    """
    event = work.event
    state = event.standing.state
    words = event.standing.because or "the platform gave no reason"
    told = f"{state} at {event.platform}: {words}" if state in PAUSES else f"{state}: {words}"
    async with work.commit() as tx:
        stood = "removed" if state == "removed" else "published"
        before = await tx.conn.fetchval(Q["note_standing"], event.post_id, stood, told, work.now, event.seen_at)
        if state not in PAUSES:
            if before is None:
                return
            back = f"; that post is back since {event.seen_at:%Y-%m-%d %H:%M} UTC: {state}"
            await tx.conn.execute(Q["note_back"], event.account_id, f"a post was {before}", back)
            return
        because = f"a post was {told}"
        if await tx.conn.fetchval(Q["pause_account"], event.account_id, because, work.now):
            tx.emit(
                AccountPaused(
                    account_id=event.account_id,
                    platform=event.platform,
                    because=because,
                    next_action=f"look at the post there, then: ettametta accounts resume {event.account_id}",
                )
            )
