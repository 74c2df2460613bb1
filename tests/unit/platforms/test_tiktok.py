"""TikTok: its answers and errors, and which way the settings allow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from actors.platforms._app_token import TokenRefused
from actors.platforms.tiktok import (
    CAPS,
    NEEDS,
    fault_of,
    parse_own,
    parse_researched,
    query_for,
    way_of,
)
from actors.runtime.http import Response
from actors.runtime.settings import Settings
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.recorded import recorded
from tests.unit.platforms.tiktok_answers import AT, BIG_ID, OWN, own, researched


def test_researched_video_becomes_a_candidate() -> None:
    """The ranker and people see a video by these fields."""
    (found,) = parse_researched([researched()], at=AT)
    assert (found.item_id, found.platform_id) == (f"tiktok:{BIG_ID}", str(BIG_ID))
    assert found.url == f"https://www.tiktok.com/@user.gerageda_1/video/{BIG_ID}"
    assert (found.title, found.tags) == ("Corals at night #DeepSea", ("deepsea", "night"))
    assert (found.creator, found.duration_us) == ("user.gerageda_1", 61_000_000)
    assert found.published_at == datetime(2024, 12, 4, 23, 40, 14, tzinfo=UTC)
    counts = found.metrics
    assert (counts.views, counts.likes, counts.comments, counts.shares) == (1_585_253, 38_884, 504, 2_124)
    assert counts.absent == {}
    assert "non-commercial research only" in found.rights.note


def test_own_video_becomes_a_candidate() -> None:
    """Own videos tell what grows on the own account, and their pictures' size."""
    (found,) = parse_own([own()], at=AT)
    assert (found.platform_id, found.url) == (str(BIG_ID), f"https://www.tiktok.com/@ada/video/{BIG_ID}")
    assert (found.title, found.description) == ("Corals", "Corals at night #DeepSea")
    assert (found.width_px, found.height_px, found.thumbnail_url) == (720, 1280, "https://p16.example/a.jpeg")
    assert (found.creator, found.metrics.views, found.metrics.comments) == (None, 30, 0)
    assert "may attest" in found.rights.note


def test_nothing_may_be_taken() -> None:
    """Neither answer holds a licence, and a token is no proof of ownership."""
    for (found,) in (parse_researched([researched()], at=AT), parse_own([own()], at=AT)):
        assert (found.media_url, found.rights.licence, found.rights.attested_by) == (None, "unknown", None)
        assert not may("download", found.rights, at=AT).allowed


def test_ids_and_counts_of_the_site_survive() -> None:
    """This id is real and above 2^53: as a floating number it would name another video."""
    (item,) = recorded("tiktok/web_trending_itemlist_excerpt.json")["itemList"]
    stats = item["statsV2"]
    row = researched(
        id=item["id"],
        create_time=item["createTime"],
        username=item["author"]["uniqueId"],
        video_description=item["desc"],
        hashtag_names=[tag["title"] for tag in item["challenges"]],
        video_duration=item["video"]["duration"],
        view_count=stats["playCount"],
        like_count=stats["diggCount"],
    )
    (found,) = parse_researched([row], at=AT)
    assert found.url == "https://www.tiktok.com/@usergerageda/video/7444705554666130708"
    assert found == parse_researched([row | {"id": int(item["id"]), "view_count": 1_585_253}], at=AT)[0]
    assert found.tags == ("4살딸", "귀여워")
    assert (found.metrics.views, found.metrics.likes) == (1_585_253, 38_884)


@pytest.mark.parametrize(
    "changes",
    [{"id": ...}, {"id": 7.4e18}, {"id": "a/b"}, {"id": -7}, {"id": None}, {"video_description": 7}, {"id": ["7"]}],
)
def test_what_cannot_be_read_is_left_out(changes: dict[str, Any]) -> None:
    """One changed video must not cost the others; if all have changed somebody must hear of it."""
    for parse, row in ((parse_researched, researched), (parse_own, own)):
        assert [one.platform_id for one in parse([row(**changes), row(id=7)], at=AT)] == ["7"]
        with pytest.raises(Retry, match="not known here"):
            parse([row(**changes)], at=AT)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", None, 7])
