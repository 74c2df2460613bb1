"""What each NATS user may and may not do, asked of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import msgspec
import nats
import pytest
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.client import Client

from contracts.codec import EVENTS, subject_of
from contracts.errors import Reject
from contracts.flow import ACTORS, GATEWAY, OUTSIDE, PARTIES, STREAM, Consumer, consumers_of
from deploy import streams
from deploy.supervisor import Stack
from tests.stack import ACK_WAIT_S, connected

CONSUMERS = [consumer for actor in ACTORS.values() for consumer in consumers_of(actor)]
EVERY_EVENT = {subject_of(kind) for kind in EVENTS.values()}

API_OF_A_CONSUMER = (
    "$JS.API.CONSUMER.INFO.ETT.{}",
    "$JS.API.CONSUMER.MSG.NEXT.ETT.{}",
    "$JS.ACK.ETT.{}.1.1.1.1.0",
)
ADMIN_ONLY = {
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.UPDATE.ETT",
    "$JS.API.STREAM.DELETE.ETT",
    "$JS.API.STREAM.PURGE.ETT",
    "$JS.API.STREAM.MSG.GET.ETT",
    "$JS.API.STREAM.MSG.DELETE.ETT",
    "$JS.API.STREAM.SNAPSHOT.ETT",
    "$JS.API.DIRECT.GET.ETT",
    "$JS.API.CONSUMER.NAMES.ETT",
    "$JS.API.CONSUMER.LIST.ETT",
    "$JS.API.CONSUMER.CREATE.ETT.spy",
    "$JS.API.CONSUMER.CREATE.ETT.spy.ett.post.published",
    "$JS.API.CONSUMER.DURABLE.CREATE.ETT.spy",
    *(f"$JS.API.CONSUMER.DELETE.ETT.{consumer.name}" for consumer in CONSUMERS),
    *(f"$JS.API.CONSUMER.PAUSE.ETT.{consumer.name}" for consumer in CONSUMERS),
    *(f"$JS.API.CONSUMER.UNPIN.ETT.{consumer.name}" for consumer in CONSUMERS),
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.USER.INFO",
    "other.subject",
}


async def refused(url: str, user: str, *, publish: Iterable[str] = (), subscribe: Iterable[str] = ()) -> set[str]:
    """Try each subject; return those that the server refused."""
    errors: list[str] = []

    async def note(error: Exception) -> None:
        errors.append(str(error).lower())

    tried = [*publish, *subscribe]
    client = await nats.connect(url, inbox_prefix=PARTIES[user].inbox_prefix, error_cb=note, allow_reconnect=False)
    for subject in publish:
        await client.publish(subject, b"")
    for subject in subscribe:
        await client.subscribe(subject)
    # The first ping of nats-py overtakes what waits to be sent; the second comes after the server's refusals.
    await client.flush()
    await client.flush()
    await client.close()
    return {subject for subject in tried if any(f'"{subject.lower()}"' in error for error in errors)}


@pytest.mark.parametrize("user", PARTIES)
async def test_a_user_sends_its_own_events_and_no_other(user: str, nats_urls: dict[str, str]) -> None:
    """A stage that was taken over could ask for posts, or report work that was never done."""
    own = {subject_of(kind) for kind in PARTIES[user].gives}
    assert own
    assert await refused(nats_urls[user], user, publish=EVERY_EVENT) == EVERY_EVENT - own


@pytest.mark.parametrize("user", PARTIES)
async def test_a_user_works_with_its_own_consumers_and_no_other(user: str, nats_urls: dict[str, str]) -> None:
    """A stage could take or acknowledge the messages of another, which would then be lost."""
    own = {api.format(each.name) for each in consumers_of(PARTIES[user]) for api in API_OF_A_CONSUMER}
    if user == GATEWAY.name:
        own |= {f"$JS.API.CONSUMER.INFO.ETT.{each.name}" for each in CONSUMERS}
    every = {api.format(each.name) for each in CONSUMERS for api in API_OF_A_CONSUMER}
    assert await refused(nats_urls[user], user, publish=every) == every - own


@pytest.mark.parametrize("user", PARTIES)
async def test_only_the_administrator_changes_streams(user: str, nats_urls: dict[str, str]) -> None:
    """A stage could delete the stream with all waiting work, or make a consumer that copies everything."""
    subjects = ADMIN_ONLY | {"$JS.API.STREAM.INFO.ETT"}
    own = {"$JS.API.STREAM.INFO.ETT"} if user == GATEWAY.name else set()
    assert await refused(nats_urls[user], user, publish=subjects) == subjects - own


@pytest.mark.parametrize("user", PARTIES)
async def test_a_user_hears_only_what_it_may(user: str, nats_urls: dict[str, str]) -> None:
    """A stage could listen to others' work, or to the answers that others get."""
    wide = {">", "*.>", "$JS.>", "$JS.ACK.>", "$SYS.>", "$JS.EVENT.ADVISORY.>", "*.abc"}
    inboxes = {f"{PARTIES[other].inbox_prefix}.abc" for other in PARTIES} | {"_INBOX.abc", "_INBOX.>"}
    events = EVERY_EVENT | {"ett.>"}
    own = {f"{PARTIES[user].inbox_prefix}.abc"}
    if user in {GATEWAY.name, OUTSIDE.name}:
        own |= events
    if user == OUTSIDE.name:
        own |= {"_INBOX.abc", "_INBOX.>"}
    every = wide | inboxes | events
    assert await refused(nats_urls[user], user, subscribe=every) == every - own


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
async def test_a_consumer_works_with_its_owners_rights(
    consumer: Consumer, nats_urls: dict[str, str], nats_admin: Client
) -> None:
    """The permissions would be too narrow: an actor could not look up, fetch or acknowledge its messages."""
    await nats_admin.jetstream().publish(consumer.subject, b"one", headers={"Nats-Msg-Id": "1"})
    async with connected(nats_urls[consumer.actor], inbox=PARTIES[consumer.actor].inbox_prefix) as client:
        taken = await client.jetstream().pull_subscribe(consumer.subject, durable=consumer.name, stream=STREAM.name)
        (message,) = await taken.fetch(1, timeout=5)
        assert message.data == b"one"
        await message.in_progress()
        await message.ack_sync(timeout=5)
    state = await nats_admin.jetstream().consumer_info(STREAM.name, consumer.name)
    assert (state.num_ack_pending, state.num_pending) == (0, 0)


