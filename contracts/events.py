"""Every event of the flow, version 1.

An event is one JSON object. `type` names it and its subject (`ett.` + type). Every field beyond the
essential has a default, so a person can publish one by hand. Fields may be added within a major version;
none is renamed or re-typed. `tests/golden/` holds the exact bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.clock import Utc
from contracts.ids import (
    AccountId,
    CorrelationId,
    EventId,
    ItemId,
    ObjectKey,
    PlanId,
    PostId,
)
from contracts.language import LanguageTag
from contracts.media import Rendition
from contracts.plan import Plan
from contracts.platform import Candidate, PostMetrics, Privacy, Standing
from contracts.rights import RightsRecord

__all__ = [
    "AccountConnected",
    "AccountPaused",
    "CandidateFound",
    "CandidateSelected",
    "ChunkRequested",
    "Destination",
    "Event",
    "ExperimentConcluded",
    "ImportRequested",
    "JoinRequested",
    "PostChanged",
    "PostMeasured",
    "PostProgressed",
    "PostPublished",
    "PostRequested",
    "Reason",
    "RenderCompleted",
    "RenderProgressed",
    "RenderRequested",
    "RevenueRecorded",
    "ScanCompleted",
    "ScanRequested",
    "WorkRejected",
]


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event carries."""

    version: Annotated[Literal[1], Meta(description="Major version of the event.")] = 1
    event_id: Annotated[
        EventId,
        Meta(description="Unique id. Empty in what a person sends: then the stream's sequence number names it."),
    ] = EventId("")
    occurred_at: Annotated[
        Utc | None, Meta(description="When it happened, UTC. Null in what a person sends: then when it was stored.")
    ] = None
    correlation_id: Annotated[
        CorrelationId, Meta(description="Same for all that follows from one first event. Empty: this is the first.")
    ] = CorrelationId("")
    causation_id: Annotated[EventId | None, Meta(description="The event that led to this one; null: none.")] = None


class Destination(Struct, frozen=True, kw_only=True):
    """Where a finished video goes."""

    platform: Annotated[str, Meta(description="Adapter name of the platform posted to.")]
    account_id: Annotated[AccountId | None, Meta(description="Which account; null: the one that is connected.")] = None
    privacy: Annotated[Privacy, Meta(description="Who may see the post.")] = "private"
    publish_at: Annotated[Utc | None, Meta(description="When the post shall be seen, UTC; null: at once.")] = None
    at_slot: Annotated[
        bool, Meta(description="At the next free slot of the account's timetable, not before `publish_at`.")
    ] = False
    if_late: Annotated[
        Literal["post", "skip", "ask"] | None,
        Meta(description="What to do when its time has passed by more than the grace; null: as the settings say."),
    ] = None
    paid: Annotated[bool, Meta(description="A third party paid for it: shown as a paid partnership.")] = False
    own_brand: Annotated[bool, Meta(description="It promotes the poster's own business.")] = False
    for_children: Annotated[bool, Meta(description="Made for children, in the sense of COPPA.")] = False
    options: Annotated[
        dict[str, str], Meta(description="What one platform alone knows, such as `board_id`; docs/publishing.md.")
    ] = {}


class Reason(Struct, frozen=True, kw_only=True):
    """One signal's part in a score."""

    signal: Annotated[str, Meta(description="Name of the signal.")]
    points: Annotated[float, Meta(description="What it added to the score, points of 100.")]
    because: Annotated[str, Meta(description="The numbers it was worked out from, in words.")]
    value: Annotated[float | None, Meta(description="The signal, 0..1; null: recorded before values were kept.")] = None
    weight: Annotated[
        float | None, Meta(description="Most points that it can give; null: recorded before weights were kept.")
    ] = None


class ScanRequested(Event, frozen=True, kw_only=True, tag="scan.requested"):
    """Look for candidates."""

    niche: Annotated[
        str, Meta(description="What the channel is about; also the search words.", min_length=1, max_length=200)
    ]
    platform: Annotated[
        str | None,
        Meta(
            description="Sources, commas between, as `internet_archive` or `youtube:shorts`; "
            "null: every platform whose needs are met."
        ),
    ] = None
    limit: Annotated[int, Meta(description="Most candidates per platform.", ge=1, le=500)] = 25
    destination: Annotated[
        Destination | None, Meta(description="Where the winners are posted; null: the configured destination.")
    ] = None