def test_name_that_makes_no_address_is_left_out(name: Any) -> None:
    """The address of a video is made of its author's name."""
    with pytest.raises(Retry):
        parse_researched([researched(username=name)], at=AT)


@pytest.mark.parametrize("told", [None, "many", -1, 1.5, True, [], {}, 10**30])
def test_small_drift_leaves_the_field_unknown(told: Any) -> None:
    """A count of another type is unknown, not zero and not a crash."""
    counts = dict.fromkeys(("view_count", "like_count", "comment_count", "share_count", "create_time"), told)
    (found,) = parse_researched([researched(**counts, video_duration=told, hashtag_names=told)], at=AT)
    (mine,) = parse_own([own(**counts, duration=told, width=told, height=told, cover_image_url=told)], at=AT)
    for one in (found, mine):
        assert set(one.metrics.absent) == {"views", "likes", "comments", "shares"}
        assert (one.published_at, one.duration_us, one.tags) == (None, None, ("DeepSea",))
    assert (mine.width_px, mine.height_px, mine.thumbnail_url) == (None, None, None)


def test_query_stays_within_thirty_days() -> None:
    """One day more, and the platform refuses the whole query."""
    body = query_for("Deep Sea", today=date(2026, 3, 1))
    assert (body["start_date"], body["end_date"]) == ("20260131", "20260301")
    assert body["query"]["or"] == [
        {"operation": "EQ", "field_name": "keyword", "field_values": ["Deep Sea"]},
        {"operation": "EQ", "field_name": "hashtag_name", "field_values": ["deepsea"]},
    ]
    assert len(query_for("2026", today=date(2026, 3, 1))["query"]["or"]) == 1


def fault(code: Any, status: int = 400, **headers: str) -> Exception | None:
    body = code if isinstance(code, dict | bytes) else {"data": {}, "error": {"code": code, "message": "No."}}
    named = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return fault_of(Response(status=status, headers=named, body=raw, url="https://x.example/v2/video/list/"), AT)


@pytest.mark.parametrize("status", [200, 400, 401, 429])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("access_token_invalid", TokenRefused),
        ("scope_not_authorized", Reject),
        ("scope_permission_missed", Reject),
        ("invalid_params", Reject),
        ("rate_limit_exceeded", RateLimited),
        ("daily_quota_limit_exceeded", RateLimited),
        ("internal_error", Retry),
        ("something_new", Reject),
    ],
)
def test_errors_of_the_envelope(code: str, kind: type[Exception], status: int) -> None:
    """Errors come with status 200 as well: unseen they count as an empty answer."""
    assert type(fault(code, status)) is (RateLimited if status == 429 else kind)


def test_limits_say_until_when() -> None:
    """The quota of a day ends at 00:00 UTC; any other limit is a sliding minute."""
    for error, until in (
        (fault("daily_quota_limit_exceeded", 429), datetime(2026, 11, 24, tzinfo=UTC)),
        (fault("rate_limit_exceeded", 429), AT + timedelta(seconds=60)),
        (fault("rate_limit_exceeded", 429, Retry_After="7"), AT + timedelta(seconds=7)),
    ):
        assert isinstance(error, RateLimited)
        assert error.until == until


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 502), (b"<html>", 403), ({"data": {}}, 200), ({"error": {"code": 7}}, 200), ({"error": None}, 500)],
)
def test_what_is_no_envelope_is_left_to_the_status(body: Any, status: int) -> None:
    """A proxy's page is no word of the platform."""
    assert fault(body, status) is None
    assert fault("ok", 200) is None


def test_way_follows_the_settings() -> None:
    """The Research API must never be used because a key happens to be there: it is for approved research only."""

    def way(**options: str) -> str | None:
        return way_of(Settings(tiktok_client_key="k", tiktok_client_secret="s", options=options))

    assert way() is None
    assert way(**OWN) == "own"
    assert way(**OWN, tiktok_research_enabled="true") == "research"
    assert way(**OWN, tiktok_research_enabled="false") == "own"
    assert all(need.optional for need in NEEDS), "either of two ways does"
    assert "non-commercial research only" in CAPS.cannot
