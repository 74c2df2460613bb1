"""TikTok's Content Posting API, imitated: creator info, inits, the upload host, the state of an upload.

Docs: developers.tiktok.com/doc: content-posting-api-reference-query-creator-info, -direct-post, -upload-video,
-get-video-status, content-posting-api-media-transfer-guide, read 2026-11. Bytes are hashed and forgotten; a chunk
counts once it is whole. An account whose name has `private` in it is a private one; `SANDBOX_AUDIT_LOCKED` makes the
app one without an audit. A post that a test sets to `blocked` answers FAILED, with `because` as its `fail_reason`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any, Final

import aiohttp
from aiohttp import web
from msgspec import Struct, structs

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import drain, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage
from deploy.sandbox.feeds._tiktok_answers import body_of, caller, ok, refusal
from deploy.sandbox.posted import BLOCK_BYTES, Grant, Posted

__all__ = ["FIRST_VIDEO", "Posting", "Upload"]

MIB: Final = 1 << 20
URL_LIFE_S: Final = 3600.0
DAY_S: Final = 86_400.0
POSTS_A_DAY: Final = 15
DRAFTS_WAITING: Final = 5
MAX_SECONDS: Final = 600
FIRST_VIDEO: Final = 7_500_000_000_000_000_000
_OPTIONS: Final = {
    False: ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
    True: ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
}
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Upload(Struct, frozen=True, kw_only=True):
    """One upload. done_bytes: whole chunks alone. post: id of the post that it made, empty: none yet."""

    id: str
    account: str
    token: str
    inbox: bool
    info: dict[str, Any]
    size_bytes: int
    chunk_bytes: int
    count: int
    created_at: float
    done_bytes: int = 0
    expired: bool = False
    post: str = ""
    polls: int = 0
    finished_at: float = 0.0


class Posting:
    """The calls of an app that posts, and what becomes of its uploads."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._hashes: dict[str, Any] = {}
        stage.post("/post/publish/creator_info/query/", "creator_info", self._creator_info, refusal=refusal)
        stage.post("/post/publish/video/init/", "init", self._direct, refusal=refusal)
        stage.post("/post/publish/inbox/video/init/", "inbox_init", self._inbox, refusal=refusal)
        stage.put(
            "/upload/video/",
            "upload",
            self._put,
            refusal=upload_refusal,
            own=frozenset({"drop_mid_body", "session_expired"}),
        )
        stage.post(
            "/post/publish/status/fetch/",
            "status",
            self._status,
            refusal=refusal,
            own=frozenset({"stuck_processing"}),
        )

    # --- what the creator may do

    async def _creator_info(self, request: web.Request) -> web.StreamResponse:
        holder = caller(self._stage, request, "video.publish")
        self._limit(f"creator_info:{holder.account}", 20)
        if self._posts_today(holder.account) >= POSTS_A_DAY:
            raise Refused(refusal(200, "spam_risk_too_many_posts"))
        return ok(
            {
                "creator_avatar_url": f"https://p16.example/{holder.account}.jpeg",
                "creator_username": holder.account,
                "creator_nickname": f"{holder.account} of the sandbox",
                "privacy_level_options": _OPTIONS["private" in holder.account],
                "comment_disabled": False,
                "duet_disabled": "private" in holder.account,
                "stitch_disabled": "private" in holder.account,
                "max_video_post_duration_sec": MAX_SECONDS,
            }
        )

    # --- inits

    async def _direct(self, request: web.Request) -> web.StreamResponse:
        holder = caller(self._stage, request, "video.publish")
        self._limit(f"init:{holder.account}", 6)
        body = await body_of(request)
        info = body.get("post_info")
        if not isinstance(info, dict):
            raise Refused(refusal(400, "invalid_param"))
        private = "private" in holder.account
        level = info.get("privacy_level")
        if level not in _OPTIONS[private]:
            raise Refused(refusal(403, "privacy_level_option_mismatch"))
        if len(str(info.get("title", "")).encode("utf-16-le")) // 2 > 2200:
            raise Refused(refusal(400, "invalid_param"))
        if level == "SELF_ONLY" and info.get("brand_content_toggle") is True:
            raise Refused(refusal(400, "invalid_param"))
        if private and not (info.get("disable_duet") is True and info.get("disable_stitch") is True):
            raise Refused(refusal(400, "invalid_param"))
        if self._stage.sandbox.settings.audit_locked and (level != "SELF_ONLY" or not private):
            raise Refused(refusal(403, "unaudited_client_can_only_post_to_private_accounts"))
        if self._posts_today(holder.account) >= POSTS_A_DAY:
            raise Refused(refusal(403, "spam_risk_too_many_posts"))
        return self._open(request, holder, body, info, inbox=False)

    async def _inbox(self, request: web.Request) -> web.StreamResponse:
        holder = caller(self._stage, request, "video.upload")
        self._limit(f"init:{holder.account}", 6)
        body = await body_of(request)
        since = self._stage.sandbox.now() - DAY_S
        mine = [one for one in self._store.all(Upload) if one.account == holder.account and one.created_at > since]
        if sum(one.inbox and bool(one.post) for one in mine) >= DRAFTS_WAITING:
            raise Refused(refusal(403, "spam_risk_too_many_pending_share"))
        return self._open(request, holder, body, {}, inbox=True)

    def _open(
        self, request: web.Request, holder: Grant, body: dict[str, Any], info: dict[str, Any], *, inbox: bool
    ) -> web.Response:
        told = body.get("source_info")
        source: dict[str, Any] = told if isinstance(told, dict) else {}
        numbers = [source.get(name) for name in ("video_size", "chunk_size", "total_chunk_count")]
        size, chunk, count = (one if type(one) is int else 0 for one in numbers)
        if source.get("source") != "FILE_UPLOAD":
            raise Refused(refusal(400, "invalid_param"))
        if fault := chunk_fault(size, chunk, count):
            raise Refused(refusal(400, "invalid_param", fault))
        kind = "v_inbox_file" if inbox else "v_pub_file"
        upload = Upload(
            id=f"{kind}~v2-1.{secrets.randbelow(10**18)}",
            account=holder.account,
            token=secrets.token_hex(12),
            inbox=inbox,
            info=info,
            size_bytes=size,
            chunk_bytes=chunk,
            count=count,
            created_at=self._stage.sandbox.now(),
        )
        self._store.put(upload.id, upload)
        address = f"{self._stage.home(request)}/upload/video/?upload_id={upload.id}&upload_token={upload.token}"
        return ok({"publish_id": upload.id, "upload_url": address})

    # --- bytes

    async def _put(self, request: web.Request) -> web.StreamResponse:
        upload = self._store.get(Upload, request.query.get("upload_id", ""))
        if upload is None or upload.token != request.query.get("upload_token"):
            await drain(request)
            raise Refused(upload_refusal(404, ""))
        if fault_of(request, "session_expired"):
            upload = structs.replace(upload, expired=True)
            self._store.put(upload.id, upload)
        if upload.expired or self._stage.sandbox.now() - upload.created_at > URL_LIFE_S:
            await drain(request)
            raise Refused(upload_refusal(403, ""))
        found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        length = request.content_length
        if found is None or length is None or int(found[2]) - int(found[1]) + 1 != length:
            await drain(request)
            raise Refused(upload_refusal(400, ""))
        first, last, total = (int(told) for told in found.groups())
        if total != upload.size_bytes or first != upload.done_bytes or upload.post:
            await drain(request)
            return _progress(416, upload)
        if last != _chunk_end(upload) - 1:
            await drain(request)
            raise Refused(upload_refusal(400, ""))
        return await self._take(request, upload, last + 1)

    async def _take(self, request: web.Request, upload: Upload, end: int) -> web.StreamResponse:
        """Hash one chunk; it counts only as a whole, and only if no other request was faster."""
        digest = self._hashes[upload.id].copy() if upload.done_bytes else hashlib.sha256()
        cut = fault_of(request, "drop_mid_body")
        arrived, keep = 0, end - upload.done_bytes
        if cut is not None:
            keep = keep // 2 if cut.after_bytes is None else cut.after_bytes
        try:
            async for block in request.content.iter_chunked(BLOCK_BYTES):
                digest.update(block)
                arrived += len(block)
                if cut is not None and arrived >= keep:
                    raise Refused(hang_up(request))
        except (ConnectionError, aiohttp.ClientError):
            raise Refused(hang_up(request)) from None
        now = self._store.get(Upload, upload.id)
        if now is None or now.done_bytes != upload.done_bytes or now.post:
            return _progress(416, now or upload)
        self._hashes[upload.id] = digest
        upload = structs.replace(now, done_bytes=end)
        if end < upload.size_bytes:
            self._store.put(upload.id, upload)
            return _progress(206, upload)
        with self._store.transaction():
            upload = structs.replace(upload, post=self._post(upload, digest.hexdigest()))
            self._store.put(upload.id, upload)
        del self._hashes[upload.id]
        return _progress(201, upload)

    def _post(self, upload: Upload, sha256: str) -> str:
        """Make the post; it is processed from now on, whoever asks. Its public id is its id where it has one."""
        number = str(FIRST_VIDEO + int(self._store.add("tiktok:videos", 1)))
        level = str(upload.info.get("privacy_level", ""))
        public = level == "PUBLIC_TO_EVERYONE"
        post = Posted(
            id=number if public else upload.id,
            platform=self._stage.name,
            account=upload.account,
            text=str(upload.info.get("title", "")),
            created_at=self._stage.sandbox.now(),
            url=f"https://www.tiktok.com/@{upload.account}/video/{number}" if public else "",
            privacy=level or "INBOX",
            sha256=sha256,
            size_bytes=upload.size_bytes,
            state="processing",
            more={"publish_id": upload.id, **upload.info},
        )
        return self._stage.people.add(post).id

    # --- what became of it

    async def _status(self, request: web.Request) -> web.StreamResponse:
        holder = caller(self._stage, request, "video.publish", "video.upload")
        self._limit(f"status:{holder.account}", 30)
        upload = self._store.get(Upload, str((await body_of(request)).get("publish_id", "")))
        if upload is None:
            raise Refused(refusal(400, "invalid_publish_id"))
        if upload.account != holder.account:
            raise Refused(refusal(400, "token_not_authorized_for_specified_publish_id"))
        return ok(self._told(upload, stuck=fault_of(request, "stuck_processing") is not None))

    def _told(self, upload: Upload, *, stuck: bool) -> dict[str, Any]:
        data: dict[str, Any] = {"status": "PROCESSING_UPLOAD", "uploaded_bytes": upload.done_bytes}
        post = self._stage.people.post(upload.post) if upload.post else None
        if post is None or stuck:
            return data
        if post.state == "blocked":
            return {**data, "status": "FAILED", "fail_reason": post.because or "internal"}
        settings, now = self._stage.sandbox.settings, self._stage.sandbox.now()
        upload = structs.replace(upload, polls=upload.polls + 1)
        self._store.put(upload.id, upload)
        if upload.polls <= settings.processing_polls or now - post.created_at < settings.processing_s:
            return data
        if post.state == "processing":
            self._stage.people.put(structs.replace(post, state="stands"))
        if upload.inbox:
            return {**data, "status": "SEND_TO_USER_INBOX"}
        shown = post.privacy == "PUBLIC_TO_EVERYONE" and upload.polls > settings.processing_polls + 1
        return {
            **data,
            "status": "PUBLISH_COMPLETE",
            "publicaly_available_post_id": [int(post.id)] if shown else [],
        }

    def _limit(self, counter: str, a_minute: int) -> None:
        if self._stage.take(counter, limit=a_minute, window_s=60)[0] < 0:
            raise Refused(refusal(429, ""))

    def _posts_today(self, account: str) -> int:
        since = self._stage.sandbox.now() - DAY_S
        posts = self._stage.people.posts(account)
        return sum(one.created_at > since and one.privacy != "INBOX" for one in posts)


