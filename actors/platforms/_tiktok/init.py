"""What TikTok takes as a draft: what the creator may do, and the body of an init. Pure.

Docs: developers.tiktok.com/doc: content-posting-api-reference-query-creator-info, -direct-post,
content-sharing-guidelines, read 2026-11-23: the privacy is one that the creator's options name and nothing chooses it
beforehand; comments, duets and stitches are off unless somebody switched them on; branded content is never private.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from actors.platforms._api import count, dig
from actors.platforms._tiktok.chunks import Chunks
from contracts.errors import Reject, Retry
from contracts.platform import Draft

__all__ = ["CAPTION_UTF16", "Creator", "check_draft", "init_body", "parse_creator", "privacy_level"]

CAPTION_UTF16: Final = 2200
LEVELS: Final = {"public": "PUBLIC_TO_EVERYONE", "private": "SELF_ONLY"}
_OTHERS: Final = "the option privacy_level=FOLLOWER_OF_CREATOR or MUTUAL_FOLLOW_FRIENDS where the account has it"
_SWITCHES: Final = ("comment", "duet", "stitch")


class Creator(Struct, frozen=True, kw_only=True):
    """What creator_info says at this moment. closed: interactions that the creator has switched off."""

    username: str
    levels: tuple[str, ...]
    closed: frozenset[str] = frozenset()
    max_duration_s: int | None = None


def parse_creator(answer: Any) -> Creator:
    """Read creator_info. Raises: Retry on an unknown shape."""
    data = dig(answer, "data", what="TikTok's creator_info")
    levels = dig(data, "privacy_level_options", what="TikTok's creator_info")
    if not isinstance(levels, list) or not levels or not all(isinstance(level, str) for level in levels):
        raise Retry("TikTok's creator_info answered in a shape that is not known here: privacy_level_options")
    return Creator(
        username=str(data.get("creator_username") or ""),
        levels=tuple(levels),
        closed=frozenset(name for name in _SWITCHES if data.get(f"{name}_disabled") is True),
        max_duration_s=count(data.get("max_video_post_duration_sec")),
    )


def check_draft(draft: Draft) -> None:
    """Check what can be known before TikTok is asked. Raises: Reject, naming the first fault."""
    mode = draft.options.get("mode", "direct")
    if mode not in {"direct", "inbox"}:
        raise Reject(f"TikTok has no mode '{mode}'", mend="Use mode=direct or mode=inbox")
    if mode == "inbox":
        return
    units = len(_caption(draft).encode("utf-16-le")) // 2
    if units > CAPTION_UTF16:
        raise Reject(f"the caption has {units} characters", mend=f"TikTok takes {CAPTION_UTF16}")
    if draft.privacy == "unlisted" and "privacy_level" not in draft.options:
        raise Reject("TikTok has no unlisted posts", mend=f"Use privacy public or private, or {_OTHERS}")
    if draft.paid and privacy_level(draft) == "SELF_ONLY":
        raise Reject("TikTok shows no branded content to its creator alone", mend="Use privacy public, or mode=inbox")


def privacy_level(draft: Draft) -> str:
    """Return TikTok's word for who may see the post."""
    return draft.options.get("privacy_level") or LEVELS.get(draft.privacy, "")


def init_body(draft: Draft, creator: Creator | None, chunks: Chunks) -> dict[str, Any]:
    """Return the body of an init; creator None: a draft for the inbox, which has no words of its own.

    Raises: Reject where the creator's options do not allow what is asked.
    """
    source = {
        "source": "FILE_UPLOAD",
        "video_size": chunks.size_bytes,
        "chunk_size": chunks.chunk_bytes,
        "total_chunk_count": chunks.count,
    }
    if creator is None:
        return {"source_info": source}
    level = privacy_level(draft)
    if level not in creator.levels:
        raise Reject(
            f"the account may not post as {level}: TikTok allows it {', '.join(creator.levels)}",
            mend=f"Use privacy public or private as far as these allow it, {_OTHERS}, or mode=inbox",
        )
    length_us = draft.probe.duration_us if draft.probe is not None else 0
    if creator.max_duration_s is not None and length_us > creator.max_duration_s * 1_000_000:
        raise Reject(
            f"the video is {length_us / 1_000_000:.0f} s long and the account may post {creator.max_duration_s} s",
            mend="Render a shorter one",
        )
    info: dict[str, Any] = {
        "privacy_level": level,
        "title": _caption(draft),
        "brand_content_toggle": draft.paid,
        "brand_organic_toggle": draft.own_brand,
        "is_aigc": draft.synthetic,
    }
    for name in _SWITCHES:
        info[f"disable_{name}"] = name in creator.closed or draft.options.get(name) != "on"
    cover_ms = count(draft.options.get("cover_ms"))
    if cover_ms is not None:
        info["video_cover_timestamp_ms"] = cover_ms
    return {"post_info": info, "source_info": source}


def _caption(draft: Draft) -> str:
    return draft.caption or draft.title
