"""Posts that begin as a container: Instagram's and Threads' way from a finished container to exactly one post.

Docs: developers.facebook.com/docs/instagram-platform/content-publishing, .../docs/threads/posts, read 2026-11-23.
One container makes at most one post, and tells by its status whether it has: that is asked before publishing again. The
id of a post whose answer was lost is found among the account's own by words and time.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.platforms._account import none_was_made
from actors.platforms._meta.account import GraphAccount, own_id
from actors.platforms._meta.graph import GraphRefused
from actors.platforms._meta.words import THREADS_WORDS, mend_of
from actors.platforms._posts import as_dict, as_list
from actors.platforms._text import clean, parse_moment
from actors.runtime.clock import Clock
from contracts.errors import RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, Journal, RemotePost, Standing, UploadCheckpoint

__all__ = ["Containers", "Shape", "State", "id_in", "words_of"]

SOON_S: Final = 15.0
LATER_S: Final = 60.0
USUALLY_DONE: Final = timedelta(minutes=2)
NO_SLOT: Final = timedelta(hours=1)
"""The quota is of any 24 hours, and the platform does not tell when the oldest post leaves them."""
SKEW: Final = timedelta(minutes=2)
PAGE: Final = 50
_SUBCODE: Final = re.compile(r"\b(2207\d{3})\b")


class Shape(Struct, frozen=True, kw_only=True):
    """Where the two platforms differ. Paths are below the account's own."""

    what: str
    container: str
    publish: str
    posts: str
    limit: str
    status: str
    because: str
    text: str
    usual_limit: int


class State(Struct, frozen=True, kw_only=True):
    """What a container tells of itself."""

    status: str
    because: str = ""
    told: dict[str, Any] = {}


def id_in(answer: dict[str, Any], *, what: str) -> str:
    """Return the id of an answer. Raises: Retry if there is none."""
    found = answer.get("id")
    if not isinstance(found, str | int) or not str(found):
        raise Retry(f"{what} answered without an id")
    return str(found)


def words_of(text: object) -> str:
    """Return what is left of a text where a platform may write it differently: composed, one kind of space."""
    return " ".join(unicodedata.normalize("NFC", text).split()) if isinstance(text, str) else ""


