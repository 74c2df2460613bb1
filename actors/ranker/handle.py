"""Score what scans find, and choose when all candidates of a scan are there.

Candidates and the end of their scan travel separately, to any replica, in any order. Each candidate leaves a
sighting; the end of the scan says how many there are and waits, without spending attempts, until so many are
recorded. Waiting ends when `MOST_WAITS` in a row brought no further one, so that a candidate that was
rejected holds nothing up: the choice is then made among those that came, and says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from actors.ranker.policy import Choice, Contender, Decision, choose, summary
from actors.ranker.score import Observation, score, uses_for
from actors.runtime.db import into, load_queries
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Tx
from actors.runtime.settings import Settings
from actors.runtime.work import Services, Work
from contracts.errors import Snooze
from contracts.events import CandidateFound, CandidateSelected, Destination, Event, Reason, ScanCompleted
from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord

__all__ = ["FIRST_WAIT_S", "LONGEST_WAIT_S", "MOST_WAITS", "record", "settle"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 30.0
MOST_WAITS: Final = 11
"""Waits in a row without a further candidate: 2.5 minutes in all, more than all retries of one candidate take."""


class Row(Struct, frozen=True, kw_only=True):
    """A sighting with its item, as `contenders` reads it."""

    item_id: ItemId
    score: float
    reasons: tuple[Reason, ...]
    destination: Destination | None
    decision: Decision
    rights: RightsRecord
    candidate: Candidate


async def record(work: Work[CandidateFound], services: Services) -> None:
    """Store a candidate, its counts and its score."""
    event, seen = work.event, work.event.candidate
    async with work.commit() as tx:
        earlier = [into(Observation, row) for row in await tx.conn.fetch(Q["history"], seen.item_id)]
        scored = score(seen, niche=event.niche, earlier=earlier, uses=uses_for(monetised=services.settings.monetised))
        await tx.conn.execute(
            Q["record_item"],
            seen.item_id,
            event.correlation_id,
            seen.platform,
            seen.title,
            seen.url,
            event.niche,
            seen,
            seen.rights,
            scored.score,
            scored.reasons,
        )
        counts = seen.metrics
        await tx.conn.execute(
            Q["record_observation"],
            seen.item_id,
            seen.observed_at,
            counts.views,
            counts.likes,
            counts.comments,
            counts.shares,
        )
        await tx.conn.execute(
            Q["record_sighting"], _scan_of(event), seen.item_id, scored.score, scored.reasons, event.destination
        )


async def settle(work: Work[ScanCompleted], services: Services) -> None:
    """Choose among the candidates of a scan. Raises: Snooze while candidates of it are still under way."""
    event, scan_id = work.event, _scan_of(work.event)
    found = sum(event.found.values())
    state = await services.db.fetchrow(Q["count_in"], scan_id, event.correlation_id, event.niche, found, event.failed)
    assert state is not None
    reach("ranker.counted")
    if not state["settled"] and state["recorded"] < found and state["waits"] < MOST_WAITS:
        raise Snooze(
            f"{state['recorded']} of {found} candidates of this scan are recorded",
            delay_s=min(FIRST_WAIT_S * 2.0 ** state["waits"], LONGEST_WAIT_S),
        )
    async with work.commit() as tx:
        if await tx.conn.fetchval(Q["claim_scan"], scan_id) is None:
            return
        rows = {row["item_id"]: into(Row, row) for row in await tx.conn.fetch(Q["contenders"], scan_id)}
        choices = choose(
            [_contender(row) for row in rows.values()],
            uses=uses_for(monetised=services.settings.monetised),
            at=work.now,
        )
        because = summary(choices, found=found, failed=tuple(event.failed))
        for choice in choices:
            await _apply(tx, work, rows[choice.item_id], choice, services.settings)
        await tx.conn.execute(Q["settle_scan"], scan_id, work.now, because)
        work.log.info("scan.settled", scan_id=scan_id, because=because)


async def _apply(tx: Tx, work: Work[ScanCompleted], row: Row, choice: Choice, settings: Settings) -> None:
    event = work.event
    if choice.outcome == "selected":
        destination = row.destination or default_destination(settings)
        await tx.conn.execute(
            Q["select_item"],
            row.item_id,
            choice.because,
            work.now,
            event.correlation_id,
            event.niche,
            row.score,
            row.reasons,
            destination,
        )
        selected = CandidateSelected(
            item_id=row.item_id,
            candidate=row.candidate,
            niche=event.niche,
            score=row.score,
            reasons=row.reasons,
            destination=destination,
        )
        tx.emit(selected, name=row.item_id)
    elif choice.outcome != "known":
        await tx.conn.execute(Q["pass_item"], row.item_id, choice.because, work.now)
    await tx.conn.execute(Q["close_sighting"], _scan_of(event), row.item_id, choice.outcome, choice.because)


def default_destination(settings: Settings) -> Destination | None:
    """Return where videos go when a scan names no destination; None: they are kept."""
    if settings.destination is None:
        return None
    return Destination(platform=settings.destination, privacy=settings.privacy)


def _contender(row: Row) -> Contender:
    return Contender(
        item_id=row.item_id,
        score=row.score,
        decision=row.decision,
        rights=row.rights,
        has_media=row.candidate.media_url is not None,
    )


def _scan_of(event: Event) -> str:
    """Name the scan that an event belongs to: the request that caused it."""
    return event.causation_id or event.correlation_id
