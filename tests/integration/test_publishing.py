"""Exactly one post: every step boundary, every fault of the platform, over HTTP and with a real database."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms import youtube
from actors.platforms._google_upload import CHUNK_UNIT_BYTES
from actors.platforms._youtube_errors import next_quota_day
from actors.publisher.handle import CERTAIN_AFTER
from actors.publisher.posts import Posts, Session
from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from contracts.errors import Retry
from contracts.events import AccountConnected, Destination, PostRequested
from contracts.ids import EventId, ItemId
from contracts.platform import Draft, UploadCheckpoint
from contracts.rights import RightsRecord
from tests.channel import Channel, Killed, connected_channel, kill_at, stamped
from tests.journal import Notes

CHUNKS = 5
VIDEO = bytes(range(256)) * (CHUNK_UNIT_BYTES // 256 * (CHUNKS - 1)) + b"the end"
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="Ann", source_url="https://archive.org/details/reef")
CONSUMER = "publisher-post-requested"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is sent in several chunks."""
    monkeypatch.setattr(youtube.YouTube, "chunk_bytes", CHUNK_UNIT_BYTES)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


async def asked(channel: Channel, **changes: Any) -> PostRequested:
    """Store a video and return the request to post it."""
    values: dict[str, Any] = {
        "item_id": ItemId("internet_archive:reef"),
        "key": await channel.put_video(VIDEO),
        "rights": RIGHTS,
        "destination": Destination(platform="youtube"),
        "title": "A reef <at night>",
        "description": "Words",
        "hashtags": ("sea", "deep sea"),
    }
    request: PostRequested = stamped(PostRequested(**{**values, **changes}))
    return request


async def published_once(channel: Channel) -> None:
    """The sandbox holds one whole video, the row knows it, and it was told once."""
    video, post = await channel.video(), await channel.post()
    assert video["sha256"] == hashlib.sha256(VIDEO).hexdigest()
    assert (post["state"], post["platform_post_id"]) == ("published", video["id"])
    assert post["session"] is None
    told = await channel.given("post.published")
    assert [event["platform_post_id"] for event in told] == [video["id"]]


async def test_a_video_is_posted_with_its_words_and_told(channel: Channel) -> None:
    """Posts come out with wrong words, without their credit, or nobody hears of them."""
    account = await channel.connect()
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    video, post = await channel.video(), await channel.post()
    assert video["title"] == "A reef \u2039at night\u203a"
    assert '"Reef" by Ann' in video["description"]
    assert video["tags"][1:] == ["sea", "deep sea"]
    assert video["tags"][0] == "ett" + post["post_id"].replace("-", "")[:16]
    assert video["privacy"] == post["privacy"] == "private"
    assert video["synthetic"] is False
    assert post["url"] == f"{str(channel.sandbox).rstrip('/')}/watch?v={video['id']}"
    told = (await channel.given("post.published"))[0]
    assert (told["account_id"], told["correlation_id"]) == (account, request.correlation_id)
    assert told["causation_id"] == request.event_id


@pytest.mark.parametrize(
    "boundary",
    [
        f"{CONSUMER}.taken",
        "publisher.intent_stored",
        "publisher.session_opened",
        "publisher.session_stored",
        "publisher.chunk_sent",
        "publisher.uploaded",
        f"{CONSUMER}.handled",
        f"{CONSUMER}.committing",
        f"{CONSUMER}.committed",
        f"{CONSUMER}.answering",
        f"{CONSUMER}.answered",
    ],
)
async def test_a_death_at_any_step_leaves_one_post(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, boundary: str
) -> None:
    """A worker that dies between two steps posts twice, or never."""
    await channel.connect()
    request = await asked(channel)
    died = kill_at(monkeypatch, boundary)
    with pytest.raises(Killed):
        await channel.deliver(request)
    assert died()
    assert await channel.settle(request, first=2) == "ack"
    await published_once(channel)


