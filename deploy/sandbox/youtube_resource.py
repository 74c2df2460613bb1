"""A video as the YouTube Data API shows it, and how its numbers grow.

Docs: "Videos" resource (developers.google.com/youtube/v3/docs/videos, read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from msgspec import Struct

from deploy.sandbox.context import Sandbox, rfc3339
from deploy.sandbox.media import Probe
from deploy.sandbox.youtube_metadata import Metadata

__all__ = [
    "Statistics",
    "Video",
    "channel_id_of",
    "etag",
    "is_processed",
    "iso_duration",
    "privacy_of",
    "published_at",
    "resource",
    "statistics",
    "thumbnails",
    "uploads_playlist",
]

_HOUR_S = 3600.0
_SIZES = {"default": ("default", 120, 90), "medium": ("mqdefault", 320, 180), "high": ("hqdefault", 480, 360)}


class Video(Struct, frozen=True, kw_only=True):
    """A video. Times in Unix seconds; `file` is a name inside the media folder.

    channel_title and the counts are told only of works that nobody uploaded here; likes None: they are hidden.
    """

    id: str
    channel_id: str
    upload_id: str
    meta: Metadata
    created_at: float
    file: str
    file_name: str
    content_type: str
    size_bytes: int
    sha256: str
    probe: Probe
    polls: int = 0
    channel_title: str | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None


class Statistics(Struct, frozen=True, kw_only=True):
    """Counts at one moment. likes None: they are hidden."""

    views: int
    likes: int | None
    comments: int


def channel_id_of(account: str) -> str:
    """Return the channel of an account: `UC` and 22 characters."""
    return "UC" + base64.urlsafe_b64encode(hashlib.sha256(account.encode()).digest())[:22].decode()


def uploads_playlist(channel_id: str) -> str:
    return "UU" + channel_id[2:]


def privacy_of(video: Video, now: float) -> str:
    """Return the privacy in force: a scheduled video turns public at its time."""
    scheduled = video.meta.publish_at
    return "public" if scheduled is not None and now >= scheduled else video.meta.privacy


def published_at(video: Video, now: float) -> float:
    scheduled = video.meta.publish_at
    return scheduled if scheduled is not None and now >= scheduled else video.created_at


def statistics(video: Video, now: float, *, time_scale: float, private_views: bool) -> Statistics:
    """Return counts that depend on the video's id and age alone and never fall; all are 0 at age 0.

    Each video gets a ceiling (800 to 80,000 views, log-uniform) that it nears with a time constant of 5 to 45
    hours, and a slow tail after that; likes are 2 to 8 % of the views, comments 0.1 to 0.6 %.
    """
    if video.views is not None:
        return Statistics(views=video.views, likes=video.likes, comments=video.comments or 0)
    unseen = privacy_of(video, now) == "private" and (video.meta.publish_at is not None or not private_views)
    if unseen or video.probe.failure is not None:
        return Statistics(views=0, likes=0, comments=0)
    age_s = max(0.0, now - published_at(video, now)) * time_scale
    seed = hashlib.sha256(video.id.encode()).digest()
    shape, pace, liking, talking = (int.from_bytes(seed[at : at + 4], "big") / 2**32 for at in (0, 4, 8, 12))
    ceiling = 800 * 100**shape
    constant_s = (5 + 40 * pace) * _HOUR_S
    views = math.floor(ceiling * (1 - math.exp(-age_s / constant_s)) + ceiling * 0.004 * age_s / (24 * _HOUR_S))
    return Statistics(
        views=views,
        likes=math.floor(views * (0.02 + 0.06 * liking)),
        comments=math.floor(views * (0.001 + 0.005 * talking)),
    )


def is_processed(video: Video, sandbox: Sandbox) -> bool:
    """Tell whether processing has ended, well or not."""
    settings = sandbox.settings
    return video.polls >= settings.processing_polls and sandbox.now() - video.created_at >= settings.processing_s


def etag(value: Any) -> str:
    digest = hashlib.sha1(msgspec.json.encode(value), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def iso_duration(seconds: float) -> str:
    """Write a length the way contentDetails.duration does: `PT4M13S`, `P1DT2H`, nothing at all `P0D`."""
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    clock = "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (secs, "S")) if value)
    if not whole:
        return "P0D"
    return "P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def thumbnails(video_id: str, base: str) -> dict[str, object]:
    return {
        size: {"url": f"{base}/vi/{video_id}/{name}.jpg", "width": width, "height": height}
        for size, (name, width, height) in _SIZES.items()
    }


def resource(
    video: Video,
    parts: Collection[str],
    *,
    sandbox: Sandbox,
    base: str,
    owner: bool,
    box_px: tuple[int, int] | None = None,
) -> dict[str, object]:
    """Return the video resource with the parts asked for.

    Args: base: scheme and host for picture addresses; owner: the caller owns the channel;
    box_px: what the player has to fit into, width and height.
    """
    builders: dict[str, Callable[[], dict[str, object]]] = {
        "snippet": lambda: _snippet(video, sandbox, base),
        "status": lambda: _status(video, sandbox),
        "statistics": lambda: _statistics(video, sandbox, owner=owner),
        "contentDetails": lambda: _content_details(video, sandbox),
        "processingDetails": lambda: _processing_details(video, sandbox),
        "fileDetails": lambda: {
            "fileName": video.file_name,
            "fileSize": str(video.size_bytes),
            "fileType": "video" if video.probe.failure is None else "other",
            "durationMs": str(round((video.probe.duration_s or 0) * 1000)),
        },
        "player": lambda: _player(video, base, box_px),
        "paidProductPlacementDetails": lambda: {"hasPaidProductPlacement": video.meta.paid_placement},
        "topicDetails": dict,
        "recordingDetails": dict,
        "suggestions": dict,
    }
    shown: dict[str, object] = {part: build() for part, build in builders.items() if part in parts}
    return {"kind": "youtube#video", "etag": etag(shown), "id": video.id, **shown}


def _player(video: Video, base: str, box_px: tuple[int, int] | None) -> dict[str, object]:
    """Return the player; its size follows the picture only where a box is given and the picture's form is known."""
    width, height = 480, 270
    shown: dict[str, object] = {}
    if box_px is not None and video.probe.width_px and video.probe.height_px:
        scale = min(box_px[0] / video.probe.width_px, box_px[1] / video.probe.height_px)
        width, height = round(video.probe.width_px * scale), round(video.probe.height_px * scale)
        shown = {"embedHeight": str(height), "embedWidth": str(width)}
    code = f'<iframe width="{width}" height="{height}" src="{base}/embed/{video.id}" frameborder="0" allowfullscreen>'
    return {"embedHtml": f"{code}</iframe>", **shown}