def chunk_fault(size: int, chunk: int, count: int) -> str:
    """Say which of the written chunk rules an init breaks; empty: none."""
    if not 0 < size <= 4096 * MIB:
        return "The video size is out of range."
    if chunk <= 0 or count != size // chunk:
        return "The total chunk count is invalid."
    if size < 5 * MIB:
        return "" if chunk == size else "The chunk size is invalid."
    if not 5 * MIB <= chunk <= 64 * MIB or size - chunk * (count - 1) > 128 * MIB:
        return "The chunk size is invalid."
    if not 1 <= count <= 1000 or (size > 64 * MIB and count == 1):
        return "The total chunk count is invalid."
    return ""


def upload_refusal(status: int, reason: str) -> web.Response:
    """Answer as the upload host does: a status, and words for people."""
    words = {400: "Bad Request", 403: "The upload url has expired", 404: "Upload task not found"}
    return web.Response(status=status, text=reason or words.get(status, "The upload failed"))


def _chunk_end(upload: Upload) -> int:
    index = upload.done_bytes // upload.chunk_bytes
    return upload.size_bytes if index >= upload.count - 1 else (index + 1) * upload.chunk_bytes


def _progress(status: int, upload: Upload) -> web.Response:
    told = f"bytes 0-{upload.done_bytes}/{upload.size_bytes}"
    return web.Response(status=status, headers={"Content-Range": told})
