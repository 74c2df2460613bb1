"""The resumable upload of the YouTube Data API v3, videos.insert.

Docs: "Resumable Uploads" (developers.google.com/youtube/v3/guides/using_resumable_upload_protocol, read 2026-11).
Bytes are fsynced before they are confirmed: an interrupted body keeps whole 256 KiB blocks of what arrived. Uploads
that are announced with more than `KEPT_BYTES` are hashed and forgotten: their video cannot be watched.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import aiohttp
from aiohttp import web
from msgspec import Struct, structs

from deploy.sandbox.context import Refused, Sandbox, origin
from deploy.sandbox.faults import drain, fault_of, hang_up
from deploy.sandbox.media import Probe, digests_of, probe
from deploy.sandbox.youtube_errors import refuse
from deploy.sandbox.youtube_metadata import Metadata
from deploy.sandbox.youtube_resource import Video, resource

__all__ = ["CHUNK_BYTES", "MAX_BYTES", "Session", "UploadSessions"]

CHUNK_BYTES = 262_144
MAX_BYTES = 274_877_906_944
CONFIRM_EVERY_BYTES = 8 * 1024 * 1024
KEPT_BYTES = 256 * 1024 * 1024
"""Larger uploads leave no file. Their hashes live in memory: a sandbox that starts anew no longer knows them."""
_READ_BYTES = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|(\*))/(\d+|\*)")


class Session(Struct, frozen=True, kw_only=True):
    """One upload session. `received_bytes` is what has been confirmed and will be there after a crash."""

    id: str
    channel_id: str
    parts: tuple[str, ...]
    meta: Metadata
    content_type: str
    file_name: str
    created_at: float
    total_bytes: int | None = None
    received_bytes: int = 0
    puts: int = 0
    expired: bool = False
    video_id: str | None = None
    answer: str = ""


class Wanted(Struct, frozen=True):
    """A parsed Content-Range. `first` None: a question about the state."""

    first: int | None
    last: int | None
    total: int | None


class Hashed:
    """Bytes that are hashed and forgotten. What is not confirmed yet can be taken back."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._pending: list[bytes] = []

    @property
    def sha256(self) -> str:
        """Return the hash of what was confirmed, hex."""
        return self._digest.hexdigest()

    def truncate(self, size_bytes: int) -> None:
        assert size_bytes == self.size_bytes
        self._pending.clear()

    def seek(self, _: int) -> None:
        """Bytes go to the end."""

    def write(self, block: bytes) -> None:
        self._pending.append(block)

    def keep(self, until: int) -> None:
        """Confirm the bytes up to `until`; the rest stays pending."""
        left = until - self.size_bytes
        pending, self._pending = self._pending, []
        for block in pending:
            taken = block[:left] if left < len(block) else block
            self._digest.update(taken)
            left -= len(taken)
            if len(taken) < len(block):
                self._pending.append(block[len(taken) :])
        self.size_bytes = until


