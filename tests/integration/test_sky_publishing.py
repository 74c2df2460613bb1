"""Bluesky and Mastodon: a post with its words, exactly once, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import platforms
from actors.platforms._mastodon import posts as mastodon_posts
from actors.runtime.db import Database
from contracts.errors import AuthExpired, RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId, ObjectKey
from contracts.media import Probe, Rational, VideoStream
from contracts.platform import Draft, RemotePost, UploadCheckpoint
from tests.channel import Channel, connected_channel
from tests.journal import Notes

VIDEO = bytes(range(256)) * 4096
TEXT = "Ein Tintenfisch 🦑 bei 3000 m: https://example.org/a_(b)?x=1. #Tiefsee #2026"
BOTH = ("bluesky", "mastodon")
VTT = "1\n00:00:01,000 --> 00:00:02,000\nThe sea\n"


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


def draft(**changes: Any) -> Draft:
    probe = Probe(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        size_bytes=len(VIDEO),
        start_us=0,
        duration_us=9_000_000,
        video=VideoStream(
            index=0, codec="h264", coded_width_px=1080, coded_height_px=1920, width_px=1080, height_px=1920,
            fps=Rational(30, 1),
        ),
    )  # fmt: skip
    values: dict[str, Any] = {
        "marker": "ett0123456789abcdef",
        "title": "A squid",
        "description": "",
        "caption": TEXT,
        "privacy": "public",
        "language": "de",
        "probe": probe,
    }
    return Draft(**{**values, **changes})


class Poster:
    """One adapter, driven as the publisher drives it."""

    def __init__(self, channel: Channel, name: str, account: AccountId, file: Path) -> None:
        self.channel = channel
        self.name = name
        self.account = account
        self.file = file
        self.adapter: Any = platforms.module(name).ADAPTER(channel.services.means)
        self.checkpoint: UploadCheckpoint | None = None
        self.may_exist = False

    async def once(self, wanted: Draft) -> RemotePost:
        """One delivery: what an earlier one kept is known, and nothing else."""
        size_bytes = self.file.stat().st_size
        if self.checkpoint is None:
            opened = await self.adapter.open_session(self.account, wanted, size_bytes=size_bytes)
            self.checkpoint = msgspec.structs.replace(opened, opened_at=self.channel.clock.now())
        notes = Notes(may_exist=self.may_exist)
        try:
            found: RemotePost = await self.adapter.send(self.account, wanted, self.checkpoint, self.file, notes)
        finally:
            kept = notes.kept[-1] if notes.kept else self.checkpoint
            self.checkpoint = msgspec.structs.replace(kept, opened_at=self.checkpoint.opened_at)
            self.may_exist = notes.may_exist
        return found

    async def post(self, wanted: Draft, *, most: int = 12) -> RemotePost:
        for _ in range(most):
            try:
                return await self.once(wanted)
            except (Snooze, Retry) as waits:
                self.channel.clock.turn(waits.delay_s or 15.0)
        raise AssertionError("it never ended")


async def connected(channel: Channel, name: str) -> AccountId:
    """Connect an account; tokens of Mastodon do not end."""
    return await channel.connect_to(name, life_s=7200 if name == "bluesky" else 10 * 365 * 86_400)


async def poster(channel: Channel, name: str, folder: Path) -> Poster:
    file = folder / f"{name}.mp4"
    file.write_bytes(VIDEO)
    return Poster(channel, name, await connected(channel, name), file)


@pytest.mark.parametrize("name", BOTH)
async def test_a_video_is_posted_whole_with_its_words(channel: Channel, tmp_path: Path, name: str) -> None:
    """Posts come out cut, wordless or under an id that nobody finds again."""
    one = await poster(channel, name, tmp_path)
    remote = await one.post(draft())
    (post,) = await channel.posted(name)
    assert (post["sha256"], post["size_bytes"]) == (hashlib.sha256(VIDEO).hexdigest(), len(VIDEO))
    assert (post["text"], post["id"], post["url"]) == (TEXT, remote.platform_post_id, remote.url)
    assert remote.privacy == "public"
    assert one.checkpoint is not None
    found = await one.adapter.find(one.account, draft(), one.checkpoint)
    assert found is not None
    assert found.platform_post_id == remote.platform_post_id


async def test_links_hashtags_sides_and_captions_go_with_the_post(channel: Channel, tmp_path: Path) -> None:
    """On Bluesky a link without a facet is dead text, counted in bytes; a video without its sides is cropped."""
    file = tmp_path / "words.srt"
    file.write_text(VTT)
    key = ObjectKey("subtitles/words.srt")
    await channel.services.objects.put_file(key, file)
    one = await poster(channel, "bluesky", tmp_path)
    await one.post(draft(subtitles=key))
    (post,) = await channel.posted("bluesky")
    record = post["more"]["record"]
    whole = TEXT.encode()
    shown = [
        (whole[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(), facet["features"][0])
        for facet in record["facets"]
    ]
    assert shown == [
        (
            "https://example.org/a_(b)?x=1",
            {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.org/a_(b)?x=1"},
        ),
        ("#Tiefsee", {"$type": "app.bsky.richtext.facet#tag", "tag": "Tiefsee"}),
    ]
    assert (record["langs"], record["embed"]["alt"]) == (["de"], "A squid")
    assert record["embed"]["aspectRatio"] == {"width": 1080, "height": 1920}
    (caption,) = record["embed"]["captions"]
    assert (caption["lang"], caption["file"]["mimeType"]) == ("de", "text/vtt")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("bluesky", "service_auth"), ("bluesky", "upload"), ("bluesky", "job"), ("bluesky", "post"),
        ("mastodon", "upload"), ("mastodon", "media"), ("mastodon", "post"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "accept_then_timeout", "delay_s": 0.0},
        {"kind": "drop_mid_body"},
        {"kind": "truncate"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 401},
    ],
    ids=["lost-answer", "cut", "malformed", "503", "401"],
)
async def test_a_fault_at_any_request_leaves_one_post(
    channel: Channel, tmp_path: Path, name: str, place: str, fault: dict[str, Any]
) -> None:
    """An answer that is lost is asked for again, and a second post is made."""
    one = await poster(channel, name, tmp_path)
    await channel.fault(f"{name}.{place}", **fault)
    if fault.get("status") == 401 and name == "mastodon":  # nothing renews its tokens: a person must connect again
        with pytest.raises(AuthExpired):
            await one.post(draft())
        assert await channel.posted(name) == []
        await connected(channel, name)
    remote = await one.post(draft())
    (post,) = await channel.posted(name)
    assert post["id"] == remote.platform_post_id
    assert post["sha256"] == hashlib.sha256(VIDEO).hexdigest()


@pytest.mark.parametrize("name", BOTH)
async def test_a_worker_that_died_after_the_post_was_made_finds_it(channel: Channel, tmp_path: Path, name: str) -> None:
    """What was kept before the last request is all that a new worker knows: it must be enough."""
    one = await poster(channel, name, tmp_path)
    before: list[tuple[UploadCheckpoint, bool]] = []
    remote = await one.post(draft())
    assert one.checkpoint is not None
    before.append((one.checkpoint, True))
    channel.clock.turn(2 * 3600.0)  # longer than any key is kept
    one.checkpoint, one.may_exist = before[0]
    again = await one.post(draft())
    assert again.platform_post_id == remote.platform_post_id
    assert len(await channel.posted(name)) == 1
    assert (await channel.state())["calls"][f"{name}.post"] == 1, "it asked before it sent"


@pytest.mark.parametrize("status", [500, 409, 400])
async def test_a_key_that_is_taken_makes_no_second_post(channel: Channel, tmp_path: Path, status: int) -> None:
    """Servers answer 500, 409 or 400 to a record key that is taken: read as a refusal, the post counts as failed."""
    one = await poster(channel, "bluesky", tmp_path)
    remote = await one.post(draft())
    one.may_exist = False  # as if the worker had died before it wrote that down
    if status != 500:  # which is what the sandbox answers by itself
        await channel.fault("bluesky.post", "status", status=status, reason="RecordAlreadyExists")
    again = await one.post(draft())
    assert again.platform_post_id == remote.platform_post_id
    assert (await channel.state())["calls"]["bluesky.post"] == 2
    assert len(await channel.posted("bluesky")) == 1


async def test_a_video_that_is_never_taken_in_ends(channel: Channel, tmp_path: Path) -> None:
    """A video service that forgets every upload is sent 300 MB a minute, for ever."""
    one = await poster(channel, "bluesky", tmp_path)
    await channel.fault("bluesky.job", "status", status=404, times=None)
    with pytest.raises(Reject, match="after 3 uploads"):
        await one.post(draft())
    assert (await channel.state())["calls"]["bluesky.upload"] == 3
    assert await channel.posted("bluesky") == []


async def test_a_video_that_was_cleared_away_is_sent_again(channel: Channel, tmp_path: Path) -> None:
    """A server clears away what no post names for hours: the post would be refused for good."""
    one = await poster(channel, "bluesky", tmp_path)
    for _ in range(2):
        with pytest.raises(Snooze):
            await one.once(draft())
    assert one.checkpoint is not None
    blob = msgspec.json.encode({"$type": "blob", "ref": {"$link": "bafkreigone"}, "mimeType": "video/mp4", "size": 1})
    ids = {**one.checkpoint.ids, "blob": blob.decode()}
    one.checkpoint = msgspec.structs.replace(one.checkpoint, step="create", ids=ids)
    await one.post(draft())
    assert len(await channel.posted("bluesky")) == 1
    assert (await channel.state())["calls"]["bluesky.upload"] == 2


async def test_two_workers_with_one_checkpoint_make_one_post(channel: Channel, tmp_path: Path) -> None:
    """Two replicas at once: the key that was chosen before makes them one."""
    first = await poster(channel, "bluesky", tmp_path)
    with pytest.raises(Snooze):
        await first.once(draft())
    second = Poster(channel, "bluesky", first.account, first.file)
    second.checkpoint = first.checkpoint
    made = await asyncio.gather(first.post(draft()), second.post(draft()))
    assert len({remote.platform_post_id for remote in made}) == 1
    assert len(await channel.posted("bluesky")) == 1


async def test_the_same_key_within_the_hour_gives_the_same_status(channel: Channel, tmp_path: Path) -> None:
    """The first look may be too early: then the server's own memory of the key keeps it one post."""
    one = await poster(channel, "mastodon", tmp_path)
    remote = await one.post(draft())
    one.may_exist = False
    again = await one.post(draft())
    assert again.platform_post_id == remote.platform_post_id
    assert (await channel.state())["calls"]["mastodon.post"] == 2
    assert len(await channel.posted("mastodon")) == 1


