"""What posts have in common: addresses, languages, moments, counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from actors.platforms._posts import (
    Page,
    by_cursor,
    from_unix,
    is_video_page,
    language_tag,
    length_us,
    links_of,
    metrics_of,
    unlicensed,
    web_address,
)
from contracts.errors import Retry
from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord, may

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("page", "shows"),
    [
        ("https://www.youtube.com/watch?v=abc", True),
        ("https://m.youtube.com/shorts/abc", True),
        ("https://youtu.be/abc", True),
        ("https://www.youtube.com/@somebody", False),
        ("https://youtu.be/", False),
        ("https://vimeo.com/12345", True),
        ("https://vimeo.com/about", False),
        ("https://www.tiktok.com/@a/video/1", True),
        ("https://www.tiktok.com/@a", False),
        ("https://v.redd.it/abc", True),
        ("https://x.com/a/status/1/video/1", True),
        ("https://x.com/a/status/1", False),
        ("https://notyoutube.com/watch?v=abc", False),
        ("https://youtube.com.example.org/watch?v=abc", False),
        ("https://[broken/watch", False),
    ],
)
def test_pages_of_videos_are_known(page: str, shows: bool) -> None:  # noqa: FBT001
    """A post with a link to an article is no video; one with a link to a video is missed."""
    assert is_video_page(page) is shows


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        "",
        "javascript:alert(1)",
        "//example.org/a",
        "https://",
        "https://exa mple.org",
        "https://a.b/\x00",
        "http://[1/",
    ],
)
def test_what_is_no_web_address_is_none(told: Any) -> None:
    """An address that is shown as a link runs as a script, or breaks the page."""
    assert web_address(told) is None


def test_links_are_given_once() -> None:
    """A link twice is a video that is counted twice."""
    links = links_of(["https://a.example/1", None, "https://b.example/2", "https://a.example/1", "mailto:a@b.c"])
    assert links == ("https://a.example/1", "https://b.example/2")


@pytest.mark.parametrize(
    ("told", "tag"),
    [
        ("en", "en"),
        ("pt-BR", "pt-BR"),
        ("und", None),
        ("zxx", None),
        ("qme", None),
        ("other", None),
        ("", None),
        (7, None),
    ],
)
def test_language_that_is_not_determined_is_none(told: Any, tag: str | None) -> None:
    """A language that stands for none would be that of the captions."""
    assert language_tag(told) == tag


@pytest.mark.parametrize("told", [None, True, "1", float("nan"), float("inf"), 1e300, -1, 0])
def test_no_moment_is_none(told: Any) -> None:
    """A moment in 1970 makes an old video of a new one."""
    assert from_unix(told) is None


def test_lengths_and_moments() -> None:
    """A length in the wrong unit is a video a thousand times too long."""
    assert from_unix(1479253656.0) == datetime(2016, 11, 15, 23, 47, 36, tzinfo=UTC)
    assert [length_us(told) for told in (22.3, 12, 0, -1, True, "12", None, float("nan"))] == [
        22_300_000,
        12_000_000,
        *[None] * 6,
    ]


def test_each_unknown_count_has_its_reason() -> None:
    """Unknown that looks like zero makes a flop of what may be a winner."""
    metrics = metrics_of({"views": "not told"}, likes=0, comments=3)
    assert (metrics.views, metrics.likes, metrics.comments, metrics.shares) == (None, 0, 3, None)
    assert metrics.absent == {"views": "not told", "shares": "not in the answer"}


def test_work_without_a_licence_is_a_signal_only() -> None:
    """Somebody else's work would be used."""
    rights = unlicensed("Reddit", title="A", author=None, page="https://a.example", at=AT)
    assert not may("download", rights, at=AT).allowed
    assert "Reddit gives no licence" in rights.note


def seen(*names: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            item_id=ItemId(f"p:{name}"),
            platform="p",
            platform_id=name,
            url=f"https://p.example/{name}",
            title=name,
            observed_at=AT,
            rights=RightsRecord(licence="unknown", title=name),
        )
        for name in names
    )


PAGES: dict[str | None, Page] = {
    None: (seen("a", "b"), "2"),
    "2": (seen("b", "c"), "3"),
    "3": (seen("d"), None),
}


@pytest.mark.parametrize(
    ("limit", "most_pages", "found", "asked"),
    [
        (1, 9, "ab", [None]),
        (3, 9, "abc", [None, "2"]),
        (9, 2, "abc", [None, "2"]),
        (9, 9, "abcd", [None, "2", "3"]),
    ],
)
async def test_pages_are_read_until_there_is_enough(
    limit: int, most_pages: int, found: str, asked: list[str | None]
) -> None:
    """A request too many spends quota for nothing; one work on two pages would count twice."""
    cursors: list[str | None] = []

    async def read(cursor: str | None) -> Page:
        cursors.append(cursor)
        return PAGES[cursor]

    got = await by_cursor(read, platform="p", limit=limit, most_pages=most_pages)
    assert ("".join(one.platform_id for one in got), cursors) == (found, asked)


@pytest.mark.parametrize("broken", [None, "2"])
async def test_a_page_that_fails_costs_what_is_behind_it(broken: str | None) -> None:
    """A fault on a later page would throw away what was found; one on the first would pass for nothing found."""

    async def read(cursor: str | None) -> Page:
        if cursor == broken:
            raise Retry("away")
        return PAGES[cursor]

    if broken is None:
        with pytest.raises(Retry):
            await by_cursor(read, platform="p", limit=9, most_pages=9)
    else:
        got = await by_cursor(read, platform="p", limit=9, most_pages=9)
        assert [one.platform_id for one in got] == ["a", "b"]
