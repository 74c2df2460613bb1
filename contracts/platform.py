"""What a platform adapter takes and gives, and the shape it must have.

An adapter is one module in `actors/platforms/` that ends in `ADAPTER = ...`; it has the methods that its
`Caps` promise. Adapters raise the errors of `contracts.errors` and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from contracts.clock import Utc
from contracts.ids import AccountId, ItemId, ObjectKey
from contracts.media import Probe
from contracts.rights import RightsRecord

__all__ = [
    "Candidate",
    "Caps",
    "Discovers",
    "Draft",
    "Dresses",
    "Journal",
    "Limits",
    "Looks",
    "Measures",
    "Metrics",
    "Need",
    "PostMetrics",
    "Privacy",
    "Publishes",
    "RemotePost",
    "Revises",
    "Standing",
    "TextUnit",
    "Topic",
    "Trends",
    "UploadCheckpoint",
]

Privacy = Literal["private", "unlisted", "public"]
TextUnit = Literal["characters", "utf16", "graphemes", "x"]
"""How a platform counts text: code points, UTF-16 units, what a reader sees as one character, or X's weights."""
Count = Annotated[int, Meta(ge=0)]


class Metrics(Struct, frozen=True, kw_only=True):
    """Counts at one moment. What is not known is null, and `absent` says why."""

    views: Annotated[Count | None, Meta(description="Views or downloads, count.")] = None
    likes: Annotated[Count | None, Meta(description="Likes, count.")] = None
    comments: Annotated[Count | None, Meta(description="Comments, count.")] = None
    shares: Annotated[Count | None, Meta(description="Shares, count.")] = None
    absent: Annotated[dict[str, str], Meta(description="Reason for each field that is null, by field name.")] = {}


class PostMetrics(Metrics, frozen=True, kw_only=True):
    """Counts of an own post: what everybody sees, and what the platform tells its account alone."""

    saves: Annotated[Count | None, Meta(description="Saves or bookmarks, count.")] = None
    reach: Annotated[Count | None, Meta(description="Different people who saw it, count.")] = None
    impressions: Annotated[Count | None, Meta(description="Times it was shown, count.")] = None
    clicks: Annotated[Count | None, Meta(description="Clicks that led away from the post, count.")] = None
    followers: Annotated[int | None, Meta(description="Followers that it brought, less those it lost, count.")] = None
    watched_us: Annotated[Count | None, Meta(description="Time watched by all together, microseconds.")] = None
    average_watched_us: Annotated[Count | None, Meta(description="Time watched per view, microseconds.")] = None
    retention: Annotated[
        tuple[tuple[float, float], ...] | None,
        Meta(description="Part of the video (0..1) and part of its views still there; only where it is given."),
    ] = None


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
    through_account: Annotated[
        bool, Meta(description="A connected account does for discovery what its settings do otherwise.")
    ] = False
    licence_known: Annotated[bool, Meta(description="Answers carry a licence.")] = False
    by_name_only: Annotated[bool, Meta(description="Asked only when a person names it, never by itself.")] = False
    fallback: Annotated[bool, Meta(description="Asked only where the others' quota is spent.")] = False
    sees: Annotated[str, Meta(description="What discovery sees, in a few words; empty: nothing.")] = ""
    costs: Annotated[str, Meta(description="What discovery costs of which quota, in a few words.")] = ""
    cannot: Annotated[str, Meta(description="Why it cannot discover (more), in a sentence; empty: it can.")] = ""
    schedules: Annotated[bool, Meta(description="Keeps a post until its time by itself.")] = False
    hides: Annotated[tuple[Privacy, ...], Meta(description="Privacies it can give a post.")] = ("public",)
    looks: Annotated[bool, Meta(description="Tells what became of a post: removed, blocked, made private.")] = False
    dresses: Annotated[bool, Meta(description="Takes a thumbnail or subtitles for a post that stands.")] = False
    captions: Annotated[bool, Meta(description="Takes subtitles of a known language together with the video.")] = False
    revises: Annotated[bool, Meta(description="Changes the words of a post that stands.")] = False
    posting: Annotated[str, Meta(description="What posting needs and cannot, in a few words.")] = ""


