"""Exactly one post: every step boundary, every fault of the platform, over HTTP and with a real database."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms import youtube
from actors.platforms._youtube.errors import next_quota_day
from actors.platforms._youtube.upload import CHUNK_UNIT_BYTES
from actors.publisher import handle
from actors.publisher.doubt import ANEW_AFTER_S, CERTAIN_AFTER, PATIENCE, SLOW_POLL
from actors.publisher.dress import DRESSED_WITHIN
from actors.publisher.posts import Posts, Session
from actors.publisher.remedy import Remedy
from actors.runtime import slots
from actors.runtime.db import Database
from actors.runtime.ledger import Ledger
from actors.runtime.slots import PostsPerDay
from actors.runtime.work import Services
from contracts.errors import RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.events import AccountConnected, Destination, PostRequested, RenderCompleted
from contracts.ids import AccountId, CorrelationId, EventId, ItemId, ObjectKey, post_id
from contracts.media import Rational, Rendition
from contracts.plan import Clip, Plan, PlanSource, plan_id
from contracts.platform import Draft, RemotePost, UploadCheckpoint
from contracts.rights import RightsRecord
from tests.channel import Channel, Killed, connected_channel, kill_at, stamped
from tests.journal import Notes

CHUNKS = 5
VIDEO = bytes(range(256)) * (CHUNK_UNIT_BYTES // 256 * (CHUNKS - 1)) + b"the end"
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="Ann", source_url="https://archive.org/details/reef")
CONSUMER = "publisher-post-requested"
PLAN = Plan(
    sources=(PlanSource(id="a", key=ObjectKey("a.mp4"), sha256="0", rights=RightsRecord(licence="CC0-1.0")),),
    clips=(Clip(source="a", start_us=0, end_us=20_000_000),),
)


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

    monkeypatch.setattr("actors.platforms._youtube.upload.reach", reach)
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


async def test_a_video_that_is_never_taken_is_sent_a_few_times(channel: Channel) -> None:
    """A lasting fault of a platform costs hundreds of whole uploads in a day."""
    await channel.connect()
    await channel.fault("youtube.upload", "session_expired", skip=0, times=1_000)
    request = await asked(channel)
    began_at = channel.clock.now()
    assert await channel.settle(request, most=100) == "term"
    post = await channel.post()
    assert (post["state"], post["uploads"]) == ("failed", len(ANEW_AFTER_S) + 1)
    assert f"it was sent {post['uploads']} times" in post["because"]
    assert "ettametta dead list" in post["next_action"]
    assert channel.clock.now() - began_at >= timedelta(seconds=sum(ANEW_AFTER_S))
    await channel.ask("DELETE", "/sandbox/faults")
    assert await again(channel, request) == "ack"
    await published_once(channel)


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
    assert "after everything was sent" in post["because"]
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


async def told_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the platform one that cannot tell whether a post is there."""

    async def find(*_: Any) -> None:
        raise Unconfirmed("its list of posts cannot be read")

    monkeypatch.setattr(youtube.YouTube, "find", find)


