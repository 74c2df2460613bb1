"""YouTube, imitated: thumbnails.set, captions.list, captions.insert.

Docs: "Thumbnails: set", "Captions: list", "Captions: insert" (developers.google.com/youtube/v3/docs, read 2026-11).
Played: simple and multipart uploads; of a thumbnail the hash is kept, of subtitles the words. Not played: resumable
uploads of either, subtitles above 4 MiB, captions.update, download and delete.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import secrets
from typing import Any

from aiohttp import web
from msgspec import Struct

from deploy.sandbox.context import Sandbox, origin, rfc3339
from deploy.sandbox.faults import FaultKind, Handler, Switchboard
from deploy.sandbox.youtube_access import UPLOAD, YoutubeAccess
from deploy.sandbox.youtube_errors import refusal, refuse
from deploy.sandbox.youtube_resource import Video, thumbnails

__all__ = ["Caption", "Picture", "YoutubeDress"]

PICTURE_BYTES = 50_000_000
CAPTIONS = frozenset({"https://www.googleapis.com/auth/youtube.force-ssl"})
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class Picture(Struct, frozen=True, kw_only=True):
    """The thumbnail that was set for a video."""

    video_id: str
    sha256: str
    size_bytes: int
    times: int


class Caption(Struct, frozen=True, kw_only=True):
    """One track of subtitles."""

    id: str
    video_id: str
    language: str
    name: str
    text: str
    updated_at: float


class YoutubeDress:
    """What is added to a video that is there."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard, access: YoutubeAccess) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard
        self._access = access

    def add_routes(self, router: web.UrlDispatcher) -> None:
        def guard(place: str, handler: Handler, *own: FaultKind) -> Handler:
            return self._switchboard.guard(place, handler, refusal=refusal, own=frozenset(own), quota=True)

        router.add_post("/upload/youtube/v3/thumbnails/set", guard("youtube.thumbnails", self._thumbnail))
        router.add_get("/youtube/v3/captions", guard("youtube.captions", self._list))
        router.add_post("/upload/youtube/v3/captions", guard("youtube.captions_insert", self._insert))

    async def _thumbnail(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, UPLOAD)
        self._access.charge("units", 50)
        video = self._own(request.query.get("videoId", ""), caller.channel_id)
        if request.content_type not in {"image/jpeg", "image/png", "application/octet-stream"}:
            raise refuse("badContent", f"Media type '{request.content_type}' is not supported.")
        content = b""
        async for block in request.content.iter_chunked(1 << 18):
            content += block
            if len(content) > PICTURE_BYTES:
                raise refuse("uploadTooLarge")
        if not content:
            raise refuse("mediaBodyRequired")
        if not content.startswith(_MAGIC):
            raise refuse("invalidImage")
        before = self._store.get(Picture, video.id)
        picture = Picture(
            video_id=video.id,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            times=1 if before is None else before.times + 1,
        )
        self._store.put(video.id, picture)
        items = [thumbnails(video.id, origin(request))]
        return web.json_response({"kind": "youtube#thumbnailSetResponse", "etag": picture.sha256[:27], "items": items})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, CAPTIONS)
        self._access.charge("units", 50)
        video = self._own(request.query.get("videoId", ""), caller.channel_id)
        items = [_shown(one) for one in self._store.all(Caption) if one.video_id == video.id]
        return web.json_response({"kind": "youtube#captionListResponse", "etag": "sandbox", "items": items})

    async def _insert(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, CAPTIONS)
        self._access.charge("units", 400)
        about, text = await _parts(request)
        snippet = about.get("snippet")
        told = snippet if isinstance(snippet, dict) else {}
        video = self._own(str(told.get("videoId", "")), caller.channel_id)
        language, name = told.get("language"), told.get("name", "")
        if not isinstance(language, str) or not language:
            raise refuse("invalidMetadata")
        if not isinstance(name, str) or len(name) > 150:
            raise refuse("nameTooLong")
        if not text.strip():
            raise refuse("contentRequired")
        same = [one for one in self._store.all(Caption) if one.video_id == video.id and one.language == language]
        if any(one.name == name for one in same):
            raise refuse("captionExists")
        track = Caption(
            id=f"AUie{secrets.token_urlsafe(18)}",
            video_id=video.id,
            language=language,
            name=name,
            text=text.decode(errors="replace"),
            updated_at=self._sandbox.now(),
        )
        self._store.put(track.id, track)
        return web.json_response(_shown(track))

    def _own(self, video_id: str, channel_id: str | None) -> Video:
        video = self._store.get(Video, video_id)
        if video is None:
            raise refuse("videoNotFound", location="videoId")
        if video.channel_id != channel_id:
            raise refuse("forbidden")
        return video


async def _parts(request: web.Request) -> tuple[dict[str, Any], bytes]:
    """Read multipart/related: what it is about, and the words."""
    if request.content_type != "multipart/related":
        raise refuse("badContent", "The sandbox plays uploadType=multipart only.")
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    whole = email.message_from_bytes(head + await request.read(), policy=email.policy.HTTP)
    parts = [bytes(part.get_payload(decode=True) or b"") for part in whole.iter_parts()]
    if len(parts) != 2:
        raise refuse("contentRequired")
    try:
        about = json.loads(parts[0])
    except ValueError as wrong:
        raise refuse("parseError") from wrong
    return (about if isinstance(about, dict) else {}), parts[1]


def _shown(track: Caption) -> dict[str, Any]:
    return {
        "kind": "youtube#caption",
        "etag": track.id[-12:],
        "id": track.id,
        "snippet": {
            "videoId": track.video_id,
            "lastUpdated": rfc3339(track.updated_at),
            "trackKind": "standard",
            "language": track.language,
            "name": track.name,
            "audioTrackType": "unknown",
            "isCC": False,
            "isLarge": False,
            "isEasyReader": False,
            "isDraft": False,
            "isAutoSynced": False,
            "status": "serving",
        },
    }