class Limits(Struct, frozen=True, kw_only=True):
    """What a platform accepts; null: no limit is stated."""

    title_chars: Annotated[int | None, Meta(description="Longest title, characters.")] = None
    description_bytes: Annotated[int | None, Meta(description="Longest description, bytes of UTF-8.")] = None
    tags_chars: Annotated[int | None, Meta(description="All tags together, characters.")] = None
    max_bytes: Annotated[int | None, Meta(description="Largest file, bytes.")] = None
    max_duration_us: Annotated[int | None, Meta(description="Longest video, microseconds.")] = None
    min_bytes: Annotated[int | None, Meta(description="Smallest file, bytes.")] = None
    min_duration_us: Annotated[int | None, Meta(description="Shortest video, microseconds.")] = None
    caption: Annotated[int | None, Meta(description="Longest text where there is one text alone, in `unit`.")] = None
    unit: Annotated[TextUnit, Meta(description="How `caption` is counted.")] = "characters"
    link_weight: Annotated[int | None, Meta(description="What any link counts in `caption`; null: its own length.")] = (
        None
    )
    max_hashtags: Annotated[int | None, Meta(description="Most hashtags.")] = None
    containers: Annotated[tuple[str, ...], Meta(description="Containers taken, as FFmpeg names them; empty: any.")] = ()
    video_codecs: Annotated[tuple[str, ...], Meta(description="Video codecs taken; empty: any.")] = ()
    audio_codecs: Annotated[tuple[str, ...], Meta(description="Audio codecs taken; empty: any.")] = ()
    min_fps: Annotated[float | None, Meta(description="Least frame rate, frames per second.")] = None
    max_fps: Annotated[float | None, Meta(description="Highest frame rate, frames per second.")] = None
    min_side_px: Annotated[int | None, Meta(description="Least width and height, px.")] = None
    max_width_px: Annotated[int | None, Meta(description="Greatest width, px.")] = None
    max_height_px: Annotated[int | None, Meta(description="Greatest height, px.")] = None
    min_aspect: Annotated[float | None, Meta(description="Least width / height.")] = None
    max_aspect: Annotated[float | None, Meta(description="Greatest width / height.")] = None
    max_bits_per_s: Annotated[int | None, Meta(description="Highest rate of the whole file, bits per second.")] = None
    posts_per_day: Annotated[int | None, Meta(description="Most posts of one account in 24 hours by its rules.")] = None
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
    caption: Annotated[
        str,
        Meta(description="Title, description and hashtags as one text that fits; what a platform with one text gets."),
    ] = ""
    probe: Annotated[
        Probe | None, Meta(description="What decoding showed of the file; null: it was not looked at.")
    ] = None
    paid: Annotated[bool, Meta(description="A third party paid for it: shown as a paid partnership.")] = False
    own_brand: Annotated[bool, Meta(description="It promotes the poster's own business.")] = False
    for_children: Annotated[bool, Meta(description="Made for children, in the sense of COPPA.")] = False
    language: Annotated[str | None, Meta(description="Language of the texts as a BCP 47 tag; null: not known.")] = None
    thumbnail: Annotated[ObjectKey | None, Meta(description="Where its thumbnail is stored; null: none.")] = None
    subtitles: Annotated[ObjectKey | None, Meta(description="Where its .srt or .vtt is stored; null: none.")] = None
    media_address: Annotated[
        str | None,
        Meta(
            description="Public address of the file, for platforms that fetch it. A secret while it works; null: none."
        ),
    ] = None
    options: Annotated[
        dict[str, str], Meta(description="What one platform alone knows, such as `board_id`; docs/publishing.md.")
    ] = {}


