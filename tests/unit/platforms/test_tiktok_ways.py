"""TikTok over HTTP: the Research API for those who have it, own videos for the others, a reason for the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms.tiktok import LISTINGS, TikTok, lacking
from actors.runtime.settings import load_settings
from contracts.errors import RateLimited, Reject, Retry
from tests.unit.platforms.imitated import imitated, told
from tests.unit.platforms.tiktok_answers import GRANT, OWN, RESEARCH, answer, own, page, researched


async def test_without_settings_it_says_why_it_cannot(tmp_path: Path) -> None:
    """An empty list would look like a niche without videos."""
    async with imitated("tiktok", tmp_path, tiktok_research_enabled=None, tiktok_access_token=None) as at:
        with pytest.raises(Reject, match="cannot be searched: its Research API is for approved non-commercial") as no:
            await at.adapter.discover("chess", limit=5)
        assert "TIKTOK_ACCESS_TOKEN" in no.value.mend
        assert "TIKTOK_RESEARCH_ENABLED=true" in no.value.mend
        assert [await at.calls(place) for place in ("token", "search", "videos")] == [0, 0, 0]
        with pytest.raises(Reject, match="no words"):
            await at.adapter.discover(" ", limit=5)
    async with imitated("tiktok", tmp_path, tiktok_client_key=None, tiktok_client_secret=None) as at:
        with pytest.raises(Reject, match=r"TIKTOK_CLIENT_KEY.* not set, which research needs"):
            await at.adapter.discover("chess", limit=5)


async def test_research_is_refused_to_a_channel_that_earns_money(tmp_path: Path) -> None:
    """TikTok gives these data for non-commercial use only, and MONETISED is on unless somebody says otherwise."""
    for changes in ({"monetised": None}, {"monetised": "true"}):
        async with imitated("tiktok", tmp_path, **changes) as at:
            with pytest.raises(Reject, match="non-commercial use only") as refused:
                await at.adapter.discover("chess", limit=5)
            assert "MONETISED=false only if that is true" in refused.value.mend
            assert [await at.calls(place) for place in ("token", "search")] == [0, 0]


def test_each_way_says_what_it_lacks(tmp_path: Path) -> None:
    """Doctor would call a way open that the first scan refuses."""

    def names(**options: str) -> list[str]:
        given = {"MONETISED": "false"} | {name.upper(): value for name, value in options.items()}
        return [need.setting for need in lacking(load_settings(given, tmp_path))]

    both = {"tiktok_client_key": "key", "tiktok_client_secret": "sesame"}
    on = {"tiktok_research_enabled": "true"}
    assert names() == ["tiktok_access_token"]
    assert names(tiktok_access_token="sesame") == []
    assert names(**on) == [*both]
    assert names(**on, **both) == []
    assert names(**on, **both, monetised="true") == ["monetised"]


async def test_research_finds_the_most_viewed(tmp_path: Path) -> None:
    """One token serves many searches; the ids of the answer are numbers above 2^53."""
    async with imitated("tiktok", tmp_path) as at:
        found = await at.adapter.discover("deep sea", limit=50)
        assert len(found) == 6
        views = [one.metrics.views for one in found]
        assert views == sorted(views, reverse=True)
        assert all(7_400_000_000_000_000_000 < int(one.platform_id) < 7_400_000_000_010_000_000 for one in found)
        at.clock.turn(minutes=29)
        assert await at.adapter.discover("deep sea", limit=2) == found[:2], "counts belong to when they were read"
        assert (await at.calls("token"), await at.calls("search")) == (1, 1)
        await at.adapter.discover("chess", limit=2)
        assert (await at.calls("token"), await at.calls("search")) == (1, 2), "another search has another answer"
        at.clock.turn(hours=2)
        assert await at.adapter.discover("deep sea", limit=2)
        assert (await at.calls("token"), await at.calls("search")) == (2, 3)


async def test_refused_token_is_replaced_once(tmp_path: Path) -> None:
    """A token may be withdrawn before its end; a platform that refuses every token is not asked in a loop."""
    async with imitated("tiktok", tmp_path) as at:
        await at.adapter.discover("chess", limit=5)
        await at.set("search", kind="status", status=401, times=1)
        assert await at.adapter.discover("volcano", limit=5)
        assert (await at.calls("token"), await at.calls("search")) == (2, 3)
        await at.set("search", kind="status", status=401)
        with pytest.raises(Reject, match="TIKTOK_CLIENT_KEY"):
            await at.adapter.discover("deep sea", limit=5)
        assert (await at.calls("token"), await at.calls("search")) == (3, 5)


async def test_wrong_secret_is_refused_although_the_status_is_200(tmp_path: Path) -> None:
    """The token endpoint says its errors with status 200 too."""
    async with imitated("tiktok", tmp_path, tiktok_client_secret="forged") as at:
        with pytest.raises(Reject, match=r"invalid_client.*TIKTOK_CLIENT_SECRET") as refused:
            await at.adapter.discover("chess", limit=5)
        assert "forged" not in str(refused.value)
        assert (await at.calls("token"), await at.calls("search")) == (1, 0)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (500, "", Retry),
        (200, "temporarily_unavailable", Retry),
        (429, "", RateLimited),
        (401, "", Reject),
        (400, "unauthorized_client", Reject),
    ],
)
async def test_faults_of_the_token_endpoint(status: int, reason: str, kind: Any, tmp_path: Path) -> None:
    """A platform that is away for a moment is no wrong secret."""
    async with imitated("tiktok", tmp_path) as at:
        await at.set("token", kind="status", status=status, reason=reason)
        with pytest.raises(kind):
            await at.adapter.discover("chess", limit=5)
        assert (await at.calls("token"), await at.calls("search")) == (1, 0)


async def test_quota_of_a_day_is_not_overdrawn(tmp_path: Path) -> None:
    """1,000 requests a day; the platform's own refusal ends the day, too."""
    async with imitated("tiktok", tmp_path) as at:
        await at.set("search", kind="status", status=429, reason="daily_quota_limit_exceeded", times=1)
        for _ in range(2):
            with pytest.raises(RateLimited) as limited:
                await at.adapter.discover("chess", limit=5)
            assert limited.value.until == datetime(2026, 11, 24, tzinfo=UTC)
        assert await at.calls("search") == 1
        at.clock.turn(hours=12)
        assert await at.adapter.discover("chess", limit=5)


