"""Instagram, Facebook and Threads: connected, posted once with their words, measured, looked at; over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors import platforms
from actors.runtime import oauth
from actors.runtime.db import Database
from contracts.errors import AuthExpired, RateLimited, Reject, Retry, Snooze, Unconfirmed
from contracts.ids import AccountId
from contracts.platform import Draft, PostMetrics, RemotePost, UploadCheckpoint
from tests.channel import Channel, connected_channel
from tests.journal import Notes

MB = 1 << 20
VIDEO = bytes(range(256)) * (2 * MB // 256) + b"the end"
SHA256 = hashlib.sha256(VIDEO).hexdigest()
WORDS = "Ein Riff bei Nacht 🐠\n\n#Tiefsee #Riff @freund"
ALL = ("instagram", "facebook", "threads")
BYTES = ("instagram", "facebook")
CONTAINERS = ("instagram", "threads")
FINISH = {"instagram": "publish", "threads": "publish", "facebook": "reels"}
"""The place of the request that makes the post."""
FIELDS = (
    "views", "likes", "comments", "shares", "saves", "reach", "impressions", "clicks", "followers",
    "watched_us", "average_watched_us", "retention",
)  # fmt: skip


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Give the public address of the video."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=VIDEO, content_type="video/mp4")

    app = web.Application()
    app.router.add_get("/video.mp4", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/video.mp4"))


class Poster:
    """One adapter with one account, driven as the publisher drives it: only what was kept is known later."""

    def __init__(self, channel: Channel, name: str, account: AccountId, file: Path, draft: Draft) -> None:
        self.channel = channel
        self.name = name
        self.account = account
        self.file = file
        self.draft = draft
        self.adapter: Any = platforms.module(name).ADAPTER(channel.services.means)
        self.checkpoint: UploadCheckpoint | None = None
        self.may_exist = False

    async def open(self) -> UploadCheckpoint:
        size = self.file.stat().st_size
        opened = await self.adapter.open_session(self.account, self.draft, size_bytes=size)
        self.checkpoint = msgspec.structs.replace(opened, opened_at=self.channel.clock.now())
        return self.checkpoint

    async def once(self) -> RemotePost:
        checkpoint = self.checkpoint or await self.open()
        notes = Notes(may_exist=self.may_exist)
        try:
            found: RemotePost = await self.adapter.send(self.account, self.draft, checkpoint, self.file, notes)
        finally:
            kept = notes.kept[-1] if notes.kept else checkpoint
            self.checkpoint = msgspec.structs.replace(kept, opened_at=checkpoint.opened_at)
            self.may_exist = notes.may_exist
        return found

    async def post(self, *, most: int = 12) -> RemotePost:
        for _ in range(most):
            try:
                return await self.once()
            except Snooze as waits:
                self.channel.clock.turn(waits.delay_s)
            except Retry:
                self.channel.clock.turn(1)
        raise AssertionError("not posted")

    async def find(self) -> RemotePost | None:
        assert self.checkpoint is not None
        found: RemotePost | None = await self.adapter.find(self.account, self.draft, self.checkpoint)
        return found

    async def calls(self, place: str) -> int:
        return int((await self.channel.state())["calls"].get(f"{self.name}.{place}", 0))

    async def the_post(self) -> Any:
        (post,) = await self.channel.posted(self.name)
        return post

    async def next_fails(self, error: str) -> None:
        await self.channel.ask("POST", f"/at/{self.name}/sandbox/next", {"error": error})


Make = Callable[..., Any]


@pytest.fixture
def poster(channel: Channel, address: str, tmp_path: Path) -> Make:
    async def make(name: str, *, account: str = "creator", **changes: Any) -> Poster:
        file = tmp_path / "video.mp4"
        file.write_bytes(VIDEO)
        values: dict[str, Any] = {
            "marker": "ett0123456789abcdef",
            "title": "Ein Riff",
            "description": "",
            "caption": WORDS,
            "privacy": "public",
            "media_address": address,
        }
        draft = Draft(**{**values, **changes})
        return Poster(channel, name, await channel.connect_to(name, account=account), file, draft)

    return make


# --- connecting


async def connected(channel: Channel, name: str, who: str) -> tuple[oauth.TokenSet, list[oauth.Identity]]:
    """Go through the consent page as a browser does."""
    services, module = channel.services, platforms.module(name)
    client: oauth.OAuthClient = module.OAUTH  # type: ignore[attr-defined] # every module here has one
    back = f"http://127.0.0.1:8400/oauth/{name}/callback"
    begun = oauth.authorize(client, services.settings, redirect_uri=back)
    answer = await services.http.request("POST", begun.url, data={"decision": "allow", "account": who})
    assert answer.status == 302, answer.text
    told = {key: values[0] for key, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    now = channel.clock.now()
    tokens = await oauth.exchange(
        client, services.settings, code=told["code"], verifier=begun.verifier, redirect_uri=back, now=now
    )
    found = await module.identify(services.http, services.settings, tokens.access_token, now=now)  # type: ignore[attr-defined] # as above
    return tokens, list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", BYTES)
async def test_every_opened_page_is_an_account_with_its_own_token(channel: Channel, name: str) -> None:
    """With the person's token all pages end after 60 days; with one token for all, posts go to the wrong page."""
    tokens, found = await connected(channel, name, "one+two")
    assert tokens.expires_at - channel.clock.now() > timedelta(days=59), "the short token was not prolonged"
    assert [one.account_id for one in found] == [f"{name}:one", f"{name}:two"]
    own = [one.tokens for one in found]
    assert len({one.access_token for one in own if one} | {tokens.access_token}) == 3
    assert all(one is not None and one.expires_at == oauth.NO_END for one in own)
    client = platforms.module(name).OAUTH  # type: ignore[attr-defined] # every module here has one
    assert all(one is not None and oauth.missing_scopes(client, one) == () for one in own)
    for one in found:
        assert one.tokens is not None
        await channel.services.tokens.store(AccountId(one.account_id), name, one.title, one.tokens)
    channel.clock.turn(100 * 86_400)
    adapter: Any = platforms.module(name).ADAPTER(channel.services.means)
    assert (await adapter.look(AccountId(f"{name}:two"), ("1",)))["1"].state == "removed", "the token is still good"


