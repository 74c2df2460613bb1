"""Whether the engine keeps up, decided from what was read. Pure: reading is done elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from contracts.clock import Utc
from gateway.queues import Queue

__all__ = ["Fault", "Late", "Readiness", "judge"]

OUTBOX_LATE_S: Final = 30.0
MEASURE_LATE_S: Final = 300.0
POST_LATE_S: Final = 60.0
"""A post that is due is claimed within seconds; after this long no publisher looks."""
QUEUE_LATE_S: Final = 1800.0
"""A queue may stand while its processes work: rendering is slow. After this long something hangs."""
UNATTENDED_LATE_S: Final = 60.0
"""The same where no process takes from the queue."""


class Fault(Struct, frozen=True, kw_only=True):
    """One reason for not being ready."""

    what: Annotated[str, Meta(description="database, bus, outbox, measurements, posts, or the name of a consumer.")]
    because: Annotated[str, Meta(description="What is wrong and what to do, one line.")]


class Readiness(Struct, frozen=True, kw_only=True):
    """The answer of /readyz."""

    ready: bool
    reasons: tuple[Fault, ...]
    checked_at: Utc


class Late(Struct, frozen=True, kw_only=True):
    """What the database says about lateness."""

    outbox: Annotated[dict[str, datetime], Meta(description="Oldest unpublished event of each sender.")] = {}
    measures: Annotated[int, Meta(description="Measurements that are late by more than the limit.")] = 0
    measure_due_at: Annotated[datetime | None, Meta(description="The oldest of them.")] = None
    posts: Annotated[int, Meta(description="Posts that are due and were not claimed within the limit.")] = 0
    post_due_at: Annotated[datetime | None, Meta(description="The oldest of them.")] = None


def judge(late: Late | Fault, queues: Sequence[Queue] | Fault, *, now: datetime) -> Readiness:
    """Decide. A Fault in the place of a reading says why it could not be taken."""
    faults: list[Fault] = []
    if isinstance(late, Fault):
        faults.append(late)
    else:
        faults += _outbox_faults(late, now=now)
        if late.measures and late.measure_due_at is not None:
            wait_s = (now - late.measure_due_at).total_seconds()
            faults.append(
                Fault(
                    what="measurements",
                    because=f"{late.measures} due measurements are late, the oldest by {_minutes(wait_s)}: "
                    "is a tracker running, and is the account still connected?",
                )
            )
        if late.posts and late.post_due_at is not None:
            wait_s = (now - late.post_due_at).total_seconds()
            faults.append(
                Fault(
                    what="posts",
                    because=f"{late.posts} due posts were not claimed, the oldest is late by {_minutes(wait_s)}: "
                    "is a publisher running? See `ettametta schedule list`",
                )
            )
    if isinstance(queues, Fault):
        faults.append(queues)
    else:
        faults += [fault for queue in queues if (fault := _queue_fault(queue, now=now)) is not None]
    return Readiness(ready=not faults, reasons=tuple(faults), checked_at=now)


def _outbox_faults(late: Late, *, now: datetime) -> list[Fault]:
    waits = {sender: (now - oldest).total_seconds() for sender, oldest in late.outbox.items()}
    return [
        Fault(
            what="outbox",
            because=f"an event of the {sender} waits for {_minutes(wait_s)} to be published: "
            f"is a {sender} process running, and can it reach NATS?",
        )
        for sender, wait_s in sorted(waits.items())
        if wait_s > OUTBOX_LATE_S
    ]


def _queue_fault(queue: Queue, *, now: datetime) -> Fault | None:
    if not queue.waiting or queue.waiting_since is None:
        return None
    wait_s = (now - queue.waiting_since).total_seconds()
    if not queue.pulling and not queue.in_work:
        if wait_s <= UNATTENDED_LATE_S:
            return None
        return Fault(
            what=queue.name,
            because=f"{queue.waiting} events wait for {_minutes(wait_s)}, and no {queue.actor} takes "
            f"them: start one with `ettametta run {queue.actor}`",
        )
    if wait_s <= QUEUE_LATE_S:
        return None
    return Fault(
        what=queue.name,
        because=f"{queue.waiting} events wait and none was taken for {_minutes(wait_s)}: "
        f"look at the log of the {queue.actor}, or start another with `ettametta run {queue.actor}`",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
