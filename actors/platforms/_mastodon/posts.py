"""Posting to a Mastodon server, and reading back what became of it.

Docs: docs.joinmastodon.org/methods/media/, /methods/statuses/, /methods/scheduled_statuses/, /entities/Instance/,
/methods/accounts/#statuses, read 2026-11-23; app/services/post_status_service.rb of mastodon/mastodon for the rest.

Exactly one post: an Idempotency-Key is kept for an hour after the post was made, and not before, so that two requests
at one moment are not kept apart by it. Here a request whose answer was lost is followed by a wait and by a look through
the account's own statuses and scheduled statuses first. A medium is attached to one status at most, so the id of the
medium, which is kept before the status is asked for, tells the post for certain.
What is asked to be private becomes `direct` without anybody mentioned, which nobody else sees: Mastodon's `private` is
seen by followers.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from actors.platforms._account import AccountApi
from actors.platforms._api import absent, count, dig
from actors.platforms._bodies import deadline_of
from actors.platforms._mastodon.account import NAME, OAUTH, SERVER, WHAT, denied, home_of, parse_owner, refusal
from actors.platforms._mastodon.limits import alt_of, check_draft, text_of
from actors.platforms._multipart import multipart
from actors.platforms._posts import as_dict, as_list, web_address
from actors.platforms._text import parse_moment
from actors.runtime.means import Means
from contracts.errors import Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, Journal, PostMetrics, RemotePost, Standing, UploadCheckpoint

__all__ = ["NOT_TOLD", "Posts", "parse_counts", "parse_status", "visibility_of"]

PAGE: Final = 40
MOST_PAGES: Final = 10
SLACK: Final = timedelta(minutes=10)
"""How far the server's clock may be from this one's."""
SOONEST: Final = timedelta(minutes=5)
"""Nearest time that a server takes for a scheduled status."""
SETTLE: Final = timedelta(seconds=10)
"""How long a request whose answer was lost may still be at work: its key is kept only once it is done."""
ASK_AGAIN_S: Final = 5.0
UPLOAD: Final = "upload"
PROCESS: Final = "process"
CREATE: Final = "create"
SCHEDULED: Final = "scheduled:"
COUNTS: Final = ("likes", "comments", "shares")
"""What a server tells of a status."""
"""Begins the id of a post whose server keeps it until its time: then the id of its medium follows."""
NOT_TOLD: Final = {
    "views": "Mastodon does not count views",
    "saves": "Mastodon does not tell who keeps a bookmark",
    "reach": "Mastodon does not tell whom a post reached",
    "impressions": "Mastodon does not count how often a post is shown",
    "clicks": "Mastodon does not count clicks",
    "followers": "Mastodon does not tell which post brought a follower",
    "watched_us": "Mastodon does not tell how long a video is watched",
    "average_watched_us": "Mastodon does not tell how long a video is watched",
    "retention": "Mastodon does not tell how long a video is watched",
}
_VISIBILITY: Final = {"public": "public", "unlisted": "unlisted", "private": "direct"}
_PRIVACY: Final = {"public": "public", "unlisted": "unlisted", "private": "followers", "direct": "private"}


def visibility_of(draft: Draft) -> str:
    """Return Mastodon's word. What is private until its time is public then."""
    return "public" if draft.publish_at is not None and draft.privacy == "private" else _VISIBILITY[draft.privacy]


def parse_counts(status: Any) -> PostMetrics:
    """Read a status. Counts are those that its server has heard of."""
    told = as_dict(status)
    counts: dict[str, Any] = {
        "likes": count(told.get("favourites_count")),
        "comments": count(told.get("replies_count")),
        "shares": count(told.get("reblogs_count")),
    }
    return PostMetrics(**counts, absent={**NOT_TOLD, **absent(counts, "the post has no such count in the answer")})


def parse_status(answer: Any, *, home: str) -> RemotePost:
    """Read a status. Raises: Retry if it has no id."""
    status = as_dict(answer)
    name = status.get("id")
    if not isinstance(name, str) or not name:
        raise Retry(f"{WHAT} answered without the id of the post")
    return RemotePost(
        platform_post_id=name,
        url=web_address(status.get("url")) or web_address(status.get("uri")) or home,
        privacy=_PRIVACY.get(str(status.get("visibility"))),
        published_at=parse_moment(status.get("created_at")),
    )


