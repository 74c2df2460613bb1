"""Instagram: the videos of a hashtag, and the 30 hashtags of seven days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.platforms._meta.instagram_hashtags import NO_SLOT_WAIT, parse_media, parse_searched
from actors.platforms.instagram import Instagram
from contracts.errors import RateLimited, Reject, Retry
from contracts.rights import may
from tests.unit.platforms.imitated import Imitated, imitated, told
from tests.unit.platforms.recorded import recorded

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OPTIONS = {"instagram_access_token": "sesame", "instagram_user_id": "178"}


def medium(**changes: Any) -> dict[str, Any]:
    stated = {
        "id": "18088158883149835",
        "caption": "Corals at night\nfilmed #DeepSea #night",
        "comments_count": 10,
        "like_count": 997,
        "media_type": "VIDEO",
        "media_url": "https://scontent.xx.fbcdn.net/v/video.mp4",
        "permalink": "https://www.instagram.com/reel/B8goRvrnwod/",
        "timestamp": "2026-11-22T19:00:42+0000",
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def test_recorded_pictures_are_no_videos() -> None:
    """The editor cannot cut a picture; this real page has nothing else."""
    answer = recorded("instagram/hashtag_top_media_p1.json")
    assert {one["media_type"] for one in answer["data"]} == {"IMAGE", "CAROUSEL_ALBUM"}
    assert parse_media(answer["data"], hashtag="love", at=AT) == ()


def test_recorded_media_are_read_as_they_come() -> None:
    """These captions and counts are real; as videos each of them must become a candidate."""
    data = [{**one, "media_type": "VIDEO"} for one in recorded("instagram/hashtag_top_media_p1.json")["data"]]
    found = parse_media(data, hashtag="love", at=AT)
    assert [(one.platform_id, one.url) for one in found] == [(one["id"], one["permalink"]) for one in data]
    assert [one.metrics.likes for one in found] == [one.get("like_count") for one in data]
    assert [one.metrics.comments for one in found] == [one.get("comments_count") for one in data]
    quokka = next(one for one in found if one.platform_id == "17842849828991925")
    assert quokka.title.startswith("Will you be mine? 🐻🌹")
    assert quokka.tags[:3] == ("quokka", "quokkas", "perthlife")
    assert all(one.published_at is None for one in found)


def test_recorded_times_are_read() -> None:
    """Without its time a video's velocity is a guess."""
    data = [{**one, "media_type": "VIDEO"} for one in recorded("instagram/user_media_p1.json")["data"]]
    found = parse_media(data, hashtag="x", at=AT)
    assert found[0].published_at == datetime(2021, 8, 13, 8, 25, 28, tzinfo=UTC)
    assert (found[0].title, found[0].metrics.likes) == ("17895731045244887", 0)


def test_medium_becomes_a_candidate() -> None:
    """The ranker and people see a video by these fields."""
    (found,) = parse_media([medium()], hashtag="deepsea", at=AT)
    assert (found.item_id, found.url) == (
        "instagram:18088158883149835",
        "https://www.instagram.com/reel/B8goRvrnwod/",
    )
    assert (found.title, found.tags) == ("Corals at night", ("DeepSea", "night"))
    assert (found.creator, found.creator_id, found.duration_us) == (None, None, None)
    assert (found.metrics.views, found.metrics.likes, found.metrics.comments) == (None, 997, 10)
    assert set(found.metrics.absent) == {"views", "shares"}
    assert found.published_at == datetime(2026, 11, 22, 19, 0, 42, tzinfo=UTC)


def test_nothing_may_be_taken() -> None:
    """`media_url` of the answer is somebody's video without a licence."""
    (found,) = parse_media([medium()], hashtag="deepsea", at=AT)
    assert found.media_url is None
    assert found.rights.licence == "unknown"
    assert "no licence" in found.rights.note
    assert not may("download", found.rights, at=AT).allowed


