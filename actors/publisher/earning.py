"""Links that earn are put into a post by rule, never without the words that disclose them."""

from __future__ import annotations

from msgspec.structs import replace

from actors.publisher.caption import make_caption
from actors.publisher.posts import Q
from actors.runtime.links import disclosed, links_for, load_links, marker_of
from actors.runtime.log import get_logger
from actors.runtime.work import Services
from contracts.events import PostRequested
from contracts.ids import PostId
from contracts.platform import Limits
from contracts.rights import attribution_text

__all__ = ["with_links"]


async def with_links(request: PostRequested, post: PostId, services: Services, *, limits: Limits) -> PostRequested:
    """Return the request with the links of its niche and platform in its text, said to be paid where there are any.

    Done again, it changes nothing. The credit and the disclosure both stay whole; links that do not fit stay out.
    """
    platform = request.destination.platform
    links = await load_links(services.db)
    if not links:
        return request
    niche = await services.db.fetchval(Q["niche_of"], request.item_id)
    credit = attribution_text(request.rights)
    title = " ".join((request.title or request.rights.title).split())

    def fits(text: str) -> bool:
        whole = text if not credit or credit in text else f"{text}\n\n{credit}"
        if limits.description_bytes is not None and len(whole.encode()) > limits.description_bytes:
            return False
        caption = make_caption(title=title, description=text, credit=credit, hashtags=(), limits=limits)
        words = (text.replace(credit, "") if credit else text).strip()
        return limits.caption is None or words in (caption or "")

    found = disclosed(
        request.description,
        links_for(links, niche=niche, platform=platform),
        platform=platform,
        marker=marker_of(post),
        fits=fits,
    )
    if found.left_out:
        get_logger().warning("post.links_left_out", post_id=post, because=found.left_out)
    if found.text == request.description and not found.disclosed:
        return request
    destination = replace(request.destination, paid=request.destination.paid or found.disclosed)
    return replace(request, description=found.text, destination=destination)