async def test_a_lost_answer_is_waited_for_before_it_is_asked(channel: Channel, tmp_path: Path) -> None:
    """Mastodon keeps a key only once the post is made: two requests at one moment make two posts."""
    one = await poster(channel, "mastodon", tmp_path)
    await channel.fault("mastodon.post", "accept_then_timeout", delay_s=0.0)
    while not one.may_exist:
        try:
            await one.once(draft())
        except Snooze as waits:
            channel.clock.turn(waits.delay_s)
        except Retry:
            break
    with pytest.raises(Snooze, match="still be at work"):
        await one.once(draft())
    assert (await channel.state())["calls"]["mastodon.post"] == 1


async def test_more_posts_than_are_read_is_no_proof(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not among the newest, read as not there, posts it again."""
    one = await poster(channel, "mastodon", tmp_path)
    await one.post(draft())
    assert one.checkpoint is not None
    sought = one.checkpoint
    for number in range(3):
        other = await poster(channel, "mastodon", tmp_path)
        channel.clock.turn(1.0)
        await other.post(draft(marker=f"ett{number:016}", caption=f"Another {number}"))
    monkeypatch.setattr(mastodon_posts, "PAGE", 1)
    monkeypatch.setattr(mastodon_posts, "MOST_PAGES", 2)
    with pytest.raises(Unconfirmed):
        await one.adapter.find(one.account, draft(), sought)


@pytest.mark.parametrize(
    ("asked", "visibility"), [("public", "public"), ("unlisted", "unlisted"), ("private", "direct")]
)
async def test_privacy_is_what_was_asked(channel: Channel, tmp_path: Path, asked: Any, visibility: str) -> None:
    """Mastodon's "private" is seen by all followers."""
    one = await poster(channel, "mastodon", tmp_path)
    remote = await one.post(draft(privacy=asked))
    (post,) = await channel.posted("mastodon")
    assert post["privacy"] == visibility
    assert remote.privacy == asked


async def test_a_scheduled_post_is_kept_by_the_server_and_found_after_its_time(
    channel: Channel, tmp_path: Path
) -> None:
    """A scheduled status changes its id when it is posted: numbers and removals would be lost."""
    one = await poster(channel, "mastodon", tmp_path)
    at = channel.clock.now() + timedelta(hours=2)
    remote = await one.post(draft(publish_at=at, privacy="private"))
    assert await channel.posted("mastodon") == []
    assert one.checkpoint is not None
    assert await one.adapter.find(one.account, draft(publish_at=at), one.checkpoint) == remote
    waiting = (await one.adapter.look(one.account, (remote.platform_post_id,)))[remote.platform_post_id]
    assert waiting.state == "processing"
    early = (await one.adapter.measure(one.account, (remote.platform_post_id,)))[remote.platform_post_id]
    assert (early.likes, "until its time" in early.absent["likes"]) == (None, True)
    channel.clock.turn(10 * 3600.0)
    found = (await one.adapter.measure(one.account, (remote.platform_post_id,)))[remote.platform_post_id]
    assert found.likes > 0
    (post,) = await channel.posted("mastodon")
    assert (post["privacy"], datetime.fromtimestamp(post["created_at"], at.tzinfo)) == ("public", at)


async def test_a_time_that_is_too_near_is_waited_for(channel: Channel, tmp_path: Path) -> None:
    """A server takes no time within five minutes: the post would be refused for good."""
    one = await poster(channel, "mastodon", tmp_path)
    await one.post(draft(publish_at=channel.clock.now() + timedelta(minutes=4), privacy="private"))
    (post,) = await channel.posted("mastodon")
    assert post["privacy"] == "public"


@pytest.mark.parametrize("name", BOTH)
async def test_counts_are_read_and_what_is_not_told_has_a_reason(channel: Channel, tmp_path: Path, name: str) -> None:
    """Views that a platform does not count must not read 0."""
    one = await poster(channel, name, tmp_path)
    remote = await one.post(draft())
    channel.clock.turn(40 * 3600.0)
    found = await one.adapter.measure(one.account, (remote.platform_post_id, "did:plc:nobody:3kzzzzzzzzzzz"))
    assert set(found) == {remote.platform_post_id}
    metrics = found[remote.platform_post_id]
    assert min(metrics.likes, metrics.comments, metrics.shares) > 0
    told = {field for field in metrics.__struct_fields__ if field != "absent" and getattr(metrics, field) is not None}
    assert set(metrics.absent) == set(metrics.__struct_fields__) - told - {"absent"}
    assert "does not count views" in metrics.absent["views"]


@pytest.mark.parametrize("name", BOTH)
async def test_a_post_that_is_gone_is_told(channel: Channel, tmp_path: Path, name: str) -> None:
    """A removal that nobody notices is followed by the next post of the same kind."""
    one = await poster(channel, name, tmp_path)
    remote = await one.post(draft())
    name_there = remote.platform_post_id
    assert (await one.adapter.look(one.account, (name_there,)))[name_there].state == "stands"
    await channel.ask("POST", f"/sandbox/people/{name}/posts/{name_there}", {"state": "removed"})
    assert (await one.adapter.look(one.account, (name_there,)))[name_there].state == "removed"
    assert await one.adapter.measure(one.account, (name_there,)) == {}


async def test_a_post_that_bluesky_hides_is_told_from_one_that_is_gone(channel: Channel, tmp_path: Path) -> None:
    """A post that moderators took down still lies with its account."""
    one = await poster(channel, "bluesky", tmp_path)
    name = (await one.post(draft())).platform_post_id
    await channel.ask("POST", f"/sandbox/people/bluesky/posts/{name}", {"state": "blocked"})
    assert (await one.adapter.look(one.account, (name,)))[name].state == "blocked"


@pytest.mark.parametrize(("name", "place"), [("bluesky", "posts"), ("mastodon", "status")])
async def test_an_outage_is_no_removal(channel: Channel, tmp_path: Path, name: str, place: str) -> None:
    """A platform that is down must not look like one that removed everything."""
    one = await poster(channel, name, tmp_path)
    remote = await one.post(draft())
    await channel.fault(f"{name}.{place}", "status", status=502)
    with pytest.raises(Retry):
        await one.adapter.look(one.account, (remote.platform_post_id,))


@pytest.mark.parametrize(("name", "place"), [("bluesky", "post"), ("mastodon", "post")])
async def test_too_many_requests_names_a_time(channel: Channel, tmp_path: Path, name: str, place: str) -> None:
    """A platform that asks for patience and is asked again at once bans the account."""
    one = await poster(channel, name, tmp_path)
    await channel.fault(f"{name}.{place}", "status", status=429, retry_after_s=90)
    with pytest.raises(RateLimited) as limited:
        await one.post(draft())
    assert limited.value.until == channel.clock.now() + timedelta(seconds=90)
    channel.clock.turn(120)
    await one.post(draft())
    assert len(await channel.posted(name)) == 1


async def test_a_servers_own_limits_are_read_before_a_byte_is_sent(channel: Channel, tmp_path: Path) -> None:
    """Each Mastodon server has its own limits: a video is refused after it was sent."""
    one = await poster(channel, "mastodon", tmp_path)
    with pytest.raises(Reject, match="501 characters and its server takes 500"):
        await one.once(draft(caption="x" * 501))
    with pytest.raises(Reject, match="its server takes 103809024"):
        await one.adapter.open_session(one.account, draft(), size_bytes=103_809_025)
    assert "mastodon.upload" not in (await channel.state())["calls"]


async def test_a_spent_day_waits_and_sends_nothing(channel: Channel, tmp_path: Path) -> None:
    """Bluesky takes so many videos a day of an account: one more is refused after it was sent."""
    one = await poster(channel, "bluesky", tmp_path)
    with pytest.raises(RateLimited):
        await one.adapter.open_session(one.account, draft(), size_bytes=11 * 1024**3)
    assert "bluesky.upload" not in (await channel.state())["calls"]


async def test_a_text_that_is_too_long_is_refused_for_certain(channel: Channel, tmp_path: Path) -> None:
    """A refusal that reads as "perhaps" stops the post until a person looks."""
    one = await poster(channel, "bluesky", tmp_path)
    with pytest.raises(Reject):
        await one.post(draft(caption="x" * 301))
    assert one.may_exist is False


async def test_an_ended_session_is_renewed_in_the_middle(channel: Channel, tmp_path: Path) -> None:
    """Bluesky says 400 ExpiredToken, not 401: read as a refusal it fails every post after two hours."""
    one = await poster(channel, "bluesky", tmp_path)
    with pytest.raises(Snooze):
        await one.once(draft())
    await channel.ask("POST", "/sandbox/people/bluesky/expire")
    await one.post(draft())
    assert len(await channel.posted("bluesky")) == 1
    assert (await channel.state())["calls"]["bluesky.refresh"] == 1
