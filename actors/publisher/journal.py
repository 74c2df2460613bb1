"""What an adapter tells of an upload, stored before the request that it speaks of."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from actors.publisher.posts import Posts, Session
from actors.runtime.clock import Clock
from contracts.platform import UploadCheckpoint

__all__ = ["PROGRESS_EVERY", "SessionJournal"]

PROGRESS_EVERY: Final = timedelta(seconds=1)


class SessionJournal:
    """A `contracts.platform.Journal` kept in the post's row. steps: how often something was confirmed."""

    def __init__(self, posts: Posts, session: Session, clock: Clock) -> None:
        self.session = session
        self.steps = 0
        self._posts = posts
        self._clock = clock
        self._sent_to = 0
        self._noted_at = clock.now()

    @property
    def may_exist(self) -> bool:
        return self.session.may_exist

    async def sending(self, end: int) -> None:
        """Note that every byte before this request was confirmed, at most once a second."""
        self.steps += 1
        begins_anew = self.session.refused_at is not None
        checkpoint = msgspec.structs.replace(self.session.checkpoint, confirmed_bytes=self._sent_to)
        self.session = msgspec.structs.replace(self.session, checkpoint=checkpoint, refused_at=None)
        self._sent_to = end
        now = self._clock.now()
        if begins_anew or now - self._noted_at >= PROGRESS_EVERY:
            self._noted_at = now
            await self._store()

    async def keep(self, checkpoint: UploadCheckpoint) -> None:
        self.steps += 1
        checkpoint = msgspec.structs.replace(
            checkpoint, opened_at=checkpoint.opened_at or self.session.checkpoint.opened_at
        )
        self.session = msgspec.structs.replace(self.session, checkpoint=checkpoint)
        await self._store()

    async def committing(self) -> None:
        if not self.session.may_exist:
            self.session = msgspec.structs.replace(self.session, may_exist=True)
            await self._store()

    async def refused(self) -> None:
        self.session = msgspec.structs.replace(self.session, may_exist=False)
        await self._store()

    async def _store(self) -> None:
        await self._posts.update_session(self.session)