@pytest.mark.parametrize("chunk", range(1, CHUNKS + 1))
async def test_a_death_after_any_chunk_resumes_there(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """A worker that dies while it sends begins anew, or loses the video that its last chunk completed."""
    await channel.connect()
    request = await asked(channel)
    sent = 0

    def reach(name: str) -> None:
        nonlocal sent
        sent += name == "publisher.chunk_sent"
        if sent == chunk and name == "publisher.chunk_sent":
            raise Killed(name)

    monkeypatch.setattr("actors.platforms._google_upload.reach", reach)
    with pytest.raises(Killed):
        await channel.deliver(request)
    assert await channel.settle(request, first=2) == "ack"
    await published_once(channel)
    (session,) = (await channel.state())["sessions"]
    assert session["puts"] == CHUNKS


async def test_a_second_delivery_and_a_second_request_post_nothing(channel: Channel) -> None:
    """An event that comes twice, or a second wish for the same item, posts a second video."""
    await channel.connect()
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    assert await channel.deliver(request, delivery=2) == ("ack", 0.0)
    assert await channel.settle(stamped(msgspec.structs.replace(request, event_id=EventId("")))) == "ack"
    await published_once(channel)


async def test_two_workers_at_once_post_once(channel: Channel) -> None:
    """Two replicas that get the same event post twice."""
    await channel.connect()
    request = await asked(channel)
    other = msgspec.structs.replace(channel, services=_replica(channel))
    answers = await asyncio.gather(channel.deliver(request), other.deliver(request, delivery=2))
    assert sorted(answered for answered, _ in answers) == ["ack", "nak"]
    assert await channel.settle(request, first=3) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 1


def _replica(channel: Channel) -> Any:
    values = {name: getattr(channel.services, name) for name in channel.services.__dataclass_fields__}
    values["ledger"] = Ledger(channel.db, sender="publisher", clock=channel.clock, ttl_s=5.0)
    return type(channel.services)(**values)


@pytest.mark.parametrize("skip", range(CHUNKS))
@pytest.mark.parametrize("kind", ["accept_then_timeout", "status", "drop_mid_body"])
async def test_an_answer_that_is_lost_does_not_post_twice(channel: Channel, kind: str, skip: int) -> None:
    """A connection that breaks at the wrong moment posts twice, or leaves a hole in the video."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", kind, skip=skip, delay_s=0.0)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 1


async def test_a_connection_that_breaks_again_and_again_still_gets_there(channel: Channel) -> None:
    """A long upload over a bad line ends as a dead letter although it comes forward each time."""
    await channel.connect()
    request = await asked(channel, key=await channel.put_video(VIDEO * 6))
    for number in range(12):
        await channel.fault("youtube.upload", "status", skip=2 * number + 1)
    assert await channel.settle(request) == "ack"
    assert (await channel.video())["size_bytes"] == 6 * len(VIDEO)
    assert await channel.db.fetchval("select count(*) from dead_letters") == 0


async def test_a_session_whose_opening_was_not_heard_makes_no_video(channel: Channel) -> None:
    """An opening whose answer is lost leads to two videos."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.session", "accept_then_timeout", delay_s=0.0)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 2


async def test_a_session_that_ends_before_the_last_byte_is_replaced(channel: Channel) -> None:
    """An upload whose session expires half way is stuck for ever."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "session_expired", skip=2)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert [session["state"] for session in (await channel.state())["sessions"]] == ["expired", "completed"]


async def test_a_video_whose_session_ended_is_found_by_its_marker(channel: Channel) -> None:
    """An upload that completed unheard, and whose session then ended, is posted again."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "accept_then_timeout", skip=CHUNKS - 1, delay_s=0.0)
    await channel.fault("youtube.upload_status", "session_expired", skip=1)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 1


async def unconfirmed(channel: Channel, request: PostRequested) -> None:
    """Lose the session when the last byte was sent and no video came of it."""
    await channel.fault("youtube.upload", "status", skip=CHUNKS - 1)
    await channel.fault("youtube.upload_status", "session_expired", skip=1)
    assert await channel.settle(request) == "term"
    assert (await channel.state())["videos"] == []


async def again(channel: Channel, request: PostRequested) -> str:
    """Do what retrying the dead letter does."""
    await channel.db.execute("delete from inbox")
    await channel.db.execute("update dead_letters set state = 'retried'")
    return await channel.settle(request, first=50)


