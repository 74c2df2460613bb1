"""One delivery from its bytes to its ack, nak or term.

Retry -> nak with backoff, a dead letter after `MAX_RETRIES`. Snooze, RateLimited, AuthExpired -> nak, no attempt
spent. Reject -> recorded, terminated. A fault of the database -> nak, nothing counted. Anything else is
a bug: retried `MAX_FAILURES` times, then a dead letter with its trace.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from typing import Any, Final, Protocol

import structlog

from actors.runtime.db import DRIVER_ERRORS, is_unavailable
from actors.runtime.killpoint import reach
from actors.runtime.ledger import Attempts, Duplicate
from actors.runtime.log import get_logger
from actors.runtime.telemetry import count, observe, span
from actors.runtime.work import Handler, Services, Work
from contracts.codec import complete, decode, encode
from contracts.errors import AuthExpired, LeaseLost, RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.events import Event
from contracts.flow import STREAM, Consumer

__all__ = ["Delivery", "backoff_s", "process"]

LOG: Final = get_logger()

MAX_FAILURES: Final = 8
MAX_RETRIES: Final = 300
"""Failures that may pass by themselves, an outage of a platform say: about a day of them."""
MAX_UNSETTLED: Final = 20
"""Deliveries that end with the worker's death before an event is held to be what kills it."""
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_LONGEST_S: Final = 300.0
UNAVAILABLE_DELAY_S: Final = 2.0
AUTH_DELAY_S: Final = 300.0


class Delivery(Protocol):
    """A message as the bus hands it over; `nats.aio.msg.Msg` fits."""

    data: bytes

    @property
    def metadata(self) -> Any: ...

    async def ack(self) -> None: ...

    async def nak(self, delay: float | None = None) -> None: ...

    async def term(self) -> None: ...


def backoff_s(failures: int, *, jitter: float) -> float:
    """Return the wait after so many failures: doubling from one second to five minutes, less up to a quarter."""
    return float(min(BACKOFF_FIRST_S * 2.0 ** (failures - 1), BACKOFF_LONGEST_S) * (1 - jitter / 4))


async def process(
    message: Delivery, consumer: Consumer, handler: Handler, services: Services, *, always_check: bool
) -> Work[Any]:
    """Handle one delivery and answer the bus; return what was worked on. Never raises, but for cancellation.

    always_check: ask the inbox before the work begins (worth it where the work is long).
    """
    started = time.perf_counter()
    where = message.metadata
    stored_at = where.timestamp if where.timestamp.tzinfo else where.timestamp.replace(tzinfo=UTC)
    reach(f"{consumer.name}.taken")
    event: Event
    problem: Reject | None = None
    try:
        event = decode(message.data, consumer.kind)
    except Reject as error:
        event, problem = Event(), error
    event = complete(event, stream=STREAM.name, sequence=where.sequence.stream, stored_at=stored_at)
    delivery = where.num_delivered
    work: Work[Any] = Work(event=event, consumer=consumer.name, services=services, redelivered=delivery > 1)
    with structlog.contextvars.bound_contextvars(
        consumer=consumer.name, event_id=event.event_id, correlation_id=event.correlation_id
    ):
        outcome, detail, answer = await _attempt(work, consumer, handler, problem, message, always_check=always_check)
        reach(f"{consumer.name}.answering")
        try:
            await answer()
        except Exception as error:  # noqa: BLE001 - the bus is away: the message comes again, the inbox knows it
            LOG.warning("message.not_answered", error=repr(error))
        reach(f"{consumer.name}.answered")
        elapsed_s = time.perf_counter() - started
        count("messages", consumer=consumer.name, outcome=outcome)
        observe("message", elapsed_s, consumer=consumer.name)
        tell = LOG.info if outcome in {"done", "duplicate", "snoozed"} else LOG.warning
        tell(
            "message.handled",
            outcome=outcome,
            delivery=delivery,
            gave=work.outgoing,
            elapsed_ms=round(elapsed_s * 1000, 1),
            because=detail or None,
        )
    return work