async def test_a_threads_token_lasts_and_is_renewed(channel: Channel) -> None:
    """An account that is not renewed in its 60 days has to be connected again by hand."""
    tokens, (who,) = await connected(channel, "threads", "ada")
    assert (who.account_id, who.title, who.tokens) == ("threads:ada", "@sandbox_ada", None)
    assert tokens.expires_at - channel.clock.now() > timedelta(days=59)
    client = platforms.module("threads").OAUTH  # type: ignore[attr-defined] # every module here has one
    channel.clock.turn(50 * 86_400)
    fresh = await oauth.refresh(client, channel.services.settings, tokens, now=channel.clock.now())
    assert fresh.access_token != tokens.access_token
    assert fresh.expires_at - tokens.expires_at > timedelta(days=49)
    channel.clock.turn(61 * 86_400)
    with pytest.raises(oauth.GrantGone):
        await oauth.refresh(client, channel.services.settings, fresh, now=channel.clock.now())


async def test_discovery_works_with_a_connected_account(channel: Channel) -> None:
    """Who connected an account must not paste a token as well."""
    services = channel.services
    known = {key: value for key, value in services.settings.options.items() if not key.endswith("_access_token")}
    bare = msgspec.structs.replace(services.settings, options=known)
    means = platforms_means(channel, bare)
    for name in ALL:
        adapter = platforms.module(name).ADAPTER(means)
        with pytest.raises(Reject, match=f"{name.upper()}_ACCESS_TOKEN is not set, and no account is connected"):
            await adapter.discover("deep sea", limit=5)
        await channel.connect_to(name, account="17841400000000009")
        if name != "facebook":
            assert await adapter.discover("deep sea", limit=5)
    page = platforms.module("facebook").ADAPTER(means)
    assert await page.discover("riff", limit=5) == ()