def test_hidden_likes_are_unknown() -> None:
    """A zero in their place would make a winner look like a loser."""
    (found,) = parse_media([medium(like_count=...)], hashtag="deepsea", at=AT)
    assert found.metrics.likes is None
    assert "hides" in found.metrics.absent["likes"]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...},
        {"id": None},
        {"id": "../x"},
        {"permalink": ...},
        {"permalink": "javascript:alert(1)"},
        {"media_type": 7},
        {"caption": {"text": "x"}},
    ],
)
def test_what_cannot_be_read_is_left_out(changes: dict[str, Any]) -> None:
    """One changed medium must not cost the others; if all have changed somebody must hear of it."""
    assert [one.platform_id for one in parse_media([medium(**changes), medium(id="7")], hashtag="x", at=AT)] == ["7"]
    with pytest.raises(Retry, match="not known here"):
        parse_media([medium(**changes)], hashtag="x", at=AT)


@pytest.mark.parametrize(
    "changes",
    [
        {"like_count": "many", "comments_count": -1, "timestamp": 7},
        {"like_count": None, "comments_count": {}, "timestamp": "yesterday"},
        {"caption": None},
    ],
)
def test_small_drift_leaves_the_field_unknown(changes: dict[str, Any]) -> None:
    """A count of another type is unknown, not zero and not a crash."""
    (found,) = parse_media([medium(**changes)], hashtag="deepsea", at=AT)
    if "caption" in changes:
        assert (found.title, found.tags) == (found.platform_id, ("deepsea",))
    else:
        assert (found.metrics.likes, found.metrics.comments, found.published_at) == (None, None, None)


@pytest.mark.parametrize("data", [None, {}, "x", 7])
def test_other_shapes_are_tried_again(data: Any) -> None:
    """A changed answer that reads as empty hides all videos."""
    with pytest.raises(Retry):
        parse_media(data, hashtag="x", at=AT)
    with pytest.raises(Retry):
        parse_searched(data)


def test_searched_hashtags_are_read_whole_or_not_at_all() -> None:
    """One that is left out lets the 31st through."""
    with pytest.raises(Retry, match="cannot be read whole"):
        parse_searched([{"id": "1"}, {"name": "x"}])


async def test_videos_of_the_hashtag(tmp_path: Path) -> None:
    """Popular and recent videos come in turn, each once, and the recent ones with their time."""
    async with imitated("instagram", tmp_path) as at:
        found = await at.adapter.discover("Deep Sea!", limit=50)
        assert len({one.platform_id for one in found}) == len(found) == 6
        assert all("/reel/" in one.url for one in found)
        young = [one for one in found if one.published_at is not None]
        assert [one.title for one in young] == ["Lanternfish at night"]
        assert at.clock.now() - young[0].published_at < timedelta(days=1)
        assert found.index(young[0]) == 1, "the recent one comes right after the most popular one"
        assert [one.metrics.likes is None for one in found].count(True) == 2
        assert await at.adapter.discover("deep sea", limit=1) == found[:1]


async def test_wrong_token_is_refused_with_a_mend(tmp_path: Path) -> None:
    """The person must learn which setting to renew."""
    async with imitated("instagram", tmp_path, instagram_access_token="forged") as at:
        with pytest.raises(Reject, match="INSTAGRAM_ACCESS_TOKEN") as refused:
            await at.adapter.discover("deep sea", limit=5)
        assert "forged" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("instagram_access_token", None, r"INSTAGRAM_ACCESS_TOKEN is not set, and no account.*Token of a professional"),
        ("instagram_user_id", None, r"INSTAGRAM_USER_ID is not set\. Number of"),
        ("instagram_user_id", "me/../x", "INSTAGRAM_USER_ID is not a number"),
    ],
)
async def test_missing_settings_are_named(name: str, value: str | None, says: str, tmp_path: Path) -> None:
    """Without the name of the setting nobody can mend it; an id that is a path asks for something else."""
    async with imitated("instagram", tmp_path, **{name: value}) as at:
        with pytest.raises(Reject, match=says):
            await at.adapter.discover("deep sea", limit=5)
        assert await at.calls("searched") == 0


