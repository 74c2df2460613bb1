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
from actors.scanner.niches import accept_within_limit, normal, store_proposals
from actors.scanner.relate import from_topics, from_words, shared_words
from actors.scanner.schedule import MOST_PUT_OFF, Origin, origin_of
from actors.scanner.sources import Chosen, choose, discoverer, page_size_of, platform_of, ration_of
from actors.scanner.trends import KnownTopic, fresh_topics
from actors.scanner.turns import Q, take_turn
from contracts.clock import Utc
from contracts.errors import RateLimited, Retry
from contracts.events import CandidateFound, ScanCompleted, ScanRequested
from contracts.ids import ItemId
from contracts.platform import Candidate

__all__ = ["handle"]

LONG: Final = timedelta(minutes=10)
"""A platform that wants peace for longer than this counts as spent: the fallback carries on."""
AGAIN: Final = timedelta(minutes=15)
"""When a platform is asked again that did not answer, where the scan itself cannot be repeated."""
SPREAD_S: Final = 300
"""Platforms put off to the same moment come back spread over so long."""
REMEMBERED: Final = timedelta(days=14)


class _Watched(Struct, frozen=True, kw_only=True):
    next_at: Utc
    paused: bool


class _Held(Struct, frozen=True):
    scanned_at: Utc | None
    movement: float | None


async def handle(work: Work[ScanRequested], services: Services) -> None:
    """Scan. A scan that asked a rationed platform is never repeated: each time would spend of a day's calls.

    Raises: Reject (no such platform, no text), Retry (no platform answered, and one may within minutes), RateLimited
    (a put-off that came too early).
    """
    event = work.event
    normal(event.niche)
    row = await services.db.fetchrow(Q["watched"], event.niche)
    niche = None if row is None else into(_Watched, row)
    origin = origin_of(event.event_id)
    if origin.of_watched and (niche is None or niche.paused):
        work.log.info("scan.not_wanted", niche=event.niche, because="it is paused, or watched no more")
        return
    connected = {row["platform"] for row in await services.db.fetch(Q["connected_platforms"])}
    chosen = choose(event.platform, services.settings, connected=connected)
    turned_away, spent = await _turns(work, services, chosen, origin)
    skipped = {**chosen.skipped, **turned_away}
    answers = await _ask(work, services, [name for name in chosen.asked if name not in turned_away], origin)
    if chosen.fallback and (spent or any(_is_spent(answer, work.now) for answer in answers)):
        answers += await _ask(work, services, chosen.fallback, origin)
        skipped = {name: why for name, why in skipped.items() if name not in chosen.fallback}
    if not any(ration_of(answer.platform, services.settings) for answer in answers):
        raise_if_worth_repeating(answers)
        if origin.put_off:
            _wait_on(work, answers)
    reach("scanner.asked")
    topics = await fresh_topics(services) if origin.scheduled else ()
    async with work.commit() as tx:
        # First of all rows, as whoever drops the niche does.
        held = None if niche is None else await tx.conn.fetchrow(Q["hold_watched"], event.niche)
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
        if niche is not None and held is None:
            return
        await _put_off(tx, work, services, answers, niche)
        if held is not None and any(answer.error is None for answer in answers):
            if origin.scheduled:
                await _measure(tx, services, event.niche, _all_of(answers), topics, held=into(_Held, held))
            await _remember(tx, work, answers)


async def _ask(
    work: Work[ScanRequested], services: Services, names: Iterable[str], origin: Origin
) -> tuple[Answer, ...]:
    """Ask the sources. A turn is one call, so that a rationed one gives one page unless a person named it."""
    event = work.event

    def asking(name: str) -> Discover:
        limit = event.limit
        if ration_of(name, services.settings) is not None and not _is_named(event, origin):
            limit = min(limit, page_size_of(name) or limit)
        return lambda: discoverer(name, services).discover(event.niche, limit=limit)

    return await ask_all({name: asking(name) for name in names}, deadline_s=DEADLINE_S)


def _is_named(event: ScanRequested, origin: Origin) -> bool:
    """Tell whether a person named the platforms of this scan."""
    return event.platform is not None and origin.by_person


async def _turns(
    work: Work[ScanRequested], services: Services, chosen: Chosen, origin: Origin
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
            scheduled=origin.scheduled,
            by_name=_is_named(work.event, origin),
        )
        if not turn.granted:
            turned_away[source] = f"rationed: {turn.because}"
            spent = spent or turn.spent
    return turned_away, spent