class Containers:
    """Containers of one platform's accounts."""

    def __init__(self, api: GraphAccount, shape: Shape, clock: Clock, *, site: str) -> None:
        self._api = api
        self._shape = shape
        self._clock = clock
        self._site = site

    async def check_quota(self, account: AccountId) -> None:
        """Ask how many posts are left. Raises: RateLimited if there are none."""
        path = f"/{own_id(account)}/{self._shape.limit}"
        answer = await self._api.get(account, path, params={"fields": "config,quota_usage"})
        told = as_dict(next(iter(as_list(answer.get("data"))), None))
        used, most = told.get("quota_usage"), as_dict(told.get("config")).get("quota_total")
        most = most if isinstance(most, int) and most > 0 else self._shape.usual_limit
        if isinstance(used, int) and used >= most:
            raise RateLimited(
                f"{self._shape.what}: all {most} posts that programs may make in 24 hours are made",
                until=self._clock.now() + NO_SLOT,
            )

    async def open(self, account: AccountId, form: dict[str, str]) -> dict[str, Any]:
        """Make a container, and return what the platform tells of it. No post comes of it alone."""
        return await self._api.post(account, f"/{own_id(account)}/{self._shape.container}", data=form)

    async def state(self, account: AccountId, container: str, *, more: str = "") -> State:
        """Ask how a container stands. Raises: GraphRefused (`gone`: there is none), Retry, RateLimited."""
        shape = self._shape
        fields = f"id,{shape.status},{shape.because}{f',{more}' if more else ''}"
        told = await self._api.get(account, f"/{container}", params={"fields": fields})
        status, because = told.get(shape.status), told.get(shape.because)
        if not isinstance(status, str):
            raise Retry(f"{shape.what} tells of a container without its status")
        words = clean(because, max_chars=300) if isinstance(because, str) else ""
        return State(status=status, because=words, told=told)

    async def known(self, account: AccountId, checkpoint: UploadCheckpoint, *, more: str = "") -> State:
        """Ask how an upload's container stands. Raises: Unconfirmed (there is none any more), Retry, RateLimited."""
        try:
            return await self.state(account, checkpoint.ids["container"], more=more)
        except GraphRefused as refused:
            if not refused.gone:
                raise
            raise Unconfirmed(f"{self._shape.what} no longer knows the container") from refused

    async def finish(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, journal: Journal, state: State
    ) -> RemotePost:
        """Publish the container, or learn that it is published, and return the post.

        Raises: Snooze (it is worked on), Unconfirmed (it is published and not listed, or it ended without a post),
        Reject, Retry, RateLimited, AuthExpired.
        """
        shape = self._shape
        if state.status == "PUBLISHED":
            if not journal.may_exist:  # it exists, whatever an answer said of it before
                await journal.committing()
            if (found := await self._listed(account, draft, checkpoint)) is not None:
                return found
            raise Unconfirmed(f"{shape.what} has published it and does not list it yet")
        if state.status == "FINISHED":
            form = {"creation_id": checkpoint.ids["container"]}
            path = f"/{own_id(account)}/{shape.publish}"
            post = id_in(await self._api.commit(account, path, form, journal), what=shape.what)
            ids = {**checkpoint.ids, "post": post}
            await journal.keep(msgspec.structs.replace(checkpoint, step="published", ids=ids))
            return await self.read(account, post)
        if state.status == "IN_PROGRESS":
            young = checkpoint.opened_at is None or self._clock.now() - checkpoint.opened_at < USUALLY_DONE
            raise Snooze(f"{shape.what} works on the video", delay_s=SOON_S if young else LATER_S)
        if state.status not in {"EXPIRED", "ERROR"}:
            raise Retry(f"{shape.what} tells of a container in a state that is not known here: {state.status[:40]}")
        await none_was_made(journal)
        if state.status == "EXPIRED":
            raise Unconfirmed(f"{shape.what} let the upload expire: it was not published within 24 hours")
        raise _failed(state, shape.what)

    async def read(self, account: AccountId, post: str) -> RemotePost:
        """Return a post by its id; one whose page is not told stands all the same."""
        try:
            told = await self._api.get(account, f"/{post}", params={"fields": "id,permalink,timestamp"})
        except Reject:
            told = {}
        return self._post(post, told)

    async def look(self, account: AccountId, posts: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands: there, or removed. Raises: as `GraphAccount.get`."""

        async def one(post: str) -> Standing:
            await self._api.get(account, f"/{post}", params={"fields": "id,permalink"})
            return Standing(state="stands", privacy="public")

        return await self._api.standings(account, posts, one)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the post that the container made; None: it made none. Raises: Unconfirmed if that cannot be told."""
        if post := checkpoint.ids.get("post"):
            return await self.read(account, post)
        status = ""
        try:
            status = (await self.state(account, checkpoint.ids["container"])).status
        except GraphRefused as refused:
            if not refused.gone:
                raise
        if status not in {"", "PUBLISHED"}:
            return None
        found = await self._listed(account, draft, checkpoint)
        if found is None and status == "PUBLISHED":
            raise Unconfirmed(f"{self._shape.what} says that it is published and lists no post with its words")
        return found

    async def _listed(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Return the own post with the draft's words that was made since; None: there is none.

        Raises: Unconfirmed if several have them.
        """
        shape = self._shape
        since = None if checkpoint.opened_at is None else checkpoint.opened_at - SKEW
        params = {"fields": f"id,{shape.text},timestamp,permalink", "limit": str(PAGE)}
        listed = map(as_dict, await self._api.pages(account, f"/{own_id(account)}/{shape.posts}", params))
        fitting = [
            one
            for one in listed
            if words_of(one.get(shape.text)) == words_of(draft.caption) and _is_young(one.get("timestamp"), since)
        ]
        if len(fitting) > 1:
            raise Unconfirmed(f"{shape.what} lists {len(fitting)} posts with the same words since the upload began")
        return self._post(id_in(fitting[0], what=shape.what), fitting[0]) if fitting else None

    def _post(self, post: str, told: dict[str, Any]) -> RemotePost:
        page = told.get("permalink")
        return RemotePost(
            platform_post_id=post,
            url=page if isinstance(page, str) and page.startswith(("https://", "http://")) else self._site,
            privacy="public",
            published_at=parse_moment(told.get("timestamp")),
        )


def _is_young(told: Any, since: datetime | None) -> bool:
    moment = parse_moment(told)
    return since is None or (moment is not None and moment >= since)


def _failed(state: State, what: str) -> Reject:
    """Return the reason of a container in error, with what a person does about it."""
    number = _SUBCODE.search(state.because)
    if number is not None:
        says, mend = mend_of(int(number[1]))
        told = f"{says} ({number[1]})" if says else f"error {number[1]}"
    else:
        told = state.because or "no reason is told"
        mend = THREADS_WORDS.get(state.because, THREADS_WORDS["UNKNOWN"])
    return Reject(f"{what} could not use the video: {told}", mend=mend)
