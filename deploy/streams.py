"""The stream and its durable consumers, made from contracts/flow.py. Doing it again changes nothing."""

from __future__ import annotations

from typing import Final

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from contracts.errors import Reject, Retry
from contracts.flow import ACTORS, STREAM, Consumer, consumers_of

__all__ = ["apply", "apply_to", "consumer_config", "stream_config"]

CONNECT_TIMEOUT_S: Final = 5.0
MAX_WAITING: Final = 512
MAX_ACK_PENDING: Final = 10_000
"""Messages in work or put off. The open pulls bound the work; those put off must not hold up the others."""

UNLIMITED: Final = -1


def stream_config() -> StreamConfig:
    """Return the stream as it should be."""
    return StreamConfig(
        name=STREAM.name,
        subjects=list(STREAM.subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=STREAM.max_age_s,
        duplicate_window=STREAM.duplicate_window_s,
    )


def consumer_config(consumer: Consumer, *, ack_wait_s: float) -> ConsumerConfig:
    """Return a durable pull consumer as it should be. The ledger, not the server, counts failures."""
    return ConsumerConfig(
        name=consumer.name,
        durable_name=consumer.name,
        filter_subject=consumer.subject,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        max_deliver=UNLIMITED,
        max_ack_pending=MAX_ACK_PENDING,
        max_waiting=MAX_WAITING,
    )


async def apply(nats_url: str, *, ack_wait_s: float) -> None:
    """Make or update the stream and all consumers, as a user who may. Raises: Retry, Reject."""
    try:
        client = await nats.connect(
            nats_url,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_TIMEOUT_S,
            name="ettametta-streams",
        )
    except (OSError, NatsError) as error:
        raise Retry(f"NATS cannot be reached ({error}); start it, or mend NATS_URL") from error
    try:
        await apply_to(client.jetstream(), ack_wait_s=ack_wait_s)
    finally:
        await client.close()


async def apply_to(jetstream: JetStreamContext, *, ack_wait_s: float) -> None:
    """Make or update the stream and all consumers. Raises: Retry, Reject."""
    try:
        await _apply_stream(jetstream)
        for actor in ACTORS.values():
            for consumer in consumers_of(actor):
                await jetstream.add_consumer(STREAM.name, consumer_config(consumer, ack_wait_s=ack_wait_s))
    except (ServiceUnavailableError, TimeoutError) as error:
        raise Retry(f"JetStream does not answer ({error}); is it enabled?") from error
    except APIError as error:
        raise Reject(
            f"NATS refuses stream {STREAM.name} as this version needs it: {error.description}",
            mend=f"remove it (`nats stream rm {STREAM.name}`) once no work waits in it, then run this again",
        ) from error


async def _apply_stream(jetstream: JetStreamContext) -> None:
    try:
        await jetstream.stream_info(STREAM.name)
    except NotFoundError:
        await jetstream.add_stream(stream_config())
    else:
        await jetstream.update_stream(stream_config())
