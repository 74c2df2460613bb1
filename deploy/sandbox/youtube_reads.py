"""The reading methods of the YouTube Data API v3.

Docs: "Videos: list", "Channels: list", "PlaylistItems: list", "Search: list" (developers.google.com/youtube/v3/docs,
read 2026-11). Ids that are missing, or private to somebody else, are silently absent.
"""

from __future__ import annotations

import asyncio
import base64
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from msgspec import structs
from PIL import Image, ImageOps

from deploy.sandbox.context import Sandbox, origin, rfc3339
from deploy.sandbox.faults import fault_of
from deploy.sandbox.youtube_access import READ, Caller, YoutubeAccess, listed, parts_of
from deploy.sandbox.youtube_errors import refuse
from deploy.sandbox.youtube_listing import listing, one_filter, page_of
from deploy.sandbox.youtube_matching import hits_of, length_class, moment_of
from deploy.sandbox.youtube_metadata import CATEGORIES, PARTS
from deploy.sandbox.youtube_resource import (
    Video,
    etag,
    is_processed,
    iso_duration,
    privacy_of,
    published_at,
    resource,
    statistics,
    thumbnails,
    uploads_playlist,
)
from deploy.sandbox.youtube_works import Works

__all__ = ["YoutubeReads"]

OWNER_PARTS = frozenset({"processingDetails", "fileDetails", "suggestions"})
_CHANNEL_PARTS = frozenset(
    {
        "auditDetails",
        "brandingSettings",
        "contentDetails",
        "contentOwnerDetails",
        "id",
        "localizations",
        "snippet",
        "statistics",
        "status",
        "topicDetails",
    }
)
_PLAYLIST_ITEM_PARTS = frozenset({"contentDetails", "id", "snippet", "status"})
_VIDEO_FILTERS = (
    "eventType",
    "forMine",
    "location",
    "videoCaption",
    "videoCategoryId",
    "videoDefinition",
    "videoDuration",
    "videoEmbeddable",
    "videoLicense",
    "videoPaidProductPlacement",
    "videoSyndicated",
)
_ORDERS = frozenset({"relevance", "date", "rating", "viewCount", "title", "videoCount"})
_PICTURES = {"default": (120, 90), "mqdefault": (320, 180), "hqdefault": (480, 360)}


