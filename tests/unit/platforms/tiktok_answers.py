"""Answers of TikTok, written by hand after its documents, and settings to ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

__all__ = ["AT", "BIG_ID", "GRANT", "OWN", "RESEARCH", "answer", "own", "page", "researched"]

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BIG_ID = 7_444_705_554_666_130_708
RESEARCH = {
    "tiktok_client_key": "key",
    "tiktok_client_secret": "sesame",
    "tiktok_research_enabled": "true",
    "monetised": "false",
}
OWN = {"tiktok_access_token": "sesame"}
GRANT = {"access_token": "clt.x", "expires_in": 7200, "token_type": "Bearer"}
GOOD = {"code": "ok", "message": "", "log_id": "2022"}


def researched(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": BIG_ID,
        "create_time": 1_733_355_614,
        "username": "user.gerageda_1",
        "video_description": "Corals at night #DeepSea",
        "hashtag_names": ["deepsea", "night"],
        "video_duration": 61,
        "like_count": 38_884,
        "comment_count": 504,
        "share_count": 2_124,
        "view_count": 1_585_253,
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def own(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": str(BIG_ID),
        "create_time": 1_733_355_614,
        "cover_image_url": "https://p16.example/a.jpeg",
        "share_url": f"https://www.tiktok.com/@ada/video/{BIG_ID}",
        "title": "Corals",
        "video_description": "Corals at night #DeepSea",
        "duration": 61,
        "width": 720,
        "height": 1280,
        "like_count": 1,
        "comment_count": 0,
        "share_count": 2,
        "view_count": 30,
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def answer(data: Any, **error: Any) -> dict[str, Any]:
    return {"data": data, "error": {**GOOD, **error}}


def page(*videos: Any, more: bool = False, cursor: int = 100, **others: Any) -> dict[str, Any]:
    return answer({"videos": list(videos), "has_more": more, "cursor": cursor, **others})
