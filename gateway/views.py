"""What is shown of the loop, as data: the same Structs make JSON and page. What is null says why in `absent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from msgspec import Meta, Struct, convert

from contracts.clock import Utc
from contracts.events import Reason
from contracts.media import Rendition
from contracts.platform import Metrics
from contracts.rights import LICENCES, RightsRecord, attribution_text

__all__ = [
    "GROUPS",
    "STAGES",
    "Account",
    "DeadLetter",
    "Item",
    "Measurement",
    "OtherPost",
    "Post",
    "Progress",
    "Render",
    "Rights",
    "Stage",
    "Stopped",
    "Times",
    "item_of",
    "measurement_of",
    "media_url",
]


TOLD_FOR_S: Final = 30.0
"""A time left that was told longer ago says nothing any more."""

Row = Mapping[str, Any]
"""A row of `list_items`, `show_item`, `all_posts` or `list_measurements`."""

Stage = Literal[
    "found",
    "passed",
    "editing",
    "rendering",
    "kept",
    "scheduled",
    "waiting",
    "publishing",
    "unconfirmed",
    "failed",
    "published",
    "measured",
    "removed",
    "stopped",
]

STAGES: Final[dict[Stage, str]] = {
    "found": "Waiting to be scored",
    "passed": "Passed over",
    "editing": "Being edited",
    "rendering": "Rendering",
    "kept": "Finished, kept here",
    "scheduled": "Waits for its time",
    "waiting": "Waits for a person",
    "publishing": "Publishing",
    "unconfirmed": "Unconfirmed",
    "failed": "Not posted",
    "published": "Posted, not measured yet",
    "measured": "Measured",
    "removed": "Removed there",
    "stopped": "Stopped",
}
"""Every stage in the order of the loop, with its name for people."""

GROUPS: Final[dict[str, tuple[Stage, ...]]] = {
    "videos": (
        "editing",
        "rendering",
        "kept",
        "scheduled",
        "waiting",
        "publishing",
        "unconfirmed",
        "failed",
        "published",
        "measured",
        "removed",
        "stopped",
    ),
    "candidates": ("found", "passed"),
    "attention": ("waiting", "unconfirmed", "failed", "removed", "stopped"),
}
"""Stages that are looked at together."""


class Times(Struct, frozen=True, kw_only=True):
    """When each step was done, UTC; null: not done."""

    found_at: Utc
    decided_at: Utc | None = None
    stored_at: Utc | None = None
    render_started_at: Utc | None = None
    rendered_at: Utc | None = None
    post_intended_at: Utc | None = None
    published_at: Utc | None = None
    measured_at: Utc | None = None


class Rights(Struct, frozen=True, kw_only=True):
    """What may be done with the work, for people."""

    licence: Annotated[str, Meta(description="Id in contracts.rights.LICENCES.")]
    title: Annotated[str, Meta(description="Name of the licence.")]
    url: str | None
    attribution: Annotated[str, Meta(description="Credit line; empty: none is asked for.")]
    record: RightsRecord


class Render(Struct, frozen=True, kw_only=True):
    """One rendering. rendition and media_url are null until the file is stored and checked."""

    plan_id: str
    frames_done: int
    frames_total: int | None
    eta_s: Annotated[float | None, Meta(description="Time until the last frame, seconds; null: see `eta_because`.")]
    eta_because: Annotated[str, Meta(description="Why `eta_s` is not known; empty: it is.")]
    rendition: Rendition | None
    media_url: str | None


class Measurement(Struct, frozen=True, kw_only=True):
    """One snapshot of a post. age_s: age of the post then, seconds."""

    bucket: int
    measured_at: Utc
    age_s: int
    metrics: Metrics


class OtherPost(Struct, frozen=True, kw_only=True):
    """Where else an item was posted, or is to be."""

    post_id: str
    platform: str
    account_id: str | None
    state: str
    because: str
    next_action: str
    url: str | None
    privacy: str | None


class Post(Struct, frozen=True, kw_only=True):
    """The post of an item that its stage tells of: the newest that needs a person, else the newest."""

    post_id: str
    platform: str
    account_id: str | None
    state: str
    because: str
    next_action: str
    url: str | None
    privacy: str | None
    description: str
    measurement: Measurement | None
    next_measurement_at: Utc | None


class Stopped(Struct, frozen=True, kw_only=True):
    """Why work on an item ended, and the dead letter that holds it."""

    by: str
    because: str
    at: Utc
    dead_letter: int


class Item(Struct, frozen=True, kw_only=True):
    """One work on its way through the loop."""

    item_id: str
    correlation_id: str
    title: str
    stage: Stage
    origin: str
    platform: str | None
    url: str | None
    creator: str | None
    niche: str | None
    rights: Rights
    decision: str
    decided_because: str
    score: float | None
    reasons: tuple[Reason, ...]
    times: Times
    changed_at: Utc
    render: Render | None
    post: Post | None
    others: Annotated[tuple[OtherPost, ...], Meta(description="Its other posts, as they were asked for.")]
    stopped: Stopped | None
    absent: Annotated[dict[str, str], Meta(description="Reason for each of score, rendition, post, numbers not known.")]


class Progress(Struct, frozen=True, kw_only=True):
    """How many works came how far."""

    seen: int
    chosen: int
    planned: int
    rendered: int
    posted: int
    measured: int


class Account(Struct, frozen=True, kw_only=True):
    """A connected account, without its tokens."""

    account_id: str
    platform: str
    title: str
    state: str
    state_because: str
    scopes: tuple[str, ...]
    expires_at: Annotated[Utc | None, Meta(description="End of the present access token; it is renewed by itself.")]
    connected_at: Utc
    refreshed_at: Utc | None
    paused_at: Annotated[
        Utc | None, Meta(description="Since when nothing is posted to it; null: it is not paused.")
    ] = None
    paused_because: str = ""
    url: str | None = None
    pictured: Annotated[bool, Meta(description="Whether /accounts/ID/picture shows one.")] = False


class DeadLetter(Struct, frozen=True, kw_only=True):
    """An event that ended without success."""

    id: int
    kind: str
    consumer: str
    event_id: str
    subject: str
    error: str
    failures: int
    created_at: Utc
    item_id: str | None
    title: str | None


def media_url(key: str) -> str:
    return f"/media/{quote(key)}"


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
        measurement=measurement_of(row) if row["measured_at"] is not None else None,
        next_measurement_at=row["due_at"],
    )


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
        absent["rendition"] = ended or waiting or "none was stored for this item"
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
