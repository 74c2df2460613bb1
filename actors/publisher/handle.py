"""Publish one post exactly once, or fail clearly. docs/exactly-once.md has the reasoning.

Each step is recorded before the next one is made: intent, session, bytes, outcome. Whatever cut the work short, the
row says where to go on.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from actors import platforms
from actors.publisher.doubt import Doubt
from actors.publisher.draft import as_request, make_draft, privacy_note
from actors.publisher.dress import additions, by_hand, dressed, wants_dress
from actors.publisher.earning import with_links
from actors.publisher.fit import fit
from actors.publisher.journal import SessionJournal
from actors.publisher.permitted import known_rights, require
from actors.publisher.posts import Account, Held, Post, Posts, Q, Session
from actors.publisher.schedule import place
from actors.runtime import slots
from actors.runtime.db import DRIVER_ERRORS, is_unavailable
from actors.runtime.killpoint import reach
from actors.runtime.oauth import OAuthClient
from actors.runtime.work import Services, Work
from contracts.errors import AuthExpired, EttamettaError, LeaseLost, RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.events import PostProgressed, PostPublished, PostRequested, RenderCompleted
from contracts.ids import AccountId, post_id
from contracts.platform import Publishes, RemotePost

__all__ = ["handle"]

BY_ITSELF: Final = "none: it is tried again by itself for about a day, then see: ettametta dead list"
A_BUG: Final = "none while it is tried again by itself; then its dead letter has the trace: ettametta dead list"

ADDRESS_LIFE_S: Final = 21_600
"""How long a platform may fetch the file from its store: longer than any waits in its queue."""


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
    name = post_id(request.item_id, platform.NAME, request.destination.account_id)
    known = await services.db.fetchval(Q["state_of"], name)
    if size_bytes is None and known is None:
        raise _not_stored(request)
    request = replace(request, rights=await known_rights(request, services))
    request = await with_links(request, name, services, limits=platform.LIMITS)
    async with work.lease(f"post:{name}") as lease:
        posts = Posts(services, lease, name)
        if isinstance(work.event, RenderCompleted):  # which carries no thumbnail and no subtitles
            request = await posts.dress(request)
        draft = make_draft(request, limits=platform.LIMITS, now=work.now)
        post = await posts.intend(request, draft, size_bytes=size_bytes or 0)
        if _is_over(work, post, request):
            return
        try:
            _require_stored(request, post, size_bytes)
            await _Posting(work, services, posts, request).run(post)
        except Reject as error:
            await _fail(posts, error)
            await slots.release(services.db, request.item_id, request.destination)
            raise
        except RateLimited as error:
            await posts.explain(
                str(error), next_action=f"none: it goes on by itself at {error.until:%Y-%m-%d %H:%M} UTC"
            )
            raise
        except Retry as error:
            await posts.explain(str(error), next_action=BY_ITSELF)
            raise
        except EttamettaError:
            raise
        except Exception as error:
            if not is_unavailable(error):
                with suppress(LeaseLost, *DRIVER_ERRORS):  # what went wrong first is told, whatever comes of this
                    await posts.explain(f"a fault of the program: {type(error).__name__}", next_action=A_BUG)
            raise


def _not_stored(request: PostRequested) -> Reject:
    return Reject(f"there is no stored video {request.key}", mend="Render or upload it again")


def _require_stored(request: PostRequested, post: Post, size_bytes: int | None) -> None:
    if size_bytes is None and post.session is None:
        raise _not_stored(request)


def _is_over(work: Work[RenderCompleted] | Work[PostRequested], post: Post, request: PostRequested) -> bool:
    """Whether nothing is to be done. Raises: Reject for another wish for a post that was taken down."""
    if post.state == "published":
        work.log.info("post.already_published", post_id=post.post_id, url=post.url)
        return True
    if post.outdates(request):
        work.log.info("post.outdated", post_id=post.post_id, asked_at=request.occurred_at, newer=post.correlation_id)
        return True
    if post.settled == "dropped" and post.correlation_id == work.event.correlation_id:
        work.log.info("post.dropped", post_id=post.post_id)
        return True
    if post.state == "removed":
        raise Reject(f"it was posted and taken down since ({post.because})", mend="Post another rendering of it")
    return False


async def _fail(posts: Posts, error: Reject) -> None:
    """Write down why it ended. What may be on the platform has not failed: its outcome is unknown."""
    post = await posts.read()
    if posts.may_exist(post):
        because = f"it may have been posted, and cannot go on: {error.reason}"
        await posts.set_state("unconfirmed", because=because, next_action=Doubt.ask_a_person(post))
    else:
        again = "mend that, then retry its dead letter: ettametta dead list"
        await posts.set_state("failed", because=error.reason, next_action=error.mend or again)


def _landed(post: Post) -> RemotePost | None:
    """Return the post that stands and waits for nothing but its additions."""
    if post.platform_post_id is None:
        return None
    return RemotePost(platform_post_id=post.platform_post_id, url=post.url or "", privacy=post.privacy)


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
        self._doubt = Doubt(self._adapter, posts, now=work.now)

    async def run(self, post: Post) -> None:
        reach("publisher.intent_stored")
        if not self._posts.may_exist(post):
            require(self._request, monetised=self._services.settings.monetised, at=self._work.now)
        post, account = await self._posts.claim(self._request, post)
        if isinstance(account, Held):
            if (there := _landed(post)) is None or post.account_id is None:
                await self._wait(post, account)
            else:
                without = " and ".join(additions(post.draft))
                await self._finish(
                    post, post.account_id, there, f"it is there without its {without}: {account.because}"
                )
            return
        if post.session is None and not await self._prepare(post, account.account_id):
            return
        post = await self._posts.read()
        try:
            remote = await self._publish(post, account.account_id)
            note = await dressed(self._adapter, self._services, account.account_id, post, remote, now=self._work.now)
        except AuthExpired as expired:
            post = await self._posts.read()
            await self._wait(post, Held(f"the account must be connected again: {expired.reason}"))
            return
        await self._finish(post, account.account_id, remote, note)

    async def _prepare(self, post: Post, account: AccountId) -> bool:
        """Do what comes before the first byte: find its time, look at the file, keep room among the posts of a day.

        False: it waits for something, which is written down. Raises: Reject, RateLimited.
        """
        placed = await place(self._work, self._posts, self._request, post, account)
        if placed is None:
            return False
        if placed.destination != self._request.destination:
            self._request = placed
            limits = platforms.module(post.platform).LIMITS
            draft = make_draft(placed, limits=limits, now=self._work.now)
            post = await self._posts.intend(placed, draft, size_bytes=post.size_bytes)
        if not await fit(self._work, self._services, self._posts, self._request, post):
            return False
        most = platforms.posts_per_day(post.platform, self._services.settings)
        item, destination = self._request.item_id, self._request.destination
        await slots.reserve(self._services.db, item, destination, most, account=account, now=self._work.now)
        return True

    async def _publish(self, post: Post, account: AccountId) -> RemotePost:
        """Open a session, or go on with the one that is stored, until the platform has the video."""
        if (there := _landed(post)) is not None:
            return there
        # The address is a secret: it is in no row.
        address = await self._services.objects.address(post.object_key, life_s=ADDRESS_LIFE_S)
        post = replace(post, draft=replace(post.draft, media_address=address))
        if post.session is not None:
            session = self._posts.open(post.session)
        else:
            checkpoint = await self._adapter.open_session(account, post.draft, size_bytes=post.size_bytes)
            reach("publisher.session_opened")
            checkpoint = replace(checkpoint, opened_at=checkpoint.opened_at or self._work.now)
            session = Session(checkpoint=checkpoint)
            await self._posts.store_session(session)
            reach("publisher.session_stored")
        async with self._services.objects.local(post.object_key) as file:
            remote = await self._send(post, account, session, file)
        reach("publisher.uploaded")
        if wants_dress(post):
            await self._posts.land(remote)
        return remote

    async def _send(self, post: Post, account: AccountId, session: Session, file: Path) -> RemotePost:
        async def tell(sent_bytes: int, state: str = "uploading") -> None:
            progress = PostProgressed(
                item_id=post.item_id,
                post_id=post.post_id,
                platform=post.platform,
                sent_bytes=min(sent_bytes, post.size_bytes),
                size_bytes=post.size_bytes,
                state=state,
            )
            await self._work.announce(progress)

        journal = SessionJournal(self._posts, session, self._services.clock, tell=tell)
        try:
            remote = await self._adapter.send(account, post.draft, session.checkpoint, file, journal)
        except Snooze as waits:
            await tell(post.size_bytes, "processing")
            raise await self._doubt.still_working(post, journal.session, waits) from waits
        except Unconfirmed as gone:
            return await self._doubt.resolve(post, account, journal.session, gone.what)
        except Reject as error:
            if journal.may_exist:
                return await self._doubt.resolve(post, account, journal.session, f"it was refused ({error.reason})")
            await self._posts.drop_session(error.reason)
            raise
        except Retry as error:
            if journal.advanced:  # bytes were confirmed on the way: that is progress, not a failed attempt
                await journal.store()
                await self._posts.explain(str(error), next_action="none: it goes on by itself")
                raise Snooze(str(error), delay_s=error.delay_s or 1.0) from error
            raise
        if other := await self._posts.owner(post.platform, remote.platform_post_id):
            return await self._doubt.resolve(
                post, account, journal.session, f"the platform named the post of {other} for it"
            )
        await tell(post.size_bytes, "processing")
        return remote

    async def _wait(self, post: Post, held: Held) -> None:
        """Finish the event and leave the post waiting; an account that is connected or resumed makes it go on.

        Raises: Snooze if that happened in the meantime.
        """
        oauth = getattr(platforms.module(post.platform), "OAUTH", None)
        name = oauth.name if isinstance(oauth, OAuthClient) else post.platform
        connect = f"connect an account at {self._services.settings.public_url.rstrip('/')}/connect/{name}"
        because = held.because
        if self._posts.may_exist(post):
            because = f"{because}; it may have been posted already, which is asked first"
        async with self._work.commit() as tx:
            await tx.conn.execute(Q["serialise_waiting"], post.platform)
            if isinstance(await self._posts.account(tx.conn, self._request, post), Account):
                raise Snooze("an account was connected in the meantime", delay_s=1.0)
            await tx.conn.execute(Q["set_waiting"], post.post_id, because, held.next_action or connect, self._work.now)
        self._work.log.warning("post.waiting", post_id=post.post_id, because=because)

    async def _finish(self, post: Post, account: AccountId, remote: RemotePost, undressed: str) -> None:
        now, shown_at = self._work.now, post.draft.publish_at
        note = "; ".join(part for part in (privacy_note(post.draft, remote.privacy), undressed) if part)
        async with self._work.commit() as tx:
            values = (remote.platform_post_id, remote.url, remote.privacy, note, now, by_hand(remote, undressed))
            published_at = await tx.conn.fetchval(Q["set_published"], post.post_id, *values)
            await slots.release(tx.conn, post.item_id, self._request.destination)
            tx.emit(
                PostPublished(
                    item_id=post.item_id,
                    post_id=post.post_id,
                    platform=post.platform,
                    account_id=account,
                    platform_post_id=remote.platform_post_id,
                    url=remote.url,
                    privacy=remote.privacy,
                    published_at=published_at,
                    shown_at=shown_at if shown_at is not None and shown_at > published_at else None,
                )
            )
        self._work.log.info("post.published", post_id=post.post_id, url=remote.url, note=note)
