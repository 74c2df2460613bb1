"""One scan: ask platforms side by side, give every candidate and one closing event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from actors.runtime.db import into
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Tx
from actors.runtime.work import Services, Work
from actors.scanner.ask import DEADLINE_S, Answer, Discover, ask_all, because, raise_if_worth_repeating
from actors.scanner.movement import Seen, movement_of, smoothed, speaks_of
from actors.scanner.niches import accept_within_limit, store_proposals
from actors.scanner.relate import from_topics, from_words, shared_words
from actors.scanner.sources import Chosen, choose, discoverer, platform_of, ration_of
from actors.scanner.trends import KnownTopic, fresh_topics
from actors.scanner.turns import Q, take_turn
from contracts.clock import Utc
from contracts.errors import RateLimited
from contracts.events import CandidateFound, ScanCompleted, ScanRequested
from contracts.ids import ItemId
from contracts.platform import Candidate

__all__ = ["handle"]

LONG: Final = timedelta(minutes=10)
"""A platform that wants peace for longer than this counts as spent: the fallback carries on."""
SPREAD_S: Final = 300
"""Platforms put off to the same moment come back spread over so long."""
REMEMBERED: Final = timedelta(days=14)


class _Watched(Struct, frozen=True, kw_only=True):
    name: str
    scan_id: str | None
    scanned_at: Utc | None
    movement: float | None
    next_at: Utc
    every_s: int


async def handle(work: Work[ScanRequested], services: Services) -> None:
    """Scan. Raises: Reject (no such platform), Retry (no platform answered, and one may within minutes)."""
    event = work.event
    row = await services.db.fetchrow(Q["watched"], event.niche)
    niche = None if row is None else into(_Watched, row)
    connected = {row["platform"] for row in await services.db.fetch(Q["connected_platforms"])}
    chosen = choose(event.platform, services.settings, connected=connected)
    scheduled = niche is not None and niche.scan_id == event.event_id
    turned_away, spent = await _turns(work, services, chosen, scheduled=scheduled)
    skipped = {**chosen.skipped, **turned_away}
    answers = await _ask(work, services, [name for name in chosen.asked if name not in turned_away])
    if chosen.fallback and (spent or any(_is_spent(answer, work.now) for answer in answers)):
        answers += await _ask(work, services, chosen.fallback)
        skipped = {name: why for name, why in skipped.items() if name not in chosen.fallback}
    raise_if_worth_repeating(answers)
    reach("scanner.asked")
    topics = await fresh_topics(services) if niche is not None else ()
    async with work.commit() as tx:
        for candidate in _all_of(answers):
            found = CandidateFound(candidate=candidate, niche=event.niche, destination=event.destination)
            tx.emit(found, name=candidate.item_id)
        tx.emit(
            ScanCompleted(
                niche=event.niche,
                found={answer.platform: len(answer.candidates) for answer in answers if answer.error is None},
                failed={answer.platform: because(answer.error) for answer in answers if answer.error is not None},
                skipped=skipped,
            )
        )
        await _put_off(tx, work, services, answers, niche)
        if niche is not None:
            await _remember(tx, work, services, answers, topics)


async def _ask(work: Work[ScanRequested], services: Services, names: Iterable[str]) -> tuple[Answer, ...]:
    event = work.event

    def asking(name: str) -> Discover:
        return lambda: discoverer(name, services).discover(event.niche, limit=event.limit)

    return await ask_all({name: asking(name) for name in names}, deadline_s=DEADLINE_S)


async def _turns(
    work: Work[ScanRequested], services: Services, chosen: Chosen, *, scheduled: bool
) -> tuple[dict[str, str], bool]:
    """Take a turn at each platform whose calls must last; return who is not asked, why, and if a quota is spent."""
    turned_away: dict[str, str] = {}
    spent = False
    for source in chosen.asked:
        bucket = ration_of(source, services.settings)
        if bucket is None:
            continue
        turn = await take_turn(
            services,
            platform_of(source),
            bucket,
            niche=work.event.niche,
            scan_id=work.event.event_id,
            scheduled=scheduled,
            by_name=work.event.platform is not None,
        )
        if not turn.granted:
            turned_away[source] = f"rationed: {turn.because}"
            spent = spent or turn.spent
    return turned_away, spent


def _is_spent(answer: Answer, now: datetime) -> bool:
    return isinstance(answer.error, RateLimited) and answer.error.until > now + LONG


def _all_of(answers: Iterable[Answer]) -> tuple[Candidate, ...]:
    """Return the candidates; a work that two sources of a platform gave comes once."""
    return tuple({one.item_id: one for answer in answers for one in answer.candidates}.values())


async def _put_off(
    tx: Tx, work: Work[ScanRequested], services: Services, answers: Iterable[Answer], niche: _Watched | None
) -> None:
    """Leave each limited platform to be asked again alone, unless the schedule comes back to it first.

    At rationed platforms a watched niche waits for its next turn instead, so that midnight does not spend a day.
    """
    event = work.event
    answers = tuple(answers)
    await tx.conn.execute(Q["answered"], event.niche, [one.platform for one in answers if one.error is None])
    for answer in answers:
        rationed = ration_of(answer.platform, services.settings) is not None
        if answer.error is not None and rationed and niche is not None:
            await tx.conn.execute(Q["give_back_turn"], event.niche, platform_of(answer.platform), event.event_id)
        if not isinstance(answer.error, RateLimited):
            continue
        due_at = answer.error.until + timedelta(seconds=_spread_s(event.niche, answer.platform))
        if niche is not None and (rationed or niche.next_at <= due_at):
            continue
        await tx.conn.execute(
            Q["put_off"],
            event.niche,
            answer.platform,
            event.limit,
            event.destination,
            event.correlation_id,
            due_at,
            str(answer.error),
        )


def _spread_s(niche: str, platform: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{niche}\x1f{platform}".encode()).digest()[:4], "big") % SPREAD_S


async def _remember(
    tx: Tx,
    work: Work[ScanRequested],
    services: Services,
    answers: tuple[Answer, ...],
    topics: tuple[KnownTopic, ...],
) -> None:
    """Measure how much the niche moves, keep what was seen, propose neighbours."""
    niche, now = work.event.niche, work.now
    held = await tx.conn.fetchrow(Q["hold_watched"], niche)
    if held is None or all(answer.error is not None for answer in answers):
        return
    found = _all_of(answers)
    earlier = {
        seen.item_id: seen
        for row in await tx.conn.fetch(Q["seen_before"], niche, [one.item_id for one in found])
        for seen in [into(Seen, row)]
    }
    known = {row["platform"] for row in await tx.conn.fetch(Q["seen_platforms"], niche)}
    news = [one for one in topics if one.first_seen_at > (held["scanned_at"] or now - timedelta(days=1))]
    spoken = sum(speaks_of(niche, (one.name, *one.related)) for one in news)
    moved = movement_of(found, earlier, known=known, topics=spoken)
    words = [term for term, _ in shared_words(niche, found)]
    movement = smoothed(held["movement"], moved.value)
    await tx.conn.execute(Q["note_scan"], niche, now, movement, moved.because, words)
    await tx.conn.execute(Q["note_seen"], niche, *_columns(found))
    await tx.conn.execute(Q["forget_seen"], niche, now - REMEMBERED)
    await store_proposals(tx.conn, (*from_topics(niche, found, topics), *from_words(niche, found)), now=now)
    await accept_within_limit(tx.conn, services.settings, now=now)


def _columns(found: Iterable[Candidate]) -> tuple[list[ItemId], list[int | None], list[datetime]]:
    found = tuple(found)
    views = [one.metrics.views for one in found]
    return [one.item_id for one in found], views, [one.observed_at for one in found]
