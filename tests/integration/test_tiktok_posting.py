"""Posting to TikTok through the publisher: one post, or none with the true reason, over HTTP."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms import tiktok
from actors.platforms._tiktok.publish import INBOX, Publisher
from actors.runtime.db import Database
from actors.runtime.tokens import open_tokens
from contracts.errors import RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.events import Destination, PostRequested
from contracts.ids import AccountId, ItemId
from contracts.platform import Draft, UploadCheckpoint
from contracts.rights import RightsRecord
from deploy.sandbox import credentials
from tests.channel import Channel, connected_channel, stamped
from tests.journal import Notes

MB = 1 << 20
VIDEO = bytes(range(256)) * (17 * MB // 256) + b"the end"
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="Ann", source_url="https://archive.org/details/reef")
DRAFT = Draft(marker="ett0", title="A reef", description="", caption="A reef #sea", privacy="public")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is sent in three chunks."""
    monkeypatch.setattr(Publisher, "chunk_bytes", 5 * MB)


@asynccontextmanager
async def tiktok_channel(database: Database, folder: Path, **sandbox: Any) -> AsyncIterator[Channel]:
    """Open a channel whose settings hold the client that TikTok's tokens are renewed with."""
    async with connected_channel(database, folder, **sandbox) as found:
        services, known = found.services, credentials()
        settings = msgspec.structs.replace(
            services.settings,
            tiktok_client_key=known["tiktok_client_key"],
            tiktok_client_secret=known["tiktok_client_secret"],
        )
        tokens = open_tokens(settings, database, services.http, found.clock)
        changed = dataclasses.replace(services, settings=settings, tokens=tokens)
        yield Channel(services=changed, sandbox=found.sandbox, clock=found.clock)


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with tiktok_channel(database, tmp_path) as found:
        yield found


class Adapter:
    """The adapter and one upload of it, driven without a publisher."""

    def __init__(self, channel: Channel, folder: Path, account: AccountId) -> None:
        self.made = tiktok.TikTok(channel.services.means)
        self.channel = channel
        self.account = account
        self.file = folder / "video.mp4"
        self.file.write_bytes(VIDEO)
        self.notes = Notes()
        self.checkpoint = UploadCheckpoint()

    async def open(self, **changes: Any) -> UploadCheckpoint:
        self.draft = msgspec.structs.replace(DRAFT, **changes)
        self.checkpoint = await self.made.open_session(self.account, self.draft, size_bytes=len(VIDEO))
        return self.checkpoint

    async def settle(self) -> Any:
        """Send again and again, the clock turned on by each wait."""
        for _ in range(20):
            try:
                return await self.made.send(self.account, self.draft, self.checkpoint, self.file, self.notes)
            except Snooze as waits:
                self.channel.clock.turn(waits.delay_s)
                self.checkpoint = self.notes.kept[-1] if self.notes.kept else self.checkpoint
        raise AssertionError("not settled")


@pytest.fixture
async def adapter(channel: Channel, tmp_path: Path) -> Adapter:
    return Adapter(channel, tmp_path, await channel.connect_to("tiktok"))


async def one_post(channel: Channel) -> Any:
    (post,) = await channel.posted("tiktok")
    assert (post["sha256"], post["size_bytes"]) == (hashlib.sha256(VIDEO).hexdigest(), len(VIDEO))
    return post


async def test_the_publisher_posts_once_in_chunks(channel: Channel) -> None:
    """Posts come out twice, broken or not at all."""
    await channel.connect_to("tiktok")
    request: PostRequested = stamped(
        PostRequested(
            item_id=ItemId("internet_archive:reef"),
            key=await channel.put_video(VIDEO),
            rights=RIGHTS,
            destination=Destination(platform="tiktok", privacy="public"),
            title="A reef",
            synthetic=True,
        )
    )
    assert await channel.settle(request) == "ack"
    post, row = await one_post(channel), await channel.post()
    assert (row["state"], row["platform_post_id"], row["url"]) == ("published", post["id"], post["url"])
    assert row["privacy"] == "public"
    assert (await channel.state())["calls"]["tiktok.upload"] == 3
    assert post["more"]["is_aigc"] is True


