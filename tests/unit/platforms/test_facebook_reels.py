"""Facebook's reels: what a status means, when a post is shown, how figures are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.platforms._meta.facebook_reel import (
    check_time,
    finish_form,
    parse_metrics,
    parse_outcome,
    parse_reel,
    parse_standing,
)
from actors.platforms._meta.insights import Figures
from contracts.errors import Reject, Snooze
from contracts.platform import Draft

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {"marker": "ett0", "title": "A reef", "description": "Words", "privacy": "public"}
    return Draft(**{**values, "caption": "A reef #sea", **changes})


def status(whole: str = "processing", **phases: Any) -> dict[str, Any]:
    return {"video_status": whole, **{f"{name}_phase": phase for name, phase in phases.items()}}


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (status("uploading", uploading={"status": "in_progress"}, publishing={"status": "not_started"}), "none"),
        (status("upload_complete", publishing={"status": "not_started"}), "none"),
        (status(publishing={"status": "in_progress"}), "working"),
        (status("ready", publishing={"status": "complete", "publish_status": "published"}), "published"),
        (status("ready", publishing={"status": "completed"}), "published"),
        (status("ready", publishing={"status": "not_started", "publish_status": "scheduled"}), "scheduled"),
        (status("error", processing={"status": "error", "errors": [{"code": 1363128}]}), "failed"),
        (status("upload_failed"), "failed"),
        (status(publishing={"status": "error"}), "failed"),
        (status("expired"), "expired"),
        (None, "none"),
        ("ready", "none"),
        (status(7, publishing=[]), "none"),  # type: ignore[arg-type] # what a platform may send
    ],
)
def test_a_status_is_read(told: Any, state: str) -> None:
    """A reel that is published and read as not finished is finished twice; one that failed is waited for."""
    assert parse_outcome(told).state == state


def test_a_failure_has_its_reason_and_mend() -> None:
    """A person must learn what to render differently."""
    known = parse_outcome(status("error", processing={"status": "error", "errors": [{"code": 1363128}]}))
    assert ("too long or too short" in known.reason, "3 to 90 s" in known.mend) == (True, True)
    other = parse_outcome(status("error", processing={"status": "error", "errors": [{"message": "Odd."}]}))
    assert other.reason.endswith("processing the video: Odd")
    assert other.mend


def test_a_time_is_kept_there_or_waited_for() -> None:
    """A time that Facebook refuses must not become a post that is shown at once."""

    def state(**after: float) -> str:
        return finish_form(draft(publish_at=NOW + timedelta(**after)), "1", NOW)["video_state"]

    assert finish_form(draft(), "1", NOW)["video_state"] == "PUBLISHED"
    assert state(seconds=-1) == state(seconds=0) == "PUBLISHED"
    assert state(minutes=12) == "SCHEDULED"
    form = finish_form(draft(publish_at=NOW + timedelta(days=3)), "1", NOW)
    assert form["scheduled_publish_time"] == str(int((NOW + timedelta(days=3)).timestamp()))
    for near in (timedelta(seconds=1), timedelta(minutes=10), timedelta(minutes=11)):
        with pytest.raises(Snooze) as waits:
            finish_form(draft(publish_at=NOW + near), "1", NOW)
        assert waits.value.delay_s == near.total_seconds()
    check_time(draft(publish_at=NOW + timedelta(days=28)), NOW)
    with pytest.raises(Reject, match="too far ahead"):
        check_time(draft(publish_at=NOW + timedelta(days=29)), NOW)


def test_the_whole_text_is_the_description() -> None:
    """The credit of a licence stands in it."""
    assert finish_form(draft(), "1", NOW)["description"] == "A reef #sea"
    assert finish_form(draft(caption=""), "1", NOW)["description"] == "Words"


def test_the_page_of_a_reel() -> None:
    """Facebook names a page by its path; a strange one must not lead elsewhere without notice."""
    published = parse_outcome(status("ready", publishing={"publish_status": "published"}))
    told = {
        "permalink_url": "/reel/77/",
        "status": status(publishing={"publish_status": "published", "publish_time": 1_700_000_000}),
    }
    found = parse_reel("77", told, published)
    assert (found.url, found.privacy) == ("https://www.facebook.com/reel/77/", "public")
    assert found.published_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert parse_reel("77", {"permalink_url": 7}, published).url == "https://www.facebook.com/reel/77/"
    assert parse_reel("77", {}, published).published_at is None


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": status("ready", publishing={"publish_status": "published"})}, "stands"),
        ({"status": status("ready", publishing={"publish_status": "published"}), "published": False}, "private"),
        ({"status": status("ready", publishing={"publish_status": "draft"})}, "private"),
        ({"status": status("ready", publishing={"publish_status": "scheduled"})}, "private"),
        ({"status": status("error", processing={"status": "error"})}, "blocked"),
        ({"status": status(publishing={"status": "in_progress"})}, "processing"),
        ({}, "processing"),
    ],
)
def test_a_standing_is_read(told: dict[str, Any], state: str) -> None:
    """A post that was taken back by a person is no takedown, and a takedown no success."""
    assert parse_standing(told).state == state


def test_figures_come_from_insights_and_else_from_the_video() -> None:
    """Insights come days late; the video's own counts are there at once."""
    summary = {"summary": {"total_count": 4}}
    young = parse_metrics({"views": 9, "likes": summary, "comments": summary}, Figures(values={}, refused={}))
    assert (young.views, young.likes, young.comments, young.shares) == (9, 4, 4, None)
    values: dict[str, Any] = {
        "blue_reels_play_count": 50,
        "post_video_social_actions": {"COMMENT": 3, "share": 2, "odd": "x"},
        "post_video_likes_by_reaction_type": {"REACTION_LIKE": 5, "REACTION_LOVE": 1},
        "post_video_followers": -2,
        "post_video_avg_time_watched": 7250,
    }
    old = parse_metrics({"views": 9}, Figures(values=values, refused={}))
    assert (old.views, old.likes, old.comments, old.shares, old.followers) == (50, 6, 3, 2, -2)
    assert old.average_watched_us == 7_250_000
    values["fb_reels_total_plays"] = 60
    assert parse_metrics({"views": 9}, Figures(values=values, refused={})).views == 60
