"""Timetables and planned posts, as people read and change them.

Whoever changes the time of a post holds the lock of its account's times. A delivery that is under way has claimed the
post by then, which is refused here, or reads what is written here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from actors.publisher.advice import Advice, Measured, advise
from actors.publisher.schedule import Q, Time, keeps, no_room, no_slot, openings_of, put
from actors.publisher.timetable import Openings, Timetable, instant_of, zone_of
from actors.runtime.db import Connection, Database, into
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import PostRequested
from contracts.ids import AccountId, CorrelationId, PostId

__all__ = ["AccountTimes", "Agenda", "Lateness", "Planned", "SlotShown"]

RECENT: Final = timedelta(days=30)
AGE: Final = (timedelta(hours=20), timedelta(hours=32))
"""Age of a post at the measurement that advice is taken from: about a day."""


class Planned(Struct, frozen=True, kw_only=True):
    """A post with a time. late_s: from due to claimed, null: not claimed yet."""

    post_id: PostId
    account_id: AccountId
    title: str | None
    state: str
    because: str
    next_action: str
    due_at: Utc
    timed: Annotated[bool, Meta(description="A time or a slot was asked for.")]
    by_slot: bool
    kept_there: Annotated[bool, Meta(description="The platform has it and shows it at its time.")]
    claimed_at: Utc | None
    late_s: float | None
    asking_since: Utc | None
    published_at: Utc | None
    url: str | None
    zone: str = "UTC"
    read_at: Utc


class SlotShown(Struct, frozen=True, kw_only=True):
    """A coming slot. taken: why nothing goes there; empty: it is free."""

    at: Utc
    taken: str


class Lateness(Struct, frozen=True, kw_only=True):
    """How late timed posts were claimed in the last 30 days, seconds."""

    posts: int
    usual_s: float
    worst_s: float


class AccountTimes(Struct, frozen=True, kw_only=True):
    """An account, its timetable and what comes. late: null, nothing was claimed in the last 30 days."""

    account_id: AccountId
    platform: str
    title: str
    state: str
    timetable: Timetable | None
    slots: tuple[SlotShown, ...]
    planned: tuple[Planned, ...]
    late: Lateness | None


class _Row(Struct, frozen=True, kw_only=True):
    """What changing a post's time needs to know of it. over: something was sent, or a person gave it up."""

    post_id: PostId
    account_id: AccountId | None
    platform: str
    state: str
    because: str
    correlation_id: CorrelationId
    over: bool
    request: PostRequested