def platforms_means(channel: Channel, settings: Any) -> Any:
    means = channel.services.means
    return type(means)(
        http=means.http, settings=settings, tokens=means.tokens, clock=means.clock, quota=means.quota, cache=means.cache
    )


# --- posting


@pytest.mark.parametrize("name", ALL)
async def test_a_post_has_its_words_and_bytes_and_page(poster: Make, name: str) -> None:
    """Posts come out with other words or a broken file, or nobody can open them."""
    one = await poster(name)
    made = await one.post()
    post = await one.the_post()
    assert (post["text"], post["sha256"], post["id"]) == (WORDS, SHA256, made.platform_post_id)
    assert made.url.startswith("https://www.")
    assert made.url == post["url"]
    assert made.published_at is not None
    assert await one.calls(FINISH[name]) == (2 if name == "facebook" else 1), "it was published more than once"


async def test_disclosures_and_options_reach_instagram(poster: Make) -> None:
    """An advertisement or a made-up scene that is not named as such breaks the rules of the place, and of the law."""
    options = {"share_to_feed": "false", "thumb_offset": "1500", "collaborators": "ada, bob", "sponsor_ids": "178"}
    one = await poster("instagram", synthetic=True, paid=True, options=options)
    await one.post()
    sent = (await one.the_post())["more"]
    assert (sent["is_ai_generated"], sent["is_paid_partnership"], sent["share_to_feed"]) == ("true", "true", "false")
    assert (sent["thumb_offset"], sent["collaborators"]) == ("1500", '["ada","bob"]')
    plain = await poster("instagram")
    assert "is_ai_generated" not in platforms.module("instagram").container_form(plain.draft)  # type: ignore[attr-defined] # it is there


@pytest.mark.parametrize("name", BYTES)
async def test_a_broken_upload_goes_on_at_the_byte_that_is_there(poster: Make, name: str) -> None:
    """Starting anew costs a bad line the whole file each time."""
    one = await poster(name)
    await one.channel.fault(f"{name}.upload", "drop_mid_body", after_bytes=MB + 13)
    await one.channel.fault(f"{name}.upload", "drop_mid_body", after_bytes=77)
    await one.post()
    post = await one.the_post()
    assert (post["sha256"], post["size_bytes"]) == (SHA256, len(VIDEO))
    assert await one.calls("upload") == 3
    opened = await one.calls("container") if name == "instagram" else await one.calls("reels") - 1
    assert opened == 1, "another upload was opened"


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("kind", ["OffsetInvalidError", "PartialRequestError"])
async def test_a_wrong_offset_is_asked_for(poster: Make, name: str, kind: str) -> None:
    """Two sides that disagree about what is there must ask, not give up."""
    one = await poster(name)
    await one.channel.fault(f"{name}.upload", "status", status=400, reason=kind)
    await one.post()
    assert (await one.the_post())["sha256"] == SHA256


@pytest.mark.parametrize("name", BYTES)
async def test_a_spent_upload_asks_for_another(poster: Make, name: str) -> None:
    """An upload that takes no bytes any more, sent to for ever, never becomes a post."""
    one = await poster(name)
    await one.channel.fault(f"{name}.upload", "status", status=400, reason="ProcessingFailedError")
    with pytest.raises(Unconfirmed, match="ProcessingFailedError"):
        await one.once()
    assert not one.may_exist
    assert await one.find() is None


@pytest.mark.parametrize("name", ALL)
async def test_a_lost_answer_is_asked_after_and_not_published_again(poster: Make, name: str) -> None:
    """The second request makes the second post."""
    one = await poster(name)
    skip = 1 if name == "facebook" else 0
    await one.channel.fault(f"{name}.{FINISH[name]}", "accept_then_timeout", delay_s=0.0, skip=skip)
    made = await one.post()
    assert made.platform_post_id == (await one.the_post())["id"]
    assert made.url == (await one.the_post())["url"]
    assert await one.calls(FINISH[name]) == 1 + skip
    found = await one.find()
    assert found is not None
    assert found.platform_post_id == made.platform_post_id