class UploadSessions:
    """Sessions and the bytes that arrive in them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._hashed: dict[str, Hashed] = {}

    def start(
        self,
        request: web.Request,
        *,
        channel_id: str,
        parts: tuple[str, ...],
        meta: Metadata,
        content_type: str,
        total_bytes: int | None,
    ) -> web.Response:
        """Open a session and answer with its address."""
        session = Session(
            id=f"sandbox-{secrets.token_urlsafe(30)}",
            channel_id=channel_id,
            parts=parts,
            meta=meta,
            content_type=content_type,
            file_name=request.headers.get("Slug", "unknown"),
            created_at=self._sandbox.now(),
            total_bytes=total_bytes,
        )
        self._store.put(session.id, session)
        asked = {name: value for name, value in request.query.items() if name not in {"access_token", "key"}}
        location = request.url.with_query({**asked, "upload_id": session.id})
        return web.Response(
            headers={"Location": str(location), "X-GUploader-UploadID": session.id, "Cache-Control": "no-cache"}
        )

    def alive(self, session_id: str) -> Session:
        """Return a session. Raises: Refused (404) if it is unknown or has expired."""
        session = self._store.get(Session, session_id)
        too_old = session is not None and (
            self._sandbox.now() - session.created_at > self._sandbox.settings.session_lifetime_s
        )
        if session is None or session.expired or too_old:
            raise Refused(web.Response(status=404, text="Not Found", content_type="text/html"))
        return session

    def expire(self, session_id: str) -> None:
        if session := self._store.get(Session, session_id):
            self._store.put(session_id, structs.replace(session, expired=True))

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Take bytes, or tell how many there are."""
        session_id = request.query.get("upload_id", "")
        if fault_of(request, "session_expired"):
            self.expire(session_id)
        try:
            self.alive(session_id)
            wanted = _content_range(request)
        except Refused:
            await drain(request)
            raise
        async with self._locks[session_id]:
            session = self.alive(session_id)
            if session.video_id is not None:
                await drain(request)
                return _created(session, status=200)
            if wanted.first is None:
                await drain(request)
            else:
                session = structs.replace(session, puts=session.puts + 1)
                self._store.put(session_id, session)
                session = await self._take(request, session, wanted)
            if session.total_bytes is not None and session.received_bytes == session.total_bytes:
                return _created(await self._finish(session, origin(request)), status=201)
            return _incomplete(session)

    async def _take(self, request: web.Request, session: Session, wanted: Wanted) -> Session:
        """Append one body to the session. Raises: Refused for a body that breaks the rules."""
        length = request.content_length
        expected = None if wanted.last is None or wanted.first is None else wanted.last - wanted.first + 1
        if length == 0:
            raise refuse("mediaBodyRequired")
        fault = _rule_fault(session, wanted, length, expected)
        if fault or wanted.first != session.received_bytes:
            await drain(request)
            if fault:
                raise refuse("badRequest", fault)
            return session
        if wanted.total is not None and session.total_bytes is None:
            session = structs.replace(session, total_bytes=wanted.total)
        cut = fault_of(request, "drop_mid_body", "truncate")
        keep = None
        if cut is not None:
            keep = (length or 0) // 2 if cut.after_bytes is None else cut.after_bytes
        return await self._append(request, session, keep=keep, drop=cut is not None and cut.kind == "drop_mid_body")

    async def _append(self, request: web.Request, session: Session, *, keep: int | None, drop: bool) -> Session:
        """Write the body after the confirmed bytes, confirming on the way.

        Args: keep: store no more than this many bytes of the body; drop: hang up when they are there.
        """
        first = session.received_bytes
        arrived = unconfirmed = 0
        broken = False
        with self._sink(session) as out:
            out.truncate(first)
            out.seek(first)
            try:
                async for block in request.content.iter_chunked(_READ_BYTES):
                    part = block if keep is None else block[: max(0, keep - arrived)]
                    out.write(part)
                    arrived += len(part)
                    if session.total_bytes is not None and first + arrived > session.total_bytes:
                        await drain(request)
                        raise refuse("badRequest", f"The body is longer than the {session.total_bytes} bytes declared.")
                    unconfirmed += len(part)
                    if keep is not None and drop and arrived >= keep:
                        broken = True
                        break
                    if unconfirmed >= CONFIRM_EVERY_BYTES:
                        session = await self._confirm(session, out, first + _whole(arrived))
                        unconfirmed = 0
            except (ConnectionError, aiohttp.ClientError):
                broken = True
            cut_short = broken or keep is not None
            until = first + (_whole(arrived) if cut_short else arrived)
            session = await self._confirm(session, out, until)
        if broken:
            raise Refused(hang_up(request))
        if session.total_bytes is None and "Content-Range" not in request.headers:
            session = structs.replace(session, total_bytes=session.received_bytes)
            self._store.put(session.id, session)
        return session

    async def _confirm(self, session: Session, out: BinaryIO | Hashed, until: int) -> Session:
        """Make the bytes up to `until` durable, then record them."""
        if isinstance(out, Hashed):
            out.keep(until)
        else:
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
        session = structs.replace(session, received_bytes=until)
        self._store.put(session.id, session)
        return session

    def _sink(self, session: Session) -> AbstractContextManager[BinaryIO | Hashed]:
        """Return where the bytes go. Raises: Refused (404) for a large upload of an earlier start."""
        if session.total_bytes is None or session.total_bytes <= KEPT_BYTES:
            return self._path(session).open("ab")
        if session.received_bytes and session.id not in self._hashed:
            self.expire(session.id)
            raise Refused(web.Response(status=404, text="Not Found", content_type="text/html"))
        return nullcontext(self._hashed.setdefault(session.id, Hashed()))

    def _path(self, session: Session) -> Path:
        return self._sandbox.media / f"{session.id}.upload"

    async def _finish(self, session: Session, base: str) -> Session:
        """Make the video of a complete session: one transaction, so there is never a second one."""
        path = self._path(session)
        hashed = self._hashed.pop(session.id, None)
        if hashed is not None:
            sha256, size_bytes = hashed.sha256, hashed.size_bytes
        else:
            digests = await asyncio.to_thread(digests_of, path)
            sha256, size_bytes = digests.sha256, digests.size_bytes
        found = Probe()
        video_id = secrets.token_urlsafe(8)[:11]
        if self._sandbox.settings.check_media and hashed is None:
            found = await asyncio.to_thread(probe, path, self._sandbox.media / f"{video_id}.jpg")
        meta = session.meta
        if self._sandbox.settings.audit_locked:
            meta = structs.replace(meta, privacy="private", publish_at=None)
        video = Video(
            id=video_id,
            channel_id=session.channel_id,
            upload_id=session.id,
            meta=meta,
            created_at=self._sandbox.now(),
            file=path.name,
            file_name=session.file_name,
            content_type=session.content_type,
            size_bytes=size_bytes,
            sha256=sha256,
            probe=found,
        )
        answer = json.dumps(resource(video, session.parts, sandbox=self._sandbox, base=base, owner=True))
        session = structs.replace(session, video_id=video.id, answer=answer)
        with self._store.transaction():
            self._store.put(video.id, video)
            self._store.put(session.id, session)
        return session