async def test_unused_hashtag_has_no_videos(tmp_path: Path) -> None:
    """The platform refuses a hashtag that nobody uses; that is an answer, and no fault."""
    async with imitated("instagram", tmp_path) as at:
        assert await at.adapter.discover("zzqx nowhere", limit=5) == ()
        assert await at.calls("search") == 0
        with pytest.raises(Reject, match="no words"):
            await at.adapter.discover("?! 2026", limit=5)


async def spend(at: Imitated, count: int) -> None:
    """Ask for `count` hashtags that are not of the tests."""
    for n in range(count):
        await at.get("/ig_hashtag_search", user_id="17841400000000001", q=f"other{n}", token="sandbox-instagram")


async def test_thirty_first_hashtag_is_not_asked_for(tmp_path: Path) -> None:
    """The platform blocks who asks for more than 30; those that are known go on meanwhile."""
    async with imitated("instagram", tmp_path) as at:
        await spend(at, 29)
        assert await at.adapter.discover("deep sea", limit=5), "the 30th is allowed"
        asked = await at.calls("hashtag")
        with pytest.raises(RateLimited, match="#chess would be the 31st hashtag in 7 days") as limited:
            await at.adapter.discover("chess", limit=5)
        assert limited.value.until == at.clock.now() + NO_SLOT_WAIT
        assert await at.calls("hashtag") == asked, "it was asked for all the same"
        assert await at.adapter.discover("deep sea", limit=5), "a hashtag of the 30 may be asked for again"
        assert await at.calls("hashtag") == asked, "its id is known"
        at.clock.turn(days=7, seconds=1)
        assert await at.adapter.discover("chess", limit=5), "after 7 days there is room"


async def test_hashtag_that_left_the_week_counts_as_new(tmp_path: Path) -> None:
    """A known id is no leave to ask: after its 7 days the hashtag takes a place again."""
    async with imitated("instagram", tmp_path) as at:
        assert await at.adapter.discover("deep sea", limit=5)
        at.clock.turn(days=7, seconds=1)
        await spend(at, 30)
        searches = await at.calls("search")
        with pytest.raises(RateLimited, match="31st"):
            await at.adapter.discover("deep sea", limit=5)
        assert await at.calls("search") == searches


async def test_all_thirty_are_seen(tmp_path: Path) -> None:
    """The list has 25 entries unless more are asked for: the last five would be overlooked."""
    async with imitated("instagram", tmp_path) as at:
        await spend(at, 30)
        with pytest.raises(RateLimited, match="31st"):
            await at.adapter.discover("chess", limit=5)


async def test_id_is_kept_where_names_are_not_told(tmp_path: Path) -> None:
    """Each look-up would cost a request; ids never change."""
    found: dict[str, Any] = {"data": [medium()]}
    first: tuple[Any, ...] = ({"data": []}, {"data": [{"id": "55"}]}, found, found)
    again = ({"data": [{"id": "55"}]}, found)
    async with told(Instagram, tmp_path, *first, again[0], options=OPTIONS) as (platform, made, clock):
        before = await made.discover("deep sea", limit=5)
        clock.turn(minutes=9)
        assert await made.discover("deep sea", limit=5) == before, "both lists were kept, with their moment"
        assert len(platform.asked) == 5
        clock.turn(minutes=2)
        platform.answers = list(again)
        await made.discover("deep sea", limit=5)
        paths = [request.path for request in platform.asked]
        search = ["/55/top_media", "/55/recent_media"]
        assert paths == ["/178/recently_searched_hashtags", "/ig_hashtag_search", *search, paths[0], paths[0], *search]


