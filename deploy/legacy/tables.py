"""What each old table becomes here. One class for each kind of place; reading a row raises `Left` with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from actors import platforms
from actors.ranker.entries import Seen, prepare
from actors.ranker.ingest import store
from actors.ranker.recent import Counts
from actors.runtime.db import load_queries
from actors.runtime.ledger import Tx
from actors.runtime.links import DISCLOSURE, marker_of
from actors.scanner.niches import normal
from actors.tracker.revenue.entries import Entry, write
from actors.tracker.revenue.money import money
from contracts.codec import new_event_id
from contracts.errors import Reject
from contracts.events import Destination, PostRequested
from contracts.ids import AccountId, CorrelationId, ItemId, ObjectKey, PostId, derived
from contracts.platform import Candidate, Draft, Metrics
from contracts.rights import RightsRecord
from deploy.legacy.read import (
    Left,
    amount,
    flag,
    is_secret,
    known_platform,
    moment,
    number,
    opens,
    record,
    required,
    text,
)

__all__ = ["CORRELATION", "TABLES", "Old", "Row", "Table"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))
CORRELATION: Final = CorrelationId("legacy")
COPIED: Final = "copied from a predecessor's database"
SECONDS_A_HOUR: Final = 3600
EVERY_S: Final = 6 * SECONDS_A_HOUR
SHORTEST_S: Final = 900
_ID: Final = ("external_id", "platform_id", "video_id")
_ADDRESS: Final = ("url", "video_url", "link")
_DONE: Final = frozenset({"", "published", "posted", "success", "completed", "live"})

Row = Mapping[str, Any]


class Old(Struct, frozen=True, kw_only=True):
    """A row that is copied: its id there, its id here, and what the table's place takes."""

    id: str
    new_id: str
    made: Any


class Context(Struct, frozen=True, kw_only=True):
    """What reading a row may need: the moment, a currency where a row names none, what became of other tables."""

    now: datetime
    currency: str | None
    became: Callable[[str, str], str | None]


