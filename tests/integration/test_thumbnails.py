"""Thumbnails decide where title and length leave a doubt; they come over real HTTP and are read in a child."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from actors.ranker.entries import Seen, counts_of
from actors.ranker.ingest import ingest
from actors.ranker.thumbnails import MAX_BYTES, look_at_thumbnails
from actors.runtime.db import Database
from contracts.ids import ItemId
from contracts.platform import Candidate, Metrics
from contracts.rights import RightsRecord
from tests.channel import Channel, connected_channel

TITLE = "Two words"
LENGTH_US = 187_400_000


def picture(seed: int, *, width: int = 320, kind: str = "JPEG") -> bytes:
    """Return a picture of smooth spots that another seed does not resemble, at any size the same."""
    chance = np.random.default_rng(seed)
    spots = Image.fromarray(chance.integers(0, 255, (9, 9), dtype=np.uint8))
    large = spots.resize((width, width), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    large.save(out, kind)
    return out.getvalue()


class Pictures:
    """A host of thumbnails that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies = {
            "same-large.jpg": picture(1),
            "same-small.png": picture(1, width=120, kind="PNG"),
            "other.jpg": picture(2),
            "broken.jpg": picture(1)[:200],
            "huge.jpg": b"\xff\xd8\xff" + b"0" * (MAX_BYTES + 1),
        }

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append(name)
        if name == "away":
            return web.Response(status=302, headers={"Location": "http://127.0.0.2:1/private.jpg"})
        body = self.bodies.get(name)
        return web.Response(status=404) if body is None else web.Response(body=body)


@pytest.fixture
async def pictures() -> AsyncIterator[tuple[Pictures, Callable[[str], str]]]:
    host = Pictures()
    app = web.Application()
    app.router.add_get("/{name}", host.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        yield host, lambda name: str(server.make_url(f"/{name}"))


@pytest.fixture
async def channel(
    database: Database, tmp_path: Path, pictures: tuple[Pictures, Callable[[str], str]]
) -> AsyncIterator[Channel]:
    async with connected_channel(database, tmp_path, actor="ranker") as found:
        # As an operator's own mirror: only so may a loopback address be fetched at all.
        found.services.settings.api_urls["mirror"] = pictures[1]("")
        yield found


async def put(channel: Channel, platform: str, thumbnail: str | None, **given: Any) -> str:
    one = Candidate(
        item_id=ItemId(f"{platform}:1"),
        platform=platform,
        platform_id="1",
        url=f"https://{platform}.invalid/1",
        title=given.get("title", TITLE),
        duration_us=given.get("duration_us", LENGTH_US),
        thumbnail_url=thumbnail,
        observed_at=datetime.now(UTC),
        metrics=Metrics(views=5),
        rights=RightsRecord(licence="unknown"),
    )
    async with channel.db.transaction() as conn:
        await ingest(conn, [Seen(candidate=one, counts=(counts_of(one),))])
    return one.item_id


async def works(channel: Channel) -> set[frozenset[str]]:
    rows = await channel.db.fetch("select array_agg(item_id) as items from marks group by work_id")
    return {frozenset(row["items"]) for row in rows}


async def test_the_same_picture_joins_what_a_short_title_left_apart(
    channel: Channel, pictures: tuple[Pictures, Callable[[str], str]]
) -> None:
    """A repost with a short title would be made into a second video."""
    host, at = pictures
    a = await put(channel, "youtube", at("same-large.jpg"))
    b = await put(channel, "reddit", at("same-small.png"))
    assert await works(channel) == {frozenset({a}), frozenset({b})}
    await look_at_thumbnails(channel.services)
    assert await works(channel) == {frozenset({a, b})}
    because = await channel.db.fetch("select because from marks where because <> ''")
    assert any("of 64 bits apart" in row["because"] for row in because)
    asked = len(host.asked)
    await look_at_thumbnails(channel.services)
    assert len(host.asked) == asked, "a picture that was looked at is not fetched again"


async def test_other_pictures_stay_apart(channel: Channel, pictures: tuple[Pictures, Callable[[str], str]]) -> None:
    """Two videos with a common title must not become one."""
    _, at = pictures
    a = await put(channel, "youtube", at("same-large.jpg"))
    b = await put(channel, "reddit", at("other.jpg"))
    await look_at_thumbnails(channel.services)
    assert await works(channel) == {frozenset({a}), frozenset({b})}


async def test_only_what_may_be_decided_is_fetched(
    channel: Channel, pictures: tuple[Pictures, Callable[[str], str]]
) -> None:
    """A request for every thumbnail of every scan would be a burden to the platforms."""
    host, at = pictures
    await put(channel, "youtube", at("same-large.jpg"))
    await put(channel, "reddit", at("other.jpg"), duration_us=LENGTH_US + 60_000_000)
    await put(channel, "vimeo", at("other.jpg"), title="Quite another title")
    await look_at_thumbnails(channel.services)
    assert host.asked == []


@pytest.mark.parametrize("name", ["broken.jpg", "huge.jpg", "missing.jpg", "away"])
async def test_a_bad_picture_decides_nothing_and_is_not_asked_for_again(
    channel: Channel, pictures: tuple[Pictures, Callable[[str], str]], name: str
) -> None:
    """A broken, endless, missing or misleading picture must harm nothing and cost one request."""
    host, at = pictures
    a = await put(channel, "youtube", at("same-large.jpg"))
    b = await put(channel, "reddit", at(name))
    for _ in range(2):
        await look_at_thumbnails(channel.services)
    assert await works(channel) == {frozenset({a}), frozenset({b})}
    assert host.asked.count(name) == 1


async def test_a_private_address_is_never_asked(
    channel: Channel, pictures: tuple[Pictures, Callable[[str], str]]
) -> None:
    """A stranger's answer could make this machine ask its own services."""
    host, at = pictures
    del channel.services.settings.api_urls["mirror"]
    await put(channel, "youtube", at("same-large.jpg"))
    await put(channel, "reddit", at("same-small.png"))
    await look_at_thumbnails(channel.services)
    assert host.asked == []