class CandidateFound(Event, frozen=True, kw_only=True, tag="candidate.found"):
    """A scan saw a work."""

    candidate: Annotated[Candidate, Meta(description="The work as seen.")]
    niche: Annotated[str, Meta(description="The niche that was scanned.")]
    destination: Annotated[Destination | None, Meta(description="Copied from the scan.")] = None


class ScanCompleted(Event, frozen=True, kw_only=True, tag="scan.completed"):
    """A scan ended."""

    niche: Annotated[str, Meta(description="The niche that was scanned.")]
    found: Annotated[dict[str, int], Meta(description="Candidates found, by platform that answered.")]
    failed: Annotated[dict[str, str], Meta(description="Reason, by platform that did not answer.")] = {}
    skipped: Annotated[dict[str, str], Meta(description="Reason, by platform that was not asked.")] = {}


class CandidateSelected(Event, frozen=True, kw_only=True, tag="candidate.selected"):
    """The ranker chose a work to be made into a video."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    candidate: Annotated[Candidate, Meta(description="The work as seen when it was chosen.")]
    niche: Annotated[str, Meta(description="The niche it was chosen for.")]
    score: Annotated[float, Meta(description="Score, 0..100.", ge=0, le=100)]
    reasons: Annotated[tuple[Reason, ...], Meta(description="Each signal's part; they add up to the score.")]
    destination: Annotated[Destination | None, Meta(description="Where it is posted; null: nowhere, it is kept.")] = (
        None
    )


class ImportRequested(Event, frozen=True, kw_only=True, tag="import.requested"):
    """A person brings media in: a stored file (`key`) or an address (`url`), with the right to use it."""

    rights: Annotated[RightsRecord, Meta(description="What may be done with it, and who says so.")]
    key: Annotated[ObjectKey | None, Meta(description="Where the file was stored; null: `url` is used.")] = None
    url: Annotated[str | None, Meta(description="Address to fetch it from; null: `key` is used.")] = None
    file_name: Annotated[str, Meta(description="Name of the file, for the title.")] = ""
    title: Annotated[str, Meta(description="Title; empty: made from the source's own words.")] = ""
    script: Annotated[str, Meta(description="Words spoken in the media, or to be spoken; empty: none given.")] = ""
    narrate: Annotated[bool, Meta(description="Speak the script with a synthetic voice.")] = False
    caption_style: Annotated[
        str, Meta(description="Name of a caption style; empty: as blueprints, experiments and the preset say.")
    ] = ""
    subtitles_key: Annotated[ObjectKey | None, Meta(description="Where a .srt or .vtt was stored; null: none.")] = None
    destination: Annotated[Destination | None, Meta(description="Where it is posted; null: nowhere, it is kept.")] = (
        None
    )


class RenderRequested(Event, frozen=True, kw_only=True, tag="render.requested"):
    """A plan is ready to be rendered."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    plan: Annotated[Plan, Meta(description="The render plan.")]
    title: Annotated[str, Meta(description="Title of the post.")] = ""
    description: Annotated[str, Meta(description="Description of the post, attribution included.")] = ""
    hashtags: Annotated[tuple[str, ...], Meta(description="Hashtags without #.")] = ()
    synthetic: Annotated[bool, Meta(description="Contains a realistic synthetic voice or picture.")] = False
    destination: Annotated[Destination | None, Meta(description="Where it is posted; null: nowhere, it is kept.")] = (
        None
    )
    language: Annotated[
        LanguageTag | None, Meta(description="Language of its words as a BCP 47 tag; null: not known.")
    ] = None


class ChunkRequested(Event, frozen=True, kw_only=True, tag="chunk.requested"):
    """A part of a long plan waits for any renderer. The plan itself is in the database."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    plan_id: Annotated[PlanId, Meta(description="The plan that it is a part of.")]
    index: Annotated[int, Meta(description="Number of the chunk, from 0; -1: the sound.", ge=-1)]


class JoinRequested(Event, frozen=True, kw_only=True, tag="join.requested"):
    """The last part of a long plan is made: the parts can be joined."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    plan_id: Annotated[PlanId, Meta(description="The plan whose parts are made.")]