class Table(Protocol):
    """One old table."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]:
        """Columns without which it is not copied."""
        ...

    @property
    def follows(self) -> Mapping[str, tuple[str, ...]]:
        """Columns that name rows of other tables, by table."""
        ...

    def read(self, row: Row, old_id: str, context: Context) -> Old:
        """Raises: Left."""
        ...

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:
        """Write rows; return the old ids of those that have their place."""
        ...


class Kept:
    """A table without a place among what works here: its rows are kept to be read."""

    follows: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, name: str, because: str, *, needs: tuple[str, ...] = ("id",)) -> None:
        self.name = name
        self.needs = needs
        self._because = because

    def read(self, row: Row, old_id: str, context: Context) -> Old:  # noqa: ARG002 - the shape of a table
        if "key" in self.needs and (is_secret(required(row, "key")) or opens(row.get("value"))):
            raise Left("a secret: set it anew, in the environment")
        return Old(id=old_id, new_id=f"{self.name}/{old_id}", made=record(row))

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:
        contents = [(self.name, row.id, row.made, self._because, context.now) for row in rows]
        await tx.conn.executemany(Q["put_record"], contents)
        return {row.id for row in rows}


class Niches:
    name = "monitored_niches"
    needs = ("id", "niche")
    follows: Mapping[str, tuple[str, ...]] = {}

    def read(self, row: Row, old_id: str, context: Context) -> Old:
        try:
            name = normal(required(row, "niche"))
        except Reject as refused:
            raise Left(refused.reason) from refused
        hours = number(row, "scan_interval_hours", "interval_hours")
        told = text(row, "platform", "platforms").strip("[]")
        named = [one.strip(" \"'").lower() for one in told.split(",") if one.strip(" \"'")]
        able = [one for one in named if one in platforms.names() and platforms.module(one).CAPS.discover]
        every_s = max(SHORTEST_S, hours * SECONDS_A_HOUR) if hours else EVERY_S
        active = flag(row, "is_active", "active", "enabled", default=True)
        values = (name, able, min(every_s, 2**31 - 1), context.now, not active, COPIED)
        return Old(id=old_id, new_id=name, made=values)

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:  # noqa: ARG002
        await tx.conn.executemany(Q["put_niche"], [row.made for row in rows])
        return {row.id for row in rows}


class Candidates:
    name = "content_candidates"
    needs = ("id", "platform", "title")
    follows: Mapping[str, tuple[str, ...]] = {}

    def read(self, row: Row, old_id: str, context: Context) -> Old:  # noqa: ARG002
        platform = known_platform(row, platforms.names())
        platform_id = required(row, *_ID)
        if len(platform_id) > 200 or any(char.isspace() for char in platform_id):
            raise Left("its id on the platform is none")
        seen_at = moment(row, "discovered_at", "discovery_date", "created_at")
        if seen_at is None:
            raise Left("nothing says when it was seen")
        counts = Counts(
            at=seen_at,
            views=number(row, "views", "view_count"),
            likes=number(row, "likes", "like_count"),
            comments=number(row, "comments", "comment_count"),
            shares=number(row, "shares", "share_count"),
        )
        known = {name: getattr(counts, name) for name in ("views", "likes", "comments", "shares")}
        length_s = number(row, "duration_seconds", "duration")
        item, title = ItemId(f"{platform}:{platform_id}"), text(row, "title")
        found = Candidate(
            item_id=item,
            platform=platform,
            platform_id=platform_id,
            url=text(row, *_ADDRESS),
            title=title,
            description=text(row, "description"),
            creator=text(row, "author", "creator", "channel_name") or None,
            published_at=moment(row, "published_at"),
            duration_us=None if length_s is None else length_s * 1_000_000,
            metrics=Metrics(**known, absent={name: "not in the copy" for name, told in known.items() if told is None}),
            observed_at=seen_at,
            rights=RightsRecord(licence="unknown", title=title, source_url=text(row, *_ADDRESS) or None, note=COPIED),
        )
        seen = Seen(candidate=found, counts=(counts,), niche=text(row, "niche")[:200], correlation_id=CORRELATION)
        return Old(id=old_id, new_id=item, made=seen)

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:  # noqa: ARG002
        await store(tx.conn, prepare(row.made for row in rows))
        return {row.id for row in rows}


class Accounts:
    name = "social_accounts"
    needs = ("id", "platform")
    follows: Mapping[str, tuple[str, ...]] = {}

    def read(self, row: Row, old_id: str, context: Context) -> Old:  # noqa: ARG002
        platform = known_platform(row, platforms.names())
        there = text(row, "platform_user_id", "account_id", "external_id", "channel_id")
        if not there:
            raise Left("its id on the platform is not told: connect the account here instead")
        account = AccountId(f"{platform}:{there[:200]}")
        title = text(row, "display_name", "username", "account_name", "title") or there
        because = f"{COPIED}, without its tokens; connect it again"
        return Old(id=old_id, new_id=account, made=(account, platform, title, because))

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:
        await tx.conn.executemany(Q["put_account"], [(*row.made, context.now) for row in rows])
        return {row.id for row in rows}


class Posts:
    name = "published_content"
    needs = ("id", "platform")
    follows: Mapping[str, tuple[str, ...]] = {
        "content_candidates": ("candidate_id", "content_candidate_id"),
        "social_accounts": ("account_id", "social_account_id"),
    }

    def read(self, row: Row, old_id: str, context: Context) -> Old:
        platform = known_platform(row, platforms.names())
        status = text(row, "status").lower()
        if status not in _DONE:
            raise Left(f"it was never posted: its status is {status[:30]}")
        there = text(row, "platform_post_id", "external_id", "post_id", "video_id")
        if not there or len(there) > 200:
            raise Left("its id on the platform is not told: nothing shows that it was posted")
        at = moment(row, "published_at", "posted_at", "created_at")
        if at is None:
            raise Left("nothing says when it was posted")
        candidate = text(row, *self.follows["content_candidates"])
        item = ItemId((candidate and context.became("content_candidates", candidate)) or f"legacy:{old_id}")
        account = context.became("social_accounts", text(row, *self.follows["social_accounts"]))
        post, title = PostId(derived("legacy", self.name, old_id)), text(row, "title")
        rights = RightsRecord(licence="unknown", title=title, note=COPIED)
        words = text(row, "description", "caption")
        key = ObjectKey(f"legacy/{derived(old_id)}")
        request = PostRequested(
            event_id=new_event_id(),
            item_id=item,
            key=key,
            rights=rights,
            destination=Destination(platform=platform, privacy="public"),
            title=title,
            description=words,
        )
        draft = Draft(marker=marker_of(post), title=title, description=words, privacy="public")
        address = text(row, "post_url", *_ADDRESS) or None
        place = (item, title, address, text(row, "niche") or None, rights)
        made = (post, item, platform, account, draft, key, there, address, request, at, COPIED)
        return Old(id=old_id, new_id=post, made=(place, made))

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:  # noqa: ARG002
        await tx.conn.executemany(Q["put_item"], [(*row.made[0], CORRELATION, COPIED) for row in rows])
        written = set()
        for row in rows:
            if await tx.conn.fetchval(Q["put_post"], *row.made[1], CORRELATION):
                written.add(row.id)
        return written


class Links:
    name = "affiliate_links"
    needs = ("id",)
    follows: Mapping[str, tuple[str, ...]] = {}

    def read(self, row: Row, old_id: str, context: Context) -> Old:
        url = required(row, "link", "url", "affiliate_url")
        if not url.startswith(("https://", "http://")) or any(char.isspace() for char in url):
            raise Left("its link is no web address")
        code = "legacy-" + derived("legacy", self.name, old_id)[:12]
        title = text(row, "product_name", "name", "title") or code
        paused = not flag(row, "is_active", "active", "enabled", default=True)
        made_at = moment(row, "created_at") or context.now
        network, niche = text(row, "network", "provider"), text(row, "niche", "keyword") or None
        return Old(id=old_id, new_id=code, made=(code, url, title, DISCLOSURE, network, niche, paused, made_at))

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:  # noqa: ARG002
        await tx.conn.executemany(Q["put_link"], [row.made for row in rows])
        return {row.id for row in rows}


class Revenue:
    name = "revenue_logs"
    needs = ("id", "amount")
    follows: Mapping[str, tuple[str, ...]] = {
        "published_content": ("published_content_id", "content_id", "post_id"),
    }

    def read(self, row: Row, old_id: str, context: Context) -> Old:
        source = text(row, "source", "network", "provider")
        if not source:
            raise Left("no source is named: no source, no number")
        if source.lower() in {"estimated", "estimate", "projection", "projected", "calculated", "prediction"}:
            raise Left("worked out, not earned: no source, no number")
        at = moment(row, "earned_at", "date", "recorded_at", "created_at")
        if at is None:
            raise Left("nothing says when it was earned")
        currency = text(row, "currency") or context.currency
        if not currency:
            raise Left("its currency is not told: name it with --currency")
        told: Decimal = amount(row, "amount")
        try:
            found = money(told, currency, finer="round")
        except Reject as refused:
            raise Left(refused.reason) from refused
        post = context.became("published_content", text(row, *self.follows["published_content"]))
        link = text(row, "note", "description")
        entry = Entry(
            source="legacy",
            key=old_id,
            amount=found,
            earned_on=at.astimezone(UTC).date(),
            post_id=PostId(post) if post else None,
            platform=text(row, "platform").lower() or None,
            attributed_by="the copy names its post" if post else "",
            note=f"{COPIED}: {source}{f'; {link}' if link else ''}",
        )
        return Old(id=old_id, new_id=entry.id, made=entry)

    async def write(self, tx: Tx, rows: Sequence[Old], context: Context) -> set[str]:
        names = [row.made.post_id for row in rows if row.made.post_id]
        items = {one["post_id"]: one["item_id"] for one in await tx.conn.fetch(Q["items_of"], names)}
        entries = [msgspec.structs.replace(row.made, item_id=items.get(row.made.post_id)) for row in rows]
        await write(tx, entries, now=context.now)
        return {row.id for row in rows}


TABLES: Final[tuple[Table, ...]] = (
    Kept("users", "there are no user accounts here: who can reach the gateway runs the system"),
    Kept("system_settings", "settings are read from the environment, .env and ettametta.toml", needs=("key", "value")),
    Kept("video_filters", "a look is part of a render plan: presets and effects, see `ettametta effects`"),
    Niches(),
    Kept("niche_trends", "trends are measured here from observations; the old figures were not"),
    Kept(
        "viral_patterns", "patterns are measured here from observations, with their interval; the old scores were not"
    ),
    Candidates(),
    Accounts(),
    Kept("video_jobs", "a render here is made from a plan, which old jobs do not have"),
    Posts(),
    Links(),
    Revenue(),
    Kept("nexus_jobs", "events on the bus took the place of job graphs"),
    Kept("ab_tests", "an experiment here has exposure windows and a stopping rule, which old tests do not have"),
    Kept("scheduled_posts", "its file is not here: import the video and post it with `--at`"),
)
"""In the order in which they are copied: what others name comes first."""
