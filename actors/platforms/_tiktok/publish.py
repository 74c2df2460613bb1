"""Posting to TikTok: what the creator may do, an upload in chunks, and the state of it until it is final.

Docs: developers.tiktok.com/doc: content-posting-api-reference-query-creator-info, -direct-post, -upload-video,
-get-video-status, content-posting-api-media-transfer-guide, content-sharing-guidelines, read 2026-11-23.
No post comes of an init alone. The last chunk commits: after it TikTok goes on by itself. What became of it is asked
by `publish_id`, which the checkpoint keeps, so nothing is sent again that may be a post.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from actors.platforms._account import AccountApi, none_was_made, surely_refused
from actors.platforms._api import count, dig
from actors.platforms._bodies import deadline_of, file_body
from actors.platforms._tiktok.chunks import CHUNK_BYTES, Chunks
from actors.platforms._tiktok.errors import FAILURES, Failure, code_of
from actors.platforms._tiktok.init import check_draft, init_body, parse_creator
from actors.runtime.http import Response, raise_for_status
from actors.runtime.killpoint import reach
from actors.runtime.means import Means
from contracts.errors import RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, Journal, RemotePost, UploadCheckpoint

__all__ = ["INBOX", "PROFILE_URL", "Publisher", "Status", "id_of", "parse_status"]

PROFILE_URL: Final = "https://www.tiktok.com"
STALLS_ALLOWED: Final = 2
ASK_SOONEST_S: Final = 5.0
ASK_LATEST_S: Final = 600.0
ID_WITHIN: Final = timedelta(minutes=3)
"""How long a public post is waited for to get its id; moderation takes under a minute as a rule, sometimes hours."""
STUCK_AFTER: Final = timedelta(hours=6)
DAY: Final = timedelta(hours=24)
CONTENT_TYPES: Final = {"mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime"}
"""By container, the first that is one of the names that FFmpeg gives a file."""
INBOX: Final = "a draft in the account's inbox, which a person finishes in the TikTok app"

_RANGE: Final = re.compile(r"bytes 0-(\d+)/\d+")


class _Upload(NamedTuple):
    """What one call of `send` is about."""

    account: AccountId
    draft: Draft
    checkpoint: UploadCheckpoint
    file: Path
    journal: Journal


class Status(Struct, frozen=True, kw_only=True):
    """What status/fetch says of one upload. post_id: only of public posts after moderation."""

    state: str
    because: str = ""
    post_id: str | None = None
    uploaded_bytes: int = 0


def id_of(told: Any) -> str | None:
    """Return an id as digits, however it is written; None: it is none."""
    text = str(told) if isinstance(told, int | str) and not isinstance(told, bool) else ""
    return text if text.isascii() and text.isdigit() else None


def parse_status(answer: Any) -> Status:
    """Read status/fetch; ids are int64, kept as digits. Raises: Retry on an unknown shape."""
    data = dig(answer, "data", what="TikTok's status")
    state = dig(data, "status", what="TikTok's status")
    ids = data.get("publicaly_available_post_id") or data.get("publicly_available_post_id")
    return Status(
        state=str(state),
        because=str(data.get("fail_reason") or ""),
        post_id=id_of(ids[0]) if isinstance(ids, list) and ids else None,
        uploaded_bytes=count(data.get("uploaded_bytes")) or 0,
    )


class Publisher:
    """Posts videos of connected accounts. chunk_bytes: size of a chunk, about."""

    chunk_bytes: int = CHUNK_BYTES

    def __init__(self, means: Means, api: AccountApi) -> None:
        self._http = means.http
        self._clock = means.clock
        self._pace = means.pace
        self._api = api

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Ask what the creator may do now, then open an upload; without bytes it makes no post.

        Raises: Reject (draft or account), RateLimited (caps of 24 hours), AuthExpired, Retry.
        """
        check_draft(draft)
        inbox = draft.options.get("mode") == "inbox"
        chunks = Chunks.of(size_bytes, chunk_bytes=self.chunk_bytes)
        creator = None
        if not inbox:
            answer = await self._api.post(account, "/post/publish/creator_info/query/", json={})
            creator = parse_creator(answer)
        body = init_body(draft, creator, chunks)
        path = "/post/publish/inbox/video/init/" if inbox else "/post/publish/video/init/"
        data = dig(await self._api.post(account, path, json=body), "data", what="TikTok's init")
        publish_id, address = data.get("publish_id"), data.get("upload_url")
        if not isinstance(publish_id, str) or not isinstance(address, str) or not publish_id:
            raise Retry("TikTok opened an upload without an id or an address")
        ids = {
            "publish_id": publish_id,
            "chunk_bytes": str(chunks.chunk_bytes),
            "count": str(chunks.count),
            "size_bytes": str(size_bytes),
            "privacy": str(body.get("post_info", {}).get("privacy_level", "")),
        }
        if creator is not None:
            ids["username"] = creator.username
        return UploadCheckpoint(session_url=address, ids=ids, step="opened", opened_at=self._clock.now())

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Ask how much is there and what became of it, send the rest in order, and ask until it is final.

        Raises: Snooze (TikTok works on it), Retry, RateLimited, AuthExpired, Reject,
        Unconfirmed (the upload is over and made no post, or it cannot be told).
        """
        chunks = _chunks_of(checkpoint)
        status = await self._ask(account, checkpoint)
        if status is None and not journal.may_exist:
            raise Unconfirmed("TikTok no longer knows the upload")
        done = 0 if status is None else chunks.begin_of(status.uploaded_bytes)
        if status is not None and status.state == "PROCESSING_UPLOAD" and done < chunks.size_bytes:
            await self._send_rest(_Upload(account, draft, checkpoint, file, journal), done)
            status = await self._ask(account, checkpoint)
        if status is None:
            raise Unconfirmed("TikTok no longer knows the upload")
        return await self._end(draft, checkpoint, status, journal)

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Ask what became of the upload; where TikTok forgot it, look among the account's public videos."""
        status = await self._ask(account, checkpoint) if checkpoint.ids.get("publish_id") else None
        if status is None:
            return await self._listed(account, draft, checkpoint)
        if status.state in {"PUBLISH_COMPLETE", "SEND_TO_USER_INBOX"}:
            return remote_of(draft, checkpoint, status)
        whole = _chunks_of(checkpoint).begin_of(status.uploaded_bytes) >= _chunks_of(checkpoint).size_bytes
        if status.state == "FAILED" or not whole:
            return None
        raise Unconfirmed(f"TikTok has the whole file and says {status.state}: look into the TikTok app")

    async def status(self, account: AccountId, publish_id: str) -> Status | None:
        """Return where an upload stands; None: TikTok does not know it (any more)."""
        answer = await self._api.send(account, "POST", "/post/publish/status/fetch/", json={"publish_id": publish_id})
        if code_of(answer)[0] in {"invalid_publish_id", "token_not_authorized_for_specified_publish_id"}:
            return None
        self._api.check(answer)
        return parse_status(self._api.read(answer))

    async def _ask(self, account: AccountId, checkpoint: UploadCheckpoint) -> Status | None:
        return await self.status(account, checkpoint.ids.get("publish_id", ""))

    async def _send_rest(self, upload: _Upload, done: int) -> None:
        """Send from byte `done` on; the end of each chunk is what TikTok says, not what was sent."""
        account, _, checkpoint, _, journal = upload
        chunks, stalls = _chunks_of(checkpoint), 0
        while done < chunks.size_bytes:
            end = chunks.chunk_at(done)[1]
            await journal.sending(end)
            if end >= chunks.size_bytes:
                await journal.committing()
            answer = await self._put(upload, done, end)
            reach("publisher.chunk_sent")
            if answer.status == 201:
                return
            if answer.status in {403, 404}:
                await self._over(account, checkpoint, journal, answer.status)
                return
            if answer.status not in {206, 416}:
                if surely_refused(answer):
                    await journal.refused()
                raise_for_status(answer, what="sending the video to TikTok", now=self._clock.now())
                raise Retry(f"TikTok answered {answer.status} to a part of the video")
            told = _told(answer, chunks)
            if told is None:
                status = await self._ask(account, checkpoint)
                told = chunks.begin_of(status.uploaded_bytes) if status is not None else end
            stalls = stalls + 1 if told <= done else 0
            if stalls > STALLS_ALLOWED:
                raise Retry(f"TikTok stores nothing beyond byte {done} of {chunks.size_bytes}")
            done = told

    async def _put(self, upload: _Upload, first: int, end: int) -> Response:
        _, draft, checkpoint, file, _ = upload
        container = draft.probe.container if draft.probe is not None else file.suffix.lstrip(".")
        names = container.lower().split(",")
        kind = next((kind for name, kind in CONTENT_TYPES.items() if name in names), "video/mp4")
        return await self._http.request(
            "PUT",
            checkpoint.session_url,
            headers={
                "Content-Type": kind,
                "Content-Length": str(end - first),
                "Content-Range": f"bytes {first}-{end - 1}/{checkpoint.ids['size_bytes']}",
            },
            data=file_body(file, first, end, self._pace)(),
            deadline_s=deadline_of(end - first, self._pace),
        )

    async def _over(self, account: AccountId, checkpoint: UploadCheckpoint, journal: Journal, answered: int) -> None:
        """The upload takes no more bytes (an hour has passed). Raises: Unconfirmed unless TikTok has them all."""
        status = await self._ask(account, checkpoint)
        chunks = _chunks_of(checkpoint)
        if (
            status is not None
            and status.state != "FAILED"
            and (status.state != "PROCESSING_UPLOAD" or chunks.begin_of(status.uploaded_bytes) >= chunks.size_bytes)
        ):
            return
        if status is not None:  # it cannot become whole any more, so it is no post and will be none
            await none_was_made(journal)
        raise Unconfirmed(f"the upload has ended (HTTP {answered})")

    async def _end(self, draft: Draft, checkpoint: UploadCheckpoint, status: Status, journal: Journal) -> RemotePost:
        """Return the post if the state is final. Raises: Snooze, RateLimited, Reject, Unconfirmed."""
        now = self._clock.now()
        age = now - (checkpoint.opened_at or now)
        if status.state == "FAILED":
            await self._failed(checkpoint, status, journal, now)
        if status.state == "SEND_TO_USER_INBOX":
            return remote_of(draft, checkpoint, status)
        if status.state == "PUBLISH_COMPLETE":
            since = checkpoint.ids.get("complete_at")
            if status.post_id or checkpoint.ids.get("privacy") != "PUBLIC_TO_EVERYONE":
                return remote_of(draft, checkpoint, status)
            if since is not None and now - datetime.fromisoformat(since) >= ID_WITHIN:
                return remote_of(draft, checkpoint, status)
            if since is None:
                await journal.keep(_with(checkpoint, complete_at=now.isoformat()))
            raise Snooze("the video is posted and TikTok has not given it an id yet", delay_s=30.0)
        if age >= STUCK_AFTER:
            raise Unconfirmed(f"TikTok still says {status.state} after {age.total_seconds() / 3600:.0f} hours")
        delay_s = min(max(age.total_seconds() / 4, ASK_SOONEST_S), ASK_LATEST_S)
        raise Snooze(f"TikTok works on the video ({status.state})", delay_s=delay_s)

    async def _failed(self, checkpoint: UploadCheckpoint, status: Status, journal: Journal, now: datetime) -> None:
        """TikTok says for certain that this upload makes no post. Raises: Unconfirmed (a new one may), ..."""
        await none_was_made(journal)
        text = f"TikTok made no post of it: {status.because or 'no reason given'}"
        failure = FAILURES.get(status.because, Failure("reject", "Look into the account's notices in the TikTok app"))
        if failure.then == "reject":
            raise Reject(text, mend=failure.mend)
        if failure.then == "later" and "rested" not in checkpoint.ids:
            await journal.keep(_with(checkpoint, rested="1"))
            raise RateLimited(text, until=now + DAY)
        raise Unconfirmed(text)

    async def _listed(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        body = {"max_count": 20}
        fields = {"fields": "id,create_time,share_url,video_description"}
        answer = await self._api.post(account, "/video/list/", params=fields, json=body)
        videos = dig(answer, "data", "videos", what="TikTok's list of videos")
        opened_s = checkpoint.opened_at.timestamp() - 60 if checkpoint.opened_at is not None else None
        for video in videos if isinstance(videos, list) else ():
            made_s = count(video.get("create_time")) if isinstance(video, dict) else None
            same = made_s is not None and video.get("video_description") == (draft.caption or draft.title)
            if same and opened_s is not None and made_s is not None and made_s >= opened_s:
                number = id_of(video.get("id"))
                if number is not None:
                    return remote_of(draft, checkpoint, Status(state="PUBLISH_COMPLETE", post_id=number))
        raise Unconfirmed("TikTok no longer knows the upload, and its list shows public videos only")


def remote_of(draft: Draft, checkpoint: UploadCheckpoint, status: Status) -> RemotePost:
    """Return the post as it is known; without a public id the upload's own id stands for it."""
    username = checkpoint.ids.get("username", "")
    page = f"{PROFILE_URL}/@{username}" if username else f"{PROFILE_URL}/"
    level = checkpoint.ids.get("privacy", "")
    told: str | None = {"PUBLIC_TO_EVERYONE": "public", "SELF_ONLY": "private"}.get(level, level or None)
    if status.state == "SEND_TO_USER_INBOX":
        told = INBOX
    elif draft.options.get("mode") == "inbox":
        told = None
    return RemotePost(
        platform_post_id=status.post_id or checkpoint.ids["publish_id"],
        url=f"{page}/video/{status.post_id}" if status.post_id and username else page,
        privacy=told,
    )


def _chunks_of(checkpoint: UploadCheckpoint) -> Chunks:
    """Return how the file was announced, whatever the size of chunks is by now."""
    ids: Mapping[str, str] = checkpoint.ids
    return Chunks(size_bytes=int(ids["size_bytes"]), chunk_bytes=int(ids["chunk_bytes"]), count=int(ids["count"]))


def _with(checkpoint: UploadCheckpoint, **ids: str) -> UploadCheckpoint:
    return msgspec.structs.replace(checkpoint, ids={**checkpoint.ids, **ids})


def _told(answer: Response, chunks: Chunks) -> int | None:
    """Return how many bytes are there by an answer's Content-Range; None: it does not say."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found is None:
        return None
    return min(chunks.begin_of(int(found[1])), chunks.size_bytes)
