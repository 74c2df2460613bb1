"""One work that is posted to several platforms, as the status page and its data show it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest

from actors.publisher.remedy import Remedy
from actors.runtime.clock import Clock
from actors.runtime.db import Database
from actors.runtime.settings import Settings
from deploy.ask import render_status
from tests.integration.test_gateway_http import Gateway, add_item, gateway_on


@pytest.fixture
async def gateway(settings_of: Callable[[str], Settings]) -> AsyncIterator[Gateway]:
    async with gateway_on(settings_of("gateway")) as found:
        yield found


async def posted(database: Database, platform: str, state: str, *, minutes: int, because: str = "") -> None:
    """Add a post of the item, intended some minutes from now."""
    await database.execute(
        "insert into posts (post_id, item_id, platform, state, because, url, draft, object_key, size_bytes,"
        " correlation_id, request, intent_at) values ($1, 'work', $1, $2, $3,"
        " case when $2 = 'published' then 'https://' || $1 || '.example/1' end, '{}', 'k', 1, 'c', '{}',"
        " now() + make_interval(mins => $4))",
        platform,
        state,
        because,
        minutes,
    )


@pytest.mark.parametrize("state", ["unconfirmed", "failed", "removed", "waiting"])
async def test_a_post_that_needs_a_person_is_not_hidden_by_a_newer_one(
    state: str, gateway: Gateway, database: Database
) -> None:
    """If it fails, what went wrong on one platform is never seen once the work stands on another."""
    await add_item(database, "work", decision="imported", origin="import")
    await posted(database, "youtube", "published", minutes=0)
    await posted(database, "facebook", state, minutes=1, because="the <picture> is too wide")
    await posted(database, "x", "published", minutes=2)
    _, text = await gateway.get("/api/v1/status?stage=attention")
    told = json.loads(text)
    (item,) = told["items"]
    assert (item["stage"], item["post"]["platform"]) == (state, "facebook")
    assert [one["platform"] for one in item["others"]] == ["youtube", "x"]
    assert told["progress"]["posted"] == 1
    _, page = await gateway.get("/?view=attention")
    assert "The &lt;picture&gt; is too wide." in page
    for platform in ("youtube", "x"):
        assert f'href="https://{platform}.example/1"' in page
    _, text = await gateway.get("/api/v1/items/work")
    assert len(json.loads(text)["item"]["others"]) == 2

    await database.execute("update posts set settled = 'dropped' where platform = 'facebook'")
    _, text = await gateway.get("/api/v1/status")
    (item,) = json.loads(text)["items"]
    assert (item["stage"], item["post"]["platform"]) == ("published", "x")
    assert [(one["platform"], one["state"]) for one in item["others"]] == [
        ("youtube", "published"),
        ("facebook", state),
    ]
    _, page = await gateway.get("/")
    assert f"Facebook ({state})" in page


@pytest.mark.parametrize("state", ["removed", "failed"])
async def test_what_a_person_gave_up_needs_nobody_any_more(state: str, gateway: Gateway, database: Database) -> None:
    """If it fails, the list of what needs a person grows for ever, until nobody reads it."""
    await add_item(database, "work", decision="imported", origin="import")
    await posted(database, "mastodon", state, minutes=0, because="spam")
    _, page = await gateway.get("/?view=attention")
    assert "Spam." in page
    assert await Remedy(database, Clock()).dropped("mastodon")
    _, page = await gateway.get("/?view=attention")
    assert "Nothing needs you" in page
    _, text = await gateway.get("/api/v1/status")
    told = json.loads(text)
    (item,) = told["items"]
    assert (item["stage"], item["post"]["state"], told["stages"]["dropped"]) == ("dropped", state, 1)
    _, page = await gateway.get("/")
    assert "Given up" in page
    await database.execute("update posts set settled = null")
    _, page = await gateway.get("/?view=attention")
    assert "Nothing needs you" not in page, "it is noticed when it goes wrong again"


async def test_the_status_in_words_tells_of_every_post(gateway: Gateway, database: Database) -> None:
    """If it fails, a person at a terminal does not see where a work stands, or what went wrong on one platform."""
    await add_item(database, "work", decision="imported", origin="import")
    await posted(database, "youtube", "published", minutes=0, because="no subtitles: its language is not known")
    await posted(database, "facebook", "failed", minutes=1, because="the picture is too wide")
    await posted(database, "x", "published", minutes=2)
    await database.execute("update posts set next_action = 'add them by hand' where platform = 'youtube'")
    _, text = await gateway.get("/api/v1/status")
    lines = [line.strip() for line in render_status(json.loads(text)).splitlines()]
    told = lines[lines.index("facebook: failed the picture is too wide") :]
    assert told[:4] == [
        "facebook: failed the picture is too wide",
        "youtube: published https://youtube.example/1 no subtitles: its language is not known",
        "next: add them by hand",
        "x: published https://x.example/1",
    ]
    await add_item(database, "bare", decision="imported", origin="import")
    _, text = await gateway.get("/api/v1/status")
    assert "bare" in render_status(json.loads(text)), "an item without a post"