async def test_video_of_both_lists_keeps_its_time(tmp_path: Path) -> None:
    """The popular list knows no times; a video that is in both must not lose the one that is known."""
    top = {"data": [medium(id="1", timestamp=...), medium(id="2", timestamp=...)]}
    recent = {"data": [medium(id="1"), medium(id="3")]}
    searched = {"data": [{"id": "55", "name": "chess"}]}
    async with told(Instagram, tmp_path, searched, top, recent, options=OPTIONS) as (_, made, _):
        found = await made.discover("chess", limit=5)
        assert [(one.platform_id, one.published_at is None) for one in found] == [
            ("1", False),
            ("2", True),
            ("3", False),
        ]


async def test_popular_videos_outlive_a_fault_of_the_recent_ones(tmp_path: Path) -> None:
    """Both lists cost a hashtag of the week: what the first one gave must not be lost with the second."""
    searched = {"data": [{"id": "55", "name": "chess"}]}
    async with told(Instagram, tmp_path, searched, {"data": [medium()]}, {"strange": 1}, options=OPTIONS) as (
        platform,
        made,
        _,
    ):
        assert len(await made.discover("chess", limit=5)) == 1
        assert len(platform.asked) == 3


async def test_token_is_in_no_address(tmp_path: Path) -> None:
    """Addresses are written to logs on both sides."""
    async with told(Instagram, tmp_path, {"data": [{"id": "55", "name": "chess"}]}, {"data": []}, options=OPTIONS) as (
        platform,
        made,
        _,
    ):
        await made.discover("chess", limit=5)
        assert all("sesame" not in str(request.url) for request in platform.asked)
        assert {request.headers["Authorization"] for request in platform.asked} == {"Bearer sesame"}
        fields = [request.query["fields"] for request in platform.asked]
        assert ["timestamp" in one for one in fields] == [False, False, True], "top media know no time"


@pytest.mark.parametrize("searched", [{"data": [{"id": None}]}, {"data": [{}]}, {}, {"data": None}, [1]])
async def test_drift_of_the_searched_list_is_tried_again(searched: Any, tmp_path: Path) -> None:
    """Taken for an empty list it would allow any number of hashtags."""
    async with told(Instagram, tmp_path, searched, options=OPTIONS) as (platform, made, _):
        with pytest.raises(Retry):
            await made.discover("chess", limit=5)
        assert len(platform.asked) == 1


async def test_the_platforms_own_word_about_the_31st_is_heard(tmp_path: Path) -> None:
    """Two replicas may take the last place at once; the second one must wait, not fail."""
    async with imitated("instagram", tmp_path) as at:
        await at.set("hashtag", kind="status", status=400, reason="18.2207034")
        with pytest.raises(RateLimited):
            await at.adapter.discover("chess", limit=5)


async def test_imitation_refuses_like_the_platform(tmp_path: Path) -> None:
    """An imitation that takes anything proves nothing."""
    async with imitated("instagram", tmp_path) as at:
        ask = {"user_id": "17841400000000001", "q": "chess", "token": "sandbox-instagram"}
        status, body = await at.get("/ig_hashtag_search", **ask)
        assert status == 200
        path = f"/{body['data'][0]['id']}/top_media"
        for changes, code in (
            ({"token": "wrong"}, 190),
            ({"token": ""}, 104),
            ({"user_id": "7"}, 100),
            ({"fields": "id,username"}, 100),
            ({"fields": "id,timestamp"}, 100),
            ({"limit": "51"}, 100),
            ({"after": "!"}, 100),
        ):
            status, body = await at.get(path, **{**ask, **changes})
            assert (status in {400, 401}, body["error"]["code"]) == (True, code), changes
        status, body = await at.get(path, **ask, fields="id,comments_count", limit="2")
        assert (status, [set(one) for one in body["data"]]) == (200, [{"id", "comments_count"}] * 2)
        after = body["paging"]["cursors"]["after"]
        _, following = await at.get(path, **ask, fields="id", limit="2", after=after)
        assert msgspec.json.encode(following["data"]) != msgspec.json.encode(body["data"])
