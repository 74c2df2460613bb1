"""Join the parts of a long plan: asked for once, by whoever made the last part."""

from __future__ import annotations

from typing import Final

from msgspec import convert

from actors.renderer import chunk_jobs
from actors.renderer.finish import Asked, finish, join
from actors.renderer.parts import Parts
from actors.renderer.permitted import require_stored
from actors.renderer.progress import tell
from actors.runtime.work import Handler, Services, Work
from contracts.errors import Reject
from contracts.events import JoinRequested

__all__ = ["join_handler"]

MOST_ROUNDS: Final = 8
"""How often one part may be asked for before a person must look at the store."""


def join_handler(parts: Parts) -> Handler:
    """Return the handler of join.requested of one process."""

    async def handle(work: Work[JoinRequested], services: Services) -> None:
        """Join the parts of a plan. Raises: Reject, Retry, Snooze, LeaseLost."""
        event = work.event
        async with work.lease(f"render:{event.plan_id}"):
            job = await chunk_jobs.find(services, event.plan_id)
            if job is None or job["finished"] or job["join_event"] != event.event_id:
                work.log.info("join.not_needed", plan_id=event.plan_id)
                return
            require_stored(job, services)
            asked = convert(job["asked"], Asked)
            cut = await parts.cut(services, event.plan_id, job["plan"])
            rendition = await join(work, services, parts, cut)
            if rendition is not None:
                await tell(work, services, event.item_id, event.plan_id, last=True)
            async with work.commit() as tx:
                if rendition is None:
                    if await chunk_jobs.ask(tx, event.item_id, event.plan_id) > MOST_ROUNDS:
                        raise Reject(
                            "its finished parts get lost from the object store again and again",
                            mend="see to the store at MEDIA_URL, then retry this",
                        )
                    return
                await finish(work, tx, asked, rendition, cut.plan)

    return handle