async def test_quota_is_spent_by_research_alone(tmp_path: Path) -> None:
    """The 1,001st request of a day is not sent."""
    async with told(TikTok, tmp_path, GRANT, page(researched()), options=RESEARCH) as (platform, made, _):
        for number in range(1_000):
            await made.discover(f"chess {number}", limit=1)
        with pytest.raises(RateLimited, match="'research' of 1000 is spent"):
            await made.discover("chess", limit=1)
        assert len(platform.asked) == 1_001


async def test_research_pages_by_cursor_and_search_id(tmp_path: Path) -> None:
    """Without the id of the search the second page is one of another search."""
    first = page(researched(id=1, view_count=5), more=True, cursor=100, search_id="740")
    second = page(researched(id=2, view_count=9), researched(id=1, view_count=5), cursor=102)
    async with told(TikTok, tmp_path, GRANT, first, second, options=RESEARCH) as (platform, made, _):
        assert [one.platform_id for one in await made.discover("chess", limit=150)] == ["2", "1"]
        bodies = [msgspec.json.decode(await request.read()) for request in platform.asked[1:]]
        assert [(body.get("cursor"), body.get("search_id")) for body in bodies] == [(None, None), (100, "740")]
        assert {request.headers["Authorization"] for request in platform.asked[1:]} == {"Bearer clt.x"}
        form = await platform.asked[0].post()
        assert form["grant_type"] == "client_credentials"
        assert all("sesame" not in str(request.url) for request in platform.asked)


@pytest.mark.parametrize(
    "body", [None, [], {}, {"data": {}}, answer(None), answer([]), answer({"videos": {}}), answer({"has_more": True})]
)
@pytest.mark.parametrize("options", [OWN, RESEARCH], ids=["own", "research"])
async def test_other_shapes_are_tried_again(options: dict[str, str], body: Any, tmp_path: Path) -> None:
    """A changed answer that reads as empty hides all videos."""
    answers = (GRANT, body) if options is RESEARCH else (body,)
    async with told(TikTok, tmp_path, *answers, options=options) as (platform, made, _):
        with pytest.raises(Retry):
            await made.discover("chess", limit=5)
        assert len(platform.asked) == len(answers)


