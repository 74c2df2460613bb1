"""From an event to the draft of a post. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from actors.publisher.caption import make_caption
from actors.runtime.links import marker_of
from contracts.events import PostRequested, RenderCompleted
from contracts.ids import post_id
from contracts.platform import Draft, Limits
from contracts.rights import attribution_text

__all__ = ["as_request", "fresh", "make_draft", "privacy_note"]

TAG_OVERHEAD_CHARS: Final = 3
"""A comma and two quotation marks: the most that any platform counts for a tag beside its own characters."""


def as_request(event: RenderCompleted | PostRequested) -> PostRequested | None:
    """Return what is asked for, in one form; None: the video is kept and posted nowhere."""
    if isinstance(event, PostRequested):
        return event
    if event.destination is None:
        return None
    return PostRequested(
        event_id=event.event_id,
        occurred_at=event.occurred_at,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        item_id=event.item_id,
        key=event.rendition.key,
        rights=event.rights,
        destination=event.destination,
        title=event.title,
        description=event.description,
        hashtags=event.hashtags,
        synthetic=event.synthetic,
        language=event.language,
    )


def make_draft(request: PostRequested, *, limits: Limits, now: datetime) -> Draft:
    """Write the draft: title and tags cut to the platform's limits, attribution kept whole.

    What asked to be public is private until its time, which the platform keeps; a time in the past means public at
    once. Whatever else was asked for stays so: no platform keeps the time of such a post.
    """
    destination = request.destination
    marker = marker_of(post_id(request.item_id, destination.platform, destination.account_id))
    privacy, publish_at = destination.privacy, destination.publish_at
    if privacy != "public" or (publish_at is not None and publish_at <= now):
        publish_at = None
    elif publish_at is not None:
        privacy = "private"
    title = " ".join((request.title or request.rights.title).split())
    tags = _fit_tags(request.hashtags, limits.tags_chars, reserved=len(marker))
    words = make_caption(
        title=title,
        description=request.description,
        credit=attribution_text(request.rights),
        hashtags=tuple(tag.replace(" ", "") for tag in tags),
        limits=limits,
    )
    return Draft(
        marker=marker,
        title=_cut(title, limits.title_chars),
        description=_describe(request, limits.description_bytes),
        tags=tags if limits.max_hashtags is None else tags[: limits.max_hashtags],
        caption=words or "",
        paid=destination.paid,
        own_brand=destination.own_brand,
        for_children=destination.for_children,
        thumbnail=request.thumbnail_key,
        subtitles=request.subtitles_key,
        language=request.language,
        options=destination.options,
        privacy=privacy,
        publish_at=publish_at,
        synthetic=request.synthetic,
    )


def privacy_note(draft: Draft, told: str | None) -> str:
    """Say how the privacy differs from what was asked; empty: it does not, or the platform did not tell."""
    if told is None or told == draft.privacy:
        return ""
    text = f"it was asked to be {draft.privacy} and the platform made it {told}"
    if told == "private":
        text += ": uploads of API projects without the platform's audit are locked private"
    return text


def _describe(request: PostRequested, limit_bytes: int | None) -> str:
    """Return the description with the attribution that the licence asks for, which is never cut."""
    text = request.description.strip()
    credit = attribution_text(request.rights)
    whole = text if not credit or credit in text else f"{text}\n\n{credit}".strip()
    if limit_bytes is None or len(whole.encode()) <= limit_bytes:
        return whole
    ending = f"…\n\n{credit}" if credit else "…"
    room = limit_bytes - len(ending.encode())
    kept = text.replace(credit, "").strip() if credit else text
    return kept.encode()[: max(room, 0)].decode(errors="ignore").rstrip() + ending


def _cut(text: str, limit_chars: int | None) -> str:
    """Cut at a word if that keeps more than half, and mark the cut."""
    if limit_chars is None or len(text) <= limit_chars:
        return text
    kept = text[: limit_chars - 1]
    words = kept.rsplit(" ", 1)[0]
    return (words if len(words) > limit_chars // 2 else kept).rstrip(" ,;:.-") + "…"


def _fit_tags(hashtags: tuple[str, ...], limit_chars: int | None, *, reserved: int) -> tuple[str, ...]:
    cleaned = (" ".join(tag.replace(",", " ").lstrip("#").split()) for tag in hashtags)
    tags = [tag for tag in dict.fromkeys(cleaned) if tag and "<" not in tag and ">" not in tag]
    if limit_chars is None:
        return tuple(tags)
    left = limit_chars - reserved
    fitting = []
    for tag in tags:
        if len(tag) + TAG_OVERHEAD_CHARS <= left:
            fitting.append(tag)
            left -= len(tag) + TAG_OVERHEAD_CHARS
    return tuple(fitting)


def fresh(request: PostRequested) -> PostRequested:
    """Return the request without the identity of the event that carried it, to be asked for again."""
    blank = PostRequested(
        item_id=request.item_id, key=request.key, rights=request.rights, destination=request.destination
    )
    return msgspec.structs.replace(
        request,
        event_id=blank.event_id,
        occurred_at=blank.occurred_at,
        correlation_id=blank.correlation_id,
        causation_id=blank.causation_id,
    )
