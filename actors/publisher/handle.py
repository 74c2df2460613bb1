"""Publish one post exactly once, or fail clearly. docs/exactly-once.md has the reasoning.

Each step is recorded before the next one is made: intent, session, bytes, outcome. Whatever cut the work short, the
row says where to go on.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from actors import platforms
from actors.publisher.draft import as_request, make_draft, privacy_note
from actors.publisher.journal import SessionJournal
from actors.publisher.posts import Post, Posts, Q, Session
from actors.runtime.db import into
from actors.runtime.killpoint import reach
from actors.runtime.oauth import OAuthClient
from actors.runtime.work import Services, Work
from contracts.changes import rights_of
from contracts.errors import AuthExpired, RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.events import PostPublished, PostRequested, RenderCompleted
from contracts.ids import AccountId, post_id
from contracts.plan import Plan
from contracts.platform import Publishes, RemotePost
from contracts.rights import RightsRecord, may_all, outlet_of, uses_of, works_in

__all__ = ["handle"]

FIRST_ASK: Final = timedelta(seconds=15)
LISTING_DELAY: Final = timedelta(minutes=10)
"""How long a finished upload may take to appear among the own uploads before a person is told."""
CERTAIN_AFTER: Final = timedelta(hours=24)
"""A video that is not listed this long after its session ended is held to be not there."""

Asked = RenderCompleted | PostRequested


async def handle(work: Work[RenderCompleted] | Work[PostRequested], services: Services) -> None:
    """Take a finished video to its platform.

    Raises: Reject, Retry, RateLimited, Snooze, Unconfirmed, LeaseLost.
    """
    request = as_request(work.event)
    if request is None:
        return
    platform = platforms.module(request.destination.platform)
    if not platform.CAPS.publish:
        raise Reject(f"{platform.NAME} cannot be posted to", mend="Choose another destination")
    size_bytes = await services.objects.size(request.key)
    if size_bytes is None:
        raise Reject(f"there is no stored video {request.key}", mend="Render or upload it again")
    request = msgspec.structs.replace(request, rights=await _known_rights(request, services))
    name = post_id(request.item_id, request.destination.platform)
    async with work.lease(f"post:{name}") as lease:
        posts = Posts(services, lease, name)
        draft = make_draft(request, limits=platform.LIMITS, now=work.now)
        post = await posts.intend(request, draft, size_bytes=size_bytes)
        if post.state == "published":
            work.log.info("post.already_published", post_id=post.post_id, url=post.url)
            return
        try:
            await _Posting(work, services, posts, request).run(post)
        except Reject as error:
            await posts.set_state("failed", because=error.reason, next_action=error.mend)
            raise
        except RateLimited as error:
            await posts.explain(
                str(error), next_action=f"none: it goes on by itself at {error.until:%Y-%m-%d %H:%M} UTC"
            )
            raise
        except Retry as error:
            await posts.explain(str(error), next_action="none: it is tried again by itself")
            raise


async def _known_rights(request: PostRequested, services: Services) -> RightsRecord:
    """Return the rights of a request, with what else is known here of the works in its file.

    Whoever asks for a post states its rights. The file may have been made here, or be a source that was fetched here;
    then the records that it was made or fetched under count too.
    """
    replace = msgspec.structs.replace
    sha256 = Path(request.key).stem  # every stored video is named by its content, whatever folder it lies in
    rows = await services.db.fetch(Q["fetched_as"], sha256)
    known = [replace(into(RightsRecord, row["rights"]), changes=()) for row in rows]
    plan = await services.db.fetchval(Q["rendered_from"], sha256)
    if plan is not None:
        known += works_in(rights_of(msgspec.convert(plan, Plan)))
    stated = {_work(one) for one in works_in(request.rights)}
    more = (replace(one, parts=()) for one in known if _work(one) not in stated)
    return replace(request.rights, changes=request.rights.changes or (), parts=(*request.rights.parts, *more))


def _work(record: RightsRecord) -> tuple[object, ...]:
    """Return what tells one statement of rights from another, whatever was made of the work since."""
    return tuple(
        getattr(record, name)
        for name in record.__struct_fields__
        if name not in {"changes", "parts", "earlier", "proof_key", "replaces", "read_at", "attested_at"}
    )


class _Posting:
    """The steps of one delivery."""

    def __init__(
        self,
        work: Work[RenderCompleted] | Work[PostRequested],
        services: Services,
        posts: Posts,
        request: PostRequested,
    ) -> None:
        self._work = work
        self._services = services
        self._posts = posts
        self._request = request
        self._adapter: Publishes = platforms.build(request.destination.platform, services)

    async def run(self, post: Post) -> None:
        reach("publisher.intent_stored")
        if post.session is None or not self._posts.open(post.session).may_exist:
            self._check_rights()
        post, account = await self._posts.claim(self._request, post)
        if account is None:
            await self._wait(post, f"no {post.platform} account is connected")
            return
        try:
            remote = await self._publish(post, account.account_id)
        except AuthExpired as expired:
            await self._wait(post, f"the account must be connected again: {expired.reason}")
            return
        await self._finish(post, account.account_id, remote)

    def _check_rights(self) -> None:
        uses = uses_of(monetised=self._services.settings.monetised)
        limits = platforms.module(self._request.destination.platform).LIMITS
        to = outlet_of(self._request.destination, text_bytes=limits.description_bytes)
        verdict = may_all(uses, self._request.rights, at=self._work.now, to=to)
        if not verdict.allowed:
            raise Reject(f"it may not be posted: {verdict.because}", mend="Record the right to use it, or drop it")

    async def _publish(self, post: Post, account: AccountId) -> RemotePost:
        """Open a session, or go on with the one that is stored, until the platform has the video."""
        if post.session is not None:
            session = self._posts.open(post.session)
        else:
            checkpoint = await self._adapter.open_session(account, post.draft, size_bytes=post.size_bytes)
            reach("publisher.session_opened")
            checkpoint = msgspec.structs.replace(checkpoint, opened_at=checkpoint.opened_at or self._work.now)
            session = Session(checkpoint=checkpoint)
            await self._posts.store_session(session)
            reach("publisher.session_stored")
        async with self._services.objects.local(post.object_key) as file:
            remote = await self._send(post, account, session, file)
        reach("publisher.uploaded")
        return remote

    async def _send(self, post: Post, account: AccountId, session: Session, file: Path) -> RemotePost:
        journal = SessionJournal(self._posts, session, self._services.clock)
        try:
            return await self._adapter.send(account, post.draft, session.checkpoint, file, journal)
        except Snooze as waits:
            await self._posts.set_state("processing", because=str(waits), next_action="none: it goes on by itself")
            raise
        except Unconfirmed as gone:
            return await self._reconcile(post, account, journal.session, gone.what)
        except Reject as error:
            if session.refused_at is not None:  # a person had it tried again, and the session is still of no use
                return await self._reconcile(post, account, journal.session, f"the upload was refused ({error.reason})")
            await self._posts.update_session(msgspec.structs.replace(journal.session, refused_at=self._work.now))
            raise
        except Retry as error:
            if journal.steps > 1:  # something was confirmed on the way: that is progress, not a failed attempt
                await self._posts.explain(str(error), next_action="none: it goes on by itself")
                raise Snooze(str(error), delay_s=error.delay_s or 1.0) from error
            raise

    async def _reconcile(self, post: Post, account: AccountId, session: Session, refused: str) -> RemotePost:
        """The session takes no more bytes: return the video that it made, if it made one.

        Raises: Retry (it made none and is forgotten: a new one is safe), Snooze (too early to tell),
        Unconfirmed (a person is told; never silently tried again).
        """
        now = self._work.now
        if session.refused_at is None:
            session = msgspec.structs.replace(session, refused_at=now)
            await self._posts.update_session(session)
        since = now - (session.refused_at or now)
        why = "no listed video carries its marker"
        try:
            found = await self._adapter.find(account, post.draft, session.checkpoint)
        except Unconfirmed as unclear:
            found, why = None, unclear.what
        if found is not None:
            return found
        if not session.may_exist or (session.told and since >= CERTAIN_AFTER):
            await self._posts.drop_session(f"{refused}, and it made no video")
            raise Retry(f"{refused}, and it made no video: a new upload begins", delay_s=1.0)
        text = f"{refused} after the last byte was sent, and {why}"
        anew = now - since + CERTAIN_AFTER
        await self._posts.set_state(
            "unconfirmed",
            because=text,
            next_action=(
                f"look for '{post.draft.title}' on the channel, then retry the dead letter: it asks again, "
                f"and from {anew:%Y-%m-%d %H:%M} UTC on it uploads anew if there is none"
            ),
        )
        if since < LISTING_DELAY and not session.told:
            raise Snooze(f"{text}: it is asked again", delay_s=max(since, FIRST_ASK).total_seconds())
        await self._posts.update_session(msgspec.structs.replace(session, told=True))
        raise Unconfirmed(f"'{post.draft.title}' may or may not be on {post.platform}: {text}")

    async def _wait(self, post: Post, because: str) -> None:
        """Finish the event and leave the post waiting; a connected account makes it go on.

        Raises: Snooze if an account was connected in the meantime.
        """
        oauth = getattr(platforms.module(post.platform), "OAUTH", None)
        name = oauth.name if isinstance(oauth, OAuthClient) else post.platform
        action = f"connect an account at {self._services.settings.public_url.rstrip('/')}/connect/{name}"
        wanted = self._request.destination.account_id
        async with self._work.commit() as tx:
            await tx.conn.execute(Q["serialise_waiting"], post.platform)
            if await self._posts.account(tx.conn, self._request, post) is not None:
                raise Snooze("an account was connected in the meantime", delay_s=1.0)
            await tx.conn.execute(Q["set_waiting"], post.post_id, because, action, wanted, self._work.now)
        self._work.log.warning("post.waiting", post_id=post.post_id, because=because)

    async def _finish(self, post: Post, account: AccountId, remote: RemotePost) -> None:
        now = self._work.now
        note = privacy_note(post.draft, remote.privacy)
        async with self._work.commit() as tx:
            await tx.conn.execute(
                Q["set_published"], post.post_id, remote.platform_post_id, remote.url, remote.privacy, note, now
            )
            tx.emit(
                PostPublished(
                    item_id=post.item_id,
                    post_id=post.post_id,
                    platform=post.platform,
                    account_id=account,
                    platform_post_id=remote.platform_post_id,
                    url=remote.url,
                    privacy=remote.privacy,
                    published_at=now,
                )
            )
        self._work.log.info("post.published", post_id=post.post_id, url=remote.url, note=note)