@pytest.mark.parametrize("name", ALL)
async def test_a_passing_fault_of_publishing_is_no_refusal(poster: Make, name: str) -> None:
    """These APIs answer 400 to passing faults as well; taken for a refusal, a post that stands is called failed."""
    one = await poster(name)
    skip = 1 if name == "facebook" else 0
    fault = {"status": 400, "reason": "-1.2207032", "skip": skip}
    await one.channel.fault(f"{name}.{FINISH[name]}", "status", **fault)
    for _ in range(12):
        try:
            await one.once()
        except Snooze as waits:
            one.channel.clock.turn(waits.delay_s)
        except Retry:
            break
    assert one.may_exist, "it was written down that there is no post"
    await one.post()
    assert await one.the_post()


@pytest.mark.parametrize("name", CONTAINERS)
async def test_the_days_posts_are_counted_before_anything_is_opened(poster: Make, name: str) -> None:
    """A container that cannot be published is uploaded for nothing."""
    one = await poster(name, account="young")
    for words in ("first", "second"):
        one.draft = msgspec.structs.replace(one.draft, caption=words)
        one.checkpoint, one.may_exist = None, False
        await one.post()
    opened = await one.calls("container")
    one.checkpoint = None
    with pytest.raises(RateLimited, match="all 2 posts") as limited:
        await one.once()
    assert await one.calls("container") == opened
    assert limited.value.until > one.channel.clock.now()
    one.channel.clock.turn(86_401)
    await one.channel.connect_to(name, account="young")
    one.may_exist = False
    assert await one.post()


@pytest.mark.parametrize(
    ("name", "error", "says", "mend"),
    [
        ("instagram", "Media upload has failed with error code 2207026", "format of the video", "H.264 and AAC"),
        ("instagram", "Media upload has failed with error code 2207999", "error 2207999", "a new upload begins"),
        ("threads", "FAILED_PROCESSING_AUDIO", "FAILED_PROCESSING_AUDIO", "AAC sound"),
        ("threads", "SOMETHING_NEW", "SOMETHING_NEW", "a new upload begins"),
        ("facebook", "The video is too long", "The video is too long", "Render it at 3 to 90 s"),
    ],
)
async def test_a_video_that_fails_there_has_its_reason_and_mend(
    poster: Make, name: str, error: str, says: str, mend: str
) -> None:
    """The word error alone tells nobody what to do."""
    one = await poster(name)
    await one.next_fails(error)
    with pytest.raises(Reject, match=says) as refused:
        await one.post()
    assert mend in refused.value.mend
    assert not one.may_exist, "it is certain that there is no post"
    assert await one.find() is None
    assert await one.channel.posted(name) == []


@pytest.mark.parametrize("name", CONTAINERS)
async def test_an_expired_container_is_given_up(poster: Make, name: str) -> None:
    """A container of yesterday cannot be published; waiting for it never ends."""
    one = await poster(name)
    with pytest.raises(Snooze):
        await one.once()
    one.channel.clock.turn(86_500)
    await one.channel.connect_to(name)
    with pytest.raises(Unconfirmed, match="expire"):
        await one.once()
    assert not one.may_exist
    assert await one.find() is None


@pytest.mark.parametrize("name", CONTAINERS)
async def test_of_two_posts_with_the_same_words_none_is_claimed(poster: Make, name: str) -> None:
    """Words are the only mark of a post here: one of two is a guess."""
    one = await poster(name)
    await one.channel.fault(f"{name}.publish", "accept_then_timeout", delay_s=0.0)
    with pytest.raises(Retry):
        for _ in range(12):
            try:
                await one.once()
            except Snooze as waits:
                one.channel.clock.turn(waits.delay_s)
    again = Poster(one.channel, name, one.account, one.file, one.draft)
    await again.post()
    with pytest.raises(Unconfirmed, match="2 posts with the same words"):
        await one.once()
    with pytest.raises(Unconfirmed, match="2 posts with the same words"):
        await one.find()


