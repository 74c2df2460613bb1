"""What is shown of the loop, as data: the same Structs make JSON and page. What is null says why in `absent`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from contracts.clock import Utc
from contracts.events import Reason
from contracts.media import Rendition
from contracts.platform import Metrics
from contracts.rights import RightsRecord

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
]

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
    "dropped",
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
    "dropped": "Given up",
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
        "dropped",
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
    file_url: Annotated[
        str | None, Meta(description="A file that was posted as it came; null: none that can be shown.")
    ]
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
