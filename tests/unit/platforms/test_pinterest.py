"""Pinterest: keywords that grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.platforms._pinterest.trends import REGIONS, parse_trends, region_for
from actors.platforms.pinterest import CAPS, Pinterest
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"pinterest_access_token": "sesame"}


def keyword(**changes: Any) -> dict[str, Any]:
    stated = {
        "keyword": "deep sea nails",
        "pct_growth_wow": 50,
        "pct_growth_mom": 400,
        "pct_growth_yoy": -5,
        "time_series": {"2026-11-15": 54, "2026-11-22": 100},
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def test_documented_answer_is_read() -> None:
    """The official description of the API is the only shape that is known first-hand."""
    shapes = recorded("pinterest/v5_openapi_excerpt.json")["schemas"]["TrendingKeywordsResponse"]
    fields = shapes["properties"]["trends"]["items"]["properties"]
    example = {name: field["example"] for name, field in fields.items() if "example" in field}
    (found,) = parse_trends({"trends": [example]}, region="US", at=AT)
    assert (found.platform, found.name, found.growth) == ("pinterest", "couples halloween costumes", 0.5)
    assert (found.region, found.observed_at) == ("US", AT)


def test_share_of_its_own_peak_is_no_volume() -> None:
    """`time_series` is 100 for every keyword in its best week: as a volume it would rank all alike."""
    (found,) = parse_trends({"trends": [keyword()]}, region="US", at=AT)
    assert (found.volume, found.unit, found.url, found.started_at) == (None, "", None, None)


@pytest.mark.parametrize(
    ("told", "growth"), [(0, 0.0), (-5, -0.05), (10_000, 100.0), (10_001, 100.0), (None, None), (..., None)]
)
def test_growth_is_a_ratio(told: Any, growth: float | None) -> None:
    """10001 stands for "more than 10000", and unknown is not zero."""
    (found,) = parse_trends({"trends": [keyword(pct_growth_wow=told)]}, region="US", at=AT)
    assert found.growth == growth


@pytest.mark.parametrize(
    "changes", [{"keyword": ...}, {"keyword": ""}, {"keyword": 7}, {"pct_growth_wow": "much"}, {"pct_growth_wow": []}]
)
def test_what_cannot_be_read_is_left_out(changes: dict[str, Any]) -> None:
    """One changed keyword must not cost the others; if all have changed somebody must hear of it."""
    answer = {"trends": [keyword(**changes), keyword(keyword="x")]}
    assert [one.name for one in parse_trends(answer, region="US", at=AT)] == ["x"]
    with pytest.raises(Retry, match="not known here"):
        parse_trends({"trends": [keyword(**changes)]}, region="US", at=AT)


@pytest.mark.parametrize("answer", [None, [], {}, {"trends": None}, {"trends": {}}, {"items": []}])
def test_other_shapes_are_tried_again(answer: Any) -> None:
    """A changed answer that reads as empty hides all trends."""
    with pytest.raises(Retry):
        parse_trends(answer, region="US", at=AT)


@pytest.mark.parametrize(
    ("country", "region"),
    [("us", "US"), ("DE", "DE"), ("at", "DE+AT+CH"), ("IE", "GB+IE"), ("MX", "MX"), ("CL", "MX+AR+CO+CL"),
     ("NL+BE+LU", "NL+BE+LU"), (" pt ", "IT+ES+PT+GR+MT")],
)  # fmt: skip
def test_country_is_asked_for_by_the_regions_name(country: str, region: str) -> None:
    """The API knows some countries only in groups."""
    assert region_for(country) == region
    assert len(set(REGIONS)) == 18


@pytest.mark.parametrize("country", ["JP", "", "U", "DE+AT", "../pins"])
def test_other_regions_are_refused(country: str) -> None:
    """The platform answers 400; here the text names the regions that there are."""
    with pytest.raises(Reject, match="Its regions are US, CA"):
        region_for(country)


async def test_growing_keywords(tmp_path: Path) -> None:
    """The strongest come first, each with its growth of a week."""
    async with imitated("pinterest", tmp_path) as at:
        found = await at.adapter.trends(region="IE", limit=50)
        assert len(found) == 24
        assert {one.region for one in found} == {"IE"}
        growth = [one.growth for one in found]
        assert growth == sorted(growth, reverse=True)
        assert growth[0] == 100.0
        assert growth[-1] < 2
        assert await at.adapter.trends(region="IE", limit=3) == found[:3]


@pytest.mark.parametrize(
    ("asked", "setting", "path"),
    [
        (None, None, "/trends/keywords/US/top/growing"),
        (None, "AU+NZ", "/trends/keywords/AU%2BNZ/top/growing"),
        ("CH", "AU+NZ", "/trends/keywords/DE%2BAT%2BCH/top/growing"),
    ],
)
async def test_region_that_is_asked_for(asked: str | None, setting: str | None, path: str, tmp_path: Path) -> None:
    """A plus in a path that is read as a space asks for no region at all."""
    options = {**OPTIONS, **({"pinterest_region": setting} if setting else {})}
    async with told(Pinterest, tmp_path, {"trends": [keyword()]}, options=options) as (platform, made, _):
        (found,) = await made.trends(region=asked, limit=5)
        assert platform.asked[0].raw_path == f"{path}?limit=50"
        assert platform.asked[0].headers["Authorization"] == "Bearer sesame"
        assert found.region == (asked or setting or "US")


@pytest.mark.parametrize(
    ("status", "says"), [(401, "Renew the token in PINTEREST_ACCESS_TOKEN"), (403, "user_accounts:read"), (400, "400")]
)
async def test_refusals_say_what_to_do(status: int, says: str, tmp_path: Path) -> None:
    """A person cannot mend a bare number."""
    async with imitated("pinterest", tmp_path) as at:
        await at.set("search", kind="status", status=status)
        with pytest.raises(Reject, match=says):
            await at.adapter.trends(region="US", limit=5)
        with pytest.raises(Reject, match="no trends for 'JP'"):
            await at.adapter.trends(region="JP", limit=5)
        assert await at.calls("search") == 1
    async with imitated("pinterest", tmp_path, pinterest_access_token=None) as at:
        with pytest.raises(Reject, match="PINTEREST_ACCESS_TOKEN is not set"):
            await at.adapter.trends(region="US", limit=5)


async def test_rate_limit_waits(tmp_path: Path) -> None:
    """The imitation refuses the 101st request of a minute; afterwards nothing is sent until the pause is over."""
    async with imitated("pinterest", tmp_path) as at:
        for _ in range(100):
            assert (await at.get("/trends/keywords/US/top/growing", limit="1", token="sandbox-pinterest"))[0] == 200
        for _ in range(2):
            with pytest.raises(RateLimited) as limited:
                await at.adapter.trends(region="US", limit=5)
            assert limited.value.until == at.clock.now() + timedelta(seconds=60)
        assert await at.calls("search") == 101
        at.clock.turn(seconds=61)
        assert await at.adapter.trends(region="US", limit=5)


async def test_imitation_refuses_like_the_platform(tmp_path: Path) -> None:
    """An imitation that takes anything proves nothing."""
    async with imitated("pinterest", tmp_path) as at:
        for path, token, status in (
            ("/trends/keywords/US/top/growing", "wrong", 401),
            ("/trends/keywords/JP/top/growing", "sandbox-pinterest", 400),
            ("/trends/keywords/US/top/rising", "sandbox-pinterest", 400),
            ("/trends/keywords/US/top/growing?limit=51", "sandbox-pinterest", 400),
        ):
            answer, body = await at.get(path, token=token)
            assert (answer, set(body)) == (status, {"code", "message"})


def test_there_is_no_search() -> None:
    """A person who looks for pins must read why there are none."""
    assert CAPS.trends
    assert not CAPS.discover
    assert "no open search" in CAPS.cannot