@pytest.mark.parametrize("name", CONTAINERS)
async def test_an_older_post_with_the_same_words_is_not_claimed(poster: Make, name: str) -> None:
    """A post that is made again would be taken for published with the id of the one of last week."""
    old = await poster(name)
    first = await old.post()
    old.channel.clock.turn(3600)
    one = Poster(old.channel, name, old.account, old.file, old.draft)
    await one.open()
    assert await one.find() is None
    await one.channel.fault(f"{name}.publish", "accept_then_timeout", delay_s=0.0)
    made = await one.post()
    assert made.platform_post_id != first.platform_post_id
    assert await one.find() == made


async def test_the_token_may_end_in_the_middle(poster: Make) -> None:
    """A dead token that is taken for a passing fault is tried until the event is given up."""
    for name in ALL:
        one = await poster(name)
        await one.open()
        await one.channel.ask("POST", f"/sandbox/people/{name}/expire")
        with pytest.raises(AuthExpired, match="it expired"):
            await one.once()
        assert not one.may_exist
        state = await one.channel.db.fetchval("select state from accounts where account_id = $1", one.account)
        assert state != "connected"
        await one.channel.connect_to(name)
        await one.post()
        assert await one.the_post()


@pytest.mark.parametrize("name", ALL)
async def test_only_public_posts_are_made(poster: Make, name: str) -> None:
    """What a person wanted to keep to themselves would be shown to everybody."""
    one = await poster(name, privacy="private")
    with pytest.raises(Reject, match="cannot be private"):
        await one.once()
    assert await one.calls("container") == await one.calls("reels") == 0


async def test_threads_without_a_public_address_says_what_to_do(poster: Make) -> None:
    """Threads takes no bytes; a person has to learn it before the day of the post."""
    one = await poster("threads", media_address=None)
    with pytest.raises(Reject, match="fetches the video from a public address") as refused:
        await one.once()
    assert "MEDIA_URL" in refused.value.mend
    elsewhere = await poster("threads", media_address="https://media.example/x.mp4")
    with pytest.raises(Reject, match="FAILED_DOWNLOADING_VIDEO"):
        await elsewhere.post()


# --- times


async def test_facebook_keeps_a_time(poster: Make) -> None:
    """A post for next week is shown today, or never."""
    now = (await poster("facebook")).channel.clock.now()
    one = await poster("facebook", privacy="private", publish_at=now + timedelta(days=7))
    made = await one.post()
    assert made.privacy == "private"
    assert (await one.the_post())["more"]["publish_at"] == int((now + timedelta(days=7)).timestamp())
    stands = await one.adapter.look(one.account, (made.platform_post_id,))
    assert stands[made.platform_post_id].state == "private"


async def test_a_time_too_near_to_be_kept_is_waited_for_here(poster: Make) -> None:
    """Facebook refuses a time within ten minutes: the post would be lost, or shown early."""
    one = await poster("facebook")
    publish_at = one.channel.clock.now() + timedelta(minutes=8)
    one.draft = msgspec.structs.replace(one.draft, privacy="private", publish_at=publish_at)
    with pytest.raises(Snooze) as waits:
        await one.once()
    assert await one.channel.posted("facebook") == []
    one.channel.clock.turn(waits.value.delay_s)
    assert one.channel.clock.now() >= publish_at
    made = await one.post()
    assert made.privacy == "public"


async def test_a_time_too_far_is_refused_before_the_upload(poster: Make) -> None:
    """Facebook takes 29 days."""
    one = await poster("facebook")
    one.draft = msgspec.structs.replace(
        one.draft, privacy="private", publish_at=one.channel.clock.now() + timedelta(days=29)
    )
    with pytest.raises(Reject, match="too far ahead"):
        await one.once()
    assert await one.calls("reels") == 0


# --- afterwards


async def measured(one: Poster, post: RemotePost) -> PostMetrics:
    found: PostMetrics = (await one.adapter.measure(one.account, (post.platform_post_id,)))[post.platform_post_id]
    assert set(found.absent) == {name for name in FIELDS if getattr(found, name) is None}, "a reason for each, no other"
    return found


