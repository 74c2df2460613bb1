"""The watched niches and the proposals, for people and for the scanner."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from actors.runtime.db import Connection, Database, into
from actors.runtime.settings import Settings
from actors.runtime.work import Services
from actors.scanner.relate import Judges, Proposal
from actors.scanner.schedule import slot_after
from actors.scanner.sources import choose
from actors.scanner.trends import FRESH, MOST_READ, KnownTopic
from actors.scanner.turns import Q
from contracts.clock import Utc
from contracts.errors import Reject
from contracts.events import Destination

__all__ = [
    "PROPOSED_FOR",
    "Niche",
    "Niches",
    "OpenProposal",
    "accept_within_limit",
    "checked",
    "judging",
    "normal",
    "store_proposals",
]

CANDIDATES: Final = 25
EVERY_S: Final = 6 * 3600
SHORTEST_S: Final = 900
PROPOSED_EVERY_S: Final = 24 * 3600
JUDGED_AT_ONCE: Final = 5
MOST_LISTED: Final = 200
PROPOSED_FOR: Final = timedelta(days=14)
"""A proposal that nothing spoke for since is forgotten."""


class Niche(Struct, frozen=True, kw_only=True):
    """A watched niche. works: seen so far and still remembered."""

    name: str
    platforms: tuple[str, ...]
    every_s: int
    candidates: int
    next_at: Utc
    paused: bool
    destination: Destination | None
    why: str
    proposed_by: str | None
    scanned_at: Utc | None
    movement: float | None
    movement_because: str
    created_at: Utc
    works: int


class OpenProposal(Proposal, frozen=True, kw_only=True):
    """A proposal that nobody decided on. created_at: when it was proposed last, with this reason."""

    state: str
    created_at: Utc


def normal(name: str) -> str:
    """Return the name of a niche as it is kept. Raises: Reject."""
    found = " ".join(checked(name, what="the niche").split())
    if not 0 < len(found) <= 200:
        raise Reject(
            "the niche is empty or longer than 200 characters", mend='Such as: ettametta niches add "deep sea"'
        )
    return found


def checked(text: str, *, what: str) -> str:
    """Return a text that can be kept. Raises: Reject for bytes that were no UTF-8, NUL and other control characters."""
    if any(unicodedata.category(one) in {"Cc", "Cs"} and not one.isspace() for one in text):
        raise Reject(f"{what} is not plain text: it holds control characters or is not UTF-8", mend="Type it anew")
    return text


class Niches:
    """What a person does with niches."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings

    async def listed(self) -> tuple[Niche, ...]:
        return tuple(into(Niche, row) for row in await self._db.fetch(Q["list_niches"]))

    async def proposals(self, now: datetime) -> tuple[OpenProposal, ...]:
        """Return the open proposals of the last two weeks, best first."""
        rows = await self._db.fetch(Q["best_proposals"], MOST_LISTED, now - PROPOSED_FOR)
        return tuple(into(OpenProposal, row) for row in rows)

    async def topics(self, now: datetime) -> tuple[KnownTopic, ...]:
        """Return what rose during the last day."""
        return tuple(into(KnownTopic, row) for row in await self._db.fetch(Q["topics_since"], now - FRESH, MOST_READ))

    async def add(
        self,
        name: str,
        *,
        now: datetime,
        every_s: int = EVERY_S,
        platforms: Sequence[str] = (),
        candidates: int = CANDIDATES,
        destination: Destination | None = None,
        why: str = "",
    ) -> str:
        """Watch a niche; its first scan is due at once. A proposal of that name is accepted by it. Raises: Reject."""
        name = normal(name)
        if every_s < SHORTEST_S:
            raise Reject("a niche is scanned every 15 minutes at most", mend="Give a longer --every")
        checked(why, what="the note")
        sources = choose(",".join(platforms), self._settings).asked if platforms else ()
        async with self._db.transaction() as conn:
            proposed = await conn.fetchval(Q["decide_proposal"], name, "accepted", now)
            added = await conn.fetchval(
                Q["add_niche"], name, list(sources), every_s, candidates, now, destination, why, None, now
            )
            if added is None:
                raise Reject(
                    f"'{name}' is watched already",
                    mend="See `ettametta niches list`; to change it, drop it and add it anew",
                )
        return f"'{name}' is watched{' (it was proposed)' if proposed else ''}"

    async def pause(self, name: str, *, now: datetime, paused: bool = True) -> str:
        """Stop scanning a niche for a while, or go on with it. Raises: Reject if it is not watched."""
        found = await self._db.fetchval(Q["pause_niche"], normal(name), paused, now)
        if found is None:
            raise _unknown(name)
        return f"'{found}' is {'paused' if paused else 'watched again'}"

    async def drop(self, name: str, *, now: datetime) -> str:
        """Watch a niche no more, or refuse a proposal for good. Raises: Reject if there is neither."""
        if (found := await self._db.fetchval(Q["drop_niche"], normal(name))) is not None:
            return f"'{found}' is watched no more; what it found stays"
        if (found := await self._db.fetchval(Q["decide_proposal"], normal(name), "refused", now)) is not None:
            return f"'{found}' is not proposed again"
        raise _unknown(name)


def _unknown(name: str) -> Reject:
    return Reject(f"'{normal(name)}' is not watched", mend="See `ettametta niches list` and `--proposed`")


async def store_proposals(conn: Connection, proposals: Iterable[Proposal], *, now: datetime) -> None:
    """Keep proposals; those that a person decided on stay decided. Holds the lock of proposals from then on."""
    await conn.execute(Q["hold_proposals"])
    for one in sorted(proposals, key=lambda one: one.name):
        await conn.execute(Q["propose"], one.name, one.near, one.reason, one.proposed_by, one.score, now)


async def accept_within_limit(conn: Connection, settings: Settings, *, now: datetime) -> tuple[str, ...]:
    """Watch the best proposals while fewer than PROPOSED_NICHES_WATCHED are watched unasked; 0 unless it is set."""
    most = settings.proposed_niches_watched
    if not most:
        return ()
    await conn.execute(Q["hold_proposals"])
    free = most - int(await conn.fetchval(Q["accepted_alone"]))
    accepted: list[str] = []
    for row in await conn.fetch(Q["best_proposals"], max(free, 0), now - PROPOSED_FOR):
        one = into(OpenProposal, row)
        first_at = slot_after(one.name, PROPOSED_EVERY_S, now)
        await conn.fetchval(Q["decide_proposal"], one.name, "accepted", now)
        why, who = one.reason, one.proposed_by
        values: tuple[Any, ...] = (one.name, [], PROPOSED_EVERY_S, CANDIDATES, first_at, None, why, who, now)
        if await conn.fetchval(Q["add_niche"], *values) is not None:
            accepted.append(one.name)
    return tuple(accepted)


async def judging(services: Services, judge: Judges) -> None:
    """Ask a judge once a day about each watched niche, a few at a time.

    Raises: the judge's error; the niche that it was asked about waits for the next day.
    """
    now = services.clock.now()
    for row in await services.db.fetch(Q["to_relate"], now - FRESH, JUDGED_AT_ONCE):
        await judge.ready()
        if not await services.db.fetchval(Q["claim_relating"], row["name"], now, now - FRESH):
            continue
        proposals = await judge.propose(row["name"], tuple(row["words"]))
        async with services.db.transaction() as conn:
            await store_proposals(conn, proposals, now=now)
            await accept_within_limit(conn, services.settings, now=now)
