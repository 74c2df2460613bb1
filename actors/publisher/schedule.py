"""When a post goes: at once, at its time, at a slot, or not before a person says so.

What the row of `post_times` says decides, whatever event comes: an asking is placed once, under the lock of its
account's times, and every later delivery of it reads what was placed. docs/scheduling.md has the rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors import platforms
from actors.publisher.posts import Post, Posts
from actors.publisher.timetable import Openings, Timetable
from actors.runtime.db import Connection, into, load_queries
from actors.runtime.killpoint import reach
from actors.runtime.work import Work
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import Destination, PostRequested, RenderCompleted
from contracts.ids import AccountId, CorrelationId, PostId

__all__ = ["Decision", "Q", "Time", "decide", "keeps", "no_room", "no_slot", "openings_of", "place", "put", "span"]

Q: Final = load_queries(Path(__file__).with_name("schedule.sql"))
LOOK_BACK: Final = timedelta(days=32)
"""Older posts are no longer near any moment to come: the longest spacing is shorter."""
KEPT_FROM: Final = timedelta(minutes=15)
KEPT_TO: Final = timedelta(days=28)
"""How far ahead every platform that keeps posts takes a time: Facebook 10 minutes to 29 days, Mastodon 5 minutes on."""


class Time(Struct, frozen=True, kw_only=True):
    """A row of `post_times`."""

    post_id: PostId
    account_id: AccountId
    correlation_id: CorrelationId
    due_at: Utc
    timed: bool
    by_slot: bool = False
    kept_there: bool = False
    wakes_at: Utc | None = None
    claimed_at: Utc | None = None
    asking_since: Utc | None = None
    let_go_at: Utc | None = None
    skipped_at: Utc | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """What holds for posts whose time has passed by more than the grace."""

    if_late: Literal["post", "skip", "ask"]
    grace: timedelta


class Decision(Struct, frozen=True, kw_only=True):
    """What happens now. time: what stands in the row; None: no row is needed, it goes at once."""

    what: Literal["go", "wait", "ask"]
    time: Time | None = None
    because: str = ""


def keeps(platform: str, destination: Destination) -> bool:
    """Whether the platform keeps the post until its time; whatever it keeps becomes public there."""
    return platforms.module(platform).CAPS.schedules and destination.privacy == "public"


def decide(
    known: Time | None, fresh: Time, destination: Destination, openings: Openings, rules: Rules, *, now: datetime
) -> Decision:
    """Decide about one delivery. Pure.

    Args: known: the row, None where there is none; fresh: the row of an asking that is not placed yet, due now.
    Raises: Reject (no room at the time that was asked for; no free slot; late and to be skipped; skipped by hand).
    """
    if known is None or known.correlation_id != fresh.correlation_id or known.account_id != fresh.account_id:
        return _placed(fresh, destination, openings, rules, now=now)
    if known.skipped_at is not None:
        raise Reject("it was skipped by hand", mend=f"To post it after all: ettametta schedule go {known.post_id}")
    if known.wakes_at is not None:
        return Decision(what="wait", time=known)
    if known.kept_there and known.due_at > now:
        return _at(known, now=now)
    if known.let_go_at is not None or now - known.due_at <= rules.grace:
        return Decision(what="go", time=known)
    return _late(known, openings, rules, now=now)


def _placed(fresh: Time, destination: Destination, openings: Openings, rules: Rules, *, now: datetime) -> Decision:
    """Find the time of a new asking."""
    asked = destination.publish_at
    if destination.at_slot:
        slot = openings.slot(max(now, asked or now))
        if slot is None:
            raise no_slot(fresh.account_id, openings)
        return _at(replace(fresh, due_at=slot, timed=True, by_slot=True), now=now)
    if asked is None:
        if openings.table == Timetable():
            return Decision(what="go")
        return _soonest(fresh, openings, now=now)
    if now - asked > rules.grace:
        return _late(replace(fresh, due_at=asked, timed=True), openings, rules, now=now)
    if against := openings.conflict(max(asked, now)):
        raise no_room(fresh.post_id, max(asked, now), against, openings)
    return _at(replace(fresh, due_at=asked, timed=True), now=now)


def _late(time: Time, openings: Openings, rules: Rules, *, now: datetime) -> Decision:
    """Its time has passed by more than the grace. What had no time of its own goes as soon as there is room."""
    passed = f"its time, {openings.shown(time.due_at)}, passed by {span(now - time.due_at)}"
    if time.timed and rules.if_late == "skip":
        raise Reject(passed, mend=f"To post it all the same: ettametta schedule go {time.post_id}")
    if time.timed and rules.if_late == "ask":
        return Decision(what="ask", time=replace(time, asking_since=time.asking_since or now), because=passed)
    return _soonest(time, openings, now=now, because=passed)


def _soonest(time: Time, openings: Openings, *, now: datetime, because: str = "") -> Decision:
    moment = openings.moment(now)
    if moment is None:
        raise Reject("its account's timetable has no room for a year", mend="Change it: ettametta schedule set")
    against = openings.conflict(now)
    words = "; ".join(part for part in (because, f"now {against}" if against else "") if part)
    return _at(replace(time, due_at=moment), now=now, because=words)


def _at(time: Time, *, now: datetime, because: str = "") -> Decision:
    """Go now where it is due, or where the platform keeps it; else wait."""
    ahead = time.due_at - now
    kept = time.kept_there and time.timed and KEPT_FROM <= ahead <= KEPT_TO
    if kept or ahead <= timedelta():
        return Decision(what="go", time=replace(time, kept_there=kept, wakes_at=None), because=because)
    return Decision(what="wait", time=replace(time, kept_there=False, wakes_at=time.due_at), because=because)


def no_room(post: PostId, at: datetime, against: str, openings: Openings) -> Reject:
    """Return the error for a time that the account's timetable does not allow."""
    free = openings.told_moment(at)
    mend = "Change it: ettametta schedule set"
    if free is not None:
        told = free.strftime("%Y-%m-%dT%H:%M:%SZ")
        mend = f"The next free moment is {openings.shown(free)}: ettametta schedule move {post} --at {told}"
    return Reject(f"it cannot be posted at {openings.shown(at)}: {against}", mend=mend)


