"""Thumbnail and subtitles, for a post that stands."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Final

from actors import platforms
from actors.publisher.posts import Post, Q
from actors.runtime.work import Services
from contracts.errors import AuthExpired, RateLimited, Reject, Retry, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, RemotePost

__all__ = ["DRESSED_WITHIN", "additions", "by_hand", "dressed", "wants_dress"]

DRESSED_WITHIN: Final = timedelta(hours=1)
"""How long adding to a post is tried before it is told as published without."""


def additions(draft: Draft) -> tuple[str, ...]:
    """Name what is to be added to a post."""
    return tuple(name for name, key in (("thumbnail", draft.thumbnail), ("subtitles", draft.subtitles)) if key)


def wants_dress(post: Post) -> bool:
    """Whether something is to be added to the post once it stands."""
    return bool(additions(post.draft)) and platforms.module(post.platform).CAPS.dresses


def by_hand(remote: RemotePost, undressed: str) -> str:
    """Return what a person can do for a post that stands without something, for it is added once; empty: nothing."""
    return f"add what is missing by hand, if the platform lets you: {remote.url}" if undressed else ""


def _gone_without(draft: Draft, platform: str) -> str:
    """Return what a platform that adds nothing later did not take with the video, and why."""
    wanted = additions(draft)
    if not platforms.module(platform).CAPS.captions:
        return f"it is there without its {' and '.join(wanted)}: {platform} takes none"
    told = [f"it is there without its {name}: {platform} takes none" for name in wanted if name != "subtitles"]
    if draft.subtitles is not None and draft.language is None:
        told.append("it is there without its subtitles: their language is not known")
    return "; ".join(told)


async def dressed(
    adapter: Any, services: Services, account: AccountId, post: Post, remote: RemotePost, *, now: datetime
) -> str:
    """Add what is wanted; return what the post goes without and why, empty: nothing.

    Raises: Retry, RateLimited while there is time. Whatever fails here, the post stands.
    """
    draft = post.draft
    wanted = additions(draft)
    if not wanted:
        return ""
    if not wants_dress(post):
        return _gone_without(draft, post.platform)
    without = f"it is there without its {' and '.join(wanted)}"
    try:
        async with AsyncExitStack() as files:
            paths = {
                name: None if key is None else await files.enter_async_context(services.objects.local(key))
                for name, key in (("thumbnail", draft.thumbnail), ("subtitles", draft.subtitles))
            }
            return str(await adapter.dress(account, draft, remote, **paths))
    except (Reject, Unconfirmed, AuthExpired) as error:
        return f"{without}: {error}"
    except (Retry, RateLimited) as error:
        begun_at = await services.db.fetchval(Q["landed_at"], post.post_id)
        next_at = max(now, error.until) if isinstance(error, RateLimited) else now
        if next_at - (begun_at or now) < DRESSED_WITHIN:
            raise
        return f"{without}: {error}"
