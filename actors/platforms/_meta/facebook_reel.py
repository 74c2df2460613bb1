"""A reel of a Facebook page: what its status says, what is counted of it, and the moment at which it is shown.

Docs: developers.facebook.com/docs/video-api/guides/reels-publishing, .../docs/graph-api/reference/video and
.../video/video_insights, read 2026-11-23. From version 26.0 on several figures fail the whole request, so figures are
asked for in small groups. A time of publication must be more than 10 minutes and less than 29 days ahead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urljoin

from msgspec import Struct

from actors.platforms._api import count
from actors.platforms._meta.facebook_videos import SITE, total_of
from actors.platforms._meta.insights import Figures, micros, post_metrics
from actors.platforms._meta.words import mend_of
from actors.platforms._posts import as_dict, as_list, from_unix
from actors.platforms._text import clean, parse_moment
from contracts.errors import Reject, Snooze
from contracts.platform import Draft, PostMetrics, RemotePost, Standing

__all__ = [
    "COUNTS",
    "GROUPS",
    "Outcome",
    "check_time",
    "finish_form",
    "parse_metrics",
    "parse_outcome",
    "parse_standing",
]

SOONEST: Final = timedelta(minutes=10)
LATEST: Final = timedelta(days=29)
MARGIN: Final = timedelta(minutes=1)
"""How much earlier than the platform's own bounds a time is refused here: the request takes its time."""

COUNTS: Final = "id,views,likes.limit(0).summary(true),comments.limit(0).summary(true)"
GROUPS: Final = (
    ("fb_reels_total_plays", "post_video_avg_time_watched", "post_video_view_time"),
    ("blue_reels_play_count",),
    ("post_video_followers", "post_video_social_actions", "post_video_likes_by_reaction_type"),
)
_SOURCES: Final = {
    "views": "fb_reels_total_plays",
    "shares": "post_video_social_actions",
    "followers": "post_video_followers",
    "watched_us": "post_video_view_time",
    "average_watched_us": "post_video_avg_time_watched",
}
_WHY: Final = {
    "": "Facebook has no figure yet: they come up to 48 hours late",
    "saves": "Facebook does not tell how often a reel was saved",
    "reach": "Facebook no longer tells how many different people saw a reel",
    "impressions": "Facebook counts plays in their place",
    "clicks": "Facebook does not tell clicks on a reel",
    "retention": "Facebook does not tell where people stop to watch a reel",
}


class Outcome(Struct, frozen=True, kw_only=True):
    """How far a video is. none: it may be finished; working: it is being published."""

    state: Literal["none", "working", "scheduled", "published", "failed", "expired"]
    reason: str = ""
    mend: str = ""


def parse_outcome(status: Any) -> Outcome:
    """Read the `status` of a video."""
    told = as_dict(status)
    phases = {name: as_dict(told.get(f"{name}_phase")) for name in ("uploading", "processing", "publishing")}
    publishing = phases["publishing"]
    if publishing.get("publish_status") == "scheduled":
        return Outcome(state="scheduled")
    if publishing.get("publish_status") == "published":
        return Outcome(state="published")
    whole = told.get("video_status")
    broken = [name for name, phase in phases.items() if phase.get("status") == "error"]
    if broken or whole in {"error", "upload_failed"}:
        return _failed(broken[0] if broken else "uploading", phases)
    if whole == "expired":
        return Outcome(state="expired")
    if publishing.get("status") in {"complete", "completed"}:
        return Outcome(state="published")
    return Outcome(state="working" if publishing.get("status") == "in_progress" else "none")


def _failed(phase: str, phases: dict[str, dict[str, Any]]) -> Outcome:
    errors = as_list(phases[phase].get("errors")) or [phases[phase].get("error")]
    error = as_dict(next(iter(errors), None))
    number = count(error.get("code")) or 0
    says, mend = mend_of(number)
    words = clean(str(error.get("message") or ""), max_chars=300).rstrip(".") or says or "no reason is told"
    return Outcome(state="failed", reason=f"Facebook failed at {phase} the video: {words}", mend=mend)


def check_time(draft: Draft, now: datetime) -> None:
    """Refuse a time that is too far ahead. Raises: Reject."""
    if draft.publish_at is not None and draft.publish_at - now > LATEST - MARGIN:
        raise Reject(
            f"{draft.publish_at:%Y-%m-%d %H:%M} UTC is too far ahead", mend="Facebook takes a time within 29 days"
        )


def finish_form(draft: Draft, video: str, now: datetime) -> dict[str, str]:
    """Return the fields of the request that makes the post.

    Raises: Snooze if its time is too near for Facebook to keep: then it is published here when the time has come.
    """
    form = {
        "upload_phase": "finish",
        "video_id": video,
        "video_state": "PUBLISHED",
        "title": draft.title,
        "description": draft.caption or draft.description,
    }
    left = timedelta(0) if draft.publish_at is None else draft.publish_at - now
    if draft.publish_at is None or left <= timedelta(0):
        return form
    if left <= SOONEST + MARGIN:
        raise Snooze("the time is too near for Facebook to keep it", delay_s=left.total_seconds())
    return form | {"video_state": "SCHEDULED", "scheduled_publish_time": str(int(draft.publish_at.timestamp()))}


def parse_reel(video: str, told: dict[str, Any], outcome: Outcome) -> RemotePost:
    """Read the post; Facebook names its page by a path."""
    page = told.get("permalink_url")
    publishing = as_dict(as_dict(told.get("status")).get("publishing_phase"))
    at = publishing.get("publish_time")
    return RemotePost(
        platform_post_id=video,
        url=urljoin(SITE, page) if isinstance(page, str) and page else f"{SITE}reel/{video}/",
        privacy="private" if outcome.state == "scheduled" else "public",
        published_at=from_unix(at) or parse_moment(at) if outcome.state == "published" else None,
    )


def parse_standing(told: dict[str, Any]) -> Standing:
    """Read how a post stands from the status of its video."""
    outcome = parse_outcome(told.get("status"))
    if outcome.state == "failed":
        return Standing(state="blocked", because=outcome.reason)
    if outcome.state == "scheduled":
        return Standing(state="private", because="it waits for its time", privacy="scheduled")
    publishing = as_dict(as_dict(told.get("status")).get("publishing_phase"))
    if publishing.get("publish_status") == "draft" or told.get("published") is False:
        return Standing(state="private", because="it was made a draft", privacy="draft")
    return Standing(state="stands" if outcome.state == "published" else "processing", privacy="public")


def parse_metrics(told: dict[str, Any], figures: Figures) -> PostMetrics:
    """Read a reel's counts: those of the video itself, and its insights, which come later."""
    social = figures.parts("post_video_social_actions")
    reactions = figures.parts("post_video_likes_by_reaction_type")
    likes, comments = total_of(told.get("likes")), total_of(told.get("comments"))
    followers = figures.values.get("post_video_followers")
    plays = figures.number("fb_reels_total_plays", "blue_reels_play_count")
    return post_metrics(
        figures,
        _SOURCES,
        _WHY,
        views=plays if plays is not None else count(told.get("views")),
        likes=likes if likes is not None or not reactions else sum(reactions.values()),
        comments=comments if comments is not None else social.get("COMMENT"),
        shares=social.get("SHARE"),
        followers=followers if isinstance(followers, int) and not isinstance(followers, bool) else None,
        watched_us=micros(figures.number("post_video_view_time")),
        average_watched_us=micros(figures.number("post_video_avg_time_watched")),
    )
