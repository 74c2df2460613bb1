"""Score what scans find, and choose when all candidates of a scan are there.

Candidates and the end of their scan travel separately, to any replica, in any order. Each candidate leaves a
sighting; the end of the scan says how many there are and waits, without spending attempts, until so many are
recorded. Waiting ends when `MOST_WAITS` in a row brought no further one, so that a candidate that was
rejected holds nothing up: the choice is then made among those that came, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from actors.ranker.address import page_at, work_at
from actors.ranker.context import context_of
from actors.ranker.entries import Seen, counts_of
from actors.ranker.identity import mark_of, number_of
from actors.ranker.ingest import adopt, ingest, lock_works
from actors.ranker.judge import Judged, votes
from actors.ranker.lines import check, check_names
from actors.ranker.model import in_use
from actors.ranker.policy import Choice, Contender, Decision, Precedent, choose, summary
from actors.ranker.score import Observation, Scored, score, uses_for, with_vote
from actors.runtime.db import into, load_queries
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Tx
from actors.runtime.settings import Settings
from actors.runtime.together import commit_together
from actors.runtime.work import Services, Work
from contracts.errors import Reject, Snooze
from contracts.events import CandidateFound, CandidateSelected, Destination, Event, Reason, ScanCompleted
from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord, outlet_of

__all__ = ["FIRST_WAIT_S", "LONGEST_WAIT_S", "MOST_WAITS", "check_found", "record_many", "settle"]

Q: Final = load_queries(Path(__file__).with_name("queries.sql"))

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 30.0
MOST_JUDGED: Final = 40
"""Works of one scan that a language model is asked about."""
MOST_WAITS: Final = 11
"""Waits in a row without a further candidate: 2.5 minutes in all, more than all retries of one candidate take."""


class Other(Precedent, frozen=True, kw_only=True):
    """A further item of a work. link: key of the one work that it links to."""

    url: str | None
    link: int | None


class Row(Struct, frozen=True, kw_only=True):
    """A sighting with its item, as `contenders` reads it."""

    item_id: ItemId
    score: float
    reasons: tuple[Reason, ...]
    destination: Destination | None
    decision: Decision
    rights: RightsRecord
    candidate: Candidate
    taken_as: ItemId | None
    """The item as which its work was selected or imported."""
    others: tuple[Other, ...]


def check_found(work: Work[CandidateFound]) -> None:
    """Raises: Reject if no database could hold the candidate."""
    event, seen = work.event, work.event.candidate
    try:
        check(seen)
        check_names(seen, niche=event.niche, correlation_id=event.correlation_id)
    except ValueError as error:
        raise Reject(f"this candidate cannot be stored: {error}", mend="correct it where it was found") from error


async def record_many(works: Sequence[Work[CandidateFound]], services: Services) -> None:
    """Store candidates, their counts and their scores in one transaction.

    They are scored by what was stored before them, as those are that several replicas store at once; what the group
    itself observed of one candidate counts for its later sightings.
    """
    uses = uses_for(monetised=services.settings.monetised)
    async with commit_together(works) as found:
        if not found:
            return
        conn = found[0][1].conn
        model = await in_use(conn)
        before: dict[ItemId, list[Observation]] = {}
        sightings, rows = [], []
        for work, _ in found:
            event, seen = work.event, work.event.candidate
            if seen.item_id not in before:
                before[seen.item_id] = [into(Observation, row) for row in await conn.fetch(Q["history"], seen.item_id)]
            scored = score(
                seen,
                niche=event.niche,
                earlier=before[seen.item_id],
                uses=uses,
                context=await context_of(conn, seen, event.niche),
                model=model,
            )
            before[seen.item_id].append(Observation(observed_at=seen.observed_at, views=seen.metrics.views))
            sighting = Seen(
                candidate=seen,
                counts=(counts_of(seen),),
                niche=event.niche,
                correlation_id=event.correlation_id,
                score=scored.score,
                reasons=scored.reasons,
            )
            sightings.append(sighting)
            rows.append((_scan_of(event), seen.item_id, scored.score, scored.reasons, event.destination))
        await ingest(conn, sightings)
        await conn.executemany(Q["record_sighting"], rows)


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
    judged = Judged() if state["settled"] else await _judged(event, scan_id, services)
    async with work.commit() as tx:
        if await tx.conn.fetchval(Q["claim_scan"], scan_id) is None:
            return
        await lock_works(tx.conn)
        await adopt(tx.conn, now=work.now)
        rows = {row["item_id"]: _voted(into(Row, row), judged) for row in await tx.conn.fetch(Q["contenders"], scan_id)}
        for row in rows.values():
            await tx.conn.execute(Q["score_sighting"], scan_id, row.item_id, row.score, row.reasons)
        choices = choose(
            [_contender(row, services.settings) for row in rows.values()],
            uses=uses_for(monetised=services.settings.monetised),
            at=work.now,
        )
        because = summary(choices, found=found, failed=tuple(event.failed))
        for choice in choices:
            await _apply(tx, work, rows[choice.item_id], choice, services.settings)
        await tx.conn.execute(Q["settle_scan"], scan_id, work.now, because)
        work.log.info("scan.settled", scan_id=scan_id, because=because)


async def _judged(event: ScanCompleted, scan_id: str, services: Services) -> Judged:
    """Ask the language model about the best works of a scan, outside of any transaction."""
    rows = await services.db.fetch(Q["to_vote_on"], scan_id, MOST_JUDGED)
    works = [msgspec.convert(row["candidate"], Candidate) for row in rows]
    return await votes(
        works, event.niche, settings=services.settings, clock=services.clock, quota=services.means.quota, db=services.db
    )


def _voted(row: Row, judged: Judged) -> Row:
    vote = judged.votes.get(row.item_id)
    because = judged.skipped.get(row.item_id, f"a language model is asked about the best {MOST_JUDGED} of a scan only")
    scored = with_vote(Scored(score=row.score, reasons=row.reasons), vote, because=because)
    return msgspec.structs.replace(row, score=scored.score, reasons=scored.reasons)


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
    await tx.conn.execute(Q["close_sighting"], _scan_of(event), row.item_id, choice.outcome, _told(choice, row))


def default_destination(settings: Settings) -> Destination | None:
    """Return where videos go when a scan names no destination; None: they are kept."""
    if settings.destination is None:
        return None
    return Destination(platform=settings.destination, privacy=settings.privacy)


def _contender(row: Row, settings: Settings) -> Contender:
    return Contender(
        item_id=row.item_id,
        score=row.score,
        decision="selected" if row.taken_as else row.decision,
        rights=row.rights,
        has_media=row.candidate.media_url is not None,
        to=outlet_of(row.destination or default_destination(settings)),
        precedents=_precedents(row),
    )


def _precedents(row: Row) -> tuple[Precedent, ...]:
    """Return the others that are publications of their own: neither another's reading of this page nor links to it."""
    own = {number_of(key) for key in mark_of(row.candidate).own}

    def leads_here(other: Other) -> bool:
        address = work_at(other.url or "") or page_at(other.url or "") or ""
        return other.link in own or number_of(address) in own

    return tuple(other for other in row.others if not leads_here(other))


def _told(choice: Choice, row: Row) -> str:
    """Say why, and of a work that was chosen before, as which item."""
    if choice.outcome == "known" and row.taken_as not in {None, row.item_id}:
        return f"its work was chosen before as {row.taken_as}"
    return choice.because


def _scan_of(event: Event) -> str:
    """Name the scan that an event belongs to: the request that caused it."""
    return event.causation_id or event.correlation_id