@pytest.mark.parametrize("user", PARTIES)
async def test_a_user_gets_the_acknowledgement_of_what_it_sends(user: str, nats_urls: dict[str, str]) -> None:
    """The relay could not tell that an event is stored, and would send it for ever."""
    async with connected(nats_urls[user], inbox=PARTIES[user].inbox_prefix) as client:
        stored = await client.jetstream().publish(subject_of(PARTIES[user].gives[0]), b"{}")
        assert (stored.stream, stored.seq) == (STREAM.name, 1)


async def test_an_outside_program_needs_no_special_inbox(nats_urls: dict[str, str]) -> None:
    """`nats req` and plain clients of other languages would get no answer."""
    async with connected(nats_urls[OUTSIDE.name]) as client:
        stored = await client.jetstream().publish("ett.scan.requested", b'{"niche":"deep sea"}')
        assert stored.seq == 1


async def test_faststream_pulls_with_an_actors_rights(nats_urls: dict[str, str], nats_admin: Client) -> None:
    """A program on FastStream with an actor's user is refused a call that it needs."""
    consumer = consumers_of(ACTORS["renderer"])[0]
    refusals: list[Exception] = []
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def note(error: Exception) -> None:
        refusals.append(error)

    broker = NatsBroker(
        nats_urls["renderer"],
        inbox_prefix=ACTORS["renderer"].inbox_prefix,
        error_cb=note,
        apply_types=False,
        logger=None,
    )

    @broker.subscriber(
        consumer.subject,
        durable=consumer.name,
        stream=JStream(STREAM.name, declare=False),
        pull_sub=PullSub(batch_size=1, timeout=1.0),
        ack_policy=AckPolicy.MANUAL,
        # FastStream does not hand the broker's prefix on to its pull subscribers.
        inbox_prefix=f"{ACTORS['renderer'].inbox_prefix}.".encode(),
        decoder=_whole,
    )
    async def handle(message: NatsMessage) -> None:
        await message.ack()
        got.set_result(message.body)

    await broker.start()
    await nats_admin.jetstream().publish(consumer.subject, b"plan")
    async with asyncio.timeout(10):
        assert await got
    await broker.stop()
    assert refusals == []


@pytest.mark.parametrize("user", PARTIES)
async def test_a_wrong_password_is_refused(user: str, nats_urls: dict[str, str]) -> None:
    """Anyone on the machine could use the bus."""
    host, _, port = nats_urls[user].rpartition("@")[2].partition(":")
    for given in ({"user": user, "pass": "wrong"}, {"user": user}, {}):
        reader, writer = await asyncio.open_connection(host, int(port))
        assert (await reader.readline()).startswith(b"INFO ")
        writer.write(b"CONNECT " + msgspec.json.encode({"verbose": False, **given}) + b"\r\nPING\r\n")
        assert await reader.read() == b"-ERR 'Authorization Violation'\r\n"
        writer.close()
        await writer.wait_closed()


async def test_streams_are_made_once_and_changed_in_place(tmp_path: Path) -> None:
    """A restart would lose what waits, or a changed ack_wait would never reach the server."""
    async with (
        Stack(tmp_path, need_postgres=False, ack_wait_s=ACK_WAIT_S) as stack,
        connected(stack.nats_urls["admin"]) as admin,
    ):
        jetstream = admin.jetstream()
        await jetstream.publish("ett.scan.requested", b"{}")
        await streams.apply_to(jetstream, ack_wait_s=ACK_WAIT_S + 1)
        assert (await jetstream.stream_info(STREAM.name)).state.messages == 1
        for consumer in CONSUMERS:
            config = (await jetstream.consumer_info(STREAM.name, consumer.name)).config
            assert (config.ack_wait, config.max_deliver) == (ACK_WAIT_S + 1, -1)
            assert config.max_ack_pending is not None
            assert config.max_ack_pending >= 2 * consumer.batch


async def test_a_stream_that_cannot_be_changed_is_left_alone(nats_admin: Client) -> None:
    """A stream made by hand, in memory say, would be replaced with all that waits in it."""
    jetstream = nats_admin.jetstream()
    await jetstream.publish("ett.scan.requested", b"{}")
    with pytest.raises(Reject, match=r"NATS refuses stream ETT .*`nats stream rm ETT`"):
        await streams.apply_to(jetstream, ack_wait_s=ACK_WAIT_S)
    assert (await jetstream.stream_info(STREAM.name)).state.messages == 1


async def _whole(message: NatsMessage) -> NatsMessage:
    return message
