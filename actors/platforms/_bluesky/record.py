"""What Bluesky stores of a post: its key, chosen before it is sent, its text with facets, its video. Pure.

Docs: atproto.com/specs/tid, docs.bsky.app/docs/advanced-guides/post-richtext, lexicons app.bsky.feed.post,
app.bsky.richtext.facet and app.bsky.embed.video, read 2026-11-23. Facets count bytes of UTF-8, the end exclusive.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pysubs2

from contracts.media import Probe
from contracts.platform import Draft

__all__ = ["COLLECTION", "caption_file", "facets_of", "post_record", "ratio_of", "record_key", "text_of", "wire_moment"]

COLLECTION: Final = "app.bsky.feed.post"
TAG_CHARS: Final = 64
ALT_CHARS: Final = 1_000
CAPTION_BYTES: Final = 20_000
"""Largest file of captions."""

_SORTED: Final = "234567abcdefghijklmnopqrstuvwxyz"
_LINK: Final = re.compile(r"(?<![\w/@.])https?://[^\s<>\"'`]+", re.IGNORECASE)
_TAG: Final = re.compile(r"(?:(?<=\s)|^)[#＃](?P<tag>(?!\ufe0f)[^\s#＃\u00ad\u2060\u200a-\u200d]+)")
_TRAILING: Final = re.compile(r"[\W_]+$")
_CLOSING: Final = ".,;:!?'\")]}"


def record_key(at: datetime, *, marker: str) -> str:
    """Return a timestamp identifier: 53 bits of microseconds and 10 bits that stand for the writer, 13 characters."""
    writer = int.from_bytes(hashlib.sha256(marker.encode()).digest()[:2], "big") & 1023
    moment = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    whole = ((moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds) << 10 | writer
    return "".join(_SORTED[whole >> 5 * place & 31] for place in range(12, -1, -1))


def wire_moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_of(draft: Draft) -> str:
    return draft.caption or draft.title


def facets_of(text: str) -> list[dict[str, Any]]:
    """Return the links and hashtags of `text`, in their order; a hashtag within a link is part of the link."""
    links = list(_links(text))
    taken = [(first, last) for first, last, _ in links]
    found = [*links, *(one for one in _tags(text) if not any(a <= one[0] < b for a, b in taken))]
    return [
        {
            "index": {"byteStart": len(text[:first].encode()), "byteEnd": len(text[:last].encode())},
            "features": [feature],
        }
        for first, last, feature in sorted(found, key=lambda one: one[0])
    ]


def _links(text: str) -> Iterator[tuple[int, int, dict[str, str]]]:
    for match in _LINK.finditer(text):
        uri = match[0]
        while uri[-1] in _CLOSING and not (uri[-1] == ")" and uri.count("(") >= uri.count(")")):
            uri = uri[:-1]
        if len(uri) > len("https://"):
            yield match.start(), match.start() + len(uri), {"$type": "app.bsky.richtext.facet#link", "uri": uri}


def _tags(text: str) -> Iterator[tuple[int, int, dict[str, str]]]:
    for match in _TAG.finditer(text):
        tag = _TRAILING.sub("", match["tag"])
        if tag and not tag.isdigit() and len(tag) <= TAG_CHARS:
            yield match.start(), match.start("tag") + len(tag), {"$type": "app.bsky.richtext.facet#tag", "tag": tag}


def ratio_of(probe: Probe | None) -> dict[str, int] | None:
    """Return the sides as they are shown; None: nobody looked at the file."""
    if probe is None:
        return None
    video = probe.video
    return {"width": video.width_px, "height": video.height_px}


def caption_file(told: str) -> bytes | None:
    """Return subtitles as WebVTT; None: they cannot be read, or are too long for Bluesky."""
    try:
        subtitles = pysubs2.SSAFile.from_string(told)
    except (pysubs2.exceptions.Pysubs2Error, ValueError):
        return None
    made = str(subtitles.to_string("vtt")).encode()
    return made if len(made) <= CAPTION_BYTES and len(subtitles) else None


def post_record(draft: Draft, *, created_at: str, video: Any, captions: Any | None) -> dict[str, Any]:
    """Return the record of the post. video, captions: blobs as the server gave them."""
    text = text_of(draft)
    embed: dict[str, Any] = {
        "$type": "app.bsky.embed.video",
        "video": video,
        "alt": (draft.options.get("alt") or draft.title)[:ALT_CHARS],
    }
    if (ratio := ratio_of(draft.probe)) is not None:
        embed["aspectRatio"] = ratio
    if captions is not None:
        embed["captions"] = [{"lang": draft.language, "file": captions}]
    record: dict[str, Any] = {"$type": COLLECTION, "text": text, "createdAt": created_at, "embed": embed}
    if facets := facets_of(text):
        record["facets"] = facets
    if draft.language:
        record["langs"] = [draft.language]
    return record