async def test_what_is_not_switched_on_is_off(adapter: Adapter) -> None:
    """TikTok's rules: no interaction is on beforehand, and what promotes is said."""
    await adapter.open(privacy="private", own_brand=True, options={"comment": "on"})
    remote = await adapter.settle()
    more = (await one_post(adapter.channel))["more"]
    assert (more["disable_comment"], more["disable_duet"], more["disable_stitch"]) == (False, True, True)
    assert (more["brand_organic_toggle"], more["brand_content_toggle"], more["is_aigc"]) == (True, False, False)
    assert more["privacy_level"] == "SELF_ONLY"
    assert (remote.privacy, remote.url) == ("private", "https://www.tiktok.com/@creator")
    assert remote.platform_post_id.startswith("v_pub_file~"), "a private post has no public id"


@pytest.mark.parametrize(
    ("account", "changes", "says"),
    [
        ("creator", {"privacy": "unlisted"}, "no unlisted posts"),
        ("creator", {"privacy": "private", "paid": True}, "branded content"),
        ("creator", {"options": {"privacy_level": "FOLLOWER_OF_CREATOR"}}, "may not post as FOLLOWER_OF_CREATOR"),
        ("private-one", {"privacy": "public"}, "may not post as PUBLIC_TO_EVERYONE: TikTok allows it FOLLOWER_OF"),
        ("creator", {"caption": "\U0001f30a" * 1101}, "2202 characters"),
        ("creator", {"options": {"mode": "story"}}, "no mode 'story'"),
    ],
)
async def test_what_the_creator_may_not_do_is_refused_before_bytes(
    channel: Channel, tmp_path: Path, account: str, changes: dict[str, Any], says: str
) -> None:
    """TikTok takes the upload and throws it away, or shows it to people it was not meant for."""
    adapter = Adapter(channel, tmp_path, await channel.connect_to("tiktok", account=account))
    with pytest.raises(Reject, match=says):
        await adapter.open(**changes)
    calls = (await channel.state())["calls"]
    assert "tiktok.init" not in calls
    assert "tiktok.upload" not in calls


