"""An account was connected: what waited for it is asked for again."""

from __future__ import annotations

import msgspec

from actors.publisher.draft import fresh
from actors.publisher.posts import Q
from actors.runtime.work import Services, Work
from contracts.events import AccountConnected, PostRequested

__all__ = ["resume"]


async def resume(work: Work[AccountConnected], services: Services) -> None:
    """Give one `post.requested` for each waiting post, within the post's own correlation.

    Each is then an event of its own: one that fails does not hold up the others. Ids derive from this event and the
    post, so that a second delivery asks for nothing twice.
    """
    async with services.db.transaction() as conn:
        await conn.execute(Q["serialise_waiting"], work.event.platform)
        rows = await conn.fetch(Q["list_waiting"], work.event.platform, work.event.account_id)
    for row in rows:
        request = msgspec.convert(row["request"], PostRequested)
        async with services.unit(
            seed=f"{work.event.event_id}/{row['post_id']}",
            correlation_id=row["correlation_id"],
            causation_id=work.event.event_id,
        ) as tx:
            tx.emit(fresh(request))
    work.log.info("posts.resumed", account_id=work.event.account_id, count=len(rows))
