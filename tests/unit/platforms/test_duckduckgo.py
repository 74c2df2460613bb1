"""DuckDuckGo: answers written by hand after the library that asks it, and the adapter against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.platforms.duckduckgo import DuckDuckGo, canonical, parse_results, parse_token
from contracts.errors import RateLimited, Retry
from tests.unit.platforms.drift import assert_withstands
from tests.unit.platforms.imitated import imitated, told

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = "...&vqd=4-123456&..."


def result(**changes: Any) -> dict[str, Any]:
    stated = {
        "title": "Reef &amp; night",
        "content": "http://www.youtube.com/watch?v=abcdefghijk&feature=share",
        "description": "Corals",
        "duration": "4:31",
        "embed_html": "",
        "embed_url": "",
        "image_token": "x",
        "images": {"large": "https://tse.example.org/a", "medium": "", "motion": "", "small": ""},
        "provider": "Bing",
        "published": "2026-11-13T12:00:00.0000000",
        "publisher": "YouTube",
        "statistics": {"viewCount": 1234},
        "uploader": "Ada",
    }
    return stated | changes


def answer(*results: Any) -> dict[str, Any]:
    return {"results": list(results)}


def test_result_names_a_page_elsewhere() -> None:
    """It must be joined with the same video found on its own platform, and never be taken for material."""
    (found,) = parse_results(answer(result()), at=AT)
    assert found.url == "https://www.youtube.com/watch?v=abcdefghijk"
    assert found.links == (found.url,)
    assert (found.title, found.creator, found.duration_us) == ("Reef & night", "Ada", 271_000_000)
    assert found.published_at == datetime(2026, 11, 13, 12, tzinfo=UTC)
    assert found.metrics.views == 1234
    assert set(found.metrics.absent) == {"likes", "comments", "shares"}
    assert (found.rights.licence, found.media_url) == ("unknown", None)
    assert "YouTube" in found.rights.note


def test_same_page_has_the_same_id() -> None:
    """Two spellings of one address would be two works."""
    first, second = parse_results(answer(result(), result(content="https://youtu.be/abcdefghijk?si=x")), at=AT)
    assert first.item_id == second.item_id


def test_views_that_are_not_told_are_unknown() -> None:
    """Zero views would rank a video that does not tell them below everything."""
    (found,) = parse_results(answer(result(statistics={"viewCount": None}, duration="live")), at=AT)
    assert found.metrics.views is None
    assert "views" in found.metrics.absent
    assert found.duration_us is None


def test_changed_answers_are_withstood() -> None:
    """A field that changes its type must not crash the scanner."""
    assert_withstands(answer(result()), lambda told: parse_results(told, at=AT))


@pytest.mark.parametrize(
    ("page", "token"),
    [
        ('<script>vqd="3-123_4";</script>', "3-123"),
        ("x=1&vqd=4-1234-5&y", "4-1234-5"),
        ("{vqd: '4-99'}", "4-99"),
        ('{"vqd":"4-77"}', "4-77"),
        ('<input type="hidden" name="vqd" value="4-55">', "4-55"),
    ],
)
def test_token_is_found(page: str, token: str) -> None:
    """Without the token there is no search; it stands in the page in several ways."""
    assert parse_token(page) == token


def test_page_without_a_token_is_tried_later() -> None:
    """A page that refuses must not pass for one without results."""
    with pytest.raises(Retry, match="no search token"):
        parse_token("<html>Unfortunately, bots use DuckDuckGo too.</html>")


@pytest.mark.parametrize(
    ("url", "one"),
    [
        ("https://m.youtube.com/shorts/abcdefghijk?feature=share", "https://www.youtube.com/watch?v=abcdefghijk"),
        ("https://www.youtube.com/watch?t=3&v=abcdefghijk", "https://www.youtube.com/watch?v=abcdefghijk"),
        ("https://www.youtube.com/@ada", "https://www.youtube.com/@ada"),
        ("https://dai.ly/x2fit7q", "https://www.dailymotion.com/video/x2fit7q"),
        ("https://player.vimeo.com/video/123?h=x", "https://vimeo.com/123"),
        ("https://Tube.Example.org/w/a?utm_source=x&id=7#t", "https://tube.example.org/w/a?id=7"),
        ("https://a.b", "https://a.b/"),
        ("https://a.b:8443/c", "https://a.b:8443/c"),
        ("javascript:alert(1)", None),
        ("https://a.b:99999/c", None),
        ("not an address", None),
    ],
)
def test_canonical_address(url: str, one: str | None) -> None:
    """Reposted links differ in what only traces their reader."""
    assert canonical(url) == one


async def test_two_requests_that_name_this_product(tmp_path: Path) -> None:
    """A client that hides behind a browser's name is not wanted here; a third request would be one too many."""
    async with told(DuckDuckGo, tmp_path, PAGE, answer(result()), options={}) as (platform, adapter, clock):
        found = await adapter.discover("deep sea", limit=5)
        assert (await adapter.discover("deep sea", limit=5)) == found
        page, search = platform.asked
        assert (page.path, search.path) == ("/", "/v.js")
        assert (search.query["vqd"], search.query["q"], search.query["o"]) == ("4-123456", "deep sea", "json")
        assert search.query["f"].count(",") == 3
        assert search.headers["User-Agent"].startswith("ettametta/")
        clock.turn(minutes=31)
        platform.answers = [PAGE, answer(result())]
        assert len(await adapter.discover("deep sea", limit=5)) == 1
        assert len(platform.asked) == 4, "an old token is not used again"


@pytest.mark.parametrize("status", [202, 403, 418, 429])
async def test_every_kind_of_refusal_is_obeyed(tmp_path: Path, status: int) -> None:
    """A site that wants peace and is asked again bans its user; 202 looks like success."""
    async with told(DuckDuckGo, tmp_path, PAGE, options={}) as (platform, adapter, clock):
        platform.status = status
        with pytest.raises(RateLimited) as caught:
            await adapter.discover("sea", limit=5)
        assert (caught.value.until - clock.now()).total_seconds() == 900
        with pytest.raises(RateLimited):
            await adapter.discover("another", limit=5)
        assert len(platform.asked) == 1


async def test_sandbox_is_read(tmp_path: Path) -> None:
    """The whole way, with the imitation's own check of the token and its own refusal."""
    async with imitated("duckduckgo", tmp_path) as there:
        found = await there.adapter.discover("street food", limit=50)
        assert len(found) == 6
        assert (await there.calls("token"), await there.calls("search")) == (1, 1)
        assert await there.adapter.discover("nowhere zzqx", limit=5) == ()