def _rule_fault(session: Session, wanted: Wanted, length: int | None, expected: int | None) -> str | None:
    """Say which rule of the protocol a body breaks, if any."""
    if expected is not None and length != expected:
        return f"The Content-Range header names {expected} bytes and Content-Length {length}."
    if expected is not None and expected <= 0:
        return "The Content-Range header ends before it begins."
    if wanted.total is not None and session.total_bytes is not None and wanted.total != session.total_bytes:
        return f"The upload has {session.total_bytes} bytes in total, not {wanted.total}."
    if wanted.total is not None and wanted.last is not None and wanted.last >= wanted.total:
        return "The Content-Range header goes past the end of the file."
    ends = wanted.last is None or (wanted.total is not None and wanted.last + 1 == wanted.total)
    if not ends and expected is not None and expected % CHUNK_BYTES:
        return f"Every chunk but the last must be a multiple of {CHUNK_BYTES} bytes; this one has {expected}."
    return None


def _content_range(request: web.Request) -> Wanted:
    header = request.headers.get("Content-Range")
    if header is None:
        return Wanted(0, None, request.content_length)
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        raise refuse("badRequest", f"Invalid Content-Range header: {header}")
    total = None if found[4] == "*" else int(found[4])
    if found[3]:
        return Wanted(None, None, total)
    return Wanted(int(found[1]), int(found[2]), total)


def _whole(count: int) -> int:
    return count - count % CHUNK_BYTES


def _incomplete(session: Session) -> web.Response:
    response = web.Response(status=308, reason="Resume Incomplete")
    if session.received_bytes:
        response.headers["Range"] = f"bytes=0-{session.received_bytes - 1}"
    response.headers["X-GUploader-UploadID"] = session.id
    return response


def _created(session: Session, *, status: int) -> web.Response:
    return web.Response(status=status, text=session.answer, content_type="application/json", charset="utf-8")