async def test_what_a_platform_cannot_tell_is_never_sent_anew_by_itself(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry, or another wish, a day later posts a second video because the platform could not say no."""
    await channel.connect()
    request = await asked(channel)
    await told_absent(monkeypatch)
    await unconfirmed(channel, request)
    for _ in range(3):
        channel.clock.turn(2 * CERTAIN_AFTER.total_seconds())
        assert await again(channel, request) == "term"
        assert await channel.settle(stamped(msgspec.structs.replace(request, event_id=EventId("")))) == "term"
    post = await channel.post()
    assert post["state"] == "unconfirmed"
    assert f"ettametta posts settle {post['post_id']} --absent" in post["next_action"]
    assert len((await channel.state())["sessions"]) == 1


async def test_a_person_who_says_that_it_is_not_there_has_it_sent_anew(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post whose platform cannot tell is stuck for ever."""
    await channel.connect()
    request = await asked(channel)
    await told_absent(monkeypatch)
    await unconfirmed(channel, request)
    remedy = Remedy(channel.db, channel.clock)
    post = await channel.post()
    assert "sent anew" in await remedy.absent(post["post_id"][:8])
    post = await channel.post()
    assert (post["state"], post["settled"], post["session"]) == ("claimed", "absent", None)
    (asked_anew,) = await channel.given("post.requested")
    assert asked_anew["correlation_id"] == request.correlation_id
    assert await channel.settle(msgspec.convert(asked_anew, PostRequested)) == "ack"
    await published_once(channel)
    with pytest.raises(Reject, match="is published"):
        await remedy.absent(post["post_id"])


async def test_a_person_who_says_where_it_is_ends_the_doubt(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post that a person found is never measured, or is posted again."""
    account = await channel.connect()
    request = await asked(channel, subtitles_key=await channel.put_video(b"words"))
    await told_absent(monkeypatch)
    await unconfirmed(channel, request)
    remedy = Remedy(channel.db, channel.clock)
    post = await channel.post()
    said = await remedy.there(post["post_id"], url="https://www.youtube.com/watch?v=abc", platform_post_id="abc")
    assert "is published" in said
    post = await channel.post()
    assert (post["state"], post["settled"], post["session"]) == ("published", "url", None)
    assert post["next_action"] == f"see whether it has its subtitles; add what is missing by hand: {post['url']}"
    (told,) = await channel.given("post.published")
    assert (told["platform_post_id"], told["account_id"]) == ("abc", account)
    assert await again(channel, request) == "ack"
    assert len((await channel.state())["sessions"]) == 1


async def test_a_post_that_is_worked_on_cannot_be_settled(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's word and an upload under way overwrite each other."""
    await channel.connect()
    request = await asked(channel)
    await told_absent(monkeypatch)
    await unconfirmed(channel, request)
    post = await channel.post()
    async with channel.services.ledger.lease(f"post:{post['post_id']}"):
        with pytest.raises(Reject, match="is being worked on"):
            await Remedy(channel.db, channel.clock).absent(post["post_id"])


async def test_what_was_given_up_stays_so_until_it_is_asked_for_again(channel: Channel) -> None:
    """A post that a person gave up comes back with the next delivery of the same wish."""
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert "given up" in await Remedy(channel.db, channel.clock).dropped(post["post_id"])
    await channel.connect()
    assert await again(channel, request) == "ack"
    assert (await channel.post())["state"] == "failed"
    assert (await channel.state())["videos"] == []
    anew = stamped(msgspec.structs.replace(request, event_id=EventId(""), correlation_id=CorrelationId("")))
    assert await channel.settle(anew) == "ack"
    await published_once(channel)


async def test_what_was_given_up_half_sent_goes_on_for_a_new_wish_that_has_to_wait(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wish for a post that was given up is lost if it has to wait first."""
    account = await channel.connect()
    request = await asked(channel)
    await told_absent(monkeypatch)
    await unconfirmed(channel, request)
    post = await channel.post()
    await Remedy(channel.db, channel.clock).dropped(post["post_id"])
    assert await channel.db.fetchval("select count(*) from post_slots") == 0
    await channel.db.execute("update accounts set state = 'reconnect_needed'")
    channel.clock.turn(60.0)
    wish = msgspec.structs.replace(
        request, event_id=EventId(""), correlation_id=CorrelationId(""), occurred_at=channel.clock.now()
    )
    anew = stamped(wish)
    assert await channel.settle(anew) == "ack"
    post = await channel.post()
    assert (post["state"], post["settled"], post["correlation_id"]) == ("waiting", None, anew.correlation_id)
    assert post["session"] is not None, "what may be there is forgotten"
    assert await again(channel, request) == "ack", "the older wish is over"
    await channel.db.execute("update accounts set state = 'connected'")
    assert await channel.settle(stamped(AccountConnected(account_id=account, platform="youtube"))) == "ack"
    resumed = (await channel.given("post.requested"))[-1]
    assert resumed["correlation_id"] == anew.correlation_id
    assert await channel.settle(msgspec.convert(resumed, PostRequested)) == "term"
    assert (await channel.post())["state"] == "unconfirmed", "what may be there is asked about first"
    await Remedy(channel.db, channel.clock).absent(post["post_id"])
    asked_anew = (await channel.given("post.requested"))[-1]
    assert await channel.settle(msgspec.convert(asked_anew, PostRequested)) == "ack"
    await published_once(channel)


async def test_a_post_that_was_taken_down_is_not_posted_again(channel: Channel) -> None:
    """A video that a platform removed is posted once more by the next wish for it."""
    await channel.connect()
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    await channel.db.execute("update posts set state = 'removed', because = 'removed at youtube: spam'")
    assert await channel.settle(stamped(msgspec.structs.replace(request, event_id=EventId("")))) == "term"
    assert "taken down since" in await channel.db.fetchval("select error from dead_letters")
    assert (await channel.post())["state"] == "removed"
    assert len((await channel.state())["videos"]) == 1


async def test_a_post_that_was_taken_down_can_be_put_away(channel: Channel) -> None:
    """It asks for a person for ever; or it is posted again, because a person has seen that it is gone."""
    await channel.connect()
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    await channel.db.execute("update posts set state = 'removed', because = 'removed at youtube: spam'")
    post = await channel.post()
    remedy = Remedy(channel.db, channel.clock)
    assert "is put away: removed at youtube: spam" in await remedy.dropped(post["post_id"])
    away = await channel.post()
    assert (away["state"], away["settled"], away["because"]) == ("removed", "dropped", post["because"])
    assert away["next_action"].startswith("none: a person put it away on ")
    with pytest.raises(Reject, match="put away already"):
        await remedy.dropped(post["post_id"])
    with pytest.raises(Reject, match="is removed"):
        await remedy.absent(post["post_id"])
    assert await channel.settle(stamped(msgspec.structs.replace(request, event_id=EventId("")))) == "ack"
    anew = stamped(msgspec.structs.replace(request, event_id=EventId(""), correlation_id=CorrelationId("")))
    assert await channel.settle(anew) == "term"
    assert "taken down since" in await channel.db.fetchval("select error from dead_letters")
    assert len((await channel.state())["videos"]) == 1


async def test_one_item_goes_to_one_account_once_whoever_names_it(channel: Channel) -> None:
    """A wish that names the account posts what a wish without a name has posted there, or ends in a stack trace."""
    account = await channel.connect()
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    first = await channel.post()
    named = await asked(channel, destination=Destination(platform="youtube", account_id=account))
    assert await channel.settle(named) == "term"
    error = await channel.db.fetchval("select error from dead_letters")
    assert f"already posted to that account by post {first['post_id']}" in error
    assert len((await channel.state())["videos"]) == 1


async def test_a_paused_account_holds_its_posts_until_it_is_resumed(channel: Channel) -> None:
    """After a removal the next post makes things worse, or what was held is lost."""
    account = await channel.connect()
    await channel.db.execute("update accounts set paused_at = now(), paused_because = 'a post was removed'")
    request = await asked(channel)
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert post["state"] == "waiting"
    assert "is paused: a post was removed" in post["because"]
    assert f"ettametta accounts resume {account}" in post["next_action"]
    assert (await channel.state())["sessions"] == []
    await channel.db.execute("update accounts set paused_at = null, paused_because = ''")
    assert await channel.settle(stamped(AccountConnected(account_id=account, platform="youtube"))) == "ack"
    (resumed,) = await channel.given("post.requested")
    assert await channel.settle(msgspec.convert(resumed, PostRequested)) == "ack"
    await published_once(channel)


async def test_a_platform_that_works_for_ever_is_told_and_never_sent_to_again(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post that is stuck in processing is sent a second time, or nobody hears of it."""
    await channel.connect()
    request = await asked(channel)

    async def works(*_: Any) -> None:
        raise Snooze("the platform processes the video", delay_s=60.0)

    monkeypatch.setattr(youtube.YouTube, "send", works)
    assert (await channel.deliver(request))[0] == "nak"
    assert (await channel.post())["state"] == "processing"
    channel.clock.turn(PATIENCE.total_seconds())
    answered, delay_s = await channel.deliver(request, delivery=2)
    assert (answered, delay_s) == ("nak", SLOW_POLL.total_seconds())
    post = await channel.post()
    assert post["state"] == "unconfirmed"
    assert "longer than it ever takes" in post["because"]
    assert "posts settle" in post["next_action"]
    channel.clock.turn(10 * CERTAIN_AFTER.total_seconds())
    assert (await channel.deliver(request, delivery=3))[0] == "nak"
    assert len((await channel.state())["sessions"]) == 1
    monkeypatch.undo()
    monkeypatch.setattr(youtube.YouTube, "chunk_bytes", CHUNK_UNIT_BYTES)
    assert await channel.settle(request, first=4) == "ack"
    await published_once(channel)


async def test_a_refusal_after_everything_was_sent_is_no_failure(channel: Channel) -> None:
    """A video that may be there passes for failed, and is posted again when a person tries again."""
    await channel.connect()
    request = await asked(channel)
    await channel.fault("youtube.upload", "accept_then_timeout", skip=CHUNKS - 1, delay_s=0.0)
    await channel.fault("youtube.upload_status", "status", skip=1, status=400, reason="badRequest")
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert len((await channel.state())["sessions"]) == 1


async def test_two_posts_never_share_one_outcome(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that is asked by words names another item's post, and the row of that is taken over."""
    await channel.connect()
    first = await asked(channel)
    assert await channel.settle(first) == "ack"
    video = await channel.video()

    async def find(*_: Any) -> RemotePost:
        return RemotePost(platform_post_id=video["id"], url="https://youtube.example.org")

    monkeypatch.setattr(youtube.YouTube, "find", find)
    second = await asked(channel, item_id=ItemId("internet_archive:another"))
    await channel.fault("youtube.upload", "status", skip=CHUNKS - 1)
    await channel.fault("youtube.upload_status", "session_expired", skip=1)
    assert await channel.settle(second) == "term"
    row = await channel.db.fetchrow("select * from posts where item_id = 'internet_archive:another'")
    assert row is not None
    assert row["state"] == "unconfirmed"
    assert "is that of" in row["because"]


async def test_a_video_that_does_not_fit_is_rendered_again_once(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform refuses after the whole upload what another rendering would have mended, or one is made for ever."""
    await channel.connect()
    monkeypatch.setattr(youtube, "LIMITS", msgspec.structs.replace(youtube.LIMITS, max_fps=24.0))
    request = await asked(channel)
    plan = PLAN
    await rendered(channel, request, plan)
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert post["state"] == "waiting"
    assert post["because"].startswith("it is rendered again for youtube: 30 frames a second")
    (told,) = await channel.given("render.requested")
    assert told["plan"]["output"]["fps"] == [24, 1]
    assert (await channel.state())["sessions"] == []
    assert await channel.settle(stamped(msgspec.structs.replace(request, event_id=EventId("")))) == "ack"
    assert len(await channel.given("render.requested")) == 1
    still = await channel.post()
    assert (still["state"], still["because"], still["next_action"]) == ("waiting", post["because"], post["next_action"])
    slower = msgspec.structs.replace(plan, output=msgspec.structs.replace(plan.output, fps=Rational(24)))
    again_made = msgspec.structs.replace(request, event_id=EventId(""), key=await channel.put_video(VIDEO[1:]))
    await rendered(channel, again_made, slower)
    assert await channel.settle(stamped(again_made)) == "ack"
    assert (await channel.post())["state"] == "published"


async def test_another_wish_has_a_video_that_does_not_fit_rendered_again(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rendering failed, a person asks anew, and the post stays claimed for ever without a word."""
    await channel.connect()
    monkeypatch.setattr(youtube, "LIMITS", msgspec.structs.replace(youtube.LIMITS, max_fps=24.0))
    request = await asked(channel)
    await rendered(channel, request, PLAN)
    assert await channel.settle(request) == "ack"
    another = stamped(msgspec.structs.replace(request, event_id=EventId(""), correlation_id=CorrelationId("")))
    assert await channel.settle(another) == "ack"
    told = await channel.given("render.requested")
    assert [one["correlation_id"] for one in told] == [request.correlation_id, another.correlation_id]
    post = await channel.post()
    assert (post["state"], post["next_action"]) == ("waiting", "none: it goes on when it is rendered")


async def test_what_is_rendered_again_keeps_its_thumbnail_and_subtitles(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video that is rendered again for its platform is posted without the thumbnail and subtitles asked for."""
    await channel.connect()
    monkeypatch.setattr(youtube, "LIMITS", msgspec.structs.replace(youtube.LIMITS, max_fps=24.0))
    monkeypatch.setattr(youtube, "CAPS", msgspec.structs.replace(youtube.CAPS, dresses=False))
    thumbnail, subtitles = await channel.put_video(b"a picture"), await channel.put_video(b"words")
    request = await asked(channel, thumbnail_key=thumbnail, subtitles_key=subtitles, language="pt-BR")
    await rendered(channel, request, PLAN)
    assert await channel.settle(request) == "ack"
    assert [one["language"] for one in await channel.given("render.requested")] == ["pt-BR"]
    slower = msgspec.structs.replace(PLAN, output=msgspec.structs.replace(PLAN.output, fps=Rational(24)))
    mended = msgspec.structs.replace(request, key=await channel.put_video(VIDEO[1:]))
    completed = RenderCompleted(
        item_id=request.item_id,
        correlation_id=request.correlation_id,
        rendition=await rendered(channel, mended, slower),
        rights=RIGHTS,
        title=request.title,
        destination=request.destination,
    )
    assert await channel.settle(stamped(completed)) == "ack"
    post = await channel.post()
    assert post["state"] == "published"
    assert (post["draft"]["thumbnail"], post["draft"]["subtitles"]) == (thumbnail, subtitles)
    assert "without its thumbnail and subtitles: youtube takes none" in post["because"]


async def tracks(channel: Channel, account: AccountId) -> list[str]:
    """Return the languages of the subtitles that the one video has on the platform."""
    calls = youtube.YouTube(channel.services.means)._calls
    video = (await channel.video())["id"]
    params = {"part": "snippet", "videoId": video}
    answer = await calls.send(account, "GET", "/youtube/v3/captions", params=params, cost=50, whole=False)
    return [one["snippet"]["language"] for one in answer.json()["items"]]


@pytest.mark.parametrize("kind", [PostRequested, RenderCompleted])
async def test_subtitles_arrive_in_their_language(channel: Channel, kind: type[Any]) -> None:
    """Subtitles that a person gave are never shown, or to people of another language."""
    account = await channel.connect()
    subtitles = await channel.put_video(b"1\n00:00:00,000 --> 00:00:01,000\nUm recife\n")
    request = await asked(channel, subtitles_key=subtitles, language="pt-BR")
    if kind is RenderCompleted:  # it was rendered again for the platform, the asking named the subtitles
        draft = Draft(marker="ett0", title="A reef", description="")
        await channel.db.execute(
            "insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id,"
            " request) values ($1, $2, 'youtube', 'waiting', $3, 'k', 1, $4, $5)",
            *(post_id(request.item_id, "youtube"), request.item_id, draft, request.correlation_id, request),
        )
        values = {name: getattr(request, name) for name in ("item_id", "correlation_id", "rights", "destination")}
        request = stamped(RenderCompleted(**values, rendition=await rendered(channel, request, PLAN), language="pt-BR"))
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert await tracks(channel, account) == ["pt-BR"]
    post = await channel.post()
    assert (post["because"], post["next_action"]) == ("", "")
    state = await channel.state()
    assert state["calls"]["youtube.captions_insert"] == 1


async def test_a_post_that_goes_without_its_subtitles_says_what_to_do(channel: Channel) -> None:
    """A person believes that the subtitles are there, or waits for what never comes."""
    account = await channel.connect()
    request = await asked(channel, subtitles_key=await channel.put_video(b"words"))
    assert await channel.settle(request) == "ack"
    await published_once(channel)
    assert await tracks(channel, account) == []
    post = await channel.post()
    assert post["because"] == "no subtitles: the language of the post is not known"
    assert post["next_action"] == f"add what is missing by hand, if the platform lets you: {post['url']}"
    remedy = Remedy(channel.db, channel.clock)
    (line,) = await remedy.listed()
    assert line.next_action == (await remedy.shown(post["post_id"]))["next_action"] == post["next_action"]


async def test_a_fault_of_the_program_is_said_in_the_row(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug leaves a post claimed, and nothing says why it does not go on or where to look."""
    await channel.connect()

    async def fit(*_: Any) -> bool:
        raise ValueError("https://example.org/?signature=secret")

    monkeypatch.setattr(handle, "fit", fit)
    assert await channel.settle(await asked(channel)) == "term"
    post = await channel.post()
    assert (post["state"], post["because"]) == ("claimed", "a fault of the program: ValueError")
    assert "ettametta dead list" in post["next_action"]
    assert "ValueError" in await channel.db.fetchval("select error from dead_letters")


async def rendered(channel: Channel, request: PostRequested, plan: Plan) -> Rendition:
    """Write down that the file of a request was rendered here from a plan."""
    rendition = Rendition(
        item_id=request.item_id,
        plan_id=plan_id(plan),
        key=request.key,
        sha256=Path(request.key).stem,
        size_bytes=len(VIDEO),
        width_px=1080,
        height_px=1920,
        duration_us=20_000_000,
        frames=600,
        has_audio=True,
        engine="hand",
    )
    await channel.db.execute(
        "insert into items (item_id, correlation_id, origin, title, rights, decision)"
        " values ($1, $1, 'import', 'Reef', $2, 'imported') on conflict do nothing",
        *(request.item_id, RIGHTS),
    )
    await channel.db.execute(
        "insert into renditions (plan_id, item_id, plan, rendition) values ($1, $2, $3, $4)",
        *(rendition.plan_id, rendition.item_id, plan, rendition),
    )
    return rendition


async def test_what_cannot_be_added_keeps_no_post_from_standing(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thumbnail that the platform does not take sends the video again, or hides that it is there."""
    await channel.connect()
    monkeypatch.setattr(youtube, "CAPS", msgspec.structs.replace(youtube.CAPS, dresses=True))

    async def dress(*_: Any, **__: Any) -> str:
        raise Retry("the thumbnail was not taken")

    monkeypatch.setattr(youtube.YouTube, "dress", dress, raising=False)
    request = await asked(channel, thumbnail_key=await channel.put_video(b"a picture"))
    assert (await channel.deliver(request))[0] == "nak"
    post, video = await channel.post(), await channel.video()
    assert (post["state"], post["platform_post_id"]) == ("processing", video["id"])
    channel.clock.turn(DRESSED_WITHIN.total_seconds())
    assert await channel.settle(request, first=2) == "ack"
    await published_once(channel)
    post = await channel.post()
    assert "without its thumbnail: the thumbnail was not taken" in post["because"]
    assert post["next_action"].endswith(f"by hand, if the platform lets you: {post['url']}")
    assert len((await channel.state())["sessions"]) == 1


async def landed(channel: Channel, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> PostRequested:
    """Post a video whose thumbnail is not taken now; return the request, whose delivery was put off."""
    monkeypatch.setattr(youtube, "CAPS", msgspec.structs.replace(youtube.CAPS, dresses=True))

    async def dress(*_: Any, **__: Any) -> str:
        raise fault

    monkeypatch.setattr(youtube.YouTube, "dress", dress, raising=False)
    request = await asked(channel, thumbnail_key=await channel.put_video(b"a picture"))
    await channel.deliver(request)
    return request


async def test_a_post_that_stands_does_not_wait_a_day_to_be_told(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spent quota hides a public video from all that follows, the first counts are lost."""
    await channel.connect()
    stood_at = channel.clock.now()
    far = RateLimited("the quota is spent", until=stood_at + timedelta(hours=20))
    await landed(channel, monkeypatch, far)
    await published_once(channel)
    assert "without its thumbnail: the quota is spent" in (await channel.post())["because"]
    assert channel.clock.now() == stood_at


async def test_a_post_is_told_as_of_the_time_at_which_it_stood(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views of the hour in which its thumbnail was tried belong to no age of the post."""
    await channel.connect()
    request = await landed(channel, monkeypatch, Retry("not taken"))
    stood_at = (await channel.post())["published_at"]
    channel.clock.turn(DRESSED_WITHIN.total_seconds())
    assert await channel.settle(request, first=2) == "ack"
    (told,) = await channel.given("post.published")
    assert msgspec.convert(told["published_at"], datetime) == stood_at == (await channel.post())["published_at"]


async def test_a_post_that_stands_is_told_although_its_account_is_gone(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public video waits for an account that nobody will connect again, and is never told."""
    account = await channel.connect()
    request = await landed(channel, monkeypatch, Retry("not taken"))
    await channel.db.execute("update accounts set state = 'reconnect_needed'")
    assert await channel.settle(request, first=2) == "ack"
    await published_once(channel)
    assert (await channel.post())["because"] == f"it is there without its thumbnail: {account} is not connected"


async def test_room_is_kept_before_a_render_and_waited_for(channel: Channel) -> None:
    """A video is rendered that cannot be posted for days, or one post more than the platform takes is tried."""
    one = PostsPerDay(account=1)
    here, now = Destination(platform="x"), channel.clock.now()
    await slots.reserve(channel.db, ItemId("a:1"), here, one, now=now)
    await slots.reserve(channel.db, ItemId("a:1"), here, one, now=now)
    with pytest.raises(RateLimited, match="1 posts of a day") as full:
        await slots.reserve(channel.db, ItemId("a:2"), here, one, now=now + timedelta(hours=1))
    assert full.value.until == now + timedelta(days=1)
    await slots.release(channel.db, ItemId("a:1"), here)
    await slots.reserve(channel.db, ItemId("a:2"), here, one, now=now + timedelta(hours=1))
    later = now + timedelta(hours=26)
    await slots.reserve(channel.db, ItemId("a:3"), here, one, now=later)


async def test_posts_of_one_item_to_two_accounts_take_two_rooms(channel: Channel) -> None:
    """The uploads that a client has a day are overrun by items that go to several accounts."""
    one, now = PostsPerDay(project=1), channel.clock.now()
    first = Destination(platform="x", account_id=AccountId("x:a"))
    await slots.reserve(channel.db, ItemId("a:1"), first, one, now=now)
    await slots.reserve(channel.db, ItemId("a:1"), first, one, now=now)
    second = msgspec.structs.replace(first, account_id=AccountId("x:b"))
    with pytest.raises(RateLimited, match="the project's 1 posts"):
        await slots.reserve(channel.db, ItemId("a:1"), second, one, now=now)


async def test_what_is_posted_and_kept_room_for_counts_once(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that is under way, or that a person found there, takes the room of two."""
    account = await channel.connect()
    request = await asked(channel)
    kill_at(monkeypatch, "publisher.uploaded")
    with pytest.raises(Killed):
        await channel.deliver(request)
    here, two = Destination(platform="youtube"), PostsPerDay(account=2)
    assert await channel.db.fetchval("select count(*) from post_slots") == 1

    async def reserve(item: str) -> None:
        await slots.reserve(channel.db, ItemId(item), here, two, account=account, now=channel.clock.now())

    await reserve("a:1")
    with pytest.raises(RateLimited):
        await reserve("a:2")
    channel.clock.turn(10.0)
    await channel.db.execute("update leases set expires_at = now()")
    post = (await channel.post())["post_id"]
    await Remedy(channel.db, channel.clock).there(post, url="https://youtube.example.org/abc", platform_post_id="abc")
    await slots.release(channel.db, ItemId("a:1"), here)
    await reserve("a:2")
    with pytest.raises(RateLimited):
        await reserve("a:3")


async def test_progress_is_told_at_most_once_a_second(channel: Channel) -> None:
    """A page shows no progress, or the bus carries an event for each block."""
    await channel.connect()
    told: list[dict[str, Any]] = []

    async def announce(subject: str, payload: bytes) -> None:
        if subject == "ett.post.progressed":
            told.append(msgspec.json.decode(payload))

    services = replace_fields(channel.services, announce=announce)
    watched = msgspec.structs.replace(channel, services=services)
    assert await watched.settle(await asked(channel)) == "ack"
    assert [one["sent_bytes"] for one in told] == [len(VIDEO)]
    assert (told[0]["size_bytes"], told[0]["state"]) == (len(VIDEO), "processing")


async def test_the_pace_of_uploads_is_kept(channel: Channel) -> None:
    """An upload takes the whole line although the settings say otherwise."""
    await channel.connect()
    settings = msgspec.structs.replace(channel.services.settings, upload_bytes_per_s=CHUNK_UNIT_BYTES)
    slow = msgspec.structs.replace(channel, services=replace_fields(channel.services, settings=settings))
    began = channel.clock.now()
    assert await slow.settle(await asked(channel)) == "ack"
    assert (channel.clock.now() - began).total_seconds() >= CHUNKS - 2


def replace_fields(services: Services, **changes: Any) -> Services:
    return dataclasses.replace(services, **changes)


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
    (video,) = (await channel.state())["videos"]
    (row,) = await channel.db.fetch("select * from posts where state = 'published'")
    assert (row["account_id"], row["platform_post_id"]) == (other, video["id"])


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
    request = await asked(channel, destination=Destination(platform="youtube", privacy="public", publish_at=at))
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


async def test_links_that_earn_are_disclosed_first(channel: Channel) -> None:
    """A post with a link that earns and no word of it breaks the law, and earnings without a marker name no video."""
    await channel.connect()
    await channel.db.execute(
        "insert into affiliate_links (code, url, title, disclosure, created_at)"
        " values ('lamp', 'https://shop.invalid/lamp', 'The lamp', 'Ad: I earn from this link.', now())"
    )
    assert await channel.settle(await asked(channel, description="What lives there.")) == "ack"
    video = await channel.video()
    lines = video["description"].split("\n")
    assert lines[0] == "Ad: I earn from this link."
    assert "What lives there." in lines
    row = await channel.post()
    assert f"utm_content={row['draft']['marker']}" in video["description"]
    assert row["draft"]["paid"] is True


async def test_a_file_that_a_person_posts_is_shown(channel: Channel) -> None:
    """`ettametta post` would be followed by a page on which nothing waits and nothing stands."""
    request = await asked(channel, item_id=ItemId("post:abc"))
    assert await channel.settle(request) == "ack"
    row = await channel.db.fetchrow("select title, decision, destination from items where item_id = 'post:abc'")
    assert row is not None
    assert (row["title"], row["decision"]) == ("A reef <at night>", "imported")
    assert (await channel.post())["state"] == "waiting"
    await channel.connect()
    assert await channel.settle(request) == "ack"
    assert await channel.db.fetchval("select count(*) from items") == 1


@pytest.mark.parametrize(
    ("language", "thumbnail", "because"),
    [
        ("de", None, ""),
        (None, None, "it is there without its subtitles: their language is not known"),
        ("de", b"a picture", "it is there without its thumbnail: bluesky takes none"),
    ],
)
async def test_subtitles_that_go_with_the_video_are_not_told_as_missing(
    channel: Channel, language: str | None, thumbnail: bytes | None, because: str
) -> None:
    """A platform that takes them together with the video is said to take none."""
    await channel.connect_to("bluesky", account="did:plc:creator", kept={})
    request = await asked(
        channel,
        destination=Destination(platform="bluesky", privacy="public"),
        subtitles_key=await channel.put_video(b"1\n00:00:00,000 --> 00:00:01,000\nEin Riff\n"),
        thumbnail_key=await channel.put_video(thumbnail) if thumbnail else None,
        language=language,
    )
    assert await channel.settle(request) == "ack"
    post = await channel.post()
    assert (post["state"], post["because"], bool(post["next_action"])) == ("published", because, bool(because))
    (record,) = [one["more"]["record"] for one in await channel.posted("bluesky")]
    assert [one["lang"] for one in record["embed"].get("captions", ())] == ([language] if language else [])
