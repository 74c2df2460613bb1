"""X, LinkedIn and Pinterest asked in the name of an account: who it is, what its posts brought, how they stand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import platforms
from actors.runtime import oauth
from actors.runtime.db import Database
from contracts.errors import AuthExpired, Reject
from contracts.ids import AccountId
from contracts.platform import Draft, PostMetrics
from deploy.sandbox.feeds import _linkedin_posts
from tests.channel import Channel, connected_channel
from tests.journal import Notes

VIDEO = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 400
NAMES = ["x", "linkedin", "pinterest"]
READS = ("r_member_social", "r_member_postAnalytics")
COUNTS = {name for name in PostMetrics.__struct_fields__ if name != "absent"}


@pytest.fixture
async def channel(database: Database, tmp_path: Path) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, processing_polls=0) as found:
        yield found


async def connect(channel: Channel, platform: str, *more: str) -> AccountId:
    """Connect an account whose permission has these scopes beside the usual ones."""
    client = platforms.module(platform).OAUTH  # type: ignore[attr-defined]  # these three have one
    name = await channel.connect_to(platform)
    if more:
        wanted = {"account": "creator", "scopes": [*client.scopes, *more]}
        told = await channel.ask("POST", f"/sandbox/people/{platform}/grant", wanted)
        tokens = await channel.services.tokens.get(name, client)
        fresh = msgspec.structs.replace(tokens, access_token=told["access"], refresh_token=told["refresh"])
        await channel.services.tokens.store(name, platform, "creator", fresh)
    return name


async def posted(channel: Channel, platform: str, account: AccountId, folder: Path, title: str = "Reef") -> str:
    """Post a video with the adapter alone; return its id."""
    adapter: Any = platforms.build(platform, channel.services)
    draft = Draft(marker="ett1", title=title, description="Words", caption=f"{title}. Words", privacy="public")
    file = folder / "video.mp4"
    file.write_bytes(VIDEO)
    opened = await adapter.open_session(account, draft, size_bytes=len(VIDEO))
    return str((await adapter.send(account, draft, opened, file, Notes())).platform_post_id)


@pytest.mark.parametrize("name", NAMES)
async def test_whose_account_it_is(name: str, channel: Channel) -> None:
    """An account that is connected under a wrong id posts as somebody else, or twice under two names."""
    module: Any = platforms.module(name)
    account = await channel.connect_to(name, account="ann")
    services = channel.services
    token = await services.tokens.access_token(account, module.OAUTH)
    found = await module.identify(services.http, services.settings, token, now=services.clock.now())
    assert found.account_id == f"{name}:ann" == account
    assert found.title
    with pytest.raises(Reject):
        await module.identify(services.http, services.settings, "wrong", now=services.clock.now())


@pytest.mark.parametrize("name", NAMES)
async def test_tokens_are_renewed_and_withdrawn(name: str, channel: Channel) -> None:
    """A client that is told in the wrong way loses every account when its first token ends."""
    client = platforms.module(name).OAUTH  # type: ignore[attr-defined]
    account = await channel.connect_to(name)
    services = channel.services
    old = await services.tokens.get(account, client)
    new = await oauth.refresh(client, services.settings, old, now=services.clock.now())
    assert new.access_token != old.access_token
    assert set(new.scopes) == set(client.scopes)
    if name == "linkedin":
        assert new.refresh_token == old.refresh_token
        return
    assert new.refresh_token != old.refresh_token
    with pytest.raises(oauth.GrantGone):
        await oauth.refresh(client, services.settings, old, now=services.clock.now())


@pytest.mark.parametrize("name", NAMES)
async def test_counts_of_own_posts(name: str, channel: Channel, tmp_path: Path) -> None:
    """Zeros where nothing is known spoil every average; a post that is gone must not be measured as a failure."""
    account = await connect(channel, name, *(READS if name == "linkedin" else ()))
    first = await posted(channel, name, account, tmp_path)
    gone = await posted(channel, name, account, tmp_path, "Another")
    channel.clock.turn(3 * 3600)
    await channel.ask("POST", f"/sandbox/people/{name}/posts/{gone}", {"state": "removed"})
    adapter: Any = platforms.build(name, channel.services)
    found = await adapter.measure(account, (first, gone))
    assert set(found) == {first}
    counts = found[first]
    assert set(counts.absent) == {one for one in COUNTS if getattr(counts, one) is None}
    known = {
        "x": {"views", "likes", "comments", "shares", "saves", "impressions", "clicks", "retention"},
        "linkedin": {"likes", "comments", "shares", "reach", "impressions"},
        "pinterest": {"views", "likes", "comments", "saves", "impressions", "clicks", "followers"},
    }[name]
    assert COUNTS - set(counts.absent) == known
    assert counts.impressions > 0
    if counts.retention is not None:
        assert [part for part, _ in counts.retention] == [0.0, 0.25, 0.5, 0.75, 1.0]


async def test_x_tells_the_private_counts_for_thirty_days(channel: Channel, tmp_path: Path) -> None:
    """Clicks that fall to zero on the thirty-first day would look like an end of interest."""
    account = await channel.connect_to("x", life_s=90 * 86_400)
    post = await posted(channel, "x", account, tmp_path)
    channel.clock.turn(31 * 86_400)
    adapter: Any = platforms.build("x", channel.services)
    counts = (await adapter.measure(account, (post,)))[post]
    assert (counts.clicks, counts.retention) == (None, None)
    assert counts.views > 0
    assert "30 days" in counts.absent["clicks"]


async def test_pins_older_than_the_analytics_keep_what_is_told_of_their_life(channel: Channel, tmp_path: Path) -> None:
    """A sum of the last 90 days that passes for the whole makes old pins shrink."""
    account = await channel.connect_to("pinterest", life_s=400 * 86_400)
    pin = await posted(channel, "pinterest", account, tmp_path)
    channel.clock.turn(120 * 86_400)
    adapter: Any = platforms.build("pinterest", channel.services)
    counts = (await adapter.measure(account, (pin,)))[pin]
    assert counts.views is None
    assert "last 90 days" in counts.absent["views"]
    assert counts.impressions > 0


async def test_linkedin_tells_most_apps_nothing(channel: Channel, tmp_path: Path) -> None:
    """An app without the rare scopes must hear why there are no numbers, and ask no more than it must."""
    account = await channel.connect_to("linkedin")
    posts = tuple([await posted(channel, "linkedin", account, tmp_path, title) for title in ("One", "Two", "Three")])
    adapter: Any = platforms.build("linkedin", channel.services)
    found = await adapter.measure(account, posts)
    assert set(found) == set(posts)
    assert all(set(one.absent) == COUNTS for one in found.values())
    assert "r_member_postAnalytics" in found[posts[2]].absent["impressions"]
    assert (await channel.state())["calls"]["linkedin.statistics"] == 1
    standing = await adapter.look(account, posts)
    assert {one.state for one in standing.values()} == {"unknown"}


@pytest.mark.parametrize(
    ("name", "state", "told"),
    [
        ("x", "stands", "stands"), ("x", "removed", "removed"), ("x", "blocked", "blocked"),
        ("x", "private", "private"),
        ("linkedin", "stands", "stands"), ("linkedin", "removed", "removed"), ("linkedin", "blocked", "blocked"),
        ("linkedin", "processing", "processing"),
        ("pinterest", "stands", "stands"), ("pinterest", "removed", "removed"), ("pinterest", "blocked", "blocked"),
    ],
)  # fmt: skip
async def test_what_became_of_a_post(name: str, state: str, told: str, channel: Channel, tmp_path: Path) -> None:
    """A post that was taken down goes unnoticed, and the next ones follow it."""
    account = await connect(channel, name, *(READS if name == "linkedin" else ()))
    post = await posted(channel, name, account, tmp_path)
    await channel.ask("POST", f"/sandbox/people/{name}/posts/{post}", {"state": state})
    adapter: Any = platforms.build(name, channel.services)
    found = (await adapter.look(account, (post,)))[post]
    assert found.state == told
    assert found.because or told == "stands"


async def test_older_spelling_of_fields_is_spoken_where_the_newer_is_not_known(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X's own pages disagree about the parameter's name: with the wrong one nothing is measured or found."""
    account = await channel.connect_to("x")
    post = await posted(channel, "x", account, tmp_path)
    monkeypatch.setattr("deploy.sandbox.feeds._x_people._FIELDS", {"tweet.fields", "expansions", "media.fields"})
    adapter: Any = platforms.build("x", channel.services)
    for calls in (2, 3):  # the second time it is known
        assert set(await adapter.measure(account, (post,))) == {post}
        assert (await channel.state())["calls"]["x.posts"] == calls