def _snippet(video: Video, sandbox: Sandbox, base: str) -> dict[str, object]:
    meta = video.meta
    snippet: dict[str, object] = {
        "publishedAt": rfc3339(published_at(video, sandbox.now())),
        "channelId": video.channel_id,
        "title": meta.title,
        "description": meta.description,
        "thumbnails": thumbnails(video.id, base),
        "channelTitle": video.channel_title or sandbox.settings.channel_title,
        "categoryId": meta.category_id,
        "liveBroadcastContent": "none",
        "localized": {"title": meta.title, "description": meta.description},
    }
    if meta.tags:
        snippet["tags"] = list(meta.tags)
    if meta.default_language is not None:
        snippet["defaultLanguage"] = meta.default_language
    return snippet


def _status(video: Video, sandbox: Sandbox) -> dict[str, object]:
    meta, now = video.meta, sandbox.now()
    status: dict[str, object] = {
        "uploadStatus": "uploaded",
        "privacyStatus": privacy_of(video, now),
        "license": meta.license,
        "embeddable": meta.embeddable,
        "publicStatsViewable": meta.public_stats,
        "madeForKids": bool(meta.made_for_kids),
        "containsSyntheticMedia": meta.synthetic,
    }
    if meta.made_for_kids is not None:
        status["selfDeclaredMadeForKids"] = meta.made_for_kids
    if is_processed(video, sandbox):
        status["uploadStatus"] = "processed" if video.probe.failure is None else "failed"
        if video.probe.failure is not None:
            status["failureReason"] = video.probe.failure
    if meta.publish_at is not None and now < meta.publish_at:
        status["publishAt"] = rfc3339(meta.publish_at)
    return status


def _statistics(video: Video, sandbox: Sandbox, *, owner: bool) -> dict[str, object]:
    settings = sandbox.settings
    counts = statistics(video, sandbox.now(), time_scale=settings.time_scale, private_views=settings.private_views)
    shown: dict[str, object] = {"viewCount": str(counts.views), "favoriteCount": "0"}
    if counts.likes is not None:
        shown["likeCount"] = str(counts.likes)
    shown["commentCount"] = str(counts.comments)
    if owner and counts.likes is not None:
        shown["dislikeCount"] = str(counts.likes // 40)
    return shown


def _content_details(video: Video, sandbox: Sandbox) -> dict[str, object]:
    ready = is_processed(video, sandbox)
    return {
        "duration": iso_duration(video.probe.duration_s or 0) if ready else "P0D",
        "dimension": "2d",
        "definition": "hd" if min(video.probe.width_px, video.probe.height_px) >= 720 and ready else "sd",
        "caption": "false",
        "licensedContent": False,
        "contentRating": {},
        "projection": "rectangular",
    }


def _processing_details(video: Video, sandbox: Sandbox) -> dict[str, object]:
    details: dict[str, object] = {
        "processingStatus": "processing",
        "fileDetailsAvailability": "available",
        "processingIssuesAvailability": "inProgress",
        "tagSuggestionsAvailability": "inProgress",
        "editorSuggestionsAvailability": "inProgress",
        "thumbnailsAvailability": "inProgress",
    }
    if not is_processed(video, sandbox):
        polls = max(1, sandbox.settings.processing_polls)
        done = min(video.polls, polls)
        details["processingProgress"] = {
            "partsTotal": str(polls),
            "partsProcessed": str(done),
            "timeLeftMs": str(1000 * (polls - done)),
        }
    elif video.probe.failure is None:
        details |= {"processingStatus": "succeeded", "thumbnailsAvailability": "available"}
    else:
        details |= {"processingStatus": "failed", "processingFailureReason": "transcodeFailed"}
    return details