class Posts:
    """The posts of connected accounts."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._api = AccountApi(
            means,
            name=NAME,
            base=f"https://{SERVER}",
            what=WHAT,
            client=OAUTH,
            fault=refusal,
            denied=denied,
            named=True,
        )

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Check the draft against what the account's own server takes, and choose the key of the post."""
        instance = await self._get(account, "/api/v2/instance")
        check_draft(draft, as_dict(instance.get("configuration")), size_bytes=size_bytes)
        return UploadCheckpoint(step=UPLOAD, ids={"key": f"{draft.marker}-{self._means.clock.now():%Y%m%d%H%M%S%f}"})

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Upload the file, wait until it is ready, make the status: each step is kept before the next."""
        if journal.may_exist:
            self._let_settle(checkpoint)
            if (found := await self.find(account, draft, checkpoint)) is not None:
                return found
        if checkpoint.step == UPLOAD:
            checkpoint = await self._upload(account, draft, checkpoint, file, journal)
        if checkpoint.step == PROCESS:
            checkpoint = await self._await_media(account, checkpoint, journal)
        return await self._create(account, draft, checkpoint, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Look for the medium among the account's own statuses; None: no status has it.

        Raises: Unconfirmed if there are more statuses since the upload began than are read.
        """
        media = checkpoint.ids.get("media")
        if media is None:
            return None
        if draft.publish_at is not None and await self._waiting(account, media) is not None:
            return await self._scheduled(account, media)
        home = await self._home(account)
        since = None if checkpoint.opened_at is None else checkpoint.opened_at - SLACK
        status = await self._status_with(account, media, since=since)
        return None if status is None else parse_status(status, home=home)

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts of those posts that the server shows."""
        found = {}
        for name in platform_post_ids:
            if name.startswith(SCHEDULED) and await self._waiting(account, name.removeprefix(SCHEDULED)) is not None:
                waits = dict.fromkeys(COUNTS, "the server keeps the post until its time")
                found[name] = PostMetrics(absent={**NOT_TOLD, **waits})
                continue
            try:
                status = await self._status(account, name)
            except Unconfirmed as unclear:
                found[name] = PostMetrics(absent={**NOT_TOLD, **dict.fromkeys(COUNTS, unclear.what)})
                continue
            if status is not None:
                found[name] = parse_counts(status)
        return found

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands."""
        found = {}
        for name in platform_post_ids:
            if name.startswith(SCHEDULED) and await self._waiting(account, name.removeprefix(SCHEDULED)) is not None:
                found[name] = Standing(state="processing", because="the server keeps the post until its time")
                continue
            try:
                status = await self._status(account, name)
            except Unconfirmed as unclear:
                found[name] = Standing(state="unknown", because=unclear.what)
                continue
            if status is None:
                found[name] = Standing(state="removed", because="its server no longer has the post")
            else:
                found[name] = Standing(state="stands", privacy=_PRIVACY.get(str(status.get("visibility"))))
        return found

    def _let_settle(self, checkpoint: UploadCheckpoint) -> None:
        """Raises: Snooze while a request whose answer was lost may still be at work."""
        asked_at = parse_moment(checkpoint.ids.get("asked_at"))
        if asked_at is not None and (left := asked_at + SETTLE - self._means.clock.now()) > timedelta(0):
            raise Snooze("the server may still be at work on the post", delay_s=left.total_seconds())

    async def _home(self, account: AccountId) -> str:
        tokens = await self._means.tokens.get(account, OAUTH)
        return home_of(self._means.settings, tokens.kept)

    async def _get(self, account: AccountId, path: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        return await self._api.get(account, f"{await self._home(account)}{path}", params=params)

    async def _list(self, account: AccountId, path: str, params: dict[str, str]) -> list[dict[str, Any]]:
        answer = await self._api.send(account, "GET", f"{await self._home(account)}{path}", params=params)
        self._api.check(answer)
        found = answer.json()
        if not isinstance(found, list):
            raise Retry(f"{WHAT} answered in a shape that is not known here: a list was expected")
        return [as_dict(one) for one in found]

    async def _upload(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> UploadCheckpoint:
        size_bytes = (await asyncio.to_thread(file.stat)).st_size
        headers, body = multipart(
            {"description": alt_of(draft)},
            name="file",
            file=file,
            first=0,
            end=size_bytes,
            content_type="video/mp4",
            pace=self._means.pace,
        )
        await journal.sending(size_bytes)
        answer = await self._api.send(
            account,
            "POST",
            f"{await self._home(account)}/api/v2/media",
            headers=headers,
            data=body,
            deadline_s=deadline_of(size_bytes, self._means.pace),
        )
        if answer.status == 422:
            raise Reject(f"the server does not take the video ({_words(answer.body)})", mend="Render it anew as MP4")
        self._api.check(answer)
        name = self._api.read(answer).get("id")
        if not isinstance(name, str) or not name:
            raise Retry(f"{WHAT} answered without the id of the video")
        step = PROCESS if answer.status == 202 else CREATE
        checkpoint = replace(checkpoint, step=step, ids={**checkpoint.ids, "media": name})
        await journal.keep(checkpoint)
        return checkpoint

    async def _await_media(
        self, account: AccountId, checkpoint: UploadCheckpoint, journal: Journal
    ) -> UploadCheckpoint:
        """Ask whether the video is ready. Raises: Snooze (not yet), Reject (it cannot be used), Retry, Unconfirmed."""
        url = f"{await self._home(account)}/api/v1/media/{checkpoint.ids['media']}"
        answer = await self._api.send(account, "GET", url)
        if answer.status == 206:
            raise Snooze("the Mastodon server works on the video", delay_s=ASK_AGAIN_S)
        if answer.status == 404:
            if journal.may_exist:
                raise Unconfirmed("the server no longer has the video by itself: a post has it, or it was cleared away")
            await journal.keep(replace(checkpoint, step=UPLOAD))
            raise Retry("the server no longer has the video: it is sent again")
        if answer.status == 422:
            raise Reject(f"the server cannot use the video ({_words(answer.body)})", mend="Render it anew as MP4")
        self._api.check(answer)
        checkpoint = replace(checkpoint, step=CREATE)
        await journal.keep(checkpoint)
        return checkpoint

    async def _create(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, journal: Journal
    ) -> RemotePost:
        now, media = self._means.clock.now(), checkpoint.ids["media"]
        at = draft.publish_at if draft.publish_at is not None and draft.publish_at > now else None
        if at is not None and at - now <= SOONEST:
            raise Snooze("its time is too near for the server to keep it: it is posted then", delay_s=_s(at - now))
        checkpoint = replace(checkpoint, ids={**checkpoint.ids, "asked_at": now.isoformat()})
        await journal.keep(checkpoint)
        body: dict[str, Any] = {"status": text_of(draft), "media_ids": [media], "visibility": visibility_of(draft)}
        if draft.language:
            body["language"] = draft.language.partition("-")[0]
        if at is not None:
            body["scheduled_at"] = at.isoformat()
        home = await self._home(account)
        answer = await self._api.send(
            account,
            "POST",
            f"{home}/api/v1/statuses",
            headers={"Idempotency-Key": checkpoint.ids["key"]},
            json=body,
            commits=journal,
        )
        if answer.status == 422 and "not finished processing" in answer.text:
            raise Snooze("the Mastodon server still works on the video", delay_s=ASK_AGAIN_S)
        self._api.check(answer)
        made = self._api.read(answer)
        return await self._scheduled(account, media) if "scheduled_at" in made else parse_status(made, home=home)

    async def _scheduled(self, account: AccountId, media: str) -> RemotePost:
        """A scheduled status has another id than the status that it becomes: the medium tells both."""
        owner = parse_owner(await self._get(account, "/api/v1/accounts/verify_credentials"), server="")
        home = await self._home(account)
        return RemotePost(platform_post_id=f"{SCHEDULED}{media}", url=owner.url or home, privacy="private")

    async def _waiting(self, account: AccountId, media: str) -> dict[str, Any] | None:
        """Return the scheduled status with that medium; None: there is none."""
        listed = await self._list(account, "/api/v1/scheduled_statuses", {"limit": str(PAGE)})
        return next((one for one in listed if media in _media_of(one)), None)

    async def _status(self, account: AccountId, name: str) -> dict[str, Any] | None:
        """Return a status; None: the server has none of that name."""
        if name.startswith(SCHEDULED):
            return await self._status_with(account, name.removeprefix(SCHEDULED), since=None)
        answer = await self._api.send(account, "GET", f"{await self._home(account)}/api/v1/statuses/{name}")
        if answer.status == 404:
            return None
        self._api.check(answer)
        return self._api.read(answer)

    async def _status_with(self, account: AccountId, media: str, *, since: datetime | None) -> dict[str, Any] | None:
        """Look through the account's own statuses with media, newest first, back to `since`."""
        owner = await self._get(account, "/api/v1/accounts/verify_credentials")
        params = {"only_media": "true", "exclude_reblogs": "true", "limit": str(PAGE)}
        path = f"/api/v1/accounts/{dig(owner, 'id', what=WHAT)}/statuses"
        for _ in range(MOST_PAGES):
            listed = await self._list(account, path, params)
            if (found := next((one for one in listed if media in _media_of(one)), None)) is not None:
                return found
            oldest = parse_moment(listed[-1].get("created_at")) if listed else None
            if not listed or (since is not None and oldest is not None and oldest < since):
                return None
            params["max_id"] = str(listed[-1].get("id"))
        raise Unconfirmed(f"the newest {MOST_PAGES * PAGE} posts of the account are not the one sought")


def _media_of(status: dict[str, Any]) -> set[str]:
    return {str(one.get("id")) for one in map(as_dict, as_list(status.get("media_attachments")))}


def _words(body: bytes) -> str:
    return " ".join(body[:300].decode(errors="replace").split())


def _s(length: timedelta) -> float:
    return max(length.total_seconds(), 1.0)
