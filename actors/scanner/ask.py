"""Asking platforms side by side: none delays or fails another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from actors.runtime.log import get_logger
from contracts.errors import AuthExpired, EttamettaError, RateLimited, Retry
from contracts.platform import Candidate

__all__ = ["DEADLINE_S", "Answer", "Discover", "ask_all", "because", "raise_if_worth_repeating"]

DEADLINE_S: Final = 60.0
"""Time that each platform has for itself: the scan ends when the slowest has answered or run out of it."""

Discover = Callable[[], Awaitable[tuple[Candidate, ...]]]


class Answer(Struct, frozen=True, kw_only=True):
    """What one source gave: candidates, or the error that came instead."""

    platform: str
    candidates: tuple[Candidate, ...] = ()
    error: Exception | None = None


async def ask_all(asks: Mapping[str, Discover], *, deadline_s: float) -> tuple[Answer, ...]:
    """Ask every source at once, each with a deadline of its own."""

    async def ask(name: str, discover: Discover) -> Answer:
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


def raise_if_worth_repeating(answers: Iterable[Answer]) -> None:
    """Raise when no platform answered and one may within minutes. Those that named a time are asked again by it.

    Raises: Retry, or the bug of an adapter, which ends as a dead letter.
    """
    answers = tuple(answers)
    errors = [answer.error for answer in answers if answer.error is not None]
    if not answers or len(errors) < len(answers):
        return
    for error in errors:
        if not isinstance(error, EttamettaError):
            raise error
    passing = [error for error in errors if isinstance(error, Retry)]
    if passing and all(isinstance(error, Retry | RateLimited) for error in errors):
        reasons = "; ".join(f"{answer.platform}: {answer.error}" for answer in answers)
        delays = [error.delay_s for error in passing if error.delay_s is not None]
        raise Retry(f"no platform answered. {reasons}", delay_s=min(delays, default=None))


def because(error: Exception) -> str:
    """Say for people why a platform gave nothing."""
    if isinstance(error, AuthExpired):
        return f"{error}; connect the account again"
    if isinstance(error, RateLimited):
        return f"{error}; it may be asked again from {error.until:%Y-%m-%d %H:%M} UTC"
    if isinstance(error, EttamettaError):
        return str(error)
    return f"a fault in the adapter ({type(error).__name__}); the log has its trace"
