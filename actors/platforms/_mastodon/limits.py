"""What one Mastodon server takes, as it says itself in /api/v2/instance. Pure.

Docs: docs.joinmastodon.org/entities/Instance/, read 2026-11-23. A number that a server does not state is no limit here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from actors.platforms._api import count
from actors.platforms._posts import as_dict, as_list
from contracts.errors import Reject
from contracts.platform import Draft

__all__ = ["ALT_CHARS", "alt_of", "check_draft", "length_of", "text_of"]

ALT_CHARS: Final = 1_500
"""Longest description of a medium on every server."""
LINK_CHARS: Final = 23
_LINK: Final = re.compile(r"https?://\S+")


def text_of(draft: Draft) -> str:
    return draft.caption or draft.title


def alt_of(draft: Draft) -> str:
    return " ".join((draft.options.get("alt") or draft.title).split())[:ALT_CHARS]


def length_of(text: str, *, link_chars: int = LINK_CHARS) -> int:
    """Return the characters that a server counts: any link counts alike, a mention without its server."""
    shown = re.sub(r"(@\w+)@[\w.-]+\w", r"\1", _LINK.sub("x" * link_chars, text))
    return len(shown)


def check_draft(draft: Draft, told: dict[str, Any], *, size_bytes: int) -> None:
    """Compare a draft with a server's `configuration`. Raises: Reject, with what would mend it."""
    statuses, media = as_dict(told.get("statuses")), as_dict(told.get("media_attachments"))
    most = count(statuses.get("max_characters"))
    link_chars = count(statuses.get("characters_reserved_per_url"))
    chars = length_of(text_of(draft), link_chars=LINK_CHARS if link_chars is None else link_chars)
    if most is not None and chars > most:
        raise Reject(f"the text has {chars} characters and its server takes {most}", mend="Shorten the text")
    room = count(media.get("video_size_limit"))
    if room is not None and size_bytes > room:
        raise Reject(
            f"the video has {size_bytes} bytes and its server takes {room}", mend="Render it shorter or smaller"
        )
    types = as_list(media.get("supported_mime_types"))
    if types and "video/mp4" not in types:
        raise Reject("its server takes no MP4 videos", mend="Post to another account")
    if draft.probe is None:
        return
    video = draft.probe.video
    pixels, most_pixels = video.width_px * video.height_px, count(media.get("video_matrix_limit"))
    if most_pixels is not None and pixels > most_pixels:
        raise Reject(f"the picture has {pixels} pixels and its server takes {most_pixels}", mend="Render it smaller")
    fps, most_fps = video.fps.num / video.fps.den, count(media.get("video_frame_rate_limit"))
    if most_fps is not None and fps > most_fps:
        raise Reject(f"the video has {fps:g} frames a second and its server takes {most_fps}", mend="Render it slower")
