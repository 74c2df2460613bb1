"""What a platform adapter takes and gives, and the shape it must have.

An adapter is one module in `actors/platforms/` that ends in `ADAPTER = ...`; it has the methods that its
`Caps` promise. Adapters raise the errors of `contracts.errors` and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from contracts.clock import Utc
from contracts.ids import AccountId, ItemId
from contracts.rights import RightsRecord

__all__ = [
    "Candidate",
    "Caps",
    "Discovers",
    "Draft",
    "Limits",
    "Measures",
    "Metrics",
    "Need",
    "Privacy",
    "Publishes",
    "RemotePost",
    "Topic",
    "Trends",
    "UploadCheckpoint",
]

Privacy = Literal["private", "unlisted", "public"]
Count = Annotated[int, Meta(ge=0)]


class Metrics(Struct, frozen=True, kw_only=True):
    """Counts at one moment. What is not known is null, and `absent` says why."""

    views: Annotated[Count | None, Meta(description="Views or downloads, count.")] = None
    likes: Annotated[Count | None, Meta(description="Likes, count.")] = None
    comments: Annotated[Count | None, Meta(description="Comments, count.")] = None
    shares: Annotated[Count | None, Meta(description="Shares, count.")] = None
    absent: Annotated[dict[str, str], Meta(description="Reason for each field that is null, by field name.")] = {}


class Candidate(Struct, frozen=True, kw_only=True):
    """One work seen on one platform."""

    item_id: Annotated[ItemId, Meta(description="`platform:platform_id`.")]
    platform: Annotated[str, Meta(description="Adapter name.")]
    platform_id: Annotated[str, Meta(description="Id on the platform.")]
    url: Annotated[str, Meta(description="Page of the work.")]
    title: Annotated[str, Meta(description="Title as given there.")]
    description: Annotated[str, Meta(description="Description as given there, plain text.")] = ""
    creator: Annotated[str | None, Meta(description="Who made it; null where not given.")] = None
    tags: Annotated[tuple[str, ...], Meta(description="Tags or subjects as given there.")] = ()
    published_at: Annotated[Utc | None, Meta(description="When it was published, UTC; null: not given.")] = None
    duration_us: Annotated[Count | None, Meta(description="Length, microseconds; null: not given.")] = None
    media_url: Annotated[str | None, Meta(description="Address of the media file; null: none is offered.")] = None
    media_bytes: Annotated[Count | None, Meta(description="Size of that file, bytes; null: not given.")] = None
    subtitles_url: Annotated[
        str | None, Meta(description="Address of a .srt or .vtt of the media file; null: none is offered.")
    ] = None
    creator_id: Annotated[str | None, Meta(description="Id of the channel or account there; null: not given.")] = None
    thumbnail_url: Annotated[str | None, Meta(description="Address of a still picture; null: none is offered.")] = None
    width_px: Annotated[Count | None, Meta(description="Width of the picture, px; null: not given.")] = None
    height_px: Annotated[Count | None, Meta(description="Height of the picture, px; null: not given.")] = None
    language: Annotated[str | None, Meta(description="Language as a BCP 47 tag; null: not given.")] = None
    links: Annotated[
        tuple[str, ...],
        Meta(description="Pages that this one points at, such as the shared video."),
    ] = ()
    metrics: Annotated[Metrics, Meta(description="Counts when observed.")] = Metrics()
    observed_at: Annotated[Utc, Meta(description="When it was observed, UTC.")]
    rights: Annotated[RightsRecord, Meta(description="What may be done with it, and how that is known.")]


class Topic(Struct, frozen=True, kw_only=True):
    """Something that many people look for or speak of just now: a signal without a work."""

    platform: Annotated[str, Meta(description="Adapter name.")]
    name: Annotated[str, Meta(description="The words, as given there.")]
    url: Annotated[str | None, Meta(description="Page of it; null: none is given.")] = None
    region: Annotated[str | None, Meta(description="Where: ISO 3166 code as asked for; null: everywhere.")] = None
    volume: Annotated[Count | None, Meta(description="How much, in the unit of `unit`; null: not given.")] = None
    unit: Annotated[str, Meta(description="What `volume` counts: searches, uses, posts.")] = ""
    growth: Annotated[
        float | None, Meta(description="Change as a ratio where the platform gives it, 0.5 is +50 %; null: not given.")
    ] = None
    related: Annotated[tuple[str, ...], Meta(description="Titles and words that came with it.")] = ()
    started_at: Annotated[Utc | None, Meta(description="Since when it rises, UTC; null: not given.")] = None
    observed_at: Annotated[Utc, Meta(description="When it was observed, UTC.")]


class Need(Struct, frozen=True, kw_only=True):
    """A setting that an adapter needs for discovery, beside what every part of the product knows."""

    setting: Annotated[str, Meta(description="Its name, lower case; in the environment in capitals.")]
    means: Annotated[str, Meta(description="What it is and where a person gets it.")]
    secret: Annotated[bool, Meta(description="Whether its value is never shown.")] = True
    optional: Annotated[bool, Meta(description="Whether discovery works without it.")] = False


class Caps(Struct, frozen=True, kw_only=True):
    """What an adapter can do. The table of platforms in the docs and in `doctor` is made from this."""

    discover: Annotated[bool, Meta(description="Finds candidates.")] = False
    trends: Annotated[bool, Meta(description="Names what is rising, without works.")] = False
    publish: Annotated[bool, Meta(description="Publishes posts.")] = False
    measure: Annotated[bool, Meta(description="Measures posts.")] = False
    keyless: Annotated[bool, Meta(description="Discovery needs no credential.")] = False
    account: Annotated[bool, Meta(description="Discovery needs a connected account.")] = False
    licence_known: Annotated[bool, Meta(description="Answers carry a licence.")] = False
    by_name_only: Annotated[bool, Meta(description="Asked only when a person names it, never by itself.")] = False
    fallback: Annotated[bool, Meta(description="Asked only where the others' quota is spent.")] = False
    sees: Annotated[str, Meta(description="What discovery sees, in a few words; empty: nothing.")] = ""
    costs: Annotated[str, Meta(description="What discovery costs of which quota, in a few words.")] = ""
    cannot: Annotated[str, Meta(description="Why it cannot discover (more), in a sentence; empty: it can.")] = ""


class Limits(Struct, frozen=True, kw_only=True):
    """What a platform accepts; null: no limit is stated."""

    title_chars: Annotated[int | None, Meta(description="Longest title, characters.")] = None
    description_bytes: Annotated[int | None, Meta(description="Longest description, bytes of UTF-8.")] = None
    tags_chars: Annotated[int | None, Meta(description="All tags together, characters.")] = None
    max_bytes: Annotated[int | None, Meta(description="Largest file, bytes.")] = None
    max_duration_us: Annotated[int | None, Meta(description="Longest video, microseconds.")] = None
    page_size: Annotated[int | None, Meta(description="Most results in one answer.")] = None


class Draft(Struct, frozen=True, kw_only=True):
    """What is to be posted, apart from the file."""

    marker: Annotated[
        str, Meta(description="Unique text in the post by which it is found again after an unknown outcome.")
    ]
    title: Annotated[str, Meta(description="Title.")]
    description: Annotated[str, Meta(description="Description, attribution included.")]
    tags: Annotated[tuple[str, ...], Meta(description="Tags without #.")] = ()
    privacy: Annotated[Privacy, Meta(description="Who may see it.")] = "private"
    publish_at: Annotated[Utc | None, Meta(description="When the platform shall show it, UTC; null: at once.")] = None
    synthetic: Annotated[bool, Meta(description="Contains realistic synthetic media.")] = False


class UploadCheckpoint(Struct, frozen=True, kw_only=True):
    """Where an upload stands; stored before the bytes that it speaks of are sent. Holds a secret address."""

    session_url: Annotated[
        str, Meta(description="The platform's upload session. A secret: stored encrypted, never logged.")
    ]
    confirmed_bytes: Annotated[int, Meta(description="Bytes that the platform said it has.", ge=0)] = 0


class RemotePost(Struct, frozen=True, kw_only=True):
    """A post as the platform tells of it."""

    platform_post_id: Annotated[str, Meta(description="Id on the platform.")]
    url: Annotated[str, Meta(description="Page of the post.")]
    privacy: Annotated[str | None, Meta(description="Who may see it, in the platform's words; null: not told.")] = None
    published_at: Annotated[Utc | None, Meta(description="When it was published, UTC; null: not told.")] = None


class Discovers(Protocol):
    """The part of an adapter that finds candidates."""

    async def discover(self, query: str, *, limit: int) -> tuple[Candidate, ...]:
        """Return at most `limit` candidates for `query`, best first.

        Raises: Retry, RateLimited, AuthExpired, Reject.
        """
        ...


class Trends(Protocol):
    """The part of an adapter that names what is rising."""

    async def trends(self, *, region: str | None, limit: int) -> tuple[Topic, ...]:
        """Return at most `limit` topics, the strongest first. region: ISO 3166 code; None: everywhere.

        Raises: Retry, RateLimited, AuthExpired, Reject.
        """
        ...


class Publishes(Protocol):
    """The part of an adapter that publishes one post, in steps that a crash may cut anywhere."""

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload session. The caller stores the checkpoint before a byte is sent."""
        ...

    async def send(
        self,
        account: AccountId,
        checkpoint: UploadCheckpoint,
        file: Path,
        *,
        on_progress: Callable[[int], Awaitable[None]],
    ) -> RemotePost:
        """Ask how much is there, send the rest, return the post.

        Raises: Retry (the same session goes on later), RateLimited, AuthExpired, Reject,
        Unconfirmed (the session is gone: ask `find` before opening another).
        """
        ...

    async def find(self, account: AccountId, marker: str) -> RemotePost | None:
        """Look for an own post that carries `marker`; None: there is none."""
        ...


class Measures(Protocol):
    """The part of an adapter that measures posts."""

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Metrics]:
        """Return the counts by post id. A post that the platform no longer shows is not in the answer."""
        ...