Answer = Callable[[], Awaitable[None]]


async def _attempt(
    work: Work[Any],
    consumer: Consumer,
    handler: Handler,
    problem: Reject | None,
    message: Delivery,
    *,
    always_check: bool,
) -> tuple[str, str, Answer]:
    ledger, event = work.services.ledger, work.event
    attempts = Attempts(0, 0)

    def nak(delay_s: float) -> Answer:
        return lambda: message.nak(delay=delay_s)

    async def bury(kind: Any, error: str, trace: str, failures: int) -> tuple[str, str, Answer]:
        payload = message.data if problem else encode(event)
        await ledger.bury(kind, consumer, event, payload, error=error, trace=trace, failures=failures)
        return kind, error, message.term

    async def snooze(outcome: str, error: BaseException, delay_s: float) -> tuple[str, str, Answer]:
        if work.redelivered:
            await ledger.note_snooze(work.consumer, event.event_id)
        return outcome, str(error), nak(max(delay_s, 0.1))

    async def fail(error: BaseException, text: str, delay_s: float | None) -> tuple[str, str, Answer]:
        failures = await ledger.note_failure(work.consumer, event.event_id, text)
        if failures >= (MAX_RETRIES if isinstance(error, Retry) else MAX_FAILURES):
            trace = "".join(traceback.format_exception(error))
            return await bury("dead", f"stopped after {failures} failures, the last: {text}", trace, failures)
        wait_s = max(backoff_s(failures, jitter=random.random()), delay_s or 0.0)  # noqa: S311 - spreads load, no secret
        return "retried", text, nak(wait_s)

    try:
        try:
            if problem is not None:
                raise problem  # noqa: TRY301 - one place answers for all
            if work.redelivered:
                attempts = await ledger.note_redelivery(work.consumer, event.event_id)
                if attempts.unsettled > MAX_UNSETTLED:
                    text = f"the worker died {attempts.unsettled - 1} times while it worked on this"
                    return await bury("dead", text, "", attempts.failures)
            if (always_check or work.redelivered) and await ledger.is_settled(work.consumer, event.event_id):
                raise Duplicate  # noqa: TRY301 - one place answers for all
            with span(work.consumer, correlation_id=event.correlation_id, event_id=event.event_id):
                await handler(work, work.services)
            if not work.committed:
                async with work.commit():
                    pass
        except Duplicate:
            if work.redelivered:
                await ledger.forget_attempts(work.consumer, event.event_id)
            return "duplicate", "", message.ack
        except Snooze as error:
            return await snooze("snoozed", error, error.delay_s)
        except RateLimited as error:
            return await snooze("rate_limited", error, (error.until - work.now).total_seconds())
        except AuthExpired as error:
            return await snooze("auth_expired", error, AUTH_DELAY_S)
        except LeaseLost as error:
            return await snooze("lease_lost", error, UNAVAILABLE_DELAY_S)
        except (Reject, Unconfirmed) as error:
            return await bury("rejected", str(error), "", attempts.failures + 1)
        except Retry as error:
            return await fail(error, str(error), error.delay_s)
        except asyncio.CancelledError:
            # A stop is nobody's fault: it must not count as a worker that died of this event.
            await asyncio.shield(_uncount(work))
            raise
        except Exception as error:
            if is_unavailable(error):
                raise
            LOG.exception("message.failed")
            return await fail(error, f"{type(error).__name__}: {error}", None)
    except Exception as error:
        if not is_unavailable(error):
            LOG.exception("message.not_recorded")
        await _uncount(work)
        return "unavailable", repr(error), nak(UNAVAILABLE_DELAY_S)
    return "done", "", message.ack


async def _uncount(work: Work[Any]) -> None:
    """Take back the count of a delivery that ended without an answer of its own."""
    if work.redelivered:
        with suppress(*DRIVER_ERRORS):
            await work.services.ledger.note_snooze(work.consumer, work.event.event_id)
