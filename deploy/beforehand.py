"""What can be said of a post before anything of it is stored or sent: its files, its account, its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from actors.editor.still import is_still, probe_still
from actors.editor.subtitles import MAX_BYTES, parse_subtitles
from actors.publisher.posts import Account, Q, choose_account
from actors.publisher.schedule import no_slot, openings_of
from actors.publisher.timetable import Openings, Timetable, instant_of
from actors.runtime.db import into
from actors.runtime.oauth import OAuthClient
from actors.runtime.probe import probe_file
from actors.runtime.settings import Settings
from contracts.errors import Reject
from contracts.ids import AccountId, item_id, post_id
from contracts.media import Probe
from deploy.accounts import way_of
from deploy.ask import account_of, page_of, refuse_unless_publishes, sha256_of
from deploy.system import own_database

__all__ = ["Placed", "look_at", "place"]

T = TypeVar("T")

SHOWN_US: Final = 1_000_000
"""How long a thumbnail is taken to be shown while it is looked at; it changes nothing."""


class Placed(Struct, frozen=True, kw_only=True):
    """When a post is due. at: as it is asked for; due: for people, empty: not told; notes: what they may not expect."""

    at: datetime | None
    due: str
    notes: tuple[str, ...]


async def look_at(video: Path, *, thumbnail: Path | None, subtitles: Path | None) -> Probe:
    """Look at the files as those who take them will; return what the video is. Raises: Reject, naming the file."""
    probe = await _named(video, probe_file(video))
    if thumbnail is not None:
        await _named(thumbnail, _look(thumbnail))
    if subtitles is not None:
        await _named(subtitles, asyncio.to_thread(_parse, subtitles))
    return probe


async def _named(file: Path, work: Awaitable[T]) -> T:
    try:
        return await work
    except Reject as error:
        raise Reject(f"{file}: {error.reason}", mend=error.mend) from error


async def _look(picture: Path) -> None:
    if not is_still(picture):
        raise Reject("the file is no picture", mend="give a PNG, JPEG or WebP as the thumbnail")
    await probe_still(picture, shown_us=SHOWN_US)


def _parse(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            parse_subtitles(opened.read(MAX_BYTES + 1))
    except OSError as error:
        raise Reject(f"the file cannot be read: {error.strerror}", mend="check that it may be read") from error


async def place(
    settings: Settings,
    video: Path,
    *,
    platform: str,
    account: str | None,
    privacy: str,
    at: datetime | None,
    at_slot: bool,
    now: datetime,
) -> Placed:
    """Say which account and which moment are meant, from what is connected and planned now.

    Args: video: whose post's own earlier time takes no room; at: naive is the wall time of the account's timetable.
    Raises: Reject for what could only be refused later, and if the database cannot be used.
    """
    refuse_unless_publishes(platform)
    wanted = None if account is None else account_of(platform, account)
    way = way_of(platform)
    where = f"{page_of(settings)}/connect/{way.name if isinstance(way, OAuthClient) else platform}"
    timed = at is not None or at_slot
    grace = timedelta(seconds=settings.late_after_s)
    async with own_database(settings, name="ettametta-post") as db:
        rows = await db.fetch(Q["list_accounts"], platform)
        chosen, waits = _choose([into(Account, row) for row in rows], wanted, platform=platform, where=where)
        openings = None
        if timed and chosen is not None:
            own = post_id(item_id("post", await sha256_of(video)), platform, wanted)
            async with db.transaction() as conn:
                openings = await openings_of(conn, chosen, other_than=own, now=now)
    notes = [waits] if waits else []
    if timed and privacy != "public":
        notes.append(
            f"at its time it is posted as {privacy}, and stays so: a time shows only what is public. "
            "To have it seen then, ask for it with --privacy public"
        )
    if chosen is not None and openings is not None:
        if at is not None and at.tzinfo is None and openings.table == Timetable():
            notes.append(f"{chosen} has no timetable, so the time is taken as UTC")
        moment = None if at is None else _instant(at, openings)
        due = (
            _slot(chosen, openings, moment or now, now=now)
            if at_slot
            else _free(openings, moment or now, now=now, grace=grace)
        )
        return Placed(at=moment, due=openings.shown(due), notes=tuple(notes))
    if at_slot:
        raise Reject(
            f"--slot needs an account's timetable, and it is not known which {platform} account is meant",
            mend=f"Connect one at {where}, or leave --slot out",
        )
    if at is None:
        return Placed(at=None, due="", notes=tuple(notes))
    if at.tzinfo is None:
        raise Reject(
            f"'{at:%Y-%m-%dT%H:%M}' names no offset, and it is not known in which account's wall time it is",
            mend=f"Add +01:00 or Z to it, or connect the account at {where} first",
        )
    nobodys = Openings(Timetable())
    return Placed(at=at, due=nobodys.shown(_free(nobodys, at, now=now, grace=grace)), notes=tuple(notes))


def _choose(
    accounts: list[Account], wanted: AccountId | None, *, platform: str, where: str
) -> tuple[AccountId | None, str]:
    """Return the account that is meant, None: that is decided later; and what the post waits for. Raises: Reject."""
    there = {account.account_id: account.state for account in accounts if account.state != "disconnected"}
    if wanted is not None and wanted not in there:
        gone = any(account.account_id == wanted for account in accounts)
        raise Reject(
            f"{wanted} is disconnected" if gone else f"there is no account '{wanted}'",
            mend=f"Known: {', '.join(there)}" if there else f"No {platform} account is connected: see {where}",
        )
    try:
        found = choose_account(accounts, wanted=wanted, platform=platform)
    except Reject as error:
        raise Reject(error.reason, mend="Name one with --account") from error
    if isinstance(found, Account):
        return found.account_id, ""
    connected = [name for name, state in there.items() if state == "connected"]
    meant = wanted or (connected[0] if len(connected) == 1 else None)
    return meant, f"{found.because}, so the post waits. To let it go: {found.next_action or f'connect one at {where}'}"


def _instant(at: datetime, openings: Openings) -> datetime:
    return at if at.tzinfo is not None else instant_of(at, openings.zone)


def _slot(account: AccountId, openings: Openings, after: datetime, *, now: datetime) -> datetime:
    slot = openings.slot(max(after, now))
    if slot is None:
        raise no_slot(account, openings)
    return slot


def _free(openings: Openings, at: datetime, *, now: datetime, grace: timedelta) -> datetime:
    """Return the moment itself; grace: how late is not late. Raises: Reject if it is past, or not free."""
    if at < now - grace:
        raise Reject(f"{openings.shown(at)} is past", mend="Name a time to come, or leave --at out to post it at once")
    if against := openings.conflict(max(at, now)):
        free = openings.told_moment(max(at, now))
        raise Reject(
            f"it cannot be posted at {openings.shown(at)}: {against}",
            mend=f"The next free moment is {openings.shown(free)}: --at {free:%Y-%m-%dT%H:%M:%SZ}"
            if free is not None
            else "Change it: ettametta schedule set",
        )
    return at