class RenderProgressed(Event, frozen=True, kw_only=True, tag="render.progressed"):
    """How far a render is, over all renderers. Sent at most once a second, and at the end; never redelivered."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    plan_id: Annotated[PlanId, Meta(description="The plan being rendered.")]
    frames_done: Annotated[int, Meta(description="Frames encoded so far, count.", ge=0)]
    frames_total: Annotated[int, Meta(description="Frames of the whole output, count.", ge=1)]
    workers: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Chunks being worked on now, count; null: not told.")
    ] = None
    eta_s: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Time until the last frame at the pace of now, seconds; null: see `absent`."),
    ] = None
    absent: Annotated[dict[str, str], Meta(description="Reason for `eta_s` where it is not known.")] = {}


class RenderCompleted(Event, frozen=True, kw_only=True, tag="render.completed"):
    """A finished, checked video file is stored."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    rendition: Annotated[Rendition, Meta(description="The file.")]
    rights: Annotated[RightsRecord, Meta(description="What may be done with it.")]
    title: Annotated[str, Meta(description="Title of the post.")] = ""
    description: Annotated[str, Meta(description="Description of the post, attribution included.")] = ""
    hashtags: Annotated[tuple[str, ...], Meta(description="Hashtags without #.")] = ()
    synthetic: Annotated[bool, Meta(description="Contains a realistic synthetic voice or picture.")] = False
    destination: Annotated[Destination | None, Meta(description="Where it is posted; null: nowhere, it is kept.")] = (
        None
    )
    language: Annotated[
        LanguageTag | None, Meta(description="Language of its words as a BCP 47 tag; null: not known.")
    ] = None


class PostRequested(Event, frozen=True, kw_only=True, tag="post.requested"):
    """A person asks for a stored, finished video to be posted."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    key: Annotated[ObjectKey, Meta(description="Where the video is stored.")]
    rights: Annotated[RightsRecord, Meta(description="What may be done with it, and who says so.")]
    destination: Annotated[Destination, Meta(description="Where it is posted.")]
    title: Annotated[str, Meta(description="Title of the post.")] = ""
    description: Annotated[str, Meta(description="Description of the post, attribution included.")] = ""
    hashtags: Annotated[tuple[str, ...], Meta(description="Hashtags without #.")] = ()
    synthetic: Annotated[bool, Meta(description="Contains a realistic synthetic voice or picture.")] = False
    thumbnail_key: Annotated[ObjectKey | None, Meta(description="Where its thumbnail is stored; null: none.")] = None
    subtitles_key: Annotated[ObjectKey | None, Meta(description="Where its .srt or .vtt is stored; null: none.")] = None
    language: Annotated[
        LanguageTag | None,
        Meta(description="Language of its words and subtitles as a BCP 47 tag, as `en` or `pt-BR`; null: not known."),
    ] = None


class PostProgressed(Event, frozen=True, kw_only=True, tag="post.progressed"):
    """How far an upload is. Sent at most once a second, and at the end; never redelivered."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    post_id: Annotated[PostId, Meta(description="The post here.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    sent_bytes: Annotated[int, Meta(description="Bytes handed to the platform so far.", ge=0)]
    size_bytes: Annotated[int, Meta(description="Size of the file, bytes.", ge=0)]
    state: Annotated[str, Meta(description="State of the post: uploading, processing.")] = "uploading"


