"""Posts whose time has come: each is asked for once, however many replicas look.

The claim, its lateness and the event leave in one transaction. A replica that dies before the commit has claimed
nothing; after it, the outbox has the event.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from actors.publisher.draft import fresh
from actors.publisher.schedule import Q
from actors.runtime.db import into
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from contracts.clock import Utc
from contracts.events import PostRequested
from contracts.ids import CorrelationId, PostId

__all__ = ["release_due"]

BATCH: Final = 50


class _Due(Struct, frozen=True, kw_only=True):
    """A post whose time has come, as it was seen; claimed only if it is so still."""

    post_id: PostId
    correlation_id: CorrelationId
    turn: int
    wakes_at: Utc


async def release_due(services: Services) -> None:
    """Ask for every post that is due. One indexed query when nothing is."""
    for row in await services.db.fetch(Q["list_due"], services.clock.now(), BATCH):
        await _release(services, into(_Due, row))


async def _release(services: Services, due: _Due) -> None:
    post = due.post_id
    # Turns begin anew with a row that is made anew, and then for another asking or another moment.
    seed = f"schedule/{post}/{due.correlation_id}/{due.wakes_at.isoformat()}/{due.turn}"
    async with services.unit(seed=seed, correlation_id=due.correlation_id, causation_id=None) as tx:
        now = services.clock.now()
        row = await tx.conn.fetchrow(Q["claim_due"], post, due.correlation_id, due.turn, due.wakes_at)
        if row is None:
            return
        late_s = await tx.conn.fetchval(Q["note_claim"], post, now)
        try:
            tx.emit(fresh(msgspec.convert(row["request"], PostRequested)))
        except msgspec.ValidationError as error:  # the others that are due must not wait for it
            because = f"its stored request cannot be read: {error}"
            await tx.conn.execute(Q["note_state"], post, "failed", because, "Ask for the post again", now)
        reach("publisher.due_claimed")
    reach("publisher.due_told")
    get_logger().info("post.due", post_id=post, due_at=row["due_at"], late_s=late_s)
