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
from contracts.platform import RemotePost

__all__ = ["DRESSED_WITHIN", "dressed", "wants_dress"]

DRESSED_WITHIN: Final = timedelta(hours=1)
"""How long adding to a post is tried before it is told as published without."""


def wants_dress(post: Post) -> bool:
    """Whether something is to be added to the post once it stands."""
    wanted = post.draft.thumbnail is not None or post.draft.subtitles is not None
    return wanted and platforms.module(post.platform).CAPS.dresses


async def dressed(
    adapter: Any, services: Services, account: AccountId, post: Post, remote: RemotePost, *, now: datetime
) -> str:
    """Add what is wanted; return what the post goes without and why, empty: nothing.

    Raises: Retry, RateLimited while there is time. Whatever fails here, the post stands.
    """
    draft = post.draft
    wanted = [name for name, key in (("thumbnail", draft.thumbnail), ("subtitles", draft.subtitles)) if key]
    if not wanted:
        return ""
    without = f"it is there without its {' and '.join(wanted)}"
    if not wants_dress(post):
        return f"{without}: {post.platform} takes none"
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
        if begun_at is None or now - begun_at < DRESSED_WITHIN:
            raise
        return f"{without}: {error}"