class YoutubeReads:
    """Every method that only reads."""

    def __init__(self, sandbox: Sandbox, access: YoutubeAccess) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._access = access
        self._works = Works(sandbox)

    def _find(self, video_id: str) -> Video | None:
        return self._store.get(Video, video_id) or self._works.find(video_id)

    def visible(self, video: Video, caller: Caller) -> bool:
        return privacy_of(video, self._sandbox.now()) != "private" or video.channel_id == caller.channel_id

    async def videos(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, READ, key=True)
        self._access.charge("units", 1)
        parts = parts_of(request, PARTS)
        one_filter(request, ("id", "chart", "myRating"))
        page: dict[str, object] = {}
        if "id" in request.query:
            ids = listed(request, "id")
            if not ids or len(ids) > 50:
                raise refuse("invalidFilters", "The request specifies an invalid filter parameter.", location="id")
            found = [video for key in dict.fromkeys(ids) if (video := self._find(key))]
            found = [video for video in found if self.visible(video, caller)]
            page["pageInfo"] = {"totalResults": len(found), "resultsPerPage": len(found)}
        elif request.query.get("chart") == "mostPopular":
            public = [video for video in self._store.all(Video) if privacy_of(video, self._sandbox.now()) == "public"]
            if category := request.query.get("videoCategoryId"):
                public = [video for video in public if video.meta.category_id == category]
            found, page = page_of(request, sorted(public, key=self._views, reverse=True), least=1)
        elif "chart" in request.query:
            raise refuse("invalidFilters", location="chart")
        elif caller.account is None:
            raise refuse("authorizationRequired")
        else:
            found, page = [], {"pageInfo": {"totalResults": 0, "resultsPerPage": 0}}
        if OWNER_PARTS & set(parts) and any(video.channel_id != caller.channel_id for video in found):
            raise refuse("forbidden", "The file, processing and suggestion parts are for the video's owner only.")
        found = [self._poll(video, stuck=fault_of(request, "stuck_processing") is not None) for video in found]
        items = [
            resource(
                video,
                parts,
                sandbox=self._sandbox,
                base=origin(request),
                owner=video.channel_id == caller.channel_id,
                box_px=_box_px(request),
            )
            for video in found
        ]
        return listing("youtube#videoListResponse", items, page)

    def _poll(self, video: Video, *, stuck: bool) -> Video:
        """Count one look at a video that is still being processed."""
        if stuck:
            return structs.replace(video, polls=-1)
        if not is_processed(video, self._sandbox):
            self._store.put(video.id, structs.replace(video, polls=video.polls + 1))
        return video

    async def batch_stats(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, READ, key=True)
        self._access.charge("stats", 1)
        parts = parts_of(request, frozenset({"id", "snippet", "statistics", "contentDetails"}))
        found = [video for key in listed(request, "id") if (video := self._find(key))]
        items = []
        for video in found:
            if not self.visible(video, caller):
                continue
            counts = self._counts(video)
            item: dict[str, object] = {"kind": "youtube#videoStats", "id": video.id}
            if "snippet" in parts:
                item["snippet"] = {"publishTime": rfc3339(published_at(video, self._sandbox.now()))}
            if "statistics" in parts:
                item["statistics"] = counts
            if "contentDetails" in parts:
                item["contentDetails"] = {"duration": iso_duration(video.probe.duration_s or 0)}
            items.append(item)
        return listing("youtube#batchGetStatsResponse", items, {})

    def _counts(self, video: Video) -> dict[str, str]:
        settings = self._sandbox.settings
        counts = statistics(
            video, self._sandbox.now(), time_scale=settings.time_scale, private_views=settings.private_views
        )
        shown = {"viewCount": str(counts.views), "commentCount": str(counts.comments)}
        return shown if counts.likes is None else {**shown, "likeCount": str(counts.likes)}

    def _views(self, video: Video) -> int:
        return int(self._counts(video)["viewCount"])

    async def channels(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, READ, key=True)
        self._access.charge("units", 1)
        parts = parts_of(request, _CHANNEL_PARTS)
        chosen = one_filter(request, ("mine", "id", "forHandle", "forUsername"))
        videos = self._store.all(Video)
        known = {video.channel_id for video in videos} | ({caller.channel_id} if caller.channel_id else set())
        if chosen == "mine":
            if caller.account is None:
                raise refuse("authorizationRequired", location="mine")
            ids = [caller.channel_id] if caller.channel_id and request.query["mine"] == "true" else []
        elif chosen == "id":
            ids = [key for key in listed(request, "id") if key in known]
        elif chosen == "forHandle":
            ids = [key for key in sorted(known) if _handle(key) == "@" + request.query["forHandle"].lstrip("@").lower()]
        else:
            ids = []
        items = [self._channel(key, parts, videos, origin(request)) for key in ids]
        page: dict[str, object] = {"pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)}}
        return listing("youtube#channelListResponse", items, page)

    def _channel(self, key: str, parts: Sequence[str], videos: Sequence[Video], base: str) -> dict[str, object]:
        own = [video for video in videos if video.channel_id == key]
        public = [video for video in own if privacy_of(video, self._sandbox.now()) == "public"]
        title = self._sandbox.settings.channel_title
        shown: dict[str, object] = {}
        if "snippet" in parts:
            shown["snippet"] = {
                "title": title,
                "description": "",
                "customUrl": _handle(key),
                "publishedAt": "2020-01-01T00:00:00Z",
                "thumbnails": {"default": {"url": f"{base}/sandbox/channel.svg", "width": 88, "height": 88}},
                "localized": {"title": title, "description": ""},
            }
        if "contentDetails" in parts:
            shown["contentDetails"] = {"relatedPlaylists": {"likes": "", "uploads": uploads_playlist(key)}}
        if "statistics" in parts:
            shown["statistics"] = {
                "viewCount": str(sum(self._views(video) for video in public)),
                "subscriberCount": "0",
                "hiddenSubscriberCount": False,
                "videoCount": str(len(public)),
            }
        if "status" in parts:
            shown["status"] = {
                "privacyStatus": "public",
                "isLinked": True,
                "longUploadsStatus": "allowed",
                "madeForKids": False,
            }
        return {"kind": "youtube#channel", "etag": etag(shown), "id": key, **shown}

    async def playlist_items(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, READ, key=True)
        self._access.charge("units", 1)
        parts = parts_of(request, _PLAYLIST_ITEM_PARTS)
        one_filter(request, ("playlistId", "id"))
        playlist = request.query.get("playlistId", "")
        videos = self._store.all(Video)
        known = {uploads_playlist(video.channel_id) for video in videos}
        if caller.channel_id is not None:
            known.add(uploads_playlist(caller.channel_id))
        if "playlistId" in request.query and playlist not in known:
            raise refuse("playlistNotFound", location="playlistId")
        wanted = listed(request, "id")
        uploads = [
            video
            for video in reversed(videos)
            if (uploads_playlist(video.channel_id) == playlist or _item_id(video) in wanted)
            and self.visible(video, caller)
        ]
        numbered = list(enumerate(uploads))
        if "videoId" in request.query:
            numbered = [(position, video) for position, video in numbered if video.id == request.query["videoId"]]
        chosen, page = page_of(request, numbered)
        items = [self._playlist_item(video, position, parts, origin(request)) for position, video in chosen]
        return listing("youtube#playlistItemListResponse", items, page)

    def _playlist_item(self, video: Video, position: int, parts: Sequence[str], base: str) -> dict[str, object]:
        now = self._sandbox.now()
        privacy = privacy_of(video, now)
        shown: dict[str, object] = {}
        if "snippet" in parts:
            shown["snippet"] = {
                "publishedAt": rfc3339(video.created_at),
                "channelId": video.channel_id,
                "title": video.meta.title,
                "description": video.meta.description,
                "thumbnails": thumbnails(video.id, base),
                "channelTitle": self._sandbox.settings.channel_title,
                "playlistId": uploads_playlist(video.channel_id),
                "position": position,
                "resourceId": {"kind": "youtube#video", "videoId": video.id},
                "videoOwnerChannelTitle": self._sandbox.settings.channel_title,
                "videoOwnerChannelId": video.channel_id,
            }
        if "contentDetails" in parts:
            details = {"videoId": video.id}
            if privacy != "private":
                details["videoPublishedAt"] = rfc3339(published_at(video, now))
            shown["contentDetails"] = details
        if "status" in parts:
            shown["status"] = {"privacyStatus": privacy}
        return {"kind": "youtube#playlistItem", "etag": etag(shown), "id": _item_id(video), **shown}

    async def search(self, request: web.Request) -> web.StreamResponse:
        caller = self._access.caller(request, READ, key=True)
        self._access.charge("searches", 1)
        parts_of(request, frozenset({"snippet", "id"}))
        query = request.query
        types = listed(request, "type") or ["video", "channel", "playlist"]
        if types != ["video"] and any(name in query for name in _VIDEO_FILTERS):
            raise refuse("incompatibleParameters", "The type parameter must be video for the filters used.")
        if query.get("order", "relevance") not in _ORDERS:
            raise refuse("invalidFilters", "Invalid value for parameter: order", location="order")
        mine = query.get("forMine") == "true"
        if mine and caller.account is None:
            raise refuse("authorizationRequired", location="forMine")
        after, before = moment_of(request, "publishedAfter"), moment_of(request, "publishedBefore")
        now = self._sandbox.now()
        matches: list[tuple[float, Video]] = []
        for video in [*self._store.all(Video), *self._works.all()] if "video" in types else []:
            shown = video.channel_id == caller.channel_id if mine else privacy_of(video, now) == "public"
            moment = published_at(video, now)
            hits = hits_of(query.get("q", ""), video)
            if (
                shown
                and hits is not None
                and query.get("channelId", video.channel_id) == video.channel_id
                and query.get("videoLicense", "any") in {"any", video.meta.license}
                and query.get("videoCategoryId", video.meta.category_id) == video.meta.category_id
                and query.get("videoDuration", "any") in {"any", length_class(video)}
                and (after is None or moment >= after)
                and (before is None or moment < before)
            ):
                matches.append((hits, video))
        chosen, page = page_of(request, [video for _, video in self._ordered(matches, query.get("order", "relevance"))])
        items = [self._result(video, origin(request)) for video in chosen]
        region = {"regionCode": query.get("regionCode", "US")}
        return listing("youtube#searchListResponse", items, {**region, **page})

    def _ordered(self, matches: list[tuple[float, Video]], order: str) -> list[tuple[float, Video]]:
        now = self._sandbox.now()
        if order == "title":
            return sorted(matches, key=lambda match: match[1].meta.title)
        if order == "date":
            return sorted(matches, key=lambda match: published_at(match[1], now), reverse=True)
        if order in {"viewCount", "rating"}:
            return sorted(matches, key=lambda match: self._views(match[1]), reverse=True)
        return sorted(matches, key=lambda match: (match[0], published_at(match[1], now)), reverse=True)

    def _result(self, video: Video, base: str) -> dict[str, object]:
        shown: dict[str, object] = {
            "id": {"kind": "youtube#video", "videoId": video.id},
            "snippet": {
                "publishedAt": rfc3339(published_at(video, self._sandbox.now())),
                "channelId": video.channel_id,
                "title": html.escape(video.meta.title),
                "description": html.escape(video.meta.description[:160]),
                "thumbnails": thumbnails(video.id, base),
                "channelTitle": video.channel_title or self._sandbox.settings.channel_title,
                "liveBroadcastContent": "none",
            },
        }
        return {"kind": "youtube#searchResult", "etag": etag(shown), **shown}

    async def categories(self, request: web.Request) -> web.StreamResponse:
        self._access.caller(request, READ, key=True)
        self._access.charge("units", 1)
        parts_of(request, frozenset({"snippet", "id"}))
        one_filter(request, ("regionCode", "id"))
        wanted = listed(request, "id") or list(CATEGORIES)
        items: list[dict[str, object]] = []
        for key in wanted:
            if key in CATEGORIES:
                snippet = {"title": CATEGORIES[key], "assignable": True, "channelId": "UCBR8-60-B28hp2BmDPdntcQ"}
                items.append({"kind": "youtube#videoCategory", "etag": etag(snippet), "id": key, "snippet": snippet})
        return listing("youtube#videoCategoryListResponse", items, {})

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        poster = self._sandbox.media / f"{request.match_info['id']}.jpg"
        size = _PICTURES.get(request.match_info["name"])
        if size is not None and (drawn := self._works.thumbnail(request.match_info["id"], size)) is not None:
            return web.Response(body=drawn, content_type="image/jpeg", headers={"Cache-Control": "max-age=300"})
        known = self._store.get(Video, request.match_info["id"]) is not None
        if not known or size is None or not await asyncio.to_thread(poster.exists):
            return web.Response(status=404)
        picture = await asyncio.to_thread(_padded, poster, size)
        return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "max-age=300"})


def _box_px(request: web.Request) -> tuple[int, int] | None:
    """Read maxWidth and maxHeight, 72 to 8192; None: neither is given. Raises: Refused (400)."""
    sides = []
    for name in ("maxWidth", "maxHeight"):
        given = request.query.get(name)
        if given is not None and not (given.isdecimal() and 72 <= int(given) <= 8192):
            words = f"Invalid value '{given}'. Values must be within the range: [72, 8192]"
            raise refuse("badRequest", words, location=name)
        sides.append(None if given is None else int(given))
    if sides == [None, None]:
        return None
    return sides[0] or 8192, sides[1] or 8192


def _padded(poster: Path, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    with Image.open(poster) as picture:
        ImageOps.pad(picture.convert("RGB"), size).save(out, "JPEG", quality=82)
    return out.getvalue()


def _handle(channel_id: str) -> str:
    return "@sandbox-" + re.sub(r"[^a-z0-9]", "", channel_id.lower())[2:10]


def _item_id(video: Video) -> str:
    return base64.urlsafe_b64encode(f"{uploads_playlist(video.channel_id)}.{video.id}".encode()).rstrip(b"=").decode()
