"""Events to bytes and back.

Unknown fields are ignored, so that a newer sender does not break an older reader.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from contracts import events
from contracts.errors import Reject
from contracts.events import Event
from contracts.ids import CorrelationId, EventId, derived

__all__ = [
    "EVENTS",
    "SUBJECT_PREFIX",
    "complete",
    "decode",
    "encode",
    "follow",
    "new_event_id",
    "subject_of",
    "type_of",
    "without_nul",
]

SUBJECT_PREFIX: Final = "ett."

_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

E = TypeVar("E", bound=Event)


def type_of(event: type[Event] | Event) -> str:
    """Return the event's name, such as `scan.requested`."""
    tag = (event if isinstance(event, type) else type(event)).__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def subject_of(event: type[Event] | Event) -> str:
    """Return the NATS subject that carries the event."""
    return SUBJECT_PREFIX + type_of(event)


def _all_events() -> dict[str, type[Event]]:
    found = [value for name in events.__all__ if isinstance(value := getattr(events, name), type)]
    concrete = [kind for kind in found if issubclass(kind, Event) and kind is not Event]
    return {type_of(kind): kind for kind in sorted(concrete, key=type_of)}


EVENTS: Final[dict[str, type[Event]]] = _all_events()
"""Every event class by its type, in alphabetical order."""

_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[type[Event], msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in EVENTS.values()}


def encode(event: Event) -> bytes:
    """Return the event as compact JSON."""
    return _ENCODER.encode(event)


def without_nul(data: bytes) -> bytes:
    """Return JSON without NUL characters in its texts, which PostgreSQL does not store."""
    return _NUL.sub(rb"\1", data) if b"\\u0000" in data else data


def decode(data: bytes, kind: type[E]) -> E:
    """Read one event, its texts without NUL. Raises: Reject, naming the field that is wrong."""
    try:
        event: E = _DECODERS[kind].decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Reject(
            f"not a valid {type_of(kind)} event: {error}", mend=f"see docs/events.md for the fields of {type_of(kind)}"
        ) from error
    if "\0" in event.event_id + event.correlation_id:
        raise Reject(f"not a valid {type_of(kind)} event: an id holds a NUL", mend="send ids without it")
    clean = without_nul(data)
    return event if clean is data else _DECODERS[kind].decode(clean)


def new_event_id() -> EventId:
    return EventId(str(uuid.uuid4()))


def complete(event: E, *, stream: str, sequence: int, stored_at: datetime) -> E:
    """Fill what a person may leave out, from where the stream stored the event: the same on every delivery."""
    event_id = event.event_id or EventId(derived("event", stream, str(sequence), stored_at.isoformat()))
    return msgspec.structs.replace(
        event,
        event_id=event_id,
        occurred_at=event.occurred_at or stored_at,
        correlation_id=event.correlation_id or CorrelationId(event_id),
    )


def follow(event: E, *, cause: Event, name: str, at: datetime) -> E:
    """Stamp an outgoing event as a consequence of `cause`.

    The id is derived from the cause, the type and `name` (which of several), so that work done twice
    gives the same event twice and never two events.
    """
    return msgspec.structs.replace(
        event,
        event_id=event.event_id or EventId(derived("follows", cause.event_id, type_of(event), name)),
        occurred_at=event.occurred_at or at,
        correlation_id=cause.correlation_id or CorrelationId(cause.event_id),
        causation_id=cause.event_id,
    )