async def test_trends_in_the_name_of_a_connected_account(channel: Channel) -> None:
    """Who connected an account must not paste a token that ends every 30 days as well."""
    options = {
        key: value for key, value in channel.services.settings.options.items() if key != "pinterest_access_token"
    }
    settings = msgspec.structs.replace(channel.services.settings, options=options)
    values = {name: getattr(channel.services, name) for name in channel.services.__dataclass_fields__}
    services = type(channel.services)(**{**values, "settings": settings})
    adapter: Any = platforms.build("pinterest", services)
    with pytest.raises(Reject, match="no Pinterest account is connected"):
        await adapter.trends(region="US", limit=5)
    account = await channel.connect_to("pinterest")
    assert len(await adapter.trends(region="US", limit=5)) == 5
    await channel.ask("POST", "/sandbox/people/pinterest/expire")
    assert len(await adapter.trends(region="CA", limit=5)) == 5
    await channel.fault("pinterest.search", "status", status=401, times=2)
    with pytest.raises(AuthExpired) as gone:
        await adapter.trends(region="DE", limit=5)
    assert gone.value.account == account


async def test_a_file_that_is_no_video_is_refused_with_the_platforms_words(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video that a platform cannot read must end with its reason, not in endless waiting."""
    monkeypatch.setattr("tests.integration.test_xlp_reading.VIDEO", b"no video" * 10_000)
    async with connected_channel(database, tmp_path) as channel:
        await channel.ask("PATCH", "/sandbox/settings", {"check_media": True, "processing_polls": 1})
        for name in NAMES:
            account = await channel.connect_to(name)
            adapter: Any = platforms.build(name, channel.services)
            draft = Draft(marker="ett1", title="Reef", description="", caption="Reef", privacy="public")
            (tmp_path / "video.mp4").write_bytes(VIDEO)
            notes = Notes()
            checkpoint = await adapter.open_session(account, draft, size_bytes=len(VIDEO))
            refused: Exception | None = None
            for _ in range(4):
                try:
                    await adapter.send(account, draft, checkpoint, tmp_path / "video.mp4", notes)
                except Exception as error:  # noqa: BLE001 - whatever comes is looked at
                    refused, checkpoint = error, notes.kept[-1]
            assert isinstance(refused, Reject), name
            assert "could not process the video" in refused.reason
            assert await channel.posted(name) == []


def test_parts_of_the_imitation_are_those_of_the_page() -> None:
    """An imitation with other offsets would not show a slip by one."""
    assert _linkedin_posts.PART_BYTES == 4_194_303 + 1