class PostPublished(Event, frozen=True, kw_only=True, tag="post.published"):
    """The platform confirmed a post."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    post_id: Annotated[PostId, Meta(description="The post here.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    account_id: Annotated[AccountId, Meta(description="The account posted to.")]
    platform_post_id: Annotated[str, Meta(description="The post's id on the platform.")]
    url: Annotated[str, Meta(description="Page of the post.")]
    privacy: Annotated[str | None, Meta(description="Who may see it, as the platform confirmed; null: not told.")] = (
        None
    )
    published_at: Annotated[Utc, Meta(description="When the platform confirmed it, UTC.")]
    shown_at: Annotated[
        Utc | None,
        Meta(description="When people can see it, where the platform keeps it until then, UTC; null: at published_at."),
    ] = None


class PostMeasured(Event, frozen=True, kw_only=True, tag="post.measured"):
    """A snapshot of a post's counts."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    post_id: Annotated[PostId, Meta(description="The post here.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    bucket: Annotated[int, Meta(description="Number of the snapshot in the post's schedule, from 0.", ge=0)]
    measured_at: Annotated[Utc, Meta(description="When the platform answered, UTC.")]
    age_s: Annotated[int, Meta(description="Age of the post then, seconds.", ge=0)]
    metrics: Annotated[PostMetrics, Meta(description="The counts; null with a reason where the platform gave none.")]
    revision: Annotated[
        int,
        Meta(description="How often the platform told of it anew; 0: the first answer. The highest one counts.", ge=0),
    ] = 0
    revised: Annotated[
        dict[str, Utc],
        Meta(description="Counts told after `measured_at`, late or corrected, with when that was, UTC, by field."),
    ] = {}


class PostChanged(Event, frozen=True, kw_only=True, tag="post.changed"):
    """A post that stood was found changed: removed, blocked, claimed or made private, and not from here."""

    item_id: Annotated[ItemId, Meta(description="The item.")]
    post_id: Annotated[PostId, Meta(description="The post here.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    account_id: Annotated[AccountId, Meta(description="The account it was posted to.")]
    standing: Annotated[Standing, Meta(description="How it stands, as the platform tells.")]
    seen_at: Annotated[Utc, Meta(description="When that was seen, UTC.")]


class RevenueRecorded(Event, frozen=True, kw_only=True, tag="revenue.recorded"):
    """Money was earned or spent, as a source told."""

    entry_id: Annotated[str, Meta(description="Id of the entry; the same source row always has the same.")]
    source: Annotated[str, Meta(description="Where the number comes from: youtube, shopify, a CSV mapping, manual.")]
    item_id: Annotated[ItemId | None, Meta(description="The item it is for; null: not attributed.")] = None
    post_id: Annotated[PostId | None, Meta(description="The post it is for; null: not attributed.")] = None
    amount_minor: Annotated[int, Meta(description="Amount in the currency's minor unit; below 0: taken back.")]
    currency: Annotated[str, Meta(description="ISO 4217 code.", pattern="^[A-Z]{3}$")]
    earned_on: Annotated[str, Meta(description="The day that it is for, YYYY-MM-DD.")]


class ExperimentConcluded(Event, frozen=True, kw_only=True, tag="experiment.concluded"):
    """An experiment ended by its stopping rule."""

    experiment_id: Annotated[str, Meta(description="The experiment.")]
    winner: Annotated[str | None, Meta(description="Name of the better variant; null: no difference was found.")] = None
    effect: Annotated[
        float | None, Meta(description="Relative difference to the first variant, 0.2 is +20 %; null: not known.")
    ] = None
    low: Annotated[float | None, Meta(description="Lower end of its 95 % interval; null: not known.")] = None
    high: Annotated[float | None, Meta(description="Upper end of its 95 % interval; null: not known.")] = None
    because: Annotated[str, Meta(description="What the rule saw, in words.")] = ""


class AccountPaused(Event, frozen=True, kw_only=True, tag="account.paused"):
    """Nothing more is posted to an account until a person has done something."""

    account_id: Annotated[AccountId, Meta(description="The account.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    because: Annotated[str, Meta(description="What happened.")]
    next_action: Annotated[str, Meta(description="What a person can do.")] = ""


class AccountConnected(Event, frozen=True, kw_only=True, tag="account.connected"):
    """A person connected an account, or connected it again."""

    account_id: Annotated[AccountId, Meta(description="The account.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    title: Annotated[str, Meta(description="Name of the account as the platform shows it.")] = ""


class WorkRejected(Event, frozen=True, kw_only=True, tag="work.rejected"):
    """Work ended for good, with a reason. Nothing follows from the rejected event."""

    item_id: Annotated[ItemId | None, Meta(description="The item; null where none was known yet.")] = None
    actor: Annotated[str, Meta(description="The actor that ended it.")]
    rejected_type: Annotated[str, Meta(description="Type of the event that was rejected.")]
    rejected_id: Annotated[EventId, Meta(description="Id of that event.")]
    reason: Annotated[str, Meta(description="What is wrong and what can be done, in one line.")]
