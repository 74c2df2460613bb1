"""X's media upload as the sandbox plays it: initialize, append, finalize, status.

Docs: https://docs.x.com/x-api/media/quickstart/media-upload-chunked and OpenAPI 2.167, read 2026-11-23. Segments must
come in their order here, as bytes are hashed and forgotten; one that is repeated is taken and not counted again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import BodyPartReader, web
from msgspec import Struct

from deploy.sandbox.context import Refused
from deploy.sandbox.faults import Refusal, drain, fault_of, hang_up
from deploy.sandbox.feeds._stage import Stage

__all__ = ["LIFE_S", "Media", "XMedia"]

LIFE_S: Final = 86_400.0
SEGMENT_BYTES: Final = 5 * 1024 * 1024
MOST_BYTES: Final = 17_179_869_184
POLL_S: Final = 5
KINDS: Final = {"amplify_video", "tweet_gif", "tweet_image", "tweet_video"}


class XMedia(Struct, frozen=True, kw_only=True):
    """One upload. segments: the hash of each that came; state: as in processing_info, empty: not finalized."""

    id: str
    account: str
    total_bytes: int
    expires_at: float
    segments: tuple[str, ...] = ()
    size_bytes: int = 0
    sha256: str = ""
    is_video: bool = True
    state: str = ""
    polls: int = 0

    @property
    def key(self) -> str:
        return f"13_{self.id}"


class Media:
    """Uploads. asker: returns whose the request is, its rate counted, or refuses it."""

    def __init__(self, stage: Stage, *, asker: Callable[[web.Request, str, int, str], str], refusal: Refusal) -> None:
        self._stage = stage
        self._store = stage.sandbox.store
        self._asker = asker
        self._refusal = refusal
        stage.post("/2/media/upload/initialize", "init", self._begin, refusal=refusal)
        stage.upload("/2/media/upload/{id}/append", "append", self._append, refusal=refusal)
        stage.post("/2/media/upload/{id}/finalize", "finalize", self._finalize, refusal=refusal)
        stage.get("/2/media/upload", "status", self._status, refusal=refusal)

    def ready(self, name: object, account: str) -> XMedia | None:
        """Return the upload if it may be posted by `account` now."""
        found = self._store.get(XMedia, str(name))
        good = found is not None and found.account == account and found.state == "succeeded"
        return found if good and found is not None and found.expires_at > self._stage.sandbox.now() else None

    def _find(self, name: str, account: str) -> XMedia:
        found = self._store.get(XMedia, name)
        if found is None or found.account != account or found.expires_at <= self._stage.sandbox.now():
            raise Refused(self._refusal(404, "resource-not-found"))
        return found

    async def _begin(self, request: web.Request) -> web.Response:
        account = self._asker(request, "uploads", 1875, "media.write")
        body = await request.json()
        size = body.get("total_bytes")
        if not isinstance(size, int) or not 0 < size <= MOST_BYTES or body.get("media_category") not in KINDS:
            raise Refused(self._refusal(400, "invalid-request"))
        if body.get("media_type") not in {"video/mp4", "video/quicktime"}:
            raise Refused(self._refusal(400, "invalid-request"))
        number = int(self._store.add("x:media", 1))
        ends = self._stage.sandbox.now() + LIFE_S
        media = XMedia(id=str(1_880_000_000_000_000_000 + number), account=account, total_bytes=size, expires_at=ends)
        self._store.put(media.id, media)
        return web.json_response({"data": self._told(media)})

    async def _append(self, request: web.Request) -> web.StreamResponse:
        try:
            account = self._asker(request, "appends", 1875, "media.write")
            media = self._find(request.match_info["id"], account)
        except Refused:
            await drain(request)
            raise
        if cut := fault_of(request, "drop_mid_body"):
            length = request.content_length or 0
            await request.content.read(length // 2 if cut.after_bytes is None else cut.after_bytes)
            return hang_up(request)
        fields, content = await _form(request)
        told = fields.get("segment_index", "")
        if not told.isdigit() or int(told) > 999 or not content or len(content) > SEGMENT_BYTES or media.state:
            raise Refused(self._refusal(400, "invalid-request"))
        index, digest = int(told), hashlib.sha256(content).hexdigest()
        if index < len(media.segments) and media.segments[index] == digest:
            return web.json_response({"data": {"expires_at": round(media.expires_at)}})
        if index != len(media.segments):
            raise Refused(self._refusal(400, "invalid-request"))
        self._stage.receiver.add(media.id, content)
        changes: dict[str, Any] = {"segments": (*media.segments, digest), "size_bytes": media.size_bytes + len(content)}
        if index == 0:
            changes["is_video"] = content[4:8] == b"ftyp"
        self._store.put(media.id, msgspec.structs.replace(media, **changes))
        return web.json_response({"data": {"expires_at": round(media.expires_at)}})

    async def _finalize(self, request: web.Request) -> web.Response:
        media = self._find(request.match_info["id"], self._asker(request, "finals", 1875, "media.write"))
        if media.size_bytes != media.total_bytes:
            raise Refused(self._refusal(400, "invalid-request"))
        if not media.state:
            settings = self._stage.sandbox.settings
            state = "pending" if settings.processing_polls else "succeeded"
            sha256 = self._stage.receiver.sha256(media.id)
            media = msgspec.structs.replace(media, state=state, polls=settings.processing_polls, sha256=sha256)
            self._store.put(media.id, media)
            self._stage.receiver.forget(media.id)
        return web.json_response({"data": self._told(media)})

    async def _status(self, request: web.Request) -> web.Response:
        account = self._asker(request, "status", 1000, "media.write")
        if request.query.get("command") != "STATUS":
            raise Refused(self._refusal(400, "invalid-request"))
        media = self._find(request.query.get("media_id", ""), account)
        if media.state in {"pending", "in_progress"}:
            decodes = media.is_video or not self._stage.sandbox.settings.check_media
            done = "succeeded" if decodes else "failed"
            state = done if media.polls <= 1 else "in_progress"
            media = msgspec.structs.replace(media, polls=media.polls - 1, state=state)
            self._store.put(media.id, media)
        return web.json_response({"data": self._told(media)})

    def _told(self, media: XMedia) -> dict[str, Any]:
        left = max(0, round(media.expires_at - self._stage.sandbox.now()))
        told: dict[str, Any] = {"id": media.id, "media_key": media.key, "expires_after_secs": left}
        if media.state:
            told["size"] = media.size_bytes
            told["processing_info"] = {"state": media.state, "progress_percent": 100 if media.polls < 1 else 50}
            if media.state in {"pending", "in_progress"}:
                told["processing_info"]["check_after_secs"] = POLL_S
            elif media.state == "failed":
                error = {"code": 1, "name": "InvalidMedia", "message": "InvalidContent: the media cannot be decoded"}
                told["processing_info"]["error"] = error
        return told


async def _form(request: web.Request) -> tuple[dict[str, str], bytes]:
    """Return the fields of a form and the bytes of its part `media`."""
    fields: dict[str, str] = {}
    content = b""
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "media":
            content = bytes(await part.read())
        elif isinstance(part, BodyPartReader):
            fields[part.name or ""] = await part.text()
    return fields, content