async def test_an_unknown_outcome_is_shown_and_never_silently_repeated(channel: Channel) -> None:
    """A video that may exist is uploaded once more on a guess."""
    await channel.connect()
    request = await asked(channel)
    await unconfirmed(channel, request)
    post = await channel.post()
    assert post["state"] == "unconfirmed"
    assert "after the last byte was sent" in post["because"]
    assert "look for" in post["next_action"]
    letter = await channel.db.fetchrow("select kind, error from dead_letters")
    assert letter is not None
    assert "may or may not be on youtube" in letter["error"]
    state = await channel.state()
    assert len(state["sessions"]) == 1
    assert 3 <= state["calls"]["youtube.channels"] <= 10
    assert await again(channel, request) == "term"
    assert len((await channel.state())["sessions"]) == 1


async def test_a_person_can_have_it_uploaded_anew_when_a_day_has_passed(channel: Channel) -> None:
    """A post whose outcome stayed unknown can never be posted again."""
    await channel.connect()
    request = await asked(channel)
    await unconfirmed(channel, request)
    channel.clock.turn(CERTAIN_AFTER.total_seconds())
    assert await again(channel, request) == "ack"
    await published_once(channel)


async def test_a_token_that_ends_half_way_is_renewed_for_the_same_session(channel: Channel) -> None:
    """An upload longer than an access token begins anew, or disconnects the account."""
    account = await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "status", skip=2, status=401)
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    state = await channel.state()
    assert len(state["sessions"]) == 1
    assert state["calls"]["oauth.token"] == 1
    assert await channel.db.fetchval("select state from accounts where account_id = $1", account) == "connected"


async def test_a_spent_quota_waits_for_the_next_day(channel: Channel) -> None:
    """A spent quota ends the post, or hammers the platform all day."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.session", "quota")
    answered, delay_s = await channel.deliver(request)
    assert answered == "nak"
    until = next_quota_day(channel.clock.now())
    assert abs(timedelta(seconds=delay_s) - (until - channel.clock.now())) < timedelta(minutes=1)
    post = await channel.post()
    assert "quota" in post["because"]
    assert f"{until:%Y-%m-%d %H:%M}" in post["next_action"]
    assert await channel.settle(request, first=2) == "ack"
    await published_once(channel)


async def test_a_refusal_ends_the_post_with_the_words_of_the_platform(channel: Channel) -> None:
    """A person sees a failed post and no reason."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.session", "status", status=400, reason="invalidTitle")
    assert await channel.settle(request) == "term"
    post = await channel.post()
    assert post["state"] == "failed"
    assert "invalidTitle" in post["because"]
    assert "100 characters" in post["next_action"]
    assert await again(channel, request) == "ack"
    await published_once(channel)


async def test_an_upload_that_was_refused_can_be_tried_again(channel: Channel) -> None:
    """A post whose upload was refused once can never be posted, or is posted twice."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "status", skip=1, status=400, reason="badRequest")
    assert await channel.settle(request) == "term"
    assert (await channel.post())["state"] == "failed"
    assert await again(channel, request) == "ack"
    await published_once(channel)


async def test_without_an_account_the_post_waits_and_goes_on_when_one_is_connected(channel: Channel) -> None:
    """A video made before the channel was connected is lost, or loses its place in the history."""
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert post["state"] == "waiting"
    assert post["next_action"] == "connect an account at http://127.0.0.1:8400/connect/google"
    account = await channel.connect()
    connected = stamped(AccountConnected(account_id=account, platform="youtube"))
    assert await channel.settle(connected) == "ack"
    assert await channel.deliver(connected, delivery=2) == ("ack", 0.0)
    (resumed,) = await channel.given("post.requested")
    assert (resumed["correlation_id"], resumed["causation_id"]) == (request.correlation_id, connected.event_id)
    assert await channel.settle(msgspec.convert(resumed, PostRequested)) == "ack"
    await published_once(channel)
    told = (await channel.given("post.published"))[0]
    assert told["correlation_id"] == request.correlation_id


@pytest.mark.parametrize("waits", [False, True])
async def test_a_synthetic_voice_is_disclosed_on_the_platform(channel: Channel, *, waits: bool) -> None:
    """A narrated video is posted without the mark that YouTube asks for, at once or after it waited."""
    request = await asked(channel, synthetic=True)
    account = None if waits else await channel.connect()
    assert await channel.settle(request) == "ack"
    if account is None:
        account = await channel.connect()
        assert await channel.settle(stamped(AccountConnected(account_id=account, platform="youtube"))) == "ack"
        (resumed,) = await channel.given("post.requested")
        assert await channel.settle(msgspec.convert(resumed, PostRequested)) == "ack"
    assert (await channel.video())["synthetic"] is True
    await published_once(channel)


async def test_a_withdrawn_permission_waits_and_goes_on_with_the_same_session(channel: Channel) -> None:
    """A permission that ends half way loses the upload, or the account is never marked."""
    account = await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "status", skip=2, status=401)
    await channel.fault("oauth.token", "status", status=400, reason="invalid_grant")
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert (post["state"], post["account_id"]) == ("waiting", account)
    assert "invalid_grant" in post["because"]
    assert await channel.db.fetchval("select state from accounts") == "reconnect_needed"
    await channel.connect()
    assert await channel.settle(stamped(AccountConnected(account_id=account, platform="youtube"))) == "ack"
    (resumed,) = await channel.given("post.requested")
    assert await channel.settle(msgspec.convert(resumed, PostRequested)) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 1


async def test_a_token_refused_twice_asks_for_a_person(channel: Channel) -> None:
    """An account that was closed is asked again for ever."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.session", "status", status=401, times=2)
    assert await channel.settle(request) == "ack"
    assert (await channel.post())["state"] == "waiting"
    assert await channel.db.fetchval("select state from accounts") == "reconnect_needed"


