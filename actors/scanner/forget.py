"""What the scanner forgets: topics and proposals that are old, and quotas of windows that are long over."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from actors.runtime.work import Services
from actors.scanner.niches import PROPOSED_FOR
from actors.scanner.trends import KEPT
from actors.scanner.turns import Q

__all__ = ["forget_old"]

QUOTAS_KEPT: Final = timedelta(days=7)


async def forget_old(services: Services) -> None:
    """Delete what is too old to be shown or counted. Several replicas may."""
    now = services.clock.now()
    await services.db.execute(Q["forget_topics"], now - KEPT)
    async with services.db.transaction() as conn:
        await conn.execute(Q["hold_proposals"])
        await conn.execute(Q["forget_proposals"], now - PROPOSED_FOR)
    await services.db.execute(Q["forget_quotas"], now - QUOTAS_KEPT)