class UploadCheckpoint(Struct, frozen=True, kw_only=True):
    """Where an upload stands; stored before the request that it speaks of is sent. Holds a secret address."""

    session_url: Annotated[
        str, Meta(description="The platform's upload session; empty: it has none. A secret: stored encrypted.")
    ] = ""
    confirmed_bytes: Annotated[int, Meta(description="Bytes that the platform said it has.", ge=0)] = 0
    step: Annotated[str, Meta(description="How far it is, in the adapter's own words.")] = ""
    ids: Annotated[
        dict[str, str], Meta(description="Ids that the platform gave on the way, by the adapter's names.")
    ] = {}
    opened_at: Annotated[Utc | None, Meta(description="When the session was opened, UTC.")] = None


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


class Journal(Protocol):
    """What a publishing adapter tells before each request that a crash may cut, and what was told before."""

    @property
    def may_exist(self) -> bool:
        """Whether a request was sent, now or in an earlier run, that may have made the post."""
        ...

    async def sending(self, end: int) -> None:
        """Byte `end - 1` of the file is about to be sent."""
        ...

    async def keep(self, checkpoint: UploadCheckpoint) -> None:
        """Store how far the upload is: the next run goes on from here."""
        ...

    async def committing(self) -> None:
        """The next request may make the post; its answer may be lost."""
        ...

    async def refused(self) -> None:
        """The platform answered for certain that the last `committing` made no post."""
        ...


class Publishes(Protocol):
    """The part of an adapter that publishes one post, in steps that a crash may cut anywhere."""

    async def open_session(self, account: AccountId, draft: Draft, *, size_bytes: int) -> UploadCheckpoint:
        """Open an upload; no post can come of that alone. The caller stores the checkpoint before a byte is sent.

        Raises: Reject (the draft or the account), RateLimited, AuthExpired, Retry.
        """
        ...

    async def send(
        self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint, file: Path, journal: Journal
    ) -> RemotePost:
        """Go on from the checkpoint until the platform has the post. Asks before it sends again what may be there.

        Raises: Snooze (the platform works on it: the same checkpoint goes on later), Retry, RateLimited, AuthExpired,
        Reject, Unconfirmed (the session is gone, or `journal.may_exist` and it cannot tell: `find` comes next).
        """
        ...

    async def find(self, account: AccountId, draft: Draft, checkpoint: UploadCheckpoint) -> RemotePost | None:
        """Look for the post by what the checkpoint knows, or among the account's own; None: it is not there.

        Raises: Unconfirmed where the platform gives no way to tell.
        """
        ...


class Dresses(Protocol):
    """The part of an adapter that adds to a post that stands. Done again, it changes nothing."""

    async def dress(
        self, account: AccountId, draft: Draft, post: RemotePost, *, thumbnail: Path | None, subtitles: Path | None
    ) -> str:
        """Set the thumbnail and the subtitles; return what the platform did not take and why, empty: nothing.

        Raises: Retry, RateLimited, AuthExpired.
        """
        ...


class Revises(Protocol):
    """The part of an adapter that changes the words of a post that stands. Done again, it changes nothing."""

    async def revise(
        self, account: AccountId, platform_post_id: str, *, title: str | None, description: str | None
    ) -> None:
        """Set the title and the description; None: it stays. Raises: Reject, Retry, RateLimited, AuthExpired."""
        ...


class Measures(Protocol):
    """The part of an adapter that measures posts."""

    async def measure(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, PostMetrics]:
        """Return the counts by post id. A post that the platform no longer shows is not in the answer."""
        ...


class Standing(Struct, frozen=True, kw_only=True):
    """What became of a post, as the platform tells."""

    state: Annotated[
        Literal["stands", "processing", "private", "removed", "blocked", "claimed", "unknown"],
        Meta(description="unknown: the platform does not tell."),
    ]
    because: Annotated[str, Meta(description="The platform's own words; empty: none.")] = ""
    privacy: Annotated[str | None, Meta(description="Who may see it, in the platform's words; null: not told.")] = None


class Looks(Protocol):
    """The part of an adapter that tells what became of posts."""

    async def look(self, account: AccountId, platform_post_ids: tuple[str, ...]) -> dict[str, Standing]:
        """Return how each post stands. One that the platform no longer knows is `removed`."""
        ...