async def test_a_missing_permission_asks_for_a_person(channel: Channel) -> None:
    """An account without the upload permission fails each post instead of asking once."""
    await channel.connect(scopes=(youtube.OAUTH.scopes[1],))
    assert await channel.settle(await asked(channel)) == "ack"
    post = await channel.post()
    assert post["state"] == "waiting"
    assert "insufficientPermissions" in post["because"]


async def test_an_account_connected_in_between_is_not_missed(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post goes to wait just after the account that it waits for was connected, and waits for ever."""
    request = await asked(channel)
    claim = Posts.claim

    async def then_connected(self: Posts, *args: Any) -> Any:
        found = await claim(self, *args)
        await channel.connect()
        return found

    monkeypatch.setattr(Posts, "claim", then_connected)
    assert (await channel.deliver(request))[0] == "nak"
    monkeypatch.undo()
    assert await channel.settle(request, first=2) == "ack"
    assert (await channel.post())["state"] == "published"


async def test_several_accounts_need_a_name(channel: Channel) -> None:
    """A video lands on whichever channel comes first."""
    await channel.connect()
    other = await channel.connect(account="other@sandbox.test")
    assert await channel.settle(await asked(channel)) == "term"
    post = await channel.post()
    assert post["state"] == "failed"
    assert other in post["because"]
    named = await asked(channel, destination=Destination(platform="youtube", account_id=other))
    assert await channel.settle(named) == "ack"
    assert (await channel.post())["account_id"] == other
    await published_once(channel)


@pytest.mark.parametrize(
    ("rights", "word"),
    [
        (RightsRecord(licence="unknown"), "unknown"),
        (RightsRecord(licence="CC-BY-ND-4.0"), "edited"),
        (RightsRecord(licence="CC-BY-NC-4.0"), "commercial"),
    ],
)
async def test_what_may_not_be_posted_is_not(channel: Channel, rights: RightsRecord, word: str) -> None:
    """A work without the right to use it is posted."""
    await channel.connect()
    assert await channel.settle(await asked(channel, rights=rights)) == "term"
    post = await channel.post()
    assert post["state"] == "failed"
    assert word in post["because"]
    assert "youtube.session" not in (await channel.state())["calls"]


async def test_a_video_that_is_not_stored_is_refused(channel: Channel) -> None:
    """A lost file shows up as a stack trace, or as a post that waits for ever."""
    await channel.connect()
    assert await channel.settle(await asked(channel, key="renditions/none.mp4")) == "term"
    assert "no stored video" in await channel.db.fetchval("select error from dead_letters")


async def test_a_locked_upload_says_so(database: Database, tmp_path: Path) -> None:
    """Videos that the platform locks private pass for public."""
    async with connected_channel(database, tmp_path, audit_locked=True) as channel:
        await channel.connect()
        request = await asked(channel, destination=Destination(platform="youtube", privacy="public"))
        assert await channel.settle(request) == "ack"
        post = await channel.post()
    assert (post["state"], post["privacy"]) == ("published", "private")
    assert "asked to be public" in post["because"]


async def test_a_time_ahead_is_kept_by_the_platform(channel: Channel) -> None:
    """A scheduled video is public at once, or never."""
    await channel.connect()
    at = channel.clock.now().replace(microsecond=0) + timedelta(days=2)
    request = await asked(channel, destination=Destination(platform="youtube", privacy="public", publish_at=at))
    assert await channel.settle(request) == "ack"
    video = await channel.video()
    assert (video["privacy"], video["publish_at"]) == ("private", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert (await channel.post())["because"] == ""


async def test_a_time_in_the_past_publishes_at_once(channel: Channel) -> None:
    """A video whose time passed while it waited stays hidden."""
    await channel.connect()
    at = channel.clock.now() - timedelta(hours=1)
    request = await asked(channel, destination=Destination(platform="youtube", publish_at=at))
    assert await channel.settle(request) == "ack"
    assert (await channel.video())["privacy"] == "public"


async def test_the_session_address_is_stored_encrypted_before_a_byte_is_sent(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the database can write into the upload, or a crash forgets the session."""
    await channel.connect()
    kill_at(monkeypatch, "publisher.session_stored")
    with pytest.raises(Killed):
        await channel.deliver(await asked(channel))
    post = await channel.post()
    (session,) = (await channel.state())["sessions"]
    assert session["puts"] == 0
    assert session["upload_id"].encode() not in post["session"]
    assert session["upload_id"].encode() in channel.services.tokens.secrets.decrypt(post["session"])


async def test_a_worker_that_lost_its_lease_sends_no_last_byte(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was taken for dead completes the upload beside its successor."""
    await channel.connect()
    request = await asked(channel)
    update = Posts.update_session

    async def taken_over(self: Posts, session: Session) -> None:
        await channel.db.execute("update leases set fence = fence + 1, holder = 'successor'")
        await update(self, session)

    monkeypatch.setattr(Posts, "update_session", taken_over)
    answered, _ = await channel.deliver(request)
    assert answered == "nak"
    state = await channel.state()
    assert state["videos"] == []
    assert state["sessions"][0]["received_bytes"] == CHUNK_UNIT_BYTES * (CHUNKS - 1)


async def test_memory_stays_flat(channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large video fills the memory of the machine."""
    monkeypatch.setattr(youtube.YouTube, "chunk_bytes", None)
    account = await channel.connect()
    file = tmp_path / "large.mp4"
    with file.open("wb") as out:
        out.truncate(96 * 1024 * 1024)
    services = channel.services
    adapter = youtube.YouTube(services.means)
    draft = Draft(marker="ett1", title="Large", description="")
    checkpoint = await adapter.open_session(account, draft, size_bytes=file.stat().st_size)

    async def on_progress(_: int) -> None:
        tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        await adapter.send(account, draft, checkpoint, file, Notes(on_sending=on_progress))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (await channel.video())["size_bytes"] == file.stat().st_size
    assert peak < 16 * 1024 * 1024


async def test_a_session_elsewhere_is_not_trusted(channel: Channel, tmp_path: Path) -> None:
    """A forged session address gets the access token and the video."""
    account = await channel.connect()
    services = channel.services
    adapter = youtube.YouTube(services.means)
    file = tmp_path / "video.mp4"
    file.write_bytes(b"x")
    draft = Draft(marker="ett1", title="Elsewhere", description="")

    async def on_progress(_: int) -> None:
        raise AssertionError("bytes were about to be sent")

    for place in ("https://example.org/upload", "http://www.googleapis.com/upload", "https://evilgoogleapis.com/u"):
        with pytest.raises(Retry, match="usable address"):
            await adapter.send(account, draft, UploadCheckpoint(session_url=place), file, Notes(on_sending=on_progress))


async def test_a_platform_that_takes_no_posts_is_named(channel: Channel) -> None:
    """A wrong destination is retried for ever."""
    request = await asked(channel, destination=Destination(platform="internet_archive"))
    assert await channel.settle(request) == "term"
    assert "cannot be posted to" in await channel.db.fetchval("select error from dead_letters")