async def test_a_draft_for_the_inbox_is_said_to_be_one(adapter: Adapter) -> None:
    """A person waits for a post that nobody finishes in the app."""
    await adapter.open(options={"mode": "inbox"})
    remote = await adapter.settle()
    assert remote.privacy == INBOX
    assert (await one_post(adapter.channel))["privacy"] == "INBOX"
    assert "tiktok.creator_info" not in (await adapter.channel.state())["calls"]
    told = await adapter.made.look(adapter.account, (remote.platform_post_id,))
    assert told[remote.platform_post_id].because.startswith("it waits in the account's inbox")
    counts = await adapter.made.measure(adapter.account, (remote.platform_post_id,))
    assert counts[remote.platform_post_id].views is None
    assert "inbox" in counts[remote.platform_post_id].absent["views"]


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("tiktok.upload", {"kind": "accept_then_timeout", "skip": 2}),
        ("tiktok.upload", {"kind": "accept_then_timeout"}),
        ("tiktok.upload", {"kind": "drop_mid_body", "skip": 1}),
        ("tiktok.upload", {"kind": "drop_mid_body", "skip": 2}),
        ("tiktok.upload", {"kind": "status", "status": 503, "skip": 1}),
        ("tiktok.upload", {"kind": "status", "status": 416}),
        ("tiktok.upload", {"kind": "session_expired", "skip": 1}),
        ("tiktok.upload", {"kind": "session_expired", "skip": 2}),
        ("tiktok.status", {"kind": "status", "status": 401}),
        ("tiktok.status", {"kind": "truncate", "skip": 1}),
        ("tiktok.status", {"kind": "stuck_processing", "times": 3, "skip": 1}),
        ("tiktok.init", {"kind": "accept_then_timeout"}),
        ("tiktok.creator_info", {"kind": "status", "status": 200, "reason": "spam_risk_too_many_posts"}),
    ],
)
async def test_a_fault_anywhere_leaves_one_post(channel: Channel, where: str, fault: dict[str, Any]) -> None:
    """A broken line posts twice, or never."""
    await channel.connect_to("tiktok")
    request = stamped(
        PostRequested(
            item_id=ItemId("internet_archive:reef"),
            key=await channel.put_video(VIDEO),
            rights=RIGHTS,
            destination=Destination(platform="tiktok", privacy="private"),
            title="A reef",
        )
    )
    await channel.fault(where, **{"times": 1, **fault})
    assert await channel.settle(request) == "ack"
    post, row = await one_post(channel), await channel.post()
    assert (row["state"], row["platform_post_id"]) == ("published", post["id"])


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("file_format_check_failed", Reject),
        ("spam_risk_text", Reject),
        ("a_new_reason", Reject),
        ("internal", Unconfirmed),
        ("spam_risk_too_many_posts", RateLimited),
    ],
)
async def test_a_failed_upload_says_why_and_that_there_is_no_post(
    adapter: Adapter, reason: str, kind: type[Exception]
) -> None:
    """What may be tried anew is given up, or what may not is sent for ever."""
    await adapter.open()
    await adapter.channel.fault("tiktok.upload", "status", status=503, skip=2, times=1)
    with pytest.raises(Retry):
        await adapter.made.send(adapter.account, adapter.draft, adapter.checkpoint, adapter.file, adapter.notes)
    with pytest.raises(Snooze):
        await adapter.made.send(adapter.account, adapter.draft, adapter.checkpoint, adapter.file, adapter.notes)
    assert adapter.notes.told.count(("committing", None)) == 2, "the last part left twice"
    (post,) = await adapter.channel.posted("tiktok")
    body = {"state": "blocked", "because": reason}
    await adapter.channel.ask("POST", f"/sandbox/people/tiktok/posts/{post['id']}", body)
    with pytest.raises(kind, match=reason):
        await adapter.settle()
    assert not adapter.notes.may_exist, "what TikTok says for certain leaves a doubt"
    assert await adapter.made.find(adapter.account, adapter.draft, adapter.checkpoint) is None
    if kind is RateLimited:
        adapter.checkpoint = adapter.notes.kept[-1]
        with pytest.raises(Unconfirmed, match="made no post"):  # a day later a new upload begins
            await adapter.settle()


async def test_an_app_without_an_audit_says_what_it_may(database: Database, tmp_path: Path) -> None:
    """A person tries again and again what TikTok allows to nobody."""
    async with tiktok_channel(database, tmp_path, audit_locked=True) as channel:
        adapter = Adapter(channel, tmp_path, await channel.connect_to("tiktok"))
        with pytest.raises(Reject, match="unaudited_client") as refused:
            await adapter.open()
        assert "mode=inbox" in refused.value.mend
        private = Adapter(channel, tmp_path, await channel.connect_to("tiktok", account="private-me"))
        await private.open(privacy="private")
        assert (await private.settle()).privacy == "private"


async def test_limits_are_waited_for(adapter: Adapter) -> None:
    """A limit that ends by itself must not end as a failed post."""
    for _ in range(6):
        await adapter.open()
    with pytest.raises(RateLimited, match="rate_limit_exceeded"):
        await adapter.open()
    adapter.channel.clock.turn(60)
    for _ in range(5):
        await adapter.open(options={"mode": "inbox"})
        await adapter.settle()
        adapter.channel.clock.turn(60)
    with pytest.raises(RateLimited, match="five drafts wait in the inbox"):
        await adapter.open(options={"mode": "inbox"})
    adapter.channel.clock.turn(86_400)
    await adapter.open(options={"mode": "inbox"})


async def test_the_posts_of_a_day_are_used_up(adapter: Adapter) -> None:
    """creator_info says so with status 200, before a byte is sent."""
    for _ in range(15):
        await adapter.open(privacy="private")
        await adapter.settle()
        adapter.channel.clock.turn(60)
    uploads = (await adapter.channel.state())["calls"]["tiktok.init"]
    with pytest.raises(RateLimited, match="posts of 24 hours"):
        await adapter.open(privacy="private")
    assert (await adapter.channel.state())["calls"]["tiktok.init"] == uploads