def no_slot(account: AccountId, openings: Openings) -> Reject:
    """Return the error for an account without a free slot."""
    if not openings.table.slots:
        return Reject(
            f"{account} has no slots", mend=f'Give it some: ettametta schedule set {account} --slot "mon,thu 18:00"'
        )
    return Reject(
        f"{account} has no free slot within a year", mend=f"More slots or fewer rules: ettametta schedule set {account}"
    )


async def openings_of(conn: Connection, account: AccountId, *, other_than: PostId, now: datetime) -> Openings:
    """Read an account's timetable and what is taken of it. The account's lock is held by the caller."""
    table = await conn.fetchval(Q["read_timetable"], account)
    if table is None:
        return Openings(Timetable())
    rows = await conn.fetch(Q["list_taken"], account, other_than, now - LOOK_BACK)
    return Openings(msgspec.convert(table, Timetable), (row["at"] for row in rows))


async def put(conn: Connection, time: Time) -> None:
    values = (time.account_id, time.correlation_id, time.due_at, time.timed, time.by_slot, time.kept_there)
    await conn.execute(Q["put_time"], time.post_id, *values, time.wakes_at, time.let_go_at)


async def place(
    work: Work[RenderCompleted] | Work[PostRequested],
    posts: Posts,
    request: PostRequested,
    post: Post,
    account_id: AccountId,
) -> PostRequested | None:
    """Return the request to go on with now; None: it waits, and the row says for what.

    Raises: Reject as `decide` does; LeaseLost.
    """
    if post.session is not None:
        return request
    now, settings = work.now, work.services.settings
    rules = Rules(
        if_late=request.destination.if_late or settings.late_posts,  # type: ignore[arg-type]
        grace=timedelta(seconds=settings.late_after_s),
    )
    fresh = Time(
        post_id=post.post_id,
        account_id=account_id,
        correlation_id=request.correlation_id,
        due_at=now,
        timed=False,
        kept_there=keeps(post.platform, request.destination),
    )
    async with posts.fenced() as conn:
        await conn.execute(Q["hold_times"], account_id)
        row = await conn.fetchrow(Q["lock_time"], post.post_id)
        known = None if row is None else into(Time, row)
        openings = await openings_of(conn, account_id, other_than=post.post_id, now=now)
        found = decide(known, fresh, request.destination, openings, rules, now=now)
        await _store(conn, known, found, openings, now=now, post=post)
    reach("publisher.placed")
    time = found.time
    if found.what != "go":
        assert time is not None
        work.log.info("post.placed", post_id=post.post_id, due_at=time.due_at, waits=found.what, because=found.because)
        return None
    if time is None or not time.timed:
        return request
    # Where the platform does not keep it, its time has come. Clocks of replicas differ.
    publish_at = time.due_at if time.kept_there else min(time.due_at, now)
    return replace(request, destination=replace(request.destination, publish_at=publish_at))


async def _store(
    conn: Connection, known: Time | None, found: Decision, openings: Openings, *, now: datetime, post: Post
) -> None:
    time = found.time
    if time is None:
        if known is not None:
            await conn.execute(Q["drop_time"], post.post_id)
        return
    if time != known:
        await put(conn, time)
    if found.what == "ask":
        go, skip = (f"ettametta schedule {word} {post.post_id}" for word in ("go", "skip"))
        await conn.execute(Q["note_asking"], post.post_id, now)
        await conn.execute(Q["note_state"], post.post_id, "waiting", found.because, f"{go} or {skip}", now)
    elif found.what == "wait":
        because = f"it is due on {openings.shown(time.due_at)}" + (f": {found.because}" if found.because else "")
        action = f"none: it goes by itself; another time: ettametta schedule move {post.post_id} --at TIME"
        await conn.execute(Q["note_state"], post.post_id, "scheduled", because, action, now)


def span(length: timedelta) -> str:
    """Write a length of time as people say it."""
    seconds = abs(length.total_seconds())
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