def _is_spent(answer: Answer, now: datetime) -> bool:
    return isinstance(answer.error, RateLimited) and answer.error.until > now + LONG


def _wait_on(work: Work[ScanRequested], answers: Iterable[Answer]) -> None:
    """Leave a put-off to the bus while it is limited again, until it is too old. Raises: RateLimited."""
    since = work.event.occurred_at or work.now
    for answer in answers:
        if isinstance(answer.error, RateLimited) and answer.error.until - since <= MOST_PUT_OFF:
            raise answer.error


def _all_of(answers: Iterable[Answer]) -> tuple[Candidate, ...]:
    """Return the candidates; a work that two sources of a platform gave comes once."""
    return tuple({one.item_id: one for answer in answers for one in answer.candidates}.values())


async def _put_off(
    tx: Tx, work: Work[ScanRequested], services: Services, answers: Iterable[Answer], niche: _Watched | None
) -> None:
    """Leave each limited platform to be asked again alone, unless the schedule comes back to it first.

    Rationed platforms are left to the planner and to people, so that midnight does not spend a day. A turn is given
    back where a limit kept it from being used; an outage spent it, as it spent the call.
    """
    event, origin = work.event, origin_of(work.event.event_id)
    answers = tuple(answers)
    answered = [one.platform for one in answers if one.error is None]
    await tx.conn.execute(Q["answered"], event.niche, answered)
    for answer in answers:
        limited = isinstance(answer.error, RateLimited)
        if ration_of(answer.platform, services.settings) is not None:
            if limited and niche is not None:
                await tx.conn.execute(Q["give_back_turn"], event.niche, platform_of(answer.platform), event.event_id)
            continue
        if isinstance(answer.error, RateLimited):
            asked_at = answer.error.until
        elif isinstance(answer.error, Retry) and not answered:
            asked_at = work.now + AGAIN
        else:
            continue
        due_at = asked_at + timedelta(seconds=_spread_s(event.niche, answer.platform))
        if niche is not None and niche.next_at <= due_at:
            continue
        if origin.put_off or asked_at - work.now > MOST_PUT_OFF:
            work.log.warning("scan.given_up", niche=event.niche, platform=answer.platform, because=str(answer.error))
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


async def _measure(
    tx: Tx,
    services: Services,
    niche: str,
    found: tuple[Candidate, ...],
    topics: tuple[KnownTopic, ...],
    *,
    held: _Held,
) -> None:
    """Measure how much the niche moves, and propose its neighbours.

    Only of scans on a schedule: others see a part of the niche, and would pass for its movement.
    """
    now = services.clock.now()
    earlier = {
        seen.item_id: seen
        for row in await tx.conn.fetch(Q["seen_before"], niche, [one.item_id for one in found])
        for seen in [into(Seen, row)]
    }
    known = {row["platform"] for row in await tx.conn.fetch(Q["seen_platforms"], niche)}
    news = [one for one in topics if one.first_seen_at > (held.scanned_at or now - timedelta(days=1))]
    spoken = sum(speaks_of(niche, (one.name, *one.related)) for one in news)
    moved = movement_of(found, earlier, known=known, topics=spoken)
    words = [term for term, _ in shared_words(niche, found)]
    movement = smoothed(held.movement, moved.value)
    await tx.conn.execute(Q["note_scan"], niche, now, movement, moved.because, words)
    await store_proposals(tx.conn, (*from_topics(niche, found, topics), *from_words(niche, found)), now=now)
    await accept_within_limit(tx.conn, services.settings, now=now)


async def _remember(tx: Tx, work: Work[ScanRequested], answers: tuple[Answer, ...]) -> None:
    """Keep what was seen: what the next scan is measured from."""
    niche = work.event.niche
    await tx.conn.execute(Q["note_seen"], niche, *_columns(_all_of(answers)))
    await tx.conn.execute(Q["forget_seen"], niche, work.now - REMEMBERED)


def _columns(found: Iterable[Candidate]) -> tuple[list[ItemId], list[int | None], list[datetime]]:
    found = tuple(found)
    views = [one.metrics.views for one in found]
    return [one.item_id for one in found], views, [one.observed_at for one in found]
