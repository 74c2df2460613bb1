"""What is done when an upload ended and nobody said how: ask, wait, tell a person; never send on a guess."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from actors.publisher.posts import Post, Posts, Session
from actors.runtime.log import get_logger
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Publishes, RemotePost

__all__ = ["CERTAIN_AFTER", "LISTING_DELAY", "PATIENCE", "SLOW_POLL", "Doubt"]

FIRST_ASK: Final = timedelta(seconds=15)
LISTING_DELAY: Final = timedelta(minutes=10)
"""How long a finished upload may take to appear among the own uploads before a person is told."""
CERTAIN_AFTER: Final = timedelta(hours=24)
"""A video that is not listed this long after its session ended is held to be not there."""
PATIENCE: Final = timedelta(hours=3)
"""How long a platform may work on an upload before a person is told. The slowest states (YouTube, TikTok) are done in
minutes, in an hour for long videos; what takes longer is stuck more often than slow."""
ANEW_AFTER_S: Final = (1.0, 60.0, 600.0, 3_600.0, 21_600.0)
"""How long until a file is sent anew whose upload made no post, by how often it was sent. Then a person has to look."""
SLOW_POLL: Final = timedelta(minutes=30)
"""How often it is asked after that."""


class Doubt:
    """The questions about one post whose outcome is not known."""

    def __init__(self, adapter: Publishes, posts: Posts, *, now: datetime) -> None:
        self._adapter = adapter
        self._posts = posts
        self._now = now

    @staticmethod
    def ask_a_person(post: Post) -> str:
        """Return what a person can do."""
        settle = f"ettametta posts settle {post.post_id}"
        return f"look for '{post.draft.title}' there, then: {settle} --url ADDRESS, or: {settle} --absent"

    async def still_working(self, post: Post, session: Session, waits: Snooze) -> Snooze:
        """Note that the platform works on the upload; return the wait. After `PATIENCE` a person is told.

        It is asked on, however long that takes, and never sent again.
        """
        since = session.working_since or self._now
        took = self._now - since
        stuck = took >= PATIENCE
        if session.working_since is None or stuck != session.told:
            session = replace(session, working_since=since, told=stuck)
            await self._posts.update_session(session)
        if not stuck:
            await self._posts.set_state("processing", because=str(waits), next_action="none: it goes on by itself")
            return waits
        hours = took.total_seconds() / 3600
        because = f"{waits}; so since {since:%Y-%m-%d %H:%M} UTC, {hours:.0f} h, which is longer than it ever takes"
        await self._posts.set_state(
            "unconfirmed", because=because, next_action=f"none: it is asked on; or {self.ask_a_person(post)}"
        )
        get_logger().warning("post.stuck", post_id=post.post_id, because=because)
        return Snooze(because, delay_s=max(waits.delay_s, SLOW_POLL.total_seconds()))

    async def resolve(self, post: Post, account: AccountId, session: Session, ended: str) -> RemotePost:
        """The upload goes no further: return the post that it made, if it made one.

        Raises: Retry (it made none and is forgotten: a new one is safe), Reject (so many made none that another is not
        worth its bytes), Snooze (too early to tell), Unconfirmed (a person is told; never silently tried again).
        """
        now = self._now
        if session.refused_at is None:
            session = replace(session, refused_at=now)
            await self._posts.update_session(session)
        since = now - (session.refused_at or now)
        found, why = await self._found(post, account, session)
        if found is not None:
            return found
        absent = why is None
        if not session.may_exist or (absent and session.told and since >= CERTAIN_AFTER):
            await self._posts.drop_session(f"{ended}, and it made no post")
            uploads = (await self._posts.read()).uploads
            if uploads > len(ANEW_AFTER_S):
                raise Reject(
                    f"{ended}, and it made no post; it was sent {uploads} times",
                    mend=f"Look into the account at {post.platform}, then retry its dead letter: ettametta dead list",
                )
            delay_s = ANEW_AFTER_S[max(uploads, 1) - 1]
            raise Retry(f"{ended}, and it made no post: a new upload begins", delay_s=delay_s)
        text = f"{ended} after everything was sent, and {why or 'no post there is it'}"
        action = self.ask_a_person(post)
        if absent:
            anew = now - since + CERTAIN_AFTER
            action += f"; or retry its dead letter after {anew:%Y-%m-%d %H:%M} UTC: it uploads anew if there is none"
        await self._posts.set_state("unconfirmed", because=text, next_action=action)
        if since < LISTING_DELAY and not session.told:
            raise Snooze(f"{text}: it is asked again", delay_s=max(since, FIRST_ASK).total_seconds())
        await self._posts.update_session(replace(session, told=True))
        raise Unconfirmed(f"'{post.draft.title}' may or may not be on {post.platform}: {text}")

    async def _found(self, post: Post, account: AccountId, session: Session) -> tuple[RemotePost | None, str | None]:
        """Return the post, or why the platform does not tell; neither: it says that there is none."""
        try:
            found = await self._adapter.find(account, post.draft, session.checkpoint)
        except Unconfirmed as unclear:
            return None, unclear.what
        except Reject as error:
            return None, f"the platform does not tell: {error.reason}"
        if found is None:
            return None, None
        if other := await self._posts.owner(post.platform, found.platform_post_id):
            return None, f"the one post there like it is that of {other}"
        return found, None
