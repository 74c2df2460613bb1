"""YouTube Data API v3, as the sandbox plays it.

Docs: developers.google.com/youtube/v3/docs (discovery revision 20261104). Auth: OAuth 2.0 bearer tokens, or an API
key for public reads. Played: videos.insert (resumable), list, update, delete and batchGetStats; channels.list,
playlistItems.list, search.list, videoCategories.list, thumbnails.set, captions.list and insert, Analytics reports.
Not played: comments, playlists, and uploads of videos that are not resumable.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from msgspec import structs

from deploy.sandbox.context import Refused, Sandbox, origin
from deploy.sandbox.faults import FaultKind, Handler, Switchboard, drain
from deploy.sandbox.youtube_access import MANAGE, UPLOAD, YoutubeAccess, parts_of
from deploy.sandbox.youtube_analytics import YoutubeAnalytics
from deploy.sandbox.youtube_dress import YoutubeDress
from deploy.sandbox.youtube_errors import refusal, refuse
from deploy.sandbox.youtube_metadata import PARTS, parse_metadata
from deploy.sandbox.youtube_reads import YoutubeReads
from deploy.sandbox.youtube_resource import Video, resource
from deploy.sandbox.youtube_upload import MAX_BYTES, UploadSessions

__all__ = ["Youtube"]

_DAY_S = 86_400.0
_UPLOAD_PATHS = ("/upload/youtube/v3/videos", "/resumable/upload/youtube/v3/videos")


class Youtube:
    """The routes, and the methods that write."""

    def __init__(self, sandbox: Sandbox, switchboard: Switchboard, access: YoutubeAccess) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._switchboard = switchboard
        self._access = access
        self._reads = YoutubeReads(sandbox, access)
        self._uploads = UploadSessions(sandbox)
        self._others = (
            YoutubeDress(sandbox, switchboard, access),
            YoutubeAnalytics(sandbox, switchboard, access.oauth),
        )

    def add_routes(self, router: web.UrlDispatcher) -> None:
        def guard(place: str, handler: Handler, *own: FaultKind) -> Handler:
            return self._switchboard.guard(place, handler, refusal=refusal, own=frozenset(own), quota=True)

        reads = self._reads
        router.add_get("/youtube/v3/videos", guard("youtube.videos", reads.videos, "stuck_processing"))
        router.add_put("/youtube/v3/videos", guard("youtube.update", self._update))
        router.add_delete("/youtube/v3/videos", guard("youtube.delete", self._delete))
        router.add_get("/youtube/v3/videos:batchGetStats", guard("youtube.stats", reads.batch_stats))
        router.add_get("/youtube/v3/channels", guard("youtube.channels", reads.channels))
        router.add_get("/youtube/v3/playlistItems", guard("youtube.playlistItems", reads.playlist_items))
        router.add_get("/youtube/v3/search", guard("youtube.search", reads.search))
        router.add_get("/youtube/v3/videoCategories", guard("youtube.categories", reads.categories))
        router.add_get("/vi/{id}/{name}.jpg", reads.thumbnail)
        session = guard("youtube.session", self._insert)
        body = guard("youtube.upload", self._put, "drop_mid_body", "truncate", "session_expired")
        question = guard("youtube.upload_status", self._put, "session_expired")

        async def put(request: web.Request) -> web.StreamResponse:
            asks = request.headers.get("Content-Range", "").replace(" ", "").startswith("bytes*/")
            return await (question if asks else body)(request)

        for path in _UPLOAD_PATHS:
            router.add_post(path, session)
            router.add_put(path, put)
        for others in self._others:
            others.add_routes(router)
        router.add_route("*", "/youtube/v3/{rest:.*}", _not_found)

    async def _insert(self, request: web.Request) -> web.StreamResponse:
        """Check everything that can be known before the bytes, then open a session."""
        try:
            return await self._open_session(request)
        except Refused:
            await drain(request)
            raise

    async def _open_session(self, request: web.Request) -> web.Response:
        caller = self._access.caller(request, UPLOAD)
        self._access.charge("uploads", 1)
        if caller.channel_id is None:
            raise refuse("youtubeSignupRequired")
        if request.query.get("uploadType") != "resumable":
            raise refuse("badRequest", "The sandbox plays uploadType=resumable only.", location="uploadType")
        parts = parts_of(request, PARTS)
        declared = request.headers.get("X-Upload-Content-Length", "")
        if declared and not declared.isdecimal():
            raise refuse("badRequest", "Invalid X-Upload-Content-Length header.")
        total_bytes = int(declared) if declared else None
        if total_bytes == 0:
            raise refuse("mediaBodyRequired")
        if total_bytes is not None and total_bytes > MAX_BYTES:
            raise refuse("uploadTooLarge")
        content_type = request.headers.get("X-Upload-Content-Type", "application/octet-stream").partition(";")[0]
        if not content_type.startswith("video/") and content_type != "application/octet-stream":
            words = (
                f"Media type '{content_type}' is not supported. Valid media types: [video/*, application/octet-stream]"
            )
            raise refuse("badContent", words)
        if "Slug" in request.headers and not request.headers["Slug"].strip():
            raise refuse("invalidFilename", location="Slug", location_type="header")
        meta = parse_metadata(await _body(request), parts, now=self._sandbox.now())
        limit = self._sandbox.settings.channel_daily_uploads
        if limit is not None:
            since = self._sandbox.now() - _DAY_S
            videos = self._store.all(Video)
            recent = [video for video in videos if video.channel_id == caller.channel_id and video.created_at > since]
            if len(recent) >= limit:
                raise refuse("uploadLimitExceeded")
        return self._uploads.start(
            request,
            channel_id=caller.channel_id,
            parts=parts,
            meta=meta,
            content_type=content_type,
            total_bytes=total_bytes,
        )

    async def _put(self, request: web.Request) -> web.StreamResponse:
        try:
            self._access.check_upload_token(request)
        except Refused:
            await drain(request)
            raise
        return await self._uploads.put(request)

    def _own(self, video_id: object, channel_id: str | None) -> Video:
        video = self._store.get(Video, video_id) if isinstance(video_id, str) else None
        if video is None:
            raise refuse("videoNotFound", location="id")
        if video.channel_id != channel_id:
            raise refuse("forbidden")
        return video

    async def _update(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, MANAGE)
        self._access.charge("units", 50)
        parts = parts_of(request, PARTS)
        body = await _body(request)
        video = self._own(body.get("id") if isinstance(body, dict) else None, caller.channel_id)
        meta = parse_metadata(body, parts, now=self._sandbox.now(), before=video.meta)
        if self._sandbox.settings.audit_locked and meta.privacy != "private":
            raise refuse("forbidden", "This video is locked as private.")
        if meta.publish_at is not None and video.meta.privacy != "private":
            raise refuse("invalidPublishAt", location="body.status.publishAt", location_type="other")
        video = structs.replace(video, meta=meta)
        self._store.put(video.id, video)
        return web.json_response(
            resource(video, parts, sandbox=self._sandbox, base=origin(request), owner=True),
            headers={"Cache-Control": "private"},
        )

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, MANAGE)
        self._access.charge("units", 50)
        video = self._own(request.query.get("id"), caller.channel_id)
        self._store.drop(Video, video.id)
        return web.Response(status=204)


async def _body(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise refuse("badContent", f"Media type '{request.content_type}' is not supported. Use application/json.")
    try:
        return json.loads(await request.read())
    except ValueError as wrong:
        raise refuse("parseError") from wrong


async def _not_found(_: web.Request) -> web.Response:
    return refusal(404, "notFound")
