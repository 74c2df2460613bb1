"""A file and its words against what the platform takes, before a byte is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors import platforms
from actors.publisher.caption import length
from actors.publisher.posts import Post, Posts, Q
from actors.publisher.preflight import mended, preflight, probe_of_rendition
from actors.runtime.db import Record
from actors.runtime.probe import probe_file
from actors.runtime.work import Services, Work
from contracts.errors import Reject
from contracts.events import PostRequested, RenderRequested
from contracts.media import Probe, Rendition
from contracts.plan import Plan, plan_id
from contracts.rights import attribution_text

__all__ = ["fit"]

WHEN_RENDERED: Final = "none: it goes on when it is rendered"


async def fit(work: Work[Any], services: Services, posts: Posts, request: PostRequested, post: Post) -> bool:
    """Look at a post before it is sent. False: it waits for another rendering, which was asked for.

    Raises: Reject, with everything that is wrong and what mends it.
    """
    platform = platforms.module(post.platform)
    limits = platform.LIMITS
    sha256 = Path(post.object_key).stem
    rendered = await services.db.fetchrow(Q["rendered_from"], sha256)
    probe = await _probe(services, post, rendered, sha256)
    draft = replace(post.draft, probe=probe)
    credit = attribution_text(request.rights)
    fits = limits.caption is None or length(credit, limits.unit, link_weight=limits.link_weight) <= limits.caption
    found = preflight(draft, probe, limits, size_bytes=post.size_bytes, caps=platform.CAPS, fits=fits)
    if not found:
        await posts.set_draft(draft)
        return True
    because = "; ".join(one.what for one in found)
    refusal = Reject(because, mend="; ".join(dict.fromkeys(one.mend for one in found)))
    if rendered is None or rendered["item_id"] != request.item_id:
        raise refusal
    if post.rendered_again is not None:
        if rendered["plan_id"] == post.rendered_again:
            raise refusal
        # The old file came again, the new one is under way.
        await posts.set_state("waiting", because=_again(platform.NAME, because), next_action=WHEN_RENDERED)
        return False
    plan = mended(msgspec.convert(rendered["plan"], Plan), found)
    if plan is None:
        raise refusal
    because = _again(platform.NAME, because)
    async with work.commit() as tx:
        await tx.conn.execute(Q["ask_anew"], post.post_id, because, WHEN_RENDERED, plan_id(plan), work.now)
        tx.emit(
            RenderRequested(
                item_id=request.item_id,
                plan=plan,
                title=request.title,
                description=request.description,
                hashtags=request.hashtags,
                synthetic=request.synthetic,
                destination=request.destination,
                language=request.language,
            )
        )
    work.log.info("post.rendered_again", post_id=post.post_id, because=because)
    return False


def _again(platform: str, because: str) -> str:
    return f"it is rendered again for {platform}: {because}"


async def _probe(services: Services, post: Post, rendered: Record | None, sha256: str) -> Probe:
    """Return what is known of the file, or look at it. Raises: Reject if it is no usable video."""
    if post.draft.probe is not None:
        return post.draft.probe
    if rendered is not None and rendered["rendition"] is not None:
        plan = msgspec.convert(rendered["plan"], Plan)
        return probe_of_rendition(msgspec.convert(rendered["rendition"], Rendition), plan.output)
    known = await services.db.fetchval(Q["probed"], sha256)
    if known is not None:
        return msgspec.convert(known, Probe)
    async with services.objects.local(post.object_key) as file:
        probe = await probe_file(file)
    await services.db.execute(Q["put_probe"], sha256, probe, services.clock.now())
    return probe
