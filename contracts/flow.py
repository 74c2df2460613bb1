"""Who takes and who gives which event. Streams, consumers and permissions are made from this table."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from contracts import events as e
from contracts.codec import SUBJECT_PREFIX, subject_of, type_of
from contracts.events import Event

__all__ = [
    "ACTORS",
    "GATEWAY",
    "MAX_PAYLOAD_BYTES",
    "OUTSIDE",
    "PARTIES",
    "STREAM",
    "Actor",
    "Consumer",
    "Stream",
    "consumers_of",
]


MAX_PAYLOAD_BYTES: Final = 1_000_000
"""Largest event. The server's limit is a little higher, to leave room for headers."""


class Stream(Struct, frozen=True, kw_only=True):
    """A JetStream stream. Times in seconds."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: int
    duplicate_window_s: int


class Actor(Struct, frozen=True, kw_only=True):
    """A party on the bus.

    batch: messages one replica works on at once; 1 where one message is long work.
    """

    name: str
    takes: tuple[type[Event], ...] = ()
    gives: tuple[type[Event], ...] = ()
    batch: int = 1

    @property
    def inbox_prefix(self) -> str:
        """Where its replies go. A program of the user's has the default of every NATS client."""
        return "_INBOX" if self.name == "outside" else f"_INBOX_{self.name}"


class Consumer(Struct, frozen=True, kw_only=True):
    """A durable JetStream pull consumer."""

    name: str
    actor: str
    kind: type[Event]
    subject: str
    batch: int


STREAM: Final = Stream(
    name="ETT",
    subjects=(f"{SUBJECT_PREFIX}>",),
    max_age_s=30 * 86_400,
    duplicate_window_s=120,
)

ACTORS: Final[dict[str, Actor]] = {
    actor.name: actor
    for actor in (
        Actor(
            name="scanner",
            takes=(e.ScanRequested,),
            gives=(e.CandidateFound, e.ScanCompleted, e.ScanRequested, e.WorkRejected),
            batch=4,
        ),
        Actor(
            name="ranker",
            takes=(e.CandidateFound, e.ScanCompleted),
            gives=(e.CandidateSelected, e.WorkRejected),
            batch=64,
        ),
        Actor(
            name="editor",
            takes=(e.CandidateSelected, e.ImportRequested),
            gives=(e.RenderRequested, e.WorkRejected),
        ),
        Actor(
            name="renderer",
            takes=(e.RenderRequested, e.ChunkRequested, e.JoinRequested),
            gives=(e.ChunkRequested, e.JoinRequested, e.RenderProgressed, e.RenderCompleted, e.WorkRejected),
        ),
        Actor(
            name="publisher",
            takes=(e.RenderCompleted, e.PostRequested, e.AccountConnected, e.PostChanged),
            gives=(
                e.PostProgressed,
                e.PostPublished,
                e.PostRequested,
                e.RenderRequested,
                e.AccountPaused,
                e.WorkRejected,
            ),
        ),
        Actor(
            name="tracker",
            takes=(e.PostPublished,),
            gives=(
                e.PostMeasured,
                e.PostChanged,
                e.RevenueRecorded,
                e.ExperimentConcluded,
                e.AccountPaused,
                e.WorkRejected,
            ),
            batch=16,
        ),
    )
}

GATEWAY: Final = Actor(name="gateway", gives=(e.ScanRequested, e.ImportRequested, e.PostRequested, e.AccountConnected))
"""The web process: gives what a person asks for, and reads everything for the live page."""

OUTSIDE: Final = Actor(name="outside", gives=(e.ScanRequested, e.ImportRequested, e.PostRequested))
"""A program of the user's, and the command line: may ask, and may read every event."""

PARTIES: Final[dict[str, Actor]] = {**ACTORS, GATEWAY.name: GATEWAY, OUTSIDE.name: OUTSIDE}


def consumers_of(actor: Actor) -> tuple[Consumer, ...]:
    """Return the actor's durable consumers, one for each event it takes."""
    return tuple(
        Consumer(
            name=f"{actor.name}-{type_of(kind).replace('.', '-')}",
            actor=actor.name,
            kind=kind,
            subject=subject_of(kind),
            batch=actor.batch,
        )
        for kind in actor.takes
    )
