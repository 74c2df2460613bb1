"""What an adapter tells of an upload, stored before the request that it speaks of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from actors.publisher.posts import Posts, Session
from actors.runtime.clock import Clock
from contracts.platform import UploadCheckpoint

__all__ = ["PROGRESS_EVERY", "SessionJournal"]

PROGRESS_EVERY: Final = timedelta(seconds=1)


class SessionJournal:
    """A `contracts.platform.Journal` kept in the post's row. tell: awaited with the bytes sent, once a second."""

    def __init__(self, posts: Posts, session: Session, clock: Clock, *, tell: Callable[[int], Awaitable[None]]) -> None:
        self.session = session
        self._posts = posts
        self._clock = clock
        self._tell = tell
        self._began_at_byte = session.checkpoint.confirmed_bytes
        self._sent_to = session.checkpoint.confirmed_bytes
        self._noted_at = clock.now()

    @property
    def may_exist(self) -> bool:
        return self.session.may_exist

    @property
    def advanced(self) -> bool:
        """Whether the platform confirmed bytes that it had not when this run began."""
        return self.session.checkpoint.confirmed_bytes > self._began_at_byte

    async def sending(self, end: int) -> None:
        """Note that every byte before this request was confirmed, at most once a second."""
        begins_anew = self.session.refused_at is not None
        checkpoint = replace(self.session.checkpoint, confirmed_bytes=self._sent_to)
        self.session = replace(self.session, checkpoint=checkpoint, refused_at=None, told=False, working_since=None)
        self._sent_to = end
        now = self._clock.now()
        if begins_anew or now - self._noted_at >= PROGRESS_EVERY:
            self._noted_at = now
            await self.store()
            await self._tell(checkpoint.confirmed_bytes)

    async def keep(self, checkpoint: UploadCheckpoint) -> None:
        opened_at = checkpoint.opened_at or self.session.checkpoint.opened_at
        self.session = replace(self.session, checkpoint=replace(checkpoint, opened_at=opened_at))
        self._sent_to = checkpoint.confirmed_bytes
        await self.store()

    async def committing(self) -> None:
        """Note that the next request may make the post. Always written: the fence is checked before it leaves."""
        self.session = replace(self.session, may_exist=True, unanswered=self.session.unanswered + 1)
        await self.store()

    async def refused(self) -> None:
        """Note that the last such request made no post. An earlier one whose answer was lost may have."""
        left = max(self.session.unanswered - 1, 0)
        self.session = replace(self.session, may_exist=left > 0, unanswered=left)
        await self.store()

    async def store(self) -> None:
        await self._posts.update_session(self.session)
