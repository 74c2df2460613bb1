"""What YouTube takes as a draft: its exact limits, and the body of videos.insert.

Docs: YouTube Data API v3 reference, "Videos" and "Videos: insert", read 2026-11-23.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from contracts.errors import Reject
from contracts.platform import Draft

__all__ = [
    "DESCRIPTION_BYTES",
    "MAX_BYTES",
    "MAX_DURATION_US",
    "TAGS_CHARS",
    "TITLE_CHARS",
    "check_draft",
    "plain",
    "tags_chars",
    "video_resource",
]

TITLE_CHARS: Final = 100
DESCRIPTION_BYTES: Final = 5000
TAGS_CHARS: Final = 500
MAX_BYTES: Final = 274_877_906_944
MAX_DURATION_US: Final = 12 * 3600 * 1_000_000
CATEGORY_ID: Final = "22"


def check_draft(draft: Draft, *, size_bytes: int, duration_us: int | None = None) -> None:
    """Check a draft against the exact limits before anything is sent. Raises: Reject, naming the first fault."""
    if not draft.title.strip():
        raise Reject("the title is empty", mend="Give a title")
    if len(draft.title) > TITLE_CHARS:
        raise Reject(f"the title has {len(draft.title)} characters", mend=f"YouTube takes {TITLE_CHARS}")
    described = len(draft.description.encode())
    if described > DESCRIPTION_BYTES:
        raise Reject(f"the description has {described} bytes", mend=f"YouTube takes {DESCRIPTION_BYTES}")
    for what, text in (("title", draft.title), ("description", draft.description), ("tags", "".join(draft.tags))):
        if "<" in text or ">" in text:
            raise Reject(f"the {what} has < or >", mend="YouTube refuses both: leave them out")
    tagged = tags_chars(_tags_of(draft))
    if tagged > TAGS_CHARS:
        raise Reject(f"the tags have {tagged} characters together", mend=f"YouTube takes {TAGS_CHARS}")
    if draft.publish_at is not None and draft.privacy != "private":
        raise Reject(
            f"a post cannot be both scheduled and {draft.privacy}",
            mend="Leave out the time, or use privacy private: YouTube makes it public at the time",
        )
    if not 0 < size_bytes <= MAX_BYTES:
        raise Reject(f"the file has {size_bytes} bytes", mend=f"YouTube takes 1 to {MAX_BYTES}")
    if duration_us is not None and duration_us > MAX_DURATION_US:
        raise Reject(f"the video is {duration_us / 3_600_000_000:.1f} hours long", mend="YouTube takes 12 hours")


def tags_chars(tags: tuple[str, ...]) -> int:
    """Count tags as YouTube does: commas between them, two quotes around a tag that has a space."""
    return sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(0, len(tags) - 1)


def video_resource(draft: Draft) -> dict[str, Any]:
    """Return the body of videos.insert. Everything that has a default which could surprise is said."""
    status: dict[str, Any] = {
        "privacyStatus": draft.privacy,
        "selfDeclaredMadeForKids": draft.for_children,
        "containsSyntheticMedia": draft.synthetic,
        "embeddable": True,
        "license": "youtube",
        "publicStatsViewable": True,
    }
    if draft.publish_at is not None:
        status["publishAt"] = draft.publish_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    snippet: dict[str, Any] = {
        "title": draft.title,
        "description": draft.description,
        "tags": list(_tags_of(draft)),
        "categoryId": CATEGORY_ID,
    }
    if draft.language is not None:
        snippet["defaultLanguage"] = draft.language
    return {"snippet": snippet, "status": status}


def _tags_of(draft: Draft) -> tuple[str, ...]:
    """Return the tags with the marker first: it is what finds the video again."""
    return tuple(dict.fromkeys((draft.marker, *(tag for tag in draft.tags if tag.strip()))))


def plain(text: str) -> str:
    """Put typographic quotation marks where < and > are: YouTube refuses those two characters."""
    return text.replace("<", "\u2039").replace(">", "\u203a")
