"""Posts on X, LinkedIn and Pinterest, through the publisher and over HTTP: one each, or the true reason why not."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import platforms
from actors.platforms import linkedin, x
from actors.runtime.db import Database
from contracts.events import Destination, PostRequested
from contracts.ids import AccountId, ItemId
from contracts.rights import RightsRecord
from deploy.sandbox.feeds import _linkedin_posts, _x_people
from tests.channel import Channel, connected_channel, stamped

VIDEO = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 400 + b"the end"
RIGHTS = RightsRecord(licence="CC-BY-4.0", title="Reef", author="Ann", source_url="https://archive.org/details/reef")
SEGMENTS = 5


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is sent in several parts."""
    monkeypatch.setattr(x.X, "segment_bytes", -(-len(VIDEO) // SEGMENTS))
    monkeypatch.setattr(_linkedin_posts, "PART_BYTES", -(-len(VIDEO) // SEGMENTS))


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path) as found:
        yield found


async def asked(channel: Channel, platform: str, **changes: Any) -> PostRequested:
    """Store a video and return the request to post it."""
    destination = {"platform": platform, "privacy": "public", **changes.pop("destination", {})}
    values: dict[str, Any] = {
        "item_id": ItemId("internet_archive:reef"),
        "key": await channel.put_video(VIDEO),
        "rights": RIGHTS,
        "destination": Destination(**destination),
        "title": "A reef at night & day",
        "description": "Words",
        "hashtags": ("sea",),
    }
    request: PostRequested = stamped(PostRequested(**{**values, **changes}))
    return request


async def connect_with(channel: Channel, platform: str, *scopes: str) -> AccountId:
    """Connect an account whose permission has these scopes beside the usual ones."""
    client = platforms.module(platform).OAUTH  # type: ignore[attr-defined]  # these three have one
    name = await channel.connect_to(platform)
    granted = {"account": "creator", "scopes": [*client.scopes, *scopes]}
    told = await channel.ask("POST", f"/sandbox/people/{platform}/grant", granted)
    tokens = await channel.services.tokens.get(name, client)
    fresh = msgspec.structs.replace(tokens, access_token=told["access"], refresh_token=told["refresh"])
    await channel.services.tokens.store(name, platform, "creator", fresh)
    return name


async def row_of(channel: Channel, item: str) -> Any:
    (row,) = await channel.db.fetch("select * from posts where item_id = $1", item)
    return row


async def only(channel: Channel, platform: str) -> Any:
    """Return the one post that stands there; the row knows it, and it was told once."""
    (found,), row = await channel.posted(platform), await channel.post()
    assert (row["state"], row["platform_post_id"]) == ("published", found["id"]), row["because"]
    assert [event["platform_post_id"] for event in await channel.given("post.published")] == [found["id"]]
    assert found["sha256"] == hashlib.sha256(VIDEO).hexdigest()
    return found


async def test_a_video_on_x(channel: Channel) -> None:
    """Posts come out without their words, or paid ones and made ones without being named so."""
    await channel.connect_to("x")
    request = await asked(channel, "x", synthetic=True, destination={"paid": True})
    assert await channel.settle(request) == "ack"
    post = await only(channel, "x")
    assert "A reef at night & day" in post["text"]
    assert (post["more"]["made_with_ai"], post["more"]["paid_partnership"]) == (True, True)
    calls = (await channel.state())["calls"]
    assert (calls["x.append"], calls["x.init"], calls["x.post"], calls.get("x.timeline", 0)) == (SEGMENTS, 1, 1, 0)


async def test_a_video_on_linkedin(channel: Channel) -> None:
    """Words lose their marks, the parts their order, or a token goes to the store."""
    await channel.connect_to("linkedin")
    request = await asked(channel, "linkedin", title="Reef [at] night_time (2) #sea")
    assert await channel.settle(request) == "ack"
    post = await only(channel, "linkedin")
    assert post["text"].startswith("Reef [at] night_time (2) #sea")
    assert "{hashtag|\\#|sea}" in post["more"]["commentary"]
    assert post["more"]["author"] == "urn:li:person:creator"
    assert (await channel.post())["url"] == f"https://www.linkedin.com/feed/update/{post['id']}/"
    calls = (await channel.state())["calls"]
    assert (calls["linkedin.part"], calls["linkedin.videos"], calls["linkedin.post"]) == (SEGMENTS, 2, 1)


async def test_a_video_on_pinterest(channel: Channel) -> None:
    """A pin comes out without its words or its credit, or on no board."""
    await channel.connect_to("pinterest")
    request = await asked(channel, "pinterest", destination={"options": {"cover_at_s": "2.5"}})
    assert await channel.settle(request) == "ack"
    pin = await only(channel, "pinterest")
    assert (pin["title"], pin["more"]["cover"]) == ("A reef at night & day", 2.5)
    assert '"Reef" by Ann' in pin["text"]
    calls = (await channel.state())["calls"]
    assert (calls["pinterest.store"], calls["pinterest.post"], calls["pinterest.boards"]) == (1, 1, 1)


FAULTS: dict[str, dict[str, Any]] = {
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429, "retry_after_s": 90},
    "429-bare": {"kind": "status", "status": 429},
    "401": {"kind": "status", "status": 401},
    "408": {"kind": "status", "status": 408},
    "lost": {"kind": "accept_then_timeout", "delay_s": 0},
    "cut": {"kind": "truncate", "after_bytes": 5},
    "broken": {"kind": "drop_mid_body", "after_bytes": 9},
}
AFTER_IT_ALL = {"lost", "cut", "broken"}
"""Faults that strike after the platform did what it was asked."""
PLACES = [
    ("x", "init", 0), ("x", "append", 0), ("x", "append", 3), ("x", "finalize", 0), ("x", "status", 0),
    ("x", "post", 0),
    ("linkedin", "videos", 0), ("linkedin", "part", 0), ("linkedin", "part", 3), ("linkedin", "videos", 1),
    ("linkedin", "video", 0), ("linkedin", "post", 0),
    ("pinterest", "boards", 0), ("pinterest", "media", 0), ("pinterest", "store", 0), ("pinterest", "status", 0),
    ("pinterest", "status", 1), ("pinterest", "post", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    "kinds", [sorted(set(FAULTS) - {"lost", "broken"}), ["lost"], ["broken"]], ids=["told", "lost", "broken"]
)
@pytest.mark.parametrize(("platform", "place", "skip"), PLACES)
async def test_any_fault_anywhere_leaves_one_post_or_the_reason(
    platform: str, place: str, skip: int, kinds: list[str], channel: Channel
) -> None:
    """A lost answer that is sent again is a second post; one that is taken for a failure is a lost one."""
    await channel.connect_to(platform)
    for kind in kinds:
        fault = FAULTS[kind]
        item = f"internet_archive:{kind}"
        request = await asked(channel, platform, item_id=ItemId(item), title=f"A reef {kind}", destination={})
        await channel.fault(f"{platform}.{place}", skip=skip, **fault)
        await channel.settle(request)
        row = await row_of(channel, item)
        made = [post for post in await channel.posted(platform) if kind in f"{post['title']} {post['text']}".split()]
        assert len(made) <= 1, kind
        struck = (await channel.state())["faults"]
        assert not struck, f"{kind} never struck: {struck}"
        if place == "post" and (kind in {"503", "408"} or (platform == "linkedin" and kind == "lost")):
            assert row["state"] == "unconfirmed", (kind, row["state"], row["because"])
            assert row["because"], "the reason is told"
            assert len(made) == (1 if kind in AFTER_IT_ALL else 0), kind
            continue
        assert (row["state"], row["platform_post_id"]) == ("published", made[0]["id"]), (kind, row["because"])
        assert made[0]["sha256"] == hashlib.sha256(VIDEO).hexdigest(), kind


async def test_segments_that_x_has_are_not_sent_again(channel: Channel) -> None:
    """An upload that breaks near its end begins anew, again and again over a bad line."""
    await channel.connect_to("x")
    await channel.fault("x.append", "status", skip=3, status=503)
    assert await channel.settle(await asked(channel, "x")) == "ack"
    await only(channel, "x")
    calls = (await channel.state())["calls"]
    assert (calls["x.append"], calls["x.init"]) == (SEGMENTS + 1, 1)


async def test_a_lost_post_on_x_is_found_by_its_words(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """X gives texts back with short links and HTML entities: a comparison letter by letter finds nothing."""
    await channel.connect_to("x")
    monkeypatch.setattr(
        "actors.platforms._x.posts.as_list",
        lambda told: told if isinstance(told, list) and not any(str(one).startswith("13_") for one in told) else [],
    )  # the media keys are not told
    await channel.fault("x.post", "accept_then_timeout", delay_s=0)
    request = await asked(channel, "x", title="Reef & <sea>, e\u0301te\u0301", description="see example.org/a")
    assert await channel.settle(request) == "ack"
    post = await only(channel, "x")
    assert "https://archive.org/details/reef" in post["text"] or "example.org" in post["text"]
    assert (await channel.state())["calls"]["x.timeline"] == 1


async def test_the_same_words_again_are_refused_by_x(channel: Channel) -> None:
    """A second item with the same words ends without anybody knowing why."""
    await channel.connect_to("x")
    assert await channel.settle(await asked(channel, "x")) == "ack"
    again = await asked(channel, "x", item_id=ItemId("internet_archive:other"))
    assert await channel.settle(again) == "term"
    row = await row_of(channel, "internet_archive:other")
    assert row["state"] == "failed"
    assert "same text as an earlier post" in row["because"]
    assert "change the words" in row["next_action"]
    assert len(await channel.posted("x")) == 1


async def test_used_up_money_waits_for_the_next_day(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post that X refuses for want of credits is no broken post, and hammering brings no credits."""
    monkeypatch.setattr(_x_people, "CREDITS_MILLIS", 200)
    await channel.connect_to("x")
    assert await channel.settle(await asked(channel, "x")) == "ack"
    other = await asked(channel, "x", item_id=ItemId("internet_archive:other"), title="Another")
    delay_s = 0.0
    for delivery in range(1, 6):
        _, delay_s = await channel.deliver(other, delivery=delivery)
        if delay_s > 600:
            break
        channel.clock.turn(delay_s)
    row = await row_of(channel, "internet_archive:other")
    assert "credits or the spending limit are used up" in row["because"]
    assert (await channel.state())["calls"]["x.post"] == 2
    channel.clock.turn(delay_s)
    assert await channel.settle(other) == "ack"
    assert len(await channel.posted("x")) == 2


@pytest.mark.parametrize("platform", ["x", "pinterest", "linkedin"])
async def test_an_upload_that_ended_begins_anew(platform: str, channel: Channel) -> None:
    """Media ids, forms and addresses of parts end: a post that waited too long hangs for ever."""
    await channel.connect_to(platform, life_s=400 * 86_400)
    place = {"x": "x.append", "pinterest": "pinterest.store", "linkedin": "linkedin.part"}[platform]
    await channel.fault(place, "status", status=503)
    request = await asked(channel, platform)
    answered, _ = await channel.deliver(request)
    assert answered == "nak"
    channel.clock.turn(31 * 86_400)
    assert await channel.settle(request, first=2) == "ack"
    await only(channel, platform)


@pytest.mark.parametrize("platform", ["x", "pinterest", "linkedin"])
async def test_a_token_that_ends_on_the_way_is_renewed(platform: str, channel: Channel) -> None:
    """A token that dies while the platform works on the video costs the post."""
    await channel.connect_to(platform)
    request = await asked(channel, platform)
    assert (await channel.deliver(request))[0] == "nak"
    await channel.ask("POST", f"/sandbox/people/{platform}/expire")
    assert await channel.settle(request, first=2) == "ack"
    await only(channel, platform)
    assert (await channel.state())["calls"][f"{platform}.token"] == 1


async def test_without_a_refresh_token_a_person_connects_linkedin_again(channel: Channel) -> None:
    """Apps that are not approved get no refresh token: after 60 days the post waits, and says for whom."""
    name = await channel.connect_to("linkedin")
    tokens = await channel.services.tokens.get(name, linkedin.OAUTH)
    await channel.db.execute("delete from accounts")
    await channel.services.tokens.store(
        name, "linkedin", "creator", msgspec.structs.replace(tokens, refresh_token=None)
    )
    request = await asked(channel, "linkedin")
    assert (await channel.deliver(request))[0] == "nak"
    await channel.ask("POST", "/sandbox/people/linkedin/expire")
    assert await channel.settle(request, first=2) == "ack"
    row = await channel.post()
    assert row["state"] == "waiting"
    assert "connect" in row["next_action"]
    assert await channel.posted("linkedin") == []


async def test_linkedin_posts_for_an_organisation(channel: Channel) -> None:
    """Who posts for a page by mistake posts as themselves."""
    options = {"options": {"author": "urn:li:organization:2414183"}}
    await channel.connect_to("linkedin")
    assert await channel.settle(await asked(channel, "linkedin", destination=options)) == "term"
    row = await channel.post()
    assert row["state"] == "failed"
    assert "w_organization_social" in row["next_action"]
    await connect_with(channel, "linkedin", "w_organization_social", "r_organization_social")
    await channel.fault("linkedin.post", "accept_then_timeout", delay_s=0)
    other = await asked(channel, "linkedin", item_id=ItemId("internet_archive:2"), destination=options)
    assert await channel.settle(other) == "ack"
    (post,) = await channel.posted("linkedin")
    assert post["more"]["author"] == "urn:li:organization:2414183"


async def test_a_retired_version_of_linkedin_is_named(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """LinkedIn retires versions: without words for it every post fails with a bare number."""
    monkeypatch.setattr(_linkedin_posts, "VERSIONS", {"202709"})
    await channel.connect_to("linkedin")
    assert await channel.settle(await asked(channel, "linkedin")) == "term"
    row = await channel.post()
    assert "no longer answers to version 202608" in row["because"]
    assert "newer ettametta" in row["next_action"]


async def test_a_pin_goes_to_the_board_that_is_named(channel: Channel) -> None:
    """With several boards a guess puts pins where nobody looks for them."""
    name = await channel.connect_to("pinterest")
    token = await channel.services.tokens.access_token(name, platforms.module("pinterest").OAUTH)  # type: ignore[attr-defined]
    base, headers = channel.services.settings.api_url("pinterest", ""), {"Authorization": f"Bearer {token}"}
    made = await channel.services.http.request("POST", f"{base}/boards", headers=headers, json={"name": "Deep sea"})
    assert await channel.settle(await asked(channel, "pinterest")) == "term"
    row = await channel.post()
    assert row["because"] == "the account has several boards, and none is named"
    assert f"{made.json()['id']} (Deep sea)" in row["next_action"]
    assert "pinterest.media" not in (await channel.state())["calls"]
    named = {"options": {"board_id": made.json()["id"]}}
    other = await asked(channel, "pinterest", item_id=ItemId("internet_archive:2"), destination=named)
    assert await channel.settle(other) == "ack"
    (pin,) = await channel.posted("pinterest")
    assert pin["more"]["board_id"] == made.json()["id"]