@pytest.mark.parametrize("name", ALL)
async def test_young_posts_have_no_figures_and_a_reason(poster: Make, name: str) -> None:
    """A zero that means "not yet" is learned from as a failure."""
    one = await poster(name)
    made = await one.post()
    found = await measured(one, made)
    insights = {"shares"} if name == "facebook" else {"views", "shares"}
    for field in insights:
        assert getattr(found, field) is None
        assert "48 hours" in found.absent[field]
    assert found.retention is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (
            "instagram",
            {"views": 1200, "likes": 120, "comments": 30, "shares": 40, "saves": 50, "reach": 900,
             "watched_us": 9_000_000_000, "average_watched_us": 7_500_000},
        ),
        (
            "facebook",
            {"views": 1300, "likes": 120, "comments": 30, "shares": 40, "followers": 10,
             "watched_us": 9_000_000_000, "average_watched_us": 7_250_000},
        ),
        ("threads", {"views": 1200, "likes": 120, "comments": 30, "shares": 70}),
    ],
)  # fmt: skip
async def test_figures_come_in_our_units(poster: Make, name: str, known: dict[str, int]) -> None:
    """Milliseconds that are kept as microseconds make every video a thousand times too short."""
    one = await poster(name)
    made = await one.post()
    age_s = one.channel.clock.now().timestamp() - (await one.the_post())["created_at"]
    one.channel.clock.turn(36_000 - age_s)
    await one.channel.connect_to(name)
    found = await measured(one, made)
    assert {field: getattr(found, field) for field in FIELDS if getattr(found, field) is not None} == known


@pytest.mark.parametrize("name", ALL)
async def test_a_removed_post_is_removed_and_not_zero(poster: Make, name: str) -> None:
    """A takedown that nobody hears of is followed by the next one."""
    one = await poster(name)
    made = await one.post()
    key = made.platform_post_id
    assert (await one.adapter.look(one.account, (key,)))[key].state == "stands"
    change = {"state": "removed", "because": "rules"}
    await one.channel.ask("POST", f"/sandbox/people/{name}/posts/{key}", change)
    assert (await one.adapter.look(one.account, (key,)))[key].state == "removed"
    assert await one.adapter.measure(one.account, (key,)) == {}


@pytest.mark.parametrize("name", ALL)
async def test_an_account_that_cannot_be_read_removes_no_post(poster: Make, name: str) -> None:
    """Meta answers the same to a lost permission as to a removed post: a whole account would be paused as removed."""
    one = await poster(name)
    made = await one.post()
    place = "status" if name == "facebook" else "post"
    await one.channel.fault(f"{name}.{place}", "status", status=400, reason="100.33")
    await one.channel.fault(f"{name}.account", "status", status=403, reason="200")
    with pytest.raises(Reject, match="permission"):
        await one.adapter.look(one.account, (made.platform_post_id,))


@pytest.mark.parametrize("name", ALL)
async def test_a_figure_that_is_gone_costs_no_other(poster: Make, name: str) -> None:
    """One removed name fails the whole request; then all figures of all posts would be lost at once."""
    one = await poster(name)
    made = await one.post()
    one.channel.clock.turn(36_000)
    await one.channel.connect_to(name)
    await one.channel.fault(f"{name}.insights", "status", status=400, reason="100")
    assert (await measured(one, made)).views is not None
    await one.channel.fault(f"{name}.insights", "status", status=403, reason="10", times=None)
    found = await measured(one, made)
    assert "Connect the account again and grant" in found.absent["shares"]


@pytest.mark.parametrize("name", ALL)
async def test_an_account_at_its_limit_is_left_alone(poster: Make, name: str) -> None:
    """Calls beyond the limit lengthen it."""
    one = await poster(name)
    made = await one.post()
    place = "status" if name == "facebook" else "post"
    await one.channel.fault(f"{name}.{place}", "status", status=400, reason="32", retry_after_s=120)
    with pytest.raises(RateLimited):
        await one.adapter.look(one.account, (made.platform_post_id,))
    before = await one.calls(place)
    with pytest.raises(RateLimited, match="left alone"):
        await one.adapter.look(one.account, (made.platform_post_id,))
    assert await one.calls(place) == before
    one.channel.clock.turn(121)
    assert await one.adapter.look(one.account, (made.platform_post_id,))
