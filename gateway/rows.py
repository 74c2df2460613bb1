"""Rows of the database, read into what is shown. What is not known gets its reason here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import convert

from contracts.events import Reason
from contracts.media import Rendition
from contracts.platform import Metrics
from contracts.rights import LICENCES, RightsRecord, attribution_text
from gateway.media import media_url, video_type
from gateway.views import Item, Measurement, OtherPost, Post, Render, Rights, Stage, Stopped, Times

__all__ = ["item_of", "measurement_of"]

TOLD_FOR_S: Final = 30.0
"""A time left that was told longer ago says nothing any more."""
MOST_SHOWN_BYTES: Final = 256 * 1024 * 1024
"""Larger files that were posted as they came are not shown: an object store hands out whole files."""

Row = Mapping[str, Any]
"""A row of `list_items`, `show_item`, `all_posts` or `list_measurements`."""


def item_of(row: Row, posts: Sequence[Row] = (), *, now: datetime) -> Item:
    """Read one row of `list_items` or `show_item`. posts: rows of `all_posts`, of this item and maybe others."""
    rights = convert(row["rights"], RightsRecord)
    licence = LICENCES.get(rights.licence, LICENCES["unknown"])
    stopped = (
        Stopped(
            by=row["stopped_by"],
            because=row["stopped_because"],
            at=row["stopped_at"],
            dead_letter=row["dead_letter"],
        )
        if row["stopped_because"] is not None
        else None
    )
    item = Item(
        item_id=row["item_id"],
        correlation_id=row["correlation_id"],
        title=row["title"],
        stage=row["stage"],
        origin=row["origin"],
        platform=row["platform"],
        url=row["url"],
        creator=row["creator"],
        niche=row["niche"],
        rights=Rights(
            licence=rights.licence,
            title=licence.title,
            url=licence.url,
            attribution=attribution_text(rights),
            record=rights,
        ),
        decision=row["decision"],
        decided_because=row["decided_because"],
        score=row["score"],
        reasons=convert(row["reasons"] or (), tuple[Reason, ...]),
        times=Times(
            found_at=row["first_seen_at"],
            decided_at=row["decided_at"],
            stored_at=row["stored_at"],
            render_started_at=row["started_at"],
            rendered_at=row["finished_at"],
            post_intended_at=row["intent_at"],
            published_at=row["published_at"],
            measured_at=row["measured_at"],
        ),
        changed_at=row["changed_at"],
        render=_render_of(row, now=now),
        post=_post_of(row),
        others=tuple(
            convert(one, OtherPost)
            for one in posts
            if one["item_id"] == row["item_id"] and one["post_id"] != row["post_id"]
        ),
        stopped=stopped,
        absent=_absent(row, now=now),
    )
    return convert(item, Item, from_attributes=True)


def measurement_of(row: Row) -> Measurement:
    """Read one row of `list_measurements`."""
    return Measurement(
        bucket=row["bucket"],
        measured_at=row["measured_at"],
        age_s=row["age_s"],
        metrics=Metrics(
            views=row["views"],
            likes=row["likes"],
            comments=row["comments"],
            shares=row["shares"],
            absent=convert(row["absent"] or {}, dict[str, str]),
        ),
    )


def _render_of(row: Row, *, now: datetime) -> Render | None:
    if row["plan_id"] is None:
        return None
    told_at = row["told_at"]
    if told_at is not None and (now - told_at).total_seconds() > TOLD_FOR_S and row["rendition"] is None:
        eta_s, eta_because = None, "no renderer has told of it for a while"
    else:
        eta_s, eta_because = row["eta_s"], row["eta_because"] or ""
    rendition = convert(row["rendition"], Rendition) if row["rendition"] is not None else None
    return Render(
        plan_id=row["plan_id"],
        frames_done=row["frames_done"],
        frames_total=row["frames_total"],
        eta_s=eta_s,
        eta_because=eta_because,
        rendition=rendition,
        media_url=media_url(rendition.key) if rendition else None,
    )


def _post_of(row: Row) -> Post | None:
    if row["post_id"] is None:
        return None
    return Post(
        post_id=row["post_id"],
        platform=row["post_platform"],
        account_id=row["account_id"],
        state=row["post_state"],
        because=row["post_because"],
        next_action=row["next_action"],
        url=row["post_url"],
        privacy=row["privacy"],
        description=row["description"] or "",
        file_url=_file_url(row),
        measurement=measurement_of(row) if row["measured_at"] is not None else None,
        next_measurement_at=row["due_at"],
    )


def _file_url(row: Row) -> str | None:
    key = row["object_key"]
    if row["plan_id"] is not None or video_type(key) is None or row["size_bytes"] > MOST_SHOWN_BYTES:
        return None
    return media_url(key)


def _absent(row: Row, *, now: datetime) -> dict[str, str]:
    """Say why each of the four results is not there."""
    absent: dict[str, str] = {}
    stage: Stage = row["stage"]
    ended = {
        "passed": "it was passed over",
        "stopped": "work on it stopped",
    }.get(stage)
    if row["score"] is None:
        imported = row["origin"] == "import"
        absent["score"] = "imports are not scored" if imported else ended or "it is not ranked yet"
    if row["rendition"] is None:
        waiting = {
            "found": "it is not chosen yet",
            "editing": "the plan is still being made",
            "rendering": "it is being rendered",
        }.get(stage)
        own = (
            "its file goes out as it came, and nothing is rendered"
            if row["plan_id"] is None and row["post_id"] is not None
            else None
        )
        absent["rendition"] = own or ended or waiting or "none was stored for this item"
    if row["post_id"] is None:
        kept = "no destination was named, so it is kept here" if stage == "kept" else None
        waiting = {
            "found": "it is not chosen yet",
            "publishing": "the publisher has not taken it yet",
        }.get(stage, "the video is not finished")
        absent["post"] = ended or kept or waiting
    if row["measured_at"] is None:
        absent["numbers"] = _why_no_numbers(row, ended=ended, now=now)
    return absent


def _why_no_numbers(row: Row, *, ended: str | None, now: datetime) -> str:
    state = row["post_state"]
    if state is None:
        return ended or "nothing was posted"
    if state == "failed":
        return "it was not posted"
    if state in {"draft", "scheduled", "waiting"}:
        return "it is not posted yet"
    if state != "published":
        return "the platform has not confirmed the post"
    if row["due_at"] is None:
        return "the tracker has not planned a measurement yet"
    wait_s = (row["due_at"] - now).total_seconds()
    if wait_s <= 0:
        return "the first measurement is due now"
    return f"the first measurement is due in {_span(wait_s)}"


def _span(seconds: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
