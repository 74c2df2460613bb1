"""What a video's metadata may be: the checks of videos.insert and videos.update.

Docs: "Videos: insert" and "Videos" resource (developers.google.com/youtube/v3/docs/videos, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from deploy.sandbox.youtube_errors import refuse

__all__ = ["CATEGORIES", "PARTS", "Metadata", "parse_metadata"]

TITLE_CHARACTERS = 100
DESCRIPTION_BYTES = 5000
TAG_CHARACTERS = 500

CATEGORIES: dict[str, str] = {
    "1": "Film & Animation",
    "2": "Autos & Vehicles",
    "10": "Music",
    "15": "Pets & Animals",
    "17": "Sports",
    "19": "Travel & Events",
    "20": "Gaming",
    "22": "People & Blogs",
    "23": "Comedy",
    "24": "Entertainment",
    "25": "News & Politics",
    "26": "Howto & Style",
    "27": "Education",
    "28": "Science & Technology",
    "29": "Nonprofits & Activism",
}
"""Assignable categories, region US."""

PARTS = frozenset(
    {
        "contentDetails",
        "fileDetails",
        "id",
        "liveStreamingDetails",
        "localizations",
        "paidProductPlacementDetails",
        "player",
        "processingDetails",
        "recordingDetails",
        "snippet",
        "statistics",
        "status",
        "suggestions",
        "topicDetails",
    }
)


class Metadata(Struct, frozen=True, kw_only=True):
    """The mutable words and switches of a video. `publish_at` in Unix seconds."""

    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    category_id: str = "22"
    default_language: str | None = None
    privacy: str = "public"
    publish_at: float | None = None
    license: str = "youtube"
    embeddable: bool = True
    public_stats: bool = True
    made_for_kids: bool | None = None
    synthetic: bool = False
    paid_placement: bool = False


def parse_metadata(body: Any, parts: Collection[str], *, now: float, before: Metadata | None = None) -> Metadata:
    """Check a video resource and read it. With `before`, the parts not named keep their values (update).

    Raises: Refused with the reason that the platform gives.
    """
    if not isinstance(body, dict):
        raise refuse("parseError")
    if unnamed := [name for name in body if name in PARTS and name != "id" and name not in parts]:
        raise refuse("unexpectedPart", f"The part parameter does not name: {', '.join(unnamed)}", location="part")
    found = before or Metadata()
    if "snippet" in parts:
        found = _snippet(found, _object(body, "snippet"), update=before is not None)
    elif before is None:
        raise refuse("invalidTitle", location="body.snippet.title", location_type="other")
    if "status" in parts:
        found = _status(found, _object(body, "status"), now=now, update=before is not None)
    if "paidProductPlacementDetails" in parts:
        paid = _object(body, "paidProductPlacementDetails").get("hasPaidProductPlacement", False)
        found = structs.replace(found, paid_placement=paid is True)
    return found


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise refuse("invalidVideoMetadata", location=f"body.{name}", location_type="other")
    return value


def _snippet(found: Metadata, snippet: Mapping[str, Any], *, update: bool) -> Metadata:
    def wrong(reason: str, field: str) -> Exception:
        return refuse(reason, location=f"body.snippet.{field}", location_type="other")

    title = snippet.get("title", "")
    if not isinstance(title, str) or not title.strip() or len(title) > TITLE_CHARACTERS or _has_angle(title):
        raise wrong("invalidTitle", "title")
    description = snippet.get("description", "")
    too_long = isinstance(description, str) and len(description.encode()) > DESCRIPTION_BYTES
    if not isinstance(description, str) or too_long or _has_angle(description):
        raise wrong("invalidDescription", "description")
    tags = snippet.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag and not _has_angle(tag) for tag in tags):
        raise wrong("invalidTags", "tags")
    if tag_characters(tags) > TAG_CHARACTERS:
        raise wrong("invalidTags", "tags")
    category = snippet.get("categoryId", None if update else "22")
    if category not in CATEGORIES:
        raise wrong("invalidCategoryId", "categoryId")
    language = snippet.get("defaultLanguage")
    if language is not None and not isinstance(language, str):
        raise wrong("invalidVideoMetadata", "defaultLanguage")
    return structs.replace(
        found,
        title=title,
        description=description,
        tags=tuple(tags),
        category_id=category,
        default_language=language,
    )


def _status(found: Metadata, status: Mapping[str, Any], *, now: float, update: bool) -> Metadata:
    def wrong(reason: str, field: str) -> Exception:
        return refuse(reason, location=f"body.status.{field}", location_type="other")

    privacy = status.get("privacyStatus", found.privacy if update else "public")
    if privacy not in {"private", "public", "unlisted"}:
        raise wrong("invalidVideoMetadata", "privacyStatus")
    if status.get("license", "youtube") not in {"youtube", "creativeCommon"}:
        raise wrong("invalidVideoMetadata", "license")
    for field in ("embeddable", "publicStatsViewable", "selfDeclaredMadeForKids", "containsSyntheticMedia"):
        if not isinstance(status.get(field, False), bool):
            raise wrong("invalidVideoMetadata", field)
    publish_at = None
    if status.get("publishAt") is not None:
        if privacy != "private":
            raise wrong("invalidPublishAt", "publishAt")
        try:
            moment = datetime.fromisoformat(status["publishAt"])
        except (TypeError, ValueError) as bad:
            raise wrong("invalidPublishAt", "publishAt") from bad
        if moment.tzinfo is None:
            raise wrong("invalidPublishAt", "publishAt")
        publish_at = moment.timestamp()
        if publish_at <= now:
            privacy, publish_at = "public", None
    return structs.replace(
        found,
        privacy=privacy,
        publish_at=publish_at,
        license=status.get("license", "youtube"),
        embeddable=status.get("embeddable", True),
        public_stats=status.get("publicStatsViewable", True),
        made_for_kids=status.get("selfDeclaredMadeForKids"),
        synthetic=status.get("containsSyntheticMedia", False),
    )


def tag_characters(tags: Collection[str]) -> int:
    """Count tags as the platform does: commas between them, two quotes around a tag that has a space."""
    return sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(0, len(tags) - 1)


def _has_angle(text: str) -> bool:
    return "<" in text or ">" in text