async def test_stuck_processing_is_told_and_found_later(adapter: Adapter) -> None:
    """A video that hangs would be asked for ever, or posted again."""
    await adapter.open()
    await adapter.channel.fault("tiktok.status", "stuck_processing", times=None)
    with pytest.raises(Unconfirmed, match="still says PROCESSING_UPLOAD after 6 hours"):
        for _ in range(80):
            try:
                await adapter.made.send(adapter.account, adapter.draft, adapter.checkpoint, adapter.file, adapter.notes)
            except Snooze as waits:
                adapter.channel.clock.turn(waits.delay_s)
    with pytest.raises(Unconfirmed, match="has the whole file"):
        await adapter.made.find(adapter.account, adapter.draft, adapter.checkpoint)
    await adapter.channel.ask("DELETE", "/sandbox/faults")
    for _ in range(5):
        with suppress(Unconfirmed):  # it is still processed, and old enough to be told of at each look
            found = await adapter.settle()
    assert found.platform_post_id == (await one_post(adapter.channel))["id"]


async def test_counts_and_standing_of_a_post(adapter: Adapter) -> None:
    """Growth is learned from these counts, and a removed video must pause what is related."""
    await adapter.open()
    remote = await adapter.settle()
    assert remote.url == f"https://www.tiktok.com/@creator/video/{remote.platform_post_id}"
    adapter.channel.clock.turn(60)
    counts = (await adapter.made.measure(adapter.account, (remote.platform_post_id, "7")))[remote.platform_post_id]
    assert counts.views is not None
    assert counts.views > 0
    assert set(counts.absent) == {
        *("saves", "reach", "impressions", "clicks", "followers", "watched_us", "average_watched_us", "retention")
    }
    by_upload = adapter.checkpoint.ids["publish_id"]
    both = await adapter.made.measure(adapter.account, (by_upload,))
    assert both[by_upload].views == counts.views, "a post that got its public id later is measured all the same"
    assert (await adapter.made.look(adapter.account, (by_upload,)))[by_upload].state == "stands"
    body = {"state": "removed", "because": "by TikTok"}
    await adapter.channel.ask("POST", f"/sandbox/people/tiktok/posts/{remote.platform_post_id}", body)
    assert (await adapter.made.look(adapter.account, (remote.platform_post_id,)))[
        remote.platform_post_id
    ].state == "removed"
    assert await adapter.made.measure(adapter.account, (remote.platform_post_id,)) == {}


async def test_own_videos_of_a_connected_account_are_found(adapter: Adapter) -> None:
    """A token that a person pastes ends after hours; the account that is connected anyway does as well."""
    services = adapter.channel.services
    await adapter.open(caption="A reef at night #sea")
    remote = await adapter.settle()
    options = {name: value for name, value in services.settings.options.items() if "tiktok" not in name}
    settings = msgspec.structs.replace(services.settings, options=options)
    made = tiktok.TikTok(dataclasses.replace(services.means, settings=settings))
    (found,) = await made.discover("reef", limit=5)
    assert (found.platform_id, found.url) == (remote.platform_post_id, remote.url)
    assert await made.discover("volcano", limit=5) == ()
    await adapter.channel.ask("POST", "/sandbox/people/tiktok/expire")
    adapter.channel.clock.turn(1801)
    assert await made.discover("reef", limit=5), "a token that ended is replaced"


async def test_identify_names_the_account(channel: Channel) -> None:
    """The page of accounts shows whose permission it holds."""
    account = await channel.connect_to("tiktok", account="ada")
    token = await channel.services.tokens.access_token(account, tiktok.OAUTH)
    services = channel.services
    who = await tiktok.identify(services.http, services.settings, token, now=channel.clock.now())
    assert (who.account_id, who.title) == ("tiktok:ada", "ada of the sandbox")
    with pytest.raises(Reject, match="access_token_invalid"):
        await tiktok.identify(services.http, services.settings, "forged", now=channel.clock.now())