class Agenda:
    """Reads and changes times. now: of the command, UTC."""

    def __init__(self, db: Database, *, now: datetime) -> None:
        self._db = db
        self._now = now

    async def set_timetable(
        self, account: AccountId, changes: dict[str, Any]
    ) -> tuple[Timetable, tuple[tuple[Planned, str], ...]]:
        """Change what is named; return the timetable, and which planned posts it no longer allows, with the reason.

        Raises: Reject if there is no such account.
        """
        await self._known(account)
        async with self._db.transaction() as conn:
            await conn.execute(Q["hold_times"], account)
            stored = await conn.fetchval(Q["read_timetable"], account)
            table = replace(msgspec.convert(stored or {}, Timetable), **changes)
            await conn.execute(Q["put_timetable"], account, table, self._now)
        breaking = []
        for post in await self.planned(account):
            if post.due_at > self._now and post.state in {"scheduled", "published"}:
                async with self._db.transaction() as conn:
                    openings = await openings_of(conn, account, other_than=post.post_id, now=self._now)
                if against := openings.conflict(post.due_at):
                    breaking.append((post, against))
        return table, tuple(breaking)

    async def drop_timetable(self, account: AccountId) -> None:
        """Raises: Reject if it has none."""
        await self._known(account)
        async with self._db.transaction() as conn:
            await conn.execute(Q["hold_times"], account)
            if not await conn.fetchval(Q["drop_timetable"], account):
                raise Reject(f"{account} has no timetable", mend="See `ettametta schedule show`")

    async def planned(self, account: AccountId | None = None, *, since: timedelta | None = None) -> tuple[Planned, ...]:
        """Return what is to come, in order; since: also what was posted so long ago or later."""
        zones = {
            row["account_id"]: (row["timetable"] or {}).get("zone", "UTC") for row in await self._accounts(account)
        }
        begin = self._now - since if since is not None else None
        rows = await self._db.fetch(Q["list_planned"], account, begin, self._now)
        return tuple(
            into(Planned, {**row, "zone": zones.get(row["account_id"], "UTC"), "read_at": self._now}) for row in rows
        )

    async def shown(self, account: AccountId | None, *, slots: int) -> tuple[AccountTimes, ...]:
        """Return each account with its next slots and posts. Raises: Reject if there is no such account."""
        if account is not None:
            await self._known(account)
        planned = await self.planned(account)
        late = {
            row["account_id"]: Lateness(posts=row["posts"], usual_s=row["usual_s"], worst_s=row["worst_s"])
            for row in await self._db.fetch(Q["lateness"], account, self._now - RECENT)
        }
        found = []
        for row in await self._accounts(account):
            name = AccountId(row["account_id"])
            table = None if row["timetable"] is None else msgspec.convert(row["timetable"], Timetable)
            async with self._db.transaction() as conn:
                openings = await openings_of(conn, name, other_than=PostId(""), now=self._now)
            found.append(
                AccountTimes(
                    account_id=name,
                    platform=row["platform"],
                    title=row["title"],
                    state=row["state"],
                    timetable=table,
                    slots=tuple(
                        SlotShown(at=at, taken=_taken(openings, at)) for at in islice(openings.slots(self._now), slots)
                    ),
                    planned=tuple(post for post in planned if post.account_id == name),
                    late=late.get(name),
                )
            )
        return tuple(found)

    async def move(
        self, told: str, *, at: datetime | None, by_slot: bool = False, only: AccountId | None = None
    ) -> str:
        """Give a post of which nothing was sent another time; return what it is now, for people.

        Args: told: its id, or how that begins; at: naive is the account's wall time; by_slot: the next free slot then;
        only: the account that it must belong to.
        Raises: Reject.
        """
        account, post = await self._found(told)
        if only is not None and account != only:
            raise Reject(f"post {post} goes to {account}", mend=f"Queue it there: ettametta schedule queue {account}")
        async with self._db.transaction() as conn:
            row, time = await self._locked(conn, account, post)
            openings = await openings_of(conn, account, other_than=post, now=self._now)
            moment = self._now if at is None else self._moment(at, openings)
            if by_slot:
                slot = openings.slot(max(moment, self._now))
                if slot is None:
                    raise no_slot(account, openings)
                moment = slot
            elif moment < self._now:
                raise Reject(f"{openings.shown(moment)} is past", mend=f"To post it now: ettametta schedule go {post}")
            elif against := openings.conflict(moment):
                raise no_room(post, moment, against, openings)
            kept = keeps(row.platform, row.request.destination)
            await self._wake(
                conn,
                replace(time, due_at=moment, timed=True, by_slot=by_slot, kept_there=kept, let_go_at=None),
                at=self._now if kept else moment,
                because=f"it is due on {openings.shown(moment)}",
            )
        return f"{post} is due on {openings.shown(moment)}"

    async def go(self, told: str) -> str:
        """Let a post go now, whatever its time was. Raises: Reject."""
        account, post = await self._found(told)
        async with self._db.transaction() as conn:
            _, time = await self._locked(conn, account, post)
            late = (self._now - time.due_at).total_seconds()
            time = replace(time, due_at=self._now, let_go_at=self._now)
            await self._wake(conn, time, at=self._now, because="a person let it go", late_s=max(late, 0.0))
        return f"{post} goes now"

    async def skip(self, told: str) -> str:
        """End a post that was not begun. Raises: Reject."""
        account, post = await self._found(told)
        async with self._db.transaction() as conn:
            _, time = await self._locked(conn, account, post)
            await put(conn, time)
            await conn.execute(Q["note_skipped"], post, self._now)
            again = f"none; to post it after all: ettametta schedule go {post}"
            await conn.execute(Q["note_state"], post, "failed", "it was skipped by hand", again, self._now)
        return f"{post} is skipped"

    async def advice(self, account: AccountId) -> Advice:
        """Return when the account's posts did best. Raises: Reject if there is no such account."""
        row = await self._known(account)
        zone = (row["timetable"] or {}).get("zone", "UTC")
        rows = await self._db.fetch(Q["measured_posts"], account, *AGE)
        return advise([into(Measured, each) for each in rows], zone)

    async def _accounts(self, account: AccountId | None) -> list[Any]:
        return await self._db.fetch(Q["list_timetables"], account)

    async def _known(self, account: AccountId) -> Any:
        rows = await self._accounts(account)
        if rows:
            return rows[0]
        known = ", ".join(row["account_id"] for row in await self._accounts(None)) or "none is connected yet"
        raise Reject(f"there is no account '{account}'", mend=f"Known: {known}")

    async def _found(self, told: str) -> tuple[AccountId, PostId]:
        rows = await self._db.fetch(Q["find_post"], told.strip())
        if not told.strip() or not rows:
            raise Reject(f"there is no post '{told}'", mend="See `ettametta schedule list`")
        if len(rows) > 1:
            raise Reject(f"more than one post begins with '{told}'", mend="Write more of its id")
        if rows[0]["account_id"] is None:
            raise Reject(f"post {rows[0]['post_id']} has no account yet", mend="Connect one on the page of the gateway")
        return AccountId(rows[0]["account_id"]), PostId(rows[0]["post_id"])

    async def _locked(self, conn: Connection, account: AccountId, post: PostId) -> tuple[_Row, Time]:
        """Lock a post that can still be given another time. Raises: Reject."""
        await conn.execute(Q["hold_times"], account)
        known = await conn.fetchrow(Q["lock_time"], post)
        found = await conn.fetchrow(Q["lock_planned"], post)
        assert found is not None
        row = into(_Row, found)
        if row.account_id != account or row.over or row.state not in {"scheduled", "waiting", "failed"}:
            raise Reject(f"post {post} is {row.state}: its time can no longer be changed here", mend=_elsewhere(row))
        if known is not None:
            return row, replace(into(Time, known), correlation_id=row.correlation_id, account_id=account)
        return row, Time(
            post_id=post, account_id=account, correlation_id=row.correlation_id, due_at=self._now, timed=False
        )

    async def _wake(self, conn: Connection, time: Time, *, at: datetime, because: str, late_s: float = 0.0) -> None:
        await put(conn, replace(time, wakes_at=at))
        await conn.execute(Q["note_late"], time.post_id, late_s)
        await conn.execute(Q["note_state"], time.post_id, "scheduled", because, "none: it goes by itself", self._now)

    def _moment(self, at: datetime, openings: Openings) -> datetime:
        """Return the moment that is meant; naive: in the account's wall time."""
        if at.tzinfo is None:
            return instant_of(at, zone_of(openings.table.zone))
        return at.astimezone(UTC)


def _taken(openings: Openings, at: datetime) -> str:
    return "taken" if at in openings.taken else openings.conflict(at)


def _elsewhere(row: _Row) -> str:
    if row.state == "published":
        return f"Change it on {row.platform}"
    if row.state in {"removed", "failed"}:
        return "Ask for it again"
    return "It is being posted: see `ettametta posts`"