@pytest.mark.parametrize("grant", [None, [], {}, {"access_token": 7}, {"access_token": ""}])
async def test_drift_of_the_token_is_tried_again(grant: Any, tmp_path: Path) -> None:
    """A token that is no text is no crash."""
    async with told(TikTok, tmp_path, grant, options=RESEARCH) as (_, made, _):
        with pytest.raises(Retry):
            await made.discover("chess", limit=5)


@pytest.mark.parametrize("none", [[], None])
@pytest.mark.parametrize("options", [OWN, RESEARCH], ids=["own", "research"])
async def test_no_videos_are_no_fault(options: dict[str, str], none: Any, tmp_path: Path) -> None:
    """An empty list, written either way, is asked for again until somebody looks."""
    body = answer({"videos": none, "has_more": True, "cursor": 0})
    async with told(TikTok, tmp_path, *((GRANT,) if options is RESEARCH else ()), body, options=options) as (
        _,
        made,
        _,
    ):
        assert await made.discover("chess", limit=5) == ()


async def test_own_videos_with_the_words(tmp_path: Path) -> None:
    """The list cannot be searched: pages are read until there are enough, by a cursor in milliseconds."""
    async with imitated("tiktok", tmp_path, tiktok_research_enabled=None) as at:
        found = await at.adapter.discover("street food", limit=50)
        assert len(found) == 6
        assert (await at.calls("videos"), await at.calls("search"), await at.calls("token")) == (2, 0, 0)
        times = [one.published_at for one in found]
        assert times == sorted(times, reverse=True)
        assert await at.adapter.discover("knitting", limit=1) == ()
        assert await at.adapter.discover("street food", limit=1) == found[:1]
        assert await at.calls("videos") == 2, "one list does for all niches"
        at.clock.turn(minutes=31)
        assert await at.adapter.discover("street food", limit=1)
        assert await at.calls("videos") == 3, "the second page is not needed"


async def test_own_list_keeps_its_minute(tmp_path: Path) -> None:
    """600 requests a minute, for all replicas together: the next one is not sent."""
    async with told(TikTok, tmp_path, page(own()), options=OWN) as (platform, made, clock):
        await made._reader._api._means.quota.spend("tiktok", LISTINGS, LISTINGS.limit)
        with pytest.raises(RateLimited, match="'video_list' of 600 is spent"):
            await made.discover("corals", limit=1)
        assert platform.asked == []
        clock.turn(minutes=1)
        assert await made.discover("corals", limit=1)


async def test_own_list_ends(tmp_path: Path) -> None:
    """A cursor that stands still would be followed for ever."""
    async with told(TikTok, tmp_path, page(own(), more=True, cursor=5), options=OWN) as (platform, made, _):
        assert await made.discover("knitting", limit=5) == ()
        assert len(platform.asked) == 2
    many = [page(own(), more=True, cursor=100 - n) for n in range(50)]
    async with told(TikTok, tmp_path, *many, options=OWN) as (platform, made, _):
        assert await made.discover("knitting", limit=5) == ()
        assert len(platform.asked) == 10


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, Reject, "Renew the token in TIKTOK_ACCESS_TOKEN"),
        (403, Reject, "video.list"),
        (429, RateLimited, "rate_limit_exceeded"),
        (500, Retry, "internal_error"),
    ],
)
async def test_faults_of_the_own_list(status: int, kind: type[Exception], says: str, tmp_path: Path) -> None:
    """The drill of all adapters meets the Research API only."""
    async with imitated("tiktok", tmp_path, tiktok_research_enabled=None) as at:
        await at.set("videos", kind="status", status=status)
        with pytest.raises(kind, match=says):
            await at.adapter.discover("chess", limit=5)
        await at.clear()
        await at.set("videos", kind="truncate", after_bytes=40)
        with pytest.raises((Retry, RateLimited)):
            await at.adapter.discover("chess", limit=5)
        assert await at.calls("videos") <= 2
