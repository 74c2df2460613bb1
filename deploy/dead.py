"""Dead letters, for people: read, retry, drop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from actors.runtime.db import DRIVER_ERRORS, Database, into, open_database
from actors.runtime.ledger import Q
from actors.runtime.settings import Settings
from contracts.codec import SUBJECT_PREFIX
from contracts.errors import Reject
from contracts.flow import OUTSIDE, PARTIES
from deploy.system import located

__all__ = ["DeadLetter", "DeadLetters", "opened"]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One line of the list."""

    id: int
    kind: str
    consumer: str
    event_id: str
    subject: str
    error: str
    failures: int
    state: str
    created_at: datetime


class DeadLetters:
    """The dead letters of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def listed(self, *, every: bool = False, limit: int = 200) -> tuple[DeadLetter, ...]:
        rows = await self._db.fetch(Q["list_dead"], None if every else "open", limit)
        return tuple(into(DeadLetter, row) for row in rows)

    async def shown(self, number: int) -> dict[str, Any]:
        """Return everything that is known of one. Raises: Reject if there is none."""
        row = await self._db.fetchrow(Q["show_dead"], number)
        if row is None:
            raise Reject(f"there is no dead letter {number}", mend="see `ettametta dead list --all`")
        fields = dict(row)
        try:
            fields["payload"] = msgspec.json.decode(row["payload"])
        except msgspec.DecodeError:
            fields["payload"] = row["payload"].decode(errors="replace")
        return fields

    async def retried(self, number: int) -> str:
        """Give the event to its consumer again, through the outbox of a party that may send it."""
        async with self._db.transaction() as conn:
            row = await conn.fetchrow(Q["settle_dead"], number, "retried")
            if row is None:
                raise await self._not_open(number)
            await conn.execute(Q["forget_inbox"], row["consumer"], row["event_id"])
            await conn.execute(Q["clear_attempts"], row["consumer"], row["event_id"])
            message_id = f"{row['event_id']}/retry/{number}"
            sender = _sender_of(row["subject"])
            await conn.execute(
                Q["put_outbox"], sender, message_id, row["subject"], row["payload"], row["correlation_id"]
            )
        return f"dead letter {number} goes to {row['consumer']} again"

    async def dropped(self, number: int) -> str:
        async with self._db.transaction() as conn:
            if await conn.fetchrow(Q["settle_dead"], number, "dropped") is None:
                raise await self._not_open(number)
        return f"dead letter {number} is dropped"

    async def _not_open(self, number: int) -> Reject:
        letter = await self.shown(number)
        return Reject(f"dead letter {number} was {letter['state']} already", mend="see `ettametta dead list`")


def _sender_of(subject: str) -> str:
    """Return a party with an outbox that may send the subject."""
    for party in PARTIES.values():
        names = {SUBJECT_PREFIX + str(kind.__struct_config__.tag) for kind in party.gives}
        if subject in names and party != OUTSIDE:
            return party.name
    raise Reject(f"no actor sends '{subject}'", mend="publish the event again as the outside user")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[DeadLetters]:
    """Open the dead letters of the system that runs, or of DATABASE_URL. Raises: Reject."""
    url = settings.database_url or located(settings, OUTSIDE.name).database_url
    assert url is not None
    try:
        async with open_database(url, max_size=2, name="ettametta-dead") as db:
            yield DeadLetters(db)
    except DRIVER_ERRORS as error:
        raise Reject(
            f"the database cannot be used ({error})", mend="start it, correct DATABASE_URL, or run `ettametta migrate`"
        ) from error
