"""One scan: ask platforms side by side, give every candidate and one closing event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from msgspec import Struct

from actors import platforms
from actors.runtime.killpoint import reach
from actors.runtime.log import get_logger
from actors.runtime.work import Services, Work
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Reject, Retry
from contracts.events import CandidateFound, ScanCompleted, ScanRequested
from contracts.platform import Candidate

__all__ = ["Answer", "ask_all", "handle", "platforms_for", "raise_if_worth_repeating"]

DEADLINE_S: Final = 120.0
PARALLEL: Final = 8

Discover = Callable[[], Awaitable[tuple[Candidate, ...]]]


class Answer(Struct, frozen=True, kw_only=True):
    """What one platform gave: candidates, or the error that came instead."""

    platform: str
    candidates: tuple[Candidate, ...] = ()
    error: Exception | None = None


async def handle(work: Work[ScanRequested], services: Services) -> None:
    """Scan. Raises: Reject (no such platform), Retry or RateLimited (no platform answered, and later one may)."""
    event = work.event

    def asking(name: str) -> Discover:
        return lambda: platforms.build(name, services).discover(event.niche, limit=event.limit)

    answers = await ask_all({name: asking(name) for name in platforms_for(event.platform)}, deadline_s=DEADLINE_S)
    raise_if_worth_repeating(answers)
    reach("scanner.asked")
    async with work.commit() as tx:
        for answer in answers:
            for candidate in answer.candidates:
                found = CandidateFound(candidate=candidate, niche=event.niche, destination=event.destination)
                tx.emit(found, name=candidate.item_id)
        tx.emit(
            ScanCompleted(
                niche=event.niche,
                found={answer.platform: len(answer.candidates) for answer in answers if answer.error is None},
                failed={answer.platform: _because(answer.error) for answer in answers if answer.error is not None},
            )
        )


def platforms_for(wanted: str | None) -> tuple[str, ...]:
    """Return the platforms to ask: the named one, else each that discovers without a credential.

    Raises: Reject, listing the platforms that can be scanned.
    """
    able = {name: caps for name in platforms.names() if (caps := platforms.module(name).CAPS).discover}
    if wanted is None:
        return tuple(name for name, caps in able.items() if caps.keyless)
    if wanted not in able:
        raise Reject(f"'{wanted}' is no platform that can be scanned", mend=f"known: {', '.join(able)}")
    return (wanted,)


async def ask_all(asks: Mapping[str, Discover], *, deadline_s: float) -> tuple[Answer, ...]:
    """Ask every platform at once, each with a deadline of its own: none delays or fails another."""
    turns = asyncio.Semaphore(PARALLEL)

    async def ask(name: str, discover: Discover) -> Answer:
        async with turns:
            try:
                async with asyncio.timeout(deadline_s):
                    found = await discover()
            except TimeoutError:
                return Answer(platform=name, error=Retry(f"{name} did not answer within {deadline_s:g} s"))
            except Exception as error:  # noqa: BLE001 - one adapter's bug must not lose the others' answers
                if not isinstance(error, EttamettaError):
                    get_logger().error("scan.adapter_failed", platform=name, exc_info=error)
                return Answer(platform=name, error=error)
        return Answer(platform=name, candidates=tuple({one.item_id: one for one in found}.values()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(name, discover)) for name, discover in asks.items()]
    return tuple(task.result() for task in tasks)


def raise_if_worth_repeating(answers: tuple[Answer, ...]) -> None:
    """Raise when no platform answered and one may answer later.

    Raises: RateLimited (all named a time: the earliest), Retry, or the bug of an adapter, which ends as a dead letter.
    """
    errors = [answer.error for answer in answers if answer.error is not None]
    if not answers or len(errors) < len(answers):
        return
    for error in errors:
        if not isinstance(error, EttamettaError):
            raise error
    reasons = "; ".join(f"{answer.platform}: {answer.error}" for answer in answers)
    limited = [error for error in errors if isinstance(error, RateLimited)]
    if len(limited) == len(errors):
        raise RateLimited(f"no platform answered. {reasons}", until=min(error.until for error in limited))
    if all(isinstance(error, Retry | RateLimited) for error in errors):
        delays = [error.delay_s for error in errors if isinstance(error, Retry) and error.delay_s is not None]
        raise Retry(f"no platform answered. {reasons}", delay_s=min(delays, default=None))


def _because(error: Exception) -> str:
    if isinstance(error, AuthExpired):
        return f"{error}; connect the account again"
    if isinstance(error, EttamettaError):
        return str(error)
    return f"a fault in the adapter ({type(error).__name__}); the log has its trace"
